"""Operator commands as files: whole, in order, kept until removed, and never ignored."""

from pathlib import Path

import pytest

from livespot.contracts.vocabulary import OperatorAction
from livespot.runtime.control import CommandFile, ControlDirectory, leave_command

PAUSE = CommandFile(action=OperatorAction.PAUSE, reason="news")
RESUME = CommandFile(action=OperatorAction.RESUME, reason="looked")


@pytest.fixture
def control(tmp_path: Path) -> ControlDirectory:
    return ControlDirectory(directory=tmp_path / "control", stop_file=tmp_path / "STOP")


def test_a_command_is_one_whole_file_and_nothing_else_stays(control: ControlDirectory) -> None:
    target = leave_command(control.directory, PAUSE, "0001")

    assert list(control.directory.iterdir()) == [target]
    assert target.read_bytes() == b'{"action":"PAUSE","reason":"news"}'
    assert target.stat().st_mode & 0o077 == 0


def test_a_half_written_file_is_left_alone(control: ControlDirectory) -> None:
    control.directory.mkdir()
    part = control.directory / ".half.part"
    part.write_bytes(b'{"action":"RES')

    assert not control.read_commands(1)
    assert part.exists()


def test_a_command_stays_until_it_is_removed(control: ControlDirectory) -> None:
    leave_command(control.directory, PAUSE, "0001")

    (taken,) = control.read_commands(7)

    assert (taken.action, taken.reason, taken.nonce, taken.at_ms) == (
        OperatorAction.PAUSE,
        "news",
        "0001",
        7,
    )
    assert len(control.read_commands(8)) == 1

    assert control.remove(taken.nonce)

    assert not list(control.directory.iterdir())
    assert not control.read_commands(9)


def test_a_command_written_before_the_lock_was_taken_is_left_over(tmp_path: Path) -> None:
    written = leave_command(tmp_path, PAUSE, "0001").stat().st_mtime_ns // 1_000_000

    def left_over(since_ms: int) -> bool:
        files = ControlDirectory(directory=tmp_path, stop_file=tmp_path / "STOP", since_ms=since_ms)
        (command,) = files.read_commands(1)
        return command.left_over

    assert left_over(written + 1)
    assert not left_over(written)


def test_a_file_that_cannot_be_removed_is_said_to_stay(control: ControlDirectory) -> None:
    (control.directory / "0001.json").mkdir(parents=True)

    assert not control.remove("0001")
    assert control.remove("0002")


def test_commands_come_in_the_order_of_their_names(control: ControlDirectory) -> None:
    for nonce, command in (("0003", PAUSE), ("0001", RESUME), ("0002", PAUSE)):
        leave_command(control.directory, command, nonce)

    assert [taken.nonce for taken in control.read_commands(1)] == ["0001", "0002", "0003"]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"resume please", id="no JSON"),
        pytest.param(b'{"action":"RESUME"', id="cut off"),
        pytest.param(b'{"action":"FLY","reason":""}', id="no such action"),
        pytest.param(b'{"action":"RESUME","reason":"\xff"}', id="no UTF-8"),
        pytest.param(b'{"action":"RESUME","reason":"' + b"x" * 5000 + b'"}', id="too long"),
    ],
)
def test_a_file_that_cannot_be_read_means_pause(control: ControlDirectory, content: bytes) -> None:
    control.directory.mkdir()
    (control.directory / "0001.json").write_bytes(content)

    (taken,) = control.read_commands(1)

    assert taken.action is OperatorAction.PAUSE
    assert taken.reason == "unreadable control file"


def test_an_unreadable_file_does_not_hide_the_one_after_it(control: ControlDirectory) -> None:
    leave_command(control.directory, RESUME, "0002")
    (control.directory / "0001.json").write_bytes(b"\xff")

    taken = control.read_commands(1)

    assert [one.action for one in taken] == [OperatorAction.PAUSE, OperatorAction.RESUME]


def test_a_directory_with_a_commands_name_is_no_command(control: ControlDirectory) -> None:
    (control.directory / "0001.json").mkdir(parents=True)

    assert not control.read_commands(1)


def test_without_a_directory_there_are_no_commands(control: ControlDirectory) -> None:
    assert not control.read_commands(1)


def test_the_stop_file_is_seen_and_never_removed(control: ControlDirectory) -> None:
    assert not control.stop_file_present()

    control.stop_file.touch()

    assert control.stop_file_present()
    assert control.stop_file_present()
