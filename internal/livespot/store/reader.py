"""Short-lived read-only connections: they never write, never checkpoint and never linger."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import aiosqlite
import anyio

from livespot.store.errors import STORE_ERRORS, in_our_words
from livespot.store.sql import SqlValue

Row = tuple[Any, ...]

_BUSY_TIMEOUT_S = 5.0


class Reader(Protocol):
    """How queries reach the database; each call sees everything committed before it began."""

    async def rows(self, sql: str, values: Sequence[SqlValue] = ()) -> list[Row]: ...


class ReadOnlyDatabase:
    """Opens one connection per call, so that no read transaction can hold the WAL back."""

    def __init__(self, path: Path) -> None:
        self._uri = f"{path.resolve().as_uri()}?mode=ro"

    async def rows(self, sql: str, values: Sequence[SqlValue] = ()) -> list[Row]:
        """Run one query. Raises `StoreBusy` or `AuditUnwritable`."""
        try:
            connection = await aiosqlite.connect(
                self._uri, uri=True, isolation_level=None, timeout=_BUSY_TIMEOUT_S
            )
            try:
                await connection.execute("PRAGMA query_only = ON")
                await connection.execute("PRAGMA wal_autocheckpoint = 0")
                return [tuple(row) for row in await connection.execute_fetchall(sql, values)]
            finally:
                with anyio.CancelScope(shield=True):
                    await connection.close()
        except STORE_ERRORS as e:
            raise in_our_words(e) from e


async def first(reader: Reader, sql: str, values: Sequence[SqlValue] = ()) -> Row | None:
    found = await reader.rows(sql, values)
    return found[0] if found else None
