"""The equity curve and its drawdown from closed results. Pure."""

from collections.abc import Sequence
from decimal import Decimal

from livespot.contracts.amounts import ZERO, decimal_text
from livespot.panel.tabs import CurveView

_PLACES = Decimal("0.00000001")


def curve_of(
    closed: Sequence[tuple[int, Decimal]], open_result: Decimal | None, now_ms: int
) -> CurveView:
    """Return points of (closing time, result), oldest first, ending with the present one.

    The curve begins at zero. `open_result` is what open positions have realised and would bring;
    None when a price is missing: then the curve ends with the last closed position.
    """
    equity, peak = ZERO, ZERO
    points: list[tuple[int, str, str]] = []
    steps = list(closed)
    if open_result is not None:
        steps.append((now_ms, open_result))
    for at_ms, result in steps:
        equity += result
        peak = max(peak, equity)
        points.append((at_ms, _money(equity), _money(peak - equity)))
    unknown = {}
    if open_result is None:
        unknown["now"] = "an open position has no recorded price"
    if not points:
        return CurveView(unknown=unknown)
    at, values, falls = zip(*points, strict=True)
    return CurveView(at_ms=at, equity_quote=values, drawdown_quote=falls, unknown=unknown)


def _money(value: Decimal) -> str:
    return decimal_text(value.quantize(_PLACES).normalize() + ZERO)
