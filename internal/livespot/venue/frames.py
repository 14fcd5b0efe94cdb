"""Decodes the frames of a combined market connection, each exactly once, as typed messages."""

from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from typing import Any, Generic, TypeVar

import msgspec

from livespot.contracts.errors import PayloadInvalid
from livespot.contracts.market import AggTrade, BookTicker, DepthBook, KlineUpdate
from livespot.contracts.streams import InsaneFrame, MarketMessage, ServerShutdown, StreamHeartbeat
from livespot.contracts.vocabulary import Interval
from livespot.venue.codec_market import candle_of, decode_depth
from livespot.venue.wire import WireKline, read

T = TypeVar("T")

HEARTBEAT_STREAM = "!miniTicker@arr"
_HEAD = b'{"stream":"'
_INTERVALS = {interval.value: interval for interval in Interval}


class _Wrapped(msgspec.Struct, Generic[T], frozen=True, gc=False):
    data: T


class _Book(msgspec.Struct, frozen=True, gc=False):
    u: int
    s: str
    b: Decimal
    B: Decimal
    a: Decimal
    A: Decimal


class _AggTrade(msgspec.Struct, frozen=True, gc=False):
    s: str
    a: int
    p: Decimal
    q: Decimal
    T: int
    m: bool


class _Kline(msgspec.Struct, frozen=True, gc=False):
    t: int
    i: str
    o: Decimal
    c: Decimal
    h: Decimal
    l: Decimal  # noqa: E741  wire name
    v: Decimal
    x: bool


class _KlineEvent(msgspec.Struct, frozen=True, gc=False):
    s: str
    E: int
    k: _Kline


class _Stamp(msgspec.Struct, frozen=True, gc=False):
    E: int = 0


class _Name(msgspec.Struct, frozen=True):
    stream: str = ""


_BOOK = msgspec.json.Decoder(_Wrapped[_Book])
_AGG_TRADE = msgspec.json.Decoder(_Wrapped[_AggTrade])
_KLINE = msgspec.json.Decoder(_Wrapped[_KlineEvent])
_STAMPS = msgspec.json.Decoder(_Wrapped[tuple[_Stamp, ...]])
_STAMP = msgspec.json.Decoder(_Wrapped[_Stamp])
_RAW = msgspec.json.Decoder(_Wrapped[msgspec.Raw])
_NAME = msgspec.json.Decoder(_Name)


def decode_frame(raw: bytes, received_ms: int) -> MarketMessage | None:
    """Decode one data frame; None for a stream that this version does not read.

    Raises:
        InsaneFrame: its numbers are impossible.
        PayloadInvalid: it does not have the form of its stream.
    """
    name = stream_of(raw)
    if name.endswith(b"@bookTicker"):
        return _book(raw, received_ms)
    decode = _decoder_of(name)
    return decode(raw, received_ms) if decode is not None else None


def stream_of(raw: bytes) -> bytes:
    """Cut the stream's name out of a frame without decoding the frame."""
    if raw.startswith(_HEAD):
        end = raw.find(b'"', len(_HEAD))
        if end > 0:
            return raw[len(_HEAD) : end]
    return read(_NAME, raw, "frame").stream.encode()


def book_stream(symbol: str) -> str:
    return f"{symbol.lower()}@bookTicker"


def trade_stream(symbol: str) -> str:
    return f"{symbol.lower()}@aggTrade"


def kline_stream(symbol: str, interval: Interval) -> str:
    return f"{symbol.lower()}@kline_{interval.value}"


def _book(raw: bytes, received_ms: int) -> BookTicker:
    # Hot path: one typed decode and one construction. Calling `read` would cost a call per frame.
    try:
        book = _BOOK.decode(raw).data
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PayloadInvalid(f"unreadable book ticker: {error}") from error
    try:
        return BookTicker(
            symbol=book.s,
            update_id=book.u,
            bid=book.b,
            bid_qty=book.B,
            ask=book.a,
            ask_qty=book.A,
            local_received_ms=received_ms,
        )
    # Comparing a signalling NaN raises ArithmeticError, not ValueError.
    except (ValueError, ArithmeticError) as error:
        raise InsaneFrame(book.s, str(error)) from error


def _agg_trade(raw: bytes, received_ms: int) -> AggTrade:
    trade = read(_AGG_TRADE, raw, "aggregate trade").data
    for amount in (trade.p, trade.q):
        if not (amount.is_finite() and amount > 0):
            raise InsaneFrame(trade.s, f"trade of {trade.q} at {trade.p}")
    return AggTrade(
        symbol=trade.s,
        trade_id=trade.a,
        price=trade.p,
        qty=trade.q,
        buyer_is_maker=trade.m,
        exchange_time_ms=trade.T,
        local_received_ms=received_ms,
    )


def _kline(raw: bytes, received_ms: int) -> KlineUpdate | None:
    event = read(_KLINE, raw, "kline").data
    kline = event.k
    interval = _INTERVALS.get(kline.i)
    if interval is None:
        return None
    row = WireKline(kline.t, kline.o, kline.h, kline.l, kline.c, kline.v)
    try:
        candle = candle_of(row)
    except PayloadInvalid as error:
        raise InsaneFrame(event.s, str(error)) from error
    return KlineUpdate(
        symbol=event.s,
        interval=interval,
        candle=candle,
        closed=kline.x,
        exchange_time_ms=event.E,
        local_received_ms=received_ms,
    )


def _partial_book(raw: bytes, received_ms: int) -> DepthBook:
    # The payload of this stream does not contain the symbol; the stream's name does.
    symbol = stream_of(raw).partition(b"@")[0].decode().upper()
    book = read(_RAW, raw, "partial book").data
    try:
        return decode_depth(book, symbol, received_ms)
    except PayloadInvalid as error:
        raise InsaneFrame(symbol, str(error)) from error


def _heartbeat(raw: bytes, received_ms: int) -> StreamHeartbeat:
    stamps = read(_STAMPS, raw, "all-market ticker").data
    return StreamHeartbeat(
        exchange_time_ms=max((stamp.E for stamp in stamps), default=0),
        local_received_ms=received_ms,
    )


def _shutdown(raw: bytes, received_ms: int) -> ServerShutdown:
    stamp = read(_STAMP, raw, "shutdown notice").data
    return ServerShutdown(exchange_time_ms=stamp.E, local_received_ms=received_ms)


_Decode = Callable[[bytes, int], Any]
_WHOLE: dict[bytes, _Decode] = {
    HEARTBEAT_STREAM.encode(): _heartbeat,
    b"!serverShutdown": _shutdown,
}
_PARTIAL_DEPTHS = (b"depth5", b"depth10", b"depth20")
# Bounded by the number of streams a connection may carry, so that bogus names cannot use up memory.
_MOST_NAMES = 1024


@lru_cache(maxsize=_MOST_NAMES)
def _decoder_of(name: bytes) -> _Decode | None:
    whole = _WHOLE.get(name)
    if whole is not None:
        return whole
    kind = name.split(b"@")[1] if b"@" in name else b""
    if kind == b"aggTrade":
        return _agg_trade
    if kind.startswith(b"kline_"):
        return _kline
    return _partial_book if kind in _PARTIAL_DEPTHS else None
