"""The one connection that writes: WAL, synchronous FULL, each transaction whole or not at all."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiosqlite
import anyio

from livespot.contracts.errors import (
    AuditUnwritable,
    LedgerViolation,
    SchemaMismatch,
)
from livespot.contracts.redaction import Redactor
from livespot.store.batches import PRAGMAS, batches_of
from livespot.store.errors import STORE_ERRORS, in_our_words
from livespot.store.migrate import status
from livespot.store.schema import require_current
from livespot.store.statements import StoreRow

# Shorter than the silence after which an actor counts as stuck: waiting for a lock is not that.
_BUSY_TIMEOUT_MS = 2000


class Database:
    """The writer's connection, and the only one that ever checkpoints.

    Whoever opens it with `Database.open` must close it: its thread keeps the process alive.
    """

    def __init__(self, connection: aiosqlite.Connection, run_id: str, redactor: Redactor) -> None:
        self._connection = connection
        self._run_id = run_id
        self._redactor = redactor
        self._closed = False
        self._lost = ""

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        run_id: str,
        redactor: Redactor,
        busy_timeout_ms: int = _BUSY_TIMEOUT_MS,
    ) -> "Database":
        """Open a migrated database for writing.

        Raises `SchemaMismatch` (missing, older or newer), `StoreBusy` or `AuditUnwritable`.
        """
        uri = _checked_uri(path)
        async with AsyncExitStack() as undo:
            try:
                connection = await aiosqlite.connect(
                    uri,
                    uri=True,
                    isolation_level=None,
                    timeout=busy_timeout_ms / 1000,
                )
                undo.push_async_callback(_close_shielded, connection)
                await _prepare(connection)
            except STORE_ERRORS as e:
                raise in_our_words(e) from e
            undo.pop_all()
        return cls(connection, run_id, redactor)

    async def transaction(self, rows: Sequence[StoreRow]) -> None:
        """Write all rows or none; returns once they are durable.

        Shielded: a cancelled caller cannot leave a transaction open. Raises `LedgerViolation` when
        a row breaks a rule and `StoreBusy` when another program holds the database. Otherwise
        raises `AuditUnwritable`; every later call does so too.
        """
        if self._lost:
            # After a failed sync, the next one may report success without having written the lost
            # pages.
            raise AuditUnwritable(f"the audit database was given up: {self._lost}")
        try:
            batches = batches_of(rows, self._run_id, self._redactor)
        except (TypeError, ValueError) as e:
            raise LedgerViolation(f"a row cannot be written: {e}") from e
        with anyio.CancelScope(shield=True):
            try:
                await self._connection.execute("BEGIN IMMEDIATE")
                for sql, values in batches:
                    await self._connection.executemany(sql, values)
                await self._connection.execute("COMMIT")
            except STORE_ERRORS as e:
                error = in_our_words(e)
                self._lost = str(error) if isinstance(error, AuditUnwritable) else ""
                await self._roll_back()
                raise error from e
            except ValueError as e:
                # aiosqlite raises ValueError for a closed connection.
                raise AuditUnwritable(f"the audit connection is closed: {e}") from e

    async def checkpoint(self) -> bool:
        """Move the whole WAL into the database; False when a reader still needs part of the WAL."""
        with anyio.CancelScope(shield=True):
            try:
                rows = await self._connection.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
            except STORE_ERRORS as e:
                raise in_our_words(e) from e
        return all(row[0] == 0 for row in rows)

    async def pragmas(self) -> dict[str, str | int]:
        """Return the settings that durability rests on, as the connection itself reports them."""
        return {name: await _pragma(self._connection, name) for name, _, _ in PRAGMAS}

    async def close(self) -> None:
        """Close once; later calls do nothing. Raises `AuditUnwritable`."""
        if self._closed:
            return
        self._closed = True
        try:
            await _close_shielded(self._connection)
        except STORE_ERRORS as e:
            raise in_our_words(e) from e

    async def _roll_back(self) -> None:
        if not self._connection.in_transaction:
            return
        try:
            await self._connection.rollback()
        except STORE_ERRORS as e:
            self._lost = f"a failed transaction could not be undone: {e}"
            raise AuditUnwritable(self._lost) from e


def _checked_uri(path: Path) -> str:
    if not path.exists():
        raise SchemaMismatch(f"there is no database at {path}: run `livespot migrate`")
    require_current(status(path))
    return f"{path.resolve().as_uri()}?mode=rw"


async def _close_shielded(connection: aiosqlite.Connection) -> None:
    with anyio.CancelScope(shield=True):
        await connection.close()


async def _prepare(connection: aiosqlite.Connection) -> None:
    for name, value, _ in PRAGMAS:
        await connection.execute(f"PRAGMA {name} = {value}")
    for name, value, expected in PRAGMAS:
        found = await _pragma(connection, name)
        if found != expected:
            raise AuditUnwritable(
                f"PRAGMA {name} is {found!r} where {value} is needed: the file system under the "
                "database cannot give what durability needs; move var/ to a local disk"
            )
    # Find out before the run begins whether the database can be written.
    await connection.execute("BEGIN IMMEDIATE")
    await connection.execute("ROLLBACK")


async def _pragma(connection: aiosqlite.Connection, name: str) -> Any:
    return next(iter(await connection.execute_fetchall(f"PRAGMA {name}")))[0]
