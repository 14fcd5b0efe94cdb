"""Each check holds for a run in which nothing went wrong, and finds what is planted in it."""

from collections.abc import Callable
from dataclasses import replace
from decimal import ROUND_UP, Decimal
from itertools import accumulate
from typing import Any

import pytest
from msgspec.structs import replace as changed

from livespot.contracts.errors import ExitCode
from livespot.evidence.findings import Finding
from livespot.evidence.rows import AlertFact, IntentFact, ModeFact, TransitionFact
from livespot.exchange.faults.plan import (
    Ban,
    Fault,
    Match,
    Reply,
    StepClock,
    SuspendClock,
    Verb,
    When,
)
from livespot.exchange.journal import BalanceRow, FillRow, ModeRow, OrderRow, RequestRow, Row
from livespot.testing.search.board import Noted
from livespot.testing.search.fence_checks import (
    absence_only_behind_the_fence,
    signed_with_the_right_time,
)
from livespot.testing.search.judging import judge, unfaulted
from livespot.testing.search.life_checks import (
    alive_after_healing,
    one_writer,
    restart_changes_nothing,
)
from livespot.testing.search.limit_checks import limits_are_respected
from livespot.testing.search.protection_checks import protected_or_paused, protection_only_tightens
from livespot.testing.search.record_checks import (
    evidence_is_monotone,
    faults_fired,
    money_adds_up,
    output_is_bounded,
    same_history,
)
from livespot.testing.search.troubles import ClockSet, Trouble
from livespot.testing.search.witness import Volume, Witness, ahead_of, offsets_of

# The story has no mutation to refuse, deny, cancel or repeat, no sale of its own, and no fault.
_NOTHING_TO_SEE = {
    "I07b",
    "I20d",
    "I20e",
    "I20f",
    "I25",
    "I06",
    "I09b",
    "I17",
    "I20c",
    "I37",
    "I38",
}


def rewritten(witness: Witness, change: Callable[[Row], Row | None]) -> Witness:
    """The same run with other rows in its journal; None leaves one out, but keeps the places."""
    rows = tuple(change(row) or ModeRow(t_ms=0, fault="none") for row in witness.rows)
    return replace(witness, rows=rows)


def with_request(witness: Witness, at_ms: int, **told: Any) -> Witness:
    """One more request at the end of the journal, in both of its readings."""
    row = RequestRow(
        **{
            "rid": 99,
            "conn": "rest-1",
            "t_arrive": at_ms,
            "t_reply": at_ms,
            "t_first_byte": at_ms,
            "method": "POST",
            "path": "/api/v3/order",
            "params": {"newClientOrderId": "X_stray", "timestamp": str(at_ms)},
            "outcome": "200",
            "delivered": True,
            **told,
        }
    )
    place = len(witness.rows) + 1
    request = changed(
        witness.journal.requests[0],
        row=place,
        arrived_ms=row.t_arrive,
        method=row.method,
        path=row.path,
        params=row.params,
        outcome=row.outcome,
    )
    return replace(
        witness,
        rows=(*witness.rows, row),
        offsets=(*witness.offsets, 0),
        journal=changed(witness.journal, requests=(*witness.journal.requests, request)),
    )


def with_fault(witness: Witness, what: Verb) -> Witness:
    fault = Fault(id="planted", what=what, match=Match(), when=When())
    return replace(witness, plan=changed(witness.plan, faults=(fault,)))


def with_facts(witness: Witness, **facts: Any) -> Witness:
    return replace(witness, facts=changed(witness.facts, **facts))


def entry_of(witness: Witness) -> IntentFact:
    return next(intent for intent in witness.facts.intents if intent.is_entry)


def without_stops(witness: Witness) -> Witness:
    return rewritten(
        witness,
        lambda row: None if isinstance(row, OrderRow) and row.type.startswith("STOP") else row,
    )


@pytest.mark.slow
def test_in_a_run_without_faults_every_check_holds_and_nearly_all_see_something(
    witness: Witness,
) -> None:
    findings = judge(witness)

    assert [f for f in findings if f.violated] == []
    assert {f.id for f in findings if not f.proven} == _NOTHING_TO_SEE
    assert len({f.id for f in findings}) == len(findings)


def denial(intent: IntentFact) -> TransitionFact:
    """The step that says, long after everything else, that an intent never was."""
    return TransitionFact(
        id=10_000,
        order_intent_id=intent.order_intent_id,
        run_id=intent.run_id,
        from_state="SENT_UNKNOWN",
        to_state="NOT_FOUND",
        reasons=(),
        evidence="",
        at_ms=2**50,
    )


def test_a_denial_before_the_fence_without_reads_is_found(witness: Witness) -> None:
    intent = entry_of(witness)
    at_ms = witness.sent[intent.order_intent_id].at_ms + 70_000
    hasty = changed(denial(intent), at_ms=at_ms)
    steps = (*witness.facts.transitions, hasty)

    finding = absence_only_behind_the_fence(with_facts(witness, transitions=steps))

    assert "before the fence" in finding.detail
    assert "after 0 reads of 0 endpoints" in finding.detail


def test_a_denial_that_only_a_clock_set_forward_dates_behind_the_fence_is_found(
    witness: Witness,
) -> None:
    intent = entry_of(witness)
    sent_ms = witness.sent[intent.order_intent_id].at_ms
    after_ms = sent_ms + 1000 - witness.plan.start_ms
    trouble = Trouble(id="set", what=ClockSet(ms=20_000), after_ms=after_ms, for_ms=100_000)
    plan = changed(witness.plan, safety_ms=after_ms + 100_000, troubles=(trouble,))
    late = changed(denial(intent), at_ms=sent_ms + 80_000)
    steps = (*witness.facts.transitions, late)

    finding = absence_only_behind_the_fence(
        with_facts(replace(witness, plan=plan), transitions=steps)
    )

    assert "denied 15000 ms before the fence" in finding.detail


def test_a_denied_order_that_the_exchange_made_is_found(witness: Witness) -> None:
    intent = entry_of(witness)
    denied = changed(intent, state="NOT_FOUND")
    step = denial(intent)
    others = tuple(i for i in witness.facts.intents if i is not intent)

    finding = absence_only_behind_the_fence(
        with_facts(witness, intents=(*others, denied), transitions=(step,))
    )

    assert "although the exchange made" in finding.detail


def test_a_denied_order_that_the_exchange_refused_was_never_made(witness: Witness) -> None:
    intent = entry_of(witness)
    denied = changed(intent, state="NOT_FOUND")
    others = tuple(i for i in witness.facts.intents if i is not intent)
    names = {a.client_order_id for a in witness.facts.aliases
             if a.order_intent_id == intent.order_intent_id}  # fmt: skip
    rows = tuple(
        changed(row, status="REJECTED") if isinstance(row, OrderRow) and row.cid in names else row
        for row in witness.rows
    )

    finding = absence_only_behind_the_fence(
        with_facts(
            replace(witness, rows=rows),
            intents=(*others, denied),
            transitions=(denial(intent),),
        )
    )

    assert "although the exchange made" not in finding.detail


@pytest.mark.parametrize("outcome", ["200", "409 -2021"])
def test_a_denied_cancel_that_the_exchange_did_is_found(witness: Witness, outcome: str) -> None:
    intent = entry_of(witness)
    at_ms = witness.sent[intent.order_intent_id].at_ms
    denied = changed(
        intent, order_intent_id="oi_gone", client_order_id="X_gone", role="CANCEL",
        state="NOT_FOUND",
    )  # fmt: skip
    step = denial(denied)
    told = with_request(
        replace(witness, sent={**witness.sent, "oi_gone": witness.sent[intent.order_intent_id]}),
        at_ms,
        path="/api/v3/order/cancelReplace",
        params={"cancelNewClientOrderId": "X_gone", "newClientOrderId": "X_next"},
        outcome=outcome,
    )

    finding = absence_only_behind_the_fence(
        with_facts(told, intents=(*told.facts.intents, denied), transitions=(step,))
    )

    assert "although the exchange did X_gone" in finding.detail


def test_a_stamp_of_a_clock_that_stood_still_may_be_as_late_as_that(witness: Witness) -> None:
    at_ms = witness.plan.start_ms + 30_000
    stands = with_fault(witness, SuspendClock(ms=7000))
    fired = ModeRow(t_ms=at_ms, fault="planted", verb="clock.suspend", event="fire", fired=1)
    stands = replace(stands, rows=(*stands.rows, fired), offsets=(*stands.offsets, 0))

    meanwhile, afterwards = with_request(stands, at_ms), with_request(stands, at_ms + 1)

    assert unfaulted(meanwhile).requests[-1].arrived_ms == at_ms + 7000
    assert unfaulted(afterwards).requests[-1].arrived_ms == at_ms + 1


def test_a_request_that_was_held_is_dated_by_the_clock_it_left_under(witness: Witness) -> None:
    left_ms = witness.plan.start_ms + 30_000
    trouble = Trouble(id="set", what=ClockSet(ms=-20_000), after_ms=31_000, for_ms=5000)
    plan = changed(witness.plan, troubles=(trouble,))

    def dated(first_byte_ms: int) -> int:
        told = with_request(witness, left_ms + 2000, t_first_byte=first_byte_ms)
        offsets, ahead = (*told.offsets[:-1], 20_000), (*(0 for _ in witness.rows), -20_000)
        set_back = replace(told, plan=plan, offsets=offsets, ahead=ahead)
        return unfaulted(set_back).requests[-1].arrived_ms

    assert dated(left_ms) == left_ms + 2000
    assert dated(left_ms + 1999) == left_ms + 2000 - 20_000


def test_a_signature_that_is_off_is_found(witness: Witness) -> None:
    at_ms = witness.plan.start_ms
    late = with_request(witness, at_ms, params={"timestamp": str(at_ms - 700)})

    assert "signed 700 ms off" in signed_with_the_right_time(late).detail


def test_a_position_without_a_stop_in_normal_is_found(witness: Witness) -> None:
    finding = protected_or_paused(without_stops(witness))

    assert finding.violated
    assert "the mode was NORMAL" in finding.detail


def partly_filled(witness: Witness, quote: int, *, works: bool) -> Witness:
    """As much as that was bought and never protected; the entry still works, or was cancelled."""

    def change(row: Row) -> Row | None:
        if isinstance(row, FillRow):
            qty = (quote / row.px).quantize(Decimal("0.001"), ROUND_UP)
            return changed(row, qty=qty, fee=Decimal(0))
        if not isinstance(row, OrderRow) or row.side == "SELL":
            return None if isinstance(row, OrderRow) and row.type.startswith("STOP") else row
        if row.status != "FILLED":
            return row
        return None if works else changed(row, status="CANCELED")

    return rewritten(witness, change)


@pytest.mark.parametrize(
    ("quote", "works", "found"),
    [
        pytest.param(6, True, True, id="a part that can carry a stop"),
        pytest.param(5, True, False, id="a part that cannot yet, of an entry that works"),
        pytest.param(5, False, True, id="the same part when the entry is over"),
    ],
)
def test_a_part_counts_as_bare_once_it_can_carry_a_stop_or_is_all_there_will_be(
    witness: Witness, quote: int, *, works: bool, found: bool
) -> None:
    finding = protected_or_paused(partly_filled(witness, quote, works=works))

    assert finding.violated is found


def test_a_stop_that_comes_too_late_is_found(witness: Witness) -> None:
    late = rewritten(
        witness,
        lambda row: (
            changed(row, t_new=row.t_new + 8000)
            if isinstance(row, OrderRow) and row.side == "SELL" and row.status == "NEW"
            else row
        ),
    )

    assert "for 7" in protected_or_paused(late).detail


def test_a_position_without_a_stop_in_pause_needs_a_critical_alert(witness: Witness) -> None:
    run_id = witness.facts.runs[0].run_id
    paused = ModeFact(
        id=1,
        run_id=run_id,
        mode="PAUSE",
        previous="NORMAL",
        reasons=(),
        at_ms=witness.plan.start_ms,
    )
    silent = with_facts(without_stops(witness), modes=(paused,), alerts=())
    [bare_from] = [row.t_ms for row in witness.rows if type(row).__name__ == "FillRow"]  # type: ignore[union-attr]
    alert = AlertFact(
        run_id=run_id,
        severity="CRIT",
        code="PAUSE_NEEDS_MANUAL_PROTECTION",
        text="",
        symbol="SOLUSDT",
        at_ms=bare_from + 5000,
    )

    assert "no CRIT alert" in protected_or_paused(silent).detail
    assert protected_or_paused(with_facts(silent, alerts=(alert,))).holds


def test_a_stop_above_its_target_and_a_stop_that_moves_down_are_found(witness: Witness) -> None:
    stop = next(
        row
        for row in witness.rows
        if isinstance(row, OrderRow) and row.type.startswith("STOP_LOSS") and row.status == "NEW"
    )
    lower = changed(stop, oid=4711, list_cid="", stop=stop.stop - 1)
    high = rewritten(
        witness,
        lambda row: changed(row, stop=Decimal(10_000)) if row is stop else row,
    )
    down = replace(witness, rows=(*witness.rows, lower), offsets=(*witness.offsets, 0))

    assert "is not below target" in protection_only_tightens(high).detail
    assert "after one at" in protection_only_tightens(down).detail


def test_a_request_in_the_silence_after_429_is_found(witness: Witness) -> None:
    at_ms = witness.plan.start_ms + 5000
    what = Reply(status=429, code=-1003, headers={"Retry-After": "30"})
    told = with_request(
        with_fault(witness, what), at_ms, method="GET", outcome="429 -1003", fault="planted"
    )

    finding = limits_are_respected(told)

    assert finding.looked_at == 1
    assert "in the silence 429" in finding.detail


def test_a_ban_that_nobody_planted_and_endless_repeats_are_found(witness: Witness) -> None:
    at_ms = witness.plan.start_ms
    again = with_request(witness, at_ms, outcome="418")
    for number in range(4):
        again = with_request(again, at_ms + number, outcome="400 -2010", params={"side": "BUY"})

    finding = limits_are_respected(again)

    assert "earned 418" in finding.detail
    assert "was refused with 400 -2010 4 times" in finding.detail


def test_a_refusal_that_nobody_heard_is_not_held_against_a_repetition(witness: Witness) -> None:
    again = witness
    for number in range(4):
        told = {"outcome": "400 -2011", "params": {"orderId": "1"}, "delivered": number < 3}
        again = with_request(again, witness.plan.start_ms + number, method="DELETE", **told)

    assert "times" not in limits_are_respected(again).detail


@pytest.mark.parametrize(
    ("method", "gaps_ms", "found"),
    [
        pytest.param("POST", (1, 1, 1), True, id="a sale, four times in one life"),
        pytest.param("DELETE", (1, 1, 1), True, id="a cancel, four times in ten seconds"),
        pytest.param("DELETE", (2000, 4000, 8000), False, id="a cancel at growing pauses"),
    ],
)
def test_a_closed_market_is_not_asked_again_and_again(
    witness: Witness, method: str, gaps_ms: tuple[int, ...], found: bool
) -> None:
    told = {"outcome": "400 -1010", "params": {"orderId": "1"}}
    asked = witness
    for at_ms in accumulate(gaps_ms, initial=witness.lives[-1].over_ms - 20_000):
        asked = with_request(asked, at_ms, method=method, **told)

    assert ("times" in limits_are_respected(asked).detail) is found


def test_a_new_life_may_ask_whether_a_market_is_closed_still(witness: Witness) -> None:
    last = witness.lives[-1]
    asked = replace(witness, lives=(*witness.lives, replace(last, over_ms=last.over_ms + 60_000)))
    told = {"outcome": "400 -1010", "params": {"side": "SELL"}}
    for at_ms in (-3000, -1500, 3000, 4500):
        asked = with_request(asked, last.over_ms + at_ms, **told)

    assert "times" not in limits_are_respected(asked).detail


def test_a_request_during_a_planted_ban_is_found(witness: Witness) -> None:
    at_ms = witness.plan.start_ms + 5000
    fired = ModeRow(t_ms=at_ms, fault="planted", verb="ex.ban", event="fire", fired=1)
    banned = with_fault(witness, Ban(ms=60_000))
    banned = replace(banned, rows=(*banned.rows, fired), offsets=(*banned.offsets, 0))
    banned = with_request(banned, at_ms + 100, outcome="418 -1003")

    assert "in the silence 418" in limits_are_respected(banned).detail


@pytest.mark.parametrize(
    ("failed_after_ms", "asked", "found"),
    [
        pytest.param(3, 1, False, id="it could not be written: asked once"),
        pytest.param(3, 2, True, id="asked again although told again"),
        pytest.param(500, 1, True, id="it was on record when the disk failed"),
        pytest.param(None, 1, True, id="the disk did not fail"),
    ],
)
def test_a_life_asks_once_in_a_silence_of_which_its_predecessor_could_write_nothing(
    witness: Witness, failed_after_ms: int | None, asked: int, found: bool
) -> None:
    told_ms = witness.plan.start_ms + 5000
    fired = ModeRow(t_ms=told_ms, fault="planted", verb="ex.ban", event="fire", fired=1)
    banned = with_fault(witness, Ban(ms=10_000))
    banned = replace(banned, rows=(*banned.rows, fired), offsets=(*banned.offsets, 0))
    banned = with_request(banned, told_ms, outcome="418 -1003")
    for number in range(asked):
        banned = with_request(banned, told_ms + 1000 + number, outcome="418 -1003")
    first, *_ = witness.lives
    lives = (
        replace_life(first, over_ms=told_ms + 600),
        replace_life(first, born_ms=told_ms + 900),
    )
    hits = (
        ()
        if failed_after_ms is None
        else (Noted(t_ms=told_ms + failed_after_ms, id="0", verb="disk.eio"),)
    )

    detail = limits_are_respected(replace(banned, lives=lives, hits=hits)).detail

    assert ("in the silence 418" in detail) is found


def test_a_run_that_stays_degraded_or_in_doubt_is_found(witness: Witness) -> None:
    stuck = changed(witness.facts.modes[-1], mode="DEGRADE", at_ms=witness.plan.start_ms)
    doubtful = changed(
        entry_of(witness), state="SENT_UNKNOWN", created_at_ms=witness.plan.start_ms - 120_000
    )
    idle = replace(witness, cycles=(), lives=())

    assert "the mode is DEGRADE" in alive_after_healing(with_facts(witness, modes=(stuck,))).detail
    assert "is still SENT_UNKNOWN" in (
        alive_after_healing(with_facts(witness, intents=(doubtful,))).detail
    )
    assert "no cycle began" in alive_after_healing(idle).detail
    assert "no process lived" in alive_after_healing(idle).detail


@pytest.mark.parametrize(
    ("reason", "moved_before_ms", "seen_before_ms", "excused"),
    [
        pytest.param("CLOCK_DRIFT_WARN", 100_000, 40_000, True, id="found by the next measurement"),
        pytest.param("CLOCK_DRIFT_WARN", 100_000, 80_000, False, id="the quiet time is over"),
        pytest.param("CLOCK_DRIFT_WARN", 400_000, 40_000, False, id="found too late"),
        pytest.param("CLOCK_DRIFT_WARN", 30_000, 40_000, False, id="found before it moved"),
        pytest.param("WS_STALE_DEGRADE", 100_000, 40_000, False, id="for something else"),
    ],
)
def test_only_a_moved_clock_that_was_just_found_excuses_a_degraded_end(
    witness: Witness, reason: str, moved_before_ms: int, seen_before_ms: int, excused: bool
) -> None:
    end_ms = witness.restart_ms
    moved = ModeRow(
        t_ms=end_ms - moved_before_ms, fault="planted", verb="clock.step", event="fire", fired=1
    )
    mode = changed(
        witness.facts.modes[-1],
        mode="DEGRADE",
        reasons=("ENTER_DEGRADE", reason),
        at_ms=end_ms - seen_before_ms,
    )
    stepped = replace(witness, rows=(*witness.rows, moved), offsets=(*witness.offsets, 0))

    detail = alive_after_healing(with_facts(stepped, modes=(mode,))).detail
    again = alive_after_healing(
        with_facts(stepped, modes=(changed(mode, at_ms=mode.at_ms - 1), mode))
    ).detail

    assert ("the mode is DEGRADE" not in detail) == excused
    assert "the mode is DEGRADE" in again


def test_a_request_from_outside_its_life_and_overlapping_lives_are_found(
    witness: Witness,
) -> None:
    first, *others = witness.lives
    late = replace(witness, lives=(replace_life(first, born_ms=first.over_ms - 1), *others))
    overlapping = replace(witness, lives=(first, first))

    assert "outside its life" in one_writer(late).detail
    assert "a life began at" in one_writer(overlapping).detail


def test_a_request_under_a_clock_that_somebody_set_belongs_to_the_life_of_its_market_time(
    witness: Witness,
) -> None:
    """The runtime's clock says that it left long after the run's end; for one it is set back."""
    last_ms = witness.lives[-1].over_ms - witness.plan.start_ms
    shifted = replace(witness, offsets=tuple(ms - last_ms for ms in witness.offsets))
    known = replace(shifted, ahead=tuple(last_ms for _ in witness.rows))

    assert "outside its life" in one_writer(shifted).detail
    assert one_writer(known).proven


def replace_life(life: Any, **changes: Any) -> Any:
    return replace(life, **changes)


def test_an_order_of_its_own_accord_after_the_restart_is_found(witness: Witness) -> None:
    born_ms = witness.lives[-1].born_ms
    stray = with_request(witness, born_ms + 3000)
    first, last = witness.lives
    failed = replace(witness, lives=(replace_life(first, code=ExitCode.WATCHDOG), last))

    assert "3000 ms after the restart" in restart_changes_nothing(stray).detail
    assert "the life before ended with" in restart_changes_nothing(failed).detail


def test_two_different_histories_of_one_seed_are_found() -> None:
    assert same_history("a", "b").violated
    assert same_history("a", "a").proven


def test_knowledge_that_shrinks_or_differs_from_the_exchange_is_found(witness: Witness) -> None:
    order = witness.facts.orders[0]
    shrunk = replace(
        witness, executed=((order.symbol, order.order_id, "2"), (order.symbol, order.order_id, "1"))
    )
    differs = with_facts(witness, orders=(changed(order, executed_qty=Decimal(77)),))

    assert "shrank to 1" in evidence_is_monotone(shrunk).detail
    assert "in the ledger" in evidence_is_monotone(differs).detail


def test_money_from_nowhere_is_found(witness: Witness) -> None:
    rich = rewritten(
        witness,
        lambda row: changed(row, free=row.free + 1) if isinstance(row, BalanceRow) else row,
    )

    assert "ends at" in money_adds_up(rich).detail


@pytest.mark.parametrize("sum_of", ["paid", "fees"])
def test_a_daily_summary_that_differs_in_its_last_digit_is_found(
    witness: Witness, sum_of: str
) -> None:
    [(day, kept)] = witness.days.items()
    crumb = Decimal("0.00000001")
    wrong = {asset: str(Decimal(fee) + crumb) for asset, fee in kept["fees"].items()}
    change = wrong if sum_of == "fees" else str(Decimal(kept["paid"]) + crumb)
    off = replace(witness, days={day: {**kept, sum_of: change}})

    assert money_adds_up(witness).proven
    assert "differs by" in money_adds_up(off).detail
    assert "no summary" in money_adds_up(replace(witness, days={})).detail


def test_a_plan_of_which_nothing_fired_is_found(witness: Witness) -> None:
    finding = faults_fired(with_fault(witness, Ban(ms=1)))

    assert finding.violated
    assert finding.looked_at == 0


def test_floods_are_found(witness: Witness) -> None:
    flooded = Volume(
        bytes_of={"log": 10**9}, longest_alert=2000, repeated="again", repeats_per_minute=101
    )

    finding: Finding = output_is_bounded(replace(witness, volume=flooded))

    assert "log: 1000000000 bytes" in finding.detail
    assert "an alert of 2000 characters" in finding.detail
    assert "'again' 101 times" in finding.detail


def test_answers_that_a_fault_invented_do_not_count_as_the_exchange_s(witness: Witness) -> None:
    at_ms = witness.plan.start_ms
    invented = with_request(witness, at_ms, outcome="400 -1013", fault="planted")

    assert unfaulted(invented).requests[-1].outcome == "faulted"


def test_a_banned_client_s_request_that_nobody_read_is_not_judged(witness: Witness) -> None:
    unread = with_request(
        witness, witness.plan.start_ms, method="DELETE", params={}, outcome="418 -1003"
    )

    assert len(unfaulted(unread).requests) == len(witness.journal.requests)


def test_times_the_exchange_stamped_while_its_clock_was_off_are_set_back(witness: Witness) -> None:
    plan = with_fault(witness, StepClock(ms=4000)).plan
    stepped = ModeRow(t_ms=plan.start_ms, fault="planted", verb="clock.step", event="fire", fired=1)
    before = ModeRow(t_ms=plan.start_ms, fault="other")

    assert offsets_of(plan, (before, stepped, before)) == (0, 4000, 4000)


def test_how_far_the_runtimes_clock_was_set_forward_is_known_of_each_row(witness: Witness) -> None:
    first, last = witness.rows[0], witness.rows[-1]
    trouble = Trouble(id="set", what=ClockSet(ms=90_000), after_ms=10_000, for_ms=30_000)
    plan = changed(witness.plan, troubles=(trouble,))
    during = ModeRow(t_ms=witness.plan.start_ms + 20_000, fault="none")
    after = changed(during, t_ms=witness.plan.start_ms + 40_001)

    assert ahead_of(plan, (first, during, after)) == (0, 90_000, 0)
    assert ahead_of(witness.plan, (first, last)) == ()
