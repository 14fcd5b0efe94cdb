"""A command in an advice names the state directory it is about, and only where it must."""

from pathlib import Path

import click
import pytest

from livespot.runtime.paths import Paths, default_var, sim_var, soak_var
from livespot.runtime.placed import placed
from livespot_cmd.main import livespot

_ELSEWHERE = Path("/a place")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("livespot sim", "livespot sim --var '/a place'"),
        (
            "nothing to do; livespot report run_1 tells of the run",
            "nothing to do; livespot report --var '/a place' run_1 tells of the run",
        ),
        (
            'then: livespot resume --reason "..."',
            "then: livespot resume --var '/a place' --reason \"...\"",
        ),
        ("livespot config check", "livespot config check --var '/a place'"),
        ("livespot migrate --var x", "livespot migrate --var x"),
        ("another livespot is running", "another livespot is running"),
    ],
)
def test_a_command_about_another_place_names_it(text: str, told: str) -> None:
    assert placed(text, Paths(var=_ELSEWHERE)) == told


@pytest.mark.parametrize(
    ("text", "var"),
    [
        ("livespot sim", sim_var()),
        ("livespot soak", soak_var()),
        ("livespot shadow", default_var() / "shadow"),
        ("livespot live --live", default_var()),
    ],
)
def test_a_command_that_looks_there_of_itself_stays_as_it_is(text: str, var: Path) -> None:
    assert placed(text, Paths(var=var)) == text


def test_every_command_that_is_given_a_place_takes_one() -> None:
    for text in ("sim", "soak", "live", "status", "verify", "report", "triage", "resume", "stop"):
        command = livespot.get_command(click.Context(livespot), text)
        assert command is not None
        assert "--var" in {name for option in command.params for name in option.opts}, text
        assert "--var" in placed(f"livespot {text}", Paths(var=_ELSEWHERE))
