"""Rows of the table of faults that no smaller test drives: the whole program on virtual time."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from livespot.exchange.faults.plan import AcceptThen, Fault, Reply, When
from livespot.testing.search.fault_kinds import ORDERS
from livespot.testing.search.plan import RunPlan, order_of
from livespot.testing.search.running import market_of, run_order
from livespot.testing.search.troubles import DiskSlow, Trouble
from livespot.testing.search.witness import Witness


def witnessed(plan: RunPlan, directory: Path, **more: Any) -> Witness:
    plan = replace(plan, **more)
    market = market_of(plan.symbols, plan.start_ms)
    outcome, witness = run_order(plan, order_of(plan, directory, market))
    assert outcome.violations == ()
    assert witness is not None
    return witness


@pytest.mark.slow
def test_an_order_in_doubt_that_the_stream_shows_is_settled_at_once_in_normal(
    quiet_plan: RunPlan, tmp_path: Path
) -> None:
    unclear = Reply(status=504, code=-1007, msg="Timeout waiting for response.")
    fault = Fault(id="unclear", what=AcceptThen(then=unclear), match=ORDERS, when=When(nth=1))
    witness = witnessed(quiet_plan, tmp_path, faults=(fault,))

    entry = next(intent for intent in witness.facts.intents if intent.is_entry)
    own = [t for t in witness.facts.transitions if t.order_intent_id == entry.order_intent_id]
    assert [step.to_state for step in own] == ["SENT_UNKNOWN", "CONFIRMED"]
    assert own[1].evidence.startswith("STREAM")
    assert own[1].at_ms - own[0].at_ms < 1000
    posts = [row for _, row in witness.requests() if row.method == "POST" and row.fault]
    assert len(posts) == 1
    doubted = range(own[0].at_ms, witness.plan.restart_ms)
    assert not [mode for mode in witness.facts.modes if mode.at_ms in doubted]


@pytest.mark.slow
def test_a_disk_that_takes_six_seconds_for_each_commit_degrades_until_it_is_well(
    quiet_plan: RunPlan, tmp_path: Path
) -> None:
    slow = Trouble(id="slow", what=DiskSlow(ms=6000), after_ms=10_000, for_ms=25_000)
    witness = witnessed(
        quiet_plan, tmp_path, troubles=(slow,), safety_ms=40_000, liveness_ms=100_000
    )

    begin_ms = witness.plan.start_ms + 10_000
    reasons = {
        reason
        for mode in witness.facts.modes
        if mode.at_ms > begin_ms and mode.mode == "DEGRADE"
        for reason in mode.reasons
    }
    assert any(reason.startswith("DB_WRITER") for reason in reasons)
