"""Each check of the record holds for the right story and names what is wrong."""

import pytest
from msgspec.structs import replace

from livespot.evidence.findings import Finding
from livespot.evidence.invariants import check_all
from livespot.evidence.rows import CommandFact, Facts, ModeFact
from livespot.testing.finished_run import RUN
from livespot.testing.finished_run_journal import START_MS


def found(name: str, facts: Facts) -> Finding:
    return next(finding for finding in check_all(facts, None) if finding.id == name)


def with_modes(facts: Facts, *steps: tuple[str, str, int]) -> Facts:
    """The modes of one run as (previous, mode, seconds after the start)."""
    modes = tuple(
        ModeFact(
            id=number,
            run_id=RUN,
            previous=previous,
            mode=mode,
            reasons=(f"ENTER_{mode}",),
            at_ms=START_MS + after_s * 1000,
        )
        for number, (previous, mode, after_s) in enumerate(steps)
    )
    return replace(facts, modes=modes)


def test_a_break_in_the_chain_is_passed_on(facts: Facts) -> None:
    broken = replace(facts, trail=replace(facts.trail, problems=("event 4 of r: it was edited",)))

    assert found("I18", broken).detail == "event 4 of r: it was edited"


@pytest.mark.parametrize(
    ("missing", "unknown", "words"),
    [
        pytest.param(1, 0, "1 of 38 events have no line in the trail", id="missing"),
        pytest.param(0, 2, "2 lines of the trail are not in the database", id="unknown"),
    ],
)
def test_a_trail_that_differs_is_named(
    facts: Facts, missing: int, unknown: int, words: str
) -> None:
    other = replace(facts, trail=replace(facts.trail, missing=missing, unknown=unknown))

    assert found("I19", other).detail == words


def test_a_silent_mode_change_is_named(facts: Facts) -> None:
    silent = tuple(alert for alert in facts.alerts if alert.code != "ENTER_EXIT")

    finding = found("I20", replace(facts, alerts=silent))

    assert (finding.holds, finding.looked_at) == (False, 5)
    assert "NORMAL -> EXIT" in finding.detail


def test_an_alert_outside_the_catalogue_is_named(facts: Facts) -> None:
    odd = (*facts.alerts, replace(facts.alerts[0], code="SOMETHING_ODD"))

    assert found("I20", replace(facts, alerts=odd)).detail == "SOMETHING_ODD is no known code"


def test_a_mode_without_its_event_is_named(facts: Facts) -> None:
    fewer = tuple(e for e in facts.events if e.event_type != "SYSMODE_CHANGED")

    assert found("I20", replace(facts, events=fewer)).detail == "5 mode rows, 0 mode events"


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        pytest.param([("NORMAL", "NORMAL", 0)], "begins as NORMAL", id="begins"),
        pytest.param(
            [("DEGRADE", "DEGRADE", 0), ("PAUSE", "DEGRADE", 1)], "where the mode was", id="gap"
        ),
        pytest.param(
            [("PAUSE", "PAUSE", 0), ("PAUSE", "NORMAL", 1)],
            "PAUSE -> NORMAL is not legal",
            id="illegal",
        ),
        pytest.param(
            [("PAUSE", "PAUSE", 0), ("PAUSE", "DEGRADE", 1)], "without the operator", id="alone"
        ),
        pytest.param(
            [("DEGRADE", "DEGRADE", 0), ("DEGRADE", "EXIT", 1), ("EXIT", "DEGRADE", 2)],
            "EXIT -> DEGRADE is not legal",
            id="after-exit",
        ),
        pytest.param(
            [
                ("DEGRADE", "DEGRADE", 0),
                ("DEGRADE", "NORMAL", 1),
                ("NORMAL", "DEGRADE", 10),
                ("DEGRADE", "NORMAL", 69),
            ],
            "after 59000 ms, too soon",
            id="too-soon",
        ),
    ],
)
def test_an_illegal_move_is_named(
    facts: Facts, steps: list[tuple[str, str, int]], words: str
) -> None:
    finding = found("I21", with_modes(facts, *steps))

    assert not finding.holds
    assert words in finding.detail


@pytest.mark.parametrize(
    ("place", "holds"),
    [
        pytest.param(2, True, id="meanwhile"),
        pytest.param(1, False, id="before"),
        pytest.param(3, False, id="after"),
    ],
)
def test_a_quiet_time_is_not_measured_by_a_clock_that_was_doubted_meanwhile(
    facts: Facts, place: int, *, holds: bool
) -> None:
    steps = [("DEGRADE", "DEGRADE", 0), ("DEGRADE", "NORMAL", 1),
             ("NORMAL", "DEGRADE", 10), ("DEGRADE", "NORMAL", 20)]  # fmt: skip
    moved = with_modes(facts, *steps)
    said = [
        replace(facts.alerts[0], run_id=mode.run_id, code=f"ENTER_{mode.mode}", at_ms=mode.at_ms)
        for mode in moved.modes
    ]
    doubt = replace(said[0], code="CLOCK_DRIFT_WARN", at_ms=START_MS)
    said.insert(place + 1, doubt)

    assert found("I21", replace(moved, alerts=tuple(said))).holds is holds


def test_a_degrade_for_the_clock_itself_is_not_measured_by_it(facts: Facts) -> None:
    steps = [("DEGRADE", "DEGRADE", 0), ("DEGRADE", "NORMAL", 1),
             ("NORMAL", "DEGRADE", 10), ("DEGRADE", "NORMAL", 20)]  # fmt: skip
    moved = with_modes(facts, *steps)
    *first, third, fourth = moved.modes
    third = replace(third, reasons=("CLOCK_DRIFT_WARN",))

    assert found("I21", replace(moved, modes=(*first, third, fourth))).holds


def test_a_pause_is_left_with_the_operators_word(facts: Facts) -> None:
    left = with_modes(facts, ("PAUSE", "PAUSE", 0), ("PAUSE", "DEGRADE", 10))
    resume = CommandFact(run_id=RUN, action="RESUME", outcome="accepted", at_ms=START_MS + 9_000)

    assert found("I21", replace(left, commands=(resume,))).holds
    refused = replace(resume, outcome="refused: a resume needs a reason")
    assert not found("I21", replace(left, commands=(refused,))).holds


def test_a_run_that_has_not_ended_is_named(facts: Facts) -> None:
    running = replace(facts.runs[0], ended_at_ms=0, clean=False)

    assert found("I26", replace(facts, runs=(running,))).detail == f"{RUN} has not ended"


def test_a_killed_run_counts_once_a_later_one_says_so(facts: Facts) -> None:
    killed = replace(facts.runs[0], clean=False)
    silent = replace(facts, runs=(killed,))
    note = replace(facts.events[0], reasons=("UNCLEAN_SHUTDOWN",), data={"run": RUN})

    assert "was killed and no later run says so" in found("I26", silent).detail
    assert found("I26", replace(silent, events=(*facts.events, note))).holds


def test_a_clean_end_needs_its_last_event(facts: Facts) -> None:
    cut = replace(facts, events=facts.events[:-1])

    assert found("I26", cut).detail == f"{RUN} ended without its last event"


def test_an_end_outside_exit_must_say_why(facts: Facts) -> None:
    without_exit = replace(facts, modes=facts.modes[:-1])
    failed = replace(facts.runs[0], exit_code=20, end_reasons=("ACTOR_FAILED",))

    assert "ended outside EXIT" in found("I26", without_exit).detail
    assert found("I26", replace(without_exit, runs=(failed,))).holds


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"integrity": ("row 3 missing",)}, "row 3 missing", id="damaged"),
        pytest.param({"integrity": ()}, "no answer", id="silent"),
        pytest.param({"foreign_key_breaks": 2}, "2 references lead nowhere", id="references"),
        pytest.param({"journal_mode": "delete"}, "journal_mode is 'delete'", id="no-wal"),
    ],
)
def test_a_damaged_database_is_named(facts: Facts, change: dict[str, object], words: str) -> None:
    damaged = replace(facts, file=replace(facts.file, **change))

    assert words in found("I39", damaged).detail
