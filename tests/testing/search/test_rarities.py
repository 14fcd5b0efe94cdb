"""What a part of the plans has besides is drawn often enough, and happens when it is."""

from collections import Counter
from pathlib import Path

import pytest
from msgspec.structs import replace

from livespot.contracts.vocabulary import OperatorAction
from livespot.runtime.replay_run import run_virtual
from livespot.testing.search.drawing import draw
from livespot.testing.search.plan import DeathPlan, RunPlan, order_of
from livespot.testing.search.rarities import HAND_KINDS
from livespot.testing.search.running import market_of
from livespot.testing.search.troubles import ClockSet, MachineSleeps, OperatorSays, Trouble, What
from livespot.testing.search.witness import Witness, house_steps, read_witness

_PLANS = [draw("short", seed) for seed in range(600)]


def _run(plan: RunPlan, directory: Path) -> Witness:
    market = market_of(plan.symbols, plan.start_ms)
    return read_witness(plan, run_virtual(order_of(plan, directory, market)))


def _brief(plan: RunPlan, what: What, for_ms: int = 8000) -> RunPlan:
    """A boot, and then the trouble: too short for an entry."""
    trouble = Trouble(id="it", what=what, after_ms=20_000, for_ms=for_ms)
    return replace(plan, safety_ms=45_000, liveness_ms=5000, settle_ms=5000, troubles=(trouble,))


def test_every_kind_of_another_hand_is_drawn() -> None:
    drawn = Counter(
        fault.id.partition("-")[2]
        for plan in _PLANS
        for fault in plan.faults
        if fault.id.startswith("h")
    )

    assert drawn.keys() == HAND_KINDS.keys()


def test_clock_sleep_and_every_word_of_the_operator_are_drawn() -> None:
    house = (t for plan in _PLANS for t in plan.troubles if t.id.startswith("h"))
    troubles = [trouble.what for trouble in house]
    said = {what.action for what in troubles if isinstance(what, OperatorSays)}

    assert any(isinstance(what, ClockSet) and what.ms < 0 for what in troubles)
    assert any(isinstance(what, MachineSleeps) for what in troubles)
    assert said == {
        OperatorAction.PAUSE,
        OperatorAction.RESUME,
        OperatorAction.STOP,
        OperatorAction.EXPOSURE_OPEN,
    }


def test_lives_die_at_commits_and_by_cancellation_too() -> None:
    deaths = [death for plan in _PLANS for death in plan.deaths]

    assert 0.3 < sum(death.commit is not None for death in deaths) / len(deaths) < 0.6
    assert 0.15 < sum(death.cancelled for death in deaths) / len(deaths) < 0.35
    assert not any(death.cancelled and death.power_cut for death in deaths)


def test_some_stops_may_trail_some_markets_are_late_and_some_fills_are_equal() -> None:
    staged = [plan.stage.symbols[0] for plan in _PLANS if plan.stage is not None]

    assert 60 < sum(plan.swap_proven for plan in _PLANS) < 180
    assert any(fault.id == "market-late" for plan in _PLANS for fault in plan.faults)
    assert 30 < sum(one.even_prints for one in staged) < 180


@pytest.mark.slow
def test_a_clock_that_is_set_and_set_right_again_is_measured_anew(
    quiet_plan: RunPlan, tmp_path: Path
) -> None:
    plan = _brief(quiet_plan, ClockSet(ms=30_000))
    witness = _run(plan, tmp_path)

    steps = ((plan.start_ms + 20_000, 30_000), (plan.start_ms + 28_000, -30_000))
    assert house_steps(plan) == steps
    assert witness.fired() == {"it": 1}
    assert min(witness.offsets) == -30_000
    assert witness.offsets[-1] == 0
    assert {"CLOCK_DRIFT_WARN"} <= {alert.code for alert in witness.facts.alerts}


@pytest.mark.slow
def test_a_machine_that_sleeps_asks_nothing_meanwhile_and_says_so_afterwards(
    quiet_plan: RunPlan, tmp_path: Path
) -> None:
    plan = _brief(quiet_plan, MachineSleeps(), for_ms=12_000)
    witness = _run(plan, tmp_path)

    begin_ms = plan.start_ms + 20_000
    sent = [row.t_first_byte for _, row in witness.requests() if row.conn != "model"]
    assert not any(begin_ms + 100 < at_ms < begin_ms + 12_000 for at_ms in sent)
    told = [a.at_ms for a in witness.facts.alerts if a.code == "SUSPEND_DETECTED"]
    assert begin_ms + 12_000 <= min(told) < begin_ms + 15_000
    assert "PAUSE" in {mode.mode for mode in witness.facts.modes}


@pytest.mark.slow
def test_an_operator_is_heard(quiet_plan: RunPlan, tmp_path: Path) -> None:
    plan = _brief(quiet_plan, OperatorSays(action=OperatorAction.PAUSE), for_ms=1)
    witness = _run(plan, tmp_path)

    (command,) = witness.facts.commands
    assert (command.action, command.outcome) == ("PAUSE", "accepted")
    assert "PAUSE" in {mode.mode for mode in witness.facts.modes}


@pytest.mark.slow
def test_a_life_dies_when_so_many_commits_about_orders_are_durable(
    quiet_plan: RunPlan, tmp_path: Path
) -> None:
    death = DeathPlan(after_ms=110_000, commit=1)
    witness = _run(replace(quiet_plan, deaths=(death,)), tmp_path)

    first = witness.lives[0]
    made = [intent for intent in witness.facts.intents if intent.run_id == first.run_id]
    assert first.code is None
    assert [intent.state for intent in made] == ["FAILED_TERMINAL"]
    assert [step.to_state for step in witness.facts.transitions][:1] == ["FAILED_TERMINAL"]
