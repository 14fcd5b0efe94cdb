"""Account queries may lag behind the engine, for what appears and for what disappears."""

from typing import Any

from livespot.exchange.faults.loader import plan_of
from livespot.exchange.settings import ExchangeSettings

SOL = frozenset({"SOLUSDT"})
REST = {"symbol": "SOLUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC",
        "quantity": "1.00", "price": "20.0000"}  # fmt: skip
BUY = {"symbol": "SOLUSDT", "side": "BUY", "type": "MARKET", "quantity": "1.00"}
MINE = {"symbol": "SOLUSDT", "origClientOrderId": "mine"}
LAG = 0.5


def lagging() -> ExchangeSettings:
    return ExchangeSettings(symbols=SOL, read_lag_ms=500)


async def open_ids(venue: Any) -> list[str]:
    return [row["clientOrderId"] for row in (await venue.signed("GET", "openOrders")).json()]


async def test_a_new_order_is_unknown_to_every_query_at_first(exchange: Any) -> None:
    async with exchange(lagging()) as venue:
        placed = await venue.signed("POST", "order", **REST, newClientOrderId="mine")
        missing = await venue.signed("GET", "order", **MINE)
        listed = await venue.signed("GET", "allOrders", symbol="SOLUSDT")
        early = await open_ids(venue)
        held = (await venue.signed("GET", "account", omitZeroBalances="true")).json()["balances"]
        await venue.clock.sleep(LAG)
        found = await venue.signed("GET", "order", **MINE)
        late = await open_ids(venue)
        locked = (await venue.signed("GET", "account", omitZeroBalances="true")).json()["balances"]

    assert placed.json()["status"] == "NEW"
    assert missing.json()["code"] == -2013
    assert (listed.json(), early, late) == ([], [], ["mine"])
    assert held[0]["locked"] == "0.00000000"
    assert locked[0]["locked"] == "20.00000000"
    assert found.json()["orderId"] == placed.json()["orderId"]


async def test_an_order_that_is_gone_is_still_listed_and_cannot_be_cancelled(
    exchange: Any,
) -> None:
    async with exchange(lagging()) as venue:
        await venue.signed("POST", "order", **REST, newClientOrderId="mine")
        await venue.clock.sleep(LAG)
        ended = await venue.signed("DELETE", "order", **MINE, newClientOrderId="end")
        still = await open_ids(venue)
        again = await venue.signed("DELETE", "order", **MINE)
        await venue.clock.sleep(LAG)
        gone = await open_ids(venue)
        by_name = await venue.signed("GET", "order", symbol="SOLUSDT", origClientOrderId="end")

    assert ended.json()["status"] == "CANCELED"
    assert (still, gone) == (["mine"], [])
    assert again.json()["code"] == -2011
    assert by_name.json()["status"] == "CANCELED"


async def test_trades_and_lists_appear_late_and_whole(exchange: Any) -> None:
    oco = {
        "symbol": "SOLUSDT",
        "side": "SELL",
        "quantity": "0.50",
        "aboveType": "LIMIT_MAKER",
        "abovePrice": "40.0000",
        "belowType": "STOP_LOSS_LIMIT",
        "belowPrice": "24.9000",
        "belowTimeInForce": "GTC",
        "belowStopPrice": "25.0000",
    }
    async with exchange(lagging()) as venue:
        bought = (await venue.signed("POST", "order", **BUY)).json()
        placed = await venue.signed("POST", "orderList/oco", **oco)
        early = (await venue.signed("GET", "myTrades", symbol="SOLUSDT")).json()
        no_list = (await venue.signed("GET", "openOrderList")).json()
        await venue.clock.sleep(LAG)
        trades = (await venue.signed("GET", "myTrades", symbol="SOLUSDT")).json()
        lists = (await venue.signed("GET", "openOrderList")).json()

    assert placed.status_code == 200, placed.text
    assert (early, no_list) == ([], [])
    assert [row["id"] for row in trades] == [fill["tradeId"] for fill in bought["fills"]]
    assert len(lists[0]["orders"]) == 2


async def test_a_fault_makes_reads_lag_for_a_while_only(exchange: Any) -> None:
    lag = {"verb": "ex.read_lag", "ms": 60_000}
    plan = plan_of({"faults": [{"id": "lag", "what": lag, "when": {"for_ms": 900}}]})
    async with exchange(ExchangeSettings(symbols=SOL, plan=plan)) as venue:
        await venue.signed("POST", "order", **REST, newClientOrderId="mine")
        during = await open_ids(venue)
        await venue.clock.sleep(0.95)
        after = await open_ids(venue)

    assert (during, after) == ([], ["mine"])


async def test_without_a_lag_queries_see_the_engine_itself(exchange: Any) -> None:
    async with exchange() as venue:
        await venue.signed("POST", "order", **REST, newClientOrderId="mine")

        assert await open_ids(venue) == ["mine"]
