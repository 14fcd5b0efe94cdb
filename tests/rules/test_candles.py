from hypothesis import given
from hypothesis import strategies as st

from livespot.contracts.market import Candle
from livespot.contracts.vocabulary import Interval
from livespot.rules.candles import KEPT, CandleSeries, Duplicate, Gap, Joined, Misaligned
from livespot.rules.indicators import wilder_of
from livespot.testing.market_values import a_candle

_MINUTE = Interval.M1.ms


def _run(first: int, last: int) -> list[Candle]:
    return [a_candle(i * _MINUTE, close=str(100 + i % 7)) for i in range(first, last)]


def _series(count: int) -> CandleSeries:
    series = CandleSeries(Interval.M1)
    series.absorb(_run(0, count))
    return series


def _times(series: CandleSeries) -> list[int]:
    return [candle.open_time_ms // _MINUTE for candle in series.tail(KEPT)]


def test_the_next_candle_joins() -> None:
    series = _series(3)

    assert series.add(_run(3, 4)[0]) == Joined(candles=(_run(3, 4)[0],))
    assert _times(series) == [0, 1, 2, 3]


def test_a_candle_seen_before_is_dropped_and_counted() -> None:
    series = _series(3)

    assert series.add(_run(2, 3)[0]) == Duplicate(open_time_ms=2 * _MINUTE)
    assert series.duplicates == 1
    assert _times(series) == [0, 1, 2]


def test_a_jump_names_the_missing_span_and_waits() -> None:
    series = _series(3)

    assert series.add(_run(6, 7)[0]) == Gap(from_ms=3 * _MINUTE, to_ms=5 * _MINUTE)
    assert _times(series) == [0, 1, 2]
    assert not series.is_warm


def test_history_closes_a_gap_and_the_waiting_candle_follows() -> None:
    series = _series(3)
    series.add(_run(6, 7)[0])

    series.absorb(_run(2, 6))

    assert _times(series) == [0, 1, 2, 3, 4, 5, 6]
    assert series.gap() is None


def test_a_span_that_history_proves_empty_is_a_hole_and_not_asked_again() -> None:
    series = _series(3)
    series.add(_run(6, 7)[0])

    series.absorb([_run(2, 3)[0], _run(6, 7)[0]])

    assert _times(series) == [0, 1, 2, 6]
    assert series.holes == 3
    assert series.gap() is None


def test_history_that_lags_leaves_the_gap_open() -> None:
    series = _series(3)
    series.add(_run(6, 7)[0])

    series.absorb(_run(2, 4))

    assert series.gap() == Gap(from_ms=4 * _MINUTE, to_ms=5 * _MINUTE)


def test_history_beyond_the_end_replaces_the_series() -> None:
    series = _series(3)

    series.absorb(_run(50, 60))

    assert _times(series) == list(range(50, 60))


def test_candles_wait_for_the_first_history() -> None:
    series = CandleSeries(Interval.M1)

    assert series.add(_run(5, 6)[0]) is None
    series.absorb(_run(0, 5))

    assert _times(series) == [0, 1, 2, 3, 4, 5]


def test_a_candle_off_the_frames_grid_is_dropped() -> None:
    series = _series(3)

    assert series.add(a_candle(3 * _MINUTE + 1)) == Misaligned(open_time_ms=3 * _MINUTE + 1)


def test_only_the_newest_thousand_are_kept() -> None:
    series = _series(1005)

    assert len(series) == KEPT
    assert _times(series)[0] == 5


@given(st.integers(1, 60), st.permutations(range(10)))
def test_any_arrival_order_gives_the_series_and_indicators_of_the_right_order(
    known: int, order: list[int]
) -> None:
    series = _series(known)
    fresh = _run(known, known + 10)

    for index in order:
        series.add(fresh[index])
    series.absorb(_run(known - 1, known + 10))

    assert _times(series) == list(range(known + 10))
    scratch = wilder_of(_run(0, known + 10))
    assert series.wilder.atr == scratch.atr
    assert series.wilder.directional == scratch.directional


def test_a_gap_is_told_in_minutes_of_the_day() -> None:
    first = 1_619_049_780_000

    one, three = (Gap(from_ms=first, to_ms=first + more * 60_000) for more in (0, 2))

    assert str(one) == "2021-04-22 00:03"
    assert str(three) == "2021-04-22 00:03 to 2021-04-22 00:05"
