"""Public market requests: what they take, what they cost and what they answer."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from tests.exchange.desk import START_MS, SYMBOL, Desk, open_desk

from livespot.exchange.endpoints import ENDPOINTS
from livespot.exchange.model import PriceRange
from livespot.exchange.settings import ExchangeSettings
from livespot.testing.clock import ManualClock

MINUTE_MS = 60_000
TWO = ExchangeSettings(symbols=frozenset({SYMBOL, "ADAUSDT"}))
WINDOW = {
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
    "symbol",
}
CHANGES = {"priceChange", "priceChangePercent", "weightedAvgPrice"}


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    with open_desk(TWO) as one:
        yield one


def code(desk: Desk, path: str, **params: object) -> int:
    reply = desk.get(path, **params)
    assert reply.status == 400, reply.body
    return int(reply.json["code"])


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        pytest.param({"symbol": "NOPE"}, -1121, id="unknown"),
        pytest.param({"symbol": "solusdt"}, -1100, id="lower-case"),
        pytest.param({"symbol": ""}, -1105, id="empty"),
        pytest.param({"symbols": f'["{SYMBOL}","NOPE"]'}, -1121, id="one-unknown"),
        pytest.param({"symbols": f'["{SYMBOL}","{SYMBOL}"]'}, -1151, id="twice"),
        pytest.param({"symbols": "[]"}, -1100, id="none"),
        pytest.param({"symbols": str(["A"] * 101).replace("'", '"')}, -1101, id="101"),
        pytest.param({"symbol": SYMBOL, "symbols": f'["{SYMBOL}"]'}, -1128, id="both"),
        pytest.param({"symbol": SYMBOL, "symbolStatus": "TRADING"}, -1128, id="with-status"),
        pytest.param({"symbol": SYMBOL, "permissions": "SPOT"}, -1128, id="with-permissions"),
        pytest.param({"symbolStatus": "OPEN"}, -1122, id="status"),
        pytest.param({"permissions": "EVERYTHING"}, -1130, id="permissions"),
        pytest.param({"showPermissionSets": "perhaps"}, -1100, id="flag"),
        pytest.param({"cymbal": SYMBOL}, -1104, id="stray"),
        pytest.param({"timestamp": "1", "nonsense": "1"}, -1104, id="strays"),
    ],
)
def test_exchange_info_refuses_what_does_not_fit(
    desk: Desk, params: dict[str, str], expected: int
) -> None:
    assert code(desk, "exchangeInfo", **params) == expected


def test_exchange_info_is_narrowed_by_permission_and_status(desk: Desk) -> None:
    def symbols(**params: str) -> list[str]:
        return [row["symbol"] for row in desk.get("exchangeInfo", **params).json["symbols"]]

    assert len(symbols()) == 2
    assert symbols(symbols=f'["{SYMBOL}"]') == [SYMBOL]
    assert len(symbols(permissions='["SPOT","MARGIN"]')) == 2
    assert symbols(permissions="TRD_GRP_999") == []
    desk.core.engine.set_status(SYMBOL, "CANCEL_ONLY", START_MS)
    assert symbols(symbolStatus="CANCEL_ONLY") == [SYMBOL]
    desk.core.engine.set_status(SYMBOL, "TRADING", START_MS)
    shown = desk.get("exchangeInfo", symbol=SYMBOL).json["symbols"][0]
    hidden = desk.get("exchangeInfo", symbol=SYMBOL, showPermissionSets="false").json["symbols"][0]
    assert shown["permissionSets"]
    assert hidden["permissionSets"] == []
    assert shown["permissions"] == []


@pytest.mark.parametrize("path", ["depth", "ticker/24hr", "ticker", "ticker/tradingDay"])
def test_a_single_symbol_of_another_status_is_refused(desk: Desk, path: str) -> None:
    assert code(desk, path, symbol=SYMBOL, symbolStatus="HALT") == -1220


@pytest.mark.parametrize("path", ["ticker/24hr", "ticker/price", "ticker/bookTicker", "ticker"])
def test_symbols_of_another_status_are_left_out(desk: Desk, path: str) -> None:
    both = f'["{SYMBOL}","ADAUSDT"]'

    assert desk.get(path, symbols=both, symbolStatus="HALT").json == []
    assert len(desk.get(path, symbols=both, symbolStatus="TRADING").json) == 2


def test_a_rolling_window_opens_at_a_whole_minute_and_ends_now(desk: Desk) -> None:
    hour = desk.get("ticker", symbol=SYMBOL, windowSize="1h").json
    day = desk.get("ticker", symbols=f'["{SYMBOL}"]', type="MINI").json
    rows = desk.get("klines", symbol=SYMBOL, interval="1m", startTime=hour["openTime"]).json

    assert set(hour) == WINDOW | CHANGES
    assert set(day[0]) == WINDOW
    assert hour["closeTime"] == START_MS
    assert hour["openTime"] == (START_MS - 60 * MINUTE_MS) // MINUTE_MS * MINUTE_MS
    assert Decimal(hour["volume"]) == sum(Decimal(row[5]) for row in rows)
    assert Decimal(hour["quoteVolume"]) == sum(Decimal(row[7]) for row in rows)
    assert hour["count"] == sum(row[8] for row in rows)
    assert Decimal(hour["highPrice"]) == max(Decimal(row[2]) for row in rows)
    assert (hour["openPrice"], hour["lastPrice"]) == (rows[0][1], rows[-1][4])
    change = Decimal(hour["lastPrice"]) - Decimal(hour["openPrice"])
    assert Decimal(hour["priceChange"]) == change
    mean = Decimal(hour["quoteVolume"]) / Decimal(hour["volume"])
    assert abs(Decimal(hour["weightedAvgPrice"]) - mean) < Decimal("0.0001")


@pytest.mark.parametrize("size", ["0m", "60m", "24h", "8d", "1w", "1M", "h", "01h", "1.5h"])
def test_a_window_of_another_size_is_refused(desk: Desk, size: str) -> None:
    assert code(desk, "ticker", symbol=SYMBOL, windowSize=size) == -1130


@pytest.mark.parametrize("size", ["1m", "59m", "1h", "23h", "1d", "7d"])
def test_windows_reach_from_a_minute_to_a_week(desk: Desk, size: str) -> None:
    assert desk.get("ticker", symbol=SYMBOL, windowSize=size).status == 200


def test_a_trading_day_follows_its_time_zone(desk: Desk) -> None:
    utc = desk.get("ticker/tradingDay", symbol=SYMBOL).json
    tokyo = desk.get("ticker/tradingDay", symbol=SYMBOL, timeZone="9:00").json

    assert utc["openTime"] % 86_400_000 == 0
    assert utc["closeTime"] == utc["openTime"] + 86_399_999
    assert (tokyo["openTime"] + 9 * 3_600_000) % 86_400_000 == 0
    assert set(utc) == WINDOW | CHANGES


@pytest.mark.parametrize("zone", ["14:01", "-12:01", "15", "8:60", "east", "+5:3"])
def test_a_time_zone_that_is_none_is_refused(desk: Desk, zone: str) -> None:
    assert code(desk, "ticker/tradingDay", symbol=SYMBOL, timeZone=zone) == -1130
    assert code(desk, "klines", symbol=SYMBOL, interval="1d", timeZone=zone) == -1130


def test_windows_need_a_symbol_and_take_a_hundred(desk: Desk) -> None:
    many = str([f"S{n}" for n in range(101)]).replace("'", '"')

    assert code(desk, "ticker") == -1102
    assert code(desk, "ticker/tradingDay") == -1102
    assert code(desk, "ticker", symbols=many) == -1101


def test_bars_of_a_second_add_up_to_their_minute(desk: Desk) -> None:
    start_ms = START_MS - 2 * MINUTE_MS
    span = {"symbol": SYMBOL, "startTime": start_ms, "endTime": start_ms + MINUTE_MS - 1}
    (minute,) = desk.get("klines", interval="1m", **span).json
    seconds = desk.get("klines", interval="1s", **span).json

    assert len(seconds) == 60
    assert [row[0] for row in seconds] == [start_ms + 1000 * n for n in range(60)]
    assert sum(Decimal(row[5]) for row in seconds) == Decimal(minute[5])
    assert sum(row[8] for row in seconds) == minute[8]


def test_the_newest_bars_of_a_second_are_those_before_now(desk: Desk) -> None:
    rows = desk.get("klines", symbol=SYMBOL, interval="1s", limit=5).json

    assert len(rows) == 5
    assert rows[-1][0] == START_MS // 1000 * 1000


def test_old_trades_come_from_an_id_on(desk: Desk) -> None:
    newest = desk.get("trades", symbol=SYMBOL, limit=10).json
    paged = desk.get("historicalTrades", symbol=SYMBOL, fromId=newest[4]["id"], limit=3).json
    oldest = desk.get("historicalTrades", symbol=SYMBOL, fromId=0, limit=1).json

    assert paged == newest[4:7]
    assert desk.get("historicalTrades", symbol=SYMBOL, limit=10).json == newest
    assert oldest[0]["id"] <= newest[0]["id"]


def test_one_taker_at_one_price_is_one_aggregate() -> None:
    with open_desk() as desk:
        engine = desk.core.engine
        bids, asks = [(Decimal("30.0000"), Decimal(50))], [(Decimal("31.0000"), Decimal(50))]
        engine.set_book(SYMBOL, bids, asks, START_MS)
        for _ in range(3):
            sell = {"symbol": SYMBOL, "side": "SELL", "type": "LIMIT", "timeInForce": "GTC"}
            engine.adjust_balance("demo", "SOL", Decimal(1), START_MS)
            engine.place_order("demo", sell | {"quantity": "1.00", "price": "30.5000"}, START_MS)
        desk.core.settle()
        before = desk.get("trades", symbol=SYMBOL, limit=1).json[0]["id"]
        buy = {"symbol": SYMBOL, "side": "BUY", "type": "MARKET", "quantity": "4.00"}
        stp = {"selfTradePreventionMode": "NONE"}
        assert desk.signed("POST", "order", **buy, **stp).status == 200
        fills = [row for row in desk.get("trades", symbol=SYMBOL).json if row["id"] > before]
        rows = desk.get("aggTrades", symbol=SYMBOL, limit=2).json

    assert [row["price"] for row in fills] == ["30.50000000"] * 3 + ["31.00000000"]
    assert [(row["p"], row["q"]) for row in rows] == [
        ("30.50000000", "3.00000000"),
        ("31.00000000", "1.00000000"),
    ]
    assert (rows[0]["f"], rows[0]["l"]) == (fills[0]["id"], fills[2]["id"])
    assert rows[1]["a"] == rows[0]["a"] + 1


def test_reference_prices_are_told_apart_from_none_and_never(desk: Desk) -> None:
    never = desk.get("referencePrice", symbol=SYMBOL)
    assert never.json == {
        "code": -2043,
        "msg": "This symbol doesn't have a reference price.",
    }
    assert code(desk, "referencePrice/calculation", symbol=SYMBOL) == -2043

    desk.core.engine.set_reference_price(SYMBOL, Decimal("31.5"), START_MS)
    assert desk.get("referencePrice", symbol=SYMBOL).json == {
        "symbol": SYMBOL,
        "referencePrice": "31.50000000",
        "timestamp": START_MS,
    }
    how = desk.get("referencePrice/calculation", symbol=SYMBOL).json
    assert set(how) == {"symbol", "calculationType", "externalCalculationId"}

    desk.core.engine.set_reference_price(SYMBOL, None, START_MS + 1)
    assert desk.get("referencePrice", symbol=SYMBOL).json["referencePrice"] is None


def test_execution_rules_are_listed_for_symbols_that_have_any(desk: Desk) -> None:
    assert desk.get("executionRules").json == {"symbolRules": []}

    rule = PriceRange(bid_up=Decimal("1.05"), ask_down=Decimal("0.95"))
    desk.core.engine.set_execution_rules(SYMBOL, rule)
    (row,) = desk.get("executionRules", symbols=f'["{SYMBOL}","ADAUSDT"]').json["symbolRules"]
    desk.core.engine.set_execution_rules(SYMBOL, None)

    assert row["symbol"] == SYMBOL
    assert row["rules"][0]["ruleType"] == "PRICE_RANGE"
    assert Decimal(row["rules"][0]["bidLimitMultUp"]) == Decimal("1.05")


@pytest.mark.parametrize(
    ("row", "params", "weight"),
    [
        ("ping", {}, 1),
        ("time", {}, 1),
        ("exchangeInfo", {}, 20),
        ("depth", {"limit": "100"}, 5),
        ("depth", {"limit": "101"}, 25),
        ("depth", {"limit": "501"}, 50),
        ("depth", {"limit": "1001"}, 250),
        ("depth", {"limit": "9" * 4500}, 5),
        ("trades", {}, 25),
        ("historicalTrades", {}, 25),
        ("aggTrades", {}, 4),
        ("klines", {}, 2),
        ("uiKlines", {}, 2),
        ("avgPrice", {}, 2),
        ("ticker/24hr", {"symbol": "A"}, 2),
        ("ticker/24hr", {"symbols": str(["A"] * 20)}, 2),
        ("ticker/24hr", {"symbols": str(["A"] * 21)}, 40),
        ("ticker/24hr", {"symbols": str(["A"] * 101)}, 80),
        ("ticker/24hr", {}, 80),
        ("ticker", {"symbol": "A"}, 4),
        ("ticker", {"symbols": str(["A"] * 3)}, 12),
        ("ticker", {"symbols": str(["A"] * 90)}, 200),
        ("ticker/tradingDay", {"symbols": str(["A"] * 2)}, 8),
        ("ticker/price", {"symbol": "A"}, 2),
        ("ticker/price", {}, 4),
        ("ticker/bookTicker", {"symbols": "[]"}, 4),
        ("executionRules", {"symbol": "A"}, 2),
        ("executionRules", {"symbols": str(["A"] * 30)}, 40),
        ("executionRules", {}, 40),
        ("referencePrice", {}, 2),
        ("referencePrice/calculation", {}, 2),
    ],
)
def test_weights_are_the_documented_ones(row: str, params: dict[str, str], weight: int) -> None:
    assert ENDPOINTS["GET", f"/api/v3/{row}"].cost(params) == weight


def test_an_empty_side_of_a_book_has_zeros() -> None:
    with open_desk() as desk:
        desk.core.engine.set_book(SYMBOL, [], [], START_MS)
        book = desk.get("ticker/bookTicker", symbol=SYMBOL).json
        depth = desk.get("depth", symbol=SYMBOL).json

    assert {book["bidPrice"], book["askQty"]} == {"0.00000000"}
    assert (depth["bids"], depth["asks"]) == ([], [])


@pytest.mark.parametrize(
    ("path", "times"),
    [
        pytest.param("time", ["serverTime"], id="time"),
        pytest.param("exchangeInfo", ["serverTime"], id="info"),
        pytest.param(f"ticker/24hr?symbol={SYMBOL}", ["openTime", "closeTime"], id="day"),
        pytest.param(f"avgPrice?symbol={SYMBOL}", ["closeTime"], id="average"),
    ],
)
def test_times_come_in_microseconds_on_request(desk: Desk, path: str, times: list[str]) -> None:
    place, _, query = path.partition("?")
    plain: Any = desk.send("GET", place, query).json
    fine: Any = desk.send("GET", place, query, x_mbx_time_unit="microsecond").json

    for name in times:
        assert fine[name] == plain[name] * 1000


def test_bars_in_microseconds_end_with_their_last_one(desk: Desk) -> None:
    query = f"symbol={SYMBOL}&interval=1m&limit=1"
    plain = desk.send("GET", "klines", query).json[0]
    fine = desk.send("GET", "klines", query, x_mbx_time_unit="MICROSECOND").json[0]

    assert fine[0] == plain[0] * 1000
    assert fine[6] == (plain[6] + 1) * 1000 - 1
    assert fine[1:6] == plain[1:6]


def test_another_time_unit_is_refused(desk: Desk) -> None:
    reply = desk.send("GET", "time", x_mbx_time_unit="NANOSECOND")

    assert (reply.status, reply.json["code"]) == (400, -1194)


def test_klines_stop_while_orders_can_only_be_cancelled_and_all_else_goes_on() -> None:
    clock = ManualClock(START_MS)
    with open_desk(clock=clock) as desk:
        engine = desk.core.engine
        engine.set_status(SYMBOL, "CANCEL_ONLY", START_MS)
        clock.advance(3 * 60_000)
        desk.pump.step()
        shut = desk.get("klines", symbol=SYMBOL, interval="1m", limit=1).json
        book, average = desk.get("depth", symbol=SYMBOL), desk.get("avgPrice", symbol=SYMBOL)
        engine.set_status(SYMBOL, "TRADING", clock.now_ms())
        clock.advance(60_000)
        desk.pump.step()
        newest = desk.get("klines", symbol=SYMBOL, interval="1m", limit=1).json

    assert shut[0][0] == START_MS - 60_000
    assert (book.status, average.status) == (200, 200)
    assert newest[0][0] == START_MS + 4 * 60_000
