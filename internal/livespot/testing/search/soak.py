"""The profile that lets the runtime live for weeks of market time and says what grew."""

import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import click

from livespot.evidence.findings import Finding, judged
from livespot.exchange.journal import FillRow
from livespot.runtime.replay_run import RunResult
from livespot.testing.search.growth_checks import nothing_is_left_open
from livespot.testing.search.judging import judge, line_of
from livespot.testing.search.running import BROKEN, broken, open_files
from livespot.testing.search.soak_judge import judge_soak, rates
from livespot.testing.search.soak_plan import DAY_MS, SoakPlan, draw_soak
from livespot.testing.search.soak_run import run_soak
from livespot.testing.search.soak_samples import SAMPLES_FILE, read_samples
from livespot.testing.search.wanted import Wanted
from livespot.testing.search.witness import Witness, read_witness

# A month has half a million samples of health; the checks look at every so many.
_SAMPLES_APART = 60
_THINNED = f"DELETE FROM health_samples WHERE rowid % {_SAMPLES_APART} <> 0"  # noqa: S608


def search_soak(wanted: Wanted) -> int:
    """Run one soak; 0 when nothing grew, every check holds and there was trading all along."""
    with tempfile.TemporaryDirectory(prefix="livespot-soak-") as scratch:
        directory = wanted.keep or Path(scratch) / "run"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        findings = soaked(draw_soak(wanted.first, wanted.days * DAY_MS), directory)
    for finding in findings:
        click.echo(line_of(finding))
    failed = sum(finding.violated for finding in findings)
    click.echo(f"soak of {wanted.days} days, seed {wanted.first}: violations {failed}")
    return 1 if failed else 0


def soaked(plan: SoakPlan, directory: Path) -> tuple[Finding, ...]:
    """Run a soak in an empty directory and judge it."""
    before = open_files()
    try:
        result = run_soak(plan, directory)
    except BROKEN as error:
        return broken(plan.run, error).findings
    left = nothing_is_left_open(before, open_files())
    samples = read_samples(directory / SAMPLES_FILE)
    for name, bytes_a_day in rates(samples).items():
        click.echo(f"{name}: {bytes_a_day / 1e6:.1f} MB a day")
    witness = _witness(plan, result)
    growth = judge_soak(samples, plan.part_ms)
    return (*growth, _trades(witness, plan), left, *judge(witness))


def _witness(plan: SoakPlan, result: RunResult) -> Witness:
    """What was left behind, read from a copy with fewer samples of health."""
    with tempfile.TemporaryDirectory(prefix="livespot-soak-") as scratch:
        copy = Path(scratch) / result.database.name
        shutil.copyfile(result.database, copy)
        with closing(sqlite3.connect(copy)) as database, database:
            database.execute(_THINNED)
        return read_witness(plan.run, replace(result, database=copy))


def _trades(witness: Witness, plan: SoakPlan) -> Finding:
    """G3: bought in each fifth of the span, so that positions are part of what was soaked."""
    bought = Counter(_fifths(witness, plan))
    problems = [f"nothing was bought in fifth {part + 1}" for part in range(5) if not bought[part]]
    if plan.run.safety_ms < DAY_MS:
        problems = []
    total = sum(bought.values())
    return judged("G3", "It trades all along", total, problems, note=f"{total} fills of purchases")


def _fifths(witness: Witness, plan: SoakPlan) -> Iterator[int]:
    for row in witness.rows:
        if isinstance(row, FillRow) and row.side == "BUY":
            yield min(4, (row.t_ms - plan.run.start_ms) * 5 // plan.run.safety_ms)
