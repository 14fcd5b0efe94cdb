"""Reprices of an entry without a list: one request, two rows, every way it can end."""

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from livespot.actors.mail import EntryEnded, MutationCounted
from livespot.contracts.orders import CancelReplaceRequest, CancelRequest, OrderRequest
from livespot.contracts.settings import ExitSettings, Settings
from livespot.contracts.system import HealthSignal
from livespot.contracts.vocabulary import (
    IntentAction,
    IntentRole,
    OrderStatus,
    SignalLevel,
    SysMode,
)
from livespot.testing.execution_bench import Bench, a_decision, bench, remember
from livespot.testing.ledger_rows import fresh
from livespot.testing.scripted_venue import DROP_ANSWER, DROP_REQUEST, PlacementRefused, refused

SEPARATE = Settings(exit=ExitSettings(attach="SEPARATE"))
_ROWS = "SELECT role, state, request_id, client_order_id FROM order_intents ORDER BY rowid"


async def until_repriced(b: Bench) -> None:
    """An entry whose life is over, up to the first answer to its reprice."""
    await b.approve(a_decision(SEPARATE))
    await b.advance(30_000)


def last_rows(b: Bench) -> list[tuple[str, str]]:
    """Role and state of the two rows of the request, which share its id."""
    rows = [row for row in b.rows(_ROWS) if row[2]]
    assert len({row[2] for row in rows}) == 1
    assert rows[-1][2] == rows[-1][3]
    return [(row[0], row[1]) for row in rows]


async def test_a_reprice_is_one_request_with_two_linked_rows(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path), settings=SEPARATE) as b:
        await until_repriced(b)

        first, request = b.venue.sent
        assert isinstance(first, OrderRequest)
        assert isinstance(request, CancelReplaceRequest)
        assert (request.cancel.order_id, request.cancel.only_new) == (100, True)
        assert request.order.qty <= first.qty
        assert request.order.client_order_id != first.client_order_id
        assert last_rows(b) == [("CANCEL", "CONFIRMED"), ("ENTRY", "CONFIRMED")]
        assert b.states_at_send[-1] == "SENT_UNKNOWN"
        assert [o.status for o in b.venue.orders_by_id.values()] == [
            OrderStatus.CANCELED,
            OrderStatus.NEW,
        ]


async def test_it_counts_once_against_churn_whatever_became_of_it(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path), settings=SEPARATE) as b:
        await until_repriced(b)

        counted = [m.action for m in b.heard(b.actor.risk, MutationCounted)]
        assert counted == [IntentAction.SUBMIT, IntentAction.CANCEL_REPLACE]


async def test_cancelled_but_refused_settles_each_row_by_its_own_answer(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path), settings=SEPARATE) as b:
        b.venue.script = ["ACCEPT", PlacementRefused(-2010, "Account has insufficient balance")]
        await until_repriced(b)
        await b.advance(2000)

        assert last_rows(b) == [("CANCEL", "CONFIRMED"), ("ENTRY", "FAILED_TERMINAL")]
        (ended,) = b.heard(b.actor.position, EntryEnded)
        assert ended.filled_qty == 0
        assert b.venue.working_buys() == []


async def test_a_maker_refusal_after_the_cancel_is_followed_by_a_fresh_attempt(
    tmp_path: Path,
) -> None:
    async with bench(fresh(tmp_path), settings=SEPARATE) as b:
        text = "Order would immediately match and take."
        b.venue.script = ["ACCEPT", PlacementRefused(-2010, text)]
        await until_repriced(b)
        await b.advance(2000)

        assert isinstance(b.venue.sent[-1], OrderRequest)
        assert len(b.venue.working_buys()) == 1


async def test_a_partial_fill_in_between_stops_both_halves(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path), settings=SEPARATE) as b:
        await b.approve(a_decision(SEPARATE))
        await b.advance(29_900)
        b.venue.fill(100, "0.001")
        await b.advance(3000)

        assert last_rows(b) == [("CANCEL", "FAILED_TERMINAL"), ("ENTRY", "FAILED_TERMINAL")]
        (ended,) = b.heard(b.actor.position, EntryEnded)
        assert ended.filled_qty == Decimal("0.001")
        assert b.venue.working_buys() == []


async def test_a_refusal_of_the_whole_leaves_the_order_to_a_plain_cancel(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path), settings=SEPARATE) as b:
        b.venue.script = ["ACCEPT", refused(-1013, "Filter failure: MAX_NUM_ORDERS")]
        await until_repriced(b)
        await b.advance(2000)

        assert last_rows(b) == [("CANCEL", "FAILED_TERMINAL"), ("ENTRY", "FAILED_TERMINAL")]
        kinds = [type(request) for request in b.venue.sent]
        assert kinds[2:4] == [CancelRequest, OrderRequest]
        assert len(b.venue.working_buys()) == 1


@pytest.mark.parametrize("how", [DROP_ANSWER, DROP_REQUEST])
async def test_a_lost_answer_leaves_nothing_working_and_buys_nothing_twice(
    tmp_path: Path, how: str
) -> None:
    async with bench(fresh(tmp_path), settings=SEPARATE) as b:
        b.venue.script = ["ACCEPT", how]
        await until_repriced(b)
        assert [state for _, state in last_rows(b)] == ["SENT_UNKNOWN", "SENT_UNKNOWN"]
        await b.advance(5000)
        b.venue.traded_until_ms = b.clock.now_ms() + 200_000

        if how == DROP_REQUEST:
            await b.advance(100_000)

        assert b.venue.working_buys() == []
        replaces = [r for r in b.venue.sent if isinstance(r, CancelReplaceRequest)]
        assert len(replaces) == 1
        expected = "CONFIRMED" if how == DROP_ANSWER else "NOT_FOUND"
        assert dict(last_rows(b))["ENTRY"] == expected
        assert len(b.heard(b.actor.position, EntryEnded)) == 1


async def test_a_lost_mode_stops_the_request_before_its_first_byte(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path), settings=SEPARATE) as b:
        await b.approve(a_decision(SEPARATE))
        await b.advance(29_900)
        b.gate.set(SysMode.DEGRADE)
        await b.advance(2000)

        assert not any(isinstance(r, CancelReplaceRequest) for r in b.venue.sent)
        assert b.venue.working_buys() == []


async def test_a_symbol_without_cancel_replace_reprices_in_two_steps(tmp_path: Path) -> None:
    symbol = {"cancel_replace_allowed": False}
    async with bench(fresh(tmp_path), settings=SEPARATE, symbol=symbol) as b:
        await until_repriced(b)
        await b.advance(500)

        kinds = [type(request) for request in b.venue.sent]
        assert kinds == [OrderRequest, CancelRequest, OrderRequest]


async def test_the_replaced_attempt_keeps_its_own_rows(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path), settings=SEPARATE) as b:
        await until_repriced(b)
        stored = b.rows("SELECT payload FROM order_intents WHERE role = ?", IntentRole.ENTRY.value)

        payloads = [msgspec.json.decode(row[0]) for row in stored]
        assert all(p["cancel_replace"] is None and p["order"] for p in payloads)


@pytest.mark.parametrize("how", [DROP_ANSWER, DROP_REQUEST])
async def test_a_process_that_died_with_the_answer_outstanding_winds_both_orders_down(
    tmp_path: Path, how: str
) -> None:
    path = fresh(tmp_path)
    async with bench(path, settings=SEPARATE) as b:
        await remember(b, a_decision(SEPARATE))
        b.venue.script = ["ACCEPT", how]
        await until_repriced(b)
        venue, clock = b.venue, b.clock
    async with bench(path, settings=SEPARATE, venue=venue, clock=clock) as b:
        venue.traded_until_ms = clock.now_ms() + 200_000
        await b.recover()
        await b.advance(100_000)

        levels = [s.level for s in b.heard(b.actor.governor, HealthSignal)]
        assert SignalLevel.PAUSE not in levels
        assert venue.working_buys() == []
        assert len(b.heard(b.actor.position, EntryEnded)) == 1
