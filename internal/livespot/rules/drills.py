"""Crash drills: which exist, what one showed, and which results allow live trading to start."""

from collections.abc import Iterable

from livespot.contracts.base import Message

# Every drill, in the order they run.
DRILLS = (
    "lost-ack",
    "late-ack",
    "kill-9",
    "disk-full",
    "ban",
    "clock-step",
    "stream-silence",
    "protection-lost",
    "gate-down",
)
_SHORT_COMMIT = 12


class DrillRow(Message, frozen=True):
    """The result of one drill. Times in ms of market time; `modes` from the boot to the end.

    `duplicates` counts orders that should not exist, `lost_fills` executions on the exchange that
    are missing from the ledger. `problems` tells why the drill failed, empty when it passed.
    """

    name: str
    injected: str
    hits: int
    modes: tuple[str, ...]
    duplicates: int
    lost_fills: int
    max_unprotected_ms: int
    passed: bool
    problems: tuple[str, ...] = ()
    cpu_ms: int = 0


class DrillRecord(Message, frozen=True):
    """The result of one call of the drill command. `at_ms` is wall time.

    `commit` is empty outside a checkout. `replaced` names the user's settings that the drills
    replaced, because with them nothing would be bought or a drill would take too long.
    """

    version: str
    commit: str
    config_hash: str
    at_ms: int
    took_ms: int
    replaced: tuple[str, ...]
    rows: tuple[DrillRow, ...]

    @property
    def failed(self) -> tuple[str, ...]:
        return tuple(row.name for row in self.rows if not row.passed)

    @property
    def is_pass(self) -> bool:
        """Whether every drill was run and passed."""
        return not self.failed and {row.name for row in self.rows} == set(DRILLS)


class Program(Message, frozen=True):
    """Which program runs: its version and, from a checkout, its commit."""

    version: str
    commit: str


def counting_pass(newest_first: Iterable[DrillRecord], program: Program) -> DrillRecord | str:
    """The newest pass of this program, or the reason why none counts.

    A failure revokes every earlier pass. A record of only some drills is never a pass, and revokes
    nothing unless one of them failed.
    """
    reason = "the crash drills were never run here"
    for record in newest_first:
        if (record.version, record.commit) != (program.version, program.commit):
            before = _named(record.version, record.commit)
            now = _named(program.version, program.commit)
            return f"the crash drills were last passed or tried by {before}; this is {now}"
        if record.failed:
            return f"crash drills failed: {', '.join(record.failed)}"
        if record.is_pass:
            return record
        reason = "only some of the crash drills were run by this version"
    return reason


def _named(version: str, commit: str) -> str:
    return f"{version} at {commit[:_SHORT_COMMIT]}" if commit else version
