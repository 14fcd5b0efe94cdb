"""One symbol's minutes, as coarse as a backtest needs them, played into its window.

Candles are those of the data. Between them a minute has four trades, at its open, high, low and
close, and a dozen quotes, from which the half-second samples are taken.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal

from livespot.contracts.errors import PreflightFailed
from livespot.contracts.market import (
    BookTicker,
    Candle,
    KlineHistory,
    KlineUpdate,
    SymbolInfo,
    Ticker24h,
)
from livespot.contracts.vocabulary import Interval
from livespot.exchange.candle import MINUTE_MS, Activity
from livespot.exchange.klines import Bar
from livespot.exchange.market import Quote
from livespot.exchange.recorded import Series
from livespot.exchange.sources import Happening, MarketSource, PlayedHistory, StatusTurn
from livespot.exchange.synthetic import SyntheticSeries
from livespot.exchange.tape import Scale
from livespot.rules.candles import KEPT, Gap
from livespot.rules.costs import Fees
from livespot.rules.symbol_window import SymbolWindow

COARSE = Activity(least_trades=4, spread=1, quiet_quotes=8)
_SAMPLE_MS = 500
_SAMPLES = MINUTE_MS // _SAMPLE_MS
_DAY_MINUTES = 1440


@dataclass(frozen=True, slots=True)
class _Traded:
    """One minute of the rolling day; the volume is in units of tick times step."""

    minute: int
    open: int
    quote: int
    trades: int


class MinuteFeed:
    """One symbol, minute by minute, from `start_ms` on; what lies before is its history."""

    def __init__(
        self,
        source: MarketSource,
        info: SymbolInfo,
        fees: Fees,
        *,
        start_ms: int,
        seed: int,
    ) -> None:
        self.series = source.series[info.symbol]
        self.scale = Scale.of(self.series.tick_size, self.series.step_size)
        self.window = SymbolWindow(symbol=info.symbol, info=info, fees=fees)
        self.events: tuple[Happening, ...] = ()
        # The last best bid, kept while there is no book.
        self.bid: Decimal | None = None
        self._coarse = coarse(self.series)
        self._key = f"{seed}:{info.symbol}"
        self._updates = 0
        self._day: deque[_Traded] = deque()
        self._quote = self._trades = 0
        for frame in Interval:
            history = tuple(self._history(frame, start_ms))
            self._join(frame, history)
        first = bisect_left(self.series.minutes, start_ms // MINUTE_MS - _DAY_MINUTES)
        for row in range(first, self._row(start_ms)):
            self._trade(self.series.bar(row, row + 1, self.series.minutes[row] * MINUTE_MS))

    @property
    def symbol(self) -> str:
        return self.window.symbol

    def play(self, open_ms: int) -> None:
        """Play one minute: its quotes, then the candles that close with it."""
        self.events = self._coarse.events(self._key, open_ms)
        self._sample(open_ms)
        end_ms = open_ms + MINUTE_MS
        for frame in Interval:
            if end_ms % frame.ms == 0:
                self._close(frame, end_ms)
        self.window.exchange_time_ms = self.window.local_received_ms = end_ms
        self.window.ticker = self._ticker(end_ms)
        if self.window.book is not None:
            self.bid = self.window.book.bid

    def _sample(self, open_ms: int) -> None:
        """The minute's samples; a halt leaves none, and without a quote the last book stands."""
        if any(
            isinstance(event, StatusTurn) and event.status != "TRADING" for event in self.events
        ):
            self.window.forget_live()
            return
        taken = 0
        quotes = [event for event in self.events if isinstance(event, Quote)]
        for quote in quotes:
            due = -(-(quote.t_ms - open_ms) // _SAMPLE_MS) - 1
            self.window.sample(max(0, due - taken))
            taken = max(taken, due)
            self._updates += 1
            self.window.take_book(
                book_of(self.symbol, self.series, quote, update_id=self._updates, at_ms=quote.t_ms)
            )
        self.window.sample(_SAMPLES - taken)

    def _close(self, frame: Interval, end_ms: int) -> None:
        bar = self._bar(end_ms - frame.ms, end_ms)
        if bar is None or bar.volume == 0:
            return
        if frame is Interval.M1:
            self._trade(bar)
        last, candle = self.window.series[frame].last, self._candle(bar)
        update = KlineUpdate(
            symbol=self.symbol,
            interval=frame,
            candle=candle,
            closed=True,
            exchange_time_ms=end_ms,
            local_received_ms=end_ms,
        )
        outcome = self.window.take_kline(update)
        if last is not None and (outcome is None or isinstance(outcome, Gap)):
            # Missing minutes are an outage; taken as history, the hole is accepted.
            self._join(frame, (last, candle))

    def _join(self, frame: Interval, candles: Sequence[Candle]) -> None:
        self.window.take_history(
            KlineHistory(symbol=self.symbol, interval=frame, candles=tuple(candles))
        )

    def _history(self, frame: Interval, until_ms: int) -> list[Candle]:
        end_ms = until_ms - until_ms % frame.ms
        opens = range(end_ms - KEPT * frame.ms, end_ms, frame.ms)
        bars = (self._bar(open_ms, open_ms + frame.ms) for open_ms in opens)
        return [self._candle(bar) for bar in bars if bar is not None and bar.volume]

    def _row(self, at_ms: int) -> int:
        return bisect_left(self.series.minutes, at_ms // MINUTE_MS)

    def _bar(self, open_ms: int, end_ms: int) -> Bar | None:
        first, last = self._row(open_ms), self._row(end_ms)
        return self.series.bar(first, last, open_ms) if first < last else None

    def _candle(self, bar: Bar) -> Candle:
        tick = self.series.tick_size
        return Candle(
            open_time_ms=bar.open_ms,
            open=bar.open * tick,
            high=bar.high * tick,
            low=bar.low * tick,
            close=bar.close * tick,
            volume=bar.volume * self.series.step_size,
        )

    def _trade(self, bar: Bar) -> None:
        """Advance the rolling day by one minute."""
        minute = bar.open_ms // MINUTE_MS
        self._day.append(_Traded(minute, bar.open, bar.quote, bar.trades))
        self._quote += bar.quote
        self._trades += bar.trades
        while self._day[0].minute <= minute - _DAY_MINUTES:
            gone = self._day.popleft()
            self._quote -= gone.quote
            self._trades -= gone.trades

    def _ticker(self, now_ms: int) -> Ticker24h | None:
        """The day's figures, rounded as by the exchange; None before the first trade."""
        last, book = self.window.series[Interval.M1].last, self.window.book
        if last is None or not self._day:
            return None
        opened = self._day[0].open * self.series.tick_size
        percent = Decimal(format((last.close - opened) * 100 / opened, ".3f"))
        bps = (percent * 100).to_integral_value(rounding=ROUND_HALF_EVEN)
        return Ticker24h(
            symbol=self.symbol,
            last_price=last.close,
            bid=book.bid if book is not None else Decimal(0),
            ask=book.ask if book is not None else Decimal(0),
            quote_volume=Decimal(self.scale.quote(self._quote)),
            price_change_bps=int(bps),
            trades=self._trades,
            close_time_ms=now_ms,
        )


def book_of(
    symbol: str, series: PlayedHistory, quote: Quote, *, update_id: int, at_ms: int
) -> BookTicker:
    """A quote of the embedded market as the feed would pass it on, received at `at_ms`."""
    tick, step = series.tick_size, series.step_size
    return BookTicker(
        symbol=symbol,
        update_id=update_id,
        bid=quote.bid * tick,
        bid_qty=quote.bid_qty * step,
        ask=quote.ask * tick,
        ask_qty=quote.ask_qty * step,
        local_received_ms=at_ms,
    )


def coarse(series: PlayedHistory) -> PlayedHistory:
    """The same minutes with four trades each. Raises `PreflightFailed` if that is impossible."""
    if isinstance(series, Series):
        return replace(series, activity=COARSE)
    if isinstance(series, SyntheticSeries):
        return replace(series, activity=COARSE, _hours={}, _sums={})
    raise PreflightFailed(
        "this data plays its own quotes and trades, so there are no coarser ones of it.\n"
        "Next: livespot replay without --profile, or --data recorded"
    )
