"""`livespot shadow` as a process: no key, no order, and nothing loaded that could sign or send."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from livespot.contracts.errors import ExitCode
from livespot.runtime.paths import Paths
from livespot.store.migrate import migrate

# Runs the command in an interpreter of its own and says what was loaded by its end.
_WATCHED = """
import json, sys
from livespot_cmd.main import main
sys.argv = ["livespot", *sys.argv[1:]]
code = main()
loaded = [name for name in sys.modules if name.startswith("livespot.")]
print("LOADED " + json.dumps([code, sorted(loaded)]))
"""
_FORBIDDEN = (
    "livespot.venue.signing",
    "livespot.venue.rest_orders",
    "livespot.venue.ws_orders",
    "livespot.venue.ws_api",
    "livespot.venue.chosen_orders",
    "livespot.runtime.venue_link",
    "livespot.runtime.system",
    "livespot.runtime.crew",
    "livespot.actors.execution",
    "livespot.actors.entry_desk",
    "livespot.actors.mutation_desk",
    "livespot.actors.sending",
    "livespot.actors.position",
    "livespot.actors.reconciler",
)


def _environment(**more: str) -> dict[str, str]:
    keys = ("BINANCE_API_KEY", "BINANCE_API_SECRET", "OPENAI_API_KEY")
    inherited = {name: value for name, value in os.environ.items() if name not in keys}
    return {**inherited, "NO_COLOR": "1", **more}


def _watch(place: str, tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    config = tmp_path / "shadow.toml"
    config.write_text(
        f'[venue]\nrest_url = "http://{place}"\nws_url = "ws://{place}"\n[panel]\nport = 18797\n'
    )
    arguments = ("shadow", "--for", "7s", "--var", str(tmp_path / "var"), "--config", str(config))
    return subprocess.run(
        [sys.executable, "-c", _WATCHED, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
        env=_environment(**environment),
    )


@pytest.mark.slow
def test_a_shadow_run_watches_says_so_and_loads_nothing_that_signs_or_sends(
    tmp_path: Path, exchange_place: str
) -> None:
    done = _watch(exchange_place, tmp_path)

    said = next(line for line in done.stdout.splitlines() if line.startswith("LOADED "))
    code, loaded = json.loads(said.removeprefix("LOADED "))
    assert code == ExitCode.CLEAN, done.stderr
    assert [name for name in loaded if name.startswith(_FORBIDDEN)] == []
    assert "SHADOW: watching only" in done.stdout
    assert "SHADOW (watches only, sends no order)" in done.stdout
    assert "orders sent 0, fills 0" in done.stdout
    with sqlite3.connect(tmp_path / "var" / "data" / "audit.sqlite") as database:
        (mode,) = database.execute("SELECT mode FROM runs").fetchone()
        kinds = {row[0] for row in database.execute("SELECT event_type FROM audit_events")}
    database.close()
    assert mode == "SHADOW"
    assert {"RUN_STARTED", "UNIVERSE_ELIGIBILITY", "RANK_TOPN", "RUN_ENDED"} <= kinds
    assert not kinds & {"ORDER_SUBMIT", "INTENT_STATE_CHANGED", "FILL", "POSITION_CHANGED"}
    manifest = next((tmp_path / "var" / "runs").glob("*/run_manifest.json"))
    assert json.loads(manifest.read_text())["mode"] == "SHADOW"
    status = subprocess.run(
        [sys.executable, "-m", "livespot_cmd.main", "status", "--var", str(tmp_path / "var")],
        capture_output=True,
        text=True,
        check=False,
        env=_environment(COLUMNS="140"),
    )
    assert "SHADOW (watches only, sends no order)" in status.stdout


@pytest.mark.parametrize("name", ["BINANCE_API_KEY", "BINANCE_API_SECRET", "OPENAI_API_KEY"])
def test_a_key_in_the_environment_is_refused_by_its_name_and_never_shown(
    tmp_path: Path, name: str
) -> None:
    done = _watch("127.0.0.1:9", tmp_path, **{name: "canary-5d1f0a"})

    assert f"LOADED [{int(ExitCode.PREFLIGHT)}," in done.stdout
    assert f"{name} is set" in done.stderr
    assert f"env -u {name} livespot shadow" in done.stderr
    assert "canary-5d1f0a" not in done.stdout + done.stderr
    assert not (tmp_path / "var").exists()


def test_a_place_with_runs_of_another_mode_is_refused(tmp_path: Path) -> None:
    paths = Paths(var=tmp_path / "var")
    paths.database.parent.mkdir(parents=True)
    migrate(paths.database, backup_dir=paths.backups, now_ms=1)
    with sqlite3.connect(paths.database) as database:
        database.execute(
            "INSERT INTO runs (run_id, mode, started_at_ms, config_hash, config_json, prompt_hash, "
            "version, platform, account_label, previous_run_id) "
            "VALUES ('run_1', 'LIVE', 1, '', '{}', '', '', '', '', '')"
        )
    database.close()

    done = _watch("127.0.0.1:9", tmp_path)

    assert f"LOADED [{int(ExitCode.PREFLIGHT)}," in done.stdout
    assert "holds the records of LIVE runs" in done.stderr
