"""An audit port that keeps what it is given, and can be made to fail."""

from livespot.contracts.audit import AuditEntry
from livespot.contracts.errors import AuditUnwritable
from livespot.contracts.vocabulary import EventType


class RecordingAudit:
    """Both lanes append to `entries`, in order. While `broken` is set, every commit raises."""

    def __init__(self) -> None:
        self.entries: list[AuditEntry] = []
        self.broken = False

    async def commit(self, *entries: AuditEntry) -> None:
        if self.broken:
            raise AuditUnwritable("the test said so")
        self.entries.extend(entries)

    async def record(self, *entries: AuditEntry) -> None:
        await self.commit(*entries)

    def of(self, event_type: EventType) -> list[AuditEntry]:
        """Return the entries of one event type."""
        return [entry for entry in self.entries if entry.draft.event_type is event_type]
