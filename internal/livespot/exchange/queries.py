"""Reads of orders, lists, trades and the account, as the query endpoints answer them."""

from livespot.exchange.cancelling import find_order
from livespot.exchange.model import Json, OrderList, Rejection
from livespot.exchange.params import Params, one_of_missing
from livespot.exchange.replies import list_query, order_query, trade_row
from livespot.exchange.state import Account, Exchange, Market

DEFAULT_LIMIT = 500
MAX_LIMIT = 1000
DAY_MS = 86_400_000
_BAD_COMBINATION = "Combination of optional parameters invalid."


def query_order(market: Market, account: Account, params: Params) -> Json:
    """One order by number or client id; -2013 when there is none."""
    order_id = params.long("orderId")
    client_id = params.text("origClientOrderId")
    if order_id is None and client_id is None:
        raise one_of_missing("origClientOrderId", "orderId")
    order = find_order(market, account, order_id, client_id)
    if order is None:
        raise Rejection(-2013, "Order does not exist.")
    if order_id is not None and client_id is not None and order.client_id != client_id:
        raise Rejection(-2039, "Client order ID is not correct for this order ID.")
    return order_query(order)


def open_orders(exchange: Exchange, account: Account, symbol: str | None) -> list[Json]:
    """The account's open orders, of one symbol or of all."""
    markets = [exchange.market(symbol)] if symbol else list(exchange.markets.values())
    account_id = account.spec.account_id
    return [order_query(order) for market in markets for order in market.open_orders(account_id)]


def all_orders(market: Market, account: Account, params: Params) -> list[Json]:
    """The account's orders of a symbol, oldest first."""
    first = params.long("orderId")
    start, end = _span(params)
    limit = _limit(params)
    chosen = [
        order
        for order in market.orders.values()
        if order.account_id == account.spec.account_id
        and (first is None or order.order_id >= first)
        and _within(order.created_ms, start, end)
    ]
    forwards = first is not None or start is not None
    page = chosen[:limit] if forwards else chosen[-limit:]
    return [order_query(order) for order in page]


def query_list(exchange: Exchange, account: Account, params: Params) -> Json:
    """One list by number or client id; -2013 when there is none."""
    list_id = params.long("orderListId")
    client_id = params.text("origClientOrderId")
    if list_id is None and client_id is None:
        raise one_of_missing("origClientOrderId", "orderListId")
    for order_list in reversed(_lists(exchange, account)):
        by_id = list_id in (None, order_list.list_id)
        if by_id and client_id in (None, order_list.client_id):
            return list_query(exchange, order_list)
    raise Rejection(-2013, "Order does not exist.")


def open_lists(exchange: Exchange, account: Account) -> list[Json]:
    """The account's lists that are still executing."""
    return [
        list_query(exchange, order_list)
        for order_list in _lists(exchange, account)
        if order_list.order_status == "EXECUTING"
    ]


def all_lists(exchange: Exchange, account: Account, params: Params) -> list[Json]:
    """The account's lists, oldest first; `fromId` excludes the times."""
    first = params.long("fromId")
    start, end = _span(params)
    limit = _limit(params)
    if first is not None and (start is not None or end is not None):
        raise Rejection(-1128, _BAD_COMBINATION)
    chosen = [
        order_list
        for order_list in _lists(exchange, account)
        if (first is None or order_list.list_id >= first)
        and _within(order_list.transaction_ms, start, end)
    ]
    forwards = first is not None or start is not None
    page = chosen[:limit] if forwards else chosen[-limit:]
    return [list_query(exchange, order_list) for order_list in page]


def my_trades(market: Market, account: Account, params: Params) -> list[Json]:
    """The account's trades of a symbol, oldest first."""
    order_id = params.long("orderId")
    first = params.long("fromId")
    start, end = _span(params)
    limit = _limit(params)
    timed = start is not None or end is not None
    if timed and (order_id is not None or first is not None):
        raise Rejection(-1128, _BAD_COMBINATION)
    chosen = [
        fill
        for fill in market.fills.get(account.spec.account_id, [])
        if order_id in (None, fill.order_id)
        and (first is None or fill.trade_id >= first)
        and _within(fill.time_ms, start, end)
    ]
    forwards = first is not None or start is not None
    page = chosen[:limit] if forwards else chosen[-limit:]
    return [trade_row(market.spec.symbol, fill) for fill in page]


def _lists(exchange: Exchange, account: Account) -> list[OrderList]:
    account_id = account.spec.account_id
    return [one for one in exchange.lists.values() if one.account_id == account_id]


def _span(params: Params) -> tuple[int | None, int | None]:
    start, end = params.long("startTime"), params.long("endTime")
    if start is not None and end is not None and end - start > DAY_MS:
        raise Rejection(-1127, "More than 24 hours between startTime and endTime.")
    return start, end


def _within(time_ms: int, start: int | None, end: int | None) -> bool:
    return (start is None or time_ms >= start) and (end is None or time_ms <= end)


def _limit(params: Params) -> int:
    limit = params.long("limit")
    return DEFAULT_LIMIT if limit is None else max(1, min(limit, MAX_LIMIT))
