"""The command: draw plans from seeds, run and judge them, shrink what fails."""

import multiprocessing
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import click

from livespot.contracts.errors import ConfigInvalid
from livespot.testing.search.drawing import draw
from livespot.testing.search.plan import RunPlan, encoded, read_plan
from livespot.testing.search.running import Outcome, run_plan, run_seed
from livespot.testing.search.shrinking import shrunk
from livespot.testing.search.tally import Tally

# A killed life keeps some megabytes until its process ends.
_RUNS_PER_PROCESS = 50
# Seeds drawn for each run asked for before the search gives up finding runs that say anything.
_PATIENCE = 4
_SHRINK_BUDGET = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The command's options."""

    profile: str
    first: int
    seeds: int
    jobs: int
    seed_only: int | None
    plan: Path | None
    keep: Path | None
    shrink: bool
    coverage: bool


@click.command()
@click.option("--profile", type=click.Choice(["short"]), default="short", show_default=True)
@click.option("--first", type=click.IntRange(min=0), default=1, show_default=True)
@click.option("--seeds", type=click.IntRange(min=1), default=20, show_default=True,
              help="Runs asked for; vacuous ones do not count.")  # fmt: skip
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--seed-only", type=click.IntRange(min=0), help="Run this seed alone.")
@click.option("--plan", type=click.Path(path_type=Path), help="Run this plan alone.")
@click.option("--keep", type=click.Path(path_type=Path), help="Leave the run's files here.")
@click.option("--shrink", is_flag=True, help="Make a failing plan smaller; print it.")
@click.option("--coverage", is_flag=True, help="Print what fired and what the checks saw.")
def main(**options: Any) -> None:
    """Search for runs that break an invariant. Exit code 0: none did, and enough runs said so."""
    wanted = Wanted(**options)
    if wanted.seed_only is not None or wanted.plan is not None:
        sys.exit(_single(_plan(wanted), wanted))
    tally = Tally()
    try:
        for outcome in _outcomes(wanted, tally):
            tally.add(outcome)
            _tell(outcome)
    except KeyboardInterrupt:
        click.echo("interrupted: what follows is what was done until then")
    if wanted.coverage:
        click.echo("\n".join(tally.coverage()))
    click.echo(tally.last_line())
    sys.exit(1 if tally.failed or tally.counted < wanted.seeds else 0)


def _plan(wanted: Wanted) -> RunPlan:
    if wanted.plan is None:
        return draw(wanted.seed_only or 0)
    try:
        return read_plan(wanted.plan)
    except (ConfigInvalid, OSError) as error:
        raise click.ClickException(str(error)) from error


def _single(plan: RunPlan, wanted: Wanted) -> int:
    outcome = run_plan(plan, wanted.keep)
    for finding in outcome.findings:
        mark = "VIOLATED" if finding.violated else "holds" if finding.looked_at else "unseen"
        click.echo(f"{finding.id} {mark:8} {finding.title}: {finding.detail or finding.looked_at}")
    click.echo(f"vacuous {outcome.vacuous}, digest {outcome.digest}")
    if wanted.shrink and outcome.violations:
        failed = {finding.id for finding in outcome.violations}
        smallest, spent = shrunk(
            plan,
            lambda candidate: bool(failed & {f.id for f in run_plan(candidate).violations}),
            budget=_SHRINK_BUDGET,
        )
        click.echo(f"after {spent} runs:\n{encoded(smallest)}")
    return 1 if outcome.violations else 0


def _outcomes(wanted: Wanted, tally: Tally) -> Iterator[Outcome]:
    """Outcomes in the order of their seeds until enough were not vacuous."""
    seeds = count(wanted.first)
    pending: list[Future[Outcome]] = []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        wanted.jobs, mp_context=context, max_tasks_per_child=_RUNS_PER_PROCESS
    ) as pool:
        while tally.counted < wanted.seeds and tally.runs < wanted.seeds * _PATIENCE:
            while len(pending) < min(wanted.jobs + 1, wanted.seeds - tally.counted):
                pending.append(pool.submit(run_seed, next(seeds)))
            yield pending.pop(0).result()


def _tell(outcome: Outcome) -> None:
    for finding in outcome.violations:
        click.echo(f"seed {outcome.seed}: {finding.id} {finding.title}: {finding.detail}")
    if outcome.violations:
        again = f"python -m livespot.testing.search --seed-only {outcome.seed} --keep DIR"
        click.echo(f"  again: {again}")


if __name__ == "__main__":
    main()
