"""The recorded week as files: counts and scores as tables of text, the figure, the page's table."""

import csv
from collections.abc import Iterable, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec

from livespot.runtime.paths import project_root
from livespot.testing.strategy_figure import STEP_MS, figure
from livespot.testing.strategy_week import CHECKS, DAYS, FIRST_MS, SYMBOLS, DayCount, Point, counted

COUNTS = "strategy-week-checks.csv"
SCORES = "strategy-week-scores.csv"
FIGURE = "strategy-week.svg"
_COUNT_HEAD = (
    *("symbol", "day", "cycles", "unread"),
    *(code.value for code in CHECKS),
    *("regime", "moving", "passed", "atr_median_bps", "atr_most_bps"),
)
_FIRST_CHECK = _COUNT_HEAD.index(CHECKS[0].value)
_SCORE_HEAD = tuple(field.name for field in msgspec.structs.fields(Point))
_PLAIN = {
    "STRAT_SPREAD_TOO_WIDE": "spread",
    "STRAT_SPREAD_OPENING": "spread opening",
    "STRAT_IMBALANCE_AGAINST": "imbalance",
    "STRAT_VOLUME_LOW": "volume",
    "STRAT_REGIME_WEAK": "regime",
    "REGIME_NO_TRADE": "of these in a falling trend",
    "STRAT_PULLBACK_FAIL": "pullback",
    "STRAT_EXIT_INVALID": "exits",
    "STRAT_EDGE_BELOW_MIN": "reward margin, where a regime is active",
}


def folder() -> Path:
    """Where the study is kept, beside the page that shows it."""
    return project_root() / "docs" / "img"


def write_study() -> None:
    """Play the whole week and write all three files; about a minute."""
    rows: list[DayCount] = []
    points: list[Point] = []
    for symbol in SYMBOLS:
        days, scores = counted(symbol, FIRST_MS, DAYS)
        rows += days
        points += shown(scores)
    (folder() / COUNTS).write_text(counts_text(rows), encoding="utf-8")
    (folder() / SCORES).write_text(scores_text(points), encoding="utf-8")
    (folder() / FIGURE).write_text(figure(points, SYMBOLS), encoding="utf-8")


def shown(points: Iterable[Point]) -> list[Point]:
    """The points that the figure needs: each half hour, and wherever everything passed."""
    return [point for point in points if point.passed or point.at_ms % STEP_MS == 0]


def counts_text(rows: Iterable[DayCount]) -> str:
    return _csv(_COUNT_HEAD, (_count_row(row) for row in rows))


def scores_text(points: Iterable[Point]) -> str:
    return _csv(_SCORE_HEAD, (msgspec.structs.astuple(point) for point in points))


def read_counts() -> list[DayCount]:
    """The committed counts, as they were written."""
    found = []
    for row in _read(COUNTS):
        numbers = [int(value) for value in row[2:]]
        cycles, unread = numbers[:2]
        blocked = tuple(numbers[2 : 2 + len(CHECKS)])
        regime, moving, passed, median, most = numbers[2 + len(CHECKS) :]
        found.append(
            DayCount(
                symbol=row[0],
                day=row[1],
                cycles=cycles,
                unread=unread,
                blocked=blocked,
                regime=regime,
                moving=moving,
                passed=passed,
                atr_median_bps=median,
                atr_most_bps=most,
            )
        )
    return found


def read_scores() -> list[Point]:
    """The committed points, as they were written."""
    return [
        Point(
            symbol=row[0],
            at_ms=int(row[1]),
            trend_x10000=int(row[2]),
            range_x10000=int(row[3]),
            edge_score_x10000=int(row[4]),
            passed=int(row[5]),
        )
        for row in _read(SCORES)
    ]


def table() -> str:
    """The page's table: every check's blocks over the week, by symbol."""
    weeks = {symbol: [r for r in read_counts() if r.symbol == symbol] for symbol in SYMBOLS}
    judged = {symbol: sum(r.cycles - r.unread for r in rows) for symbol, rows in weeks.items()}
    lines = [
        ("closes judged", [str(judged[symbol]) for symbol in SYMBOLS]),
        *(
            (
                f"{_PLAIN[code.value]} (`{code.value}`)",
                [_share(_blocks(weeks[symbol], number), judged[symbol]) for symbol in SYMBOLS],
            )
            for number, code in enumerate(CHECKS)
        ),
        ("a regime was active", _shares(weeks, judged, "regime")),
        ("moved enough for a trend's cost", _shares(weeks, judged, "moving")),
        ("**all checks passed**", [f"**{_total(weeks[s], 'passed')}**" for s in SYMBOLS]),
        ("ATR, lowest to highest daily median, bps", [_medians(weeks[s]) for s in SYMBOLS]),
    ]
    head = ("blocked by", *SYMBOLS)
    rows = [head, ("---", *("---:" for _ in SYMBOLS)), *((name, *cells) for name, cells in lines)]
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)


def _blocks(rows: Sequence[DayCount], number: int) -> int:
    return sum(row.blocked[number] for row in rows)


def _total(rows: Sequence[DayCount], name: str) -> int:
    return sum(int(getattr(row, name)) for row in rows)


def _shares(weeks: dict[str, list[DayCount]], judged: dict[str, int], name: str) -> list[str]:
    return [_share(_total(rows, name), judged[symbol]) for symbol, rows in weeks.items()]


def _share(count: int, of: int) -> str:
    return f"{count} ({(100 * count + of // 2) // of} %)" if count else "0"


def _medians(rows: Sequence[DayCount]) -> str:
    found = [row.atr_median_bps for row in rows]
    return f"{min(found)} to {max(found)}"


def _count_row(row: DayCount) -> tuple[Any, ...]:
    flat: list[Any] = []
    for value in msgspec.structs.astuple(row):
        flat += value if isinstance(value, tuple) else [value]
    return tuple(flat)


def _csv(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    written = StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return written.getvalue()


def _read(name: str) -> list[list[str]]:
    lines = (folder() / name).read_text(encoding="utf-8").splitlines()
    return list(csv.reader(lines))[1:]
