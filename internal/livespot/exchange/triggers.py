"""Watches trades for stop, take-profit and trailing orders and sets them off."""

from decimal import Decimal

from livespot.exchange.funds import needed, set_lock
from livespot.exchange.lists import expire_siblings
from livespot.exchange.matching import end_order, enter
from livespot.exchange.model import ZERO, Order, Rejection
from livespot.exchange.pegging import pegged_price
from livespot.exchange.placing import check_filters, request_of, trigger_reached
from livespot.exchange.state import Exchange, Market

_BASIS_POINTS = Decimal(10_000)


def on_price(exchange: Exchange, market: Market, sequence: int, price: Decimal) -> None:
    """Check every waiting order of a market against one trade that came after it."""
    for order in list(market.waiting.values()):
        waiting = order.conditional and order.status == "NEW" and order.sequence < sequence
        if waiting and _fires(exchange, order, price):
            _fire(exchange, market, order)


def trailing_trigger(order: Order) -> Decimal | None:
    """The price a trailing order fires at now; None while it does not track yet."""
    if order.trailing_extreme is None or order.trailing_delta is None:
        return None
    share = order.trailing_delta / _BASIS_POINTS
    if order.side == "SELL":
        return order.trailing_extreme * (1 - share)
    return order.trailing_extreme * (1 + share)


def _fires(exchange: Exchange, order: Order, price: Decimal) -> bool:
    if order.trailing_delta is None:
        stop = order.stop_price
        return stop is not None and trigger_reached(order.type, order.side, stop, price)
    if order.trailing_extreme is None:
        stop = order.stop_price
        if stop is None or trigger_reached(order.type, order.side, stop, price):
            order.trailing_extreme = price
            order.trailing_ms = exchange.now_ms
        return False
    _track(order, price)
    trigger = trailing_trigger(order)
    if trigger is None:
        return False
    return price <= trigger if order.side == "SELL" else price >= trigger


def _track(order: Order, price: Decimal) -> None:
    extreme = order.trailing_extreme
    if extreme is None:
        return
    order.trailing_extreme = max(extreme, price) if order.side == "SELL" else min(extreme, price)


def _fire(exchange: Exchange, market: Market, order: Order) -> None:
    # The other leg goes first, so that the funds both share are free for this one.
    expire_siblings(exchange, order, "OCO_TRIGGER")
    if not _peg(exchange, market, order):
        return
    order.conditional = False
    market.waiting.pop(order.order_id, None)
    order.working_ms = exchange.now_ms
    exchange.report(order, "NEW")
    enter(exchange, market, order)


def _peg(exchange: Exchange, market: Market, order: Order) -> bool:
    """Price a pegged order that has been triggered; False when that ended it.

    Nobody waits for an answer here: the refusal is the order's own end.
    """
    if order.peg is None:
        return True
    try:
        check_filters(exchange, market, request_of(order))
        order.price = order.lock_price = pegged_price(market, order.side, order.peg)
        set_lock(exchange.accounts[order.account_id], order.lock, needed(order))
    except Rejection:
        order.price = ZERO
        end_order(exchange, order, "EXPIRED", "REJECTED")
        return False
    return True
