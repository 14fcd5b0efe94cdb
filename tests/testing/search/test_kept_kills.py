"""Moments of death that once left something broken, kept for ever."""

from pathlib import Path

import pytest

from livespot.runtime.replay_course import Death
from livespot.testing.search.dying import Stage
from livespot.testing.search.kill_scenarios import scenario_named
from livespot.testing.search.running import run_order

# Scenario and market time from the life's birth; the entry's minute begins at 65 000.
_KEPT = {
    "entry-partly-filled": ("partial-fill", 66_500),
    "cancel-of-the-rest-on-its-way": ("partial-fill", 67_310),
}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "after_ms"), _KEPT.values(), ids=_KEPT)
def test_a_death_that_once_left_something_broken_leaves_it_whole(
    name: str, after_ms: int, tmp_path: Path
) -> None:
    scenario = scenario_named(name)
    assert scenario is not None
    order = Stage(scenario=scenario).order(tmp_path, Death(after_ms=after_ms, down_ms=1000))

    outcome, witness = run_order(scenario.plan(), order)

    assert witness is not None
    assert scenario.shows(witness)
    assert outcome.violations == ()
