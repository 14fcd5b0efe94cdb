"""The file of a fault plan that was named on the command line."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from livespot.exchange.faults.plan import FaultPlan


def read_plan(path: Path, undone: str) -> "FaultPlan":
    """Raises `click.UsageError` with every problem; `undone` is what therefore did not happen."""
    from livespot.exchange.faults.loader import PlanInvalid, load_plan

    try:
        return load_plan(path)
    except PlanInvalid as error:
        problems = "\n  ".join(error.problems)
        raise click.UsageError(
            f"the fault plan cannot be used, so nothing was {undone}:\n  {problems}\n"
            "Next: compare it with docs/exchange-faults.md"
        ) from error
