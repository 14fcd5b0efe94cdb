"""Two points of each scenario, killed, powerless, cancelled; the command goes through all."""

from pathlib import Path

import pytest

from livespot.testing.search.dying import KillPoint, points_of
from livespot.testing.search.forking import end_everywhere
from livespot.testing.search.kill_scenarios import SCENARIOS, Scenario


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_scenario_happens_and_survives_a_death_early_and_late_in_it(
    scenario: Scenario, tmp_path: Path
) -> None:
    points = points_of(scenario, tmp_path / "undisturbed", "commits")
    chosen = [
        KillPoint(
            scenario=scenario.name, point=points[place], power_cut=power_cut, cancelled=cancelled
        )
        for place, power_cut, cancelled in (
            (len(points) // 3, True, False),
            (len(points) // 3, False, True),
            (2 * len(points) // 3, False, False),
            (2 * len(points) // 3, True, False),
        )
    ]
    died = list(end_everywhere(scenario, chosen, tmp_path / "ends", 1))

    assert {one.at for one in died} == set(chosen)
    assert [(one.at, one.outcome.violations) for one in died if one.outcome.violations] == []
