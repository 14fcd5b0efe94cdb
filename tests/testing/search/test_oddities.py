"""Answers of another form, more of the operator and delistings are drawn, and hit when they are."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from livespot.contracts.vocabulary import OperatorAction
from livespot.exchange.faults.loader import contradictions
from livespot.exchange.faults.plan import (
    AcceptThen,
    Fault,
    Match,
    ModelReply,
    Reply,
    Rewrite,
    SetStatus,
    Verb,
    When,
)
from livespot.testing.search.drawing import draw
from livespot.testing.search.fault_kinds import ORDERS
from livespot.testing.search.oddities import ANSWER_KINDS, MODEL_FAULTS
from livespot.testing.search.plan import RunPlan, order_of
from livespot.testing.search.running import Outcome, market_of, run_order
from livespot.testing.search.troubles import OperatorSays, Trouble, What
from livespot.testing.search.witness import Witness

_PLANS = [draw("short", seed) for seed in range(600)]
_ODD = [fault for plan in _PLANS for fault in plan.faults if fault.id.startswith("a")]


def run(plan: RunPlan, directory: Path) -> tuple[Outcome, Witness]:
    market = market_of(plan.symbols, plan.start_ms)
    outcome, witness = run_order(plan, order_of(plan, directory, market))
    assert witness is not None
    return outcome, witness


def brief(plan: RunPlan, **more: Any) -> RunPlan:
    """A boot, the fault, and the quiet minute after it: no entry is awaited."""
    return replace(plan, safety_ms=30_000, liveness_ms=85_000, settle_ms=5000, **more)


def test_every_kind_of_odd_answer_is_drawn_and_none_contradicts_itself() -> None:
    drawn = Counter(fault.id.partition("-")[2] for fault in _ODD)

    assert drawn.keys() == ANSWER_KINDS.keys()
    assert not [t for f in _ODD for t in contradictions(f.what, f.match, f.when)]


def test_where_orders_go_by_the_socket_their_odd_answers_do_too() -> None:
    moved = [fault for fault in _ODD if fault.match.method.startswith("order")]
    rewrites = [fault.what for fault in moved if isinstance(fault.what, Rewrite)]

    assert rewrites
    assert all(what == Rewrite(target="ws_api", set=what.set) for what in rewrites)
    assert {name for what in rewrites for name in what.set} == {"result.status"}


def test_a_model_that_fails_its_first_question_is_drawn() -> None:
    ill = [fault for plan in _PLANS for fault in plan.faults if fault.id == "model-at-entry"]

    assert {fault.what for fault in ill} == set(MODEL_FAULTS)
    assert 12 < len(ill) < 48


def test_halts_releases_and_delistings_are_drawn() -> None:
    said = [
        trouble.what.action
        for plan in _PLANS
        for trouble in plan.troubles
        if isinstance(trouble.what, OperatorSays)
    ]
    ended = [
        fault.what.status
        for plan in _PLANS
        for fault in plan.faults
        if isinstance(fault.what, SetStatus) and fault.id == "delisted"
    ]

    assert {OperatorAction.HALT, OperatorAction.RELEASE} <= set(said)
    assert set(ended) == {"BREAK", "HALT", "END_OF_DAY"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "match"),
    [
        (
            Rewrite(target="rest", set={"ofTheFuture": {"deep": 1}, "0.ofTheFuture": "x"}),
            Match(path="/api/v3/*"),
        ),
        (
            Rewrite(target="rest", set={"symbols.0.status": "CANCEL_ONLY"}),
            Match(path="/api/v3/exchangeInfo"),
        ),
        (Reply(status=200, body="null"), Match(method="GET", path="/api/v3/openOrders")),
    ],
)
def test_an_odd_answer_to_reads_hits_and_breaks_nothing(
    quiet_plan: RunPlan, tmp_path: Path, what: Verb, match: Match
) -> None:
    odd = Fault(id="odd", what=what, match=match, when=When(after_ms=0, for_ms=20_000))
    outcome, witness = run(brief(quiet_plan, faults=(odd,)), tmp_path)

    assert witness.fired()["odd"] > 0
    assert outcome.violations == ()


@pytest.mark.slow
@pytest.mark.parametrize(
    "what",
    [
        Rewrite(target="rest", set={"status": "PENDING_REVIEW"}),
        AcceptThen(then=Reply(status=200, body='"ok"')),
    ],
)
def test_an_order_whose_answer_cannot_be_understood_is_found_and_not_repeated(
    quiet_plan: RunPlan, tmp_path: Path, what: Verb
) -> None:
    odd = Fault(id="odd", what=what, match=ORDERS, when=When(nth=1))
    # The rest of its quiet minute after the doubt, too.
    plan = replace(quiet_plan, faults=(odd,), liveness_ms=80_000)
    outcome, witness = run(plan, tmp_path)

    assert witness.fired()["odd"] == 1
    assert outcome.violations == ()


@pytest.mark.slow
def test_a_model_that_fails_its_first_question_is_hit_where_it_is_drawn(
    quiet_plan: RunPlan, tmp_path: Path
) -> None:
    when = When(after_ms=70_000, count=1)
    ill = Fault(id="model-at-entry", what=ModelReply(status=500), when=when)
    plan = replace(quiet_plan, faults=(ill,), settings={"ai_gate.pause_after_failures": 3})
    outcome, witness = run(replace(plan, liveness_ms=80_000), tmp_path)

    assert witness.fired() == {"model-at-entry": 1}
    assert outcome.violations == ()


@pytest.mark.slow
def test_an_operator_who_halts_and_lets_go_of_a_symbol_is_heard(
    quiet_plan: RunPlan, tmp_path: Path
) -> None:
    words: tuple[What, ...] = (
        OperatorSays(action=OperatorAction.RELEASE, symbol="SOLUSDT"),
        OperatorSays(action=OperatorAction.HALT),
    )
    troubles = tuple(
        Trouble(id=f"w{n}", what=what, after_ms=10_000 + 3000 * n, for_ms=1)
        for n, what in enumerate(words)
    )
    outcome, witness = run(brief(quiet_plan, troubles=troubles), tmp_path)

    assert outcome.violations == ()
    assert [command.action for command in witness.facts.commands] == ["RELEASE", "HALT"]
    ends = [mode for mode in witness.facts.modes if mode.mode == "EXIT"]
    assert "KILL_SWITCH_FILE" in ends[0].reasons
    assert ends[0].at_ms < witness.plan.healed_ms
