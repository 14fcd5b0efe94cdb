"""The time seam: the one module that reads the machine's clocks and sleeps."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import anyio

from livespot.contracts.ports import Alarm, Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockAnchor:
    """Ties market time to wall time: market = market_ms + (wall - wall_ms) * speed.

    Exchange and runtime are two processes of one simulation; sharing an anchor is how they
    share a clock.
    """

    wall_ms: int
    market_ms: int
    speed: int


class SystemClock:
    """Market time is wall time. For live and shadow runs."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)

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


class ScaledClock:
    """Market time runs `speed` times as fast as the machine's, from a stated start."""

    def __init__(self, anchor: ClockAnchor) -> None:
        self.anchor = anchor

    def now_ms(self) -> int:
        # In microseconds: whole milliseconds at speed 5 would advance in steps of five.
        elapsed_us = time.time_ns() // 1_000 - self.anchor.wall_ms * 1_000
        return self.anchor.market_ms + elapsed_us * self.anchor.speed // 1_000

    def monotonic_ms(self) -> int:
        return time.monotonic_ns() // 1_000 * self.anchor.speed // 1_000

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds / self.anchor.speed)

    def move_on_after(
        self, seconds: float | None, *, shield: bool = False
    ) -> AbstractContextManager[Scope]:
        wall = None if seconds is None else seconds / self.anchor.speed
        return anyio.move_on_after(wall, shield=shield)

    def fail_after(
        self, seconds: float | None, *, shield: bool = False
    ) -> AbstractContextManager[Scope]:
        wall = None if seconds is None else seconds / self.anchor.speed
        return anyio.fail_after(wall, shield=shield)

    def alarm(self, seconds: float, ring: Callable[[], object]) -> Alarm:
        return asyncio.get_running_loop().call_later(seconds / self.anchor.speed, ring)
