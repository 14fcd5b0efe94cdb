"""`livespot shadow`: the pipeline on a real public market, up to where orders would be sent."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import anyio
import msgspec
import structlog

from livespot.actors.alert_courier import AlertCourier
from livespot.actors.mail import StopAsked
from livespot.contracts.audit import AuditEntry
from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import (
    AuditUnwritable,
    ExitCode,
    Fatal,
    PayloadInvalid,
    PreflightFailed,
    Refused,
    Transient,
)
from livespot.contracts.ports import Clock
from livespot.contracts.redaction import Redactor
from livespot.contracts.system import Alert, HealthSignal, ModeChanged
from livespot.contracts.vocabulary import (
    Mode,
    SignalKind,
    SignalLevel,
    SysMode,
)
from livespot.evidence.panel_traces import DatabaseTraces
from livespot.panel.server import PanelServer
from livespot.rules.alert_webhook import Origin
from livespot.runtime import shadow_crew
from livespot.runtime.alerting import (
    announce_unwritable,
    carry,
    courier_on,
    usable_webhook,
    webhook_line,
)
from livespot.runtime.aside import Aside
from livespot.runtime.clock import SystemClock
from livespot.runtime.config import LoadedSettings, rehashed
from livespot.runtime.console import LiveConsole
from livespot.runtime.control import ControlDirectory
from livespot.runtime.disk import RealDisk
from livespot.runtime.end_signals import ended_by_signals
from livespot.runtime.entropy import SystemEntropy
from livespot.runtime.environment import Secrets, take_notify_address
from livespot.runtime.host import Host
from livespot.runtime.logs import configure_logs
from livespot.runtime.mailboxes import Reply
from livespot.runtime.market_crew import MarketPlan
from livespot.runtime.opening import birthmarks, open_audit, read_prompt, web_audit
from livespot.runtime.paths import Paths
from livespot.runtime.placed import placed_fold
from livespot.runtime.public_link import link_public
from livespot.runtime.run_evidence import begin_own, bundle_incidents, complete_killed, finish
from livespot.runtime.run_records import Birth, after_restore, begin, ended, interpreter, started
from livespot.runtime.service_notice import ServiceNotice
from livespot.runtime.shadow_crew import ShadowHouse
from livespot.runtime.shadow_summary import shadow_lines
from livespot.runtime.supervisor import DEMANDS, Actor, Supervised, fatal_in
from livespot.runtime.upkeep import Upkeep
from livespot.runtime.watchdog import Watchdog
from livespot.store.migrate import migrate
from livespot.store.queries import LedgerQueries
from livespot.store.reader import ReadOnlyDatabase
from livespot.store.restoration import pending
from livespot.store.trail import JsonlTrail
from livespot.venue.http_client import HttpxTransport
from livespot.venue.sockets import WebsocketsTransport

_log = structlog.get_logger(__name__)
_TICK_SECONDS = 0.25
_STOP_SECONDS = 5.0
_TOKEN_DIGITS = 32
BANNER = "SHADOW: watching only. No key, no order, no fill; what would have happened is a model's."


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowOrder:
    """What to watch. `span_seconds` is wall time; None means until stopped."""

    paths: Paths
    loaded: LoadedSettings
    span_seconds: float | None = None
    clock: Clock = field(default_factory=SystemClock)


@dataclass(slots=True, kw_only=True)
class _Running:
    """The state of the run outside its actors."""

    run_id: str
    paths: Paths
    clock: Clock
    notice: ServiceNotice
    courier: AlertCourier | None = None
    panel_url: str = ""
    over: anyio.Event = field(default_factory=anyio.Event)
    code: ExitCode = ExitCode.CLEAN
    reasons: tuple[ReasonCode, ...] = ()

    def left(self, change: ModeChanged) -> None:
        """Take over the end when the governor has reached EXIT."""
        if not self.over.is_set():
            paused = change.previous is SysMode.PAUSE
            self.code = ExitCode.PAUSED if paused else ExitCode.CLEAN
            self.reasons = change.reasons
            self.over.set()

    def broke(self, fatal: Fatal) -> None:
        self.code, self.reasons = fatal.exit_code, (ReasonCode.ACTOR_FAILED,)
        self.over.set()


@dataclass(frozen=True, slots=True, kw_only=True)
class _WayOut:
    """The channels out of the run: service manager, webhook and console."""

    notice: ServiceNotice
    hidden: Secrets
    console: LiveConsole


def require_no_key(secrets: Secrets) -> None:
    """Refuse to start with a key in the environment. Raises `PreflightFailed`."""
    present = [
        name
        for name, value in (
            ("BINANCE_API_KEY", secrets.binance_api_key),
            ("BINANCE_API_SECRET", secrets.binance_api_secret),
            ("OPENAI_API_KEY", secrets.openai_api_key),
        )
        if value
    ]
    if present:
        without = " ".join(f"-u {name}" for name in present)
        raise PreflightFailed(
            f"shadow accepts no key, and {', '.join(present)} is set; nothing was started.\n"
            f"Next: env {without} livespot shadow (or remove it from the .env file beside --var)"
        )


def without_gate(loaded: LoadedSettings) -> LoadedSettings:
    """Return settings with the model gate off, since it would need a key."""
    gate = msgspec.structs.replace(loaded.settings.ai_gate, ai_dec=0)
    return rehashed(loaded, msgspec.structs.replace(loaded.settings, ai_gate=gate))


async def run_shadow(order: ShadowOrder) -> ExitCode:
    """Watch until stopped, print what was seen, and return the exit code.

    Raises `SecondInstance`, `SchemaMismatch`, `StoreBusy`, `PreflightFailed` before anything is
    asked of the exchange.
    """
    paths, disk, clock = order.paths, RealDisk(), order.clock
    console = LiveConsole(sound=order.loaded.settings.alerts.sound)
    console.say(BANNER)
    run_ids: list[str] = []
    for directory in (paths.var, paths.database.parent, paths.logs, paths.control):
        disk.make_directory(directory)
    code = ExitCode.WATCHDOG
    who = f"{Mode.SHADOW} of no account, process {os.getpid()}"
    with ServiceNotice(take_notify_address()) as notice, disk.lock(paths.lock, who):
        _refuse(paths)
        await _refuse_others(paths, Mode.SHADOW)
        migrate(paths.database, backup_dir=paths.backups, now_ms=clock.now_ms())
        ledger = LedgerQueries(ReadOnlyDatabase(paths.database))
        trail = JsonlTrail(disk, paths.logs, ReadOnlyDatabase(paths.database))
        birth = await begin(
            Mode.SHADOW,
            settings=order.loaded.settings,
            clock=clock,
            entropy=SystemEntropy(),
            ledger=ledger,
            trail=trail,
        )
        birth = after_restore(birth, pending(paths.var))
        run_ids.append(birth.run_id)
        alerts = order.loaded.settings.alerts
        address = usable_webhook(alerts, paths.dotenv, tell=console.announce, clock=clock)
        hidden = Secrets.none(webhook=address)
        close_logs = configure_logs(
            paths.logs, clock=clock, secrets=hidden.all(), run_id=birth.run_id
        )
        out = _WayOut(notice=notice, hidden=hidden, console=console)
        try:
            async with _built(order, birth, (ledger, trail), out) as (plan, running, panel):
                code = await _run(order, plan, running, panel, console)
        finally:
            close_logs()
            await finish(paths, run_ids)
    for line in await shadow_lines(ReadOnlyDatabase(paths.database), birth.run_id):
        console.say(line)
    return code


def _refuse(paths: Paths) -> None:
    for path, what in ((paths.stop_file, "the STOP file"), (paths.moved, "a MOVED file")):
        if path.exists():
            raise PreflightFailed(f"{what} stands in {paths.var}; nothing was started")


async def _refuse_others(paths: Paths, mode: Mode) -> None:
    """Refuse a directory with runs of another mode. Raises `PreflightFailed`.

    Their open orders and positions would be watched by nobody.
    """
    if not paths.database.is_file():
        return
    rows = await ReadOnlyDatabase(paths.database).rows("SELECT DISTINCT mode FROM runs")
    others = sorted({str(row[0]) for row in rows} - {mode.value})
    if others:
        raise PreflightFailed(
            f"{paths.var} holds the records of {' and '.join(others)} runs; shadow keeps its own.\n"
            "Next: livespot shadow --var with another directory"
        )


@asynccontextmanager
async def _built(
    order: ShadowOrder,
    birth: Birth,
    kept: tuple[LedgerQueries, JsonlTrail],
    out: _WayOut,
) -> AsyncIterator[tuple[MarketPlan, _Running, PanelServer]]:
    settings, clock, paths = order.loaded.settings, order.clock, order.paths
    redactor = Redactor(secret.reveal() for secret in out.hidden.all())
    entropy = SystemEntropy()
    announce: Callable[[Alert], None] = out.console.announce
    prompt = read_prompt()
    begin_own(paths, birthmarks(birth, order.loaded, prompt, ""), None)
    running = _Running(run_id=birth.run_id, paths=paths, clock=clock, notice=out.notice)
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(HttpxTransport(clock))
        writer = await open_audit(
            birth,
            paths,
            kept[1],
            clock=clock,
            settings=settings.audit,
            redactor=redactor,
        )
        if out.hidden.webhook:
            origin = Origin(run_id=birth.run_id, mode=birth.mode)
            way = webhook_line(
                out.hidden.webhook, settings.alerts, origin=origin, redactor=redactor
            )
            line = await stack.enter_async_context(way)
            running.courier, announce = courier_on(line, audit=writer, market=clock, tell=announce)
        plan = MarketPlan(
            birth=birth,
            settings=settings,
            prompt=prompt,
            clock=clock,
            entropy=entropy,
            venue=link_public(settings, clock=clock, http=http, sockets=WebsocketsTransport(clock)),
            writer=writer,
            ledger=kept[0],
            control=ControlDirectory(
                directory=paths.control,
                stop_file=paths.stop_file,
                since_ms=RealDisk().modified_ms(paths.lock),
            ),
            host=Host(paths.database),
            announce=announce,
        )
        panel = PanelServer(
            database=paths.database,
            settings=settings.panel,
            clock=clock,
            wall=SystemClock(),
            audit_request=web_audit(writer, clock),
            listening=lambda url: setattr(running, "panel_url", url),
            traces=DatabaseTraces(),
            place=partial(placed_fold, paths=paths),
            token=entropy.hex(_TOKEN_DIGITS) if settings.panel.token else "",
        )
        yield plan, running, panel


async def _run(
    order: ShadowOrder,
    plan: MarketPlan,
    running: _Running,
    panel: PanelServer,
    console: LiveConsole,
) -> ExitCode:
    """Run from the first event to the last, closing the audit whatever happens."""
    house = shadow_crew.furnish(plan)
    silence = plan.birth.silence
    plan.venue.server_clock.presume(silence.offset_ms)
    plan.venue.budget.restore(silence.bans)
    health = plan.settings.health
    house.heartbeats.beat_of("loop")
    watchdog = Watchdog(
        heartbeats=house.heartbeats,
        gate=house.gate,
        pause_ms=health.loop_stuck_ms_pause,
        kill_ms=health.watchdog_kill_ms,
        note=order.paths.crash_note,
        alive=running.notice.alive,
    )
    watchdog.start()
    try:
        async with anyio.create_task_group() as infra:
            await infra.start(plan.writer.run)
            infra.start_soon(_tick, house)
            if running.courier is not None:
                infra.start_soon(carry, running.courier)
            await plan.writer.commit(*_birth(order, plan))
            try:
                await _until_over(order, plan, house, (running, panel, console, watchdog))
            finally:
                if running.courier is not None:
                    await running.courier.finish()
                await _record_end(plan, running)
                plan.writer.close()
                infra.cancel_scope.cancel()
    except (Fatal, BaseExceptionGroup) as error:
        fatal = fatal_in(error)
        if fatal is None:
            raise
        _log.critical("run_broke", cause=str(fatal))
        running.broke(fatal)
        if isinstance(fatal, AuditUnwritable):
            courier, now_ms = running.courier, plan.clock.now_ms()
            await announce_unwritable(fatal, announce=plan.announce, courier=courier, at_ms=now_ms)
    finally:
        watchdog.stop()
    return running.code


async def _until_over(
    order: ShadowOrder,
    plan: MarketPlan,
    house: ShadowHouse,
    around: tuple[_Running, PanelServer, LiveConsole, Watchdog],
) -> None:
    """Run the actors until the run is over; a fatal error ends it and sets its exit code."""
    try:
        await _live(order, plan, house, around)
    except* Fatal as group:
        fatal = fatal_in(group)
        if fatal is not None:
            _log.critical("actors_broke", cause=str(fatal))
            around[0].broke(fatal)


async def _live(
    order: ShadowOrder,
    plan: MarketPlan,
    house: ShadowHouse,
    around: tuple[_Running, PanelServer, LiveConsole, Watchdog],
) -> None:
    running, panel, console, watchdog = around
    governor = shadow_crew.governor(plan, house, running.left)
    async with anyio.create_task_group() as domain:
        await domain.start(_supervised(plan, house, "governor", governor).run)
        RealDisk().remove(order.paths.restored)
        await _measure_time(plan)
        for name, actor in shadow_crew.crew(plan, house, watchdog.take_worst_ms):
            await domain.start(_supervised(plan, house, name, actor).run)
        await house.wires.governor.send(_nothing_to_recover(order.clock))
        listening = Aside(name="panel", actor=panel, governor=house.wires.governor)
        domain.start_soon(listening.run)
        looking = _supervised(plan, house, "checklist", shadow_crew.checklist(plan, house))
        domain.start_soon(looking.run)
        domain.start_soon(console.watch, running)
        domain.start_soon(_listen_for_signals, order.clock, house)
        domain.start_soon(complete_killed, order.paths, house.wires.governor.offer)
        domain.start_soon(bundle_incidents, order.paths, running.run_id, house.gate)
        domain.start_soon(_upkeep(order, plan, house).run)
        if order.span_seconds is not None:
            domain.start_soon(_end_after, order.span_seconds, order.clock, house)
        running.notice.started()
        domain.start_soon(running.notice.follow, lambda: house.gate.mode, running.over)
        await running.over.wait()
        await _stop_desk(house)
        house.gate.seal()
        domain.cancel_scope.cancel()


def _upkeep(order: ShadowOrder, plan: MarketPlan, house: ShadowHouse) -> Upkeep:
    return Upkeep(
        paths=order.paths,
        settings=plan.settings,
        market=plan.clock,
        audit=plan.writer,
        free_bytes=plan.host.free_bytes,
        tell=house.wires.governor.offer,
    )


def _supervised(plan: MarketPlan, house: ShadowHouse, name: str, actor: Actor) -> Supervised:
    return Supervised(
        name=name,
        actor=actor,
        critical=False,
        clock=plan.clock,
        governor=house.wires.governor,
        demands=DEMANDS.get(name, ()),
        ends=name == "checklist",
        governs=name == "governor",
    )


def _nothing_to_recover(clock: Clock) -> HealthSignal:
    """Return the signal that recovery is done: a shadow run leaves no orders or positions."""
    return HealthSignal(
        kind=SignalKind.RECOVERY,
        level=SignalLevel.CLEAR,
        reason=ReasonCode.BOOT_RECOVERY,
        source="boot",
        detail="a shadow run leaves nothing to recover",
        at_ms=clock.now_ms(),
    )


async def _measure_time(plan: MarketPlan) -> None:
    """Measure the exchange's clock; after a failure the clock keeper goes on trying."""
    try:
        await plan.venue.server_clock.resync()
    except (Transient, Refused, PayloadInvalid) as error:
        _log.warning("first_time_sync_failed", cause=str(error))


async def _stop_desk(house: ShadowHouse) -> None:
    """Stop the desk, which records estimates still running as open."""
    reply: Reply[None] = Reply()
    with SystemClock().move_on_after(_STOP_SECONDS) as scope:
        await house.wires.execution.send(
            StopAsked(within_ms=round(_STOP_SECONDS * 1000), reply=reply)
        )
        await reply.wait()
    if scope.cancelled_caught:
        _log.error("stop_deadline_passed", seconds=_STOP_SECONDS)


async def _tick(house: ShadowHouse) -> None:
    beat = house.heartbeats.beat_of("loop")
    while True:
        beat()
        await SystemClock().sleep(_TICK_SECONDS)


def _stop(house: ShadowHouse, clock: Clock, detail: str) -> None:
    house.wires.governor.offer(
        HealthSignal(
            kind=SignalKind.OPERATOR,
            level=SignalLevel.EXIT,
            reason=ReasonCode.OPERATOR_STOP,
            source="process",
            detail=detail,
            at_ms=clock.now_ms(),
        )
    )


async def _end_after(seconds: float, clock: Clock, house: ShadowHouse) -> None:
    await SystemClock().sleep(seconds)
    _stop(house, clock, "the asked span is over")


async def _listen_for_signals(clock: Clock, house: ShadowHouse) -> None:
    with ended_by_signals(lambda name: _stop(house, clock, f"signal {name}")):
        await anyio.sleep_forever()


def _birth(order: ShadowOrder, plan: MarketPlan) -> list[AuditEntry]:
    return started(
        plan.birth,
        plan.settings,
        config_hash=order.loaded.config_hash,
        prompt_hash=plan.prompt.hash,
        account_label="",
        runs_on=interpreter(),
    )


async def _record_end(plan: MarketPlan, running: _Running) -> None:
    """Write the run's end. A run that nobody ended has none: the next start calls it unclean."""
    if not running.over.is_set():
        return
    entry = ended(
        running.run_id,
        now_ms=running.clock.now_ms(),
        exit_code=running.code,
        reasons=running.reasons,
    )
    with SystemClock().move_on_after(_STOP_SECONDS, shield=True):
        await plan.writer.commit(entry)
