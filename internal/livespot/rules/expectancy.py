"""What closed trades say about a strategy: hit rate, its interval, expectancy. For reports only.

No decision may depend on these figures: they describe the past of one strategy version in one
regime, and a test keeps every module that decides from importing this one.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import isqrt

# With fewer closed trades a rate means nothing and is not shown.
LEAST_TRADES = 100
# 1.96 squared, times 10 000: the two-sided 95 % interval.
_Z_SQUARED_X10000 = 38_416


@dataclass(frozen=True, slots=True, kw_only=True)
class HitRate:
    """The share of closed trades that reached their target, with its 95 % Wilson interval.

    The interval is rounded outwards, so that it never claims more precision than it has.
    """

    trades: int
    hits: int
    hit_rate_x10000: int
    low_x10000: int
    high_x10000: int

    def expectancy_bps(self, *, tp_bps: int, sl_bps: int, cost_bps: int) -> int:
        """Mean result in bps of a trade with these exits and this cost, half to even.

        `p * tp - (1 - p) * sl - cost`, where p is the measured share; a trade that did not reach
        its target counts as a full stop.
        """
        share = Fraction(self.hits, self.trades)
        return round(share * tp_bps - (1 - share) * sl_bps - cost_bps)


def hit_rate(trades: int, hits: int) -> HitRate | None:
    """None while there are too few trades for a measurement.

    Raises:
        ValueError: the hits are not between none and all of the trades.
    """
    if not 0 <= hits <= trades:
        raise ValueError(f"{hits!r} hits in {trades!r} trades")
    if trades < LEAST_TRADES:
        return None
    low, high = wilson_x10000(trades, hits)
    return HitRate(
        trades=trades,
        hits=hits,
        hit_rate_x10000=round(Fraction(10_000 * hits, trades)),
        low_x10000=low,
        high_x10000=high,
    )


def wilson_x10000(trades: int, hits: int) -> tuple[int, int]:
    """Both ends of Wilson's score interval, the lower rounded down and the upper up.

    With n trades, k hits and z the ends are `(2k + z² ± z sqrt(z² + 4k(n - k)/n)) / (2(n + z²))`,
    here over a common denominator in whole numbers, so that no rounding comes before the last.
    """
    z = _Z_SQUARED_X10000
    middle = 10_000 * trades * (20_000 * hits + z)
    spread = _ceil_root(10**8 * z * trades * (z * trades + 40_000 * hits * (trades - hits)))
    below = trades * (20_000 * trades + 2 * z)
    return (middle - spread) // below, -((-middle - spread) // below)


def cost_of(*, tp_bps: int, sl_bps: int, edge_bps: int) -> int:
    """The cost in bps with which a reward margin was computed."""
    return tp_bps - sl_bps - edge_bps


def _ceil_root(value: int) -> int:
    root = isqrt(value)
    return root if root * root == value else root + 1
