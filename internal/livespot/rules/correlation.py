"""How alike two symbols move: Pearson's correlation of their 5m log returns."""

from collections.abc import Sequence
from functools import lru_cache
from math import log, sqrt
from operator import mul
from typing import cast

import msgspec

from livespot.contracts.amounts import rint, round_bps
from livespot.contracts.canonical import Same
from livespot.contracts.market import Candle, Returns
from livespot.contracts.vocabulary import Interval

FRAME = Interval.M5
_FRAME_MS = FRAME.ms


class ReturnsTail(msgspec.Struct, frozen=True, kw_only=True):
    """Returns, and what the next candle needs to move them on by a step.

    `newest` is the candle they end with, `absent` tells of each step whether it is missing.
    """

    returns: Returns
    newest: Candle
    absent: tuple[bool, ...]


def log_returns(candles: Sequence[Candle], window: int) -> Returns:
    """Log returns of the newest `window` steps in whole bps, oldest first.

    A step whose predecessor is absent (a hole, or history too short) is 0 and counted as missing.
    """
    return _tail_of(candles[-(window + 1) :], window)[0]


def returns_tail(candles: Sequence[Candle], window: int) -> ReturnsTail:
    """`log_returns` of at least one candle, to be moved on."""
    newest = candles[-(window + 1) :]
    returns, absent = _tail_of(newest, window)
    return ReturnsTail(returns=returns, newest=newest[-1], absent=absent)


def moved_on(tail: ReturnsTail, candle: Candle) -> ReturnsTail:
    """The tail after the candle that directly follows its newest one."""
    before = tail.returns
    absent = (*tail.absent[1:], False)
    return ReturnsTail(
        returns=Returns(
            timeframe=FRAME,
            window=before.window,
            log_return_bps=(*before.log_return_bps[1:], _step(tail.newest, candle)),
            missing_count=before.missing_count - tail.absent[0],
        ),
        newest=candle,
        absent=absent,
    )


def _tail_of(newest: Sequence[Candle], window: int) -> tuple[Returns, tuple[bool, ...]]:
    by_time = {candle.open_time_ms: candle for candle in newest}
    values: list[int] = []
    absent: list[bool] = []
    end = newest[-1].open_time_ms if newest else 0
    for step in range(window - 1, -1, -1):
        now = by_time.get(end - step * _FRAME_MS)
        before = by_time.get(end - (step + 1) * _FRAME_MS)
        missing = now is None or before is None
        absent.append(missing)
        values.append(0 if now is None or before is None else _step(before, now))
    returns = Returns(
        timeframe=FRAME, window=window, log_return_bps=tuple(values), missing_count=sum(absent)
    )
    return returns, tuple(absent)


def _step(before: Candle, now: Candle) -> int:
    return round_bps(log(float(now.close) / float(before.close)) * 10_000.0)


def has_too_many_missing(returns: Returns, max_pct: int) -> bool:
    """Whether more than `max_pct` percent of the points are missing."""
    return returns.missing_count * 100 > max_pct * returns.window


def correlation_x10000(left: Sequence[int], right: Sequence[int]) -> int:
    """Pearson's r as an integer in -10000..10000; 0 when a series never moves.

    Exact integer sums, so the order of the points cannot change the result. Raises `ValueError`
    when the lengths differ.
    """
    if len(left) != len(right):
        raise ValueError(f"{len(left)!r} points cannot be compared with {len(right)!r}")
    return _pearson(left, _spread(left), right, _spread(right))


def likeness_x10000(left: Returns, right: Returns) -> int:
    """`correlation_x10000` of two symbols' returns, which stay the same for minutes.

    Raises `ValueError` when their windows differ.
    """
    return _likeness(Same(left), Same(right))


@lru_cache(maxsize=1024)
def _likeness(left: Same, right: Same) -> int:
    one, other = cast(Returns, left.value), cast(Returns, right.value)
    if len(one.log_return_bps) != len(other.log_return_bps):
        raise ValueError(f"windows of {one.window!r} and {other.window!r} cannot be compared")
    return _pearson(
        one.log_return_bps, _spread_once(left), other.log_return_bps, _spread_once(right)
    )


@lru_cache(maxsize=256)
def _spread_once(same: Same) -> tuple[int, int]:
    return _spread(cast(Returns, same.value).log_return_bps)


def _spread(points: Sequence[int]) -> tuple[int, int]:
    """Sum of the points, and n squared times their variance."""
    total = sum(points)
    return total, len(points) * sum(map(mul, points, points)) - total * total


def _pearson(
    left: Sequence[int], of_left: tuple[int, int], right: Sequence[int], of_right: tuple[int, int]
) -> int:
    (sum_l, spread_l), (sum_r, spread_r) = of_left, of_right
    if spread_l <= 0 or spread_r <= 0:
        return 0
    covariance = len(left) * sum(map(mul, left, right)) - sum_l * sum_r
    value = rint(covariance / sqrt(spread_l * spread_r) * 10_000)
    return max(-10_000, min(10_000, value))
