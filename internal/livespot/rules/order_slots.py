"""Whether a symbol has room for an order, its list, or the protection it will need."""

from collections.abc import Iterable

from livespot.contracts.codes import ReasonCode
from livespot.contracts.market import Constraints
from livespot.contracts.orders import ListRequest, OrderRequest, OrderView
from livespot.contracts.vocabulary import Side
from livespot.rules.quantize import (
    PROTECTED_ENTRY_ORDERS,
    OrderRefused,
    is_algo,
    orders_fit,
)


def check_slots(
    request: OrderRequest | ListRequest,
    standing: Iterable[OrderView],
    constraints: Constraints,
    *,
    algo_legs: int = 1,
) -> OrderRefused | None:
    """Count the standing and the new orders; None when the exchange has room for them.

    A plain buy is counted with the two legs that will protect it. `algo_legs` of them wait for a
    trigger: the stop, and the take-profit too if it trails.
    """
    living = [order for order in standing if not order.status.is_terminal]
    orders, algo_orders = _needed(request, algo_legs)
    orders += len(living)
    algo_orders += sum(is_algo(order.type) for order in living)
    if orders_fit(constraints, orders=orders, algo_orders=algo_orders):
        return None
    crowded = orders_fit(constraints, orders=0, algo_orders=algo_orders)
    return OrderRefused(
        reason=ReasonCode.PROTECTION_INVALID_FILTER,
        filter_name="MAX_NUM_ORDERS" if crowded else "MAX_NUM_ALGO_ORDERS",
        detail=f"{orders} orders, {algo_orders} of them conditional, would stand on the symbol",
    )


def _needed(request: OrderRequest | ListRequest, algo_legs: int) -> tuple[int, int]:
    if isinstance(request, ListRequest):
        legs = (request.above, request.below)
        working = 1 if request.working is not None else 0
        return len(legs) + working, sum(is_algo(leg.type) for leg in legs)
    if request.side is Side.BUY:
        return PROTECTED_ENTRY_ORDERS, algo_legs
    return 1, int(is_algo(request.type))
