"""One symbol's order book: house liquidity plus resting account orders."""

from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from livespot.exchange.model import ZERO, Level, Levels, Order, Side


@dataclass(frozen=True, slots=True)
class Maker:
    """What an incoming order meets next; `order` is None when it is the house."""

    price: Decimal
    qty: Decimal
    order: Order | None


class Book:
    """Price-time priority over house levels and account orders.

    At one price an account order stands behind the house quantity that was displayed when it
    was placed; house quantity added later stands behind it.
    """

    def __init__(self) -> None:
        self.update_id = 0
        self.dirty = False
        self._house: dict[Side, dict[Decimal, Decimal]] = {"BUY": {}, "SELL": {}}
        self._resting: dict[Side, list[Order]] = {"BUY": [], "SELL": []}
        self._shown: dict[Side, dict[Decimal, Decimal]] = {"BUY": {}, "SELL": {}}

    def replace_house(self, bids: Levels, asks: Levels) -> None:
        """Set all house levels; a queue ahead of an order only ever shrinks."""
        self._house["BUY"] = _sorted_levels(bids, descending=True)
        self._house["SELL"] = _sorted_levels(asks, descending=False)
        for side, orders in self._resting.items():
            for order in orders:
                shown = self._house[side].get(order.price, ZERO)
                order.queue_ahead = min(order.queue_ahead, shown)
        self.dirty = True

    def rest(self, order: Order) -> None:
        """Put an order on the book behind everything at its price."""
        order.queue_ahead = self._house[order.side].get(order.price, ZERO)
        insort(self._resting[order.side], order, key=_priority)
        self.dirty = True

    def remove(self, order: Order) -> None:
        """Take an order off the book; nothing happens when it is not there."""
        resting = self._resting[order.side]
        if order in resting:
            resting.remove(order)
            self.dirty = True

    def resting(self, side: Side) -> tuple[Order, ...]:
        """Resting orders of a side, best first."""
        return tuple(self._resting[side])

    def best_maker(self, side: Side, limit: Decimal | None) -> Maker | None:
        """What a taker on `side` would trade with next, within its limit price."""
        maker = self._best(opposite(side))
        if maker is None or limit is None or reaches(side, limit, maker.price):
            return maker
        return None

    def walk(self, side: Side, limit: Decimal | None) -> Iterator[Level]:
        """All (price, quantity) a taker could take within its limit, best first."""
        for price, qty in self.merged(opposite(side)):
            if limit is not None and not reaches(side, limit, price):
                return
            yield price, qty

    def take_house(self, side: Side, price: Decimal, qty: Decimal) -> None:
        """Consume house quantity on a side; orders behind it move up."""
        levels = self._house[side]
        left = levels[price] - qty
        if left > 0:
            levels[price] = left
        else:
            del levels[price]
        self.advance_queue(side, price, qty)

    def advance_queue(self, side: Side, price: Decimal, qty: Decimal) -> None:
        """Shorten the queue ahead of every order at a price."""
        for order in self._resting[side]:
            if order.price == price:
                order.queue_ahead = max(ZERO, order.queue_ahead - qty)
        self.dirty = True

    def house_levels(self, side: Side) -> list[Level]:
        """House levels of a side, best first."""
        return list(self._house[side].items())

    def best(self, side: Side) -> Level | None:
        """Best price of a side with its whole quantity, house and account orders together."""
        maker = self._best(side)
        if maker is None:
            return None
        total = self._house[side].get(maker.price, ZERO)
        for order in self._resting[side]:
            if order.price != maker.price:
                break
            total += order.remaining
        return maker.price, total

    def merged(self, side: Side) -> list[Level]:
        """House and account orders of a side as levels, best first."""
        levels = self._merged(side)
        return sorted(levels.items(), reverse=side == "BUY")

    def changes(self) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
        """Levels (bids, asks) that differ from the last call, zero for those gone."""
        self.dirty = False
        return self._side_changes("BUY"), self._side_changes("SELL")

    def _side_changes(self, side: Side) -> tuple[Level, ...]:
        now, before = self._merged(side), self._shown[side]
        changed = [(price, qty) for price, qty in now.items() if before.get(price) != qty]
        changed += [(price, ZERO) for price in before if price not in now]
        self._shown[side] = now
        return tuple(sorted(changed, reverse=side == "BUY"))

    def _merged(self, side: Side) -> dict[Decimal, Decimal]:
        levels = dict(self._house[side])
        for order in self._resting[side]:
            levels[order.price] = levels.get(order.price, ZERO) + order.remaining
        return levels

    def _best(self, side: Side) -> Maker | None:
        house = next(iter(self._house[side].items()), None)
        order = next(iter(self._resting[side]), None)
        if order is None:
            return None if house is None else Maker(house[0], house[1], None)
        if house is None or better(side, order.price, house[0]):
            return Maker(order.price, order.remaining, order)
        if house[0] == order.price:
            ahead = min(order.queue_ahead, house[1])
            if ahead == 0:
                return Maker(order.price, order.remaining, order)
            return Maker(house[0], ahead, None)
        return Maker(house[0], house[1], None)


def opposite(side: Side) -> Side:
    """The other side."""
    return "SELL" if side == "BUY" else "BUY"


def reaches(side: Side, limit: Decimal, price: Decimal) -> bool:
    """True when an order on `side` with this limit may trade at `price`."""
    return limit >= price if side == "BUY" else limit <= price


def better(side: Side, price: Decimal, other: Decimal) -> bool:
    """True when a resting `price` on `side` comes before `other`."""
    return price > other if side == "BUY" else price < other


def _priority(order: Order) -> tuple[Decimal, int]:
    return (-order.price if order.side == "BUY" else order.price), order.sequence


def _sorted_levels(levels: Levels, *, descending: bool) -> dict[Decimal, Decimal]:
    positive = [(price, qty) for price, qty in levels if qty > 0]
    return dict(sorted(positive, reverse=descending))
