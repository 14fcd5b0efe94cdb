"""The one quantizer: every order passes here before it may become an intent.

Amounts are only ever floored. A value that misses a bound is refused, never raised to reach it.
"""

from dataclasses import dataclass
from decimal import ROUND_FLOOR, Context, Decimal
from functools import lru_cache

import msgspec

from livespot.contracts.amounts import BPS, ONE, ZERO, decimals_of
from livespot.contracts.codes import ReasonCode
from livespot.contracts.market import Constraints
from livespot.contracts.vocabulary import OrderType, Side

# Precise enough that no quotient of exchange amounts is rounded before it is floored.
_EXACT = Context(prec=80, rounding=ROUND_FLOOR)
# The exchange checks its price band against a price that we see only a little later.
PERCENT_PRICE_MARGIN_BPS = 20
# An entry with its protection: the buy, the upper leg and the lower leg.
PROTECTED_ENTRY_ORDERS = 3
# A leg at exactly the minimum notional would fail one tick lower.
NOTIONAL_HEADROOM = Decimal("1.02")

_MARKET_PRICED = frozenset({OrderType.MARKET, OrderType.STOP_LOSS, OrderType.TAKE_PROFIT})
_LIMIT_PRICED = frozenset(OrderType) - _MARKET_PRICED
_STOP_PRICED = frozenset(
    {
        OrderType.STOP_LOSS,
        OrderType.STOP_LOSS_LIMIT,
        OrderType.TAKE_PROFIT,
        OrderType.TAKE_PROFIT_LIMIT,
    }
)


class OrderDraft(msgspec.Struct, frozen=True, kw_only=True):
    """An order before quantising. Prices are quote per base, quantity is base."""

    type: OrderType
    side: Side
    qty: Decimal
    price: Decimal | None = None
    stop_price: Decimal | None = None
    trailing_delta: int | None = None


class Quantized(msgspec.Struct, frozen=True, kw_only=True):
    """The order with every amount on its grid and within every enforced filter."""

    type: OrderType
    side: Side
    qty: Decimal
    price: Decimal | None
    stop_price: Decimal | None
    trailing_delta: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRefused:
    """Why an order may not be sent; `filter_name` is the exchange's name of the rule."""

    reason: ReasonCode
    filter_name: str
    detail: str


def quantize_price(price: Decimal, constraints: Constraints) -> Decimal:
    """The greatest tick not above `price`, with the decimals of the tick."""
    return _on_grid(price, constraints.tick_size, constraints.price_decimals)


def quantize_qty(qty: Decimal, constraints: Constraints, *, market: bool = False) -> Decimal:
    """The greatest quantity not above `qty` on the lot grid (and the market grid, if asked)."""
    step = constraints.step_size
    if market and constraints.market_step_size:
        step = max(step, constraints.market_step_size)
    return _on_grid(qty, step, constraints.qty_decimals)


def is_on_tick(price: Decimal, constraints: Constraints) -> bool:
    """Whether `quantize_price` would leave the price as it is."""
    return _is_on_grid(price, constraints.tick_size)


def is_on_step(qty: Decimal, constraints: Constraints) -> bool:
    """Whether `quantize_qty` would leave the quantity as it is."""
    return _is_on_grid(qty, constraints.step_size)


def check_order(
    draft: OrderDraft,
    constraints: Constraints,
    *,
    reference_price: Decimal,
    margin_bps: int = PERCENT_PRICE_MARGIN_BPS,
) -> Quantized | OrderRefused:
    """Floor every amount to its grid, then apply the enforced filters for this order type.

    `reference_price` stands for the exchange's own reference or average price. The first refusal is
    returned; the checks are in the exchange's order.
    """
    malformed = _malformed(draft)
    if malformed is not None:
        return malformed
    order = Quantized(
        type=draft.type,
        side=draft.side,
        qty=quantize_qty(draft.qty, constraints, market=draft.type is OrderType.MARKET),
        price=None if draft.price is None else quantize_price(draft.price, constraints),
        stop_price=(
            None if draft.stop_price is None else quantize_price(draft.stop_price, constraints)
        ),
        trailing_delta=draft.trailing_delta,
    )
    band = _Band(reference=reference_price, margin_bps=margin_bps)
    return _refusal(order, constraints, band) or order


def orders_fit(constraints: Constraints, *, orders: int, algo_orders: int) -> bool:
    """Whether the symbol may hold this many open orders, and this many conditional ones.

    A limit of zero means that the exchange states none.
    """
    return not (
        0 < constraints.max_num_orders < orders or 0 < constraints.max_num_algo_orders < algo_orders
    )


def is_algo(kind: OrderType) -> bool:
    """Whether an order of this type counts towards the symbol's limit of conditional orders."""
    return kind in _STOP_PRICED


def sellable_after_fee(qty: Decimal, constraints: Constraints, base_fee_bps: int) -> Decimal:
    """How much of a bought quantity can be sold when the fee is taken in base."""
    kept = _EXACT.multiply(qty, ONE - Decimal(base_fee_bps) / BPS)
    return quantize_qty(kept, constraints)


def protectable(
    qty: Decimal,
    constraints: Constraints,
    base_fee_bps: int,
    lowest_leg_price: Decimal,
    max_dust_bps: int,
) -> bool:
    """Whether a position of `qty` can carry its protection after the fee of the buy.

    One step is given away before the notional check, because the exchange may round the fee up.
    `lowest_leg_price` is the lowest limit price of any leg; a leg at market counts with the
    reference price.
    """
    if base_fee_bps >= BPS:
        return False
    sellable = sellable_after_fee(qty, constraints, base_fee_bps)
    certain = sellable - constraints.step_size
    if certain < max(constraints.min_qty, constraints.step_size):
        return False
    if certain * lowest_leg_price < NOTIONAL_HEADROOM * constraints.min_notional:
        return False
    return (qty - sellable) * BPS <= qty * max_dust_bps


class _Band(msgspec.Struct, frozen=True, kw_only=True):
    reference: Decimal
    margin_bps: int


def _on_grid(value: Decimal, step: Decimal, decimals: int) -> Decimal:
    _require_amount(value)
    unit = _unit(step, decimals)
    units = _EXACT.divide_int(value, step)
    return _EXACT.quantize(_EXACT.multiply(units, step), unit)


def _is_on_grid(value: Decimal, step: Decimal) -> bool:
    _require_amount(value)
    return not _EXACT.remainder(value, step)


def _require_amount(value: Decimal) -> None:
    if not value.is_finite() or value < ZERO:
        raise ValueError(f"{value!r} cannot be quantised: it must be finite and not negative")


@lru_cache(maxsize=1024)
def _unit(step: Decimal, decimals: int) -> Decimal:
    """One in the last decimal that is printed, whichever way the step is spelled."""
    if step <= 0:
        raise ValueError(f"step {step!r} is not positive")
    return ONE.scaleb(-max(decimals, decimals_of(step)))


def _malformed(draft: OrderDraft) -> OrderRefused | None:
    for amount in (draft.qty, draft.price, draft.stop_price):
        if amount is not None and not (amount.is_finite() and amount > 0):
            return _refuse("LOT_SIZE", "amounts must be finite and above zero", _SIZE)
    if (draft.price is not None) != (draft.type in _LIMIT_PRICED):
        return _refuse("PRICE_FILTER", f"{draft.type} and its price do not go together")
    wants_trigger = draft.type in _STOP_PRICED
    has_trigger = draft.stop_price is not None or draft.trailing_delta is not None
    if wants_trigger != has_trigger:
        return _refuse("PRICE_FILTER", f"{draft.type} and its trigger do not go together")
    return None


def _refusal(order: Quantized, constraints: Constraints, band: _Band) -> OrderRefused | None:
    """The first filter that refuses the order, if any."""
    for price in (order.price, order.stop_price):
        refused = None if price is None else _bad_price(price, order.side, constraints, band)
        if refused is not None:
            return refused
    return (
        _bad_lot(order, constraints)
        or _bad_notional(order, constraints, band)
        or _bad_trailing(order, constraints)
    )


def _bad_price(
    price: Decimal, side: Side, constraints: Constraints, band: _Band
) -> OrderRefused | None:
    if price <= 0 or (constraints.min_price and price < constraints.min_price):
        return _refuse("PRICE_FILTER", f"{price} is below {constraints.min_price}")
    if constraints.max_price and price > constraints.max_price:
        return _refuse("PRICE_FILTER", f"{price} is above {constraints.max_price}")
    limits = constraints.percent_price
    if limits is None:
        return None
    buying = side is Side.BUY
    up, down = (limits.bid_up, limits.bid_down) if buying else (limits.ask_up, limits.ask_down)
    low = band.reference * down * (BPS + band.margin_bps) / BPS
    high = band.reference * up * (BPS - band.margin_bps) / BPS
    if not low <= price <= high:
        return _refuse("PERCENT_PRICE", f"{price} is outside {low:f}..{high:f}")
    return None


def _bad_lot(order: Quantized, constraints: Constraints) -> OrderRefused | None:
    if order.qty <= 0 or order.qty < constraints.min_qty:
        return _refuse("LOT_SIZE", f"{order.qty} is below {constraints.min_qty}", _SIZE)
    if order.qty > constraints.max_qty:
        return _refuse("LOT_SIZE", f"{order.qty} is above {constraints.max_qty}", _SIZE)
    if order.type is not OrderType.MARKET:
        return None
    low, high = constraints.market_min_qty, constraints.market_max_qty
    if low and order.qty < low:
        return _refuse("MARKET_LOT_SIZE", f"{order.qty} is below {low}", _SIZE)
    # Some symbols state a market maximum of zero, which means that there is none.
    if high and order.qty > high:
        return _refuse("MARKET_LOT_SIZE", f"{order.qty} is above {high}", _SIZE)
    return None


def _bad_notional(order: Quantized, constraints: Constraints, band: _Band) -> OrderRefused | None:
    price = band.reference if order.price is None else order.price
    notional = price * order.qty
    if notional < constraints.min_notional:
        return _refuse(
            "NOTIONAL", f"{notional:f} is below {constraints.min_notional}", _MIN_NOTIONAL
        )
    if constraints.max_notional and notional > constraints.max_notional:
        return _refuse("NOTIONAL", f"{notional:f} is above {constraints.max_notional}", _SIZE)
    return None


def _bad_trailing(order: Quantized, constraints: Constraints) -> OrderRefused | None:
    delta = order.trailing_delta
    if delta is None:
        return None
    bounds = constraints.trailing_delta_bounds
    if bounds is None:
        return _refuse("TRAILING_DELTA", "the symbol offers no trailing orders")
    stop = order.type in (OrderType.STOP_LOSS, OrderType.STOP_LOSS_LIMIT)
    above = stop == (order.side is Side.BUY)
    low, high = (
        (bounds.min_above, bounds.max_above) if above else (bounds.min_below, bounds.max_below)
    )
    if not low <= delta <= high:
        return _refuse("TRAILING_DELTA", f"{delta} is outside {low}..{high}")
    return None


_SIZE = ReasonCode.RISK_SIZE_INVALID
_MIN_NOTIONAL = ReasonCode.PROTECTION_INVALID_MIN_NOTIONAL


def _refuse(
    filter_name: str, detail: str, reason: ReasonCode = ReasonCode.PROTECTION_INVALID_FILTER
) -> OrderRefused:
    return OrderRefused(reason=reason, filter_name=filter_name, detail=detail)
