"""The played minutes of one symbol, as columns of whole numbers."""

from array import array
from bisect import bisect_left, bisect_right

import msgspec

from livespot.exchange.klines import Bar, join
from livespot.exchange.model import PublicTrade

# The usual windows are a day long. Beyond two, the record says the same but for accounts' trades.
KEPT_MINUTES = 2 * 1440
_SLACK = 240


class MinuteLog:
    """At least the last `KEPT_MINUTES` minutes, oldest first; a row is a place in that order."""

    def __init__(self) -> None:
        self.opens = array("q")
        self.closes = array("q")
        self._starts = array("q")
        self._highs = array("q")
        self._lows = array("q")
        self._sums = tuple(array("q") for _ in range(5))
        self._first_ids = array("q")
        self._last_ids = array("q")
        self._all = (
            self.opens,
            self._starts,
            self._highs,
            self._lows,
            self.closes,
            *self._sums,
            self._first_ids,
            self._last_ids,
        )

    def __len__(self) -> int:
        return len(self.opens)

    def add(self, bar: Bar) -> None:
        """Add one minute, or join it to what its minute holds already."""
        place = bisect_left(self.opens, bar.open_ms)
        if place < len(self.opens) and self.opens[place] == bar.open_ms:
            joined = self.at(place)
            join(joined, bar)
            self._store(place, joined)
            return
        for column, value in zip(self._all, msgspec.structs.astuple(bar), strict=True):
            column.insert(place, value)
        if len(self.opens) >= KEPT_MINUTES + _SLACK:
            for column in self._all:
                del column[:_SLACK]

    def extend(self, open_ms: int, ticks: int, steps: int, trade: PublicTrade) -> bool:
        """The usual case, in place: one more trade in the newest minute, which has some already.

        False when it is another case.
        """
        volumes, quotes, counts, taker_base, taker_quotes = self._sums
        if not counts or self.opens[-1] != open_ms or not counts[-1]:
            return False
        if ticks > self._highs[-1]:
            self._highs[-1] = ticks
        if ticks < self._lows[-1]:
            self._lows[-1] = ticks
        self.closes[-1] = ticks
        volumes[-1] += steps
        quotes[-1] += ticks * steps
        counts[-1] += 1
        if not trade.buyer_is_maker:
            taker_base[-1] += steps
            taker_quotes[-1] += ticks * steps
        self._last_ids[-1] = trade.trade_id
        if self._first_ids[-1] < 0:
            self._first_ids[-1] = trade.trade_id
        return True

    def rows(self, from_ms: int, to_ms: int) -> tuple[int, int]:
        """Rows [first, after) of the minutes that open in a span, both ends included."""
        return bisect_left(self.opens, from_ms), bisect_right(self.opens, to_ms)

    def at(self, row: int) -> Bar:
        """One minute."""
        return Bar(*[column[row] for column in self._all])

    def total(self, first: int, after: int, open_ms: int) -> Bar:
        """Rows [first, after), at least one, as one bar. Minutes without trades have no price."""
        if after - first == 1:
            bar = self.at(first)
            bar.open_ms = open_ms
            return bar
        counts = self._sums[2]
        while first < after - 1 and not counts[first]:
            first += 1
        ids = [number for number in self._first_ids[first:after] if number >= 0]
        volume, quote, trades, taker_base, taker_quote = (
            sum(column[first:after]) for column in self._sums
        )
        return Bar(
            open_ms,
            self._starts[first],
            max(self._highs[first:after]),
            min(self._lows[first:after]),
            self.closes[after - 1],
            volume,
            quote,
            trades,
            taker_base,
            taker_quote,
            ids[0] if ids else -1,
            max(self._last_ids[first:after]),
        )

    def _store(self, row: int, bar: Bar) -> None:
        for column, value in zip(self._all, msgspec.structs.astuple(bar), strict=True):
            column[row] = value
