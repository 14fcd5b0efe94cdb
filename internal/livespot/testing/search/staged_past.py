"""Days of minutes after which the default strategy wants to buy the next dip."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import accumulate, cycle, islice
from operator import add

from livespot.exchange.klines import Bar
from livespot.exchange.prng_ahead import DrawnAhead
from livespot.testing.search.stage import Shape

# The runtime wants a hundred candles of every frame, those of an hour included.
MINUTES = 104 * 60
_TRADES = 60
_BUSY_MINUTES = 5
_BUSY_PERCENT = 220
_EMA_CANDLES, _EMA_PERIOD, _CANDLE = 40, 20, 5
# All below in hundredths of a basis point.
_UNIT = 1_000_000
_RISE_PER_MINUTE, _RISING_MINUTES = 200, 36 * 60
_RISE_BEFORE = 20
# So that the day shows a rise even after the deepest fall: else nobody would listen any more.
_STEP, _STEP_ENDED, _STEP_MINUTES = 70_000, 20 * 60, 3 * 60
_DIP = (30, 17_000)
# (amplitude, period in minutes): each frame sees as much up as down.
_WAVES = ((6000, 120), (2500, 30), (2500, 10))
# The longest period is a multiple of the others.
_WAVES_AGAIN = 120


@dataclass(frozen=True, slots=True)
class _Habit:
    """How wildly minutes of a shape move, in hundredths of a basis point."""

    noise: int
    wick: int


_HABITS = {"rising": _Habit(noise=2000, wick=5200), "ranging": _Habit(noise=1500, wick=7000)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """Columns of minutes, in ticks and steps; `average` is the strategy's EMA at their end."""

    opens: "array[int]"
    highs: "array[int]"
    lows: "array[int]"
    closes: "array[int]"
    volumes: "array[int]"
    average: float

    def bar(self, first: int, last: int, open_ms: int) -> Bar:
        """Rows [first, last) as one bar."""
        highs, lows = self.highs[first:last], self.lows[first:last]
        volume = sum(self.volumes[first:last])
        quote = volume * (self.opens[first] + self.closes[last - 1]) // 2
        return Bar(
            open_ms,
            self.opens[first],
            max(highs),
            min(lows),
            self.closes[last - 1],
            volume,
            quote,
            _TRADES * (last - first),
            volume // 2,
            quote // 2,
        )


@lru_cache(maxsize=64)
def past_of(shape: Shape, variant: int, end: int, price: int, volume: int) -> Past:
    """The minutes of a shape that end near `price` (ticks), each of about `volume` (steps).

    `end` is the minute of two hours that follows the last one; waves are bound to the hours.
    """
    draw, habit = DrawnAhead(f"past {shape} {variant}"), _HABITS[shape]
    drifts = _rising() if shape == "rising" else _ranging(end)
    path = [
        price * (_UNIT + drift + draw.below(2 * habit.noise + 1) - habit.noise) // _UNIT
        for drift in drifts
    ]
    opens, closes = path[:-1], path[1:]
    highs, lows = [], []
    for o, c in zip(opens, closes, strict=True):
        highs.append(max(o, c) * (_UNIT + draw.below(habit.wick)) // _UNIT)
        lows.append(min(o, c) * (_UNIT - draw.below(habit.wick)) // _UNIT)
    busy_from = MINUTES - _BUSY_MINUTES
    volumes = [
        volume * (_BUSY_PERCENT if row >= busy_from else 100) // 100 for row in range(MINUTES)
    ]
    return Past(
        opens=array("q", opens),
        highs=array("q", highs),
        lows=array("q", lows),
        closes=array("q", closes),
        volumes=array("q", volumes),
        average=_average(closes),
    )


@cache
def _rising() -> tuple[int, ...]:
    """A steady rise, and a dip just before the end."""
    return tuple(_rises())


def _rises() -> Iterator[int]:
    minutes, depth = _DIP
    for left in range(MINUTES, -1, -1):
        dip = depth * (minutes - left) // minutes if left < minutes else 0
        steep = min(left, _RISING_MINUTES)
        yield -steep * _RISE_PER_MINUTE - (left - steep) * _RISE_BEFORE - dip


def _ranging(end: int) -> Iterable[int]:
    """Waves within waves around a level price, after a step up early in the day."""
    waves = cycle(_waves())
    return map(add, _steps(), islice(waves, (end - MINUTES) % _WAVES_AGAIN, None))


@cache
def _steps() -> tuple[int, ...]:
    """How far below its last level the price was."""
    return tuple(
        -(min(max(0, left - _STEP_ENDED), _STEP_MINUTES) * _STEP // _STEP_MINUTES)
        for left in range(MINUTES, -1, -1)
    )


@cache
def _waves() -> tuple[int, ...]:
    """What all waves together add, minute for minute, until they begin anew."""
    return tuple(
        sum(_wave(minute, period, height) for height, period in _WAVES)
        for minute in range(_WAVES_AGAIN)
    )


def _wave(minute: int, period: int, height: int) -> int:
    """A triangle: above zero in the first half of its period, below in the second."""
    at = minute % period * 4
    if at <= period:
        return height * at // period
    if at <= 3 * period:
        return height * (2 * period - at) // period
    return height * (at - 4 * period) // period


def _average(closes: Sequence[int]) -> float:
    """The EMA of the last forty five-minute closes, as the strategy computes it."""
    window = closes[_CANDLE - 1 :: _CANDLE][-_EMA_CANDLES:]
    seed = sum(window[:_EMA_PERIOD]) / _EMA_PERIOD
    steps = accumulate(
        window[_EMA_PERIOD:], lambda ema, close: ema + (close - ema) * 2 / 21, initial=seed
    )
    return list(steps)[-1]
