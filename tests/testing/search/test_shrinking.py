"""A failing plan becomes as small as its cause, within a budget of runs."""

from msgspec.structs import replace

from livespot.testing.search.drawing import draw
from livespot.testing.search.plan import DeathPlan, RunPlan
from livespot.testing.search.shrinking import shrunk


def _crowded() -> RunPlan:
    plans = (draw("short", seed) for seed in range(100))
    plan = next(plan for plan in plans if len(plan.faults) >= 8)
    deaths = (DeathPlan(after_ms=1000), DeathPlan(after_ms=2000))
    return replace(plan, deaths=deaths, shuffled=True, settings={"exit.attach": "SEPARATE"})


def test_only_the_guilty_fault_and_the_guilty_death_are_left() -> None:
    plan = _crowded()
    guilty = plan.faults[5]

    smallest, spent = shrunk(
        plan,
        lambda it: guilty in it.faults and DeathPlan(after_ms=2000) in it.deaths,
        budget=200,
    )

    assert smallest.faults == (guilty,)
    assert smallest.deaths == (DeathPlan(after_ms=2000),)
    assert not smallest.shuffled
    assert smallest.settings == {}
    assert spent <= 200


def test_the_budget_of_runs_is_kept_and_what_was_won_is_kept_too() -> None:
    plan = _crowded()

    smallest, spent = shrunk(plan, lambda _: True, budget=3)

    assert spent == 3
    assert len(smallest.faults) < len(plan.faults)


def test_a_plan_that_only_fails_whole_stays_as_it_is() -> None:
    plan = _crowded()

    smallest, _ = shrunk(plan, lambda _: False, budget=100)

    assert smallest == plan
