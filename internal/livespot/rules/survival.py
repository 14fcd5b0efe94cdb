"""How well runs survived, with the same wording in the evidence and on the panel."""

from collections.abc import Sequence
from typing import NamedTuple

from livespot.contracts.amounts import nearest_rank
from livespot.contracts.codes import ReasonCode

# Failures of the process itself; those of the exchange or the network do not count here.
INTERNAL_FAILURES = frozenset(
    {
        ReasonCode.ACTOR_FAILED,
        ReasonCode.AUDIT_WRITE_FAILED,
        ReasonCode.DB_INTEGRITY_FAIL,
        ReasonCode.LOOP_STUCK_PAUSE,
        ReasonCode.WATCHDOG_KILL,
    }
)
FATAL_EXITS = frozenset({20, 30})


class Lived(NamedTuple):
    """Counts of one or more runs; spans in ms of the runs' own clock.

    `starts_ms` are the times from a start to NORMAL, `bare_ms` the time each position had no stop,
    `settled_ms` how long each intent in doubt took. `missed` of the `fills` came by query instead
    of the stream; `corrected` are differences repaired in `passes` of the reconciler.
    """

    uptime_ms: int
    failures: int
    starts_ms: Sequence[int]
    bare_ms: Sequence[int]
    settled_ms: Sequence[int]
    fills: int
    missed: int
    passes: int
    corrected: int


class Told(NamedTuple):
    """Figures by name, None where one is unknown, and why it is unknown."""

    figures: dict[str, int | None]
    unknown: dict[str, str]


def told(lived: Lived) -> Told:
    """The figures that may be unknown because there was nothing to measure."""
    bare = lived.bare_ms
    known: dict[str, tuple[int | None, str]] = {
        "between_failures_ms": (
            lived.uptime_ms // lived.failures if lived.failures else None,
            "nothing failed inside",
        ),
        "restart_ms": (max(lived.starts_ms, default=None), "NORMAL was never reached"),
        "unprotected_p99_ms": (rank(bare, 99), "no position was held"),
        "unprotected_max_ms": (max(bare, default=None), "no position was held"),
        "unprotected_total_ms": (sum(bare) if bare else None, "no position was held"),
        "resolve_max_ms": (max(lived.settled_ms, default=None), "no intent in doubt was resolved"),
        "missed_fills": (lived.missed if lived.fills else None, "nothing was filled"),
        "drift_corrections": (lived.corrected if lived.passes else None, "nothing was reconciled"),
    }
    return Told(
        figures={name: value for name, (value, _) in known.items()},
        unknown={name: why for name, (value, why) in known.items() if value is None},
    )


def rank(spans: Sequence[int], percent: int) -> int | None:
    """The nearest-rank percentile of the spans; None without any."""
    return int(nearest_rank(spans, percent)) if spans else None
