"""What an answer says was executed and nobody looked at is found."""

from dataclasses import replace

from msgspec.structs import replace as changed

from livespot.evidence.journal import JournalRequest
from livespot.exchange.faults.plan import Fault, ReadLag
from livespot.exchange.journal import FillRow, OrderRow, RequestRow
from livespot.testing.search.answer_checks import (
    answers_are_booked,
    each_fill_is_told_once,
    no_answer_is_left_unread,
)
from livespot.testing.search.witness import Witness


def cancelled(witness: Witness) -> tuple[Witness, FillRow]:
    """The run, and a cancel answered right after the entry's first fill that ended its order."""
    rows = list(witness.rows)
    fill = next(row for row in rows if isinstance(row, FillRow))
    order = next(row for row in rows if isinstance(row, OrderRow) and row.cid == fill.cid)
    answer = changed(
        next(row for row in rows if isinstance(row, RequestRow)),
        method="DELETE",
        path="/api/v3/order",
        params={"symbol": fill.sym, "origClientOrderId": fill.cid},
        t_arrive=fill.t_ms + 1,
        t_reply=fill.t_ms + 2,
        outcome="200",
        delivered=True,
    )
    request = JournalRequest(
        row=len(rows) + 2,
        arrived_ms=answer.t_arrive,
        method=answer.method,
        path=answer.path,
        params=answer.params,
        outcome=answer.outcome,
    )
    ended = changed(order, t_end=fill.t_ms + 1)
    journal = changed(witness.journal, requests=(*witness.journal.requests, request))
    told = replace(
        witness,
        rows=(*rows, ended, answer),
        offsets=(*witness.offsets, 0, 0),
        journal=journal,
    )
    return told, fill


def test_a_fill_that_a_cancels_answer_told_of_must_be_booked_soon(witness: Witness) -> None:
    told, fill = cancelled(witness)
    key = (fill.sym, fill.tid)
    late = replace(told, received={**told.received, key: fill.t_ms + 20_000})
    never = replace(told, received={k: at for k, at in told.received.items() if k != key})

    assert answers_are_booked(told).proven
    assert "ms too late" in answers_are_booked(late).detail
    assert "never" in answers_are_booked(never).detail


def test_nothing_is_asked_of_a_run_whose_reads_lag(witness: Witness) -> None:
    told, _ = cancelled(witness)
    plan = changed(told.plan, faults=(Fault(id="lag", what=ReadLag(ms=500)),))

    assert not answers_are_booked(replace(told, plan=plan)).looked_at


def test_an_answer_that_nobody_waited_for_at_an_orderly_end_is_found(witness: Witness) -> None:
    finding = no_answer_is_left_unread(witness)
    entry = next(intent for intent in witness.facts.intents if intent.is_entry)
    steps = tuple(
        step
        for step in witness.facts.transitions
        if step.order_intent_id != entry.order_intent_id or step.to_state == "SENT_UNKNOWN"
    )
    deaf = replace(witness, facts=changed(witness.facts, transitions=steps))

    assert finding.proven
    assert "nobody listened" in no_answer_is_left_unread(deaf).detail


def test_a_banned_address_learns_nothing_of_an_order_so_nothing_was_left_unread(
    witness: Witness,
) -> None:
    told, _ = cancelled(witness)
    *before, request = told.journal.requests
    banned = changed(request, params={}, outcome="418 -1003")
    refused = replace(told, journal=changed(told.journal, requests=(*before, banned)))
    nameless = replace(
        told, journal=changed(told.journal, requests=(*before, changed(request, params={})))
    )

    assert no_answer_is_left_unread(refused).proven
    assert "nobody listened" in no_answer_is_left_unread(nameless).detail


def test_an_execution_that_a_second_life_books_again_is_found(witness: Witness) -> None:
    again = replace(witness, told_fills=(*witness.told_fills, witness.told_fills[0]))

    assert each_fill_is_told_once(witness).proven
    assert "was booked 2 times" in each_fill_is_told_once(again).detail
