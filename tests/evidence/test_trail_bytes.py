"""No single byte of the trail can change unnoticed: not of the lines, not of the table's rows."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livespot.evidence.gates.results import Outcome
from livespot.evidence.rows import TrailCheck
from livespot.evidence.trail_walk import walk
from livespot.runtime.paths import Paths
from livespot.runtime.verify_run import VerifyOrder, verify
from livespot.store.reader import ReadOnlyDatabase
from livespot.testing import finished_run

_FLIPS = st.tuples(st.integers(0, 10**9), st.integers(1, 255))
_INTERIOR, _LEAF = 5, 13
_any_byte = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    directory = tmp_path_factory.mktemp("told")
    anyio.run(finished_run.told, directory)
    return Paths(var=directory)


@pytest.fixture
def spoilt(told: Paths, tmp_path: Path) -> Paths:
    shutil.copytree(told.var, tmp_path / "var")
    return Paths(var=tmp_path / "var")


def looked_at(paths: Paths) -> TrailCheck:
    return anyio.run(partial(walk, ReadOnlyDatabase(paths.database), paths.logs))


def test_what_was_written_is_whole(told: Paths) -> None:
    check = looked_at(told)

    assert (check.problems, check.places, check.missing, check.unknown) == ((), (), 0, 0)


@_any_byte
@given(flip=_FLIPS)
def test_any_byte_of_the_lines_that_changes_is_placed(
    told: Paths, spoilt: Paths, flip: tuple[int, int]
) -> None:
    (trail,) = told.logs.glob("audit-*.jsonl")
    content = bytearray(trail.read_bytes())
    at = flip[0] % len(content)
    content[at] ^= flip[1]
    (spoilt.logs / trail.name).write_bytes(content)
    line = bytes(content[:at]).count(b"\n") + 1

    (place,) = looked_at(spoilt).places

    assert place.startswith(f"{trail.name}, line {line}: ")


@_any_byte
@given(flip=_FLIPS)
def test_any_byte_of_the_tables_rows_that_changes_is_placed(
    told: Paths, spoilt: Paths, flip: tuple[int, int]
) -> None:
    content = bytearray(told.database.read_bytes())
    owned = bytes_of_rows(told.database, "audit_events")
    content[owned[flip[0] % len(owned)]] ^= flip[1]
    spoilt.database.write_bytes(content)

    check = looked_at(spoilt)

    assert check.problems
    assert all("event " in p or "after the beginning" in p for p in check.problems)


@pytest.mark.parametrize("column", ["data", "reasons", "symbol", "ts_ms", "hash", "prev_hash"])
def test_the_command_names_the_event_that_was_edited(spoilt: Paths, column: str) -> None:
    with closing(sqlite3.connect(spoilt.database, isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER audit_events_immutable")
        value = "ts_ms + 1" if column == "ts_ms" else f"'[9' || substr({column}, 3) || ']'"
        if column in ("hash", "prev_hash", "symbol"):
            value = f"'f' || substr({column}, 2)"
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute(f"UPDATE audit_events SET {column} = {value} WHERE seq = 11")  # noqa: S608

    (judged,) = anyio.run(
        verify,
        VerifyOrder(paths=spoilt, run="LAST", gates=("events",), secrets=()),
        lambda _: None,
    )

    assert judged.verdict.outcome is Outcome.FAIL
    assert f"event 11 of {finished_run.RUN}" in " ".join(judged.verdict.details)
    assert judged.receipt.read_bytes().startswith(b"{")


def bytes_of_rows(database: Path, table: str) -> list[int]:
    """Where in the file the rows of a table are, read as the file format lays them out.

    A column that is the row's own number has its value in front of the record and a mere NULL in
    it. SQLite never reads how that NULL is written, so its byte says nothing and is left out.
    """
    content = database.read_bytes()
    size = int.from_bytes(content[16:18], "big")
    with closing(sqlite3.connect(database)) as connection:
        (root,) = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)
        ).fetchone()
        _, _, kind, _, _, key = connection.execute(f"PRAGMA table_info({table})").fetchone()
    numbered = kind == "INTEGER" and key == 1
    return [
        at
        for page in _leaves(content, size, root)
        for at in _cells(content, size, page, numbered=numbered)
    ]


def _leaves(content: bytes, size: int, page: int) -> Iterator[int]:
    start = (page - 1) * size
    if content[start] == _LEAF:
        yield page
        return
    assert content[start] == _INTERIOR
    for pointer in _pointers(content, start, header=12):
        yield from _leaves(content, size, int.from_bytes(content[pointer : pointer + 4], "big"))
    yield from _leaves(content, size, int.from_bytes(content[start + 8 : start + 12], "big"))


def _pointers(content: bytes, start: int, *, header: int) -> Iterator[int]:
    count = int.from_bytes(content[start + 3 : start + 5], "big")
    for number in range(count):
        at = start + header + 2 * number
        yield start + int.from_bytes(content[at : at + 2], "big")


def _cells(content: bytes, size: int, page: int, *, numbered: bool) -> Iterator[int]:
    for cell in _pointers(content, (page - 1) * size, header=8):
        length, after = _varint(content, cell)
        _, payload = _varint(content, after)
        assert length <= size - 35, "no event of this story needs a second page"
        _, first_type = _varint(content, payload)
        assert not numbered or content[first_type] == 0
        yield from (
            at for at in range(cell, payload + length) if not (numbered and at == first_type)
        )


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = 0
    while content[at] & 0x80:
        value, at = value << 7 | content[at] & 0x7F, at + 1
    return value << 7 | content[at], at + 1
