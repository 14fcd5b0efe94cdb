"""Online backups: a consistent copy, proven whole before anybody relies on it."""

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from livespot.contracts.errors import AuditUnwritable, StoreBusy

_PAGES_PER_STEP = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    path: Path
    size_bytes: int


def backup_database(source: Path, target: Path) -> Backup:
    """Copy a database that may be in use, check the copy, then give it its name.

    Blocking: call it in a process or thread of its own. Raises `StoreBusy` or `AuditUnwritable`; a
    copy that fails the check never gets the target's name.
    """
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = target.with_name(target.name + ".partial")
    partial.unlink(missing_ok=True)
    os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        _copy(source, partial)
        problems = integrity_problems(partial)
    except sqlite3.OperationalError as e:
        partial.unlink(missing_ok=True)
        if getattr(e, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
            raise StoreBusy(f"{source} is held by another program, no backup was made") from e
        raise AuditUnwritable(f"the backup {target} could not be written: {e}") from e
    except sqlite3.DatabaseError as e:
        partial.unlink(missing_ok=True)
        raise AuditUnwritable(f"the backup {target} could not be made: {e}") from e
    if problems:
        partial.unlink(missing_ok=True)
        raise AuditUnwritable(f"the backup of {source} failed its check: {problems[0]}")
    _sync(partial)
    partial.replace(target)
    _sync(target.parent)
    return Backup(path=target, size_bytes=target.stat().st_size)


def compact_database(path: Path) -> tuple[int, int]:
    """Rewrite the database without the room of pruned rows; returns its bytes before and after.

    Blocking; nothing else may have it open. Order and content of every table stay. Raises
    `StoreBusy` or `AuditUnwritable`; the database is unchanged, unless only the final check failed.
    """
    before = path.stat().st_size
    try:
        with closing(sqlite3.connect(path, isolation_level=None, timeout=5)) as connection:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.OperationalError as e:
        if getattr(e, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
            raise StoreBusy(f"{path} is held by another program, it was not compacted") from e
        raise AuditUnwritable(f"{path} could not be compacted and is as it was: {e}") from e
    problems = integrity_problems(path)
    if problems:
        raise AuditUnwritable(f"{path} failed its check after it was compacted: {problems[0]}")
    return before, path.stat().st_size


def integrity_problems(path: Path, *, quick: bool = False) -> tuple[str, ...]:
    """Return what SQLite's integrity and foreign key checks find; empty when all is well.

    `quick` does not compare indexes with their tables. Blocking.
    """
    check = "quick_check" if quick else "integrity_check"
    with closing(read_only(path)) as connection:
        problems = [str(row[0]) for row in connection.execute(f"PRAGMA {check}(10)")]
        broken = connection.execute("PRAGMA foreign_key_check").fetchone()
    found = [problem for problem in problems if problem != "ok"]
    if broken is not None:
        found.append(f"table {broken[0]} refers to a missing row of {broken[2]}")
    return tuple(found)


def _copy(source: Path, partial: Path) -> None:
    with (
        closing(read_only(source)) as origin,
        closing(sqlite3.connect(partial, isolation_level=None)) as copy,
    ):
        # One snapshot for the whole copy. Without it each commit of the writer would start the copy
        # over, and beside a busy writer it would never end.
        origin.execute("BEGIN")
        origin.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        origin.backup(copy, pages=_PAGES_PER_STEP, sleep=0.01)
        # The copy inherits WAL mode; as a single file it can be moved without losing anything.
        copy.execute("PRAGMA journal_mode = DELETE")


def read_only(path: Path) -> sqlite3.Connection:
    """A connection that cannot write, to a database that may be in use. Blocking."""
    return sqlite3.connect(
        f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=5, isolation_level=None
    )


def _sync(path: Path) -> None:
    if path.is_dir() and os.name == "nt":
        return  # A directory cannot be opened for syncing there.
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
