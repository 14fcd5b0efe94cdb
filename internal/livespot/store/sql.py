"""A statement with its values, and the builders of INSERT statements."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple, TypeAlias

import msgspec

from livespot.contracts.amounts import decimal_text

SqlValue: TypeAlias = str | int


class Statement(NamedTuple):
    """One SQL statement with its values. Consecutive ones with equal `sql` run as one batch."""

    sql: str
    values: tuple[SqlValue, ...]


def insert(table: str, columns: Sequence[str], tail: str = "") -> str:
    """Return an INSERT with one placeholder per column; `tail` is its conflict clause.

    Table and columns are literals of this package, never input.
    """
    names = ", ".join(columns)
    marks = ", ".join("?" * len(columns))
    return f"INSERT INTO {table} ({names}) VALUES ({marks}) {tail}".rstrip()  # noqa: S608


def upsert(table: str, columns: Sequence[str], keys: Sequence[str]) -> str:
    """Return an INSERT that overwrites all other columns when a row with these keys exists."""
    changes = ", ".join(f"{name} = excluded.{name}" for name in columns if name not in keys)
    return insert(table, columns, f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {changes}")


def once(table: str, columns: Sequence[str], keys: Sequence[str]) -> str:
    """Return an INSERT that does nothing when the keys exist; any other conflict still fails."""
    return insert(table, columns, f"ON CONFLICT ({', '.join(keys)}) DO NOTHING")


def texts(values: Iterable[str]) -> str:
    """Return a JSON array of reason codes or other short texts."""
    return msgspec.json.encode(list(values)).decode()


def money(value: Decimal) -> str:
    return decimal_text(value)
