"""Lets an actor's heart beat while the actor waits for the network."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import anyio

from livespot.contracts.errors import LivespotError
from livespot.contracts.ports import Clock

T = TypeVar("T")

_PULSE_SECONDS = 0.25
# Every wait on the network ends by a limit of its own long before; a longer one is a fault.
_LONGEST_WAIT_MS = 60_000


class Heart:
    """`run` beats for as long as `awaiting` is entered, and not beyond a minute at a time."""

    def __init__(self, clock: Clock, beat: Callable[[], None]) -> None:
        self._clock = clock
        self._beat = beat
        self._until_ms = 0
        self._begun = anyio.Event()

    async def run(self) -> None:
        """Until cancelled, beside the actor."""
        while True:
            await self._begun.wait()
            while self._clock.monotonic_ms() < self._until_ms:
                self._beat()
                await self._clock.sleep(_PULSE_SECONDS)
            self._begun = anyio.Event()

    @contextmanager
    def awaiting(self) -> Iterator[None]:
        """Around a wait for somebody else; what is done between two waits is not covered."""
        self._until_ms = self._clock.monotonic_ms() + _LONGEST_WAIT_MS
        self._begun.set()
        try:
            yield
        finally:
            self._until_ms = 0
            self._beat()


async def while_beating(
    clock: Clock, beat: Callable[[], None], call: Callable[[], Awaitable[T]]
) -> T:
    """What `call` returns or raises as `LivespotError`; the heart beats meanwhile."""
    heart = Heart(clock, beat)
    results: list[T] = []
    failure: LivespotError | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(heart.run)
        with heart.awaiting():
            try:
                results.append(await call())
            except LivespotError as error:
                # Carried out of the task group, which would wrap it into an exception group.
                failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return results[0]
