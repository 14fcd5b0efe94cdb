"""The default strategy on two recorded days, with the book the reference table assumes."""

from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec
import pytest

from livespot.contracts.decision import Decision
from livespot.contracts.market import Snapshot
from livespot.contracts.settings import Settings
from livespot.contracts.vocabulary import Interval, Mode, RegimeLabel
from livespot.rules.strategies import strategy_for
from livespot.rules.strategy import Blocked
from livespot.testing.market_values import in_frames, recorded_minutes
from livespot.testing.recorded_market import snapshot_at, snapshot_of, window_of

_SETTINGS = Settings()


def _utc(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


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
    snapshot = snapshot_at(symbol, _utc(now))

    decision = _propose(snapshot)

    assert isinstance(decision, Decision), decision.reasons
    assert decision.regime is regime
    assert snapshot.volatility.atr14_5m_bps == atr
    # The table multiplies an unrounded ATR.
    assert abs(decision.edge_bps_expected - edge) <= 1


def test_sol_measures_what_the_reference_table_measured() -> None:
    snapshot = snapshot_at("SOLUSDT", _utc("2021-04-20T11:50"))

    assert abs(snapshot.regime.trend_score_x10000 - 1565) <= 5
    assert abs(snapshot.regime.range_score_x10000 - 8321) <= 5
    assert abs(snapshot.volume_ratio_5m_x10000 - 20_800) <= 50


@pytest.mark.slow
def test_no_other_close_around_is_wanted() -> None:
    wanted = [
        now_ms
        for now_ms in _five_minute_closes("2021-04-20T11:20", "2021-04-20T12:20")
        if isinstance(_propose(snapshot_at("SOLUSDT", now_ms)), Decision)
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
    honest = snapshot_of("SOLUSDT", seen, now_ms)
    window = window_of("SOLUSDT", seen, now_ms)

    frames = {i: in_frames((*seen, *future), i, now_ms) for i in Interval}

    assert frames[Interval.M5][-40:] == window.series[Interval.M5].tail(40)
    assert _propose(honest) == _propose(snapshot_of("SOLUSDT", seen, now_ms))
