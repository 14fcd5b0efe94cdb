"""Runs one plan to its end and judges the run."""

import hashlib
import shutil
import tempfile
import time
from collections import Counter
from functools import lru_cache
from pathlib import Path

import msgspec

from livespot.contracts.errors import LivespotError
from livespot.evidence.findings import Finding, judged
from livespot.exchange.data_sets import DataOrder, open_market
from livespot.exchange.journal import OrderRow
from livespot.exchange.sources import MarketSource
from livespot.runtime.replay_run import ReplayOrder, RunResult, run_virtual
from livespot.testing.search.drawing import draw
from livespot.testing.search.growth_checks import nothing_is_left_open
from livespot.testing.search.judging import judge
from livespot.testing.search.plan import RunPlan, encoded, order_of
from livespot.testing.search.record_checks import same_history, verbs_fired
from livespot.testing.search.staged_market import open_stage
from livespot.testing.search.witness import Witness, read_witness

PLAN_FILE = "plan.json"
# In place of an invariant's number where a run broke.
UNFINISHED = "RUN"
# What a run raises that could not go on.
BROKEN = (LivespotError, RuntimeError, ExceptionGroup)
_TWICE_EVERY = 20
_DESCRIPTORS = Path("/proc/self/fd")


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one run. `digest` is that of its journal and its audit chain.

    A run without an entry order, or in which no fault hit anything, is vacuous: that it violates
    nothing means nothing. `kills` are the steps at which lives were killed.
    """

    seed: int
    findings: tuple[Finding, ...]
    vacuous: bool
    digest: str
    planned: dict[str, int]
    fired: dict[str, int]
    kills: tuple[int, ...]
    cpu_ms: int
    virtual_ms: int

    @property
    def violations(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.violated)


@lru_cache(maxsize=4)
def market_of(symbols: tuple[str, ...], now_ms: int) -> MarketSource:
    """The recorded market, opened once per process and hour."""
    return open_market(DataOrder(name="recorded", seed=0, now_ms=now_ms, only=frozenset(symbols)))


def market_for(plan: RunPlan) -> MarketSource:
    """What a plan's run is played on."""
    if plan.stage is not None:
        return open_stage(plan.stage, plan.start_ms)
    return market_of(plan.symbols, plan.start_ms)


def run_seed(profile: str, seed: int) -> Outcome:
    """Draw a seed's plan and run it, a sample of the seeds twice.

    Its `cpu_ms` is all that this process spent since its last seed: start, market, run, checks.
    """
    outcome = run_plan(draw(profile, seed), twice=seed % _TWICE_EVERY == 0)
    return msgspec.structs.replace(outcome, cpu_ms=_METER.read_ms())


def open_files() -> int:
    """How many descriptors this process holds; 0 where the kernel does not say."""
    return len(list(_DESCRIPTORS.iterdir())) if _DESCRIPTORS.is_dir() else 0


class _Meter:
    """Processor time of this process between two readings, the first one since it began."""

    def __init__(self) -> None:
        self._read_ns = 0

    def read_ms(self) -> int:
        before_ns, self._read_ns = self._read_ns, time.process_time_ns()
        return (self._read_ns - before_ns) // 1_000_000


_METER = _Meter()


def run_plan(plan: RunPlan, keep: Path | None = None, *, twice: bool = False) -> Outcome:
    """Run a plan and judge it; `keep` holds its files, else they are removed.

    With `twice` it is run again, and the two must leave the same bytes (I29).
    """
    with tempfile.TemporaryDirectory(prefix="livespot-search-") as scratch:
        directory = keep or Path(scratch) / "run"
        first = _judged(plan, directory)
        if not twice:
            return first
        second = _judged(plan, Path(scratch) / "again")
        same = same_history(first.digest, second.digest)
        return msgspec.structs.replace(first, findings=(*first.findings, same))


def _judged(plan: RunPlan, directory: Path) -> Outcome:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    (directory / PLAN_FILE).write_text(encoded(plan), encoding="utf-8")
    source = market_for(plan)
    return run_order(plan, order_of(plan, directory, source))[0]


def run_order(plan: RunPlan, order: ReplayOrder) -> tuple[Outcome, Witness | None]:
    """Run an order that stands for the plan and judge it; no witness where the run broke."""
    before = open_files()
    try:
        result = run_virtual(order)
    except BROKEN as error:
        return broken(plan, error), None
    left = nothing_is_left_open(before, open_files())
    outcome, witness = judged_result(plan, result)
    return msgspec.structs.replace(outcome, findings=(*outcome.findings, left)), witness


def judged_result(plan: RunPlan, result: RunResult) -> tuple[Outcome, Witness]:
    """What a finished run of the plan showed."""
    witness = read_witness(plan, result)
    return _outcome(witness, result, judge(witness)), witness


def broken(plan: RunPlan, error: Exception) -> Outcome:
    """A run that could not go on: the runtime or the exchange raised."""
    finding = judged(UNFINISHED, "The run goes to its end", 1, [_innermost(error)])
    return Outcome(
        seed=plan.seed,
        findings=(finding,),
        vacuous=False,
        digest="",
        planned=_planned(plan),
        fired={},
        kills=(),
        cpu_ms=0,
        virtual_ms=0,
    )


def _innermost(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    cause = f", because {error.__cause__!r}" if error.__cause__ is not None else ""
    return f"{error!r}{cause}"[:400]


def _outcome(witness: Witness, result: RunResult, findings: tuple[Finding, ...]) -> Outcome:
    idle = any(finding.id == "I38" and finding.violated for finding in findings)
    entered = any(isinstance(row, OrderRow) and row.side == "BUY" for row in witness.rows)
    digest = hashlib.sha256(result.journal.read_bytes())
    digest.update(result.last_hash.encode())
    killed = [number for number, life in enumerate(result.lives) if life.code is None]
    return Outcome(
        seed=witness.plan.seed,
        findings=tuple(finding for finding in findings if finding.id != "I38" or not idle),
        vacuous=idle or not entered,
        digest=digest.hexdigest(),
        planned=_planned(witness.plan),
        fired=dict(verbs_fired(witness)),
        kills=tuple(result.points_of[number] for number in killed),
        cpu_ms=result.cpu_ms,
        virtual_ms=result.virtual_ms,
    )


def _planned(plan: RunPlan) -> dict[str, int]:
    return dict(Counter(verb for _, verb in plan.mishaps))
