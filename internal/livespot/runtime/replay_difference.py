"""Finds the first difference between two replays: an event, a row or a journal line."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import zip_longest
from pathlib import Path
from typing import Any

from livespot.runtime.paths import Paths

# A table without rowids is read in the order of its key.
_TABLES = (
    "SELECT name, CASE wr WHEN 0 THEN 'ORDER BY rowid' ELSE '' END FROM pragma_table_list "
    "WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
)
_EVENTS = "audit_events"
_LONGEST = 60

Record = dict[str, Any]


def first_difference(one: Paths, other: Paths) -> str | None:
    """Describe the first difference; None when events, tables and the exchange's journal are equal.

    Events are compared first: other differences mostly follow from the first event that differs.
    Raises `sqlite3.Error` or `OSError` when a replay left nothing to compare.
    """
    with (
        closing(_connected(one.database)) as left,
        closing(_connected(other.database)) as right,
    ):
        tables = dict(left.execute(_TABLES).fetchall())
        for name in sorted(tables, key=lambda name: name != _EVENTS):
            query = f'SELECT * FROM "{name}" {tables[name]}'  # noqa: S608  a table's own name
            found = _compared(_rows(left, query), _rows(right, query))
            if found is not None:
                return f"event {found}" if name == _EVENTS else f"table {name}, row {found}"
    journal = _compared(_lines(one.exchange_journal), _lines(other.exchange_journal))
    return None if journal is None else f"exchange journal, line {journal}"


def _connected(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)


def _rows(connection: sqlite3.Connection, query: str) -> Iterator[Record]:
    cursor = connection.execute(query)
    names = [column[0] for column in cursor.description]
    for row in cursor:
        yield dict(zip(names, row, strict=True))


def _lines(path: Path) -> Iterator[Record]:
    with path.open("rb") as lines:
        for line in lines:
            yield json.loads(line)


def _compared(ours: Iterator[Record], others: Iterator[Record]) -> str | None:
    for number, (one, other) in enumerate(zip_longest(ours, others), start=1):
        if one is None or other is None:
            return f"{number}{_named(one or other)}: only one of the two has it"
        if one != other:
            # Hashes of the chain follow from the rest; they are named only when nothing else
            # differs.
            field, left, right = next(_unlike("", one, other))
            return f"{number}{_named(one)}, {field}: {_short(left)} and {_short(right)}"
    return None


def _named(record: Record) -> str:
    known = (str(record[key]) for key in ("seq", "event_type", "symbol") if record.get(key))
    named = " ".join(known)
    return f" ({named})" if named else ""


def _unlike(place: str, one: Any, other: Any) -> Iterator[tuple[str, object, object]]:
    """Yield (path, one, other) for every leaf that differs, hashes last."""
    left, right = _opened(one), _opened(other)
    if not (isinstance(left, dict) and isinstance(right, dict)) or left == right:
        yield place, one, other
        return
    for key in sorted(dict.fromkeys([*left, *right]), key=lambda key: "hash" in key):
        if left.get(key) != right.get(key):
            inner = f"{place}.{key}" if place else key
            yield from _unlike(inner, left.get(key), right.get(key))


def _opened(value: Any) -> Any:
    """Return the decoded object of a text column that holds JSON; any other value as it is."""
    if isinstance(value, str) and value.startswith("{"):
        return json.loads(value)
    return value


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
