"""Brings a database to the program's schema: a backup, then one transaction per migration."""

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from livespot.contracts.errors import AuditUnwritable, DatabaseDamaged, SchemaMismatch, StoreBusy
from livespot.store.backup import backup_database
from livespot.store.schema import (
    BACKUP_BACK,
    CREATE_TABLE,
    Migration,
    SchemaStatus,
    packaged_migrations,
    read_status,
    split_statements,
)

_BUSY_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationReport:
    """The result of `migrate`; `backup` is None when there was no database before."""

    from_version: int
    to_version: int
    applied: tuple[str, ...]
    backup: Path | None


def status(path: Path, migrations: Sequence[Migration] | None = None) -> SchemaStatus:
    """Return a database's schema status; a missing one has version 0. Raises `SchemaMismatch`."""
    carried = packaged_migrations() if migrations is None else tuple(migrations)
    if not path.exists():
        return SchemaStatus(
            version=0,
            newest=len(carried),
            pending=tuple(f"{m.number:04d}_{m.name}" for m in carried),
        )
    with _translated(path), closing(_connect(path, "ro")) as connection:
        return read_status(connection, carried)


def status_on(connection: sqlite3.Connection, path: Path) -> SchemaStatus:
    """Like `status`, on a connection that is open already; errors name `path`."""
    with _translated(path):
        return read_status(connection)


def migrate(
    path: Path,
    *,
    backup_dir: Path,
    now_ms: int,
    migrations: Sequence[Migration] | None = None,
) -> MigrationReport:
    """Create or upgrade a database; a migration that fails leaves it unchanged.

    Raises `SchemaMismatch` (edited, newer, broken), `StoreBusy` (held by another program) and
    `AuditUnwritable` (disk or permissions).
    """
    carried = packaged_migrations() if migrations is None else tuple(migrations)
    before = status(path, carried)
    if before.current:
        return MigrationReport(
            from_version=before.version, to_version=before.version, applied=(), backup=None
        )
    with _translated(path):
        saved = _backup(path, backup_dir, before.version, now_ms) if before.version else None
        is_new = _create_private(path)
        if is_new and migrations is None:
            _lay_out(path, now_ms)
            return MigrationReport(
                from_version=0, to_version=len(carried), applied=before.pending, backup=None
            )
        with closing(_connect(path, "rw")) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            for migration in carried[before.version :]:
                _apply(connection, migration, now_ms)
    return MigrationReport(
        from_version=before.version,
        to_version=len(carried),
        applied=before.pending,
        backup=saved,
    )


def _lay_out(path: Path, now_ms: int) -> None:
    """Fill an empty file with the result of all packaged migrations, in one transaction."""
    with (
        closing(sqlite3.connect(":memory:", isolation_level=None)) as made,
        closing(_connect(path, "rw")) as connection,
    ):
        made.deserialize(_laid_out())
        made.execute("UPDATE schema_migrations SET applied_at_ms = ?", (now_ms,))
        connection.execute("PRAGMA synchronous = FULL")
        made.backup(connection)
        connection.execute("PRAGMA journal_mode = WAL")


@cache
def _laid_out() -> bytes:
    """Return the bytes of a new database, made once per process since they are always the same."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        for migration in packaged_migrations():
            _apply(connection, migration, 0)
        return connection.serialize()


def _apply(connection: sqlite3.Connection, migration: Migration, now_ms: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(CREATE_TABLE)
        for statement in split_statements(migration):
            connection.execute(statement)
        connection.execute(
            "INSERT INTO schema_migrations VALUES (?, ?, ?, ?)",
            (migration.number, migration.name, migration.sha256, now_ms),
        )
        connection.execute(f"PRAGMA user_version = {migration.number:d}")
        _require_whole(connection, migration)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _require_whole(connection: sqlite3.Connection, migration: Migration) -> None:
    broken = connection.execute("PRAGMA foreign_key_check").fetchone()
    if broken is not None:
        raise SchemaMismatch(
            f"migration {migration.number:04d}_{migration.name} would leave table {broken[0]} "
            "with a row that refers to nothing; nothing was changed"
        )


def _backup(path: Path, directory: Path, version: int, now_ms: int) -> Path:
    stamp = datetime.fromtimestamp(now_ms // 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    return backup_database(path, directory / f"audit-schema{version:04d}-{stamp}.sqlite").path


def _create_private(path: Path) -> bool:
    """Create the file, readable by its owner only; False when it exists already."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.exists():
        return False
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    return True


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.resolve().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        timeout=_BUSY_SECONDS,
    )


class _translated:  # noqa: N801 - used like a function, in a with statement
    """Translates errors of SQLite and the system into ours, naming the file and the next step."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, sqlite3.OperationalError):
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise StoreBusy(
                    f"{self._path} is in use: stop the running livespot (`livespot stop`) or "
                    "close the program that holds it, then run `livespot migrate` again"
                ) from error
            if code == sqlite3.SQLITE_ERROR:
                raise SchemaMismatch(
                    f"a migration of {self._path} does not fit the database ({error}); nothing "
                    f"was changed; {BACKUP_BACK}"
                ) from error
        if isinstance(error, sqlite3.DatabaseError) and (
            getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_NOTADB
        ):
            raise SchemaMismatch(
                f"{self._path} is not a database: move it away and run `livespot migrate`, or "
                f"{BACKUP_BACK}"
            ) from error
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_CORRUPT:
            raise DatabaseDamaged(f"{self._path} is damaged: {error}") from error
        if isinstance(error, sqlite3.Error | OSError):
            raise AuditUnwritable(f"{self._path} cannot be written: {error}") from error
