"""Cancels orders and lists, alone or as the first half of a cancel-replace."""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from livespot.exchange.lists import finish_list
from livespot.exchange.matching import end_order
from livespot.exchange.model import Json, Order, OrderList, Rejection
from livespot.exchange.params import Params, invalid
from livespot.exchange.replies import cancel_reply, list_cancel_reply
from livespot.exchange.state import Account, Exchange, Market

UNKNOWN = "Unknown order sent."
_RESTRICTIONS = frozenset({"ONLY_NEW", "ONLY_PARTIALLY_FILLED"})
_MODES = frozenset({"STOP_ON_FAILURE", "ALLOW_FAILURE"})
_LIMIT_MODES = frozenset({"DO_NOTHING", "CANCEL_ONLY"})


class CancelRequest(msgspec.Struct, frozen=True, gc=False):
    """Which order to cancel, under what name and on what condition."""

    order_id: int | None
    client_id: str | None
    name: str | None
    restriction: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaceMode:
    """How a cancel-replace goes on after a failed half or a full order count."""

    allow_failure: bool
    cancel_only: bool


def read_cancel(params: Params) -> CancelRequest:
    """The parameters of the cancel endpoint."""
    names = ("orderId", "origClientOrderId", "newClientOrderId")
    return _read(params, *names)


def read_replaced(params: Params) -> tuple[CancelRequest, ReplaceMode]:
    """The cancel half of the cancel-replace endpoint."""
    mode = params.need("cancelReplaceMode")
    if mode not in _MODES:
        raise invalid("cancelReplaceMode")
    text = invalid("orderRateLimitExceededMode").msg
    limit_mode = params.choice("orderRateLimitExceededMode", _LIMIT_MODES, -1130, text)
    names = ("cancelOrderId", "cancelOrigClientOrderId", "cancelNewClientOrderId")
    return _read(params, *names), ReplaceMode(
        allow_failure=mode == "ALLOW_FAILURE", cancel_only=limit_mode == "CANCEL_ONLY"
    )


def find_order(
    market: Market, account: Account, order_id: int | None, client_id: str | None
) -> Order | None:
    """The account's order by number, else the newest with this client id."""
    if order_id is None:
        if client_id is None:
            return None
        order_id = market.by_client.get((account.spec.account_id, client_id))
    order = market.orders.get(order_id) if order_id is not None else None
    if order is None or order.account_id != account.spec.account_id:
        return None
    return order


def cancel(exchange: Exchange, market: Market, account: Account, request: CancelRequest) -> Json:
    """Cancel one order; a list member takes its whole list along, and the list is the reply."""
    _check_rights(account)
    order = find_order(market, account, request.order_id, request.client_id)
    if order is None or not order.is_open:
        raise Rejection(-2011, UNKNOWN)
    if request.client_id is not None and order.client_id != request.client_id:
        raise Rejection(-2011, "Cancel order is invalid. Check origClOrdId and orderId.")
    partly = order.status == "PARTIALLY_FILLED"
    if (request.restriction == "ONLY_NEW" and partly) or (
        request.restriction == "ONLY_PARTIALLY_FILLED" and not partly
    ):
        raise Rejection(-2011, "Order was not canceled due to cancel restrictions.")
    name = request.name or exchange.new_name()
    order_list = exchange.list_of(order)
    if order_list is not None:
        return end_list(exchange, order_list, name)
    _end(exchange, market, order, name)
    return cancel_reply(order)


def cancel_list(exchange: Exchange, account: Account, params: Params, symbol: str) -> Json:
    """Cancel a list by its number or client id."""
    _check_rights(account)
    params.need_one("orderListId", "listClientOrderId")
    list_id = params.long("orderListId")
    client_id = params.named("listClientOrderId")
    name = params.client_id("newClientOrderId")
    params.finish()
    for order_list in reversed(exchange.lists.values()):
        matches = (
            order_list.account_id == account.spec.account_id
            and order_list.symbol == symbol
            and order_list.order_status == "EXECUTING"
            and list_id in (None, order_list.list_id)
            and client_id in (None, order_list.client_id)
        )
        if matches:
            return end_list(exchange, order_list, name or exchange.new_name())
    raise Rejection(-2011, UNKNOWN)


def cancel_all(exchange: Exchange, market: Market, account: Account) -> list[Json]:
    """Cancel every open order of a symbol; orders and lists mixed, all under one new name."""
    _check_rights(account)
    open_orders = market.open_orders(account.spec.account_id)
    if not open_orders:
        raise Rejection(-2011, UNKNOWN)
    name = exchange.new_name()
    reports = []
    for order in open_orders:
        order_list = exchange.list_of(order)
        if order.is_open and order_list is not None:
            reports.append(end_list(exchange, order_list, name))
        elif order.is_open:
            _end(exchange, market, order, name)
            reports.append(cancel_reply(order))
    return reports


def end_list(exchange: Exchange, order_list: OrderList, name: str) -> Json:
    """Cancel every open member of a list."""
    market = exchange.markets[order_list.symbol]
    ended = [order for order in exchange.members(order_list) if order.is_open]
    for order in ended:
        _end(exchange, market, order, name)
    finish_list(exchange, order_list)
    return list_cancel_reply(exchange, order_list, ended)


def replace_order(
    cancel_half: Callable[[], Json], place_half: Callable[[], Json], mode: ReplaceMode
) -> tuple[int, Json]:
    """Run both halves in turn and answer as the exchange does for each outcome."""
    try:
        cancelled: Json = cancel_half()
        cancel_ok = True
    except Rejection as refused:
        cancelled, cancel_ok = refused.body(), False
    if not cancel_ok and not mode.allow_failure:
        return _failed(400, _halves("FAILURE", "NOT_ATTEMPTED", cancelled, None))
    try:
        placed: Json = place_half()
        place_ok = True
    except Rejection as refused:
        placed, place_ok = refused.body(), False
    halves = _halves(_word(ok=cancel_ok), _word(ok=place_ok), cancelled, placed)
    if cancel_ok and place_ok:
        return 200, halves
    return _failed(409 if cancel_ok or place_ok else 400, halves)


def _check_rights(account: Account) -> None:
    if not account.spec.can_trade:
        raise Rejection(-2011, "This account may not place or cancel orders.")


def _word(*, ok: bool) -> str:
    return "SUCCESS" if ok else "FAILURE"


def _halves(cancel_result: str, new_result: str, cancelled: Json, placed: Json | None) -> Json:
    return {
        "cancelResult": cancel_result,
        "newOrderResult": new_result,
        "cancelResponse": cancelled,
        "newOrderResponse": placed,
    }


def _failed(http_status: int, halves: Json) -> tuple[int, Json]:
    partly = http_status == 409
    code = -2021 if partly else -2022
    text = "Order cancel-replace partially failed." if partly else "Order cancel-replace failed."
    return http_status, {"code": code, "msg": text, "data": halves}


def _read(params: Params, id_name: str, client_name: str, new_name: str) -> CancelRequest:
    bad = "Invalid cancelRestrictions"
    restriction = params.choice("cancelRestrictions", _RESTRICTIONS, -1145, bad)
    params.need_one(client_name, id_name)
    return CancelRequest(
        params.long(id_name),
        params.named(client_name),
        params.client_id(new_name),
        restriction,
    )


def _end(exchange: Exchange, market: Market, order: Order, name: str) -> None:
    key = (order.account_id, order.client_id)
    if market.by_client.get(key) == order.order_id:
        del market.by_client[key]
    order.cancelled_client_id, order.client_id = order.client_id, name
    if market.by_client.get((order.account_id, name)) not in market.open_ids:
        market.by_client[order.account_id, name] = order.order_id
    end_order(exchange, order, "CANCELED")
