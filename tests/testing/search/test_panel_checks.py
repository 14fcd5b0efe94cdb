"""Visits to the panel happen in a life on virtual time; what they cause or get wrongly is found."""

from dataclasses import replace
from pathlib import Path

import pytest
from msgspec.structs import replace as changed
from tests.testing.search.test_fault_rows import witnessed

from livespot.evidence.rows import CommandFact
from livespot.runtime.mailboxes import Mailbox
from livespot.testing.clock import ManualClock
from livespot.testing.search.board import LOG_FILE, Board, Noted, read_hits
from livespot.testing.search.drawing import draw
from livespot.testing.search.oddities import VISITS
from livespot.testing.search.panel_checks import the_panel_only_reads
from livespot.testing.search.plan import RunPlan
from livespot.testing.search.troubles import OperatorSays, PageAsked, Trouble
from livespot.testing.search.visiting import CAUSED, VISIT, watched
from livespot.testing.search.witness import Witness


@pytest.fixture(scope="module")
def visited(quiet_plan: RunPlan, tmp_path_factory: pytest.TempPathFactory) -> Witness:
    """A short run whose panel is asked everything that is ever drawn, two seconds apart."""
    troubles = tuple(
        Trouble(id=f"v{n}", what=what, after_ms=3000 + 2000 * n, for_ms=1)
        for n, what in enumerate(VISITS)
    )
    plan = changed(
        quiet_plan, safety_ms=40_000, liveness_ms=5000, settle_ms=5000, troubles=troubles
    )
    return witnessed(plan, tmp_path_factory.mktemp("visited"))


@pytest.mark.slow
def test_each_visit_is_answered_by_the_panels_own_rules_and_put_on_record(
    visited: Witness,
) -> None:
    told = {hit.id: hit.told for hit in visited.hits}

    assert the_panel_only_reads(visited).looked_at == sum(what.times for what in VISITS)
    assert set(told.values()) == {"200", "403", "404", "421", "429"}
    assert sum(visited.asked.values()) == len(visited.hits) - 10


@pytest.mark.slow
@pytest.mark.parametrize(
    ("planted", "told"),
    [
        (PageAsked(path="/api/dashboard", host="evil.example"), "200"),
        (PageAsked(path="/api/orders", origin="https://evil.example"), "200"),
        (PageAsked(path="/api/pause", method="POST"), "404"),
        (PageAsked(path="/api/pause"), "200"),
        (PageAsked(path="/static/../../.env"), "200"),
        (PageAsked(path="/api/dashboard"), "429"),
    ],
)
def test_an_answer_that_nobody_may_get_is_found(
    visited: Witness, planted: PageAsked, told: str
) -> None:
    first = visited.plan.troubles[0]
    troubles = (changed(first, what=planted), *visited.plan.troubles[1:])
    hits = (changed(visited.hits[0], told=told), *visited.hits[1:])
    wrong = replace(visited, plan=changed(visited.plan, troubles=troubles), hits=hits)

    assert f"was answered {told}" in the_panel_only_reads(wrong).detail


@pytest.mark.slow
def test_a_visit_that_causes_something_is_found(visited: Witness) -> None:
    caused = Noted(t_ms=visited.hits[0].t_ms, id=visited.hits[0].id, verb=CAUSED)

    wrong = replace(visited, hits=(*visited.hits, caused))
    assert "caused something" in the_panel_only_reads(wrong).detail


@pytest.mark.slow
def test_a_command_that_no_operator_gave_is_found(visited: Witness) -> None:
    at_ms = visited.hits[0].t_ms
    command = CommandFact(
        run_id=visited.facts.run_id, action="PAUSE", outcome="accepted", at_ms=at_ms
    )

    wrong = replace(visited, facts=changed(visited.facts, commands=(command,)))
    assert "1 commands, 0 were given" in the_panel_only_reads(wrong).detail


@pytest.mark.slow
def test_a_visit_that_is_not_on_record_is_found(visited: Witness) -> None:
    run_id, count = next(iter(visited.asked.items()))

    wrong = replace(visited, asked={run_id: count - 1})
    assert f"wrote {count - 1} down" in the_panel_only_reads(wrong).detail


def test_visits_of_every_kind_are_drawn_and_nothing_else_changes_by_them() -> None:
    plans = [draw("short", seed) for seed in range(600)]
    visits = [t.what for plan in plans for t in plan.troubles if isinstance(t.what, PageAsked)]

    assert set(visits) == set(VISITS)
    assert 25 < sum(any(t.id.startswith("v") for t in plan.troubles) for plan in plans) < 75
    assert not any(isinstance(what, OperatorSays) for what in visits)


async def test_what_a_visit_sends_anybody_is_put_on_record(tmp_path: Path) -> None:
    visit = Trouble(id="v0", what=PageAsked(path="/metrics"), after_ms=0)
    clock = ManualClock()
    board = Board((visit,), clock, 60_000, tmp_path / LOG_FILE)
    box: Mailbox[str] = Mailbox("box", 4, clock)
    send = watched(box.send, board)
    await send("of an actor")
    token = VISIT.set("v0")
    await send("of a visit")
    VISIT.reset(token)

    assert [box.receive_nowait(), box.receive_nowait()] == ["of an actor", "of a visit"]
    assert [(hit.id, hit.verb) for hit in read_hits(tmp_path / LOG_FILE)] == [("v0", CAUSED)]
