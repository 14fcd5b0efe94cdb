"""Operator commands from their files to their outcome in the audit: none lost, none done twice."""

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
        """Every command that lies there, oldest first; the files stay."""
        ...

    def remove(self, nonce: str) -> bool:
        """Take one file away; False when it cannot be, and then it still lies there."""
        ...

    def stop_file_present(self) -> bool: ...

    @property
    def may_change(self) -> bool:
        """Whether anybody can leave something here; if not, nobody has to look again."""
        ...


class Outcomes(Protocol):
    """The part of the ledger that says what became of a command."""

    async def command_outcome(self, nonce: str) -> str | None: ...


@dataclass(slots=True)
class LetterBox:
    """What one process knows of the control files; it outlives a life of the governor.

    A file goes only when the audit holds the outcome of its command. Whoever is killed before
    leaves the file, and the next process carries the command out; whoever is killed after leaves
    the outcome, and the next process only tidies up.

    `waiting` is in the order to be carried out; `known` is never taken in again by this process;
    `handed_on` names commands whose outcome another actor writes.
    """

    waiting: deque[OperatorCommand] = field(default_factory=deque)
    known: set[str] = field(default_factory=set)
    handed_on: set[str] = field(default_factory=set)
    opened: bool = False

    async def collect(self, files: ControlFiles, outcomes: Outcomes, now_ms: int) -> None:
        """Take in what is new. A database that cannot be read now is asked at the next call."""
        try:
            await self._tidy(files, outcomes)
            for command in files.read_commands(now_ms):
                await self._take_in(command, files, outcomes)
        except (StoreBusy, AuditUnwritable):
            return
        self.opened = True

    def settle(self, nonce: str, files: ControlFiles) -> None:
        """The outcome is durable: the file may go, and its name may be used again."""
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
        # Only what lay there before this process looked can have been carried out by another.
        if not self.opened and await outcomes.command_outcome(command.nonce) is not None:
            files.remove(command.nonce)
            return
        self.known.add(command.nonce)
        self.waiting.append(command)


def too_late(command: OperatorCommand) -> str:
    """Why a command that was meant for a process that has ended is not carried out; else empty.

    What tightens, and what the operator owns, still holds. To end, or to resume from, a state that
    nobody looked at is no longer what was asked.
    """
    if command.left_over and command.action is OperatorAction.STOP:
        return "refused: the process that was to stop had ended by itself"
    if command.left_over and command.action is OperatorAction.RESUME:
        return "refused: this process had not started yet; look again, then resume"
    return ""
