"""`livespot pause`, `resume`, `release`, `stop` and `halt` as an operator meets them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import click
import pytest
from click.testing import CliRunner, Result

from livespot.contracts.errors import ExitCode
from livespot.contracts.records import OperatorCommandRow, UniverseScan
from livespot.contracts.vocabulary import OperatorAction
from livespot.runtime.control import ControlDirectory
from livespot.runtime.disk import RealDisk
from livespot.runtime.paths import Paths
from livespot.testing import ledger_rows, panel_story
from livespot_cmd.operator_commands import halt, pause, release, resume, stop


def run(command: click.Command, *arguments: str) -> Result:
    return CliRunner().invoke(command, arguments, standalone_mode=False)


@pytest.mark.parametrize(
    ("command", "arguments", "action", "reason"),
    [
        (pause, ["--reason", "news"], OperatorAction.PAUSE, "news"),
        (pause, [], OperatorAction.PAUSE, ""),
        (resume, ["--reason", "looked"], OperatorAction.RESUME, "looked"),
        (stop, [], OperatorAction.STOP, ""),
    ],
)
def test_a_command_reaches_the_running_process_once(
    tmp_path: Path,
    command: click.Command,
    arguments: list[str],
    action: OperatorAction,
    reason: str,
) -> None:
    paths = Paths(var=tmp_path)
    taking = ControlDirectory(directory=paths.control, stop_file=paths.stop_file)

    with RealDisk().lock(paths.lock, "run_one"):
        result = run(command, "--var", str(tmp_path), *arguments)

    taken = taking.read_commands(5)
    assert result.return_value == ExitCode.CLEAN
    assert [(found.action, found.reason, found.at_ms) for found in taken] == [(action, reason, 5)]
    assert paths.control.stat().st_mode & 0o077 == 0


def test_a_release_carries_its_symbol_in_the_exchanges_spelling(tmp_path: Path) -> None:
    paths = Paths(var=tmp_path)
    taking = ControlDirectory(directory=paths.control, stop_file=paths.stop_file)

    with RealDisk().lock(paths.lock, "run_one"):
        result = run(release, "solusdt", "--reason", "looked", "--var", str(tmp_path))

    (taken,) = taking.read_commands(5)
    assert result.return_value == ExitCode.CLEAN
    assert "RELEASE SOLUSDT left for the running process" in result.stdout
    assert (taken.action, taken.symbol, taken.reason) == (
        OperatorAction.RELEASE,
        "SOLUSDT",
        "looked",
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("SOLUSDT",),
        ("SOLUSDT", "--reason", " "),
        ("SOL/USDT", "--reason", "looked"),
        ("../SOLUSDT", "--reason", "looked"),
        ("", "--reason", "looked"),
        ("S" * 21, "--reason", "looked"),
        ("--reason", "looked"),
    ],
)
def test_a_release_needs_a_symbol_and_a_reason(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    paths = Paths(var=tmp_path)
    with RealDisk().lock(paths.lock, "run_one"):
        result = run(release, *arguments, "--var", str(tmp_path))

    assert isinstance(result.exception, click.UsageError)
    assert not paths.control.exists()


def test_without_a_running_process_no_release_is_left_behind(tmp_path: Path) -> None:
    result = run(release, "SOLUSDT", "--reason", "looked", "--var", str(tmp_path))

    assert result.return_value == ExitCode.PREFLIGHT
    assert not Paths(var=tmp_path).control.exists()


def test_without_a_running_process_nothing_is_left_behind(tmp_path: Path) -> None:
    result = run(pause, "--var", str(tmp_path))

    assert result.return_value == ExitCode.PREFLIGHT
    assert "nobody would take this command" in result.stderr
    assert not Paths(var=tmp_path).control.exists()


@contextmanager
def _answering(paths: Paths, outcome: str) -> Iterator[None]:
    """A process that holds the lock, takes each command and records `outcome` for it."""
    ledger_rows.fresh(paths.var)
    taking = ControlDirectory(directory=paths.control, stop_file=paths.stop_file)
    over = threading.Event()

    def serve() -> None:
        while not over.wait(0.02):
            for command in taking.read_commands(5):
                row = OperatorCommandRow(command=command, outcome=outcome)
                anyio.run(panel_story.write, paths.database, row)
                taking.remove(command.nonce)

    with RealDisk().lock(paths.lock, "run_one"):
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def test_the_outcome_in_the_audit_is_told(tmp_path: Path) -> None:
    paths = Paths(var=tmp_path)
    with _answering(paths, "accepted"):
        result = run(pause, "--reason", "news", "--var", str(tmp_path))

    assert (result.return_value, result.stdout) == (ExitCode.CLEAN, "PAUSE: accepted\n")


def test_a_refusal_says_why_and_what_next_and_fails(tmp_path: Path) -> None:
    paths = Paths(var=tmp_path)
    with _answering(paths, "refused: WS_STALE_PAUSE still hold PAUSE"):
        result = run(resume, "--reason", "looked", "--var", str(tmp_path))

    assert result.return_value == ExitCode.PREFLIGHT
    assert "RESUME: refused: WS_STALE_PAUSE still hold PAUSE" in result.stdout
    assert result.stderr == f"Nothing was changed.\nNext: livespot next --var {tmp_path}\n"


def test_a_mistyped_symbol_is_answered_with_its_neighbour(tmp_path: Path) -> None:
    paths = Paths(var=tmp_path)
    scan = UniverseScan(
        cycle_id="c", symbol="SOLUSDT", eligible=True, reasons=(), features_json="{}", at_ms=1
    )
    anyio.run(panel_story.write, ledger_rows.fresh(tmp_path), scan)
    with RealDisk().lock(paths.lock, "run_one"):
        result = run(release, "SOLUSD", "--reason", "looked", "--var", str(tmp_path))

    assert isinstance(result.exception, click.UsageError)
    assert "Did you mean SOLUSDT?" in str(result.exception)
    assert not paths.control.exists()


@pytest.mark.parametrize("running", [False, True])
def test_a_halt_leaves_the_stop_file_with_its_reason(tmp_path: Path, running: bool) -> None:
    paths = Paths(var=tmp_path)
    taking = ControlDirectory(directory=paths.control, stop_file=paths.stop_file)
    if running:
        with RealDisk().lock(paths.lock, "run_one"):
            result = run(halt, "--reason", "key leaked", "--var", str(tmp_path))
    else:
        result = run(halt, "--reason", "key leaked", "--var", str(tmp_path))

    assert result.return_value == ExitCode.CLEAN
    assert taking.stop_file_present()
    assert paths.stop_file.read_text(encoding="utf-8") == "key leaked\n"
    assert paths.stop_file.stat().st_mode & 0o077 == 0
    assert [(it.action, it.reason) for it in taking.read_commands(5)] == (
        [(OperatorAction.HALT, "key leaked")] if running else []
    )
    assert f"rm {paths.stop_file}" in result.stderr


def test_a_second_halt_keeps_the_first_ones_reason(tmp_path: Path) -> None:
    for reason in ("first", "second"):
        run(halt, "--reason", reason, "--var", str(tmp_path))

    assert Paths(var=tmp_path).stop_file.read_text(encoding="utf-8") == "first\n"


@pytest.mark.parametrize(
    ("command", "arguments"),
    [(resume, ["--reason", "looked"]), (stop, []), (halt, ["--reason", "key leaked"])],
)
@pytest.mark.parametrize(("typed", "done"), [("n\n", False), ("y\n", True), ("\n", False)])
def test_at_a_terminal_what_matters_is_asked_first(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: click.Command,
    arguments: list[str],
    typed: str,
    done: bool,
) -> None:
    paths = Paths(var=tmp_path)
    taking = ControlDirectory(directory=paths.control, stop_file=paths.stop_file)
    monkeypatch.setattr("livespot_cmd.asking.at_terminal", lambda: True)
    with RealDisk().lock(paths.lock, "run_one"):
        result = CliRunner().invoke(
            command, [*arguments, "--var", str(tmp_path)], input=typed, standalone_mode=False
        )

    assert bool(taking.read_commands(5)) is done
    assert taking.stop_file_present() is (done and command is halt)
    assert result.return_value == (ExitCode.CLEAN if done else ExitCode.PREFLIGHT)
    assert ("Nothing was done." in result.stderr) is not done


def test_resuming_asks_for_a_reason(tmp_path: Path) -> None:
    result = run(resume, "--var", str(tmp_path))

    assert isinstance(result.exception, click.MissingParameter)


@pytest.mark.parametrize("command", [pause, resume, release, stop, halt])
def test_help_has_an_example(command: click.Command) -> None:
    assert "Example: livespot" in run(command, "--help").output
