"""Up to when the records are incomplete, because a run's upkeep pruned them at their age."""

from typing import NamedTuple

from livespot.rules.retention import SAMPLE_DAYS, SNAPSHOT_DAYS, cutoffs, day_of
from livespot.store.reader import Reader, first

# Each kind of rows is pruned at one of two ages.
_PRUNED = """
SELECT max(ts_ms) FROM audit_events WHERE event_type = 'DAILY_SUMMARY'
AND data ->> 'upkeep' = 'rows' AND (data ->> 'table' IN ('snapshots', 'decisions')) = ?
"""
_JUDGEMENTS = """
SELECT max(ts_ms) FROM audit_events WHERE event_type = 'DAILY_SUMMARY'
AND data ->> 'upkeep' = 'rows' AND data ->> 'table' = 'decisions'
"""
_ANCHORED = "SELECT max(until_ms) FROM chain_anchors"
_EVENTS_OF_A_RUN = "SELECT sum(last_seq - first_seq + 1) FROM chain_anchors WHERE run_id = ?"
_ANCHORED_ON = """
SELECT max(ts_ms) FROM audit_events WHERE event_type = 'DAILY_SUMMARY'
AND data ->> 'upkeep' = 'anchor' AND data ->> 'run_id' = ?
"""
_RUN = "SELECT started_at_ms, ended_at_ms FROM runs WHERE run_id = ?"


class Pruned(NamedTuple):
    """Epoch ms before which rows may be missing; 0 where nothing was pruned.

    `snapshots_ms` is also the limit for decisions that proposed nothing.
    """

    scans_ms: int
    snapshots_ms: int


class Lost(NamedTuple):
    """What was pruned of one run: the number of events, and whether decisions are gone.

    `story` says when it was pruned and where it can still be read; empty when nothing was.
    """

    events: int
    judgements: bool
    story: str


async def pruned(reader: Reader) -> Pruned:
    """Read the limits from the audit's own events. Raises `StoreBusy` or `AuditUnwritable`."""
    scans, snapshots, anchored = (
        await _newest(reader, _PRUNED, 0),
        await _newest(reader, _PRUNED, 1),
        await _newest(reader, _ANCHORED),
    )
    # The age of trail lines does not matter here: scans and snapshots have ages of their own.
    return Pruned(
        scans_ms=max(
            _scans_edge(scans),
            anchored + 1 if anchored else 0,
        ),
        snapshots_ms=_edge(snapshots),
    )


async def lost_of(reader: Reader, run_id: str) -> Lost:
    """Return what is gone of a run. Raises `StoreBusy` or `AuditUnwritable`."""
    run = await first(reader, _RUN, (run_id,))
    if run is None:
        return Lost(events=0, judgements=False, story="")
    started_ms, ended_ms = run
    events = await _newest(reader, _EVENTS_OF_A_RUN, run_id)
    judged_on = await _newest(reader, _JUDGEMENTS)
    scanned_on = await _newest(reader, _PRUNED, 0)
    judgements = started_ms < _edge(judged_on)
    on_ms = max(
        await _newest(reader, _ANCHORED_ON, run_id) if events else 0,
        judged_on if judgements else 0,
        scanned_on if started_ms < _scans_edge(scanned_on) else 0,
    )
    if not on_ms:
        return Lost(events=0, judgements=False, story="")
    # What was pruned during the run was gone before its summary was written.
    kept = f"see runs/{run_id}/summary.json"
    if not ended_ms or ended_ms >= on_ms:
        kept = "see a backup that was made before"
    return Lost(events=events, judgements=judgements, story=f"pruned on {day_of(on_ms)}, {kept}")


def _edge(snapshots_pruned_on_ms: int) -> int:
    if not snapshots_pruned_on_ms:
        return 0
    return cutoffs(snapshots_pruned_on_ms, jsonl_keep_days=SNAPSHOT_DAYS).snapshots_ms


def _scans_edge(scans_pruned_on_ms: int) -> int:
    if not scans_pruned_on_ms:
        return 0
    return cutoffs(scans_pruned_on_ms, jsonl_keep_days=SAMPLE_DAYS).samples_ms


async def _newest(reader: Reader, sql: str, *values: int | str) -> int:
    row = await first(reader, sql, values)
    return int(row[0]) if row is not None and row[0] is not None else 0
