"""Waits that end when nobody has any patience left."""

import anyio

from livespot.runtime.clock import SystemClock
from livespot.runtime.patience import Patience


async def test_all_that_wait_are_given_up_at_the_end_and_whoever_comes_later_at_once() -> None:
    clock, patience = SystemClock(), Patience()
    given_up: list[str] = []

    async def wait(name: str) -> None:
        # Shielded around, as a request that must not be thrown away is.
        with clock.move_on_after(60, shield=True):
            with clock.move_on_after(30) as scope, patience.lasts(scope):
                await anyio.sleep_forever()
            if scope.cancelled_caught:
                given_up.append(name)

    async with anyio.create_task_group() as tasks:
        for name in ("first", "second"):
            tasks.start_soon(wait, name)
        await anyio.wait_all_tasks_blocked()
        before = list(given_up)
        patience.end()

    await wait("late")
    assert before == []
    assert sorted(given_up[:2]) == ["first", "second"]
    assert given_up[2:] == ["late"]


async def test_a_wait_that_is_over_is_not_touched_any_more() -> None:
    clock, patience = SystemClock(), Patience()
    with clock.move_on_after(30) as scope, patience.lasts(scope):
        await anyio.lowlevel.checkpoint()

    patience.end()
    await anyio.lowlevel.checkpoint()

    assert (patience.is_over, scope.cancelled_caught) == (True, False)
