"""Reads of orders, lists, trades and the account, as the query endpoints answer them."""

from livespot.exchange.cancelling import find_order
from livespot.exchange.model import Json, Order, OrderList, Rejection
from livespot.exchange.params import Params
from livespot.exchange.replies import list_query, order_query, prevented_match, trade_row
from livespot.exchange.state import Account, Exchange, Market

DEFAULT_LIMIT = 500
MAX_LIMIT = 1000
DAY_MS = 86_400_000
ARCHIVE_AFTER_MS = 90 * DAY_MS
_ARCHIVED_STATUSES = frozenset({"CANCELED", "EXPIRED", "EXPIRED_IN_MATCH"})
_ARCHIVED = (
    "Order was canceled or expired with no executed qty over 90 days ago and has been archived."
)
_BAD_COMBINATION = "Combination of optional parameters invalid."


def query_order(market: Market, account: Account, params: Params, now_ms: int) -> Json:
    """One order by number or client id; -2013 when there is none, -2026 when it is archived."""
    params.need_one("origClientOrderId", "orderId")
    order_id = params.long("orderId")
    client_id = params.named("origClientOrderId")
    params.finish()
    order = find_order(market, account, order_id, client_id)
    if order is None:
        raise Rejection(-2013, "Order does not exist.")
    if order_id is not None and client_id is not None and order.client_id != client_id:
        raise Rejection(-2039, "Client order ID is not correct for this order ID.")
    if _is_archived(order, now_ms):
        raise Rejection(-2026, _ARCHIVED)
    return order_query(order)


def _is_archived(order: Order, now_ms: int) -> bool:
    ended = order.status in _ARCHIVED_STATUSES and order.executed == 0
    return ended and now_ms - order.updated_ms > ARCHIVE_AFTER_MS


def open_orders(exchange: Exchange, account: Account, symbol: str | None) -> list[Json]:
    """The account's open orders, of one symbol or of all."""
    markets = [exchange.market(symbol)] if symbol else list(exchange.markets.values())
    account_id = account.spec.account_id
    return [order_query(order) for market in markets for order in market.open_orders(account_id)]


def all_orders(market: Market, account: Account, params: Params, now_ms: int) -> list[Json]:
    """The account's orders of a symbol, oldest first; archived ones are out of reach here too."""
    first = params.long("orderId")
    start, end = _span(params)
    limit = page_limit(params)
    params.finish()
    chosen = [
        order
        for order in market.orders.values()
        if order.account_id == account.spec.account_id
        and (first is None or order.order_id >= first)
        and _within(order.created_ms, start, end)
        and not _is_archived(order, now_ms)
    ]
    forwards = first is not None or start is not None
    page = chosen[:limit] if forwards else chosen[-limit:]
    return [order_query(order) for order in page]


def query_list(exchange: Exchange, account: Account, params: Params) -> Json:
    """One list by number or client id; -2013 when there is none."""
    params.need_one("origClientOrderId", "orderListId")
    list_id = params.long("orderListId")
    client_id = params.named("origClientOrderId")
    params.finish()
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
    limit = page_limit(params)
    params.finish()
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
    limit = page_limit(params)
    params.finish()
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


def prevented_matches(market: Market, account: Account, params: Params) -> list[Json]:
    """The account's prevented matches of a symbol: one by number, or those of an order."""
    params.need_one("preventedMatchId", "orderId")
    match_id = params.long("preventedMatchId")
    order_id = params.long("orderId")
    first = params.long("fromPreventedMatchId")
    sized = params.is_sent("limit")
    limit = page_limit(params)
    params.finish()
    if match_id is not None and (order_id is not None or first is not None or sized):
        raise Rejection(-1128, _BAD_COMBINATION)
    account_id = account.spec.account_id
    chosen = [
        match
        for match in market.prevented
        if account_id in (match.taker_account_id, match.maker_account_id)
        and match_id in (None, match.match_id)
        and order_id in (None, match.taker_order_id, match.maker_order_id)
        and (first is None or match.match_id >= first)
    ]
    page = chosen[-limit:] if first is None else chosen[:limit]
    return [prevented_match(match) for match in page]


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


def page_limit(params: Params) -> int:
    """How many rows to show: 500 unless asked otherwise, never more than 1000."""
    limit = params.long("limit")
    return DEFAULT_LIMIT if limit is None else max(1, min(limit, MAX_LIMIT))
