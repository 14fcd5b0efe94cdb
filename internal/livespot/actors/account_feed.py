"""Forwards the account's private events to the actors that need them, and reports their loss.

*Reads* the user stream. *Writes* order updates and lists to execution, balances to risk and
position, the stream's state to reconciler and execution, its demand to the governor. *Owns* the
connection's life.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from typing import Protocol, assert_never

import anyio
from anyio.abc import TaskStatus

from livespot.actors.heart import Heart, Pulse
from livespot.actors.mail import (
    ExecutionInbox,
    GovernorInbox,
    PositionInbox,
    ReconcilerInbox,
    ReconcileWanted,
    RiskInbox,
    UserStreamChanged,
)
from livespot.actors.reconnections import Reconnections
from livespot.actors.sending import tell
from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import PayloadInvalid, Refused, Transient, Unreachable
from livespot.contracts.orders import BalancesChanged, ListView, OrderUpdate
from livespot.contracts.ports import Clock
from livespot.contracts.streams import (
    BalanceMoved,
    ServerShutdown,
    UserEvent,
    UserEvents,
    UserStreamEnded,
)
from livespot.contracts.system import HealthSignal
from livespot.contracts.vocabulary import SignalKind, SignalLevel
from livespot.runtime.mailboxes import Mailbox

_BEAT_SECONDS = 0.25
# While waiting for the next event.
_QUIET_BEAT_SECONDS = 1.0
_PROBE_EVERY_MS = 20_000


class UserConnection(Protocol):
    """The connection that carries the account's events: one at a time, reopened after a loss.

    Cancelling `next` on the yielded `UserEvents` never loses an event.
    """

    def open(self) -> AbstractAsyncContextManager[UserEvents]:
        """Raises on entry: `Transient` when it cannot connect, `Refused` when it is declined."""
        ...

    @property
    def doubtful(self) -> bool:
        """Whether a request sent on it is unanswered and nothing has arrived since."""
        ...

    async def probe(self) -> None:
        """Ask the exchange for a sign of life; raises `Transient` when no answer comes."""
        ...


class ReconnectPauses(Protocol):
    """The reconnect backoff; it remembers how many attempts in a row have failed."""

    def seconds(self, *, lived_ms: int, cause: Transient) -> float:
        """How long to wait after a connection that lived `lived_ms` (0: it never opened)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFeed:
    clock: Clock
    connection: UserConnection
    pauses: ReconnectPauses
    execution: Mailbox[ExecutionInbox]
    risk: Mailbox[RiskInbox]
    position: Mailbox[PositionInbox]
    reconciler: Mailbox[ReconcilerInbox]
    governor: Mailbox[GovernorInbox]
    beat: Callable[[], None]
    reconnections: Reconnections = field(default_factory=Reconnections)

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Connect, forward, reconnect; until cancelled."""
        task_status.started()
        heart = Heart(self.clock, self.beat)
        await self._demand(SignalLevel.DEGRADE, "connecting")
        told_lost = False
        while True:
            self.beat()
            opened_ms: list[int] = []
            cause: Transient = Unreachable("the connection ended")
            try:
                await self._serve(heart, opened_ms, lost=told_lost)
            except Transient as error:
                cause = error
            except (Refused, PayloadInvalid) as error:
                cause = Unreachable(f"the subscription failed: {error}")
            if opened_ms or not told_lost:
                await self._lost(str(cause))
                told_lost = True
            lived = self.clock.monotonic_ms() - opened_ms[0] if opened_ms else 0
            await self._wait(self.pauses.seconds(lived_ms=lived, cause=cause))

    async def _serve(self, heart: Heart, opened_ms: list[int], *, lost: bool) -> None:
        """Serve one connection; never returns, always raises the reason why it ended.

        `lost` tells whether an earlier connection was lost, so that this one is a reconnection.
        """
        async with AsyncExitStack() as stack:
            with heart.awaiting():
                events = await stack.enter_async_context(self.connection.open())
            opened_ms.append(self.clock.monotonic_ms())
            self.reconnections.count += lost
            await self._live()
            heard_ms = self.clock.monotonic_ms()
            while True:
                self.beat()
                event = await self._listen(events, heard_ms)
                if event is not None:
                    heard_ms = self.clock.monotonic_ms()
                    await self._forward(event)
                else:
                    # A quiet account and a dead connection look the same: both are silent.
                    with heart.awaiting():
                        await self.connection.probe()
                    heard_ms = self.clock.monotonic_ms()

    async def _listen(self, events: UserEvents, heard_ms: int) -> UserEvent | None:
        """The next event, or None when the connection has been silent long enough to be probed."""
        with self.clock.move_on_after(None) as waiting:

            def look() -> None:
                self.beat()
                silent_ms = self.clock.monotonic_ms() - heard_ms
                if silent_ms >= _PROBE_EVERY_MS or self.connection.doubtful:
                    waiting.cancel()

            with Pulse(self.clock, _QUIET_BEAT_SECONDS, look):
                return await events.next()
        return None

    async def _forward(self, event: UserEvent) -> None:
        match event:
            case OrderUpdate() | ListView():
                await tell(self.execution, event)
            case BalancesChanged():
                await tell(self.position, event)
                await tell(self.risk, event)
            case BalanceMoved():
                # The event carries only a difference, so the absolute balances are read by REST.
                cause = "external lock" if event.external_lock else "balance moved"
                await tell(self.reconciler, ReconcileWanted(cause=cause, symbol=""))
            case UserStreamEnded():
                raise Unreachable("the exchange ended the subscription")
            case ServerShutdown():
                raise Unreachable("the server is shutting down")
            case _:
                assert_never(event)

    async def _live(self) -> None:
        """Announce that events flow again, and have what was missed read by REST."""
        now = self.clock.now_ms()
        await tell(self.execution, UserStreamChanged(live=True, at_ms=now))
        await tell(self.reconciler, UserStreamChanged(live=True, at_ms=now))
        await tell(self.reconciler, ReconcileWanted(cause="user stream connected", symbol=""))
        await self._demand(SignalLevel.CLEAR, "connected")

    async def _lost(self, why: str) -> None:
        now = self.clock.now_ms()
        await self._demand(SignalLevel.DEGRADE, why)
        await tell(self.execution, UserStreamChanged(live=False, at_ms=now))
        await tell(self.reconciler, UserStreamChanged(live=False, at_ms=now))

    async def _demand(self, level: SignalLevel, detail: str) -> None:
        signal = HealthSignal(
            kind=SignalKind.USER_STREAM,
            level=level,
            reason=ReasonCode.USER_STREAM_LOST,
            source="account_feed",
            detail=detail[:300],
            at_ms=self.clock.now_ms(),
        )
        await tell(self.governor, signal)

    async def _wait(self, seconds: float) -> None:
        """Sleep in short pieces, so that the heart keeps beating during a long pause."""
        until = self.clock.monotonic_ms() + round(seconds * 1000)
        while (left := until - self.clock.monotonic_ms()) > 0:
            self.beat()
            await self.clock.sleep(min(_BEAT_SECONDS, left / 1000))
