"""Markets and public data as ccxt derives them."""

import time
from typing import Any

import ccxt
import pytest

SYMBOL = "BTC/USDT"
TIMEFRAMES = sorted(ccxt.binance().timeframes)


def test_markets_are_derived_from_the_filters(exchange: Any) -> None:
    markets = exchange.load_markets()

    assert set(markets) == {"BTC/USDT", "ETH/USDT"}
    market = markets[SYMBOL]
    assert market["active"]
    assert market["spot"]
    assert market["precision"] == {"amount": 1e-06, "price": 0.01, "base": 1e-08, "quote": 1e-08}
    assert market["limits"]["amount"] == {"min": 1e-06, "max": 9000.0}
    assert market["limits"]["price"] == {"min": 0.01, "max": 1_000_000.0}
    assert market["limits"]["cost"] == {"min": 10.0, "max": 9_000_000.0}


def test_amounts_and_prices_are_cut_to_the_grid(exchange: Any) -> None:
    exchange.load_markets()

    assert exchange.amount_to_precision(SYMBOL, 0.0123456789) == "0.012345"
    assert exchange.price_to_precision(SYMBOL, 50_000.127) == "50000.13"


def test_server_time_is_the_machines_time(exchange: Any) -> None:
    assert abs(exchange.fetch_time() - time.time() * 1000) < 2000


def test_clock_difference_is_measured(exchange: Any) -> None:
    assert abs(exchange.load_time_difference()) < 2000


@pytest.mark.parametrize("limit", [5, 100, 500, 1000])
def test_order_book_is_uncrossed(exchange: Any, limit: int) -> None:
    book = exchange.fetch_order_book(SYMBOL, limit)

    assert book["bids"][0][0] < book["asks"][0][0]
    assert len(book["bids"]) <= limit
    assert book["nonce"] > 0


@pytest.mark.parametrize("path", ["aggTrades", "trades", "historicalTrades"])
def test_trades_are_parsed_from_every_source(exchange: Any, path: str) -> None:
    market = exchange.load_markets()[SYMBOL]
    rows = exchange.request(path, "public", "GET", {"symbol": "BTCUSDT", "limit": 4})

    trades = exchange.parse_trades(rows, market)

    assert len(trades) == 4
    assert [trade["timestamp"] for trade in trades] == sorted(t["timestamp"] for t in trades)
    assert all(trade["side"] in ("buy", "sell") and trade["cost"] > 0 for trade in trades)


def test_trades_are_read_since_a_time(exchange: Any) -> None:
    since = exchange.milliseconds() - 120_000

    trades = exchange.fetch_trades(SYMBOL, since=since, limit=10)

    assert trades
    assert trades[0]["timestamp"] >= since


@pytest.mark.parametrize("timeframe", TIMEFRAMES)
def test_candles_of_every_timeframe_are_consistent(exchange: Any, timeframe: str) -> None:
    candles = exchange.fetch_ohlcv(SYMBOL, timeframe, limit=3)

    assert candles
    for _, open_, high, low, close, volume in candles:
        assert low <= min(open_, close) <= max(open_, close) <= high
        assert volume >= 0


def test_candles_since_a_time_begin_there(exchange: Any) -> None:
    since = exchange.milliseconds() // 60_000 * 60_000 - 3_600_000

    candles = exchange.fetch_ohlcv(SYMBOL, "1m", since=since, limit=10)

    assert [candle[0] for candle in candles] == [since + n * 60_000 for n in range(10)]


def test_ticker_of_the_day_is_consistent(exchange: Any) -> None:
    ticker = exchange.fetch_ticker(SYMBOL)

    assert ticker["low"] <= ticker["last"] <= ticker["high"]
    assert ticker["bid"] < ticker["ask"]
    assert ticker["change"] == pytest.approx(ticker["last"] - ticker["open"], abs=0.01)
    assert ticker["low"] <= ticker["vwap"] <= ticker["high"]


@pytest.mark.parametrize("method", ["fetch_tickers", "fetch_bids_asks", "fetch_last_prices"])
def test_tables_hold_every_market(exchange: Any, method: str) -> None:
    assert set(getattr(exchange, method)()) == {"BTC/USDT", "ETH/USDT"}


@pytest.mark.parametrize("method", ["fetch_tickers", "fetch_bids_asks"])
def test_tables_can_be_narrowed_to_symbols(exchange: Any, method: str) -> None:
    assert set(getattr(exchange, method)([SYMBOL])) == {SYMBOL}


@pytest.mark.parametrize(
    "path", ["ticker", "ticker/tradingDay", "ticker/24hr", "ticker/price", "avgPrice"]
)
def test_raw_calls_answer_too(exchange: Any, path: str) -> None:
    answer = exchange.request(path, "public", "GET", {"symbol": "BTCUSDT"})

    assert answer.get("symbol", "BTCUSDT") == "BTCUSDT"


def test_market_that_does_not_exist_is_a_bad_symbol(exchange: Any) -> None:
    with pytest.raises(ccxt.BadSymbol, match="-1121"):
        exchange.public_get_depth({"symbol": "NOPEUSDT"})


def test_weight_used_is_stated_in_the_headers(exchange: Any) -> None:
    exchange.fetch_time()

    headers = {name.lower(): text for name, text in exchange.last_response_headers.items()}
    assert int(headers["x-mbx-used-weight-1m"]) > 0
