"""One symbol's order book: house liquidity plus resting account orders."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import islice
from typing import Protocol

import msgspec

from livespot.exchange.model import ZERO, Level, Levels, Order, Side


class Maker(msgspec.Struct, frozen=True, gc=False):
    """What an incoming order meets next; `order` is None when it is the house."""

    price: Decimal
    qty: Decimal
    order: Order | None


class House(Protocol):
    """The house's side of a book at one instant; `reach` bounds the prices of all its levels."""

    @property
    def best_bid(self) -> Level: ...

    @property
    def best_ask(self) -> Level: ...

    @property
    def reach(self) -> tuple[Decimal, Decimal]: ...

    def levels(self) -> tuple[Levels, Levels]: ...


class _Level:
    """One price of one side: house quantity and account orders, oldest first."""

    __slots__ = ("house", "orders")

    def __init__(self) -> None:
        self.house = ZERO
        self.orders: dict[int, Order] = {}

    def visible(self) -> Decimal:
        """What the book shows here."""
        if not self.orders:
            return self.house
        total = self.house
        for order in self.orders.values():
            total += displayed(order)
        return total


class _Half:
    """One side of a book: levels by price, their prices sorted, and what changed of them."""

    __slots__ = ("_descends", "levels", "prices", "shown", "touched")

    def __init__(self, *, descends: bool) -> None:
        self.levels: dict[Decimal, _Level] = {}
        self.prices: list[Decimal] = []
        self.shown: dict[Decimal, Decimal] = {}
        self.touched: set[Decimal] = set()
        self._descends = descends

    def best_first(self) -> Iterable[Decimal]:
        return reversed(self.prices) if self._descends else self.prices

    def top(self) -> Decimal | None:
        if not self.prices:
            return None
        return self.prices[-1 if self._descends else 0]

    def ensure(self, price: Decimal) -> _Level:
        self.touched.add(price)
        level = self.levels.get(price)
        if level is None:
            level = self.levels[price] = _Level()
            insort(self.prices, price)
        return level

    def tidy(self, price: Decimal, level: _Level) -> None:
        """Note a change of a level, and drop it once nothing is left of it."""
        self.touched.add(price)
        if not level.orders and level.house <= 0:
            del self.levels[price]
            del self.prices[bisect_left(self.prices, price)]

    def replace_house(self, levels: Levels) -> None:
        offered, standing = dict(levels), self.levels
        # Most levels stay as they are from one quote to the next; those must cost next to nothing.
        gone = [
            price for price, level in standing.items() if price not in offered and level.house > 0
        ]
        for price in gone:
            self._set_house(price, ZERO)
        for price, qty in offered.items():
            level = standing.get(price)
            if qty != (ZERO if level is None else level.house):
                self._set_house(price, max(qty, ZERO))

    def changes(self) -> tuple[Level, ...]:
        changed, shown, levels = [], self.shown, self.levels
        for price in self.touched:
            level = levels.get(price)
            now = ZERO if level is None else level.visible()
            if shown.get(price, ZERO) != now:
                changed.append((price, now))
                if now:
                    shown[price] = now
                else:
                    del shown[price]
        self.touched.clear()
        if len(changed) > 1:
            changed.sort(reverse=self._descends)
        return tuple(changed)

    def _set_house(self, price: Decimal, qty: Decimal) -> None:
        level = self.levels.get(price)
        if level is not None and level.house == qty:
            return
        level = level or self.ensure(price)
        level.house = qty
        for order in level.orders.values():
            if order.queue_ahead > qty:
                order.queue_ahead = qty
        self.tidy(price, level)


class Book:
    """Price-time priority over house levels and account orders.

    At one price an account order stands behind the house quantity that was displayed when it
    was placed; house quantity added later stands behind it. Of an iceberg only one part stands
    in the queue; the next part joins it at the back.

    House levels that nobody looks at and no order can meet are not worked out: most quotes are
    followed by another one before anybody does. What is seen of the book is the same.
    """

    def __init__(self) -> None:
        self.update_id = 0
        self._deferred: House | None = None
        self._moved = False
        self._watched = False
        self._resting: dict[int, Order] = {}
        bids, asks = _Half(descends=True), _Half(descends=False)
        self._halves: dict[Side, _Half] = {"BUY": bids, "SELL": asks}
        # What an order of a side trades with.
        self._facing: dict[Side, _Half] = {"BUY": asks, "SELL": bids}

    def defer(self, house: House) -> bool:
        """Take the house levels as set without working them out; false when they must be.

        They must when somebody watches them, when they may touch an order, and when the best ones
        stay: then nothing shows whether the book changes at all.
        """
        best_bid, best_ask = house.best_bid, house.best_ask
        if self._watched or best_bid[1] <= 0 or best_ask[1] <= 0 or not self._is_clear_of(house):
            return False
        if self.best("BUY") == best_bid and self.best("SELL") == best_ask:
            return False
        self._deferred = house
        self._moved = True
        return True

    def has_moved(self) -> bool:
        """Whether levels were deferred since the last call."""
        moved, self._moved = self._moved, False
        return moved

    def watch(self, *, watched: bool) -> None:
        """While it is watched every level is worked out at once."""
        self._work_out()
        self._watched = watched

    def _is_clear_of(self, house: House) -> bool:
        """Whether every resting order lies beyond the house's levels, the old and the new."""
        if not self._resting:
            return True
        lowest, highest = house.reach
        for order in self._resting.values():
            beyond = order.price < lowest if order.side == "BUY" else order.price > highest
            if not beyond or self._halves[order.side].levels[order.price].house > 0:
                return False
        return True

    def _work_out(self) -> None:
        """Make the deferred levels those of the book; that they changed has been told.

        An order that left meanwhile has not: that stays to be told.
        """
        house, self._deferred = self._deferred, None
        if house is not None:
            bids, asks = house.levels()
            for half, levels in zip(self._halves.values(), (bids, asks), strict=True):
                self._moved |= bool(half.changes())
                half.replace_house(levels)
                half.changes()

    def replace_house(self, bids: Levels, asks: Levels) -> None:
        """Set all house levels; a queue ahead of an order only ever shrinks."""
        self._work_out()
        self._halves["BUY"].replace_house(bids)
        self._halves["SELL"].replace_house(asks)

    def rest(self, order: Order) -> None:
        """Put an order on the book behind everything at its price."""
        self._work_out()
        self._resting[order.order_id] = order
        level = self._halves[order.side].ensure(order.price)
        order.queue_ahead = level.house
        if order.iceberg_qty:
            order.displayed = min(order.iceberg_qty, order.remaining)
        level.orders[order.order_id] = order

    def remove(self, order: Order) -> None:
        """Take an order off the book; nothing happens when it is not there."""
        if self._resting.pop(order.order_id, None) is None:
            return
        half, price = self._halves[order.side], order.price
        level = half.levels.get(price)
        if level is not None and level.orders.pop(order.order_id, None) is not None:
            half.tidy(price, level)

    def shrunk(self, order: Order, qty: Decimal = ZERO) -> None:
        """Show a resting order's smaller remainder, `qty` of which was taken from the queue.

        An iceberg whose displayed part is gone shows the next one, behind everything else.
        """
        half = self._halves[order.side]
        level = half.levels.get(order.price)
        if level is None or order.order_id not in level.orders:
            return
        half.touched.add(order.price)
        if order.iceberg_qty > 0 and qty > 0:
            order.displayed -= qty
            if order.displayed <= 0 < order.remaining:
                del level.orders[order.order_id]
                self.rest(order)

    def resting(self, side: Side, limit: Decimal | None = None) -> list[Order]:
        """Resting orders of a side, best first; with a limit those it reaches at their price."""
        found: list[Order] = []
        if not self._resting:
            return found
        half = self._halves[side]
        for price in half.best_first():
            if limit is not None and not reaches(side, price, limit):
                break
            found.extend(half.levels[price].orders.values())
        return found

    def first_at(self, side: Side, price: Decimal) -> Order | None:
        """The order that stands first at a price."""
        level = self._halves[side].levels.get(price)
        return None if level is None else next(iter(level.orders.values()), None)

    def best_maker(self, side: Side, limit: Decimal | None) -> Maker | None:
        """What a taker on `side` would trade with next, within its limit price."""
        self._work_out()
        half = self._facing[side]
        price = half.top()
        if price is None or (limit is not None and not reaches(side, limit, price)):
            return None
        level = half.levels[price]
        order = next(iter(level.orders.values()), None)
        if order is None:
            return Maker(price, level.house, None)
        ahead = level.house and min(order.queue_ahead, level.house)
        if ahead > 0:
            return Maker(price, ahead, None)
        return Maker(price, displayed(order), order)

    def offers(self, side: Side, limit: Decimal | None) -> Iterator[Maker]:
        """Everything a taker could take within its limit, best price first, hidden parts too."""
        self._work_out()
        half = self._facing[side]
        for price in half.best_first():
            if limit is not None and not reaches(side, limit, price):
                return
            level = half.levels[price]
            if level.house > 0:
                yield Maker(price, level.house, None)
            for order in level.orders.values():
                yield Maker(price, order.remaining, order)

    def walk(self, side: Side, limit: Decimal | None) -> Iterator[Level]:
        """The same as (price, quantity); a price may come more than once."""
        for maker in self.offers(side, limit):
            yield maker.price, maker.qty

    def take_house(self, side: Side, price: Decimal, qty: Decimal) -> None:
        """Consume house quantity on a side; orders behind it move up."""
        self._work_out()
        half = self._halves[side]
        level = half.levels[price]
        level.house = max(ZERO, level.house - qty)
        _advance(level, qty)
        half.tidy(price, level)

    def advance_queue(self, side: Side, price: Decimal, qty: Decimal) -> None:
        """Shorten the queue ahead of every order at a price."""
        level = self._halves[side].levels.get(price)
        if level is not None:
            _advance(level, qty)

    def best_house(self, side: Side) -> Level | None:
        """The best house level of a side."""
        self._work_out()
        half = self._halves[side]
        for price in half.best_first():
            if half.levels[price].house > 0:
                return price, half.levels[price].house
        return None

    def best(self, side: Side) -> Level | None:
        """Best price of a side with all that is shown there."""
        house = self._deferred
        if house is not None:
            return house.best_bid if side == "BUY" else house.best_ask
        half = self._halves[side]
        price = half.top()
        return None if price is None else (price, half.levels[price].visible())

    def merged(self, side: Side, limit: int | None = None) -> list[Level]:
        """The levels of a side as shown, house and account orders together, best first."""
        self._work_out()
        half = self._halves[side]
        prices = islice(half.best_first(), limit)
        return [(price, half.levels[price].visible()) for price in prices]

    def changes(self) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
        """Levels (bids, asks) that differ from the last call, zero for those gone."""
        bids, asks = self._halves["BUY"], self._halves["SELL"]
        return bids.changes() if bids.touched else (), asks.changes() if asks.touched else ()


def displayed(order: Order) -> Decimal:
    """What the book shows of a resting order."""
    remaining = order.remaining
    return min(order.displayed, remaining) if order.iceberg_qty else remaining


def opposite(side: Side) -> Side:
    """The other side."""
    return "SELL" if side == "BUY" else "BUY"


def reaches(side: Side, limit: Decimal, price: Decimal) -> bool:
    """True when an order on `side` with this limit may trade at `price`."""
    return limit >= price if side == "BUY" else limit <= price


def _advance(level: _Level, qty: Decimal) -> None:
    for order in level.orders.values():
        order.queue_ahead = max(ZERO, order.queue_ahead - qty)
