"""Public market data as python-binance reads it."""

import time
from typing import Any

import pytest
from binance import Client
from binance.exceptions import BinanceAPIException

SYMBOL = "BTCUSDT"
INTERVALS = sorted(
    value for name, value in vars(Client.__mro__[1]).items() if name.startswith("KLINE_INTERVAL")
)


def test_ping_is_answered_with_an_empty_object(client: Any) -> None:
    assert client.ping() == {}


def test_server_time_is_the_machines_time(client: Any) -> None:
    assert abs(client.get_server_time()["serverTime"] - time.time() * 1000) < 2000


def test_exchange_info_lists_symbols_and_limits(client: Any) -> None:
    info = client.get_exchange_info()

    assert {row["symbol"] for row in info["symbols"]} == {"BTCUSDT", "ETHUSDT"}
    assert {row["rateLimitType"] for row in info["rateLimits"]} == {
        "REQUEST_WEIGHT",
        "ORDERS",
        "RAW_REQUESTS",
    }


def test_symbol_info_is_found_by_name(client: Any) -> None:
    assert client.get_symbol_info(SYMBOL)["baseAsset"] == "BTC"
    assert client.get_symbol_info("NOPEUSDT") is None


def test_book_is_sorted_and_uncrossed(client: Any) -> None:
    book = client.get_order_book(symbol=SYMBOL, limit=5)

    bids = [float(level[0]) for level in book["bids"]]
    asks = [float(level[0]) for level in book["asks"]]
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert len(bids) == len(asks) == 5
    assert bids[0] < asks[0]


@pytest.mark.parametrize("method", ["get_recent_trades", "get_historical_trades"])
def test_trades_come_in_order_of_their_ids(client: Any, method: str) -> None:
    rows = getattr(client, method)(symbol=SYMBOL, limit=5)

    ids = [row["id"] for row in rows]
    assert ids == list(range(ids[0], ids[0] + 5))
    assert set(rows[0]) == {
        "id",
        "price",
        "qty",
        "quoteQty",
        "time",
        "isBuyerMaker",
        "isBestMatch",
    }


def test_historical_trades_begin_at_the_id_asked_for(client: Any) -> None:
    newest = client.get_recent_trades(symbol=SYMBOL, limit=10)

    rows = client.get_historical_trades(symbol=SYMBOL, fromId=newest[3]["id"], limit=3)

    assert [row["id"] for row in rows] == [row["id"] for row in newest[3:6]]


def test_aggregate_trades_are_walked_from_a_time(client: Any) -> None:
    walked = list(client.aggregate_trade_iter(SYMBOL, start_str="1 minute ago UTC"))

    ids = [row["a"] for row in walked]
    assert len(ids) > 1
    assert ids == sorted(set(ids))


def test_aggregate_trades_are_walked_from_an_id(client: Any) -> None:
    known = client.get_aggregate_trades(symbol=SYMBOL, limit=5)

    walked = list(client.aggregate_trade_iter(SYMBOL, last_id=known[0]["a"]))

    assert walked[:4] == known[1:]


@pytest.mark.parametrize("interval", INTERVALS)
def test_klines_of_every_interval_have_twelve_columns(client: Any, interval: str) -> None:
    rows = client.get_klines(symbol=SYMBOL, interval=interval, limit=3)

    assert rows
    assert {len(row) for row in rows} == {12}
    assert all(row[0] < row[6] for row in rows)
    assert all(float(row[3]) <= float(row[1]) <= float(row[2]) for row in rows)


def test_ui_klines_equal_klines_of_the_same_closed_minutes(client: Any) -> None:
    end = client.get_server_time()["serverTime"] // 60_000 * 60_000 - 1
    query = {"symbol": SYMBOL, "interval": "1m", "endTime": end, "limit": 3}

    assert client.get_ui_klines(**query) == client.get_klines(**query)


def test_historical_klines_page_through_a_day(client: Any) -> None:
    rows = client.get_historical_klines(SYMBOL, "1m", "1 day ago UTC")

    opens = [row[0] for row in rows]
    assert len(rows) > 1000
    assert opens == sorted(set(opens))


def test_historical_klines_are_generated_too(client: Any) -> None:
    rows = list(client.get_historical_klines_generator(SYMBOL, "5m", "6 hours ago UTC"))

    assert 60 <= len(rows) <= 73


def test_average_price_covers_five_minutes(client: Any) -> None:
    average = client.get_avg_price(symbol=SYMBOL)

    assert average["mins"] == 5
    assert float(average["price"]) > 0


@pytest.mark.parametrize(
    "method",
    [
        "get_ticker",
        "get_symbol_ticker",
        "get_symbol_ticker_window",
        "get_orderbook_ticker",
        "v3_get_ticker_trading_day",
    ],
)
def test_tickers_of_one_symbol_name_it(client: Any, method: str) -> None:
    assert getattr(client, method)(symbol=SYMBOL)["symbol"] == SYMBOL


@pytest.mark.parametrize(
    "method", ["get_ticker", "get_all_tickers", "get_orderbook_tickers", "get_symbol_ticker"]
)
def test_tickers_of_all_symbols_are_lists(client: Any, method: str) -> None:
    rows = getattr(client, method)()

    assert {row["symbol"] for row in rows} == {"BTCUSDT", "ETHUSDT"}


def test_rolling_window_of_an_hour_lies_inside_the_day(client: Any) -> None:
    hour = client.get_symbol_ticker_window(symbol=SYMBOL, windowSize="1h")
    day = client.get_ticker(symbol=SYMBOL)

    assert float(day["lowPrice"]) <= float(hour["lowPrice"])
    assert float(hour["highPrice"]) <= float(day["highPrice"])
    assert int(hour["count"]) < int(day["count"])


def test_unknown_symbol_is_error_1121(client: Any) -> None:
    with pytest.raises(BinanceAPIException) as caught:
        client.get_order_book(symbol="NOPEUSDT")

    assert (caught.value.code, caught.value.status_code) == (-1121, 400)


def test_unknown_interval_is_error_1120(client: Any) -> None:
    with pytest.raises(BinanceAPIException) as caught:
        client.get_klines(symbol=SYMBOL, interval="7m")

    assert caught.value.code == -1120


def test_microseconds_are_answered_when_asked_for(pointed: Any, identity: Any, loop: Any) -> None:
    client = pointed(Client)(identity.key, identity.secret, time_unit="MICROSECOND")

    assert client.get_server_time()["serverTime"] > 10**15
    assert client.get_recent_trades(symbol=SYMBOL, limit=1)[0]["time"] > 10**15
    client.close_connection()
