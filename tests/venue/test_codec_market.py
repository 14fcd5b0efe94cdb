"""Public market data and account bodies are read exactly."""

import json
from decimal import Decimal

import pytest

from livespot.contracts.errors import PayloadInvalid
from livespot.venue.codec_account import decode_account, decode_commission
from livespot.venue.codec_market import (
    decode_book_ticker,
    decode_depth,
    decode_klines,
    decode_tickers,
    decode_time,
)

_NOW = 1_700_000_000_000


def test_server_time_is_read(rest: dict[str, bytes]) -> None:
    assert decode_time(rest["time"]) == 1499827319559


def test_the_day_of_a_symbol_is_read_in_basis_points(rest: dict[str, bytes]) -> None:
    tickers = decode_tickers(rest["ticker24hr_full_array"])

    (ticker,) = tickers.rows
    assert tickers.unreadable == 0
    assert (ticker.symbol, ticker.price_change_bps, ticker.trades) == ("BNBBTC", -9596, 76)
    assert (ticker.bid, ticker.ask) == (Decimal(4), Decimal("4.000002"))
    assert ticker.quote_volume == Decimal("15.3")


@pytest.mark.parametrize("changes", [{"lastPrice": "NaN"}, {"count": "x"}, {"quoteVolume": "-1"}])
def test_a_damaged_row_is_left_out_and_counted(
    rest: dict[str, bytes], changes: dict[str, object]
) -> None:
    (row,) = json.loads(rest["ticker24hr_full_array"])

    tickers = decode_tickers(json.dumps([row, row | changes]).encode())

    assert (len(tickers.rows), tickers.unreadable) == (1, 1)


def test_klines_are_read_whatever_columns_follow(rest: dict[str, bytes]) -> None:
    (row,) = json.loads(rest["klines"])

    (candle,) = decode_klines(json.dumps([[*row, "a thirteenth column"]]).encode())

    assert candle.open_time_ms == 1499040000000
    assert (candle.high, candle.low) == (Decimal("0.8"), Decimal("0.015758"))
    assert candle.volume == Decimal("148976.11427815")


def test_a_candle_whose_low_is_above_its_open_is_refused(rest: dict[str, bytes]) -> None:
    (row,) = json.loads(rest["klines"])

    with pytest.raises(PayloadInvalid):
        decode_klines(json.dumps([[*row[:3], "0.5", *row[4:]]]).encode())


def test_depth_and_book_ticker_are_read(rest: dict[str, bytes]) -> None:
    depth = decode_depth(rest["depth"], "LTCBTC", _NOW)
    book = decode_book_ticker(rest["bookTicker"], _NOW)

    assert (depth.last_update_id, depth.bids[0].qty) == (1027024, Decimal(431))
    assert (book.symbol, book.update_id, book.bid) == ("LTCBTC", 0, Decimal(4))


def test_a_crossed_book_is_refused(rest: dict[str, bytes]) -> None:
    crossed = json.loads(rest["bookTicker"]) | {"bidPrice": "5.00000000"}

    with pytest.raises(PayloadInvalid):
        decode_book_ticker(json.dumps(crossed).encode(), _NOW)


def test_the_account_holds_only_what_is_not_empty(rest: dict[str, bytes]) -> None:
    sample = json.loads(rest["account"])
    sample["balances"].append({"asset": "币安", "free": "0.00000000", "locked": "0.00000000"})

    account = decode_account(json.dumps(sample).encode(), _NOW)

    assert set(account.balances) == {"BTC", "LTC"}
    assert account.free("BTC") == Decimal("4723846.89208129")
    assert account.can_trade


def test_commission_keeps_its_three_parts_apart(rest: dict[str, bytes]) -> None:
    rates = decode_commission(rest["account_commission"])

    assert (rates.maker, rates.special_taker, rates.tax_buyer) == (
        Decimal("0.0000001"),
        Decimal("0.02"),
        Decimal("0.00000118"),
    )
    assert (rates.discount_enabled, rates.discount_asset) == (True, "BNB")
    assert rates.discount == Decimal("0.75")
