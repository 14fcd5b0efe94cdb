"""What the database itself refuses, whoever writes."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from livespot.contracts.chain import SealedEvent
from livespot.contracts.records import Record
from livespot.contracts.redaction import Redactor
from livespot.contracts.vocabulary import IntentState, OrderStatus, PositionPhase
from livespot.store.batches import batches_of
from livespot.testing.ledger_rows import (
    RUN,
    chain,
    created,
    fill,
    fresh,
    moved,
    order,
    order_list,
    position,
    run_started,
)

S = IntentState
LEGAL = {
    (S.CREATED, S.SENT_UNKNOWN),
    (S.CREATED, S.FAILED_TERMINAL),
    (S.SENT_UNKNOWN, S.CONFIRMED),
    (S.SENT_UNKNOWN, S.FAILED_TERMINAL),
    (S.SENT_UNKNOWN, S.NOT_FOUND),
    (S.NOT_FOUND, S.CONFIRMED),
}
WAY_TO = {
    S.CREATED: (),
    S.SENT_UNKNOWN: (S.SENT_UNKNOWN,),
    S.CONFIRMED: (S.SENT_UNKNOWN, S.CONFIRMED),
    S.FAILED_TERMINAL: (S.FAILED_TERMINAL,),
    S.NOT_FOUND: (S.SENT_UNKNOWN, S.NOT_FOUND),
}


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(fresh(tmp_path), isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = OFF")
        yield connection


def write(db: sqlite3.Connection, *rows: Record) -> None:
    for sql, values in batches_of(rows, RUN, Redactor()):
        db.executemany(sql, values)


def append(db: sqlite3.Connection, *events: SealedEvent) -> None:
    for sql, values in batches_of(events, RUN, Redactor()):
        db.executemany(sql, values)


def bring_to(db: sqlite3.Connection, state: IntentState) -> None:
    write(db, created())
    at = S.CREATED
    for following in WAY_TO[state]:
        write(db, moved(at, following))
        at = following


def state_of(db: sqlite3.Connection) -> str:
    return str(db.execute("SELECT state FROM order_intents").fetchone()[0])


@pytest.mark.parametrize("start", list(S))
@pytest.mark.parametrize("end", list(S))
def test_only_the_legal_transitions_of_an_intent_are_possible(
    db: sqlite3.Connection, start: IntentState, end: IntentState
) -> None:
    bring_to(db, start)

    if (start, end) in LEGAL:
        write(db, moved(start, end))
        assert state_of(db) == end
        return
    with pytest.raises(sqlite3.IntegrityError):
        write(db, moved(start, end))
    if start is not end:
        with pytest.raises(sqlite3.IntegrityError, match="illegal intent transition"):
            db.execute("UPDATE order_intents SET state = ?", (end.value,))
    assert state_of(db) == start


def test_a_transition_from_a_state_the_intent_is_not_in_is_refused(db: sqlite3.Connection) -> None:
    bring_to(db, S.CREATED)

    with pytest.raises(sqlite3.IntegrityError, match="not in the state"):
        write(db, moved(S.SENT_UNKNOWN, S.CONFIRMED))


def test_a_transition_of_an_unknown_intent_is_refused(db: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="not in the state"):
        write(db, moved(S.CREATED, S.SENT_UNKNOWN))


def test_an_intent_cannot_be_born_in_another_state(db: sqlite3.Connection) -> None:
    write(db, created("a"))

    with pytest.raises(sqlite3.IntegrityError, match="begins in CREATED"):
        db.execute(
            "INSERT INTO order_intents SELECT 'oi_b', run_id, decision_id, '', action, role, 0,"
            " symbol, side, 'X_b', payload, 'CONFIRMED', '', 0, -1, '', 0, 0, 5000, 0, 0"
            " FROM order_intents"
        )


def test_a_second_row_for_an_intent_is_refused(db: sqlite3.Connection) -> None:
    write(db, created("a"))

    with pytest.raises(sqlite3.IntegrityError):
        write(db, created("a", client_order_id="X_other"))


@pytest.mark.parametrize("reused", ["X_a", "X_leg"])
def test_a_client_id_is_never_used_twice(db: sqlite3.Connection, reused: str) -> None:
    write(db, created("a", "X_leg"))

    with pytest.raises(sqlite3.IntegrityError):
        write(db, created("b", client_order_id=reused))
    with pytest.raises(sqlite3.IntegrityError):
        write(db, created("c", reused))


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE audit_events SET ts_ms = 1",
        "DELETE FROM audit_events",
        "UPDATE fills SET qty = '9'",
        "DELETE FROM fills",
        "DELETE FROM order_intents",
        "UPDATE order_intents SET payload = '{}'",
        "UPDATE order_intents SET client_order_id = 'X_new'",
        "DELETE FROM intent_client_ids",
        "UPDATE intent_client_ids SET order_intent_id = 'oi_a', client_order_id = 'X_n'",
        "UPDATE intent_transitions SET evidence = 'none'",
        "DELETE FROM intent_transitions",
        "DELETE FROM orders",
        "DELETE FROM positions",
        "DELETE FROM runs",
    ],
)
def test_history_cannot_be_rewritten(db: sqlite3.Connection, sql: str) -> None:
    write(
        db, run_started(), created(), moved(S.CREATED, S.SENT_UNKNOWN), order(), fill(), position()
    )
    append(db, *chain(2))

    with pytest.raises(sqlite3.IntegrityError):
        db.execute(sql)


def test_a_fill_counts_once(db: sqlite3.Connection) -> None:
    write(db, fill(1), fill(1, qty="9.99"), fill(2))

    rows = db.execute("SELECT trade_id, qty FROM fills ORDER BY trade_id").fetchall()
    assert rows == [(1, "1.50"), (2, "1.50")]


@pytest.mark.parametrize(
    ("held", "older"),
    [
        pytest.param("10.50", "9.50", id="text-order-would-mislead"),
        pytest.param("1.00000001", "1", id="decimals"),
        pytest.param("90071992547409.93", "90071992547409.92", id="beyond-float"),
    ],
)
def test_executed_quantity_never_shrinks(db: sqlite3.Connection, held: str, older: str) -> None:
    write(db, order(OrderStatus.PARTIALLY_FILLED, held))

    write(db, order(OrderStatus.PARTIALLY_FILLED, older, at_ms=2_000_000_000_000))

    assert db.execute("SELECT executed_qty FROM orders").fetchone() == (held,)
    with pytest.raises(sqlite3.IntegrityError, match="never shrinks"):
        db.execute("UPDATE orders SET executed_qty = ?", (older,))
    write(db, order(OrderStatus.FILLED, "90071992547409.94"))
    assert db.execute("SELECT status FROM orders").fetchone() == ("FILLED",)


@pytest.mark.parametrize("status", [status for status in OrderStatus if status.is_terminal])
def test_a_terminal_order_is_never_reopened(db: sqlite3.Connection, status: OrderStatus) -> None:
    write(db, order(status, "2.00"))

    write(db, order(OrderStatus.PARTIALLY_FILLED, "3.00", at_ms=2_000_000_000_000))

    assert db.execute("SELECT status, executed_qty FROM orders").fetchone() == (status, "2.00")
    with pytest.raises(sqlite3.IntegrityError, match="never reopened"):
        db.execute("UPDATE orders SET status = 'NEW'")


def test_an_older_view_of_an_order_changes_nothing(db: sqlite3.Connection) -> None:
    write(db, order(OrderStatus.NEW, at_ms=2_000), order(OrderStatus.PENDING_NEW, at_ms=1_000))

    assert db.execute("SELECT status FROM orders").fetchone() == ("NEW",)


def test_an_ended_list_is_never_reopened(db: sqlite3.Connection) -> None:
    write(db, order_list())
    db.execute("UPDATE order_lists SET list_order_status = 'ALL_DONE'")

    write(db, order_list())

    assert db.execute("SELECT list_order_status FROM order_lists").fetchone() == ("ALL_DONE",)


def test_a_symbol_has_at_most_one_open_position(db: sqlite3.Connection) -> None:
    write(db, position("pos_1"))

    with pytest.raises(sqlite3.IntegrityError):
        write(db, position("pos_2"))
    write(db, position("pos_1", PositionPhase.FLAT), position("pos_2"))


def test_an_event_that_does_not_follow_the_last_is_refused(db: sqlite3.Connection) -> None:
    first, second, third = chain(3)
    append(db, first)

    with pytest.raises(sqlite3.IntegrityError, match="does not continue"):
        append(db, third)
    append(db, second, third)


def test_money_is_decimal_text_and_json_is_checked(db: sqlite3.Connection) -> None:
    write(db, fill())

    with pytest.raises(sqlite3.IntegrityError):
        db.execute(
            "INSERT INTO fills SELECT symbol, 5, order_id, client_order_id, side, '1e5', qty,"
            " commission, commission_asset, 1, 0, 0, '', '', '', '0', 0, '' FROM fills"
        )
    with pytest.raises(sqlite3.IntegrityError):
        db.execute("INSERT INTO health_samples (run_id, at_ms, sample_json) VALUES ('', 1, '{')")


def test_an_ended_run_is_never_rewritten(db: sqlite3.Connection) -> None:
    write(db, run_started())
    db.execute("UPDATE runs SET ended_at_ms = 5, exit_code = 0, clean = 1")

    with pytest.raises(sqlite3.IntegrityError, match="never rewritten"):
        db.execute("UPDATE runs SET exit_code = 20")
