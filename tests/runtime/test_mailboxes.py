"""Mailboxes keep their stated policy."""

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livespot.runtime.mailboxes import ConflatingMailbox, Mailbox, MailboxClosed, Reply
from livespot.testing.clock import ManualClock


async def test_messages_arrive_in_the_order_they_were_sent() -> None:
    box: Mailbox[int] = Mailbox("numbers", 8, ManualClock())

    for number in range(5):
        await box.send(number)

    assert [await box.receive() for _ in range(5)] == [0, 1, 2, 3, 4]


async def test_a_full_mailbox_makes_the_sender_wait_and_loses_nothing() -> None:
    box: Mailbox[int] = Mailbox("numbers", 2, ManualClock())
    taken: list[int] = []

    async def send_all() -> None:
        for number in range(20):
            await box.send(number)
        box.close()

    async with anyio.create_task_group() as group:
        group.start_soon(send_all)
        async for number in box:
            taken.append(number)
            await anyio.lowlevel.checkpoint()

    assert taken == list(range(20))
    assert box.stats().high_water == 2


async def test_several_waiting_senders_all_get_through() -> None:
    box: Mailbox[int] = Mailbox("numbers", 1, ManualClock())
    taken: list[int] = []

    async with anyio.create_task_group() as group:
        for number in range(6):
            group.start_soon(box.send, number)
        for _ in range(6):
            taken.append(await box.receive())
            await anyio.lowlevel.checkpoint()

    assert taken == list(range(6))


async def test_nobody_overtakes_a_sender_that_waits_for_room() -> None:
    box: Mailbox[str] = Mailbox("letters", 1, ManualClock())
    await box.send("inside")

    async with anyio.create_task_group() as group:
        group.start_soon(box.send, "waited")
        await anyio.lowlevel.checkpoint()
        taken = [box.receive_nowait()]
        refused = box.offer("came later")
        group.start_soon(box.send, "came last")
        await anyio.lowlevel.checkpoint()
        taken += [await box.receive(), await box.receive()]

    assert not refused
    assert taken == ["inside", "waited", "came last"]


async def test_a_stream_of_newcomers_does_not_starve_a_sender_that_waits() -> None:
    box: Mailbox[int] = Mailbox("numbers", 1, ManualClock())
    await box.send(0)
    sent: list[int] = []

    async def send(number: int) -> None:
        await box.send(number)
        sent.append(number)

    async with anyio.create_task_group() as group:
        group.start_soon(send, 1)
        await anyio.lowlevel.checkpoint()
        for number in range(2, 12):
            # Each newcomer comes in the very moment in which there is room.
            await box.receive()
            group.start_soon(send, number)
            await anyio.lowlevel.checkpoint()
        assert sent == list(range(1, 11))
        await box.receive()


async def test_a_sender_that_stops_waiting_leaves_its_place_to_the_next() -> None:
    box: Mailbox[str] = Mailbox("letters", 1, ManualClock())
    await box.send("inside")
    gone = anyio.CancelScope()

    async def give_up() -> None:
        with gone:
            await box.send("given up")

    async with anyio.create_task_group() as group:
        group.start_soon(give_up)
        await anyio.lowlevel.checkpoint()
        group.start_soon(box.send, "next")
        await anyio.lowlevel.checkpoint()
        gone.cancel()
        # The first of both is taken between the cancel and the moment in which the sender hears it.
        taken = [await box.receive()]
        await anyio.lowlevel.checkpoint()
        taken.append(await box.receive())

    assert taken == ["inside", "next"]
    assert box.stats().depth == 0


async def test_a_close_refuses_the_senders_that_wait() -> None:
    box: Mailbox[int] = Mailbox("numbers", 1, ManualClock())
    await box.send(0)
    refused: list[int] = []

    async def send(number: int) -> None:
        try:
            await box.send(number)
        except MailboxClosed:
            refused.append(number)

    async with anyio.create_task_group() as group:
        for number in (1, 2):
            group.start_soon(send, number)
        await anyio.lowlevel.checkpoint()
        box.close()

    assert refused == [1, 2]
    assert [message async for message in box] == [0]


@given(
    capacity=st.integers(1, 3),
    steps=st.lists(st.sampled_from(("send", "give up", "take", "turn")), max_size=60),
)
def test_what_is_sent_is_received_in_the_order_in_which_the_senders_came(
    capacity: int, steps: list[str]
) -> None:
    async def run() -> None:
        box: Mailbox[int] = Mailbox("numbers", capacity, ManualClock())
        scopes: dict[int, anyio.CancelScope] = {}
        sent: list[int] = []
        taken: list[int] = []

        async def send(number: int) -> None:
            with scopes.setdefault(number, anyio.CancelScope()):
                await box.send(number)
                sent.append(number)
            del scopes[number]

        async with anyio.create_task_group() as group:
            for number, step in enumerate(steps):
                if step == "send":
                    group.start_soon(send, number)
                    await anyio.lowlevel.checkpoint()
                elif step == "give up" and scopes:
                    scopes[max(scopes)].cancel()
                elif step == "take" and (message := box.receive_nowait()) is not None:
                    taken.append(message)
                elif step == "turn":
                    await anyio.lowlevel.checkpoint()
            while scopes or box.stats().depth:
                if (message := box.receive_nowait()) is not None:
                    taken.append(message)
                await anyio.lowlevel.checkpoint()

        assert taken == sorted(taken)
        assert set(sent) <= set(taken)
        assert len(taken) == len(set(taken))

    anyio.run(run)


async def test_a_message_is_unfinished_until_its_taker_asks_for_the_next() -> None:
    clock = ManualClock()
    box: Mailbox[int] = Mailbox("numbers", 8, clock)
    await box.send(1)
    await box.send(2)
    untaken = box.busy_ms
    await box.receive()
    clock.advance(700)
    busy = box.busy_ms

    assert (untaken, busy) == (0, 700)
    assert [box.unfinished(), box.unfinished()] == [1, None]
    assert [box.receive_nowait(), box.receive_nowait()] == [2, None]
    assert (box.unfinished(), box.busy_ms) == (None, 0)


async def test_a_refused_offer_is_counted() -> None:
    box: Mailbox[int] = Mailbox("samples", 1, ManualClock())

    assert box.offer(1)
    assert not box.offer(2)
    assert box.stats().dropped == 1


async def test_a_closed_mailbox_refuses_new_messages_and_gives_out_the_old() -> None:
    box: Mailbox[int] = Mailbox("numbers", 4, ManualClock())
    await box.send(1)
    box.close()

    with pytest.raises(MailboxClosed):
        await box.send(2)
    assert await box.receive() == 1
    with pytest.raises(anyio.EndOfStream):
        await box.receive()


async def test_a_cancelled_receive_loses_no_message() -> None:
    box: Mailbox[int] = Mailbox("numbers", 4, ManualClock())

    with anyio.move_on_after(0):
        await box.receive()
    await box.send(7)

    assert await box.receive() == 7


async def test_the_age_of_the_oldest_message_is_measured() -> None:
    clock = ManualClock()
    box: Mailbox[int] = Mailbox("numbers", 4, clock)
    await box.send(1)
    clock.advance(250)
    await box.send(2)

    assert box.stats().oldest_age_ms == 250


async def test_a_conflating_mailbox_keeps_the_latest_of_each_key() -> None:
    box: ConflatingMailbox[str] = ConflatingMailbox("ticks", 4, ManualClock())

    box.put("A", "a1")
    box.put("B", "b1")
    box.put("A", "a2")

    assert await box.receive_all() == ["a2", "b1"]
    assert box.stats().depth == 0


async def test_a_conflating_mailbox_wakes_its_reader() -> None:
    box: ConflatingMailbox[int] = ConflatingMailbox("ticks", 4, ManualClock())
    taken: list[int] = []

    async def read() -> None:
        taken.extend(await box.receive_all())

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        await anyio.lowlevel.checkpoint()
        box.put("A", 1)

    assert taken == [1]


async def test_a_reply_gives_its_first_answer() -> None:
    reply: Reply[int] = Reply()
    reply.answer(1)
    reply.answer(2)

    assert await reply.wait() == 1


async def test_a_failed_reply_raises_at_the_asker() -> None:
    reply: Reply[int] = Reply()
    reply.fail(MailboxClosed("gone"))

    with pytest.raises(MailboxClosed):
        await reply.wait()


async def test_waiting_for_a_while_ends_with_a_message_with_time_or_with_the_end() -> None:
    box: Mailbox[int] = Mailbox("numbers", 2, ManualClock())

    assert await box.receive_within(0.01) is None
    async with anyio.create_task_group() as group:
        group.start_soon(box.send, 7)
        assert await box.receive_within(30) == 7
    await box.send(8)
    assert await box.receive_within(0) == 8
    box.close()
    with pytest.raises(anyio.EndOfStream):
        await box.receive_within(30)


async def test_what_comes_after_a_wait_that_was_cancelled_is_not_lost() -> None:
    box: Mailbox[int] = Mailbox("numbers", 2, ManualClock())

    with anyio.move_on_after(0.01):
        await box.receive_within(30)
    await box.send(1)

    assert await box.receive_within(30) == 1


async def test_a_reader_is_seen_while_it_waits_and_out_of_sight_while_it_is_at_work() -> None:
    clock = ManualClock()
    box: Mailbox[int] = Mailbox("numbers", 8, clock)
    seen: list[int] = []

    async def read() -> None:
        await box.receive()
        clock.advance(700)
        seen.append(box.unseen_ms)
        assert box.receive_nowait() is None
        seen.append(box.unseen_ms)
        await box.receive_within(60)

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        clock.advance(60_000)
        seen.append(box.unseen_ms)
        await box.send(1)
        # Woken, and not at its turn yet: nobody may call it late for that.
        seen.append(box.unseen_ms)
        await anyio.wait_all_tasks_blocked()
        clock.advance(5_000)
        seen.append(box.unseen_ms)
        group.cancel_scope.cancel()

    assert seen == [0, 0, 700, 0, 0]


async def test_a_reader_that_hands_on_is_one_thing_and_who_works_behind_it_another() -> None:
    box: Mailbox[int] = Mailbox("numbers", 8, ManualClock())
    idle = True
    assert not box.is_worked_on
    box.read_for(lambda: idle)
    assert not box.is_worked_on

    idle = False
    async with anyio.create_task_group() as group:
        group.start_soon(box.receive)
        await anyio.wait_all_tasks_blocked()
        assert (box.is_worked_on, box.unseen_ms) == (True, 0)
        group.cancel_scope.cancel()


async def test_a_nudge_ends_a_wait_with_nothing_and_is_forgotten_when_nobody_waits() -> None:
    box: Mailbox[int] = Mailbox("numbers", 8, ManualClock())
    got: list[int | None] = []
    box.nudge()

    async def read() -> None:
        got.append(await box.receive_within(60))
        got.append(await box.receive_within(60))

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        assert got == []
        box.nudge()
        await anyio.wait_all_tasks_blocked()
        await box.send(1)

    assert got == [None, 1]
