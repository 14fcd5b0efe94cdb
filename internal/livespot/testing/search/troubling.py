"""Carries out a plan's troubles at the store, the disk and the actors' mailboxes."""

import errno
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar, get_args

import anyio

from livespot.actors.audit import AuditWriter
from livespot.contracts.errors import AuditUnwritable, StoreBusy, VolumeFull
from livespot.contracts.redaction import Redactor
from livespot.runtime.mailboxes import Mailbox
from livespot.runtime.replay_life import Surroundings
from livespot.runtime.replay_loop import LIFE, VirtualLoop
from livespot.runtime.system import System
from livespot.store.statements import StoreRow
from livespot.testing.search.board import LOG_FILE, Board
from livespot.testing.search.gauges import Gauge
from livespot.testing.search.in_house import in_its_house
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
    PageAsked,
    Trouble,
)
from livespot.testing.search.visiting import VisitedPanel, watch_mail, watch_wire

T = TypeVar("T")
_OF_ORDERS = frozenset({"IntentCreated", "IntentMoved", "OrderRow", "FillRow", "PositionRow"})


class BrokenOnPurpose(Exception):
    """The unexpected error that an actor raises."""


class TroubledDatabase(DurableDatabase):
    """A store whose disk is full, slow, broken or locked, as the board says."""

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
class OrderCommits:
    """Counts the durable transactions about an order in the present life."""

    life: int = 0
    counted: int = 0

    def count(self, told: Callable[[set[str]], None]) -> Callable[[set[str]], None]:
        """Tells whoever was told so far, too."""

        def committed(rows: set[str]) -> None:
            if self.life != LIFE.get():
                self.life, self.counted = LIFE.get(), 0
            self.counted += not _OF_ORDERS.isdisjoint(rows)
            told(rows)

        return committed

    def reached(self, number: int) -> Callable[[int], bool]:
        """Whether the life of the moment has made so many."""
        return lambda _passed: self.counted >= number


@dataclass(slots=True)
class Troubler:
    """Replaces everything that can be troubled in a life's surroundings."""

    troubles: Sequence[Trouble]
    healed_ms: int
    gauge: Gauge
    machine: Machine = field(default_factory=Machine)
    commits: OrderCommits = field(default_factory=OrderCommits)

    def dress(self, around: Surroundings, loop: VirtualLoop) -> Surroundings:
        log = around.paths.var / LOG_FILE
        board = Board(self.troubles, around.clock, self.healed_ms, log)
        around = replace(around, committed=self.commits.count(around.committed))
        around = in_its_house(around, loop, board)
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

        around = replace(
            around,
            disk=disk,
            open_store=open_store,
            power_cut=self.machine.cut_power,
            furnished=lambda system: self._furnish(system, board),
        )
        if board.coming(PageAsked):
            watch_wire(around.wire, board)
            around = replace(around, open_panel=_panel_of(around, board))
        return self.gauge.dress(around, loop)

    def _furnish(self, system: System, board: Board) -> None:
        wires = system.house.wires
        if any(isinstance(trouble.what, PageAsked) for trouble in self.troubles):
            watch_mail(system, board)
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

        async def within_troubled(seconds: float | None) -> T | None:
            message = await within(seconds)
            return None if message is None else await held_up(message)

        def nowait_troubled() -> T | None:
            message = nowait()
            return None if message is None else taken(message)

        mailbox.receive = receive_troubled  # type: ignore[method-assign]
        mailbox.receive_within = within_troubled  # type: ignore[method-assign]
        mailbox.receive_nowait = nowait_troubled  # type: ignore[method-assign]


def _panel_of(around: Surroundings, board: Board) -> Callable[[AuditWriter], VisitedPanel]:
    left_open: list[sqlite3.Connection] = []

    def opened(writer: AuditWriter) -> VisitedPanel:
        return VisitedPanel(
            board=board,
            database=around.paths.database,
            settings=around.loaded.settings.panel,
            clock=around.clock,
            writer=writer,
            left_open=left_open,
        )

    return opened
