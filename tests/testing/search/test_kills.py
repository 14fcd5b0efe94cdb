"""Killing at every point: the points of a window, both ways to die there, and the command."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from livespot.testing.search.__main__ import main
from livespot.testing.search.dying import KillPoint, ScenarioLost, die_at, points_of
from livespot.testing.search.forking import CAN_FORK, Lost, die_everywhere
from livespot.testing.search.kill_scenarios import SCENARIOS, Scenario, scenario_named


def _named(name: str) -> Scenario:
    scenario = scenario_named(name)
    assert scenario is not None
    return scenario


@pytest.fixture(scope="session")
def points(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, ...]:
    return points_of(_named("oco-install"), tmp_path_factory.mktemp("base") / "run", "commits")


def test_each_scenario_has_a_name_of_its_own_and_a_window() -> None:
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS) >= 12
    assert all(0 <= scenario.from_ms < scenario.until_ms for scenario in SCENARIOS)
    assert scenario_named("no such thing") is None


@pytest.mark.slow
def test_every_point_contains_those_at_commits(points: tuple[int, ...], tmp_path: Path) -> None:
    every = points_of(_named("oco-install"), tmp_path / "run", "every")

    assert set(points) < set(every)
    assert list(every) == list(range(every[0], every[-1] + 1))


@pytest.mark.slow
@pytest.mark.skipif(not CAN_FORK, reason="only Linux names a process's open files")
@pytest.mark.timeout(600)
def test_a_copy_that_dies_leaves_the_same_bytes_as_a_run_that_dies_there(
    points: tuple[int, ...], tmp_path: Path
) -> None:
    scenario = _named("oco-install")
    middle = points[len(points) // 2]
    chosen = [
        KillPoint(scenario=scenario.name, point=middle, power_cut=cut, cancelled=cancelled)
        for cut, cancelled in ((False, False), (True, False), (False, True))
    ]
    copied = {died.at: died for died in die_everywhere(scenario, chosen, tmp_path / "fork", 2)}
    again = {point: die_at(point, scenario, tmp_path / "again") for point in chosen}

    assert {point: died.outcome.digest for point, died in copied.items()} == {
        point: died.outcome.digest for point, died in again.items()
    }
    assert all(not died.outcome.violations for died in (*copied.values(), *again.values()))
    # The trail of the machine that lost its power had to be written anew, and says so.
    assert len({died.outcome.digest for died in copied.values()}) == len(chosen)


@pytest.mark.slow
@pytest.mark.skipif(not CAN_FORK, reason="only Linux names a process's open files")
def test_a_point_that_is_never_reached_is_missed_aloud(tmp_path: Path) -> None:
    scenario = _named("oco-install")
    beyond = KillPoint(scenario=scenario.name, point=10**9, power_cut=False)

    with pytest.raises(Lost, match="1 of 1"):
        list(die_everywhere(scenario, [beyond], tmp_path, 1))


@pytest.mark.slow
def test_a_scenario_that_does_not_happen_is_no_scenario(tmp_path: Path) -> None:
    nothing = Scenario(name="nothing", from_ms=0, until_ms=500, shows=lambda witness: False)

    with pytest.raises(ScenarioLost, match="does not show it"):
        points_of(nothing, tmp_path / "run", "commits")


@pytest.mark.slow
def test_the_command_kills_and_sums_up() -> None:
    asked = ["--profile", "kills", "--scenario", "oco-install", "--at", "commits", "--stride", "99"]
    result = CliRunner().invoke(main, asked)

    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1].startswith("seeds 3 (1 scenarios, 3 histories)")
    assert "violations 0" in result.output
    assert "1 power cuts, 1 cancellations" in result.output
    assert "kill points 1 (deaths 3)" in result.output


def test_the_command_refuses_a_scenario_it_does_not_know() -> None:
    result = CliRunner().invoke(main, ["--profile", "kills", "--scenario", "tea"])

    assert result.exit_code == 2
    assert "there are entry-maker" in result.output
