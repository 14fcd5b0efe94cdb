"""Every gate passes what is right, and fails at the one thing that was planted."""

import base64
import dataclasses
import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from msgspec.structs import replace as changed
from tests.evidence.gates.cases import CANARY, SubjectOf

from livespot.evidence.gates.contracts import contracts
from livespot.evidence.gates.determinism import determinism
from livespot.evidence.gates.events import events
from livespot.evidence.gates.execution import execution
from livespot.evidence.gates.persistence import persistence
from livespot.evidence.gates.results import Outcome, Rehearsal, Subject, Verdict, Why
from livespot.evidence.gates.secret_values import secrets
from livespot.runtime.paths import Paths
from livespot.runtime.simulation import demo_secrets
from livespot.runtime.verify_run import Gate

pytestmark = pytest.mark.slow


def judged(gate: Gate, subject: Subject) -> Verdict:
    return anyio.run(gate, subject)


def spoil(database: Path, *statements: str) -> None:
    """Change rows behind the triggers' backs."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        triggers = connection.execute(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'"
        ).fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)
        for _, sql in triggers:
            connection.execute(sql)


@pytest.mark.parametrize(
    "gate",
    [contracts, determinism, persistence, execution, events, secrets],
    ids=lambda g: g.__name__,
)
def test_a_run_in_which_all_is_right_passes(gate: Gate, subject_of: SubjectOf) -> None:
    verdict = judged(gate, subject_of())

    assert (verdict.outcome, verdict.reasons) == (Outcome.PASS, ()), verdict.details
    assert verdict.looked_at > 0


def test_an_edited_event_is_named(subject_of: SubjectOf, place: Paths) -> None:
    spoil(place.database, "UPDATE audit_events SET symbol = 'XRPUSDT' WHERE seq = 7")

    verdict = judged(events, subject_of())

    assert Why.EVENT_EDITED in verdict.reasons
    assert "event 7 of run_" in verdict.details[0]


def test_a_removed_event_is_named(subject_of: SubjectOf, place: Paths) -> None:
    spoil(place.database, "DELETE FROM audit_events WHERE seq = 9")

    verdict = judged(events, subject_of())

    assert "event 10 of run_" in verdict.details[0]
    assert Why.TRAIL_DIFFERS in verdict.reasons


def test_a_line_taken_out_of_the_trail_is_named(subject_of: SubjectOf, place: Paths) -> None:
    trail = next(place.logs.glob("audit-*.jsonl"))
    lines = trail.read_bytes().splitlines(keepends=True)
    trail.write_bytes(b"".join(lines[:4] + lines[5:]))

    verdict = judged(events, subject_of())

    assert verdict.reasons == (Why.TRAIL_DIFFERS,)
    assert f"{trail.name}, line 5: not what the database holds of event 5" in verdict.details[0]


def test_a_mode_change_without_its_alert_fails(subject_of: SubjectOf, place: Paths) -> None:
    spoil(place.database, "DELETE FROM alerts WHERE code = 'ENTER_NORMAL'")

    verdict = judged(events, subject_of())

    assert verdict.reasons == (Why.ALERT_MISSING,)
    assert "DEGRADE -> NORMAL" in verdict.details[0]


@pytest.mark.parametrize(
    ("state", "words"),
    [("CREATED", "never sent and never closed"), ("SENT_UNKNOWN", "no event says why")],
)
def test_an_unclosed_intent_fails(
    subject_of: SubjectOf, place: Paths, state: str, words: str
) -> None:
    spoil(place.database, f"UPDATE order_intents SET state = '{state}'")  # noqa: S608

    verdict = judged(events, subject_of())

    assert verdict.reasons == (Why.INTENT_UNCLOSED,)
    assert words in verdict.details[0]


def test_a_changed_snapshot_fails_the_recomputation(subject_of: SubjectOf, place: Paths) -> None:
    spoil(
        place.database,
        "UPDATE snapshots SET snapshot_json = json_set(snapshot_json, '$.symbol_status', 'HALT')",
    )

    verdict = judged(determinism, subject_of())

    assert verdict.outcome is Outcome.FAIL
    assert Why.SNAPSHOT_CHANGED in verdict.reasons


# A decision that led to no order, and of which the snapshot is gone.
_UNTRADED = (
    "CREATE TEMP TABLE untraded AS SELECT * FROM decisions WHERE outcome = 'PROPOSED'",
    "UPDATE untraded SET id = id + 1000, decision_id = 'dec_untraded', snapshot_id = 'snap_gone'",
    "INSERT INTO decisions SELECT * FROM untraded",
)
# The upkeep of a hundred days later says that it took snapshots out.
_PRUNED = (
    "UPDATE audit_events SET event_type = 'DAILY_SUMMARY', ts_ms = ts_ms + 100 * 86400000, "
    """data = '{"count":1,"table":"snapshots","upkeep":"rows"}' """
    "WHERE id = (SELECT max(id) FROM audit_events)"
)


def test_a_snapshot_that_the_upkeep_pruned_is_not_asked_for(
    subject_of: SubjectOf, place: Paths
) -> None:
    whole = judged(determinism, subject_of())
    spoil(place.database, *_UNTRADED, _PRUNED)

    verdict = judged(determinism, subject_of())

    assert (verdict.outcome, verdict.reasons) == (Outcome.PASS, ()), verdict.details
    # What led to an order is recomputed as before.
    assert verdict.looked_at == whole.looked_at
    assert any("past their age are pruned" in note for note in verdict.details)


def test_a_snapshot_that_nobody_pruned_is_missed(subject_of: SubjectOf, place: Paths) -> None:
    spoil(place.database, *_UNTRADED)

    verdict = judged(determinism, subject_of())

    assert verdict.outcome is Outcome.FAIL
    assert "dec_untraded: " in verdict.details[0], verdict.details


def test_a_snapshot_that_led_to_an_order_is_missed_whatever_was_pruned(
    subject_of: SubjectOf, place: Paths
) -> None:
    spoil(place.database, "DELETE FROM snapshots", _PRUNED)

    assert judged(determinism, subject_of()).outcome is Outcome.FAIL


def test_a_run_whose_every_decision_is_past_its_age_is_said_to_be_pruned(
    subject_of: SubjectOf, place: Paths
) -> None:
    spoil(
        place.database,
        "UPDATE order_intents SET decision_id = 'dec_of_another_run'",
        "DELETE FROM snapshots",
        _PRUNED,
    )

    verdict = judged(determinism, subject_of())

    assert (verdict.outcome, verdict.reasons) == (Outcome.NEEDS_DATA, (Why.NO_DECISIONS,))
    assert "past their age" in verdict.details[0]


def test_two_replays_that_part_fail(subject_of: SubjectOf) -> None:
    async def rehearse() -> Rehearsal:
        return Rehearsal(summary=None, difference="event 12 (DECISION_PROPOSED), reasons")

    verdict = judged(determinism, _with(subject_of(), rehearse=rehearse))

    assert verdict.reasons == (Why.REPLAY_DIFFERS,)


def test_a_table_that_takes_its_rows_twice_fails(subject_of: SubjectOf, place: Paths) -> None:
    with closing(sqlite3.connect(place.database, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE fills_loose AS SELECT * FROM fills")
        for trigger in ("fills_immutable", "fills_kept"):
            connection.execute(f"DROP TRIGGER {trigger}")
        connection.execute("DROP TABLE fills")
        connection.execute("ALTER TABLE fills_loose RENAME TO fills")

    verdict = judged(persistence, subject_of())

    assert verdict.reasons == (Why.APPLIED_TWICE,)
    assert verdict.details[0].endswith("fills took 2 of its rows a second time")


def test_a_database_that_changes_what_it_acknowledged_fails(
    subject_of: SubjectOf, place: Paths
) -> None:
    with closing(sqlite3.connect(place.database, isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER audit_events_immutable")
        connection.execute(
            "CREATE TRIGGER z_forgets AFTER INSERT ON audit_events WHEN NEW.ts_ms < 9 "
            "BEGIN UPDATE audit_events SET cycle_id = 'x' WHERE id = NEW.id; END"
        )

    assert Why.DATABASE_DAMAGED in judged(persistence, subject_of()).reasons


def test_a_missing_fill_breaks_the_execution_gate(subject_of: SubjectOf, place: Paths) -> None:
    spoil(place.database, "DELETE FROM fills WHERE side = 'SELL'")

    verdict = judged(execution, subject_of())

    assert Why.INVARIANT_BROKEN in verdict.reasons
    assert any("I07" in detail for detail in verdict.details)


def test_a_rehearsal_without_a_trade_is_no_proof(subject_of: SubjectOf) -> None:
    subject = subject_of()

    async def rehearse() -> Rehearsal:
        whole = (await subject.rehearse()).summary
        assert whole is not None
        return Rehearsal(summary=changed(whole, trips=()))

    verdict = judged(execution, _with(subject, rehearse=rehearse))

    assert verdict.reasons == (Why.INVARIANT_BROKEN,)


@pytest.mark.parametrize(
    "written",
    [
        CANARY,
        CANARY[::-1],
        CANARY.encode().hex(),
        base64.b64encode(b"xy" + CANARY.encode()).decode(),
    ],
    ids=["raw", "reversed", "hex", "base64"],
)
def test_a_leaked_secret_is_found_and_its_place_named(
    subject_of: SubjectOf, place: Paths, written: str
) -> None:
    (place.logs / "livespot.log").write_text("x" * (1 << 20) + f'{{"at": "{written}"}}')

    verdict = judged(secrets, subject_of())

    assert verdict.reasons == (Why.SECRET_LEAKED,)
    assert verdict.details[0].startswith("SECRET_LEAKED: logs/livespot.log, byte 1048")
    assert CANARY not in str(verdict)


def test_the_demo_key_may_be_in_the_exchanges_files_only(
    subject_of: SubjectOf, place: Paths
) -> None:
    demo = demo_secrets().binance_api_key.reveal()
    (place.logs / "exchange.log").write_text(f"key {demo}")
    assert judged(secrets, subject_of()).outcome is Outcome.PASS

    (place.logs / "livespot.log").write_text(f"key {demo}")
    assert judged(secrets, subject_of()).details[0].startswith("SECRET_LEAKED: logs/livespot.log")


def test_a_secret_on_a_free_page_of_the_database_is_found(
    subject_of: SubjectOf, place: Paths
) -> None:
    with closing(sqlite3.connect(place.database, isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("CREATE TABLE notes (text TEXT)")
        connection.executemany("INSERT INTO notes VALUES (?)", [(CANARY,)] * 1000)
        connection.execute("DROP TABLE notes")

    verdict = judged(secrets, subject_of())

    assert verdict.reasons == (Why.SECRET_LEAKED,)
    assert "data/audit.sqlite" in verdict.details[0]


def test_a_stale_schema_fails_the_contracts(subject_of: SubjectOf, tmp_path: Path) -> None:
    verdict = judged(contracts, _with(subject_of(), schemas=tmp_path))

    assert verdict.reasons == (Why.SCHEMA_DIFFERS,)


def test_a_reason_that_no_catalogue_knows_fails_the_contracts(
    subject_of: SubjectOf, place: Paths
) -> None:
    spoil(place.database, "UPDATE audit_events SET reasons = '[\"BAD_MOOD\"]' WHERE seq = 3")

    verdict = judged(contracts, subject_of())

    assert verdict.reasons == (Why.CATALOGUE_DIFFERS,)
    assert "BAD_MOOD" in verdict.details[0]


def test_changed_settings_fail_the_contracts(subject_of: SubjectOf, place: Paths) -> None:
    spoil(
        place.database,
        "UPDATE runs SET config_json = json_set(config_json, '$.live.crash_loop_max', 9)",
    )

    assert judged(contracts, subject_of()).reasons == (Why.CONFIG_CHANGED,)


def test_a_gate_that_could_not_look_says_so(subject_of: SubjectOf) -> None:
    subject = subject_of()
    empty = changed(subject.facts, runs=(), trail=changed(subject.facts.trail, events=0))
    found = {
        "no runs": judged(contracts, _with(subject, facts=empty)),
        "no events": judged(events, _with(subject, facts=empty)),
        "nothing to apply": judged(persistence, _with(subject, facts=empty)),
        "no secrets": judged(secrets, _with(subject, secrets=(), demo_secrets=())),
        "still running": judged(events, _with(subject, ended=False)),
        "no decisions": judged(determinism, _with(subject, run_id="run_of_nobody")),
    }

    assert {name for name, v in found.items() if v.outcome is not Outcome.NEEDS_DATA} == set()
    assert all(verdict.reasons and verdict.next_action for verdict in found.values())


def _with(subject: Subject, **other: object) -> Subject:
    return dataclasses.replace(subject, **other)  # type: ignore[arg-type]
