"""Carries out a command about a position that the operator took by hand, with its audit."""

from livespot.actors.operator_records import command_code, command_entry
from livespot.contracts.audit import AuditEntry, AuditPort
from livespot.contracts.ports import Clock
from livespot.contracts.records import ManualExposureRow
from livespot.contracts.system import Alert, ExposureWanted
from livespot.contracts.vocabulary import Severity, Stage
from livespot.rules import manual_exposure


async def obey_exposure(
    wanted: ExposureWanted,
    exposures: dict[str, ManualExposureRow],
    audit: AuditPort,
    clock: Clock,
) -> Alert:
    """Apply the command to `exposures` once row and outcome are durable; returns the alert to send.

    Raises `AuditUnwritable`, and then nothing has changed.
    """
    command, now_ms = wanted.command, clock.now_ms()
    row, outcome = manual_exposure.obeyed(command, exposures, now_ms)
    entry = command_entry(command, outcome, stage=Stage.RISK_VERDICT, now_ms=now_ms)
    if row is not None:
        entry = AuditEntry(draft=entry.draft, records=(*entry.records, row))
    await audit.commit(entry)
    if row is not None:
        exposures.pop(row.exposure_id, None)
        if not row.closed_at_ms:
            exposures[row.exposure_id] = row
    return Alert(
        severity=Severity.WARN if row is None else Severity.INFO,
        code=command_code(command.action),
        reasons=(),
        text=outcome,
        symbol=row.symbol if row is not None else command.symbol,
        at_ms=now_ms,
    )
