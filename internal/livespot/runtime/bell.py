"""Wakes the one task that waits for something to happen, or for its time to come."""

import asyncio

from livespot.contracts.ports import Clock


class Bell:
    """A ring while nobody waits is lost: look for the reason first, then wait at once.

    Between looking and waiting nothing else runs, so nothing is missed, and nothing has to be
    created anew for each wait but a future.
    """

    __slots__ = ("_loop", "_waiter")

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def is_awaited(self) -> bool:
        """Whether a task waits and has not been woken yet."""
        return self._waiter is not None and not self._waiter.done()

    @property
    def is_waited_at(self) -> bool:
        """The same, and still true of one that was woken and has not come to its turn yet."""
        return self._waiter is not None

    def ring(self) -> None:
        """Wake whoever waits."""
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def wait(self) -> None:
        """Until rung. One task at a time, all of them on the loop of the first."""
        if self._loop is None:
            # Finding it costs a call of the system.
            self._loop = asyncio.get_running_loop()
        waiter = self._waiter = self._loop.create_future()
        try:
            await waiter
        finally:
            if self._waiter is waiter:
                self._waiter = None

    async def wait_within(self, clock: Clock, seconds: float) -> None:
        """Until rung, but no longer than so many seconds of market time."""
        alarm = clock.alarm(seconds, self.ring)
        try:
            await self.wait()
        finally:
            alarm.cancel()


class Latch:
    """Something that happens once. One task at a time waits for it; afterwards nobody does."""

    __slots__ = ("_bell", "_is_set")

    def __init__(self) -> None:
        self._bell = Bell()
        self._is_set = False

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True
        self._bell.ring()

    async def wait(self) -> None:
        """Until set; at once when it is."""
        while not self._is_set:
            await self._bell.wait()
