"""A process that is killed over an operator's command: the next one carries it out, or knows it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from livespot.contracts.audit import AuditEntry
from livespot.contracts.records import OperatorCommandRow
from livespot.contracts.vocabulary import EventType, OperatorAction, SysMode
from livespot.runtime.control import CommandFile, ControlDirectory, leave_command
from livespot.testing.audit import RecordingAudit
from livespot.testing.governor_bench import FAST, House, Outcomes

_PAUSE = CommandFile(action=OperatorAction.PAUSE, reason="news")


class _HungAudit(RecordingAudit):
    """Never writes a command; `reached` is set once it was asked to."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = anyio.Event()

    async def commit(self, *entries: AuditEntry) -> None:
        if any(entry.draft.event_type is EventType.OPERATOR_COMMAND for entry in entries):
            self.reached.set()
            await anyio.sleep_forever()
        await super().commit(*entries)


class _KilledBeforeRemoval(ControlDirectory):
    """The process that asked for the removal does not live to see it."""

    def remove(self, nonce: str) -> bool:
        del nonce
        return False


def _files(var: Path, kind: type[ControlDirectory] = ControlDirectory) -> ControlDirectory:
    return kind(directory=var / "control", stop_file=var / "STOP")


@asynccontextmanager
async def _process(
    files: ControlDirectory, audit: RecordingAudit, outcomes: Outcomes
) -> AsyncIterator[House]:
    """A governor with a memory of its own, killed at the end of the block."""
    house = House(files=files, audit=audit, outcomes=outcomes)
    async with anyio.create_task_group() as group:
        await group.start(house.governor(SysMode.DEGRADE, lambda: 0).run)
        yield house
        group.cancel_scope.cancel()


def _kept(audit: RecordingAudit) -> Outcomes:
    """What the next process reads in the audit that the last one left."""
    rows = [
        record
        for entry in audit.of(EventType.OPERATOR_COMMAND)
        for record in entry.records
        if isinstance(record, OperatorCommandRow)
    ]
    return Outcomes(by_nonce={row.command.nonce: row.outcome for row in rows})


async def test_killed_before_its_audit_the_command_is_carried_out_by_the_next_process(
    tmp_path: Path,
) -> None:
    files, audit = _files(tmp_path), _HungAudit()
    leave_command(files.directory, _PAUSE, "0001")

    async with _process(files, audit, Outcomes()):
        with anyio.fail_after(5):
            await audit.reached.wait()
    following = RecordingAudit()
    async with _process(files, following, _kept(audit)) as house:
        await house.until(SysMode.PAUSE)

    assert _kept(following).by_nonce == {"0001": "accepted"}
    assert list(files.directory.iterdir()) == []


async def test_killed_after_its_audit_the_command_is_not_carried_out_again(tmp_path: Path) -> None:
    audit = RecordingAudit()
    leave_command(_files(tmp_path).directory, _PAUSE, "0001")

    async with _process(_files(tmp_path, _KilledBeforeRemoval), audit, Outcomes()) as house:
        await house.until(SysMode.PAUSE)
    left = list(_files(tmp_path).directory.iterdir())
    following = RecordingAudit()
    async with _process(_files(tmp_path), following, _kept(audit)) as house:
        with FAST.fail_after(500):
            while any(_files(tmp_path).directory.iterdir()):
                await FAST.sleep(0.25)

    assert [path.stem for path in left] == ["0001"]
    assert following.of(EventType.OPERATOR_COMMAND) == []
    assert house.gate.mode is not SysMode.PAUSE
