"""Payloads of the public market streams."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from livespot.exchange.event_json import decimal_text
from livespot.exchange.klines import Bar, closes_at
from livespot.exchange.model import Json, Level, PublicTrade
from livespot.exchange.tape import DAY_MS, Scale, text_e8


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One symbol's last 24 hours with the present top of its book."""

    symbol: str
    bar: Bar
    scale: Scale
    last_qty: Decimal
    bid: Level
    ask: Level
    now_ms: int

    @property
    def change(self) -> str:
        return self.scale.price(self.bar.close - self.bar.open)

    @property
    def change_percent(self) -> str:
        """Three decimals, as the exchange prints it."""
        return format(Decimal(self.bar.close - self.bar.open) * 100 / self.bar.open, ".3f")

    @property
    def mean_price(self) -> str:
        return text_e8(self.bar.quote * self.scale.tick_e8 // max(1, self.bar.volume))

    @property
    def ids(self) -> tuple[int, int]:
        """First and last trade id; history has no ids of its own, so it counts backwards."""
        return max(0, self.bar.last_id - self.bar.trades + 1), self.bar.last_id


def trade(event: PublicTrade, now_ms: int) -> Json:
    return {
        "e": "trade",
        "E": now_ms,
        "s": event.symbol,
        "t": event.trade_id,
        "p": decimal_text(event.price),
        "q": decimal_text(event.qty),
        "T": event.time_ms,
        "m": event.buyer_is_maker,
        "M": True,
    }


def agg_trade(event: PublicTrade, now_ms: int) -> Json:
    """Every trade is an aggregate of its own here."""
    return {
        "e": "aggTrade",
        "E": now_ms,
        "s": event.symbol,
        "a": event.trade_id,
        "p": decimal_text(event.price),
        "q": decimal_text(event.qty),
        "f": event.trade_id,
        "l": event.trade_id,
        "T": event.time_ms,
        "m": event.buyer_is_maker,
        "M": True,
    }


def book_ticker(symbol: str, update_id: int, bid: Level, ask: Level) -> Json:
    return {
        "u": update_id,
        "s": symbol,
        "b": decimal_text(bid[0]),
        "B": decimal_text(bid[1]),
        "a": decimal_text(ask[0]),
        "A": decimal_text(ask[1]),
    }


def levels(rows: Iterable[Level]) -> list[list[str]]:
    return [[decimal_text(price), decimal_text(qty)] for price, qty in rows]


def kline(symbol: str, interval: str, bar: Bar, scale: Scale, now_ms: int) -> Json:
    """`x` is true once the bar's last millisecond has passed."""
    close_ms = closes_at(bar.open_ms, interval)
    return {
        "e": "kline",
        "E": now_ms,
        "s": symbol,
        "k": {
            "t": bar.open_ms,
            "T": close_ms,
            "s": symbol,
            "i": interval,
            "f": bar.first_id,
            "L": bar.last_id,
            "o": scale.price(bar.open),
            "c": scale.price(bar.close),
            "h": scale.price(bar.high),
            "l": scale.price(bar.low),
            "v": scale.qty(bar.volume),
            "n": bar.trades,
            "x": now_ms > close_ms,
            "q": scale.quote(bar.quote),
            "V": scale.qty(bar.taker_base),
            "Q": scale.quote(bar.taker_quote),
            "B": "0",
        },
    }


def mini_ticker(day: Day) -> Json:
    return {
        "e": "24hrMiniTicker",
        "E": day.now_ms,
        "s": day.symbol,
        "c": day.scale.price(day.bar.close),
        "o": day.scale.price(day.bar.open),
        "h": day.scale.price(day.bar.high),
        "l": day.scale.price(day.bar.low),
        "v": day.scale.qty(day.bar.volume),
        "q": day.scale.quote(day.bar.quote),
    }


def ticker(day: Day) -> Json:
    first_id, last_id = day.ids
    return {
        "e": "24hrTicker",
        "E": day.now_ms,
        "s": day.symbol,
        "p": day.change,
        "P": day.change_percent,
        "w": day.mean_price,
        "x": day.scale.price(day.bar.open),
        "c": day.scale.price(day.bar.close),
        "Q": decimal_text(day.last_qty),
        "b": decimal_text(day.bid[0]),
        "B": decimal_text(day.bid[1]),
        "a": decimal_text(day.ask[0]),
        "A": decimal_text(day.ask[1]),
        "o": day.scale.price(day.bar.open),
        "h": day.scale.price(day.bar.high),
        "l": day.scale.price(day.bar.low),
        "v": day.scale.qty(day.bar.volume),
        "q": day.scale.quote(day.bar.quote),
        "O": day.now_ms - DAY_MS,
        "C": day.now_ms,
        "F": first_id,
        "L": last_id,
        "n": day.bar.trades,
    }


def rest_ticker(day: Day, *, full: bool) -> Json:
    """The REST form of the 24 hour ticker."""
    first_id, last_id = day.ids
    scale, bar = day.scale, day.bar
    window: Json = {
        "openPrice": scale.price(bar.open),
        "highPrice": scale.price(bar.high),
        "lowPrice": scale.price(bar.low),
        "volume": scale.qty(bar.volume),
        "quoteVolume": scale.quote(bar.quote),
        "openTime": day.now_ms - DAY_MS,
        "closeTime": day.now_ms,
        "firstId": first_id,
        "lastId": last_id,
        "count": bar.trades,
    }
    if not full:
        return {"symbol": day.symbol, "lastPrice": scale.price(bar.close), **window}
    return {
        "symbol": day.symbol,
        "priceChange": day.change,
        "priceChangePercent": day.change_percent,
        "weightedAvgPrice": day.mean_price,
        "prevClosePrice": scale.price(bar.open),
        "lastPrice": scale.price(bar.close),
        "lastQty": decimal_text(day.last_qty),
        "bidPrice": decimal_text(day.bid[0]),
        "bidQty": decimal_text(day.bid[1]),
        "askPrice": decimal_text(day.ask[0]),
        "askQty": decimal_text(day.ask[1]),
        **window,
    }


def kline_row(bar: Bar, interval: str, scale: Scale, offset_ms: int) -> list[object]:
    """One row of the REST klines answer."""
    return [
        bar.open_ms,
        scale.price(bar.open),
        scale.price(bar.high),
        scale.price(bar.low),
        scale.price(bar.close),
        scale.qty(bar.volume),
        closes_at(bar.open_ms, interval, offset_ms),
        scale.quote(bar.quote),
        bar.trades,
        scale.qty(bar.taker_base),
        scale.quote(bar.taker_quote),
        "0",
    ]


def avg_price(symbol: str, price: Decimal, last_trade_ms: int, now_ms: int) -> Json:
    return {
        "e": "avgPrice",
        "E": now_ms,
        "s": symbol,
        "i": "5m",
        "w": decimal_text(price),
        "T": last_trade_ms,
    }
