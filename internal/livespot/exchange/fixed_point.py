"""Exponentials and bell curves in whole numbers: the same result on every machine."""

from functools import cache
from itertools import pairwise
from math import isqrt

# One natural unit of a logarithm; a basis point is about 429 497 of these.
ONE = 1 << 32
BPS = ONE // 10_000
_LOG2_E = 6_196_328_019
_ENTRIES = 1024
_LOW_BITS = 22
_LOW = (1 << _LOW_BITS) - 1
_BELL_DEVIATION = 37_837


@cache
def _powers() -> tuple[int, ...]:
    """2 ** (n / 1024) in units of 1 / ONE, for n from 0 to 1024."""
    root = 2 << 256
    for _ in range(10):
        root = isqrt(root << 256)
    powers, value = [], 1 << 256
    for _ in range(_ENTRIES + 1):
        powers.append(value >> 224)
        value = value * root >> 256
    return (*powers[:-1], 2 * ONE)


@cache
def _lines() -> tuple[tuple[int, int], ...]:
    """Where each of the table's straight lines begins, and how far it rises."""
    return tuple((low, high - low) for low, high in pairwise(_powers()))


def scaled_exp(unit: int, logs: list[int]) -> list[int]:
    """`unit * e ** x` for every logarithm (in ONE), rounded down, but at least 1.

    A table with straight lines between: never falls where x rises, and within 1e-7 of the truth.
    """
    lines = _lines()
    return [
        (unit * (line[0] + (line[1] * (y & _LOW) >> _LOW_BITS)) >> 32 - (y >> 32)) or 1
        for y in [x * _LOG2_E >> 32 for x in logs]
        for line in (lines[y >> _LOW_BITS & 1023],)
    ]


def log_of(ratio_bps: int) -> int:
    """The logarithm of a ratio in basis points (positive), in ONE, by bisection on `scaled_exp`."""
    low, high = -8 * ONE, 8 * ONE
    while high - low > 1:
        middle = (low + high) // 2
        if scaled_exp(10_000 * ONE, [middle])[0] <= ratio_bps * ONE:
            low = middle
        else:
            high = middle
    return low


def bell(bits: int, deviation: int) -> int:
    """A draw of mean 0 from 64 bits: the sum of four uniforms, bounded by 3.46 deviations."""
    total = (bits & 0xFFFF) + (bits >> 16 & 0xFFFF) + (bits >> 32 & 0xFFFF) + (bits >> 48)
    return (total - 131_070) * deviation // _BELL_DEVIATION
