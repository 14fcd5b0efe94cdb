"""Any history of deliveries leaves a joined series, read as if computed from scratch."""

from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from livespot.contracts.market import Candle, KlineHistory, KlineUpdate
from livespot.contracts.settings import Settings, VenueSettings
from livespot.contracts.vocabulary import Interval
from livespot.rules.candles import KEPT, CandleSeries, Gap, Joined
from livespot.rules.closed_readings import (
    FrameReading,
    closed_readings,
    frame_reading,
    signal_frame,
)
from livespot.rules.correlation import log_returns
from livespot.rules.costs import fees_of
from livespot.rules.indicators import wilder_of
from livespot.rules.symbol_window import SymbolWindow
from livespot.testing.market_values import a_candle

_FRAME = Interval.M5
_SPAN = 90
# The exchange was down for these frames: nobody will ever deliver them.
_OUTAGE = range(40, 44)


def _candle(index: int, *, revision: int = 0) -> Candle:
    close = 100 + (index * 37 + revision * 11) % 9
    return a_candle(index * _FRAME.ms, close=str(close), volume=str(10 + index % 5))


def _span(first: int, last: int, revision: int = 0) -> tuple[Candle, ...]:
    indices = (i for i in range(first, last) if i not in _OUTAGE)
    return tuple(_candle(i, revision=revision) for i in indices)


class SeriesHistory(RuleBasedStateMachine):
    """Stream and REST deliver what they like, in any order, some of it twice or corrected."""

    def __init__(self) -> None:
        super().__init__()
        self.window = SymbolWindow(
            symbol="SOLUSDT", fees=fees_of(None, VenueSettings(), discount_usable=False)
        )
        self.settings = Settings()
        self.truth: dict[int, Candle] = {}

    @property
    def series(self) -> CandleSeries:
        return self.window.series[_FRAME]

    @initialize(length=st.integers(0, 35))
    def attach(self, length: int) -> None:
        self._history(_span(0, length))

    @rule(index=st.integers(0, _SPAN))
    def streams(self, index: int) -> None:
        if index in _OUTAGE:
            return
        before = self.series.tail(KEPT)
        candle = _candle(index)
        outcome = self.window.take_kline(
            KlineUpdate(
                symbol="SOLUSDT",
                interval=_FRAME,
                candle=candle,
                closed=True,
                # All at one time: what is too old for its stream is another test's subject.
                exchange_time_ms=1,
                local_received_ms=1,
            )
        )
        if isinstance(outcome, Joined):
            assert self.series.tail(KEPT) == (*before, *outcome.candles)[-KEPT:]
            self._learn(outcome.candles)
        else:
            assert self.series.tail(KEPT) == before

    @rule(data=st.data())
    def streams_the_next(self, data: Any) -> None:
        last = self.series.last
        index = 0 if last is None else last.open_time_ms // _FRAME.ms + 1
        self.streams(data.draw(st.sampled_from([index, index + 1])))

    @rule(first=st.integers(0, _SPAN), length=st.integers(0, 40), revision=st.integers(0, 1))
    def answers(self, first: int, length: int, revision: int) -> None:
        self._history(_span(first, first + length, revision))

    @rule()
    def is_asked_for_what_is_missing(self) -> None:
        gap = self.series.gap()
        if gap is None:
            return
        first = gap.from_ms // _FRAME.ms - 1
        self._history(_span(first, gap.to_ms // _FRAME.ms + 2))

        assert self.series.gap() is None or isinstance(self.series.gap(), Gap)
        end = self.series.last
        assert end is not None
        assert end.open_time_ms > gap.to_ms

    def _history(self, candles: tuple[Candle, ...]) -> None:
        before = self.series.tail(KEPT)
        message = KlineHistory(symbol="SOLUSDT", interval=_FRAME, candles=candles)
        self._learn(self.window.take_history(message).candles)
        kept = {candle.open_time_ms for candle in before}
        for candle in candles:
            if candle.open_time_ms in kept:
                self.truth[candle.open_time_ms] = candle

    def _learn(self, candles: tuple[Candle, ...]) -> None:
        self.truth |= {candle.open_time_ms: candle for candle in candles}

    @invariant()
    def times_rise_and_skip_only_what_no_history_had(self) -> None:
        times = [candle.open_time_ms for candle in self.series.tail(KEPT)]

        assert times == sorted(set(times))
        assert all(time % _FRAME.ms == 0 for time in times)

    @invariant()
    def every_stored_candle_is_the_newest_told_by_the_exchange(self) -> None:
        for candle in self.series.tail(KEPT):
            assert candle == self.truth[candle.open_time_ms]

    @invariant()
    def the_readings_are_those_of_the_stored_candles(self) -> None:
        stored = self.series.tail(KEPT)
        scratch = wilder_of(stored)

        assert self.series.wilder.atr == scratch.atr
        assert self.series.wilder.directional == scratch.directional

    @invariant()
    def what_is_computed_once_per_close_is_what_would_be_computed_now(self) -> None:
        fresh = CandleSeries(_FRAME)
        fresh.absorb(self.series.tail(KEPT))

        points = self.settings.selection.corr_window_points
        closed = self.window.closed(self.settings)
        assert self.window.signal(self.settings) == signal_frame(fresh, self.settings)
        assert self.window.returns(self.settings) == log_returns(fresh.tail(points + 1), points)
        assert closed == closed_readings(self.window.series, self.settings, None)
        assert _spoken(closed.slower.m5) == _spoken(frame_reading(fresh))

    @invariant()
    def a_frame_is_behind_from_the_very_instant_that_is_told(self) -> None:
        told = self.window.closed(self.settings).behind_ms
        if self.series.last is not None:
            assert self.window.overdue(told)
            assert not self.window.overdue(told - 1)


def _spoken(reading: FrameReading) -> FrameReading:
    """A reading without the count of changes that led to it."""
    return msgspec.structs.replace(reading, version=0)


SeriesHistory.TestCase.settings = settings(
    max_examples=30, stateful_step_count=25, deadline=None, derandomize=True
)
test_any_history_of_deliveries_gives_the_readings_of_the_stored_series = SeriesHistory.TestCase


def test_history_corrects_a_candle_the_stream_told_otherwise() -> None:
    series = CandleSeries(_FRAME)
    series.absorb(_span(0, 35))
    wrong = msgspec.structs.replace(_candle(35), volume=_candle(35).volume * 3)
    series.add(wrong)

    series.absorb(_span(34, 37))

    assert series.tail(3) == _span(34, 37)
    assert series.revised == 1
    assert series.wilder.directional == wilder_of(_span(0, 37)).directional
