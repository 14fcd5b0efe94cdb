"""The command: draw plans from seeds, run and judge them, shrink what fails."""

import sys
from pathlib import Path
from typing import Any

import click

from livespot.contracts.errors import ConfigInvalid
from livespot.testing.search.drawing import DRAWS, draw
from livespot.testing.search.judging import line_of
from livespot.testing.search.plan import RunPlan, encoded, read_plan
from livespot.testing.search.profiles import PROFILES
from livespot.testing.search.running import run_plan
from livespot.testing.search.shrinking import shrunk
from livespot.testing.search.wanted import Wanted

_SHRINK_BUDGET = 40


@click.command()
@click.option("--profile", type=click.Choice(list(PROFILES)), default="short", show_default=True)
@click.option("--first", type=click.IntRange(min=0), default=1, show_default=True)
@click.option("--seeds", type=click.IntRange(min=1), default=20, show_default=True,
              help="Runs asked for; vacuous ones do not count.")  # fmt: skip
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--seed-only", type=click.IntRange(min=0), help="Run this seed alone.")
@click.option("--plan", type=click.Path(path_type=Path), help="Run this plan alone.")
@click.option("--keep", type=click.Path(path_type=Path), help="Leave the run's files here.")
@click.option("--shrink", is_flag=True, help="Make a failing plan smaller; print it.")
@click.option("--coverage", is_flag=True, help="Print what fired and what the checks saw.")
@click.option("--complete", is_flag=True,
              help="Fail when what was planned never hit, or a check saw nothing.")  # fmt: skip
@click.option("--scenario", multiple=True, help="kills: only this scenario.")
@click.option("--at", type=click.Choice(["every", "commits"]), default="every", show_default=True,
              help="kills: every point, or those at commits and socket awaits.")  # fmt: skip
@click.option("--stride", type=click.IntRange(min=1), default=1, show_default=True,
              help="kills: every n-th of these points.")  # fmt: skip
@click.option("--point", type=click.IntRange(min=0), help="kills: this point alone.")
@click.option("--power-cut", is_flag=True, help="kills: with --point, the power fails too.")
@click.option("--cancelled", is_flag=True, help="kills: with --point, cancel instead of killing.")
@click.option("--days", type=click.IntRange(min=1), default=30, show_default=True,
              help="soak: days of market time; --first is its seed.")  # fmt: skip
@click.option("--judge", type=click.Path(path_type=Path),
              help="soak: judge the run kept here, without running anything.")  # fmt: skip
@click.option("--only", multiple=True, help="mutants: only this one.")
def main(**options: Any) -> None:
    """Search for runs that break an invariant. Exit code 0: none did, and enough runs said so."""
    wanted = Wanted(**options)
    if wanted.seed_only is not None or wanted.plan is not None:
        sys.exit(_single(_plan(wanted), wanted))
    sys.exit(PROFILES[wanted.profile](wanted))


def _plan(wanted: Wanted) -> RunPlan:
    if wanted.plan is None:
        if wanted.profile not in DRAWS:
            raise click.UsageError(f"--seed-only takes a profile of {', '.join(DRAWS)}")
        return draw(wanted.profile, wanted.seed_only or 0)
    try:
        return read_plan(wanted.plan)
    except (ConfigInvalid, OSError) as error:
        raise click.ClickException(str(error)) from error


def _single(plan: RunPlan, wanted: Wanted) -> int:
    outcome = run_plan(plan, wanted.keep)
    for finding in outcome.findings:
        click.echo(line_of(finding))
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


if __name__ == "__main__":
    main()
