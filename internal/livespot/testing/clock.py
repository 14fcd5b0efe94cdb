"""Clocks for tests of actors and adapters, which move only when told to."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager

import anyio

from livespot.contracts.ports import Alarm, Scope


class ManualClock:
    """Time stands still; `sleep` advances it and yields once.

    Deadlines are anyio's real ones: they keep a test from hanging and are never what it asserts.
    """

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self.wall_ms = now_ms
        self.mono_ms = 0
        self.slept: list[float] = []

    def now_ms(self) -> int:
        return self.wall_ms

    def monotonic_ms(self) -> int:
        return self.mono_ms

    def advance(self, ms: int) -> None:
        self.wall_ms += ms
        self.mono_ms += ms

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(round(seconds * 1000))
        await anyio.lowlevel.checkpoint()

    def move_on_after(
        self, seconds: float | None, *, shield: bool = False
    ) -> AbstractContextManager[Scope]:
        return anyio.move_on_after(seconds, shield=shield)

    def fail_after(
        self, seconds: float | None, *, shield: bool = False
    ) -> AbstractContextManager[Scope]:
        return anyio.fail_after(seconds, shield=shield)

    def alarm(self, seconds: float, ring: Callable[[], object]) -> Alarm:
        return asyncio.get_running_loop().call_later(seconds, ring)


class JumpingClock(ManualClock):
    """An alarm rings once everything that is ready has run, and moves the time to its instant."""

    def alarm(self, seconds: float, ring: Callable[[], object]) -> Alarm:
        due_ms = self.mono_ms + round(seconds * 1000)

        def rung() -> None:
            self.advance(max(0, due_ms - self.mono_ms))
            ring()

        return asyncio.get_running_loop().call_soon(rung)
