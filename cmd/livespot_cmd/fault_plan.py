"""Reads the fault plan that a command line names."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from livespot.exchange.faults.plan import FaultPlan


def read_plan(path: Path, undone: str) -> "FaultPlan":
    """Read the plan; raises `click.UsageError` with every problem.

    `undone` completes the error's sentence: what was therefore not done.
    """
    from livespot.exchange.faults.loader import PlanInvalid, load_plan

    try:
        return load_plan(path)
    except PlanInvalid as error:
        problems = "\n  ".join(error.problems)
        raise click.UsageError(
            f"the fault plan cannot be used, so nothing was {undone}:\n  {problems}\n"
            "Next: compare it with docs/exchange-faults.md"
        ) from error
