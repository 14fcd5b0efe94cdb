"""Exact numbers: decimal strings at boundaries, integer rates, one rounding rule for each."""

from collections.abc import Iterable, Sequence
from decimal import ROUND_FLOOR, Context, Decimal
from math import isfinite, nan

ZERO = Decimal(0)
ONE = Decimal(1)
BPS = Decimal(10_000)
_FLOORING = Context(rounding=ROUND_FLOOR)
# The method behind `round`; looking it up each time costs more than the rounding.
_NEAREST = float.__round__


def decimal_text(value: Decimal) -> str:
    """Plain digits with `.`, never an exponent; the scale of the value is kept."""
    if not value.is_finite():
        raise ValueError(f"{value!r} is not a finite number")
    unsigned_if_zero = value if value else abs(value)
    text = str(unsigned_if_zero)
    # `str` uses an exponent only for very small and very large numbers, and is faster than
    # `format`.
    return format(unsigned_if_zero, "f") if "E" in text else text


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    """The greatest multiple of `step` not above `value`, with the decimals of `step`."""
    if step <= 0:
        raise ValueError(f"step {step!r} is not positive")
    return _FLOORING.to_integral_value(value / step) * step


def decimals_of(step: Decimal) -> int:
    """How many decimals a tick or step has without trailing zeros; 0.0100 has 2."""
    exponent = step.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def clamp01(value: float) -> float:
    """The nearest number in [0, 1]; 0 for NaN."""
    if value >= 1.0:
        return 1.0
    return value if value > 0.0 else 0.0


def rint(value: float) -> int:
    """Nearest integer, ties to even."""
    if not isfinite(value):
        raise ValueError(f"{value!r} is not a finite number")
    return round(value)


def round_x10000(value: float) -> int:
    """A real in [0, 1] as an integer in 0..10000; values outside are clamped first."""
    if value >= 1.0:
        return 10_000
    return _NEAREST(value * 10_000.0) if value > 0.0 else 0


def round_bps(value: float) -> int:
    """A number of basis points as an integer, ties to even."""
    return rint(value)


def round_div(numerator: int, denominator: int) -> int:
    """Integer division to the nearest, halves upwards."""
    return (numerator + denominator // 2) // denominator


def nearest_rank(values: Iterable[float], percent: int) -> float:
    """The nearest-rank percentile; `nan` when there is no value."""
    ordered = sorted(values)
    return ranked(ordered, percent) if ordered else nan


def ranked(ordered: Sequence[float], percent: int) -> float:
    """The nearest-rank percentile of at least one value, in ascending order."""
    return ordered[max(1, -(-percent * len(ordered) // 100)) - 1]
