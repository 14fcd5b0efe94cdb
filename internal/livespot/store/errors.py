"""Translates SQLite's errors into the program's own: busy, a broken rule, or a broken disk."""

import sqlite3

from livespot.contracts.errors import (
    AuditUnwritable,
    DatabaseDamaged,
    LedgerViolation,
    LivespotError,
    StoreBusy,
    VolumeFull,
)

STORE_ERRORS = (sqlite3.Error, OverflowError, UnicodeEncodeError)

_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
# Codes that mean the row is at fault: constraint or trigger, wrong type, too big, misused value.
_ROW = frozenset(
    {
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_MISMATCH,
        sqlite3.SQLITE_TOOBIG,
        sqlite3.SQLITE_RANGE,
        sqlite3.SQLITE_MISUSE,
    }
)


def in_our_words(error: Exception) -> LivespotError:
    """Return `StoreBusy` (retry), `LedgerViolation` (the row's fault) or an `AuditUnwritable`."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _BUSY:
        return StoreBusy(f"the database is held by another program: {error}")
    if code in _ROW or isinstance(
        error,
        sqlite3.IntegrityError
        | sqlite3.DataError
        | sqlite3.InterfaceError
        | OverflowError
        | UnicodeEncodeError,
    ):
        return LedgerViolation(f"the database refused a row: {error}")
    if isinstance(error, sqlite3.ProgrammingError) and "closed" not in str(error):
        return LedgerViolation(f"a row holds a value the database cannot take: {error}")
    if code in DAMAGED:
        return DatabaseDamaged(f"the audit database is damaged: {error}")
    unwritable = VolumeFull if code == sqlite3.SQLITE_FULL else AuditUnwritable
    return unwritable(f"the audit database cannot be written: {error}")
