"""The panel's own read-only connection: short transactions with a bounded amount of work."""

import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiosqlite
import anyio

from livespot.contracts.errors import Transient
from livespot.contracts.ports import Clock, Scope

Row = tuple[Any, ...]
Value = str | int

_BUSY_TIMEOUT_S = 1.0
# One refresh takes some hundred thousand steps of SQLite's virtual machine; a runaway query is
# interrupted.
_STEPS_BETWEEN_LOOKS = 100_000
_LOOKS_PER_TRANSACTION = 200
_OLDEST_MS = 2000


class PanelUnreadable(Transient):
    """The database could not be read just now; what was shown before is still the newest."""


class PanelDatabase:
    """One connection that can only read, never checkpoints, and serves one reader at a time.

    With a `wall` clock no transaction lasts longer than two seconds, so that none can hold back the
    truncation of the write-ahead log.
    """

    def __init__(self, connection: aiosqlite.Connection, wall: Clock | None = None) -> None:
        self._connection = connection
        self._wall = wall
        self._one_reader = anyio.Lock()
        self._looks = 0
        self._until_ms: int | None = None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """All reads inside the block see one state of the database. Raises `PanelUnreadable`."""
        async with self._one_reader:
            self._looks = 0
            with self._bounded() as scope:
                async with self._begun():
                    yield
            if scope is not None and scope.cancelled_caught:
                raise PanelUnreadable(f"a read took longer than {_OLDEST_MS} ms and was cut")

    @asynccontextmanager
    async def _begun(self) -> AsyncIterator[None]:
        try:
            await self._connection.execute("BEGIN")
            try:
                yield
            finally:
                with anyio.CancelScope(shield=True):
                    await self._connection.rollback()
        except sqlite3.Error as e:
            raise PanelUnreadable(f"the audit database cannot be read: {e}") from e

    @contextmanager
    def _bounded(self) -> Iterator[Scope | None]:
        if self._wall is None:
            yield None
            return
        self._until_ms = self._wall.monotonic_ms() + _OLDEST_MS
        with self._wall.move_on_after(_OLDEST_MS / 1000) as scope:
            yield scope

    async def rows(self, sql: str, values: Sequence[Value] = ()) -> list[Row]:
        return [tuple(row) for row in await self._connection.execute_fetchall(sql, values)]

    async def first(self, sql: str, values: Sequence[Value] = ()) -> Row | None:
        found = await self.rows(sql, values)
        return found[0] if found else None

    def look(self) -> int:
        """Called by SQLite while it works; any result but 0 interrupts the statement."""
        self._looks += 1
        late = (
            self._wall is not None
            and self._until_ms is not None
            and self._wall.monotonic_ms() >= self._until_ms
        )
        return int(late or self._looks > _LOOKS_PER_TRANSACTION)


@asynccontextmanager
async def opened(path: Path, wall: Clock | None = None) -> AsyncIterator[PanelDatabase]:
    """Open an existing database for reading only. Raises `PanelUnreadable`."""
    uri = _read_only_uri(path)
    try:
        connection = await aiosqlite.connect(
            uri, uri=True, isolation_level=None, timeout=_BUSY_TIMEOUT_S
        )
    except sqlite3.Error as e:
        raise PanelUnreadable(f"the audit database {path} cannot be opened: {e}") from e
    try:
        database = PanelDatabase(connection, wall)
        await connection.execute("PRAGMA query_only = ON")
        await connection.set_progress_handler(database.look, _STEPS_BETWEEN_LOOKS)
        yield database
    except sqlite3.Error as e:
        raise PanelUnreadable(f"the audit database {path} cannot be read: {e}") from e
    finally:
        with anyio.CancelScope(shield=True):
            await connection.close()


def _read_only_uri(path: Path) -> str:
    return f"{path.resolve().as_uri()}?mode=ro"
