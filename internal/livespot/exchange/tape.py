"""What the market of one symbol has printed so far: minutes, last trades, a day's summary."""

from bisect import bisect_left, bisect_right
from collections import deque
from dataclasses import dataclass, replace
from decimal import Decimal

from livespot.exchange.candle import MINUTE_MS
from livespot.exchange.klines import Bar, aggregate, closes_at, join, opens_at
from livespot.exchange.market import Backdrop
from livespot.exchange.model import PublicTrade
from livespot.exchange.recorded import Series

DAY_MS = 86_400_000
_KEPT_TRADES = 1000
_E8 = 10**8
_BACKDROP_MINUTES = 20


@dataclass(frozen=True, slots=True)
class Scale:
    """Turns ticks and steps into the exchange's eight-decimal text."""

    tick_size: Decimal
    step_size: Decimal
    tick_e8: int
    step_e8: int

    @staticmethod
    def of(tick_size: Decimal, step_size: Decimal) -> "Scale":
        return Scale(tick_size, step_size, int(tick_size * _E8), int(step_size * _E8))

    def price(self, ticks: int) -> str:
        return text_e8(ticks * self.tick_e8)

    def qty(self, steps: int) -> str:
        return text_e8(steps * self.step_e8)

    def quote(self, ticks_times_steps: int) -> str:
        return text_e8(ticks_times_steps * self.tick_e8 * self.step_e8 // _E8)


def text_e8(units: int) -> str:
    """Units of 1e-8 as a plain decimal with eight places."""
    sign, size = ("-", -units) if units < 0 else ("", units)
    return f"{sign}{size // _E8}.{size % _E8:08d}"


class Tape:
    """Recorded history before `live_from_ms`, played trades after; nothing is invented between."""

    def __init__(self, series: Series, live_from_ms: int) -> None:
        self.series = series
        self.scale = Scale.of(series.tick_size, series.step_size)
        self.live_from_ms = live_from_ms
        self.trades: deque[PublicTrade] = deque(maxlen=_KEPT_TRADES)
        self._live: list[Bar] = []
        self._day_until = -1
        self._day: Bar | None = None

    def on_trade(self, trade: PublicTrade) -> None:
        """Add a trade to the forming minute."""
        ticks = int(trade.price / self.series.tick_size)
        steps = int(trade.qty / self.series.step_size)
        taker_steps = 0 if trade.buyer_is_maker else steps
        bar = Bar(
            trade.time_ms // MINUTE_MS * MINUTE_MS,
            ticks,
            ticks,
            ticks,
            ticks,
            steps,
            ticks * steps,
            1,
            taker_steps,
            taker_steps * ticks,
            trade.trade_id,
            trade.trade_id,
        )
        self.trades.append(trade)
        # An account's trade can come an instant before a market trade of the minute before.
        place = bisect_right(self._live, bar.open_ms, key=_opening)
        if place and self._live[place - 1].open_ms == bar.open_ms:
            join(self._live[place - 1], bar)
        else:
            self._live.insert(place, bar)

    def bars(self, interval: str, from_ms: int, to_ms: int, offset_ms: int = 0) -> list[Bar]:
        """Bars of an interval whose open time lies in the span, the forming one included."""
        first = opens_at(from_ms, interval, offset_ms)
        if first < from_ms:
            first = closes_at(first, interval, offset_ms) + 1
        last = closes_at(opens_at(to_ms, interval, offset_ms), interval, offset_ms)
        bars = self._recorded_bars(interval, first, last, offset_ms)
        for bar in aggregate(self._played(first, last), interval, offset_ms):
            if bars and bars[-1].open_ms == bar.open_ms:
                join(bars[-1], bar)
            else:
                bars.append(bar)
        return bars

    def forming(self, interval: str, now_ms: int) -> Bar | None:
        """The bar an instant lies in, or None while it has no trade."""
        bars = self.bars(interval, opens_at(now_ms, interval), now_ms)
        return bars[-1] if bars else None

    def day(self, now_ms: int) -> Bar | None:
        """The last 24 hours as one bar, to the minute."""
        minute = now_ms // MINUTE_MS * MINUTE_MS
        if self._day_until != minute:
            self._day = self._span(minute - DAY_MS, minute - 1)
            self._day_until = minute
        running = self._span(minute, now_ms)
        if self._day is None or running is None:
            return self._day or running
        total = replace(self._day)
        join(total, running)
        return total

    def _span(self, from_ms: int, to_ms: int) -> Bar | None:
        parts = self._played(from_ms, to_ms)
        first, last = self._rows(from_ms, to_ms)
        total = self.series.bar(first, last, from_ms) if first < last else None
        for bar in parts:
            if total is None:
                total = replace(bar)
            else:
                join(total, bar)
        return total

    def _rows(self, from_ms: int, to_ms: int) -> tuple[int, int]:
        """Rows of the record that open in [from_ms, to_ms] and were not played."""
        minutes = self.series.minutes
        until = min(to_ms, self.live_from_ms - 1)
        return bisect_left(minutes, -(-from_ms // MINUTE_MS)), bisect_right(
            minutes, until // MINUTE_MS
        )

    def _played(self, from_ms: int, to_ms: int) -> list[Bar]:
        first = bisect_left(self._live, from_ms, key=_opening)
        return self._live[first : bisect_right(self._live, to_ms, key=_opening)]

    def _recorded_bars(self, interval: str, from_ms: int, to_ms: int, offset_ms: int) -> list[Bar]:
        row, end = self._rows(from_ms, to_ms)
        minutes, bars = self.series.minutes, []
        while row < end:
            open_ms = opens_at(minutes[row] * MINUTE_MS, interval, offset_ms)
            until = closes_at(open_ms, interval, offset_ms) // MINUTE_MS
            after = min(end, bisect_right(minutes, until, row, end))
            bars.append(self.series.bar(row, after, open_ms))
            row = after
        return bars

    def backdrop(self, open_ms: int) -> Backdrop | None:
        """Means over the recorded minutes before one; None at the very beginning."""
        row = bisect_left(self.series.minutes, open_ms // MINUTE_MS)
        rows = range(max(0, row - _BACKDROP_MINUTES), row)
        if not rows:
            return None
        closes, volumes = self.series.columns[3], self.series.columns[4]
        return Backdrop(
            sum(closes[i] for i in rows) // len(rows), sum(volumes[i] for i in rows) // len(rows)
        )


def _opening(bar: Bar) -> int:
    return bar.open_ms
