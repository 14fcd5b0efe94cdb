"""Every body and event about orders has the documented fields, in their order, with their types."""

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from livespot.exchange.event_json import user_event
from livespot.exchange.model import (
    AccountSpec,
    ExchangeFilters,
    OrderLimits,
    Rejection,
    UserEvent,
)
from livespot.testing.spot_desk import BASIC_FILTERS, STP_MODES, SpotDesk, symbol_row

# Field names and JSON types of the examples in the exchange's documentation as of 2026-07-17,
# of WebSocket API frames the result or error alone, of events without their envelope.
SHAPES: dict[str, Any] = json.loads((Path(__file__).parent / "payload_shapes.json").read_text())
PAIR = {"symbol": "BTCUSDT"}
LIMIT = "side=BUY type=LIMIT timeInForce=GTC quantity=1 price=90"
TAKING = "side=BUY type=LIMIT_MAKER quantity=1 price=101"
ALGO = "side=SELL type=STOP_LOSS_LIMIT timeInForce=GTC quantity=2 price=94 stopPrice=95 "
ALGO += "trailingDelta=10 icebergQty=1 strategyId=37463720 strategyType=1000000"
OCO = "side=SELL quantity=2 aboveType=LIMIT_MAKER abovePrice=110 belowType=STOP_LOSS_LIMIT "
OCO += "belowStopPrice=95 belowPrice=94 belowTimeInForce=GTC"
WORKING = "workingType=LIMIT workingTimeInForce=GTC workingSide=BUY workingPrice=99 "
WORKING += "workingQuantity=1"
PENDING = "pendingSide=SELL pendingType=MARKET"
LEGS = "pendingSide=SELL pendingAboveType=LIMIT_MAKER pendingAbovePrice=110 "
LEGS += "pendingBelowType=STOP_LOSS_LIMIT pendingBelowStopPrice=95 pendingBelowPrice=94 "
LEGS += "pendingBelowTimeInForce=GTC"
STOP = "cancelReplaceMode=STOP_ON_FAILURE"
ALLOW = "cancelReplaceMode=ALLOW_FAILURE"
Make = Callable[[SpotDesk], Any]


def typed(value: Any) -> Any:
    """A body as names, order and JSON types."""
    if isinstance(value, Mapping):
        return {key: typed(one) for key, one in value.items()}
    if isinstance(value, list):
        return [typed(one) for one in value]
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "flag"
    return "number" if isinstance(value, int) else "text"


def without(value: Any, names: frozenset[str]) -> Any:
    """The same shape with these fields left out wherever they appear."""
    if isinstance(value, dict):
        return {key: without(one, names) for key, one in value.items() if key not in names}
    if isinstance(value, list):
        return [without(one, names) for one in value]
    return value


def ordered(value: Any) -> Any:
    """A shape that is equal only to one with its fields in the same order."""
    if isinstance(value, dict):
        return [(key, ordered(one)) for key, one in value.items()]
    if isinstance(value, list):
        return [ordered(one) for one in value]
    return value


def told(desk: SpotDesk) -> list[dict[str, Any]]:
    """User stream payloads since the last drain."""
    return [
        user_event(one, desk.now_ms)
        for one in desk.engine.drain_events()
        if isinstance(one, UserEvent)
    ]


def after(*orders: str) -> Make:
    """The answer to the last of some orders."""
    return lambda desk: [desk.order(one) for one in orders][-1]


def listed(kind: Any, params: str) -> Make:
    """The answer to a list."""
    return lambda desk: desk.place_list(kind, params)


def replaced(params: str) -> Make:
    """The body of a cancel-replace of the first order."""

    def make(desk: SpotDesk) -> Any:
        desk.order(LIMIT)
        return desk.replace(params)[1]

    return make


def queried(*orders: str, order_id: int = 1) -> Make:
    """The query of one of some orders."""

    def make(desk: SpotDesk) -> Any:
        for one in orders:
            desk.order(one)
        return desk.query(order_id)

    return make


def filled(desk: SpotDesk, params: str) -> Any:
    """The answer to an order that takes five levels."""
    desk.book(asks="101x1 102x1 103x1 104x1 105x1")
    return desk.order(params)


def amended(desk: SpotDesk) -> Any:
    desk.order("side=SELL type=LIMIT timeInForce=GTC quantity=10 price=106")
    return desk.amend("orderId=1 newQty=5")


def amended_pending(desk: SpotDesk) -> Any:
    desk.place_list("oto", f"{WORKING} {PENDING} pendingQuantity=5")
    return desk.amend("orderId=2 newQty=4")


def amendments(desk: SpotDesk) -> Any:
    desk.place_list("oto", f"{WORKING} {PENDING} pendingQuantity=5")
    desk.amend("orderId=2 newQty=4")
    desk.amend("orderId=2 newQty=3")
    return desk.engine.amendments("alice", PAIR | {"orderId": "2"})


def cancelled_list(desk: SpotDesk) -> Any:
    desk.place_list("oco", OCO)
    return desk.engine.cancel_list("alice", PAIR | {"orderListId": "0"}, desk.now_ms)


def lists(count: int, ask: Callable[[SpotDesk], Any]) -> Make:
    """A question about some lists."""

    def make(desk: SpotDesk) -> Any:
        for _ in range(count):
            desk.place_list("oco", OCO)
        return ask(desk)

    return make


def all_cancelled(desk: SpotDesk) -> Any:
    desk.order(LIMIT)
    desk.order(LIMIT)
    take = "aboveIcebergQty=1 belowIcebergQty=1"
    desk.place_list("oco", f"{OCO} {take}")
    return desk.engine.cancel_open_orders("alice", PAIR, desk.now_ms)


def optional_and_list_cancelled(desk: SpotDesk) -> Any:
    desk.order(ALGO)
    desk.place_list("oco", OCO)
    return desk.engine.cancel_open_orders("alice", PAIR, desk.now_ms)


def at_the_limit(desk: SpotDesk) -> Any:
    full = SpotDesk(limits=OrderLimits(ten_seconds=1))
    full.order(LIMIT)
    with pytest.raises(Rejection) as caught:
        full.replace(f"{LIMIT} {STOP} cancelOrderId=1")
    return caught.value.body()


def only_cancelled(desk: SpotDesk) -> Any:
    full = SpotDesk(limits=OrderLimits(ten_seconds=1))
    full.order(LIMIT)
    mode = "orderRateLimitExceededMode=CANCEL_ONLY"
    return full.replace(f"{LIMIT} {STOP} {mode} cancelOrderId=1")[1]


def ran_dry(desk: SpotDesk) -> Any:
    desk.book(asks="101x2 102x2")
    return desk.order("side=BUY type=MARKET quantity=6")


def traded(desk: SpotDesk, count: int = 1) -> Any:
    filled(desk, f"side=BUY type=MARKET quantity={count}")
    return desk.engine.my_trades("alice", PAIR)


def own_book(desk: SpotDesk, *sells: str) -> SpotDesk:
    """A desk of a trade group whose only liquidity is its own."""
    alone = SpotDesk(
        symbol_row(allowedSelfTradePreventionModes=[*STP_MODES, "TRANSFER"]),
        accounts=(
            AccountSpec(
                account_id="alice",
                balances={"USDT": Decimal(10_000), "BTC": Decimal(20)},
                trade_group_id=1,
            ),
        ),
    )
    alone.now_ms = desk.now_ms
    for qty, price, *mode in (one.split("@") for one in sells):
        terms = f"side=BUY type=LIMIT timeInForce=GTC quantity={qty} price={price}"
        mode_text = f" selfTradePreventionMode={mode[0]}" if mode else ""
        alone.order(terms + mode_text)
    return alone


def preventing(mode: str, *makers: str, taker: str = "type=LIMIT timeInForce=GTC price=1") -> Make:
    """The answer to a sell of three that meets its own bids."""
    params = f"side=SELL quantity=5 {taker} selfTradePreventionMode={mode}"
    return lambda desk: own_book(desk, *makers).order(params)


def prevented_order(mode: str, maker: str, order_id: int) -> Make:
    """The query of an order whose match was prevented."""

    def make(desk: SpotDesk) -> Any:
        alone = own_book(desk, maker)
        sell = "side=SELL type=LIMIT timeInForce=GTC quantity=2 price=20"
        alone.order(f"{sell} selfTradePreventionMode={mode}")
        return alone.query(order_id)

    return make


def prevented_matches(mode: str) -> Make:
    """The one prevented match of a maker."""

    def make(desk: SpotDesk) -> Any:
        alone = own_book(desk, "6@20")
        sell = "side=SELL type=LIMIT timeInForce=GTC quantity=2 price=20"
        alone.order(f"{sell} selfTradePreventionMode={mode}")
        return alone.engine.prevented_matches("alice", PAIR | {"orderId": "1"})

    return make


def prevented_with_everything(desk: SpotDesk) -> Any:
    """A triggered trailing stop whose rest met an own bid."""
    alone = own_book(desk)
    alone.order("side=BUY type=LIMIT timeInForce=GTC quantity=2 price=100", "alice")
    alone.print_buy("100.5", "0.5")
    alone.order(f"{ALGO} selfTradePreventionMode=EXPIRE_TAKER stopPrice=100.2")
    alone.print_sell("100.2", "0.001")
    alone.print_sell("100.05", "0.001")
    return alone.query(2)


def my_filters(desk: SpotDesk) -> Any:
    row = ({"filterType": "MAX_NUM_ORDER_LISTS", "maxNumOrderLists": 20},)
    assets = {"USDT": Decimal(1_000_000)}
    filtered = SpotDesk(
        symbol_row(row), filters=ExchangeFilters(max_num_orders=1000, max_assets=assets)
    )
    return filtered.engine.filters(PAIR)


def commission_rates(desk: SpotDesk) -> Any:
    test = PAIR | {"side": "BUY", "type": "MARKET", "quantity": "1"}
    return desk.engine.test_order("alice", test | {"computeCommissionRates": "true"}, desk.now_ms)


def event(kind: str, act: Callable[[SpotDesk], object]) -> Make:
    """The first event of a kind that an action causes."""

    def make(desk: SpotDesk) -> Any:
        desk.engine.drain_events()
        act(desk)
        return next(one for one in told(desk) if one["e"] == kind)

    return make


def market_expiry(desk: SpotDesk) -> Any:
    desk.engine.drain_events()
    ran_dry(desk)
    return told(desk)


CASES: list[tuple[str, Make]] = [
    ("rest_order_ack", after(f"{LIMIT} newOrderRespType=ACK")),
    ("rest_order_result", after(f"{LIMIT} newOrderRespType=RESULT")),
    ("rest_order_full", lambda desk: filled(desk, "side=BUY type=MARKET quantity=5")),
    ("rest_order_cancel", lambda desk: (desk.order(LIMIT), desk.cancel("orderId=1"))[1]),
    ("rest_order_query", queried(LIMIT)),
    (
        "rest_openOrders",
        lambda desk: (desk.order(LIMIT), desk.engine.open_orders("alice", PAIR))[1],
    ),
    ("rest_allOrders", lambda desk: (desk.order(LIMIT), desk.engine.all_orders("alice", PAIR))[1]),
    ("rest_amend_keepPriority", amended),
    ("rest_amend_keepPriority_list", amended_pending),
    ("rest_order_amendments", amendments),
    (
        "rest_order_pegged",
        after("side=BUY type=LIMIT timeInForce=GTC quantity=1 pegPriceType=PRIMARY_PEG"),
    ),
    ("rest_myPreventedMatches", prevented_matches("EXPIRE_MAKER")),
    ("rest_myPreventedMatches_expireBoth", prevented_matches("EXPIRE_BOTH")),
    ("rest_myFilters", my_filters),
    ("rest_oco_new", listed("oco", f"{OCO} belowIcebergQty=1")),
    ("rest_oco_deprecated", listed("oco_legacy", "side=SELL quantity=2 price=110 stopPrice=95")),
    ("rest_oto", listed("oto", f"{WORKING} {PENDING} pendingQuantity=1")),
    ("rest_otoco", listed("otoco", f"{WORKING} {LEGS} pendingQuantity=1")),
    ("rest_opo", listed("opo", f"{WORKING} {PENDING}")),
    ("rest_opoco", listed("opoco", f"{WORKING} {LEGS}")),
    ("rest_orderList_cancel", cancelled_list),
    (
        "rest_orderList_query",
        lists(1, lambda desk: desk.engine.query_list("alice", {"orderListId": "0"})),
    ),
    ("rest_openOrderList", lists(1, lambda desk: desk.engine.open_lists("alice"))),
    ("rest_allOrderList", lists(2, lambda desk: desk.engine.all_lists("alice", {}))),
    ("rest_openOrders_cancelAll", all_cancelled),
    ("rest_cancelReplace_success", replaced(f"{LIMIT} {STOP} cancelOrderId=1")),
    ("rest_cancelReplace_stop_cancel_failed", replaced(f"{LIMIT} {STOP} cancelOrderId=9")),
    (
        "rest_cancelReplace_allow_cancel_failed",
        replaced(f"{LIMIT} {ALLOW} cancelOrderId=9 newOrderRespType=ACK"),
    ),
    ("rest_cancelReplace_new_failed", replaced(f"{TAKING} {STOP} cancelOrderId=1")),
    ("rest_cancelReplace_both_failed", replaced(f"{TAKING} {ALLOW} cancelOrderId=9")),
    ("rest_cancelReplace_ratelimit_cancel_only", only_cancelled),
    ("rest_cancelReplace_ratelimit_do_nothing", at_the_limit),
    ("rest_order_market_expired", ran_dry),
    ("rest_order_query_stp_decrement_maker", prevented_order("DECREMENT", "6@20", 1)),
    ("rest_order_query_stp_expiredMaker", prevented_order("EXPIRE_MAKER", "6@20", 1)),
    ("rest_order_query_stp_expiredTaker", prevented_order("EXPIRE_TAKER", "6@20", 2)),
    ("rest_order_stp_expireBoth_taker", preventing("EXPIRE_BOTH", "6@20")),
    ("rest_order_stp_expireMaker_taker", preventing("EXPIRE_MAKER", "1@22", "1@21", "1@20")),
    (
        "rest_order_stp_market_no_liquidity",
        preventing("EXPIRE_MAKER", "1@20", taker="type=MARKET newOrderRespType=FULL"),
    ),
    ("rest_order_stp_transfer_taker", preventing("TRANSFER", "6@20@TRANSFER")),
    (
        "rest_order_test",
        lambda desk: desk.engine.test_order(
            "alice", PAIR | {"side": "BUY", "type": "MARKET", "quantity": "1"}, desk.now_ms
        ),
    ),
    ("rest_order_test_commission", commission_rates),
    ("rest_account", lambda desk: desk.engine.account_info("alice", {})),
    ("rest_account_commission", lambda desk: desk.engine.commission("alice", PAIR)),
    ("rest_myTrades", traded),
    ("wsapi_order_amend_response", amended),
    ("wsapi_orderList_cancel_response", cancelled_list),
    ("wsapi_orderList_place_oco_response", listed("oco", OCO)),
    (
        "wsapi_order_cancelReplace_200",
        replaced(f"{LIMIT} {STOP} cancelOrderId=1 newOrderRespType=RESULT"),
    ),
    ("wsapi_order_cancelReplace_400_both", replaced(f"{TAKING} {ALLOW} cancelOrderId=9")),
    ("wsapi_order_cancelReplace_400_stop", replaced(f"{LIMIT} {STOP} cancelOrderId=9")),
    ("wsapi_order_cancelReplace_409_cancel_failed", replaced(f"{LIMIT} {ALLOW} cancelOrderId=9")),
    ("wsapi_order_cancelReplace_409_new_failed", replaced(f"{TAKING} {STOP} cancelOrderId=1")),
    ("wsapi_order_cancelReplace_429", at_the_limit),
    ("wsapi_order_cancelReplace_cancel_only", only_cancelled),
    (
        "wsapi_order_cancel_response",
        lambda desk: (desk.order(ALGO), desk.cancel("orderId=1"))[1],
    ),
    (
        "wsapi_order_cancel_list_response",
        lambda desk: (desk.place_list("oco", OCO), desk.cancel("orderId=1"))[1],
    ),
    ("wsapi_order_place_ack", after(f"{LIMIT} newOrderRespType=ACK")),
    ("wsapi_order_place_full", lambda desk: filled(desk, "side=BUY type=MARKET quantity=2")),
    ("wsapi_order_place_result", after(f"{LIMIT} newOrderRespType=RESULT")),
    ("wsapi_order_status_response", prevented_with_everything),
    ("wsapi_openOrders_cancelAll_response", optional_and_list_cancelled),
    (
        "wsapi_openOrders_status_response",
        lambda desk: (desk.order(LIMIT), desk.engine.open_orders("alice", PAIR))[1],
    ),
    ("wsapi_account_status_response", lambda desk: desk.engine.account_info("alice", {})),
    ("wsapi_myTrades_response", lambda desk: traded(desk, 2)),
    ("ws_executionReport", event("executionReport", after(LIMIT))),
    ("ws_listStatus", event("listStatus", listed("oco", OCO))),
    (
        "ws_balanceUpdate",
        event(
            "balanceUpdate",
            lambda desk: desk.engine.adjust_balance("alice", "BTC", Decimal(1), desk.now_ms),
        ),
    ),
    ("ws_outboundAccountPosition", event("outboundAccountPosition", after(LIMIT))),
    ("ws_sequence_market_expired", market_expiry),
]

# Fields in which an example stands alone against the rest of the documentation: it is older
# than the field, or shows it where the field's own description says it does not apply.
ODD: dict[str, set[str]] = {
    "rest_order_market_expired": {"origQuoteOrderQty", "expiryReason"},
    "rest_order_stp_market_no_liquidity": {"origQuoteOrderQty", "expiryReason", "makerSymbol"},
    "rest_order_stp_expireBoth_taker": {"origQuoteOrderQty", "makerSymbol"},
    "rest_order_stp_expireMaker_taker": {"origQuoteOrderQty", "makerSymbol"},
    "rest_myPreventedMatches_expireBoth": {"makerSymbol"},
    "ws_executionReport": {"v"},
    "ws_sequence_market_expired": {"eR"},
    "wsapi_orderList_cancel_response": {"origClientOrderId"},
    "wsapi_order_place_full": {"selfTradePreventionMode"},
    "wsapi_order_cancelReplace_200": {"workingTime"},
    "wsapi_order_cancel_response": {"trailingTime"},
}
# Examples that order their fields differently from all their kin, and user stream events,
# whose fields the documentation prints in no fixed order.
UNORDERED = {
    "rest_order_full",
    "wsapi_order_place_full",
    "rest_openOrders",
    "rest_allOrders",
    "wsapi_openOrders_status_response",
    "wsapi_account_status_response",
    "ws_executionReport",
    "ws_sequence_market_expired",
}
# Rows of these arrays are all alike; how many there are says nothing.
ROWS = {"rest_account", "wsapi_account_status_response", "ws_outboundAccountPosition"}


def single(value: Any) -> Any:
    """A shape whose arrays hold each distinct row once."""
    if isinstance(value, dict):
        return {key: single(one) for key, one in value.items()}
    if isinstance(value, list):
        rows: list[Any] = []
        for row in map(single, value):
            if row not in rows:
                rows.append(row)
        return rows
    return value


def test_every_documented_shape_is_compared() -> None:
    assert [name for name, _ in CASES] == list(SHAPES)


@pytest.mark.parametrize(("name", "make"), CASES, ids=[name for name, _ in CASES])
def test_body_has_the_documented_fields(name: str, make: Make) -> None:
    desk = SpotDesk(symbol_row(BASIC_FILTERS))
    desk.book()
    desk.print_buy("100.5", "0.5")
    odd = frozenset(ODD.get(name, ()))
    ours = without(typed(json.loads(json.dumps(make(desk)))), odd)
    documented = without(SHAPES[name], odd)
    if name in ROWS:
        ours, documented = single(ours), single(documented)
    assert ours == documented
    if name not in UNORDERED:
        assert ordered(ours) == ordered(documented)
