"""A child process is ended and reaped, and the loop runs on meanwhile."""

import subprocess
import sys
from contextlib import AbstractContextManager

import anyio

from livespot.contracts.ports import Scope
from livespot.runtime.children import ended
from livespot.runtime.clock import SystemClock
from livespot.testing.clock import ManualClock


class _Held:
    """A process that the kernel lets go of only after so many looks."""

    def __init__(self, looks: int) -> None:
        self.looks = looks
        self.killed = False

    def poll(self) -> int | None:
        self.looks -= self.killed
        return -9 if self.looks < 0 else None

    def kill(self) -> None:
        self.killed = True


class _Hurry(ManualClock):
    """Its limits end at once."""

    def move_on_after(
        self, seconds: float | None, *, shield: bool = False
    ) -> AbstractContextManager[Scope]:
        return super().move_on_after(0, shield=shield)


def _sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])


async def test_a_child_that_runs_is_killed_and_reaped() -> None:
    child = _sleeper()

    code = await ended(child, SystemClock())

    assert code == child.returncode
    assert code


async def test_a_child_that_has_ended_keeps_its_exit_code() -> None:
    child = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])  # noqa: ASYNC220
    child.wait()

    assert await ended(child, SystemClock()) == 3


async def test_a_cancelled_waiter_still_reaps_its_child() -> None:
    child = _sleeper()

    with anyio.CancelScope() as scope:
        scope.cancel()
        await ended(child, SystemClock())

    assert child.returncode is not None


async def test_the_loop_runs_on_while_the_kernel_holds_a_child() -> None:
    turns = 0

    async def live() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(live)
        code = await ended(_Held(looks=50), ManualClock())
        tasks.cancel_scope.cancel()

    assert code == -9
    assert turns >= 40


async def test_a_child_that_does_not_end_is_left_behind() -> None:
    child = _Held(looks=10_000)

    assert await ended(child, _Hurry()) is None
    assert child.killed
