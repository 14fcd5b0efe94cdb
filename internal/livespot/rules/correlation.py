"""How closely two symbols move together: Pearson's correlation of their 5m log returns."""

from collections.abc import Sequence
from functools import lru_cache
from math import dist, hypot, log, sqrt
from operator import mul
from typing import TypeAlias, cast

import msgspec

from livespot.contracts.amounts import rint, round_bps
from livespot.contracts.canonical import Same
from livespot.contracts.market import Candle, Returns
from livespot.contracts.vocabulary import Interval

FRAME = Interval.M5
# Results by the `id` of both returns; keeping the objects alive keeps their ids unique.
_KNOWN: dict[tuple[int, int], tuple[Returns, Returns, int]] = {}
_MOST_KNOWN = 1024
_FRAME_MS = FRAME.ms
# Below this, squaring a float root is off by far less than 0.5, so rounding is exact.
_EXACT = 1 << 44
# Sum of the points, of their squares, and n squared times their variance.
_Sums: TypeAlias = tuple[int, int, int]


class ReturnsTail(msgspec.Struct, frozen=True, kw_only=True):
    """Returns, and what is needed to advance them by one candle.

    They end with a candle of `open_time_ms` and `close`. `absent` tells for each step whether it is
    missing; it is empty when none is.
    """

    returns: Returns
    open_time_ms: int
    close: float
    absent: tuple[bool, ...]


def log_returns(candles: Sequence[Candle], window: int) -> Returns:
    """Log returns of the newest `window` steps in whole bps, oldest first.

    A step whose predecessor is absent (a hole, or history too short) is 0 and counted as missing.
    """
    return _tail_of(candles[-(window + 1) :], window)[0]


def returns_tail(candles: Sequence[Candle], window: int) -> ReturnsTail:
    """`log_returns` of at least one candle, in a form that `moved_on` can advance."""
    newest = candles[-(window + 1) :]
    returns, absent = _tail_of(newest, window)
    absent = absent if returns.missing_count else ()
    last = newest[-1]
    return ReturnsTail(
        returns=returns, open_time_ms=last.open_time_ms, close=float(last.close), absent=absent
    )


def moved_on(tail: ReturnsTail, candle: Candle) -> ReturnsTail:
    """The tail after the candle that directly follows its newest one."""
    before, absent, close = tail.returns, tail.absent, float(candle.close)
    missing = before.missing_count - absent[0] if absent else 0
    return ReturnsTail(
        returns=Returns(
            timeframe=FRAME,
            window=before.window,
            log_return_bps=(*before.log_return_bps[1:], _step(tail.close, close)),
            missing_count=missing,
        ),
        open_time_ms=candle.open_time_ms,
        close=close,
        absent=(*absent[1:], False) if missing else (),
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
        values.append(
            0 if now is None or before is None else _step(float(before.close), float(now.close))
        )
    returns = Returns(
        timeframe=FRAME, window=window, log_return_bps=tuple(values), missing_count=sum(absent)
    )
    return returns, tuple(absent)


def _step(before: float, now: float) -> int:
    return round_bps(log(now / before) * 10_000.0)


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
    """`correlation_x10000` of two symbols' returns, cached because they stay the same for minutes.

    Raises `ValueError` when their windows differ.
    """
    known = _KNOWN.get((id(left), id(right)))
    if known is not None:
        return known[2]
    if len(left.log_return_bps) != len(right.log_return_bps):
        raise ValueError(f"windows of {left.window!r} and {right.window!r} cannot be compared")
    value = _pearson(
        left.log_return_bps,
        _spread_once(Same(left)),
        right.log_return_bps,
        _spread_once(Same(right)),
    )
    if len(_KNOWN) >= _MOST_KNOWN:
        _KNOWN.clear()
    _KNOWN[id(left), id(right)] = left, right, value
    return value


@lru_cache(maxsize=256)
def _spread_once(same: Same) -> _Sums:
    return _spread(cast(Returns, same.value).log_return_bps)


def _spread(points: Sequence[int]) -> _Sums:
    total, squares = sum(points), _squares(points)
    return total, squares, len(points) * squares - total * total


def _squares(points: Sequence[int]) -> int:
    length = hypot(*points)
    squares = length * length
    return round(squares) if squares < _EXACT else sum(map(mul, points, points))


def _pearson(left: Sequence[int], of_left: _Sums, right: Sequence[int], of_right: _Sums) -> int:
    (sum_l, squares_l, spread_l), (sum_r, squares_r, spread_r) = of_left, of_right
    if spread_l <= 0 or spread_r <= 0:
        return 0
    squares = squares_l + squares_r
    if squares < _EXACT:
        # |l - r|^2 = |l|^2 + |r|^2 - 2 l.r, and `dist` computes |l - r| in one call.
        apart = dist(left, right)
        products = (squares - round(apart * apart)) // 2
    else:
        products = sum(map(mul, left, right))
    covariance = len(left) * products - sum_l * sum_r
    value = rint(covariance / sqrt(spread_l * spread_r) * 10_000)
    return max(-10_000, min(10_000, value))
