"""Asks the exchange by REST for a sign of life, without making the caller wait for the answer."""

from dataclasses import dataclass

from anyio.abc import TaskGroup

from livespot.contracts.errors import LivespotError
from livespot.contracts.ports import Clock
from livespot.contracts.venue import MarketReader

_LIMIT_SECONDS = 3.0
# A dead stream must not eat the request budget.
_EVERY_MS = 1000


@dataclass(slots=True, kw_only=True)
class RestProbe:
    """Whether REST answers. Until the first result is known it counts as answering."""

    clock: Clock
    reads: MarketReader
    tasks: TaskGroup
    _answered: bool = True
    _asking: bool = False
    _due_ms: int = 0
    _outage: int = 0

    def answers(self) -> bool:
        """The last result; starts a new probe in the background, at most one a second."""
        now = self.clock.monotonic_ms()
        if not self._asking and now >= self._due_ms:
            self._asking, self._due_ms = True, now + _EVERY_MS
            self.tasks.start_soon(self._ask)
        return self._answered

    def forget(self) -> None:
        """Forget the result of an outage that is over, and ignore one that still arrives late."""
        self._answered = True
        self._outage += 1

    async def _ask(self) -> None:
        outage = self._outage
        answered = await self._is_answered()
        self._asking = False
        if outage == self._outage:
            self._answered = answered

    async def _is_answered(self) -> bool:
        with self.clock.move_on_after(_LIMIT_SECONDS) as scope:
            try:
                await self.reads.server_time_ms()
            except LivespotError:
                return False
        return not scope.cancelled_caught
