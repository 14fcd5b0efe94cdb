"""A wait for the network is no stuck loop, and what is no wait is not covered."""

import itertools

import pytest

from livespot.actors.heart import Heart, while_beating
from livespot.contracts.errors import Unreachable
from livespot.runtime.replay_clock import VirtualClock
from livespot.runtime.replay_loop import VirtualLoop, run_virtually
from livespot.testing.clock import ManualClock


def test_the_heart_beats_through_a_wait_that_is_longer_than_the_limits() -> None:
    loop = VirtualLoop()
    clock = VirtualClock(loop, 0)
    beats: list[int] = []

    async def slow() -> str:
        await clock.sleep(16)
        return "read"

    async def wait() -> str:
        return await while_beating(clock, lambda: beats.append(clock.monotonic_ms()), slow)

    assert run_virtually(loop, wait) == "read"
    gaps = [later - earlier for earlier, later in itertools.pairwise(beats)]
    assert len(beats) > 60
    assert max(gaps) <= 250


async def test_what_the_call_raises_arrives_as_it_is() -> None:
    async def fails() -> None:
        raise Unreachable("lost")

    with pytest.raises(Unreachable, match="lost"):
        await while_beating(ManualClock(), lambda: None, fails)


def test_nobody_beats_for_an_actor_that_works_or_waits_longer_than_a_minute() -> None:
    loop = VirtualLoop()
    clock = VirtualClock(loop, 0)
    beats: list[int] = []
    heart = Heart(clock, lambda: beats.append(clock.monotonic_ms()))

    async def work_and_wait() -> None:
        await clock.sleep(10)
        assert beats == []
        with heart.awaiting():
            await clock.sleep(70)
            assert 10_000 + 59_000 < max(beats) <= 10_000 + 60_000
        waited = len(beats)
        await clock.sleep(10)
        assert len(beats) == waited

    run_virtually(loop, work_and_wait)
