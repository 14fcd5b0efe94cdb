"""A command in an advice names the state directory it is about, and only where it must."""

from pathlib import Path

import click
import pytest
from msgspec.structs import replace

from livespot.contracts.settings import PanelSettings
from livespot.panel.codes import code_views
from livespot.panel.snapshot import Vantage, empty_dashboard
from livespot.runtime.paths import Paths, default_var, sim_var, soak_var
from livespot.runtime.placed import placed, placed_advice, placed_fold
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
        ("livespot migrate --db x.sqlite", "livespot migrate --db x.sqlite"),
        (
            "livespot restore copy.sqlite --var x, livespot doctor",
            "livespot restore copy.sqlite --var x, livespot doctor --var '/a place'",
        ),
        (
            "livespot sim --for 3m, or --var DIR for another state directory",
            "livespot sim --var '/a place' --for 3m, or --var DIR for another state directory",
        ),
        ("a directory that livespot backup wrote", "a directory that livespot backup wrote"),
        ("another livespot is running", "another livespot is running"),
    ],
)
def test_a_command_about_another_place_names_it(text: str, told: str) -> None:
    assert placed(text, Paths(var=_ELSEWHERE)) == told


def test_only_what_is_to_be_typed_is_placed_in_a_sentence() -> None:
    text = "livespot stop ends it, or `livespot halt`.\nNext: livespot next\nlivespot live goes on"

    assert placed_advice(text, Paths(var=_ELSEWHERE)) == (
        "livespot stop ends it, or `livespot halt --var '/a place'`.\n"
        "Next: livespot next --var '/a place'\nlivespot live goes on"
    )


def test_the_advice_of_an_active_reason_is_placed_like_the_next_step() -> None:
    base = empty_dashboard(Vantage(now_ms=0, refresh_ms=1, settings=PanelSettings()))
    reasons = code_views(["ENTER_PAUSE"])
    shown = replace(base, header=replace(base.header, reasons=reasons))

    told = placed_fold(shown, Paths(var=_ELSEWHERE))

    assert "livespot sim --var '/a place' --for 3m" in told.next.action
    assert "livespot resume --var '/a place' --reason" in told.header.reasons[0].action
    assert told.process.look == "livespot status --var '/a place'"


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
