"""A soak is ready when it ended in order, broke nothing, passed every gate and needed nobody."""

import pytest
from msgspec.structs import replace

from livespot.evidence.findings import Finding
from livespot.evidence.gates.results import GATES, Outcome, Verdict
from livespot.evidence.journal import JournalRows
from livespot.evidence.readiness import readiness
from livespot.evidence.rows import Count, Facts
from livespot.evidence.summary import RunSummary, summary_of
from livespot.evidence.survival import Survival

PASSED = [
    Verdict(gate=gate, outcome=Outcome.PASS, reasons=(), looked_at=1, details=(), next_action="")
    for gate in GATES
]
HIT = (Count(name="cut", count=2), Count(name="lost", count=0))
CALM = Survival(
    runs=1,
    uptime_ms=3_600_000,
    internal_failures=0,
    between_failures_ms=None,
    restart_ms=1_000,
    modes_ms=(Count(name="NORMAL", count=3_500_000), Count(name="DEGRADE", count=100_000)),
    unprotected_p50_ms=20,
    unprotected_p99_ms=40,
    unprotected_max_ms=40,
    unprotected_total_ms=80,
    unknown_intents=1,
    unresolved_intents=0,
    resolve_max_ms=90_000,
    missed_fills=0,
    drift_corrections=0,
    unknown={},
)


@pytest.fixture
def summary(facts: Facts, journal: JournalRows) -> RunSummary:
    told = summary_of(facts, journal, database="data/audit.sqlite", trail="logs")
    return replace(told, clean=True, exit_code=0, findings=())


def bad(summary: RunSummary, survival: Survival = CALM) -> list[str]:
    found = readiness(summary, survival, PASSED, HIT)
    assert found.ready == all(point.good for point in found.points)
    return [point.name for point in found.points if not point.good]


def test_a_soak_in_which_all_went_well_is_ready(summary: RunSummary) -> None:
    found = readiness(summary, CALM, PASSED, HIT)

    assert found.ready
    assert found.next_action == f"livespot report {summary.run_id}"
    assert any(point.found == "1 of 2 planned ones hit something" for point in found.points)


@pytest.mark.parametrize(
    ("survival", "name"),
    [
        (replace(CALM, unresolved_intents=1), "orders in doubt"),
        (replace(CALM, unprotected_max_ms=5_001), "time without a stop"),
        (replace(CALM, internal_failures=1), "internal failures"),
        (replace(CALM, modes_ms=(Count(name="PAUSE", count=1),)), "without a person"),
    ],
)
def test_each_figure_of_survival_can_refuse_it(
    summary: RunSummary, survival: Survival, name: str
) -> None:
    assert bad(summary, survival) == [name]


def test_a_position_that_never_was_is_no_time_without_a_stop(summary: RunSummary) -> None:
    assert bad(summary, replace(CALM, unprotected_max_ms=None)) == []


def test_an_end_out_of_order_or_a_broken_invariant_refuses_it(summary: RunSummary) -> None:
    broken = Finding(id="I02", title="", holds=False, looked_at=1, detail="twice")

    assert bad(replace(summary, exit_code=10)) == ["the end"]
    assert bad(replace(summary, clean=False)) == ["the end"]
    assert bad(replace(summary, findings=(broken,))) == ["the invariants"]


def test_a_gate_that_could_not_look_refuses_it(summary: RunSummary) -> None:
    blind = [replace(PASSED[0], outcome=Outcome.NEEDS_DATA), *PASSED[1:]]

    found = readiness(summary, CALM, blind, HIT)

    assert not found.ready
    assert found.next_action == f"livespot verify contracts --run {summary.run_id}"


def test_faults_that_hit_nothing_have_shown_nothing(summary: RunSummary) -> None:
    missed = (Count(name="cut", count=0),)

    assert not readiness(summary, CALM, PASSED, missed).ready
    assert readiness(summary, CALM, PASSED, ()).ready
