"""Each comparison with the exchange's journal holds for the right story and names what is wrong."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from livespot.evidence.findings import Finding
from livespot.evidence.invariants import check_all
from livespot.evidence.journal import JournalFill, JournalOrder, JournalRequest, JournalRows
from livespot.evidence.rows import Facts
from livespot.testing.finished_run_journal import LOST_MS, START_MS, SYMBOL

OWN_SHAPED = "X_" + "A" * 34


def found(name: str, facts: Facts, journal: JournalRows) -> Finding:
    return next(finding for finding in check_all(facts, journal) if finding.id == name)


def fill_like(fill: JournalFill, **changes: object) -> JournalFill:
    return replace(fill, **changes)


def with_order(journal: JournalRows, **changes: object) -> JournalRows:
    """One more order, at the end of the journal unless it says otherwise."""
    order: JournalOrder = replace(journal.orders[0], **{"row": 1000, "status": "NEW", **changes})
    return replace(journal, orders=(*journal.orders, order))


def with_request(journal: JournalRows, path: str, **params: str) -> JournalRows:
    request = JournalRequest(
        row=1000, arrived_ms=LOST_MS + 2, method="WS", path=path, params=params, outcome="200"
    )
    return replace(journal, requests=(*journal.requests, request))


def test_every_check_saw_something_and_held(facts: Facts, journal: JournalRows) -> None:
    findings = check_all(facts, journal)

    assert [f.id for f in findings if not f.proven] == []
    assert [f.id for f in findings] == sorted({f.id for f in findings})


def test_without_a_journal_the_comparisons_prove_nothing(facts: Facts) -> None:
    unseen = [f for f in check_all(facts, None) if not f.looked_at]

    assert {f.id for f in unseen} >= {"I01", "I03", "I04", "I07", "I11", "I13"}
    assert all(f.holds and not f.proven for f in unseen)
    assert {f.detail for f in unseen} == {"no exchange journal to compare with"}


def test_an_empty_journal_beside_fills_is_not_passed(facts: Facts) -> None:
    finding = found("I07", facts, JournalRows(source="empty"))

    assert not finding.holds
    assert "only in the ledger" in finding.detail


def test_a_client_id_of_two_orders_is_named(facts: Facts, journal: JournalRows) -> None:
    finding = found("I01", facts, with_order(journal, order_id=99))

    assert (finding.holds, finding.detail) == (False, "X_e stands for 2 orders")


def test_a_client_id_accepted_twice_is_named(facts: Facts, journal: JournalRows) -> None:
    twice = with_request(journal, "order.place", newClientOrderId="X_b", side="BUY")

    finding = found("I01", facts, twice)

    assert (finding.holds, finding.detail) == (False, "X_b was accepted 2 times")


def test_a_missing_unique_index_is_named(facts: Facts, journal: JournalRows) -> None:
    bare = replace(facts, file=replace(facts.file, unique_client_ids=False))

    assert "unique index" in found("I01", bare, journal).detail


@pytest.mark.parametrize(
    ("name", "words"),
    [
        pytest.param(OWN_SHAPED, "does not know our order", id="own-shaped"),
        pytest.param("by-hand", "never announced", id="foreign"),
    ],
)
def test_an_order_the_ledger_does_not_know_is_named(
    facts: Facts, journal: JournalRows, name: str, words: str
) -> None:
    stranger = with_order(journal, order_id=99, client_order_id=name)

    finding = found("I03", facts, stranger)

    assert not finding.holds
    assert words in finding.detail


@pytest.mark.parametrize("status", ["REJECTED", "FILLED", "EXPIRED"])
def test_a_foreign_order_that_stood_briefly_needs_no_announcement(
    facts: Facts, journal: JournalRows, status: str
) -> None:
    begun = with_order(journal, order_id=99, client_order_id="by-hand")
    at_ms = begun.orders[-1].created_ms
    moment = with_order(begun, order_id=99, client_order_id="by-hand", status=status, at_ms=at_ms)
    later = with_order(
        begun, order_id=99, client_order_id="by-hand", status=status, at_ms=at_ms + 75_000
    )
    ours = with_order(journal, client_order_id=OWN_SHAPED, status=status, at_ms=at_ms)

    assert found("I03", facts, moment).holds
    assert "never announced" in found("I03", facts, later).detail
    assert "does not know our order" in found("I03", facts, ours).detail


def test_an_announced_foreign_order_is_accepted(facts: Facts, journal: JournalRows) -> None:
    alert = replace(facts.alerts[0], code="FOREIGN_ORDER_DETECTED", symbol=SYMBOL)
    told = replace(facts, alerts=(*facts.alerts, alert))

    stranger = with_order(journal, order_id=99, client_order_id="by-hand")

    assert found("I03", told, stranger).holds


def test_a_request_without_an_intent_is_named(facts: Facts, journal: JournalRows) -> None:
    loose = with_request(journal, "order.cancel", newClientOrderId="X_never")

    assert "X_never has no intent" in found("I04", facts, loose).detail


def test_a_request_before_its_row_is_named(facts: Facts, journal: JournalRows) -> None:
    early = replace(journal.requests[0], arrived_ms=START_MS)
    ahead = replace(journal, requests=(early, *journal.requests[1:]))

    assert "before its row" in found("I04", facts, ahead).detail


def test_a_cancel_is_measured_by_its_own_row_and_not_by_its_orders(
    facts: Facts, journal: JournalRows
) -> None:
    cancel = next(r for r in journal.requests if r.verb == "cancel")
    intent = next(i for i in facts.intents if i.client_order_id == cancel.own_ids[0])
    late = tuple(
        replace(step, at_ms=step.at_ms + 10_000)
        if step.order_intent_id == intent.order_intent_id
        else step
        for step in facts.transitions
    )

    finding = found("I04", replace(facts, transitions=late), journal)

    assert f"{cancel.own_ids[0]} arrived" in finding.detail


def test_a_request_of_an_intent_never_sent_is_named(facts: Facts, journal: JournalRows) -> None:
    unsent = replace(facts, transitions=())

    assert "never became SENT_UNKNOWN" in found("I04", unsent, journal).detail


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        pytest.param("qty", Decimal("10.01"), "differs in quantity", id="quantity"),
        pytest.param("price", Decimal("1.0001"), "differs in price", id="price"),
        pytest.param("fee", Decimal("0.02"), "differs in fee", id="fee"),
        pytest.param("fee_asset", "BNB", "differs in fee asset", id="fee-asset"),
        pytest.param("side", "SELL", "differs in side", id="side"),
        pytest.param("order_id", 12, "differs in order", id="order"),
    ],
)
def test_a_fill_that_differs_in_anything_is_named(
    facts: Facts, journal: JournalRows, field: str, value: object, words: str
) -> None:
    bent = replace(
        journal, fills=(fill_like(journal.fills[0], **{field: value}), *journal.fills[1:])
    )

    finding = found("I07", facts, bent)

    assert (finding.holds, finding.detail) == (False, f"trade 1 on {SYMBOL} {words}")


def test_equal_amounts_written_with_other_zeros_are_equal(
    facts: Facts, journal: JournalRows
) -> None:
    same = fill_like(journal.fills[0], qty=Decimal("10.00000000"))

    assert found("I07", facts, replace(journal, fills=(same, *journal.fills[1:]))).holds


def test_a_fill_the_ledger_missed_is_named(facts: Facts, journal: JournalRows) -> None:
    missed = replace(facts, fills=facts.fills[:1])

    assert found("I07", missed, journal).detail == f"trade 2 on {SYMBOL} is missing in the ledger"


def test_a_fill_the_exchange_never_made_is_named(facts: Facts, journal: JournalRows) -> None:
    fewer = replace(journal, fills=journal.fills[:1])

    assert found("I07", facts, fewer).detail == f"trade 2 on {SYMBOL} is only in the ledger"


def test_a_fill_reported_twice_is_named(facts: Facts, journal: JournalRows) -> None:
    twice = replace(journal, fills=(*journal.fills, journal.fills[0]))

    assert found("I07", facts, twice).detail == f"the exchange reports ('{SYMBOL}', 1) 2 times"


def test_a_negative_balance_is_named(facts: Facts, journal: JournalRows) -> None:
    below = replace(journal.balances[0], free=Decimal("-0.01"))

    finding = found("I09", facts, replace(journal, balances=(below,)))

    assert (finding.holds, finding.detail) == (False, "ADA fell to -0.01")


def test_more_offered_than_bought_is_named(facts: Facts, journal: JournalRows) -> None:
    legs = [order for order in journal.orders if order.side == "SELL" and order.status == "NEW"]
    beside = replace(
        legs[0], row=legs[-1].row, order_id=98, list_client_order_id="", qty=Decimal("0.02")
    )

    finding = found("I11", facts, replace(journal, orders=(*journal.orders, beside)))

    assert (finding.holds, finding.detail) == (False, f"{SYMBOL}: 10.01 offered, 10.00 held")


def traded(journal: JournalRows, rounds: int, offered: str) -> JournalRows:
    """Positions of 10 one after the other, each sold but for 0.01, which went to the fee.

    Within the last one, `offered` is offered for sale.
    """
    sale = next(order for order in journal.orders if order.side == "SELL" and order.is_open)
    fills, orders = [], []
    for n in range(rounds):
        row, last = 10 * n + 1, n == rounds - 1
        qty = Decimal(offered if last else "9.99")
        alone = replace(sale, order_id=200 + n, list_client_order_id="", qty=qty)
        bought = replace(journal.fills[0], row=row, order_id=100 + n, side="BUY", qty=Decimal(10))
        fills.append(bought)
        orders.append(replace(alone, row=row + 1))
        if not last:
            ended = replace(alone, row=row + 2, executed_qty=qty, status="FILLED")
            sold = replace(bought, row=row + 3, order_id=200 + n, side="SELL", qty=qty)
            fills.append(sold)
            orders.append(ended)
    return replace(journal, fills=tuple(fills), orders=tuple(orders))


@pytest.mark.parametrize(("offered", "holds"), [("10", True), ("10.01", False)])
def test_what_fees_left_of_many_positions_lets_no_later_one_offer_more(
    facts: Facts, journal: JournalRows, offered: str, *, holds: bool
) -> None:
    finding = found("I11", facts, traded(journal, 1500, offered))

    assert finding.holds is holds


def test_what_an_entrys_later_fill_bought_belongs_to_its_position(
    facts: Facts, journal: JournalRows
) -> None:
    """A part was sold in between, and nothing is on the book."""
    rounds = traded(journal, 2, "10.01")
    fills = tuple(replace(fill, order_id=100) if fill.row == 11 else fill for fill in rounds.fills)

    assert found("I11", facts, replace(rounds, fills=fills)).holds


def test_what_another_hand_offers_is_no_protection(facts: Facts, journal: JournalRows) -> None:
    legs = [order for order in journal.orders if order.side == "SELL" and order.status == "NEW"]
    strange = replace(
        legs[0],
        row=legs[-1].row,
        order_id=98,
        client_order_id="web_of_another_hand",
        list_client_order_id="",
        qty=Decimal(11),
    )

    finding = found("I11", facts, replace(journal, orders=(*journal.orders, strange)))

    assert (finding.holds, finding.looked_at) == (True, 2)


def test_two_legs_of_one_list_count_once(facts: Facts, journal: JournalRows) -> None:
    assert found("I11", facts, journal).looked_at == 2


def after_a_change(facts: Facts, intent_id: str) -> Facts:
    """The change of mode that comes next is on record just before the intent is sent."""
    places = [n for n, event in enumerate(facts.events) if event.order_intent_id == intent_id]
    changes = [n for n, e in enumerate(facts.events) if e.event_type == "SYSMODE_CHANGED"]
    moved = next(n for n in changes if n > places[-1])
    events = list(facts.events)
    events.insert(places[0], events.pop(moved))
    return replace(facts, events=tuple(events))


@pytest.mark.parametrize("kind", ["order", "row", "signature"])
def test_a_buy_outside_normal_is_named(facts: Facts, journal: JournalRows, kind: str) -> None:
    if kind == "order":
        finding = found("I13", after_a_change(facts, "oi_b"), journal)
    elif kind == "row":
        modes = tuple(
            replace(mode, at_ms=LOST_MS - 1000) if mode.previous == "NORMAL" else mode
            for mode in facts.modes[:3]
        )
        finding = found("I13", replace(facts, modes=modes, events=()), journal)
    else:
        params = {**journal.requests[1].params, "timestamp": str(START_MS + 120_000)}
        late = replace(journal.requests[1], params=params)
        finding = found("I13", facts, replace(journal, requests=(late,)))

    assert not finding.holds
    assert "X_b was" in finding.detail
    assert "outside NORMAL" in finding.detail


def test_a_buy_signed_before_normal_began_is_named(facts: Facts, journal: JournalRows) -> None:
    params = {**journal.requests[0].params, "timestamp": str(facts.modes[1].at_ms - 300)}
    early = replace(journal.requests[0], params=params)

    finding = found("I13", facts, replace(journal, requests=(early,)))

    assert "was signed at" in finding.detail


@pytest.mark.parametrize("ms", [-60_000, 60_000])
def test_a_clock_set_between_a_buy_and_the_change_of_mode_blames_nobody(
    facts: Facts, journal: JournalRows, ms: int
) -> None:
    modes = tuple(
        replace(mode, at_ms=mode.at_ms + ms) if mode.previous == "NORMAL" else mode
        for mode in facts.modes
    )

    assert found("I13", replace(facts, modes=modes), journal).holds


def test_a_buy_in_the_millisecond_of_the_change_is_not_blamed(
    facts: Facts, journal: JournalRows
) -> None:
    sent_ms = facts.sent_at()["oi_b"]
    modes = tuple(
        replace(mode, at_ms=sent_ms) if mode.previous == "NORMAL" else mode
        for mode in facts.modes[:3]
    )

    assert found("I13", replace(facts, modes=modes, events=()), journal).holds


def test_a_failed_filter_is_named(facts: Facts, journal: JournalRows) -> None:
    refused = replace(journal.requests[1], outcome="400 -1013")

    finding = found("I16", facts, replace(journal, requests=(refused,)))

    assert (finding.holds, finding.detail) == (False, "X_b failed a filter")


@pytest.mark.parametrize(
    ("path", "params"),
    [
        pytest.param("openOrders.cancelAll", {"symbol": SYMBOL}, id="wholesale"),
        pytest.param("order.cancel", {"orderId": "77"}, id="foreign-order"),
        pytest.param("order.cancel", {"origClientOrderId": "by-hand"}, id="foreign-id"),
    ],
)
def test_a_cancel_of_anything_else_is_named(
    facts: Facts, journal: JournalRows, path: str, params: dict[str, str]
) -> None:
    assert not found("I37", facts, with_request(journal, path, **params)).holds
