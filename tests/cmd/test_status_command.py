"""`livespot status` as an operator meets it."""

import subprocess
import sys
from pathlib import Path

import anyio
import msgspec
from click.testing import CliRunner, Result

from livespot.contracts.errors import ExitCode
from livespot.contracts.records import Record
from livespot.contracts.vocabulary import SysMode
from livespot.panel.dashboard import Dashboard
from livespot.runtime.disk import RealDisk
from livespot.runtime.paths import Paths
from livespot.testing import ledger_rows as rows
from livespot.testing import panel_story as story
from livespot_cmd.main import livespot


def run(*arguments: str) -> Result:
    return CliRunner().invoke(livespot, ["status", *arguments], standalone_mode=False)


def told(tmp_path: Path, *more: Record) -> Path:
    path = rows.fresh(tmp_path)
    anyio.run(story.told, path)
    anyio.run(story.write, path, *more)
    return tmp_path


def test_without_a_database_it_names_the_next_step(tmp_path: Path) -> None:
    result = run("--var", str(tmp_path))

    assert result.return_value == ExitCode.PREFLIGHT
    assert "livespot sim" in result.stderr
    assert result.stdout == ""


def test_a_running_process_is_shown_as_running(tmp_path: Path) -> None:
    var = told(tmp_path)

    with RealDisk().lock(Paths(var=var).lock, "test"):
        result = run("--var", str(var))

    assert result.return_value == ExitCode.CLEAN
    assert "NORMAL" in result.stdout
    assert "CRASHED" not in result.stdout


def test_a_process_that_died_is_called_dead_and_exits_non_zero(tmp_path: Path) -> None:
    result = run("--var", str(told(tmp_path)))

    assert result.return_value == ExitCode.PREFLIGHT
    assert "CRASHED" in result.stdout
    flat = " ".join(result.stdout.replace("│", " ").split())
    assert "What follows is its last record: NORMAL for" in flat
    assert "● NORMAL" not in result.stdout


def test_pause_has_its_own_exit_code(tmp_path: Path) -> None:
    var = told(tmp_path, story.mode(SysMode.PAUSE, []), story.ended(clean=True, exit_code=10))

    result = run("--var", str(var))

    assert result.return_value == ExitCode.PAUSED


def test_json_is_the_whole_snapshot_and_nothing_else(tmp_path: Path) -> None:
    result = run("--json", "--var", str(told(tmp_path, story.ended(clean=True))))

    dashboard = msgspec.json.decode(result.stdout.encode(), type=Dashboard)
    assert dashboard.process.state == "DOWN"
    assert dashboard.process.silent_ms is not None
    assert dashboard.now_ms == dashboard.process.last_event_ms


def test_a_file_that_is_no_database_is_refused_without_a_traceback(tmp_path: Path) -> None:
    path = Paths(var=tmp_path).database
    path.parent.mkdir(parents=True)
    path.write_bytes(b"only text, and long enough to be read as a header of something")

    result = run("--var", str(tmp_path))

    assert result.return_value == ExitCode.PREFLIGHT
    assert f"livespot migrate --var {tmp_path} --status" in result.stderr


def test_watching_goes_on_while_the_database_is_replaced(tmp_path: Path) -> None:
    path = Paths(var=told(tmp_path, story.ended(clean=True))).database
    aside = path.with_name("aside")
    with subprocess.Popen(
        [sys.executable, "-m", "livespot_cmd.main", "status", "--watch", "--var", tmp_path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as watching:
        assert watching.stdout is not None
        assert watching.stderr is not None
        first = watching.stdout.readline()
        path.rename(aside)
        gone = watching.stderr.readline()
        aside.rename(path)
        # What was already on its way may be one line more.
        again = [watching.stdout.readline() for _ in range(2)]
        watching.terminate()

    assert "SIM | DOWN" in first
    assert "this is not the present state" in gone
    assert "SIM | DOWN" in again[1]
