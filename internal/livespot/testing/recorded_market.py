"""The packaged candles as the runtime would know a symbol at one past instant."""

from decimal import Decimal

from livespot.contracts.market import Candle, KlineHistory, Rejection, Snapshot
from livespot.contracts.settings import Settings
from livespot.contracts.vocabulary import Interval
from livespot.rules.costs import fees_of
from livespot.rules.snapshot import SnapshotContext, build_snapshot
from livespot.rules.symbol_window import SymbolWindow
from livespot.rules.thresholds import config_hash, thresholds_hash
from livespot.testing.market_values import (
    a_book,
    a_day,
    a_symbol,
    in_frames,
    recorded_minutes,
    some_constraints,
)

_SETTINGS = Settings()


def window_of(symbol: str, minutes: tuple[Candle, ...], now_ms: int) -> SymbolWindow:
    """The state of a symbol attached just now, with a full minute of a two-bps book."""
    last = minutes[-1].close
    window = SymbolWindow(
        symbol=symbol,
        info=a_symbol(symbol, constraints=some_constraints(tick_size=Decimal("0.0001"))),
        ticker=a_day(symbol, close_time_ms=now_ms),
        fees=fees_of(None, _SETTINGS.venue, discount_usable=False),
        exchange_time_ms=now_ms,
        local_received_ms=now_ms,
    )
    for interval in Interval:
        window.take_history(
            KlineHistory(
                symbol=symbol,
                interval=interval,
                candles=in_frames(minutes, interval, now_ms)[-1000:],
            )
        )
    half = last * Decimal("0.0001")
    for update_id in range(1, 121):
        window.take_book(
            a_book(update_id, symbol, bid=last - half, ask=last + half, local_received_ms=now_ms)
        )
        window.sample()
    return window


def snapshot_at(symbol: str, now_ms: int) -> Snapshot:
    """The symbol's snapshot of that instant, under default settings."""
    minutes = tuple(m for m in recorded_minutes(symbol) if m.open_time_ms + 60_000 <= now_ms)
    return snapshot_of(symbol, minutes, now_ms)


def snapshot_of(symbol: str, minutes: tuple[Candle, ...], now_ms: int) -> Snapshot:
    """The snapshot these minutes make; raises `ValueError` when they make none."""
    context = SnapshotContext(
        settings=_SETTINGS,
        config_hash=config_hash(_SETTINGS),
        thresholds_hash=thresholds_hash(_SETTINGS),
        now_ms=now_ms,
        ws_ok=True,
    )
    built = build_snapshot(window_of(symbol, minutes, now_ms), context, out_of_order_drops=0)
    match built:
        case Snapshot():
            return built
        case Rejection():
            raise ValueError(f"{symbol} at {now_ms}: {built.reasons!r}, {built.detail}")
