"""The REST face answers in the exchange's shapes, codes and headers."""

from typing import Any

import pytest

from livespot.exchange.recorded import load_recorded, packaged_data
from livespot.exchange.settings import DEMO_KEY, ApiKey, ExchangeSettings, RequestLimits

FULL_TICKER = {
    "symbol",
    "priceChange",
    "priceChangePercent",
    "weightedAvgPrice",
    "prevClosePrice",
    "lastPrice",
    "lastQty",
    "bidPrice",
    "bidQty",
    "askPrice",
    "askQty",
    "openPrice",
    "highPrice",
    "lowPrice",
    "volume",
    "quoteVolume",
    "openTime",
    "closeTime",
    "firstId",
    "lastId",
    "count",
}
MINI_TICKER = {
    "symbol",
    "openPrice",
    "highPrice",
    "lowPrice",
    "lastPrice",
    "volume",
    "quoteVolume",
    "openTime",
    "closeTime",
    "firstId",
    "lastId",
    "count",
}
SYMBOL_FIELDS = {
    "symbol",
    "status",
    "baseAsset",
    "baseAssetPrecision",
    "quoteAsset",
    "quotePrecision",
    "quoteAssetPrecision",
    "baseCommissionPrecision",
    "quoteCommissionPrecision",
    "orderTypes",
    "icebergAllowed",
    "ocoAllowed",
    "otoAllowed",
    "opoAllowed",
    "quoteOrderQtyMarketAllowed",
    "allowTrailingStop",
    "cancelReplaceAllowed",
    "amendAllowed",
    "pegInstructionsAllowed",
    "isSpotTradingAllowed",
    "isMarginTradingAllowed",
    "filters",
    "permissions",
    "permissionSets",
    "defaultSelfTradePreventionMode",
    "allowedSelfTradePreventionModes",
}
TRADE_FIELDS = {"id", "price", "qty", "quoteQty", "time", "isBuyerMaker", "isBestMatch"}
QUARTER_MS = 900_000


async def test_exchange_info_has_the_fields_of_2026(exchange: Any) -> None:
    async with exchange() as venue:
        info = await venue.get("exchangeInfo", symbols='["SOLUSDT"]')
        spot = await venue.get("exchangeInfo", permissions="SPOT", symbolStatus="TRADING")
        halted = await venue.get("exchangeInfo", symbolStatus="HALT")

    assert set(info) == {"timezone", "serverTime", "rateLimits", "exchangeFilters", "symbols"}
    assert set(info["symbols"][0]) == SYMBOL_FIELDS
    assert info["symbols"][0]["permissions"] == []
    assert [limit["rateLimitType"] for limit in info["rateLimits"]] == [
        "REQUEST_WEIGHT",
        "ORDERS",
        "ORDERS",
        "RAW_REQUESTS",
    ]
    assert spot["symbols"] == info["symbols"]
    assert halted["symbols"] == []


async def test_closed_klines_are_the_recorded_candles(exchange: Any) -> None:
    sol = load_recorded(packaged_data(), frozenset({"SOLUSDT"})).series["SOLUSDT"]
    async with exchange() as venue:
        rows = await venue.get("klines", symbol="SOLUSDT", interval="1m", limit=1000)

    assert len(rows) == 1000
    for row in rows[:-1]:
        candle = sol.candle(row[0])
        assert candle is not None
        prices = [candle.open, candle.high, candle.low, candle.close]
        assert [float(text) for text in row[1:5]] == [float(p * sol.tick_size) for p in prices]
        assert float(row[5]) == float(candle.volume * sol.step_size)
        assert row[6] == row[0] + 59_999
    assert [type(cell) for cell in rows[0]] == [int, *[str] * 5, int, str, int, str, str, str]


async def test_klines_page_as_the_exchange_does(exchange: Any) -> None:
    async with exchange() as venue:
        start = venue.clock.now_ms() // QUARTER_MS * QUARTER_MS - 10 * QUARTER_MS
        span = {"symbol": "SOLUSDT", "interval": "15m", "startTime": start}
        oldest = await venue.get("klines", **span, limit=3)
        until = await venue.get("klines", **span, endTime=start + 2 * QUARTER_MS)
        newest = await venue.get("klines", symbol="SOLUSDT", interval="15m", limit=2)
        deep = await venue.get("klines", symbol="SOLUSDT", interval="15m", limit=1000)
        day = await venue.get("uiKlines", symbol="SOLUSDT", interval="1d", timeZone="8:00")

    assert [row[0] for row in oldest] == [start + n * QUARTER_MS for n in range(3)]
    assert [row[0] for row in until] == [start + n * QUARTER_MS for n in range(3)]
    assert newest[-1][0] == start + 10 * QUARTER_MS
    # The record is shorter than the page, and the quarters of the outage stay missing.
    assert len(deep) == 998
    assert (day[1][0] + 8 * 3_600_000) % 86_400_000 == 0


async def test_tickers_have_the_documented_shapes(exchange: Any) -> None:
    async with exchange() as venue:
        full = await venue.get("ticker/24hr", symbol="SOLUSDT")
        minis = await venue.get("ticker/24hr", type="MINI")
        price = await venue.get("ticker/price", symbol="SOLUSDT")
        books = await venue.get("ticker/bookTicker", symbols='["SOLUSDT"]')
        average = await venue.get("avgPrice", symbol="SOLUSDT")

    assert set(full) == FULL_TICKER
    assert set(minis[0]) == MINI_TICKER
    assert full["count"] > 10_000
    assert float(full["quoteVolume"]) > 5_000_000
    assert set(price) == {"symbol", "price"}
    assert set(books[0]) == {"symbol", "bidPrice", "bidQty", "askPrice", "askQty"}
    assert 0 < float(books[0]["bidPrice"]) < float(books[0]["askPrice"])
    assert set(average) == {"mins", "price", "closeTime"}


async def test_depth_and_trades_have_the_documented_shapes(exchange: Any) -> None:
    async with exchange() as venue:
        depth = await venue.get("depth", symbol="SOLUSDT", limit=20)
        trades = await venue.get("trades", symbol="SOLUSDT", limit=5)
        aggregates = await venue.get("aggTrades", symbol="SOLUSDT", fromId=trades[0]["id"])

    assert set(depth) == {"lastUpdateId", "bids", "asks"}
    assert len(depth["bids"]) == len(depth["asks"]) == 20
    assert len(trades) == 5
    assert set(trades[0]) == TRADE_FIELDS
    assert set(aggregates[0]) == set("apqflTmM")
    assert aggregates[0]["a"] == trades[0]["id"]


async def test_an_order_makes_its_round_trip(exchange: Any) -> None:
    async with exchange() as venue:
        book = await venue.get("ticker/bookTicker", symbol="SOLUSDT")
        order = {
            "symbol": "SOLUSDT",
            "side": "BUY",
            "type": "LIMIT_MAKER",
            "quantity": "1.00",
            "price": f"{float(book['bidPrice']) * 0.9:.4f}",
            "newClientOrderId": "mine-1",
        }
        placed = await venue.signed("POST", "order", **order)
        found = await venue.signed("GET", "order", symbol="SOLUSDT", origClientOrderId="mine-1")
        account = await venue.signed("GET", "account", omitZeroBalances="true")
        cancelled = await venue.signed(
            "DELETE", "order", symbol="SOLUSDT", origClientOrderId="mine-1"
        )
        again = await venue.signed("DELETE", "order", symbol="SOLUSDT", origClientOrderId="mine-1")

    assert placed.status_code == 200
    assert placed.headers["X-MBX-ORDER-COUNT-10S"] == "1"
    assert placed.headers["X-MBX-ORDER-COUNT-1D"] == "1"
    assert found.json()["status"] == "NEW"
    assert float(account.json()["balances"][0]["locked"]) > 0
    assert cancelled.json()["status"] == "CANCELED"
    assert again.status_code == 400
    assert again.json() == {"code": -2011, "msg": "Unknown order sent."}


async def test_a_market_buy_fills_at_the_ask_and_shows_in_my_trades(exchange: Any) -> None:
    async with exchange() as venue:
        bought = await venue.signed(
            "POST", "order", symbol="SOLUSDT", side="BUY", type="MARKET", quantity="2.00"
        )
        mine = await venue.signed("GET", "myTrades", symbol="SOLUSDT")
        rates = await venue.signed("GET", "account/commission", symbol="SOLUSDT")
        rights = await venue.http.get("/sapi/v1/account/apiRestrictions")
        limits = await venue.signed("GET", "rateLimit/order")

    assert bought.json()["status"] == "FILLED"
    assert sum(float(row["qty"]) for row in mine.json()) == 2
    assert set(rates.json()) == {
        "symbol",
        "standardCommission",
        "specialCommission",
        "taxCommission",
        "discount",
    }
    assert rights.json()["code"] == -2014
    assert [row["interval"] for row in limits.json()] == ["SECOND", "DAY"]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        pytest.param("klines?symbol=SOLUSDT&interval=7m", -1120, id="interval"),
        pytest.param("klines?interval=1m", -1102, id="no-symbol"),
        pytest.param("ticker/price?symbol=NOPE", -1121, id="symbol"),
        pytest.param("ticker/24hr?type=SMALL", -1139, id="ticker-type"),
        pytest.param("depth?symbol=SOLUSDT&limit=0", -1100, id="limit"),
        pytest.param("exchangeInfo?symbols=SOLUSDT", -1100, id="array"),
        pytest.param("aggTrades?symbol=SOLUSDT&fromId=1&startTime=1", -1128, id="combination"),
    ],
)
async def test_a_wrong_parameter_has_its_own_code(exchange: Any, path: str, code: int) -> None:
    async with exchange() as venue:
        answer = await venue.http.get(f"/api/v3/{path}")

    assert answer.status_code == 400
    assert answer.json()["code"] == code


async def test_proof_of_identity_is_checked(exchange: Any) -> None:
    async with exchange() as venue:
        now_ms = venue.clock.now_ms()
        key = {"X-MBX-APIKEY": DEMO_KEY}

        async def account(query: str, headers: dict[str, str]) -> tuple[int, int]:
            answer = await venue.http.get(f"/api/v3/account?{query}", headers=headers)
            return answer.status_code, answer.json()["code"]

        stamp = f"timestamp={now_ms}"
        assert await account(stamp, {}) == (401, -2014)
        assert await account(stamp, {"X-MBX-APIKEY": "nobody"}) == (401, -2015)
        assert await account(stamp, key) == (400, -1102)
        assert await account(f"{stamp}&signature=00", key) == (400, -1022)
        assert await account("signature=00", key) == (400, -1102)
        assert await account(f"timestamp={now_ms - 60_000}&signature=0", key) == (400, -1021)
        assert await account(f"timestamp={now_ms + 60_000}&signature=0", key) == (400, -1021)
        assert await account(f"{stamp}&recvWindow=60001&signature=0", key) == (400, -1131)


async def test_a_key_without_the_right_to_trade_only_reads(exchange: Any) -> None:
    demo = ExchangeSettings().keys[0]
    reader = ApiKey(key=demo.key, account_id="demo", hmac_secret=demo.hmac_secret, can_trade=False)
    async with exchange(ExchangeSettings(keys=(reader,), symbols=frozenset({"SOLUSDT"}))) as venue:
        read = await venue.signed("GET", "account")
        refused = await venue.signed("DELETE", "openOrders", symbol="SOLUSDT")

    assert read.status_code == 200
    assert (refused.status_code, refused.json()["code"]) == (401, -2015)


async def test_removed_and_unknown_paths(exchange: Any) -> None:
    async with exchange() as venue:
        listen_key = await venue.http.post("/api/v3/userDataStream")
        unknown = await venue.http.get("/api/v3/nothing")

    assert listen_key.status_code == 410
    assert unknown.status_code == 404


async def test_the_root_is_a_page_for_people(exchange: Any) -> None:
    async with exchange() as venue:
        page = await venue.http.get("/", headers={"Accept": "text/html"})
        facts = await venue.http.get("/", headers={"Accept": "application/json"})

    assert "only pretends" in page.text
    assert facts.json()["rest"] == f"{venue.address.rest_url}/api/v3"
    assert facts.json()["websocketApi"] == venue.address.ws_api_url


async def test_weight_is_counted_and_the_limit_enforced(exchange: Any) -> None:
    limits = RequestLimits(weight_per_minute=30, refusals_before_ban=1)
    settings = ExchangeSettings(request_limits=limits, symbols=frozenset({"SOLUSDT"}))
    async with exchange(settings) as venue:
        first = await venue.http.get("/api/v3/exchangeInfo")
        second = await venue.http.get("/api/v3/exchangeInfo")
        refused = await venue.http.get("/api/v3/ping")
        banned = await venue.http.get("/api/v3/ping")

    assert first.headers["X-MBX-USED-WEIGHT-1M"] == "20"
    assert second.headers["X-MBX-USED-WEIGHT"] == "40"
    assert (refused.status_code, refused.json()["code"]) == (429, -1003)
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert (banned.status_code, banned.json()["code"]) == (418, -1003)
    assert 60 < int(banned.headers["Retry-After"]) <= 120


async def test_an_order_that_works_is_free_and_one_that_fails_is_not(exchange: Any) -> None:
    async with exchange() as venue:
        market = {"symbol": "SOLUSDT", "side": "BUY", "type": "MARKET"}
        done = await venue.signed("POST", "order", **market, quantity="1.00")
        failed = await venue.signed("POST", "order", **market, quantity="0.001")

    assert (done.status_code, done.headers["X-MBX-USED-WEIGHT-1M"]) == (200, "0")
    assert (failed.status_code, failed.headers["X-MBX-USED-WEIGHT-1M"]) == (400, "1")
