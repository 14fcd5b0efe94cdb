"""The program's numbered migrations, and how many of them a database has applied."""

import hashlib
import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from livespot.contracts.errors import SchemaMismatch

BACKUP_BACK = (
    "move the database with its -wal and -shm files away and put a backup in its place, while "
    "nothing runs"
)
_FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")

CREATE_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    applied_at_ms INTEGER NOT NULL
) STRICT
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One numbered SQL file; `sha256` is that of its text with Unix line ends."""

    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaStatus:
    """How far a database is migrated; `version` 0 is an empty or missing one."""

    version: int
    newest: int
    pending: tuple[str, ...]

    @property
    def current(self) -> bool:
        return not self.pending


@cache
def packaged_migrations() -> tuple[Migration, ...]:
    """Return all migrations in order, numbered from 1 without a gap."""
    found: list[Migration] = []
    for entry in (files("livespot.store") / "migrations").iterdir():
        match = _FILE_NAME.fullmatch(entry.name)
        if match is not None:
            sql = entry.read_text(encoding="utf-8").replace("\r\n", "\n")
            found.append(Migration(number=int(match[1]), name=match[2], sql=sql))
    found.sort(key=lambda migration: migration.number)
    if [migration.number for migration in found] != list(range(1, len(found) + 1)):
        raise SchemaMismatch("the program's own migrations are incomplete: reinstall livespot")
    return tuple(found)


def split_statements(migration: Migration) -> Iterator[str]:
    """Yield whole statements; triggers, and text with semicolons in it, stay together."""
    buffer = ""
    for line in migration.sql.splitlines(keepends=True):
        if not buffer and (not line.strip() or line.lstrip().startswith("--")):
            continue
        buffer += line
        if sqlite3.complete_statement(buffer):
            yield buffer.strip()
            buffer = ""
    if buffer.strip():
        raise SchemaMismatch(
            f"migration {migration.number:04d}_{migration.name} ends inside a statement: "
            "reinstall livespot"
        )


def read_status(
    connection: sqlite3.Connection, migrations: Sequence[Migration] | None = None
) -> SchemaStatus:
    """Compare a database with the program.

    Raises `SchemaMismatch` when the database is newer, or when the text of a migration that it
    applied has changed since.
    """
    carried = packaged_migrations() if migrations is None else tuple(migrations)
    applied = _applied(connection)
    if len(applied) > len(carried):
        raise SchemaMismatch(
            f"the database has schema {len(applied)}, this program knows only {len(carried)}: "
            f"install the newer livespot again, or {BACKUP_BACK}"
        )
    for (number, name, sha256), migration in zip(applied, carried, strict=False):
        if (number, name, sha256) != (migration.number, migration.name, migration.sha256):
            raise SchemaMismatch(
                f"migration {number:04d}_{name} was applied with other content than this "
                "program carries: install the livespot release that made this database, or "
                f"{BACKUP_BACK}"
            )
    return SchemaStatus(
        version=len(applied),
        newest=len(carried),
        pending=tuple(f"{m.number:04d}_{m.name}" for m in carried[len(applied) :]),
    )


def require_current(status: SchemaStatus) -> None:
    """Refuse a database that is older than the program. Raises `SchemaMismatch`."""
    if not status.current:
        raise SchemaMismatch(
            f"the database has schema {status.version}, this program needs {status.newest}: "
            "run `livespot migrate`"
        )


def _applied(connection: sqlite3.Connection) -> list[tuple[int, str, str]]:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    known = connection.execute(
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'schema_migrations'"
    ).fetchone()
    rows: list[tuple[int, str, str]] = []
    if known is not None:
        rows = [
            (int(number), str(name), str(sha256))
            for number, name, sha256 in connection.execute(
                "SELECT number, name, sha256 FROM schema_migrations ORDER BY number"
            )
        ]
    stranger = not rows and connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    if version != len(rows) or stranger:
        raise SchemaMismatch(
            f"user_version is {version} but {len(rows)} migrations are recorded: this is not a "
            f"livespot database, or it was changed by hand; {BACKUP_BACK}"
        )
    return rows
