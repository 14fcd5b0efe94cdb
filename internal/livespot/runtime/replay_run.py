"""A replay: exchange, model and the whole runtime in one thread, at the processor's speed."""

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio

from livespot.contracts.errors import ExitCode
from livespot.contracts.records import GateEventRow
from livespot.contracts.redaction import Redactor
from livespot.contracts.system import Alert
from livespot.exchange.service import application, opened
from livespot.exchange.settings import ExchangeSettings
from livespot.exchange.sources import MarketSource
from livespot.exchange.state_file import address_of
from livespot.gate.recorded import RecordedGate
from livespot.runtime.config import LoadedSettings
from livespot.runtime.disk import RealDisk
from livespot.runtime.entropy import SeededEntropy
from livespot.runtime.paths import Paths
from livespot.runtime.replay_clock import VirtualClock
from livespot.runtime.replay_course import Course, Death
from livespot.runtime.replay_life import Life, Surroundings
from livespot.runtime.replay_logs import inline_logs
from livespot.runtime.replay_loop import LIFE, NS_PER_MS, VirtualLoop, run_virtually
from livespot.runtime.replay_pipe import Latency
from livespot.runtime.replay_schedule import EarlyRestart, Schedule
from livespot.runtime.replay_wire import Wire
from livespot.runtime.simulation import demo_secrets, on_exchange
from livespot.runtime.swap_rehearsal import only_if
from livespot.store.inline import InlineReader
from livespot.store.migrate import migrate
from livespot.store.queries import LedgerQueries

# Nobody connects to this address; the wire only looks at paths.
_ADDRESS = address_of("127.0.0.1", 1)
_MS_PER_SECOND = 1000
_RESTART_MS = 1000
_SWEEP_SECONDS = 600
_LOOK_SECONDS = 10
# Distance between the seeds of successive lives, so that replays with neighbouring seeds share
# none.
_SEEDS_APART = 1_000_003


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOrder:
    """What to replay. Times are market time.

    `exchange` gives data, symbols and faults; its seed, journal and start are set here. `source` is
    its market, if the caller has opened it already. With `shuffled`, ready callbacks run in a drawn
    order. The n-th life dies the n-th death; the life after the last death runs to the end of the
    span.

    At each of `restarts_at_ms`, counted from the start, the running life is stopped in order; the
    life after the last one runs to the end of the span. Until the first restart, a life that ends
    by itself is followed by another, as under a service manager. With `early` the first restart may
    come sooner, and everything after it with it.

    `swap_proven` says that a rehearsal on the embedded exchange swapped a stop without a gap;
    without it, VIRTUAL trailing is OFF, as everywhere.

    `gate` holds the recorded attempts that answer in place of a model. `dress` may replace any part
    of the surroundings. `watch` is called every ten virtual seconds with the milliseconds of the
    span that are over; when it returns False, the running life is stopped in order.
    """

    paths: Paths
    loaded: LoadedSettings
    start_ms: int
    span_ms: int
    seed: int
    exchange: ExchangeSettings = field(default_factory=ExchangeSettings)
    source: MarketSource | None = None
    shuffled: bool = False
    deaths: tuple[Death, ...] = ()
    restarts_at_ms: tuple[int, ...] = ()
    early: EarlyRestart | None = None
    swap_proven: bool = False
    gate: tuple[GateEventRow, ...] | None = None
    dress: Callable[[Surroundings, VirtualLoop], Surroundings] | None = None
    watch: Callable[[int], bool] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lived:
    """One life, in market time. `code` is None when it was killed.

    `run_id` is empty when it ended before it had one. `tasks_left` counts its tasks that have not
    ended; those of a killed life never run again. `cancelled_ms` is when it was cancelled, if it
    was.
    """

    run_id: str
    born_ms: int
    over_ms: int
    code: ExitCode | None
    tasks_left: int = 0
    cancelled_ms: int | None = None

    @property
    def speaks_until_ms(self) -> int:
        """Until when it reports anything; once cancelled it only waits for its answers."""
        return self.over_ms if self.cancelled_ms is None else self.cancelled_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A durable transaction: its life, that life's scheduling point, and its kinds of rows."""

    life: int
    point: int
    rows: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """Where a replay left its files, and what it cost.

    `last_hash` is the last hash of the audit's chain. `points` counts all callbacks, `points_of`
    those of each life. `saved_ms` is how much sooner than ordered the first restart came.
    """

    exit_code: ExitCode
    run_ids: tuple[str, ...]
    lives: tuple[Lived, ...]
    database: Path
    logs: Path
    journal: Path
    last_hash: str
    alerts: tuple[Alert, ...]
    commits: tuple[Commit, ...]
    points: int
    points_of: tuple[int, ...]
    virtual_ms: int
    cpu_ms: int
    saved_ms: int = 0

    @property
    def speed(self) -> float:
        """Virtual seconds per second of processor time."""
        return self.virtual_ms / max(1, self.cpu_ms)


@dataclass(slots=True)
class _Told:
    """What the lives of one replay leave in memory."""

    lives: list[Lived] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    commits: list[Commit] = field(default_factory=list)
    code: ExitCode = ExitCode.CLEAN
    last_hash: str = ""
    course: Course | None = None
    saved_ms: int = 0


def run_virtual(order: ReplayOrder) -> RunResult:
    """Replay a span on a fresh exchange; a missing database is created.

    Raises:
        RecordedDataInvalid: the data does not cover the beginning of the span.
        VirtualDeadlock, VirtualLivelock, RuntimeError: the run broke; this is a defect.
    """
    began_ns = time.process_time_ns()
    paths, disk = order.paths, RealDisk()
    for directory in (paths.var, paths.database.parent, paths.logs):
        disk.make_directory(directory)
    migrate(paths.database, backup_dir=paths.backups, now_ms=order.start_ms)
    loop = VirtualLoop(SeededEntropy(order.seed) if order.shuffled else None)
    told = _Told()
    with _no_collector():
        run_virtually(loop, _replay, order, loop, told)
    return RunResult(
        exit_code=told.code,
        run_ids=tuple(lived.run_id for lived in told.lives),
        lives=tuple(told.lives),
        database=paths.database,
        logs=paths.logs,
        journal=paths.exchange_journal,
        last_hash=told.last_hash,
        alerts=tuple(told.alerts),
        commits=tuple(told.commits),
        points=loop.points,
        points_of=tuple(loop.points_of.values()),
        virtual_ms=round(loop.time() * _MS_PER_SECOND),
        cpu_ms=(time.process_time_ns() - began_ns) // 1_000_000,
        saved_ms=told.saved_ms,
    )


async def _replay(order: ReplayOrder, loop: VirtualLoop, told: _Told) -> None:
    paths = order.paths
    clock = VirtualClock(loop, order.start_ms)
    secrets = demo_secrets()
    settings = replace(
        order.exchange,
        seed=order.seed,
        journal=paths.exchange_journal,
        start_ms=order.start_ms,
    )
    redactor = Redactor(secret.reveal() for secret in secrets.all())
    with (
        inline_logs(paths.logs / "replay.log", clock=clock, redactor=redactor),
        opened(settings, clock, order.source) as (core, pump, _),
    ):
        latency = Latency(SeededEntropy(order.seed + 1))
        # Faults act on single frames, so batches are only possible without them.
        wire = Wire(application(core), loop, clock, latency, batches=core.faults is None)
        around = Surroundings(
            paths=paths,
            loaded=only_if(on_exchange(order.loaded, _ADDRESS), proven=order.swap_proven),
            secrets=secrets,
            clock=clock,
            wire=wire,
            disk=RealDisk(),
            announce=told.alerts.append,
            committed=lambda rows: told.commits.append(_commit(loop, rows)),
            gate=RecordedGate(order.gate, clock) if order.gate is not None else None,
        )
        if order.dress is not None:
            around = order.dress(around, loop)
        async with anyio.create_task_group() as outside:
            await outside.start(wire.run)
            outside.start_soon(pump.run)
            if core.faults is not None:
                outside.start_soon(core.faults.run)
            outside.start_soon(_sweep, clock)
            outside.start_soon(_look, order, clock, told)
            schedule = Schedule(restarts_at_ms=order.restarts_at_ms, span_ms=order.span_ms)
            if order.early is not None:
                outside.start_soon(_restart_early, order.early, loop, schedule, told)
            await _live_and_die(order, loop, around, told, schedule)
            told.saved_ms = schedule.saved_ms
            outside.cancel_scope.cancel()
    last = await LedgerQueries(InlineReader(paths.database)).last_run()
    told.last_hash = last.last_hash if last is not None else ""


def _commit(loop: VirtualLoop, rows: set[str]) -> Commit:
    life = LIFE.get()
    return Commit(life=life, point=loop.points_of[life], rows=frozenset(rows))


async def _sweep(clock: VirtualClock) -> None:
    """Collect garbage at fixed instants; the collector's own timing varies and costs more."""
    while True:
        await clock.sleep(_SWEEP_SECONDS)
        gc.collect()


async def _look(order: ReplayOrder, clock: VirtualClock, told: _Told) -> None:
    """Call the watcher at fixed instants. Also wakes without one: the run must not depend on it."""
    while True:
        await clock.sleep(_LOOK_SECONDS)
        goes_on = order.watch is None or order.watch(clock.now_ms() - order.start_ms)
        if not goes_on and told.course is not None and told.course.stop("interrupted"):
            return


async def _restart_early(
    early: EarlyRestart, loop: VirtualLoop, schedule: Schedule, told: _Told
) -> None:
    """Stop the running life, once, as soon as everything is settled."""
    clock = VirtualClock(loop, 0)
    await clock.sleep(early.from_ms / _MS_PER_SECOND)
    while schedule.is_unscathed(clock.now_ms()):
        course = told.course
        settled = course is not None and early.settled(clock.now_ms(), course.life.records)
        if course is not None and settled and course.stop():
            schedule.bring_forward(clock.now_ms())
            return
        await clock.sleep(early.every_ms / _MS_PER_SECOND)


@contextmanager
def _no_collector() -> Iterator[None]:
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


async def _live_and_die(
    order: ReplayOrder, loop: VirtualLoop, around: Surroundings, told: _Told, schedule: Schedule
) -> None:
    # Not the clock in `around`, which may be set by a trouble of the plan.
    deaths, clock = iter(order.deaths), VirtualClock(loop, order.start_ms)
    async with AsyncExitStack() as graves:
        while loop.now_ns < schedule.span_ms * NS_PER_MS:
            now_ms = loop.now_ns // NS_PER_MS
            end_ms = schedule.end_after(now_ms)
            death = next(deaths, None) if schedule.is_unscathed(now_ms) else None
            number = len(told.lives) + 1
            life = Life(around, SeededEntropy(order.seed + number * _SEEDS_APART))
            born_ms = clock.now_ms()
            course = Course(loop=loop, life=life, number=number, death=death, end_ms=end_ms)
            told.course = course
            code = await course.run()
            told.lives.append(
                Lived(
                    run_id=life.run_id,
                    born_ms=born_ms,
                    over_ms=clock.now_ms(),
                    code=code,
                    tasks_left=loop.tasks_of(number),
                    cancelled_ms=_market_ms(course.cancelled_ms, order),
                )
            )
            if code is not None:
                told.code = code
                if schedule.is_last(end_ms):
                    return
            else:
                if death is not None and death.power_cut:
                    await around.power_cut(life.store)
                graves.push_async_callback(life.bury)
            around.wire.cut()
            down_ms = death.down_ms if death is not None and code is None else _RESTART_MS
            await clock.sleep(down_ms / _MS_PER_SECOND)


def _market_ms(over_ms: int | None, order: ReplayOrder) -> int | None:
    return None if over_ms is None else order.start_ms + over_ms
