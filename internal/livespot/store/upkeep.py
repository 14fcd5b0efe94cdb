"""Plans the upkeep: packs finished days of the trail and finds what may be pruned; reads only."""

import gzip
import hashlib
import sqlite3
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import closing
from itertools import chain, islice
from pathlib import Path

from livespot.contracts.base import Message
from livespot.contracts.records import (
    ChainAnchor,
    PrunedTable,
    RowsPruned,
    TrailDayPacked,
    TrailDayRemoved,
)
from livespot.rules.retention import DAY_MS, ROUTINE, Cutoffs, cutoffs, day_of, day_start_ms
from livespot.runtime.disk import Disk
from livespot.store.anchors import TrailDay, trail_days
from livespot.store.chain import links
from livespot.store.day_files import packed_name, plain_name, unpacked
from livespot.store.reader import ReadOnlyDatabase

# A piece is deleted in one transaction, and an order may have to wait for that.
PIECE_ROWS = 500
# Pruning a shorter segment saves next to nothing: an anchor and an event take its place.
_LEAST_EVENTS = 25
_NEVER = 2**62

# The newest RATE_LIMIT event stays: a ban may outlast the trail of its day, and the next run
# restores it from there.
_SPARE_EVENTS = f"""
SELECT id FROM audit_events WHERE id < ? AND order_intent_id = ''
AND event_type IN ({", ".join(f"'{kind}'" for kind in sorted(ROUTINE))})
AND (decision_id = '' OR decision_id NOT IN (SELECT decision_id FROM order_intents))
AND id <> coalesce((SELECT max(id) FROM audit_events WHERE event_type = 'RATE_LIMIT'), 0)
ORDER BY id
"""  # noqa: S608  names of an enumeration
_EDGE = "SELECT min(id) FROM audit_events WHERE ts_ms >= ?"
_NEWEST = "SELECT max(id) FROM audit_events"
_ENDS = """
SELECT run_id, seq, ts_ms, prev_hash, hash FROM audit_events WHERE id IN (?, ?) ORDER BY id
"""
# The newest row of a symbol before the cutoff stays: it states what held at the cutoff.
_SPARE_ROWS: dict[PrunedTable, str] = {
    "universe_scans": """
        SELECT rowid FROM universe_scans AS old WHERE at_ms < :samples AND EXISTS (
            SELECT 1 FROM universe_scans WHERE symbol = old.symbol
            AND at_ms > old.at_ms AND at_ms < :samples)
        ORDER BY at_ms LIMIT :most""",
    "cycle_rankings": """
        SELECT rowid FROM cycle_rankings AS old WHERE at_ms < :samples AND EXISTS (
            SELECT 1 FROM cycle_rankings WHERE symbol = old.symbol AND kind = old.kind
            AND at_ms > old.at_ms AND at_ms < :samples)
        ORDER BY at_ms LIMIT :most""",
    "cycle_selections": """
        SELECT rowid FROM cycle_selections AS old WHERE at_ms < :samples AND EXISTS (
            SELECT 1 FROM cycle_selections WHERE symbol = old.symbol
            AND at_ms > old.at_ms AND at_ms < :samples)
        ORDER BY at_ms LIMIT :most""",
    "health_samples": """
        SELECT rowid FROM health_samples WHERE at_ms < :samples ORDER BY at_ms LIMIT :most""",
    "snapshots": """
        SELECT rowid FROM snapshots AS s WHERE at_ms < :snapshots AND NOT EXISTS (
            SELECT 1 FROM decisions d JOIN order_intents i ON i.decision_id = d.decision_id
            WHERE d.snapshot_id = s.snapshot_id AND d.snapshot_id <> '')
        ORDER BY at_ms LIMIT :most""",
    # Decisions that proposed nothing go together with their snapshots; proposals stay, traded or
    # not.
    "decisions": """
        SELECT id FROM decisions AS old WHERE at_ms < :snapshots
        AND outcome = 'BLOCKED' AND decision_id = '' AND EXISTS (
            SELECT 1 FROM decisions WHERE symbol = old.symbol
            AND at_ms > old.at_ms AND at_ms < :snapshots)
        ORDER BY at_ms LIMIT :most""",
}


class UpkeepOrder(Message, frozen=True, tag=True):
    """What to plan.

    `now_ms` is the run's own time; `most` limits the number of pieces in one plan.
    """

    database: str
    logs: str
    now_ms: int
    jsonl_keep_days: int
    most: int


class UpkeepPlan(Message, frozen=True, tag=True):
    """The steps for the writer, in this order; `spare_files` may be removed at once.

    `troubles` say, for a person, which days could not be packed and why.
    """

    packed: tuple[TrailDayPacked, ...] = ()
    removed: tuple[TrailDayRemoved, ...] = ()
    anchors: tuple[ChainAnchor, ...] = ()
    rows: tuple[RowsPruned, ...] = ()
    spare_files: tuple[str, ...] = ()
    troubles: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        return not (self.packed or self.removed or self.anchors or self.rows or self.spare_files)


async def plan_upkeep(order: UpkeepOrder, disk: Disk) -> UpkeepPlan:
    """Pack finished days and list what is past its age. Blocks between its reads.

    Raises `StoreBusy`, `AuditUnwritable`, `PayloadInvalid` and `OSError`.
    """
    reader, logs = ReadOnlyDatabase(Path(order.database)), Path(order.logs)
    edges = cutoffs(order.now_ms, jsonl_keep_days=order.jsonl_keep_days)
    known = {day.day: day for day in await trail_days(reader)}
    packed, troubles = await _packed(order, edges, known, (disk, reader))
    removed = tuple(
        TrailDayRemoved(day=day.day, removed_at_ms=order.now_ms)
        for day in known.values()
        if not day.removed_at_ms and day_start_ms(day.day) < edges.trail_ms
    )
    gone = {day.day for day in known.values() if day.removed_at_ms}
    edge_ms = _prunable_until(disk, logs, edges, gone)
    with closing(_opened(order.database)) as connection:
        anchors = tuple(_segments(connection, edge_ms, order.most))
        rows = tuple(_spare_rows(connection, edges, order.most - len(anchors)))
    return UpkeepPlan(
        packed=packed,
        removed=removed,
        anchors=anchors,
        rows=rows,
        spare_files=tuple(_spare_files(disk, logs, known, edges)),
        troubles=troubles,
    )


def _opened(database: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{Path(database).resolve().as_uri()}?mode=ro", uri=True, timeout=5)


async def _packed(
    order: UpkeepOrder,
    edges: Cutoffs,
    known: dict[str, TrailDay],
    hands: tuple[Disk, ReadOnlyDatabase],
) -> tuple[tuple[TrailDayPacked, ...], tuple[str, ...]]:
    disk, reader = hands
    logs = Path(order.logs)
    packed, troubles = [], []
    for day in _days_with_a_file(disk, logs):
        if day in known or day_start_ms(day) >= edges.pack_ms:
            continue
        name, content = _content(disk, logs, day)
        if content != b"".join([line + b"\n" async for line in _lines_of(reader, day)]):
            troubles.append(
                f"{name} is not what the database holds of its day, so it was not packed; "
                "livespot verify events names the line"
            )
            continue
        # mtime=0: the same lines then give the same bytes wherever they are packed.
        archive = gzip.compress(content, mtime=0)
        disk.write_atomic(logs / packed_name(day), archive)
        packed.append(
            TrailDayPacked(
                day=day,
                sha256=hashlib.sha256(archive).hexdigest(),
                lines=content.count(b"\n"),
                packed_at_ms=order.now_ms,
            )
        )
    return tuple(packed), tuple(troubles)


async def _lines_of(reader: ReadOnlyDatabase, day: str) -> AsyncIterator[bytes]:
    start_ms = day_start_ms(day)
    async for link in links(reader, from_ms=start_ms, until_ms=start_ms + DAY_MS):
        yield link.line


def _days_with_a_file(disk: Disk, logs: Path) -> Iterator[str]:
    names = set(disk.names(logs))
    for day in sorted({name[6:16] for name in names if name.startswith("audit-")}):
        if _is_day(day) and names & {plain_name(day), packed_name(day)}:
            yield day


def _content(disk: Disk, logs: Path, day: str) -> tuple[str, bytes | None]:
    """Return the name and the lines of a day's file; None as the lines of a damaged one.

    A packed file that stands alone and is not on record belongs to a database that was restored to
    a state from before the day was packed.
    """
    plain, archive = plain_name(day), packed_name(day)
    if disk.exists(logs / plain):
        return plain, disk.read(logs / plain)
    return archive, unpacked(disk.read(logs / archive))


def _prunable_until(disk: Disk, logs: Path, edges: Cutoffs, gone: set[str]) -> int:
    """Return the instant before which events may go.

    Events stay as long as the file of their day exists, so that the two can always be compared.
    """
    present = (day for day in _days_with_a_file(disk, logs) if day not in gone)
    return min([edges.trail_ms, *(day_start_ms(day) for day in present)])


def _is_day(text: str) -> bool:
    try:
        return day_of(day_start_ms(text)) == text
    except ValueError:
        return False


def _spare_files(
    disk: Disk, logs: Path, known: dict[str, TrailDay], edges: Cutoffs
) -> Iterator[str]:
    """Yield files that a crash left: of removed days, and plain ones that are packed and on record.

    A removed day that has not reached its age is kept: its file holds new lines, because the clock
    was set back.
    """
    present = set(disk.names(logs))
    for day in known.values():
        plain, archive = plain_name(day.day), packed_name(day.day)
        if day.removed_at_ms and day_start_ms(day.day) < edges.trail_ms:
            yield from sorted(present & {plain, archive})
        elif not day.removed_at_ms and {plain, archive} <= present:
            content = disk.read(logs / plain)
            if content == unpacked(disk.read(logs / archive)):
                yield plain


def _segments(connection: sqlite3.Connection, edge_ms: int, most: int) -> Iterator[ChainAnchor]:
    """Yield anchors for stretches of routine events between those that stay, cut into pieces."""
    newest = connection.execute(_NEWEST).fetchone()[0]
    if newest is None:
        return
    edge = connection.execute(_EDGE, (edge_ms,)).fetchone()[0] or newest
    found = (row[0] for row in connection.execute(_SPARE_EVENTS, (edge,)))
    yield from islice((_anchor(connection, *piece) for piece in _pieces(found)), most)


def _pieces(rows: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield (first, last) of each long enough stretch of consecutive rows, at most a piece each."""
    first = last = 0
    for row in chain(rows, [_NEVER]):
        if first and row == last + 1 and last - first + 1 < PIECE_ROWS:
            last = row
            continue
        if first and last - first + 1 >= _LEAST_EVENTS:
            yield first, last
        first = last = row


def _anchor(connection: sqlite3.Connection, first: int, last: int) -> ChainAnchor:
    start, end = connection.execute(_ENDS, (first, last)).fetchall()
    return ChainAnchor(
        run_id=start[0],
        first_row=first,
        last_row=last,
        first_seq=start[1],
        last_seq=end[1],
        from_ms=start[2],
        until_ms=end[2],
        prev_hash=start[3],
        last_hash=end[4],
    )


def _spare_rows(connection: sqlite3.Connection, edges: Cutoffs, most: int) -> Iterator[RowsPruned]:
    left = most
    for table, sql in _SPARE_ROWS.items():
        values = {
            "samples": edges.samples_ms,
            "snapshots": edges.snapshots_ms,
            "most": left * PIECE_ROWS,
        }
        found = [row[0] for row in connection.execute(sql, values)]
        for at in range(0, len(found), PIECE_ROWS):
            left -= 1
            yield RowsPruned(table=table, rows=tuple(found[at : at + PIECE_ROWS]))
