"""The clock of the runtime's machine, which may be set and may sleep."""

from livespot.runtime.replay_clock import VirtualClock
from livespot.runtime.replay_loop import VirtualLoop


class HouseClock(VirtualClock):
    """Market time, unless it was set; its monotonic time stands still while the machine sleeps.

    Sleeps and deadlines are in the loop's time, which knows of neither: a deadline that passes
    during a sleep is met as soon as the machine wakes.
    """

    def __init__(self, loop: VirtualLoop, start_ms: int) -> None:
        super().__init__(loop, start_ms)
        self.slept_ms = 0

    def monotonic_ms(self) -> int:
        return super().monotonic_ms() - self.slept_ms
