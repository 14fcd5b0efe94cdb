"""Whole runs of the search: repeatable, honest about what says nothing, and judged."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from livespot.contracts.errors import ConfigInvalid
from livespot.exchange.data_sets import DataOrder, open_market
from livespot.runtime.replay_run import run_virtual
from livespot.testing.search.drawing import draw
from livespot.testing.search.plan import RunPlan, encoded, loaded_for, order_of, read_plan
from livespot.testing.search.running import PLAN_FILE, market_of, run_plan
from livespot.testing.search.tally import Tally

# Drawn seeds, kept few: each takes some seconds.
_CI_SEEDS = range(1, 6)


def _brief(plan: RunPlan) -> RunPlan:
    """Too short for an entry."""
    return replace(plan, safety_ms=20_000, liveness_ms=5000, settle_ms=5000)


@pytest.mark.slow
def test_a_market_used_before_gives_the_same_bytes_as_a_fresh_one(
    quiet_plan: RunPlan, tmp_path: Path
) -> None:
    plan = _brief(quiet_plan)
    used = market_of(plan.symbols, plan.start_ms)
    run_virtual(order_of(plan, tmp_path / "before", used))
    fresh = open_market(
        DataOrder(name="recorded", seed=0, now_ms=plan.start_ms, only=frozenset(plan.symbols))
    )
    results = [
        run_virtual(order_of(plan, tmp_path / name, market))
        for name, market in (("used", used), ("fresh", fresh), ("own", None))
    ]

    assert len({result.last_hash for result in results}) == 1
    assert len({result.journal.read_bytes() for result in results}) == 1


@pytest.mark.slow
def test_a_run_without_an_order_is_vacuous_and_keeps_its_files_where_asked(
    quiet_plan: RunPlan, tmp_path: Path
) -> None:
    plan = _brief(quiet_plan)
    outcome = run_plan(plan, tmp_path / "kept", twice=True)
    tally = Tally()
    tally.add(outcome)

    assert outcome.vacuous
    assert (tally.runs, tally.counted) == (1, 0)
    assert read_plan(tmp_path / "kept" / PLAN_FILE) == plan
    assert [f.id for f in outcome.findings if f.id == "I29" and f.holds] == ["I29"]


def test_a_plan_survives_its_file_and_a_broken_file_is_refused(tmp_path: Path) -> None:
    plan = draw("short", 5)
    path = tmp_path / "plan.json"
    path.write_text(encoded(plan), encoding="utf-8")

    assert read_plan(path) == plan
    path.write_text('{"seed": 1}', encoding="utf-8")
    with pytest.raises(ConfigInvalid):
        read_plan(path)


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(ConfigInvalid):
        loaded_for({"exit.nothing": 1})


@pytest.mark.slow
@pytest.mark.parametrize("seed", _CI_SEEDS)
def test_a_seed_breaks_no_invariant(seed: int) -> None:
    outcome = run_plan(draw("short", seed))

    assert outcome.violations == ()
