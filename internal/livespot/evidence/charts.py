"""Small charts as inline SVG: no script, no style sheet, nothing loaded."""

from collections.abc import Sequence
from decimal import Decimal
from html import escape

from livespot.evidence.rows import Count

_WIDTH, _HEIGHT, _EDGE = 720, 160, 8
_BAR, _LABEL = 22, 250
_BINS = 12
_COLOURS = {"NORMAL": "#2e7d32", "DEGRADE": "#f9a825", "PAUSE": "#c62828", "EXIT": "#546e7a"}
_NOTHING = '<p class="none">Nothing to draw: {}</p>'


def steps(points: Sequence[tuple[int, Decimal]], unit: str, nothing: str) -> str:
    """Return a step line over time; `points` are (ms, value), oldest first."""
    if len(points) < 2:
        return _NOTHING.format(escape(nothing))
    first, last = points[0][0], points[-1][0]
    values = [value for _, value in points]
    low, high = min(*values, Decimal(0)), max(*values, Decimal(0))
    path, before = [], _y(values[0], low, high)
    for at, value in points:
        x = _x(at, first, last)
        path += [f"{x},{before}", f"{x},{_y(value, low, high)}"]
        before = _y(value, low, high)
    zero = _y(Decimal(0), low, high)
    return _svg(
        _HEIGHT,
        f'<line x1="0" y1="{zero}" x2="{_WIDTH}" y2="{zero}" stroke="#bbb"/>'
        f'<polyline fill="none" stroke="#1565c0" stroke-width="2" points="{" ".join(path)}"/>'
        f"{_text(4, 14, f'{high:f} {unit}')}{_text(4, _HEIGHT - 4, f'{low:f} {unit}')}",
    )


def bars(counts: Sequence[Count], nothing: str) -> str:
    """Return horizontal bars, one per name."""
    if not counts:
        return _NOTHING.format(escape(nothing))
    most = max(count.count for count in counts)
    parts = []
    for row, count in enumerate(counts):
        y, length = row * _BAR, (_WIDTH - _LABEL - 60) * count.count // max(1, most)
        parts.append(
            f"{_text(0, y + 15, count.name)}"
            f'<rect x="{_LABEL}" y="{y + 3}" width="{max(1, length)}" height="16" fill="#1565c0"/>'
            f"{_text(_LABEL + length + 6, y + 15, str(count.count))}"
        )
    return _svg(len(counts) * _BAR, "".join(parts))


def histogram(values: Sequence[int], unit: str, nothing: str) -> str:
    """Return how many values fall into each of a dozen ranges of equal width."""
    if not values:
        return _NOTHING.format(escape(nothing))
    low, high = min(values), max(values)
    width = max(1, -(-(high - low + 1) // _BINS))
    counted = [0] * ((high - low) // width + 1)
    for value in values:
        counted[(value - low) // width] += 1
    return bars(
        [
            Count(name=f"{_range(low + n * width, width)} {unit}", count=count)
            for n, count in enumerate(counted)
        ],
        nothing,
    )


def timeline(spans: Sequence[tuple[str, int, int]], nothing: str) -> str:
    """Return modes over time as a coloured band; `spans` are (mode, from ms, to ms)."""
    if not spans or spans[-1][2] <= spans[0][1]:
        return _NOTHING.format(escape(nothing))
    first, last = spans[0][1], spans[-1][2]
    parts = []
    for mode, start, end in spans:
        x = _x(start, first, last)
        colour = _COLOURS.get(mode, "#999")
        parts.append(
            f'<rect x="{x}" y="4" width="{max(1, _x(end, first, last) - x)}" height="28" '
            f'fill="{colour}"><title>{escape(mode)}, {(end - start) // 1000} s</title></rect>'
        )
    names = list(dict.fromkeys(mode for mode, _, _ in spans))
    for n, mode in enumerate(names):
        colour = _COLOURS.get(mode, "#999")
        parts.append(
            f'<rect x="{n * 110}" y="42" width="10" height="10" fill="{colour}"/>'
            f"{_text(n * 110 + 16, 52, mode)}"
        )
    return _svg(58, "".join(parts))


def _range(start: int, width: int) -> str:
    return str(start) if width == 1 else f"{start} to {start + width - 1}"


def _x(at: int, first: int, last: int) -> int:
    return _EDGE + (_WIDTH - 2 * _EDGE) * (at - first) // max(1, last - first)


def _y(value: Decimal, low: Decimal, high: Decimal) -> int:
    room = _HEIGHT - 2 * _EDGE
    if high == low:
        return _HEIGHT // 2
    return _HEIGHT - _EDGE - int(room * (value - low) / (high - low))


def _text(x: int, y: int, text: str) -> str:
    return f'<text x="{x}" y="{y}">{escape(text)}</text>'


def _svg(height: int, inside: str) -> str:
    size = f'viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">{inside}</svg>'
