"""Takes the place of execution in a run that sends no orders, and records what would have happened.

Reads: approved entries from risk; trades as the market feed passes them on; the end of the run.
Writes: the course of each entry by the fill model, as events marked SHADOW; the end of each entry
to risk and signal, as one that bought nothing. Tells risk of the money the limits allow. Owns: the
entries it follows. It holds no order, no position and no fill, and nothing that sends.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import anyio
from anyio.abc import TaskStatus

from livespot.actors.mail import (
    AccountObserved,
    ApprovedEntry,
    EntryEnded,
    ExecutionInbox,
    MarketStateInbox,
    ProposalEnded,
    StopAsked,
    SymbolDropped,
)
from livespot.actors.wires import Sink
from livespot.contracts.audit import AuditDraft, AuditEntry, AuditPort
from livespot.contracts.codes import ReasonCode
from livespot.contracts.decision import Decision
from livespot.contracts.market import AggTrade
from livespot.contracts.orders import AccountView, Balance
from livespot.contracts.ports import Clock
from livespot.contracts.settings import Settings
from livespot.contracts.venue import ServerClock
from livespot.contracts.vocabulary import EntryKind, EventType, Stage
from livespot.rules.shadow_fills import (
    MODEL,
    OVER,
    ShadowCourse,
    ShadowPhase,
    ShadowTerms,
    broken_off,
    expired,
    instant,
    result_of,
)
from livespot.runtime.mailboxes import Mailbox

SHADOW = "SHADOW"
_LOOK_SECONDS = 0.25
_CASH_EVERY_MS = 30_000
_MOST_FOLLOWED = 500
# Trades may arrive this late; only after that is an instant or a time limit surely over.
_SETTLED_MS = 2_000


class TradesHeard(Mailbox[MarketStateInbox]):
    """The mailbox of market state; it copies trades and dropped symbols to a second mailbox."""

    def __init__(
        self, name: str, capacity: int, clock: Clock, heard: Mailbox[AggTrade | SymbolDropped]
    ) -> None:
        super().__init__(name, capacity, clock)
        self._heard = heard

    def _append(self, message: MarketStateInbox) -> None:
        super()._append(message)
        if isinstance(message, AggTrade | SymbolDropped):
            self._heard.offer(message)


@dataclass(slots=True, kw_only=True)
class _Followed:
    """One entry that was never sent. `prices` are trades at `at_ms` that are not judged yet."""

    decision: Decision
    terms: ShadowTerms
    course: ShadowCourse = field(default_factory=ShadowCourse)
    prices: list[Decimal] = field(default_factory=list)
    at_ms: int = 0
    entry_told: bool = False

    def settle(self) -> None:
        """Judge the trades of an instant that is complete."""
        if self.prices:
            self.course = instant(self.course, self.terms, self.prices, self.at_ms)
            self.prices.clear()


@dataclass(slots=True, kw_only=True)
class _Desk:
    """The actor's whole memory, local to one run."""

    followed: list[_Followed] = field(default_factory=list)
    last_ids: dict[str, int] = field(default_factory=dict)
    cash_due_ms: int = 0
    dropped: int = 0
    over: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowDesk:
    settings: Settings
    clock: Clock
    server_clock: ServerClock
    audit: AuditPort
    inbox: Mailbox[ExecutionInbox]
    trades: Mailbox[AggTrade | SymbolDropped]
    risk: Sink[EntryEnded | AccountObserved]
    signal: Sink[ProposalEnded]
    beat: Callable[[], None]

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Follow until cancelled."""
        desk = _Desk()
        await self._show_cash(desk)
        task_status.started()
        while True:
            self.beat()
            message = await self.inbox.receive_within(_LOOK_SECONDS)
            while (heard := self.trades.receive_nowait()) is not None:
                self._hear(desk, heard)
            self._judge_due(desk)
            match message:
                case ApprovedEntry():
                    await self._follow(desk, message)
                case StopAsked():
                    await self._end_all(desk)
                    message.reply.answer(None)
                case _:
                    # Messages about orders, positions and modes change nothing here.
                    pass
            await self._report(desk)
            if self.clock.monotonic_ms() >= desk.cash_due_ms:
                await self._show_cash(desk)

    # ---- following

    async def _follow(self, desk: _Desk, approved: ApprovedEntry) -> None:
        decision = approved.decision
        terms = terms_of(decision, self.settings, placed_ms=self.server_clock.server_now_ms())
        # After the stop nothing would record its end.
        if desk.over or terms is None or len(desk.followed) >= _MOST_FOLLOWED:
            await self._end_entry(decision, ShadowPhase.UNKNOWN)
            return
        followed = _Followed(decision=decision, terms=terms)
        await self._record(followed, "WOULD_ENTER")
        desk.followed.append(followed)

    def _hear(self, desk: _Desk, heard: AggTrade | SymbolDropped) -> None:
        if isinstance(heard, SymbolDropped):
            self._break_off(desk, heard.symbol)
            desk.last_ids.pop(heard.symbol, None)
            return
        known = desk.last_ids.get(heard.symbol)
        if known is not None and heard.trade_id <= known:
            return
        desk.last_ids[heard.symbol] = heard.trade_id
        if known is not None and heard.trade_id > known + 1:
            self._break_off(desk, heard.symbol)
        for followed in desk.followed:
            if followed.decision.symbol != heard.symbol:
                continue
            if heard.exchange_time_ms != followed.at_ms:
                followed.settle()
                followed.at_ms = heard.exchange_time_ms
            followed.prices.append(heard.price)

    def _break_off(self, desk: _Desk, symbol: str) -> None:
        """Trades of this symbol are missing, so the result of its open entries is unknown."""
        now_ms = self.server_clock.server_now_ms()
        for followed in desk.followed:
            if followed.decision.symbol == symbol:
                followed.settle()
                followed.course = broken_off(followed.course, ShadowPhase.UNKNOWN, now_ms)

    def _judge_due(self, desk: _Desk) -> None:
        """Judge instants after which no trade has come, and entries whose time is over."""
        dropped = self.trades.stats().dropped
        if dropped != desk.dropped:
            desk.dropped = dropped
            for symbol in {followed.decision.symbol for followed in desk.followed}:
                self._break_off(desk, symbol)
        settled_ms = self.server_clock.server_now_ms() - _SETTLED_MS
        for followed in desk.followed:
            if followed.at_ms <= settled_ms:
                followed.settle()
            followed.course = expired(followed.course, followed.terms, settled_ms)

    async def _end_all(self, desk: _Desk) -> None:
        desk.over = True
        now_ms = self.server_clock.server_now_ms()
        for followed in desk.followed:
            followed.settle()
            followed.course = broken_off(followed.course, ShadowPhase.OPEN_AT_END, now_ms)
        await self._report(desk)

    # ---- telling

    async def _report(self, desk: _Desk) -> None:
        for followed in desk.followed:
            phase = followed.course.phase
            if phase is not ShadowPhase.WAITING and not followed.entry_told:
                followed.entry_told = True
                await self._end_entry(followed.decision, phase)
            if phase in OVER:
                await self._record(followed, phase.value)
        desk.followed = [one for one in desk.followed if one.course.phase not in OVER]

    async def _end_entry(self, decision: Decision, phase: ShadowPhase) -> None:
        """Tell risk and signal that nothing was bought, whatever the model says."""
        now_ms = self.clock.now_ms()
        unfilled = phase is ShadowPhase.NOT_FILLED
        reasons = (ReasonCode.STRAT_ENTRY_TIMEOUT,) if unfilled else ()
        await self.risk.send(
            EntryEnded(
                decision_id=decision.decision_id,
                symbol=decision.symbol,
                order_intent_id="",
                filled_qty=Decimal(0),
                filled_quote=Decimal(0),
                attached_list_id=-1,
                tp_client_id="",
                sl_client_id="",
                reasons=reasons,
                at_ms=now_ms,
            )
        )
        await self.signal.send(
            ProposalEnded(decision_id=_first_id(decision), symbol=decision.symbol, reasons=reasons)
        )

    async def _record(self, followed: _Followed, outcome: str) -> None:
        decision = followed.decision
        draft = AuditDraft(
            event_type=EventType.DECISION_PROPOSED,
            stage=Stage.EXECUTE_INTENT,
            ts_ms=self.clock.now_ms(),
            cycle_id=decision.cycle_id,
            snapshot_id=decision.snapshot_id,
            decision_id=decision.decision_id,
            symbol=decision.symbol,
            data={"outcome": SHADOW, "shadow": _described(followed, outcome)},
        )
        await self.audit.commit(AuditEntry(draft=draft))

    async def _show_cash(self, desk: _Desk) -> None:
        """Show risk an account that holds as much quote as the limits would ever let it use."""
        desk.cash_due_ms = self.clock.monotonic_ms() + _CASH_EVERY_MS
        now_ms, quote = self.clock.now_ms(), self.settings.venue.quote_asset
        allowed = self.settings.risk.max_exposure_total
        account = AccountView(
            balances={quote: Balance(asset=quote, free=allowed, locked=Decimal(0))},
            can_trade=False,
            update_time_ms=now_ms,
            local_received_ms=now_ms,
        )
        await self.risk.send(AccountObserved(account=account))


def terms_of(decision: Decision, settings: Settings, *, placed_ms: int) -> ShadowTerms | None:
    """What an approved entry would have sent; None when it lacks a plan or a verdict."""
    entry, leave, verdict = decision.entry_plan, decision.exit_plan, decision.risk_verdict
    if entry is None or leave is None or verdict is None:
        return None
    return ShadowTerms(
        limit_price=entry.limit_price,
        qty=verdict.approved_qty,
        tp_price=leave.tp_price,
        sl_price=leave.sl_price,
        placed_ms=placed_ms,
        patience_ms=entry.ttl_ms * (entry.max_reprices + 1),
        maker_bps=settings.venue.maker_bps,
        taker_bps=settings.venue.taker_bps,
        slippage_bps=verdict.costs.slippage_bps,
        rests=entry.kind is EntryKind.MAKER_FIRST,
    )


def _first_id(decision: Decision) -> str:
    """The id of the proposal before the gate changed it, under which signal knows it."""
    gate = decision.ai_gate
    return (gate.original_decision_id if gate is not None else "") or decision.decision_id


def _described(followed: _Followed, outcome: str) -> dict[str, Any]:
    """The fields of an event; amounts that the model cannot know are null, never 0."""
    terms, course = followed.terms, followed.course
    result = result_of(course, terms)
    return {
        "model": MODEL,
        "note": "a model's estimate: no order was sent and nothing was filled",
        "outcome": outcome,
        "qty": terms.qty,
        "limit_price": terms.limit_price,
        "tp_price": terms.tp_price,
        "sl_price": terms.sl_price,
        "maker_bps": terms.maker_bps,
        "taker_bps": terms.taker_bps,
        "slippage_bps": terms.slippage_bps,
        "placed_ms": terms.placed_ms,
        "patience_ms": terms.patience_ms,
        "entered_ms": course.entered_ms or None,
        "ended_ms": course.ended_ms or None,
        "exit_price": course.exit_price,
        "fees_quote": result.fees_quote,
        "net_quote": result.net_quote,
    }
