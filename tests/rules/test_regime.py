"""Trend, range or neither: bounds, edges of the labels, and what may not change a score."""

from collections.abc import Mapping

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from livespot.contracts.codes import ReasonCode
from livespot.contracts.market import Regime
from livespot.contracts.settings import Settings, StrategySettings
from livespot.contracts.vocabulary import Direction, Interval, Mode, RegimeLabel
from livespot.rules.indicators import Directional
from livespot.rules.regime import WEIGHTS, regime_of, strength
from livespot.rules.strategies import strategy_for
from livespot.rules.strategy import Blocked
from livespot.testing.market_values import NOW_MS, a_snapshot

_SETTINGS = StrategySettings()
_TREND, _RANGE = _SETTINGS.trend_threshold, _SETTINGS.range_threshold


def _reading(adx: float, *, up: bool) -> Directional:
    plus, minus = (30.0, 10.0) if up else (10.0, 30.0)
    return Directional(adx=adx, plus_di=plus, minus_di=minus)


_FRAMES = st.fixed_dictionaries(
    {frame: st.builds(_reading, st.floats(0.0, 100.0), up=st.booleans()) for frame in Interval}
)
_Frames = dict[Interval, Directional]


def _regime(frames: Mapping[Interval, Directional]) -> Regime:
    return regime_of(frames, _SETTINGS)


def test_the_frames_weigh_ten_tenths() -> None:
    assert WEIGHTS == {Interval.H1: 0.4, Interval.M15: 0.3, Interval.M5: 0.2, Interval.M1: 0.1}


@pytest.mark.parametrize(
    ("adx", "expected"),
    [(0.0, 0.0), (15.0, 0.0), (17.5, 0.25), (20.0, 0.5), (25.0, 1.0), (60.0, 1.0)],
)
def test_strength_grows_from_an_adx_of_15_to_one_of_25(adx: float, expected: float) -> None:
    assert strength(adx) == expected


@given(_FRAMES)
def test_scores_stay_in_bounds_and_exclude_one_another(frames: _Frames) -> None:
    regime = _regime(frames)

    assert 0 <= regime.trend_score_x10000 <= 10_000
    assert 0 <= regime.range_score_x10000 <= 10_000
    # Directions that disagree lower the trend but not the sum of strengths.
    assert regime.trend_score_x10000 + regime.range_score_x10000 <= 10_001


@given(_FRAMES)
def test_the_label_follows_from_the_scores(frames: _Frames) -> None:
    regime = _regime(frames)

    if regime.trend_score_x10000 >= _TREND:
        assert regime.label is RegimeLabel.TREND
    elif regime.range_score_x10000 >= _RANGE:
        assert regime.label is RegimeLabel.RANGE
    else:
        assert regime.label is RegimeLabel.UNCLEAR


@given(_FRAMES, st.sampled_from(Interval), st.floats(0.0, 50.0), st.booleans())
def test_a_rising_adx_never_lowers_the_trend_of_frames_that_agree(
    frames: _Frames, frame: Interval, more: float, up: bool
) -> None:
    agreeing = {f: _reading(r.adx, up=up) for f, r in frames.items()}
    stronger = agreeing | {frame: _reading(agreeing[frame].adx + more, up=up)}

    before, after = _regime(agreeing), _regime(stronger)

    assert after.trend_score_x10000 >= before.trend_score_x10000
    assert after.range_score_x10000 <= before.range_score_x10000


@given(_FRAMES, st.sampled_from(Interval), st.floats(0.0, 50.0))
def test_a_rising_adx_never_raises_the_range_score(
    frames: _Frames, frame: Interval, more: float
) -> None:
    old = frames[frame]
    stronger = frames | {
        frame: Directional(adx=old.adx + more, plus_di=old.plus_di, minus_di=old.minus_di)
    }

    assert _regime(stronger).range_score_x10000 <= _regime(frames).range_score_x10000


@given(_FRAMES)
def test_a_mirrored_market_has_the_mirrored_regime(frames: _Frames) -> None:
    mirrored = {
        f: Directional(adx=r.adx, plus_di=r.minus_di, minus_di=r.plus_di) for f, r in frames.items()
    }
    one, other = _regime(frames), _regime(mirrored)
    assume(one.trend_score_x10000 > 0)

    assert one.direction is not other.direction
    assert one.trend_score_x10000 == other.trend_score_x10000
    assert (one.range_score_x10000, one.label) == (other.range_score_x10000, other.label)


@given(_FRAMES, st.permutations(list(Interval)))
def test_the_order_of_the_frames_does_not_matter(frames: _Frames, order: list[Interval]) -> None:
    assert _regime({frame: frames[frame] for frame in order}) == _regime(frames)


def test_frames_that_cancel_one_another_do_not_rise() -> None:
    flat = {frame: _reading(10.0, up=True) for frame in Interval}

    assert _regime(flat).direction is Direction.BEAR


def test_di_lines_that_meet_count_as_falling() -> None:
    even = {frame: Directional(adx=30.0, plus_di=20.0, minus_di=20.0) for frame in Interval}

    assert _regime(even).direction is Direction.BEAR


def _with_score(trend: int) -> Regime:
    """All frames rise with one strength, so the trend score is that strength."""
    adx = 15.0 + trend / 1000.0
    return _regime({frame: _reading(adx, up=True) for frame in Interval})


@pytest.mark.parametrize(
    ("score", "label"),
    [
        (_TREND - 1, RegimeLabel.UNCLEAR),
        (_TREND, RegimeLabel.TREND),
        (_TREND + 1, RegimeLabel.TREND),
        (10_000 - _RANGE - 1, RegimeLabel.RANGE),
        (10_000 - _RANGE, RegimeLabel.RANGE),
        (10_000 - _RANGE + 1, RegimeLabel.UNCLEAR),
    ],
)
def test_labels_change_exactly_at_their_thresholds(score: int, label: RegimeLabel) -> None:
    regime = _with_score(score)

    assert regime.trend_score_x10000 == score
    assert regime.range_score_x10000 == 10_000 - score
    assert regime.label is label


@given(_FRAMES)
def test_no_falling_trend_is_ever_entered(frames: _Frames) -> None:
    """Everything but the regime is as the strategy wants it."""
    settings = Settings()
    falling = {f: _reading(max(25.0, r.adx), up=False) for f, r in frames.items()}
    snapshot = a_snapshot(settings, regime=_regime(falling))

    outcome = strategy_for(settings).propose(
        snapshot, settings, mode=Mode.SIM, cycle_id="cyc", now_ms=NOW_MS
    )

    assert isinstance(outcome, Blocked)
    assert {ReasonCode.REGIME_NO_TRADE, ReasonCode.STRAT_REGIME_WEAK} <= set(outcome.reasons)


@given(st.integers(0, 10_000), st.integers(0, 10_000), st.sampled_from(RegimeLabel))
def test_whatever_the_scores_say_a_bear_is_entered_only_as_a_range(
    trend: int, ranging: int, label: RegimeLabel
) -> None:
    settings = Settings()
    base = a_snapshot(settings).regime
    regime = msgspec.structs.replace(
        base,
        label=label,
        direction=Direction.BEAR,
        trend_score_x10000=trend,
        range_score_x10000=ranging,
    )

    outcome = strategy_for(settings).propose(
        a_snapshot(settings, regime=regime),
        settings,
        mode=Mode.SIM,
        cycle_id="cyc",
        now_ms=NOW_MS,
    )

    assert isinstance(outcome, Blocked) or label is RegimeLabel.RANGE
