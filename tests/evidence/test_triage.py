"""One verdict and one next action, from the first thing that is not in order."""

import pytest
from msgspec.structs import replace

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


def test_a_run_in_which_all_is_right_is_sound(facts: Facts, summary: RunSummary) -> None:
    found = triage(replace(facts, alerts=()), summary)

    assert found.verdict == "sound"
    assert all(look.good for look in found.looks)
    assert found.next_action == f"nothing to do; livespot report {RUN} tells of the run"


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
