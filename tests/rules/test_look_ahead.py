"""No decision knows the future: what closes or forms after its instant cannot change it."""

from decimal import Decimal
from functools import cache

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livespot.contracts.canonical import canonical_json
from livespot.contracts.market import Candle, KlineHistory, KlineUpdate, Rejection
from livespot.contracts.settings import Settings
from livespot.contracts.vocabulary import Interval, Mode
from livespot.rules.costs import fees_of
from livespot.rules.snapshot import SnapshotContext, build_snapshot
from livespot.rules.strategies import strategy_for
from livespot.rules.symbol_window import SymbolWindow
from livespot.testing.market_values import (
    a_book,
    a_day,
    a_symbol,
    in_frames,
    recorded_minutes,
    some_constraints,
)

_SETTINGS = Settings()
_MINUTE = Interval.M1.ms
# Starts of recorded hours in which the strategy wants to enter at least once.
_HOURS = {
    "SOLUSDT": 1_618_917_600_000,
    "MATICUSDT": 1_618_918_200_000,
    "LTCUSDT": 1_618_606_200_000,
}
_LENGTH = 40
_HALF_SPREAD = Decimal("0.0001")


@cache
def _past(symbol: str) -> tuple[dict[Interval, tuple[Candle, ...]], tuple[Candle, ...]]:
    """Closed candles of every frame at the start, and the minutes that follow."""
    start = _HOURS[symbol]
    before = tuple(m for m in recorded_minutes(symbol) if m.open_time_ms < start)
    after = tuple(m for m in recorded_minutes(symbol) if m.open_time_ms >= start)
    frames = {interval: in_frames(before, interval, start)[-1000:] for interval in Interval}
    return frames, (*before[-60:], *after[:_LENGTH])


def _attached(symbol: str) -> SymbolWindow:
    window = SymbolWindow(
        symbol=symbol,
        info=a_symbol(symbol, constraints=some_constraints(tick_size=Decimal("0.0001"))),
        fees=fees_of(None, _SETTINGS.venue, discount_usable=False),
    )
    for interval, candles in _past(symbol)[0].items():
        window.take_history(KlineHistory(symbol=symbol, interval=interval, candles=candles))
    return window


def _update(symbol: str, interval: Interval, candle: Candle, now_ms: int) -> KlineUpdate:
    return KlineUpdate(
        symbol=symbol,
        interval=interval,
        candle=candle,
        closed=candle.open_time_ms + interval.ms <= now_ms,
        exchange_time_ms=now_ms,
        local_received_ms=now_ms,
    )


def _close(window: SymbolWindow, minutes: tuple[Candle, ...]) -> int:
    """The newest minute closes, and with it every frame that ends there; the instant of it."""
    now_ms = minutes[-1].open_time_ms + _MINUTE
    for interval in Interval:
        if now_ms % interval.ms == 0:
            seen = tuple(m for m in minutes[-60:] if m.open_time_ms >= now_ms - interval.ms)
            [candle] = in_frames(seen, interval, now_ms)
            window.take_kline(_update(window.symbol, interval, candle, now_ms))
    last = minutes[-1].close
    for update_id in range(120):
        book = a_book(
            now_ms + update_id,
            window.symbol,
            bid=last * (1 - _HALF_SPREAD),
            ask=last * (1 + _HALF_SPREAD),
            local_received_ms=now_ms,
        )
        window.take_book(book)
        window.sample()
    window.ticker = a_day(window.symbol, close_time_ms=now_ms)
    return now_ms


def _decided(window: SymbolWindow, now_ms: int) -> bytes:
    context = SnapshotContext(
        settings=_SETTINGS,
        config_hash="c" * 64,
        thresholds_hash="d" * 64,
        now_ms=now_ms,
        ws_ok=True,
    )
    built = build_snapshot(window, context, out_of_order_drops=0)
    if isinstance(built, Rejection):
        return canonical_json(built)
    outcome = strategy_for(_SETTINGS).propose(
        built, _SETTINGS, mode=Mode.SIM, cycle_id="cyc", now_ms=now_ms
    )
    return canonical_json([outcome, built])


def _lived(symbol: str, minutes: tuple[Candle, ...]) -> list[bytes]:
    """What is decided after each minute that follows the sixty of the past."""
    window, decisions = _attached(symbol), []
    for end in range(61, len(minutes) + 1):
        now_ms = _close(window, minutes[:end])
        decisions.append(_decided(window, now_ms))
    return decisions


@cache
def _real(symbol: str) -> list[bytes]:
    return _lived(symbol, _past(symbol)[1])


def _elsewhere(candle: Candle, percent: int) -> Candle:
    """The same minute in another world."""
    factor = 1 + Decimal(percent) / 100
    return msgspec.structs.replace(
        candle,
        open=candle.open * factor,
        high=candle.high * factor,
        low=candle.low * factor,
        close=candle.close * factor,
        volume=candle.volume * 7,
    )


@pytest.mark.slow
@pytest.mark.parametrize("symbol", _HOURS)
def test_the_recorded_hours_hold_entries_and_refusals(symbol: str) -> None:
    entries = sum(b'"decision_id"' in decision for decision in _real(symbol))

    assert 0 < entries < _LENGTH


@pytest.mark.slow
@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    st.sampled_from(sorted(_HOURS)),
    st.integers(1, _LENGTH - 1),
    st.integers(-60, 300).filter(bool),
    st.booleans(),
)
def test_no_future_changes_a_decision(symbol: str, fork: int, percent: int, ends: bool) -> None:
    """Two worlds share their minutes up to the fork; one moves elsewhere, or simply ends."""
    minutes = _past(symbol)[1]
    shared, future = minutes[: 60 + fork], minutes[60 + fork :]
    other = shared if ends else (*shared, *(_elsewhere(m, percent) for m in future))

    decisions = _lived(symbol, other)

    assert decisions[:fork] == _real(symbol)[:fork]
    assert ends or decisions[fork:] != _real(symbol)[fork:]


@pytest.mark.slow
@settings(max_examples=12, deadline=None, derandomize=True)
@given(st.sampled_from(sorted(_HOURS)), st.sampled_from(Interval), st.integers(-9, 9))
def test_a_forming_candle_tells_a_price_and_nothing_else(
    symbol: str, interval: Interval, percent: int
) -> None:
    window, minutes = _attached(symbol), _past(symbol)[1]
    now_ms = _close(window, minutes[:61])
    before = window.closed(_SETTINGS)
    forming = msgspec.structs.replace(
        _elsewhere(minutes[60], percent), open_time_ms=now_ms - now_ms % interval.ms
    )

    window.take_kline(_update(symbol, interval, forming, now_ms))

    assert window.closed(_SETTINGS) == before
    assert not any(
        candle.open_time_ms + frame.ms > now_ms
        for frame, series in window.series.items()
        for candle in series.tail(1000)
    )


@pytest.mark.slow
def test_a_life_on_the_stream_decides_like_an_attachment_at_the_instant() -> None:
    """Incremental state after half an hour equals the state read from history at its end."""
    symbol = "SOLUSDT"
    live, minutes = _attached(symbol), _past(symbol)[1]
    now_ms = _HOURS[symbol]
    for end in range(61, 91):
        now_ms = _close(live, minutes[:end])
    all_minutes = tuple(m for m in recorded_minutes(symbol) if m.open_time_ms < now_ms)
    late = SymbolWindow(symbol=symbol, info=live.info, fees=live.fees)
    for interval in Interval:
        candles = in_frames(all_minutes, interval, now_ms)[-1000:]
        late.take_history(KlineHistory(symbol=symbol, interval=interval, candles=candles))
    late.book, late.ring, late.ticker = live.book, live.ring, live.ticker
    late.last_price, late.exchange_time_ms = live.last_price, live.exchange_time_ms
    late.local_received_ms = live.local_received_ms

    assert _decided(late, now_ms) == _decided(live, now_ms)
    assert b'"decision_id"' in _decided(live, now_ms)
