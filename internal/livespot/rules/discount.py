"""Whether the fee discount can be relied on: enabled, and enough of its asset at hand."""

from decimal import Decimal

from livespot.contracts.orders import CommissionRates

_TRADES = 20


def discount_is_usable(
    rates: CommissionRates, free: Decimal, price: Decimal | None, trade_quote: Decimal
) -> bool:
    """Whether `free` pays the taker fees of twenty round trips of `trade_quote`.

    `price` is that of the discount asset in quote; without one the answer is False.
    """
    if not rates.discount_enabled or price is None or price <= 0:
        return False
    needed = 2 * _TRADES * trade_quote * rates.taker * rates.discount
    return free * price >= needed
