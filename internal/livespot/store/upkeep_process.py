"""The heavy part of the upkeep as a process of its own: a JSON order in, a JSON answer out."""

import hashlib
import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

import anyio
import msgspec

from livespot.contracts.base import Message
from livespot.contracts.errors import LivespotError
from livespot.rules.retention import daily_backups, spare_backups
from livespot.runtime.disk import RealDisk
from livespot.store.backup import backup_database, integrity_problems
from livespot.store.upkeep import UpkeepOrder, UpkeepPlan, plan_upkeep

# Low priority for the processor: an order is worth more than a backup.
_NICE = 10
_TOLD = """
SELECT data ->> 'name' FROM audit_events
WHERE event_type = 'DAILY_SUMMARY' AND data ->> 'upkeep' = 'backup'
"""


class BackupOrder(Message, frozen=True, tag=True):
    """Copy `database` to `name` in `directory`, then keep the newest `keep` daily backups."""

    database: str
    directory: str
    name: str
    keep: int


class BackupMade(Message, frozen=True, tag=True):
    name: str
    size_bytes: int
    sha256: str
    dropped: tuple[str, ...]


class BackupCheck(Message, frozen=True, tag=True):
    """Look in `directory` for backups that no event of `database` names."""

    database: str
    directory: str


class BackupsFound(Message, frozen=True, tag=True):
    """Backups without an event; damaged ones are listed apart, as name and problem."""

    whole: tuple[BackupMade, ...] = ()
    damaged: tuple[str, ...] = ()


class Trouble(Message, frozen=True, tag=True):
    """Why an order failed, for a person."""

    text: str


def back_up(order: BackupOrder) -> BackupMade:
    """Make a verified copy, then drop the oldest ones. Blocking.

    Raises `StoreBusy`, `AuditUnwritable` and `OSError`.
    """
    directory = Path(order.directory)
    # Partial copies of processes that were ended, of whatever day.
    for name in RealDisk().names(directory):
        if name.startswith("audit-") and ".partial" in name:
            (directory / name).unlink()
    made = backup_database(Path(order.database), directory / order.name)
    disk = RealDisk()
    dropped = spare_backups(disk.names(directory), keep=order.keep)
    for name in dropped:
        disk.remove(directory / name)
    return _described(made.path, dropped)


def look_for_backups(order: BackupCheck) -> BackupsFound:
    """Find backups whose process ended between naming the copy and recording its event.

    Blocking. Raises `OSError` and `sqlite3.Error`.
    """
    directory = Path(order.directory)
    address = f"{Path(order.database).resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, timeout=5)) as connection:
        told = {row[0] for row in connection.execute(_TOLD)}
    whole, damaged = [], []
    for name in daily_backups(RealDisk().names(directory)):
        if name not in told:
            problem = _problem_of(directory / name)
            if problem:
                damaged.append(f"{name}: {problem}")
            else:
                whole.append(_described(directory / name, ()))
    return BackupsFound(whole=tuple(whole), damaged=tuple(damaged))


def _problem_of(path: Path) -> str:
    try:
        return next(iter(integrity_problems(path)), "")
    except sqlite3.DatabaseError as error:
        return str(error)


def _described(path: Path, dropped: tuple[str, ...]) -> BackupMade:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    size_bytes = path.stat().st_size
    return BackupMade(name=path.name, size_bytes=size_bytes, sha256=digest, dropped=dropped)


Order: TypeAlias = BackupOrder | BackupCheck | UpkeepOrder
Answer: TypeAlias = BackupMade | BackupsFound | UpkeepPlan | Trouble


def answer(order: Order) -> Answer:
    """Carry out an order; an expected failure is returned as `Trouble`."""
    try:
        if isinstance(order, BackupOrder):
            return back_up(order)
        if isinstance(order, BackupCheck):
            return look_for_backups(order)
        return anyio.run(plan_upkeep, order, RealDisk())
    except (LivespotError, OSError, sqlite3.Error) as error:
        return Trouble(text=str(error))


def main() -> None:
    if hasattr(os, "nice"):
        os.nice(_NICE)
    order = msgspec.json.decode(sys.argv[1], type=Order)
    sys.stdout.buffer.write(msgspec.json.encode(answer(order)))


if __name__ == "__main__":
    main()
