"""Shortcuts of the readings against what they stand for, to the last bit."""

from decimal import Decimal
from math import isfinite, sqrt

from hypothesis import given
from hypothesis import strategies as st

from livespot.contracts.amounts import clamp01, round_x10000
from livespot.contracts.market import BookTicker, Candle, KlineUpdate
from livespot.contracts.settings import Settings
from livespot.contracts.vocabulary import Interval
from livespot.rules.candles import Joined
from livespot.rules.closed_readings import closed_readings
from livespot.rules.correlation import (
    correlation_x10000,
    log_returns,
    moved_on,
    returns_tail,
)
from livespot.rules.costs import Fees
from livespot.rules.indicators import PERIOD, Wilder
from livespot.rules.microstructure import SAMPLES_60S, MicroRing
from livespot.rules.price_guard import JUMP
from livespot.rules.regime import regime_of
from livespot.rules.symbol_window import SymbolWindow
from livespot.testing.market_values import a_book, a_candle, in_frames, recorded_minutes
from livespot.testing.recorded_market import window_of

_PRICE = st.integers(1, 400).map(lambda cents: Decimal(cents).scaleb(-2))
_PRICES = st.tuples(_PRICE, _PRICE, _PRICE, _PRICE)
_FEES = Fees(maker_fee_bps=10, taker_fee_bps=10, base_fee_bps=10)
_M5_MS = Interval.M5.ms


def _candle(prices: tuple[Decimal, ...], open_time_ms: int = 0) -> Candle:
    """Lowest and highest of four prices around the other two."""
    low, *between, high = sorted(prices)
    opened, closed = between if prices[0] <= prices[1] else reversed(between)
    return Candle(
        open_time_ms=open_time_ms,
        open=opened,
        high=high,
        low=low,
        close=closed,
        volume=Decimal(1),
    )


@given(st.lists(_PRICES, min_size=PERIOD + 1, max_size=2 * PERIOD - 1))
def test_the_true_range_is_the_widest_of_three(series: list[tuple[Decimal, ...]]) -> None:
    candles = [_candle(prices) for prices in series]
    state, ranges, last = Wilder(), list[float](), 0.0
    for number, candle in enumerate(candles):
        high, low, close = float(candle.high), float(candle.low), float(candle.close)
        state.update((high, low, close))
        if number:
            ranges.append(max(high - low, abs(high - last), abs(low - last)))
        last = close

    total = 0.0
    for one in ranges[:PERIOD]:
        total += one
    atr = total / PERIOD
    for one in ranges[PERIOD:]:
        atr = (atr * (PERIOD - 1) + one) / PERIOD
    assert state.atr == atr


@given(st.integers(100, 130), st.integers(0, 16), st.integers(0, 16), st.booleans())
def test_a_candle_is_left_out_when_a_wick_jumps_against_its_body(
    body: int, below: int, above: int, down: bool
) -> None:
    ends = sorted((Decimal(100), Decimal(body)), reverse=down)
    candle = Candle(
        open_time_ms=_M5_MS,
        open=ends[0],
        high=max(ends) + above,
        low=min(ends) - below,
        close=ends[1],
        volume=Decimal(1),
    )
    window = SymbolWindow(symbol="SOLUSDT", fees=_FEES)
    window.series[Interval.M5].absorb([a_candle(0)])

    outcome = window.take_kline(
        KlineUpdate(
            symbol="SOLUSDT",
            interval=Interval.M5,
            candle=candle,
            closed=True,
            exchange_time_ms=2 * _M5_MS,
            local_received_ms=2 * _M5_MS,
        )
    )

    smooth = float(candle.high) <= float(max(ends)) * JUMP
    smooth = smooth and float(min(ends)) <= float(candle.low) * JUMP
    assert isinstance(outcome, Joined) is smooth


@given(st.floats())
def test_a_share_is_rounded_as_if_it_were_clamped_first(value: float) -> None:
    assert round_x10000(value) == round(clamp01(value) * 10_000)
    assert isfinite(clamp01(value))


@given(
    st.lists(st.tuples(st.integers(90, 110), st.booleans()), min_size=2, max_size=24),
    st.integers(2, 6),
)
def test_returns_that_move_on_are_those_of_the_whole_series(
    steps: list[tuple[int, bool]], window: int
) -> None:
    candles = [
        a_candle(number * _M5_MS, str(close))
        for number, (close, absent) in enumerate(steps)
        if not absent or number == 0
    ]
    tail, before = returns_tail(candles[:1], window), candles[0]
    for count, candle in enumerate(candles[1:], start=2):
        follows = candle.open_time_ms == before.open_time_ms + _M5_MS
        known = candles[:count]
        tail = moved_on(tail, candle) if follows else returns_tail(known, window)
        before = candle

        assert tail.returns == log_returns(known, window)


@given(st.lists(st.tuples(st.sampled_from("srcb"), st.integers(0, 3)), max_size=30))
def test_a_minute_read_again_reads_as_if_for_the_first_time(
    steps: list[tuple[str, int]],
) -> None:
    books = [_book(number) for number in range(4)]
    ring, sampled = MicroRing(), list[BookTicker]()
    for what, number in steps:
        if what == "s":
            ring.sample(books[number], 40)
            sampled += [books[number]] * 40
        elif what == "c" and number == 0:
            ring.clear()
            sampled.clear()
        else:
            fresh = MicroRing()
            for book in sampled:
                fresh.sample(book)
            assert ring.is_warm is (len(sampled) >= SAMPLES_60S)
            drops = number % 2
            assert ring.read(books[number], drops) == fresh.read(books[number], drops)


def _book(number: int) -> BookTicker:
    return a_book(number + 1, bid=Decimal(99 - number), ask=Decimal(100 + number * number))


_POINTS = st.one_of(st.integers(-900, 900), st.integers(-(10**9), 10**9))


@given(st.lists(st.tuples(_POINTS, _POINTS), min_size=1, max_size=120))
def test_a_correlation_is_that_of_the_sums_of_products(pairs: list[tuple[int, int]]) -> None:
    left, right = [a for a, _ in pairs], [b for _, b in pairs]
    count, total_l, total_r = len(pairs), sum(left), sum(right)
    spread_l = count * sum(a * a for a in left) - total_l**2
    spread_r = count * sum(b * b for b in right) - total_r**2
    covariance = count * sum(a * b for a, b in pairs) - total_l * total_r

    found = correlation_x10000(left, right)

    if spread_l == 0 or spread_r == 0:
        assert found == 0
    else:
        plain = round(covariance / sqrt(spread_l * spread_r) * 10_000)
        assert found == max(-10_000, min(10_000, plain))


def test_readings_that_move_on_by_minutes_are_those_of_all_frames_read_anew() -> None:
    settings, minutes = Settings(), recorded_minutes("SOLUSDT")
    first_ms, minute_ms = minutes[7_200].open_time_ms, Interval.M1.ms
    window = window_of("SOLUSDT", minutes[:7_200], first_ms)
    frames = {
        frame: {c.open_time_ms: c for c in in_frames(minutes, frame, first_ms + 300 * minute_ms)}
        for frame in Interval
    }
    same_leaning = cold = 0
    for number in range(1, 300):
        before, end_ms = window.closed(settings), first_ms + number * minute_ms
        for frame, candles in frames.items():
            candle = candles.get(end_ms - frame.ms)
            # Every seventh minute is told by history alone, two minutes later.
            if candle is not None and (frame is not Interval.M1 or number % 7):
                window.series[frame].add(candle)
        if number % 7 == 2 and number > 2:
            window.series[Interval.M1].absorb([frames[Interval.M1][end_ms - 3 * minute_ms]])

        closed = window.closed(settings)

        assert closed == closed_readings(window.series, settings, None)
        assert closed.is_warm is all(one.is_warm for one in window.series.values())
        same_leaning += closed.leaning is before.leaning and closed is not before
        cold += not closed.is_warm
    assert same_leaning > 50
    assert cold > 20


def test_the_regime_that_a_decision_asks_for_is_the_one_the_deep_scan_leant_on() -> None:
    settings, minutes = Settings(), recorded_minutes("SOLUSDT")[:7_300]
    window = window_of("SOLUSDT", minutes, minutes[-1].open_time_ms + Interval.M1.ms)
    readings = {frame: one.wilder.directional for frame, one in window.series.items()}

    closed = window.closed(settings)
    regime, leaning = window.regime(closed), closed.leaning

    assert regime == regime_of({f: r for f, r in readings.items() if r}, settings.strategy)
    assert regime is not None
    assert leaning is not None
    assert all(
        getattr(regime, name) == getattr(leaning, name) for name in leaning.__struct_fields__
    )
    assert window.regime(closed) is regime
