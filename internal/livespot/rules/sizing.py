"""How much may be bought: risk over the stop distance, limited by the tightest cap."""

from decimal import ROUND_FLOOR, Context, Decimal

import msgspec

from livespot.contracts.amounts import BPS, ONE, ZERO
from livespot.contracts.decision import EntryPlan, ExitPlan
from livespot.contracts.market import Constraints, SymbolInfo
from livespot.contracts.settings import ExitSettings
from livespot.contracts.vocabulary import OrderType, TrailingMode
from livespot.rules.quantize import protectable, quantize_qty

_EXACT = Context(prec=60, rounding=ROUND_FLOOR)
BY_RISK = "risk_per_trade"
# The kinds of stop, in order of preference.
_STOPS = (OrderType.STOP_LOSS, OrderType.STOP_LOSS_LIMIT)


class Caps(msgspec.Struct, frozen=True, kw_only=True):
    """What an entry may still use of each limit, in quote. Negative values count as zero."""

    risk_per_trade: Decimal
    symbol_room: Decimal
    total_room: Decimal
    free_quote: Decimal
    max_notional: Decimal | None
    first_day: Decimal | None = None


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """The allowed quantity and the name of the cap that set it; `quote` is before flooring."""

    qty: Decimal
    quote: Decimal
    binding: str


def stop_distance_bps(entry_price: Decimal, sl_price: Decimal) -> Decimal:
    """Distance of the quantised stop from the entry, exact, in bps of the entry price."""
    return _EXACT.divide((entry_price - sl_price) * BPS, entry_price)


def size_entry(
    entry_price: Decimal, sl_price: Decimal, caps: Caps, constraints: Constraints
) -> Size:
    """The smallest quantity that risk per trade, every cap and the exchange allow, floored.

    `quote = risk_per_trade * 10000 / stop_distance_bps` before the caps. Zero when a cap is used up
    or when the stop is not below the entry.
    """
    if sl_price >= entry_price:
        return Size(qty=ZERO, quote=ZERO, binding=BY_RISK)
    by_risk = _EXACT.divide(
        _EXACT.multiply(caps.risk_per_trade, entry_price), entry_price - sl_price
    )
    rooms = {
        BY_RISK: by_risk,
        "exposure_symbol_room": caps.symbol_room,
        "exposure_total_room": caps.total_room,
        "free_quote": caps.free_quote,
    }
    if caps.max_notional:
        rooms["max_notional"] = caps.max_notional
    if caps.first_day is not None:
        rooms["first_day_max_notional"] = caps.first_day
    rooms["max_qty"] = _EXACT.multiply(constraints.max_qty, entry_price)
    binding = min(rooms, key=rooms.__getitem__)
    quote = max(ZERO, rooms[binding])
    qty = quantize_qty(_EXACT.divide(quote, entry_price), constraints)
    return Size(qty=qty, quote=quote, binding=binding)


def stop_order_type(info: SymbolInfo, settings: ExitSettings) -> OrderType | None:
    """The stop that the symbol offers and the settings want; None if it cannot be protected."""
    wanted = _STOPS if settings.stop_kind == "AUTO" else (OrderType(settings.stop_kind),)
    for kind in wanted:
        if kind in info.order_types:
            return kind
    return None


def lowest_leg_price(
    entry: EntryPlan, exits: ExitPlan, stop: OrderType, settings: ExitSettings
) -> Decimal:
    """The lowest price at which the exchange will check the notional of a protective leg.

    Limit legs count with their limit, legs at market with the reference price, for which the entry
    price stands.
    """
    take_profit_at_market = exits.trailing_mode is TrailingMode.NATIVE
    above = entry.limit_price if take_profit_at_market else exits.tp_price
    if stop is OrderType.STOP_LOSS:
        below = entry.limit_price
    else:
        below = exits.sl_price * (ONE - Decimal(settings.stop_limit_offset_bps) / BPS)
    return min(above, below)


class Protection(msgspec.Struct, frozen=True, kw_only=True):
    """What a planned size has to satisfy before it may be bought."""

    base_fee_bps: int
    lowest_leg_price: Decimal
    max_dust_bps: int


def is_protectable(qty: Decimal, constraints: Constraints, protection: Protection) -> bool:
    """Whether this size could carry its protective orders after the fee."""
    return protectable(
        qty,
        constraints,
        protection.base_fee_bps,
        protection.lowest_leg_price,
        protection.max_dust_bps,
    )
