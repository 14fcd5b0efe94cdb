"""`livespot rehearse-swap` as a process: what it proves, keeps and refuses; what a replay needs."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from livespot.contracts.errors import ExitCode
from livespot.runtime.paths import Paths
from livespot.runtime.swap_rehearsal import EMBEDDED, is_proven, read

_PROGRAM = (sys.executable, "-m", "livespot_cmd.main")


def _run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*_PROGRAM, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=110
    )


@pytest.mark.slow
def test_a_swap_is_proven_and_the_proof_is_kept_with_its_date(tmp_path: Path) -> None:
    done = _run("rehearse-swap", "--symbol", "solusdt", "--var", tmp_path, "--json")

    assert done.returncode == ExitCode.CLEAN, done.stderr
    told = json.loads(done.stdout)
    assert told["proven"]
    assert 0 <= told["gap_ms"] < 1000
    (kept,) = read(tmp_path / "swap-rehearsals.json")
    assert (kept.symbol, kept.venue, kept.at_ms) == ("SOLUSDT", EMBEDDED, told["at_ms"])
    # The day it was done, not the day of the market it was done on.
    assert kept.at_ms > 1_700_000_000_000
    assert is_proven(tmp_path / "swap-rehearsals.json", EMBEDDED)


@pytest.mark.slow
def test_an_unknown_symbol_is_refused_in_words_and_proves_nothing(tmp_path: Path) -> None:
    refused = _run("rehearse-swap", "--symbol", "NOSUCH", "--var", tmp_path)

    assert refused.returncode == ExitCode.PREFLIGHT
    assert "NOSUCH" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert read(tmp_path / "swap-rehearsals.json") == []


def test_the_real_exchange_is_refused_with_the_reason_and_another_way(tmp_path: Path) -> None:
    refused = _run("rehearse-swap", "--live", "--var", tmp_path)

    assert refused.returncode == ExitCode.LOCK_MISSING
    assert "nothing was sent" in refused.stderr
    assert "AUTO" in refused.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("proven", [False, True])
def test_a_replay_swaps_stops_only_with_the_proof_it_is_given(tmp_path: Path, proven: bool) -> None:
    config = tmp_path / "own.toml"
    config.write_text('[exit]\ntrailing_policy = "VIRTUAL"\n', encoding="utf-8")
    proof = tmp_path / "swap-rehearsals.json"
    if proven:
        row = {
            "venue": EMBEDDED,
            "symbol": "BTCUSDT",
            "at_ms": 1,
            "proven": True,
            "gap_ms": 0,
            "detail": "",
        }
        proof.write_text(json.dumps([row]), encoding="utf-8")
    place = ("--config", config, "--proof", proof, "--var", tmp_path / "run")
    done = _run("replay", "--for", "1m", "--symbols", "SOLUSDT", *place, "--json")

    assert done.returncode == ExitCode.CLEAN, done.stderr
    with closing(sqlite3.connect(Paths(var=tmp_path / "run").database)) as database:
        (text,) = database.execute("SELECT config_json FROM runs").fetchone()
    assert json.loads(text)["exit"]["trailing_policy"] == ("VIRTUAL" if proven else "OFF")
