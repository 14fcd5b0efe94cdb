"""Replies and events have the keys and JSON types of the exchange's own examples."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from livespot.exchange.event_json import user_event
from livespot.exchange.model import OrderLimits, Rejection, UserEvent
from livespot.testing.spot_desk import SpotDesk

SAMPLES = Path(__file__).parent / "payloads"
CONDITIONAL = frozenset(
    {"stopPrice", "trailingDelta", "trailingTime", "icebergQty", "strategyId", "strategyType"}
    | {"expiryReason", "eR"}
)
OCO = "side=SELL quantity=2 aboveType=LIMIT_MAKER abovePrice=110 belowType=STOP_LOSS_LIMIT "
OCO += "belowStopPrice=95 belowPrice=94 belowTimeInForce=GTC belowIcebergQty=1"
BUY = "side=BUY type=LIMIT timeInForce=GTC quantity=1 price=90"
MAKER = "side=BUY type=LIMIT_MAKER quantity=1 price=101"
WORKING = "workingType=LIMIT workingTimeInForce=GTC workingSide=BUY workingPrice=99 "
WORKING += "workingQuantity=1"
PENDING = "pendingSide=SELL pendingType=MARKET"
LEGS = "pendingSide=SELL pendingAboveType=LIMIT_MAKER pendingAbovePrice=110 "
LEGS += "pendingBelowType=STOP_LOSS_LIMIT pendingBelowStopPrice=95 pendingBelowPrice=94 "
LEGS += "pendingBelowTimeInForce=GTC"


def sample(name: str) -> Any:
    """A documented example."""
    return json.loads((SAMPLES / f"{name}.json").read_text())


def shape(value: Any) -> Any:
    """Key set and JSON types, conditional fields left out; arrays by their members in turn."""
    if isinstance(value, Mapping):
        return {key: shape(one) for key, one in sorted(value.items()) if key not in CONDITIONAL}
    if isinstance(value, list):
        return [shape(one) for one in value]
    return type(value).__name__


def same_shape(ours: Any, name: str) -> None:
    """Assert that our JSON, after a round trip, looks like a documented example."""
    assert shape(json.loads(json.dumps(ours))) == shape(sample(name))


@pytest.fixture
def desk() -> SpotDesk:
    desk = SpotDesk()
    desk.book(asks="101x1 102x1 103x1 104x1 105x1")
    desk.print_buy("100.5", "0.5")
    desk.engine.drain_events()
    return desk


def test_placement_replies(desk: SpotDesk) -> None:
    market = "side=BUY type=MARKET quantity=5"
    same_shape(desk.order(market), "rest_order_full")
    same_shape(desk.order(f"{BUY} newOrderRespType=RESULT"), "rest_order_result")
    same_shape(desk.order(f"{BUY} newOrderRespType=ACK"), "rest_order_ack")


def test_query_and_cancel_replies(desk: SpotDesk) -> None:
    desk.order(BUY)
    body = desk.query(1)
    same_shape(body, "rest_order_query")
    assert {"stopPrice", "icebergQty"} <= set(body)
    same_shape(desk.cancel("orderId=1"), "rest_order_cancel")


def test_list_replies(desk: SpotDesk) -> None:
    same_shape(desk.place_list("oco", OCO), "rest_oco_new")
    legacy = "side=SELL quantity=2 price=110 stopPrice=95"
    same_shape(desk.place_list("oco_legacy", legacy), "rest_oco_deprecated")
    same_shape(desk.place_list("oto", f"{WORKING} {PENDING} pendingQuantity=1"), "rest_oto")
    same_shape(desk.place_list("otoco", f"{WORKING} {LEGS} pendingQuantity=1"), "rest_otoco")
    same_shape(desk.place_list("opo", f"{WORKING} {PENDING}"), "rest_opo")
    same_shape(desk.place_list("opoco", f"{WORKING} {LEGS}"), "rest_opoco")
    same_shape(desk.engine.query_list("alice", {"orderListId": "0"}), "rest_orderList_query")
    one = {"symbol": "BTCUSDT", "orderListId": "0"}
    same_shape(desk.engine.cancel_list("alice", one, desk.now_ms), "rest_orderList_cancel")


def test_cancel_all_reply(desk: SpotDesk) -> None:
    desk.order(BUY)
    desk.order(BUY)
    desk.place_list("oco", OCO)
    reply = desk.engine.cancel_open_orders("alice", {"symbol": "BTCUSDT"}, desk.now_ms)
    same_shape(reply, "rest_openOrders_cancelAll")


def test_cancel_replace_replies(desk: SpotDesk) -> None:
    stop, allow = "cancelReplaceMode=STOP_ON_FAILURE", "cancelReplaceMode=ALLOW_FAILURE"
    desk.order(BUY)
    same_shape(desk.replace(f"{BUY} {stop} cancelOrderId=1")[1], "rest_cancelReplace_success")
    failed = desk.replace(f"{BUY} {stop} cancelOrderId=1")[1]
    same_shape(failed, "rest_cancelReplace_stop_cancel_failed")
    allowed = desk.replace(f"{BUY} {allow} newOrderRespType=ACK cancelOrderId=1")[1]
    same_shape(allowed, "rest_cancelReplace_allow_cancel_failed")
    both = desk.replace(f"{MAKER} {allow} cancelOrderId=1")[1]
    assert both == sample("rest_cancelReplace_both_failed")
    refused = desk.replace(f"{MAKER} {stop} cancelOrderId=2")[1]
    same_shape(refused, "rest_cancelReplace_new_failed")


def test_cancel_replace_replies_at_the_order_limit() -> None:
    desk = SpotDesk(limits=OrderLimits(ten_seconds=1))
    desk.order(BUY)
    params = f"{BUY} cancelReplaceMode=STOP_ON_FAILURE cancelOrderId=1"
    with pytest.raises(Rejection) as caught:
        desk.replace(params)
    assert caught.value.body() == sample("rest_cancelReplace_ratelimit_do_nothing")
    only_cancelled = desk.replace(f"{params} orderRateLimitExceededMode=CANCEL_ONLY")[1]
    same_shape(only_cancelled, "rest_cancelReplace_ratelimit_cancel_only")


def test_account_replies(desk: SpotDesk) -> None:
    desk.order("side=BUY type=MARKET quantity=1")
    same_shape(desk.engine.account_info("alice", {}), "rest_account")
    pair = {"symbol": "BTCUSDT"}
    same_shape(desk.engine.commission("alice", pair), "rest_account_commission")
    same_shape(desk.engine.my_trades("alice", pair), "rest_myTrades")
    test = pair | {"side": "BUY", "type": "MARKET", "quantity": "1"}
    rates = desk.engine.test_order("alice", test | {"computeCommissionRates": "true"}, desk.now_ms)
    same_shape(rates, "rest_order_test_commission")


def pushed(desk: SpotDesk) -> list[dict[str, Any]]:
    """User stream payloads since the last drain."""
    return [
        user_event(one, desk.now_ms)
        for one in desk.engine.drain_events()
        if isinstance(one, UserEvent)
    ]


def test_user_stream_events(desk: SpotDesk) -> None:
    desk.order(BUY)
    report, position = pushed(desk)
    expected = sample("ws_executionReport")
    del expected["v"]
    assert shape(report) == shape(expected)
    same_shape(position, "ws_outboundAccountPosition")
    desk.place_list("oco", OCO)
    status = next(one for one in pushed(desk) if one["e"] == "listStatus")
    same_shape(status, "ws_listStatus")


def test_expired_market_order_sequence(desk: SpotDesk) -> None:
    desk.book(asks="101x2 102x2")
    desk.order("side=BUY type=MARKET quantity=6")
    ours, documented = pushed(desk), sample("ws_sequence_market_expired")
    assert [shape(one) for one in ours] == [shape(one) for one in documented]
    telling = ("e", "w", "x", "X", "q", "l", "z", "C", "r", "M", "m", "g")
    told = [{key: one.get(key) for key in telling} for one in ours]
    assert told == [{key: one.get(key) for key in telling} for one in documented]


def test_cancelled_order_event_names_cancel_and_original(desk: SpotDesk) -> None:
    desk.order(f"{BUY} newClientOrderId=entry")
    desk.cancel("orderId=1 newClientOrderId=bye")
    report = next(one for one in pushed(desk) if one.get("x") == "CANCELED")
    assert (report["c"], report["C"]) == ("bye", "entry")


def test_conditional_fields_appear_only_where_they_apply(desk: SpotDesk) -> None:
    desk.order("side=SELL type=STOP_LOSS quantity=1 trailingDelta=100 strategyId=7")
    report = pushed(desk)[0]
    assert (report["d"], report["j"], report["P"]) == (100, 7, "0.00000000")
    assert "W" not in report
    assert "eR" not in report
    assert desk.query(1)["trailingDelta"] == 100


def test_prevention_and_deposit_events_carry_their_fields() -> None:
    desk = SpotDesk()
    desk.order("side=SELL type=LIMIT timeInForce=GTC quantity=3 price=100")
    desk.order(f"{BUY} price=100 selfTradePreventionMode=EXPIRE_TAKER")
    report = next(one for one in pushed(desk) if one.get("x") == "TRADE_PREVENTION")
    told = {key: report[key] for key in ("v", "A", "B", "U", "Cs", "l", "pl", "pL", "pY")}
    assert told == {
        "v": 0,
        "A": "1.00000000",
        "B": "1.00000000",
        "U": 1,
        "Cs": "BTCUSDT",
        "l": "0.00000000",
        "pl": "1.00000000",
        "pL": "100.00000000",
        "pY": "100.00000000",
    }
