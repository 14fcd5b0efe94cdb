"""What counts against a symbol, from the messages that tell of it."""

from typing import TypeAlias, assert_never

from livespot.actors.mail import (
    PricesInsane,
    RejectSeen,
    StreamDropped,
    SubmitAnswered,
    SubmitTimedOut,
)
from livespot.contracts.settings import QuarantineSettings
from livespot.rules import quarantine
from livespot.rules.quarantine import SymbolFaults

FaultSeen: TypeAlias = RejectSeen | SubmitTimedOut | SubmitAnswered | StreamDropped | PricesInsane


def counted(
    faults: SymbolFaults, message: FaultSeen, now_ms: int, rules: QuarantineSettings
) -> SymbolFaults:
    """One symbol's faults after the message; a rejection that names no filter counts nothing."""
    match message:
        case RejectSeen():
            if not message.filter_name:
                return faults
            return quarantine.filter_rejected(faults, now_ms, rules)
        case SubmitTimedOut():
            return quarantine.submit_timed_out(faults, now_ms, rules)
        case SubmitAnswered():
            return quarantine.submit_answered(faults)
        case StreamDropped():
            return quarantine.stream_dropped(faults, now_ms, rules)
        case PricesInsane():
            return quarantine.quarantined(faults, quarantine.CAUSE_PRICES, now_ms, rules)
        case _:
            assert_never(message)


def cause_of(message: FaultSeen) -> str:
    """What the message is called in the record of a change."""
    match message:
        case RejectSeen():
            return f"REJECT {message.filter_name}"
        case SubmitTimedOut():
            return "SUBMIT_TIMED_OUT"
        case SubmitAnswered():
            return "SUBMIT_ANSWERED"
        case StreamDropped():
            return "STREAM_DROPPED"
        case PricesInsane():
            return quarantine.CAUSE_PRICES
        case _:
            assert_never(message)


def symbols_of(message: FaultSeen) -> tuple[str, ...]:
    """Whom it counts against."""
    return message.symbols if isinstance(message, StreamDropped) else (message.symbol,)
