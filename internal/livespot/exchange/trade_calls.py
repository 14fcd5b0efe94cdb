"""Requests about orders, lists and the account."""

from collections.abc import Callable
from typing import Any

from livespot.exchange.calls import Call
from livespot.exchange.model import Json, ListKind
from livespot.exchange.params import Params
from livespot.exchange.signing import denied

AMEND_WEIGHT = 4
ALLOCATION_PARAMS = frozenset(
    {"symbol", "startTime", "endTime", "fromAllocationId", "limit", "orderId"}
)


def place(call: Call) -> Json:
    return call.core.engine.place_order(call.account, call.params, call.now_ms)


def test(call: Call) -> Json:
    return call.core.engine.test_order(call.account, call.params, call.now_ms)


def query(call: Call) -> Json:
    return call.core.engine.query_order(call.account, call.params)


def cancel(call: Call) -> Json:
    return call.core.engine.cancel_order(call.account, call.params, call.now_ms)


def cancel_replace(call: Call) -> tuple[int, Json]:
    return call.core.engine.cancel_replace(call.account, call.params, call.now_ms)


def open_orders(call: Call) -> list[Json]:
    return call.core.engine.open_orders(call.account, call.params)


def cancel_open_orders(call: Call) -> list[Json]:
    return call.core.engine.cancel_open_orders(call.account, call.params, call.now_ms)


def all_orders(call: Call) -> list[Json]:
    return call.core.engine.all_orders(call.account, call.params)


def place_list(kind: ListKind) -> Callable[[Call], Json]:
    """The placing call of one kind of list."""

    def call_it(call: Call) -> Json:
        return call.core.engine.place_list(call.account, kind, call.params, call.now_ms)

    return call_it


def cancel_list(call: Call) -> Json:
    return call.core.engine.cancel_list(call.account, call.params, call.now_ms)


def query_list(call: Call) -> Json:
    """Over the WebSocket API a client id makes the list's number count for nothing."""
    params = dict(call.params)
    if call.over_websocket and params.get("origClientOrderId"):
        params.pop("orderListId", None)
    return call.core.engine.query_list(call.account, params)


def amend(call: Call) -> Json:
    """Unlike other changes of orders this costs when it works, unless it ended the order."""
    body = call.core.engine.amend_order(call.account, call.params, call.now_ms)
    if body["amendedOrder"]["status"] != "EXPIRED":
        call.meter.charge(AMEND_WEIGHT, call.now_ms)
    return body


def amendments(call: Call) -> list[Json]:
    return call.core.engine.amendments(call.account, call.params)


def prevented_matches(call: Call) -> list[Json]:
    return call.core.engine.prevented_matches(call.account, call.params)


def allocations(call: Call) -> list[Json]:
    """Fills by smart order routing; no symbol here is routed, so there are none."""
    call.symbol()
    return []


def filters(call: Call) -> Json:
    return call.core.engine.filters(call.params)


def open_lists(call: Call) -> list[Json]:
    return call.core.engine.open_lists(call.account, call.params)


def all_lists(call: Call) -> list[Json]:
    return call.core.engine.all_lists(call.account, call.params)


def account(call: Call) -> Json:
    return call.core.engine.account_info(call.account, call.params)


def commission(call: Call) -> Json:
    return call.core.engine.commission(call.account, call.params)


def my_trades(call: Call) -> list[Json]:
    return call.core.engine.my_trades(call.account, call.params)


def order_limits(call: Call) -> list[Json]:
    """The ORDERS limiters with their counts."""
    Params(call.params).finish()
    limits = call.core.settings.order_limits
    ten, day = call.core.engine.order_counts(call.account, call.now_ms)
    return [
        order_limiter("SECOND", 10, limits.ten_seconds, ten),
        order_limiter("DAY", 1, limits.day, day),
    ]


def order_limiter(interval: str, number: int, limit: int, count: int) -> Json:
    return {
        "rateLimitType": "ORDERS",
        "interval": interval,
        "intervalNum": number,
        "limit": limit,
        "count": count,
    }


def key_rights(call: Call) -> Json:
    """What the calling key may do. Withdrawing is never among it."""
    keys = [key for key in call.core.keys.values() if key.account_id == call.account]
    if not keys:
        raise denied()
    return {
        "ipRestrict": True,
        "createTime": min(tape.live_from_ms for tape in call.core.tapes.values()),
        "enableReading": True,
        "enableWithdrawals": False,
        "enableInternalTransfer": False,
        "enableMargin": False,
        "enableFutures": False,
        "permitsUniversalTransfer": False,
        "enableVanillaOptions": False,
        "enableFixApiTrade": False,
        "enableFixReadOnly": False,
        "enablePortfolioMarginTrading": False,
        "enableSpotAndMarginTrading": any(key.can_trade for key in keys),
    }


def weight_by_symbol(with_symbol: int, without: int) -> Callable[[Any], int]:
    """Calls that cost more when they span all symbols."""
    return lambda params: with_symbol if "symbol" in params else without
