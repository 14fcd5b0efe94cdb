"""Market time on a virtual loop."""

import asyncio
import math
from collections.abc import Callable
from contextlib import AbstractContextManager

import anyio

from livespot.contracts.ports import Alarm, Scope
from livespot.runtime.clock import SystemClock
from livespot.runtime.replay_loop import NS_PER_MS, VirtualLoop


class VirtualClock(SystemClock):
    """Sleeps and deadlines are those of the loop; `start_ms` is the market time of its beginning.

    `step_ms` moves wall time alone, as somebody who sets the machine's clock does.
    """

    def __init__(self, loop: VirtualLoop, start_ms: int) -> None:
        self._loop = loop
        self.start_ms = start_ms
        self.step_ms = 0

    def now_ms(self) -> int:
        return self.start_ms + self.step_ms + self._loop.now_ns // NS_PER_MS

    def monotonic_ms(self) -> int:
        return self._loop.now_ns // NS_PER_MS

    # What the usual clock does by way of the library, without asking each time for the loop.

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)  # noqa: TID251  this is a clock
            return
        loop = self._loop
        over = loop.create_future()
        timer = loop.call_at(loop.now_s + seconds, _finish, over)
        try:
            await over
        finally:
            timer.cancel()

    def move_on_after(
        self, seconds: float | None, *, shield: bool = False
    ) -> AbstractContextManager[Scope]:
        deadline = math.inf if seconds is None else self._loop.now_s + seconds
        return anyio.CancelScope(deadline=deadline, shield=shield)

    def alarm(self, seconds: float, ring: Callable[[], object]) -> Alarm:
        return self._loop.call_at(self._loop.now_s + seconds, ring)


def _finish(over: "asyncio.Future[None]") -> None:
    if not over.done():
        over.set_result(None)
