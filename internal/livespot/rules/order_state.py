"""How the known state of an order grows: evidence only ever adds, in whatever order it arrives."""

from decimal import Decimal

import msgspec

from livespot.contracts.orders import OrderView
from livespot.contracts.vocabulary import OrderStatus

_RANK = {
    OrderStatus.UNKNOWN: 0,
    OrderStatus.PENDING_NEW: 1,
    OrderStatus.NEW: 2,
    OrderStatus.PARTIALLY_FILLED: 3,
}
_TERMINAL_RANK = 4


def merge(known: OrderView | None, seen: OrderView) -> OrderView | None:
    """The newer state of one order, or None when `seen` adds nothing.

    Executed quantity never falls, a terminal order is never reopened and keeps its first terminal
    status, and an unknown status never replaces a known one.
    """
    if known is None:
        return seen
    forward = _rank(seen) > _rank(known) and not known.status.is_terminal
    executed = max(known.executed_qty, seen.executed_qty)
    same_rank_news = _rank(seen) == _rank(known) and seen.is_working and not known.is_working
    if not forward and executed == known.executed_qty and not same_rank_news:
        return None
    base = seen if forward or same_rank_news else known
    return msgspec.structs.replace(
        base,
        executed_qty=executed,
        cumulative_quote=max(known.cumulative_quote, seen.cumulative_quote),
        client_order_id=known.client_order_id if not forward else seen.client_order_id,
        orig_client_order_id=_original_id(known, seen),
        order_list_id=max(known.order_list_id, seen.order_list_id),
        exchange_time_ms=max(known.exchange_time_ms, seen.exchange_time_ms),
        expiry_reason=seen.expiry_reason or known.expiry_reason,
    )


def cancelled_by(order: OrderView) -> str:
    """The client id of the cancel that ended the order; empty when it is not known."""
    if order.status is not OrderStatus.CANCELED:
        return ""
    return order.client_order_id if order.orig_client_order_id else ""


def missing_qty(order: OrderView, booked: Decimal) -> Decimal:
    """Executed quantity for which no fill is booked yet; zero when the books are complete."""
    return max(Decimal(0), order.executed_qty - booked)


def _rank(order: OrderView) -> int:
    return _TERMINAL_RANK if order.status.is_terminal else _RANK[order.status]


def _original_id(known: OrderView, seen: OrderView) -> str:
    # A cancel overwrites the order's client id; the first one we knew stays its own id.
    if seen.orig_client_order_id:
        return seen.orig_client_order_id
    if seen.client_order_id != known.own_id:
        return known.own_id
    return known.orig_client_order_id
