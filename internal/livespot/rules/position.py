"""One symbol's position, built from its fills alone."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_EVEN, Context, Decimal

from livespot.contracts.amounts import BPS, ZERO
from livespot.contracts.decision import Decision, ExitPlan
from livespot.contracts.market import Constraints
from livespot.contracts.orders import Fill, Position
from livespot.contracts.vocabulary import (
    ExitReason,
    IntentRole,
    PositionPhase,
    Side,
    TrailingMode,
)
from livespot.rules.pnl import Lot, apply_fill, booked_fee
from livespot.rules.quantize import quantize_price

_PRICE = Context(prec=40, rounding=ROUND_HALF_EVEN)
_OPEN_ENDED = frozenset({PositionPhase.FLAT, PositionPhase.DUST})


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedFill:
    """A fill as the ledger holds it: its role and its fee in quote."""

    fill: Fill
    role: IntentRole
    fee_quote: Decimal
    fee_unpriced: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTrail:
    """How a profit trails; `trigger_ratio` is where, as a multiple of the price paid."""

    mode: TrailingMode
    trigger_ratio: Decimal
    distance_bps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A position as its fills show it.

    With a native `trail`, `planned_tp` is the price at which it begins. `sold_by_order` is the
    booked quantity sold, by order id. `entry_filled_qty` is what the entry's end reported; fills
    are still missing while `bought_qty` is below it. `stood_sl` is the stop that an earlier process
    had or wanted for it, zero if there was none.
    """

    symbol: str
    base_asset: str
    position_id: str
    decision_id: str
    entry_intent_id: str
    constraints: Constraints | None
    tp_bps: int
    sl_bps: int
    opened_at_ms: int
    planned_tp: Decimal
    planned_sl: Decimal
    stood_sl: Decimal = ZERO
    trail: PlannedTrail | None = None
    attached: bool = False
    entry_open: bool = True
    entry_filled_qty: Decimal = ZERO
    lot: Lot = field(default_factory=Lot)
    trade_ids: frozenset[int] = frozenset()
    bought_qty: Decimal = ZERO
    bought_quote: Decimal = ZERO
    sold_qty: Decimal = ZERO
    sold_by_order: Mapping[int, Decimal] = field(default_factory=dict)
    last_fill_ms: int = 0
    exit_role: IntentRole | None = None

    @property
    def average_fill_price(self) -> Decimal:
        """Quote paid per unit bought, without fees; zero before the first fill."""
        return _PRICE.divide(self.bought_quote, self.bought_qty) if self.bought_qty else ZERO

    @property
    def fills_missing(self) -> bool:
        """Whether the entry's end reported more than the fills seen so far."""
        return self.entry_filled_qty > self.bought_qty


def position_id(decision_id: str) -> str:
    """One position per decision, so its id is the decision's under another name."""
    return "pos_" + decision_id.removeprefix("dec_")


def opened(
    decision: Decision, *, entry_intent_id: str, base_asset: str, constraints: Constraints | None
) -> Holding:
    """An empty position whose entry has been sent."""
    exit_plan = decision.exit_plan
    return Holding(
        symbol=decision.symbol,
        base_asset=base_asset,
        position_id=position_id(decision.decision_id),
        decision_id=decision.decision_id,
        entry_intent_id=entry_intent_id,
        constraints=constraints or decision.constraints,
        tp_bps=decision.tp_bps,
        sl_bps=decision.sl_bps,
        opened_at_ms=decision.ts_ms,
        planned_tp=_planned_tp(exit_plan),
        planned_sl=exit_plan.sl_price if exit_plan else ZERO,
        trail=trail_of(decision),
    )


def trail_of(decision: Decision | None) -> PlannedTrail | None:
    """The decision's trailing, relative to the price paid; None for OFF."""
    if decision is None or decision.exit_plan is None or decision.entry_plan is None:
        return None
    exits = decision.exit_plan
    if exits.trailing_mode is TrailingMode.OFF:
        return None
    return PlannedTrail(
        mode=exits.trailing_mode,
        trigger_ratio=_PRICE.divide(exits.trailing_trigger_price, decision.entry_plan.limit_price),
        distance_bps=exits.trailing_distance_bps,
    )


def _planned_tp(plan: ExitPlan | None) -> Decimal:
    if plan is None:
        return ZERO
    native = plan.trailing_mode is TrailingMode.NATIVE
    return plan.trailing_trigger_price if native else plan.tp_price


def reopened(
    row: Position,
    *,
    base_asset: str,
    constraints: Constraints | None,
    booked: Iterable[BookedFill],
    trail: PlannedTrail | None = None,
) -> Holding:
    """The position of an earlier run: its identity from the row, its quantity from its fills."""
    holding = Holding(
        symbol=row.symbol,
        base_asset=base_asset,
        position_id=row.position_id,
        decision_id=row.decision_id,
        entry_intent_id=row.entry_intent_id,
        constraints=constraints,
        tp_bps=row.tp_bps,
        sl_bps=row.sl_bps,
        opened_at_ms=row.opened_at_ms,
        planned_tp=row.tp_price,
        planned_sl=row.sl_price,
        stood_sl=ZERO if row.phase is PositionPhase.OPENING else row.sl_price,
        trail=trail,
    )
    for item in booked:
        holding = book(holding, item)
    return holding


def book(holding: Holding, booked: BookedFill) -> Holding:
    """The position after one fill; a trade booked before changes nothing."""
    fill = booked.fill
    if fill.symbol != holding.symbol or fill.trade_id in holding.trade_ids:
        return holding
    fee = booked_fee(
        fill,
        base_asset=holding.base_asset,
        fee_quote=booked.fee_quote,
        fee_unpriced=booked.fee_unpriced,
    )
    holding = replace(
        holding,
        lot=apply_fill(holding.lot, fill, fee),
        trade_ids=holding.trade_ids | {fill.trade_id},
        last_fill_ms=max(holding.last_fill_ms, fill.exchange_time_ms),
    )
    if fill.side is Side.BUY:
        return replace(
            holding,
            bought_qty=holding.bought_qty + fill.qty,
            bought_quote=holding.bought_quote + fill.qty * fill.price,
        )
    sold = dict(holding.sold_by_order)
    sold[fill.order_id] = sold.get(fill.order_id, ZERO) + fill.qty
    return replace(
        holding,
        sold_qty=holding.sold_qty + fill.qty,
        sold_by_order=sold,
        exit_role=booked.role,
    )


def exit_prices(holding: Holding) -> tuple[Decimal, Decimal]:
    """Where take-profit and stop should stand.

    The planned prices for an attached exit, else the decision's distances from the average fill
    price, floored to the tick. With a native trail the first is the price at which it begins.
    """
    average = holding.average_fill_price
    if not average or (holding.attached and holding.planned_sl < average < holding.planned_tp):
        return holding.planned_tp, holding.planned_sl
    reach = (BPS + holding.tp_bps) / BPS
    if holding.trail is not None and holding.trail.mode is TrailingMode.NATIVE:
        reach = holding.trail.trigger_ratio
    return (
        _floored(_PRICE.multiply(average, reach), holding.constraints),
        _floored(average * (BPS - holding.sl_bps) / BPS, holding.constraints),
    )


def swap_from(holding: Holding) -> Decimal | None:
    """The price from which the stop is raised if the profit trails virtually, else None."""
    trail, average = holding.trail, holding.average_fill_price
    if trail is None or trail.mode is not TrailingMode.VIRTUAL or not average:
        return None
    return _floored(_PRICE.multiply(average, trail.trigger_ratio), holding.constraints)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """The protection of a position at the exchange, as the protection rule sees it."""

    phase: PositionPhase
    exit_reason: ExitReason
    list_id: int = -1
    intent_id: str = ""
    protected_qty: Decimal = ZERO
    tp_price: Decimal = ZERO
    sl_price: Decimal = ZERO
    unprotected_since_ms: int = 0
    unprotected_ms: int = 0


def row_of(holding: Holding, cover: Cover, *, sellable: Decimal, at_ms: int) -> Position:
    """The position as it is stored and announced; its exit prices are those that stand."""
    lot = holding.lot
    tp_price, sl_price = exit_prices(holding)
    over = cover.phase in _OPEN_ENDED
    return Position(
        symbol=holding.symbol,
        position_id=holding.position_id,
        decision_id=holding.decision_id,
        entry_intent_id=holding.entry_intent_id,
        phase=cover.phase,
        qty=lot.qty,
        avg_price=holding.average_fill_price,
        cost_quote=lot.cost_quote,
        tp_price=cover.tp_price or tp_price,
        sl_price=cover.sl_price or sl_price,
        tp_bps=holding.tp_bps,
        sl_bps=holding.sl_bps,
        realised_quote=lot.realised_quote,
        fees_quote=lot.fees_quote,
        fee_unpriced=lot.fee_unpriced,
        dust_qty=lot.qty if over else max(ZERO, lot.qty - sellable),
        protection_list_id=cover.list_id,
        protection_intent_id=cover.intent_id,
        protected_qty=cover.protected_qty,
        opened_at_ms=holding.opened_at_ms,
        unprotected_since_ms=cover.unprotected_since_ms,
        unprotected_ms=cover.unprotected_ms,
        closed_at_ms=at_ms if over else 0,
        exit_reason=cover.exit_reason,
        updated_at_ms=at_ms,
    )


def _floored(price: Decimal, constraints: Constraints | None) -> Decimal:
    return quantize_price(price, constraints) if constraints is not None else price
