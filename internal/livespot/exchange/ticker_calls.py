"""Requests for the statistics of a window, the last price and the top of the book."""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from livespot.exchange.calls import Call
from livespot.exchange.candle import MINUTE_MS
from livespot.exchange.event_json import decimal_text
from livespot.exchange.klines import Bar, opens_at
from livespot.exchange.model import Json, Rejection
from livespot.exchange.read_params import invalid
from livespot.exchange.signing import missing
from livespot.exchange.tape import DAY_MS, Scale, text_e8

_MOST_SYMBOLS = 100
_WINDOW = re.compile(r"([1-9][0-9]?)([mhd])")
_SPANS = {"m": (MINUTE_MS, 59), "h": (60 * MINUTE_MS, 23), "d": (DAY_MS, 7)}
_ZONE = re.compile(r"([+-]?)([0-9]{1,2})(?::([0-5][0-9]))?")
_ZERO = decimal_text(Decimal(0))
_DAY_HEAD = (
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
)


def day(call: Call) -> Any:
    """The last 24 hours; an object for `symbol`, else an array."""
    full = _wants_full(call)
    names, single = call.symbols()
    chosen = call.in_status(names, single=single)
    rows = [_day_row(call, name, full=full) for name in chosen]
    return rows[0] if single else rows


def _day_row(call: Call, name: str, *, full: bool) -> Json:
    figures = call.core.market.day(name, call.now_ms)
    bid, ask = call.core.market.top(name)
    scale = call.core.tapes[name].scale
    bar = figures.bar if figures is not None else None
    window = _window_row(name, bar, scale, (call.now_ms - DAY_MS, call.now_ms), full=full)
    if not full:
        return window
    beside = figures.beside() if figures is not None else None
    row = window | {
        "prevClosePrice": scale.price(beside.previous_close) if beside is not None else _ZERO,
        "lastQty": decimal_text(beside.last_qty) if beside is not None else _ZERO,
        "bidPrice": decimal_text(bid[0]),
        "bidQty": decimal_text(bid[1]),
        "askPrice": decimal_text(ask[0]),
        "askQty": decimal_text(ask[1]),
    }
    # The members a day has beyond a window stand in its middle.
    head = {name: row[name] for name in _DAY_HEAD}
    return head | {name: value for name, value in row.items() if name not in head}


def rolling(call: Call) -> Any:
    """A window that ends now and opens at a whole minute; an array for `symbols`."""
    from_ms = (call.now_ms - _span_ms(call)) // MINUTE_MS * MINUTE_MS
    return _windows(call, (from_ms, call.now_ms))


def trading_day(call: Call) -> Any:
    """The running day of a time zone; an array for `symbols`."""
    from_ms = opens_at(call.now_ms, "1d", zone_ms(call))
    return _windows(call, (from_ms, from_ms + DAY_MS - 1))


def price(call: Call) -> Any:
    """Last prices; zero where nothing has traded yet."""
    names, single = call.symbols()
    rows = [
        {"symbol": name, "price": decimal_text(call.core.engine.last_price(name) or Decimal(0))}
        for name in call.in_status(names, single=single)
    ]
    return rows[0] if single else rows


def book(call: Call) -> Any:
    """Best bids and asks; zeros for an empty side."""
    names, single = call.symbols()
    rows = []
    for name in call.in_status(names, single=single):
        bid, ask = call.core.market.top(name)
        rows.append(
            {
                "symbol": name,
                "bidPrice": decimal_text(bid[0]),
                "bidQty": decimal_text(bid[1]),
                "askPrice": decimal_text(ask[0]),
                "askQty": decimal_text(ask[1]),
            }
        )
    return rows[0] if single else rows


def zone_ms(call: Call) -> int:
    """The `timeZone` as an offset from UTC, from -12:00 to +14:00."""
    text = call.params.get("timeZone")
    if text is None:
        return 0
    match = _ZONE.fullmatch(text)
    if match is None:
        raise invalid("timeZone")
    minutes = int(match[2]) * 60 + int(match[3] or 0)
    minutes = -minutes if match[1] == "-" else minutes
    if not -12 * 60 <= minutes <= 14 * 60:
        raise invalid("timeZone")
    return minutes * MINUTE_MS


def _wants_full(call: Call) -> bool:
    kind = call.params.get("type", "FULL")
    if kind not in ("FULL", "MINI"):
        raise Rejection(-1139, "Invalid ticker type.")
    return kind == "FULL"


def _span_ms(call: Call) -> int:
    match = _WINDOW.fullmatch(call.params.get("windowSize", "1d"))
    if match is None:
        raise invalid("windowSize")
    span, most = _SPANS[match[2]]
    if int(match[1]) > most:
        raise invalid("windowSize")
    return int(match[1]) * span


def _windows(call: Call, shown: tuple[int, int]) -> Any:
    """Rows of the window with these open and close times, up to the present."""
    full = _wants_full(call)
    if "symbol" not in call.params and "symbols" not in call.params:
        raise _neither()
    names, single = call.symbols(_MOST_SYMBOLS)
    rows = []
    for name in call.in_status(names, single=single):
        tape = call.core.tapes[name]
        bar = tape.window(shown[0], min(shown[1], call.now_ms))
        if bar is None and single:
            raise Rejection(
                -2016,
                "No trading window could be found for the symbol. Try ticker/24hrs instead.",
            )
        if bar is not None:
            rows.append(_window_row(name, bar, tape.scale, shown, full=full))
    return rows[0] if single else rows


def _neither() -> Rejection:
    text = "Param 'symbol' or 'symbols' must be sent, but both were empty/null!"
    return Rejection(missing("symbol").code, text)


def _window_row(
    name: str, bar: Bar | None, scale: Scale, shown: Sequence[int], *, full: bool
) -> Json:
    """One symbol's figures; all zero without a bar."""
    if bar is None:
        bar = Bar(shown[0], 0, 0, 0, 0, 0, 0, 0, 0, 0)
    # Recorded minutes have no ids of their own, so theirs are counted back from the last one.
    first_id = max(0, bar.last_id - bar.trades + 1) if bar.trades else -1
    figures: Json = {
        "openPrice": scale.price(bar.open),
        "highPrice": scale.price(bar.high),
        "lowPrice": scale.price(bar.low),
        "lastPrice": scale.price(bar.close),
        "volume": scale.qty(bar.volume),
        "quoteVolume": scale.quote(bar.quote),
        "openTime": shown[0],
        "closeTime": shown[1],
        "firstId": first_id,
        "lastId": max(bar.last_id, first_id),
        "count": bar.trades,
    }
    if not full:
        return {"symbol": name} | figures
    change = Decimal(bar.close - bar.open) * 100 / bar.open if bar.open else Decimal(0)
    mean = bar.quote * scale.tick_e8 // bar.volume if bar.volume else 0
    return {
        "symbol": name,
        "priceChange": scale.price(bar.close - bar.open),
        "priceChangePercent": format(change, ".3f"),
        "weightedAvgPrice": text_e8(mean),
    } | figures
