"""Bars of one second, made from the trades a symbol's log still holds."""

from bisect import bisect_left
from collections.abc import Callable

from livespot.exchange.candle import MINUTE_MS
from livespot.exchange.klines import SECOND_MS, Bar, flat, join, of_trade
from livespot.exchange.trade_log import TradeLog


def second_bars(
    log: TradeLog, exists: Callable[[int], bool], from_ms: int, to_ms: int
) -> list[Bar]:
    """Bars that open in a span, none before the oldest trade kept.

    A second without trades has a bar without volume, if the exchange was open in its minute.
    """
    if not log.ids:
        return []
    # The oldest second may have lost trades.
    oldest = log.times[0] // SECOND_MS * SECOND_MS + (SECOND_MS if log.dropped else 0)
    begin = max(-(-from_ms // SECOND_MS) * SECOND_MS, oldest)
    traded, close = _traded(log, begin, to_ms)
    bars: list[Bar] = []
    for open_ms in range(begin, to_ms + 1, SECOND_MS):
        bar = traded.get(open_ms)
        if bar is None:
            if close < 0 or not exists(open_ms // MINUTE_MS * MINUTE_MS):
                continue
            bar = flat(open_ms, close)
        close = bar.close
        bars.append(bar)
    return bars


def _traded(log: TradeLog, begin: int, to_ms: int) -> tuple[dict[int, Bar], int]:
    """Bars of the seconds that traded, and the last price before; -1 when there was none."""
    found: dict[int, Bar] = {}
    close = -1
    # Trades are nearly in order of time: an account's can be an instant early.
    for i in range(bisect_left(log.times, begin - MINUTE_MS), len(log.ids)):
        open_ms = log.times[i] // SECOND_MS * SECOND_MS
        if open_ms < begin:
            close = log.ticks[i]
        elif open_ms <= to_ms:
            trade = of_trade(
                open_ms, log.ticks[i], log.steps[i], log.ids[i], buyer_is_maker=bool(log.makers[i])
            )
            if open_ms in found:
                join(found[open_ms], trade)
            else:
                found[open_ms] = trade
    if close < 0:
        earlier = bisect_left(log.times, begin) - 1
        close = log.ticks[earlier] if earlier >= 0 else -1
    return found, close
