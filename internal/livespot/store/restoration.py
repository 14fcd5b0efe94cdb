"""What a restore put in the place of what: noted before it happens, and told by the next start."""

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec

from livespot.contracts.base import Message
from livespot.store.backup import read_only

# Below the state directory, until a start has told of it.
NOTE = "RESTORED"
_NEWEST = "SELECT id, run_id, ts_ms, hash FROM audit_events ORDER BY id DESC LIMIT 1"


class Ending(Message, frozen=True):
    """The newest event of a database; `event` counts from the first one ever."""

    event: int
    run_id: str
    at_ms: int
    hash: str


class Restoration(Message, frozen=True):
    """One restore. Times are epoch ms; `packed_at_ms` is 0 for a copy of the database alone.

    `whole` means that no event can be missing: the database that was replaced ended with the same
    event; or the backup was made to move (nothing ran in its place afterwards) and holds all that
    was replaced.
    """

    at_ms: int
    source: str
    aside: str = ""
    packed_at_ms: int = 0
    restored: Ending | None = None
    replaced: Ending | None = None
    whole: bool = False


def weighed(copy: Path, present: Path, restoration: Restoration, *, moved: bool) -> Restoration:
    """The restoration with both ends and `whole`. Blocking.

    `copy` takes the place of `present`, which may be missing or damaged. `moved` says that the
    backup was made to move. Raises `sqlite3.Error` when the copy cannot be read.
    """
    kept = _ending(copy)
    replaced, readable = _present_ending(present)
    if not readable:
        whole = False
    elif replaced is None:
        whole = moved
    else:
        whole = replaced == kept or (moved and _holds(copy, replaced))
    # What an earlier restore may have lost stays lost until a start has told of it.
    before = pending(present.parents[1])
    whole = whole and (before is None or before.whole)
    return msgspec.structs.replace(restoration, restored=kept, replaced=replaced, whole=whole)


def encoded(restoration: Restoration) -> bytes:
    """The note as it is kept in the state directory."""
    return msgspec.json.format(msgspec.json.encode(restoration), indent=2) + b"\n"


def pending(var: Path) -> Restoration | None:
    """The restore that no start has told of yet. A note that cannot be read promises nothing."""
    path = var / NOTE
    if not path.is_file():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Restoration)
    except msgspec.MsgspecError:
        return Restoration(at_ms=0, source="")


def _present_ending(database: Path) -> tuple[Ending | None, bool]:
    """The end of what is to be replaced, and whether that could be read."""
    if not database.is_file():
        return None, True
    try:
        return _ending(database), True
    except sqlite3.Error:
        return None, False


def _ending(database: Path) -> Ending | None:
    with closing(read_only(database)) as connection:
        row = connection.execute(_NEWEST).fetchone()
    return None if row is None else Ending(event=row[0], run_id=row[1], at_ms=row[2], hash=row[3])


def _holds(database: Path, ending: Ending) -> bool:
    with closing(read_only(database)) as connection:
        found = connection.execute(
            "SELECT 1 FROM audit_events WHERE id = ? AND hash = ?", (ending.event, ending.hash)
        ).fetchone()
    return found is not None
