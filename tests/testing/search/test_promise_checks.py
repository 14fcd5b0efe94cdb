"""Checks of ids, boots, announcements, secrets, funds, limits and ages find what is planted."""

import base64
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace as changed

from livespot.contracts.codes import ReasonCode
from livespot.contracts.system import Alert
from livespot.contracts.vocabulary import Severity
from livespot.evidence.rows import AlertFact, ModeFact
from livespot.exchange.faults.plan import Blackhole, Delay, Fault, When
from livespot.exchange.journal import FillRow, ModeRow, OrderRow, RequestRow, Row
from livespot.testing.search.board import Noted
from livespot.testing.search.leaks import encodings, files_below, leaks
from livespot.testing.search.limits_of_risk import (
    decisions_are_fresh,
    nothing_offered_twice,
    risk_limits_hold,
)
from livespot.testing.search.promise_checks import (
    conditions_are_announced,
    moves_and_alerts_are_one,
    no_entry_before_the_first_look,
    no_id_offered_twice,
    no_secret_left,
)
from livespot.testing.search.troubles import ClockSet, DiskBusy, Trouble
from livespot.testing.search.witness import Witness

_SECRET = "a secret that nobody may see"


def with_facts(witness: Witness, **facts: Any) -> Witness:
    return replace(witness, facts=changed(witness.facts, **facts))


def with_row(witness: Witness, row: Row) -> Witness:
    return replace(witness, rows=(*witness.rows, row), offsets=(*witness.offsets, 0))


def answered(witness: Witness, outcome: str, **told: Any) -> RequestRow:
    """A request of the middle of the run, while it is NORMAL."""
    at_ms = witness.plan.start_ms + 80_000
    row = next(row for _, row in witness.requests())
    return changed(row, t_arrive=at_ms, t_reply=at_ms, outcome=outcome, delivered=True, **told)


def alert(witness: Witness, code: str, at_ms: int) -> AlertFact:
    return AlertFact(
        run_id=witness.facts.run_id, severity="WARN", code=code, text="", symbol="", at_ms=at_ms
    )


def test_an_id_that_the_ledger_had_to_refuse_is_found(witness: Witness) -> None:
    refused = alert(witness, "CLIENT_ORDER_ID_REUSE_BLOCK", witness.plan.start_ms)

    assert no_id_offered_twice(witness).proven
    assert no_id_offered_twice(with_facts(witness, alerts=(refused,))).violated


def test_a_life_that_may_buy_before_its_first_look_is_found(witness: Witness) -> None:
    normal = next(mode for mode in witness.facts.modes if mode.mode == "NORMAL")
    late = replace(witness, recovered={normal.run_id: normal.at_ms + 40})

    assert no_entry_before_the_first_look(witness).proven
    assert "40 ms too early" in no_entry_before_the_first_look(late).detail
    assert "never looked" in no_entry_before_the_first_look(replace(witness, recovered={})).detail


def test_where_the_clock_was_set_the_order_of_the_audit_tells_who_was_first(
    witness: Witness,
) -> None:
    normal = next(mode for mode in witness.facts.modes if mode.mode == "NORMAL")
    stepped = Trouble(id="set", after_ms=66_000, for_ms=1000, what=ClockSet(ms=41_000))
    apart = replace(
        witness,
        recovered={**witness.recovered, normal.run_id: normal.at_ms + 41_000},
        plan=changed(witness.plan, troubles=(stepped,)),
    )

    assert no_entry_before_the_first_look(apart).proven
    hasty = replace(apart, hasty=frozenset({normal.run_id}))
    assert "before it had looked" in no_entry_before_the_first_look(hasty).detail


def test_a_change_of_mode_that_was_durable_alone_is_found(witness: Witness) -> None:
    alone = frozenset({"SealedEvent", "SysModeRow"})

    assert moves_and_alerts_are_one(witness).proven
    assert moves_and_alerts_are_one(replace(witness, commits=(*witness.commits, alone))).violated


@pytest.mark.parametrize(
    ("outcome", "code"),
    [("418 -1003", "RATE_LIMIT_418"), ("401 -2015", "API_KEY_REJECTED")],
)
def test_a_condition_that_nobody_announced_in_time_is_found(
    witness: Witness, outcome: str, code: str
) -> None:
    told = answered(witness, outcome)
    silent = with_row(witness, told)
    said = (*witness.facts.alerts, alert(witness, code, told.t_reply + 2900))
    late = (*witness.facts.alerts, alert(witness, code, told.t_reply + 3100))

    assert conditions_are_announced(silent).violated
    assert conditions_are_announced(with_facts(silent, alerts=said)).proven
    assert conditions_are_announced(with_facts(silent, alerts=late)).violated


@pytest.mark.parametrize(
    ("held", "said_after_ms", "enough"),
    [(True, 200, True), (True, 3100, False), (False, 200, False)],
)
def test_while_the_database_is_held_an_alert_counts_as_soon_as_it_is_announced(
    witness: Witness, held: bool, said_after_ms: int, enough: bool
) -> None:
    told = answered(witness, "401 -2015")
    said_ms = told.t_reply + said_after_ms
    aloud = Alert(
        severity=Severity.CRIT,
        code=ReasonCode.ENTER_PAUSE,
        reasons=(ReasonCode.API_KEY_REJECTED,),
        text="the key is rejected",
        at_ms=said_ms,
    )
    busy = Trouble(id="held", after_ms=0, for_ms=60_000, what=DiskBusy())
    asked = (Noted(t_ms=said_ms - 20, id="held", verb="disk.busy"),) if held else ()
    silent = replace(
        with_row(witness, told),
        plan=changed(witness.plan, troubles=(busy,)),
        hits=asked,
        announced=(aloud,),
    )

    assert conditions_are_announced(silent).proven is enough


@pytest.mark.parametrize(("after_ms", "seen"), [(-500, 1), (10, 0), (500, 1)])
def test_an_answer_on_a_socket_that_is_cut_before_it_arrives_tells_nobody_anything(
    witness: Witness, after_ms: int, seen: int
) -> None:
    told = answered(witness, "401 -2015", method="WS", path="order.place")
    cut = Fault(id="cut", what=Blackhole(target="ws_api"), when=When(after_ms=0, for_ms=1))
    plan = changed(witness.plan, faults=(cut,))
    turn = ModeRow(t_ms=told.t_reply + after_ms, fault="cut", event="end")
    heard = with_row(witness, told)
    deaf = with_row(replace(heard, plan=plan), turn)

    assert conditions_are_announced(heard).violated
    assert conditions_are_announced(deaf).looked_at == seen


def _in_mode(witness: Witness, mode: str, reasons: tuple[str, ...] = ()) -> ModeFact:
    return ModeFact(
        id=1,
        run_id=witness.facts.run_id,
        mode=mode,
        previous="NORMAL",
        reasons=reasons,
        at_ms=witness.plan.start_ms,
    )


def test_a_condition_that_arises_while_the_mode_is_as_strict_already_must_be_said(
    witness: Witness,
) -> None:
    silent = with_row(witness, answered(witness, "418 -1003"))
    paused = with_facts(silent, modes=(_in_mode(witness, "PAUSE"),))
    leaving = with_facts(silent, modes=(_in_mode(witness, "EXIT"),))

    assert conditions_are_announced(paused).violated
    assert conditions_are_announced(leaving).looked_at == 0


def test_a_mode_entered_for_the_condition_long_before_does_not_announce_it_anew(
    witness: Witness,
) -> None:
    told = answered(witness, "401 -2015")
    silent = with_row(witness, told)
    paused = _in_mode(witness, "PAUSE", ("ENTER_PAUSE", "API_KEY_REJECTED"))
    earlier = changed(paused, at_ms=told.t_reply - 70_000)
    lately = changed(paused, at_ms=told.t_reply - 50_000)

    assert conditions_are_announced(with_facts(silent, modes=(earlier,))).violated
    assert conditions_are_announced(with_facts(silent, modes=(lately,))).proven


@pytest.mark.parametrize("form", list(encodings(_SECRET)))
def test_a_secret_is_found_in_every_encoding(form: str, tmp_path: Path) -> None:
    file = tmp_path / "deep" / "audit.jsonl"
    file.parent.mkdir()
    file.write_bytes(b"before " + encodings(_SECRET)[form] + b" after")

    [leak] = leaks(files_below(tmp_path), (_SECRET,))

    assert form in leak


@pytest.mark.parametrize("offset", [0, 1, 2])
def test_a_secret_is_found_inside_longer_base64(offset: int, tmp_path: Path) -> None:
    text = base64.b64encode(b"x" * offset + _SECRET.encode() + b" and more")
    (tmp_path / "log").write_bytes(text)

    assert list(leaks(files_below(tmp_path), (_SECRET,)))


def test_a_signature_is_found_and_the_exchanges_own_journal_is_not_searched(
    tmp_path: Path,
) -> None:
    (tmp_path / "exchange-journal.jsonl").write_text(_SECRET, encoding="utf-8")
    (tmp_path / "replay.log").write_text("?a=1&signature=" + "0a" * 32, encoding="utf-8")

    assert list(leaks(files_below(tmp_path), (_SECRET,))) == [
        "replay.log holds a secret as a signature"
    ]


def test_a_leak_is_a_violation_and_a_run_leaves_none(witness: Witness) -> None:
    assert no_secret_left(witness).proven
    assert no_secret_left(replace(witness, leaks=("replay.log holds a secret plain",))).violated


def test_base_that_is_offered_while_it_is_not_free_is_found(witness: Witness) -> None:
    params = {"symbol": "SOLUSDT", "side": "SELL", "quantity": "1000"}
    twice = answered(witness, "400 -2010", method="POST", path="/api/v3/order", params=params)

    assert nothing_offered_twice(with_row(witness, twice)).violated
    assert not nothing_offered_twice(with_row(witness, changed(twice, fault="no-list"))).violated


@pytest.mark.parametrize(("age_ms", "hand"), [(500, True), (1500, True), (500, False)])
def test_only_what_somebody_else_has_locked_within_a_second_may_be_offered(
    witness: Witness, age_ms: int, *, hand: bool
) -> None:
    params = {"symbol": "SOLUSDT", "side": "SELL", "quantity": "1000"}
    offer = answered(witness, "400 -2010", method="POST", path="/api/v3/order", params=params)
    order = next(row for row in witness.rows if isinstance(row, OrderRow))
    order = changed(order, t_new=offer.t_arrive - age_ms, cid="web_1" if hand else order.cid)

    finding = nothing_offered_twice(with_row(with_row(witness, order), offer))

    assert finding.violated is not (hand and age_ms < 1000)


def test_exposure_beyond_the_limit_is_found(witness: Witness) -> None:
    more = tuple(
        changed(row, qty=row.qty * 10) if isinstance(row, OrderRow | FillRow) else row
        for row in witness.rows
    )

    assert risk_limits_hold(witness).proven
    assert "exposure" in risk_limits_hold(replace(witness, rows=more)).detail


def test_an_entry_on_an_old_decision_is_found(witness: Witness) -> None:
    early = tuple(changed(d, at_ms=d.at_ms - 30_000) for d in witness.facts.decisions)

    assert decisions_are_fresh(witness).proven
    assert "after its decision" in decisions_are_fresh(with_facts(witness, decisions=early)).detail


@pytest.mark.parametrize(("ms", "found"), [(2500, True), (500, False)])
def test_an_entry_that_leaves_while_market_trades_are_late_is_found(
    witness: Witness, ms: int, found: bool
) -> None:
    late = Fault(
        id="late",
        what=Delay(target="ws_md", ms=ms),
        when=When(after_ms=1000, for_ms=100_000, probability_x10000=7000),
    )
    begun, ended = (
        ModeRow(t_ms=witness.plan.start_ms + offset, fault="late", event=event)
        for offset, event in ((1000, "begin"), (101_000, "end"))
    )
    faulted = replace(witness, plan=changed(witness.plan, faults=(late,)))

    finding = decisions_are_fresh(with_row(with_row(faulted, begun), ended))

    assert finding.violated is found
    assert Decimal(finding.looked_at) > 0
