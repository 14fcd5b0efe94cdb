"""Finds the quantity of a market order that states only the amount to spend or to receive."""

from decimal import Decimal

from livespot.exchange.filter_types import Range
from livespot.exchange.filters import fail
from livespot.exchange.funds import floor_to
from livespot.exchange.model import (
    ZERO,
    Rejection,
    Side,
    SymbolSpec,
)
from livespot.exchange.state import Market


def market_quantity(market: Market, side: Side, amount: Decimal) -> Decimal:
    """The quantity, within the lot filters, whose notional at the book comes closest to `amount`.

    A buy comes closest from below, as it may not spend more than was said. Where the book is too
    thin the quantity is that of the whole amount at the last price there; it will not fill.

    Raises:
        Rejection: -2010, the book holds less than the smallest order; -1013, the amount is worth
            less than that.
    """
    least, name = _least(market.spec)
    left, qty, depth, price = amount, ZERO, ZERO, None
    for price, offered in market.book.walk(side, None):
        depth += offered
        taken = min(offered, left / price)
        qty += taken
        left -= taken * price
        if left <= 0 and depth >= least:
            break
    if price is None or depth < least:
        quoted = f"`{name}` filter" if name else "symbol"
        raise Rejection(-2010, f"Order book liquidity is less than {quoted} minimum quantity.")
    found = _to_lot(market.spec, side, qty + left / price)
    if found < least:
        raise fail(name or "LOT_SIZE")
    return found


def _to_lot(spec: SymbolSpec, side: Side, exact: Decimal) -> Decimal:
    rules = [rule for rule in (spec.filters.lot, spec.filters.market_lot) if rule is not None]
    step = max((rule.step for rule in rules), default=ZERO) or _unit(spec)
    qty = floor_to(exact, step)
    if side == "SELL" and (exact - qty) * 2 >= step:
        qty += step
    highest = min((rule.high for rule in rules if rule.high > 0), default=qty)
    return min(qty, floor_to(highest, step))


def _least(spec: SymbolSpec) -> tuple[Decimal, str]:
    """The smallest quantity and the filter that says so; no name where it is the precision."""
    found: list[tuple[Range | None, str]] = [
        (spec.filters.lot, "LOT_SIZE"),
        (spec.filters.market_lot, "MARKET_LOT_SIZE"),
    ]
    named = [(rule.low, name) for rule, name in found if rule is not None and rule.low > 0]
    return max(named, key=lambda one: one[0], default=(_unit(spec), ""))


def _unit(spec: SymbolSpec) -> Decimal:
    return Decimal(1).scaleb(-spec.base_precision)
