"""Order lists: placing them, arming their legs, and ending what belongs together."""

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

from livespot.exchange.filters import check_counts, check_position
from livespot.exchange.funds import floor_to, settle_lock
from livespot.exchange.list_params import ListPlan
from livespot.exchange.matching import end_order, enter
from livespot.exchange.model import ZERO, Lock, Order, OrderList, Rejection
from livespot.exchange.params import OrderRequest
from livespot.exchange.pegging import prepared
from livespot.exchange.placing import (
    BAD_PRICES,
    DUPLICATE,
    activate,
    check_account,
    check_client_ids,
    check_crossing,
    check_filters,
    check_supported,
    create,
    funded_lock,
    lock_price,
    report_refused,
    request_of,
)
from livespot.exchange.state import Account, Exchange, Market


def check_list(exchange: Exchange, market: Market, account: Account, plan: ListPlan) -> None:
    """Support and filters of every order; the count filters take the whole list at once."""
    check_account(market, account)
    for request in plan.requests:
        check_supported(market, request)
        waits = plan.working is not None and request is not plan.working
        check_filters(exchange, market, request, waits=waits)
        check_position(market, account, request)
    check_counts(market, account, plan.requests, lists=1)


def place_list(exchange: Exchange, market: Market, account: Account, plan: ListPlan) -> OrderList:
    """Register a list; nothing of it is on the book before `start_list`.

    Raises:
        Rejection: and then nothing has changed.
    """
    check_client_ids(market, account, [request.client_id for request in plan.requests])
    _check_list_id(exchange, account, plan.client_id)
    plan = _prepared(market, plan)
    _check_prices(market, plan)
    if plan.working is None:
        lock = funded_lock(market, account, list(plan.legs))
        bought = None
    else:
        check_crossing(market, plan.working)
        lock = funded_lock(market, account, [plan.working])
        bought = Lock(market.spec.base) if plan.pays else None
    order_list = _numbered(exchange, market, account, plan)
    order_list.bought = bought
    exchange.lists[order_list.list_id] = order_list
    _create_members(exchange, market, account, (order_list, plan, lock))
    return order_list


def report_refused_list(
    exchange: Exchange, market: Market, account: Account, plan: ListPlan, reason: str
) -> None:
    """Announce a list the engine refused, and each of its orders."""
    order_list = _numbered(exchange, market, account, plan)
    members = [
        report_refused(exchange, market, account, request, reason, order_list.list_id)
        for request in plan.requests
    ]
    order_list.status_type, order_list.order_status = "RESPONSE", "REJECT"
    exchange.announce_list(order_list, members, reason)


def start_list(exchange: Exchange, market: Market, order_list: OrderList) -> None:
    """Announce a new list and send what is live to the book."""
    members = exchange.members(order_list)
    for order in members:
        exchange.report(order, "NEW")
    exchange.report_list(order_list)
    for order in members:
        if order.status == "NEW" and not order.conditional:
            enter(exchange, market, order)


def after_change(exchange: Exchange, market: Market, order: Order) -> None:
    """Carry a fill or an end of one member over to its list."""
    order_list = exchange.list_of(order)
    if order_list is None or order_list.order_status == "ALL_DONE":
        return
    if order.order_id == order_list.working_id:
        _after_working(exchange, market, order_list, order)
    elif order_list.armed or order_list.working_id is None:
        _after_leg(exchange, order)
    elif not order.is_open:
        _end_unarmed(exchange, order_list, order.expiry_reason)
    finish_list(exchange, order_list)


def expire_siblings(exchange: Exchange, order: Order, reason: str) -> None:
    """Expire the other open legs beside an order."""
    order_list = exchange.list_of(order)
    if order_list is None:
        return
    for sibling in exchange.members(order_list):
        is_leg = sibling.order_id not in (order.order_id, order_list.working_id)
        if is_leg and sibling.is_open:
            end_order(exchange, sibling, "EXPIRED", reason)


def finish_list(exchange: Exchange, order_list: OrderList) -> None:
    """Close the list once none of its orders is open."""
    if order_list.order_status == "ALL_DONE":
        return
    if any(member.is_open for member in exchange.members(order_list)):
        return
    order_list.status_type = order_list.order_status = "ALL_DONE"
    release_bought(exchange, order_list)
    exchange.report_list(order_list)


def release_bought(exchange: Exchange, order_list: OrderList) -> None:
    """Free what a paying list still holds once no leg will use it."""
    if order_list.bought is None or order_list.bought.amount == 0:
        return
    order_list.armed = True
    settle_lock(exchange, exchange.members(order_list)[-1])


def _numbered(exchange: Exchange, market: Market, account: Account, plan: ListPlan) -> OrderList:
    exchange.last_list_id += 1
    return OrderList(
        account_id=account.spec.account_id,
        symbol=market.spec.symbol,
        list_id=exchange.last_list_id,
        contingency=plan.contingency,
        client_id=plan.client_id or exchange.new_name(),
        order_ids=(),
        transaction_ms=exchange.now_ms,
        pays=plan.pays,
    )


def _prepared(market: Market, plan: ListPlan) -> ListPlan:
    """Pegged orders that go to the book now get their price, those that wait lose theirs."""
    waits = plan.working is not None
    return replace(
        plan,
        working=prepared(market, plan.working) if plan.working else None,
        legs=tuple(prepared(market, leg, waits=waits) for leg in plan.legs),
    )


def _create_members(
    exchange: Exchange, market: Market, account: Account, parts: tuple[OrderList, ListPlan, Lock]
) -> None:
    order_list, plan, lock = parts
    number = order_list.list_id
    live = []
    pending = []
    if plan.working is not None:
        live.append(create(exchange, market, account, plan.working, lock, number))
        order_list.working_id = live[0].order_id
        for request in plan.legs:
            leg_lock = _leg_lock(market, order_list, request)
            pending.append(create(exchange, market, account, request, leg_lock, number))
    else:
        live = [create(exchange, market, account, leg, lock, number) for leg in plan.legs]
    order_list.order_ids = tuple(order.order_id for order in (*live, *pending))
    for order in live:
        activate(exchange, market, order)


def _leg_lock(market: Market, order_list: OrderList, request: OrderRequest) -> Lock:
    if order_list.bought is not None:
        return order_list.bought
    return Lock(market.spec.base if request.side == "SELL" else market.spec.quote)


def _check_list_id(exchange: Exchange, account: Account, client_id: str | None) -> None:
    for order_list in exchange.lists.values():
        taken = (
            order_list.client_id == client_id
            and order_list.account_id == account.spec.account_id
            and order_list.order_status == "EXECUTING"
        )
        if taken:
            raise Rejection(-2010, DUPLICATE)


def _check_prices(market: Market, plan: ListPlan) -> None:
    if len(plan.legs) == 1:
        return
    stop, take = plan.legs
    stop_at, take_at = stop.stop_price, take.stop_price or (take.price if take.is_limit else None)
    last = market.last_price if plan.working is None else None
    sign = 1 if stop.side == "SELL" else -1
    rising = [price * sign for price in (stop_at, last, take_at) if price is not None and price > 0]
    if any(low >= high for low, high in pairwise(rising)):
        raise Rejection(-2010, BAD_PRICES)
    if plan.working is None:
        check_crossing(market, take)


def _after_working(
    exchange: Exchange, market: Market, order_list: OrderList, working: Order
) -> None:
    if working.status == "FILLED" and not order_list.armed:
        _arm(exchange, market, order_list)
    elif not working.is_open and not order_list.armed:
        reason = working.expiry_reason
        if reason != "EXCHANGE_CANCELED":
            reason = "OTO_PHASE_ONE_EXPIRED"
        expire_siblings(exchange, working, reason)


def _end_unarmed(exchange: Exchange, order_list: OrderList, reason: str) -> None:
    for member in exchange.members(order_list):
        if member.is_open:
            end_order(exchange, member, "EXPIRED", reason)


def _after_leg(exchange: Exchange, leg: Order) -> None:
    if leg.executed > 0 or leg.transferred > 0:
        expire_siblings(exchange, leg, "OCO_TRIGGER")
    elif not leg.is_open and leg.expiry_reason != "OCO_TRIGGER":
        expire_siblings(exchange, leg, leg.expiry_reason)


def _arm(exchange: Exchange, market: Market, order_list: OrderList) -> None:
    order_list.armed = True
    account = exchange.accounts[order_list.account_id]
    legs = [leg for leg in exchange.members(order_list) if leg.status == "PENDING_NEW"]
    if order_list.bought is not None:
        qty = _within_lots(market, order_list.bought.amount, legs)
        for leg in legs:
            leg.orig_qty = qty
    try:
        requests = [_armed(exchange, market, leg) for leg in legs]
        if order_list.bought is None:
            lock = funded_lock(market, account, requests)
            for leg in legs:
                leg.lock = lock
    except Rejection:
        # The exchange does not answer anybody here: the refusal is the legs' own end.
        for leg in legs:
            end_order(exchange, leg, "EXPIRED", "REJECTED")
        return
    _start_legs(exchange, market, legs)


def _within_lots(market: Market, amount: Decimal, legs: list[Order]) -> Decimal:
    """The largest quantity up to `amount` that the lot filters of every leg allow."""
    filters = market.spec.filters
    market_lot = filters.market_lot if any(leg.type == "MARKET" for leg in legs) else None
    rules = [rule for rule in (filters.lot, market_lot) if rule is not None]
    step = max((rule.step for rule in rules), default=ZERO)
    return floor_to(min([amount, *(rule.high for rule in rules if rule.high > 0)]), step)


def _start_legs(exchange: Exchange, market: Market, legs: list[Order]) -> None:
    for leg in legs:
        activate(exchange, market, leg)
        exchange.report(leg, "NEW")
    for leg in legs:
        settle_lock(exchange, leg)
        if leg.is_open and not leg.conditional:
            enter(exchange, market, leg)


def _armed(exchange: Exchange, market: Market, leg: Order) -> OrderRequest:
    """What a leg asks for now that its turn has come; its price and cost are brought up to date.

    Raises:
        Rejection: the symbol, the filters or the book refuse it.
    """
    stated = request_of(leg)
    check_supported(market, stated)
    check_filters(exchange, market, stated)
    request = prepared(market, stated)
    check_crossing(market, request)
    leg.price = request.price
    leg.lock_price = lock_price(market, request)
    return request
