"""Makes the troubles of a plan happen: at the store, at the disk and in the actors' mailboxes."""

import errno
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar, get_args

import anyio
import msgspec

from livespot.contracts.errors import AuditUnwritable, StoreBusy, VolumeFull
from livespot.contracts.ports import Clock
from livespot.contracts.redaction import Redactor
from livespot.runtime.mailboxes import Mailbox
from livespot.runtime.replay_life import Surroundings
from livespot.runtime.replay_loop import VirtualLoop
from livespot.runtime.system import System
from livespot.store.statements import StoreRow
from livespot.testing.search.power import DurableDatabase, Machine, UnsyncedDisk
from livespot.testing.search.troubles import (
    ActorName,
    ActorRaises,
    ActorReturns,
    ActorStalls,
    DiskBusy,
    DiskError,
    DiskFull,
    DiskSlow,
    Trouble,
)

T = TypeVar("T")
W = TypeVar("W")
LOG_FILE = "harness.jsonl"


class Noted(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the harness's log: a trouble hit something."""

    t_ms: int
    id: str
    verb: str


class BrokenOnPurpose(Exception):
    """What an actor did not expect."""


@dataclass(slots=True)
class Board:
    """Which troubles are due, which have happened; each hit goes to the harness's log.

    After `healed_ms` from the beginning nothing happens any more.
    """

    troubles: Sequence[Trouble]
    clock: Clock
    healed_ms: int
    log: Path
    began_ms: int = field(init=False)
    _passed: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.began_ms = self.clock.now_ms()

    def running(self, kind: type[W]) -> Iterator[tuple[Trouble, W]]:
        """Troubles of a kind that last right now."""
        at_ms = self.clock.now_ms() - self.began_ms
        for trouble in self.troubles:
            end_ms = min(trouble.after_ms + trouble.for_ms, self.healed_ms)
            if isinstance(trouble.what, kind) and trouble.after_ms <= at_ms < end_ms:
                yield trouble, trouble.what

    def reached(self, kind: type[W], about: Callable[[W], bool]) -> Iterator[W]:
        """Troubles of a kind whose turn has come with this event, which is counted for each."""
        at_ms = self.clock.now_ms() - self.began_ms
        for trouble in self.troubles:
            what = trouble.what
            if not isinstance(what, kind) or not about(what):
                continue
            if not trouble.after_ms <= at_ms < self.healed_ms:
                continue
            self._passed[trouble.id] += 1
            if self._passed[trouble.id] == getattr(what, "nth", 1):
                self.hit(trouble)
                yield what

    def hit(self, trouble: Trouble) -> None:
        line = Noted(t_ms=self.clock.now_ms(), id=trouble.id, verb=trouble.verb)
        with self.log.open("ab") as file:
            file.write(msgspec.json.encode(line) + b"\n")


class TroubledDatabase(DurableDatabase):
    """A store whose disk is full, slow, broken or held by somebody else, as the board says."""

    board: Board

    async def transaction(self, rows: Sequence[StoreRow]) -> None:
        board = self.board
        for trouble, slow in board.running(DiskSlow):
            board.hit(trouble)
            with anyio.CancelScope(shield=True):
                await board.clock.sleep(slow.ms / 1000)
        for trouble, _ in board.running(DiskBusy):
            board.hit(trouble)
            raise StoreBusy("the database is held by another program: locked")
        for trouble, _ in board.running(DiskFull):
            board.hit(trouble)
            raise VolumeFull("the audit database cannot be written: disk is full")
        for _ in board.reached(DiskError, lambda error: error.op == "commit"):
            raise AuditUnwritable("the audit database cannot be written: disk I/O error")
        await super().transaction(rows)


@dataclass(slots=True)
class TroubledDisk(UnsyncedDisk):
    """Files on the same disk."""

    board: Board | None = None

    def append(self, path: Path, data: bytes, *, durable: bool = True) -> None:
        self._suffer()
        UnsyncedDisk.append(self, path, data, durable=durable)

    def write_atomic(self, path: Path, data: bytes) -> None:
        self._suffer()
        UnsyncedDisk.write_atomic(self, path, data)

    def _suffer(self) -> None:
        if self.board is None:
            return
        for trouble, _ in self.board.running(DiskFull):
            self.board.hit(trouble)
            raise OSError(errno.ENOSPC, "No space left on device")
        for _ in self.board.reached(DiskError, lambda error: error.op == "append"):
            raise OSError(errno.EIO, "Input/output error")


@dataclass(slots=True)
class Troubler:
    """Puts everything that can be troubled in place of the usual surroundings."""

    troubles: Sequence[Trouble]
    healed_ms: int
    machine: Machine = field(default_factory=Machine)

    def dress(self, around: Surroundings, loop: VirtualLoop) -> Surroundings:
        del loop
        log = around.paths.var / LOG_FILE
        board = Board(self.troubles, around.clock, self.healed_ms, log)
        disk = TroubledDisk(board=board)
        self.machine.disk = disk

        def open_store(
            path: Path,
            *,
            run_id: str,
            redactor: Redactor,
            committed: Callable[[set[str]], None],
        ) -> TroubledDatabase:
            store = TroubledDatabase(path, run_id=run_id, redactor=redactor, committed=committed)
            store.board = board
            self.machine.opened.append(store)
            return store

        return replace(
            around,
            disk=disk,
            open_store=open_store,
            power_cut=self.machine.cut_power,
            furnished=lambda system: self._furnish(system, board),
        )

    def _furnish(self, system: System, board: Board) -> None:
        wires = system.house.wires
        for name in get_args(ActorName):
            self._trouble_mailbox(name, getattr(wires, name), board)

    def _trouble_mailbox(self, name: str, mailbox: Mailbox[T], board: Board) -> None:
        """Every way in which an actor takes a message passes by the board."""

        def about(what: ActorRaises | ActorReturns | ActorStalls) -> bool:
            return what.actor == name

        def taken(message: T) -> T:
            for _ in board.reached(ActorRaises, about):
                raise BrokenOnPurpose(f"{name} breaks at a message")
            for _ in board.reached(ActorReturns, about):
                raise anyio.EndOfStream
            return message

        async def held_up(message: T) -> T:
            for stall in board.reached(ActorStalls, about):
                await board.clock.sleep(stall.ms / 1000)
            return taken(message)

        receive, within = mailbox.receive, mailbox.receive_within
        nowait = mailbox.receive_nowait

        async def receive_troubled() -> T:
            return await held_up(await receive())

        async def within_troubled(seconds: float) -> T | None:
            message = await within(seconds)
            return None if message is None else await held_up(message)

        def nowait_troubled() -> T | None:
            message = nowait()
            return None if message is None else taken(message)

        mailbox.receive = receive_troubled  # type: ignore[method-assign]
        mailbox.receive_within = within_troubled  # type: ignore[method-assign]
        mailbox.receive_nowait = nowait_troubled  # type: ignore[method-assign]


def read_log(path: Path) -> dict[str, int]:
    """How often each trouble hit something; empty where there was none."""
    if not path.exists():
        return {}
    lines = path.read_bytes().splitlines()
    return dict(Counter(msgspec.json.decode(line, type=Noted).id for line in lines))
