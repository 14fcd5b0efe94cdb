"""A denied cancel is not repeated at once, and not for ever where no such order is open."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from livespot.rules.denied_cancels import (
    MOST_DENIALS,
    DeniedCancels,
    closed_pause_ms,
    read_pause_ms,
)
from livespot.rules.due import NEVER

_KEY = ("SOLUSDT", 7)


def test_a_cancel_may_go_until_one_is_denied() -> None:
    denied = DeniedCancels()
    before = denied.permits(_KEY, 0)
    denied.note(_KEY, 0)

    assert before
    assert not denied.permits(_KEY, 9_999)
    assert denied.permits(_KEY, 10_000)
    assert denied.permits(("SOLUSDT", 8), 0)


@given(st.lists(st.integers(1, 5_000), min_size=1, max_size=200))
def test_no_cancel_goes_more_than_three_times_however_often_it_is_wanted(
    steps_ms: list[int],
) -> None:
    denied, now_ms, sent_ms = DeniedCancels(), 0, list[int]()
    for step_ms in steps_ms:
        now_ms += step_ms
        if denied.permits(_KEY, now_ms):
            sent_ms.append(now_ms)
            denied.note(_KEY, now_ms)

    assert len(sent_ms) <= MOST_DENIALS == 3
    gaps = [later - earlier for earlier, later in pairwise(sent_ms)]
    assert all(gap >= least for gap, least in zip(gaps, (10_000, 30_000), strict=False))


def test_the_order_is_asked_for_at_growing_pauses_until_it_shows_its_end() -> None:
    denied = DeniedCancels()
    denied.note(_KEY, 0)
    asked_ms = [now_ms for now_ms in range(0, 80_000, 500) if list(denied.due(now_ms))]
    denied.forget(_KEY)

    assert asked_ms == [1_000, 3_000, 7_000, 15_000, 31_000, 47_000, 63_000, 79_000]
    assert denied.due_ms == NEVER
    assert denied.permits(_KEY, 80_000)
    assert list(denied.due(10**6)) == []


@given(st.integers(0, 10**6))
def test_pauses_between_reads_never_shrink_and_are_bounded(reads: int) -> None:
    assert 1_000 <= read_pause_ms(reads) <= read_pause_ms(reads + 1) <= 16_000


def test_a_closed_market_is_asked_to_cancel_at_growing_pauses_whoever_asks() -> None:
    denied, sent_ms = DeniedCancels(), list[int]()
    for now_ms in range(0, 40_000, 500):
        if denied.permits(_KEY, now_ms):
            sent_ms.append(now_ms)
            denied.note_closed(_KEY, now_ms)

    assert sent_ms == [0, 2_000, 6_000, 14_000, 24_000, 34_000]
    assert denied.permits(("SOLUSDT", 8), 0)


def test_the_end_of_an_order_ends_the_pause_of_its_closed_market() -> None:
    denied = DeniedCancels()
    denied.note_closed(_KEY, 0)
    before = denied.permits(_KEY, 0)
    denied.forget(_KEY)

    assert not before
    assert denied.permits(_KEY, 0)


@given(st.integers(0, 10**6))
def test_pauses_of_a_closed_market_never_shrink_and_are_bounded(denials: int) -> None:
    assert 2_000 <= closed_pause_ms(denials) <= closed_pause_ms(denials + 1) <= 10_000
