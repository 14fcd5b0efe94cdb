"""Starts and stops one process: lock, database, adapters, panel, signals."""

import os
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import TaskGroup

from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import ExitCode, PreflightFailed
from livespot.contracts.ports import Clock, Entropy
from livespot.contracts.redaction import Redactor
from livespot.contracts.system import Alert
from livespot.contracts.vocabulary import Mode, SysMode
from livespot.evidence.manifest import RunInputs
from livespot.evidence.panel_traces import DatabaseTraces
from livespot.gate.client import GateClient
from livespot.panel.server import PanelServer
from livespot.rules.alert_webhook import Origin
from livespot.runtime.alerting import courier_on, usable_webhook, webhook_line
from livespot.runtime.clock import SystemClock
from livespot.runtime.config import LoadedSettings
from livespot.runtime.config_watch import ConfigWatch
from livespot.runtime.control import ControlDirectory
from livespot.runtime.disk import RealDisk
from livespot.runtime.end_signals import ended_by_signals
from livespot.runtime.entropy import SystemEntropy
from livespot.runtime.environment import Secrets, take_notify_address
from livespot.runtime.host import Host
from livespot.runtime.logs import configure_logs
from livespot.runtime.opening import birthmarks, open_audit, read_prompt, web_audit
from livespot.runtime.paths import Paths
from livespot.runtime.placed import placed_fold
from livespot.runtime.plan import Plan, Seams
from livespot.runtime.run_evidence import begin_own, bundle_incidents, complete_killed
from livespot.runtime.run_records import Birth, after_restore, begin, interpreter
from livespot.runtime.send_gate import SendGate
from livespot.runtime.service_notice import ServiceNotice
from livespot.runtime.system import System
from livespot.runtime.upkeep import Upkeep
from livespot.runtime.venue_link import link_venue
from livespot.runtime.watchdog import Heartbeats, Watchdog
from livespot.store.migrate import status
from livespot.store.queries import LedgerQueries
from livespot.store.reader import ReadOnlyDatabase
from livespot.store.restoration import pending
from livespot.store.schema import require_current
from livespot.store.trail import JsonlTrail
from livespot.venue.http_client import HttpxTransport
from livespot.venue.signing import load_signer
from livespot.venue.sockets import WebsocketsTransport

_TOKEN_DIGITS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What to start. `span_seconds` is wall time; None means until stopped.

    `announce` is called with every alert. `watch` runs beside the system until it ends, and sees
    the panel's address.
    """

    mode: Mode
    paths: Paths
    loaded: LoadedSettings
    secrets: Secrets
    clock: Clock
    account_label: str
    announce: Callable[[Alert], None]
    watch: Callable[["Running"], Coroutine[Any, Any, None]]
    manage_only: tuple[str, ...] = ()
    proven: tuple[str, ...] = ()
    order_cap: Decimal | None = None
    span_seconds: float | None = None
    inputs: RunInputs | None = None
    entropy: Entropy = field(default_factory=SystemEntropy)
    notice: ServiceNotice = field(default_factory=lambda: ServiceNotice(""))


@dataclass(slots=True, kw_only=True)
class Running:
    """What `watch` may know of the run; `panel_url` is empty while the panel is not listening."""

    run_id: str
    paths: Paths
    clock: Clock
    panel_url: str = ""
    gate: SendGate


async def run_launch(launch: Launch) -> ExitCode:
    """Run until stopped; returns the process's exit code.

    Raises `SecondInstance`, `SchemaMismatch`, `StoreBusy`, `PreflightFailed` before anything is
    written to the database or sent.
    """
    disk = RealDisk()
    paths = launch.paths
    alerts = launch.loaded.settings.alerts
    webhook = usable_webhook(alerts, paths.dotenv, tell=launch.announce, clock=launch.clock)
    launch = replace(launch, secrets=replace(launch.secrets, webhook=webhook))
    for directory in (paths.var, paths.database.parent, paths.logs, paths.control):
        disk.make_directory(directory)
    with ServiceNotice(take_notify_address()) as notice, disk.lock(paths.lock, _note(launch)):
        launch = replace(launch, notice=notice)
        _refuse_moved(paths)
        require_current(status(paths.database))
        ledger = LedgerQueries(ReadOnlyDatabase(paths.database))
        trail = JsonlTrail(disk, paths.logs, ReadOnlyDatabase(paths.database))
        birth = await begin(
            launch.mode,
            settings=launch.loaded.settings,
            clock=launch.clock,
            entropy=launch.entropy,
            ledger=ledger,
            trail=trail,
        )
        birth = after_restore(birth, pending(paths.var))
        close_logs = configure_logs(
            paths.logs,
            clock=launch.clock,
            secrets=launch.secrets.all(),
            run_id=birth.run_id,
        )
        try:
            async with _built(launch, birth, ledger, trail) as (system, running):
                return await _run(launch, system, running)
        finally:
            close_logs()


@asynccontextmanager
async def _built(
    launch: Launch, birth: Birth, ledger: LedgerQueries, trail: JsonlTrail
) -> AsyncIterator[tuple[System, Running]]:
    settings, clock, paths = launch.loaded.settings, launch.clock, launch.paths
    redactor = Redactor(secret.reveal() for secret in launch.secrets.all())
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(HttpxTransport(clock))
        sockets = WebsocketsTransport(clock)
        signer = load_signer(launch.secrets.binance_api_key, launch.secrets.binance_api_secret)
        prompt = read_prompt()
        marks = birthmarks(birth, launch.loaded, prompt, launch.account_label)
        begin_own(paths, marks, launch.inputs)
        courier, announce = None, launch.announce
        writer = await open_audit(
            birth,
            paths,
            trail,
            clock=clock,
            settings=settings.audit,
            redactor=redactor,
        )
        if launch.secrets.webhook:
            origin = Origin(run_id=birth.run_id, mode=birth.mode)
            line = await stack.enter_async_context(
                webhook_line(
                    launch.secrets.webhook, settings.alerts, origin=origin, redactor=redactor
                )
            )
            courier, announce = courier_on(line, audit=writer, market=clock, tell=announce)
        running = Running(run_id=birth.run_id, paths=paths, clock=clock, gate=SendGate())
        panel = PanelServer(
            database=paths.database,
            settings=settings.panel,
            clock=clock,
            wall=SystemClock(),
            audit_request=web_audit(writer, clock),
            listening=lambda url: setattr(running, "panel_url", url),
            traces=DatabaseTraces(),
            place=partial(placed_fold, paths=paths),
            token=launch.entropy.hex(_TOKEN_DIGITS) if settings.panel.token else "",
            mode_now=lambda: _mode(running),
        )
        system = System(
            Plan(
                birth=birth,
                settings=settings,
                config_hash=launch.loaded.config_hash,
                prompt=prompt,
                account_label=launch.account_label,
                manage_only=launch.manage_only,
                proven=launch.proven,
                order_cap=launch.order_cap,
                runs_on=interpreter(),
            ),
            Seams(
                clock=clock,
                entropy=launch.entropy,
                venue=link_venue(settings, clock=clock, http=http, sockets=sockets, signer=signer),
                gate_client=GateClient(
                    transport=http,
                    base_url=settings.ai_gate.base_url,
                    key=launch.secrets.openai_api_key,
                    timeout_seconds=settings.ai_gate.timeout_ms / 1000,
                ),
                writer=writer,
                ledger=ledger,
                days=ledger,
                control=ControlDirectory(
                    directory=paths.control,
                    stop_file=paths.stop_file,
                    since_ms=RealDisk().modified_ms(paths.lock),
                ),
                host=Host(paths.database),
                announce=announce,
                watchdog=_watchdog(launch),
                panel=panel,
                courier=courier,
                begun=lambda: RealDisk().remove(paths.restored),
            ),
        )
        running.gate = system.house.gate
        yield system, running


async def _run(launch: Launch, system: System, running: Running) -> ExitCode:
    code = ExitCode.WATCHDOG
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_listen_for_signals, system)
        tasks.start_soon(launch.watch, running)
        tasks.start_soon(launch.notice.follow, lambda: _mode(running), system.ending.wanted)
        tasks.start_soon(complete_killed, running.paths, system.house.wires.governor.offer)
        tasks.start_soon(bundle_incidents, running.paths, running.run_id, system.house.gate)
        tasks.start_soon(_upkeep(launch, system).run)
        tasks.start_soon(_config_watch(launch, system).run)
        if launch.span_seconds is not None:
            tasks.start_soon(_end_after, launch.span_seconds, system)
        code = await _system(tasks, system, launch.notice)
    return code  # noqa: RET504  the group may swallow its own cancellation


async def _system(tasks: TaskGroup, system: System, notice: ServiceNotice) -> ExitCode:
    try:
        return await system.run(task_status=notice)
    finally:
        tasks.cancel_scope.cancel()


async def _listen_for_signals(system: System) -> None:
    with ended_by_signals(lambda name: system.stop(ReasonCode.OPERATOR_STOP, f"signal {name}")):
        await anyio.sleep_forever()


async def _end_after(seconds: float, system: System) -> None:
    await SystemClock().sleep(seconds)
    system.stop(ReasonCode.OPERATOR_STOP, "the asked span is over")


def _upkeep(launch: Launch, system: System) -> Upkeep:
    return Upkeep(
        paths=launch.paths,
        settings=launch.loaded.settings,
        market=launch.clock,
        audit=system.seams.writer,
        free_bytes=system.seams.host.free_bytes,
        tell=system.house.wires.governor.offer,
    )


def _config_watch(launch: Launch, system: System) -> ConfigWatch:
    return ConfigWatch(
        path=Path(launch.loaded.path),
        config_hash=launch.loaded.config_hash,
        wall=SystemClock(),
        market=launch.clock,
        tell=system.house.wires.governor.offer,
    )


def _refuse_moved(paths: Paths) -> None:
    """Refuse to start where the state was moved elsewhere. Raises `PreflightFailed`.

    Two places with one account would each send orders that the other's ledger does not know.
    """
    if paths.moved.exists():
        where = RealDisk().read(paths.moved).decode(errors="replace").strip()
        raise PreflightFailed(
            f"the state in {paths.var} was {where}, and must not run in two places.\n"
            "Next: start it there; or bring it back: livespot restore BACKUP"
        )


def _note(launch: Launch) -> str:
    """Return the text by which the lock file names its holder."""
    return f"{launch.mode} of {launch.account_label or 'no account'}, process {os.getpid()}"


def _watchdog(launch: Launch) -> Callable[[Heartbeats, SendGate], Watchdog]:
    health = launch.loaded.settings.health

    def build(heartbeats: Heartbeats, gate: SendGate) -> Watchdog:
        return Watchdog(
            heartbeats=heartbeats,
            gate=gate,
            pause_ms=health.loop_stuck_ms_pause,
            kill_ms=health.watchdog_kill_ms,
            note=launch.paths.crash_note,
            alive=launch.notice.alive,
        )

    return build


def _mode(running: Running) -> SysMode:
    return running.gate.mode
