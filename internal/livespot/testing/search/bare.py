"""The profiles that measure how long positions stand without a stop, with at most one fault."""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from pathlib import Path

import click
import msgspec
from msgspec.structs import replace

from livespot.exchange.faults.plan import Fault
from livespot.testing.search.bare_positions import Bare, percentile, positions_of
from livespot.testing.search.dice import Dice
from livespot.testing.search.drawing import draw
from livespot.testing.search.fault_kinds import KINDS, Stage
from livespot.testing.search.plan import RunPlan, order_of
from livespot.testing.search.protection_checks import T_PROTECT_MS
from livespot.testing.search.running import market_for, run_order
from livespot.testing.search.scenes import ENTRY_MS
from livespot.testing.search.socket_orders import on_socket
from livespot.testing.search.trouble_kinds import TROUBLE_KINDS
from livespot.testing.search.troubles import Trouble
from livespot.testing.search.wanted import Wanted
from livespot.testing.search.workers import workers

_RUNS_PER_PROCESS = 100
_COMPLETE_P99_MS, _PARTIAL_P99_MS = 1000, 3000
_LATEST_MS = 60_000


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one run; `hit` says whether its fault affected anything."""

    seed: int
    fault: str
    hit: bool
    positions: tuple[Bare, ...]
    violations: tuple[str, ...]


def without_fault(seed: int) -> RunPlan:
    """The short plan of a seed, without any fault."""
    return replace(draw("short", seed), faults=(), deaths=(), troubles=())


def with_one_fault(seed: int) -> RunPlan:
    """The short plan of a seed with one fault or trouble; the kinds take turns."""
    plan, dice = without_fault(seed), Dice(f"bare {seed}")
    names = (*KINDS, *TROUBLE_KINDS)
    name = names[seed % len(names)]
    if name in TROUBLE_KINDS:
        what, for_ms = TROUBLE_KINDS[name](dice)
        latest_ms = min(_LATEST_MS, max(11, plan.safety_ms - ENTRY_MS - 2000))
        after_ms = ENTRY_MS + dice.scaled(10, latest_ms)
        return replace(
            plan, troubles=(Trouble(id=name, what=what, after_ms=after_ms, for_ms=for_ms),)
        )
    stage = Stage(dice, entry_ms=ENTRY_MS, safety_ms=plan.safety_ms, symbols=plan.symbols)
    verb, match, when = KINDS[name](stage)
    fault = Fault(id=name, what=verb, match=match, when=when)
    by_socket = plan.settings.get("venue.order_transport") == "WS_API"
    return replace(plan, faults=(on_socket(fault) if by_socket else fault,))


PLANS: Mapping[str, Callable[[int], RunPlan]] = {"bare": without_fault, "bare-one": with_one_fault}


def measure(profile: str, seed: int) -> Measured:
    """Run a seed's plan and measure its positions."""
    plan = PLANS[profile](seed)
    with tempfile.TemporaryDirectory(prefix="livespot-bare-") as scratch:
        directory = Path(scratch) / "run"
        directory.mkdir()
        outcome, witness = run_order(plan, order_of(plan, directory, market_for(plan)))
        # A fault that affected nothing is no finding here.
        violated = tuple(f"{f.id} {f.detail}" for f in outcome.violations if f.id != "I38")
        return Measured(
            seed=seed,
            fault=next((name for name, _ in plan.mishaps), ""),
            hit=any(outcome.fired.values()),
            positions=() if witness is None else tuple(positions_of(witness)),
            violations=violated,
        )


def search_bare(wanted: Wanted) -> int:
    """Measure the wanted number of runs; 0 if all figures are within limits and no check failed."""
    runs = []
    try:
        for run in _runs(wanted):
            runs.append(run)
            for problem in run.violations:
                click.echo(f"seed {run.seed} ({run.fault or 'no fault'}): {problem}")
    except KeyboardInterrupt:
        click.echo("interrupted: what follows is what was done until then")
    problems = [*told(runs, single=wanted.profile == "bare-one")]
    for problem in problems:
        click.echo(problem)
    failed = sum(bool(run.violations) for run in runs)
    click.echo(f"{wanted.profile}: {len(runs)} runs, {failed} of them with violations")
    return 1 if failed or problems else 0


def _runs(wanted: Wanted) -> Iterable[Measured]:
    seeds = count(wanted.first)
    with workers(wanted.jobs, _RUNS_PER_PROCESS) as pool:
        pending = []
        for _ in range(wanted.seeds):
            pending.append(pool.submit(measure, wanted.profile, next(seeds)))
            if len(pending) > wanted.jobs:
                yield pending.pop(0).result()
        for left in pending:
            yield left.result()


def told(runs: Iterable[Measured], *, single: bool) -> Iterable[str]:
    """Print the figures; yield each one that is over its limit."""
    runs = list(runs)
    seen = [position for run in runs for position in run.positions]
    positions = [position for position in seen if not position.tiny]
    if single:
        hit = Counter(run.fault for run in runs if run.hit)
        click.echo(f"faults that hit: {sum(hit.values())} of {len(runs)}, {len(hit)} kinds")
    for name, complete, limit_ms in (
        ("complete", True, _COMPLETE_P99_MS),
        ("partial", False, _PARTIAL_P99_MS),
    ):
        bare = [p.bare_ms for p in positions if p.complete is complete]
        p99 = percentile(bare, 99)
        click.echo(
            f"{name:8} fills: {len(bare):4} positions, without a stop p50 {percentile(bare, 50)} "
            f"ms, p99 {p99} ms, at most {max(bare, default=0)} ms"
        )
        if not bare:
            yield f"no position with {name} fills was seen"
        elif not single and p99 > limit_ms:
            yield f"{name} fills: p99 {p99} ms, limit {limit_ms} ms"
    small = [position.growing_ms for position in positions if position.growing_ms]
    click.echo(
        f"apart from these: {len(small)} of them began with less than any stop is accepted for, "
        f"for p50 {percentile(small, 50)} ms, at most {max(small, default=0)} ms; "
        f"{len(seen) - len(positions)} more never came to be worth the smallest order"
    )
    yield from _late(runs, single=single)


def _late(runs: Iterable[Measured], *, single: bool) -> Iterable[str]:
    for run in runs:
        for position in run.positions:
            if position.longest_ms <= T_PROTECT_MS:
                continue
            dead = "" if position.lived else ", its process ended meanwhile"
            line = (
                f"seed {run.seed} ({run.fault or 'no fault'}): {position.symbol} without a stop "
                f"for {position.longest_ms} ms from {position.begin_ms}{dead}"
            )
            if single and not position.is_late:
                why = "nothing could be written, and an alert said so"
                click.echo(f"{line}, {'in PAUSE with an alert' if position.said else why}")
            else:
                yield line
