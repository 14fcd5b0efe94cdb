"""Public market data requests: symbols, books, trades, bars and reference prices."""

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from livespot.exchange import stream_json
from livespot.exchange.calls import Call
from livespot.exchange.event_json import decimal_text
from livespot.exchange.klines import INTERVALS, Bar, opens_at
from livespot.exchange.model import Json, PublicTrade, Rejection, SymbolSpec
from livespot.exchange.read_params import flag, invalid
from livespot.exchange.sliced_history import in_slices
from livespot.exchange.synthetic import SyntheticSeries
from livespot.exchange.tape import Span, Tape
from livespot.exchange.ticker_calls import zone_ms

_PERMISSION = re.compile(r"SPOT|MARGIN|LEVERAGED|TRD_GRP_[0-9]{3}")
_USUAL_PERMISSIONS = frozenset({"SPOT", "MARGIN", "LEVERAGED"})
_MOST_SYMBOLS = 100
_MINUTE_MS = 60_000
# One number for whatever reckons the reference price outside of the matching engine.
_CALCULATION_ID = 1
# A shorter page is worked out before anybody notices.
_LONG_PAGE_MS = 24 * 3_600_000


def ping(_call: Call) -> Json:
    return {}


def time(call: Call) -> Json:
    return {"serverTime": call.now_ms}


def exchange_info(call: Call) -> Json:
    """Rules of the chosen symbols; `permissions` and `symbolStatus` narrow the full list."""
    shows_sets = flag(call.params, "showPermissionSets", default=True)
    return {
        "timezone": "UTC",
        "serverTime": call.now_ms,
        "rateLimits": rate_limits(call),
        "exchangeFilters": call.core.engine.exchange_filters(),
        "symbols": [_symbol_row(spec, shows_sets=shows_sets) for spec in _chosen(call)],
    }


def _symbol_row(spec: SymbolSpec, *, shows_sets: bool) -> Json:
    row = dict(spec.info) | {"status": spec.status, "permissions": []}
    if not shows_sets:
        row["permissionSets"] = []
    return row


def _chosen(call: Call) -> Iterable[SymbolSpec]:
    names, _ = call.symbols(_MOST_SYMBOLS)
    specs = [call.core.engine.symbol(name) for name in names]
    named = "symbol" in call.params or "symbols" in call.params
    status = call.status()
    if named and (status is not None or "permissions" in call.params):
        raise Rejection(-1128, "Combination of optional parameters invalid.")
    if named:
        return specs
    asked = _permissions(call)
    return [
        spec
        for spec in specs
        if status in (None, spec.status)
        and any(asked & set(group) for group in spec.info["permissionSets"])
    ]


def _permissions(call: Call) -> frozenset[str]:
    text = call.params.get("permissions")
    if text is None:
        return _USUAL_PERMISSIONS
    asked = call.names("permissions") if text.startswith("[") else [text]
    if any(_PERMISSION.fullmatch(one) is None for one in asked):
        raise invalid("permissions")
    return frozenset(asked)


def rate_limits(call: Call) -> list[Json]:
    """The published limits; the last one depends on the face that is asked."""
    limits, orders = call.core.settings.request_limits, call.core.settings.order_limits
    last = (
        _limiter("CONNECTIONS", "MINUTE", 5, limits.connections)
        if call.over_websocket
        else _limiter("RAW_REQUESTS", "MINUTE", 5, limits.raw_requests)
    )
    return [
        _limiter("REQUEST_WEIGHT", "MINUTE", 1, limits.weight_per_minute),
        _limiter("ORDERS", "SECOND", 10, orders.ten_seconds),
        _limiter("ORDERS", "DAY", 1, orders.day),
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
    symbol, limit = call.symbol(), call.limit(100, 5000)
    call.in_status([symbol], single=True)
    update_id, bids, asks = call.core.engine.depth(symbol, limit)
    return {
        "lastUpdateId": update_id,
        "bids": stream_json.levels(bids),
        "asks": stream_json.levels(asks),
    }


def trades(call: Call) -> list[Json]:
    """The newest trades."""
    tape, limit = call.core.tapes[call.symbol()], call.limit(500, 1000)
    return [_trade_row(trade) for trade in tape.trades[-limit:]]


def old_trades(call: Call) -> list[Json]:
    """Trades from an id on, as far back as they are kept; the newest ones without an id."""
    first = call.whole("fromId")
    if first is None:
        return trades(call)
    tape, limit = call.core.tapes[call.symbol()], call.limit(500, 1000)
    return [_trade_row(trade) for trade in tape.trades.from_id(first, limit)]


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
    """What taker orders traded at one price each, as far back as trades are kept."""
    tape, limit = call.core.tapes[call.symbol()], call.limit(500, 1000)
    from_id, start, end = call.whole("fromId"), call.whole("startTime"), call.whole("endTime")
    if from_id is not None and (start is not None or end is not None):
        raise Rejection(-1128, "Combination of optional parameters invalid.")
    found = tape.trades.aggregates(from_id=from_id, start_ms=start, end_ms=end, limit=limit)
    return [stream_json.agg_row(aggregate) for aggregate in found]


def klines(call: Call) -> msgspec.Raw:
    """Bars in the caller's time unit; open times are whole, a close time is the last instant."""
    symbol, interval = call.symbol(), call.need("interval")
    if interval not in INTERVALS:
        raise Rejection(-1120, "Invalid interval.")
    tape, offset = call.core.tapes[symbol], zone_ms(call)
    limit, span = call.limit(500, 1000), _asked_span(call)
    found = _page(tape, interval, span, (limit, offset))
    return call.core.kline_texts.page(tape, interval, found, offset, 1000 if call.micros else 1)


async def work_ahead(call: Call) -> None:
    """Work out the made-up history a request for bars needs, a little at a time.

    Whoever answers the request then finds it done. A request that will be refused needs none.
    """
    try:
        symbol, interval = call.symbol(), call.need("interval")
        (start, last), offset = _asked_span(call), zone_ms(call)
        reach = call.limit(500, 1000) * INTERVALS.get(interval, 0)
    except Rejection:
        return
    tape = call.core.tapes[symbol]
    if reach >= _LONG_PAGE_MS and isinstance(tape.series, SyntheticSeries):
        first = last - reach if start is None else max(start, _begin_ms(tape, interval))
        until = last if start is None else min(last, first + reach)
        await in_slices(tape.series, tape.spans(interval, first, until, offset), tape.keep)


def _asked_span(call: Call) -> tuple[int | None, int]:
    start, end = call.whole("startTime"), call.whole("endTime")
    return start, min(call.now_ms, end) if end is not None else call.now_ms


def _page(
    tape: Tape, interval: str, span: tuple[int | None, int], page: tuple[int, int]
) -> list[Span | Bar]:
    """With a start the oldest bars from there, else the newest up to the end."""
    start, last = span
    limit, offset = page
    if start is not None:
        return _onwards(tape, interval, (start, last), page)
    width = INTERVALS[interval]
    found: list[Span | Bar] = []
    reach = limit
    # Outages leave holes, so a span that should hold enough bars may not.
    while len(found) < limit:
        first = opens_at(last, interval, offset) - (reach - 1) * width
        found = _parts(tape, interval, (first, last), offset)
        if first <= _begin_ms(tape, interval):
            break
        reach *= 2
    return found[-limit:]


def _onwards(
    tape: Tape, interval: str, span: tuple[int, int], page: tuple[int, int]
) -> list[Span | Bar]:
    limit, offset = page
    start, last = max(span[0], _begin_ms(tape, interval)), span[1]
    found: list[Span | Bar] = []
    reach = limit
    while len(found) < limit:
        until = min(last, start + reach * INTERVALS[interval])
        found = _parts(tape, interval, (start, until), offset) if start <= until else []
        if until == last:
            break
        reach *= 2
    return found[:limit]


def _parts(tape: Tape, interval: str, span: tuple[int, int], offset_ms: int) -> list[Span | Bar]:
    """Bars as `Tape.bars` gives them; those of the record only by their span."""
    spans, bars = tape.parts(interval, *span, offset_ms)
    return [*spans, *bars]


def _begin_ms(tape: Tape, interval: str) -> int:
    """Before this instant a tape has no bars; those of one second only as long as their trades."""
    if interval == "1s":
        return tape.trades.times[0] if tape.trades else tape.live_from_ms
    return tape.series.minutes[0] * _MINUTE_MS


def avg_price(call: Call) -> Json:
    """The last five minutes; without trades in them the last price."""
    symbol = call.symbol()
    price = call.core.engine.average_price(symbol, call.now_ms)
    recent = call.core.tapes[symbol].trades
    return {
        "mins": 5,
        "price": decimal_text(price) if price is not None else "0.00000000",
        "closeTime": recent[-1].time_ms if recent else 0,
    }


def execution_rules(call: Call) -> Json:
    """The rules of the chosen symbols that have any."""
    if "symbolStatus" in call.params and ("symbol" in call.params or "symbols" in call.params):
        raise Rejection(-1128, "Combination of optional parameters invalid.")
    names, single = call.symbols()
    rows = [
        {"symbol": name, "rules": call.core.engine.execution_rules(name)}
        for name in call.in_status(names, single=single)
    ]
    return {"symbolRules": [row for row in rows if row["rules"]]}


def reference_price(call: Call) -> Json:
    """The reference price, null while there is none; -2043 when there never was one."""
    symbol = call.symbol()
    price, set_ms = _reference(call, symbol)
    text = None if price is None else decimal_text(price)
    return {"symbol": symbol, "referencePrice": text, "timestamp": set_ms}


def reference_calculation(call: Call) -> Json:
    """How the reference price comes about: from outside the matching engine."""
    symbol = call.symbol()
    call.in_status([symbol], single=True)
    _reference(call, symbol)
    return {
        "symbol": symbol,
        "calculationType": "EXTERNAL",
        "externalCalculationId": _CALCULATION_ID,
    }


def _reference(call: Call, symbol: str) -> tuple[Any, int]:
    found = call.core.engine.reference_price(symbol)
    if found is None:
        raise Rejection(-2043, "This symbol doesn't have a reference price.")
    return found
