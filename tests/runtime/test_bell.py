"""A bell wakes the one who waits, by a ring or by the clock, and keeps nothing for later."""

import anyio
import pytest

from livespot.runtime.bell import Bell, Latch
from livespot.runtime.replay_clock import VirtualClock
from livespot.runtime.replay_loop import VirtualDeadlock, VirtualLoop, run_virtually


def test_a_wait_ends_with_the_ring_or_with_its_time_whichever_comes_first() -> None:
    loop = VirtualLoop()
    clock, bell = VirtualClock(loop, 0), Bell()
    woken: list[int] = []

    async def wait_twice() -> None:
        clock.alarm(0.2, bell.ring)
        for _ in range(2):
            await bell.wait_within(clock, 0.5)
            woken.append(clock.monotonic_ms())

    run_virtually(loop, wait_twice)

    assert woken == [200, 700]


def test_an_early_ring_takes_the_alarm_along() -> None:
    loop = VirtualLoop()
    clock, bell = VirtualClock(loop, 0), Bell()

    async def wait() -> None:
        clock.alarm(0.2, bell.ring)
        await bell.wait_within(clock, 0.5)
        with pytest.raises(VirtualDeadlock):
            loop._jump()

    run_virtually(loop, wait)


async def test_a_ring_while_nobody_waits_is_lost() -> None:
    bell = Bell()
    bell.ring()

    with anyio.move_on_after(0.01) as scope:
        await bell.wait()

    assert scope.cancelled_caught


async def test_it_is_awaited_from_the_wait_until_the_ring_and_not_after_a_cancelled_wait() -> None:
    bell = Bell()
    seen = [bell.is_awaited]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bell.wait)
        await anyio.wait_all_tasks_blocked()
        seen.append(bell.is_awaited)
        bell.ring()
        bell.ring()
        seen.append(bell.is_awaited)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bell.wait)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    seen.append(bell.is_awaited)

    assert seen == [False, True, False, False]


def test_a_latch_wakes_who_waits_and_keeps_nobody_waiting_afterwards() -> None:
    loop = VirtualLoop()
    clock, latch = VirtualClock(loop, 0), Latch()
    woken: list[int] = []

    async def wait_twice() -> None:
        clock.alarm(0.2, latch.set)
        for _ in range(2):
            await latch.wait()
            woken.append(clock.monotonic_ms())

    run_virtually(loop, wait_twice)

    assert woken == [200, 200]
    assert latch.is_set()


def test_a_virtual_deadline_raises_only_when_it_has_passed() -> None:
    loop = VirtualLoop()
    clock, never = VirtualClock(loop, 0), Latch()

    async def wait() -> int:
        with clock.fail_after(1), clock.move_on_after(0.5) as scope:
            await never.wait()
        assert scope.cancelled_caught
        with pytest.raises(TimeoutError), clock.fail_after(1):
            await never.wait()
        with pytest.raises(KeyError), clock.fail_after(1):
            raise KeyError
        return clock.monotonic_ms()

    assert run_virtually(loop, wait) == 1500
