"""What is spread over time, held up or said before is no violation; what is not, still is one."""

from dataclasses import replace

import pytest
from msgspec.structs import replace as changed

from livespot.evidence.journal import JournalRequest
from livespot.evidence.rows import AlertFact
from livespot.exchange.faults.plan import Blackhole, Fault, When
from livespot.exchange.journal import FillRow, ModeRow, OrderRow, RequestRow
from livespot.testing.search.board import Noted
from livespot.testing.search.judging import judge
from livespot.testing.search.limit_checks import limits_are_respected
from livespot.testing.search.protection_checks import protected_or_paused
from livespot.testing.search.stale_checks import stale_views_are_said
from livespot.testing.search.troubles import ClockSet, DiskBusy, DiskSlow, MachineSleeps, Trouble
from livespot.testing.search.witness import Witness, ahead_of, offsets_of


def refused(witness: Witness, at_ms: int, outcome: str) -> Witness:
    """One more refusal of the same cancel."""
    params = {"symbol": "SOLUSDT", "orderId": "1"}
    row = changed(
        next(row for row in witness.rows if isinstance(row, RequestRow)),
        method="DELETE",
        path="/api/v3/order",
        params=params,
        t_arrive=at_ms,
        t_reply=at_ms,
        outcome=outcome,
        delivered=True,
    )
    request = JournalRequest(
        row=len(witness.rows) + 1,
        arrived_ms=at_ms,
        method="DELETE",
        path="/api/v3/order",
        params=params,
        outcome=outcome,
    )
    return replace(
        witness,
        rows=(*witness.rows, row),
        offsets=(*witness.offsets, 0),
        journal=changed(witness.journal, requests=(*witness.journal.requests, request)),
    )


@pytest.mark.parametrize(
    ("outcome", "apart_ms", "found"),
    [("400 -1010", 3000, True), ("400 -1010", 4000, False), ("400 -2010", 4000, True)],
)
def test_only_a_closed_market_may_be_asked_to_cancel_again_and_only_at_pauses(
    witness: Witness, outcome: str, apart_ms: int, *, found: bool
) -> None:
    again = witness
    for number in range(6):
        again = refused(again, witness.plan.start_ms + number * apart_ms, outcome)

    assert ("was refused" in limits_are_respected(again).detail) is found


@pytest.mark.parametrize(
    ("what", "for_ms", "found"),
    [
        pytest.param(MachineSleeps(), 9000, False, id="asleep"),
        pytest.param(DiskBusy(), 9000, False, id="database held"),
        pytest.param(MachineSleeps(), 500, True, id="asleep for a moment"),
        pytest.param(DiskSlow(ms=50), 9000, True, id="slow disk"),
        pytest.param(DiskSlow(ms=800), 9000, True, id="disk that two commits do not explain"),
        pytest.param(DiskSlow(ms=1000), 9000, False, id="disk so slow that two commits explain it"),
    ],
)
def test_the_deadline_of_a_stop_stands_still_while_nothing_can_be_done(
    witness: Witness, what: MachineSleeps | DiskBusy | DiskSlow, for_ms: int, *, found: bool
) -> None:
    bare_ms = next(row.t_ms for row in witness.rows if isinstance(row, FillRow))
    rows = tuple(
        changed(row, t_new=row.t_new + 8000)
        if isinstance(row, OrderRow) and row.side == "SELL" and row.status == "NEW"
        else row
        for row in witness.rows
    )
    trouble = Trouble(id="held-up", after_ms=1000, for_ms=for_ms, what=what)
    hit = Noted(t_ms=bare_ms + 10, id="held-up", verb=trouble.verb)
    held_up = replace(
        witness, rows=rows, hits=(hit,), plan=changed(witness.plan, troubles=(trouble,))
    )

    assert protected_or_paused(replace(held_up, hits=())).violated
    assert protected_or_paused(held_up).violated is found


@pytest.mark.parametrize("set_ms", [30_000, 3000, -4000, -30_000])
@pytest.mark.parametrize(
    ("paused_ms", "said_ms", "found"),
    [
        pytest.param(5000, 5000, False, id="in time"),
        pytest.param(9000, 9000, True, id="too late"),
        pytest.param(5000, 9000, True, id="not said in time"),
        pytest.param(5000, -6000, True, id="said before"),
    ],
)
def test_the_deadline_of_a_pause_is_market_time_whatever_the_clock_is_set_to_meanwhile(
    witness: Witness, set_ms: int, paused_ms: int, said_ms: int, *, found: bool
) -> None:
    bare_ms = next(row.t_ms for row in witness.rows if isinstance(row, FillRow))
    after_ms = bare_ms + 1000 - witness.plan.start_ms
    trouble = Trouble(id="set", what=ClockSet(ms=set_ms), after_ms=after_ms, for_ms=10_000)

    def stamp(ms: int) -> int:
        return bare_ms + ms + (set_ms if ms >= 1000 else 0)

    before = tuple(mode for mode in witness.facts.modes if mode.at_ms < bare_ms)
    paused = changed(before[-1], mode="PAUSE", at_ms=stamp(paused_ms))
    word = AlertFact(
        run_id=paused.run_id, severity="CRIT", code="", text="", symbol="", at_ms=stamp(said_ms)
    )
    stops = ("STOP_LOSS", "STOP_LOSS_LIMIT")
    kept = [
        place
        for place, row in enumerate(witness.rows)
        if not (isinstance(row, OrderRow) and row.type in stops)
    ]
    plan = changed(witness.plan, troubles=(trouble,))
    rows = tuple(witness.rows[place] for place in kept)
    bare = replace(
        witness,
        plan=plan,
        rows=rows,
        offsets=offsets_of(plan, rows),
        ahead=ahead_of(plan, rows),
        facts=changed(witness.facts, modes=(*before, paused), alerts=(word,)),
    )

    assert protected_or_paused(bare).violated is found


@pytest.mark.parametrize(
    ("ended_ms", "said", "found"),
    [(59_000, True, False), (61_000, True, True), (59_000, False, True)],
)
def test_the_minute_of_one_word_runs_from_the_end_of_what_it_told_of(
    witness: Witness, ended_ms: int, *, said: bool, found: bool
) -> None:
    life = witness.lives[0]
    begin_ms = life.over_ms - 10_000
    began_ms = begin_ms - 70_000
    faults = tuple(
        Fault(id=name, what=Blackhole(target="ws_md"), when=When(after_ms=1000, for_ms=9000))
        for name in ("first", "again")
    )

    def turns(name: str, first_ms: int, last_ms: int) -> tuple[ModeRow, ...]:
        row = ModeRow(t_ms=first_ms, fault=name, verb="net.blackhole", event="begin", fired=1)
        fired = changed(row, event="fire", hit="1 connections")
        return row, fired, changed(row, t_ms=last_ms, event="end")

    rows = (
        *turns("first", began_ms, begin_ms - ended_ms),
        *turns("again", begin_ms, begin_ms + 9000),
    )
    word = AlertFact(
        run_id=life.run_id,
        severity="WARN",
        code="WS_STALE_DEGRADE",
        text="",
        symbol="",
        at_ms=began_ms + 2500,
    )
    troubled = replace(
        witness,
        plan=changed(witness.plan, faults=faults),
        rows=(*witness.rows, *rows),
        offsets=(*witness.offsets, *(0 for _ in rows)),
        recovered={**witness.recovered, life.run_id: life.born_ms},
        lives=(replace(life, born_ms=life.born_ms - 100_000), *witness.lives[1:]),
        facts=changed(witness.facts, alerts=(word,) if said else (), modes=()),
    )

    assert ("again" in stale_views_are_said(troubled).detail) is found


@pytest.mark.parametrize(
    ("set_ms", "quiet_ms", "found"),
    [
        pytest.param(300, 59_600, False, id="set back by 300 ms unsaid"),
        pytest.param(300, 59_400, True, id="shorter than that explains"),
        pytest.param(600, 59_600, True, id="a step that would have been said"),
        pytest.param(-300, 59_600, False, id="set back and then forward"),
    ],
)
def test_a_quiet_time_may_be_short_by_what_a_clock_was_set_back_unsaid(
    witness: Witness, set_ms: int, quiet_ms: int, *, found: bool
) -> None:
    first = witness.facts.modes[0]
    steps = (("DEGRADE", "NORMAL", 1000), ("NORMAL", "DEGRADE", 2000))
    modes = [changed(first, previous="DEGRADE", mode="DEGRADE")]
    for previous, mode, after_ms in (*steps, ("DEGRADE", "NORMAL", 2000 + quiet_ms)):
        at_ms = first.at_ms + after_ms
        modes.append(changed(first, previous=previous, mode=mode, at_ms=at_ms, reasons=()))
    trouble = Trouble(id="set", what=ClockSet(ms=set_ms), after_ms=10_000, for_ms=5000)
    short = replace(witness, facts=changed(witness.facts, modes=tuple(modes)))
    known = replace(short, plan=changed(witness.plan, troubles=(trouble,)))

    assert _is_hasty(short)
    assert _is_hasty(known) is found


def _is_hasty(witness: Witness) -> bool:
    return any("too soon" in f.detail for f in judge(witness) if f.id == "I21")
