"""Runs one scenario, and runs it again with a death at one of its points."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from livespot.runtime.replay_course import Death
from livespot.runtime.replay_life import Surroundings
from livespot.runtime.replay_loop import VirtualLoop
from livespot.runtime.replay_run import ReplayOrder, run_virtual
from livespot.testing.search.kill_scenarios import Scenario
from livespot.testing.search.plan import DeathPlan, RunPlan, order_of
from livespot.testing.search.power import Machine
from livespot.testing.search.running import BROKEN, Outcome, broken, judged_result, run_order

Where: TypeAlias = Literal["every", "commits"]
DOWN_MS = 1000
# After every run is over.
NEVER_MS = 86_400_000


class KillPoint(msgspec.Struct, frozen=True, kw_only=True):
    """A life that ends after its `point`-th scheduling point: killed, alone or with the power.

    Or it is `cancelled` from outside, wherever it is waiting.
    """

    scenario: str
    point: int
    power_cut: bool
    cancelled: bool = False

    @property
    def manner(self) -> str:
        """How it ends, in one word."""
        return "cancelled" if self.cancelled else "power" if self.power_cut else "killed"


class Died(msgspec.Struct, frozen=True, kw_only=True):
    """A death, and what was found once its run was over."""

    at: KillPoint
    outcome: Outcome


@dataclass(slots=True, kw_only=True)
class Stage:
    """Builds the order of a scenario's run and watches the life that may die."""

    scenario: Scenario
    machine: Machine = field(default_factory=Machine)
    happened: int = 0
    loop: VirtualLoop | None = None
    now_ms: Callable[[], int] = lambda: 0

    def order(self, directory: Path, last: Death | None) -> ReplayOrder:
        order = order_of(self.scenario.plan(), directory, self.scenario.market())
        deaths = order.deaths if last is None else (*order.deaths, last)
        return replace(order, deaths=deaths, dress=self.dress)

    def dress(self, around: Surroundings, loop: VirtualLoop) -> Surroundings:
        self.loop = loop
        self.now_ms = around.clock.now_ms
        around.wire.tell(self._note)
        told = around.committed

        def committed(rows: set[str]) -> None:
            self._note()
            told(rows)

        return replace(
            around,
            disk=self.machine.disk,
            committed=committed,
            open_store=self.machine.open_store,
            power_cut=self.machine.cut_power,
        )

    def _note(self) -> None:
        self.happened += 1


@dataclass(slots=True, kw_only=True)
class Watch:
    """Called before each callback of the mortal life; finds the points of the window.

    With `where` "commits", only points are taken before which something was committed, sent or
    received since the previous point: between two such points nothing that outlives the process
    changes.
    """

    stage: Stage
    where: Where
    seen: int = 0

    def is_point(self) -> bool:
        """Whether to die at the present point."""
        begin_ms, end_ms = self.stage.scenario.window
        happened = self.stage.happened
        news = happened != self.seen
        self.seen = happened
        if not begin_ms <= self.stage.now_ms() < end_ms:
            return False
        return news or self.where == "every"


class ScenarioLost(RuntimeError):
    """The undisturbed run does not do what the scenario is for, or breaks an invariant."""


def points_of(scenario: Scenario, directory: Path, where: Where) -> tuple[int, ...]:
    """Return the points of the scenario's window, in order. Raises `ScenarioLost`."""
    stage = Stage(scenario=scenario)
    watch = Watch(stage=stage, where=where)
    found: list[int] = []

    def due(passed: int) -> bool:
        if watch.is_point():
            found.append(passed)
        return False

    _empty(directory)
    outcome, witness = run_order(scenario.plan(), stage.order(directory, Death(due=due)))
    if outcome.violations:
        told = "; ".join(f"{f.id} {f.detail}" for f in outcome.violations)
        raise ScenarioLost(f"{scenario.name} is violated without any death: {told}")
    if witness is None or not scenario.shows(witness) or not found:
        raise ScenarioLost(f"{scenario.name}: the undisturbed run does not show it any more")
    return tuple(found)


def die_at(point: KillPoint, scenario: Scenario, directory: Path) -> Died:
    """Run everything anew; the life is killed or cancelled at one point."""
    _empty(directory)
    stage = Stage(scenario=scenario)
    last = Death(
        point=point.point,
        after_ms=NEVER_MS,
        down_ms=DOWN_MS,
        power_cut=point.power_cut,
        cancels=lambda: point.cancelled,
    )
    found = died(scenario, lambda: point, stage.order(directory, last))
    if found is None:
        raise ScenarioLost(f"{scenario.name}: nobody died at {point.point}")
    return found


def died(
    scenario: Scenario, where: Callable[[], KillPoint | None], order: ReplayOrder
) -> Died | None:
    """Run an order in which somebody dies `where` it then says, and judge what is left."""
    try:
        result = run_virtual(order)
    except BROKEN as error:
        point = where()
        return (
            None
            if point is None
            else Died(at=point, outcome=broken(plan_of(point, scenario), error))
        )
    point = where()
    if point is None:
        return None
    return Died(at=point, outcome=judged_result(plan_of(point, scenario), result)[0])


def plan_of(point: KillPoint, scenario: Scenario) -> RunPlan:
    """The scenario's plan with this death in it."""
    return scenario.plan(
        DeathPlan(
            after_ms=NEVER_MS,
            point=point.point,
            down_ms=DOWN_MS,
            power_cut=point.power_cut,
            cancelled=point.cancelled,
        )
    )


def _empty(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
