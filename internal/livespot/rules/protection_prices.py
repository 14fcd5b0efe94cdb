"""At what prices and sizes a position may be protected or sold, as the market stands."""

from decimal import Decimal

from livespot.contracts.amounts import BPS
from livespot.contracts.market import Constraints
from livespot.contracts.vocabulary import OrderType
from livespot.rules.protection import CloseCause, Guard, Scene, Sizes, Tracked
from livespot.rules.quantize import quantize_price, quantize_qty
from livespot.rules.trailing import Above, resting, trailing_above


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


def stop_limit_price(scene: Scene) -> Decimal:
    """The limit of a STOP_LOSS_LIMIT: the configured offset below its trigger, on the tick."""
    raw = scene.sl_price * (BPS - scene.exits.stop_limit_offset_bps) / BPS
    return quantize_price(raw, scene.constraints) if scene.constraints is not None else raw
