"""The SQL for pruning: anchors in place of segments, deleted rows, packed and removed days."""

from typing import TypeAlias, assert_never

import msgspec

from livespot.contracts.records import ChainAnchor, RowsPruned, TrailDayPacked, TrailDayRemoved
from livespot.store.sql import Statement, insert

UpkeepRow: TypeAlias = ChainAnchor | RowsPruned | TrailDayPacked | TrailDayRemoved

ANCHOR_COLUMNS = (
    "run_id", "first_row", "last_row", "first_seq", "last_seq", "from_ms", "until_ms", "prev_hash",
    "last_hash",
)  # fmt: skip
_ANCHOR = insert("chain_anchors", ANCHOR_COLUMNS)
_SEGMENT = "DELETE FROM audit_events WHERE id BETWEEN ? AND ?"
_PACKED = insert("trail_days", ("day", "sha256", "lines", "packed_at_ms"))
_REMOVED = "UPDATE trail_days SET removed_at_ms = ? WHERE day = ?"


def upkeep_statements(row: UpkeepRow) -> tuple[Statement, ...]:
    """Return the SQL of one row, in the order in which it must be executed."""
    match row:
        case ChainAnchor():
            values = tuple(getattr(row, name) for name in ANCHOR_COLUMNS)
            return (
                Statement(_ANCHOR, values),
                Statement(_SEGMENT, (row.first_row, row.last_row)),
            )
        case RowsPruned():
            rows = msgspec.json.encode(row.rows).decode()
            return (
                Statement(
                    f"DELETE FROM {row.table} "  # noqa: S608  one of a few literals
                    "WHERE rowid IN (SELECT value FROM json_each(?))",
                    (rows,),
                ),
            )
        case TrailDayPacked():
            return (Statement(_PACKED, (row.day, row.sha256, row.lines, row.packed_at_ms)),)
        case TrailDayRemoved():
            return (Statement(_REMOVED, (row.removed_at_ms, row.day)),)
        case _:
            assert_never(row)
