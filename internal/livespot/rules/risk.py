"""The final word on an entry: every reason against it, and the size it may have."""

from collections.abc import Iterator, Mapping
from decimal import Decimal

import msgspec

from livespot.contracts.amounts import BPS, ZERO, round_div
from livespot.contracts.codes import ReasonCode
from livespot.contracts.decision import Costs, Decision, EntryPlan, ExitPlan, RiskVerdict
from livespot.contracts.market import Returns, Snapshot, SymbolInfo
from livespot.contracts.settings import AdaptiveSettings, Settings, StrategySettings
from livespot.contracts.vocabulary import (
    DecisionIntent,
    GateVerdict,
    RegimeLabel,
    Side,
    SysMode,
    TrailingMode,
    Verdict,
)
from livespot.rules import risk_counters, sizing
from livespot.rules.correlation import correlation_x10000, has_too_many_missing
from livespot.rules.limit_texts import amount_text, limit_texts
from livespot.rules.pullback_checks import min_edge_bps
from livespot.rules.quantize import (
    PROTECTED_ENTRY_ORDERS,
    is_on_step,
    is_on_tick,
    orders_fit,
)
from livespot.rules.quarantine import SymbolFaults, is_quarantined
from livespot.rules.reserves import Book, held_quote, of_symbol
from livespot.rules.risk_counters import Counters, HeldLot, SymbolCounters
from livespot.rules.sizing import Caps, Protection, Size

SPREAD_MULTIPLIER = 12_000
VOLATILITY_MULTIPLIER = 13_000
LIQUIDITY_MULTIPLIER = 14_000
# Kill switches that block until the day ends, once they have fired.
_DAILY_LOSS, _DRAWDOWN = ReasonCode.RISK_DAILY_LOSS_LIMIT, ReasonCode.RISK_DRAWDOWN_LIMIT
# Looking a member up in its class takes longer than a call.
_NORMAL, _BUY, _ENTRY = SysMode.NORMAL, Side.BUY, DecisionIntent.ENTRY
_ALLOW, _OK, _CAPPED = Verdict.ALLOW, ReasonCode.RISK_OK, ReasonCode.RISK_SIZE_CAPPED
_NO_TRAILING, _NATIVE = TrailingMode.OFF, TrailingMode.NATIVE
_LET_THROUGH = (GateVerdict.ALLOW, GateVerdict.MODIFY)
_SIZE_PROBLEMS = frozenset(
    {ReasonCode.RISK_SIZE_INVALID, ReasonCode.PROTECTION_INVALID_MIN_NOTIONAL}
)
_CAP_REASONS = {
    "exposure_symbol_room": ReasonCode.RISK_EXPOSURE_LIMIT,
    "exposure_total_room": ReasonCode.RISK_EXPOSURE_LIMIT,
    "free_quote": ReasonCode.RISK_INSUFFICIENT_FREE_BALANCE,
}


class RiskView(msgspec.Struct, frozen=True, kw_only=True):
    """Everything risk knows beside the decision and its snapshot.

    Cool-downs, windows and quarantines go by `exchange_ms`, the exchange's time; the age of what
    this machine has stamped by `now_ms`. `free_quote` is spendable quote before reserves. `returns`
    are those of the other held symbols as far as known. With `recheck` the symbol's own reserve is
    the entry being judged, so it is not counted against itself. `order_cap` limits a single order's
    notional, on a first live day. `manual_exposure`: the operator holds a registered position of
    his own in the symbol. With `before_gate` the gate has not spoken yet, and nothing is asked of
    it.
    """

    settings: Settings
    sysmode: SysMode
    now_ms: int
    exchange_ms: int
    counters: Counters
    book: Book
    free_quote: Decimal
    bids: Mapping[str, Decimal]
    faults: SymbolFaults
    info: SymbolInfo | None
    latency_p90_ms: int
    unfilled_orders_pct: int
    returns: Mapping[str, Returns] = msgspec.field(default_factory=dict)
    recheck: bool = False
    order_cap: Decimal | None = None
    manual_exposure: bool = False
    before_gate: bool = False


def assess(decision: Decision, snapshot: Snapshot, view: RiskView) -> RiskVerdict:
    """Judge an entry. Collects all reasons, in the order of the checks; never raises the size."""
    entry, exits = decision.entry_plan, decision.exit_plan
    if decision.intent is not _ENTRY or entry is None or exits is None:
        return _verdict(ZERO, (ReasonCode.STRAT_MISSING_FIELD,), {}, costs_of(snapshot))
    case = _case(decision, entry, exits, snapshot, view)
    size = _size(case)
    approved = min(entry.qty, size.qty)
    reasons = tuple(
        dict.fromkeys(
            (
                *_standing(case),
                *_validity(case),
                *_occupancy(case),
                *_kill_switches(case),
                *_overtrading(case),
                *_edge(case),
                *_exit_sanity(case),
                *_size_reasons(case, size, approved),
                *_correlation(case),
                *_churn(case),
            )
        )
    )
    notes = (_CAPPED,) if size.binding != sizing.BY_RISK else ()
    limits = _limits(case, size, approved)
    if reasons:
        return _verdict(ZERO, (*reasons, *notes), limits, costs_of(snapshot))
    return RiskVerdict(
        verdict=_ALLOW,
        approved_qty=approved,
        reasons=(_OK, *notes),
        limits=limits,
        costs=costs_of(snapshot),
    )


def edge_multiplier_x10000(snapshot: Snapshot, settings: AdaptiveSettings) -> int:
    """How much more edge today's spread, volatility and book ask for: the worst of the three."""
    micro = snapshot.microstructure
    multiplier = 10_000
    if micro.spread_current_bps > round_div(
        micro.spread_bps_p50_60s * settings.spread_factor, 10_000
    ):
        multiplier = max(multiplier, SPREAD_MULTIPLIER)
    if snapshot.volatility.atr14_5m_bps > round_div(
        settings.normal_atr_5m_bps * settings.volatility_factor, 10_000
    ):
        multiplier = max(multiplier, VOLATILITY_MULTIPLIER)
    if micro.bid_ask_imbalance_p50_10s_x10000 < settings.liquidity_floor:
        multiplier = max(multiplier, LIQUIDITY_MULTIPLIER)
    return min(multiplier, settings.max_multiplier)


def costs_of(snapshot: Snapshot) -> Costs:
    """The costs of a patient entry and a taking exit; a closing spread is no bonus."""
    inputs, micro = snapshot.cost_inputs, snapshot.microstructure
    return Costs(
        fees_bps=inputs.maker_fee_bps + inputs.taker_fee_bps,
        slippage_bps=inputs.slippage_est_entry_maker_bps + inputs.slippage_est_exit_taker_bps,
        spread_bps=micro.spread_current_bps,
        delta_spread_bps=max(0, micro.delta_spread_bps_p90_10s),
    )


class _Case(msgspec.Struct, frozen=True, kw_only=True):
    """An entry and what several checks ask about it; `others` are the reserves it competes with.

    Exposure is the cost of what is held plus what open and unknown entries may still spend.
    """

    decision: Decision
    entry: EntryPlan
    exits: ExitPlan
    snapshot: Snapshot
    view: RiskView
    symbol: str
    others: Book
    mine: SymbolCounters
    held: Mapping[str, HeldLot]
    trades_today: int
    equity: Decimal
    exposure_symbol: Decimal
    exposure_total: Decimal
    edge_multiplier_x10000: int
    min_edge_bps: int


def _case(
    decision: Decision, entry: EntryPlan, exits: ExitPlan, snapshot: Snapshot, view: RiskView
) -> _Case:
    symbol, others = decision.symbol, view.book
    if view.recheck:
        others = {k: r for k, r in view.book.items() if r.symbol != symbol}
    mine, held = view.counters.of(symbol), view.counters.held
    cost_symbol = ZERO if mine.held is None else mine.held.cost_quote
    multiplier = edge_multiplier_x10000(snapshot, view.settings.adaptive)
    return _Case(
        decision=decision,
        entry=entry,
        exits=exits,
        snapshot=snapshot,
        view=view,
        symbol=symbol,
        others=others,
        mine=mine,
        held=held,
        trades_today=_trades_committed(view.counters, held, others),
        equity=risk_counters.equity(view.counters, view.bids),
        exposure_symbol=cost_symbol + held_quote(others, symbol=symbol),
        exposure_total=sum((lot.cost_quote for lot in held.values()), ZERO) + held_quote(others),
        edge_multiplier_x10000=multiplier,
        min_edge_bps=adapted_min_edge_bps(decision.regime, multiplier, view.settings.strategy),
    )


def adapted_min_edge_bps(label: RegimeLabel, multiplier: int, settings: StrategySettings) -> int:
    """The regime's minimum times the multiplier (x10000), to the nearest bps."""
    return round_div(min_edge_bps(label, settings) * multiplier, 10_000)


def _trades_committed(counters: Counters, held: Mapping[str, HeldLot], others: Book) -> int:
    """Trades of today and entries that may still become one: an unknown entry counts as filled."""
    return counters.trades_today + len([r for r in others.values() if r.symbol not in held])


def _standing(case: _Case) -> Iterator[ReasonCode]:
    view, decision = case.view, case.decision
    if view.sysmode is not _NORMAL:
        yield ReasonCode.RISK_SYSMODE_BLOCKS_ENTRY
    if is_quarantined(view.faults, view.exchange_ms):
        yield ReasonCode.SYMBOL_QUARANTINED
    if view.manual_exposure:
        yield ReasonCode.MANUAL_EXPOSURE_ACTIVE
    if view.info is None or view.info.constraints is None:
        yield ReasonCode.FILTERS_DRIFT_DETECTED
    elif not view.info.is_trading:
        yield ReasonCode.SYMBOL_NOT_TRADING
    elif view.info.constraints.filters_hash != decision.constraints.filters_hash:
        yield ReasonCode.FILTERS_DRIFT_DETECTED


def _validity(case: _Case) -> Iterator[ReasonCode]:
    view, decision, snapshot = case.view, case.decision, case.snapshot
    if (
        decision.side is not _BUY
        or decision.snapshot_hash != snapshot.snapshot_hash
        or decision.symbol != snapshot.symbol
    ):
        yield ReasonCode.STRAT_INPUT_INVALID
    gate = decision.ai_gate
    if not view.before_gate and (gate is None or gate.verdict not in _LET_THROUGH):
        yield ReasonCode.AIGATE_BLOCKED
    if not _is_quantised(case):
        yield ReasonCode.PROTECTION_INVALID_FILTER
    limit_ms = view.settings.timing.decision_max_age_ms
    # On a recheck the decision is old by nature: only its snapshot has to be fresh.
    born_ms = snapshot.local_received_ms
    if not view.recheck:
        born_ms = min(born_ms, decision.ts_ms)
    if view.now_ms - born_ms > limit_ms:
        yield ReasonCode.STRAT_ENTRY_ABORTED_COST


def _is_quantised(case: _Case) -> bool:
    constraints, entry, exits = case.decision.constraints, case.entry, case.exits
    return (
        is_on_step(entry.qty, constraints)
        and is_on_tick(entry.limit_price, constraints)
        and is_on_tick(exits.tp_price, constraints)
        and is_on_tick(exits.sl_price, constraints)
        and (
            exits.trailing_mode is _NO_TRAILING
            or is_on_tick(exits.trailing_trigger_price, constraints)
        )
    )


def _occupancy(case: _Case) -> Iterator[ReasonCode]:
    if case.mine.held is not None and not case.view.recheck:
        yield ReasonCode.RISK_POSITION_ALREADY_OPEN
    if of_symbol(case.others, case.symbol) is not None:
        yield ReasonCode.RISK_ENTRY_ALREADY_PENDING


def _kill_switches(case: _Case) -> Iterator[ReasonCode]:
    view, risk = case.view, case.view.settings.risk
    counters, now = view.counters, case.equity
    if now <= risk.max_daily_loss or _DAILY_LOSS in counters.fired:
        yield _DAILY_LOSS
    if counters.peak_equity - now >= risk.max_drawdown or _DRAWDOWN in counters.fired:
        yield _DRAWDOWN
    if case.trades_today >= risk.max_trades_per_day and not _filled(case):
        yield ReasonCode.RISK_MAX_TRADES_DAY
    of_this = len([r for r in case.others.values() if r.symbol == case.symbol])
    if of_this >= risk.max_open_orders_per_symbol or len(case.others) >= risk.max_open_orders_total:
        yield ReasonCode.RISK_MAX_OPEN_ORDERS


def _filled(case: _Case) -> bool:
    """A recheck of an entry that has filled in part: its trade is counted already."""
    return case.view.recheck and case.mine.held is not None


def _overtrading(case: _Case) -> Iterator[ReasonCode]:
    view, risk, mine = case.view, case.view.settings.risk, case.mine
    if view.exchange_ms < mine.cooldown_until_ms:
        yield ReasonCode.RISK_COOLDOWN_ACTIVE
    trades = risk_counters.trades_in_window(mine, view.exchange_ms, risk)
    if trades >= risk.max_trades_per_window and not _filled(case):
        yield ReasonCode.RISK_MAX_TRADES_WINDOW
    if view.exchange_ms < mine.streak_until_ms:
        yield ReasonCode.RISK_SYMBOL_LOSS_STREAK
    if view.latency_p90_ms > risk.ws_latency_threshold_ms:
        yield ReasonCode.WS_STALE_DEGRADE


def _edge(case: _Case) -> Iterator[ReasonCode]:
    inputs = case.snapshot.cost_inputs
    parts = (
        inputs.maker_fee_bps,
        inputs.taker_fee_bps,
        inputs.slippage_est_entry_maker_bps,
        inputs.slippage_est_entry_taker_bps,
        inputs.slippage_est_exit_taker_bps,
        inputs.base_fee_bps,
        case.snapshot.microstructure.spread_current_bps,
    )
    if min(parts) < 0:
        yield ReasonCode.STRAT_INPUT_INVALID
    if case.decision.edge_bps_expected < case.min_edge_bps:
        yield ReasonCode.STRAT_EDGE_BELOW_MIN


def _exit_sanity(case: _Case) -> Iterator[ReasonCode]:
    entry, exits = case.entry.limit_price, case.exits
    stop, reach = entry - exits.sl_price, exits.tp_price - entry
    half_atr = entry * case.snapshot.volatility.atr14_5m_bps / (2 * BPS)
    if (
        stop < 2 * case.decision.constraints.tick_size
        or stop < half_atr
        or reach <= stop
        or not _trailing_is_coherent(case)
    ):
        yield ReasonCode.STRAT_EXIT_INVALID


def _trailing_is_coherent(case: _Case) -> bool:
    exits = case.exits
    if exits.trailing_mode is _NO_TRAILING:
        return True
    if exits.trailing_distance_bps <= 0 or exits.trailing_trigger_price < case.entry.limit_price:
        return False
    bounds = case.decision.constraints.trailing_delta_bounds
    if exits.trailing_mode is _NATIVE:
        return (
            bounds is not None
            and bounds.min_above <= exits.trailing_distance_bps <= bounds.max_above
        )
    return True


def _size(case: _Case) -> Size:
    view, risk = case.view, case.view.settings.risk
    constraints = case.decision.constraints
    caps = Caps(
        risk_per_trade=risk.per_trade,
        symbol_room=risk.max_exposure_symbol - case.exposure_symbol,
        total_room=risk.max_exposure_total - case.exposure_total,
        free_quote=view.free_quote - held_quote(case.others),
        max_notional=constraints.max_notional,
        first_day=view.order_cap,
    )
    return sizing.size_entry(case.entry.limit_price, case.exits.sl_price, caps, constraints)


def _size_reasons(case: _Case, size: Size, approved: Decimal) -> Iterator[ReasonCode]:
    found = (*_too_little(case, approved), *_unprotectable(case, approved))
    yield from found
    too_small = not _SIZE_PROBLEMS.isdisjoint(found)
    if too_small and size.qty <= approved and size.binding in _CAP_REASONS:
        yield _CAP_REASONS[size.binding]


def _too_little(case: _Case, approved: Decimal) -> Iterator[ReasonCode]:
    constraints = case.decision.constraints
    if approved <= 0 or approved < constraints.min_qty:
        yield ReasonCode.RISK_SIZE_INVALID
    if approved * case.entry.limit_price < constraints.min_notional:
        yield ReasonCode.PROTECTION_INVALID_MIN_NOTIONAL


def _unprotectable(case: _Case, approved: Decimal) -> Iterator[ReasonCode]:
    """Why this size could not carry its protection."""
    exits = case.view.settings.exit
    stop = sizing.stop_order_type(case.view.info, exits) if case.view.info is not None else None
    if stop is None or not _has_order_slots(case):
        yield ReasonCode.PROTECTION_INVALID_FILTER
    if stop is None:
        return
    protection = Protection(
        base_fee_bps=case.snapshot.cost_inputs.base_fee_bps,
        lowest_leg_price=sizing.lowest_leg_price(case.entry, case.exits, stop, exits),
        max_dust_bps=case.view.settings.risk.max_dust_bps,
    )
    if not sizing.is_protectable(approved, case.decision.constraints, protection):
        yield ReasonCode.PROTECTION_INVALID_MIN_NOTIONAL


def _has_order_slots(case: _Case) -> bool:
    """Whether the symbol has room for an entry and its protection at all.

    No order of ours stands on a symbol without position and entry; execution, which sees the
    others, counts again before it places.
    """
    native = case.exits.trailing_mode is _NATIVE
    return orders_fit(
        case.decision.constraints,
        orders=PROTECTED_ENTRY_ORDERS,
        algo_orders=2 if native else 1,
    )


def held_elsewhere(counters: Counters, book: Book, symbol: str) -> frozenset[str]:
    """Other symbols with a position or an entry that may become one."""
    return frozenset(counters.held).union([r.symbol for r in book.values()]) - {symbol}


def _correlation(case: _Case) -> Iterator[ReasonCode]:
    selection = case.view.settings.selection
    most = len(case.held) + len(case.view.book) + 1
    if case.view.recheck or most < selection.corr_min_symbols:
        return
    others = held_elsewhere(case.view.counters, case.view.book, case.symbol)
    if len(others) + 1 < selection.corr_min_symbols:
        return
    mine = case.snapshot.returns
    if has_too_many_missing(mine, selection.corr_missing_max_pct):
        yield ReasonCode.RISK_CORRELATION_TOO_HIGH
        return
    # What cannot be compared is taken to move alike: diversification must be shown, not assumed.
    if any(_moves_alike(mine, case.view.returns.get(s), case.view.settings) for s in others):
        yield ReasonCode.RISK_CORRELATION_TOO_HIGH


def _moves_alike(mine: Returns, other: Returns | None, settings: Settings) -> bool:
    selection = settings.selection
    if other is None or has_too_many_missing(other, selection.corr_missing_max_pct):
        return True
    if len(other.log_return_bps) != len(mine.log_return_bps):
        return True
    value = correlation_x10000(mine.log_return_bps, other.log_return_bps)
    return abs(value) >= selection.corr_max_x10000


def _churn(case: _Case) -> Iterator[ReasonCode]:
    view, mine = case.view, case.mine
    if view.exchange_ms < mine.churn_until_ms:
        yield from mine.churn_reasons
    churn = view.settings.churn
    limit = churn.unfilled_warning_pct if view.recheck else churn.unfilled_critical_pct
    if view.unfilled_orders_pct >= limit:
        yield ReasonCode.RISK_UNFILLED_ORDER_COUNT_RISK


def _limits(case: _Case, size: Size, approved: Decimal) -> dict[str, str]:
    """Every figure the verdict was made with."""
    view, mine, now = case.view, case.mine, case.equity
    entry, most = case.entry, limit_texts(view.settings.risk)
    stop_bps = sizing.stop_distance_bps(entry.limit_price, case.exits.sl_price)
    in_window = risk_counters.trades_in_window(mine, view.exchange_ms, view.settings.risk)
    return {
        "approved_qty": amount_text(approved),
        "planned_qty": amount_text(entry.qty),
        "size_qty": amount_text(size.qty),
        "size_quote": amount_text(size.quote),
        "risk_per_trade": most.per_trade,
        "stop_distance_bps": amount_text(stop_bps),
        "exposure_symbol": amount_text(case.exposure_symbol),
        "exposure_symbol_max": most.exposure_symbol,
        "exposure_total": amount_text(case.exposure_total),
        "exposure_total_max": most.exposure_total,
        "free_quote": amount_text(view.free_quote),
        "reserved_quote": amount_text(held_quote(view.book)),
        "day_equity": amount_text(now),
        "daily_loss_max": most.daily_loss,
        "drawdown": amount_text(view.counters.peak_equity - now),
        "drawdown_max": most.drawdown,
        "edge_multiplier_x10000": str(case.edge_multiplier_x10000),
        "edge_min_bps": str(case.min_edge_bps),
        "trades_today": str(case.trades_today),
        "trades_per_day_max": most.trades_per_day,
        "trades_in_window": str(in_window),
        "trades_per_window_max": most.trades_per_window,
        "open_entries": str(len(case.others)),
        "open_orders_total_max": most.open_orders_total,
        "losses_in_row": str(mine.losses_in_row),
        "latency_p90_ms": str(view.latency_p90_ms),
        "unfilled_orders_pct": str(view.unfilled_orders_pct),
        "size_binding": size.binding,
    }


def _verdict(
    qty: Decimal, reasons: tuple[ReasonCode, ...], limits: dict[str, str], costs: Costs
) -> RiskVerdict:
    return RiskVerdict(
        verdict=Verdict.BLOCK, approved_qty=qty, reasons=reasons, limits=limits, costs=costs
    )
