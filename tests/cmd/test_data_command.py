"""`livespot data` as a process: recording an exchange, ending in order, checking, replaying."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from itertools import cycle
from pathlib import Path

import pytest

from livespot.contracts.errors import ExitCode
from livespot.exchange.replayed import load_replayed
from livespot.runtime.set_check import check_set

_COMMAND = (sys.executable, "-m", "livespot_cmd.main")


def _run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*_COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        env={**os.environ, "NO_COLOR": "1"},
    )


def _config(tmp_path: Path, place: str) -> Path:
    path = tmp_path / "venue.toml"
    path.write_text(f'[venue]\nrest_url = "http://{place}"\nws_url = "ws://{place}"\n')
    return path


@pytest.mark.slow
def test_a_recording_is_sound_and_can_be_replayed(tmp_path: Path, exchange_place: str) -> None:
    config = _config(tmp_path, exchange_place)
    into = tmp_path / "captured"
    recorded = _run(
        *("data", "capture", "--symbols", "solusdt, ethusdt", "--into", into),
        *("--for", "6s", "--rotate", "2s", "--config", config),
    )
    checked = _run("data", "check", into, "--json")
    replayed = _run(
        *("replay", "--data", into, "--for", "20s", "--json", "--var", tmp_path / "again")
    )

    assert recorded.returncode == ExitCode.CLEAN, recorded.stderr
    assert f"Next: livespot replay --data {into}" in recorded.stdout
    assert checked.returncode == ExitCode.CLEAN, checked.stdout
    found = json.loads(checked.stdout)
    assert {one["symbol"] for one in found["series"]} == {"SOLUSDT", "ETHUSDT"}
    assert len(list(into.glob("SOLUSDT-*.csv.gz"))) >= 2
    assert replayed.returncode == ExitCode.CLEAN, replayed.stderr


@pytest.mark.slow
def test_ctrl_c_ends_a_recording_in_order_however_often_it_comes(
    tmp_path: Path, exchange_place: str
) -> None:
    into = tmp_path / "captured"
    arguments = ("--symbols", "SOLUSDT,ETHUSDT,BTCUSDT", "--into", str(into), "--config")
    with subprocess.Popen(
        [*_COMMAND, "data", "capture", *arguments, str(_config(tmp_path, exchange_place))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        # Each symbol has its file once something of it arrived; trades follow within seconds.
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=8)
        process.send_signal(signal.SIGINT)
        # Those that follow come while the recording is made into a data set, and until the end.
        for number in cycle((signal.SIGINT, signal.SIGTERM)):
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=0.002)
                break
            process.send_signal(number)
        said, errors = process.communicate(timeout=30)

    assert process.returncode == ExitCode.CLEAN, errors
    assert "quotes and trades" in said
    assert check_set(into).problems == ()
    assert load_replayed(into).series


def test_the_check_tells_a_sound_set_from_a_damaged_one(tmp_path: Path) -> None:
    row = "1704067200000,1.5,1.6,1.4,1.5,100,1704067259999,150,9,50,75,0\n"
    (tmp_path / "ADAUSDT-1m-2024-01.csv").write_text(row)
    made = _run("data", "import", tmp_path, "--into", tmp_path / "set")
    sound = _run("data", "check", tmp_path / "set")
    (tmp_path / "set" / "ADAUSDT.csv.gz").write_bytes(b"no candles")
    damaged = _run("data", "check", tmp_path / "set")

    assert made.returncode == ExitCode.CLEAN, made.stderr
    assert (sound.returncode, damaged.returncode) == (ExitCode.CLEAN, ExitCode.DIFFERENT)
    assert "PASS" in sound.stdout
    assert "PROBLEM       ADAUSDT.csv.gz is damaged" in damaged.stdout


def test_an_import_without_a_place_and_a_check_of_nothing_are_refused(tmp_path: Path) -> None:
    (tmp_path / "ADAUSDT-1m-2024-01.csv").write_text("")

    assert _run("data", "import", tmp_path).returncode == ExitCode.USAGE
    assert _run("data", "check", tmp_path).returncode == ExitCode.PREFLIGHT
