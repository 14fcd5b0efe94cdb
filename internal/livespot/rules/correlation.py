"""How alike two symbols move: Pearson's correlation of their 5m log returns."""

from collections.abc import Sequence
from math import log, sqrt

from livespot.contracts.amounts import rint, round_bps
from livespot.contracts.market import Candle, Returns
from livespot.contracts.vocabulary import Interval

FRAME = Interval.M5


def log_returns(candles: Sequence[Candle], window: int) -> Returns:
    """Log returns of the newest `window` steps in whole bps, oldest first.

    A step whose predecessor is absent (a hole, or history too short) is 0 and counted as missing.
    """
    newest = candles[-(window + 1) :]
    by_time = {candle.open_time_ms: candle for candle in newest}
    values: list[int] = []
    missing = 0
    end = newest[-1].open_time_ms if newest else 0
    for step in range(window - 1, -1, -1):
        now = by_time.get(end - step * FRAME.ms)
        before = by_time.get(end - (step + 1) * FRAME.ms)
        if now is None or before is None:
            missing += 1
            values.append(0)
        else:
            values.append(round_bps(log(float(now.close) / float(before.close)) * 10_000.0))
    return Returns(
        timeframe=FRAME, window=window, log_return_bps=tuple(values), missing_count=missing
    )


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
    count, sum_l, sum_r = len(left), sum(left), sum(right)
    covariance = count * sum(a * b for a, b in zip(left, right, strict=True)) - sum_l * sum_r
    spread_l = count * sum(a * a for a in left) - sum_l * sum_l
    spread_r = count * sum(b * b for b in right) - sum_r * sum_r
    if spread_l <= 0 or spread_r <= 0:
        return 0
    value = rint(covariance / sqrt(spread_l * spread_r) * 10_000)
    return max(-10_000, min(10_000, value))
