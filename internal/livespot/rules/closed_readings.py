"""Readings of the closed candles, computed on demand and only for frames that have changed."""

from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import cast

import msgspec

from livespot.contracts.amounts import round_bps
from livespot.contracts.canonical import Same, hash_of
from livespot.contracts.market import Candle, Leaning, Regime, Returns, Volatility
from livespot.contracts.settings import Settings
from livespot.contracts.vocabulary import Interval
from livespot.rules.candles import WARM, CandleSeries
from livespot.rules.correlation import ReturnsTail, log_returns, moved_on, returns_tail
from livespot.rules.indicators import EMA_CANDLES, ema20, volume_ratio_x10000
from livespot.rules.regime import leaning_of, share_of, with_frames

Series = Mapping[Interval, CandleSeries]
# How late a candle may close before its series counts as behind.
CANDLE_GRACE_MS = 3000
_NEVER_MS = 1 << 62


class SignalFrame(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision looks at in the 5m series; `ema` is None while it is not defined.

    `volume_ratio_x10000` is 0 without a positive mean; the strategy checks the candles for that.
    """

    candles: tuple[Candle, ...]
    candles_sha256: str
    ema: Decimal | None
    volume_ratio_x10000: int


class FrameReading(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One frame's state; `directional` (ADX, +DI, -DI) and `share` are None without an ADX.

    From `behind_ms` on, the candle after the newest one should have closed.
    """

    version: int
    directional: tuple[float, float, float] | None
    share: float | None
    behind_ms: int
    is_warm: bool


class SlowerReadings(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The readings of 5m, 15m and 1h, which most minutes leave unchanged.

    `version` is the sum of the three versions; each only grows, so an equal sum means no change.
    `shares` are those of 1h, 15m and 5m, None while one of them has none; `moves` are the 5m
    returns, None without a candle.
    """

    version: int
    m5: FrameReading
    m15: FrameReading
    h1: FrameReading
    shares: tuple[float, float, float] | None
    volatility: Volatility | None
    moves: ReturnsTail | None
    behind_ms: int
    is_warm: bool


class ClosedReadings(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Readings of one state of the four series; a reading that is not defined yet is None.

    From `behind_ms` on, one of the frames is behind. `is_warm` when all frames are, with enough 5m
    candles for the window of correlations.
    """

    m1: FrameReading
    slower: SlowerReadings
    settings: Settings
    leaning: Leaning | None
    volatility: Volatility | None
    behind_ms: int
    is_warm: bool


class SignalFrames:
    """The 5m readings that only a decision needs, computed once per closed candle."""

    __slots__ = ("_series", "_signal", "_signal_of")

    def __init__(self, series: CandleSeries) -> None:
        self._series = series
        self._signal: SignalFrame | None = None
        self._signal_of: tuple[int, Settings | None] = (-1, None)

    def now(self, settings: Settings) -> SignalFrame:
        """EMA, volume and the candles behind them."""
        version, known = self._signal_of
        if self._signal is None or known is not settings or version != self._series.version:
            self._signal = signal_frame(self._series, settings)
            self._signal_of = (self._series.version, settings)
        return self._signal


def closed_readings(
    series: Series, settings: Settings, before: ClosedReadings | None
) -> ClosedReadings:
    """The current readings, reusing whatever of `before` still holds."""
    of1, of5, of15, of60 = series.values()
    if before is None or before.settings is not settings:
        m1, slower = frame_reading(of1), _slower(of5, of15, of60, settings, None)
        leaning = _leaning(m1, slower, settings)
    else:
        m1, slower, leaning = before.m1, before.slower, before.leaning
        moved_slowly = slower.version != of5.version + of15.version + of60.version
        if moved_slowly:
            slower = _slower(of5, of15, of60, settings, slower)
        if m1.version != of1.version:
            m1 = frame_reading(of1)
        elif not moved_slowly:
            return before
        # The share saturates, so in a strong trend, or in none, a minute changes nothing.
        if moved_slowly or m1.share != before.m1.share:
            leaning = _leaning(m1, slower, settings)
    return ClosedReadings(
        m1=m1,
        slower=slower,
        settings=settings,
        leaning=leaning,
        volatility=slower.volatility,
        behind_ms=m1.behind_ms if m1.behind_ms < slower.behind_ms else slower.behind_ms,
        is_warm=m1.is_warm and slower.is_warm,
    )


def frame_reading(series: CandleSeries) -> FrameReading:
    """The reading of one series from the present state of its indicators."""
    directional, last = series.wilder.reading, series.last
    return FrameReading(
        version=series.version,
        directional=directional,
        share=None if directional is None else share_of(series.interval, directional),
        behind_ms=_NEVER_MS
        if last is None
        else last.open_time_ms + 2 * series.step_ms + CANDLE_GRACE_MS,
        is_warm=series.is_warm,
    )


def _slower(
    of5: CandleSeries,
    of15: CandleSeries,
    of60: CandleSeries,
    settings: Settings,
    before: SlowerReadings | None,
) -> SlowerReadings:
    if before is None:
        m5, m15, h1 = frame_reading(of5), frame_reading(of15), frame_reading(of60)
    else:
        m5, m15 = _now(of5, before.m5), _now(of15, before.m15)
        h1 = _now(of60, before.h1)
    points = settings.selection.corr_window_points
    return SlowerReadings(
        version=m5.version + m15.version + h1.version,
        m5=m5,
        m15=m15,
        h1=h1,
        shares=_shares(h1, m15, m5),
        volatility=_volatility(of5, of15),
        moves=_moves(of5, m5, points, before),
        behind_ms=min(m5.behind_ms, m15.behind_ms, h1.behind_ms),
        is_warm=m5.is_warm and m15.is_warm and h1.is_warm and (points < WARM or points < len(of5)),
    )


def _now(series: CandleSeries, before: FrameReading) -> FrameReading:
    return before if before.version == series.version else frame_reading(series)


def _moves(
    of5: CandleSeries, m5: FrameReading, window: int, before: SlowerReadings | None
) -> ReturnsTail | None:
    """The newest `window` returns; those of `before` are advanced if one candle has followed."""
    last = of5.last
    if last is None:
        return None
    known = None if before is None else before.moves
    if before is not None and known is not None:
        if before.m5.version == m5.version:
            return known
        # The version also grows by one when a candle is corrected, but then the last candle is not
        # the next one.
        grown = m5.version == before.m5.version + 1
        if grown and last.open_time_ms == known.open_time_ms + of5.step_ms:
            return moved_on(known, last)
    return returns_tail(of5.tail(window + 1), window)


def _volatility(of5: CandleSeries, of15: CandleSeries) -> Volatility | None:
    """ATR(14) over the last close, in bps; None while it is not defined."""
    atr5, atr15 = of5.wilder.atr, of15.wilder.atr
    if atr5 is None or atr15 is None:
        return None
    return Volatility(
        atr14_5m_bps=round_bps(atr5 / of5.wilder.last * 10_000.0),
        atr14_15m_bps=round_bps(atr15 / of15.wilder.last * 10_000.0),
    )


def _shares(
    h1: FrameReading, m15: FrameReading, m5: FrameReading
) -> tuple[float, float, float] | None:
    if h1.share is None or m15.share is None or m5.share is None:
        return None
    return h1.share, m15.share, m5.share


def _leaning(m1: FrameReading, slower: SlowerReadings, settings: Settings) -> Leaning | None:
    """The regime of all frames together, or None while one of them has no ADX."""
    if slower.shares is None or m1.share is None:
        return None
    h1, m15, m5 = slower.shares
    return leaning_of((h1, m15, m5, m1.share), settings.strategy)


def returns_of_readings(closed: ClosedReadings) -> Returns:
    """Log returns over the window of correlations, as `log_returns` defines them."""
    moves = closed.slower.moves
    if moves is None:
        return log_returns((), closed.settings.selection.corr_window_points)
    return moves.returns


def regime_of_readings(closed: ClosedReadings) -> Regime | None:
    """The regime with what each frame says, or None while a frame has no ADX."""
    slower, m1 = closed.slower, closed.m1.directional
    h1, m15, m5 = slower.h1.directional, slower.m15.directional, slower.m5.directional
    if closed.leaning is None or h1 is None or m15 is None or m5 is None or m1 is None:
        return None
    return with_frames(closed.leaning, h1, m15, m5, m1)


def signal_frame(m5: CandleSeries, settings: Settings) -> SignalFrame:
    """The 5m readings; equal numbers in its candles are spelled in one way.

    Stream and history spell numbers differently, and their hashes must be equal.
    """
    tail = m5.tail(EMA_CANDLES)
    candles = tuple(_plain_candle(Same(candle)) for candle in tail)
    volumes = [candle.volume for candle in candles]
    return SignalFrame(
        candles=candles,
        candles_sha256=hash_of(candles),
        ema=ema20([candle.close for candle in tail]),
        volume_ratio_x10000=volume_ratio_x10000(volumes, settings.strategy.volume_ratio_window)
        or 0,
    )


def plain(value: Decimal) -> Decimal:
    """The number without trailing zeros and without an exponent above zero; zero is 0."""
    short = value.normalize()
    return short.quantize(Decimal(1)) if short == short.to_integral_value() else short


@lru_cache(maxsize=2048)
def _plain_candle(same: Same) -> Candle:
    """The candle with plain numbers; cached, because the next forty decisions see it again."""
    candle = cast(Candle, same.value)
    return Candle(
        open_time_ms=candle.open_time_ms,
        open=plain(candle.open),
        high=plain(candle.high),
        low=plain(candle.low),
        close=plain(candle.close),
        volume=plain(candle.volume),
    )
