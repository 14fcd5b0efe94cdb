"""A report that a placement was refused is no order: it confirms nothing and denies nothing."""

from pathlib import Path

import msgspec
import pytest

from livespot.actors.mail import EntryEnded, OrderProgressed, RejectSeen
from livespot.contracts.errors import ClockRefused, FilterRefused, KeyRefused, Refused, Throttled
from livespot.contracts.orders import ListRequest, ListView, OrderRequest, OrderUpdate
from livespot.contracts.settings import ExitSettings, Settings
from livespot.contracts.vocabulary import OrderStatus
from livespot.testing.execution_bench import Bench, a_decision, bench
from livespot.testing.ledger_rows import fresh, order
from livespot.testing.scripted_venue import DROP_ANSWER, DROP_REQUEST

_LIST_ID = 4000
_ORDER_ID = 5000


def _refusals(b: Bench) -> list[OrderUpdate]:
    """What the stream says of a placement the engine refused, under numbers of their own."""
    request = b.venue.sent[0]
    assert isinstance(request, OrderRequest | ListRequest)
    if isinstance(request, OrderRequest):
        names = [request.client_order_id]
    else:
        assert request.working is not None
        legs = (request.working, request.above, request.below)
        names = [leg.client_order_id for leg in legs]
    return [
        OrderUpdate(
            order=msgspec.structs.replace(
                order(OrderStatus.REJECTED).order,
                symbol=request.symbol,
                order_id=_ORDER_ID + number,
                client_order_id=name,
                order_list_id=_LIST_ID if len(names) > 1 else -1,
                exchange_time_ms=b.clock.now_ms(),
            ),
            fills=(),
            source="STREAM",
        )
        for number, name in enumerate(names)
    ]


def _refused_list(b: Bench) -> ListView:
    request = b.venue.sent[0]
    assert isinstance(request, ListRequest)
    return ListView(
        symbol=request.symbol,
        order_list_id=_LIST_ID,
        list_client_order_id=request.list_client_order_id,
        contingency_type="OTO",
        list_status_type="RESPONSE",
        list_order_status="REJECT",
        legs=(),
        exchange_time_ms=b.clock.now_ms(),
        local_received_ms=b.clock.now_ms(),
    )


@pytest.mark.parametrize("attach", ["ATTACHED", "SEPARATE"])
async def test_a_refusal_on_the_stream_leaves_the_intent_unknown(
    tmp_path: Path, attach: str
) -> None:
    settings = Settings(exit=ExitSettings(attach=attach))
    async with bench(fresh(tmp_path), settings=settings) as b:
        b.venue.script = [DROP_REQUEST]
        await b.approve(a_decision(settings))
        if attach == "ATTACHED":
            await b.tell(_refused_list(b))
        for report in _refusals(b):
            await b.tell(report)

        assert b.states("ENTRY") == ["SENT_UNKNOWN"]
        assert b.rows("SELECT count(*) FROM orders") == [(0,)]
        assert b.heard(b.actor.risk, EntryEnded) == []
        assert ["ORDER_SUBMIT_REJECTED"] in b.reasons_of("ORDER_UPDATE")


async def test_an_order_whose_request_arrived_twice_stays_the_one_that_was_accepted(
    tmp_path: Path,
) -> None:
    async with bench(fresh(tmp_path)) as b:
        b.venue.script = [DROP_ANSWER]
        b.venue.blind = True
        await b.approve(a_decision())
        for report in _refusals(b):
            await b.tell(report)
        b.venue.blind = False
        await b.advance(6000)

        assert b.states("ENTRY") == ["CONFIRMED"]
        assert b.heard(b.actor.risk, EntryEnded) == []
        known = b.rows("SELECT order_id FROM orders ORDER BY order_id")
        assert known == [(order_id,) for order_id in sorted(b.venue.orders_by_id)]


async def test_a_refused_repetition_of_a_confirmed_entry_changes_nothing(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        await b.approve(a_decision())
        before = b.rows("SELECT order_id, status FROM orders ORDER BY order_id")
        b.heard(b.actor.position, OrderProgressed)

        await b.tell(_refused_list(b))
        for report in _refusals(b):
            await b.tell(report)

        assert b.rows("SELECT order_id, status FROM orders ORDER BY order_id") == before
        assert b.heard(b.actor.position, OrderProgressed) == []
        assert b.heard(b.actor.risk, EntryEnded) == []


async def test_a_leg_refused_when_its_list_armed_is_an_order_that_ended(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        await b.approve(a_decision())
        leg = max(b.venue.orders_by_id)
        b.venue.change(leg, status=OrderStatus.REJECTED)

        await b.stream(leg)

        assert b.rows("SELECT status FROM orders WHERE order_id = ?", leg) == [("REJECTED",)]


_LATE = ClockRefused(-1021, "outside of the recvWindow", ahead=False)
_POOR = Refused(-2010, "Account has insufficient balance for requested action.")


@pytest.mark.parametrize(
    ("error", "filter_name"),
    [
        (_LATE, ""),
        (_POOR, ""),
        (FilterRefused(-1013, "Filter failure: LOT_SIZE", filter_name="LOT_SIZE"), "LOT_SIZE"),
    ],
)
async def test_risk_hears_of_an_entry_that_would_be_refused_again(
    tmp_path: Path, error: Refused, filter_name: str
) -> None:
    async with bench(fresh(tmp_path)) as b:
        b.venue.script = [error]

        await b.approve(a_decision())

        (seen,) = b.heard(b.actor.risk, RejectSeen)
        assert (seen.code, seen.filter_name) == (error.code, filter_name)


@pytest.mark.parametrize(
    "error",
    [
        Refused(-2010, "Order would immediately match and take."),
        Throttled(retry_after_ms=1000, banned=False),
        KeyRefused(-2015, "Invalid API-key"),
    ],
)
async def test_what_is_priced_anew_or_concerns_the_account_does_not_speak_against_the_symbol(
    tmp_path: Path, error: Exception
) -> None:
    async with bench(fresh(tmp_path)) as b:
        b.venue.script = [error]

        await b.approve(a_decision())

        assert b.heard(b.actor.risk, RejectSeen) == []
