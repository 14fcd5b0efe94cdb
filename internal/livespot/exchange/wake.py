"""Wakes the one task that waits for something, at a fraction of an event's cost."""

import asyncio


class Wake:
    """A call of `set` while nobody waits is lost: look for the reason first, then wait at once."""

    __slots__ = ("_loop", "_waiter")

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiter: asyncio.Future[None] | None = None

    def set(self) -> None:
        """Wake whoever waits."""
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def wait(self) -> None:
        """Until set. One task at a time, all of them on the loop of the first."""
        if self._loop is None:
            # Finding it costs a call of the system.
            self._loop = asyncio.get_running_loop()
        waiter = self._waiter = self._loop.create_future()
        try:
            await waiter
        finally:
            self._waiter = None
