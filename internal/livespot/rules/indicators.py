"""Wilder's indicators, one candle at a time, seeded as TA-Lib seeds them."""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Context, Decimal, localcontext
from itertools import islice
from typing import TypeAlias

import msgspec

from livespot.contracts.amounts import ZERO, rint
from livespot.contracts.market import Candle

# High, low and close of a candle.
Bounds: TypeAlias = tuple[float, float, float]
PERIOD = 14
EMA_CANDLES = 40
EMA_PERIOD = 20
# What TA-Lib treats as zero for a smoothed range or a sum of directional indicators.
_TINY = 1e-14
_EMA_CONTEXT = Context(prec=28)
_EMA_PLACES = Decimal("1e-12")


class Directional(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """ADX, +DI and -DI of one frame, each 0..100."""

    adx: float
    plus_di: float
    minus_di: float


class Wilder:
    """ATR, +DI, -DI and ADX of one series; `update` takes one closed candle and costs O(1).

    Readings agree with TA-Lib's ATR, PLUS_DI, MINUS_DI and ADX over the same candles from their
    first defined value on. The seeds are TA-Lib's: true range and movement exist from the second
    candle; ATR starts, at index `period`, as the mean of the first `period` true ranges; the sums
    of range and movement behind the DIs start as plain sums of the first `period` - 1 and decay by
    1/`period` from the next on; ADX starts, at index 2 * `period` - 1, as the mean of the first
    `period` DX. `reading` holds ADX, +DI and -DI; it is None while ADX is not defined.
    """

    __slots__ = (
        "_adx",
        "_atr",
        "_before",
        "_divisor",
        "_dx_sum",
        "_kept",
        "_minus_dm",
        "_missing",
        "_period",
        "_plus_dm",
        "_range",
        "_range_sum",
        "reading",
    )

    def __init__(self, period: int = PERIOD) -> None:
        self._period = period
        self._divisor, self._kept = float(period), float(period - 1)
        # The number of candles still missing until ADX is defined.
        self._missing = 2 * period
        self._before: Bounds = (0.0, 0.0, 0.0)
        self._range_sum = self._atr = 0.0
        self._range = self._plus_dm = self._minus_dm = 0.0
        self._dx_sum = self._adx = 0.0
        self.reading: tuple[float, float, float] | None = None

    def update(self, bounds: Bounds) -> None:
        """Take the next closed candle; one without range or direction leaves the ADX unchanged.

        The same arithmetic as `update_all`, written out for a single candle because it is called
        for every candle of the stream.
        """
        if self._missing:
            self.update_all((bounds,))
            return
        # Floats: integers would be converted at every step.
        period, kept = self._divisor, self._kept
        high, low, _ = bounds
        high_before, low_before, last = self._before
        self._before = bounds
        up, down = high - high_before, low_before - low
        spread = (high if high > last else last) - (low if low < last else last)
        self._atr = (self._atr * kept + spread) / period
        plus_dm, minus_dm, smoothed = self._plus_dm, self._minus_dm, self._range
        plus_dm -= plus_dm / period
        minus_dm -= minus_dm / period
        if down > 0.0 and up < down:
            minus_dm += down
        elif up > 0.0 and up > down:
            plus_dm += up
        smoothed = smoothed - smoothed / period + spread
        self._plus_dm, self._minus_dm, self._range = plus_dm, minus_dm, smoothed
        plus = minus = 0.0
        if smoothed >= _TINY:
            plus, minus = 100.0 * (plus_dm / smoothed), 100.0 * (minus_dm / smoothed)
            total = plus + minus
            if total >= _TINY:
                apart = minus - plus if minus > plus else plus - minus
                self._adx = (self._adx * kept + 100.0 * apart / total) / period
        self.reading = self._adx, plus, minus

    def update_all(self, candles: Iterable[Bounds]) -> None:
        """Take closed candles, oldest first."""
        remaining = iter(candles)
        self._begin(remaining)
        # A history has a thousand candles, so the loop works on local variables.
        period, adx, atr = self._period, self._adx, self._atr
        high_before, low_before, last = self._before
        plus_dm, minus_dm, smoothed = self._plus_dm, self._minus_dm, self._range
        for high, low, close in remaining:
            up, down = high - high_before, low_before - low
            # True range: high to low, extended to the previous close if that lies outside.
            spread = (high if high > last else last) - (low if low < last else last)
            high_before, low_before, last = high, low, close
            atr = (atr * (period - 1) + spread) / period
            plus_dm -= plus_dm / period
            minus_dm -= minus_dm / period
            if down > 0 and up < down:
                minus_dm += down
            elif up > 0 and up > down:
                plus_dm += up
            smoothed = smoothed - smoothed / period + spread
            if smoothed >= _TINY:
                plus, minus = 100.0 * (plus_dm / smoothed), 100.0 * (minus_dm / smoothed)
                total = plus + minus
                if total >= _TINY:
                    dx = 100.0 * abs(minus - plus) / total
                    adx = (adx * (period - 1) + dx) / period
        self._adx, self._atr, self._before = adx, atr, (high_before, low_before, last)
        self._plus_dm, self._minus_dm, self._range = plus_dm, minus_dm, smoothed
        if not self._missing:
            self.reading = adx, *self._indicators()

    def _begin(self, candles: Iterator[Bounds]) -> None:
        """Take candles as long as ADX is not defined."""
        for bounds in islice(candles, self._missing):
            high, low, _ = bounds
            high_before, low_before, last = self._before
            spread = (high if high > last else last) - (low if low < last else last)
            count = 2 * self._period - self._missing
            self._seed(count, spread, high - high_before, low_before - low)
            self._before = bounds
            self._missing -= 1

    @property
    def last(self) -> float:
        """The close of the newest candle."""
        return self._before[2]

    @property
    def atr(self) -> float | None:
        """Average true range in price units, or None while it is not defined."""
        return self._atr if self._missing < self._period else None

    @property
    def directional(self) -> Directional | None:
        """ADX and both DIs, or None while ADX is not defined."""
        if self.reading is None:
            return None
        adx, plus, minus = self.reading
        return Directional(adx=adx, plus_di=plus, minus_di=minus)

    def _seed(self, count: int, spread: float, up: float, down: float) -> None:
        """Take the candle after `count` others while ADX is not defined; the first has no range."""
        if count:
            self._take_range(count, spread)
            self._take_movement(count, spread, up, down)

    def _take_range(self, count: int, spread: float) -> None:
        period = self._period
        if count < period:
            self._range_sum += spread
        elif count == period:
            self._atr = (self._range_sum + spread) / period
        else:
            self._atr = (self._atr * (period - 1) + spread) / period

    def _take_movement(self, count: int, spread: float, up: float, down: float) -> None:
        """Wilder's smoothed sums: plain sums of the first period - 1, then decaying ones."""
        period = self._period
        if count >= period:
            self._plus_dm -= self._plus_dm / period
            self._minus_dm -= self._minus_dm / period
            self._range -= self._range / period
        if down > 0 and up < down:
            self._minus_dm += down
        elif up > 0 and up > down:
            self._plus_dm += up
        self._range += spread
        if count >= period:
            self._take_index(count)

    def _take_index(self, count: int) -> None:
        """Sum up the first DX values, whose mean is the first ADX."""
        plus, minus = self._indicators()
        total = plus + minus
        known = self._range >= _TINY and total >= _TINY
        self._dx_sum += 100.0 * abs(minus - plus) / total if known else 0.0
        if count == 2 * self._period - 1:
            self._adx = self._dx_sum / self._period

    def _indicators(self) -> tuple[float, float]:
        if self._range < _TINY:
            return 0.0, 0.0
        return 100.0 * (self._plus_dm / self._range), 100.0 * (self._minus_dm / self._range)


def wilder_of(candles: Sequence[Candle], period: int = PERIOD) -> Wilder:
    """The state after a whole series, from scratch."""
    state = Wilder(period)
    state.update_all((float(c.high), float(c.low), float(c.close)) for c in candles)
    return state


def ema20(closes: Sequence[Decimal]) -> Decimal | None:
    """EMA of the last 40 closes with alpha 2/21, seeded with the mean of the first 20 of them.

    Decimal arithmetic of fixed precision, so the value may be stored and compared exactly; None
    with fewer than 40 closes.
    """
    if len(closes) < EMA_CANDLES:
        return None
    window = closes[-EMA_CANDLES:]
    with localcontext(_EMA_CONTEXT):
        value = sum(window[:EMA_PERIOD], ZERO) / EMA_PERIOD
        for close in window[EMA_PERIOD:]:
            value += (close - value) * 2 / (EMA_PERIOD + 1)
        return value.quantize(_EMA_PLACES)


def mean_volume(volumes: Sequence[Decimal], window: int) -> Decimal | None:
    """Mean of the `window` - 1 volumes before the last one; None when there are too few."""
    if len(volumes) < window:
        return None
    return sum(volumes[-window:-1], ZERO) / (window - 1)


def volume_ratio_x10000(volumes: Sequence[Decimal], window: int) -> int | None:
    """Last volume over the mean of the `window` - 1 before it; None without a positive mean."""
    mean = mean_volume(volumes, window)
    if mean is None or mean <= 0:
        return None
    return rint(float(volumes[-1] / mean) * 10_000)
