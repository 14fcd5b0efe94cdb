"""The figures of survival, from a run in which everything is right and from spoilt ones."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from livespot.contracts.errors import PayloadInvalid
from livespot.evidence.facts import read_facts
from livespot.evidence.rows import AlertFact, Facts
from livespot.evidence.survival import Survival, failures, of_run, over_runs, read_survival
from livespot.store.reader import ReadOnlyDatabase
from livespot.testing import finished_run
from livespot.testing.finished_run import RUN
from livespot.testing.finished_run_journal import START_MS


def with_run(facts: Facts, **other: object) -> Facts:
    return replace(facts, runs=(replace(facts.runs[0], **other),))


def test_a_run_without_a_failure_knows_no_time_between_them(facts: Facts) -> None:
    figures = of_run(facts)

    assert (figures.internal_failures, figures.between_failures_ms) == (0, None)
    assert figures.unknown["between_failures_ms"] == "nothing failed inside"
    assert figures.uptime_ms == 181_000
    assert figures.restart_ms == 10_000


def test_every_null_has_its_reason_and_every_reason_its_null(facts: Facts) -> None:
    bare = replace(facts, fills=(), positions=(), reconciles=(), modes=())
    for figures in (of_run(facts), over_runs(facts), of_run(bare)):
        nulls = {name for name in Survival.__struct_fields__ if getattr(figures, name) is None}
        assert nulls == set(figures.unknown)
        assert all(figures.unknown.values())


def test_time_in_the_modes_covers_the_run(facts: Facts) -> None:
    modes = {count.name: count.count for count in of_run(facts).modes_ms}

    assert modes["DEGRADE"] == (10_000 - 1_000) + (161_000 - 100_000)
    assert sum(modes.values()) == 180_000


def test_a_killed_run_failed_when_it_was_last_heard(facts: Facts) -> None:
    killed = with_run(facts, clean=False, exit_code=-1, last_event_ms=START_MS + 90_000)

    (failure,) = failures(killed, killed.runs[0])

    assert failure == (START_MS + 90_000, "UNCLEAN_SHUTDOWN")
    assert of_run(killed).uptime_ms == 90_000
    assert of_run(killed).between_failures_ms == 90_000


def test_a_failed_actor_is_counted_once_beside_the_exit_it_led_to(facts: Facts) -> None:
    alert = AlertFact(
        run_id=RUN,
        severity="CRIT",
        code="ACTOR_FAILED",
        text="execution failed",
        symbol="",
        at_ms=START_MS + 5_000,
    )
    broken = replace(with_run(facts, exit_code=20), alerts=(*facts.alerts, alert))

    assert [failure.reason for failure in failures(broken, broken.runs[0])] == ["ACTOR_FAILED"]


def test_a_fill_that_the_stream_did_not_bring_was_missed(facts: Facts) -> None:
    assert of_run(facts).missed_fills == 0
    fills = (replace(facts.fills[0], source="REST"), *facts.fills[1:])

    assert of_run(replace(facts, fills=fills)).missed_fills == 1


def test_corrections_are_added_up(facts: Facts) -> None:
    passes = tuple(replace(one, corrected=2) for one in facts.reconciles)

    assert of_run(replace(facts, reconciles=passes)).drift_corrections == 2 * len(passes)


def test_an_intent_that_was_in_doubt_says_how_long(facts: Facts) -> None:
    figures = of_run(facts)

    assert (figures.unknown_intents, figures.unresolved_intents) == (1, 0)
    assert figures.resolve_max_ms is not None
    assert figures.resolve_max_ms > 0


def test_the_time_without_a_stop_is_told_by_its_ranks_over_the_positions(facts: Facts) -> None:
    (one,) = facts.positions[:1]
    spans = [*range(0, 1000, 10), 4000]
    many = replace(facts, positions=tuple(replace(one, unprotected_ms=span) for span in spans))

    figures = of_run(many)

    assert (figures.unprotected_p50_ms, figures.unprotected_p99_ms) == (500, 990)
    assert figures.unprotected_max_ms == 4000


async def test_the_database_alone_tells_what_the_summary_tells(tmp_path: Path) -> None:
    database = ReadOnlyDatabase(await finished_run.told(tmp_path))

    told = await read_survival(database, RUN)

    facts = await read_facts(database, tmp_path / "logs", RUN)
    assert told.of_this_run == of_run(facts)
    assert told.over_runs == over_runs(facts)


async def test_an_unknown_run_has_no_figures(tmp_path: Path) -> None:
    database = ReadOnlyDatabase(await finished_run.told(tmp_path))

    with pytest.raises(PayloadInvalid, match="no run 'run_of_nobody'"):
        await read_survival(database, "run_of_nobody")
