"""One recorded minute, in whole ticks and steps."""

from dataclasses import dataclass

MINUTE_MS = 60_000
# A quarter of a signed 64-bit column, which four prices times a volume must fit.
LARGEST = 1 << 61


@dataclass(frozen=True, slots=True)
class Candle:
    """Prices are counted in ticks, the volume in lot steps."""

    open_ms: int
    open: int
    high: int
    low: int
    close: int
    volume: int


def flaw_of(candle: Candle) -> str | None:
    """What makes a candle impossible to trade through, or None."""
    if candle.open_ms % MINUTE_MS:
        return f"open time {candle.open_ms} is not a whole minute"
    if candle.low < 1:
        return f"price {candle.low} is not positive"
    if not candle.low <= min(candle.open, candle.close):
        return f"low {candle.low} is above open or close"
    if not candle.high >= max(candle.open, candle.close):
        return f"high {candle.high} is below open or close"
    if candle.volume < 0:
        return f"volume {candle.volume} is negative"
    if candle.high * max(candle.volume, 1) >= LARGEST:
        return f"price {candle.high} times volume {candle.volume} is too large"
    # Open, high, low and close need one trade of one step each.
    if candle.high != candle.low and candle.volume < 4:
        return f"volume {candle.volume} is too small to trade open, high, low and close"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """How busily a minute is played: its trades are `least` to `least + spread - 1`."""

    least_trades: int = 60
    spread: int = 60
    quiet_quotes: int = 100


USUAL = Activity()


def trade_count(candle: Candle, activity: Activity = USUAL) -> int:
    """How many trades stand for this minute, by its time and volume; fewer when that is tiny."""
    mixed = (candle.open_ms // MINUTE_MS * 2_654_435_761 + candle.volume * 40_503) & 0xFFFFFFFF
    return min(activity.least_trades + (mixed >> 8) % activity.spread, candle.volume)
