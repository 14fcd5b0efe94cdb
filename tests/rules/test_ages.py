"""An age is told by its limits, and until the first of them nothing can be told."""

from hypothesis import given
from hypothesis import strategies as st

from livespot.contracts.codes import ReasonCode
from livespot.contracts.vocabulary import SignalKind, SignalLevel
from livespot.rules.ages import Limits, graded, time_left

_AGES = st.lists(st.tuples(st.integers(0, 70_000), st.integers(1, 70_000)), min_size=1, max_size=5)


def _level(age_ms: int, limit_ms: int) -> SignalLevel:
    limits = Limits(
        kind=SignalKind.WS_STALE,
        degrade_at=limit_ms,
        pause_at=2 * limit_ms,
        degrade_code=ReasonCode.WS_STALE_DEGRADE,
        pause_code=ReasonCode.WS_STALE_PAUSE,
        unit="ms",
    )
    return graded(limits, age_ms, source="stream", at_ms=0).level


@given(ages=_AGES, share=st.integers(0, 99))
def test_before_the_time_left_is_over_every_age_is_clear_and_then_one_is_not(
    ages: list[tuple[int, int]], share: int
) -> None:
    left_ms = time_left(*ages)

    def levels(after_ms: int) -> set[SignalLevel]:
        return {_level(age + after_ms, limit) for age, limit in ages}

    assert levels(left_ms) != {SignalLevel.CLEAR}
    if left_ms:
        assert levels(left_ms * share // 100) == {SignalLevel.CLEAR}
