"""Processor time of minutes without decisions, and of decisions without minutes."""

import time
from collections.abc import Sequence

import msgspec
import pytest
from tests.bench.report import Figure, report

from livespot.contracts.decision import Decision
from livespot.contracts.market import Candle, KlineUpdate, Snapshot
from livespot.contracts.settings import Settings
from livespot.contracts.vocabulary import Interval, Mode, Verdict
from livespot.rules import selection
from livespot.rules.risk import assess
from livespot.rules.snapshot import SnapshotContext, build_snapshot, deep_features
from livespot.rules.strategies import strategy_for
from livespot.rules.symbol_window import SymbolWindow
from livespot.rules.thresholds import config_hash, thresholds_hash
from livespot.testing.market_values import recorded_minutes
from livespot.testing.recorded_market import window_of
from livespot.testing.risk_values import a_gate_result, a_view

pytestmark = [pytest.mark.bench, pytest.mark.timeout(300)]

_LEAST_BARS = 40_000
_LEAST_CYCLES = 3_000
_SYMBOLS = 5
_MINUTES = 240
_CYCLES = 500
_ROUNDS = 5
# An instant of the recorded market at which the default strategy wants to enter.
_NOW_MS = 1_618_919_400_000
_SETTINGS = Settings()
_CONTEXT = SnapshotContext(
    settings=_SETTINGS,
    config_hash=config_hash(_SETTINGS),
    thresholds_hash=thresholds_hash(_SETTINGS),
    now_ms=_NOW_MS,
    ws_ok=True,
)


def _window() -> SymbolWindow:
    minutes = recorded_minutes("SOLUSDT")
    return window_of("SOLUSDT", tuple(m for m in minutes if m.open_time_ms < _NOW_MS), _NOW_MS)


def _closes(window: SymbolWindow, minutes: int) -> list[list[KlineUpdate]]:
    """What closes at the end of each coming minute: always 1m, and each frame that it ends."""
    last = {interval: window.series[interval].last for interval in Interval}
    found = []
    for _ in range(minutes):
        minute = last[Interval.M1]
        assert minute is not None
        end_ms = minute.open_time_ms + 2 * Interval.M1.ms
        due = [interval for interval in Interval if end_ms % interval.ms == 0]
        updates = []
        for interval in due:
            before = last[interval]
            assert before is not None
            candle = msgspec.structs.replace(before, open_time_ms=before.open_time_ms + interval.ms)
            last[interval] = candle
            updates.append(_closed(window.symbol, interval, candle))
        found.append(updates)
    return found


def _closed(symbol: str, interval: Interval, candle: Candle) -> KlineUpdate:
    end_ms = candle.open_time_ms + interval.ms
    return KlineUpdate(
        symbol=symbol,
        interval=interval,
        candle=candle,
        closed=True,
        exchange_time_ms=end_ms,
        local_received_ms=end_ms,
    )


def _play(windows: Sequence[SymbolWindow], closes: Sequence[Sequence[list[KlineUpdate]]]) -> None:
    """Every minute of every symbol into its window; then all of them are looked through."""
    rules = _SETTINGS.selection
    for minute in range(_MINUTES):
        features = []
        for number, window in enumerate(windows):
            for update in closes[number][minute]:
                window.take_kline(update)
            window.closed(_SETTINGS)
            found = deep_features(window, _CONTEXT, out_of_order_drops=0)
            features.append(msgspec.structs.replace(found, symbol=f"S{number}USDT"))
        deep = selection.deep_scan(features, rules)
        returns = {found.symbol: found.returns for found in features if found.returns is not None}
        selection.choose(deep, returns, {}, (), rules)


def test_minutes_pass_through_market_state_and_selection() -> None:
    rates = []
    for _ in range(_ROUNDS):
        windows = [_window() for _ in range(_SYMBOLS)]
        closes = [_closes(window, _MINUTES) for window in windows]
        began = time.process_time()
        _play(windows, closes)
        rates.append(_SYMBOLS * _MINUTES / (time.process_time() - began))

    report(
        f"minutes of {_SYMBOLS} symbols: higher frames, all readings, deep scan and choice",
        Figure("minutes x symbols a second", max(rates), "", least=_LEAST_BARS),
    )


def test_decisions_are_made_by_the_thousand() -> None:
    window, rates = _window(), []
    for _ in range(_ROUNDS):
        began = time.process_time()
        for _ in range(_CYCLES):
            window.sample()
            _decide(window)
        rates.append(_CYCLES / (time.process_time() - began))

    report(
        "decision cycles of one symbol, from a new sample to the verdict of risk",
        Figure("cycles a second", max(rates), "", least=_LEAST_CYCLES),
    )


def _decide(window: SymbolWindow) -> None:
    snapshot = build_snapshot(window, _CONTEXT, out_of_order_drops=0)
    assert isinstance(snapshot, Snapshot)
    outcome = strategy_for(_SETTINGS).propose(
        snapshot, _SETTINGS, mode=Mode.SIM, cycle_id="cyc", now_ms=_NOW_MS
    )
    assert isinstance(outcome, Decision)
    decision = msgspec.structs.replace(outcome, ai_gate=a_gate_result())
    view = a_view(settings=_SETTINGS, now_ms=_NOW_MS, info=window.info)
    assert assess(decision, snapshot, view).verdict in Verdict
