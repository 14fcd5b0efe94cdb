"""The audit entry of an operator command, whichever actor carries it out."""

from livespot.contracts.audit import AuditDraft, AuditEntry
from livespot.contracts.codes import ReasonCode
from livespot.contracts.records import OperatorCommandRow
from livespot.contracts.system import OperatorCommand
from livespot.contracts.vocabulary import EventType, OperatorAction, Stage

_CODES = {
    OperatorAction.PAUSE: ReasonCode.OPERATOR_PAUSE,
    OperatorAction.RESUME: ReasonCode.OPERATOR_RESUME,
    OperatorAction.STOP: ReasonCode.OPERATOR_STOP,
    OperatorAction.RELEASE: ReasonCode.OPERATOR_RELEASE,
    OperatorAction.HALT: ReasonCode.KILL_SWITCH_FILE,
    OperatorAction.EXPOSURE_OPEN: ReasonCode.MANUAL_EXPOSURE_ACTIVE,
    OperatorAction.EXPOSURE_CLOSE: ReasonCode.MANUAL_EXPOSURE_ACTIVE,
}


def command_code(action: OperatorAction) -> ReasonCode:
    """The reason code of a command."""
    return _CODES[action]


def command_entry(
    command: OperatorCommand, outcome: str, *, stage: Stage, now_ms: int
) -> AuditEntry:
    """The event and the row of one command with its outcome."""
    return AuditEntry(
        draft=AuditDraft(
            event_type=EventType.OPERATOR_COMMAND,
            stage=stage,
            ts_ms=now_ms,
            reasons=(command_code(command.action),),
            symbol=command.symbol,
            data={"action": command.action, "reason": command.reason, "outcome": outcome},
        ),
        records=(OperatorCommandRow(command=command, outcome=outcome),),
    )
