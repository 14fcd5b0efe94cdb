"""Makes the answer to a mutation durable, with everything it proves, and tells who counts it."""

from livespot.actors.execution_work import REUSED, Answered, ClockChecked, Shop, Work
from livespot.actors.mail import (
    FiltersRefreshWanted,
    MutationCounted,
    ReconcileWanted,
    RejectSeen,
    SubmitAnswered,
    SubmitTimedOut,
)
from livespot.actors.mutation_desk import NOT_ATTEMPTED, Ending, Outcome
from livespot.actors.order_tracker import Change
from livespot.actors.sending import tell
from livespot.contracts.audit import AuditDraft, AuditEntry
from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import PayloadInvalid, Refused, Throttled, Transient
from livespot.contracts.orders import OrderIntent
from livespot.contracts.vocabulary import (
    EventType,
    IntentAction,
    IntentRole,
    IntentState,
    Severity,
    SignalKind,
    SignalLevel,
    Stage,
)
from livespot.rules import ledger
from livespot.rules.due import NEVER

_LEFT = (Ending.ACCEPTED, Ending.REFUSED, Ending.UNKNOWN)
_TAKES_NO_ORDERS = (ReasonCode.EXCHANGE_HALTED, ReasonCode.EXCHANGE_MAINTENANCE)
_TEXT_LIMIT = 300
_MEASURE_AGAIN_MS = 30_000
_MEASURE_SOON_MS = 5000


class AnswerBook:
    """Serial, in the actor's own task."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._ports = shop.ports
        self._clock_faults = 0
        # When a clock that was seen to move is measured once more; 0 when it is trusted.
        self._measure_at_ms = 0
        self._silent_until_ms = 0

    async def record(self, done: Answered) -> Change:
        """Commit transition, orders and fills of one answer in one transaction."""
        tracker, outcome = self._shop.tracker, done.outcome
        intent_id = done.mutation.intent.order_intent_id
        if outcome.reason is ReasonCode.CLIENT_ORDER_ID_REUSE_BLOCK:
            if outcome is not REUSED:
                tracker.forget(done.mutation)
            text = f"intent {intent_id} was used before"
            await self._ports.alert(
                Severity.WARN, outcome.reason, text, symbol=done.mutation.intent.symbol
            )
            return Change()
        intent = tracker.intents[intent_id]
        change = await tracker.absorb(
            outcome.updates,
            order_list=outcome.order_list,
            step=self._step(intent, done),
            also=self._event(intent, outcome),
        )
        await self._tell_counters(intent, outcome)
        await self._react(intent, outcome)
        return change

    def _step(self, intent: OrderIntent, done: Answered) -> tuple[str, ledger.Step] | None:
        outcome, now = done.outcome, self._ports.clock.now_ms()
        if outcome.ending is Ending.ACCEPTED:
            own = [u.order for u in outcome.updates if u.order.own_id == intent.client_order_id]
            order_list = outcome.order_list
            list_ids = [u.order.order_list_id for u in outcome.updates]
            step = ledger.Step(
                to_state=IntentState.CONFIRMED,
                at_ms=now,
                evidence="answer",
                exchange_order_id=own[0].order_id if own else 0,
                exchange_list_id=(
                    order_list.order_list_id if order_list else max(list_ids, default=-1)
                ),
            )
            return intent.order_intent_id, step
        if outcome.ending is Ending.UNKNOWN and intent.state is not IntentState.CREATED:
            return None
        if outcome.ending is Ending.BLOCKED and intent.state is IntentState.FAILED_TERMINAL:
            return None
        step = ledger.Step(
            to_state=IntentState.FAILED_TERMINAL,
            at_ms=now,
            reasons=(self._reason(intent, outcome),),
            evidence=outcome.ending.value,
            error_code=str(outcome.code) if outcome.code else "",
        )
        return intent.order_intent_id, step

    def _reason(self, intent: OrderIntent, outcome: Outcome) -> ReasonCode:
        if intent.role is IntentRole.CANCEL:
            return ReasonCode.ORDER_CANCEL_REJECTED
        if outcome.clock is not None:
            return ReasonCode.BINANCE_TIMESTAMP_REJECTED
        if "would immediately match" in outcome.message and intent.role is IntentRole.ENTRY:
            return ReasonCode.STRAT_MAKER_REJECTED_CROSSES_BOOK
        return outcome.reason

    def _event(self, intent: OrderIntent, outcome: Outcome) -> AuditEntry:
        cancel = intent.role is IntentRole.CANCEL
        reasons: tuple[ReasonCode, ...] = ()
        if outcome.ending is Ending.UNKNOWN:
            reasons = (ReasonCode.ORDER_SUBMIT_TIMEOUT, ReasonCode.INTENT_SENT_UNKNOWN)
        elif outcome.ending is not Ending.ACCEPTED:
            reasons = (self._reason(intent, outcome),)
        plain = EventType.ORDER_CANCEL if cancel else EventType.ORDER_SUBMIT
        draft = AuditDraft(
            event_type=EventType.ORDER_CANCEL_REPLACE if intent.request_id else plain,
            stage=Stage.EXECUTE_INTENT,
            ts_ms=self._ports.clock.now_ms(),
            reasons=reasons,
            decision_id=intent.decision_id,
            order_intent_id=intent.order_intent_id,
            symbol=intent.symbol,
            data={
                "client_order_id": intent.client_order_id,
                "role": intent.role.value,
                "attempt": intent.attempt,
                "outcome": outcome.ending.value,
                "code": outcome.code,
                "message": outcome.message[:_TEXT_LIMIT],
                "orders": [update.order.order_id for update in outcome.updates],
            },
        )
        return AuditEntry(draft=draft)

    async def _tell_counters(self, intent: OrderIntent, outcome: Outcome) -> None:
        ports, now = self._ports, self._ports.clock.now_ms()
        counted = _counted_as(intent, outcome)
        if counted is not None:
            told = MutationCounted(
                symbol=intent.symbol,
                action=counted,
                role=intent.role,
                at_ms=ports.server_clock.steady_now_ms(),
            )
            await ports.announce(ports.risk, told)
        if outcome.ending not in _LEFT:
            return
        if outcome.ending is Ending.UNKNOWN:
            await ports.announce(ports.risk, SubmitTimedOut(symbol=intent.symbol, at_ms=now))
        else:
            await ports.announce(ports.risk, SubmitAnswered(symbol=intent.symbol, at_ms=now))
        if outcome.ending is Ending.REFUSED and self._speaks_against_symbol(intent, outcome):
            reject = RejectSeen(
                symbol=intent.symbol,
                code=outcome.code,
                filter_name=outcome.filter_name,
                at_ms=now,
            )
            await ports.announce(ports.risk, reject)

    def _speaks_against_symbol(self, intent: OrderIntent, outcome: Outcome) -> bool:
        """Whether a filter refused it, or an entry is likely to be refused again as it stands.

        An order that would have crossed is priced anew; a silence and a key concern the account.
        """
        if outcome.filter_name:
            return intent.role is not IntentRole.CANCEL
        if intent.role is not IntentRole.ENTRY:
            return False
        crossed = self._reason(intent, outcome) is ReasonCode.STRAT_MAKER_REJECTED_CROSSES_BOOK
        return not (crossed or outcome.throttled is not None or outcome.key_refused)

    async def _react(self, intent: OrderIntent, outcome: Outcome) -> None:
        ports, symbol = self._ports, intent.symbol
        if outcome.filter_name:
            await tell(ports.scanner, FiltersRefreshWanted(symbol=symbol, cause="REJECT"))
        if outcome.reason in _TAKES_NO_ORDERS:
            await tell(ports.scanner, FiltersRefreshWanted(symbol=symbol, cause="STATUS"))
        if outcome.key_refused:
            # PAUSE is asked for, and withdrawn, where every signed request passes.
            text = f"{intent.role} {intent.order_intent_id}: {outcome.message}"
            await ports.alert(Severity.CRIT, ReasonCode.API_KEY_REJECTED, text, symbol=symbol)
        if outcome.clock is not None:
            self._check_clock(after_refusal=True)
        if outcome.throttled is not None:
            await self._fall_silent(outcome.throttled)
        if outcome.ending is Ending.UNKNOWN:
            text = f"{intent.role} {intent.order_intent_id} has no answer"
            await ports.alert(Severity.WARN, ReasonCode.INTENT_SENT_UNKNOWN, text, symbol=symbol)
            await tell(ports.reconciler, ReconcileWanted(cause="unknown outcome", symbol=symbol))
        if outcome.ending is Ending.ACCEPTED and self._clock_faults:
            await self._trust_clock("an answer was accepted")

    async def _fall_silent(self, throttled: Throttled) -> None:
        until = self._ports.clock.monotonic_ms() + throttled.retry_after_ms
        self._silent_until_ms = max(self._silent_until_ms, until)
        banned = throttled.banned
        await self._ports.demand(
            SignalKind.RATE_LIMIT,
            SignalLevel.PAUSE if banned else SignalLevel.DEGRADE,
            ReasonCode.RATE_LIMIT_418 if banned else ReasonCode.RATE_LIMIT_429,
            source="mutations",
            detail=str(throttled),
        )

    async def begin_anew(self) -> None:
        """Withdraw what an earlier life asked for by time and by count: it kept both in mind."""
        await self._end_silence("a new life begins")
        await self._clock_demand(SignalLevel.CLEAR, "a new life begins")

    @property
    def due_ms(self) -> int:
        """When a silence the exchange asked for ends, or a doubted clock is measured again."""
        return min(self._silent_until_ms or NEVER, self._measure_at_ms or NEVER)

    async def tick(self) -> None:
        """The silence the exchange asked for ends by time; a doubted clock is measured again."""
        now = self._ports.clock.monotonic_ms()
        if self._silent_until_ms and now >= self._silent_until_ms:
            self._silent_until_ms = 0
            await self._end_silence("the silence is over")
        if self._measure_at_ms and now >= self._measure_at_ms:
            self._measure_at_ms = now + _MEASURE_AGAIN_MS
            self._check_clock()

    async def _end_silence(self, why: str) -> None:
        await self._ports.demand(
            SignalKind.RATE_LIMIT,
            SignalLevel.CLEAR,
            ReasonCode.RETRY_AFTER_APPLIED,
            source="mutations",
            detail=why,
        )

    def _check_clock(self, *, after_refusal: bool = False) -> None:
        server_clock = self._ports.server_clock

        async def job() -> Work:
            try:
                moved = await server_clock.resync()
            except (Transient, Refused, PayloadInvalid):
                return ClockChecked(moved_ms=None, after_refusal=after_refusal)
            return ClockChecked(moved_ms=abs(moved), after_refusal=after_refusal)

        self._shop.crew.start(job)

    async def clock_checked(self, checked: ClockChecked) -> None:
        """After a -1021: a stable offset means latency; an unstable one is a clock fault.

        In DEGRADE no entry is sent whose acceptance could end the complaint, so a later measurement
        that finds the offset stable ends it, too. After a refusal the time is in doubt until a
        measurement succeeds; later one that failed says nothing.
        """
        moved_ms = checked.moved_ms
        if moved_ms is None:
            if checked.after_refusal and not self._measure_at_ms:
                self._measure_at_ms = self._ports.clock.monotonic_ms() + _MEASURE_SOON_MS
                await self._clock_demand(SignalLevel.DEGRADE, "refused, and not measurable since")
            return
        if moved_ms < self._ports.settings.time.clock_drift_max_ms:
            if self._measure_at_ms:
                await self._trust_clock("the offset is stable again")
            return
        again = self._measure_at_ms != 0 and not checked.after_refusal
        if not again:
            self._clock_faults += 1
        self._measure_at_ms = self._ports.clock.monotonic_ms() + _MEASURE_AGAIN_MS
        level = SignalLevel.PAUSE if self._clock_faults >= 2 else SignalLevel.DEGRADE
        await self._clock_demand(level, f"offset moved by {moved_ms} ms")

    async def _trust_clock(self, why: str) -> None:
        self._clock_faults = self._measure_at_ms = 0
        await self._clock_demand(SignalLevel.CLEAR, why)

    async def _clock_demand(self, level: SignalLevel, detail: str) -> None:
        await self._ports.demand(
            SignalKind.CLOCK,
            level,
            ReasonCode.BINANCE_TIMESTAMP_REJECTED,
            source="execution",
            detail=detail,
        )


def _counted_as(intent: OrderIntent, outcome: Outcome) -> IntentAction | None:
    """What a request counts as against churn: a cancel-replace once, attempted or not."""
    if not intent.request_id:
        return intent.action if outcome.ending in _LEFT else None
    if intent.role is IntentRole.CANCEL:
        return None
    left = outcome.ending in _LEFT or outcome.message == NOT_ATTEMPTED
    return IntentAction.CANCEL_REPLACE if left else None
