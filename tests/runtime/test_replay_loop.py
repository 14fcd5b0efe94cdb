"""Time that jumps, order that repeats, and lives that end without a word."""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from typing import TypeVar

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given, settings
from hypothesis import strategies as st

from livespot.runtime import replay_loop
from livespot.runtime.entropy import SeededEntropy
from livespot.runtime.replay_clock import VirtualClock
from livespot.runtime.replay_loop import (
    LIFE,
    VirtualDeadlock,
    VirtualLivelock,
    VirtualLoop,
    run_virtually,
)

T = TypeVar("T")


def _run(main: Callable[[], Awaitable[T]], loop: VirtualLoop | None = None) -> T:
    return run_virtually(loop or VirtualLoop(), main)


def _in_life(loop: VirtualLoop, life: int, main: Callable[[], Awaitable[object]]) -> None:
    """Start `main` as a life of its own."""

    async def run() -> None:
        await main()

    context = copy_context()
    context.run(LIFE.set, life)
    loop.create_task(run(), context=context)


def test_hours_of_sleep_take_no_time_and_end_on_the_exact_nanosecond() -> None:
    loop = VirtualLoop()

    async def main() -> None:
        for _ in range(20_000):
            await anyio.sleep(0.1)

    _run(main, loop)

    assert loop.now_ns == 2_000 * 1_000_000_000


@settings(max_examples=50)
@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=30))
def test_sleepers_wake_by_their_hour_and_then_in_the_order_they_lay_down(
    delays_ms: list[int],
) -> None:
    woken: list[tuple[int, int]] = []
    loop = VirtualLoop()
    clock = VirtualClock(loop, 1_000_000)

    async def sleeper(number: int, delay_ms: int) -> None:
        await clock.sleep(delay_ms / 1000)
        woken.append((clock.now_ms() - 1_000_000, number))

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for number, delay_ms in enumerate(delays_ms):
                tasks.start_soon(sleeper, number, delay_ms)

    _run(main, loop)

    assert woken == sorted((delay_ms, number) for number, delay_ms in enumerate(delays_ms))


def test_a_deadline_cancels_at_its_instant() -> None:
    loop = VirtualLoop()

    async def main() -> bool:
        await anyio.sleep(1.12865)
        with anyio.move_on_after(0.3) as scope:
            await anyio.sleep_forever()
        return scope.cancelled_caught

    assert _run(main, loop)
    assert loop.now_ns == 1_428_650_000


def test_waiting_for_what_cannot_happen_is_reported_at_once() -> None:
    async def main() -> None:
        await anyio.sleep(5)
        await anyio.Event().wait()

    with pytest.raises(VirtualDeadlock, match=r"at 5\.0 s"):
        _run(main)


def test_callbacks_that_never_let_time_pass_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_loop, "_MOST_POINTS_AT_ONE_INSTANT", 1000)

    async def main() -> None:
        while True:
            await checkpoint()

    with pytest.raises(VirtualLivelock):
        _run(main)


def _order_of_steps(seed: int | None) -> list[int]:
    steps: list[int] = []

    async def worker(number: int) -> None:
        for _ in range(5):
            steps.append(number)
            await checkpoint()

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(6):
                tasks.start_soon(worker, number)

    _run(main, VirtualLoop(SeededEntropy(seed) if seed is not None else None))
    return steps


def test_without_a_seed_callbacks_run_in_the_order_they_became_ready() -> None:
    assert _order_of_steps(None) == [*range(6)] * 5


def test_a_seed_fixes_the_interleaving_and_another_seed_gives_another() -> None:
    assert _order_of_steps(3) == _order_of_steps(3)
    assert len({tuple(_order_of_steps(seed)) for seed in range(20)}) == 20


def test_cancellation_reaches_tasks_and_nested_scopes_in_the_order_of_their_birth() -> None:
    ended: list[int] = []

    async def worker(number: int) -> None:
        try:
            with anyio.CancelScope():
                await anyio.sleep_forever()
        finally:
            ended.append(number)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(200):
                tasks.start_soon(worker, number)
            await anyio.sleep(1)
            tasks.cancel_scope.cancel()

    _run(main)

    assert ended == [*range(200)]


def test_what_a_callback_raises_breaks_the_run() -> None:
    def broken() -> None:
        raise ValueError("a defect")

    async def main() -> None:
        asyncio.get_running_loop().call_soon(broken)
        await anyio.sleep(1)

    with pytest.raises(RuntimeError) as caught:
        _run(main)

    assert isinstance(caught.value.__cause__, ValueError)


def test_there_are_no_threads_and_no_sockets() -> None:
    async def thread() -> None:
        await asyncio.to_thread(int)

    async def socket() -> None:
        await asyncio.open_connection("127.0.0.1", 1)

    for main in (thread, socket):
        with pytest.raises((RuntimeError, NotImplementedError)):
            _run(main)


def test_deadlines_that_were_met_leave_nothing_behind() -> None:
    loop = VirtualLoop()

    async def main() -> int:
        for _ in range(5000):
            with anyio.move_on_after(3600):
                await anyio.sleep(0.001)
        return loop.timers

    assert _run(main, loop) < 300


def test_nothing_of_a_killed_life_runs_again_and_others_go_on() -> None:
    loop = VirtualLoop()
    said: list[str] = []

    async def victim() -> None:
        try:
            while True:
                said.append("tick")
                await anyio.sleep(1)
        finally:
            said.append("goodbye")

    async def main() -> None:
        _in_life(loop, 1, victim)
        await anyio.sleep(2.5)
        loop.kill(1)
        await anyio.sleep(10)
        said.append("alive")

    _run(main, loop)

    assert said == ["tick", "tick", "tick", "alive"]


@pytest.mark.parametrize("point", range(1, 12))
def test_a_doomed_life_passes_exactly_so_many_points(point: int) -> None:
    loop = VirtualLoop()
    steps: list[int] = []

    async def victim() -> None:
        for number in range(1000):
            steps.append(number)
            await checkpoint()

    async def main() -> None:
        over = anyio.Event()
        loop.doom(1, lambda passed: passed >= point, over.set)
        _in_life(loop, 1, victim)
        await over.wait()

    _run(main, loop)

    assert len(steps) == point
    assert loop.points_of == {1: point}
