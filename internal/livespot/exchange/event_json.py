"""Engine events as the payloads the exchange pushes to its user streams."""

from decimal import Decimal
from functools import lru_cache

from livespot.exchange.model import (
    AccountPosition,
    BalanceChanged,
    ExecutionReport,
    Json,
    ListStatus,
    UserEvent,
)


# The amounts of one order are said many times: in its reply, its reports, its book.
@lru_cache(maxsize=4096)
def decimal_text(value: Decimal) -> str:
    """A plain decimal with eight places, as the exchange prints money and quantities."""
    return f"{value:.8f}" if value else "0.00000000"


def user_event(event: UserEvent, event_ms: int) -> Json:
    """The `event` member of a user stream message (without the subscription envelope)."""
    match event:
        case ExecutionReport():
            return execution_report(event, event_ms)
        case ListStatus():
            return list_status(event, event_ms)
        case AccountPosition():
            return account_position(event, event_ms)
        case BalanceChanged():
            return {
                "e": "balanceUpdate",
                "E": event_ms,
                "a": event.asset,
                "d": decimal_text(event.delta),
                "T": event.time_ms,
            }


def account_position(event: AccountPosition, event_ms: int) -> Json:
    """The outboundAccountPosition event."""
    return {
        "e": "outboundAccountPosition",
        "E": event_ms,
        "u": event.time_ms,
        "B": [
            {"a": asset, "f": decimal_text(free), "l": decimal_text(locked)}
            for asset, free, locked in event.balances
        ],
    }


def list_status(event: ListStatus, event_ms: int) -> Json:
    """The listStatus event."""
    return {
        "e": "listStatus",
        "E": event_ms,
        "s": event.symbol,
        "g": event.list_id,
        "c": event.contingency,
        "l": event.status_type,
        "L": event.order_status,
        "r": event.reject_reason,
        "C": event.client_id,
        "T": event.time_ms,
        "O": [{"s": event.symbol, "i": number, "c": cid} for number, cid in event.orders],
    }


def execution_report(event: ExecutionReport, event_ms: int) -> Json:
    """The executionReport event; conditional fields appear only where they apply."""
    zero = Decimal(0)
    body: Json = {
        "e": "executionReport",
        "E": event_ms,
        "s": event.symbol,
        "c": event.client_id,
        "S": event.side,
        "o": event.type,
        "f": event.time_in_force,
        "q": decimal_text(event.orig_qty or zero),
        "p": decimal_text(event.price),
        "P": decimal_text(event.stop_price or zero),
        "F": decimal_text(event.iceberg_qty),
        "g": event.list_id,
        "C": event.orig_client_id,
        "x": event.execution_type,
        "X": event.status,
        "r": event.reject_reason,
        "i": event.order_id,
        "l": decimal_text(event.last_qty),
        "z": decimal_text(event.executed),
        "L": decimal_text(event.last_price),
        "n": decimal_text(event.commission) if event.commission_asset else "0",
        "N": event.commission_asset,
        "T": event.time_ms,
        "t": event.trade_id,
        "I": event.execution_id,
        "w": event.is_working,
        "m": event.is_maker,
        "M": event.execution_type == "TRADE",
        "O": event.created_ms,
        "Z": decimal_text(event.cum_quote),
        "Y": decimal_text(event.last_quote),
        "Q": decimal_text(event.quote_qty),
        "V": event.stp,
    }
    return body | _conditional(event)


def _conditional(event: ExecutionReport) -> Json:
    body: Json = {}
    if event.working_ms >= 0:
        body["W"] = event.working_ms
    if event.trailing_delta is not None:
        body["d"] = event.trailing_delta
        body["D"] = event.trailing_ms
    if event.strategy_id is not None:
        body["j"] = event.strategy_id
    if event.strategy_type is not None:
        body["J"] = event.strategy_type
    if event.expiry_reason != "NONE":
        body["eR"] = event.expiry_reason
    return body | _pegging(event) | _prevention(event)


def _pegging(event: ExecutionReport) -> Json:
    if event.peg is None:
        return {}
    body: Json = {"gP": event.peg.price_type}
    if event.peg.offset is not None:
        body |= {"gOT": "PRICE_LEVEL", "gOV": event.peg.offset}
    if event.pegged_price is not None:
        body["gp"] = decimal_text(event.pegged_price)
    return body


def _prevention(event: ExecutionReport) -> Json:
    if event.prevented_match_id is None:
        return {}
    body: Json = {"v": event.prevented_match_id, "A": decimal_text(event.prevented)}
    if event.execution_type == "TRADE_PREVENTION":
        body["B"] = decimal_text(event.prevented_last)
        if event.trade_group_id is not None:
            body["u"] = event.trade_group_id
        body["U"] = event.counter_order_id
        body["Cs"] = event.counter_symbol
        body["pl"] = decimal_text(event.prevented_match_qty)
        body["pL"] = decimal_text(event.prevented_price)
        body["pY"] = decimal_text(event.prevented_match_qty * event.prevented_price)
    return body
