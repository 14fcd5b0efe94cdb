"""Stream frames become typed messages, and insane ones name their symbol."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livespot.contracts.errors import PayloadInvalid
from livespot.contracts.market import AggTrade, BookTicker, DepthBook, KlineUpdate
from livespot.contracts.streams import InsaneFrame, ServerShutdown, StreamHeartbeat
from livespot.contracts.vocabulary import Interval
from livespot.venue.frames import decode_frame, stream_of

_NOW = 1_700_000_000_000


def _framed(stream: str, payload: bytes, **changes: object) -> bytes:
    data: Any = json.loads(payload)
    if changes:
        data = data | changes
    return json.dumps({"stream": stream, "data": data}, separators=(",", ":")).encode()


def test_a_book_ticker_is_read(sockets: dict[str, bytes]) -> None:
    frame = _framed("bnbusdt@bookTicker", sockets["bookTicker"])

    assert decode_frame(frame, _NOW) == BookTicker(
        symbol="BNBUSDT",
        update_id=400900217,
        bid=Decimal("25.35190000"),
        bid_qty=Decimal("31.21000000"),
        ask=Decimal("25.36520000"),
        ask_qty=Decimal("40.66000000"),
        local_received_ms=_NOW,
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"b": "0.00000000"},
        {"b": "NaN"},
        {"a": "sNaN"},
        {"a": "Infinity"},
        {"B": "-1"},
        {"b": "26.0", "a": "25.0"},
    ],
)
def test_an_insane_book_names_its_symbol(
    sockets: dict[str, bytes], changes: dict[str, object]
) -> None:
    frame = _framed("bnbusdt@bookTicker", sockets["bookTicker"], **changes)

    with pytest.raises(InsaneFrame) as caught:
        decode_frame(frame, _NOW)

    assert caught.value.symbol == "BNBUSDT"


def test_an_aggregate_trade_carries_the_exchange_time(sockets: dict[str, bytes]) -> None:
    message = decode_frame(sockets["combined_aggTrade"], _NOW)

    assert isinstance(message, AggTrade)
    assert (message.trade_id, message.price, message.qty) == (12345, Decimal("0.001"), Decimal(100))
    assert message.exchange_time_ms == 1672515782136
    assert message.buyer_is_maker


def test_a_trade_at_no_price_is_insane(sockets: dict[str, bytes]) -> None:
    with pytest.raises(InsaneFrame):
        decode_frame(_framed("bnbbtc@aggTrade", sockets["aggTrade"], p="0"), _NOW)


def test_a_kline_says_whether_it_is_closed(sockets: dict[str, bytes]) -> None:
    # The documentation's sample has a low above its open; a real candle cannot.
    real = json.loads(sockets["kline"])["k"] | {"l": "0.0005"}

    message = decode_frame(_framed("bnbbtc@kline_1m", sockets["kline"], k=real), _NOW)

    assert isinstance(message, KlineUpdate)
    with pytest.raises(InsaneFrame):
        decode_frame(_framed("bnbbtc@kline_1m", sockets["kline"]), _NOW)
    assert (message.interval, message.closed) == (Interval.M1, False)
    assert message.candle.open_time_ms == 1672515780000
    assert (message.candle.high, message.candle.volume) == (Decimal("0.0025"), Decimal(1000))


def test_the_all_market_ticker_is_a_heartbeat(sockets: dict[str, bytes]) -> None:
    message = decode_frame(_framed("!miniTicker@arr", sockets["miniTicker_arr"]), _NOW)

    assert message == StreamHeartbeat(exchange_time_ms=1672515782136, local_received_ms=_NOW)


def test_a_partial_book_takes_its_symbol_from_the_stream(sockets: dict[str, bytes]) -> None:
    message = decode_frame(_framed("bnbbtc@depth20@100ms", sockets["depth_partial"]), _NOW)

    assert isinstance(message, DepthBook)
    assert (message.symbol, message.last_update_id) == ("BNBBTC", 160)


def test_a_shutdown_notice_is_read(sockets: dict[str, bytes]) -> None:
    message = decode_frame(sockets["serverShutdown_combined"], _NOW)

    assert message == ServerShutdown(exchange_time_ms=1770123456789, local_received_ms=_NOW)


def test_streams_of_the_future_are_passed_over(sockets: dict[str, bytes]) -> None:
    assert decode_frame(_framed("bnbbtc@fancy", sockets["aggTrade"]), _NOW) is None
    assert decode_frame(_framed("!other@arr", sockets["miniTicker_arr"]), _NOW) is None


def test_the_stream_is_found_wherever_its_name_stands(sockets: dict[str, bytes]) -> None:
    data = json.loads(sockets["bookTicker"])
    frame = json.dumps({"data": data, "stream": "bnbusdt@bookTicker"}).encode()

    assert stream_of(frame) == b"bnbusdt@bookTicker"
    assert isinstance(decode_frame(frame, _NOW), BookTicker)


@given(st.binary(max_size=200))
def test_noise_is_unreadable_and_nothing_worse(noise: bytes) -> None:
    for raw in (noise, b'{"stream":"btcusdt@bookTicker","data":' + noise):
        try:
            decode_frame(raw, _NOW)
        except PayloadInvalid:
            continue
