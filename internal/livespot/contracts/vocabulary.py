"""The closed vocabularies of the product: modes, stages, event types, sides, states."""

from enum import StrEnum


class Mode(StrEnum):
    """Which venue and permissions a run has."""

    LIVE = "LIVE"
    SHADOW = "SHADOW"
    SIM = "SIM"
    REPLAY = "REPLAY"


class SysMode(StrEnum):
    """What the runtime may do now; owned by the governor."""

    NORMAL = "NORMAL"
    DEGRADE = "DEGRADE"
    PAUSE = "PAUSE"
    EXIT = "EXIT"


class Stage(StrEnum):
    """The stage of a cycle."""

    BOOT = "BOOT"
    DOCTOR_CHECKS = "DOCTOR_CHECKS"
    STARTUP_RECOVER = "STARTUP_RECOVER"
    UNIVERSE_SCAN = "UNIVERSE_SCAN"
    RANK_TOPN = "RANK_TOPN"
    DEEP_SCAN = "DEEP_SCAN"
    WATCHLIST_ATTACH = "WATCHLIST_ATTACH"
    STATE_UPDATE = "STATE_UPDATE"
    STRATEGY_PROPOSE = "STRATEGY_PROPOSE"
    AIGATE_CALL = "AIGATE_CALL"
    RISK_VERDICT = "RISK_VERDICT"
    EXECUTE_INTENT = "EXECUTE_INTENT"
    POSITION_MANAGE = "POSITION_MANAGE"
    RECONCILE_REST = "RECONCILE_REST"
    REPORT_DAILY_SUMMARY = "REPORT_DAILY_SUMMARY"
    DEGRADE = "DEGRADE"
    PAUSE = "PAUSE"
    SHUTDOWN = "SHUTDOWN"


class EventType(StrEnum):
    """The kinds of audited events."""

    STAGE_CHANGED = "STAGE_CHANGED"
    ALERT_RAISED = "ALERT_RAISED"
    UNIVERSE_ELIGIBILITY = "UNIVERSE_ELIGIBILITY"
    RANK_TOPN = "RANK_TOPN"
    DEEP_SCAN = "DEEP_SCAN"
    TOPK_SELECTION = "TOPK_SELECTION"
    SNAPSHOT_BUILT = "SNAPSHOT_BUILT"
    DECISION_PROPOSED = "DECISION_PROPOSED"
    AIGATE_CALL = "AIGATE_CALL"
    RISK_VERDICT = "RISK_VERDICT"
    INTENT_STATE_CHANGED = "INTENT_STATE_CHANGED"
    ORDER_SUBMIT = "ORDER_SUBMIT"
    ORDER_CANCEL = "ORDER_CANCEL"
    ORDER_CANCEL_REPLACE = "ORDER_CANCEL_REPLACE"
    ORDER_UPDATE = "ORDER_UPDATE"
    FILL = "FILL"
    PROTECTION_CHANGED = "PROTECTION_CHANGED"
    POSITION_CHANGED = "POSITION_CHANGED"
    RECONCILE_REST = "RECONCILE_REST"
    RECONCILE_DIFF = "RECONCILE_DIFF"
    FILTERS_REFRESHED = "FILTERS_REFRESHED"
    TIME_SYNC = "TIME_SYNC"
    RATE_LIMIT = "RATE_LIMIT"
    DISK_HEALTH_SAMPLE = "DISK_HEALTH_SAMPLE"
    DB_WRITER_BACKPRESSURE = "DB_WRITER_BACKPRESSURE"
    SYSMODE_CHANGED = "SYSMODE_CHANGED"
    OPERATOR_COMMAND = "OPERATOR_COMMAND"
    WEBUI_REQUEST = "WEBUI_REQUEST"
    DAILY_SUMMARY = "DAILY_SUMMARY"
    RUN_STARTED = "RUN_STARTED"
    RUN_ENDED = "RUN_ENDED"


class Severity(StrEnum):
    """How serious an alert is."""

    INFO = "INFO"
    WARN = "WARN"
    CRIT = "CRIT"


class Side(StrEnum):
    BUY = "BUY"
    SELL = "SELL"


class Interval(StrEnum):
    """The candle frames the runtime keeps."""

    M1 = "1m"
    M5 = "5m"
    M15 = "15m"
    H1 = "1h"

    @property
    def ms(self) -> int:
        """Length of one candle in milliseconds."""
        return _INTERVAL_MS[self]


_INTERVAL_MS = {
    Interval.M1: 60_000,
    Interval.M5: 300_000,
    Interval.M15: 900_000,
    Interval.H1: 3_600_000,
}


class RegimeLabel(StrEnum):
    TREND = "TREND"
    RANGE = "RANGE"
    UNCLEAR = "UNCLEAR"


class Direction(StrEnum):
    BULL = "BULL"
    BEAR = "BEAR"


class DecisionIntent(StrEnum):
    ENTRY = "ENTRY"
    EXIT = "EXIT"
    MANAGE = "MANAGE"


class EntryKind(StrEnum):
    """How an entry is placed, from the most to the least patient."""

    MAKER_FIRST = "MAKER_FIRST"
    TAKER = "TAKER"
    MARKET = "MARKET"


class TimeInForce(StrEnum):
    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"


class FallbackKind(StrEnum):
    """What follows an unfilled entry, from the most to the least patient."""

    CANCEL_AND_REPLACE = "CANCEL_AND_REPLACE"
    IOC_LIMIT = "IOC_LIMIT"
    MARKET_IF_ALLOWED = "MARKET_IF_ALLOWED"


class ProtectionKind(StrEnum):
    OCO = "OCO"
    TP_SL_SEPARATE = "TP_SL_SEPARATE"


class TrailingMode(StrEnum):
    OFF = "OFF"
    VIRTUAL = "VIRTUAL"
    NATIVE = "NATIVE"


class FilterPolicy(StrEnum):
    ENFORCED = "ENFORCED"
    KNOWN_NON_ENFORCED = "KNOWN_NON_ENFORCED"
    UNKNOWN = "UNKNOWN"


class GateVerdict(StrEnum):
    ALLOW = "ALLOW"
    BLOCK = "BLOCK"
    MODIFY = "MODIFY"
    ERROR = "ERROR"


class Verdict(StrEnum):
    ALLOW = "ALLOW"
    BLOCK = "BLOCK"


class IntentAction(StrEnum):
    """The kinds of atomic mutations."""

    SUBMIT = "SUBMIT"
    CANCEL = "CANCEL"
    CANCEL_REPLACE = "CANCEL_REPLACE"
    OCO_CREATE = "OCO_CREATE"
    OCO_CANCEL = "OCO_CANCEL"
    TRAILING_ACTIVATE = "TRAILING_ACTIVATE"
    CLOSE = "CLOSE"


class MutationOutcome(StrEnum):
    """How a mutation that the position keeper wanted ended, or stands.

    UNKNOWN is followed by another outcome when evidence or the time fence has settled it.
    """

    ACCEPTED = "ACCEPTED"
    REFUSED = "REFUSED"
    NOT_SENT = "NOT_SENT"
    OVERTAKEN = "OVERTAKEN"
    UNKNOWN = "UNKNOWN"
    NOT_FOUND = "NOT_FOUND"


class IntentState(StrEnum):
    CREATED = "CREATED"
    SENT_UNKNOWN = "SENT_UNKNOWN"
    CONFIRMED = "CONFIRMED"
    FAILED_TERMINAL = "FAILED_TERMINAL"
    NOT_FOUND = "NOT_FOUND"


class IntentRole(StrEnum):
    """The purpose of an order of a decision."""

    LIST = "LIST"
    ENTRY = "ENTRY"
    TP = "TP"
    SL = "SL"
    STOP = "STOP"
    TRAIL = "TRAIL"
    CLOSE = "CLOSE"
    CANCEL = "CANCEL"


class OrderType(StrEnum):
    LIMIT = "LIMIT"
    LIMIT_MAKER = "LIMIT_MAKER"
    MARKET = "MARKET"
    STOP_LOSS = "STOP_LOSS"
    STOP_LOSS_LIMIT = "STOP_LOSS_LIMIT"
    TAKE_PROFIT = "TAKE_PROFIT"
    TAKE_PROFIT_LIMIT = "TAKE_PROFIT_LIMIT"


class OrderStatus(StrEnum):
    """The exchange's statuses; UNKNOWN stands for one that this version does not know."""

    NEW = "NEW"
    PENDING_NEW = "PENDING_NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    EXPIRED_IN_MATCH = "EXPIRED_IN_MATCH"
    UNKNOWN = "UNKNOWN"

    @property
    def is_terminal(self) -> bool:
        """Whether no further fill can come; UNKNOWN conservatively counts as not terminal."""
        return self in _TERMINAL


_TERMINAL = frozenset(
    {
        OrderStatus.FILLED,
        OrderStatus.CANCELED,
        OrderStatus.REJECTED,
        OrderStatus.EXPIRED,
        OrderStatus.EXPIRED_IN_MATCH,
    }
)


class ListKind(StrEnum):
    """The order lists of the exchange; the value is the last part of the request path."""

    OCO = "oco"
    OTO = "oto"
    OTOCO = "otoco"
    OPO = "opo"
    OPOCO = "opoco"


class PositionPhase(StrEnum):
    FLAT = "FLAT"
    OPENING = "OPENING"
    UNPROTECTED = "UNPROTECTED"
    PROTECTED = "PROTECTED"
    TRAILING = "TRAILING"
    CLOSING = "CLOSING"
    DUST = "DUST"


class ExitReason(StrEnum):
    """Why a position was reduced or closed."""

    NONE = "NONE"
    TAKE_PROFIT = "TAKE_PROFIT"
    STOP_LOSS = "STOP_LOSS"
    TRAILING = "TRAILING"
    CLOSE_SAFELY = "CLOSE_SAFELY"
    FOREIGN = "FOREIGN"


class SignalKind(StrEnum):
    """The kinds of health signals that the governor weighs."""

    LOOP_STUCK = "LOOP_STUCK"
    WS_STALE = "WS_STALE"
    REST_STALE = "REST_STALE"
    DISK_LOW = "DISK_LOW"
    DB_WRITER = "DB_WRITER"
    DRIFT = "DRIFT"
    CLOCK = "CLOCK"
    RATE_LIMIT = "RATE_LIMIT"
    AI_GATE = "AI_GATE"
    PROTECTION = "PROTECTION"
    INTENT = "INTENT"
    ACTOR = "ACTOR"
    USER_STREAM = "USER_STREAM"
    KEY = "KEY"
    EXCHANGE = "EXCHANGE"
    OPERATOR = "OPERATOR"
    RECOVERY = "RECOVERY"
    CHECKLIST = "CHECKLIST"


class SignalLevel(StrEnum):
    """What a signal demands of the governor; CLEAR withdraws it."""

    CLEAR = "CLEAR"
    DEGRADE = "DEGRADE"
    PAUSE = "PAUSE"
    EXIT = "EXIT"


class OperatorAction(StrEnum):
    PAUSE = "PAUSE"
    RESUME = "RESUME"
    STOP = "STOP"
    RELEASE = "RELEASE"
    HALT = "HALT"
    EXPOSURE_OPEN = "EXPOSURE_OPEN"
    EXPOSURE_CLOSE = "EXPOSURE_CLOSE"


class WebhookShape(StrEnum):
    """The request format of a webhook."""

    JSON = "JSON"
    TELEGRAM = "TELEGRAM"
    NTFY = "NTFY"
    SLACK = "SLACK"
