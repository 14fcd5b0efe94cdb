"""Compares belief with the exchange on a cadence and corrects belief towards it, never backwards.

*Reads* the account by REST, execution's open orders, the positions. *Writes* REST views to
execution, balances to risk and position, RECONCILE_REST and RECONCILE_DIFF events, the drift
demand. *Owns* the suspicions between two reads, and the age of the last confirming read.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import assert_never

import anyio
from anyio.abc import TaskStatus

from livespot.actors.mail import (
    ExecutionInbox,
    GovernorInbox,
    OrdersAsked,
    PositionInbox,
    ReconcilerInbox,
    ReconcileWanted,
    RecoverAsked,
    RecoverySummary,
    RiskInbox,
    SymbolsLearned,
    UserStreamChanged,
)
from livespot.actors.reconciler_reads import Reading, Watch
from livespot.actors.rest_age import RestAge
from livespot.actors.sending import tell
from livespot.contracts.audit import AuditDraft, AuditEntry, AuditPort
from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import PayloadInvalid, Refused, Throttled, Transient
from livespot.contracts.orders import Position
from livespot.contracts.ports import Clock
from livespot.contracts.queries import LedgerReader, StoredOrder
from livespot.contracts.records import ReconcileRow
from livespot.contracts.settings import Settings
from livespot.contracts.system import (
    Alert,
    HealthSignal,
    ModeChanged,
    ReconcileDiff,
    ReconcileReport,
)
from livespot.contracts.venue import AccountReader, ServerClock
from livespot.contracts.vocabulary import (
    EventType,
    IntentRole,
    Mode,
    PositionPhase,
    Severity,
    SignalKind,
    SignalLevel,
    Stage,
)
from livespot.rules import drift
from livespot.rules.due import NEVER
from livespot.runtime.mailboxes import Mailbox, Reply

_MIN_GAP_MS = 250
_RETRY_MS = 1000
# What is held, and what is being bought, is read so often at least. A part that was bought, or a
# target sold in part, leaves base without a stop, and the event that tells of it may be lost.
_HELD_MS = 3000
_FAILED = (Transient, Refused, PayloadInvalid)
_CLOSED = frozenset({PositionPhase.FLAT, PositionPhase.DUST})


@dataclass(slots=True)
class Agenda:
    """When each kind of read is due, in monotonic milliseconds; `wanted` are symbols asked for.

    `held_ms` is when the orders of what is held or being bought are, earlier than the rest.
    """

    orders_ms: int = 0
    held_ms: int = NEVER
    account_ms: int = 0
    sweep_ms: int = 0
    all_ms: int = 0
    wanted: set[str] = field(default_factory=set)
    not_before_ms: int = 0
    stream_live: bool = False
    active: bool = False

    @property
    def next_ms(self) -> int:
        """When something is due that nobody has to ask for."""
        return min(self.orders_ms, self.held_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One comparison: what differs, of which symbols it speaks, and whether it is a mere look.

    Between two whole comparisons what is held is looked at; only what it finds goes on record.
    """

    diffs: list[ReconcileDiff]
    symbols: frozenset[str]
    is_look: bool


@dataclass(slots=True)
class State:
    watch: Watch = field(default_factory=Watch)
    agenda: Agenda = field(default_factory=Agenda)
    suspicions: drift.Suspicions = field(default_factory=dict)
    told: set[tuple[str, str, str]] = field(default_factory=set)
    level: SignalLevel = SignalLevel.CLEAR
    failures: int = 0
    begun_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciler:
    mode: Mode
    settings: Settings
    clock: Clock
    server_clock: ServerClock
    audit: AuditPort
    ledger: LedgerReader
    reads: AccountReader
    inbox: Mailbox[ReconcilerInbox]
    execution: Mailbox[ExecutionInbox]
    risk: Mailbox[RiskInbox]
    position: Mailbox[PositionInbox]
    governor: Mailbox[GovernorInbox]
    rest_age: RestAge
    beat: Callable[[], None]
    listen_ms: int = 60_000

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serve until the inbox is closed and drained."""
        state = State(begun_ms=self.server_clock.server_now_ms())
        # What an earlier life complained of it would never withdraw; this one looks for itself.
        await self._tell_level(SignalLevel.CLEAR, 0)
        task_status.started()
        while True:
            self.beat()
            try:
                message = await self._next(state.agenda)
            except anyio.EndOfStream:
                return
            if message is not None:
                await self._take(state, message)
            if self._due(state.agenda):
                await self._pass(state)

    async def _next(self, agenda: Agenda) -> ReconcilerInbox | None:
        """The next message, or None when it is time to look at the agenda again."""
        message = self.inbox.receive_nowait()
        if message is not None:
            return message
        due_ms = max(agenda.not_before_ms, 0 if agenda.wanted else agenda.next_ms)
        left_ms = due_ms - self.clock.monotonic_ms()
        wait_ms = min(max(left_ms, 1), self.listen_ms)
        return await self.inbox.receive_within(wait_ms / 1000)

    async def _take(self, state: State, message: ReconcilerInbox) -> None:
        agenda = state.agenda
        match message:
            case ReconcileWanted():
                self._want(agenda, message.symbol)
            case UserStreamChanged():
                agenda.stream_live = message.live
                self._want(agenda, "")
            case Position():
                self._learn_position(state, message)
            case SymbolsLearned():
                state.watch.infos.update(message.infos)
            case RecoverAsked():
                message.reply.answer(await self._recover(state))
            case ModeChanged():
                pass
            case _:
                assert_never(message)

    def _want(self, agenda: Agenda, symbol: str) -> None:
        """Everything, or one symbol with the balances."""
        agenda.wanted.add(symbol)
        agenda.account_ms = 0
        if not symbol:
            agenda.sweep_ms = agenda.all_ms = 0

    def _learn_position(self, state: State, position: Position) -> None:
        known = state.watch.positions.get(position.symbol)
        if known is None or known.qty != position.qty:
            now = self.clock.monotonic_ms()
            soon = now + self.settings.reconcile.rest_interval_ms
            state.agenda.account_ms = 0
            state.agenda.orders_ms = min(state.agenda.orders_ms, soon)
            if position.phase is PositionPhase.OPENING:
                state.agenda.held_ms = min(state.agenda.held_ms, now + _HELD_MS)
        if position.phase in _CLOSED:
            state.watch.positions.pop(position.symbol, None)
        else:
            state.watch.positions[position.symbol] = position

    def _interval_ms(self, agenda: Agenda) -> int:
        """Every interval with something open or the stream lost, else three times as long."""
        base = self.settings.reconcile.rest_interval_ms
        return base if agenda.active or not agenda.stream_live else 3 * base

    def _due(self, agenda: Agenda) -> bool:
        now = self.clock.monotonic_ms()
        if now < agenda.not_before_ms:
            return False
        return bool(agenda.wanted) or now >= agenda.next_ms

    async def _recover(self, state: State) -> RecoverySummary:
        """A full comparison; what differs is read a second time before it is called drift."""
        state.agenda = Agenda(stream_live=state.agenda.stream_live, wanted={""})
        await self._pass(state)
        if state.suspicions:
            await self.clock.sleep(drift.CONFIRM_AFTER_MS / 1000)
            state.agenda = Agenda(stream_live=state.agenda.stream_live, wanted={""})
            await self._pass(state)
        failed = state.failures > 0
        open_questions = sum(not s.diff.corrected for s in state.suspicions.values())
        return RecoverySummary(
            resolved=len(state.watch.positions),
            unresolved=1 if failed else 0,
            detail="the exchange could not be read" if failed else f"{open_questions} differences",
            drift=state.level,
        )

    async def _pass(self, state: State) -> None:
        """One comparison; a failed read is reported and the next pass tries again."""
        started = self.clock.monotonic_ms()
        state.agenda.not_before_ms = started + _MIN_GAP_MS
        wanted, state.agenda.wanted = state.agenda.wanted, set()
        try:
            compared = await self._compare(state, wanted, started)
        except _FAILED as error:
            state.failures += 1
            # Whatever was opened since the last success has shortened the interval.
            self.rest_age.interval_ms = self._interval_ms(state.agenda)
            self._postpone(state, error)
            await self._record_failure(error, started)
            return
        state.failures = 0
        now = self.clock.monotonic_ms()
        self.rest_age.succeeded(now)
        findings = drift.confirm(state.suspicions, compared.diffs, now, read=compared.symbols)
        if not compared.is_look or findings.suspicions or state.suspicions:
            await self._report(state, findings, started)
        state.suspicions = findings.suspicions
        agenda = state.agenda
        if findings.suspicions:
            agenda.account_ms = now
        if findings.unconfirmed:
            agenda.all_ms = now
            agenda.orders_ms = min(agenda.orders_ms, now + drift.CONFIRM_AFTER_MS)

    async def _compare(self, state: State, wanted: set[str], now: int) -> Compared:
        agenda, watch = state.agenda, state.watch
        source = self._source(state)
        whole = "" in wanted or now >= agenda.orders_ms
        believed = await self._believed(source)
        active = {s.order.symbol for s in believed} | set(watch.positions)
        agenda.active = bool(active)
        buying = {s.order.symbol for s in believed if s.role == IntentRole.ENTRY}
        is_look = not whole and not wanted and not buying
        if whole or now >= agenda.held_ms or not active:
            wanted, agenda.held_ms = wanted | active, NEVER
        next_look_ms = now + _HELD_MS if active else NEVER
        agenda.held_ms = min(agenda.held_ms, next_look_ms)
        symbols = active if whole else active & wanted | (wanted - {""})
        diffs: list[ReconcileDiff] = []
        for symbol in sorted(symbols):
            diffs.extend(await source.symbol(watch, symbol, believed))
        if symbols and not is_look:
            await source.lists()
        if now >= agenda.account_ms or not symbols:
            agenda.account_ms = now + self._span_ms(agenda, 2)
            diffs.extend(await source.account(watch))
        read = set(symbols)
        if whole:
            if now >= agenda.all_ms or not agenda.stream_live:
                read |= {symbol for _, symbol, _ in state.suspicions}
            diffs.extend(await self._rarely(state, source, active, believed))
            agenda.orders_ms = now + self._interval_ms(agenda)
            self.rest_age.interval_ms = self._interval_ms(agenda)
        return Compared(diffs=diffs, symbols=frozenset(read), is_look=is_look)

    async def _rarely(
        self, state: State, source: Reading, active: set[str], believed: tuple[StoredOrder, ...]
    ) -> list[ReconcileDiff]:
        """The sweep of trades and the search for orders of others; often without a stream."""
        agenda, watch, now = state.agenda, state.watch, self.clock.monotonic_ms()
        every = self.settings.reconcile.all_orders_interval_ms
        diffs: list[ReconcileDiff] = []
        if now >= agenda.sweep_ms or not agenda.stream_live:
            agenda.sweep_ms = now + every
            for symbol in sorted(active):
                diffs.extend(await source.sweep(watch, symbol))
        if now >= agenda.all_ms or not agenda.stream_live:
            agenda.all_ms = now + every
            seen = {(d.symbol, d.subject) for d in diffs}
            found = await source.everything(watch, believed)
            diffs.extend(d for d in found if (d.symbol, d.subject) not in seen)
        return diffs

    def _span_ms(self, agenda: Agenda, factor: int) -> int:
        base = self.settings.reconcile.rest_interval_ms
        return base * factor if agenda.stream_live else base

    def _source(self, state: State) -> Reading:
        return Reading(
            settings=self.settings,
            clock=self.clock,
            server_clock=self.server_clock,
            ledger=self.ledger,
            reads=self.reads,
            execution=self.execution,
            risk=self.risk,
            position=self.position,
            beat=self.beat,
            begun_ms=state.begun_ms,
        )

    async def _believed(self, source: Reading) -> tuple[StoredOrder, ...]:
        reply: Reply[tuple[StoredOrder, ...]] = Reply()
        await tell(self.execution, OrdersAsked(reply=reply))
        return await source.bounded(reply.wait)

    def _postpone(self, state: State, error: Exception) -> None:
        """Try everything again soon, later with each failure, never before the exchange allows."""
        agenda, now = state.agenda, self.clock.monotonic_ms()
        wait = min(self._interval_ms(agenda), _RETRY_MS * state.failures)
        if isinstance(error, Throttled):
            # What happened in a silence is asked for the moment it is over.
            wait = max(_MIN_GAP_MS, error.retry_after_ms)
            agenda.not_before_ms = now + wait
        agenda.orders_ms, agenda.account_ms, agenda.held_ms = now + wait, now, NEVER

    async def _record_failure(self, error: Exception, started: int) -> None:
        await self.audit.record(
            AuditEntry(
                draft=AuditDraft(
                    event_type=EventType.RECONCILE_REST,
                    stage=Stage.RECONCILE_REST,
                    ts_ms=self.clock.now_ms(),
                    data={
                        "failed": str(error)[:300],
                        "duration_ms": self.clock.monotonic_ms() - started,
                    },
                )
            )
        )

    async def _report(self, state: State, findings: drift.Findings, started: int) -> None:
        limits = self.settings.reconcile
        score = drift.score_of(findings.confirmed)
        report = ReconcileReport(
            started_at_ms=self.clock.now_ms(),
            duration_ms=self.clock.monotonic_ms() - started,
            drift_score_x10000=score,
            label=drift.label_of(score, limits),
            scope="active" if state.agenda.active else "idle",
            diffs=findings.confirmed,
        )
        await self._record_diffs(state, findings)
        draft = AuditDraft(
            event_type=EventType.RECONCILE_REST,
            stage=Stage.RECONCILE_REST,
            ts_ms=report.started_at_ms,
            data={
                "score_x10000": score,
                "label": report.label,
                "duration_ms": report.duration_ms,
                "differences": len(findings.suspicions),
            },
        )
        row = ReconcileRow(report=report, cycle_id="")
        await self.audit.record(AuditEntry(draft=draft, records=(row,)))
        await self._demand(state, findings.confirmed, score)

    async def _record_diffs(self, state: State, findings: drift.Findings) -> None:
        """Each difference is an event when it is first corrected, and when it first counts."""
        confirmed = {(d.mismatch, d.symbol, d.subject) for d in findings.confirmed}
        fresh = [
            (s.diff, key in confirmed)
            for key, s in findings.suspicions.items()
            if (key in confirmed and key not in state.told)
            or ((s.diff.corrected or not s.diff.score_x10000) and key not in state.suspicions)
        ]
        state.told = {key for key in state.told if key in findings.suspicions} | confirmed
        for diff, counts in fresh:
            draft = AuditDraft(
                event_type=EventType.RECONCILE_DIFF,
                stage=Stage.RECONCILE_REST,
                ts_ms=self.clock.now_ms(),
                symbol=diff.symbol,
                reasons=tuple(dict.fromkeys((ReasonCode.RECONCILE_DIFF_DETECTED, diff.reason))),
                data={
                    "mismatch": diff.mismatch,
                    "subject": diff.subject,
                    "before": diff.before,
                    "after": diff.after,
                    "corrected": diff.corrected,
                    "score_x10000": diff.score_x10000 if counts else 0,
                },
            )
            await self.audit.commit(AuditEntry(draft=draft))

    async def _demand(self, state: State, diffs: tuple[ReconcileDiff, ...], score: int) -> None:
        level = drift.level_of(diffs, self.settings.reconcile)
        if level is state.level:
            return
        state.level = level
        at_ms = await self._tell_level(level, score)
        if level is SignalLevel.CLEAR:
            return
        alert = Alert(
            severity=Severity.CRIT if level is SignalLevel.PAUSE else Severity.WARN,
            code=ReasonCode.DRIFT_LIMIT_EXCEEDED,
            reasons=drift.reasons_of(diffs),
            text=_told(diffs, score),
            at_ms=at_ms,
        )
        await tell(self.governor, alert)

    async def _tell_level(self, level: SignalLevel, score: int) -> int:
        """Raise or withdraw the demand; returns when (wall ms)."""
        limits = self.settings.reconcile
        pausing = level is SignalLevel.PAUSE
        threshold = (
            limits.drift_pause_score_x10000 if pausing else limits.drift_degrade_score_x10000
        )
        signal = HealthSignal(
            kind=SignalKind.DRIFT,
            level=level,
            reason=ReasonCode.DRIFT_LIMIT_EXCEEDED,
            source="reconciler",
            value=score,
            threshold=threshold,
            unit="x10000",
            at_ms=self.clock.now_ms(),
        )
        await tell(self.governor, signal)
        return signal.at_ms


def _told(diffs: tuple[ReconcileDiff, ...], score: int) -> str:
    text = f"belief and exchange differ by a score of {score}"
    if any(diff.reason is ReasonCode.SECOND_INSTANCE for diff in diffs):
        return f"{text}: another process is placing orders on this account"
    return text
