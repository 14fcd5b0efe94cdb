"""What was made durable is told to everybody, however long a listener takes no messages."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import anyio
from hypothesis import given
from hypothesis import strategies as st

from livespot.actors.announcements import Announcements
from livespot.actors.mail import FillBooked, Marks, OrderProgressed
from livespot.contracts.codes import ReasonCode
from livespot.contracts.ports import Scope
from livespot.contracts.system import Alert, HealthSignal
from livespot.contracts.vocabulary import SignalLevel
from livespot.runtime.mailboxes import Mailbox
from livespot.testing.clock import ManualClock
from livespot.testing.execution_bench import Bench, StepClock, a_decision, bench
from livespot.testing.ledger_rows import fresh


class _LimitedClock(StepClock):
    """Its limits end when the test has moved the time that far."""

    def move_on_after(
        self, seconds: float | None, *, shield: bool = False
    ) -> AbstractContextManager[Scope]:
        return _limit(self.alarm, seconds, shield=shield)


class _Hurry(ManualClock):
    """Its limits end at once."""

    def move_on_after(
        self, seconds: float | None, *, shield: bool = False
    ) -> AbstractContextManager[Scope]:
        return super().move_on_after(0, shield=shield)


@contextmanager
def _limit(
    alarm: Callable[[float, Callable[[], object]], object], seconds: float | None, *, shield: bool
) -> Iterator[Scope]:
    with anyio.CancelScope(shield=shield) as scope:
        if seconds is not None:
            alarm(seconds, scope.cancel)
        yield scope


def _marks(at_ms: int = 0) -> Marks:
    return Marks(bids={}, asks={}, at_ms=at_ms)


def _stuff(box: Mailbox[Any]) -> None:
    while not box.is_full:
        box.offer(_marks())


async def _filled(b: Bench) -> int:
    """An entry bought whole, of which the position has not been told, for lack of room."""
    await b.approve(a_decision())
    order = b.venue.working_buys()[0]
    b.venue.fill(order.order_id, str(order.orig_qty))
    b.heard(b.actor.position, object)
    _stuff(b.actor.position)
    await b.stream(order.order_id)
    return order.order_id


def _levels(b: Bench, listener: str) -> list[SignalLevel]:
    heard = b.heard(b.actor.governor, HealthSignal)
    return [s.level for s in heard if s.source == f"untold:{listener}"]


async def test_a_fill_that_found_no_room_is_told_once_there_is_room(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path), clock=_LimitedClock()) as b:
        order_id = await _filled(b)
        await b.advance(5_300)

        assert b.rows("SELECT count(*) FROM fills WHERE order_id = ?", order_id) == [(1,)]
        assert _levels(b, "position") == [SignalLevel.DEGRADE]
        assert ReasonCode.LOOP_STUCK_DEGRADE in [
            alert.code for alert in b.heard(b.actor.governor, Alert)
        ]

        await b.advance(10_000)
        told: list[FillBooked] = []
        for _ in range(3):
            told += b.heard(b.actor.position, FillBooked)
            await b.advance(200)

        assert [booked.fill.order_id for booked in told] == [order_id]
        last = b.heard(b.actor.position, OrderProgressed)[-1].order
        assert last.executed_qty == last.orig_qty
        assert _levels(b, "position") == [SignalLevel.CLEAR]


async def test_a_listener_without_room_keeps_nothing_from_another(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path), clock=_LimitedClock()) as b:
        order_id = await _filled(b)

        (booked,) = b.heard(b.actor.risk, FillBooked)
        assert booked.fill.order_id == order_id
        b.heard(b.actor.position, object)


async def test_execution_works_on_while_a_listener_is_behind(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path), clock=_LimitedClock()) as b:
        order_id = await _filled(b)
        await b.advance(5_300)
        sent = len(b.venue.sent)

        await b.tell(b.venue.update(order_id, "STREAM", with_fills=True))
        await b.tell(_marks())

        assert b.actor.inbox.stats().depth == 0
        assert len(b.venue.sent) == sent
        b.heard(b.actor.position, object)


async def test_what_an_earlier_life_could_not_tell_is_told_by_the_next(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        _stuff(b.actor.position)
        news = _marks(at_ms=77)
        await _cut_short(b.actor.announced, b.actor.position, news)

        await b.tell(_marks())
        await b.advance(300)
        assert _levels(b, "position") == [SignalLevel.DEGRADE]
        heard = b.heard(b.actor.position, Marks)
        await b.advance(300)
        heard += b.heard(b.actor.position, Marks)

        assert [marks for marks in heard if marks.at_ms] == [news]
        assert _levels(b, "position") == [SignalLevel.CLEAR]


async def _cut_short(announced: Announcements, box: Mailbox[Any], message: object) -> None:
    """Announce the message with no time to wait for room."""
    announced.add(box, message)
    await announced.deliver(_Hurry())


@given(capacity=st.integers(1, 3), adds=st.lists(st.booleans(), max_size=40))
def test_every_message_arrives_in_order_whatever_was_cut_short(
    capacity: int, adds: list[bool]
) -> None:
    async def run() -> None:
        box: Mailbox[int] = Mailbox("listener", capacity, ManualClock())
        announced, heard = Announcements(), []
        for number, added in enumerate(adds):
            if added:
                await _cut_short(announced, box, number)
            elif (taken := box.receive_nowait()) is not None:
                heard.append(taken)
        async with anyio.create_task_group() as tasks:
            for lane in announced.behind():
                tasks.start_soon(lane.deliver)
            while announced.behind() or box.stats().depth:
                heard.append(await box.receive())
                await anyio.lowlevel.checkpoint()
        assert heard == [number for number, added in enumerate(adds) if added]

    anyio.run(run)
