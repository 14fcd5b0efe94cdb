"""The minutes a backtest plays are those of the data, and the window they make is the runtime's."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise

import pytest

from livespot.backtest.minutes import COARSE, MinuteFeed, book_of, coarse
from livespot.contracts.errors import PreflightFailed
from livespot.contracts.market import BookTicker, Candle
from livespot.contracts.settings import Settings
from livespot.contracts.vocabulary import Interval
from livespot.exchange.candle import MINUTE_MS
from livespot.exchange.data_sets import DataOrder, open_market
from livespot.exchange.market import Print, Quote
from livespot.exchange.sources import Happening
from livespot.exchange.tape import Tape
from livespot.rules.costs import fees_of
from livespot.rules.microstructure import MicroRing, spread_bps
from livespot.testing.market_values import a_symbol, in_frames, recorded_minutes

_SETTINGS = Settings()
# 2021-04-17T02:00 UTC
_START_MS = 1_618_624_800_000
_SYMBOL = "LTCUSDT"


def _feed(data: str = "recorded", symbol: str = _SYMBOL, start_ms: int = _START_MS) -> MinuteFeed:
    source = open_market(DataOrder(name=data, seed=3, now_ms=start_ms, only=frozenset({symbol})))
    fees = fees_of(None, _SETTINGS.venue, discount_usable=False)
    return MinuteFeed(source, a_symbol(symbol), fees, start_ms=start_ms, seed=3)


def _played(feed: MinuteFeed, minutes: int, start_ms: int = _START_MS) -> MinuteFeed:
    for number in range(minutes):
        feed.play(start_ms + number * MINUTE_MS)
    return feed


def test_every_frame_holds_the_candles_of_the_record() -> None:
    feed, end_ms = _played(_feed(), 130), _START_MS + 130 * MINUTE_MS
    recorded = [m for m in recorded_minutes(_SYMBOL) if m.open_time_ms < end_ms]

    for frame in Interval:
        expected = in_frames(recorded, frame, end_ms)[-1000:]
        assert _plain(feed.window.series[frame].tail(1000)[-len(expected) :]) == _plain(expected)
    assert not feed.window.gaps
    assert not feed.window.overdue(end_ms)


def _plain(candles: Sequence[Candle]) -> list[tuple[int, Decimal, Decimal, Decimal, Decimal]]:
    return [(c.open_time_ms, c.open, c.high, c.low, c.close) for c in candles]


def test_minutes_without_a_record_leave_no_gap_behind() -> None:
    minutes = [m.open_time_ms for m in recorded_minutes(_SYMBOL)]
    before, after = next((a, b) for a, b in pairwise(minutes) if b - a > MINUTE_MS)
    start_ms = before - 10 * MINUTE_MS

    feed = _played(_feed(start_ms=start_ms), (after - start_ms) // MINUTE_MS + 5, start_ms)

    assert not feed.window.gaps
    assert feed.window.series[Interval.M1].holes >= (after - before) // MINUTE_MS - 1
    late = {frame for frame, _ in feed.window.overdue(after + 5 * MINUTE_MS)}
    assert not late & {Interval.M1, Interval.M5}


@pytest.mark.parametrize("data", ["recorded", "synthetic"])
def test_four_trades_tell_a_minutes_prices_and_its_whole_volume(data: str) -> None:
    symbol = "BTCUSDT"
    feed = _feed(data, symbol)
    for number in range(20):
        open_ms = _START_MS + number * MINUTE_MS
        feed.play(open_ms)

        trades = [event for event in feed.events if isinstance(event, Print)]
        [candle] = feed.window.series[Interval.M1].tail(1)
        tick, step = feed.series.tick_size, feed.series.step_size
        assert len(trades) == COARSE.least_trades
        prices = [trade.price * tick for trade in trades]
        assert (prices[0], max(prices), min(prices), prices[-1]) == (
            candle.open,
            candle.high,
            candle.low,
            candle.close,
        )
        assert sum(trade.qty for trade in trades) * step == candle.volume


def test_the_half_second_samples_are_those_of_the_quotes() -> None:
    feed = _played(_feed(), 3)
    open_ms = _START_MS + 3 * MINUTE_MS
    before = feed.window.book
    assert before is not None
    feed.play(open_ms)

    expected = MicroRing()
    for due_ms in range(open_ms + 500, open_ms + MINUTE_MS + 1, 500):
        known = _last(feed.events, due_ms)
        expected.sample(_book(feed, known) if known is not None else before)
    book = feed.window.book
    assert book is not None
    assert feed.window.ring.read(book, 0) == expected.read(book, 0)
    assert spread_bps(book.bid, book.ask) > 0


def _book(feed: MinuteFeed, quote: Quote) -> BookTicker:
    return book_of(feed.symbol, feed.series, quote, update_id=1, at_ms=quote.t_ms)


def _last(events: Sequence[Happening], due_ms: int) -> Quote | None:
    known = [event for event in events if isinstance(event, Quote) and event.t_ms < due_ms]
    return known[-1] if known else None


def test_the_day_is_that_of_the_exchange() -> None:
    feed, end_ms = _played(_feed(), 60), _START_MS + 60 * MINUTE_MS
    day = Tape(feed.series, end_ms).window(end_ms - 1440 * MINUTE_MS, end_ms - 1)
    ticker = feed.window.ticker
    assert day is not None
    assert ticker is not None

    assert ticker.trades == day.trades
    assert ticker.quote_volume == Decimal(feed.scale.quote(day.quote))
    assert ticker.last_price == day.close * feed.series.tick_size
    change = Decimal(day.close - day.open) * 10_000 / day.open
    assert abs(ticker.price_change_bps - change) <= 1


def test_a_halted_symbol_has_no_book_and_leaves_no_gap() -> None:
    feed, books = _feed("synthetic-stress", "ETHUSDT"), []
    for number in range(18):
        feed.play(_START_MS + number * MINUTE_MS)
        books.append(feed.window.book is not None)

    # The timeline halts it from the twelfth minute to the fifteenth.
    assert books == [number not in (12, 13, 14) for number in range(18)]
    assert feed.bid is not None
    assert not feed.window.gaps
    assert not feed.window.ring.is_warm or books[-3:] == [True, True, True]


def test_data_that_plays_its_own_trades_cannot_be_coarser() -> None:
    source = open_market(DataOrder(name="replayed", seed=3, now_ms=1_723_122_060_000))
    [series] = source.series.values()

    with pytest.raises(PreflightFailed, match="plays its own quotes"):
        coarse(series)
