"""Counts faults against a symbol, from the messages that report them."""

from typing import TypeAlias, assert_never

from livespot.actors.mail import (
    PricesInsane,
    RejectSeen,
    StreamDropped,
    SubmitAnswered,
    SubmitTimedOut,
)
from livespot.contracts.market import SymbolInfo
from livespot.contracts.settings import QuarantineSettings
from livespot.contracts.system import OperatorCommand
from livespot.rules import quarantine
from livespot.rules.quarantine import SymbolFaults

FaultSeen: TypeAlias = RejectSeen | SubmitTimedOut | SubmitAnswered | StreamDropped | PricesInsane


def counted(
    faults: SymbolFaults, message: FaultSeen, now_ms: int, rules: QuarantineSettings
) -> SymbolFaults:
    """The symbol's faults after the message."""
    match message:
        case RejectSeen():
            if message.filter_name:
                return quarantine.filter_rejected(faults, now_ms, rules)
            return quarantine.entry_refused(faults, now_ms, rules)
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


def turned_bad(known: SymbolInfo | None, info: SymbolInfo) -> str:
    """Why a symbol that was good when last seen must be quarantined; empty if it need not be."""
    if known is None or not known.is_trading or known.constraints is None:
        return ""
    if not info.is_trading:
        return quarantine.CAUSE_STATUS
    return "" if info.constraints is not None else quarantine.CAUSE_FILTERS


def released_by(
    command: OperatorCommand, faults: SymbolFaults, now_ms: int
) -> tuple[SymbolFaults, str]:
    """The symbol's faults after an operator's release, and the outcome of the command."""
    refusal = quarantine.release_refused(faults, command.reason, now_ms)
    if refusal:
        return faults, f"refused: {refusal}"
    return quarantine.released(faults), f"done: {faults.symbol} released from {faults.cause}"


def cause_of(message: FaultSeen) -> str:
    """The name of the message in the record of a change."""
    match message:
        case RejectSeen():
            return f"REJECT {message.filter_name or message.code}"
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
    """The symbols that it counts against."""
    return message.symbols if isinstance(message, StreamDropped) else (message.symbol,)
