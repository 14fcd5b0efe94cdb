"""The audit entry of an alert, whichever actor raises it."""

from livespot.contracts.audit import AuditDraft, AuditEntry
from livespot.contracts.records import AlertRow
from livespot.contracts.system import Alert
from livespot.contracts.vocabulary import EventType, Stage


def alert_entry(alert: Alert, stage: Stage, *, count: int = 1) -> AuditEntry:
    """The event and the row of one alert; `count` is how many times it was raised in its minute."""
    return AuditEntry(
        draft=AuditDraft(
            event_type=EventType.ALERT_RAISED,
            stage=stage,
            ts_ms=alert.at_ms,
            reasons=(alert.code, *alert.reasons),
            symbol=alert.symbol,
            data={"severity": alert.severity, "text": alert.text, "count": count},
        ),
        records=(AlertRow(alert=alert),),
    )
