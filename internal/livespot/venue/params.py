"""Turns requests into the exchange's parameters, which both of its APIs share."""

from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from typing import assert_never

from livespot.contracts.amounts import decimal_text
from livespot.contracts.errors import LocalRefusal
from livespot.contracts.orders import (
    CancelReplaceRequest,
    CancelRequest,
    LegRequest,
    ListRequest,
    OrderRequest,
)
from livespot.contracts.vocabulary import ListKind, Side
from livespot.venue.query import Value
from livespot.venue.weights import Priority

Params = dict[str, Value]


def order_params(request: OrderRequest) -> Params:
    """Parameters of `order`, asking for a FULL reply so that fills come with the answer."""
    return {
        "symbol": request.symbol,
        **_order_fields(request),
        "newClientOrderId": request.client_order_id,
        "newOrderRespType": "FULL",
        "recvWindow": request.recv_window_ms,
    }


def cancel_params(request: CancelRequest) -> Params:
    """Parameters of a cancel, by exchange id when it is known: that names exactly one order."""
    return {
        "symbol": request.symbol,
        **_cancelled_order(request, "orderId", "origClientOrderId"),
        "newClientOrderId": request.client_order_id,
        **({"cancelRestrictions": "ONLY_NEW"} if request.only_new else {}),
        "recvWindow": request.recv_window_ms,
    }


def cancel_replace_params(request: CancelReplaceRequest) -> Params:
    """Parameters of `order.cancelReplace`; nothing is placed when the cancel fails."""
    cancel = request.cancel
    return {
        **order_params(request.order),
        "cancelReplaceMode": "STOP_ON_FAILURE",
        **_cancelled_order(cancel, "cancelOrderId", "cancelOrigClientOrderId"),
        "cancelNewClientOrderId": cancel.client_order_id,
        **({"cancelRestrictions": "ONLY_NEW"} if cancel.only_new else {}),
    }


def list_params(request: ListRequest) -> Params:
    """Parameters of `orderList/<kind>`.

    Raises:
        LocalRefusal: the kind has a single pending order, or the parts do not fit the kind.
    """
    match request.kind:
        case ListKind.OCO:
            sides = _oco_fields(request)
        case ListKind.OTOCO | ListKind.OPOCO:
            sides = _working_fields(request)
        case ListKind.OTO | ListKind.OPO:
            raise LocalRefusal(f"{request.kind.value} lists are not used")
        case _:
            assert_never(request.kind)
    return {
        "symbol": request.symbol,
        "listClientOrderId": request.list_client_order_id,
        **sides,
        "newOrderRespType": "FULL",
        "recvWindow": request.recv_window_ms,
    }


def priority_of(request: OrderRequest | ListRequest | CancelReplaceRequest) -> Priority:
    """Return the budget priority: protection for a sell, which reduces exposure; else entry."""
    match request:
        case OrderRequest():
            side = request.side
        case CancelReplaceRequest():
            side = request.order.side
        case ListRequest():
            side = request.working.side if request.working is not None else request.side
        case _:
            assert_never(request)
    return Priority.ENTRY if side is Side.BUY else Priority.PROTECTION


def _order_fields(request: OrderRequest) -> Params:
    return {
        "side": request.side.value,
        "type": request.type.value,
        **dict(_terms(request)),
        "quantity": decimal_text(request.qty),
    }


def _terms(part: OrderRequest | LegRequest) -> Iterator[tuple[str, Value]]:
    """Yield price, trigger and time in force, where given, under the names of a plain order."""
    if part.time_in_force is not None:
        yield "timeInForce", part.time_in_force.value
    if part.price is not None:
        yield "price", decimal_text(part.price)
    if part.stop_price is not None:
        yield "stopPrice", decimal_text(part.stop_price)
    if part.trailing_delta is not None:
        yield "trailingDelta", part.trailing_delta


def _prefixed(prefix: str, part: OrderRequest | LegRequest) -> Params:
    fields: Params = {"type": part.type.value, **dict(_terms(part))}
    fields["clientOrderId"] = part.client_order_id
    return {_name_in_list(prefix, name): value for name, value in fields.items()}


@cache
def _name_in_list(prefix: str, name: str) -> str:
    return f"{prefix}{name[0].upper()}{name[1:]}"


def _oco_fields(request: ListRequest) -> Params:
    return {
        "side": request.side.value,
        "quantity": _needed(request, request.qty),
        **_prefixed("above", request.above),
        **_prefixed("below", request.below),
    }


def _working_fields(request: ListRequest) -> Params:
    working = request.working
    if working is None:
        raise LocalRefusal(f"an {request.kind.value} list needs a working order")
    pending: Params = {"pendingSide": request.side.value}
    if request.kind is ListKind.OTOCO:
        pending["pendingQuantity"] = _needed(request, request.qty)
    return {
        **_prefixed("working", working),
        "workingSide": working.side.value,
        "workingQuantity": decimal_text(working.qty),
        **pending,
        **_prefixed("pendingAbove", request.above),
        **_prefixed("pendingBelow", request.below),
    }


def _needed(request: ListRequest, qty: Decimal | None) -> str:
    if qty is None:
        raise LocalRefusal(f"an {request.kind.value} list needs a quantity")
    return decimal_text(qty)


def _cancelled_order(request: CancelRequest, by_id: str, by_client_id: str) -> Params:
    if request.order_id is not None:
        return {by_id: request.order_id}
    return {by_client_id: request.orig_client_order_id or ""}
