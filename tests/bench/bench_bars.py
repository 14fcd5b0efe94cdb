"""Processor time of minutes without decisions, and of decisions without minutes."""

import gc
import time

import msgspec
import pytest
from tests.bench.minute_market import MinuteMarket, Selecting
from tests.bench.report import Figure, report

from livespot.contracts.decision import Decision
from livespot.contracts.market import Snapshot
from livespot.contracts.settings import Settings
from livespot.contracts.vocabulary import Mode, Verdict
from livespot.rules.risk import RiskView, assess
from livespot.rules.snapshot import SnapshotContext, build_snapshot
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
_MINUTES = 1_440
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


def test_minutes_pass_through_market_state_and_selection() -> None:
    rates = []
    for _ in range(_ROUNDS):
        market = MinuteMarket(_SYMBOLS, _MINUTES)
        selecting = Selecting(market)
        # What comes is made beforehand, and nobody shall look through all of it for garbage.
        gc.collect()
        gc.freeze()
        began = time.process_time()
        selecting.play(market.minutes)
        rates.append(_SYMBOLS * _MINUTES / (time.process_time() - began))
        gc.unfreeze()

    report(
        f"minutes of {_SYMBOLS} symbols: frames, readings, universe, ranking, deep scan, choice",
        Figure("minutes x symbols a second", max(rates), "", least=_LEAST_BARS),
    )


def test_decisions_are_made_by_the_thousand() -> None:
    window, rates = _window(), []
    # The account as risk knows it; each cycle gets a view of its own, as from the actor.
    known = a_view(settings=_SETTINGS, now_ms=_NOW_MS, info=window.info)
    for _ in range(_ROUNDS):
        began = time.process_time()
        for _ in range(_CYCLES):
            window.sample()
            _decide(window, msgspec.structs.replace(known, now_ms=_NOW_MS))
        rates.append(_CYCLES / (time.process_time() - began))

    report(
        "decision cycles of one symbol, from a new sample to the verdict of risk",
        Figure("cycles a second", max(rates), "", least=_LEAST_CYCLES),
    )


def _decide(window: SymbolWindow, view: RiskView) -> None:
    snapshot = build_snapshot(window, _CONTEXT, out_of_order_drops=0)
    assert isinstance(snapshot, Snapshot)
    outcome = strategy_for(_SETTINGS).propose(
        snapshot, _SETTINGS, mode=Mode.SIM, cycle_id="cyc", now_ms=_NOW_MS
    )
    assert isinstance(outcome, Decision)
    decision = msgspec.structs.replace(outcome, ai_gate=a_gate_result())
    assert assess(decision, snapshot, view).verdict in Verdict
