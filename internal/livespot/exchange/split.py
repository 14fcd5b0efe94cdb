"""Splits a wide candle into minutes that add up to exactly that candle."""

from livespot.exchange.candle import MINUTE_MS, Candle
from livespot.exchange.prng import SplitMix

_LEAST_VOLUME = 4


def split_candle(key: str, candle: Candle, parts: int) -> list[Candle]:
    """`parts` minutes: first open, highest high, lowest low, last close, volume as the candle's.

    Each opens where the one before closed. Depends on nothing but the arguments.
    """
    draw = SplitMix(f"{key}:{candle.open_ms}:split")
    edges = _edges(candle, parts, draw)
    volumes = _volumes(candle.volume, parts, draw)
    if volumes is None:
        # Too little to trade four prices in each minute: it all happens in the first.
        edges = [candle.open] + [candle.close] * parts
        volumes = [candle.volume] + [0] * (parts - 1)
    tops = [max(edges[i], edges[i + 1]) for i in range(parts)]
    bottoms = [min(edges[i], edges[i + 1]) for i in range(parts)]
    highest, lowest = tops.index(max(tops)), bottoms.index(min(bottoms))
    reach = (candle.high - candle.low) // 6 if volumes[-1] else 0
    for i in range(parts):
        tops[i] = min(candle.high, tops[i] + draw.below(reach + 1))
        bottoms[i] = max(candle.low, bottoms[i] - draw.below(reach + 1))
    tops[highest], bottoms[lowest] = candle.high, candle.low
    return [
        Candle(
            candle.open_ms + i * MINUTE_MS,
            edges[i],
            tops[i],
            bottoms[i],
            edges[i + 1],
            volumes[i],
        )
        for i in range(parts)
    ]


def _edges(candle: Candle, parts: int, draw: SplitMix) -> list[int]:
    """Open, the closes between, close: a straight line with noise, inside the candle."""
    width = candle.high - candle.low
    edges = [candle.open]
    for i in range(1, parts):
        straight = candle.open + (candle.close - candle.open) * i // parts
        noise = draw.below(width + 1) - width // 2
        edges.append(min(max(straight + noise * 2 // 3, candle.low), candle.high))
    return [*edges, candle.close]


def _volumes(volume: int, parts: int, draw: SplitMix) -> list[int] | None:
    """Uneven parts of at least four steps each, or None where there are not enough."""
    spare = volume - _LEAST_VOLUME * parts
    if spare < 0:
        return None
    weights = [1 + draw.below(1000) for _ in range(parts)]
    found = [_LEAST_VOLUME + spare * weight // sum(weights) for weight in weights]
    found[weights.index(max(weights))] += volume - sum(found)
    return found
