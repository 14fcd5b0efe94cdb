"""A view that grew old, a stream that ended and a refused time that nobody speaks of are found."""

from dataclasses import replace

import pytest
from msgspec.structs import replace as changed

from livespot.evidence.rows import AlertFact, EventFact, ModeFact
from livespot.exchange.faults.plan import (
    Blackhole,
    DelayEvents,
    EndUserStreams,
    Fault,
    OrderByHand,
    Reset,
    SuspendClock,
    Verb,
    When,
)
from livespot.exchange.journal import ModeRow, OrderRow, RequestRow, Row
from livespot.testing.search.board import Noted
from livespot.testing.search.stale_checks import stale_views_are_said
from livespot.testing.search.troubles import ActorName, ActorStalls, DiskFull, Trouble, What
from livespot.testing.search.witness import Witness

# The quiet run is NORMAL here, holds a position and lives on for longer than any bound.
_AT_MS = 40_000
_EARLY_MS = 15_000


def begun(witness: Witness, at_ms: int = _AT_MS) -> int:
    return witness.plan.start_ms + at_ms


def with_rows(witness: Witness, *rows: Row) -> Witness:
    return replace(
        witness, rows=(*witness.rows, *rows), offsets=(*witness.offsets, *(0 for _ in rows))
    )


def with_fault(
    witness: Witness, what: Verb, *, for_ms: int, hit: str = "1 connections", name: str = "it"
) -> Witness:
    """The run as if a fault had hit something, which nobody noticed."""
    fault = Fault(id=name, what=what, when=When(after_ms=_AT_MS, for_ms=for_ms))
    at_ms = begun(witness)
    turns = (
        ModeRow(t_ms=at_ms, fault=name, event="begin"),
        ModeRow(t_ms=at_ms, fault=name, event="fire", hit=hit, fired=1),
        ModeRow(t_ms=at_ms + for_ms, fault=name, event="end", fired=1),
    )
    plan = changed(witness.plan, faults=(*witness.plan.faults, fault))
    return with_rows(replace(witness, plan=plan), *turns)


def saying(witness: Witness, code: str, after_ms: int) -> Witness:
    word = AlertFact(
        run_id=witness.facts.run_id,
        severity="WARN",
        code=code,
        text="",
        symbol="",
        at_ms=begun(witness) + after_ms,
    )
    return replace(witness, facts=changed(witness.facts, alerts=(*witness.facts.alerts, word)))


def without_reads(witness: Witness, for_ms: int) -> Witness:
    """The run as if no read had been answered for so long."""

    def lost(row: Row) -> Row:
        if isinstance(row, RequestRow) and row.method == "GET":
            within = begun(witness) < row.t_reply < begun(witness) + for_ms
            return changed(row, delivered=False) if within else row
        return row

    return replace(witness, rows=tuple(lost(row) for row in witness.rows))


def test_in_a_quiet_run_nothing_is_due(witness: Witness) -> None:
    assert stale_views_are_said(witness).looked_at == 0


@pytest.mark.parametrize(
    ("what", "for_ms", "code", "within_ms"),
    [
        (Blackhole(target="ws_md"), 9000, "WS_STALE_DEGRADE", 5000),
        (EndUserStreams(), 0, "USER_STREAM_LOST", 3000),
        (Reset(target="ws_api"), 100, "USER_STREAM_LOST", 3000),
        (Blackhole(target="ws_user"), 35_000, "USER_STREAM_LOST", 28_000),
    ],
)
def test_a_stream_that_fell_silent_or_ended_must_be_said_in_time(
    witness: Witness, what: Verb, for_ms: int, code: str, within_ms: int
) -> None:
    silent = with_fault(witness, what, for_ms=for_ms)

    assert code in stale_views_are_said(silent).detail
    assert stale_views_are_said(saying(silent, code, within_ms)).proven
    assert stale_views_are_said(saying(silent, code, within_ms + 1)).violated
    assert stale_views_are_said(saying(silent, "DATA_GAP_DETECTED", 100)).violated


def test_a_mode_with_the_reason_says_it_too(witness: Witness) -> None:
    silent = with_fault(witness, EndUserStreams(), for_ms=0)
    mode = ModeFact(
        id=99,
        run_id=witness.facts.run_id,
        mode="DEGRADE",
        previous="NORMAL",
        reasons=("ENTER_DEGRADE", "USER_STREAM_LOST"),
        at_ms=begun(witness) + 40,
    )
    facts = changed(silent.facts, modes=(*silent.facts.modes, mode))

    assert stale_views_are_said(replace(silent, facts=facts)).proven


def test_what_hit_nothing_was_too_short_or_could_not_arrive_need_not_be_said(
    witness: Witness,
) -> None:
    missed = with_fault(witness, EndUserStreams(), for_ms=0, hit="0 subscriptions ended")
    brief = with_fault(witness, Blackhole(target="ws_md"), for_ms=4000)
    deaf = with_fault(witness, Blackhole(target="ws_user"), for_ms=4000, name="deaf")
    held = with_fault(deaf, EndUserStreams(), for_ms=0)

    for excused in (missed, brief, held):
        assert stale_views_are_said(excused).looked_at == 0


@pytest.mark.parametrize(("renewed", "excused"), [((), False), ((-50_000, -20_000), True)])
def test_a_stream_lost_again_within_a_minute_of_its_return_is_not_told_again(
    witness: Witness, renewed: tuple[int, ...], *, excused: bool
) -> None:
    def at_boot(row: Row) -> Row:
        subscribes = isinstance(row, RequestRow) and row.path.startswith("userDataStream")
        return changed(row, t_arrive=begun(witness) - 190_000) if subscribes else row

    lost_again = with_fault(witness, Reset(target="ws_api"), for_ms=100)
    said = saying(lost_again, "USER_STREAM_LOST", -80_000)
    life = replace(said.lives[0], born_ms=begun(witness) - 200_000)
    booted = replace(
        said, lives=(life, *said.lives[1:]), rows=tuple(at_boot(row) for row in said.rows)
    )
    first = next(row for row in booted.rows if isinstance(row, RequestRow) and row.method == "WS")
    renewing = with_rows(
        booted, *(changed(first, t_arrive=begun(witness) + after_ms) for after_ms in renewed)
    )

    assert stale_views_are_said(renewing).looked_at == 1
    assert stale_views_are_said(renewing).violated is not excused


def test_nothing_is_asked_of_a_life_that_ends_before_its_bound(witness: Witness) -> None:
    silent = with_fault(witness, EndUserStreams(), for_ms=0)
    first = replace(silent.lives[0], over_ms=begun(witness) + 2000)
    # What is left of its time, whoever is cancelled waits for its own answers.
    cancelled = replace(silent.lives[0], cancelled_ms=begun(witness) + 2000)
    later = replace(silent.lives[0], cancelled_ms=begun(witness) + 20_000)

    assert not stale_views_are_said(replace(silent, lives=(first,))).looked_at
    assert not stale_views_are_said(replace(silent, lives=(cancelled,))).looked_at
    assert stale_views_are_said(replace(silent, lives=(later,))).violated


@pytest.mark.parametrize(("for_ms", "found"), [(70_000, 2), (12_000, 0)])
def test_reads_that_nobody_answers_must_be_said_at_both_limits(
    witness: Witness, for_ms: int, found: int
) -> None:
    silent = without_reads(witness, for_ms)
    finding = stale_views_are_said(silent)

    assert finding.looked_at == found
    assert finding.violated is bool(found)
    if found:
        degraded = saying(silent, "REST_STALE_DEGRADE", 9000)
        assert "REST_STALE_PAUSE" in stale_views_are_said(degraded).detail
        assert stale_views_are_said(saying(degraded, "REST_STALE_PAUSE", 50_000)).proven


@pytest.mark.parametrize(("stood_ms", "ahead_ms"), [(0, 0), (9000, 0), (9000, 4000)])
def test_reads_that_a_standing_clock_stamped_may_be_as_late_as_that(
    witness: Witness, stood_ms: int, ahead_ms: int
) -> None:
    stands = with_fault(witness, SuspendClock(ms=stood_ms), for_ms=0)
    read = next(
        row for row in witness.rows if isinstance(row, RequestRow) and row.path.endswith("/account")
    )
    last = changed(read, t_reply=begun(witness) + ahead_ms, outcome="200", delivered=True)
    silent = with_rows(without_reads(stands, 90_000), last)
    silent = replace(silent, offsets=(*silent.offsets[:-1], ahead_ms))
    degraded = saying(silent, "REST_STALE_DEGRADE", 9000)
    due_ms = 60_000 + 3000 + stood_ms

    assert stale_views_are_said(saying(degraded, "REST_STALE_PAUSE", due_ms)).proven
    assert stale_views_are_said(saying(degraded, "REST_STALE_PAUSE", due_ms + 1)).violated


@pytest.mark.parametrize(("opened_ms", "found"), [(5000, 1), (20_000, 0)])
def test_reads_are_missed_sooner_once_something_stands(
    witness: Witness, opened_ms: int, found: int
) -> None:
    def opened(row: Row) -> Row:
        return changed(row, t_new=begun(witness) + opened_ms) if isinstance(row, OrderRow) else row

    silent = without_reads(witness, 30_000)
    since = replace(silent, rows=tuple(opened(row) for row in silent.rows))

    assert stale_views_are_said(since).looked_at == found
    assert stale_views_are_said(since).violated is bool(found)


@pytest.mark.parametrize(
    ("outcome", "code"),
    [("400 -1021", "BINANCE_TIMESTAMP_REJECTED"), ("400 -1010", "EXCHANGE_HALTED")],
)
def test_a_refused_order_that_says_what_is_wrong_must_be_spoken_of(
    witness: Witness, outcome: str, code: str
) -> None:
    place = next(request.row for request in witness.journal.requests if request.verb)
    row = witness.rows[place - 1]
    assert isinstance(row, RequestRow)
    refused = changed(
        row, t_first_byte=begun(witness) - 7999, t_reply=begun(witness), outcome=outcome
    )
    rows = (*witness.rows[: place - 1], refused, *witness.rows[place:])
    silent = replace(witness, rows=rows)
    late = changed(refused, t_first_byte=refused.t_first_byte - 1)
    unheard = replace(witness, rows=(*rows[: place - 1], late, *rows[place:]))

    assert code in stale_views_are_said(silent).detail
    assert stale_views_are_said(saying(silent, code, 3000)).proven
    assert not stale_views_are_said(unheard).violated


def refused_twice(witness: Witness, apart_ms: int) -> Witness:
    """The run as if two orders had been refused for their closed market, so far apart."""
    asked = next(request for request in witness.journal.requests if request.verb)
    row = witness.rows[asked.row - 1]
    assert isinstance(row, RequestRow)
    first, second = (
        changed(row, t_first_byte=at_ms, t_reply=at_ms, outcome="400 -1010", delivered=True)
        for at_ms in (begun(witness, _EARLY_MS), begun(witness, _EARLY_MS) + apart_ms)
    )
    rows = (*witness.rows[: asked.row - 1], first, *witness.rows[asked.row :])
    twice = with_rows(replace(witness, rows=rows), second)
    requests = (*witness.journal.requests, changed(asked, row=len(twice.rows)))
    return replace(twice, journal=changed(witness.journal, requests=requests))


def test_a_closed_market_that_is_complained_of_already_need_not_be_said_again(
    witness: Witness,
) -> None:
    within, after = refused_twice(witness, 120_000), refused_twice(witness, 120_001)

    assert stale_views_are_said(within).detail.count("EXCHANGE_HALTED") == 2
    spoken_ms = _EARLY_MS - _AT_MS + 100
    assert stale_views_are_said(saying(within, "EXCHANGE_HALTED", spoken_ms)).proven
    again = stale_views_are_said(saying(after, "EXCHANGE_HALTED", spoken_ms))
    assert again.detail.count("EXCHANGE_HALTED") == 1


def refused_for_its_time(
    witness: Witness, *, answered: bool = True, moved_ms: int = 0, recorded: bool = True
) -> Witness:
    """The run as if an order had been refused, and the time been asked for at once."""
    place = next(request.row for request in witness.journal.requests if request.verb)
    row = witness.rows[place - 1]
    assert isinstance(row, RequestRow)
    at_ms = begun(witness)
    refused = changed(row, t_first_byte=at_ms, t_arrive=at_ms, t_reply=at_ms, outcome="400 -1021")
    asked = changed(
        refused,
        t_arrive=at_ms + 4 + moved_ms,
        t_reply=at_ms + 4 + moved_ms,
        method="GET",
        path="/api/v3/time",
        outcome="200",
        delivered=answered,
    )
    rows = (*witness.rows[: place - 1], refused, *witness.rows[place:], asked)
    ended = EventFact(
        run_id=witness.facts.run_id,
        seq=1_000_000,
        ts_ms=at_ms + 2,
        event_type="INTENT_STATE_CHANGED",
        reasons=("BINANCE_TIMESTAMP_REJECTED",),
        order_intent_id="some",
        symbol=witness.plan.symbols[0],
        data={"from": "SENT_UNKNOWN", "to": "FAILED_TERMINAL", "error_code": "-1021"},
    )
    events = (*witness.facts.events, *((ended,) if recorded else ()))
    return replace(
        witness,
        rows=rows,
        offsets=(*witness.offsets, moved_ms),
        facts=changed(witness.facts, events=events),
    )


def test_a_refusal_while_both_clocks_agreed_is_told_by_the_orders_own_record(
    witness: Witness,
) -> None:
    assert stale_views_are_said(refused_for_its_time(witness)).proven
    assert stale_views_are_said(refused_for_its_time(witness, moved_ms=499)).proven
    for silent in (
        refused_for_its_time(witness, recorded=False),
        refused_for_its_time(witness, answered=False),
        refused_for_its_time(witness, moved_ms=500),
    ):
        assert "BINANCE_TIMESTAMP_REJECTED" in stale_views_are_said(silent).detail
        spoken = saying(silent, "BINANCE_TIMESTAMP_REJECTED", 3000)
        assert stale_views_are_said(spoken).proven


def test_an_order_of_another_hand_must_be_spoken_of_soon_where_its_event_arrives(
    witness: Witness,
) -> None:
    order = next(row for row in witness.rows if isinstance(row, OrderRow))
    theirs = changed(order, cid="web_of_another_hand", t_new=begun(witness), t_end=0)
    hand = with_fault(witness, OrderByHand(symbol="SOLUSDT", quote=order.price), for_ms=1)
    silent = with_rows(hand, theirs)
    hidden = with_rows(with_fault(hand, DelayEvents(ms=9000), for_ms=10, name="late"), theirs)

    assert "FOREIGN_ORDER_DETECTED" in stale_views_are_said(silent).detail
    assert stale_views_are_said(saying(silent, "FOREIGN_ORDER_DETECTED", 3000)).proven
    assert stale_views_are_said(saying(silent, "FOREIGN_ORDER_DETECTED", 3100)).violated
    assert stale_views_are_said(saying(hidden, "FOREIGN_ORDER_DETECTED", 70_000)).proven


def stalled(witness: Witness, actor: ActorName, ms: int, *more: What) -> Witness:
    troubles = [Trouble(id="it", what=ActorStalls(actor=actor, ms=ms), after_ms=_AT_MS)]
    troubles += [Trouble(id=f"m{n}", what=one, after_ms=1) for n, one in enumerate(more)]
    hit = Noted(t_ms=begun(witness), id="it", verb="actor.stall")
    plan = changed(witness.plan, troubles=tuple(troubles))
    return replace(witness, plan=plan, hits=(hit,))


def test_an_actor_that_hangs_must_be_spoken_of(witness: Witness) -> None:
    silent = stalled(witness, "risk", 12_000)

    assert "LOOP_STUCK_DEGRADE" in stale_views_are_said(silent).detail
    assert stale_views_are_said(saying(silent, "LOOP_STUCK_PAUSE", 8000)).proven
    assert stale_views_are_said(saying(silent, "LOOP_STUCK_DEGRADE", 8001)).violated


def test_a_short_stall_the_governors_own_and_one_on_a_full_disk_are_excused(
    witness: Witness,
) -> None:
    for excused in (
        stalled(witness, "risk", 7000),
        stalled(witness, "governor", 12_000),
        stalled(witness, "risk", 12_000, DiskFull()),
    ):
        assert stale_views_are_said(excused).looked_at == 0
