"""Asks the exchange by REST for a sign of life; whoever measures does not wait for the answer."""

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
    """Whether REST answers. As long as nobody knows, it counts as answering."""

    clock: Clock
    reads: MarketReader
    tasks: TaskGroup
    _answered: bool = True
    _asking: bool = False
    _due_ms: int = 0
    _outage: int = 0

    def answers(self) -> bool:
        """What REST last said of itself; asked again in passing, at most once a second."""
        now = self.clock.monotonic_ms()
        if not self._asking and now >= self._due_ms:
            self._asking, self._due_ms = True, now + _EVERY_MS
            self.tasks.start_soon(self._ask)
        return self._answered

    def forget(self) -> None:
        """What is said of an outage that is over says nothing of the next one, however late."""
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
