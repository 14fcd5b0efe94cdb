"""Lets an actor's heart beat while the actor waits for the network."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from livespot.contracts.ports import Alarm, Clock

T = TypeVar("T")

_PULSE_SECONDS = 0.25
# Every wait on the network has a much shorter limit of its own; a longer one is a fault.
_LONGEST_WAIT_MS = 60_000


class Pulse:
    """Calls `each` every `seconds` of market time while entered, first after one such span.

    It uses the loop's own timers: a timer is cheaper than a task and proves as well that the loop
    runs.
    """

    __slots__ = ("_alarm", "_clock", "_each", "_seconds")

    def __init__(self, clock: Clock, seconds: float, each: Callable[[], object]) -> None:
        self._clock = clock
        self._seconds = seconds
        self._each = each
        self._alarm: Alarm | None = None

    def __enter__(self) -> None:
        self._alarm = self._clock.alarm(self._seconds, self._ring)

    def __exit__(self, *_: object) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _ring(self) -> None:
        self._alarm = self._clock.alarm(self._seconds, self._ring)
        self._each()


class Heart:
    """Beats while `awaiting` is entered, but for a minute at most."""

    def __init__(self, clock: Clock, beat: Callable[[], None]) -> None:
        self._clock = clock
        self._beat = beat
        self._until_ms = 0

    @contextmanager
    def awaiting(self) -> Iterator[None]:
        """Enter around a wait for somebody else; code between two waits is not covered."""
        self._beat()
        self._until_ms = self._clock.monotonic_ms() + _LONGEST_WAIT_MS
        try:
            with Pulse(self._clock, _PULSE_SECONDS, self._throb):
                yield
        finally:
            self._beat()

    def _throb(self) -> None:
        if self._clock.monotonic_ms() < self._until_ms:
            self._beat()


async def while_beating(
    clock: Clock, beat: Callable[[], None], call: Callable[[], Awaitable[T]]
) -> T:
    """What `call` returns or raises; the heart beats meanwhile."""
    with Heart(clock, beat).awaiting():
        return await call()
