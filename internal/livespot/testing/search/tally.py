"""Adds up many runs: what failed, which faults hit something, and what the checks saw."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from livespot.exchange.faults.plan import VERBS
from livespot.testing.search.running import Outcome
from livespot.testing.search.troubles import TROUBLES

_MS_PER_MINUTE = 60_000


@dataclass(slots=True)
class Tally:
    """Counters over all runs so far; only runs that are not vacuous count as evidence."""

    runs: int = 0
    vacuous: int = 0
    failed: list[Outcome] = field(default_factory=list)
    violations: Counter[str] = field(default_factory=Counter)
    planned: Counter[str] = field(default_factory=Counter)
    fired: Counter[str] = field(default_factory=Counter)
    active: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    known: set[str] = field(default_factory=set)
    kills: set[int] = field(default_factory=set)
    deaths: int = 0
    cpu_ms: int = 0
    virtual_ms: int = 0

    @property
    def counted(self) -> int:
        return self.runs - self.vacuous

    def add(self, outcome: Outcome) -> None:
        self.runs += 1
        self.vacuous += outcome.vacuous
        self.cpu_ms += outcome.cpu_ms
        self.virtual_ms += outcome.virtual_ms
        self.deaths += len(outcome.kills)
        self.kills.update(outcome.kills)
        self.planned.update(outcome.planned)
        self.fired.update({verb: count for verb, count in outcome.fired.items() if count})
        self.active.update(verb for verb, count in outcome.fired.items() if count)
        self.known.update(finding.id for finding in outcome.findings)
        if not outcome.vacuous:
            self.seen.update(f.id for f in outcome.findings if f.looked_at)
        if outcome.violations:
            self.failed.append(outcome)
            self.violations.update(finding.id for finding in outcome.violations)

    def last_line(self) -> str:
        per_minute = self.runs * _MS_PER_MINUTE / max(1, self.cpu_ms)
        return (
            f"seeds {self.runs} (vacuous {self.vacuous}), violations {len(self.failed)}, "
            f"{per_minute:.1f} seeds per minute per core, faults fired: "
            f"{sum(self.active.values())} verbs, once per run ({sum(self.fired.values())} hits), "
            f"kill points {len(self.kills)} (deaths {self.deaths})"
        )

    def missing(self) -> list[str]:
        """What was planned and never hit anything, and checks that never had anything to see."""
        verbs = [f"{verb} never hit" for verb in sorted(self.planned) if not self.active[verb]]
        checks = [f"{name} saw nothing" for name in sorted(self.known) if not self.seen[name]]
        return verbs + checks

    def coverage(self) -> Iterator[str]:
        """Two tables: verbs (planned faults, runs in which they hit, hits) and checks."""
        yield f"{'verb':20} {'planned':>8} {'runs hit':>8} {'hits':>10}"
        for verb in (*VERBS, *TROUBLES):
            yield f"{verb:20} {self.planned[verb]:8} {self.active[verb]:8} {self.fired[verb]:10}"
        yield f"{'check':20} {'runs that had something to look at':>36} {'violated':>8}"
        for name in sorted(self.seen.keys() | self.violations.keys()):
            yield f"{name:20} {self.seen[name]:36} {self.violations[name]:8}"
