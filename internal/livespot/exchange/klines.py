"""Bars and how minutes add up to every interval the exchange offers."""

from copy import copy
from datetime import UTC, datetime

import msgspec

from livespot.exchange.candle import MINUTE_MS

SECOND_MS = 1000
_HOUR = 60 * MINUTE_MS
_DAY = 24 * _HOUR
# The epoch began on a Thursday; weekly bars open on Monday.
_WEEK_SHIFT = 3 * _DAY
INTERVALS = {
    "1s": SECOND_MS,
    "1m": MINUTE_MS,
    "3m": 3 * MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": _HOUR,
    "2h": 2 * _HOUR,
    "4h": 4 * _HOUR,
    "6h": 6 * _HOUR,
    "8h": 8 * _HOUR,
    "12h": 12 * _HOUR,
    "1d": _DAY,
    "3d": 3 * _DAY,
    "1w": 7 * _DAY,
    "1M": 31 * _DAY,
}


class Bar(msgspec.Struct, gc=False):
    """A kline in ticks and steps; `quote` counts tick times step. Mutable while it forms.

    Without a trade all prices are the close before it, and both ids are -1.
    """

    open_ms: int
    open: int
    high: int
    low: int
    close: int
    volume: int
    quote: int
    trades: int
    taker_base: int
    taker_quote: int
    first_id: int = -1
    last_id: int = -1


def opens_at(t_ms: int, interval: str, offset_ms: int = 0) -> int:
    """When the bar holding an instant opened; `offset_ms` shifts days to another time zone."""
    local = t_ms + offset_ms
    if interval == "1M":
        day = datetime.fromtimestamp(local / 1000, tz=UTC)
        month = datetime(day.year, day.month, 1, tzinfo=UTC)
        return int(month.timestamp()) * 1000 - offset_ms
    shift = _WEEK_SHIFT if interval == "1w" else 0
    span = INTERVALS[interval]
    return (local + shift) // span * span - shift - offset_ms


def closes_at(open_ms: int, interval: str, offset_ms: int = 0) -> int:
    """The last millisecond of the bar that opened then."""
    if interval != "1M":
        return open_ms + INTERVALS[interval] - 1
    day = datetime.fromtimestamp((open_ms + offset_ms) / 1000, tz=UTC)
    year, month = (day.year + 1, 1) if day.month == 12 else (day.year, day.month + 1)
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp()) * 1000 - offset_ms - 1


def flat(open_ms: int, price: int) -> Bar:
    """A bar in which nothing traded."""
    return Bar(open_ms, price, price, price, price, 0, 0, 0, 0, 0)


def of_trade(open_ms: int, ticks: int, steps: int, trade_id: int, *, buyer_is_maker: bool) -> Bar:
    """A bar of one trade."""
    taken = 0 if buyer_is_maker else steps
    quote = ticks * steps
    return Bar(
        open_ms,
        ticks,
        ticks,
        ticks,
        ticks,
        steps,
        quote,
        1,
        taken,
        taken * ticks,
        trade_id,
        trade_id,
    )


def extended(bar: Bar, later: Bar) -> Bar:
    """A bar of its own: one, extended by one that follows it."""
    total = copy(bar)
    join(total, later)
    # A trade can belong to the minute before one whose first trade has come already.
    total.last_id = max(bar.last_id, later.last_id)
    return total


def join(bar: Bar, later: Bar) -> None:
    """Extend a bar by one that follows it; one without trades adds nothing."""
    if not later.trades:
        return
    if bar.trades:
        bar.high = max(bar.high, later.high)
        bar.low = min(bar.low, later.low)
    else:
        bar.open, bar.high, bar.low = later.open, later.high, later.low
    bar.close = later.close
    bar.volume += later.volume
    bar.quote += later.quote
    bar.trades += later.trades
    bar.taker_base += later.taker_base
    bar.taker_quote += later.taker_quote
    if later.last_id >= 0:
        bar.last_id = later.last_id
        if bar.first_id < 0:
            bar.first_id = later.first_id
