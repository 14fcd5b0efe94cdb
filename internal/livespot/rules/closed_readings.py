"""What closed candles say, computed once per closed candle instead of once per look."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import cast

from livespot.contracts.canonical import Same, hash_of
from livespot.contracts.market import Candle, Regime, Returns, Volatility
from livespot.contracts.settings import Settings
from livespot.contracts.vocabulary import Interval
from livespot.rules.candles import CandleSeries
from livespot.rules.correlation import log_returns
from livespot.rules.indicators import EMA_CANDLES, ema20, volume_ratio_x10000

Series = Mapping[Interval, CandleSeries]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalFrame:
    """What the 5m series alone says; `ema` is None while it is not defined.

    `volume_ratio_x10000` is 0 without a positive mean; the strategy looks at the candles to tell.
    """

    candles: tuple[Candle, ...]
    candles_sha256: str
    ema: Decimal | None
    volume_ratio_x10000: int
    returns: Returns


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedReadings:
    """Readings of one state of the four series; a reading that is not defined yet is None."""

    versions: tuple[int, ...]
    m5_version: int
    settings: Settings
    regime: Regime | None
    volatility: Volatility | None
    signal: SignalFrame


def versions_of(series: Series) -> tuple[int, ...]:
    """Equal when no candle has joined or been corrected in between."""
    return tuple(frame.version for frame in series.values())


def signal_frame(m5: CandleSeries, settings: Settings) -> SignalFrame:
    """Readings of the 5m series; its candles are respelled, one way per number.

    Stream and history spell numbers differently, and their hashes must be alike.
    """
    tail = m5.tail(EMA_CANDLES)
    candles = tuple(_plain_candle(Same(candle)) for candle in tail)
    points = settings.selection.corr_window_points
    volumes = [candle.volume for candle in candles]
    return SignalFrame(
        candles=candles,
        candles_sha256=hash_of(candles),
        ema=ema20([candle.close for candle in tail]),
        volume_ratio_x10000=volume_ratio_x10000(volumes, settings.strategy.volume_ratio_window)
        or 0,
        returns=log_returns(m5.tail(points + 1), points),
    )


def plain(value: Decimal) -> Decimal:
    """Without trailing zeros and without an exponent above zero; zero is 0."""
    short = value.normalize()
    return short.quantize(Decimal(1)) if short == short.to_integral_value() else short


@lru_cache(maxsize=2048)
def _plain_candle(same: Same) -> Candle:
    """A candle is respelled once; the next forty closes of its frame look at it again."""
    candle = cast(Candle, same.value)
    return Candle(
        open_time_ms=candle.open_time_ms,
        open=plain(candle.open),
        high=plain(candle.high),
        low=plain(candle.low),
        close=plain(candle.close),
        volume=plain(candle.volume),
    )
