"""Trend, range or neither: four frames' directional strength in one label."""

from collections.abc import Mapping
from math import fsum

from livespot.contracts.amounts import clamp01, rint, round_x10000
from livespot.contracts.market import FrameStrength, Regime
from livespot.contracts.settings import StrategySettings
from livespot.contracts.vocabulary import Direction, Interval, RegimeLabel
from livespot.rules.indicators import Directional

WEIGHTS = {Interval.H1: 0.4, Interval.M15: 0.3, Interval.M5: 0.2, Interval.M1: 0.1}


def strength(adx: float) -> float:
    """0 at ADX 15 and below, 1 at 25 and above."""
    return clamp01((adx - 15.0) / 10.0)


def regime_of(frames: Mapping[Interval, Directional], settings: StrategySettings) -> Regime:
    """The weighted regime of the four frames; raises `KeyError` when one is missing."""
    signed = fsum(
        weight * strength(frames[frame].adx) * _sign(frames[frame])
        for frame, weight in WEIGHTS.items()
    )
    total = fsum(weight * strength(frames[frame].adx) for frame, weight in WEIGHTS.items())
    trend = round_x10000(abs(signed))
    ranging = round_x10000(1.0 - total)
    if trend >= settings.trend_threshold:
        label = RegimeLabel.TREND
    elif ranging >= settings.range_threshold:
        label = RegimeLabel.RANGE
    else:
        label = RegimeLabel.UNCLEAR
    return Regime(
        label=label,
        direction=Direction.BULL if signed > 0 else Direction.BEAR,
        trend_score_x10000=trend,
        range_score_x10000=ranging,
        frames={frame.value: _whole(frames[frame]) for frame in WEIGHTS},
    )


def _sign(reading: Directional) -> int:
    return 1 if reading.plus_di > reading.minus_di else -1


def _whole(reading: Directional) -> FrameStrength:
    return FrameStrength(
        adx_x10000=rint(reading.adx * 10_000),
        plus_di_x10000=rint(reading.plus_di * 10_000),
        minus_di_x10000=rint(reading.minus_di * 10_000),
    )
