"""Which figures of a soak grow: a robust slope over its long life, and over its restarts."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median

from livespot.evidence.findings import Finding, judged
from livespot.testing.search.soak_plan import RESTARTS
from livespot.testing.search.soak_samples import SoakSample

# Of the long life, and of it only what comes after its first part: caches fill, pools open.
_SETTLED_PARTS = 1
_FEWEST = 6
# The first lives of a process load what later ones find loaded.
_WARM_LIVES = 2
_MEBI = 1 << 20
Read = Callable[[SoakSample], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure that must not grow, and how much it may: in the long life, and per restart."""

    name: str
    read: Read
    per_life: float
    per_restart: float


# Less than one task, descriptor or timer in all is none. Memory: see `memory_for`.
FIGURES = (
    Figure(name="tasks", read=lambda s: s.tasks, per_life=1, per_restart=0.25),
    Figure(name="other tasks", read=lambda s: s.others, per_life=1, per_restart=0.25),
    Figure(name="timers", read=lambda s: s.timers, per_life=2, per_restart=0.5),
    Figure(name="descriptors", read=lambda s: s.descriptors, per_life=1, per_restart=0.25),
    Figure(name="WAL", read=lambda s: s.wal_bytes, per_life=4 * _MEBI, per_restart=_MEBI),
)
# The exchange of the same process keeps every minute, order and trade of the soak; that is its
# share of a day, as measured with nobody trading on it.
_EXCHANGE_BYTES_A_DAY = 600_000
_EXCHANGE_OBJECTS_A_DAY = 4000
_LIFE_BYTES, _RESTART_BYTES = 8 * _MEBI, _MEBI
_LIFE_OBJECTS, _RESTART_OBJECTS = 5000, 500
_QUEUE_PER_LIFE = 8.0
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """How much a figure grew, by a robust slope, and how much it may."""

    name: str
    grown: float
    allowed: float
    first: int
    last: int

    @property
    def is_too_much(self) -> bool:
        return self.grown > self.allowed

    def __str__(self) -> str:
        return f"{self.name} {self.first} to {self.last}, {self.grown:+.1f} of {self.allowed:.1f}"


def slope(points: Sequence[tuple[int, int]]) -> float:
    """The median slope of all pairs of (x, y), y per unit of x (Theil 1950, Sen 1968).

    0 where there are not two different x.
    """
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(points, 2) if a[0] != b[0]]
    return median(slopes) if slopes else 0.0


def judge_soak(samples: Sequence[SoakSample], part_ms: int) -> tuple[Finding, ...]:
    """G1: nothing grows within the longest life. G2: nothing is left behind by restarts in order.

    Rates of what grows by design are told by `rates`.
    """
    long, restarted = in_long_life(samples, part_ms), before_restarts(samples)
    return (
        _finding("G1", "Nothing grows in a long life", [*growth_in(long)], len(long)),
        _finding("G2", "Restarts leave nothing behind", [*growth_over(restarted)], len(restarted)),
    )


def in_long_life(samples: Sequence[SoakSample], part_ms: int) -> list[SoakSample]:
    """The samples of the life that lasted longest, its first part left out."""
    longest = max(samples, key=lambda s: s.age_ms, default=None)
    if longest is None:
        return []
    least_ms = _SETTLED_PARTS * part_ms
    return [s for s in samples if s.life == longest.life and s.age_ms >= least_ms]


def before_restarts(samples: Sequence[SoakSample]) -> list[SoakSample]:
    """The last sample of each life before the first death by force; they have lived equally long.

    What a killed life leaves behind stays in a harness that kills it without ending its process.
    """
    last = {sample.life: sample for sample in samples}
    return [last[life] for life in sorted(last) if _WARM_LIVES < life <= RESTARTS]


def growth_in(samples: Sequence[SoakSample]) -> Iterable[Growth]:
    """Every figure of one life, from its first sample to its last."""
    if len(samples) < _FEWEST:
        return
    span_ms = samples[-1].at_ms - samples[0].at_ms
    for figure in (*FIGURES, *_memory(span_ms), *_queues(samples)):
        grown = slope([(s.at_ms, figure.read(s)) for s in samples]) * span_ms
        yield _growth(figure.name, figure.read, samples, grown, figure.per_life)


def growth_over(samples: Sequence[SoakSample]) -> Iterable[Growth]:
    """Every figure from one life's end to the next one's."""
    if len(samples) < 2:
        return
    life_ms = (samples[-1].at_ms - samples[0].at_ms) // (len(samples) - 1)
    for figure in (*FIGURES, *_memory(life_ms)):
        grown = slope([(n, figure.read(s)) for n, s in enumerate(samples)])
        yield _growth(figure.name, figure.read, samples, grown, figure.per_restart)


def _memory(span_ms: int) -> tuple[Figure, ...]:
    days = span_ms / _DAY_MS
    exchange_bytes, exchange_objects = _EXCHANGE_BYTES_A_DAY * days, _EXCHANGE_OBJECTS_A_DAY * days
    return (
        Figure(
            name="bytes of memory",
            read=lambda s: s.rss_bytes,
            per_life=_LIFE_BYTES + exchange_bytes,
            per_restart=_RESTART_BYTES + exchange_bytes,
        ),
        Figure(
            name="objects",
            read=lambda s: s.objects,
            per_life=_LIFE_OBJECTS + exchange_objects,
            per_restart=_RESTART_OBJECTS + exchange_objects,
        ),
    )


def _queues(samples: Sequence[SoakSample]) -> Iterable[Figure]:
    """The most a queue ever held only rises: where it goes on rising evenly, it is not bounded."""
    for name in sorted({name for sample in samples for name in sample.queues}):
        yield Figure(
            name=f"queue {name}",
            read=_queue(name),
            per_life=_QUEUE_PER_LIFE,
            per_restart=_QUEUE_PER_LIFE,
        )


def _queue(name: str) -> Read:
    return lambda sample: sample.queues.get(name, 0)


def _growth(
    name: str, read: Read, samples: Sequence[SoakSample], grown: float, allowed: float
) -> Growth:
    return Growth(
        name=name, grown=grown, allowed=allowed, first=read(samples[0]), last=read(samples[-1])
    )


def _finding(name: str, title: str, grown: Sequence[Growth], looked_at: int) -> Finding:
    problems = [str(growth) for growth in grown if growth.is_too_much]
    if not grown:
        problems = [f"{looked_at} samples are too few"]
    note = "; ".join(str(growth) for growth in grown)
    return judged(name, title, looked_at, problems, note=note)


def rates(samples: Sequence[SoakSample]) -> dict[str, float]:
    """Bytes a day of what grows by design: records on disk, and the exchange's own journal."""
    if len(samples) < 2 or samples[-1].at_ms == samples[0].at_ms:
        return {}
    days = (samples[-1].at_ms - samples[0].at_ms) / _DAY_MS
    first, last = samples[0], samples[-1]
    return {
        "database": (last.database_bytes - first.database_bytes) / days,
        "state directory": (last.var_bytes - first.var_bytes) / days,
        "exchange's journal": (last.journal_bytes - first.journal_bytes) / days,
    }
