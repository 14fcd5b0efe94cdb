"""Every market answer and session reply has the documented fields, in their order and types."""

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.exchange.desk import SYMBOL, Desk, Talk, open_desk
from tests.exchange.test_ws_requests import ONE, PAIR

from livespot.exchange.model import PriceRange

# Field names and JSON types of the examples in the exchange's documentation as of 2026-07-17;
# a list stands for its first member, a candle for all of its columns. Without `sors`: orders are
# not routed here.
SHAPES: dict[str, Any] = json.loads((Path(__file__).parent / "market_shapes.json").read_text())
# Their members differ from symbol to symbol; tests of their own hold them.
_FREE = frozenset(
    {"filters", "permissionSets", "permissions", "orderTypes", "allowedSelfTradePreventionModes"}
)
_COLUMNS = 12


@pytest.fixture
def desk() -> Iterator[Desk]:
    with open_desk(PAIR) as opened:
        yield opened


def shape(value: Any, name: str = "") -> Any:
    """A body as names, order and JSON types."""
    match value:
        case _ if name in _FREE:
            return "free"
        case dict():
            return [(key, shape(one, key)) for key, one in value.items()]
        case list() if len(value) == _COLUMNS:
            return [shape(one) for one in value]
        case list():
            return [shape(one) for one in value[:1]]
        case None:
            return "null"
        case bool():
            return "flag"
        case int():
            return "number"
        case _:
            return "text"


def known(value: Any, name: str = "") -> Any:
    """A documented shape in the form that `shape` gives."""
    match value:
        case _ if name in _FREE:
            return "free"
        case dict():
            return [(key, known(one, key)) for key, one in value.items()]
        case list():
            return [known(one) for one in value]
        case _:
            return value


def rest(path: str, **params: object) -> Callable[[Desk], Any]:
    """A public request."""
    return lambda desk: desk.get(path, **params).json


def with_reference(value: Decimal | None) -> Callable[[Desk], Any]:
    """The reference price after it was set."""

    def make(desk: Desk) -> Any:
        desk.core.engine.set_reference_price(SYMBOL, Decimal(30), desk.clock.now_ms())
        desk.core.engine.set_reference_price(SYMBOL, value, desk.clock.now_ms())
        return desk.get("referencePrice", symbol=SYMBOL).json

    return make


def calculated(desk: Desk) -> Any:
    desk.core.engine.set_reference_price(SYMBOL, Decimal(30), desk.clock.now_ms())
    return desk.get("referencePrice/calculation", symbol=SYMBOL).json


def ruled(desk: Desk) -> Any:
    one = Decimal(1)
    desk.core.engine.set_execution_rules(
        SYMBOL, PriceRange(bid_up=one, bid_down=one, ask_up=one, ask_down=one)
    )
    return desk.get("executionRules", symbol=SYMBOL).json


ONLY = {"symbol": SYMBOL}
LISTED = {"symbols": f'["{SYMBOL}"]'}
MADE: dict[str, Callable[[Desk], Any]] = {
    "rest_ping": rest("ping"),
    "rest_time": rest("time"),
    "rest_exchangeInfo_composed": rest("exchangeInfo", **ONLY),
    "rest_depth": rest("depth", **ONLY),
    "rest_trades": rest("trades", **ONLY),
    "rest_historicalTrades": rest("historicalTrades", **ONLY),
    "rest_aggTrades": rest("aggTrades", **ONLY),
    "rest_klines": rest("klines", interval="1m", limit=2, **ONLY),
    "rest_uiKlines": rest("uiKlines", interval="1m", limit=2, **ONLY),
    "rest_avgPrice": rest("avgPrice", **ONLY),
    "rest_ticker24hr_full": rest("ticker/24hr", **ONLY),
    "rest_ticker24hr_full_array": rest("ticker/24hr"),
    "rest_ticker24hr_mini": rest("ticker/24hr", type="MINI", **ONLY),
    "rest_ticker24hr_mini_array": rest("ticker/24hr", type="MINI", **LISTED),
    "rest_tickerRolling_full": rest("ticker", **ONLY),
    "rest_tickerRolling_full_array": rest("ticker", **LISTED),
    "rest_tickerRolling_mini": rest("ticker", type="MINI", **ONLY),
    "rest_tickerTradingDay_full": rest("ticker/tradingDay", **ONLY),
    "rest_tickerTradingDay_mini": rest("ticker/tradingDay", type="MINI", **ONLY),
    "rest_tickerPrice": rest("ticker/price", **ONLY),
    "rest_tickerPrice_array": rest("ticker/price"),
    "rest_bookTicker": rest("ticker/bookTicker", **ONLY),
    "rest_bookTicker_array": rest("ticker/bookTicker"),
    "rest_rateLimit_order": lambda desk: desk.signed("GET", "rateLimit/order").json,
    "rest_executionRules": ruled,
    "rest_referencePrice": with_reference(Decimal(31)),
    "rest_referencePrice_null": with_reference(None),
    "rest_referencePrice_error": rest("referencePrice", **ONLY),
    "rest_referencePriceCalculation_external": calculated,
    "rest_error": rest("depth", symbol="NOSUCH"),
}


def asked(method: str, **params: Any) -> Callable[[Desk, Talk], Any]:
    """A WebSocket API request that needs no proof."""
    return lambda _desk, talk: said(talk, method, params)


def said(talk: Talk, method: str, params: dict[str, Any]) -> Any:
    """The reply to a request whose id is a text."""
    talk.dialogue.on_text(json.dumps({"id": "one", "method": method, "params": params}))
    return next(one for one in talk.heard() if "status" in one)


def logged_on(method: str) -> Callable[[Desk, Talk], Any]:
    """The reply to a session request after logon and subscription."""

    def make(desk: Desk, talk: Talk) -> Any:
        talk.ask("session.logon", ONE.sign())
        if method != "userDataStream.subscribe":
            talk.ask("userDataStream.subscribe")
        return said(talk, method, {})

    return make


def positioned(desk: Desk, talk: Talk) -> Any:
    talk.ask("session.logon", ONE.sign())
    talk.ask("userDataStream.subscribe")
    order = {"side": "BUY", "type": "MARKET", "quantity": "1", "newOrderRespType": "ACK"}
    desk.signed("POST", "order", symbol=SYMBOL, **order)
    events = (one for one in talk.heard() if "event" in one)
    return next(one for one in events if one["event"]["e"] == "outboundAccountPosition")


SAID: dict[str, Callable[[Desk, Talk], Any]] = {
    "wsapi_ping_response": asked("ping"),
    "wsapi_time_response": asked("time"),
    "wsapi_depth_response": asked("depth", symbol=SYMBOL),
    "wsapi_exchangeInfo_response": asked("exchangeInfo", symbol=SYMBOL),
    "wsapi_session_logon_response": lambda _, talk: said(talk, "session.logon", ONE.sign()),
    "wsapi_session_status_response": logged_on("session.status"),
    "wsapi_session_logout_response": logged_on("session.logout"),
    "wsapi_session_subscriptions_response": logged_on("session.subscriptions"),
    "wsapi_userDataStream_subscribe_response": logged_on("userDataStream.subscribe"),
    "wsapi_userDataStream_unsubscribe_response": logged_on("userDataStream.unsubscribe"),
    "wsapi_event_outboundAccountPosition": positioned,
    "wsapi_rateLimits_orders_response": lambda desk, talk: said(
        talk, "account.rateLimits.orders", desk.proof()
    ),
    "wsapi_response_ok": lambda desk, talk: said(
        talk,
        "order.place",
        desk.proof(
            symbol=SYMBOL, side="BUY", type="MARKET", quantity="1", newOrderRespType="RESULT"
        ),
    ),
}


@pytest.mark.parametrize("name", MADE)
def test_an_answer_has_the_documented_fields(name: str, desk: Desk) -> None:
    assert shape(MADE[name](desk)) == known(SHAPES[name])


@pytest.mark.parametrize("name", SAID)
def test_a_reply_has_the_documented_fields(name: str, desk: Desk) -> None:
    with desk.talk() as talk:
        reply = SAID[name](desk, talk)

    # The examples of sessions leave the limits out; every reply carries them unless told not to.
    documented = SHAPES[name]
    if "rateLimits" not in documented:
        reply = {key: value for key, value in reply.items() if key != "rateLimits"}
    assert shape(reply) == known(documented)


def test_a_reply_leaves_the_limits_out_when_told(desk: Desk) -> None:
    with desk.talk() as talk:
        reply = talk.ask("time", {"returnRateLimits": False})

    assert shape(reply) == known(SHAPES["wsapi_time_noRateLimits_response"])


def test_no_documented_shape_is_left_out() -> None:
    assert set(SHAPES) == {*MADE, *SAID, "wsapi_time_noRateLimits_response"}
