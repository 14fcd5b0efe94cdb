"""The verdict of a verify gate, and what all gates are given to judge."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from livespot.contracts.base import Message
from livespot.contracts.secret import Secret
from livespot.evidence.findings import Finding
from livespot.evidence.journal import JournalRows
from livespot.evidence.rows import Facts
from livespot.evidence.summary import RunSummary
from livespot.store.reader import Reader

GATES = ("contracts", "determinism", "persistence", "execution", "events", "secrets")
_SHOWN = 6


class Outcome(StrEnum):
    """A gate's outcome; a gate that could not look never passes."""

    PASS = "PASS"  # noqa: S105  an outcome, no password
    FAIL = "FAIL"
    NEEDS_DATA = "NEEDS_DATA"


class Why(StrEnum):
    """Why a gate did not pass; these words are no reason codes of the runtime."""

    SCHEMA_DIFFERS = "SCHEMA_DIFFERS"
    CATALOGUE_DIFFERS = "CATALOGUE_DIFFERS"
    MIGRATION_DIFFERS = "MIGRATION_DIFFERS"
    CONFIG_CHANGED = "CONFIG_CHANGED"
    REPLAY_DIFFERS = "REPLAY_DIFFERS"
    REPLAY_FAILED = "REPLAY_FAILED"
    SNAPSHOT_CHANGED = "SNAPSHOT_CHANGED"
    DECISION_DIFFERS = "DECISION_DIFFERS"
    APPLIED_TWICE = "APPLIED_TWICE"
    LOST_BY_KILL = "LOST_BY_KILL"
    DATABASE_DAMAGED = "DATABASE_DAMAGED"
    INVARIANT_BROKEN = "INVARIANT_BROKEN"
    RECONCILE_NOT_CLEAN = "RECONCILE_NOT_CLEAN"
    EVENT_EDITED = "EVENT_EDITED"
    TRAIL_DIFFERS = "TRAIL_DIFFERS"
    ALERT_MISSING = "ALERT_MISSING"
    MODE_ILLEGAL = "MODE_ILLEGAL"
    END_UNACCOUNTED = "END_UNACCOUNTED"
    INTENT_UNCLOSED = "INTENT_UNCLOSED"
    SECRET_LEAKED = "SECRET_LEAKED"  # noqa: S105  a word
    NO_RUN = "NO_RUN"
    NO_EVENTS = "NO_EVENTS"
    NO_DECISIONS = "NO_DECISIONS"
    NO_TRADE = "NO_TRADE"
    NO_SECRETS = "NO_SECRETS"
    NOT_ENDED = "NOT_ENDED"


class Verdict(Message, frozen=True):
    """One gate's verdict: how much it looked at, what was wrong, and the one next step."""

    gate: str
    outcome: Outcome
    reasons: tuple[Why, ...]
    looked_at: int
    details: tuple[str, ...]
    next_action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A problem that a gate met: its kind, and where."""

    why: Why
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """Two replays of one data set, each in a process of its own.

    `difference` is the first difference between them; `failure` says why there is none to compare.
    """

    summary: RunSummary | None
    audit_hash: str = ""
    difference: str = ""
    failure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The run to judge, with everything it left; `ended` is false while it still runs.

    `secrets` may be in no file. `demo_secrets`, which the embedded exchange publishes, may be in
    that exchange's files only.
    """

    run_id: str
    ended: bool
    var: Path
    database: Path
    reader: Reader
    facts: Facts
    journal: JournalRows | None
    secrets: tuple[Secret, ...]
    demo_secrets: tuple[Secret, ...]
    schemas: Path
    rehearse: Callable[[], Awaitable[Rehearsal]]
    scratch: Path


@dataclass(slots=True)
class Looked:
    """What a gate gathers for its verdict."""

    gate: str
    looked_at: int = 0
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def met(self, why: Why, place: str) -> None:
        self.problems.append(Problem(why=why, place=place))

    def judge(self, finding: Finding, why: Why) -> None:
        """Add the finding about one invariant."""
        self.looked_at += finding.looked_at
        if finding.violated:
            self.met(why, f"{finding.title}: {finding.detail}")

    def verdict(self, *, good: str, bad: str) -> Verdict:
        """Return PASS or FAIL; `good` and `bad` are the next steps."""
        return Verdict(
            gate=self.gate,
            outcome=Outcome.FAIL if self.problems else Outcome.PASS,
            reasons=tuple(dict.fromkeys(problem.why for problem in self.problems)),
            looked_at=self.looked_at,
            details=shown([*(f"{p.why}: {p.place}" for p in self.problems), *self.notes]),
            next_action=bad if self.problems else good,
        )


def needs_data(gate: str, why: Why, detail: str, next_action: str) -> Verdict:
    """Return the verdict of a gate that could not look."""
    return Verdict(
        gate=gate,
        outcome=Outcome.NEEDS_DATA,
        reasons=(why,),
        looked_at=0,
        details=(detail,),
        next_action=next_action,
    )


def shown(details: Sequence[str]) -> tuple[str, ...]:
    """Return the first few details, and how many more there are."""
    more = len(details) - _SHOWN
    return (*details[:_SHOWN], f"and {more} more") if more > 0 else tuple(details)
