"""Market time on a virtual loop."""

import asyncio
import math
from contextlib import AbstractContextManager

import anyio

from livespot.contracts.ports import Scope
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
        await asyncio.sleep(seconds)  # noqa: TID251  this is a clock

    def move_on_after(
        self, seconds: float | None, *, shield: bool = False
    ) -> AbstractContextManager[Scope]:
        deadline = math.inf if seconds is None else self._loop.now_s + seconds
        return anyio.CancelScope(deadline=deadline, shield=shield)
