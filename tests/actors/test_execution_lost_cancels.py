"""Cancels without an answer: the order they aim at tells what became of them, ended or standing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from livespot.actors.mail import MutationSettled, ProtectWanted
from livespot.contracts.orders import CancelRequest
from livespot.contracts.system import Alert, HealthSignal
from livespot.contracts.vocabulary import IntentRole, OrderStatus, SignalLevel
from livespot.testing.execution_bench import SYMBOL, Bench, StepClock, a_decision, bench, remember
from livespot.testing.ledger_rows import fresh
from livespot.testing.scripted_venue import DROP_ANSWER, DROP_REQUEST, ScriptedVenue
from livespot.testing.server_clock import FixedOffset

_FENCE_MS = 8000 + 5000 + 10_000 + 60_000
_STATES = "SELECT role, state FROM order_intents ORDER BY rowid"
_EVIDENCE = "SELECT evidence FROM intent_transitions WHERE to_state = 'NOT_FOUND' ORDER BY id"


def a_stop(*, sl_price: str = "98.00", replaces: tuple[str, int] = ("", 0)) -> ProtectWanted:
    return ProtectWanted(
        position_id="pos_1",
        decision_id="dec_1",
        entry_intent_id="oi_entry",
        symbol=SYMBOL,
        role=IntentRole.TRAIL if replaces[1] else IntentRole.STOP,
        qty=Decimal("0.999"),
        tp_price=Decimal("102.00"),
        sl_price=Decimal(sl_price),
        stop_limit_price=None,
        replaces=replaces[0],
        replaces_order_id=replaces[1],
    )


async def lost_swap(b: Bench, how: str) -> int:
    """A stop stands, and the request that should raise it gets no answer; the stop's number."""
    await b.tell(a_stop())
    (stop,) = b.venue.orders_by_id
    (intent_id,) = b.rows("SELECT order_intent_id FROM order_intents")[0]
    b.venue.script = [how]
    await b.tell(a_stop(sl_price="99.00", replaces=(str(intent_id), stop)))
    assert b.rows(_STATES)[1:] == [("CANCEL", "SENT_UNKNOWN"), ("TRAIL", "SENT_UNKNOWN")]
    return stop


async def pass_the_fence(b: Bench, *, less_ms: int = 0) -> None:
    """The market goes on trading while the fence goes by."""
    b.clock.step(_FENCE_MS - less_ms)
    b.venue.traded_until_ms = b.clock.now_ms() - 30_000
    await b.advance(5000)


@asynccontextmanager
async def after_a_lost_swap(path: Path) -> AsyncIterator[Bench]:
    """The next life after one that ended with the swap's answer outstanding."""
    clock = StepClock()
    venue = ScriptedVenue(clock)
    async with bench(path, venue=venue, clock=clock) as b:
        await lost_swap(b, DROP_REQUEST)
    async with bench(path, venue=venue, clock=clock) as b:
        yield b


async def test_a_swap_that_never_arrived_is_settled_in_both_halves_while_the_old_stop_stands(
    tmp_path: Path,
) -> None:
    async with bench(fresh(tmp_path)) as b:
        stop = await lost_swap(b, DROP_REQUEST)

        await pass_the_fence(b)

        assert b.rows(_STATES)[1:] == [("CANCEL", "NOT_FOUND"), ("TRAIL", "NOT_FOUND")]
        assert b.venue.orders_by_id[stop].status is OrderStatus.NEW
        assert ("behind the fence, the engine beyond, its order still standing",) in b.rows(
            _EVIDENCE
        )
        assert len(b.venue.sent) == 2


async def test_a_restart_settles_the_lost_cancel_too_and_counts_it_as_open_until_then(
    tmp_path: Path,
) -> None:
    async with after_a_lost_swap(fresh(tmp_path)) as b:
        summary = await b.recover()
        assert summary.unresolved == 2
        assert b.states("CANCEL") == ["SENT_UNKNOWN"]

        await pass_the_fence(b)

        assert b.states("CANCEL") == ["NOT_FOUND"]
        assert [r for r in b.venue.sent if isinstance(r, CancelRequest)] == []


async def test_an_order_that_stands_before_the_fence_denies_no_cancel(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        await lost_swap(b, DROP_REQUEST)

        await pass_the_fence(b, less_ms=20_000)

        assert b.states("CANCEL") == ["SENT_UNKNOWN"]


async def test_a_clock_set_forward_does_not_bring_the_denial_of_a_cancel_forward(
    tmp_path: Path,
) -> None:
    async with bench(fresh(tmp_path)) as b:
        await lost_swap(b, DROP_REQUEST)
        server_clock = b.actor.server_clock
        assert isinstance(server_clock, FixedOffset)
        server_clock.offset_ms = 20_000

        await pass_the_fence(b, less_ms=14_000)
        assert b.states("CANCEL") == ["SENT_UNKNOWN"]

        await b.advance(15_000)
        assert b.states("CANCEL") == ["NOT_FOUND"]


async def test_without_a_trade_behind_the_horizon_no_cancel_is_denied(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        await lost_swap(b, DROP_REQUEST)
        b.clock.step(_FENCE_MS)

        await b.advance(5000)

        assert b.states("CANCEL") == ["SENT_UNKNOWN"]


@pytest.mark.parametrize("hidden", ["reads", "lists", "status"])
async def test_an_order_that_no_second_read_shows_standing_denies_no_cancel(
    tmp_path: Path, hidden: str
) -> None:
    async with bench(fresh(tmp_path)) as b:
        stop = await lost_swap(b, DROP_REQUEST)
        b.venue.blind = hidden == "reads"
        b.venue.lagging = frozenset({"open_orders"} if hidden == "lists" else ())
        if hidden == "status":
            b.venue.change(stop, status=OrderStatus.UNKNOWN)

        await pass_the_fence(b)

        assert b.states("CANCEL") == ["SENT_UNKNOWN"]


async def test_a_cancel_that_hit_unheard_is_confirmed_by_the_orders_end(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        await lost_swap(b, DROP_ANSWER)

        await pass_the_fence(b)

        assert b.rows(_STATES)[1:] == [("CANCEL", "CONFIRMED"), ("TRAIL", "CONFIRMED")]


async def test_a_denied_cancel_that_ends_its_order_after_all_is_an_incident(
    tmp_path: Path,
) -> None:
    async with bench(fresh(tmp_path)) as b:
        stop = await lost_swap(b, DROP_REQUEST)
        await pass_the_fence(b)
        cancel = b.rows("SELECT client_order_id FROM order_intents WHERE role = 'CANCEL'")[0][0]
        b.heard(b.actor.governor, HealthSignal)
        own = b.venue.orders_by_id[stop].client_order_id

        b.venue.change(
            stop,
            status=OrderStatus.CANCELED,
            client_order_id=str(cancel),
            orig_client_order_id=own,
        )
        await b.stream(stop)

        assert b.states("CANCEL") == ["CONFIRMED"]
        levels = [s.level for s in b.heard(b.actor.governor, HealthSignal)]
        assert SignalLevel.PAUSE in levels
        assert b.heard(b.actor.governor, Alert) != []


async def test_an_order_that_ends_by_itself_after_the_denial_is_no_incident(
    tmp_path: Path,
) -> None:
    async with bench(fresh(tmp_path)) as b:
        stop = await lost_swap(b, DROP_REQUEST)
        await pass_the_fence(b)
        b.heard(b.actor.governor, HealthSignal)

        b.venue.change(stop, status=OrderStatus.EXPIRED)
        await b.stream(stop)

        assert b.states("CANCEL") == ["NOT_FOUND"]
        assert [s.level for s in b.heard(b.actor.governor, HealthSignal)] == []


async def test_a_cancel_by_name_is_settled_once_its_order_has_a_number(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        b.venue.blind = True
        b.venue.script = [DROP_ANSWER, DROP_REQUEST, *[DROP_REQUEST] * 30]
        decision = a_decision()
        await remember(b, decision)
        await b.approve(decision)
        await b.advance(2000)
        assert b.states("CANCEL") == ["SENT_UNKNOWN"]
        first = b.rows("SELECT order_intent_id FROM order_intents WHERE role = 'CANCEL'")[0][0]

        b.venue.blind = False
        await b.stream(100)
        await pass_the_fence(b)

        sql = "SELECT state FROM order_intents WHERE order_intent_id = ?"
        assert b.rows(sql, first) == [("NOT_FOUND",)]
        assert len(b.venue.working_buys()) == 1


async def test_the_position_is_told_once_how_its_swap_ended(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        await lost_swap(b, DROP_REQUEST)

        await pass_the_fence(b)

        told = b.heard(b.actor.position, MutationSettled)
        assert [m.outcome for m in told if m.outcome == "NOT_FOUND"] == ["NOT_FOUND"]
        assert told[-1].role is IntentRole.TRAIL


async def test_the_symbol_of_a_lost_cancel_takes_entries_again(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        await lost_swap(b, DROP_REQUEST)
        decision = a_decision()
        await remember(b, decision)
        await b.approve(decision)
        assert b.states("ENTRY") == []

        await pass_the_fence(b)
        await b.approve(decision)

        assert b.states("ENTRY") == ["CONFIRMED"]
