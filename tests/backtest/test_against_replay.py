"""The same minutes in a backtest and through the whole system: the same readings and trade."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from livespot.backtest.command import built
from livespot.backtest.play import Backtest
from livespot.contracts.codes import ReasonCode
from livespot.contracts.settings import Settings
from livespot.exchange.settings import ExchangeSettings
from livespot.rules.selection import deep_scan
from livespot.rules.snapshot import deep_features
from livespot.runtime.config import load_settings
from livespot.runtime.paths import Paths
from livespot.runtime.replay_request import Wish, planned
from livespot.runtime.replay_run import ReplayOrder, RunResult, run_virtual

_SYMBOL = "SOLUSDT"
_START_MS = int(datetime(2021, 4, 22, 0, 3, tzinfo=UTC).timestamp() * 1000)
_MINUTE_MS = 60_000
_MINUTES = 6
_SEED = 7
# What follows from closed candles alone; spread and imbalance come from other quotes.
_OF_CANDLES = (
    *("atr14_5m_bps", "regime", "direction"),
    *("trend_score_x10000", "range_score_x10000"),
)
_DECISIONS = "SELECT at_ms, outcome, reasons FROM decisions ORDER BY at_ms"
_RANKINGS = "SELECT at_ms, features_json FROM cycle_rankings WHERE kind = 'DEEP' ORDER BY at_ms"
_FILLS = "SELECT side, price, qty FROM fills ORDER BY exchange_time_ms"


@dataclass(slots=True)
class _Told:
    lines: list[tuple[int, str, dict[str, object]]] = field(default_factory=list)

    def write(self, kind: str, at_ms: int, **facts: object) -> None:
        self.lines.append((at_ms, kind, facts))


@dataclass(frozen=True, slots=True)
class _Both:
    """The rows of the replay, the lines of the backtest, and its readings at each minute's end."""

    replay: RunResult
    told: _Told
    readings: dict[int, dict[str, Any]]

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.replay.database)) as connection:
            return connection.execute(sql).fetchall()

    def lines(self, kind: str) -> list[dict[str, object]]:
        return [{"at_ms": at_ms, **facts} for at_ms, said, facts in self.told.lines if said == kind]


@pytest.fixture(name="both", scope="module")
def _played_both_ways(tmp_path_factory: pytest.TempPathFactory) -> _Both:
    told = _Told()
    wish = Wish(
        data="recorded",
        symbols=frozenset({_SYMBOL}),
        seed=_SEED,
        from_ms=_START_MS,
        to_ms=None,
        span_ms=_MINUTES * _MINUTE_MS,
        usual_ms=0,
        usual_span_ms=0,
    )
    test = built(planned(wish), Settings(), seed=_SEED)(told)
    readings = dict(_readings(test))
    replay = run_virtual(
        ReplayOrder(
            paths=Paths(var=tmp_path_factory.mktemp("whole")),
            loaded=load_settings(None, path="defaults"),
            start_ms=_START_MS,
            span_ms=_MINUTES * _MINUTE_MS + 30_000,
            seed=_SEED,
            exchange=ExchangeSettings(symbols=frozenset({_SYMBOL})),
        )
    )
    return _Both(replay, told, readings)


def _readings(test: Backtest) -> Iterator[tuple[int, dict[str, Any]]]:
    for number in range(_MINUTES):
        test.step(_START_MS + number * _MINUTE_MS)
        now_ms = _START_MS + (number + 1) * _MINUTE_MS
        window = test.feeds[_SYMBOL].window
        found = deep_features(window, test.context(now_ms), out_of_order_drops=0)
        [ranked] = deep_scan([found], test.settings.selection)
        yield now_ms, ranked.features


def test_every_deep_scan_reads_the_same_of_closed_candles(both: _Both) -> None:
    compared = 0
    for at_ms, features in both.rows(_RANKINGS):
        theirs, ours = json.loads(features), both.readings.get(at_ms - at_ms % _MINUTE_MS)
        # Both need a minute of books first, and the one that begins a little later ends later.
        if not theirs or not ours:
            continue
        assert {name: theirs[name] for name in _OF_CANDLES} == {
            name: ours[name] for name in _OF_CANDLES
        }
        compared += 1

    assert compared >= 4 * (_MINUTES - 2)


def test_the_same_entry_is_wanted_in_the_same_minute_and_ends_the_same_way(both: _Both) -> None:
    [proposed] = [at for at, outcome, _ in both.rows(_DECISIONS) if outcome == "PROPOSED"]
    [entered], [ended] = both.lines("ENTERED"), both.lines("ENDED")
    fills = [(side, float(price)) for side, price, _ in both.rows(_FILLS)]

    assert entered["at_ms"] == proposed - proposed % _MINUTE_MS
    assert ended["ended_by"] == "SL"
    assert fills[0][0] == "BUY"
    assert fills[-1][0] == "SELL"
    # The quotes differ, so the prices do; by a few ticks of a spread, not by a trade.
    assert abs(fills[0][1] / float(str(entered["limit_price"])) - 1) < 0.002
    assert fills[-1][1] < float(str(entered["limit_price"]))


def test_after_the_trade_both_are_stopped_by_the_same_check(both: _Both) -> None:
    *_, (_, outcome, reasons) = both.rows(_DECISIONS)
    *_, last = both.lines("BLOCKED")

    assert outcome == "BLOCKED"
    assert json.loads(reasons) == last["reasons"] == [ReasonCode.STRAT_PULLBACK_FAIL.value]
