"""The clock of the runtime's own machine: somebody may set it, and the machine may sleep."""

from livespot.runtime.replay_clock import VirtualClock
from livespot.runtime.replay_loop import VirtualLoop


class HouseClock(VirtualClock):
    """Market time, unless set otherwise; its steady seconds stand still while the machine sleeps.

    Whoever sleeps or waits for a deadline does so in the loop's time, which knows nothing of
    either: a deadline that passed meanwhile is met as soon as the machine is awake.
    """

    def __init__(self, loop: VirtualLoop, start_ms: int) -> None:
        super().__init__(loop, start_ms)
        self.slept_ms = 0

    def monotonic_ms(self) -> int:
        return super().monotonic_ms() - self.slept_ms
