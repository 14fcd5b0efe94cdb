"""Operator commands from file to audited outcome: none lost, none carried out twice."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from livespot.contracts.errors import AuditUnwritable, StoreBusy
from livespot.contracts.system import OperatorCommand
from livespot.contracts.vocabulary import OperatorAction


class ControlFiles(Protocol):
    """Commands the operator left as files, and the STOP file."""

    def read_commands(self, now_ms: int) -> Sequence[OperatorCommand]:
        """Every command on disk, oldest first; the files stay."""
        ...

    def remove(self, nonce: str) -> bool:
        """Delete one file; False when it cannot be deleted and is still there."""
        ...

    def stop_file_present(self) -> bool: ...

    @property
    def may_change(self) -> bool:
        """Whether anything may be left here at all; if not, there is no need to poll."""
        ...


class Outcomes(Protocol):
    """The part of the ledger that holds the outcomes of commands."""

    async def command_outcome(self, nonce: str) -> str | None: ...


@dataclass(slots=True)
class LetterBox:
    """What one process knows about the control files; it survives a restart of the governor.

    A file is removed only when the audit holds the outcome of its command. A process killed before
    that leaves the file, and the next one carries the command out; a process killed after it leaves
    the outcome, and the next one only removes the file.

    `waiting` is in the order of execution; a nonce in `known` is never taken in again by this
    process; `handed_on` names commands whose outcome another actor writes.
    """

    waiting: deque[OperatorCommand] = field(default_factory=deque)
    known: set[str] = field(default_factory=set)
    handed_on: set[str] = field(default_factory=set)
    opened: bool = False

    async def collect(self, files: ControlFiles, outcomes: Outcomes, now_ms: int) -> None:
        """Take in new commands. If the database cannot be read now, the next call tries again."""
        try:
            await self._tidy(files, outcomes)
            for command in files.read_commands(now_ms):
                await self._take_in(command, files, outcomes)
        except (StoreBusy, AuditUnwritable):
            return
        self.opened = True

    def settle(self, nonce: str, files: ControlFiles) -> None:
        """The outcome is durable: remove the file, and forget its nonce."""
        if files.remove(nonce):
            self.known.discard(nonce)
        self.handed_on.discard(nonce)

    async def _tidy(self, files: ControlFiles, outcomes: Outcomes) -> None:
        for nonce in sorted(self.handed_on):
            if await outcomes.command_outcome(nonce) is not None:
                self.settle(nonce, files)

    async def _take_in(
        self, command: OperatorCommand, files: ControlFiles, outcomes: Outcomes
    ) -> None:
        if command.nonce in self.known:
            return
        # Only a file from before the first look can have been carried out by another process.
        if not self.opened and await outcomes.command_outcome(command.nonce) is not None:
            files.remove(command.nonce)
            return
        self.known.add(command.nonce)
        self.waiting.append(command)


def too_late(command: OperatorCommand) -> str:
    """Why a command meant for a process that has ended is refused; else empty.

    A command that tightens still holds. A stop has had its effect, and a resume was meant for a
    state that nobody has looked at in this process.
    """
    if command.left_over and command.action is OperatorAction.STOP:
        return "refused: the process that was to stop had ended by itself"
    if command.left_over and command.action is OperatorAction.RESUME:
        return "refused: this process had not started yet; look again, then resume"
    return ""
