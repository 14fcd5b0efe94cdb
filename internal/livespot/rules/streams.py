"""Names of the market streams the runtime subscribes to."""

from collections.abc import Iterable

from livespot.contracts.vocabulary import Interval

# One frame about every second as long as anything trades: the heartbeat of a connection.
HEARTBEAT_STREAM = "!miniTicker@arr"


def streams_of(symbols: Iterable[str]) -> tuple[str, ...]:
    """Book, trades and all four candle frames of each symbol."""
    return tuple(
        f"{symbol.lower()}@{stream}"
        for symbol in symbols
        for stream in ("bookTicker", "aggTrade", *(f"kline_{frame}" for frame in Interval))
    )
