"""A wait for the network is no stuck loop, and what is no wait is not covered."""

import itertools

import anyio
import pytest

from livespot.actors.heart import Heart, while_beating
from livespot.contracts.errors import Unreachable
from livespot.testing.clock import ManualClock


async def test_the_heart_beats_through_a_wait_that_is_longer_than_the_limits() -> None:
    clock = ManualClock()
    beats: list[int] = []

    async def slow() -> str:
        while clock.monotonic_ms() < 16_000:
            await anyio.lowlevel.checkpoint()
        return "read"

    found = await while_beating(clock, lambda: beats.append(clock.monotonic_ms()), slow)

    assert found == "read"
    gaps = [later - earlier for earlier, later in itertools.pairwise(beats)]
    assert len(beats) > 60
    assert max(gaps) <= 250


async def test_what_the_call_raises_arrives_as_it_is() -> None:
    async def fails() -> None:
        raise Unreachable("lost")

    with pytest.raises(Unreachable, match="lost"):
        await while_beating(ManualClock(), lambda: None, fails)


async def test_nobody_beats_for_an_actor_that_works_or_waits_longer_than_a_minute() -> None:
    clock = ManualClock()
    beats: list[int] = []
    heart = Heart(clock, lambda: beats.append(clock.monotonic_ms()))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(heart.run)
        await anyio.wait_all_tasks_blocked()
        assert beats == []
        with heart.awaiting():
            while clock.monotonic_ms() < 60_000:
                await anyio.lowlevel.checkpoint()
            await anyio.wait_all_tasks_blocked()
            last = len(beats)
            clock.advance(10_000)
            await anyio.wait_all_tasks_blocked()
            assert len(beats) == last
        tasks.cancel_scope.cancel()
