"""At what prices and sizes a position may be protected or sold, as the market stands."""

from dataclasses import replace
from decimal import Decimal

from livespot.contracts.amounts import BPS, ZERO
from livespot.contracts.market import Constraints
from livespot.contracts.vocabulary import OrderStatus, OrderType
from livespot.rules.protection import (
    CloseCause,
    Guard,
    Scene,
    Sizes,
    Tracked,
    standing_stops,
)
from livespot.rules.quantize import is_on_tick, quantize_price, quantize_qty
from livespot.rules.trailing import Above, resting, trailing_above

# For longer nothing may be missing between two stops.
LONGEST_GAP_MS = 1000
# A stop is raised only by as much as is worth a request.
_RAISE_BPS = 10
_NEVER_STOOD = frozenset({OrderStatus.PENDING_NEW, OrderStatus.REJECTED})


def above(scene: Scene, limits: Constraints) -> Above:
    if scene.trail_form is None:
        return resting(scene.tp_price)
    return trailing_above(
        scene.trail_form,
        scene.tp_price,
        scene.average_price,
        distance_bps=scene.trailing_bps,
        offset_bps=scene.exits.stop_limit_offset_bps,
        constraints=limits,
    )


def crossed(scene: Scene) -> CloseCause | None:
    if scene.bid is None:
        return None
    if scene.bid >= scene.tp_price:
        return CloseCause.TP_CROSSED
    return CloseCause.SL_CROSSED if scene.bid <= scene.sl_price else None


def never_lowered(guard: Guard, scene: Scene) -> Scene:
    """The scene with a stop that is not below any that has stood for the position."""
    stood = max((t.order.stop_price for t in guard.sells.values() if _has_stood(t)), default=ZERO)
    price = kept_stop(scene.sl_price, stood, scene.constraints)
    return scene if price == scene.sl_price else replace(scene, sl_price=price)


def _has_stood(tracked: Tracked) -> bool:
    """Whether a stop has been on the book.

    Where the exchange sets a leg's quantity when it arms it, one that was never armed has none.
    """
    order = tracked.order
    return tracked.is_stop and order.orig_qty > 0 and order.status not in _NEVER_STOOD


def kept_stop(planned: Decimal, stood: Decimal, limits: Constraints | None) -> Decimal:
    """The planned stop or, where it is higher, the one that stood before.

    If that is not on the tick, which may have become coarser since, it is rounded up: rounded down
    it would risk more than was allowed for.
    """
    if stood < planned or stood <= 0:
        return planned
    if limits is None:
        return stood
    on_tick = is_on_tick(stood, limits)
    return quantize_price(stood if on_tick else stood + limits.tick_size, limits)


def jumped(tracked: Tracked, scene: Scene) -> bool:
    """A limit that was triggered, or must have been, and that the market has left behind."""
    order = tracked.order
    if not tracked.live or scene.bid is None or order.price <= 0:
        return False
    return (order.type is OrderType.STOP_LOSS_LIMIT or tracked.fired) and scene.bid < order.price


def bid_limit(guard: Guard, scene: Scene) -> Decimal | None:
    if guard.close_tries > 0 or scene.bid is None or scene.constraints is None:
        return None
    return quantize_price(scene.bid, scene.constraints)


def close_qty(scene: Scene, sizes: Sizes, *, market: bool) -> Decimal:
    limits = scene.constraints
    if limits is None:
        return sizes.uncovered
    most = limits.max_qty
    if market and limits.market_max_qty:
        most = min(most, limits.market_max_qty)
    return quantize_qty(min(sizes.uncovered, most), limits, market=market)


def swap_gap_ms(guard: Guard) -> int:
    """How long the last swap left nothing standing, by the exchange's own times; -1 without one.

    An order's time is that of its last change: one that was triggered tells no more when it was
    placed. While two stops stand, the end of the older one has not been heard of.
    """
    if len(standing_stops(guard)) > 1:
        return -1
    raised = [t for t in guard.sells.values() if t.is_raised_stop and not t.order.is_working]
    ended = [
        t.order.exchange_time_ms
        for t in guard.sells.values()
        if t.order.status is OrderStatus.CANCELED
    ]
    if not raised or not ended:
        return -1
    return max(0, raised[-1].order.exchange_time_ms - max(ended))


def raised_stop(scene: Scene, standing: Decimal) -> Decimal | None:
    """A stop that far below the bid, when it is enough better than the one that stands."""
    limits = scene.constraints
    if scene.swap_from is None or scene.bid is None or limits is None:
        return None
    wanted = quantize_price(scene.bid * (BPS - scene.trailing_bps) / BPS, limits)
    step = max(2 * limits.tick_size, standing * _RAISE_BPS / BPS)
    return wanted if standing + step <= wanted < scene.bid else None


def stop_limit_price(scene: Scene, trigger: Decimal | None = None) -> Decimal:
    """The limit of a STOP_LOSS_LIMIT: the configured offset below its trigger, on the tick."""
    stop = scene.sl_price if trigger is None else trigger
    raw = stop * (BPS - scene.exits.stop_limit_offset_bps) / BPS
    return quantize_price(raw, scene.constraints) if scene.constraints is not None else raw


def swap_due(guard: Guard, scene: Scene, sizes: Sizes, now_ms: int) -> bool:
    """Whether the stop may be swapped now: all behind one stop, in profit, nothing unsure.

    A swap that left nothing standing for too long is the position's last one.
    """
    if scene.swap_from is None or scene.bid is None or guard.swap_failed:
        return False
    if swap_gap_ms(guard) >= LONGEST_GAP_MS:
        return False
    stops = standing_stops(guard)
    # A stop that was raised goes on rising with the price: that only ever takes risk away.
    begins = scene.trend_holds and scene.bid >= scene.swap_from
    armed = begins or any(t.is_raised_stop for t in stops)
    sold = any(t.order.executed_qty > 0 for t in guard.sells.values() if t.live)
    whole = len(stops) == 1 and sizes.covered >= sizes.held and not sold
    calm = not guard.flights and guard.close is None and now_ms >= guard.next_swap_ms
    return armed and whole and calm and raised_stop(scene, stops[0].order.stop_price) is not None
