"""Wilder's readings on recorded markets, candle by candle, against the library itself."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
import talib

from livespot.contracts.market import Candle
from livespot.contracts.vocabulary import Interval
from livespot.rules.candles import KEPT, bounds_of
from livespot.rules.indicators import PERIOD, Wilder, wilder_of
from livespot.testing.market_values import in_frames, recorded_minutes

_DATA = Path(__file__).parent.parent / "data"
_SYMBOLS = ("BTCUSDT", "SOLUSDT", "DOGEUSDT", "MATICUSDT")
_NAN = float("nan")
# The library's first defined index, and ours: a reading must not appear before or after it.
_ATR_FROM, _ADX_FROM = PERIOD, 2 * PERIOD - 1


def _recorded(symbol: str, interval: Interval) -> tuple[Candle, ...]:
    minutes = recorded_minutes(symbol)
    if interval is Interval.M1:
        # The last three thousand minutes; the outage of the exchange lies inside them.
        return minutes[-3000:]
    return in_frames(minutes, interval, minutes[-1].open_time_ms + Interval.M1.ms)


def _readings(candles: tuple[Candle, ...]) -> np.ndarray:
    """ATR, ADX, +DI and -DI after each candle, one row each, `nan` where undefined."""
    state, rows = Wilder(), []
    for candle in candles:
        state.update(bounds_of(candle))
        reading, atr = state.directional, state.atr
        rows.append(
            (
                _NAN if atr is None else atr,
                *((reading.adx, reading.plus_di, reading.minus_di) if reading else (_NAN,) * 3),
            )
        )
    return np.array(rows).T


def _library(candles: tuple[Candle, ...]) -> np.ndarray:
    high, low, close = (
        np.array([float(getattr(candle, name)) for candle in candles])
        for name in ("high", "low", "close")
    )
    plus, minus = (f(high, low, close, PERIOD) for f in (talib.PLUS_DI, talib.MINUS_DI))
    # The DIs exist from ATR's first candle on; a reading of all three waits for ADX.
    plus[:_ADX_FROM] = minus[:_ADX_FROM] = _NAN
    atr, adx = (f(high, low, close, PERIOD) for f in (talib.ATR, talib.ADX))
    return np.array([atr, adx, plus, minus])


@pytest.mark.slow
@pytest.mark.parametrize("interval", list(Interval))
@pytest.mark.parametrize("symbol", _SYMBOLS)
def test_every_reading_of_a_recorded_market_is_the_librarys(
    symbol: str, interval: Interval
) -> None:
    candles = _recorded(symbol, interval)

    ours, theirs = _readings(candles), _library(candles)

    assert int(np.isnan(ours[0]).sum()) == _ATR_FROM
    assert int(np.isnan(ours[1]).sum()) == _ADX_FROM
    assert np.array_equal(np.isnan(ours), np.isnan(theirs))
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


def test_the_librarys_own_regression_figures_are_met() -> None:
    with (_DATA / "talib-regression-bars.csv").open() as lines:
        bars = [
            (float(row["high"]), float(row["low"]), float(row["close"]))
            for row in csv.DictReader(lines)
        ]
    with (_DATA / "talib-regression-readings.csv").open() as lines:
        wanted = [row for row in csv.DictReader(lines) if row["period"] == str(PERIOD)]
    checked = 0
    for row in wanted:
        state = Wilder(PERIOD)
        for bar in bars[: int(row["bar"]) + 1]:
            state.update(bar)
        value = _named(state, row["reading"])
        if value is None:
            # +DI and -DI are told together with ADX, thirteen candles later than they could be.
            assert int(row["bar"]) < _ADX_FROM
            continue
        checked += 1
        assert math.isclose(value, float(row["computed"]), rel_tol=1e-9)
        assert abs(value - float(row["printed"])) < 0.01

    assert checked >= 8


def _named(state: Wilder, reading: str) -> float | None:
    directional = state.directional
    if reading == "ATR":
        return state.atr
    if directional is None:
        return None
    return {
        "ADX": directional.adx,
        "PLUS_DI": directional.plus_di,
        "MINUS_DI": directional.minus_di,
    }[reading]


@pytest.mark.slow
@pytest.mark.parametrize("symbol", _SYMBOLS)
def test_beyond_the_thousand_kept_candles_nothing_changes_a_reading(symbol: str) -> None:
    """A state that saw everything and one that saw only the kept candles read alike."""
    candles = _recorded(symbol, Interval.M5)

    everything, kept = wilder_of(candles), wilder_of(candles[-KEPT:])

    assert everything.atr is not None
    assert kept.atr is not None
    assert math.isclose(everything.atr, kept.atr, rel_tol=1e-12)
    one, other = everything.directional, kept.directional
    assert one is not None
    assert other is not None
    for name in ("adx", "plus_di", "minus_di"):
        assert math.isclose(getattr(one, name), getattr(other, name), rel_tol=1e-12)
