"""What an answer says was executed and nobody looked at is found."""

from dataclasses import replace
from typing import Any

import pytest
from msgspec.structs import replace as changed

from livespot.evidence.journal import JournalRequest
from livespot.exchange.faults.plan import (
    AcceptThen,
    DropResponse,
    Ending,
    Fault,
    ReadLag,
    Reset,
    SuspendClock,
    Verb,
)
from livespot.exchange.journal import (
    FillRow,
    ModeRow,
    OrderRow,
    ReplyRow,
    RequestRow,
    with_their_replies,
)
from livespot.testing.search.answer_checks import (
    answers_are_booked,
    each_fill_is_told_once,
    no_answer_is_left_unread,
)
from livespot.testing.search.board import Noted
from livespot.testing.search.plan import DeathPlan
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


def without_word(witness: Witness) -> Witness:
    """The same run without the record of the entry's answer; the stream told of its order."""
    entry = next(intent for intent in witness.facts.intents if intent.is_entry)
    events = tuple(
        event
        for event in witness.facts.events
        if (event.order_intent_id, event.event_type) != (entry.order_intent_id, "ORDER_SUBMIT")
    )
    return replace(witness, facts=changed(witness.facts, events=events))


def without_any_word(witness: Witness) -> Witness:
    """The same run in which the entry's intent stays in doubt."""
    entry = next(intent for intent in witness.facts.intents if intent.is_entry)
    steps = tuple(
        step
        for step in witness.facts.transitions
        if (step.order_intent_id, step.from_state) != (entry.order_intent_id, "SENT_UNKNOWN")
    )
    return replace(witness, facts=changed(witness.facts, transitions=steps))


def by_socket(witness: Witness) -> Witness:
    requests = tuple(
        changed(request, method="WS", path="orderList.place.opoco") if request.buys else request
        for request in witness.journal.requests
    )
    return replace(witness, journal=changed(witness.journal, requests=requests))


@pytest.mark.parametrize("socket", [False, True])
def test_an_answer_that_nobody_waited_for_at_an_orderly_end_is_found(
    witness: Witness, *, socket: bool
) -> None:
    deaf = without_word(by_socket(witness) if socket else witness)

    assert no_answer_is_left_unread(by_socket(witness)).proven
    assert no_answer_is_left_unread(witness).proven
    assert "nobody listened" in no_answer_is_left_unread(deaf).detail


def test_an_answer_after_the_wait_was_over_may_be_known_from_the_stream(witness: Witness) -> None:
    deaf = without_word(witness)
    entry = next(request for request in deaf.journal.requests if request.buys)
    row = deaf.rows[entry.row - 1]
    assert isinstance(row, RequestRow)
    late = changed(row, t_first_byte=row.t_reply - 8000)
    rows = (*deaf.rows[: entry.row - 1], late, *deaf.rows[entry.row :])

    assert not no_answer_is_left_unread(replace(deaf, rows=rows)).violated


def after_the_entry(witness: Witness, **fate: Any) -> Witness:
    """The same run, with a word about when the entry's answer left, or whether."""
    entry = next(request for request in witness.journal.requests if request.buys)
    row = witness.rows[entry.row - 1]
    assert isinstance(row, RequestRow)
    rows = with_their_replies([*witness.rows, ReplyRow(rid=row.rid, **fate)])
    return replace(witness, rows=rows, offsets=(*witness.offsets, 0))


def entry_answered_ms(witness: Witness) -> int:
    entry = next(request for request in witness.journal.requests if request.buys)
    row = witness.rows[entry.row - 1]
    assert isinstance(row, RequestRow)
    return row.t_reply


def test_a_reply_that_left_the_socket_too_late_may_be_known_from_the_stream(
    witness: Witness,
) -> None:
    deaf = without_word(by_socket(witness))
    at_ms = entry_answered_ms(deaf)

    assert no_answer_is_left_unread(deaf).violated
    assert no_answer_is_left_unread(
        after_the_entry(deaf, t_ms=at_ms + 1000, delivered=True)
    ).violated
    assert not no_answer_is_left_unread(
        after_the_entry(deaf, t_ms=at_ms + 9000, delivered=True)
    ).violated


def test_a_reply_that_was_lost_on_the_socket_can_be_read_by_nobody(witness: Witness) -> None:
    deaf = without_word(by_socket(witness))
    lost = after_the_entry(deaf, t_ms=entry_answered_ms(deaf), delivered=False)

    assert no_answer_is_left_unread(deaf).violated
    assert not no_answer_is_left_unread(lost).violated


@pytest.mark.parametrize(("after_ms", "found"), [(-1, True), (0, False), (20, False), (21, True)])
def test_a_reply_is_lost_with_a_socket_that_is_cut_before_it_can_have_arrived(
    witness: Witness, after_ms: int, *, found: bool
) -> None:
    deaf = without_word(by_socket(witness))
    cut = ModeRow(t_ms=entry_answered_ms(deaf) + after_ms, fault="cut", event="fire", fired=1)
    plan = changed(deaf.plan, faults=(Fault(id="cut", what=Reset(target="ws_api")),))
    told = replace(deaf, plan=plan, rows=(*deaf.rows, cut), offsets=(*deaf.offsets, 0))

    assert no_answer_is_left_unread(told).violated is found


_CLOSING = AcceptThen(then=DropResponse(target="ws_api", then="close"))


def with_a_lost_reply(
    witness: Witness, *, what: Verb = _CLOSING, after_ms: int = 0, **other: Any
) -> Witness:
    """The same run; behind the entry's answer a fault lost the one to another request."""
    entry = next(request for request in witness.journal.requests if request.buys)
    row = witness.rows[entry.row - 1]
    assert isinstance(row, RequestRow)
    at_ms = row.t_reply + after_ms
    times = {"t_first_byte": at_ms, "t_arrive": at_ms, "t_reply": at_ms}
    fate = {"rid": row.rid + 1000, "fault": "lost", "delivered": False}
    lost = changed(row, **{**times, **fate, **other})
    requests = tuple(
        changed(request, row=request.row + 1) if request.row > entry.row else request
        for request in witness.journal.requests
    )
    return replace(
        witness,
        plan=changed(witness.plan, faults=(Fault(id="lost", what=what),)),
        rows=(*witness.rows[: entry.row], lost, *witness.rows[entry.row :]),
        offsets=(*witness.offsets[: entry.row], 0, *witness.offsets[entry.row :]),
        journal=changed(witness.journal, requests=requests),
    )


@pytest.mark.parametrize(("after_ms", "found"), [(0, False), (20, False), (21, True)])
@pytest.mark.parametrize(
    "what",
    [
        _CLOSING,
        AcceptThen(then=DropResponse(target="ws_api", then="reset")),
        AcceptThen(then=Reset(target="ws_api")),
        DropResponse(target="ws_api", then="close"),
    ],
)
def test_a_reply_is_lost_with_a_socket_that_ends_with_the_reply_behind_it(
    witness: Witness, what: Verb, after_ms: int, *, found: bool
) -> None:
    deaf = without_word(by_socket(witness))
    told = with_a_lost_reply(deaf, what=what, after_ms=after_ms)

    assert no_answer_is_left_unread(told).violated is found


@pytest.mark.parametrize(
    "other",
    [
        {"what": AcceptThen(then=DropResponse(target="ws_api", then="hang"))},
        {"conn": "ws-api-99"},
        {"fault": "another"},
        {"delivered": True},
    ],
)
def test_a_reply_that_is_lost_without_its_socket_or_on_another_excuses_nobody(
    witness: Witness, other: dict[str, Any]
) -> None:
    deaf = without_word(by_socket(witness))

    assert no_answer_is_left_unread(with_a_lost_reply(deaf, **other)).violated


def test_a_socket_that_ends_with_a_reply_takes_no_answer_by_rest_with_it(
    witness: Witness,
) -> None:
    assert no_answer_is_left_unread(with_a_lost_reply(without_word(witness))).violated


@pytest.mark.parametrize(("ending", "found"), [("hang", True), ("close", False)])
def test_a_dropped_reply_cuts_a_socket_only_where_it_ends_it(
    witness: Witness, ending: Ending, *, found: bool
) -> None:
    deaf = without_word(by_socket(witness))
    cut = ModeRow(t_ms=entry_answered_ms(deaf), fault="cut", event="fire", fired=1)
    lost = DropResponse(target="ws_user", then=ending)
    plan = changed(deaf.plan, faults=(Fault(id="cut", what=lost),))
    told = replace(deaf, plan=plan, rows=(*deaf.rows, cut), offsets=(*deaf.offsets, 0))

    assert no_answer_is_left_unread(told).violated is found


def test_what_was_sent_while_the_exchanges_clock_stood_belongs_to_the_life_that_sent_it(
    witness: Witness,
) -> None:
    entry = next(request for request in witness.journal.requests if request.buys)
    row = witness.rows[entry.row - 1]
    assert isinstance(row, RequestRow)
    stood_ms = row.t_arrive - 6000
    stamped = changed(row, t_arrive=stood_ms, t_first_byte=stood_ms, t_reply=stood_ms)
    stands = Fault(id="stands", what=SuspendClock(ms=8000))
    stood = ModeRow(t_ms=stood_ms, fault="stands", verb="clock.suspend", event="fire", fired=1)
    first, *rest = witness.lives
    earlier = replace(first, run_id="earlier", born_ms=stood_ms - 9000, over_ms=stood_ms + 1000)
    told = replace(
        witness,
        rows=(*witness.rows[: entry.row - 1], stamped, *witness.rows[entry.row :], stood),
        offsets=(*witness.offsets, 0),
        lives=(earlier, replace(first, born_ms=stood_ms + 2000), *rest),
    )
    known = replace(told, plan=changed(told.plan, faults=(stands,)))

    assert no_answer_is_left_unread(told).violated
    assert no_answer_is_left_unread(known).proven
    assert no_answer_is_left_unread(without_word(known)).violated


def test_whoever_can_write_no_more_cannot_note_the_answer(witness: Witness) -> None:
    deaf = without_word(witness)
    entry = next(request for request in deaf.journal.requests if request.buys)
    failed = Noted(t_ms=entry.arrived_ms - 1, id="commit-fails", verb="disk.eio")
    answered = deaf.rows[entry.row - 1]
    assert isinstance(answered, RequestRow)
    on_its_way = changed(failed, t_ms=answered.t_reply + 1)
    afterwards = changed(failed, t_ms=entry.arrived_ms + 1000)
    slow = changed(failed, verb="disk.slow")
    over = changed(failed, t_ms=deaf.lives[0].born_ms - 1000)
    ended = (replace(deaf.lives[0], over_ms=deaf.lives[0].born_ms - 1), *deaf.lives)

    assert not no_answer_is_left_unread(replace(deaf, hits=(failed,))).violated
    assert not no_answer_is_left_unread(replace(deaf, hits=(on_its_way,))).violated
    assert no_answer_is_left_unread(replace(deaf, hits=(afterwards,))).violated
    assert no_answer_is_left_unread(replace(deaf, hits=(slow,))).violated
    assert no_answer_is_left_unread(replace(deaf, hits=(over,), lives=ended)).violated


def test_the_socket_of_a_cancelled_life_ends_with_it(witness: Witness) -> None:
    death = DeathPlan(after_ms=1000, down_ms=1000, cancelled=True)
    lives = (replace(witness.lives[0], code=None), *witness.lives[1:])
    plan = changed(witness.plan, deaths=(death,))
    cancelled_life = replace(without_any_word(witness), lives=lives, plan=plan)

    assert no_answer_is_left_unread(cancelled_life).violated
    assert not no_answer_is_left_unread(by_socket(cancelled_life)).violated


def test_a_cancelled_life_notes_what_became_of_its_order_and_not_the_answer(
    witness: Witness,
) -> None:
    lives = (replace(witness.lives[0], code=None), *witness.lives[1:])
    plan = changed(witness.plan, deaths=(DeathPlan(after_ms=1, down_ms=1, cancelled=True),))
    noted = replace(without_word(witness), lives=lives, plan=plan)

    assert not no_answer_is_left_unread(noted).violated
    assert no_answer_is_left_unread(replace(noted, lives=witness.lives)).violated


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
