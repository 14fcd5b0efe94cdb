"""Fills up the book below and above its best prices."""

from decimal import Decimal

from livespot.exchange.market import Quote
from livespot.exchange.model import Level
from livespot.exchange.tape import Scale

_LEVELS = 20
_GAP_PER_MILLION = 80
_LIFE_MS = 10_000
_MASK = (1 << 64) - 1


class Ladder:
    """A quote's house levels: the best two at once, the others once somebody looks at them."""

    __slots__ = ("best_ask", "best_bid", "quote", "scale", "seed")

    def __init__(self, seed: int, quote: Quote, scale: Scale) -> None:
        tick, step = scale.tick_size, scale.step_size
        self.seed = seed
        self.quote = quote
        self.scale = scale
        self.best_bid: Level = (quote.bid * tick, quote.bid_qty * step)
        self.best_ask: Level = (quote.ask * tick, quote.ask_qty * step)

    @property
    def reach(self) -> tuple[Decimal, Decimal]:
        """No level lies below the first price or above the second."""
        quote, tick = self.quote, self.scale.tick_size
        width = _gap(quote) * _LEVELS
        return (quote.bid - width) * tick, (quote.ask + width) * tick

    def levels(self) -> tuple[list[Level], list[Level]]:
        """All of them, bids and asks, best first."""
        return ladder(self.seed, self.quote, self.scale)


def ladder(seed: int, quote: Quote, scale: Scale) -> tuple[list[Level], list[Level]]:
    """Twenty levels a side, best first.

    Deeper levels sit on a fixed price grid and keep their size for about ten seconds, so that one
    update changes few of them.
    """
    gap = _gap(quote)
    usual = max(1, (quote.bid_qty + quote.ask_qty) // 2)
    bids = [(quote.bid * scale.tick_size, quote.bid_qty * scale.step_size)]
    asks = [(quote.ask * scale.tick_size, quote.ask_qty * scale.step_size)]
    below, above = (quote.bid - 1) // gap, quote.ask // gap + 1
    for depth in range(1, _LEVELS):
        base = _bucket(usual * (10 + depth))
        for grid, side in ((below - depth + 1, bids), (above + depth - 1, asks)):
            if grid > 0:
                price = grid * gap
                steps = max(1, base * _weight(seed, price, quote.t_ms) // 10_000)
                side.append((price * scale.tick_size, steps * scale.step_size))
    return bids, asks


def _gap(quote: Quote) -> int:
    """Between two deeper levels, in ticks."""
    return max(1, quote.bid * _GAP_PER_MILLION // 1_000_000)


def _bucket(steps: int) -> int:
    """Rounded down to a power of two, so that a level's size does not flicker with the top."""
    return 1 << (steps.bit_length() - 1)


def _weight(seed: int, price: int, t_ms: int) -> int:
    """Between 500 and 1523, by price and by decade of seconds; prices change at different times."""
    mixed = (price * 0x9E3779B97F4A7C15 + seed) & _MASK
    era = (t_ms + (mixed >> 40) % _LIFE_MS) // _LIFE_MS
    mixed = ((mixed ^ era) * 0xBF58476D1CE4E5B9) & _MASK
    return 500 + (mixed >> 48) % 1024
