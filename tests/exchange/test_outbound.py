"""The queue of frames to one client: in order, all at once, bounded."""

import anyio

from livespot.exchange.outbound import Outbound


async def test_what_is_pushed_while_somebody_waits_comes_out_in_order_and_whole() -> None:
    outbound, taken = Outbound("one", 10), list[list[str]]()

    async def take_twice() -> None:
        for _ in range(2):
            taken.append(await outbound.take())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(take_twice)
        await anyio.lowlevel.checkpoint()
        outbound.push("a")
        outbound.push("b")
        await anyio.lowlevel.checkpoint()
        await anyio.lowlevel.checkpoint()
        outbound.push("c")

    assert taken == [["a", "b"], ["c"]]


async def test_what_was_pushed_before_anybody_waits_is_there_at_once() -> None:
    outbound = Outbound("one", 10)
    outbound.push("a")

    assert await outbound.take() == ["a"]
    assert outbound.waiting() == []


async def test_a_client_that_was_lost_hears_nothing_more() -> None:
    outbound = Outbound("one", 1)

    assert outbound.push("a")
    assert not outbound.push("b")
    assert outbound.waiting() == ["a"]
    assert not outbound.push("c")
