"""Draws the scores of a recorded week as an SVG that reads in light and dark, without a library."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise

from livespot.testing.strategy_week import DAY_MS, DAYS, FIRST_MS, Point

# Every half hour; an outage breaks the line.
STEP_MS = 1_800_000
_WIDTH, _LEFT, _RIGHT = 960, 64, 70
_TOP, _PANEL, _GAP, _BOTTOM = 84, 168, 34, 46
_FULL = 10_000
_LINES = (
    ("trend", "trend score, below zero while the trend falls", "trend_x10000"),
    ("range", "range score", "range_x10000"),
    ("edge", "edge score", "edge_score_x10000"),
)
_LEVELS = ((7000, "trend 7000"), (6000, "range 6000"))
_STYLE = """
  svg { background: #ffffff; font: 12px system-ui, sans-serif; }
  text { fill: #24292f; } .soft { fill: #57606a; } .title { font-size: 15px; font-weight: 600; }
  .frame { fill: none; stroke: #8c959f; } .grid { stroke: #d8dee4; } .zero { stroke: #8c959f; }
  .level { stroke: #57606a; stroke-dasharray: 2 4; } .down { fill: #d8dee4; }
  .line { fill: none; stroke-width: 1.4; stroke-linejoin: round; }
  .trend { stroke: #0550ae; } .range { stroke: #bc4c00; stroke-dasharray: 5 2; }
  .edge { stroke: #116329; stroke-width: 2; } .passed { fill: #82071e; stroke: #ffffff; }
  @media (prefers-color-scheme: dark) {
    svg { background: #0d1117; } text { fill: #e6edf3; } .soft { fill: #9198a1; }
    .grid { stroke: #2a313c; } .down { fill: #2a313c; } .level { stroke: #9198a1; }
    .trend { stroke: #79c0ff; } .range { stroke: #ffa657; } .edge { stroke: #56d364; }
    .passed { fill: #ff7b72; stroke: #0d1117; }
  }
"""


def figure(points: Sequence[Point], symbols: Sequence[str]) -> str:
    """One panel for each symbol, all on the same axes; the same bytes for the same points."""
    height = _TOP + len(symbols) * (_PANEL + _GAP) - _GAP + _BOTTOM
    body = [*_head(points, symbols)]
    for row, symbol in enumerate(symbols):
        own = [point for point in points if point.symbol == symbol]
        body += _panel(symbol, own, _TOP + row * (_PANEL + _GAP))
    body += _days(height)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-labelledby="title desc">\n' + "\n".join(body) + "\n</svg>\n"
    )


def _head(points: Sequence[Point], symbols: Sequence[str]) -> Iterator[str]:
    entries = sum(point.passed for point in points)
    yield '<title id="title">Scores of the default strategy over a recorded week</title>'
    yield (
        f'<desc id="desc">Trend score, range score and edge score of {", ".join(symbols)} from '
        f"{_moment(FIRST_MS)} to {_moment(FIRST_MS + DAYS * DAY_MS)} UTC, every 30 minutes, on a "
        "scale of minus 10000 to 10000. Dashed levels mark the thresholds of trend and range. "
        f"Triangles mark the {entries} closes at which every check passed. A grey band is an "
        "outage of the exchange.</desc>"
    )
    yield f"<style>{_STYLE}</style>"
    title = "Scores of the default strategy in a recorded week"
    yield f'<text class="title" x="{_LEFT}" y="22">{title}</text>'
    x = _LEFT
    for name, label, _ in _LINES:
        yield f'<line class="line {name}" x1="{x}" x2="{x + 26}" y1="42" y2="42"/>'
        yield f'<text x="{x + 32}" y="46">{label}</text>'
        x += 60 + round(6.1 * len(label))
    yield _triangle(x + 8, 47)
    yield f'<text x="{x + 20}" y="46">all checks passed</text>'


def _panel(symbol: str, points: Sequence[Point], top: int) -> Iterator[str]:
    yield from _down(points, top)
    for level in (-_FULL, -5000, 0, 5000, _FULL):
        y = _y(level, top)
        yield (
            f'<line class="{"zero" if level == 0 else "grid"}" x1="{_LEFT}" '
            f'x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>'
        )
        yield f'<text class="soft" x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{level}</text>'
    for level, label in _LEVELS:
        y = _y(level, top)
        yield f'<line class="level" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>'
        x = _WIDTH - _RIGHT + 5
        yield f'<text class="soft" x="{x}" y="{round(y + 4, 1)}" font-size="10">{label}</text>'
    for name, _, field in _LINES:
        for part in _unbroken(points):
            path = " ".join(f"{_x(p.at_ms)},{_y(getattr(p, field), top)}" for p in part)
            yield f'<polyline class="line {name}" points="{path}"/>'
    for point in points:
        if point.passed:
            yield _triangle(_x(point.at_ms), _y(point.edge_score_x10000, top) + 14)
    yield (
        f'<rect class="frame" x="{_LEFT}" y="{top}" width="{_WIDTH - _LEFT - _RIGHT}" '
        f'height="{_PANEL}"/>'
    )
    yield f'<text class="title" x="{_LEFT + 8}" y="{top - 6}" font-size="13">{symbol}</text>'
    middle = top + _PANEL // 2
    yield (
        f'<text class="soft" transform="translate(14 {middle}) rotate(-90)" '
        'text-anchor="middle">score (x10000)</text>'
    )


def _days(height: int) -> Iterator[str]:
    for day in range(DAYS + 1):
        at_ms = FIRST_MS + day * DAY_MS
        x = _x(at_ms)
        yield f'<line class="grid" x1="{x}" x2="{x}" y1="{_TOP}" y2="{height - _BOTTOM}"/>'
        if day < DAYS:
            middle = _x(at_ms + DAY_MS // 2)
            name = datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%a %d")
            yield f'<text x="{middle}" y="{height - 26}" text-anchor="middle">{name}</text>'
    middle = (_WIDTH + _LEFT - _RIGHT) // 2
    yield (
        f'<text class="soft" x="{middle}" y="{height - 8}" text-anchor="middle">'
        "day of April 2021 (UTC)</text>"
    )


def _down(points: Sequence[Point], top: int) -> Iterator[str]:
    parts = list(_unbroken(points))
    for before, after in pairwise(parts):
        x, end = _x(before[-1].at_ms), _x(after[0].at_ms)
        yield (
            f'<rect class="down" x="{x}" y="{top}" width="{round(end - x, 1)}" height="{_PANEL}"/>'
        )


def _unbroken(points: Iterable[Point]) -> Iterator[list[Point]]:
    """The points of the half hours, in runs without a missing one."""
    run: list[Point] = []
    for point in points:
        if point.at_ms % STEP_MS:
            continue
        if run and point.at_ms - run[-1].at_ms > STEP_MS:
            yield run
            run = []
        run.append(point)
    if run:
        yield run


def _x(at_ms: int) -> float:
    width = _WIDTH - _LEFT - _RIGHT
    return round(_LEFT + width * (at_ms - FIRST_MS) / (DAYS * DAY_MS), 1)


def _y(score: int, top: int) -> float:
    return round(top + _PANEL * (_FULL - score) / (2 * _FULL), 1)


def _triangle(x: float, y: float) -> str:
    return f'<path class="passed" d="M{round(x, 1)} {round(y - 11, 1)}l6 11h-12z"/>'


def _moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
