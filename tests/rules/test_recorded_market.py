"""The default strategy on two recorded days, with the book the reference table assumes."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest

from livespot.contracts.decision import Decision
from livespot.contracts.market import Candle, KlineHistory, Rejection, Snapshot
from livespot.contracts.settings import Settings
from livespot.contracts.vocabulary import Interval, Mode, RegimeLabel
from livespot.rules.costs import fees_of
from livespot.rules.snapshot import SnapshotContext, build_snapshot
from livespot.rules.strategies import strategy_for
from livespot.rules.strategy import Blocked
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


def _utc(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def _window(symbol: str, minutes: tuple[Candle, ...], now_ms: int) -> SymbolWindow:
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


def _snapshot_at(symbol: str, now_ms: int) -> Snapshot:
    minutes = tuple(m for m in recorded_minutes(symbol) if m.open_time_ms + 60_000 <= now_ms)
    return _built(symbol, minutes, now_ms)


def _built(symbol: str, minutes: tuple[Candle, ...], now_ms: int) -> Snapshot:
    context = SnapshotContext(
        settings=_SETTINGS,
        config_hash=config_hash(_SETTINGS),
        thresholds_hash=thresholds_hash(_SETTINGS),
        now_ms=now_ms,
        ws_ok=True,
    )
    built = build_snapshot(_window(symbol, minutes, now_ms), context, out_of_order_drops=0)
    assert not isinstance(built, Rejection), built.detail
    return built


def _propose(snapshot: Snapshot) -> Decision | Blocked:
    return strategy_for(_SETTINGS).propose(
        snapshot,
        _SETTINGS,
        mode=Mode.SIM,
        cycle_id="cyc_1",
        now_ms=snapshot.exchange_time_ms,
    )


def _five_minute_closes(first: str, last: str) -> Iterator[int]:
    yield from range(_utc(first), _utc(last) + 1, Interval.M5.ms)


@pytest.mark.parametrize(
    ("symbol", "now", "regime", "atr", "edge"),
    [
        pytest.param("SOLUSDT", "2021-04-20T11:50", RegimeLabel.RANGE, 109, 30, id="sol"),
        pytest.param("MATICUSDT", "2021-04-20T11:45", RegimeLabel.TREND, 115, 33, id="matic-1"),
        pytest.param("MATICUSDT", "2021-04-20T12:30", RegimeLabel.TREND, 119, 34, id="matic-2"),
    ],
)
def test_the_strategy_wants_what_the_reference_table_lists(
    symbol: str, now: str, regime: RegimeLabel, atr: int, edge: int
) -> None:
    snapshot = _snapshot_at(symbol, _utc(now))

    decision = _propose(snapshot)

    assert isinstance(decision, Decision), decision.reasons
    assert decision.regime is regime
    assert snapshot.volatility.atr14_5m_bps == atr
    # The table multiplies an unrounded ATR.
    assert abs(decision.edge_bps_expected - edge) <= 1


def test_sol_measures_what_the_reference_table_measured() -> None:
    snapshot = _snapshot_at("SOLUSDT", _utc("2021-04-20T11:50"))

    assert abs(snapshot.regime.trend_score_x10000 - 1565) <= 5
    assert abs(snapshot.regime.range_score_x10000 - 8321) <= 5
    assert abs(snapshot.volume_ratio_5m_x10000 - 20_800) <= 50


@pytest.mark.slow
def test_no_other_close_around_is_wanted() -> None:
    wanted = [
        now_ms
        for now_ms in _five_minute_closes("2021-04-20T11:20", "2021-04-20T12:20")
        if isinstance(_propose(_snapshot_at("SOLUSDT", now_ms)), Decision)
    ]

    assert wanted == [_utc("2021-04-20T11:50")]


def test_candles_of_the_future_change_nothing() -> None:
    now_ms = _utc("2021-04-20T11:50")
    seen = tuple(m for m in recorded_minutes("SOLUSDT") if m.open_time_ms + 60_000 <= now_ms)
    future = tuple(
        msgspec.structs.replace(m, high=m.high * 9, volume=m.volume * 9)
        for m in recorded_minutes("SOLUSDT")
        if m.open_time_ms + 60_000 > now_ms
    )
    honest = _built("SOLUSDT", seen, now_ms)
    window = _window("SOLUSDT", seen, now_ms)

    frames = {i: in_frames((*seen, *future), i, now_ms) for i in Interval}

    assert frames[Interval.M5][-40:] == window.series[Interval.M5].tail(40)
    assert _propose(honest) == _propose(_built("SOLUSDT", seen, now_ms))
