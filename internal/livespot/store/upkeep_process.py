"""The heavy part of the upkeep in a process of its own: an order as JSON in, the answer out."""

import hashlib
import os
import sqlite3
import sys
from pathlib import Path

import anyio
import msgspec

from livespot.contracts.base import Message
from livespot.contracts.errors import LivespotError
from livespot.rules.retention import spare_backups
from livespot.runtime.disk import RealDisk
from livespot.store.backup import backup_database
from livespot.store.upkeep import UpkeepOrder, UpkeepPlan, plan_upkeep

# Behind everybody else who wants the processor: an order is worth more than a backup.
_NICE = 10


class BackupOrder(Message, frozen=True, tag=True):
    """Copy `database` to `name` in `directory`, then keep the newest `keep` of its kind."""

    database: str
    directory: str
    name: str
    keep: int


class BackupMade(Message, frozen=True, tag=True):
    name: str
    size_bytes: int
    sha256: str
    dropped: tuple[str, ...]


class Trouble(Message, frozen=True, tag=True):
    """Why nothing came of an order, in words for a person."""

    text: str


def back_up(order: BackupOrder) -> BackupMade:
    """A copy that SQLite found whole, and room for it made among the older ones. Blocking.

    Raises `StoreBusy`, `AuditUnwritable` and `OSError`.
    """
    directory = Path(order.directory)
    # What a process left that was ended over its copy, whatever day it was of.
    for name in RealDisk().names(directory):
        if name.startswith("audit-") and ".partial" in name:
            (directory / name).unlink()
    made = backup_database(Path(order.database), directory / order.name)
    with made.path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    disk = RealDisk()
    dropped = spare_backups(disk.names(directory), keep=order.keep)
    for name in dropped:
        disk.remove(directory / name)
    return BackupMade(name=order.name, size_bytes=made.size_bytes, sha256=digest, dropped=dropped)


def answer(order: UpkeepOrder | BackupOrder) -> BackupMade | UpkeepPlan | Trouble:
    """What came of an order, trouble included."""
    try:
        if isinstance(order, BackupOrder):
            return back_up(order)
        return anyio.run(plan_upkeep, order, RealDisk())
    except (LivespotError, OSError, sqlite3.Error) as error:
        return Trouble(text=str(error))


def main() -> None:
    if hasattr(os, "nice"):
        os.nice(_NICE)
    order = msgspec.json.decode(sys.argv[1], type=UpkeepOrder | BackupOrder)
    sys.stdout.buffer.write(msgspec.json.encode(answer(order)))


if __name__ == "__main__":
    main()
