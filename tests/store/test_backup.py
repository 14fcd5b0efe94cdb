"""A backup ends beside a writer that never rests, and is one moment of the database."""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from livespot.store.backup import backup_database, integrity_problems

_ROWS = 8000


@pytest.fixture
def busy(tmp_path: Path) -> Path:
    """A database of several of the copy's steps."""
    path = tmp_path / "busy.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE pairs (left INTEGER, right INTEGER, ballast TEXT) STRICT")
        connection.execute("BEGIN")
        rows = ((number, number, "x" * 1000) for number in range(_ROWS))
        connection.executemany("INSERT INTO pairs VALUES (?, ?, ?)", rows)
        connection.execute("COMMIT")
    return path


@pytest.mark.slow
def test_a_backup_ends_beside_a_writer_that_never_rests(busy: Path, tmp_path: Path) -> None:
    done = threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(busy, isolation_level=None, timeout=5)) as connection:
            number = _ROWS
            while not done.is_set():
                number += 1
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("INSERT INTO pairs VALUES (?, 0, '')", (number,))
                connection.execute("UPDATE pairs SET right = left WHERE left = ?", (number,))
                connection.execute("COMMIT")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        made = backup_database(busy, tmp_path / "copy.sqlite")
    finally:
        done.set()
        writer.join()

    assert integrity_problems(made.path) == ()
    with closing(sqlite3.connect(made.path)) as connection:
        ((rows, torn),) = connection.execute(
            "SELECT count(*), coalesce(sum(left <> right), 0) FROM pairs"
        )
    assert rows >= _ROWS
    assert torn == 0
