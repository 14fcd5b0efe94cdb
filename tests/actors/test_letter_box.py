"""A command is carried out once, and its file goes only when its outcome is on record."""

from pathlib import Path

import pytest

from livespot.actors.letter_box import LetterBox, too_late
from livespot.contracts.errors import AuditUnwritable, StoreBusy
from livespot.contracts.records import OperatorCommandRow
from livespot.contracts.system import OperatorCommand
from livespot.contracts.vocabulary import OperatorAction
from livespot.runtime.control import CommandFile, ControlDirectory, leave_command
from livespot.store.queries import LedgerQueries
from livespot.store.reader import ReadOnlyDatabase
from livespot.testing import ledger_rows, panel_story
from livespot.testing.governor_bench import Outcomes

_RESUME = CommandFile(action=OperatorAction.RESUME, reason="looked")


class _Stubborn(ControlDirectory):
    """Its directory gives no file away."""

    def remove(self, nonce: str) -> bool:
        del nonce
        return False


@pytest.fixture
def files(tmp_path: Path) -> ControlDirectory:
    return ControlDirectory(directory=tmp_path / "control", stop_file=tmp_path / "STOP")


def _left(files: ControlDirectory) -> list[str]:
    return [path.stem for path in files.directory.iterdir()]


async def test_a_process_killed_before_the_outcome_was_durable_leaves_the_command_to_the_next(
    files: ControlDirectory,
) -> None:
    leave_command(files.directory, _RESUME, "0001")
    killed, following = LetterBox(), LetterBox()

    await killed.collect(files, Outcomes(), 1)
    await following.collect(files, Outcomes(), 2)

    assert [command.nonce for command in killed.waiting] == ["0001"]
    assert [command.nonce for command in following.waiting] == ["0001"]


async def test_a_process_killed_after_the_outcome_was_durable_leaves_only_a_file_to_tidy(
    files: ControlDirectory, tmp_path: Path
) -> None:
    leave_command(files.directory, _RESUME, "0001")
    database = ledger_rows.fresh(tmp_path)
    (command,) = files.read_commands(1)
    await panel_story.write(database, OperatorCommandRow(command=command, outcome="accepted"))
    following = LetterBox()

    await following.collect(files, LedgerQueries(ReadOnlyDatabase(database)), 2)

    assert not following.waiting
    assert _left(files) == []


async def test_one_process_takes_a_command_in_once_however_long_its_file_lies(
    files: ControlDirectory,
) -> None:
    leave_command(files.directory, _RESUME, "0001")
    letters = LetterBox()

    for now_ms in (1, 2, 3):
        await letters.collect(files, Outcomes(), now_ms)

    assert len(letters.waiting) == 1
    assert _left(files) == ["0001"]


async def test_the_file_of_a_command_handed_on_goes_with_the_other_actors_outcome(
    files: ControlDirectory,
) -> None:
    leave_command(files.directory, _RESUME, "0001")
    letters, outcomes = LetterBox(), Outcomes()
    await letters.collect(files, outcomes, 1)
    letters.handed_on.add(letters.waiting.popleft().nonce)

    await letters.collect(files, outcomes, 2)
    assert _left(files) == ["0001"]
    outcomes.by_nonce["0001"] = "done"
    await letters.collect(files, outcomes, 3)

    assert _left(files) == []
    assert not letters.waiting


async def test_a_name_used_again_is_a_new_command(files: ControlDirectory) -> None:
    letters, outcomes = LetterBox(), Outcomes()
    await letters.collect(files, outcomes, 1)
    for now_ms in (2, 3):
        leave_command(files.directory, _RESUME, "resume")
        await letters.collect(files, outcomes, now_ms)
        outcomes.by_nonce["resume"] = "accepted"
        letters.settle("resume", files)

    assert [command.at_ms for command in letters.waiting] == [2, 3]


async def test_a_file_that_cannot_be_removed_is_not_carried_out_again(tmp_path: Path) -> None:
    files = _Stubborn(directory=tmp_path / "control", stop_file=tmp_path / "STOP")
    leave_command(files.directory, _RESUME, "0001")
    letters, outcomes = LetterBox(), Outcomes()
    await letters.collect(files, outcomes, 1)

    letters.settle(letters.waiting.popleft().nonce, files)
    await letters.collect(files, outcomes, 2)

    assert not letters.waiting


@pytest.mark.parametrize("error", [StoreBusy("held"), AuditUnwritable("gone")])
async def test_a_database_that_cannot_be_asked_now_is_asked_again(
    files: ControlDirectory, error: Exception
) -> None:
    leave_command(files.directory, _RESUME, "0001")
    letters, outcomes = LetterBox(), Outcomes(by_nonce={"0001": "accepted"}, error=error)

    await letters.collect(files, outcomes, 1)
    assert not letters.waiting
    assert _left(files) == ["0001"]
    await letters.collect(files, outcomes, 2)

    assert not letters.waiting
    assert _left(files) == []


@pytest.mark.parametrize("action", list(OperatorAction))
@pytest.mark.parametrize("left_over", [True, False])
def test_only_a_stop_and_a_resume_for_an_ended_process_come_too_late(
    action: OperatorAction, left_over: bool
) -> None:
    command = OperatorCommand(action=action, reason="r", nonce="n", at_ms=1, left_over=left_over)

    expected = left_over and action in {OperatorAction.STOP, OperatorAction.RESUME}

    assert too_late(command).startswith("refused: ") is expected
    assert bool(too_late(command)) is expected
