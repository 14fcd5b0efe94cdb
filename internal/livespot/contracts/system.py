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
    """One source's current demand on the governor; CLEAR withdraws the demand of `source`.

    `source` tells apart several signals of one kind (a symbol, an intent, an actor); `value`,
    `threshold` and `unit` are what the operator sees.
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
    """One reason that holds the present mode."""

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
    """The mode everybody works in from now on. Broadcast after it is durable."""

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
    """What the operator asked through a control file; `nonce` is the file's name.

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
    """The operator wants a symbol out of quarantine; risk acts and audits the outcome. To risk."""

    command: OperatorCommand


class ExposureWanted(Message, frozen=True):
    """The operator opens or closes a position of his own; risk acts and audits it. To risk."""

    command: OperatorCommand


class ReconcileDiff(Message, frozen=True):
    """One difference between belief and the exchange; `before` is ours, `after` is REST's.

    `reason` says more than that they differ, where more is known.
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
    """Sell these symbols' positions now; boot recovery asks it where belief contradicts itself."""

    symbols: tuple[str, ...]
