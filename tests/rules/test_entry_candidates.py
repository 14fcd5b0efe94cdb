"""The strategy's candle conditions against a table computed with TA-Lib on the whole history."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import msgspec
import pytest

from livespot.contracts.amounts import round_bps
from livespot.contracts.market import Snapshot
from livespot.contracts.settings import Settings
from livespot.contracts.vocabulary import Interval
from livespot.rules.candles import bounds_of
from livespot.rules.indicators import EMA_CANDLES, Wilder, ema20, volume_ratio_x10000
from livespot.rules.pullback_checks import assess
from livespot.rules.regime import regime_of
from livespot.testing.market_values import a_snapshot, in_frames, recorded_minutes

_TABLE = Path(__file__).parent.parent / "data" / "entry-candidates.csv"
_SYMBOLS = ("DOGEUSDT", "LTCUSDT", "MATICUSDT", "SOLUSDT")
_SETTINGS = Settings()
# Closes on which the two averages disagree: an EMA seeded with 20 of the last 40 closes, and one
# that has seen them all. The pullback lies at a limit, within about two basis points.
_AVERAGE_DIFFERS = {
    ("MATICUSDT", 1_619_025_000_000),
    ("MATICUSDT", 1_619_036_400_000),
    ("DOGEUSDT", 1_618_762_800_000),
}
_replace = msgspec.structs.replace


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """A close of the table; the pullback is whole and the ratio has two decimals there."""

    symbol: str
    close_ms: int
    regime: str
    trend_x10000: int
    range_x10000: int
    atr_bps: int
    pullback_bps: int
    volume_ratio_x100: int
    margin_bps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Close:
    """A close as this program reads it, in the table's neutral book.

    `whole_pullback_bps` comes from an average that has seen the whole history.
    """

    snapshot: Snapshot
    whole_pullback_bps: float


def _table() -> dict[tuple[str, int], _Row]:
    rows = csv.DictReader(_TABLE.read_text(encoding="utf-8").splitlines())
    found = [
        _Row(
            symbol=row.pop("symbol"),
            regime=row.pop("regime"),
            **{name: int(value) for name, value in row.items()},
        )
        for row in rows
    ]
    return {(row.symbol, row.close_ms): row for row in found}


@cache
def _closes(symbol: str) -> dict[int, _Close]:
    return dict(_read(symbol))


def _read(symbol: str) -> Iterator[tuple[int, _Close]]:
    """Every five-minute close at which all readings are defined."""
    minutes = recorded_minutes(symbol)
    frames = {i: in_frames(minutes, i, minutes[-1].open_time_ms + 60_000) for i in Interval}
    states = {i: Wilder() for i in Interval}
    seen = dict.fromkeys(Interval, 0)
    whole, fives = 0.0, frames[Interval.M5]
    for number, candle in enumerate(fives):
        close_ms, close = candle.open_time_ms + Interval.M5.ms, float(candle.close)
        for interval, candles in frames.items():
            while seen[interval] < len(candles) and (
                candles[seen[interval]].open_time_ms + interval.ms <= close_ms
            ):
                fresh = candles[seen[interval]]
                states[interval].update(bounds_of(fresh))
                seen[interval] += 1
        whole += close / 20 if number < 20 else (close - whole) * 2 / 21
        known = {i: reading for i in Interval if (reading := states[i].directional) is not None}
        atr, window = states[Interval.M5].atr, fives[number + 1 - EMA_CANDLES : number + 1]
        ema = ema20([c.close for c in window])
        if len(known) < len(Interval) or ema is None or atr is None:
            continue
        ratio = volume_ratio_x10000([c.volume for c in window], 12)
        base = _neutral()
        yield (
            close_ms,
            _Close(
                snapshot=_replace(
                    base,
                    regime=regime_of(known, _SETTINGS.strategy),
                    volatility=_replace(
                        base.volatility, atr14_5m_bps=round_bps(atr / close * 10_000)
                    ),
                    prices=_replace(base.prices, last_price=candle.close),
                    ema20_5m=ema,
                    volume_ratio_5m_x10000=ratio or 0,
                    candles_5m=window,
                ),
                whole_pullback_bps=(whole - close) / whole * 10_000,
            ),
        )


@cache
def _neutral() -> Snapshot:
    """A book that stops nothing: spread 2 bps, steady, buyers' side heavy; fees 10 + 10 bps."""
    base = a_snapshot()
    return _replace(
        base,
        microstructure=_replace(
            base.microstructure, spread_current_bps=2, delta_spread_bps_p90_10s=0
        ),
        cost_inputs=_replace(base.cost_inputs, maker_fee_bps=10, taker_fee_bps=10),
    )


@pytest.mark.slow
@pytest.mark.parametrize("symbol", _SYMBOLS)
def test_scores_volatility_and_volume_are_those_of_the_table(symbol: str) -> None:
    for (name, close_ms), row in _table().items():
        if name != symbol:
            continue
        close = _closes(symbol)[close_ms]
        regime = close.snapshot.regime
        assert regime.label == row.regime
        assert regime.trend_score_x10000 == row.trend_x10000
        assert regime.range_score_x10000 == row.range_x10000
        assert close.snapshot.volatility.atr14_5m_bps == row.atr_bps
        assert abs(close.snapshot.volume_ratio_5m_x10000 - 100 * row.volume_ratio_x100) <= 50
        # The table multiplies an unrounded ATR.
        assert abs(assess(close.snapshot, _SETTINGS).edge_bps - row.margin_bps) <= 1


@pytest.mark.slow
@pytest.mark.parametrize("symbol", _SYMBOLS)
def test_every_close_passes_or_fails_as_in_the_table(symbol: str) -> None:
    listed = {close_ms for name, close_ms in _table() if name == symbol}
    closes = _closes(symbol)

    passed = {at for at, close in closes.items() if not assess(close.snapshot, _SETTINGS).failed}

    assert len(closes) > 3000
    assert passed ^ listed == {at for name, at in _AVERAGE_DIFFERS if name == symbol}


@pytest.mark.slow
@pytest.mark.parametrize("symbol", _SYMBOLS)
def test_only_the_seed_of_the_average_makes_the_difference(symbol: str) -> None:
    """With an average of the whole history both lists are the same."""
    limits = _SETTINGS.strategy
    passed = {
        at
        for at, close in _closes(symbol).items()
        if set(assess(close.snapshot, _SETTINGS).failed) <= {"STRAT_PULLBACK_FAIL"}
        and limits.pullback_min <= close.whole_pullback_bps <= limits.pullback_max
    }

    assert passed == {close_ms for name, close_ms in _table() if name == symbol}
