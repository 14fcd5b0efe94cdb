"""The injected clock and entropy: time and randomness as the rest of the program sees them."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol


class Scope(Protocol):
    """The part of a cancel scope that a caller with a deadline needs."""

    @property
    def cancelled_caught(self) -> bool: ...

    def cancel(self) -> None: ...


class Clock(Protocol):
    """Market time, shared by exchange and runtime, at whatever speed it runs.

    Every duration in the program is in market time, so a scaled or virtual clock moves deadlines,
    staleness limits and sleeps together.
    """

    def now_ms(self) -> int:
        """Wall time in epoch milliseconds. It may step when the machine's clock is set."""
        ...

    def monotonic_ms(self) -> int:
        """Milliseconds that never run backwards; for ages and deadlines."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for a span of market time."""
        ...

    def move_on_after(
        self, seconds: float | None, *, shield: bool = False
    ) -> AbstractContextManager[Scope]:
        """A cancel scope with a limit in market time; `cancelled_caught` tells if it ended."""
        ...

    def fail_after(
        self, seconds: float | None, *, shield: bool = False
    ) -> AbstractContextManager[Scope]:
        """Like `move_on_after`, but raises `TimeoutError` when the limit is reached."""
        ...

    def alarm(self, seconds: float, ring: Callable[[], object]) -> "Alarm":
        """Call `ring` once after a span of market time, unless cancelled before.

        For a task that waits again and again for whichever of several things comes first; it costs
        a fraction of a cancel scope.
        """
        ...


class Alarm(Protocol):
    """A scheduled call."""

    def cancel(self) -> None: ...


class Entropy(Protocol):
    """The only source of randomness; seeded in simulations."""

    def hex(self, digits: int) -> str:
        """Lowercase hexadecimal digits, for run ids."""
        ...

    def uniform(self, low: float, high: float) -> float:
        """A number in [low, high], for the jitter of back-offs."""
        ...
