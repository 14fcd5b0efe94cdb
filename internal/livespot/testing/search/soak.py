"""The profile that runs the runtime for weeks of market time and reports what grew."""

import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click
import msgspec

from livespot.evidence.findings import Finding, judged
from livespot.exchange.journal import FillRow
from livespot.testing.search.growth_checks import nothing_is_left_open
from livespot.testing.search.judging import judge, line_of
from livespot.testing.search.running import BROKEN, broken, open_files
from livespot.testing.search.soak_judge import judge_soak, rates
from livespot.testing.search.soak_kept import Kept, keep, kept_of, read_kept
from livespot.testing.search.soak_plan import DAY_MS, SoakPlan, draw_soak, soak_market
from livespot.testing.search.soak_run import run_soak
from livespot.testing.search.soak_samples import SAMPLES_FILE, read_samples
from livespot.testing.search.staged_market import least_of
from livespot.testing.search.wanted import Wanted
from livespot.testing.search.witness import Witness, read_witness

# A month has half a million samples of health; the checks look at every so many.
_SAMPLES_APART = 60


def search_soak(wanted: Wanted) -> int:
    """Run one soak, or judge a kept one; 0 when nothing grew, every check holds and it traded."""
    if wanted.judge is not None:
        return _told(_read_again(wanted.judge), wanted.judge)
    with tempfile.TemporaryDirectory(prefix="livespot-soak-") as scratch:
        directory = wanted.keep or Path(scratch) / "run"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        plan = draw_soak(wanted.first, wanted.days * DAY_MS)
        try:
            kept = lived(plan, directory)
        except BROKEN as error:
            return _verdict(broken(plan.run, error).findings, plan)
        return _told(kept, directory)


def lived(plan: SoakPlan, directory: Path) -> Kept:
    """Run a soak in an empty directory, to be judged from its files.

    Raises what `run_virtual` raises.
    """
    before = open_files()
    result = run_soak(plan, directory)
    kept = kept_of(plan, result, files_before=before, files_after=open_files())
    keep(kept, directory)
    return kept


def findings_of(kept: Kept, directory: Path) -> tuple[Finding, ...]:
    """Judge the files of a soak that ended; the same files always give the same findings."""
    plan = kept.plan
    samples = read_samples(directory / SAMPLES_FILE)
    witness = replace(
        read_witness(plan.run, kept.result(directory), samples_apart=_SAMPLES_APART),
        least={spec.symbol: least_of(spec) for spec in soak_market(plan).symbols},
    )
    growth = judge_soak(samples, plan.part_ms)
    left = nothing_is_left_open(kept.files_before, kept.files_after)
    return (*growth, _trades(witness, plan), left, *judge(witness))


def _read_again(directory: Path) -> Kept:
    try:
        return read_kept(directory)
    except (OSError, msgspec.DecodeError) as error:
        raise click.ClickException(f"{directory} holds no soak that ended: {error}") from error


def _told(kept: Kept, directory: Path) -> int:
    days, spent_s = kept.virtual_ms / DAY_MS, kept.cpu_ms / 1000
    _say(f"lived {days:.2f} days, {len(kept.lives)} lives, {kept.points} callbacks")
    _say(f"processor time: {spent_s:.0f} s, {spent_s / days:.1f} s a day")
    for name, bytes_a_day in rates(read_samples(directory / SAMPLES_FILE)).items():
        _say(f"{name}: {bytes_a_day / 1e6:.1f} MB a day")
    began_s = time.process_time()
    findings = findings_of(kept, directory)
    _say(f"judged in {time.process_time() - began_s:.1f} s of processor time")
    return _verdict(findings, kept.plan)


def _verdict(findings: tuple[Finding, ...], plan: SoakPlan) -> int:
    for finding in findings:
        _say(line_of(finding))
    failed = sum(finding.violated for finding in findings)
    days = plan.run.safety_ms / DAY_MS
    _say(f"soak of {days:g} days, seed {plan.run.seed}: violations {failed}")
    return 1 if failed else 0


def _say(line: str) -> None:
    """A run of an hour is watched through a file: nothing may wait in a buffer."""
    click.echo(line)
    sys.stdout.flush()


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
