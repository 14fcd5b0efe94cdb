"""Up to when records are no longer whole, because the upkeep of a run pruned them at their age."""

from typing import NamedTuple

from livespot.rules.retention import SAMPLE_DAYS, SNAPSHOT_DAYS, cutoffs
from livespot.store.reader import Reader, first

_PRUNED = """
SELECT max(ts_ms) FROM audit_events WHERE event_type = 'DAILY_SUMMARY'
AND data ->> 'upkeep' = 'rows' AND (data ->> 'table' = 'snapshots') = ?
"""
_ANCHORED = "SELECT max(until_ms) FROM chain_anchors"


class Pruned(NamedTuple):
    """Epoch ms; 0 where nothing was pruned. What is stamped before may be missing."""

    scans_ms: int
    snapshots_ms: int


async def pruned(reader: Reader) -> Pruned:
    """From the audit's own word. Raises `StoreBusy` or `AuditUnwritable`."""
    scans, snapshots, anchored = (
        await _newest(reader, _PRUNED, 0),
        await _newest(reader, _PRUNED, 1),
        await _newest(reader, _ANCHORED),
    )
    # How long lines are kept does not matter here: scans and snapshots have ages of their own.
    return Pruned(
        scans_ms=max(
            cutoffs(scans, jsonl_keep_days=SAMPLE_DAYS).samples_ms if scans else 0,
            anchored + 1 if anchored else 0,
        ),
        snapshots_ms=(
            cutoffs(snapshots, jsonl_keep_days=SNAPSHOT_DAYS).snapshots_ms if snapshots else 0
        ),
    )


async def _newest(reader: Reader, sql: str, *values: int) -> int:
    row = await first(reader, sql, values)
    return int(row[0]) if row is not None and row[0] is not None else 0
