"""What a stream's name asks for."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from livespot.exchange.klines import INTERVALS

_ZONE = "@+08:00"
_ZONE_MS = 8 * 3_600_000
_WINDOWS = {"1h": 3_600_000, "4h": 4 * 3_600_000, "1d": 86_400_000}
_DEPTH = re.compile(r"depth(5|10|20)?(@100ms)?")
_FAST_MS = 100
_SECOND_MS = 1000
_KLINE_MS = 2000
_PLAIN = {
    "trade": 0,
    "aggTrade": 0,
    "bookTicker": 0,
    "miniTicker": _SECOND_MS,
    "ticker": _SECOND_MS,
    "avgPrice": _SECOND_MS,
    "referencePrice": _SECOND_MS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """A stream that speaks. `symbol` is empty for all symbols, `period_ms` zero for live ones.

    `interval` is a kline's or a rolling window's; `span_ms` is that window's length.
    """

    kind: str
    symbol: str = ""
    period_ms: int = 0
    interval: str = ""
    offset_ms: int = 0
    size: int = 0
    span_ms: int = 0


def topic_of(name: str, symbols: Collection[str]) -> Topic | None:
    """The topic, or None for a name on which nothing is ever sent.

    Names are case-sensitive and symbols in lower case; the exchange accepts any other name too.
    """
    if name.startswith("!"):
        return _market_wide(name)
    lower, _, what = name.partition("@")
    symbol = lower.upper()
    if symbol not in symbols or symbol.lower() != lower:
        return None
    if what in _PLAIN:
        return Topic(kind=what, symbol=symbol, period_ms=_PLAIN[what])
    return _kline(symbol, what) or _rolling(symbol, what) or _depth(symbol, what)


def _market_wide(name: str) -> Topic | None:
    what, _, tail = name[1:].partition("@")
    if tail != "arr":
        return None
    if what == "miniTicker":
        return Topic(kind=what, period_ms=_SECOND_MS)
    return _rolling("", what)


def _kline(symbol: str, what: str) -> Topic | None:
    kind, _, rest = what.partition("_")
    interval = rest.removesuffix(_ZONE)
    if kind != "kline" or interval not in INTERVALS:
        return None
    return Topic(
        kind=kind,
        symbol=symbol,
        period_ms=_SECOND_MS if interval == "1s" else _KLINE_MS,
        interval=interval,
        offset_ms=_ZONE_MS if rest != interval else 0,
    )


def _rolling(symbol: str, what: str) -> Topic | None:
    kind, _, window = what.partition("_")
    span_ms = _WINDOWS.get(window)
    if kind != "ticker" or span_ms is None:
        return None
    return Topic(
        kind="rolling", symbol=symbol, period_ms=_SECOND_MS, interval=window, span_ms=span_ms
    )


def _depth(symbol: str, what: str) -> Topic | None:
    match = _DEPTH.fullmatch(what)
    if match is None:
        return None
    return Topic(
        kind="partial" if match[1] else "depth",
        symbol=symbol,
        period_ms=_FAST_MS if match[2] else _SECOND_MS,
        size=int(match[1] or 0),
    )
