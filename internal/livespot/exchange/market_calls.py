"""Public market data requests."""

import re
from typing import Any

from livespot.exchange import stream_json
from livespot.exchange.calls import Call
from livespot.exchange.event_json import decimal_text
from livespot.exchange.klines import INTERVALS, Bar, opens_at
from livespot.exchange.model import Json, PublicTrade, Rejection
from livespot.exchange.signing import missing
from livespot.exchange.tape import Tape

_KNOWN_PERMISSIONS = frozenset({"SPOT", "MARGIN", "LEVERAGED"})
_STATUSES = frozenset({"TRADING", "HALT", "BREAK", "END_OF_DAY", "CANCEL_ONLY"})
_ZONE = re.compile(r"([+-]?)(\d{1,2})(?::(\d{2}))?")
_MINUTE_MS = 60_000


def ping(_call: Call) -> Json:
    return {}


def time(call: Call) -> Json:
    return {"serverTime": call.now_ms}


def exchange_info(call: Call) -> Json:
    """Rules of the chosen symbols; `permissions` and `symbolStatus` narrow the full list."""
    wanted, _ = call.symbols()
    specs = [call.core.engine.symbol(name) for name in wanted]
    if "symbolStatus" in call.params:
        if "symbol" in call.params or "symbols" in call.params:
            raise Rejection(-1128, "Combination of optional parameters invalid.")
        status = call.params["symbolStatus"]
        if status not in _STATUSES:
            raise Rejection(-1122, "Invalid symbolStatus.")
        specs = [spec for spec in specs if spec.status == status]
    if "permissions" in call.params:
        asked = set(_permissions(call))
        specs = [s for s in specs if any(asked & set(g) for g in s.info["permissionSets"])]
    return {
        "timezone": "UTC",
        "serverTime": call.now_ms,
        "rateLimits": rate_limits(call),
        "exchangeFilters": [],
        "symbols": [dict(spec.info) | {"status": spec.status} for spec in specs],
    }


def _permissions(call: Call) -> list[str]:
    text = call.params["permissions"]
    asked = call.names("permissions") if text.startswith("[") else [text]
    if not set(asked) <= _KNOWN_PERMISSIONS:
        raise Rejection(-1130, "Data sent for parameter 'permissions' is not valid.")
    return asked


def rate_limits(call: Call) -> list[Json]:
    """The published limits; the last one depends on the face that is asked."""
    limits = call.core.settings
    last = (
        _limiter("CONNECTIONS", "MINUTE", 5, 300)
        if call.over_websocket
        else _limiter("RAW_REQUESTS", "MINUTE", 5, 300_000)
    )
    return [
        _limiter("REQUEST_WEIGHT", "MINUTE", 1, limits.request_limits.weight_per_minute),
        _limiter("ORDERS", "SECOND", 10, limits.order_limits.ten_seconds),
        _limiter("ORDERS", "DAY", 1, limits.order_limits.day),
        last,
    ]


def _limiter(kind: str, interval: str, number: int, limit: int) -> Json:
    return {
        "rateLimitType": kind,
        "interval": interval,
        "intervalNum": number,
        "limit": limit,
    }


def depth(call: Call) -> Json:
    update_id, bids, asks = call.core.engine.depth(call.symbol(), call.limit(100, 5000))
    return {
        "lastUpdateId": update_id,
        "bids": stream_json.levels(bids),
        "asks": stream_json.levels(asks),
    }


def trades(call: Call) -> list[Json]:
    tape = call.core.tapes[call.symbol()]
    return [_trade_row(trade) for trade in list(tape.trades)[-call.limit(500, 1000) :]]


def _trade_row(trade: PublicTrade) -> Json:
    return {
        "id": trade.trade_id,
        "price": decimal_text(trade.price),
        "qty": decimal_text(trade.qty),
        "quoteQty": decimal_text(trade.price * trade.qty),
        "time": trade.time_ms,
        "isBuyerMaker": trade.buyer_is_maker,
        "isBestMatch": True,
    }


def agg_trades(call: Call) -> list[Json]:
    """Aggregates still in memory: the last thousand trades."""
    tape, limit = call.core.tapes[call.symbol()], call.limit(500, 1000)
    from_id, start, end = call.whole("fromId"), call.whole("startTime"), call.whole("endTime")
    if from_id is not None and (start is not None or end is not None):
        raise Rejection(-1128, "Combination of optional parameters invalid.")
    found = [
        trade
        for trade in tape.trades
        if (from_id is None or trade.trade_id >= from_id)
        and (start is None or trade.time_ms >= start)
        and (end is None or trade.time_ms <= end)
    ]
    chosen = found[-limit:] if from_id is None and start is None else found[:limit]
    drop = ("e", "E", "s")
    rows = [stream_json.agg_trade(trade, call.now_ms) for trade in chosen]
    return [{key: value for key, value in row.items() if key not in drop} for row in rows]


def klines(call: Call) -> list[list[object]]:
    symbol, interval = call.symbol(), call.need("interval")
    if interval not in INTERVALS:
        raise Rejection(-1120, "Invalid interval.")
    tape, offset = call.core.tapes[symbol], _zone_ms(call.params.get("timeZone"))
    limit = call.limit(500, 1000)
    start, end = call.whole("startTime"), call.whole("endTime")
    last = min(call.now_ms, end) if end is not None else call.now_ms
    bars = _from(tape, interval, start, last, (limit, offset))
    return [stream_json.kline_row(bar, interval, tape.scale, offset) for bar in bars]


def _from(
    tape: Tape, interval: str, start: int | None, last: int, page: tuple[int, int]
) -> list[Bar]:
    """With a start the oldest bars from there, else the newest up to `last`."""
    limit, offset = page
    if start is not None:
        return tape.bars(interval, start, last, offset)[:limit]
    span = INTERVALS[interval]
    found: list[Bar] = []
    reach = limit
    # Outages leave holes, so a span that should hold enough bars may not.
    while len(found) < limit:
        first = opens_at(last, interval, offset) - (reach - 1) * span
        found = tape.bars(interval, first, last, offset)
        if first <= tape.series.minutes[0] * _MINUTE_MS:
            break
        reach *= 2
    return found[-limit:]


def _zone_ms(text: str | None) -> int:
    if text is None:
        return 0
    match = _ZONE.fullmatch(text)
    if match is None:
        raise missing("timeZone")
    minutes = int(match[2]) * 60 + int(match[3] or 0)
    minutes = -minutes if match[1] == "-" else minutes
    if not -12 * 60 <= minutes <= 14 * 60:
        raise missing("timeZone")
    return minutes * _MINUTE_MS


def avg_price(call: Call) -> Json:
    symbol = call.symbol()
    price = call.core.engine.average_price(symbol, call.now_ms)
    recent = call.core.tapes[symbol].trades
    return {
        "mins": 5,
        "price": decimal_text(price) if price is not None else "0.00000000",
        "closeTime": recent[-1].time_ms if recent else 0,
    }


def ticker_24h(call: Call) -> Any:
    """Object for `symbol`, array otherwise."""
    kind = call.params.get("type", "FULL")
    if kind not in ("FULL", "MINI"):
        raise Rejection(-1139, "Invalid ticker type.")
    names, single = call.symbols()
    rows = []
    for name in names:
        day = call.core.market.day(name, call.now_ms)
        if day is not None:
            rows.append(stream_json.rest_ticker(day, full=kind == "FULL"))
    return rows[0] if single and rows else rows


def ticker_price(call: Call) -> Any:
    names, single = call.symbols()
    rows = []
    for name in names:
        price = call.core.engine.last_price(name)
        if price is not None:
            rows.append({"symbol": name, "price": decimal_text(price)})
    return rows[0] if single and rows else rows


def book_ticker(call: Call) -> Any:
    names, single = call.symbols()
    rows = []
    for name in names:
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
