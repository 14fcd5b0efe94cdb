"""Messages about the runtime itself: signals, modes, alerts, operator commands, reports."""

from decimal import Decimal

from livespot.contracts.base import Message
from livespot.contracts.codes import ReasonCode
from livespot.contracts.vocabulary import (
    OperatorAction,
    Severity,
    Side,
    SignalKind,
    SignalLevel,
    SysMode,
)


class HealthSignal(Message, frozen=True):
    """The current demand of one source on the governor; CLEAR withdraws it.

    `source` distinguishes signals of one kind (a symbol, an intent, an actor); `value`, `threshold`
    and `unit` are shown to the operator.
    """

    kind: SignalKind
    level: SignalLevel
    reason: ReasonCode
    source: str = ""
    value: int = 0
    threshold: int = 0
    unit: str = ""
    detail: str = ""
    at_ms: int = 0


class ActiveReason(Message, frozen=True):
    """One reason that holds the current mode."""

    code: ReasonCode
    kind: SignalKind
    level: SignalLevel
    source: str
    since_ms: int
    value: int
    threshold: int
    unit: str
    detail: str
    count: int


class ModeChanged(Message, frozen=True):
    """The mode from now on; broadcast after it is durable."""

    mode: SysMode
    previous: SysMode
    reasons: tuple[ReasonCode, ...]
    active: tuple[ActiveReason, ...]
    at_ms: int


class Alert(Message, frozen=True):
    """One thing the operator should know; `code` is its catalogue entry."""

    severity: Severity
    code: ReasonCode
    reasons: tuple[ReasonCode, ...]
    text: str
    symbol: str = ""
    at_ms: int = 0


class OperatorCommand(Message, frozen=True):
    """A command that the operator left as a control file; `nonce` is the file's name.

    `symbol` is set for RELEASE and the exposures, `side` and `qty` for EXPOSURE_OPEN, and
    `exposure_id` for EXPOSURE_CLOSE. `left_over`: it was left before this process started.
    """

    action: OperatorAction
    reason: str
    nonce: str
    at_ms: int
    symbol: str = ""
    side: Side | None = None
    qty: Decimal = Decimal(0)
    exposure_id: str = ""
    left_over: bool = False


class ReleaseWanted(Message, frozen=True):
    """The operator releases a symbol from quarantine; risk acts and audits it. To risk."""

    command: OperatorCommand


class ExposureWanted(Message, frozen=True):
    """The operator opens or closes a position of their own; risk acts and audits it. To risk."""

    command: OperatorCommand


class ReconcileDiff(Message, frozen=True):
    """One difference between belief and the exchange; `before` is ours, `after` is REST's.

    `reason` is a more specific code where one is known.
    """

    mismatch: str
    symbol: str
    subject: str
    before: str
    after: str
    score_x10000: int
    corrected: bool
    reason: ReasonCode = ReasonCode.RECONCILE_DIFF_DETECTED


class ReconcileReport(Message, frozen=True):
    """One reconcile pass. Label OK, WARN or BAD by the drift score."""

    started_at_ms: int
    duration_ms: int
    drift_score_x10000: int
    label: str
    scope: str
    diffs: tuple[ReconcileDiff, ...]


class CloseAsked(Message, frozen=True):
    """Sell these symbols' positions now; sent at boot where belief contradicts itself."""

    symbols: tuple[str, ...]
