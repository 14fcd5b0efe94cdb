"""The 60 s ring of half-second samples of the best bid and ask."""

from collections import deque
from collections.abc import Iterable
from decimal import Decimal
from itertools import pairwise, repeat
from math import fsum, isnan, sqrt
from operator import mul

import msgspec

from livespot.contracts.amounts import nearest_rank, ranked, round_bps, round_x10000
from livespot.contracts.market import BookTicker, Microstructure

SAMPLES_60S = 120
SAMPLES_10S = 20


def spread_bps(bid: Decimal, ask: Decimal) -> float:
    """Spread over mid, in basis points, unrounded."""
    return spread_between(float(bid), float(ask))


def spread_between(bid: float, ask: float) -> float:
    """`spread_bps` of floats; converting a Decimal costs more than the computation."""
    return (ask - bid) / ((ask + bid) / 2.0) * 10_000.0


def whole_spread_bps(spread: float) -> int:
    """Rounded half to even, but a positive spread is at least 1."""
    return max(1, round_bps(spread)) if spread > 0 else 0


def imbalance(bid_qty: Decimal, ask_qty: Decimal) -> float:
    """The bid's share of the size at the top of the book; 0 for an empty top."""
    b, a = float(bid_qty), float(ask_qty)
    return b / (b + a) if b + a > 0 else 0.0


class MicroRing:
    """Spread, imbalance and mid of the last minute, one sample each half second."""

    def __init__(self) -> None:
        self._spreads: deque[float] = deque(maxlen=SAMPLES_60S)
        self._imbalances: deque[float] = deque(maxlen=SAMPLES_10S)
        self._mids: deque[float] = deque(maxlen=SAMPLES_10S + 1)
        # True once a full minute has been sampled.
        self.is_warm = False
        self._minute: _Minute | None = None
        # The last reading, with the book and the number of drops it was made from.
        self._read: tuple[BookTicker, int, Microstructure] | None = None

    def sample(self, book: BookTicker, times: int = 1) -> None:
        """Sample the book; `times` counts the samples for which it has stood like this."""
        self._minute = self._read = None
        bid, ask = float(book.bid), float(book.ask)
        self._spreads.extend(repeat(spread_between(bid, ask), times))
        self.is_warm = len(self._spreads) == SAMPLES_60S
        self._imbalances.extend(repeat(imbalance(book.bid_qty, book.ask_qty), times))
        self._mids.extend(repeat((bid + ask) / 2.0, times))

    def clear(self) -> None:
        """Start again: a minute with a gap is not a full minute."""
        self.is_warm, self._minute, self._read = False, None, None
        self._spreads.clear()
        self._imbalances.clear()
        self._mids.clear()

    def read(self, book: BookTicker, out_of_order_drops: int) -> Microstructure | None:
        """The readings with the current spread of `book`, or None until warm.

        The change of the spread compares the p90 of the last ten seconds with that of the ten
        before.
        """
        known = self._read
        if known is not None and known[0] is book and known[1] == out_of_order_drops:
            return known[2]
        if not self.is_warm:
            return None
        minute = self._minute = self._minute or self._summed_up()
        spread = spread_bps(book.bid, book.ask)
        reading = Microstructure(
            spread_current_bps=max(1, round(spread)) if spread > 0 else 0,
            spread_bps_p50_60s=minute.p50,
            spread_bps_p90_60s=minute.p90,
            delta_spread_bps_p90_10s=minute.delta,
            bid_ask_imbalance_p50_10s_x10000=minute.imbalance,
            microvol_bps_10s=minute.microvol,
            out_of_order_drops=out_of_order_drops,
        )
        self._read = book, out_of_order_drops, reading
        return reading

    def _summed_up(self) -> "_Minute":
        spreads = list(self._spreads)
        now = sorted(spreads[-SAMPLES_10S:])
        before = sorted(spreads[-2 * SAMPLES_10S : -SAMPLES_10S])
        spreads.sort()
        return _Minute(
            p50=whole_spread_bps(ranked(spreads, 50)),
            p90=whole_spread_bps(ranked(spreads, 90)),
            delta=round_bps(ranked(now, 90) - ranked(before, 90)),
            imbalance=round_x10000(_median(self._imbalances)),
            microvol=round_bps(deviation_bps(self._mids)),
        )


class _Minute(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The figures of the last minute, in bps; the imbalance is x10000."""

    p50: int
    p90: int
    delta: int
    imbalance: int
    microvol: int


def _median(values: Iterable[float]) -> float:
    """The middle value, or the mean of both middle ones."""
    ordered = sorted(values)
    middle, odd = divmod(len(ordered), 2)
    return ordered[middle] if odd else (ordered[middle - 1] + ordered[middle]) / 2


def deviation_bps(mids: Iterable[float]) -> float:
    """Sample standard deviation of the relative changes of consecutive mids, in bps."""
    changes = [(b / a - 1.0) * 10_000.0 for a, b in pairwise(mids)]
    if len(changes) < 2:
        return 0.0
    mean = fsum(changes) / len(changes)
    apart = [change - mean for change in changes]
    return sqrt(fsum(map(mul, apart, apart)) / (len(changes) - 1))


class LatencyWindow:
    """Exchange time to receive time of recent aggregate trades, in ms."""

    def __init__(self, capacity: int = 512) -> None:
        self._ages: deque[int] = deque(maxlen=capacity)
        # Cached: it is asked for more often than trades may arrive.
        self._p90_ms: int | None = None
        self._is_ranked = True

    def take(self, latency_ms: int) -> None:
        self._ages.append(latency_ms)
        self._is_ranked = False

    def p90_ms(self) -> int | None:
        """Nearest-rank p90, never below zero; None without trades."""
        if not self._is_ranked:
            value = nearest_rank(self._ages, 90)
            self._p90_ms = None if isnan(value) else max(0, int(value))
            self._is_ranked = True
        return self._p90_ms

    def clear(self) -> None:
        self._ages.clear()
        self._is_ranked = False
