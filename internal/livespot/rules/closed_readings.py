"""What closed candles say: worked out when somebody looks, and only for frames that moved on."""

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
from livespot.rules.candles import CandleSeries
from livespot.rules.correlation import ReturnsTail, log_returns, moved_on, returns_tail
from livespot.rules.indicators import EMA_CANDLES, ema20, volume_ratio_x10000
from livespot.rules.regime import FrameShare, leaning_of, share_of, with_frames

Series = Mapping[Interval, CandleSeries]
# How late the frame that closes a candle may be before the series counts as behind.
CANDLE_GRACE_MS = 3000
_NEVER_MS = 1 << 62
_M5, _M15 = Interval.M5, Interval.M15


class SignalFrame(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision looks at in the 5m series; `ema` is None while it is not defined.

    `volume_ratio_x10000` is 0 without a positive mean; the strategy looks at the candles to tell.
    """

    candles: tuple[Candle, ...]
    candles_sha256: str
    ema: Decimal | None
    volume_ratio_x10000: int


class FrameReading(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One frame's state: `share` is None while ADX is not defined, `atr_bps` while ATR is not.

    The ATR is read of the frames that tell of volatility; of 1m and 1h it is always None.
    From `behind_ms` on another candle should have followed the newest one.
    """

    version: int
    share: FrameShare | None
    atr_bps: int | None
    behind_ms: int


class ClosedReadings(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Readings of one state of the four series; a reading that is not defined yet is None.

    From `behind_ms` on one of the frames is behind.
    """

    frames: tuple[FrameReading, ...]
    settings: Settings
    leaning: Leaning | None
    volatility: Volatility | None
    behind_ms: int


class FrameOf5m:
    """What only the 5m series says, each reading once per closed candle and only when asked for."""

    __slots__ = (
        "_returns",
        "_returns_version",
        "_returns_window",
        "_series",
        "_signal",
        "_signal_of",
    )

    def __init__(self, series: CandleSeries) -> None:
        self._series = series
        self._signal: SignalFrame | None = None
        self._signal_of: tuple[int, Settings | None] = (-1, None)
        self._returns: ReturnsTail | None = None
        self._returns_version, self._returns_window = -1, 0

    def signal(self, settings: Settings) -> SignalFrame:
        """EMA, volume and the candles behind them."""
        version, known = self._signal_of
        if self._signal is None or known is not settings or version != self._series.version:
            self._signal = signal_frame(self._series, settings)
            self._signal_of = (self._series.version, settings)
        return self._signal

    def returns(self, window: int) -> Returns:
        """Log returns of the newest `window` steps, as `log_returns` defines them."""
        tail, version = self._returns, self._series.version
        if tail is None or version != self._returns_version or window != self._returns_window:
            last = self._series.last
            if last is None:
                return log_returns((), window)
            # A series counts on by one when it grows by one; when it is corrected it does so, too,
            # but then its last candle is not the next one.
            grown = version == self._returns_version + 1 and window == self._returns_window
            if tail is not None and grown and self._is_next(tail.newest, last):
                tail = moved_on(tail, last)
            else:
                tail = returns_tail(self._series.tail(window + 1), window)
            self._returns, self._returns_version, self._returns_window = tail, version, window
        return tail.returns

    def _is_next(self, newest: Candle, last: Candle) -> bool:
        return last.open_time_ms == newest.open_time_ms + self._series.step_ms


def closed_readings(
    series: Series, settings: Settings, before: ClosedReadings | None
) -> ClosedReadings:
    """The readings of now, with everything of `before` that still holds."""
    if before is None or before.settings is not settings:
        m1, m5, m15, h1 = [frame_reading(one) for one in series.values()]
        volatility = _ranges(m5, m15)
    else:
        known1, known5, known15, known60 = before.frames
        of1, of5, of15, of60 = series.values()
        m1 = known1 if known1.version == of1.version else frame_reading(of1)
        m5 = known5 if known5.version == of5.version else frame_reading(of5)
        m15 = known15 if known15.version == of15.version else frame_reading(of15)
        h1 = known60 if known60.version == of60.version else frame_reading(of60)
        volatility = before.volatility
        if known5 is not m5 or known15 is not m15:
            volatility = _ranges(m5, m15)
        elif known1 is m1 and known60 is h1:
            return before
    of_h1, of_m15, of_m5, of_m1 = h1.share, m15.share, m5.share, m1.share
    leaning = None
    if of_h1 is not None and of_m15 is not None and of_m5 is not None and of_m1 is not None:
        leaning = leaning_of(of_h1, of_m15, of_m5, of_m1, settings.strategy)
    return ClosedReadings(
        frames=(m1, m5, m15, h1),
        settings=settings,
        leaning=leaning,
        volatility=volatility,
        behind_ms=min(m1.behind_ms, m5.behind_ms, m15.behind_ms, h1.behind_ms),
    )


def frame_reading(series: CandleSeries) -> FrameReading:
    """What one series says, from its indicators' present state."""
    wilder, last, interval = series.wilder, series.last, series.interval
    read, share = wilder.read(), None
    if read is not None:
        adx, plus, minus = read
        share = share_of(interval, adx, plus, minus)
    atr = wilder.atr if interval is _M5 or interval is _M15 else None
    return FrameReading(
        version=series.version,
        share=share,
        atr_bps=None if atr is None or last is None else _atr_bps(atr, last),
        behind_ms=_NEVER_MS
        if last is None
        else last.open_time_ms + 2 * series.step_ms + CANDLE_GRACE_MS,
    )


def _atr_bps(atr: float, last: Candle) -> int:
    """An average true range over the last close."""
    return round_bps(atr / float(last.close) * 10_000.0)


def _ranges(m5: FrameReading, m15: FrameReading) -> Volatility | None:
    """ATR(14) over the last close, in bps; None while it is not defined."""
    if m5.atr_bps is None or m15.atr_bps is None:
        return None
    return Volatility(atr14_5m_bps=m5.atr_bps, atr14_15m_bps=m15.atr_bps)


def regime_of_readings(closed: ClosedReadings) -> Regime | None:
    """The regime with what each frame says, or None while a frame has no ADX."""
    m1, m5, m15, h1 = (frame.share for frame in closed.frames)
    if closed.leaning is None or h1 is None or m15 is None or m5 is None or m1 is None:
        return None
    return with_frames(closed.leaning, h1, m15, m5, m1)


def signal_frame(m5: CandleSeries, settings: Settings) -> SignalFrame:
    """Readings of the 5m series; its candles are respelled, one way per number.

    Stream and history spell numbers differently, and their hashes must be alike.
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
