"""The audit database on the calling task: same rules and files as `Database`, but no thread."""

import sqlite3
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from livespot.contracts.errors import AuditUnwritable, LedgerViolation
from livespot.contracts.redaction import Redactor
from livespot.store.batches import PRAGMAS, batches_of
from livespot.store.errors import STORE_ERRORS, in_our_words
from livespot.store.migrate import status, status_on
from livespot.store.reader import Row
from livespot.store.schema import require_current
from livespot.store.sql import SqlValue
from livespot.store.statements import StoreRow

T = TypeVar("T")

_FULL = 2


class InlineDatabase:
    """Behaves like `Database`, but every call completes without yielding to the event loop."""

    def __init__(
        self, path: Path, *, run_id: str, redactor: Redactor, survives_power_cut: bool = True
    ) -> None:
        """Open a migrated database. Raises `SchemaMismatch`, `StoreBusy`, `AuditUnwritable`.

        Without `survives_power_cut` commits are not synced to disk: for runs that can be repeated.
        """
        self._connection = _current(path)
        self._run_id = run_id
        self._redactor = redactor
        self._survives_power_cut = survives_power_cut
        self._borrowers: list[InlineReader] = []
        # What PRAGMAS asks for, before syncing is switched off below.
        self.syncs_commits = self._pragma("synchronous") == _FULL
        self._hurry()

    async def transaction(self, rows: Sequence[StoreRow]) -> None:
        try:
            batches = batches_of(rows, self._run_id, self._redactor)
        except (TypeError, ValueError) as e:
            raise LedgerViolation(f"a row cannot be written: {e}") from e
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for sql, values in batches:
                self._connection.executemany(sql, values)
            self._connection.execute("COMMIT")
        except STORE_ERRORS as e:
            self._roll_back()
            raise in_our_words(e) from e

    async def checkpoint(self) -> bool:
        try:
            row = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except STORE_ERRORS as e:
            raise in_our_words(e) from e
        return bool(row[0] == 0)

    def lend(self, reader: "InlineReader") -> None:
        """Let a reader of this file use this connection until it closes."""
        self._borrowers.append(reader)
        reader.borrow(self._connection)

    async def close(self) -> None:
        for reader in self._borrowers:
            reader.borrow(None)
        self._borrowers.clear()
        self._connection.close()

    def image(self) -> bytes:
        """Return the database as a power cut at this moment would leave it."""
        return self._connection.serialize()

    def _pragma(self, name: str) -> int | str:
        row = self._connection.execute(f"PRAGMA {name}").fetchone()
        value: int | str = row[0]
        return value

    def _roll_back(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except STORE_ERRORS as e:
            raise AuditUnwritable(f"a failed transaction could not be undone: {e}") from e

    def _hurry(self) -> None:
        if not self._survives_power_cut:
            self._connection.execute("PRAGMA synchronous = OFF")

    def _reconnect(self, path: Path) -> sqlite3.Connection:
        """Switch to a copy of the file at `path`; returns the old connection, still open."""
        old, self._connection = self._connection, _connected(path)
        self._hurry()
        for reader in self._borrowers:
            reader.borrow(self._connection)
        return old


def _current(path: Path) -> sqlite3.Connection:
    """Return a connection to a database that has the program's schema.

    The schema is read on this very connection, since reading it is most of the cost of opening.
    Raises what `status` and `require_current` raise.
    """
    if not path.exists():
        # Connecting would create the missing file.
        require_current(status(path))
    connection = sqlite3.connect(path, isolation_level=None, timeout=0)
    try:
        require_current(status_on(connection, path))
        return _told_our_rules(connection)
    except BaseException:
        connection.close()
        raise


def _connected(path: Path) -> sqlite3.Connection:
    return _told_our_rules(sqlite3.connect(path, isolation_level=None, timeout=0))


def _told_our_rules(connection: sqlite3.Connection) -> sqlite3.Connection:
    for name, value, _ in PRAGMAS:
        connection.execute(f"PRAGMA {name} = {value}")
    return connection


class InlineReader:
    """Behaves like `ReadOnlyDatabase`, on the calling task.

    A borrowed connection saves opening one, which costs more than most queries. It is never inside
    a transaction when it is used, so each call sees everything committed before it.
    """

    def __init__(self, path: Path) -> None:
        self._uri = f"{path.resolve().as_uri()}?mode=ro"
        self._borrowed: sqlite3.Connection | None = None

    def borrow(self, connection: sqlite3.Connection | None) -> None:
        """Use this connection from now on; with None, open one for each call again."""
        self._borrowed = connection

    async def rows(self, sql: str, values: Sequence[SqlValue] = ()) -> list[Row]:
        return self.ask(sql, values)

    def ask(self, sql: str, values: Sequence[SqlValue] = ()) -> list[Row]:
        """`rows` for synchronous callers. Raises `StoreBusy` or `AuditUnwritable`."""
        try:
            if self._borrowed is not None:
                return self._borrowed.execute(sql, values).fetchall()
            with closing(self._open()) as connection:
                return connection.execute(sql, values).fetchall()
        except STORE_ERRORS as e:
            raise in_our_words(e) from e

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._uri, uri=True, isolation_level=None)
        connection.execute("PRAGMA query_only = ON")
        return connection

    @contextmanager
    def standing(self) -> Iterator[None]:
        """Keep one connection open for all queries inside the block.

        Raises `StoreBusy` or `AuditUnwritable`.
        """
        try:
            connection = self._open()
        except STORE_ERRORS as e:
            raise in_our_words(e) from e
        with closing(connection):
            self.borrow(connection)
            try:
                yield
            finally:
                self.borrow(None)


def at_once(call: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that only uses inline readers to its end, without an event loop.

    Raises what the coroutine raises, and `RuntimeError` when it suspends: nothing would resume it.
    """
    try:
        call.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    call.close()
    raise RuntimeError("this has to wait for something; only a loop could wake it")
