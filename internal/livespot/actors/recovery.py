"""Leads the boot: asks each actor what the last run left, and decides how this run may begin.

*Reads* the last run and the summaries of execution, position and reconciler. *Writes* the
BOOT_RECOVERY event and the recovery demand, which it withdraws once nothing is open any more.
*Owns* the decision how this run may begin.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import anyio
from anyio.abc import TaskStatus

from livespot.actors.boot_watch import BootWatch
from livespot.actors.mail import (
    ExecutionInbox,
    GovernorInbox,
    OrdersAsked,
    PositionInbox,
    PositionsAsked,
    ReconcilerInbox,
    RecoverAsked,
    RecoverySummary,
)
from livespot.actors.sending import tell
from livespot.contracts.audit import AuditDraft, AuditEntry, AuditPort
from livespot.contracts.codes import ReasonCode
from livespot.contracts.orders import Position
from livespot.contracts.ports import Clock
from livespot.contracts.queries import LastRun, LedgerReader, StoredOrder
from livespot.contracts.settings import Settings
from livespot.contracts.system import Alert, CloseAsked, HealthSignal
from livespot.contracts.vocabulary import (
    EventType,
    Mode,
    PositionPhase,
    Severity,
    SignalKind,
    SignalLevel,
    Stage,
)
from livespot.rules.recovery import BootFacts, RecoveryChoice, RecoveryOutcome, decide
from livespot.runtime.mailboxes import Mailbox, Reply

T = TypeVar("T")

_ASK_SECONDS = 120.0
_LOOK_AGAIN_SECONDS = 2.0
_BEAT_SECONDS = 0.25
_HELD = {
    ReasonCode.DB_ROLLBACK_DETECTED: (
        "the database was put back to an earlier state: the audit trail holds events that it has "
        "lost, or a backup was restored; orders may stand that it does not know"
    ),
    ReasonCode.ACTOR_FAILED: (
        "too many runs ended without saying so within ten minutes: find out why, then resume"
    ),
}
_BARE = frozenset({PositionPhase.OPENING, PositionPhase.UNPROTECTED, PositionPhase.CLOSING})


@dataclass(frozen=True, slots=True, kw_only=True)
class BootRecovery:
    """`previous` is the run before this one, read before this run's row was written.

    `held_by` holds the reasons why this run begins in PAUSE whatever is found. `born_ms` is when
    this process began, on the monotonic clock.
    """

    mode: Mode
    settings: Settings
    clock: Clock
    audit: AuditPort
    ledger: LedgerReader
    previous: LastRun | None
    execution: Mailbox[ExecutionInbox]
    position: Mailbox[PositionInbox]
    reconciler: Mailbox[ReconcilerInbox]
    governor: Mailbox[GovernorInbox]
    beat: Callable[[], None]
    held_by: tuple[ReasonCode, ...] = ()
    born_ms: int = 0

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Recover, decide, and watch until the recovery demand can be withdrawn; then return."""
        await self._demand(SignalLevel.DEGRADE, ReasonCode.BOOT_RECOVERY, "recovering")
        for code in self.held_by:
            await self._alert(Severity.CRIT, code, _HELD[code])
        task_status.started()
        compared = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch, compared)
            await self._lead(compared)
            tasks.cancel_scope.cancel()

    async def _lead(self, compared: anyio.Event) -> None:
        facts = await self._recover()
        compared.set()
        outcome = decide(facts)
        await self._record(facts, outcome)
        await self._demand(outcome.level, outcome.reason, outcome.choice.value)
        if outcome.choice is RecoveryChoice.CLOSE_SAFELY_THEN_PAUSE:
            await tell(self.position, CloseAsked(symbols=_bare(await self._positions())))
        await self._tell_operator(outcome)
        while outcome.level is not SignalLevel.CLEAR:
            await self._pause()
            facts = await self._look_again(facts)
            # The governor holds PAUSE by itself; only the cause is watched here.
            outcome = decide(replace(facts, last_run=None))
            if outcome.level is SignalLevel.CLEAR:
                await self._demand(outcome.level, ReasonCode.BOOT_RECOVERY, "recovered")

    async def _watch(self, compared: anyio.Event) -> None:
        """Report a bare position in time, however long the exchange is silent."""
        watch = BootWatch(
            ledger=self.ledger, clock=self.clock, born_ms=self.born_ms, compared=compared.is_set
        )
        symbols = ", ".join(await watch.still_bare())
        if symbols:
            reason = ReasonCode.PAUSE_NEEDS_MANUAL_PROTECTION
            text = f"{symbols}: no live stop since this process began; the exchange may not answer"
            await self._demand(SignalLevel.PAUSE, reason, text)
            await self._alert(Severity.CRIT, reason, text)

    async def _recover(self) -> BootFacts:
        """Settle the intents first, then the positions, then compare everything."""
        execution = await self._ask(self._ask_execution)
        position = await self._ask(self._ask_position)
        reconciler = await self._ask(self._ask_reconciler)
        positions, orders = await self._positions(), await self._orders()
        missing = [s for s in (execution, position, reconciler) if s is None]
        return BootFacts(
            last_run=self.previous,
            open_positions=len(positions),
            open_orders=len(orders),
            bare=len(_bare(positions)),
            unverified=position.unresolved if position is not None else 1,
            unsettled=execution.unresolved if execution is not None else 1,
            drift_level=reconciler.drift if reconciler is not None else SignalLevel.DEGRADE,
            reads_failed=bool(missing) or (reconciler is not None and reconciler.unresolved > 0),
        )

    async def _look_again(self, facts: BootFacts) -> BootFacts:
        """Read again what repairs itself; drift has its own demand from here on."""
        positions, orders = await self._positions(), await self._orders()
        summary = await self._ask(self._ask_reconciler) if facts.reads_failed else None
        failed = facts.reads_failed and (summary is None or summary.unresolved > 0)
        bare = len(_bare(positions))
        return replace(
            facts,
            open_positions=len(positions),
            open_orders=len(orders),
            bare=bare,
            unverified=0 if not failed and bare == 0 else facts.unverified,
            unsettled=len(await self.ledger.unsettled_intents()),
            drift_level=SignalLevel.CLEAR,
            reads_failed=failed,
        )

    async def _ask_execution(self, reply: Reply[RecoverySummary]) -> None:
        await tell(self.execution, RecoverAsked(reply=reply))

    async def _ask_position(self, reply: Reply[RecoverySummary]) -> None:
        await tell(self.position, RecoverAsked(reply=reply))

    async def _ask_reconciler(self, reply: Reply[RecoverySummary]) -> None:
        await tell(self.reconciler, RecoverAsked(reply=reply))

    async def _ask(
        self, send: Callable[[Reply[RecoverySummary]], Awaitable[None]]
    ) -> RecoverySummary | None:
        """The answer, or None when it did not come in time."""
        reply: Reply[RecoverySummary] = Reply()
        await send(reply)
        return await self._answer(reply)

    async def _positions(self) -> tuple[Position, ...]:
        reply: Reply[tuple[Position, ...]] = Reply()
        await tell(self.position, PositionsAsked(reply=reply))
        return await self._answer(reply) or ()

    async def _orders(self) -> tuple[StoredOrder, ...]:
        reply: Reply[tuple[StoredOrder, ...]] = Reply()
        await tell(self.execution, OrdersAsked(reply=reply))
        return await self._answer(reply) or ()

    async def _answer(self, reply: Reply[T]) -> T | None:
        """The reply, or None when it is late; waits in pieces so that the heart keeps beating."""
        until = self.clock.monotonic_ms() + round(_ASK_SECONDS * 1000)
        while self.clock.monotonic_ms() < until:
            self.beat()
            with self.clock.move_on_after(_BEAT_SECONDS):
                return await reply.wait()
        return None

    async def _pause(self) -> None:
        until = self.clock.monotonic_ms() + round(_LOOK_AGAIN_SECONDS * 1000)
        while self.clock.monotonic_ms() < until:
            self.beat()
            await self.clock.sleep(_BEAT_SECONDS)

    async def _record(self, facts: BootFacts, outcome: RecoveryOutcome) -> None:
        previous = facts.last_run
        reasons = [ReasonCode.BOOT_RECOVERY]
        if outcome.unclean:
            reasons.append(ReasonCode.UNCLEAN_SHUTDOWN)
        if outcome.level is SignalLevel.PAUSE:
            reasons.append(ReasonCode.PAUSE_NEEDS_MANUAL)
        draft = AuditDraft(
            event_type=EventType.STAGE_CHANGED,
            stage=Stage.STARTUP_RECOVER,
            ts_ms=self.clock.now_ms(),
            reasons=tuple(reasons),
            data={
                "choice": outcome.choice.value,
                "previous_run_id": previous.run_id if previous is not None else "",
                "previous_last_seq": previous.last_seq if previous is not None else 0,
                "previous_sysmode": previous.sysmode.value if previous is not None else "",
                "open_positions": facts.open_positions,
                "open_orders": facts.open_orders,
                "bare": facts.bare,
                "unverified": facts.unverified,
                "unsettled": facts.unsettled,
                "drift": facts.drift_level.value,
                "reads_failed": facts.reads_failed,
            },
        )
        await self.audit.commit(AuditEntry(draft=draft))

    async def _tell_operator(self, outcome: RecoveryOutcome) -> None:
        if outcome.unclean:
            text = "the previous run ended without saying so; its work was checked"
            await self._alert(Severity.INFO, ReasonCode.UNCLEAN_SHUTDOWN, text)
        if outcome.level is SignalLevel.PAUSE:
            text = f"boot recovery needs you: {outcome.choice.value}"
            await self._alert(Severity.CRIT, ReasonCode.PAUSE_NEEDS_MANUAL, text)

    async def _alert(self, severity: Severity, code: ReasonCode, text: str) -> None:
        alert = Alert(
            severity=severity, code=code, reasons=(code,), text=text, at_ms=self.clock.now_ms()
        )
        await tell(self.governor, alert)

    async def _demand(self, level: SignalLevel, reason: ReasonCode, detail: str) -> None:
        signal = HealthSignal(
            kind=SignalKind.RECOVERY,
            level=level,
            reason=reason,
            source="boot",
            detail=detail,
            at_ms=self.clock.now_ms(),
        )
        await tell(self.governor, signal)


def _bare(positions: tuple[Position, ...]) -> tuple[str, ...]:
    """The symbols of open positions that hold base without a complete stop."""
    return tuple(p.symbol for p in positions if p.phase in _BARE and p.qty > 0)
