"""How a profit may trail: the mode of an entry, where it arms, and the order that does it.

NATIVE leaves the leg above the market to the exchange: a take-profit that begins to follow the
price once the profit has reached the activation. It sells as a taker, so it gives up the lower
maker fee of a resting take-profit.
"""

from dataclasses import dataclass
from decimal import Decimal

from livespot.contracts.amounts import BPS, ZERO
from livespot.contracts.decision import ExitPlan
from livespot.contracts.market import (
    Constraints,
    Leaning,
    Microstructure,
    Snapshot,
    TrailingDeltaBounds,
)
from livespot.contracts.settings import ExitSettings
from livespot.contracts.vocabulary import (
    Direction,
    OrderType,
    RegimeLabel,
    TimeInForce,
    TrailingMode,
)
from livespot.rules.edge import Exits
from livespot.rules.quantize import quantize_price

# Bound once: looking up an enum member costs more than a call.
_OFF, _TREND = TrailingMode.OFF, RegimeLabel.TREND
_FORMS = (OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """The resolved trailing of an entry; both distances are 0 for OFF.

    `activation_bps` is the profit at which it begins, `distance_bps` how far behind it follows.
    """

    mode: TrailingMode
    activation_bps: int = 0
    distance_bps: int = 0


NO_TRAIL = Trail(mode=TrailingMode.OFF)


@dataclass(frozen=True, slots=True, kw_only=True)
class Above:
    """The order above the market: a resting target, or a take-profit that trails.

    `trigger_price` is the price it waits for, `limit_price` the limit of the form that has one.
    """

    type: OrderType
    trigger_price: Decimal
    limit_price: Decimal | None = None
    trailing_delta: int | None = None

    @property
    def price(self) -> Decimal | None:
        """The limit price in the request, if the form has one."""
        return self.trigger_price if self.type is OrderType.LIMIT_MAKER else self.limit_price

    @property
    def stop_price(self) -> Decimal | None:
        return None if self.type is OrderType.LIMIT_MAKER else self.trigger_price

    @property
    def time_in_force(self) -> TimeInForce | None:
        return TimeInForce.GTC if self.type is OrderType.TAKE_PROFIT_LIMIT else None


def activation_bps(exits: Exits, cost_bps: int, settings: ExitSettings) -> int:
    """The profit at which trailing may begin.

    So high that distance, limit offset and all costs still leave a gain; not below the fixed
    target, and not below the configured profit.
    """
    kept = exits.trailing_bps + settings.stop_limit_offset_bps + cost_bps
    return max(exits.tp_bps, kept, settings.trailing_enable_profit_bps)


def resolve(
    snapshot: Snapshot, label: RegimeLabel, exits: Exits, cost_bps: int, settings: ExitSettings
) -> Trail:
    """The trailing mode of this entry under the configured policy, for this market and symbol.

    AUTO uses NATIVE where it is possible and else nothing. VIRTUAL is only configured where a
    rehearsal has proved the swap it needs.
    """
    wanted = settings.trailing_policy
    spread = snapshot.microstructure.spread_current_bps
    if wanted == _OFF or not _allows(label, snapshot.regime, spread, settings):
        return NO_TRAIL
    distance = exits.trailing_bps
    if distance <= 0:
        return NO_TRAIL
    if wanted == TrailingMode.VIRTUAL:
        return Trail(
            mode=TrailingMode.VIRTUAL,
            activation_bps=max(settings.trailing_enable_profit_bps, distance + cost_bps),
            distance_bps=distance,
        )
    bounds = snapshot.constraints.trailing_delta_bounds
    if bounds is None or not _within(distance, bounds):
        return NO_TRAIL
    return Trail(
        mode=TrailingMode.NATIVE,
        activation_bps=activation_bps(exits, cost_bps, settings),
        distance_bps=distance,
    )


def trigger_at(price: Decimal, trail: Trail, constraints: Constraints) -> Decimal:
    """Where trailing begins for an entry at `price`, on the tick; zero without trailing."""
    if trail.mode is _OFF:
        return ZERO
    return quantize_price(price * (BPS + trail.activation_bps) / BPS, constraints)


def trailing_form(order_types: tuple[str, ...]) -> OrderType | None:
    """The take-profit that the symbol offers, preferably the one at market."""
    return next((form for form in _FORMS if form in order_types), None)


def above_of(
    exits: ExitPlan,
    entry_price: Decimal,
    form: OrderType | None,
    *,
    offset_bps: int,
    constraints: Constraints,
) -> Above:
    """The upper leg of an exit around `entry_price`.

    Without a form that can trail it is the resting target, whatever the plan wanted.
    """
    if exits.trailing_mode is not TrailingMode.NATIVE or form is None:
        return resting(exits.tp_price)
    return trailing_above(
        form,
        exits.trailing_trigger_price,
        entry_price,
        distance_bps=exits.trailing_distance_bps,
        offset_bps=offset_bps,
        constraints=constraints,
    )


def resting(price: Decimal) -> Above:
    """A post-only sale at the target."""
    return Above(type=OrderType.LIMIT_MAKER, trigger_price=price)


def trailing_above(
    form: OrderType,
    trigger: Decimal,
    entry_price: Decimal,
    *,
    distance_bps: int,
    offset_bps: int,
    constraints: Constraints,
) -> Above:
    """A take-profit that trails from `trigger` on.

    The limit form asks at least for the entry price plus what the activation leaves after distance
    and offset.
    """
    limit = None
    if form is OrderType.TAKE_PROFIT_LIMIT:
        below = entry_price * (distance_bps + offset_bps) / BPS
        limit = quantize_price(trigger - below, constraints)
    return Above(type=form, trigger_price=trigger, limit_price=limit, trailing_delta=distance_bps)


def still_allows(
    regime: Leaning | None, microstructure: Microstructure | None, settings: ExitSettings
) -> bool:
    """Whether the market of a held position still allows its stop to trail.

    A position bought in a rising trend may be in a range or a fall by now. Missing readings allow
    nothing.
    """
    if regime is None or microstructure is None or regime.direction is not Direction.BULL:
        return False
    return _allows(regime.label, regime, microstructure.spread_current_bps, settings)


def _allows(label: RegimeLabel, regime: Leaning, spread_bps: int, settings: ExitSettings) -> bool:
    return (
        label is _TREND
        and regime.trend_score_x10000 >= settings.trailing_trend_min
        and spread_bps <= settings.trailing_max_spread_bps
    )


def _within(distance: int, bounds: TrailingDeltaBounds) -> bool:
    return bounds.min_above <= distance <= bounds.max_above
