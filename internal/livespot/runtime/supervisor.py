"""Restarts a failed actor within limits, and reports it to the governor."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import anyio
import structlog
from anyio.abc import TaskStatus

from livespot.actors.mail import GovernorInbox
from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import Fatal
from livespot.contracts.ports import Clock
from livespot.contracts.system import Alert, HealthSignal
from livespot.contracts.vocabulary import Severity, SignalKind, SignalLevel
from livespot.rules.sysmode import EVERY_SOURCE
from livespot.runtime.mailboxes import Mailbox

_log = structlog.get_logger(__name__)
_WINDOW_MS = 600_000
_MAX_FAILURES = 3
_BACKOFF_SECONDS = 1.0
# Signals of actors that report a level only when it changes; a restarted actor does not remember
# what it reported before.
DEMANDS: Mapping[str, tuple[tuple[SignalKind, str], ...]] = {
    "execution": ((SignalKind.INTENT, EVERY_SOURCE),),
    "position": ((SignalKind.PROTECTION, EVERY_SOURCE),),
    "scanner": ((SignalKind.EXCHANGE, EVERY_SOURCE), (SignalKind.REST_STALE, "scanner")),
    "risk": ((SignalKind.RATE_LIMIT, "unfilled_orders"),),
    "ai gate": ((SignalKind.AI_GATE, EVERY_SOURCE),),
}


class Actor(Protocol):
    async def run(self, *, task_status: TaskStatus[None] = ...) -> None: ...


class ActorKeptFailing(Fatal):
    """An actor failed three times in ten minutes: only a new process can help."""


class ActorReturned(RuntimeError):
    """An actor that must run for ever returned."""


async def nothing_to_rebuild() -> None:
    """Do nothing: the actor's state is rebuilt by the messages it receives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervised:
    """One actor under supervision.

    A failure of a `critical` actor (execution, position, reconciler) means PAUSE, because its state
    is lost and `rebuild` must restore it from the ledger. Any other failure means DEGRADE.

    `demands` are the signals, by kind and source, that only this actor sends. Nobody else would
    ever withdraw what a failed actor had signalled. Therefore they are withdrawn before the
    rebuild, during which the new one signals again what holds.

    An actor that returns has failed, unless it `ends` when its work is done. While the actor that
    `governs` is down nobody reads its mailbox, so its failure is offered there without waiting for
    room.
    """

    name: str
    actor: Actor
    critical: bool
    clock: Clock
    governor: Mailbox[GovernorInbox]
    rebuild: Callable[[], Awaitable[None]] = nothing_to_rebuild
    demands: tuple[tuple[SignalKind, str], ...] = ()
    ends: bool = False
    governs: bool = False

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Run the actor for ever, or until its work is done.

        Raises:
            ActorKeptFailing: it failed too often.
            Fatal: what the actor itself raised as fatal.
        """
        failures: list[int] = []
        ready = task_status
        while True:
            try:
                async with anyio.create_task_group() as group:
                    await group.start(self._serve, bool(failures))
                    ready.started()
                    ready = anyio.TASK_STATUS_IGNORED
            except Exception as error:  # the boundary of an actor: everything is reported
                fatal = fatal_in(error)
                if fatal is not None:
                    raise fatal from error
                await self._report(failures, error)
                await self.clock.sleep(_BACKOFF_SECONDS)
            else:
                return

    async def _serve(
        self,
        restarted: bool,  # noqa: FBT001  passed by the task group
        *,
        task_status: TaskStatus[None],
    ) -> None:
        async with anyio.create_task_group() as group:
            await group.start(self._run_actor)
            if restarted:
                for kind, source in self.demands:
                    await self.governor.send(self._withdrawn(kind, source))
                await self.rebuild()
                await self.governor.send(
                    self._signal(SignalLevel.CLEAR, ReasonCode.ACTOR_RESTARTED)
                )
            task_status.started()

    async def _run_actor(self, *, task_status: TaskStatus[None]) -> None:
        await self.actor.run(task_status=task_status)
        if not self.ends:
            raise ActorReturned("it returned although nobody had asked it to end")

    async def _report(self, failures: list[int], error: Exception) -> None:
        now = self.clock.monotonic_ms()
        failures[:] = [at for at in failures if now - at < _WINDOW_MS]
        failures.append(now)
        cause = describe(error)
        _log.error("actor_failed", actor=self.name, cause=cause, failures=len(failures))
        if len(failures) >= _MAX_FAILURES:
            raise ActorKeptFailing(
                f"actor {self.name!r} failed {len(failures)} times in ten minutes: {cause}"
            ) from error
        level = SignalLevel.PAUSE if self.critical else SignalLevel.DEGRADE
        await self._tell(self._signal(level, ReasonCode.ACTOR_FAILED, cause))
        await self._tell(
            Alert(
                severity=Severity.CRIT if self.critical else Severity.WARN,
                code=ReasonCode.ACTOR_FAILED,
                reasons=(),
                text=f"{self.name} failed and is restarted: {cause}",
            )
        )

    async def _tell(self, message: HealthSignal | Alert) -> None:
        if self.governs:
            self.governor.offer(message)
        else:
            await self.governor.send(message)

    def _withdrawn(self, kind: SignalKind, source: str) -> HealthSignal:
        return HealthSignal(
            kind=kind,
            level=SignalLevel.CLEAR,
            reason=ReasonCode.ACTOR_RESTARTED,
            source=source,
            detail=f"{self.name} begins anew",
            at_ms=self.clock.now_ms(),
        )

    def _signal(self, level: SignalLevel, code: ReasonCode, detail: str = "") -> HealthSignal:
        return HealthSignal(
            kind=SignalKind.ACTOR,
            level=level,
            reason=code,
            source=self.name,
            detail=detail,
            at_ms=self.clock.now_ms(),
        )


def fatal_in(error: BaseException) -> Fatal | None:
    """Return the first `Fatal` in an exception or anywhere inside its group."""
    if isinstance(error, Fatal):
        return error
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            found = fatal_in(inner)
            if found is not None:
                return found
    return None


def describe(error: BaseException) -> str:
    """Return type and text of the innermost cause, at most 300 characters."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"[:300]
