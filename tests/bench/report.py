"""Figures of measurements: shown at once, judged by their limits, kept for the common table."""

import os
from pathlib import Path

import msgspec
from tests.bench.rounds import Comparison, write

# The file `python -m tests.bench` reads the figures from.
REPORT_FILE = "LIVESPOT_BENCH_REPORT"


class Figure(msgspec.Struct, frozen=True):
    """One measured value; with neither limit it is only told."""

    what: str
    value: float
    unit: str
    most: float | None = None
    least: float | None = None

    @property
    def holds(self) -> bool:
        """True unless a limit is missed."""
        if self.most is not None and self.value > self.most:
            return False
        return self.least is None or self.value >= self.least

    @property
    def limit(self) -> str:
        """The limit in words; empty without one."""
        if self.most is not None:
            return f"at most {amount(self.most)}"
        return "" if self.least is None else f"at least {amount(self.least)}"


class Report(msgspec.Struct, frozen=True):
    """What one measurement found."""

    title: str
    figures: tuple[Figure, ...]


def report(title: str, *figures: Figure) -> None:
    """Show the figures, keep them where a report was asked for, and fail on a missed limit."""
    write(f"\n{title}", *(_line(figure) for figure in figures))
    kept = os.environ.get(REPORT_FILE)
    if kept:
        with Path(kept).open("ab") as file:
            file.write(msgspec.json.encode(Report(title, figures)) + b"\n")
    missed = [figure.what for figure in figures if not figure.holds]
    assert not missed, f"{title}: {', '.join(missed)}"


def report_comparison(found: Comparison) -> None:
    """Two rows in processor time and what the second costs of the first, which has a limit."""
    report(
        found.title,
        Figure(found.first.name, found.first.cpu_us, "us"),
        Figure(found.second.name, found.second.cpu_us, "us"),
        Figure("ratio of the clock on the wall", found.wall_ratio, "x"),
        Figure("ratio", found.ratio, "x", most=found.limit),
    )


def read_reports(path: Path) -> list[Report]:
    """Everything kept in a file, in order."""
    lines = path.read_bytes().splitlines() if path.exists() else []
    return [msgspec.json.decode(line, type=Report) for line in lines]


def amount(value: float) -> str:
    """Three significant digits at least, none that mean nothing."""
    if abs(value) >= 100:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.3g}"


def _line(figure: Figure) -> str:
    limit = f"   ({figure.limit})" if figure.limit else ""
    return f"  {figure.what:<42}{amount(figure.value):>10} {figure.unit}{limit}"
