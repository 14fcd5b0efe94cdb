"""The audit envelope and the port through which everything is recorded."""

from typing import Any, Protocol

import msgspec

from livespot.contracts.base import Message
from livespot.contracts.codes import ReasonCode
from livespot.contracts.records import Record
from livespot.contracts.vocabulary import EventType, Stage


class AuditDraft(Message, frozen=True):
    """An event before the writer adds run, sequence and hashes.

    `data` is redacted before it reaches a sink and holds only JSON values without floats (Decimals
    are allowed and become decimal strings).
    """

    event_type: EventType
    stage: Stage
    ts_ms: int
    cycle_id: str = ""
    reasons: tuple[ReasonCode, ...] = ()
    snapshot_id: str = ""
    decision_id: str = ""
    order_intent_id: str = ""
    symbol: str = ""
    exchange_time_ms: int = 0
    local_received_ms: int = 0
    data: dict[str, Any] = msgspec.field(default_factory=dict)


class AuditEntry(Message, frozen=True):
    """An event and the typed rows that become durable in the same transaction."""

    draft: AuditDraft
    records: tuple[Record, ...] = ()


class TrailRepair(Message, frozen=True):
    """What it took to make the trail equal to the database again, in lines.

    `removed` counts torn lines and lines that the database does not have (those are set aside).
    """

    added: int = 0
    removed: int = 0
    unknown: int = 0

    @property
    def needed(self) -> bool:
        return bool(self.added or self.removed)


class AuditPort(Protocol):
    """How actors record events. Nothing counts as done before `commit` has returned."""

    async def commit(self, *entries: AuditEntry) -> None:
        """Critical lane: all entries in one transaction; returns once they are on disk.

        Shielded from cancellation by the implementation. Raises `AuditUnwritable`, or
        `LedgerViolation` when a row breaks a uniqueness or transition rule of the ledger.
        """
        ...

    async def record(self, *entries: AuditEntry) -> None:
        """Normal lane: queued in order; waits while the queue is above its high-water mark."""
        ...
