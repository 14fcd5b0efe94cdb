"""The newest public trades of one symbol, as columns of whole numbers."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import overload

import msgspec

from livespot.exchange.model import NO_ORDER, PublicTrade

KEPT_TRADES = 2500
# Dropping the oldest one by one would move every column each time.
_SLACK = 500


class AggTrade(msgspec.Struct, frozen=True, gc=False):
    """What one taker order traded at one price."""

    agg_id: int
    price: Decimal
    qty: Decimal
    first_id: int
    last_id: int
    time_ms: int
    buyer_is_maker: bool

    def joined(self, trade: PublicTrade) -> "AggTrade":
        """This aggregate with one more trade of the same taker."""
        return AggTrade(
            self.agg_id,
            self.price,
            self.qty + trade.qty,
            self.first_id,
            trade.trade_id,
            trade.time_ms,
            self.buyer_is_maker,
        )


def first_of(agg_id: int, trade: PublicTrade) -> AggTrade:
    """An aggregate of one trade so far."""
    return AggTrade(
        agg_id,
        trade.price,
        trade.qty,
        trade.trade_id,
        trade.trade_id,
        trade.time_ms,
        trade.buyer_is_maker,
    )


class TradeLog(Sequence[PublicTrade]):
    """At least the last `KEPT_TRADES` trades, oldest first; the parties' order ids are not kept."""

    def __init__(self, symbol: str, tick_size: Decimal, step_size: Decimal) -> None:
        self.last_agg_id = 0
        self.dropped = False
        self.ids = array("q")
        self.times = array("q")
        self.ticks = array("q")
        self.steps = array("q")
        self.makers = array("b")
        self._aggs = array("q")
        self._taker: tuple[int, int, bool] | None = None
        self._symbol = symbol
        self._tick_size = tick_size
        self._step_size = step_size

    def append(self, trade: PublicTrade, ticks: int, steps: int) -> None:
        """Add a trade; one of the same taker at the same price as the last joins its aggregate."""
        taker = (trade.taker_id, ticks, trade.buyer_is_maker)
        if not trade.taker_id or taker != self._taker:
            self.last_agg_id += 1
            self._taker = taker
        self.ids.append(trade.trade_id)
        self.times.append(trade.time_ms)
        self.ticks.append(ticks)
        self.steps.append(steps)
        self.makers.append(trade.buyer_is_maker)
        self._aggs.append(self.last_agg_id)
        if len(self.ids) >= KEPT_TRADES + _SLACK:
            self._drop(_SLACK)

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, index: int) -> PublicTrade: ...
    @overload
    def __getitem__(self, index: slice) -> list[PublicTrade]: ...
    def __getitem__(self, index: int | slice) -> PublicTrade | list[PublicTrade]:
        if isinstance(index, slice):
            return [self._trade(row) for row in range(*index.indices(len(self)))]
        return self._trade(index)

    def __iter__(self) -> Iterator[PublicTrade]:
        return map(self._trade, range(len(self)))

    def from_id(self, trade_id: int, limit: int) -> list[PublicTrade]:
        """The oldest kept trades from an id on."""
        row = bisect_left(self.ids, trade_id)
        return self[row : row + limit]

    def aggregates(
        self,
        *,
        from_id: int | None = None,
        start_ms: int | None = None,
        end_ms: int | None = None,
        limit: int,
    ) -> list[AggTrade]:
        """Kept aggregates in a span: the oldest with a start or id, else the newest.

        A span counts an aggregate by its last trade's time. One whose beginning was dropped is
        left out, since its quantity is no longer known.
        """
        low = self._complete_from()
        if from_id is not None:
            low = max(low, bisect_left(self._aggs, from_id))
        if start_ms is not None:
            low = max(low, self._agg_start(bisect_left(self.times, start_ms)))
        high = len(self) if end_ms is None else bisect_right(self.times, end_ms)
        if from_id is None and start_ms is None:
            return self._newest(low, high, limit)
        found: list[AggTrade] = []
        while low < high and len(found) < limit:
            after = bisect_right(self._aggs, self._aggs[low])
            if after <= high:
                found.append(self._aggregate(low, after))
            low = after
        return found

    def _newest(self, low: int, high: int, limit: int) -> list[AggTrade]:
        found: list[AggTrade] = []
        high = self._agg_start(high)
        while low < high and len(found) < limit:
            first = bisect_left(self._aggs, self._aggs[high - 1])
            found.append(self._aggregate(first, high))
            high = first
        return found[::-1]

    def _complete_from(self) -> int:
        """The first row whose aggregate is kept from its beginning."""
        if not self.dropped:
            return 0
        return bisect_right(self._aggs, self._aggs[0])

    def _agg_start(self, row: int) -> int:
        """The first row of the aggregate a row belongs to."""
        return bisect_left(self._aggs, self._aggs[row]) if row < len(self) else row

    def _aggregate(self, first: int, after: int) -> AggTrade:
        last = self._trade(after - 1)
        return AggTrade(
            self._aggs[first],
            last.price,
            sum(self.steps[first:after]) * self._step_size,
            self.ids[first],
            last.trade_id,
            last.time_ms,
            last.buyer_is_maker,
        )

    def _trade(self, row: int) -> PublicTrade:
        return PublicTrade(
            symbol=self._symbol,
            trade_id=self.ids[row],
            price=self.ticks[row] * self._tick_size,
            qty=self.steps[row] * self._step_size,
            buyer_is_maker=bool(self.makers[row]),
            buyer_order_id=NO_ORDER,
            seller_order_id=NO_ORDER,
            time_ms=self.times[row],
        )

    def _drop(self, count: int) -> None:
        for column in (self.ids, self.times, self.ticks, self.steps, self.makers, self._aggs):
            del column[:count]
        self.dropped = True
