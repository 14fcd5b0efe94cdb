"""Runs a soak: the unchanged runtime with its upkeep on virtual time, measured as it goes."""

import gc
import multiprocessing
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, replace
from multiprocessing import resource_tracker
from pathlib import Path

import anyio
import click

from livespot.contracts.codes import ReasonCode
from livespot.runtime.paths import Paths
from livespot.runtime.replay_life import Surroundings
from livespot.runtime.replay_loop import LIFE, NS_PER_MS, VirtualLoop
from livespot.runtime.replay_run import RunResult, run_virtual
from livespot.runtime.system import System
from livespot.runtime.upkeep import Upkeep
from livespot.store.upkeep_process import Answer, Order, answer
from livespot.testing.search.plan import order_of
from livespot.testing.search.soak_plan import DAY_MS, SoakPlan, soak_market
from livespot.testing.search.soak_samples import SAMPLES_FILE, SoakSample, take, writer

_SAMPLES_A_PART = 24
# A sample looks at every object there is; more of them would cost more than what they measure.
_OFTEN_MS = 60_000
Furnish = Callable[[System], None]


def run_soak(plan: SoakPlan, directory: Path, furnish: Furnish | None = None) -> RunResult:
    """Run a soak with its files below `directory`; `furnish` may change each life's system.

    Raises what `run_virtual` raises.
    """
    # Else the first process of the upkeep would open its descriptor in the middle of the soak.
    resource_tracker.ensure_running()
    order = order_of(plan.run, directory, soak_market(plan))
    gauge = Gauge(plan, order.paths, furnish or (lambda _: None))
    with _frozen():
        return run_virtual(replace(order, deaths=plan.deaths, dress=gauge.dress, watch=gauge.watch))


@contextmanager
def _frozen() -> Iterator[None]:
    """Exempt everything that exists now, above all imported modules, from garbage collection.

    That is two thirds of all objects, and there are some thousand collections to come. Samples
    count the others.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@dataclass(slots=True)
class _Living:
    """The life of the moment."""

    number: int
    born_ms: int
    system: System


class Gauge:
    """Measures the process of a soak; restarts its lives in order and gives each its upkeep."""

    def __init__(self, plan: SoakPlan, paths: Paths, furnish: Furnish) -> None:
        self._plan = plan
        self._paths = paths
        self._write = writer(paths.var / SAMPLES_FILE)
        self._furnish_more = furnish
        self._loop: VirtualLoop | None = None
        self._living: _Living | None = None
        self._due_ms = 0
        self._told_days = 0

    def dress(self, around: Surroundings, loop: VirtualLoop) -> Surroundings:
        """Drop the record of each transaction, which only a search that kills at one needs."""
        self._loop = loop

        def furnished(system: System) -> None:
            self._furnish(system, around, loop)

        return replace(around, committed=lambda _: None, furnished=furnished)

    def watch(self, at_ms: int) -> bool:
        """Take a sample when one is due."""
        if self._loop is not None and self._living is not None and at_ms >= self._due_ms:
            self._due_ms = at_ms + max(_OFTEN_MS, self._plan.part_ms // _SAMPLES_A_PART)
            living = self._living
            sample = take(
                self._paths,
                self._loop,
                living.system,
                life=living.number,
                at_ms=at_ms,
                age_ms=at_ms - living.born_ms,
            )
            self._write(sample)
            self._tell(sample)
        return True

    def _furnish(self, system: System, around: Surroundings, loop: VirtualLoop) -> None:
        now_ms = loop.now_ns // NS_PER_MS
        self._living = _Living(LIFE.get(), now_ms, system)
        self._furnish_more(system)
        loop.create_task(_kept_up(system, around), context=copy_context())
        coming = [at_ms for at_ms in self._plan.orderly_ms if at_ms > now_ms]
        if coming:
            loop.call_at_ns(coming[0] * NS_PER_MS, lambda: _restart(system), copy_context())

    def _tell(self, sample: SoakSample) -> None:
        day = sample.at_ms // DAY_MS
        if day > self._told_days:
            self._told_days = day
            click.echo(line_of(day, sample), err=True)
            sys.stderr.flush()


def line_of(day: int, sample: SoakSample) -> str:
    """A day that is over, in one line."""
    fullest = max(sample.queues.values(), default=0)
    return (
        f"day {day}: life {sample.life}, {sample.rss_bytes / 1e6:.1f} MB, "
        f"{sample.objects} objects, {sample.tasks}+{sample.others} tasks, {sample.timers} timers, "
        f"{sample.descriptors} descriptors, longest queue {fullest}, "
        f"database {sample.database_bytes / 1e6:.0f} MB, WAL {sample.wal_bytes / 1e6:.1f} MB, "
        f"var {sample.var_bytes / 1e6:.0f} MB, {sample.cpu_ms // 1000} s of processor time"
    )


def _restart(system: System) -> None:
    if not system.ending.wanted.is_set():
        system.stop(ReasonCode.OPERATOR_STOP, "the soak restarts it")


async def _kept_up(system: System, around: Surroundings) -> None:
    """What keeps the records of a real run in shape, for as long as the run lasts."""
    upkeep = Upkeep(
        paths=around.paths,
        settings=around.loaded.settings,
        market=around.clock,
        audit=system.seams.writer,
        free_bytes=system.seams.host.free_bytes,
        tell=system.house.wires.governor.offer,
        wall=around.clock,
        disk=around.disk,
        ask=_asked,
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(upkeep.run)
        await system.ending.wanted.wait()
        tasks.cancel_scope.cancel()


async def _asked(order: Order) -> Answer:
    """As in a real run a process of its own answers; time stands still meanwhile."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as process:
        return process.submit(answer, order).result()
