"""Runs the strategy over the watch list and passes on what it wants.

Reads: the watch list, closed 1m candles, positions, modes, ended proposals; snapshots on request.
Writes: SNAPSHOT_BUILT and DECISION_PROPOSED with their rows; proposals to the gate.
Owns: which symbols have a proposal under way.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import assert_never

import anyio
from anyio.abc import TaskStatus

from livespot.actors import signal_records
from livespot.actors.mail import (
    CandleClosed,
    Proposal,
    ProposalEnded,
    SignalInbox,
    SnapshotsAsked,
    SnapshotsBuilt,
    WatchlistChanged,
)
from livespot.actors.wires import Sink
from livespot.contracts.audit import AuditPort
from livespot.contracts.codes import ReasonCode
from livespot.contracts.decision import Decision
from livespot.contracts.market import Rejection, Snapshot
from livespot.contracts.orders import Position
from livespot.contracts.ports import Clock
from livespot.contracts.settings import Settings
from livespot.contracts.system import ModeChanged
from livespot.contracts.vocabulary import Mode, PositionPhase, SysMode
from livespot.rules.strategy import Blocked, Strategy
from livespot.runtime.cycles import CycleIds
from livespot.runtime.mailboxes import Mailbox, Reply

_ASK_SECONDS = 2.0
# The same block said again adds nothing; once a minute it shows that the symbol is still looked at.
_REPEAT_BLOCK_MS = 60_000


@dataclass(slots=True, kw_only=True)
class _Watch:
    """The actor's whole memory, local to one run."""

    symbols: tuple[str, ...] = ()
    mode: SysMode = SysMode.DEGRADE
    pending: dict[str, tuple[str, int]] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    closed: set[str] = field(default_factory=set)
    unkept: list[CandleClosed] = field(default_factory=list)
    ended: list[ProposalEnded] = field(default_factory=list)
    told: dict[str, tuple[tuple[str, ...], int]] = field(default_factory=dict)
    due_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Signaller:
    settings: Settings
    mode: Mode
    clock: Clock
    strategy: Strategy
    audit: AuditPort
    cycles: CycleIds
    inbox: Mailbox[SignalInbox]
    state: Sink[SnapshotsAsked]
    gate: Sink[Proposal]
    beat: Callable[[], None]

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Decide until cancelled."""
        watch = _Watch(due_ms=self.clock.monotonic_ms())
        task_status.started()
        while True:
            self.beat()
            await self._listen(watch)
            await self._keep(watch)
            now = self.clock.monotonic_ms()
            if now >= watch.due_ms:
                watch.due_ms = now + self.settings.timing.decision_cycle_ms
                await self._decide(watch, watch.symbols)
            elif watch.closed:
                await self._decide(watch, tuple(s for s in watch.symbols if s in watch.closed))
            watch.closed.clear()

    async def _listen(self, watch: _Watch) -> None:
        """Take what is there; with nothing to do, wait for a message or for the next cycle."""
        message = self.inbox.receive_nowait()
        wait_ms = watch.due_ms - self.clock.monotonic_ms()
        if message is None and wait_ms > 0:
            message = await self.inbox.receive_within(wait_ms / 1000)
        while message is not None:
            self._take(watch, message)
            message = self.inbox.receive_nowait()

    def _take(self, watch: _Watch, message: SignalInbox) -> None:
        match message:
            case WatchlistChanged():
                watch.symbols = message.symbols
            case CandleClosed():
                watch.closed.add(message.symbol)
                if message.symbol in watch.held or message.symbol in watch.symbols:
                    watch.unkept.append(message)
            case ProposalEnded():
                watch.ended.append(message)
                decision_id, _ = watch.pending.get(message.symbol, ("", 0))
                if decision_id == message.decision_id:
                    del watch.pending[message.symbol]
            case ModeChanged():
                watch.mode = message.mode
            case Position():
                if message.phase in (PositionPhase.FLAT, PositionPhase.DUST):
                    watch.held.discard(message.symbol)
                else:
                    watch.held.add(message.symbol)
            case _:
                assert_never(message)

    async def _keep(self, watch: _Watch) -> None:
        """Candles and how each proposal ended outlive the process, for marks and explanations."""
        now_ms = self.clock.now_ms()
        if watch.unkept:
            await self.audit.record(signal_records.candles_entry(watch.unkept, now_ms))
            watch.unkept.clear()
        for ended in watch.ended:
            await self.audit.record(signal_records.ended_entry(ended, now_ms))
        watch.ended.clear()

    async def _decide(self, watch: _Watch, symbols: Sequence[str]) -> None:
        """One decision cycle; entries are thought about in NORMAL only."""
        now = self.clock.monotonic_ms()
        for symbol, (decision_id, until) in tuple(watch.pending.items()):
            if now >= until:
                del watch.pending[symbol]
                lapsed = (ReasonCode.STRAT_ENTRY_TIMEOUT,)
                watch.ended.append(
                    ProposalEnded(decision_id=decision_id, symbol=symbol, reasons=lapsed)
                )
        free = tuple(s for s in symbols if s not in watch.pending and s not in watch.held)
        if watch.mode is not SysMode.NORMAL or not free:
            return
        cycle_id = self.cycles.next()
        built = await self._ask(free, cycle_id)
        if built is None:
            # Market state is busy or gone; health sees that, and the next cycle asks again.
            built = signal_records.unanswered(free)
        for rejection in built.rejections:
            await self._reject(watch, rejection, cycle_id)
        for snapshot in built.snapshots:
            outcome = self.strategy.propose(
                snapshot,
                self.settings,
                mode=self.mode,
                cycle_id=cycle_id,
                now_ms=self.clock.now_ms(),
            )
            if isinstance(outcome, Blocked):
                await self._block(watch, outcome, cycle_id)
            else:
                await self._propose(watch, outcome, snapshot)

    async def _ask(self, symbols: tuple[str, ...], cycle_id: str) -> SnapshotsBuilt | None:
        reply: Reply[SnapshotsBuilt] = Reply()
        with self.clock.move_on_after(_ASK_SECONDS):
            await self.state.send(SnapshotsAsked(cycle_id=cycle_id, symbols=symbols, reply=reply))
            return await reply.wait()
        return None

    async def _propose(self, watch: _Watch, decision: Decision, snapshot: Snapshot) -> None:
        """Durable first: what was wanted, and on what evidence, outlives a crash."""
        lapse_ms = self.clock.monotonic_ms() + _lapse_ms(self.settings)
        watch.pending[decision.symbol] = (decision.decision_id, lapse_ms)
        watch.told.pop(decision.symbol, None)
        await self.audit.commit(*signal_records.proposal_entries(decision, snapshot))
        await self.gate.send(Proposal(decision=decision, snapshot=snapshot))

    async def _block(self, watch: _Watch, blocked: Blocked, cycle_id: str) -> None:
        if self._is_news(watch, blocked.symbol, blocked.reasons):
            now_ms = self.clock.now_ms()
            await self.audit.record(signal_records.block_entry(blocked, cycle_id, now_ms))

    async def _reject(self, watch: _Watch, rejection: Rejection, cycle_id: str) -> None:
        if self._is_news(watch, rejection.symbol, rejection.reasons):
            now_ms = self.clock.now_ms()
            await self.audit.record(signal_records.rejection_entry(rejection, cycle_id, now_ms))

    def _is_news(self, watch: _Watch, symbol: str, reasons: tuple[str, ...]) -> bool:
        """Whether these reasons differ from the last recorded, or a minute has passed."""
        now = self.clock.monotonic_ms()
        told, until = watch.told.get(symbol, ((), 0))
        if told == tuple(reasons) and now < until:
            return False
        watch.told[symbol] = (tuple(reasons), now + _REPEAT_BLOCK_MS)
        return True


def _lapse_ms(settings: Settings) -> int:
    """When a proposal nobody spoke of again is over: all attempts, the fallback and some room.

    Risk refuses a second entry of its own accord, so lapsing too early costs one proposal.
    """
    attempts = settings.entry.reprice_max + 2
    return attempts * settings.entry.maker_ttl_ms + settings.timing.decision_max_age_ms
