"""Public market data from REST bodies."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

import msgspec

from livespot.contracts.errors import PayloadInvalid
from livespot.contracts.market import BookTicker, Candle, DepthBook, DepthLevel, Ticker24h
from livespot.venue.wire import Wire, WireKline, WireLevel, read


class _Time(Wire, frozen=True):
    server_time: int


class _Ticker(Wire, frozen=True):
    symbol: str
    last_price: Decimal
    bid_price: Decimal
    ask_price: Decimal
    quote_volume: Decimal
    price_change_percent: Decimal
    count: int
    close_time: int


class _Depth(Wire, frozen=True):
    last_update_id: int
    bids: tuple[WireLevel, ...]
    asks: tuple[WireLevel, ...]


class _Book(Wire, frozen=True):
    symbol: str
    bid_price: Decimal
    bid_qty: Decimal
    ask_price: Decimal
    ask_qty: Decimal


_TIME = msgspec.json.Decoder(_Time)
_TICKER_ROWS = msgspec.json.Decoder(tuple[msgspec.Raw, ...])
_TICKER = msgspec.json.Decoder(_Ticker)
_KLINES = msgspec.json.Decoder(tuple[WireKline, ...])
_DEPTH = msgspec.json.Decoder(_Depth)
_BOOK = msgspec.json.Decoder(_Book)


@dataclass(frozen=True, slots=True)
class Tickers:
    """The readable rows of a bulk answer, and the number of unreadable ones."""

    rows: tuple[Ticker24h, ...]
    unreadable: int


def decode_time(body: bytes) -> int:
    """Return the server time in epoch milliseconds."""
    return read(_TIME, body, "server time").server_time


def decode_tickers(body: bytes) -> Tickers:
    """Decode the bulk 24 h answer of type FULL; a damaged row is counted and skipped."""
    rows: list[Ticker24h] = []
    raws = read(_TICKER_ROWS, body, "24 h tickers")
    for raw in raws:
        try:
            rows.append(_ticker(read(_TICKER, raw, "24 h ticker")))
        except PayloadInvalid:
            continue
    return Tickers(rows=tuple(rows), unreadable=len(raws) - len(rows))


def _ticker(wire: _Ticker) -> Ticker24h:
    amounts = (wire.last_price, wire.bid_price, wire.ask_price, wire.quote_volume)
    if not all(amount.is_finite() and amount >= 0 for amount in amounts) or not (
        wire.price_change_percent.is_finite()
    ):
        raise PayloadInvalid(f"24 h ticker of {wire.symbol!r} is insane")
    percent = wire.price_change_percent * 100
    return Ticker24h(
        symbol=wire.symbol,
        last_price=wire.last_price,
        bid=wire.bid_price,
        ask=wire.ask_price,
        quote_volume=wire.quote_volume,
        price_change_bps=int(percent.to_integral_value(rounding=ROUND_HALF_EVEN)),
        trades=wire.count,
        close_time_ms=wire.close_time,
    )


def decode_klines(body: bytes) -> tuple[Candle, ...]:
    """Decode candles, oldest first."""
    rows = read(_KLINES, body, "klines")
    return tuple(map(candle_of, rows))


def candle_of(row: WireKline) -> Candle:
    """Convert one row. Raises `PayloadInvalid` when it is not a valid candle."""
    try:
        return Candle(
            open_time_ms=row.open_time_ms,
            open=row.open,
            high=row.high,
            low=row.low,
            close=row.close,
            volume=row.volume,
        )
    except ValueError as error:
        raise PayloadInvalid(f"kline at {row.open_time_ms}: {error}") from error


def decode_depth(body: bytes, symbol: str, received_ms: int) -> DepthBook:
    """Decode an order book snapshot, either from REST or from a partial book stream."""
    depth = read(_DEPTH, body, "depth")
    return DepthBook(
        symbol=symbol,
        last_update_id=depth.last_update_id,
        bids=_levels(depth.bids, symbol),
        asks=_levels(depth.asks, symbol),
        local_received_ms=received_ms,
    )


def _levels(levels: Iterable[WireLevel], symbol: str) -> tuple[DepthLevel, ...]:
    found = tuple(DepthLevel(price=level.price, qty=level.qty) for level in levels)
    for level in found:
        if not (level.price.is_finite() and level.price > 0 and level.qty.is_finite()):
            raise PayloadInvalid(f"depth of {symbol!r} has an insane level")
    return found


def decode_book_ticker(body: bytes, received_ms: int) -> BookTicker:
    """Decode the best bid and ask.

    REST gives no update id; 0 stands for older than any event of the stream.
    """
    book = read(_BOOK, body, "book ticker")
    try:
        return BookTicker(
            symbol=book.symbol,
            update_id=0,
            bid=book.bid_price,
            bid_qty=book.bid_qty,
            ask=book.ask_price,
            ask_qty=book.ask_qty,
            local_received_ms=received_ms,
        )
    # Comparing a signalling NaN raises ArithmeticError, not ValueError.
    except (ValueError, ArithmeticError) as error:
        raise PayloadInvalid(str(error)) from error
