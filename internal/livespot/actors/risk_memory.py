"""What the risk actor remembers while it runs, how it is restored, and how it becomes rows."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

import msgspec

from livespot.actors.mail import EntryOpened
from livespot.contracts.amounts import BPS, ONE
from livespot.contracts.audit import AuditDraft, AuditEntry
from livespot.contracts.canonical import canonical_json
from livespot.contracts.codes import ReasonCode
from livespot.contracts.decision import Decision, RiskVerdict
from livespot.contracts.errors import SchemaMismatch
from livespot.contracts.market import Snapshot, SymbolInfo
from livespot.contracts.orders import Fill
from livespot.contracts.queries import LedgerReader, StoredFill
from livespot.contracts.records import (
    ManualExposureRow,
    Record,
    RiskCounters,
    RiskVerdictRow,
    SnapshotRow,
)
from livespot.contracts.settings import Settings
from livespot.contracts.system import HealthSignal
from livespot.contracts.vocabulary import (
    EntryKind,
    EventType,
    IntentRole,
    IntentState,
    Side,
    SignalKind,
    SignalLevel,
    Stage,
    SysMode,
)
from livespot.rules import manual_exposure, pnl, quarantine, reserves, risk_counters
from livespot.rules.quarantine import SymbolFaults
from livespot.rules.reserves import Cash, Reserve
from livespot.rules.risk import RiskView
from livespot.rules.risk_counters import Counters
from livespot.rules.snapshot import snapshot_json
from livespot.rules.verdict_inputs import inputs_of


@dataclass(slots=True)
class RiskMemory:
    """Owned by one run of the risk actor. `dirty` means the counters differ from their row."""

    counters: Counters = field(default_factory=Counters)
    book: dict[str, Reserve] = field(default_factory=dict)
    cash: Cash = field(default_factory=Cash)
    faults: dict[str, SymbolFaults] = field(default_factory=dict)
    exposures: dict[str, ManualExposureRow] = field(default_factory=dict)
    infos: dict[str, SymbolInfo] = field(default_factory=dict)
    bids: dict[str, Decimal] = field(default_factory=dict)
    mode: SysMode = SysMode.DEGRADE
    latency_p90_ms: int = 0
    dirty: bool = False
    saved_at_ms: int = 0
    suspects: frozenset[str] = frozenset()
    verified_at_ms: int = 0
    unfilled_degraded: bool = False

    def faults_of(self, symbol: str) -> SymbolFaults:
        return self.faults.get(symbol) or SymbolFaults(symbol=symbol)

    def is_exposed(self, symbol: str) -> bool:
        return manual_exposure.is_exposed(self.exposures, symbol)

    def begin_day(self, exchange_ms: int | None) -> None:
        """Start the UTC day of the exchange's time; while that is in doubt (None) the day stays."""
        if exchange_ms is None:
            return
        rolled = risk_counters.day_rolled(self.counters, self.bids, exchange_ms)
        if rolled is not self.counters:
            self.counters, self.dirty = rolled, True


async def restored(ledger: LedgerReader, settings: Settings, exchange_ms: int | None) -> RiskMemory:
    """Everything the last run left, with the fills it did not live to count.

    `exchange_ms` is the exchange's time, None while it is in doubt: then the last day goes on.

    Raises `SchemaMismatch` when stored counters cannot be read: starting without them would forget
    limits.
    """
    memory = RiskMemory()
    try:
        text = await ledger.risk_counters()
        if text is not None:
            memory.counters = risk_counters.from_json(text)
        memory.faults = {
            row.symbol: quarantine.from_row(row) for row in await ledger.symbol_health()
        }
    except msgspec.ValidationError as error:
        raise SchemaMismatch(f"stored risk counters cannot be read: {error}") from error
    memory.exposures = {row.exposure_id: row for row in await ledger.open_exposures()}
    memory.begin_day(exchange_ms)
    memory.book = reserves.rebuilt(await ledger.reserves())
    await _count_missed_fills(memory, ledger, settings)
    memory.dirty = True
    return memory


async def _count_missed_fills(memory: RiskMemory, ledger: LedgerReader, settings: Settings) -> None:
    """Replay the fills of every decision that may still be open; known trade ids are skipped."""
    open_now = {position.symbol: position.decision_id for position in await ledger.open_positions()}
    decisions = {
        *open_now.items(),
        *((symbol, c.held.decision_id) for symbol, c in memory.counters.symbols.items() if c.held),
        *((reserve.symbol, reserve.decision_id) for reserve in memory.book.values()),
    }
    for symbol, decision_id in sorted(decisions):
        fills = await ledger.fills_of_decision(decision_id)
        for stored in fills:
            await _count_stored(memory, stored, decision_id, ledger, settings)
        held = memory.counters.of(symbol).held
        sold_ms = [s.fill.exchange_time_ms for s in fills if s.fill.side is Side.SELL]
        if (
            held is not None
            and held.decision_id == decision_id
            and sold_ms
            and symbol not in open_now
        ):
            memory.counters = risk_counters.exited(
                memory.counters,
                symbol,
                decision_id,
                held.realised_quote,
                now_ms=max(sold_ms),
                settings=settings.risk,
            )


async def _count_stored(
    memory: RiskMemory,
    stored: StoredFill,
    decision_id: str,
    ledger: LedgerReader,
    settings: Settings,
) -> None:
    """A fill of the ledger, into the counters and the reserve of its entry."""
    fill = stored.fill
    seen = fill.trade_id in memory.counters.of(fill.symbol).trade_ids
    reserve = memory.book.get(decision_id)
    if reserve is not None and fill.side is Side.BUY:
        quote = fill.price * fill.qty
        spent = (reserves.counted_again if seen else reserves.converted)(reserve, quote)
        memory.book = reserves.with_reserve(memory.book, spent)
    if seen:
        return
    alias = await ledger.alias(fill.client_order_id) if fill.client_order_id else None
    # A sell whose leg cannot be told: a losing one cools down like a stop.
    unnamed = IntentRole.ENTRY if fill.side is Side.BUY else IntentRole.CLOSE
    memory.counters = risk_counters.filled(
        memory.counters,
        fill,
        stored_fee(stored, settings.venue.quote_asset),
        decision_id=decision_id,
        role=alias.role if alias is not None else unnamed,
        settings=settings.risk,
    )


def stored_fee(stored: StoredFill, quote_asset: str) -> pnl.PricedFee:
    """The fee of a fill read back from the ledger."""
    return fee_of(stored.fill, quote_asset, stored.fee_quote, fee_unpriced=stored.fee_unpriced)


def fee_of(
    fill: Fill, quote_asset: str, fee_quote: Decimal, *, fee_unpriced: bool
) -> pnl.PricedFee:
    """The fee of a booked fill; the base asset is the symbol without its quote asset."""
    base_asset = fill.symbol.removesuffix(quote_asset)
    return pnl.booked_fee(
        fill, base_asset=base_asset, fee_quote=fee_quote, fee_unpriced=fee_unpriced
    )


async def is_over(reserve: Reserve, ledger: LedgerReader) -> bool:
    """Whether the ledger shows that a reserve's entry can spend nothing more.

    An unknown intent is never over. A confirmed one is when none of its orders is open.
    """
    intents = await ledger.intents_of_decision(reserve.decision_id)
    entries = [intent for intent in intents if intent.side is Side.BUY]
    if not entries:
        # Whoever was told of the approval may still act on it: it lapses in its own time.
        return False
    unsettled = (IntentState.CREATED, IntentState.SENT_UNKNOWN)
    if any(intent.state in unsettled for intent in entries):
        return False
    ids = {intent.order_intent_id for intent in entries}
    return not any(
        stored.order_intent_id in ids and stored.order.side is Side.BUY
        for stored in await ledger.open_orders()
    )


def memory_entry(
    memory: RiskMemory, now_ms: int, cause: str, records: Iterable[Record] = ()
) -> AuditEntry:
    """The counters' row and whatever changed with it, under one event that says why."""
    return AuditEntry(
        draft=AuditDraft(
            event_type=EventType.RISK_VERDICT,
            stage=Stage.RISK_VERDICT,
            ts_ms=now_ms,
            data={
                "change": cause,
                "reserved_quote": reserves.held_quote(memory.book),
                **_cash_told(memory.cash),
            },
        ),
        records=(
            RiskCounters(
                counters_json=risk_counters.to_json(memory.counters), updated_at_ms=now_ms
            ),
            *records,
        ),
    )


def _cash_told(cash: Cash) -> dict[str, object]:
    """What may be spent before reserves; nothing before the account was seen."""
    if not cash.seen_at_ms:
        return {}
    return {"free_quote": cash.spendable, "free_at_ms": cash.seen_at_ms}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A verdict, and everything it was reached from."""

    decision: Decision
    snapshot: Snapshot
    view: RiskView
    verdict: RiskVerdict


def verdict_entry(
    judged: Judged, memory: RiskMemory, now_ms: int, records: Iterable[Record]
) -> AuditEntry:
    """One verdict with all it looked at, so that it can be reached again from the row alone."""
    decision, verdict = judged.decision, judged.verdict
    inputs = inputs_of(judged.view, decision, seen_at_ms=memory.cash.seen_at_ms)
    return AuditEntry(
        draft=AuditDraft(
            event_type=EventType.RISK_VERDICT,
            stage=Stage.RISK_VERDICT,
            ts_ms=now_ms,
            cycle_id=decision.cycle_id,
            reasons=verdict.reasons,
            snapshot_id=decision.snapshot_id,
            decision_id=decision.decision_id,
            symbol=decision.symbol,
            data={
                "verdict": verdict.verdict,
                "approved_qty": verdict.approved_qty,
                "limits": verdict.limits,
                "costs": msgspec.to_builtins(verdict.costs),
                "recheck": judged.view.recheck,
                "before_gate": judged.view.before_gate,
            },
        ),
        records=(
            RiskVerdictRow(
                decision_id=decision.decision_id,
                cycle_id=decision.cycle_id,
                symbol=decision.symbol,
                verdict=verdict.verdict,
                approved_qty=verdict.approved_qty,
                reasons=verdict.reasons,
                limits_json=canonical_json(verdict.limits).decode(),
                account_json=canonical_json(inputs.account).decode(),
                counters_json=canonical_json(inputs.counters).decode(),
                at_ms=now_ms,
                inputs_json=canonical_json(inputs.circumstances).decode(),
            ),
            *records,
        ),
    )


def rechecked_snapshot(judged: Judged, now_ms: int) -> SnapshotRow:
    """A later attempt is judged on a snapshot of its own, kept also when the answer is no."""
    snapshot = judged.snapshot
    return SnapshotRow(
        snapshot_id=snapshot.snapshot_id,
        snapshot_hash=snapshot.snapshot_hash,
        symbol=snapshot.symbol,
        cycle_id=judged.decision.cycle_id,
        exchange_time_ms=snapshot.exchange_time_ms,
        snapshot_json=snapshot_json(snapshot).decode(),
        at_ms=now_ms,
    )


def fired_text(code: ReasonCode, memory: RiskMemory) -> str:
    """What an operator reads when a kill switch fires."""
    equity = risk_counters.equity(memory.counters, memory.bids)
    return (
        f"entries are blocked by {code}: day result {equity:.2f}, peak "
        f"{memory.counters.peak_equity:.2f}, trades today {memory.counters.trades_today}"
    )


def unfilled_signal(percent: int, limit: int, now_ms: int) -> HealthSignal:
    """What the share of unfilled orders the exchange allows, in %, asks of the mode."""
    return HealthSignal(
        kind=SignalKind.RATE_LIMIT,
        level=SignalLevel.DEGRADE if percent >= limit else SignalLevel.CLEAR,
        reason=ReasonCode.RISK_UNFILLED_ORDER_COUNT_RISK,
        source="unfilled_orders",
        value=percent,
        threshold=limit,
        unit="%",
        at_ms=now_ms,
    )


KILL_SWITCHES = frozenset(
    {
        ReasonCode.RISK_DAILY_LOSS_LIMIT,
        ReasonCode.RISK_DRAWDOWN_LIMIT,
        ReasonCode.RISK_MAX_TRADES_DAY,
        ReasonCode.RISK_MAX_OPEN_ORDERS,
    }
)


def notional_of(decision: Decision, qty: Decimal) -> Decimal:
    """What an attempt may spend; an order at market may go as far as its slippage allows."""
    plan = decision.entry_plan
    if plan is None:
        raise ValueError(f"decision {decision.decision_id!r} has no entry to reserve for")
    quote = qty * plan.limit_price
    if plan.kind is EntryKind.MARKET:
        quote *= ONE + Decimal(plan.fallback.max_slippage_bps) / BPS
    return quote


def reserve_anew(opened: EntryOpened) -> Reserve:
    """An entry is out whose reserve had lapsed: it must be held for all the same."""
    verdict, plan = opened.decision.risk_verdict, opened.decision.entry_plan
    if plan is None:
        raise ValueError(f"decision {opened.decision.decision_id!r} has no entry")
    qty = verdict.approved_qty if verdict is not None else plan.qty
    return reserves.reserved(
        opened.decision.decision_id,
        opened.decision.symbol,
        notional_of(opened.decision, qty),
        expires_at_ms=opened.at_ms,
    )
