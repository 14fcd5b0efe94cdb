"""The profile that looks for the planted defects; each must break an invariant."""

import tempfile
from collections.abc import Generator
from concurrent.futures import Executor, Future
from pathlib import Path

import click
import msgspec

from livespot.testing.search.drawing import draw
from livespot.testing.search.dying import KillPoint, ScenarioLost, Stage, points_of
from livespot.testing.search.forking import end_everywhere
from livespot.testing.search.kill_scenarios import SCENARIOS
from livespot.testing.search.mutants import Mutant, planted
from livespot.testing.search.mutants_holding import HOLDING
from livespot.testing.search.mutants_keeping import KEEPING
from livespot.testing.search.mutants_sending import SENDING
from livespot.testing.search.plan import RunPlan
from livespot.testing.search.running import UNFINISHED, Outcome, run_order, run_plan
from livespot.testing.search.wanted import Wanted
from livespot.testing.search.workers import workers

MUTANTS = {mutant.name: mutant for mutant in (*SENDING, *HOLDING, *KEEPING)}
_PROFILE = "short"
# A killed life keeps some megabytes until its process ends.
_RUNS_PER_PROCESS = 60
_DEATHS_AT_ONCE = 8
# (with a power cut, cancelled): how lives end at each point, for mutants that want it or not.
_MANNERS = {False: ((False, False), (True, False)), True: ((False, True),)}


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """What one seed, or one death, showed of a mutant: the invariants broken, if any.

    `ran` is false where the plan shows that the defect could change nothing. If nothing was broken,
    `detail` says why a run did not get to its end.
    """

    seed: int
    broken: tuple[str, ...] = ()
    detail: str = ""
    ran: bool = True


def search_mutants(wanted: Wanted) -> int:
    """Look for each wanted mutant; 0 when all were found within their seeds."""
    names = wanted.only or tuple(MUTANTS)
    for name in names:
        if name not in MUTANTS:
            raise click.UsageError(f"{name}: no such mutant; there are {', '.join(MUTANTS)}")
    with workers(wanted.jobs, _RUNS_PER_PROCESS) as pool:
        found = [_searched(MUTANTS[name], wanted, pool) for name in names]
    click.echo(f"mutants {len(found)}, found {sum(found)}")
    return 0 if all(found) else 1


def _searched(mutant: Mutant, wanted: Wanted, pool: Executor) -> bool:
    """Look for one mutant, say how it went, and whether it was found."""
    drawn = ran = 0
    sightings = _of_deaths(mutant, wanted) if mutant.scenario else _of_seeds(mutant, wanted, pool)
    for sighting in sightings:
        drawn += 1
        ran += sighting.ran
        tried = f"{drawn:5} seeds, {ran:4} of them run"
        if sighting.broken:
            what = f"{', '.join(sighting.broken)}: {sighting.detail}"
            click.echo(f"{mutant.name:30} found after {tried}, seed {sighting.seed}: {what}")
            sightings.close()
            return True
        if sighting.ran:
            click.echo(f"{mutant.name}: {tried}, {sighting.detail or 'nothing yet'}", err=True)
    click.echo(f"{mutant.name:30} NOT FOUND in {drawn} seeds, {ran} of them run")
    return False


def _of_seeds(mutant: Mutant, wanted: Wanted, pool: Executor) -> Generator[Sighting, None, None]:
    """One for each seed from `first` on, in their order."""
    pending: list[Future[Sighting]] = []
    try:
        for seed in range(wanted.first, wanted.first + wanted.seeds):
            pending.append(_begun(mutant, seed, pool))
            while pending and (pending[0].done() or _unfinished(pending) >= wanted.jobs):
                yield pending.pop(0).result()
        while pending:
            yield pending.pop(0).result()
    finally:
        for future in pending:
            future.cancel()


def _unfinished(pending: list[Future[Sighting]]) -> int:
    return sum(not future.done() for future in pending)


def _begun(mutant: Mutant, seed: int, pool: Executor) -> Future[Sighting]:
    """What one drawn seed will show; a process of its own is asked only where its plan is run."""
    if mutant.needs(draw(_PROFILE, seed)):
        return pool.submit(look, mutant.name, seed)
    known: Future[Sighting] = Future()
    known.set_result(Sighting(seed=seed, ran=False))
    return known


def look(name: str, seed: int) -> Sighting:
    """What a mutant does to the run of one drawn seed."""
    return look_at(MUTANTS[name], draw(_PROFILE, seed))


def look_at(mutant: Mutant, plan: RunPlan) -> Sighting:
    """Run a plan with the mutant in place; what breaks without it too does not count.

    A run that did not get to its end was not judged, so that nothing of it counts.

    Raises `RuntimeError` when the plan's run does not get to its end even without it.
    """
    if not mutant.needs(plan):
        return Sighting(seed=plan.seed, ran=False)
    with planted(mutant):
        broken = {f.id: f.detail for f in run_plan(plan).violations}
    if UNFINISHED in broken:
        return Sighting(seed=plan.seed, detail=broken[UNFINISHED])
    if broken:
        for finding in run_plan(plan).violations:
            if finding.id == UNFINISHED:
                raise RuntimeError(f"seed {plan.seed} breaks without a mutant: {finding.detail}")
            broken.pop(finding.id, None)
    return Sighting(seed=plan.seed, broken=tuple(broken), detail=next(iter(broken.values()), ""))


def _of_deaths(mutant: Mutant, wanted: Wanted) -> Generator[Sighting, None, None]:
    """One for each death of the mutant's scenario, in their order; 0 stands for none of them."""
    scenario = next(s for s in SCENARIOS if s.name == mutant.scenario)
    with (
        planted(mutant),
        tempfile.TemporaryDirectory(prefix="livespot-mutants-") as scratch,
    ):
        undisturbed = Path(scratch) / "undisturbed"
        broken = run_order(scenario.plan(), Stage(scenario=scenario).order(undisturbed, None))[0]
        if broken.violations:
            yield _seen(0, broken)
            return
        try:
            points = points_of(scenario, undisturbed, "commits")
        except ScenarioLost as error:
            # Another trade than the one to be killed, and nothing wrong with it.
            click.echo(str(error))
            return
        chosen = [
            KillPoint(scenario=scenario.name, point=point, power_cut=power_cut, cancelled=cancelled)
            for point in points
            for power_cut, cancelled in _MANNERS[mutant.cancelled]
        ]
        for first in range(0, min(len(chosen), wanted.seeds), _DEATHS_AT_ONCE):
            share = chosen[first : first + _DEATHS_AT_ONCE]
            found = list(end_everywhere(scenario, share, Path(scratch) / str(first), wanted.jobs))
            for died in sorted(found, key=lambda died: (died.at.point, died.at.power_cut)):
                yield _seen(died.at.point, died.outcome)


def _seen(point: int, outcome: Outcome) -> Sighting:
    violations = outcome.violations
    return Sighting(
        seed=point,
        broken=tuple(finding.id for finding in violations),
        detail=next((finding.detail for finding in violations), ""),
    )
