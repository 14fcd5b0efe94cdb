"""Counts one account's open orders per symbol and over the whole exchange."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from livespot.exchange.model import ALGO_TYPES, NO_LIST, ExchangeFilters, Order

NO_EXCHANGE_FILTERS = ExchangeFilters()


@dataclass(slots=True)
class Tally:
    """Open orders by what filters limit; `lists` maps a list to its number of open orders."""

    orders: int = 0
    algos: int = 0
    icebergs: int = 0
    lists: dict[int, int] = field(default_factory=dict)


class OpenOrders:
    """What one account has open, and what it may have; tallies are kept, not counted when asked."""

    def __init__(self, limits: ExchangeFilters = NO_EXCHANGE_FILTERS) -> None:
        self.limits = limits
        self.total = Tally()
        self._symbols: dict[str, tuple[Tally, dict[int, Order]]] = {}

    def add(self, order: Order) -> None:
        """Count a new order."""
        held = self._symbols.get(order.symbol)
        if held is None:
            held = self._symbols[order.symbol] = (Tally(), {})
        tally, orders = held
        orders[order.order_id] = order
        _count(order, 1, tally, self.total)

    def discard(self, order: Order) -> None:
        """Stop counting an order that ended."""
        tally, orders = self._symbols[order.symbol]
        del orders[order.order_id]
        _count(order, -1, tally, self.total)

    def on(self, symbol: str) -> Tally:
        """The counts of one symbol."""
        held = self._symbols.get(symbol)
        return Tally() if held is None else held[0]

    def orders(self, symbol: str) -> Mapping[int, Order]:
        """The open orders of one symbol by id, oldest first."""
        held = self._symbols.get(symbol)
        return {} if held is None else held[1]


def _count(order: Order, step: int, *tallies: Tally) -> None:
    """Add the order (step 1) or take it out again (step -1)."""
    is_algo, list_id = order.type in ALGO_TYPES, order.list_id
    for tally in tallies:
        tally.orders += step
        if is_algo:
            tally.algos += step
        if order.iceberg_qty:
            tally.icebergs += step
        if list_id != NO_LIST:
            left = tally.lists.get(list_id, 0) + step
            if left > 0:
                tally.lists[list_id] = left
            else:
                del tally.lists[list_id]
