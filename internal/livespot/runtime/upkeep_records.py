"""The audit entries of the upkeep: each step is an event of the chain beside its row."""

from typing import Any

import msgspec

from livespot.contracts.audit import AuditDraft, AuditEntry
from livespot.contracts.records import ChainAnchor, RowsPruned, TrailDayPacked, TrailDayRemoved
from livespot.contracts.vocabulary import EventType, Stage
from livespot.store.upkeep_process import BackupMade
from livespot.store.upkeep_statements import UpkeepRow


def step_entry(row: UpkeepRow, *, at_ms: int) -> AuditEntry:
    """Return the entry of one step: its event and its row become durable together."""
    return AuditEntry(draft=_draft(_said(row), at_ms), records=(row,))


def backup_entry(made: BackupMade, *, at_ms: int, late: bool = False) -> AuditEntry:
    """Return the entry that records a backup and its hash.

    `late` marks a backup found without an event: its hash vouches only from here on.
    """
    said = {
        "upkeep": "backup",
        "name": made.name,
        "size_bytes": made.size_bytes,
        "sha256": made.sha256,
        "dropped": list(made.dropped),
        **({"late": True} if late else {}),
    }
    return AuditEntry(draft=_draft(said, at_ms))


def _said(row: UpkeepRow) -> dict[str, Any]:
    match row:
        case ChainAnchor():
            return {"upkeep": "anchor", **_fields(row)}
        case RowsPruned():
            return {"upkeep": "rows", "table": row.table, "count": len(row.rows)}
        case TrailDayPacked():
            return {"upkeep": "packed", **_fields(row)}
        case TrailDayRemoved():
            return {"upkeep": "removed", **_fields(row)}


def _fields(row: UpkeepRow) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(row)
    del found["type"]
    return found


def _draft(data: dict[str, Any], at_ms: int) -> AuditDraft:
    return AuditDraft(
        event_type=EventType.DAILY_SUMMARY,
        stage=Stage.REPORT_DAILY_SUMMARY,
        ts_ms=at_ms,
        data=data,
    )
