"""Plays recorded days to the default strategy and counts what stopped it, check by check.

Candles join as history tells them; the half-second samples of the minute before each decision are
taken from the quotes that the embedded exchange plays that minute with.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from statistics import median_low

import msgspec

from livespot.backtest.minutes import book_of
from livespot.contracts.codes import ReasonCode
from livespot.contracts.market import Candle, KlineHistory, Snapshot
from livespot.contracts.settings import Settings
from livespot.contracts.vocabulary import Direction, Interval, Mode, RegimeLabel
from livespot.exchange.market import Quote
from livespot.exchange.recorded import Series, load_recorded, packaged_data
from livespot.rules.costs import fees_of
from livespot.rules.doctor import has_edge
from livespot.rules.edge import cost_bps
from livespot.rules.snapshot import SnapshotContext, build_snapshot
from livespot.rules.strategies import strategy_for
from livespot.rules.strategy import Blocked
from livespot.rules.symbol_window import SymbolWindow
from livespot.rules.thresholds import config_hash, thresholds_hash
from livespot.testing.market_values import (
    a_day,
    a_symbol,
    in_frames,
    recorded_minutes,
    some_constraints,
)

SYMBOLS = ("BTCUSDT", "LTCUSDT", "MATICUSDT")
FIRST_MS = int(datetime(2021, 4, 15, tzinfo=UTC).timestamp() * 1000)
DAYS = 7
DAY_MS = 86_400_000
# The simulation's own default, so that these are the quotes it plays.
SEED = 7
# The checks, in the order in which they are made.
CHECKS = (
    ReasonCode.STRAT_SPREAD_TOO_WIDE,
    ReasonCode.STRAT_SPREAD_OPENING,
    ReasonCode.STRAT_IMBALANCE_AGAINST,
    ReasonCode.STRAT_VOLUME_LOW,
    ReasonCode.STRAT_REGIME_WEAK,
    ReasonCode.REGIME_NO_TRADE,
    ReasonCode.STRAT_PULLBACK_FAIL,
    ReasonCode.STRAT_EXIT_INVALID,
    ReasonCode.STRAT_EDGE_BELOW_MIN,
)
_SETTINGS = Settings()
_KEPT = 1000
_SAMPLE_MS = 500
_MINUTE_MS = 60_000


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """The scores of one closed 5m candle; `trend_x10000` is negative while the trend falls.

    `passed` is 1 where an entry was proposed.
    """

    symbol: str
    at_ms: int
    trend_x10000: int
    range_x10000: int
    edge_score_x10000: int
    passed: int


class DayCount(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol's day of decision cycles.

    `unread` cycles had no snapshot (the exchange was down); `blocked` counts by check, and one
    cycle may count in several. `regime` cycles had an active regime, so that edge was judged at
    all. In `moving` cycles the ATR alone would have carried the cost of a trend and risk's adaptive
    minimum. ATR in bps over the read cycles.
    """

    symbol: str
    day: str
    cycles: int
    unread: int
    blocked: tuple[int, ...]
    regime: int
    moving: int
    passed: int
    atr_median_bps: int
    atr_most_bps: int


@dataclass(slots=True)
class _Tally:
    cycles: int = 0
    unread: int = 0
    regime: int = 0
    moving: int = 0
    passed: int = 0
    blocked: Counter[ReasonCode] = field(default_factory=Counter)
    atr: list[int] = field(default_factory=list)


class Replay:
    """One symbol's window, moved from one 5m close to the next."""

    def __init__(self, symbol: str, first_ms: int) -> None:
        self.symbol = symbol
        self._series = load_recorded(packaged_data(), frozenset({symbol})).series[symbol]
        minutes = recorded_minutes(symbol)
        end_ms = minutes[-1].open_time_ms + _MINUTE_MS
        self._candles = {frame: in_frames(minutes, frame, end_ms) for frame in Interval}
        self._ahead = {frame: deque(candles) for frame, candles in self._candles.items()}
        self._window = _window(self._series, first_ms)
        self._updates = 0
        for frame, ahead in self._ahead.items():
            past: list[Candle] = []
            while ahead and ahead[0].open_time_ms + frame.ms < first_ms:
                past.append(ahead.popleft())
            self._history(frame, past[-_KEPT:])

    def snapshot_at(self, now_ms: int) -> Snapshot | None:
        """The snapshot at a close, not before the last one asked for; None while there is none."""
        for frame, ahead in self._ahead.items():
            fresh: list[Candle] = []
            while ahead and ahead[0].open_time_ms + frame.ms <= now_ms:
                fresh.append(ahead.popleft())
            self._close(frame, fresh)
        self._play_minute(now_ms)
        self._window.ticker = a_day(self.symbol, close_time_ms=now_ms)
        self._window.exchange_time_ms = self._window.local_received_ms = now_ms
        context = SnapshotContext(
            settings=_SETTINGS,
            config_hash=config_hash(_SETTINGS),
            thresholds_hash=thresholds_hash(_SETTINGS),
            now_ms=now_ms,
            ws_ok=True,
        )
        built = build_snapshot(self._window, context, out_of_order_drops=0)
        return built if isinstance(built, Snapshot) else None

    def _close(self, frame: Interval, fresh: list[Candle]) -> None:
        """Candles join as a REST answer tells them: with the one before, where some are absent."""
        last = self._window.series[frame].last
        if not fresh:
            return
        if last is not None and fresh[0].open_time_ms > last.open_time_ms + frame.ms:
            fresh.insert(0, last)
        self._history(frame, fresh)
        if frame is Interval.M1:
            newest = fresh[-1]
            self._window.last_price = newest.close
            self._window.last_price_ms = newest.open_time_ms + frame.ms
            self._window.guard.anchor(float(newest.close))

    def _history(self, frame: Interval, candles: Iterable[Candle]) -> None:
        self._window.take_history(
            KlineHistory(symbol=self.symbol, interval=frame, candles=tuple(candles))
        )

    def _play_minute(self, now_ms: int) -> None:
        """The 120 samples of the minute that ends now; without trading there are none."""
        start = now_ms - _MINUTE_MS
        quotes = [
            event
            for event in self._series.events(f"{SEED}:{self.symbol}", start)
            if isinstance(event, Quote)
        ]
        if not quotes:
            self._window.forget_live()
            return
        at = 0
        for due_ms in range(start + _SAMPLE_MS, now_ms + 1, _SAMPLE_MS):
            while at + 1 < len(quotes) and quotes[at + 1].t_ms <= due_ms:
                at += 1
            self._updates += 1
            self._window.take_book(
                book_of(
                    self.symbol, self._series, quotes[at], update_id=self._updates, at_ms=due_ms
                )
            )
            self._window.sample()


def judged(symbol: str, first_ms: int, cycles: int) -> Iterator[tuple[int, Snapshot | None]]:
    """One snapshot at each of `cycles` 5m closes, beginning with `first_ms`."""
    replay = Replay(symbol, first_ms)
    for number in range(cycles):
        now_ms = first_ms + number * Interval.M5.ms
        yield now_ms, replay.snapshot_at(now_ms)


def counted(symbol: str, first_ms: int, days: int) -> tuple[list[DayCount], list[Point]]:
    """What the default strategy said at every 5m close of whole days, day by day."""
    per_day = DAY_MS // Interval.M5.ms
    tallies = [_Tally() for _ in range(days)]
    points: list[Point] = []
    for number, (now_ms, snapshot) in enumerate(judged(symbol, first_ms, days * per_day)):
        tally = tallies[number // per_day]
        tally.cycles += 1
        if snapshot is None:
            tally.unread += 1
            continue
        points.append(_take(tally, snapshot, now_ms))
    rows = [_day_count(symbol, first_ms + day * DAY_MS, tally) for day, tally in enumerate(tallies)]
    return rows, points


def _take(tally: _Tally, snapshot: Snapshot, now_ms: int) -> Point:
    outcome = strategy_for(_SETTINGS).propose(
        snapshot, _SETTINGS, mode=Mode.SIM, cycle_id="", now_ms=now_ms
    )
    blocked = isinstance(outcome, Blocked)
    tally.passed += not blocked
    tally.atr.append(snapshot.volatility.atr14_5m_bps)
    if isinstance(outcome, Blocked):
        tally.blocked.update(outcome.reasons)
    regime, atr = snapshot.regime, snapshot.volatility.atr14_5m_bps
    tally.regime += ReasonCode.STRAT_REGIME_WEAK not in outcome.reasons
    cost = cost_bps(snapshot.cost_inputs, snapshot.microstructure)
    tally.moving += has_edge(RegimeLabel.TREND, atr, cost, _SETTINGS)
    sign = -1 if regime.direction is Direction.BEAR else 1
    return Point(
        symbol=snapshot.symbol,
        at_ms=now_ms,
        trend_x10000=sign * regime.trend_score_x10000,
        range_x10000=regime.range_score_x10000,
        edge_score_x10000=outcome.edge_score_x10000,
        passed=int(not blocked),
    )


def _day_count(symbol: str, first_ms: int, tally: _Tally) -> DayCount:
    odd = set(tally.blocked) - set(CHECKS)
    if odd:
        raise ValueError(f"{symbol}: no column for {sorted(odd)}")
    return DayCount(
        symbol=symbol,
        day=datetime.fromtimestamp(first_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M"),
        cycles=tally.cycles,
        unread=tally.unread,
        blocked=tuple(tally.blocked[code] for code in CHECKS),
        regime=tally.regime,
        moving=tally.moving,
        passed=tally.passed,
        atr_median_bps=median_low(tally.atr) if tally.atr else 0,
        atr_most_bps=max(tally.atr, default=0),
    )


def _window(series: Series, now_ms: int) -> SymbolWindow:
    constraints = some_constraints(
        tick_size=series.tick_size, step_size=series.step_size, min_qty=Decimal(series.step_size)
    )
    return SymbolWindow(
        symbol=series.symbol,
        info=a_symbol(series.symbol, constraints=constraints),
        ticker=a_day(series.symbol, close_time_ms=now_ms),
        fees=fees_of(None, _SETTINGS.venue, discount_usable=False),
        exchange_time_ms=now_ms,
        local_received_ms=now_ms,
    )
