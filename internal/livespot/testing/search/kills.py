"""The profile that kills a life at every point of the reference scenarios."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import click

from livespot.testing.search.dying import Died, KillPoint, ScenarioLost, die_at, points_of
from livespot.testing.search.forking import Lost, end_everywhere
from livespot.testing.search.judging import line_of
from livespot.testing.search.kill_scenarios import SCENARIOS, Scenario, scenario_named
from livespot.testing.search.wanted import Wanted

_MS_PER_MINUTE = 60_000
# (with a power cut, cancelled): the three ways to end at a point.
_MANNERS = ((False, False), (True, False), (False, True))
_SAID = {"killed": "killed", "power": "killed with a power cut", "cancelled": "cancelled"}
_AGAIN = {"killed": "", "power": " --power-cut", "cancelled": " --cancelled"}


@dataclass(slots=True)
class Count:
    """Progress so far. `histories` are the different outcomes of the deaths."""

    scenarios: int = 0
    points: int = 0
    deaths: int = 0
    power_cuts: int = 0
    cancelled: int = 0
    violated: int = 0
    unfinished: int = 0
    cpu_ms: int = 0
    histories: set[str] = field(default_factory=set)

    def add(self, died: Died) -> None:
        self.deaths += 1
        self.power_cuts += died.at.power_cut
        self.cancelled += died.at.cancelled
        self.violated += bool(died.outcome.violations)
        self.cpu_ms += died.outcome.cpu_ms
        self.histories.add(died.outcome.digest)

    def last_line(self) -> str:
        per_minute = self.deaths * _MS_PER_MINUTE / max(1, self.cpu_ms)
        return (
            f"seeds {self.deaths} ({self.scenarios} scenarios, {len(self.histories)} histories), "
            f"violations {self.violated}, {per_minute:.1f} seeds per minute per core, "
            f"faults fired: {self.power_cuts} power cuts, {self.cancelled} cancellations, "
            f"kill points {self.points} (deaths {self.deaths})"
        )


def search_kills(wanted: Wanted) -> int:
    """Kill at the wanted points of the wanted scenarios; 0 when all were judged and none failed."""
    if wanted.point is not None:
        return _kill_once(wanted, wanted.point)
    count = Count()
    try:
        for scenario in _scenarios(wanted):
            _kill_through(scenario, wanted, count)
    except KeyboardInterrupt:
        count.unfinished += 1
        click.echo("interrupted: what follows is what was done until then")
    click.echo(count.last_line())
    return 1 if count.violated or count.unfinished or not count.deaths else 0


def _kill_through(scenario: Scenario, wanted: Wanted, count: Count) -> None:
    count.scenarios += 1
    deaths, violated = count.deaths, count.violated
    with tempfile.TemporaryDirectory(prefix="livespot-kills-") as scratch:
        try:
            points = points_of(scenario, Path(scratch) / "undisturbed", wanted.at)
            chosen = points[wanted.first - 1 :: wanted.stride]
            for died in _deaths(scenario, chosen, Path(scratch), wanted.jobs):
                count.add(died)
                _tell(died)
        except (ScenarioLost, Lost) as error:
            count.unfinished += 1
            click.echo(str(error))
            return
    count.points += len(chosen)
    click.echo(
        f"{scenario.name:22} {len(chosen):5} of {len(points):5} points, "
        f"{count.deaths - deaths:5} deaths, {count.violated - violated} violated"
    )


def _deaths(scenario: Scenario, points: Sequence[int], scratch: Path, jobs: int) -> Iterator[Died]:
    chosen = [
        KillPoint(scenario=scenario.name, point=point, power_cut=power_cut, cancelled=cancelled)
        for point in points
        for power_cut, cancelled in _MANNERS
    ]
    yield from end_everywhere(scenario, chosen, scratch, jobs)


def _scenarios(wanted: Wanted) -> list[Scenario]:
    if not wanted.scenario:
        return list(SCENARIOS)
    return [_named(name) for name in wanted.scenario]


def _named(name: str) -> Scenario:
    scenario = scenario_named(name)
    if scenario is None:
        names = ", ".join(scenario.name for scenario in SCENARIOS)
        raise click.UsageError(f"{name}: no such scenario; there are {names}")
    return scenario


def _kill_once(wanted: Wanted, point: int) -> int:
    if len(wanted.scenario) != 1:
        raise click.UsageError("--point needs one --scenario")
    scenario = _named(wanted.scenario[0])
    at = KillPoint(
        scenario=scenario.name,
        point=point,
        power_cut=wanted.power_cut,
        cancelled=wanted.cancelled,
    )
    with _directory(wanted.keep) as directory:
        try:
            died = die_at(at, scenario, directory)
        except ScenarioLost as error:
            raise click.ClickException(str(error)) from error
    for finding in died.outcome.findings:
        click.echo(line_of(finding))
    click.echo(f"digest {died.outcome.digest}")
    return 1 if died.outcome.violations else 0


@contextmanager
def _directory(keep: Path | None) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="livespot-kills-") as scratch:
        yield keep or Path(scratch) / "run"


def _tell(died: Died) -> None:
    at = died.at
    for finding in died.outcome.violations:
        click.echo(
            f"{at.scenario}, {_SAID[at.manner]} at {at.point}: "
            f"{finding.id} {finding.title}: {finding.detail}"
        )
    if died.outcome.violations:
        click.echo(
            f"  again: python -m livespot.testing.search --profile kills "
            f"--scenario {at.scenario} --point {at.point}{_AGAIN[at.manner]} --keep DIR"
        )
