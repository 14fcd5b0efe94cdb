"""Rows that are measured in turns, so that what disturbs the machine disturbs all of them."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Cost:
    """What one round cost per item, in microseconds."""

    cpu_us: float
    wall_us: float


@dataclass(frozen=True, slots=True)
class Row:
    """Medians over all rounds of one row."""

    name: str
    cpu_us: float
    wall_us: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """`ratio` is the median over the rounds of the second row's processor time over the first's."""

    title: str
    first: Row
    second: Row
    ratio: float
    limit: float

    @property
    def wall_ratio(self) -> float:
        return self.second.wall_us / self.first.wall_us


def compare(
    title: str, rows: Mapping[str, Callable[[], Cost]], *, rounds: int, limit: float
) -> Comparison:
    """Run both rows alternately, one unmeasured round first; the order changes every round."""
    for run in rows.values():
        run()
    first, second = rows
    taken: dict[str, list[Cost]] = {name: [] for name in rows}
    for number in range(rounds):
        for name in (first, second) if number % 2 == 0 else (second, first):
            taken[name].append(rows[name]())
    pairs = zip(taken[first], taken[second], strict=True)
    return Comparison(
        title=title,
        first=_row(first, taken[first]),
        second=_row(second, taken[second]),
        ratio=median(b.cpu_us / a.cpu_us for a, b in pairs),
        limit=limit,
    )


def write(*lines: str) -> None:
    """Straight to the terminal: these figures are the point of the run."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def _row(name: str, costs: list[Cost]) -> Row:
    return Row(name, median(c.cpu_us for c in costs), median(c.wall_us for c in costs))
