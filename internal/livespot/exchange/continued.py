"""Goes on after a record's end: its last days again and again, joined without a jump."""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import overload

from livespot.exchange.candle import MINUTE_MS, Candle
from livespot.exchange.klines import Bar, join
from livespot.exchange.market import Backdrop, MarketEvent, minute_events
from livespot.exchange.model import SymbolSpec
from livespot.exchange.recorded import RecordedMarket, Series, series_of
from livespot.exchange.sources import usual_warm_up

LOOP_DAYS = 7
_DAY_MINUTES = 1440
_REPEATS = 5000
_BACKDROP_MINUTES = 20


@dataclass(frozen=True, slots=True)
class EndlessMinutes(Sequence[int]):
    """The minutes of a record, then those of its last `period` minutes over and over."""

    head: "array[int]"
    tail: "array[int]"
    period: int

    def __len__(self) -> int:
        return len(self.head) + _REPEATS * len(self.tail)

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> list[int]: ...
    def __getitem__(self, index: int | slice) -> int | list[int]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(index)
        if place < len(self.head):
            return self.head[place]
        times, row = divmod(place - len(self.head), len(self.tail))
        return self.tail[row] + (times + 1) * self.period


@dataclass(frozen=True, kw_only=True)
class ContinuedSeries:
    """One symbol's record and its continuation.

    The repeated days are tilted in a straight line so that they end at the price they begin with:
    no jump where they join, and no drift however often they repeat.
    """

    head: Series
    period: int

    @property
    def symbol(self) -> str:
        return self.head.symbol

    @property
    def tick_size(self) -> Decimal:
        return self.head.tick_size

    @property
    def step_size(self) -> Decimal:
        return self.head.step_size

    @cached_property
    def minutes(self) -> EndlessMinutes:
        """Epoch minutes; the record's outages are repeated with it."""
        return EndlessMinutes(self.head.minutes, self.head.minutes[self._first :], self.period)

    @cached_property
    def _first(self) -> int:
        """The row the repeated part begins with."""
        since = self.head.minutes[-1] + 1 - self.period
        return next(row for row, minute in enumerate(self.head.minutes) if minute >= since)

    @cached_property
    def _tail(self) -> Series:
        """The repeated part, tilted, at the record's own times."""
        head, rows = self.head, slice(self._first, None)
        minutes, volumes = head.minutes[rows], head.columns[4][rows]
        first, last = head.columns[0][self._first], head.columns[3][-1]
        since = head.minutes[-1] + 1 - self.period
        # `last / first` at the beginning, 1 at the end, in a straight line between.
        shares = [last * (self.period - m + since) + first * (m - since) for m in minutes]
        whole = first * self.period
        opens, highs, lows, closes = (
            array("q", [max(1, p * s // whole) for p, s in zip(column[rows], shares, strict=True)])
            for column in head.columns[:4]
        )
        closes[-1] = min(max(last, lows[-1]), highs[-1])
        return series_of(
            self.symbol,
            (self.tick_size, self.step_size),
            (minutes, opens, highs, lows, closes, volumes),
        )

    def prepare(self) -> None:
        """Work out the repeated part now rather than when it is first needed."""
        self.bar(len(self.head.minutes), len(self.head.minutes) + 1, 0)

    def at(self, row: int) -> Candle:
        """The candle in a row."""
        if row < len(self.head.minutes):
            return self.head.at(row)
        one = self._tail.at((row - len(self.head.minutes)) % len(self._tail.minutes))
        open_ms = self.minutes[row] * MINUTE_MS
        return Candle(open_ms, one.open, one.high, one.low, one.close, one.volume)

    def bar(self, first: int, last: int, open_ms: int) -> Bar:
        """Rows [first, last), at least one, as one bar."""
        head = len(self.head.minutes)
        if last <= head:
            return self.head.bar(first, last, open_ms)
        if first < head:
            return _joined(self.head.bar(first, head, open_ms), self.bar(head, last, open_ms))
        size = len(self._tail.minutes)
        times, row = divmod(first - head, size)
        until = min(last - head - times * size, size)
        part = self._tail.bar(row, until, open_ms)
        after = first + until - row
        return part if after == last else _joined(part, self.bar(after, last, open_ms))

    def events(self, key: str, open_ms: int) -> tuple[MarketEvent, ...]:
        """One way in which a minute can have come about; nothing in an outage."""
        minute = open_ms // MINUTE_MS
        if minute <= self.head.minutes[-1]:
            return self.head.events(key, open_ms)
        size = len(self._tail.minutes)
        times, since = divmod(minute - self.head.minutes[-1] - 1, self.period)
        at = self._tail.index.get(self.head.minutes[-1] + 1 - self.period + since)
        if at is None:
            return ()
        row = len(self.head.minutes) + times * size + at
        before = [self.at(row - back) for back in range(_BACKDROP_MINUTES, 0, -1)]
        backdrop = Backdrop(
            sum(candle.close for candle in before) // len(before),
            sum(candle.volume for candle in before) // len(before),
        )
        return minute_events(key, self.at(row), backdrop)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinuedMarket:
    """A record that never ends: from `recorded_until_ms` on its last `period` minutes repeat."""

    data_id: str
    sha256: str
    start_ms: int
    recorded_until_ms: int
    period: int
    series: Mapping[str, ContinuedSeries]
    symbols: tuple[SymbolSpec, ...]
    end_ms: int | None = None

    @property
    def warm_up_minutes(self) -> int:
        return usual_warm_up(len(self.series))

    def warm(self, now_ms: int, step: int) -> bool:
        """Work out the continuation of one symbol once the record is about to end."""
        soon = now_ms + _DAY_MINUTES * MINUTE_MS >= self.recorded_until_ms
        if not soon or step >= len(self.series):
            return False
        list(self.series.values())[step].prepare()
        return True


def continued(market: RecordedMarket) -> ContinuedMarket:
    """The same market with its last days repeated for ever."""
    minutes = (market.end_ms - market.start_ms) // MINUTE_MS
    days = min(LOOP_DAYS, minutes // _DAY_MINUTES)
    period = days * _DAY_MINUTES or minutes
    return ContinuedMarket(
        data_id=market.data_id,
        sha256=market.sha256,
        start_ms=market.start_ms,
        recorded_until_ms=market.end_ms,
        period=period,
        series={
            name: ContinuedSeries(head=series, period=period)
            for name, series in market.series.items()
        },
        symbols=market.symbols,
    )


def _joined(bar: Bar, later: Bar) -> Bar:
    join(bar, later)
    return bar
