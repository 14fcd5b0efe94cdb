"""One run of the whole runtime: started in order, and ended in order whatever breaks."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio
import structlog
from anyio.abc import TaskGroup, TaskStatus

from livespot.actors.mail import RecoverAsked, RecoverySummary, StopAsked, SymbolsLearned
from livespot.actors.wires import Sink
from livespot.contracts.audit import AuditEntry
from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import (
    AuditUnwritable,
    ExitCode,
    Fatal,
    PayloadInvalid,
    Refused,
    StoreBusy,
    Transient,
)
from livespot.contracts.market import SymbolInfo
from livespot.contracts.system import HealthSignal, ModeChanged
from livespot.contracts.vocabulary import SignalKind, SignalLevel, SysMode
from livespot.runtime import crew
from livespot.runtime.alerting import announce_unwritable, carry
from livespot.runtime.aside import Aside
from livespot.runtime.house import House
from livespot.runtime.mailboxes import Reply
from livespot.runtime.plan import Plan, Seams, furnish
from livespot.runtime.run_records import ended, started
from livespot.runtime.supervisor import (
    DEMANDS,
    Actor,
    Supervised,
    fatal_in,
    nothing_to_rebuild,
)
from livespot.runtime.watchdog import Watchdog

_log = structlog.get_logger(__name__)
_TICK_SECONDS = 0.25
_STOP_SECONDS = 10.0
_HURRIED_SECONDS = 2.0
_SLACK_SECONDS = 1.0
_GOODBYE_SECONDS = 5.0
_RETRY_SECONDS = 2.0
# Five answers at their slowest. While this is awaited nothing protects a bare position.
_FIRST_MEASURE_SECONDS = 3.0


@dataclass(slots=True)
class Ending:
    """How the run ends. A fatal error overrules an ordered end."""

    wanted: anyio.Event = field(default_factory=anyio.Event)
    hurry: anyio.Event = field(default_factory=anyio.Event)
    code: ExitCode = ExitCode.CLEAN
    reasons: tuple[ReasonCode, ...] = ()
    asked: bool = False

    def left(self, change: ModeChanged) -> None:
        """Take over the end when the governor has reached EXIT."""
        if not self.wanted.is_set():
            paused = change.previous is SysMode.PAUSE
            self.code = ExitCode.PAUSED if paused else ExitCode.CLEAN
            self.reasons = change.reasons
            self.wanted.set()

    def broke(self, fatal: Fatal) -> None:
        self.code, self.reasons = fatal.exit_code, (ReasonCode.ACTOR_FAILED,)
        self.wanted.set()


class System:
    """Owns the lifetimes of a run's actors; makes no trading decision."""

    def __init__(self, plan: Plan, seams: Seams) -> None:
        self.plan = plan
        self.seams = seams
        self.house: House = furnish(plan, seams.clock)
        self.ending = Ending()
        self._born_ms = self._hurried_ms = 0

    def stop(self, code: ReasonCode, detail: str) -> None:
        """Ask for an ordered end. A second call shortens the wait but skips no safety step."""
        if self.ending.asked:
            if not self.ending.hurry.is_set():
                self._hurried_ms = self.seams.clock.monotonic_ms()
            self.ending.hurry.set()
            return
        self.ending.asked = True
        self.house.wires.governor.offer(
            HealthSignal(
                kind=SignalKind.OPERATOR,
                level=SignalLevel.EXIT,
                reason=code,
                source="process",
                detail=detail,
                at_ms=self.seams.clock.now_ms(),
            )
        )

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> ExitCode:
        """Run until stopped or broken, closing the audit in either case; returns the exit code."""
        self._born_ms = self.seams.clock.monotonic_ms()
        silence = self.plan.birth.silence
        self.seams.venue.server_clock.presume(silence.offset_ms)
        self.seams.venue.budget.restore(silence.bans)
        watchdog = None
        if self.seams.watchdog is not None:
            self.house.heartbeats.beat_of("loop")
            watchdog = self.seams.watchdog(self.house.heartbeats, self.house.gate)
            watchdog.start()
        try:
            async with anyio.create_task_group() as infra:
                await infra.start(self.seams.writer.run)
                if watchdog is not None:
                    infra.start_soon(self._beat)
                if self.seams.courier is not None:
                    infra.start_soon(carry, self.seams.courier)
                await self.seams.writer.commit(*self._birth())
                try:
                    await self._live(infra, watchdog, task_status)
                finally:
                    if self.seams.courier is not None:
                        await self.seams.courier.finish()
                    await self._record_end()
                    self.seams.writer.close()
                    infra.cancel_scope.cancel()
        except (Fatal, BaseExceptionGroup) as error:
            fatal = fatal_in(error)
            if fatal is None:
                raise
            _log.critical("run_broke", cause=str(fatal))
            self.ending.broke(fatal)
            if isinstance(fatal, AuditUnwritable):
                self.house.gate.set(SysMode.PAUSE)
                await announce_unwritable(
                    fatal,
                    announce=self.seams.announce,
                    courier=self.seams.courier,
                    at_ms=self.seams.clock.now_ms(),
                )
        finally:
            if watchdog is not None:
                watchdog.stop()
        return self.ending.code

    def _birth(self) -> list[AuditEntry]:
        return started(
            self.plan.birth,
            self.plan.settings,
            config_hash=self.plan.config_hash,
            prompt_hash=self.plan.prompt.hash,
            account_label=self.plan.account_label,
            runs_on=self.plan.runs_on,
        )

    async def _live(
        self, infra: TaskGroup, watchdog: Watchdog | None, task_status: TaskStatus[None]
    ) -> None:
        try:
            async with anyio.create_task_group() as domain:
                await self._start(domain, watchdog)
                task_status.started()
                await self.ending.wanted.wait()
                await self._stop_trading()
                domain.cancel_scope.cancel()
                # Requests under way are shielded: they end with an answer, at their limit, or in a
                # hurry.
                infra.start_soon(self._give_up_requests)
        except* Fatal as group:
            fatal = fatal_in(group)
            if fatal is not None:
                _log.critical("actors_broke", cause=str(fatal))
                self.ending.broke(fatal)

    async def _start(self, domain: TaskGroup, watchdog: Watchdog | None) -> None:
        governor = crew.governor(self.plan, self.seams, self.house, self.ending.left)
        await domain.start(self._supervised("governor", governor).run)
        self.seams.begun()
        await self._measure_time()
        worst = watchdog.take_worst_ms if watchdog is not None else lambda: 0
        for name, actor in crew.crew(self.plan, self.seams, self.house, worst):
            await domain.start(self._supervised(name, actor).run)
        if self.seams.panel is not None:
            panel = Aside(name="panel", actor=self.seams.panel, governor=self.house.wires.governor)
            domain.start_soon(panel.run)
        for name, actor in (
            ("recovery", crew.recovery(self.plan, self.seams, self.house, self._born_ms)),
            ("checklist", crew.checklist(self.plan, self.seams, self.house)),
        ):
            domain.start_soon(self._supervised(name, actor, ends=True).run)

    async def _measure_time(self) -> None:
        """Measure the exchange's clock; a failure or a slow answer is left to the clock keeper.

        Until a measurement succeeds, the offset that an earlier run measured is used.
        """
        with self.seams.clock.move_on_after(_FIRST_MEASURE_SECONDS) as scope:
            try:
                await self.seams.venue.server_clock.resync()
            except (Transient, Refused, PayloadInvalid) as error:
                _log.warning("first_time_sync_failed", cause=str(error))
        if scope.cancelled_caught:
            _log.warning("first_time_sync_slow", seconds=_FIRST_MEASURE_SECONDS)

    def _supervised(self, name: str, actor: Actor, *, ends: bool = False) -> Supervised:
        wires = self.house.wires
        rebuilds = {
            "execution": self._rebuild(wires.execution, wires.execution),
            "position": self._rebuild(wires.position, wires.position),
            "reconciler": self._rebuild(wires.reconciler, wires.reconciler),
            "risk": self._rebuild(wires.risk),
        }
        return Supervised(
            name=name,
            actor=actor,
            critical=name in rebuilds and name != "risk",
            clock=self.seams.clock,
            governor=self.house.wires.governor,
            rebuild=rebuilds.get(name, nothing_to_rebuild),
            demands=DEMANDS.get(name, ()),
            ends=ends,
            governs=name == "governor",
        )

    def _rebuild(
        self,
        facts_to: Sink[SymbolsLearned | ModeChanged],
        recover: Sink[RecoverAsked] | None = None,
    ) -> Callable[[], Awaitable[None]]:
        """Return what rebuilds a restarted actor: symbol rules, mode, and a request to recover."""

        async def rebuild() -> None:
            infos = await self._symbols()
            now = self.seams.clock.now_ms()
            await facts_to.send(SymbolsLearned(infos=infos, cause="RESTART", at_ms=now))
            mode = self.house.gate.mode
            await facts_to.send(
                ModeChanged(mode=mode, previous=mode, reasons=(), active=(), at_ms=now)
            )
            if recover is not None:
                reply: Reply[RecoverySummary] = Reply()
                await recover.send(RecoverAsked(reply=reply))
                await reply.wait()

        return rebuild

    async def _symbols(self) -> dict[str, SymbolInfo]:
        """Read exchangeInfo, retrying without end: without it a restarted actor may not act."""
        while True:
            try:
                return await self.seams.venue.reads.exchange_info()
            except (Transient, Refused, PayloadInvalid) as error:
                _log.warning("rules_not_readable", cause=str(error))
                await self.seams.clock.sleep(_RETRY_SECONDS)

    async def _beat(self) -> None:
        """Beat for the watchdog; only started where there is one."""
        beat = self.house.heartbeats.beat_of("loop")
        while True:
            beat()
            await self.seams.clock.sleep(_TICK_SECONDS)

    async def _stop_trading(self) -> None:
        """Stop execution (no new entries, working ones cancelled), then position; seal the gate.

        An answer may come over the connection that brings the account's events, and that connection
        ends with its actor. So execution is asked again once nothing can leave any more, only to
        wait for such answers. Both waits for execution together are bounded.
        """
        protecting = self.plan.settings.exit.recovery_deadline_ms / 1000
        begun_ms = self.seams.clock.monotonic_ms()
        answered = await self._ask_execution(_STOP_SECONDS)
        left = _STOP_SECONDS - (self.seams.clock.monotonic_ms() - begun_ms) / 1000
        # A second signal never skips the protection of a bare position.
        await self._ask_to_stop(self.house.wires.position, protecting)
        self.house.gate.seal()
        if answered and left > 0:
            await self._ask_execution(left)

    async def _ask_execution(self, seconds: float) -> bool:
        """Ask execution to stop; whether it answered. A second signal shortens the wait."""
        answered = False
        async with anyio.create_task_group() as waiting:
            waiting.start_soon(self._cancel_after_hurry, waiting.cancel_scope)
            answered = await self._ask_to_stop(self.house.wires.execution, seconds)
            waiting.cancel_scope.cancel()
        return answered

    async def _ask_to_stop(self, inbox: Sink[StopAsked], seconds: float) -> bool:
        reply: Reply[None] = Reply()
        with self.seams.clock.move_on_after(seconds + _SLACK_SECONDS) as scope:
            await inbox.send(StopAsked(within_ms=round(seconds * 1000), reply=reply))
            await reply.wait()
        if scope.cancelled_caught:
            _log.error("stop_deadline_passed", seconds=seconds)
        return not scope.cancelled_caught

    async def _cancel_after_hurry(self, waiting: anyio.CancelScope) -> None:
        """Cancel `waiting` some time after a second signal; the next boot looks for the answers."""
        await self.ending.hurry.wait()
        await self.seams.clock.sleep(_HURRIED_SECONDS)
        waiting.cancel()

    async def _give_up_requests(self) -> None:
        """Give up requests under way after a second signal; they are left to the next boot."""
        await self.ending.hurry.wait()
        hurried_s = (self.seams.clock.monotonic_ms() - self._hurried_ms) / 1000
        await self.seams.clock.sleep(max(0.0, _HURRIED_SECONDS - hurried_s))
        self.house.patience.end()

    async def _record_end(self) -> None:
        """Record an end that was asked for.

        Without the record the next boot calls the run unclean.
        """
        if not self.ending.wanted.is_set():
            return
        clock = self.seams.clock
        with clock.move_on_after(_GOODBYE_SECONDS, shield=True):
            try:
                await crew.day_book(self.plan, self.seams).close_all()
            except StoreBusy as error:
                # The next run sums the day up, as after a kill.
                _log.warning("day_not_summed_up", cause=str(error))
        with clock.move_on_after(_GOODBYE_SECONDS, shield=True):
            await self.seams.writer.commit(
                ended(
                    self.plan.birth.run_id,
                    now_ms=clock.now_ms(),
                    exit_code=self.ending.code,
                    reasons=self.ending.reasons,
                )
            )
