import csv
import math
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st

from livespot.contracts.market import Candle
from livespot.rules.indicators import Wilder, ema20, mean_volume, volume_ratio_x10000, wilder_of

_DATA = Path(__file__).parent.parent / "data"


def _close(ours: float | None, theirs: str | float) -> bool:
    if theirs == "" or (isinstance(theirs, float) and math.isnan(theirs)):
        return ours is None
    return ours is not None and math.isclose(ours, float(theirs), rel_tol=1e-9, abs_tol=1e-9)


@pytest.mark.parametrize("name", ["talib-ethusdt-5m", "talib-btcusdt-1h"])
def test_wilders_readings_equal_the_reference_at_every_candle(name: str) -> None:
    state = Wilder()
    with (_DATA / f"{name}.csv").open() as lines:
        for row in csv.DictReader(lines):
            state.update((float(row["high"]), float(row["low"]), float(row["close"])))
            reading = state.directional

            assert _close(state.atr, row["atr14"])
            assert _close(reading.adx if reading else None, row["adx14"])
            if reading is not None:
                assert _close(reading.plus_di, row["plus_di14"])
                assert _close(reading.minus_di, row["minus_di14"])


_STEPS = st.lists(
    st.tuples(
        st.integers(-300, 300), st.integers(0, 200), st.integers(0, 200), st.integers(0, 10_000)
    ),
    min_size=30,
    max_size=120,
)


def _bars(steps: list[tuple[int, int, int, int]]) -> list[tuple[float, float, float]]:
    price, bars = 10_000, []
    for move, up, down, place in steps:
        price = max(1_000, price + move)
        high, low = price + up, price - down
        bars.append((float(high), float(low), low + (high - low) * place / 10_000))
    return bars


@settings(max_examples=60, deadline=None)
@given(_STEPS)
def test_any_walk_reads_as_the_library_reads_it(steps: list[tuple[int, int, int, int]]) -> None:
    bars = _bars(steps)
    high, low, close = (np.array(column) for column in zip(*bars, strict=True))

    state = Wilder()
    for bar in bars:
        state.update(bar)
    reading = state.directional

    assert _close(state.atr, float(talib.ATR(high, low, close, 14)[-1]))
    assert reading is not None
    assert _close(reading.adx, float(talib.ADX(high, low, close, 14)[-1]))
    assert _close(reading.plus_di, float(talib.PLUS_DI(high, low, close, 14)[-1]))
    assert _close(reading.minus_di, float(talib.MINUS_DI(high, low, close, 14)[-1]))
    assert 0 <= reading.adx <= 100 + 1e-9


@settings(max_examples=60, deadline=None)
@given(_STEPS, st.lists(st.integers(0, 120), max_size=4))
def test_candles_taken_together_read_to_the_bit_as_one_at_a_time(
    steps: list[tuple[int, int, int, int]], cuts: list[int]
) -> None:
    bars = _bars(steps)
    one, together = Wilder(), Wilder()

    for bar in bars:
        one.update(bar)
    for begin, end in pairwise([0, *sorted(cuts), len(bars)]):
        together.update_all(bars[begin:end])

    assert (together.atr, together.directional) == (one.atr, one.directional)


def test_a_market_that_never_moves_has_no_direction() -> None:
    state = wilder_of([_flat(i) for i in range(40)])

    assert state.atr == 0
    assert state.directional is not None
    assert state.directional.adx == 0


def _flat(index: int) -> Candle:
    price = Decimal(5)
    return Candle(
        open_time_ms=index * 60_000, open=price, high=price, low=price, close=price, volume=price
    )


def test_ema_starts_from_the_mean_of_the_first_twenty_of_forty() -> None:
    closes = [Decimal(1)] * 7 + [Decimal(i) for i in range(100, 140)]

    value = ema20(closes)

    expected = sum(range(100, 120)) / 20
    for close in range(120, 140):
        expected += (close - expected) * 2 / 21
    assert value is not None
    assert float(value) == pytest.approx(expected, rel=1e-9)
    assert ema20(closes[-39:]) is None


@given(st.lists(st.integers(1, 10**9), min_size=40, max_size=60))
def test_ema_stays_inside_the_closes_it_saw(raw: list[int]) -> None:
    closes = [Decimal(value) / 1000 for value in raw]

    value = ema20(closes)

    assert value is not None
    assert min(closes[-40:]) - Decimal("1e-9") <= value <= max(closes[-40:]) + Decimal("1e-9")


def test_volume_ratio_compares_the_last_candle_with_the_eleven_before() -> None:
    volumes = [Decimal(999), *[Decimal(10)] * 11, Decimal(15)]

    assert mean_volume(volumes, 12) == 10
    assert volume_ratio_x10000(volumes, 12) == 15_000


def test_volume_ratio_needs_a_positive_mean() -> None:
    assert volume_ratio_x10000([Decimal(0)] * 11 + [Decimal(5)], 12) is None
    assert volume_ratio_x10000([Decimal(1)] * 11, 12) is None
