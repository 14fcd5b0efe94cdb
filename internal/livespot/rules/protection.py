"""What stands between a position and the market: its sell orders, requests and clocks.

Folds evidence into a `Guard` for `protection_ladder`. Times are monotonic ms; `wall` ones are not.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum

import msgspec

from livespot.contracts.amounts import BPS, ZERO
from livespot.contracts.codes import ReasonCode
from livespot.contracts.market import Constraints
from livespot.contracts.orders import OrderView
from livespot.contracts.settings import ExitSettings
from livespot.contracts.vocabulary import (
    IntentRole,
    MutationOutcome,
    OrderStatus,
    OrderType,
    PositionPhase,
    Severity,
    Side,
    SignalLevel,
)
from livespot.rules.barred import Barred, locked_away
from livespot.rules.order_state import merge
from livespot.rules.quantize import protectable, quantize_qty

_STOPS = frozenset({OrderType.STOP_LOSS, OrderType.STOP_LOSS_LIMIT})
_TRIGGERED_TARGETS = frozenset({OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT})
_STANDING = frozenset({OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED})
# What is asked for: the role, and whether it is a sale at market.
Rung = tuple[IntentRole, bool]


class CloseCause(StrEnum):
    """Why a position is sold now instead of being protected."""

    TP_CROSSED = "TP_CROSSED"
    SL_CROSSED = "SL_CROSSED"
    TP_REMAINDER = "TP_REMAINDER"
    STOP_JUMPED = "STOP_JUMPED"
    INSTALL_FAILED = "INSTALL_FAILED"
    UNPROTECTABLE = "UNPROTECTABLE"
    UNPROTECTED = "UNPROTECTED"
    INCONSISTENT = "INCONSISTENT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracked:
    """One order of the position with what it is for."""

    order: OrderView
    role: IntentRole
    intent_id: str

    @property
    def live(self) -> bool:
        """Still on the book, as far as we know; a pending leg is not there yet."""
        status = self.order.status
        return not status.is_terminal and status is not OrderStatus.PENDING_NEW

    @property
    def is_stop(self) -> bool:
        return self.order.type in _STOPS

    @property
    def trails(self) -> bool:
        """A take-profit of the trailing form that still waits for its turn."""
        return self.live and self.order.type in _TRIGGERED_TARGETS and not self.order.is_working

    @property
    def is_raised_stop(self) -> bool:
        """The single stop that a swap left standing, raised as the price rises."""
        return self.live and self.is_stop and self.role is IntentRole.TRAIL

    @property
    def fired(self) -> bool:
        """A take-profit that was triggered and is on the book now: an exit under way."""
        standing = self.order.status in _STANDING
        return standing and self.order.type in _TRIGGERED_TARGETS and self.order.is_working

    @property
    def remaining(self) -> Decimal:
        return max(ZERO, self.order.orig_qty - self.order.executed_qty)

    @property
    def group(self) -> tuple[str, int]:
        """Orders of one list share a group; they lock the base once."""
        if self.order.order_list_id >= 0:
            return ("list", self.order.order_list_id)
        return ("order", self.order.order_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flight:
    """A sell that was asked for and may or may not stand.

    `attached` marks legs the exchange should have armed by itself. `negatives` counts complete
    reads since `since_ms` that did not show it. `surplus` is the base that was there beyond the
    position when it was asked for, None when that was not known.
    """

    role: IntentRole
    qty: Decimal
    since_ms: int
    since_wall_ms: int
    surplus: Decimal | None = None
    intent_id: str = ""
    attached: bool = False
    unknown: bool = False
    negatives: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """Everything remembered about a position's protection.

    `cancels` and `asked` hold, by order id and by rung, from when it may be cancelled or asked for
    again, and how often it was. `shut` is set while answers say that the market is closed: true
    when the exchange's rules have said otherwise all along. `barred` is what else refused the last
    request in words that say nothing of it.
    """

    sells: Mapping[int, Tracked] = field(default_factory=dict)
    entry: Tracked | None = None
    flights: tuple[Flight, ...] = ()
    cancels: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    asked: Mapping[Rung, tuple[int, int]] = field(default_factory=dict)
    shut: bool | None = None
    barred: Barred | None = None
    refusals: int = 0
    stop_refused: bool = False
    repair_failed: bool = False
    next_try_ms: int = 0
    looked_ms: int = -1_000_000
    close: CloseCause | None = None
    cause: CloseCause | None = None
    close_since_ms: int | None = None
    close_tries: int = 0
    close_refusals: int = 0
    rounds: int = 0
    hold_until_ms: int = 0
    unsellable: bool = False
    naked_since_ms: int | None = None
    naked_since_wall_ms: int = 0
    naked_total_ms: int = 0
    lonely_since_ms: int | None = None
    jumped_since_ms: int | None = None
    leftover_since_ms: int | None = None
    level: SignalLevel = SignalLevel.CLEAR
    was_covered: bool = False
    trailing: bool = False
    next_swap_ms: int = 0
    swap_failed: bool = False
    over: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What the rule looks at beside its own memory.

    `qty` is the position from fills. `base_total` is free plus locked base as of a time after the
    last fill, or None when no such reading exists, `base_free` its free part. `account_trades` is
    what the account says of itself, None before a read. `stop_market` tells the stop's kind.
    `tp_price` is the target or, with a `trail_form`, where that order begins to trail. With a
    `swap_from` the stop itself is swapped for a higher one from that price on, `trailing_bps`
    below the bid and not more often than every `swap_every_ms`; the first time only while
    `trend_holds`. `trading` is what the exchange's own rules say of the symbol,
    None before any could be read. `exchange_ms` is the exchange's time, 0 when it is not known.
    """

    qty: Decimal
    booked_sales: Mapping[int, Decimal]
    fills_missing: bool
    entry_open: bool
    base_total: Decimal | None
    bid: Decimal | None
    average_price: Decimal
    constraints: Constraints | None
    stop_market: bool
    tp_price: Decimal
    sl_price: Decimal
    exits: ExitSettings
    partial_grace_ms: int
    wall_ms: int
    exchange_ms: int = 0
    trail_form: OrderType | None = None
    trailing_bps: int = 0
    swap_from: Decimal | None = None
    swap_every_ms: int = 10_000
    trend_holds: bool = True
    trading: bool | None = True
    base_free: Decimal | None = None
    account_trades: bool | None = None

    @property
    def reference_price(self) -> Decimal:
        return self.bid if self.bid is not None else self.average_price


@dataclass(frozen=True, slots=True, kw_only=True)
class Protect:
    """Install an OCO (role LIST) or a single stop (role STOP)."""

    role: IntentRole
    qty: Decimal
    tp_price: Decimal
    sl_price: Decimal
    stop_limit_price: Decimal | None
    tp_type: OrderType = OrderType.LIMIT_MAKER
    tp_limit_price: Decimal | None = None
    trailing_delta: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap:
    """Cancel one sale (and its list) and place a higher stop, in one request."""

    intent_id: str
    order_id: int
    qty: Decimal
    sl_price: Decimal
    stop_limit_price: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """Sell now: IOC at `limit_price`, or market when it is None."""

    qty: Decimal
    limit_price: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    intent_id: str
    order_id: int
    purpose: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Read the exchange's truth about this symbol now."""

    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    level: SignalLevel
    reason: ReasonCode
    value_ms: int
    threshold_ms: int
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    severity: Severity
    code: ReasonCode
    text: str


Command = Protect | Swap | Close | Cancel | Look | Signal | Notify


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """How a wanted mutation ended or stands."""

    role: IntentRole
    intent_id: str
    outcome: MutationOutcome
    code: int
    message: str
    orders: tuple[OrderView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Quantities in base. `held` is what fills leave, less sales not yet booked, on the grid.

    `away` is what somebody else has locked of it, not on the grid and not `sellable`.
    """

    held: Decimal
    sellable: Decimal
    committed: Decimal
    covered: Decimal
    in_flight: Decimal
    unknown: Decimal
    away: Decimal = ZERO

    @property
    def uncovered(self) -> Decimal:
        """What may still be offered for sale while unknown requests are ignored."""
        return max(ZERO, self.sellable - self.committed - self.in_flight)


def measure(guard: Guard, scene: Scene) -> Sizes:
    """Where every unit of the position is, as far as we know."""
    unbooked = sum(
        (
            max(ZERO, t.order.executed_qty - scene.booked_sales.get(order_id, ZERO))
            for order_id, t in guard.sells.items()
        ),
        ZERO,
    )
    net = max(ZERO, scene.qty - unbooked)
    held = on_grid(net, scene.constraints)
    there = net if scene.base_total is None else min(net, scene.base_total)
    present = on_grid(there, scene.constraints)
    committed = committed_qty(guard)
    in_flight = sum((f.qty for f in guard.flights if not f.unknown), ZERO)
    free = None if scene.base_free is None else max(ZERO, scene.base_free - in_flight)
    away = locked_away(guard.barred, present - committed - in_flight, free)
    return Sizes(
        held=held,
        sellable=on_grid(present - away, scene.constraints),
        committed=committed,
        covered=sum((t.remaining for t in standing_stops(guard)), ZERO),
        in_flight=in_flight,
        unknown=sum((f.qty for f in guard.flights if f.unknown), ZERO),
        away=away,
    )


def standing_stops(guard: Guard) -> tuple[Tracked, ...]:
    """Live stops that protect: the stop beside a partly filled take profit is gone or going."""
    spoiled = {
        t.group
        for t in guard.sells.values()
        if not t.is_stop and t.order.executed_qty > 0 and t.order.order_list_id >= 0
    }
    return tuple(
        t
        for t in guard.sells.values()
        if t.is_stop and t.order.status in _STANDING and t.group not in spoiled
    )


def lonely_sells(guard: Guard) -> tuple[Tracked, ...]:
    """Live sells that lock base without a live stop beside them; a close is not one."""
    guarded = {t.group for t in standing_stops(guard)}
    return tuple(
        t
        for t in guard.sells.values()
        if t.live and not t.is_stop and t.role is not IntentRole.CLOSE and t.group not in guarded
    )


def tradable(qty: Decimal, scene: Scene) -> bool:
    """Whether the exchange would take a sale of this size at the present price.

    Without constraints every quantity counts: a position must not look safe for lack of facts.
    """
    limits = scene.constraints
    if limits is None:
        return qty > 0
    size = on_grid(qty, limits)
    enough = size >= max(limits.min_qty, limits.step_size)
    return enough and size * scene.reference_price >= limits.min_notional


def naked(sizes: Sizes, scene: Scene) -> bool:
    """A sellable part of the position has no live stop.

    While the entry works, what the exchange might not take a stop for yet is left to it to grow,
    by the same measure with which the entry is cut at a part.
    """
    part = max(ZERO, sizes.held - sizes.covered)
    return _carries_a_stop(part, scene) if scene.entry_open else tradable(part, scene)


def _carries_a_stop(qty: Decimal, scene: Scene) -> bool:
    limits = scene.constraints
    if limits is None:
        return qty > 0
    lowest = scene.sl_price * (BPS - scene.exits.stop_limit_offset_bps) / BPS
    # The fee is off already, and what rounding leaves over is asked of what is yet to be bought.
    return protectable(qty, limits, 0, lowest, int(BPS))


def phase_of(guard: Guard, scene: Scene, sizes: Sizes) -> PositionPhase:
    if guard.over:
        return PositionPhase.DUST if scene.qty > 0 else PositionPhase.FLAT
    if guard.close is not None:
        return PositionPhase.CLOSING
    if naked(sizes, scene):
        return PositionPhase.UNPROTECTED
    if sizes.covered > 0:
        return PositionPhase.TRAILING if guard.trailing else PositionPhase.PROTECTED
    if scene.entry_open or scene.fills_missing:
        return PositionPhase.OPENING
    return PositionPhase.CLOSING


def order_seen(guard: Guard, order: OrderView, role: IntentRole, intent_id: str) -> Guard:
    """Newer state of one of the position's orders; evidence only ever adds."""
    if order.side is Side.BUY:
        known = guard.entry
        if known is not None and known.order.order_id != order.order_id and known.live:
            return guard
        same = known is not None and known.order.order_id == order.order_id
        merged = merge(known.order, order) if known is not None and same else order
        if merged is None:
            return guard
        return replace(guard, entry=Tracked(order=merged, role=role, intent_id=intent_id))
    before = guard.sells.get(order.order_id)
    merged = merge(before.order if before else None, order)
    if merged is None:
        return guard
    tracked = Tracked(order=merged, role=role, intent_id=intent_id)
    if before is not None:
        tracked = replace(before, order=merged)
    guard = replace(guard, sells={**guard.sells, order.order_id: tracked})
    flights = tuple(f for f in guard.flights if not _shows(guard, tracked, f))
    return replace(guard, flights=flights)


def sale_booked(guard: Guard, order_id: int, booked: Decimal) -> Guard:
    """A booked sale is evidence about its order, whichever of the two news comes first."""
    tracked = guard.sells.get(order_id)
    if tracked is None or booked <= tracked.order.executed_qty:
        return guard
    whole = booked >= tracked.order.orig_qty
    status = OrderStatus.FILLED if whole else OrderStatus.PARTIALLY_FILLED
    if tracked.order.status.is_terminal:
        status = tracked.order.status
    order = msgspec.structs.replace(tracked.order, executed_qty=booked, status=status)
    return replace(guard, sells={**guard.sells, order_id: replace(tracked, order=order)})


def tells_of(guard: Guard, tracked: Tracked) -> bool:
    """Whether an order says what became of its whole request.

    A pending leg says nothing yet. A leg that ended unfilled says nothing of the other, which may
    just have been filled: of a list both must then be known.
    """
    order = tracked.order
    if order.status is OrderStatus.PENDING_NEW:
        return False
    if order.order_list_id < 0 or not order.status.is_terminal or order.executed_qty > 0:
        return True
    legs = (t for t in guard.sells.values() if t.order.order_list_id == order.order_list_id)
    return sum(t.order.status is not OrderStatus.PENDING_NEW for t in legs) > 1


def _shows(guard: Guard, tracked: Tracked, flight: Flight) -> bool:
    """Whether this order settles what was in doubt."""
    if not tells_of(guard, tracked):
        return False
    by_intent = bool(flight.intent_id) and flight.intent_id == tracked.intent_id
    return by_intent or (flight.attached and tracked.order.order_list_id >= 0)


def orders_seen(
    guard: Guard, orders: Iterable[OrderView], settled_role: IntentRole, intent_id: str
) -> Guard:
    """Orders that came with an answer; a leg's role follows from its type."""
    for order in orders:
        guard = order_seen(guard, order, leg_role(order, settled_role), intent_id)
    return guard


def leg_role(order: OrderView, wanted: IntentRole) -> IntentRole:
    """What an order is for: the legs of a list are told apart by their type."""
    if order.side is Side.BUY:
        return IntentRole.ENTRY
    if wanted in (IntentRole.LIST, IntentRole.CANCEL):
        return IntentRole.SL if order.type in _STOPS else IntentRole.TP
    return wanted


def legs_expected(guard: Guard, flight: Flight) -> Guard:
    """The entry filled with an attached exit: both legs should show within the deadline."""
    mine = (t for t in guard.sells.values() if t.intent_id == flight.intent_id)
    if any(tells_of(guard, tracked) for tracked in mine):
        return guard
    return replace(guard, flights=(*guard.flights, replace(flight, attached=True)))


def committed_qty(guard: Guard) -> Decimal:
    """Base locked under live sells; the legs of one list lock it once and sell from one amount."""
    locked: dict[tuple[str, int], Decimal] = {}
    sold: dict[tuple[str, int], Decimal] = {}
    for tracked in guard.sells.values():
        order, group = tracked.order, tracked.group
        sold[group] = sold.get(group, ZERO) + order.executed_qty
        if tracked.live:
            locked[group] = max(locked.get(group, ZERO), order.orig_qty)
    return sum((max(ZERO, qty - sold[group]) for group, qty in locked.items()), ZERO)


def on_grid(qty: Decimal, constraints: Constraints | None) -> Decimal:
    return quantize_qty(qty, constraints) if constraints is not None else qty
