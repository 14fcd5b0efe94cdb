"""The clock of a virtual event loop."""

import asyncio
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType

from anyio._backends._asyncio import CancelScope

from livespot.contracts.ports import Alarm, Scope
from livespot.runtime.clock import SystemClock
from livespot.runtime.replay_loop import NS_PER_MS, VirtualLoop


class VirtualClock(SystemClock):
    """Sleeps and deadlines are timers of the loop, which began at market time `start_ms`.

    `step_ms` moves only wall time, as setting the machine's clock does.
    """

    def __init__(self, loop: VirtualLoop, start_ms: int) -> None:
        self._loop = loop
        self.start_ms = start_ms
        self.step_ms = 0

    def now_ms(self) -> int:
        return self.start_ms + self.step_ms + self._loop.now_ns // NS_PER_MS

    def monotonic_ms(self) -> int:
        return self._loop.now_ns // NS_PER_MS

    # As the system clock does through the library, but without looking up the loop each time.

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
        return CancelScope(deadline=self._deadline(seconds), shield=shield)

    def fail_after(
        self, seconds: float | None, *, shield: bool = False
    ) -> AbstractContextManager[Scope]:
        return _Failing(CancelScope(deadline=self._deadline(seconds), shield=shield), self._loop)

    def alarm(self, seconds: float, ring: Callable[[], object]) -> Alarm:
        return self._loop.call_at(self._loop.now_s + seconds, ring)

    def _deadline(self, seconds: float | None) -> float:
        return math.inf if seconds is None else self._loop.now_s + seconds


class _Failing(AbstractContextManager[Scope]):
    """A deadline that raises `TimeoutError` when it passes, as the system clock's does."""

    __slots__ = ("_loop", "_scope")

    def __init__(self, scope: CancelScope, loop: VirtualLoop) -> None:
        self._scope = scope
        self._loop = loop

    def __enter__(self) -> Scope:
        return self._scope.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        swallowed = self._scope.__exit__(kind, error, trace)
        if self._scope.cancelled_caught and self._loop.now_s >= self._scope.deadline:
            raise TimeoutError
        return bool(swallowed)


def _finish(over: "asyncio.Future[None]") -> None:
    if not over.done():
        over.set_result(None)
