"""Payloads of the public market streams."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from livespot.exchange.event_json import decimal_text
from livespot.exchange.klines import Bar, closes_at
from livespot.exchange.model import Json, Level, PublicTrade
from livespot.exchange.tape import DAY_MS, E8, Scale, quote_e8, text_e8
from livespot.exchange.trade_log import AggTrade


class Beside(NamedTuple):
    """What a window's full ticker tells beside its bar: the newest trade and the book's top.

    `previous_close` is the last price before the window, in ticks.
    """

    last_qty: Decimal
    bid: Level
    ask: Level
    previous_close: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One symbol's last 24 hours, or another window; `beside` is for the present only."""

    symbol: str
    bar: Bar
    scale: Scale
    now_ms: int
    beside: Callable[[], Beside]

    @property
    def content(self) -> tuple[object, ...]:
        """What makes it another one; time alone does not."""
        bar = self.bar
        prices = (bar.open, bar.high, bar.low, bar.close)
        return (*prices, bar.volume, bar.quote, bar.trades, bar.last_id)

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


def trade(event: PublicTrade, now_ms: int, unit: int = 1) -> Json:
    """`unit` is how many of the client's time units are a millisecond, here and below."""
    return {
        "e": "trade",
        "E": now_ms * unit,
        "s": event.symbol,
        "t": event.trade_id,
        "p": decimal_text(event.price),
        "q": decimal_text(event.qty),
        "T": event.time_ms * unit,
        "m": event.buyer_is_maker,
        "M": True,
    }


def agg_trade(symbol: str, aggregate: AggTrade, now_ms: int, unit: int = 1) -> str:
    """JSON text, as of book tickers and klines: an object to encode would cost twice as much."""
    maker = "true" if aggregate.buyer_is_maker else "false"
    return (
        f'{{"e":"aggTrade","E":{now_ms * unit},"s":"{symbol}","a":{aggregate.agg_id},'
        f'"p":"{decimal_text(aggregate.price)}","q":"{decimal_text(aggregate.qty)}",'
        f'"f":{aggregate.first_id},"l":{aggregate.last_id},"T":{aggregate.time_ms * unit},'
        f'"m":{maker},"M":true}}'
    )


def agg_row(aggregate: AggTrade) -> Json:
    """What an aggregate looks like without the stream's head."""
    return {
        "a": aggregate.agg_id,
        "p": decimal_text(aggregate.price),
        "q": decimal_text(aggregate.qty),
        "f": aggregate.first_id,
        "l": aggregate.last_id,
        "T": aggregate.time_ms,
        "m": aggregate.buyer_is_maker,
        "M": True,
    }


def book_ticker(symbol: str, update_id: int, bid: Level, ask: Level) -> str:
    """JSON text: what is sent most."""
    return (
        f'{{"u":{update_id},"s":"{symbol}","b":"{bid[0]:.8f}","B":"{bid[1]:.8f}",'
        f'"a":"{ask[0]:.8f}","A":"{ask[1]:.8f}"}}'
    )


def depth_update(
    symbol: str,
    span: tuple[int, int],
    sides: tuple[Iterable[Level], Iterable[Level]],
    event_time: int,
) -> Json:
    """`span` holds the first and last update id."""
    return {
        "e": "depthUpdate",
        "E": event_time,
        "s": symbol,
        "U": span[0],
        "u": span[1],
        "b": levels(sides[0]),
        "a": levels(sides[1]),
    }


def partial_depth(update_id: int, bids: Iterable[Level], asks: Iterable[Level]) -> Json:
    return {"lastUpdateId": update_id, "bids": levels(bids), "asks": levels(asks)}


def levels(rows: Iterable[Level]) -> list[list[str]]:
    return [[decimal_text(price), decimal_text(qty)] for price, qty in rows]


def kline(head: tuple[str, str, int], bar: Bar, scale: Scale, now_ms: int, unit: int = 1) -> str:
    """JSON text. `head` is symbol, interval and the time zone's offset.

    `x` is true once the bar's last millisecond has passed.
    """
    symbol, interval, offset_ms = head
    close_ms = closes_at(bar.open_ms, interval, offset_ms)
    is_over = "true" if now_ms > close_ms else "false"
    return (
        f'{{"e":"kline","E":{now_ms * unit},"s":"{symbol}","k":{{"t":{bar.open_ms * unit},'
        f'"T":{(close_ms + 1) * unit - 1},"s":"{symbol}","i":"{interval}","f":{bar.first_id},'
        f'"L":{bar.last_id},"o":"{scale.price(bar.open)}","c":"{scale.price(bar.close)}",'
        f'"h":"{scale.price(bar.high)}","l":"{scale.price(bar.low)}","v":"{scale.qty(bar.volume)}",'
        f'"n":{bar.trades},"x":{is_over},"q":"{scale.quote(bar.quote)}",'
        f'"V":"{scale.qty(bar.taker_base)}","Q":"{scale.quote(bar.taker_quote)}","B":"0"}}}}'
    )


def mini_ticker(day: Day, unit: int = 1) -> Json:
    return {
        "e": "24hrMiniTicker",
        "E": day.now_ms * unit,
        "s": day.symbol,
        "c": day.scale.price(day.bar.close),
        "o": day.scale.price(day.bar.open),
        "h": day.scale.price(day.bar.high),
        "l": day.scale.price(day.bar.low),
        "v": day.scale.qty(day.bar.volume),
        "q": day.scale.quote(day.bar.quote),
    }


def ticker(day: Day, unit: int = 1) -> Json:
    first_id, last_id = day.ids
    last_qty, bid, ask, previous_close = day.beside()
    return {
        "e": "24hrTicker",
        "E": day.now_ms * unit,
        "s": day.symbol,
        "p": day.change,
        "P": day.change_percent,
        "w": day.mean_price,
        "x": day.scale.price(previous_close),
        "c": day.scale.price(day.bar.close),
        "Q": decimal_text(last_qty),
        "b": decimal_text(bid[0]),
        "B": decimal_text(bid[1]),
        "a": decimal_text(ask[0]),
        "A": decimal_text(ask[1]),
        "o": day.scale.price(day.bar.open),
        "h": day.scale.price(day.bar.high),
        "l": day.scale.price(day.bar.low),
        "v": day.scale.qty(day.bar.volume),
        "q": day.scale.quote(day.bar.quote),
        "O": (day.now_ms - DAY_MS) * unit,
        "C": day.now_ms * unit,
        "F": first_id,
        "L": last_id,
        "n": day.bar.trades,
    }


def rolling_ticker(window: str, day: Day, unit: int = 1) -> Json:
    """A window of another length; it opens at a whole minute, so it is up to a minute longer."""
    first_id, last_id = day.ids
    scale, bar = day.scale, day.bar
    return {
        "e": f"{window}Ticker",
        "E": day.now_ms * unit,
        "s": day.symbol,
        "p": day.change,
        "P": day.change_percent,
        "o": scale.price(bar.open),
        "h": scale.price(bar.high),
        "l": scale.price(bar.low),
        "c": scale.price(bar.close),
        "w": day.mean_price,
        "v": scale.qty(bar.volume),
        "q": scale.quote(bar.quote),
        "O": bar.open_ms * unit,
        "C": day.now_ms * unit,
        "F": first_id,
        "L": last_id,
        "n": bar.trades,
    }


# Amounts come in two: what stands before the point, and the eight digits behind it.
_AMOUNT = '"%d.%08d"'
_KLINE_ROW = (
    f"[%d,{_AMOUNT},{_AMOUNT},{_AMOUNT},{_AMOUNT},{_AMOUNT},%d,{_AMOUNT},%d,{_AMOUNT},{_AMOUNT},"
    '"0"]'
)


def kline_row(bar: Bar, interval: str, scale: Scale, offset_ms: int, unit: int = 1) -> str:
    """JSON text of one row of the REST klines answer: a page has up to a thousand."""
    tick_e8, step_e8 = scale.tick_e8, scale.step_e8
    close_ms = closes_at(bar.open_ms, interval, offset_ms)
    return _KLINE_ROW % (
        bar.open_ms * unit,
        *divmod(bar.open * tick_e8, E8),
        *divmod(bar.high * tick_e8, E8),
        *divmod(bar.low * tick_e8, E8),
        *divmod(bar.close * tick_e8, E8),
        *divmod(bar.volume * step_e8, E8),
        (close_ms + 1) * unit - 1,
        *divmod(quote_e8(bar.quote, tick_e8, step_e8), E8),
        bar.trades,
        *divmod(bar.taker_base * step_e8, E8),
        *divmod(quote_e8(bar.taker_quote, tick_e8, step_e8), E8),
    )


def avg_price(symbol: str, price: Decimal, last_trade_ms: int, now_ms: int, unit: int = 1) -> Json:
    return {
        "e": "avgPrice",
        "E": now_ms * unit,
        "s": symbol,
        "i": "5m",
        "w": decimal_text(price),
        "T": last_trade_ms * unit,
    }


def reference_price(symbol: str, price: Decimal | None, set_ms: int, unit: int = 1) -> Json:
    return {
        "e": "referencePrice",
        "s": symbol,
        "r": None if price is None else decimal_text(price),
        "t": set_ms * unit,
    }
