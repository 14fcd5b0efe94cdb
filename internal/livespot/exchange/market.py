"""Plays one recorded minute as quotes and trades that rebuild exactly that candle."""

from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import msgspec

from livespot.exchange.candle import MINUTE_MS, USUAL, Activity, Candle, trade_count
from livespot.exchange.prng import SplitMix
from livespot.exchange.prng_ahead import DrawnAhead

_SPREAD_BPS_X100 = 240
_ROUGHNESS = 0.35
_IMBALANCE_MEMORY = 0.90
_IMBALANCE_NOISE = 0.035
_IMBALANCE_NEUTRAL = 0.53
_IMBALANCE_LEAN = 0.13
_LEAST_IMBALANCE, _MOST_IMBALANCE = 0.15, 0.85
_LEAN_FULL_BPS = 40


class Quote(msgspec.Struct, frozen=True, gc=False):
    """The top of the book from `t_ms` on; prices in ticks, sizes in steps."""

    t_ms: int
    bid: int
    ask: int
    bid_qty: int
    ask_qty: int


class Print(msgspec.Struct, frozen=True, gc=False):
    """A public trade at the bid (`buyer_is_maker`) or at the ask."""

    t_ms: int
    price: int
    qty: int
    buyer_is_maker: bool


MarketEvent = Quote | Print


@dataclass(frozen=True, slots=True)
class Backdrop:
    """What the minutes before say: a mean close in ticks and a mean volume in steps.

    Spread and displayed sizes are per cent of the usual.
    """

    mean_close: int
    mean_volume: int
    spread_percent: int = 100
    size_percent: int = 100


@dataclass(frozen=True, slots=True)
class _Anchor:
    """The bid that a given trade of the minute must meet, and its side."""

    trade: int
    bid: int
    buys: bool


# One point of the minute's path: when, and the trade's number or `_QUIET` for a mere quote.
_Moment: TypeAlias = tuple[int, int]
_QUIET = -1


def minute_events(
    key: str, candle: Candle, backdrop: Backdrop, activity: Activity = USUAL
) -> tuple[MarketEvent, ...]:
    """Quotes and trades of one minute in time order.

    The trades' first, highest, lowest and last price are the candle's and their quantities sum
    to its volume. Each trade happens at the bid or the ask of the quote just before it. Depends on
    nothing but the arguments.
    """
    draw = DrawnAhead(f"{key}:{candle.open_ms}")
    trades = trade_count(candle, activity)
    if trades == 0:
        return ()
    spread = _spread(candle, backdrop.spread_percent, draw)
    moments = _moments(candle.open_ms, (trades, activity.quiet_quotes), draw)
    anchors = _anchors(candle, spread, trades, draw)
    bids = _bid_path(candle, spread, moments, anchors, draw)
    return _emit(candle, spread, _Minute(trades, moments, anchors, bids, backdrop), draw)


@dataclass(frozen=True, slots=True)
class _Minute:
    trades: int
    moments: tuple[_Moment, ...]
    anchors: tuple[_Anchor, ...]
    bids: tuple[int, ...]
    backdrop: Backdrop


def _spread(candle: Candle, percent: int, draw: SplitMix) -> int:
    """Two to three basis points, but never so wide that a side could not trade every price."""
    usual = candle.open * (_SPREAD_BPS_X100 + draw.below(41) - 20) * percent // 100_000_000
    return max(1, min(usual, (candle.high - candle.low) // 2))


def _moments(open_ms: int, counts: tuple[int, int], draw: SplitMix) -> tuple[_Moment, ...]:
    trades, quiet = counts
    moments = [(open_ms + t, n) for n, t in enumerate(_times(trades, draw))]
    moments += [(open_ms + t, _QUIET) for t in _times(quiet, draw)]
    # A quote at the time of a trade comes first, so that trades keep their order.
    return tuple(sorted(moments))


def _times(count: int, draw: SplitMix) -> list[int]:
    """One instant in each equal share of the minute: never silent for long, never regular."""
    return [(n * MINUTE_MS + draw.below(MINUTE_MS)) // count for n in range(count)]


def _anchors(candle: Candle, spread: int, trades: int, draw: SplitMix) -> tuple[_Anchor, ...]:
    """First and last trade at open and close; between them the extremes, in a likely order."""
    first = _meet(0, candle.open, candle, spread, draw)
    last = _meet(trades - 1, candle.close, candle, spread, draw)
    if candle.high == candle.low:
        return (first,) if trades == 1 else (first, last)
    split = 1 + draw.below(trades - 3)
    later = split + 1 + draw.below(trades - 2 - split)
    rising = candle.close >= candle.open
    low_first = rising if draw.below(4) else not rising
    low_at, high_at = (split, later) if low_first else (later, split)
    low = _Anchor(low_at, candle.low, buys=False)
    high = _Anchor(high_at, candle.high - spread, buys=True)
    middle = (low, high) if low_first else (high, low)
    return (first, *middle, last)


def _meet(trade: int, price: int, candle: Candle, spread: int, draw: SplitMix) -> _Anchor:
    """A trade at `price` whose quote keeps within the candle: a sell, or a buy where possible."""
    may_buy = price - spread >= candle.low
    may_sell = price + spread <= candle.high
    buys = may_buy and not (may_sell and draw.below(2))
    return _Anchor(trade, price - spread if buys else price, buys)


def _bid_path(
    candle: Candle,
    spread: int,
    moments: tuple[_Moment, ...],
    anchors: tuple[_Anchor, ...],
    draw: SplitMix,
) -> tuple[int, ...]:
    """Brownian bridges between the anchors, held inside the candle."""
    floor, ceiling = candle.low, max(candle.low, candle.high - spread)
    times = [t_ms for t_ms, _ in moments]
    at_trade = {trade: i for i, (_, trade) in enumerate(moments) if trade != _QUIET}
    fixed = [(at_trade[a.trade], a.bid) for a in anchors]
    bids = [fixed[0][1]] * (fixed[0][0] + 1)
    roughness = _ROUGHNESS * (ceiling - floor)
    for (start, _), (end, goal) in pairwise(fixed):
        position = float(bids[start])
        for i in range(start + 1, end):
            left = times[end] - times[i - 1]
            step = times[i] - times[i - 1]
            share = step / left if left else 1.0
            wobble = roughness * (share * (1.0 - share) * left / MINUTE_MS) ** 0.5
            position += (goal - position) * share + wobble * draw.bell()
            if position < floor:
                position = floor
            elif position > ceiling:
                position = ceiling
            bids.append(round(position))
        bids.append(goal)
    bids += [bids[-1]] * (len(moments) - len(bids))
    return tuple(bids)


def _emit(candle: Candle, spread: int, minute: _Minute, draw: SplitMix) -> tuple[MarketEvent, ...]:
    quantities = _quantities(candle.volume, minute.trades, draw)
    forced = {anchor.trade: anchor.buys for anchor in minute.anchors}
    can_buy = candle.high > candle.low
    size = max(4, minute.backdrop.mean_volume * minute.backdrop.size_percent // 4000)
    imbalance = _lean(minute.bids[0], minute.backdrop)
    events: list[MarketEvent] = []
    for (t_ms, trade), bid in zip(minute.moments, minute.bids, strict=True):
        pull = (_lean(bid, minute.backdrop) - imbalance) * (1.0 - _IMBALANCE_MEMORY)
        imbalance += pull + _IMBALANCE_NOISE * draw.bell()
        if imbalance < _LEAST_IMBALANCE:
            imbalance = _LEAST_IMBALANCE
        elif imbalance > _MOST_IMBALANCE:
            imbalance = _MOST_IMBALANCE
        around = size * (0.6 + 0.8 * draw.unit())
        bid_qty = round(around * imbalance) or 1
        ask_qty = round(around * (1.0 - imbalance)) or 1
        events.append(Quote(t_ms, bid, bid + spread, bid_qty, ask_qty))
        if trade != _QUIET:
            buys = forced.get(trade, can_buy and draw.below(2) == 1)
            price = bid + spread if buys else bid
            events.append(Print(t_ms, price, quantities[trade], not buys))
    return tuple(events)


def _lean(bid: int, backdrop: Backdrop) -> float:
    """The imbalance the book drifts to: buyers gather below the recent mean, sellers above."""
    full = max(1, backdrop.mean_close * _LEAN_FULL_BPS // 10_000)
    dip = (backdrop.mean_close - bid) / full
    return _IMBALANCE_NEUTRAL + _IMBALANCE_LEAN * (
        -1.0 if dip < -1.0 else 1.0 if dip > 1.0 else dip
    )


def _quantities(volume: int, trades: int, draw: SplitMix) -> list[int]:
    """Uneven positive parts of the volume that sum to it exactly."""
    weights = [0.02 + draw.unit() ** 3 for _ in range(trades)]
    spare = volume - trades
    total = sum(weights)
    parts = [1 + int(spare * weight / total) for weight in weights]
    parts[weights.index(max(weights))] += volume - sum(parts)
    return parts
