"""Draws plans from successive seeds, runs them in processes and adds up what they showed."""

from collections.abc import Iterator
from concurrent.futures import Future
from itertools import count

import click

from livespot.testing.search.running import Outcome, run_seed
from livespot.testing.search.tally import Tally
from livespot.testing.search.wanted import Wanted
from livespot.testing.search.workers import workers

# A killed life keeps some megabytes until its process ends.
_RUNS_PER_PROCESS = 100
# Seeds drawn for each run asked for before the search gives up finding runs that say anything.
_PATIENCE = 4
# A long search reports its progress after this many runs.
_NEWS_EVERY = 100


def search_seeds(wanted: Wanted) -> int:
    """Run seeds until as many as were asked for were not vacuous; 0 without any violation."""
    tally = Tally()
    try:
        for outcome in _outcomes(wanted, tally):
            tally.add(outcome)
            _tell(wanted, outcome)
            if tally.runs % _NEWS_EVERY == 0:
                click.echo(f"so far: {tally.last_line()}", err=True)
    except KeyboardInterrupt:
        click.echo("interrupted: what follows is what was done until then")
    if wanted.coverage:
        click.echo("\n".join(tally.coverage()))
    missing = tally.missing() if wanted.complete else []
    for what in missing:
        click.echo(f"incomplete: {what}")
    click.echo(tally.last_line())
    return 1 if tally.failed or missing or tally.counted < wanted.seeds else 0


def _outcomes(wanted: Wanted, tally: Tally) -> Iterator[Outcome]:
    """Outcomes in the order of their seeds until enough were not vacuous."""
    seeds = count(wanted.first)
    pending: list[Future[Outcome]] = []
    with workers(wanted.jobs, _RUNS_PER_PROCESS) as pool:
        while tally.counted < wanted.seeds and tally.runs < wanted.seeds * _PATIENCE:
            while len(pending) < min(wanted.jobs + 1, wanted.seeds - tally.counted):
                pending.append(pool.submit(run_seed, wanted.profile, next(seeds)))
            yield pending.pop(0).result()


def _tell(wanted: Wanted, outcome: Outcome) -> None:
    for finding in outcome.violations:
        click.echo(f"seed {outcome.seed}: {finding.id} {finding.title}: {finding.detail}")
    if outcome.violations:
        again = (
            f"python -m livespot.testing.search --profile {wanted.profile} "
            f"--seed-only {outcome.seed} --keep DIR"
        )
        click.echo(f"  again: {again}")
