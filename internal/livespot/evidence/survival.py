"""How well a run, or all runs together, survived faults: for audits, never for a decision."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from livespot.contracts.base import Message
from livespot.evidence.facts import read_course
from livespot.evidence.rows import Count, Course, RunFact
from livespot.evidence.summary import UnknownIntent, unknown_intents
from livespot.rules.survival import FATAL_EXITS, INTERNAL_FAILURES, Lived, rank, told
from livespot.store.reader import Reader

_SEEN_LIVE = "STREAM"


class Failure(NamedTuple):
    """One internal failure."""

    at_ms: int
    reason: str


class Survival(Message, frozen=True):
    """Times in ms of the runs' own clock. None is unknown, and `unknown` says why, by field.

    `restart_ms` is the longest time from a start to NORMAL, `between_failures_ms` the uptime per
    internal failure. `missed_fills` were learned of by a query, not from the stream.
    """

    runs: int
    uptime_ms: int
    internal_failures: int
    between_failures_ms: int | None
    restart_ms: int | None
    modes_ms: tuple[Count, ...]
    unprotected_p50_ms: int | None
    unprotected_p99_ms: int | None
    unprotected_max_ms: int | None
    unprotected_total_ms: int | None
    unknown_intents: int
    unresolved_intents: int
    resolve_max_ms: int | None
    missed_fills: int | None
    drift_corrections: int | None
    unknown: dict[str, str]


class Survivals(Message, frozen=True):
    """The figures of one run, and those of every run in its database together."""

    of_this_run: Survival
    over_runs: Survival


async def read_survival(reader: Reader, run_id: str) -> Survivals:
    """Read the figures of a run, which may still be running, and those over all runs.

    Raises `PayloadInvalid` when the database does not hold the run, `StoreBusy`, `AuditUnwritable`.
    """
    course = await read_course(reader, run_id)
    return Survivals(of_this_run=of_run(course), over_runs=over_runs(course))


def of_run(facts: Course) -> Survival:
    """Return the figures of the run that the facts are about."""
    return _figures(facts, (facts.run(),), unknown_intents(facts))


def over_runs(facts: Course) -> Survival:
    """Return the figures of every run in the database together."""
    doubts: dict[str, UnknownIntent] = {}
    for run in facts.runs:
        one = replace(facts, run_id=run.run_id)
        doubts |= {doubt.order_intent_id: doubt for doubt in unknown_intents(one)}
    return _figures(facts, facts.runs, tuple(doubts.values()))


def failures(facts: Course, run: RunFact) -> tuple[Failure, ...]:
    """Return what failed inside the process during a run, in order of time."""
    found = [
        Failure(alert.at_ms, alert.code)
        for alert in facts.alerts
        if alert.run_id == run.run_id and alert.code in INTERNAL_FAILURES
    ]
    if run.ended_at_ms and not run.clean:
        found.append(Failure(run.last_event_ms or run.started_at_ms, "UNCLEAN_SHUTDOWN"))
    elif run.exit_code in FATAL_EXITS and run.ended_at_ms and not found:
        found.append(Failure(run.ended_at_ms, f"exit code {run.exit_code}"))
    return tuple(sorted(found))


def end_of(run: RunFact) -> int:
    """Return when a run was last alive, in epoch ms: its orderly end, else its last event."""
    last = run.last_event_ms or run.started_at_ms
    return run.ended_at_ms if run.ended_at_ms and run.clean else last


def first_normal_ms(facts: Course, run: RunFact) -> int | None:
    """Return how long a run took to NORMAL; None when it never got there."""
    for mode in facts.modes:
        if mode.run_id == run.run_id and mode.mode == "NORMAL":
            return mode.at_ms - run.started_at_ms
    return None


def modes_ms(facts: Course, runs: Iterable[RunFact]) -> tuple[Count, ...]:
    """Return the time in each mode, longest first."""
    spent: Counter[str] = Counter()
    for run in runs:
        steps = [mode for mode in facts.modes if mode.run_id == run.run_id]
        ends = [step.at_ms for step in steps[1:]] + [end_of(run)]
        for step, end in zip(steps, ends, strict=False):
            spent[step.mode] += max(0, end - step.at_ms)
    ordered = sorted(spent.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Count(name=name, count=count) for name, count in ordered)


def _figures(facts: Course, runs: Sequence[RunFact], doubts: Sequence[UnknownIntent]) -> Survival:
    ids = {run.run_id for run in runs}
    uptime = sum(end_of(run) - run.started_at_ms for run in runs)
    failed = sum(len(failures(facts, run)) for run in runs)
    bare = [p.unprotected_ms for p in facts.positions if p.run_id in ids]
    fills = [fill for fill in facts.fills if fill.run_id in ids]
    passes = [report for report in facts.reconciles if report.run_id in ids]
    figures, unknown = told(
        Lived(
            uptime_ms=uptime,
            failures=failed,
            starts_ms=[ms for run in runs if (ms := first_normal_ms(facts, run)) is not None],
            bare_ms=bare,
            settled_ms=[doubt.after_ms for doubt in doubts if doubt.after_ms >= 0],
            fills=len(fills),
            missed=sum(fill.source != _SEEN_LIVE for fill in fills),
            passes=len(passes),
            corrected=sum(report.corrected for report in passes),
        )
    )
    if not bare:
        unknown["unprotected_p50_ms"] = unknown["unprotected_p99_ms"]
    return Survival(
        runs=len(runs),
        uptime_ms=uptime,
        internal_failures=failed,
        modes_ms=modes_ms(facts, runs),
        unprotected_p50_ms=rank(bare, 50),
        unknown_intents=len(doubts),
        unresolved_intents=sum(not doubt.resolved for doubt in doubts),
        unknown=unknown,
        **figures,
    )
