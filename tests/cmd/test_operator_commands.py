"""`livespot pause`, `resume`, `release` and `stop` as an operator meets them."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from livespot.contracts.errors import ExitCode
from livespot.contracts.vocabulary import OperatorAction
from livespot.runtime.control import ControlDirectory
from livespot.runtime.disk import RealDisk
from livespot.runtime.paths import Paths
from livespot_cmd.operator_commands import pause, release, resume, stop


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

    taken = taking.take_commands(5)
    assert result.return_value == ExitCode.CLEAN
    assert [(found.action, found.reason, found.at_ms) for found in taken] == [(action, reason, 5)]
    assert not taking.take_commands(6)
    assert paths.control.stat().st_mode & 0o077 == 0


def test_a_release_carries_its_symbol_in_the_exchanges_spelling(tmp_path: Path) -> None:
    paths = Paths(var=tmp_path)
    taking = ControlDirectory(directory=paths.control, stop_file=paths.stop_file)

    with RealDisk().lock(paths.lock, "run_one"):
        result = run(release, "solusdt", "--reason", "looked", "--var", str(tmp_path))

    (taken,) = taking.take_commands(5)
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


def test_resuming_asks_for_a_reason(tmp_path: Path) -> None:
    result = run(resume, "--var", str(tmp_path))

    assert isinstance(result.exception, click.MissingParameter)


@pytest.mark.parametrize("command", [pause, resume, release, stop])
def test_help_has_an_example(command: click.Command) -> None:
    assert "Example: livespot" in run(command, "--help").output
