"""What a run left behind is read with the right meaning."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from livespot.exchange.faults.plan import Fault, Match, StepClock, When
from livespot.runtime.replay_run import run_virtual
from livespot.testing.search.plan import RunPlan, order_of
from livespot.testing.search.running import market_of
from livespot.testing.search.witness import read_witness


@pytest.mark.slow
def test_a_request_left_by_our_clock_wherever_the_exchanges_clock_stands(
    quiet_plan: RunPlan, tmp_path: Path
) -> None:
    ahead = Fault(id="ahead", what=StepClock(ms=400), match=Match(), when=When(after_ms=0))
    plan = replace(quiet_plan, faults=(ahead,), settings={"exit.attach": "SEPARATE"})
    market = market_of(plan.symbols, plan.start_ms)

    witness = read_witness(plan, run_virtual(order_of(plan, tmp_path, market)))

    arrived = {
        row.params["newClientOrderId"]: witness.at(place, row.t_arrive)
        for place, row in witness.requests()
        if "newClientOrderId" in row.params
    }
    left = {i.client_order_id: witness.sent[i.order_intent_id] for i in witness.facts.intents}
    both = arrived.keys() & left.keys()
    assert both
    assert all(0 <= arrived[name] - left[name].at_ms < 100 for name in both)
