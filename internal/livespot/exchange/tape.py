"""What the market of one symbol has printed so far: minutes, last trades, a day's summary."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Protocol, TypeAlias

from livespot.exchange.candle import MINUTE_MS, Candle
from livespot.exchange.klines import Bar, closes_at, extended, flat, join, of_trade, opens_at
from livespot.exchange.minute_log import KEPT_MINUTES, MinuteLog
from livespot.exchange.model import PublicTrade
from livespot.exchange.second_bars import second_bars
from livespot.exchange.trade_log import TradeLog

DAY_MS = 86_400_000
E8 = 10**8
_WITHOUT_BARS = frozenset({"BREAK", "CANCEL_ONLY"})
_MOST_AHEAD = 2000

# A recorded bar: its first row, the row after its last, when it opens.
Span: TypeAlias = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Scale:
    """Turns ticks and steps into the exchange's eight-decimal text."""

    tick_size: Decimal
    step_size: Decimal
    tick_e8: int
    step_e8: int

    @staticmethod
    def of(tick_size: Decimal, step_size: Decimal) -> "Scale":
        return Scale(tick_size, step_size, int(tick_size * E8), int(step_size * E8))

    def price(self, ticks: int) -> str:
        return _price_text(ticks * self.tick_e8)

    def qty(self, steps: int) -> str:
        return text_e8(steps * self.step_e8)

    def quote(self, ticks_times_steps: int) -> str:
        return text_e8(quote_e8(ticks_times_steps, self.tick_e8, self.step_e8))


def quote_e8(ticks_times_steps: int, tick_e8: int, step_e8: int) -> int:
    """A sum of quote currency in units of 1e-8."""
    return ticks_times_steps * tick_e8 * step_e8 // E8


def text_e8(units: int) -> str:
    """Units of 1e-8 as a plain decimal with eight places."""
    text = str(units)
    if units >= E8:
        return f"{text[:-8]}.{text[-8:]}"
    return f"0.{text:0>8}" if units >= 0 else f"-{text_e8(-units)}"


# A bar's prices are said again and again, by every interval that shares them.
_price_text = lru_cache(maxsize=4096)(text_e8)


class History(Protocol):
    """The minutes before play begins, and which minutes exist at all. Rows are in time order."""

    @property
    def symbol(self) -> str: ...
    @property
    def tick_size(self) -> Decimal: ...
    @property
    def step_size(self) -> Decimal: ...
    @property
    def minutes(self) -> Sequence[int]:
        """Epoch minutes, ascending; an absent one is an outage of the exchange."""
        ...

    def bar(self, first: int, last: int, open_ms: int) -> Bar:
        """Rows [first, last), at least one, as one bar."""
        ...

    def at(self, row: int) -> Candle:
        """One row."""
        ...


class Tape:
    """Recorded history before `live_from_ms`, played trades after; nothing is invented between.

    A played minute in which nothing traded has a bar without volume. Bars of one second go as far
    back as the trades kept.
    """

    def __init__(self, series: History, live_from_ms: int) -> None:
        self.series = series
        self.scale = Scale.of(series.tick_size, series.step_size)
        self.live_from_ms = live_from_ms
        self.trades = TradeLog(series.symbol, series.tick_size, series.step_size)
        self._played = MinuteLog()
        self._silent_from = live_from_ms
        row = bisect_left(series.minutes, live_from_ms // MINUTE_MS)
        # Spans of minutes in which no bars form, and when one began that lasts still.
        self._shut: list[tuple[int, int]] = []
        self._shut_from: int | None = None
        self._opening_close = series.at(row - 1).close if row else None
        self._day_until = -1
        self._day: Bar | None = None
        # The day as it was last told, for a minute and a number of trades and turns.
        self._told_of: tuple[int, int] | None = None
        self._told: Bar | None = None
        self._happened = 0
        self._ahead: dict[Span, Bar] = {}
        # What was printed of a forming bar before its running minute, and for which moment.
        self._begun: dict[tuple[str, int], tuple[tuple[int, int, int], Bar | None]] = {}
        self._begun_until = 0
        self._changes = 0

    def on_trade(self, trade: PublicTrade) -> None:
        """Add a trade to its minute, which need not be the newest.

        An account's trade can come an instant before a market trade of the minute before.
        """
        self._happened += 1
        ticks = int(trade.price // self.scale.tick_size)
        steps = int(trade.qty // self.scale.step_size)
        self.trades.append(trade, ticks, steps)
        open_ms = trade.time_ms // MINUTE_MS * MINUTE_MS
        opens = self._played.opens
        if not opens or opens[-1] != open_ms:
            self._note_silence(open_ms)
        if open_ms < self._begun_until:
            self._changes += 1
        if not self._played.extend(open_ms, ticks, steps, trade):
            maker = trade.buyer_is_maker
            self._played.add(of_trade(open_ms, ticks, steps, trade.trade_id, buyer_is_maker=maker))

    def on_status(self, status: str, t_ms: int) -> None:
        """Stop or resume forming bars: none form while a symbol gives no data or only cancels."""
        self._happened += 1
        is_shut = status in _WITHOUT_BARS
        if is_shut and self._shut_from is None:
            self._note_silence(t_ms)
            self._shut_from = t_ms // MINUTE_MS * MINUTE_MS
        elif not is_shut and self._shut_from is not None:
            self._shut.append((self._shut_from, t_ms // MINUTE_MS * MINUTE_MS))
            self._shut_from = None
        self._changes += 1

    def bars(self, interval: str, from_ms: int, to_ms: int, offset_ms: int = 0) -> list[Bar]:
        """Bars of an interval whose open time lies in the span, the forming one included.

        `to_ms` must not lie after the present: minutes without trades are counted up to it.
        """
        spans, bars = self.parts(interval, from_ms, to_ms, offset_ms)
        return [*map(self.recorded, spans), *bars]

    def parts(
        self, interval: str, from_ms: int, to_ms: int, offset_ms: int = 0
    ) -> tuple[list[Span], list[Bar]]:
        """`bars` in two: those that stand in the record alone, not yet worked out, and the rest."""
        first = _first_open(interval, from_ms, offset_ms)
        if interval == "1s":
            return [], second_bars(self.trades, self._exists, first, to_ms)
        self._note_silence(to_ms)
        last = closes_at(opens_at(to_ms, interval, offset_ms), interval, offset_ms)
        spans = list(self.spans(interval, from_ms, to_ms, offset_ms))
        bars: list[Bar] = []
        played = self._played_bars(interval, first, last, offset_ms)
        for bar in (*played, *self._silent(first, to_ms)):
            bar.open_ms = opens_at(bar.open_ms, interval, offset_ms)
            if not bars and spans and spans[-1][2] == bar.open_ms:
                bars.append(self.recorded(spans.pop()))
            if bars and bars[-1].open_ms == bar.open_ms:
                join(bars[-1], bar)
            else:
                bars.append(bar)
        return spans, bars

    def recorded(self, span: Span) -> Bar:
        """A bar of the record, worked out ahead or now."""
        ahead = self._ahead.pop(span, None)
        return self.series.bar(*span) if ahead is None else ahead

    def spans(self, interval: str, from_ms: int, to_ms: int, offset_ms: int = 0) -> Iterator[Span]:
        """The recorded bars among what `bars` gives for the same, of a minute or longer."""
        last = closes_at(opens_at(to_ms, interval, offset_ms), interval, offset_ms)
        row, end = self._rows(_first_open(interval, from_ms, offset_ms), last)
        minutes = self.series.minutes
        next_ms = -1
        while row < end:
            begin_ms = minutes[row] * MINUTE_MS
            # Most bars open where the one before closed.
            open_ms = next_ms if begin_ms == next_ms else opens_at(begin_ms, interval, offset_ms)
            next_ms = closes_at(open_ms, interval, offset_ms) + 1
            until = next_ms // MINUTE_MS - 1
            # Where no minute is missing, the place is known without a search.
            after = row + until - minutes[row] + 1
            if after > end or minutes[after - 1] != until:
                after = min(end, bisect_right(minutes, until, row, end))
            yield row, after, open_ms
            row = after

    def keep(self, span: Span, bar: Bar) -> None:
        """Take over a recorded bar worked out ahead, for the next who asks for it."""
        if len(self._ahead) >= _MOST_AHEAD:
            self._ahead.clear()
        self._ahead[span] = bar

    def day(self, now_ms: int) -> Bar | None:
        """The last 24 hours as one bar, to the minute; between two changes always the same one."""
        minute = now_ms // MINUTE_MS * MINUTE_MS
        if self._told_of != (minute, self._happened):
            self._told_of, self._told = (minute, self._happened), self._whole_day(minute, now_ms)
        return self._told

    def _whole_day(self, minute: int, now_ms: int) -> Bar | None:
        if self._day_until != minute:
            self._day = self.window(minute - DAY_MS, minute - 1)
            self._day_until = minute
        running = self._running(minute, now_ms)
        if self._day is None or running is None:
            return self._day or running
        return extended(self._day, running)

    def forming(self, interval: str, now_ms: int, offset_ms: int = 0) -> Bar | None:
        """The last of the `bars` up to the present, if it holds the present; a minute or longer.

        What was printed before the running minute is added up once and kept.
        """
        open_ms = opens_at(now_ms, interval, offset_ms)
        minute = now_ms // MINUTE_MS * MINUTE_MS
        moment = (open_ms, minute, self._changes)
        kept = self._begun.get((interval, offset_ms))
        if kept is None or kept[0] != moment:
            self._begun_until = max(self._begun_until, minute)
            begun = self.window(open_ms, minute - 1) if open_ms < minute else None
            kept = self._begun[interval, offset_ms] = moment, begun
        begun, running = kept[1], self._running(minute, now_ms)
        if begun is None and running is not None:
            running.open_ms = open_ms
        if begun is None or running is None:
            return begun or running
        return extended(begun, running)

    def _running(self, minute: int, now_ms: int) -> Bar | None:
        """The minute that holds the present, as a bar of its own."""
        opens = self._played.opens
        if opens and opens[-1] == minute:
            return self._played.at(len(opens) - 1)
        return self.window(minute, now_ms)

    def window(self, from_ms: int, to_ms: int) -> Bar | None:
        """The minutes that open in a span as one bar; None when the exchange has none of them.

        A rolling window opens at a whole minute; a trading day at `opens_at(now, "1d", offset)`.
        """
        self._note_silence(to_ms)
        row, end = self._rows(from_ms, to_ms)
        total = self.series.bar(row, end, from_ms) if row < end else None
        first, after = self._played.rows(from_ms, to_ms)
        parts = [self._played.total(first, after, from_ms)] if first < after else []
        for bar in (*parts, *self._silent(from_ms, to_ms)):
            if total is None:
                total = bar
            else:
                join(total, bar)
        if total is not None:
            total.open_ms = from_ms
        return total

    def close_before(self, open_ms: int) -> int | None:
        """The last price of the minute before a whole minute, in ticks, if that minute exists."""
        bar = self.window(open_ms - MINUTE_MS, open_ms - 1)
        return None if bar is None else bar.close

    @property
    def _played_from(self) -> int:
        """Where play began, or the oldest played minute that is still kept."""
        opens = self._played.opens
        return opens[0] if len(opens) >= KEPT_MINUTES else self.live_from_ms

    def _rows(self, from_ms: int, to_ms: int) -> tuple[int, int]:
        """Rows of the record that open in [from_ms, to_ms] and are not kept as played."""
        minutes = self.series.minutes
        until = min(to_ms, self._played_from - 1)
        return bisect_left(minutes, -(-from_ms // MINUTE_MS)), bisect_right(
            minutes, until // MINUTE_MS
        )

    def _existing(self, from_ms: int, until_ms: int) -> list[int]:
        """When the minutes open that begin in [from_ms, until_ms), both whole minutes."""
        minutes = self.series.minutes
        row = bisect_left(minutes, from_ms // MINUTE_MS)
        end = bisect_left(minutes, until_ms // MINUTE_MS)
        opens = (minutes[i] * MINUTE_MS for i in range(row, end))
        return [open_ms for open_ms in opens if not self._is_shut(open_ms)]

    def _is_shut(self, open_ms: int) -> bool:
        if self._shut_from is not None and open_ms >= self._shut_from:
            return True
        return any(first <= open_ms < after for first, after in self._shut)

    def _exists(self, open_ms: int) -> bool:
        return bool(self._existing(open_ms, open_ms + MINUTE_MS))

    def _note_silence(self, to_ms: int) -> None:
        """Add bars without volume for minutes that are over and had no trade."""
        until = to_ms // MINUTE_MS * MINUTE_MS
        opens = self._played.opens
        first = max(self._silent_from, opens[-1] + MINUTE_MS if opens else self.live_from_ms)
        if first >= until:
            return
        self._silent_from = until
        close = self._last_close
        if close is not None:
            for open_ms in self._existing(first, until):
                self._played.add(flat(open_ms, close))

    def _silent(self, from_ms: int, to_ms: int) -> list[Bar]:
        """The forming minute while nothing has traded in it."""
        open_ms = to_ms // MINUTE_MS * MINUTE_MS
        opens, close = self._played.opens, self._last_close
        is_over = open_ms < self.live_from_ms or (opens and opens[-1] >= open_ms)
        if open_ms < from_ms or is_over or close is None or not self._exists(open_ms):
            return []
        return [flat(open_ms, close)]

    @property
    def _last_close(self) -> int | None:
        """The newest played price, else the last recorded one before play."""
        if len(self._played):
            return self._played.closes[-1]
        return self._opening_close

    def _played_bars(self, interval: str, from_ms: int, to_ms: int, offset_ms: int) -> list[Bar]:
        row, end = self._played.rows(from_ms, to_ms)
        opens = self._played.opens
        bars: list[Bar] = []
        while row < end:
            open_ms = opens_at(opens[row], interval, offset_ms)
            until = closes_at(open_ms, interval, offset_ms)
            after = min(end, bisect_right(opens, until, row, end))
            bars.append(self._played.total(row, after, open_ms))
            row = after
        return bars


def _first_open(interval: str, from_ms: int, offset_ms: int) -> int:
    """When the first bar opens that does not open before an instant."""
    first = opens_at(from_ms, interval, offset_ms)
    return first if first >= from_ms else closes_at(first, interval, offset_ms) + 1
