"""The result of a replay: its run's summary, its cost, and the hashes to compare it by."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from livespot.contracts.base import Message
from livespot.evidence.rows import Count
from livespot.evidence.summary import RunSummary
from livespot.exchange.faults.plan import FaultPlan
from livespot.exchange.journal import ModeRow, read_journal
from livespot.runtime.replay_request import Planned
from livespot.runtime.replay_run import RunResult

# Results of `--check`.
NOT_ASKED, IDENTICAL, DIFFERENT, NOT_DONE = "not asked", "identical", "different", "not done"


class Check(Message, frozen=True):
    """`verdict` is one of the above; `detail` names the first difference, or why it is missing."""

    verdict: str = NOT_ASKED
    detail: str = ""


class ReplayReport(Message, frozen=True):
    """One replay. Times in ms; `speed_x100` is market per processor seconds, times 100.

    `faults` counts the hits of each planned fault, zero included. `audit_hash` is the last hash of
    the audit's chain. Two replays of one order have equal hashes; figures of processor time differ.
    When a recorded run was played again, `recomputed` says how its decisions came out, and
    `of_wall_time` that its own timings cannot come back.
    """

    data_id: str
    data_sha256: str
    symbols: tuple[str, ...]
    seed: int
    start_ms: int
    span_ms: int
    virtual_ms: int
    interrupted: bool
    cpu_ms: int
    speed_x100: int
    faults: tuple[Count, ...]
    audit_hash: str
    journal_sha256: str
    check: Check
    summary: RunSummary
    recomputed: str = ""
    of_wall_time: bool = False


def reported(
    plan: Planned,
    result: RunResult,
    summary: RunSummary,
    *,
    seed: int,
    faults: FaultPlan | None,
    interrupted: bool,
) -> ReplayReport:
    """Build the report. Raises `JournalInvalid`, and `OSError` when the journal cannot be read."""
    return ReplayReport(
        data_id=plan.source.data_id,
        data_sha256=plan.source.sha256,
        symbols=tuple(sorted(plan.source.series)),
        seed=seed,
        start_ms=plan.start_ms,
        span_ms=plan.span_ms,
        virtual_ms=result.virtual_ms,
        interrupted=interrupted,
        cpu_ms=result.cpu_ms,
        speed_x100=result.virtual_ms * 100 // max(1, result.cpu_ms),
        faults=fired((fault.id for fault in faults.faults) if faults else (), result.journal),
        audit_hash=result.last_hash,
        journal_sha256=_sha256(result.journal),
        check=Check(),
        summary=summary,
    )


def fired(planned: Iterable[str], journal: Path) -> tuple[Count, ...]:
    """Return how often each fault hit something, in the order of the plan."""
    counts = dict.fromkeys(planned, 0)
    for row in read_journal(journal):
        if isinstance(row, ModeRow):
            counts[row.fault] = max(counts.get(row.fault, 0), row.fired)
    return tuple(Count(name=name, count=count) for name, count in counts.items())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
