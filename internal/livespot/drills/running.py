"""Runs drills on virtual time, and checks what their exchange and their database show."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from livespot.drills.catalogue import CATALOGUE, Drill, Mishap
from livespot.drills.course import SEED, Rehearsed, rehearse
from livespot.drills.figures import duplicates, lost_fills
from livespot.drills.market import START_MS, SYMBOL, market, stage
from livespot.rules.drills import DrillRow
from livespot.runtime.config import LoadedSettings
from livespot.testing.search.plan import RunPlan, order_of
from livespot.testing.search.protection_checks import gaps
from livespot.testing.search.running import run_order
from livespot.testing.search.witness import Witness

# Time after the end of the mishap for recovery and for the stability window before NORMAL.
_RECOVERY_MS = 40_000
_SETTLE_MS = 6_000
_LONGEST_MS = 900_000


def run_drill(name: str, rehearsed: Rehearsed, directory: Path) -> DrillRow:
    """Run one drill, with its files below `directory`."""
    drill = CATALOGUE[name]
    mishap = drill.mishap(rehearsed.course)
    if mishap.over_ms > _LONGEST_MS:
        minutes = mishap.over_ms // 60_000
        return _row(drill, problems=(f"with these limits it would take {minutes} min; 15 at most",))
    plan = _plan(rehearsed, mishap)
    order = replace(order_of(plan, directory, market()), loaded=rehearsed.loaded)
    outcome, witness = run_order(plan, order)
    broken = tuple(f"{found.id} {found.title}: {found.detail}" for found in outcome.violations)
    if witness is None:
        return _row(drill, problems=broken)
    seen = _Seen(drill=drill, mishap=mishap, witness=witness)
    return msgspec.structs.replace(
        _row(drill, problems=(*broken, *seen.problems())),
        hits=seen.hits,
        modes=seen.modes,
        duplicates=duplicates(witness.facts, witness.journal),
        lost_fills=lost_fills(witness.facts, witness.journal),
        max_unprotected_ms=max((gap.end_ms - gap.begin_ms for gap in gaps(witness)), default=0),
        cpu_ms=outcome.cpu_ms,
    )


def run_drills(
    names: Sequence[str],
    loaded: LoadedSettings,
    directory: Path,
    told: Callable[[DrillRow], None],
) -> tuple[tuple[str, ...], tuple[DrillRow, ...]]:
    """The user's settings that were left out, and a row per drill; `told` gets each as it ends.

    Raises `PreflightFailed` when these settings buy nothing to drill with.
    """
    rehearsed = rehearse(loaded, directory)
    rows = []
    for name in names:
        rows.append(run_drill(name, rehearsed, directory / name))
        told(rows[-1])
    return rehearsed.replaced, tuple(rows)


def _row(drill: Drill, *, problems: tuple[str, ...]) -> DrillRow:
    return DrillRow(
        name=drill.name,
        injected=drill.injected,
        hits=0,
        modes=(),
        duplicates=0,
        lost_fills=0,
        max_unprotected_ms=0,
        passed=not problems,
        problems=problems,
    )


def _plan(rehearsed: Rehearsed, mishap: Mishap) -> RunPlan:
    quiet_ms = rehearsed.course.settings.health.degrade_exit_stable_window_ms
    return RunPlan(
        seed=SEED,
        start_ms=START_MS,
        safety_ms=mishap.over_ms,
        liveness_ms=quiet_ms + _RECOVERY_MS,
        settle_ms=_SETTLE_MS,
        symbols=(SYMBOL,),
        stage=stage(),
        faults=mishap.faults,
        troubles=mishap.troubles,
        deaths=mishap.deaths,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What a finished drill left behind, compared with what it should show."""

    drill: Drill
    mishap: Mishap
    witness: Witness

    @property
    def hits(self) -> int:
        """How often the mishap took effect; each kill counts."""
        killed = sum(1 for life in self.witness.lives if life.code is None)
        return killed + sum(self.witness.fired().values())

    @property
    def modes(self) -> tuple[str, ...]:
        """The modes in order, up to the orderly end."""
        end_ms = self.witness.restart_ms
        path: list[str] = []
        for fact in self.witness.facts.modes:
            if fact.at_ms < end_ms and path[-1:] != [fact.mode]:
                path.append(fact.mode)
        return tuple(path)

    def problems(self) -> Iterator[str]:
        """What should have been seen and was not."""
        if self.hits < self.mishap.planned:
            yield f"it did not happen: {self.hits} of {self.mishap.planned} hits"
        unsaid = self.drill.codes - self._codes()
        if unsaid:
            yield f"never recorded: {', '.join(sorted(unsaid))}"
        if self._stops() < self.drill.stops:
            yield f"{self._stops()} stops stood on the exchange, not {self.drill.stops}"
        over_ms = self.witness.plan.healed_ms
        bought = [fill for fill in self.witness.journal.fills if fill.side == "BUY"]
        if self.mishap.bought and not bought:
            yield "nothing was bought"
        if self.mishap.bought is False and any(fill.at_ms < over_ms for fill in bought):
            yield "something was bought meanwhile"

    def _stops(self) -> int:
        """How many stops were live at any time."""
        return len(
            {
                order.order_id
                for order in self.witness.journal.orders
                if order.type.startswith("STOP_LOSS") and order.is_open
            }
        )

    def _codes(self) -> set[str]:
        """Every reason code on record: of modes, of alerts and of steps of intents."""
        facts = self.witness.facts
        codes = {code for fact in facts.modes for code in fact.reasons}
        codes |= {alert.code for alert in facts.alerts}
        return codes | {code for step in facts.transitions for code in step.reasons}
