"""Market time on a virtual loop."""

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
