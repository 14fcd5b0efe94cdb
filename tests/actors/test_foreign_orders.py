"""Orders that are in no ledger row: what they forbid, and that it ends with them."""

from pathlib import Path

import msgspec
import pytest

from livespot.actors.mail import EntryEnded, UserStreamChanged
from livespot.contracts.codes import ReasonCode
from livespot.contracts.orders import ListRequest, OrderUpdate, OrderView
from livespot.contracts.system import HealthSignal
from livespot.contracts.vocabulary import OrderStatus, SignalLevel
from livespot.testing.execution_bench import (
    SYMBOL,
    Bench,
    StepClock,
    a_decision,
    bench,
    remember,
)
from livespot.testing.ledger_rows import fresh, order
from livespot.testing.scripted_venue import DROP_REQUEST, ScriptedVenue

THEIRS = "web_4711"
OF_OUR_SHAPE = "X_" + "A" * 34


def stranger(client_order_id: str, status: OrderStatus = OrderStatus.NEW) -> OrderView:
    return msgspec.structs.replace(
        order(status).order, symbol=SYMBOL, order_id=55, client_order_id=client_order_id
    )


async def meet(b: Bench, view: OrderView) -> None:
    """The stream reports the order, and the exchange knows it."""
    b.venue.orders_by_id[view.order_id] = view
    await b.tell(OrderUpdate(order=view, fills=(), source="STREAM"))


def levels(b: Bench, source: str) -> list[SignalLevel]:
    signals = b.heard(b.actor.governor, HealthSignal)
    return [s.level for s in signals if s.source.startswith(source)]


def placed(b: Bench) -> int:
    return len([r for r in b.venue.sent if isinstance(r, ListRequest)])


async def test_a_foreign_order_keeps_its_symbol_closed_until_it_ends(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        await meet(b, stranger(THEIRS))
        await b.approve(a_decision())
        assert b.venue.sent == []

        await meet(b, stranger(THEIRS, OrderStatus.CANCELED))
        await b.approve(a_decision())

        assert placed(b) == 1


async def test_an_entry_is_not_placed_again_beside_a_foreign_order(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        await b.approve(a_decision())
        await meet(b, stranger(THEIRS))

        await b.advance(31_000)

        assert placed(b) == 1
        assert [v.order_id for v in b.venue.working_buys()] == [55]
        (ended,) = b.heard(b.actor.risk, EntryEnded)
        assert ended.reasons == (ReasonCode.FOREIGN_ORDER_DETECTED,)


async def test_a_foreign_order_that_ended_unheard_is_asked_for_when_the_stream_is_back(
    tmp_path: Path,
) -> None:
    async with bench(fresh(tmp_path)) as b:
        await meet(b, stranger(THEIRS))
        await b.tell(UserStreamChanged(live=False, at_ms=b.clock.now_ms()))
        b.venue.change(55, status=OrderStatus.CANCELED)

        await b.tell(UserStreamChanged(live=True, at_ms=b.clock.now_ms()))
        await b.approve(a_decision())

        assert placed(b) == 1


async def test_the_end_of_an_order_of_our_shape_withdraws_what_stood_in_the_way_of_a_resume(
    tmp_path: Path,
) -> None:
    async with bench(fresh(tmp_path)) as b:
        await meet(b, stranger(OF_OUR_SHAPE))
        assert levels(b, "own-prefix:") == [SignalLevel.PAUSE]

        await meet(b, stranger(OF_OUR_SHAPE, OrderStatus.CANCELED))

        assert levels(b, "own-prefix:") == [SignalLevel.CLEAR]


async def test_an_order_of_our_shape_that_was_over_when_first_seen_pauses_and_leaves_no_cause(
    tmp_path: Path,
) -> None:
    async with bench(fresh(tmp_path)) as b:
        await meet(b, stranger(OF_OUR_SHAPE, OrderStatus.FILLED))

        assert levels(b, "own-prefix:") == [SignalLevel.PAUSE, SignalLevel.CLEAR]


async def test_an_entry_that_rises_from_its_proven_absence_pauses_and_leaves_no_cause(
    tmp_path: Path,
) -> None:
    async with bench(fresh(tmp_path)) as b:
        decision = a_decision()
        await remember(b, decision)
        b.venue.script = [DROP_REQUEST]
        await b.approve(decision)
        b.clock.step(100_000)
        b.venue.traded_until_ms = b.clock.now_ms() - 60_000
        await b.advance(15_000)
        assert b.states("ENTRY") == ["NOT_FOUND"]
        (client_id,) = b.rows("SELECT client_order_id FROM order_intents WHERE role = 'ENTRY'")[0]

        await meet(b, stranger(client_id, OrderStatus.CANCELED))

        assert b.states("ENTRY") == ["CONFIRMED"]
        assert levels(b, "resurrected:") == [SignalLevel.PAUSE, SignalLevel.CLEAR]


async def test_the_end_of_an_entry_nobody_could_adopt_leaves_no_cause(tmp_path: Path) -> None:
    path, clock = fresh(tmp_path), StepClock()
    venue = ScriptedVenue(clock)
    with pytest.RaisesGroup(RuntimeError, flatten_subgroups=True, allow_unwrapped=True):
        async with bench(path, venue=venue, clock=clock) as b:
            await b.approve(a_decision())
            raise RuntimeError("killed")

    async with bench(path, venue=venue, clock=clock) as b:
        await b.recover()
        assert levels(b, "orphan:") == [SignalLevel.PAUSE]
        working = b.venue.working_buys()[0]

        b.venue.change(working.order_id, status=OrderStatus.CANCELED)
        await b.stream(working.order_id)

        assert levels(b, "orphan:") == [SignalLevel.CLEAR]
