"""How often a model that refuses is asked again."""

from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livespot.contracts.settings import GateSettings
from livespot.contracts.vocabulary import GateVerdict, RegimeLabel
from livespot.rules.gate_budget import DAY_MS, HOUR_MS, GateUsage, called, may_call
from livespot.rules.gate_refusals import (
    LONGEST_MS,
    Refusal,
    Refusals,
    Subject,
    answered,
    stands,
    subject_of,
)
from livespot.testing.market_values import a_snapshot

_TREND = ("SOLUSDT", RegimeLabel.TREND)
_RANGE = ("SOLUSDT", RegimeLabel.RANGE)
_OTHER = ("ETHUSDT", RegimeLabel.TREND)
_CYCLE_MS = 5000


def _asked(proposals: list[tuple[int, Subject]]) -> list[tuple[int, Subject]]:
    """Which of these proposals a model that refuses all of them is asked about."""
    refusals: Refusals = {}
    asked = []
    for at_ms, subject in proposals:
        if not stands(refusals, subject, at_ms):
            asked.append((at_ms, subject))
            refusals = answered(refusals, subject, GateVerdict.BLOCK, at_ms)
    return asked


def test_a_question_is_about_a_symbol_in_its_regime() -> None:
    snapshot = a_snapshot()

    assert subject_of(snapshot) == (snapshot.symbol, snapshot.regime.label)


def test_each_refusal_stands_twice_as_long_up_to_ten_minutes() -> None:
    every_cycle = [(at_ms, _TREND) for at_ms in range(0, HOUR_MS, _CYCLE_MS)]

    times = [at_ms // 1000 for at_ms, _ in _asked(every_cycle)]

    assert [later - sooner for sooner, later in pairwise(times)] == [
        *(30, 60, 120, 240, 480),
        *(600, 600, 600, 600),
    ]


@pytest.mark.parametrize("count", [6, 7, 1000, 10**9])
def test_no_refusal_stands_longer_than_the_longest(count: int) -> None:
    assert Refusal(count, 0).stands_ms == LONGEST_MS


def test_a_refusal_ends_with_its_time() -> None:
    refusals = answered({}, _TREND, GateVerdict.BLOCK, 7)

    assert stands(refusals, _TREND, 7)
    assert stands(refusals, _TREND, 30_006)
    assert not stands(refusals, _TREND, 30_007)


def test_it_does_not_stand_in_another_regime_or_for_another_symbol() -> None:
    refusals = answered({}, _TREND, GateVerdict.BLOCK, 0)

    assert not stands(refusals, _RANGE, 0)
    assert not stands(refusals, _OTHER, 0)


@pytest.mark.parametrize("verdict", [GateVerdict.ALLOW, GateVerdict.MODIFY])
def test_a_permission_ends_the_refusals_of_its_symbol_only(verdict: GateVerdict) -> None:
    refusals: Refusals = {}
    for subject in (_TREND, _RANGE, _OTHER):
        refusals = answered(refusals, subject, GateVerdict.BLOCK, 0)

    assert answered(refusals, _RANGE, verdict, 1) == {_OTHER: Refusal(1, 0)}


def test_a_failure_neither_adds_to_a_refusal_nor_ends_it() -> None:
    refusals = answered({}, _TREND, GateVerdict.BLOCK, 0)

    assert answered(refusals, _TREND, GateVerdict.ERROR, 1) == refusals


def test_an_hour_without_a_refusal_ends_the_series() -> None:
    refusals = answered({}, _TREND, GateVerdict.BLOCK, 0)

    assert answered(refusals, _TREND, GateVerdict.BLOCK, HOUR_MS - 1)[_TREND].count == 2
    assert answered(refusals, _TREND, GateVerdict.BLOCK, HOUR_MS)[_TREND].count == 1
    assert answered(refusals, _OTHER, GateVerdict.BLOCK, HOUR_MS) == {_OTHER: Refusal(1, HOUR_MS)}


_STEPS = st.sampled_from([1, 1000, _CYCLE_MS, 29_999, 30_000, 600_000, HOUR_MS])
_SUBJECTS = st.sampled_from([_TREND, _RANGE])


@given(st.lists(st.tuples(_STEPS, _SUBJECTS), max_size=300))
def test_no_hour_holds_more_than_ten_refusals_of_a_symbol_in_a_regime(
    steps: list[tuple[int, Subject]],
) -> None:
    times = accumulate(step for step, _ in steps)
    asked = _asked(list(zip(times, (subject for _, subject in steps), strict=True)))

    for subject in (_TREND, _RANGE):
        mine = [at_ms for at_ms, about in asked if about == subject]
        for at_ms in mine:
            assert sum(1 for other in mine if at_ms - HOUR_MS < other <= at_ms) <= 10


def test_three_watched_symbols_refused_all_day_stay_within_both_budgets() -> None:
    settings, usage = GateSettings(), GateUsage()
    day = [
        (at_ms, (f"{name}USDT", RegimeLabel.TREND))
        for at_ms in range(0, DAY_MS, _CYCLE_MS)
        for name in "ABC"
    ]

    for at_ms, _ in _asked(day):
        assert may_call(usage, at_ms, settings)
        usage = called(usage, at_ms)

    assert len(usage.calls_ms) == 444


def test_three_watched_symbols_that_change_their_regime_in_every_cycle_fit_the_hour() -> None:
    labels = (RegimeLabel.TREND, RegimeLabel.RANGE)
    hour = [
        (at_ms, (f"{name}USDT", labels[at_ms // _CYCLE_MS % 2]))
        for at_ms in range(0, HOUR_MS, _CYCLE_MS)
        for name in "ABC"
    ]

    assert len(_asked(hour)) == 60 == GateSettings().max_calls_per_hour
