"""One simulation from start to summary: exchange, database, runtime, evidence."""

from dataclasses import dataclass
from pathlib import Path

from livespot.contracts.errors import ExitCode, PayloadInvalid, PreflightFailed, SecondInstance
from livespot.contracts.vocabulary import Mode
from livespot.evidence.manifest import RunInputs
from livespot.evidence.summary import summarise
from livespot.rules.doctor import Outcome, Summary, summarize
from livespot.runtime.clock import SystemClock
from livespot.runtime.config import LoadedSettings
from livespot.runtime.console import LiveConsole
from livespot.runtime.disk import RealDisk
from livespot.runtime.doctor import examine_simulation
from livespot.runtime.launch import Launch, Running, run_launch
from livespot.runtime.paths import Paths
from livespot.runtime.placed import placed
from livespot.runtime.run_evidence import finish
from livespot.runtime.simulation import (
    Simulation,
    demo_secrets,
    exchange_ended,
    on_exchange,
    resume_exchange,
    set_aside,
    start_exchange,
    stop_exchange,
)
from livespot.runtime.simulation_journal import read_rows
from livespot.runtime.swap_rehearsal import EMBEDDED, proven_only
from livespot.store.migrate import migrate


@dataclass(frozen=True, slots=True, kw_only=True)
class SimOrder:
    """What to simulate. `span_ms` is wall time; `start_ms` is market time.

    `faults` is the JSON text of the exchange's fault plan; `closed` are reasons why entries stay
    closed for the whole run.
    """

    paths: Paths
    loaded: LoadedSettings
    span_ms: int
    start_ms: int
    speed: int
    seed: int
    data: Path | None
    resume: bool
    faults: str = ""
    closed: tuple[str, ...] = ()


async def simulate(order: SimOrder, console: LiveConsole) -> ExitCode:
    """Run a simulation; the exchange it started ends with it, unless this process is killed."""
    paths = order.paths
    console.say(f"livespot simulation in {paths.var}; Ctrl-C ends it safely at any time")
    if RealDisk().is_locked(paths.lock):
        raise SecondInstance(
            f"a simulation is already running in {paths.var}; "
            f"stop it with: {placed('livespot stop', paths)}"
        )
    run_ids: list[str] = []
    try:
        found = resume_exchange(paths) if order.resume else await _fresh(order)
        code = await _traded(order, found, console, run_ids)
    finally:
        # A refused resume leaves the exchange, and what stands on it, for the next attempt.
        if run_ids or not order.resume:
            stop_exchange(paths)
            await exchange_ended(paths)
        await finish(paths, run_ids)
    return await _judged(paths, run_ids, code, console)


async def _traded(
    order: SimOrder, found: Simulation, console: LiveConsole, run_ids: list[str]
) -> ExitCode:
    """Run the doctor, then the system; the run's id is appended as soon as there is one."""
    console.say(f"embedded exchange: {found.state.address.rest_url} (process {found.state.pid})")
    loaded = on_exchange(order.loaded, found.state.address)
    failing = await _examined(order.paths, loaded, found, console)
    if failing and not order.resume:
        raise PreflightFailed(f"the doctor found {len(failing)} failing checks")

    async def watch(running: Running) -> None:
        run_ids.append(running.run_id)
        await console.watch(running)

    return await run_launch(
        Launch(
            mode=Mode.SIM,
            paths=order.paths,
            loaded=proven_only(loaded, EMBEDDED, order.paths.rehearsals),
            secrets=demo_secrets(),
            clock=found.clock,
            account_label="simulation",
            announce=console.announce,
            watch=watch,
            # What stands on the exchange must be managed, so failing checks only close entries.
            manage_only=(*failing, *order.closed),
            span_seconds=order.span_ms / 1000,
            inputs=_inputs(order, found),
        )
    )


def _inputs(order: SimOrder, found: Simulation) -> RunInputs:
    """Return what the exchange plays, as it states itself."""
    state = found.state
    return RunInputs(
        data=str(order.data) if order.data is not None else "recorded",
        data_set_id=state.data_id,
        data_set_sha256=state.data_sha256,
        symbols=(),
        seed=state.seed,
        # After a resume the market goes on from its present time.
        start_ms=order.start_ms if found.started else found.clock.now_ms(),
        span_ms=order.span_ms * (state.clock.speed if state.clock is not None else 1),
        speed=state.clock.speed if state.clock is not None else 1,
        virtual=False,
        faults=order.faults,
        faults_name=order.paths.exchange_plan.name if order.faults else "",
    )


async def _examined(
    paths: Paths, loaded: LoadedSettings, found: Simulation, console: LiveConsole
) -> tuple[str, ...]:
    """Run the doctor, print its failing checks and return them."""
    speed = found.state.clock.speed if found.state.clock is not None else 1
    checks = await examine_simulation(paths, loaded, demo_secrets(), clock=found.clock, speed=speed)
    summary = summarize(checks, when_green="")
    console.say(placed(doctor_line(summary), paths))
    failing = tuple(
        f"{check.title}: {check.measured} {check.detail}".rstrip()
        for check in checks
        if check.outcome is Outcome.FAIL
    )
    for text in failing:
        console.say(f"  FAIL {text}")
    return failing


def doctor_line(summary: Summary) -> str:
    """Return the doctor's line at the start of a simulation."""
    return f"doctor: {summary.counts}  (all rows: livespot doctor)"


async def _judged(
    paths: Paths, run_ids: list[str], code: ExitCode, console: LiveConsole
) -> ExitCode:
    """Read the run back from its database, compare it with the exchange's journal, and print it."""
    if not run_ids:
        return code
    journal = read_rows(paths.exchange_journal)
    try:
        summary = await summarise(paths.database, paths.logs, run_ids[0], journal)
    except PayloadInvalid as error:
        if code is ExitCode.CLEAN:
            raise
        # A run that could write nothing has no summary; its exit code matters more.
        console.say(f"ended with exit code {code:d} ({code.name}); there is no summary: {error}")
        return code
    console.summarise(summary)
    broken = bool(summary.violations)
    return ExitCode.PREFLIGHT if broken and code is ExitCode.CLEAN else code


async def _fresh(order: SimOrder) -> Simulation:
    """Start a new exchange with a new database; the last simulation's files are set aside."""
    paths = order.paths
    stop_exchange(paths)
    await exchange_ended(paths)
    with set_aside(paths):
        found = await start_exchange(
            paths,
            start_ms=order.start_ms,
            speed=order.speed,
            seed=order.seed,
            data=order.data,
            plan=order.faults,
        )
    migrate(paths.database, backup_dir=paths.backups, now_ms=SystemClock().now_ms())
    return found
