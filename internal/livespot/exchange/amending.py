"""Lowers the quantity of an open order in place, keeping its turn in the book."""

from dataclasses import dataclass
from decimal import Decimal

from msgspec.structs import replace

from livespot.exchange.cancelling import find_order
from livespot.exchange.filters import check_size, fail
from livespot.exchange.funds import settle_lock
from livespot.exchange.matching import end_order
from livespot.exchange.model import ZERO, Amendment, Json, Order, Rejection, SymbolSpec
from livespot.exchange.params import Params
from livespot.exchange.placing import check_account, check_client_ids, request_of
from livespot.exchange.queries import page_limit
from livespot.exchange.replies import amend_reply, amendment_row
from livespot.exchange.state import Account, Exchange, Market

REJECTED = -2038
MOST_AMENDS = 10
_OPEN_TO_AMENDS = frozenset({"TRADING", "CANCEL_ONLY"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AmendRequest:
    """Which order is to have which quantity, and its client id from then on."""

    order_id: int | None
    client_id: str | None
    new_client_id: str | None
    qty: Decimal


def read_amend(params: Params, spec: SymbolSpec) -> AmendRequest:
    """The parameters of the amend endpoint; raises Rejection for what does not fit."""
    params.need_one("origClientOrderId", "orderId")
    params.need("newQty")
    request = AmendRequest(
        order_id=params.long("orderId"),
        client_id=params.named("origClientOrderId"),
        new_client_id=params.client_id("newClientOrderId"),
        qty=params.decimal("newQty", spec.base_precision) or ZERO,
    )
    params.finish()
    return request


def amend(exchange: Exchange, market: Market, account: Account, request: AmendRequest) -> Json:
    """Give an order, or both legs of an OCO, a smaller quantity.

    An order that has already executed (or been prevented from executing) the new quantity
    expires: nothing of it is left to wait.

    Raises:
        Rejection: -2038 (or -1013 for the filters on size), and then nothing has changed.
    """
    check_account(market, account, REJECTED)
    if not market.spec.amend_allowed:
        raise Rejection(REJECTED, "Order amend is not supported for this symbol.")
    if market.spec.status not in _OPEN_TO_AMENDS:
        raise Rejection(REJECTED, "Market is closed.")
    order = find_order(market, account, request.order_id, request.client_id)
    if order is None or not order.is_open:
        raise Rejection(REJECTED, "Unknown order sent.")
    if request.client_id is not None and order.client_id != request.client_id:
        raise Rejection(REJECTED, "Unknown order sent.")
    changed = (order, *_twins(exchange, order))
    for one in changed:
        _check(exchange, market, one, request.qty)
    new_id = request.new_client_id or exchange.new_name()
    if new_id != order.client_id:
        _check_name(market, account, new_id)
    old_id = order.client_id
    _rename(market, order, new_id)
    execution_id = 0
    for one in changed:
        formerly = old_id if one is order else one.client_id
        _reduce(exchange, market, one, request.qty, formerly)
        if one is order:
            execution_id = market.last_execution_id
    _announce_list(exchange, order, renamed=new_id != old_id)
    _end_exhausted(exchange, changed)
    return amend_reply(exchange, order, old_id, execution_id)


def amendments(market: Market, account: Account, params: Params) -> list[Json]:
    """The amendments of one order, oldest first; the newest page unless told where to begin."""
    order_id = params.need_long("orderId")
    first = params.long("fromExecutionId")
    limit = page_limit(params)
    params.finish()
    order = find_order(market, account, order_id, None)
    if order is None:
        raise Rejection(-2013, "Order does not exist.")
    rows = [one for one in order.amendments if first is None or one.execution_id >= first]
    page = rows[-limit:] if first is None else rows[:limit]
    return [amendment_row(order, one) for one in page]


def _twins(exchange: Exchange, order: Order) -> list[Order]:
    """The other leg of the order's pair; a working order stands alone."""
    order_list = exchange.list_of(order)
    if order_list is None or order.order_id == order_list.working_id:
        return []
    return [
        one
        for one in exchange.members(order_list)
        if one.is_open and one.order_id not in (order.order_id, order_list.working_id)
    ]


def _check(exchange: Exchange, market: Market, order: Order, qty: Decimal) -> None:
    limit = market.spec.filters.max_num_order_amends
    if len(order.amendments) >= (MOST_AMENDS if limit is None else limit):
        raise Rejection(REJECTED, fail("MAX_NUM_ORDER_AMENDS").msg)
    if order.orig_qty is None or qty > order.orig_qty:
        raise Rejection(REJECTED, "Order amend (quantity increase) is not supported.")
    if qty == order.orig_qty:
        raise Rejection(REJECTED, "The requested action would change no state; rejecting")
    if order.iceberg_qty > qty:
        raise Rejection(REJECTED, "IcebergQty exceeds QTY.")
    request = request_of(order)
    check_size(exchange, market, replace(request, price=order.price or request.price), qty)


def _check_name(market: Market, account: Account, new_id: str) -> None:
    try:
        check_client_ids(market, account, [new_id])
    except Rejection as taken:
        raise Rejection(REJECTED, taken.msg) from taken


def _rename(market: Market, order: Order, new_id: str) -> None:
    key = (order.account_id, order.client_id)
    if market.by_client.get(key) == order.order_id:
        del market.by_client[key]
    order.client_id = new_id
    market.by_client[order.account_id, new_id] = order.order_id


def _reduce(exchange: Exchange, market: Market, order: Order, qty: Decimal, formerly: str) -> None:
    before = order.orig_qty or ZERO
    # Less than what is done already cannot be asked for: the order then ends with that.
    order.orig_qty = max(qty, order.executed + order.prevented)
    settle_lock(exchange, order)
    market.book.shrunk(order)
    exchange.report(order, "REPLACED", formerly=formerly)
    amendment = Amendment(
        execution_id=market.last_execution_id,
        old_client_id=formerly,
        new_client_id=order.client_id,
        old_qty=before,
        new_qty=order.orig_qty,
        time_ms=exchange.now_ms,
    )
    order.amendments += (amendment,)


def _announce_list(exchange: Exchange, order: Order, *, renamed: bool) -> None:
    order_list = exchange.list_of(order)
    if order_list is not None and renamed:
        order_list.status_type = "UPDATED"
        exchange.report_list(order_list)


def _end_exhausted(exchange: Exchange, changed: tuple[Order, ...]) -> None:
    for order in changed:
        if order.is_open and order.remaining == 0:
            end_order(exchange, order, "EXPIRED")
