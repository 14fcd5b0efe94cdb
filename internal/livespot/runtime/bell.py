"""A wake-up for one waiting task, without the cost of an event object per wait."""

import asyncio

from livespot.contracts.ports import Clock


class Bell:
    """Wakes the one task that waits. A ring while nobody waits is lost.

    Check the condition first and then wait at once: no other task runs in between, so nothing is
    missed. A wait creates nothing but a future.
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
        """Like `is_awaited`, and still true between being woken and running again."""
        return self._waiter is not None

    def ring(self) -> None:
        """Wake the waiting task, if there is one."""
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def wait(self) -> None:
        """Wait until rung. Only one task at a time may wait, always on the same event loop."""
        if self._loop is None:
            # Looking up the running loop costs a system call.
            self._loop = asyncio.get_running_loop()
        waiter = self._waiter = self._loop.create_future()
        try:
            await waiter
        finally:
            if self._waiter is waiter:
                self._waiter = None

    async def wait_within(self, clock: Clock, seconds: float) -> None:
        """Wait until rung, at most for this many seconds of market time."""
        alarm = clock.alarm(seconds, self.ring)
        try:
            await self.wait()
        finally:
            alarm.cancel()


class Latch:
    """Something that happens once. Only one task at a time may wait for it."""

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
        """Wait until it is set; return at once when it is set already."""
        while not self._is_set:
            await self._bell.wait()
