"""Whether the fee discount can be counted on: enabled, and enough of its asset on hand."""

from decimal import Decimal

from livespot.contracts.orders import CommissionRates

_TRADES = 20


def discount_is_usable(
    rates: CommissionRates, free: Decimal, price: Decimal | None, trade_quote: Decimal
) -> bool:
    """Twenty round trips of `trade_quote` at the taker's rate must be payable from `free`.

    `price` is the discount asset's in quote; without one nothing is counted on.
    """
    if not rates.discount_enabled or price is None or price <= 0:
        return False
    needed = 2 * _TRADES * trade_quote * rates.taker * rates.discount
    return free * price >= needed
