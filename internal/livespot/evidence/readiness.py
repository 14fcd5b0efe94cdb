"""Judges a soak point by point: whether the program may be trusted for longer."""

from collections.abc import Sequence

from livespot.contracts.base import Message
from livespot.evidence.gates.results import GATES, Outcome, Verdict
from livespot.evidence.rows import Count
from livespot.evidence.summary import RunSummary
from livespot.evidence.survival import Survival
from livespot.evidence.triage import Look

# A position may be without a live stop for this long before the runtime pauses.
_LONGEST_BARE_MS = 5_000


class Readiness(Message, frozen=True):
    """Every point, and the one next step. `faults` counts the hits of each planned fault."""

    run_id: str
    ready: bool
    points: tuple[Look, ...]
    faults: tuple[Count, ...]
    next_action: str


def readiness(
    summary: RunSummary,
    survival: Survival,
    verdicts: Sequence[Verdict],
    faults: Sequence[Count],
) -> Readiness:
    """Judge a soak: it must end in order, break nothing, pass every gate and need no person."""
    run = summary.run_id
    points = (
        _end(summary),
        _invariants(summary),
        _gates(run, verdicts),
        _doubts(survival),
        _bare(run, survival),
        _failures(run, survival),
        _alone(run, survival),
        _hits(faults),
    )
    bad = [point for point in points if not point.good]
    return Readiness(
        run_id=run,
        ready=not bad,
        points=points,
        faults=tuple(faults),
        next_action=bad[0].next_action if bad else f"livespot report {run}",
    )


def _end(summary: RunSummary) -> Look:
    return Look(
        name="the end",
        good=summary.clean and summary.exit_code == 0,
        found=f"exit code {summary.exit_code}" if summary.clean else "it did not end in order",
        next_action="livespot status",
    )


def _invariants(summary: RunSummary) -> Look:
    broken = summary.violations
    first = f", the first {broken[0].id}: {broken[0].detail}" if broken else ""
    return Look(
        name="the invariants",
        good=not broken,
        found=f"{len(broken)} of {len(summary.findings)} are violated{first}",
        next_action="livespot verify events",
    )


def _gates(run: str, verdicts: Sequence[Verdict]) -> Look:
    passed = {verdict.gate for verdict in verdicts if verdict.outcome is Outcome.PASS}
    rest = [gate for gate in GATES if gate not in passed]
    return Look(
        name="the gates",
        good=not rest,
        found=f"{len(passed)} of {len(GATES)} passed"
        + (f", not: {', '.join(rest)}" if rest else ""),
        next_action=f"livespot verify {rest[0] if rest else 'all'} --run {run}",
    )


def _doubts(survival: Survival) -> Look:
    return Look(
        name="orders in doubt",
        good=not survival.unresolved_intents,
        found=f"{survival.unknown_intents}, of which {survival.unresolved_intents} are open still",
        next_action="livespot status",
    )


def _bare(run: str, survival: Survival) -> Look:
    longest = survival.unprotected_max_ms
    found = "no position was held" if longest is None else f"{longest} ms at most"
    return Look(
        name="time without a stop",
        good=longest is None or longest <= _LONGEST_BARE_MS,
        found=f"{found}, {_LONGEST_BARE_MS} are allowed",
        next_action=f"livespot report {run}",
    )


def _failures(run: str, survival: Survival) -> Look:
    return Look(
        name="internal failures",
        good=not survival.internal_failures,
        found=f"{survival.internal_failures}",
        next_action=f"livespot report {run}",
    )


def _alone(run: str, survival: Survival) -> Look:
    """PAUSE waits for a person, and the faults of a soak should need none."""
    paused_ms = sum(count.count for count in survival.modes_ms if count.name == "PAUSE")
    return Look(
        name="without a person",
        good=not paused_ms,
        found=f"{paused_ms} ms in PAUSE",
        next_action=f"livespot report {run}",
    )


def _hits(faults: Sequence[Count]) -> Look:
    hit = [fault for fault in faults if fault.count]
    return Look(
        name="the faults",
        good=bool(hit) or not faults,
        found=f"{len(hit)} of {len(faults)} planned ones hit something",
        next_action="livespot soak with a longer --for",
    )
