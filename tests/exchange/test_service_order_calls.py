"""Amends, amendments, prevented matches, filters and lists over both faces, with their weights."""

import itertools
from decimal import Decimal
from typing import Any

from livespot.exchange.calls import Call
from livespot.exchange.core import open_exchange
from livespot.exchange.endpoints import ENDPOINTS
from livespot.exchange.recorded import load_recorded, packaged_data
from livespot.exchange.serving import perform
from livespot.exchange.settings import DEMO_KEY, ExchangeSettings
from livespot.testing.clock import ManualClock

# 2021-04-20T11:47 UTC, in the middle of a candle of fifteen minutes.
START_MS = 1_618_919_220_000
ORDERS = "/ws-api/v3"
RESTING = {
    "symbol": "SOLUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "4.00",
    "price": "25.0000",
}
OCO = {
    "symbol": "SOLUSDT",
    "side": "SELL",
    "quantity": "1.00",
    "aboveType": "LIMIT_MAKER",
    "abovePrice": "45.0000",
    "belowType": "STOP_LOSS_LIMIT",
    "belowStopPrice": "24.0000",
    "belowPrice": "23.9000",
    "belowTimeInForce": "GTC",
}


def used(response: Any) -> int:
    """Weight spent in this minute as the answer tells it."""
    return int(response.headers["X-MBX-USED-WEIGHT-1M"])


async def test_rest_amends_and_asks_at_the_documented_weights(exchange: Any) -> None:
    async with exchange() as venue:
        placed = await venue.signed("POST", "order", **RESTING)
        order_id = placed.json()["orderId"]
        amended = await venue.signed(
            "PUT", "order/amend/keepPriority", symbol="SOLUSDT", orderId=order_id, newQty="3.00"
        )
        history = await venue.signed("GET", "order/amendments", symbol="SOLUSDT", orderId=order_id)
        by_order = await venue.signed(
            "GET", "myPreventedMatches", symbol="SOLUSDT", orderId=order_id
        )
        by_number = await venue.signed(
            "GET", "myPreventedMatches", symbol="SOLUSDT", preventedMatchId=1
        )
        filters = await venue.signed("GET", "myFilters", symbol="SOLUSDT")
        refused = await venue.signed(
            "PUT", "order/amend/keepPriority", symbol="SOLUSDT", orderId=order_id, newQty="3.00"
        )

    assert amended.status_code == 200, amended.text
    assert amended.json()["amendedOrder"]["qty"] == "3.00000000"
    assert [row["newQty"] for row in history.json()] == ["3.00000000"]
    assert by_order.json() == by_number.json() == []
    assert set(filters.json()) == {"exchangeFilters", "symbolFilters", "assetFilters"}
    assert (refused.status_code, refused.json()["code"]) == (400, -2038)
    answers = (placed, amended, history, by_order, by_number, filters, refused)
    spent = [used(answer) for answer in answers]
    assert [after - before for before, after in itertools.pairwise(spent)] == [
        4,
        4,
        20,
        2,
        40,
        4,
    ]


async def test_the_socket_knows_the_same_calls_by_its_own_names(exchange: Any, asking: Any) -> None:
    async with exchange() as venue, venue.connect(ORDERS) as socket:

        async def ask(method: str, **params: str | int) -> Any:
            return await asking(socket, method, venue.signed_params(**params))

        placed = await ask("order.place", **RESTING)
        this = {"symbol": "SOLUSDT", "orderId": placed["result"]["orderId"]}
        amended = await ask("order.amend.keepPriority", **this, newQty="2.00")
        history = await ask("order.amendments", **this)
        prevented = await ask("myPreventedMatches", **this)
        filters = await ask("myFilters", symbol="SOLUSDT")

    assert amended["result"]["amendedOrder"]["qty"] == "2.00000000"
    assert history["result"][0]["executionId"] == amended["result"]["executionId"]
    assert prevented["result"] == []
    assert filters["result"]["assetFilters"] == []


async def test_list_status_on_the_socket_goes_by_the_client_id_alone(
    exchange: Any, asking: Any
) -> None:
    async with exchange() as venue, venue.connect(ORDERS) as socket:
        bought = {"symbol": "SOLUSDT", "side": "BUY", "type": "MARKET", "quantity": "3.00"}
        await venue.signed("POST", "order", **bought)
        placed = await venue.signed("POST", "orderList/oco", **OCO, listClientOrderId="mine")
        assert placed.status_code == 200, placed.text
        both = {"orderListId": 4711, "origClientOrderId": "mine"}
        found = await asking(socket, "orderList.status", venue.signed_params(**both))
        missed = await venue.signed("GET", "orderList", **both)

    assert found["result"]["orderListId"] == placed.json()["orderListId"]
    assert missed.json() == {"code": -2013, "msg": "Order does not exist."}


async def test_questions_over_rest_refuse_what_they_do_not_know(exchange: Any) -> None:
    async with exchange() as venue:
        for path in ("openOrders", "openOrderList", "allOrderList", "account", "rateLimit/order"):
            fine = await venue.signed("GET", path)
            stray = await venue.signed("GET", path, colour="red")
            assert fine.status_code == 200, path
            assert (stray.status_code, stray.json()["code"]) == (400, -1104), path


def test_amend_that_ends_the_order_is_free_and_any_other_is_not() -> None:
    recorded = load_recorded(packaged_data(), frozenset({"SOLUSDT"}))
    core = open_exchange(
        ExchangeSettings(), recorded, clock=ManualClock(START_MS), live_from_ms=START_MS
    )
    engine, key = core.engine, core.keys[DEMO_KEY]
    engine.set_book("SOLUSDT", [], [(Decimal("25.0000"), Decimal("1.50"))], START_MS)
    engine.place_order(key.account_id, RESTING, START_MS)

    def cost(qty: str) -> int:
        params = {"symbol": "SOLUSDT", "orderId": "1", "newQty": qty, "timestamp": str(START_MS)}
        call = Call(core=core, params=params, now_ms=START_MS, key=key)
        before = call.meter.used(START_MS)
        perform(ENDPOINTS["PUT", "/api/v3/order/amend/keepPriority"], call)
        return call.meter.used(START_MS) - before

    assert cost("3.00") == 4
    assert cost("1.00") == 0
    assert engine.query_order(key.account_id, {"symbol": "SOLUSDT", "orderId": "1"})["status"] == (
        "EXPIRED"
    )
