"""One verdict and one next action, from the first thing that is not in order."""

import pytest
from msgspec.structs import replace

from livespot.evidence.findings import Finding
from livespot.evidence.gates.results import GATES, Outcome, Verdict
from livespot.evidence.journal import JournalRows
from livespot.evidence.rows import AlertFact, Facts
from livespot.evidence.summary import RunSummary, summary_of
from livespot.evidence.triage import triage
from livespot.testing.finished_run import RUN


@pytest.fixture
def summary(facts: Facts, journal: JournalRows) -> RunSummary:
    told = summary_of(facts, journal, database="data/audit.sqlite", trail="logs")
    return replace(told, counts=replace(told.counts, events=101))


def alerts(count: int, severity: str, facts: Facts) -> Facts:
    one = AlertFact(
        run_id=RUN, severity=severity, code="REST_STALE_DEGRADE", text="", symbol="", at_ms=1
    )
    return replace(facts, alerts=(one,) * count)


def verdict(gate: str, outcome: Outcome) -> Verdict:
    return Verdict(gate=gate, outcome=outcome, reasons=(), looked_at=1, details=(), next_action="")


PASSED = [verdict(gate, Outcome.PASS) for gate in GATES]


def test_a_run_in_which_all_is_right_is_sound(facts: Facts, summary: RunSummary) -> None:
    found = triage(replace(facts, alerts=()), summary, PASSED)

    assert found.verdict == "sound"
    assert all(look.good for look in found.looks)
    assert found.next_action == f"nothing to do; livespot report {RUN} tells of the run"


def test_a_sound_run_whose_gates_were_not_asked_wants_that_next(
    facts: Facts, summary: RunSummary
) -> None:
    unseen = [*PASSED[:-1], verdict(GATES[-1], Outcome.NEEDS_DATA)]

    found = triage(replace(facts, alerts=()), summary, unseen)

    assert found.verdict == "sound"
    assert found.next_action == f"livespot verify all --run {RUN}"
    assert any("not answered yet: secrets" in look.found for look in found.looks)


def test_a_gate_that_failed_is_to_be_looked_at(facts: Facts, summary: RunSummary) -> None:
    failed = [*PASSED[1:], verdict(GATES[0], Outcome.FAIL)]

    found = triage(replace(facts, alerts=()), summary, failed)

    assert found.verdict == "look at the gates"
    assert found.next_action == f"livespot verify contracts --run {RUN}"


def test_an_edited_event_is_found_without_a_gate(facts: Facts, summary: RunSummary) -> None:
    hurt = replace(facts, alerts=(), trail=replace(facts.trail, problems=("event 7 was edited",)))

    assert triage(hurt, summary, PASSED).verdict == "look at the event trail"


def test_a_run_that_goes_on_breaks_no_invariant_by_that(facts: Facts, summary: RunSummary) -> None:
    end = Finding(id="I26", title="", holds=False, looked_at=1, detail="has not ended")
    running = replace(summary, ended_at_ms=0, findings=(*summary.findings, end))

    bad = [look.name for look in triage(replace(facts, alerts=()), running).looks if not look.good]

    assert bad == ["the end of the run"]


def test_a_hundred_events_are_too_few(facts: Facts, summary: RunSummary) -> None:
    few = replace(summary, counts=replace(summary.counts, events=100))

    assert triage(replace(facts, alerts=()), few).verdict == "look at the number of events"


def test_a_critical_alert_leads_to_its_explanation(facts: Facts, summary: RunSummary) -> None:
    found = triage(alerts(1, "CRIT", facts), summary)

    assert found.verdict == "look at critical alerts"
    assert found.next_action == "livespot explain REST_STALE_DEGRADE"


@pytest.mark.parametrize(("count", "good"), [(5, True), (6, False)])
def test_errors_may_make_up_less_than_a_twentieth(
    facts: Facts, summary: RunSummary, count: int, good: bool
) -> None:
    found = triage(alerts(count, "WARN", facts), summary)

    assert next(look for look in found.looks if look.name == "the share of errors").good is good


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"ended_at_ms": 0}, "the run has not ended"),
        ({"clean": False}, "the run was killed"),
        ({"exit_code": 30}, "ended with exit code 30"),
    ],
)
def test_an_end_that_is_none_is_the_first_thing_to_look_at(
    facts: Facts, summary: RunSummary, changes: dict[str, object], found: str
) -> None:
    told = triage(facts, replace(summary, **changes))

    assert (told.looks[0].good, told.looks[0].found) == (False, found)
    assert told.verdict == "look at the end of the run"
