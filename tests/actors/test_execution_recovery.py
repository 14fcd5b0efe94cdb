"""What survives: cancellation in the middle of a send, a killed life, a strange order."""

import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import anyio
import msgspec
import pytest

from livespot.actors.mail import EntryEnded, FillBooked, OrdersAsked, StopAsked
from livespot.contracts.audit import AuditEntry
from livespot.contracts.orders import CancelRequest, ListRequest, OrderUpdate
from livespot.contracts.queries import StoredOrder
from livespot.contracts.system import Alert, HealthSignal
from livespot.contracts.vocabulary import OrderStatus, SignalLevel, SysMode
from livespot.runtime.mailboxes import Reply
from livespot.testing.execution_bench import (
    Bench,
    StepClock,
    a_decision,
    an_approval,
    bench,
    remember,
)
from livespot.testing.ledger_rows import fresh, order
from livespot.testing.scripted_venue import ACCEPT, DROP_ANSWER, DROP_REQUEST, ScriptedVenue


class Killed(Exception):
    """The life ended here, whatever it was doing."""


async def die(b: Bench) -> None:
    raise Killed


async def one_life_that_is_killed(
    path: Path, venue: ScriptedVenue, clock: StepClock, script: list[str]
) -> None:
    """An entry is approved, its place goes as scripted, then the process is gone."""
    with pytest.RaisesGroup(Killed, flatten_subgroups=True, allow_unwrapped=True):
        async with bench(path, venue=venue, clock=clock) as b:
            decision = a_decision()
            await remember(b, decision)
            venue.script = list(script)
            await b.approve(decision)
            await die(b)


async def test_cancelling_the_actor_in_mid_send_keeps_the_row_and_the_answer(
    tmp_path: Path,
) -> None:
    path = fresh(tmp_path)
    clock = StepClock()
    venue = ScriptedVenue(clock)
    states: list[str] = []
    venue.holding = holding = anyio.Event()
    dying = anyio.Event()

    async def answer_late() -> None:
        await dying.wait()
        for _ in range(50):
            await anyio.lowlevel.checkpoint()
        holding.set()

    async with anyio.create_task_group() as outside:
        outside.start_soon(answer_late)
        with pytest.RaisesGroup(Killed, flatten_subgroups=True, allow_unwrapped=True):
            async with bench(path, venue=venue, clock=clock) as b:
                await b.approve(a_decision())
                states += b.states("ENTRY")
                dying.set()
                await die(b)

    with closing(sqlite3.connect(path)) as connection:
        states += [row[0] for row in connection.execute("SELECT state FROM order_intents")]
        orders = connection.execute("SELECT count(*) FROM orders").fetchone()[0]
    assert states == ["SENT_UNKNOWN", "CONFIRMED"]
    assert orders == 3


async def test_an_entry_left_working_is_cancelled_at_boot_and_nothing_is_bought(
    tmp_path: Path,
) -> None:
    path, clock = fresh(tmp_path), StepClock()
    venue = ScriptedVenue(clock)
    await one_life_that_is_killed(path, venue, clock, [])
    assert len(venue.working_buys()) == 1

    async with bench(path, venue=venue, clock=clock) as b:
        summary = await b.recover()
        await b.advance(1000)

        assert summary.unresolved == 0
        assert venue.working_buys() == []
        cancel = venue.sent[-1]
        assert isinstance(cancel, CancelRequest)
        assert cancel.only_new
        assert len(b.heard(b.actor.risk, EntryEnded)) == 1


async def test_an_unanswered_entry_of_the_last_life_is_found_and_wound_down(
    tmp_path: Path,
) -> None:
    path, clock = fresh(tmp_path), StepClock()
    venue = ScriptedVenue(clock, blind=True)
    await one_life_that_is_killed(path, venue, clock, [DROP_ANSWER, DROP_REQUEST])
    venue.blind = False

    async with bench(path, venue=venue, clock=clock) as b:
        await b.recover()
        await b.advance(2000)

        assert b.states("ENTRY") == ["CONFIRMED"]
        assert venue.working_buys() == []
        assert len([r for r in venue.sent if isinstance(r, ListRequest)]) == 1


async def test_fills_of_the_dead_hours_are_booked_once_over_two_boots(tmp_path: Path) -> None:
    path, clock = fresh(tmp_path), StepClock()
    venue = ScriptedVenue(clock)
    await one_life_that_is_killed(path, venue, clock, [])
    venue.fill(100, str(venue.orders_by_id[100].orig_qty))

    async with bench(path, venue=venue, clock=clock) as b:
        await b.recover()
        assert len(b.heard(b.actor.position, FillBooked)) == 1
    sent = len(venue.sent)
    async with bench(path, venue=venue, clock=clock) as b:
        await b.recover()
        await b.stream(100)

        assert b.heard(b.actor.position, FillBooked) == []
        assert b.rows("SELECT count(*) FROM fills") == [(1,)]
        assert len(venue.sent) == sent


async def test_while_an_intent_is_unknown_its_symbol_takes_no_entry(tmp_path: Path) -> None:
    path, clock = fresh(tmp_path), StepClock()
    venue = ScriptedVenue(clock)
    await one_life_that_is_killed(path, venue, clock, [DROP_REQUEST, DROP_REQUEST])

    async with bench(path, venue=venue, clock=clock) as b:
        summary = await b.recover()
        await b.tell(an_approval(b))

        assert summary.unresolved >= 1
        assert len([r for r in venue.sent if isinstance(r, ListRequest)]) == 1


async def test_a_strangers_order_is_reported_and_its_symbol_takes_no_entry(
    tmp_path: Path,
) -> None:
    async with bench(fresh(tmp_path)) as b:
        await b.tell(stranger(b, "web_123"))

        await b.approve(a_decision())

        assert b.venue.sent == []
        assert len(b.heard(b.actor.governor, Alert)) == 1


async def test_an_order_in_our_shape_without_a_row_pauses(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        await b.tell(stranger(b, "X_" + "A" * 34))

        signals = b.heard(b.actor.governor, HealthSignal)
        assert [s.level for s in signals] == [SignalLevel.PAUSE]


async def test_a_stop_cancels_working_entries_and_then_answers(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        await b.approve(a_decision())
        reply: Reply[None] = Reply()

        # The governor has left NORMAL for EXIT before anybody is asked to stop.
        b.gate.set(SysMode.EXIT)
        await b.tell(StopAsked(within_ms=10_000, reply=reply))
        await b.advance(500)

        await reply.wait()
        assert b.venue.working_buys() == []
        b.gate.set(SysMode.NORMAL)
        await b.approve(a_decision())
        assert len([r for r in b.venue.sent if isinstance(r, ListRequest)]) == 1


class Told(Reply[None]):
    """A reply that says whether it was given."""

    given = False

    def answer(self, value: None) -> None:
        self.given = True
        super().answer(value)


async def test_a_stop_waits_for_the_answer_to_a_cancel_whose_effect_is_known_already(
    tmp_path: Path,
) -> None:
    async with bench(fresh(tmp_path)) as b:
        await b.approve(a_decision())
        reply = Told()
        b.venue.holding = holding = anyio.Event()
        b.gate.set(SysMode.EXIT)
        await b.tell(StopAsked(within_ms=10_000, reply=reply))
        cancel = b.venue.sent[-1]
        assert isinstance(cancel, CancelRequest)
        b.venue.change(
            100,
            status=OrderStatus.CANCELED,
            orig_client_order_id=b.venue.orders_by_id[100].client_order_id,
            client_order_id=cancel.client_order_id,
        )
        await b.stream(100)
        await b.advance(1000)
        assert b.states("CANCEL") == ["CONFIRMED"]
        assert not reply.given

        holding.set()
        await b.advance(200)

        assert reply.given


async def test_once_nothing_may_leave_a_stop_waits_for_no_entry_but_for_answers(
    tmp_path: Path,
) -> None:
    async with bench(fresh(tmp_path)) as b:
        b.venue.holding = holding = anyio.Event()
        await b.approve(a_decision())
        b.gate.set(SysMode.EXIT)
        b.gate.seal()
        reply = Told()
        await b.tell(StopAsked(within_ms=10_000, reply=reply))
        await b.advance(1000)
        assert not reply.given

        b.venue.script = [DROP_ANSWER]
        holding.set()
        await b.advance(200)

        assert reply.given
        assert len(b.venue.sent) == 1


async def test_what_execution_believes_to_be_open_can_be_asked(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        await b.approve(a_decision())
        reply: Reply[tuple[StoredOrder, ...]] = Reply()

        await b.tell(OrdersAsked(reply=reply))

        assert {stored.role for stored in await reply.wait()} == {"ENTRY", "TP", "SL"}


def stranger(b: Bench, client_order_id: str) -> OrderUpdate:
    view = msgspec.structs.replace(
        order(OrderStatus.NEW).order,
        symbol="SOLUSDT",
        order_id=55,
        client_order_id=client_order_id,
    )
    return OrderUpdate(order=view, fills=(), source="STREAM")


@pytest.mark.parametrize("point", range(1, 14))
async def test_a_life_cut_at_any_write_leaves_nothing_sent_without_its_row(
    tmp_path: Path, point: int
) -> None:
    """The n-th transaction never returns: the next life must end with one entry at most."""
    path, clock = fresh(tmp_path), StepClock()
    venue = ScriptedVenue(clock)
    with pytest.RaisesGroup(Killed, flatten_subgroups=True, allow_unwrapped=True):
        async with bench(path, venue=venue, clock=clock) as b:
            decision = a_decision()
            await remember(b, decision)
            cut_after(b, point)
            await b.approve(decision)
            if venue.working_buys():
                venue.fill(100, "1")
                await b.stream(100)
            await b.advance(2500)
            await die(b)
    sent_before = {r.list_client_order_id for r in venue.sent if isinstance(r, ListRequest)}

    async with bench(path, venue=venue, clock=clock) as b:
        await b.recover()
        await b.advance(6000)

        known = {row[0] for row in b.rows("SELECT client_order_id FROM intent_client_ids")}
        assert sent_before <= known
        assert venue.working_buys() == []
        assert len([r for r in venue.sent if isinstance(r, ListRequest)]) <= 1
        booked = b.rows("SELECT count(*) FROM fills")[0][0]
        assert booked == len(venue.fills)


def cut_after(b: Bench, commits: int) -> None:
    """From the n-th commit on the process is as good as dead: nothing returns any more."""
    writer = b.actor.audit
    inner, left = writer.commit, [commits]

    async def commit(*entries: AuditEntry) -> None:
        left[0] -= 1
        if left[0] <= 0:
            raise Killed
        await inner(*entries)

    object.__setattr__(b.actor, "audit", Cut(commit))


class Cut:
    """An audit port whose disk is taken away."""

    def __init__(self, commit: Callable[..., Awaitable[None]]) -> None:
        self._commit = commit

    async def commit(self, *entries: AuditEntry) -> None:
        await self._commit(*entries)

    async def record(self, *entries: AuditEntry) -> None:
        await self._commit(*entries)


async def test_a_living_buy_without_an_engine_is_taken_over_whenever_it_shows(
    tmp_path: Path,
) -> None:
    path, clock = fresh(tmp_path), StepClock()
    venue = ScriptedVenue(clock)
    await one_life_that_is_killed(path, venue, clock, [])

    async with bench(path, venue=venue, clock=clock) as b:
        await b.stream(100)
        await b.advance(500)

        assert venue.working_buys() == []


async def test_a_living_buy_whose_decision_is_lost_pauses_and_shouts(tmp_path: Path) -> None:
    path, clock = fresh(tmp_path), StepClock()
    venue = ScriptedVenue(clock)
    with pytest.RaisesGroup(Killed, flatten_subgroups=True, allow_unwrapped=True):
        async with bench(path, venue=venue, clock=clock) as b:
            await b.approve(a_decision())
            await die(b)

    async with bench(path, venue=venue, clock=clock) as b:
        await b.recover()

        signals = b.heard(b.actor.governor, HealthSignal)
        assert SignalLevel.PAUSE in [s.level for s in signals]


async def test_a_decision_of_another_version_stops_no_recovery(tmp_path: Path) -> None:
    path, clock = fresh(tmp_path), StepClock()
    venue = ScriptedVenue(clock)
    with pytest.RaisesGroup(Killed, flatten_subgroups=True, allow_unwrapped=True):
        async with bench(path, venue=venue, clock=clock) as b:
            decision = a_decision()
            await remember(b, decision)
            await b.approve(decision)
            await die(b)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE decisions SET decision_json = '{\"symbol\": 1}'")

    async with bench(path, venue=venue, clock=clock) as b:
        summary = await b.recover()

        assert summary.unresolved == 0
        signals = b.heard(b.actor.governor, HealthSignal)
        assert SignalLevel.PAUSE in [s.level for s in signals]


@pytest.mark.parametrize("cancelled_by", ["us", "hand"])
async def test_an_earlier_attempt_of_the_same_size_keeps_no_later_one_in_doubt_after_a_restart(
    tmp_path: Path, cancelled_by: str
) -> None:
    """Cancelled, it stands under its cancel's id; the ledger knows whose order that is."""
    path = fresh(tmp_path)
    async with bench(path) as b:
        await remember(b, a_decision())
        b.venue.script = [ACCEPT, ACCEPT, DROP_REQUEST]
        await b.approve(a_decision())
        await b.advance(30_200)
        assert b.states("ENTRY") == ["CONFIRMED", "SENT_UNKNOWN"]
        first, venue, clock = b.venue.orders_by_id[100], b.venue, b.clock
        lost = [r for r in b.venue.sent if isinstance(r, ListRequest)][-1]
    assert lost.working is not None
    assert first.status is OrderStatus.CANCELED
    assert first.orig_qty == lost.working.qty
    if cancelled_by == "hand":
        venue.orders_by_id[100] = msgspec.structs.replace(first, client_order_id="web_1")

    async with bench(path, venue=venue, clock=clock) as b:
        await b.recover()
        clock.step(90_000)
        venue.traded_until_ms = clock.now_ms() - 30_000
        await b.advance(25_000)

        assert b.states("ENTRY") == ["CONFIRMED", "NOT_FOUND"]
