"""The market regime: directional strength of four frames as trend, range or unclear."""

from collections.abc import Mapping
from math import fsum
from typing import TypeAlias

from livespot.contracts.amounts import round_x10000
from livespot.contracts.market import FrameStrength, Leaning, Regime
from livespot.contracts.settings import StrategySettings
from livespot.contracts.vocabulary import Direction, Interval, RegimeLabel
from livespot.rules.indicators import Directional

WEIGHTS = {Interval.H1: 0.4, Interval.M15: 0.3, Interval.M5: 0.2, Interval.M1: 0.1}
_H1, _M15, _M5, _M1 = (frame.value for frame in WEIGHTS)
# Bound once: looking up an enum member costs more than a call.
_TREND, _RANGE, _UNCLEAR = RegimeLabel.TREND, RegimeLabel.RANGE, RegimeLabel.UNCLEAR
_BULL, _BEAR = Direction.BULL, Direction.BEAR


# ADX, +DI and -DI of one frame.
Readings: TypeAlias = tuple[float, float, float]


def strength(adx: float) -> float:
    """0 at ADX 15 and below, 1 at 25 and above, linear in between."""
    if adx >= 25.0:
        return 1.0
    return (adx - 15.0) / 10.0 if adx > 15.0 else 0.0


def share_of(frame: Interval, readings: Readings) -> float:
    """A frame's contribution to the trend: its weighted strength, negative when it falls.

    It changes only when a candle of the frame closes.
    """
    adx, plus, minus = readings
    weighted = WEIGHTS[frame] * strength(adx)
    return weighted if plus > minus else -weighted


def regime_of(frames: Mapping[Interval, Directional], settings: StrategySettings) -> Regime:
    """The weighted regime of the four frames; raises `KeyError` when one is missing."""
    told = {frame: _readings(frames[frame]) for frame in WEIGHTS}
    h1, m15, m5, m1 = [share_of(frame, readings) for frame, readings in told.items()]
    return with_frames(leaning_of((h1, m15, m5, m1), settings), *told.values())


def _readings(read: Directional) -> Readings:
    return read.adx, read.plus_di, read.minus_di


def leaning_of(shares: tuple[float, float, float, float], settings: StrategySettings) -> Leaning:
    """The regime of all frames together, from their shares.

    The sums are exact before they are rounded, so the order of the frames cannot matter.
    """
    signed, strong = fsum(shares), fsum(map(abs, shares))
    # Strengths lie in 0..1, and so do their weighted sums, up to the last bit of the weights.
    trend, ranging = round_x10000(abs(signed)), round_x10000(1.0 - strong)
    if trend >= settings.trend_threshold:
        label = _TREND
    elif ranging >= settings.range_threshold:
        label = _RANGE
    else:
        label = _UNCLEAR
    return Leaning(
        label=label,
        direction=_BULL if signed > 0.0 else _BEAR,
        trend_score_x10000=trend,
        range_score_x10000=ranging,
    )


def with_frames(
    leaning: Leaning, h1: Readings, m15: Readings, m5: Readings, m1: Readings
) -> Regime:
    """The whole regime with each frame's readings, which only a decision needs."""
    return Regime(
        label=leaning.label,
        direction=leaning.direction,
        trend_score_x10000=leaning.trend_score_x10000,
        range_score_x10000=leaning.range_score_x10000,
        frames={
            _H1: _strength_of(h1),
            _M15: _strength_of(m15),
            _M5: _strength_of(m5),
            _M1: _strength_of(m1),
        },
    )


def _strength_of(readings: Readings) -> FrameStrength:
    adx, plus, minus = readings
    return FrameStrength(
        adx_x10000=round(adx * 10_000),
        plus_di_x10000=round(plus * 10_000),
        minus_di_x10000=round(minus * 10_000),
    )
