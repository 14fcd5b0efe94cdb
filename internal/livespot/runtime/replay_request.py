"""Fits what the user wants replayed to the data: which market, from when to when."""

import difflib
from dataclasses import dataclass
from datetime import UTC, datetime

from livespot.contracts.errors import PreflightFailed
from livespot.exchange.candle import MINUTE_MS
from livespot.exchange.data_sets import DataOrder, live_from, open_market
from livespot.exchange.recorded import RecordedDataInvalid
from livespot.exchange.sources import WARM_UP_MINUTES, MarketSource

_MOST_NAMED = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """The request, in market time; None leaves a value to the data.

    Without `from_ms` the replay begins at `usual_ms`, or with the data when that lies outside it.
    Without `to_ms` and `span_ms` it lasts `usual_span_ms`, or to the end of the data.
    """

    data: str
    symbols: frozenset[str]
    seed: int
    from_ms: int | None
    to_ms: int | None
    span_ms: int | None
    usual_ms: int
    usual_span_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """An open market, and the span of it to play."""

    source: MarketSource
    start_ms: int
    span_ms: int


def planned(wish: Wish) -> Planned:
    """Open the data and fit the span into it.

    Raises:
        PreflightFailed: there is no such data or symbol, or the span lies outside the data.
    """
    source = _opened(wish)
    start_ms = wish.from_ms
    if start_ms is None:
        start_ms = wish.usual_ms if _plays(source, wish.usual_ms) else _first(source)
    if not _plays(source, start_ms):
        raise PreflightFailed(_outside(wish, source, f"cannot begin at {utc(start_ms)}"))
    return Planned(source=source, start_ms=start_ms, span_ms=_span(wish, source, start_ms))


def utc(ms: int) -> str:
    """Return an instant in the form the command line accepts, without trailing zero parts."""
    moment = datetime.fromtimestamp(ms / 1000, tz=UTC).replace(tzinfo=None)
    step = "milliseconds" if ms % 1000 else "seconds" if ms % MINUTE_MS else "minutes"
    return moment.isoformat(timespec=step)


def moment(ms: int) -> str:
    """Return an instant (UTC) for people, to the second."""
    return datetime.fromtimestamp(ms // 1000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S")


def _span(wish: Wish, source: MarketSource, start_ms: int) -> int:
    end_ms = source.end_ms
    if wish.to_ms is not None:
        asked = wish.to_ms - start_ms
    elif wish.span_ms is not None:
        asked = wish.span_ms
    else:
        left = wish.usual_span_ms if end_ms is None else end_ms - start_ms
        return min(wish.usual_span_ms, left)
    if asked <= 0:
        raise PreflightFailed(
            f"the span ends at {utc(start_ms + asked)}, not after its beginning at "
            f"{utc(start_ms)}, so nothing was replayed.\nNext: give a later --to, or --for"
        )
    if end_ms is not None and start_ms + asked > end_ms:
        raise PreflightFailed(_outside(wish, source, f"cannot go on until {utc(start_ms + asked)}"))
    return asked


def _outside(wish: Wish, source: MarketSource, what: str) -> str:
    first = utc(_first(source))
    until = f" to {utc(source.end_ms)}" if source.end_ms is not None else " on, without end"
    return (
        f"the data {wish.data!r} can be replayed from {first}{until} (UTC); this replay {what}, "
        f"so nothing was replayed.\nNext: livespot replay --data {wish.data} --from {first}"
    )


def _opened(wish: Wish) -> MarketSource:
    order = DataOrder(
        name=wish.data,
        seed=wish.seed,
        now_ms=wish.usual_ms if wish.from_ms is None else wish.from_ms,
        only=wish.symbols,
    )
    try:
        return open_market(order)
    except PreflightFailed:
        if not wish.symbols:
            raise
        # The symbols may be what is wrong; name the existing ones.
        known = open_market(_whole(order)).series
        strangers = sorted(wish.symbols - set(known))
        if not strangers:
            raise
        raise PreflightFailed(_unknown(wish.data, strangers, list(known))) from None


def _whole(order: DataOrder) -> DataOrder:
    return DataOrder(name=order.name, seed=order.seed, now_ms=order.now_ms)


def _unknown(data: str, strangers: list[str], known: list[str]) -> str:
    more = f" and {len(known) - _MOST_NAMED} more" if len(known) > _MOST_NAMED else ""
    said = []
    for stranger in strangers:
        close = difflib.get_close_matches(stranger, known, n=1)
        said.append(stranger + (f" (did you mean {close[0]}?)" if close else ""))
    return (
        f"the data {data!r} does not hold {', '.join(said)}, so nothing was replayed.\n"
        f"Next: name symbols among {', '.join(known[:_MOST_NAMED])}{more}"
    )


def _first(source: MarketSource) -> int:
    """Return the first instant a replay can begin at: it needs some data before it."""
    start_ms = -(-source.start_ms // MINUTE_MS) * MINUTE_MS
    return start_ms if _plays(source, start_ms) else start_ms + WARM_UP_MINUTES * MINUTE_MS


def _plays(source: MarketSource, at_ms: int) -> bool:
    try:
        live_from(source, at_ms)
    except RecordedDataInvalid:
        return False
    return True
