"""Instants at which something can be due, and the steps at which it is looked for."""

from hypothesis import given
from hypothesis import strategies as st

from livespot.rules.due import NEVER, earliest, step_at

_STEP_MS = 100
_INSTANTS = st.integers(0, 10**6)


def test_of_no_instants_none_ever_comes() -> None:
    assert earliest() == NEVER
    assert earliest(NEVER, 7, 3) == 3


@given(ticked=_INSTANTS, due_ms=_INSTANTS)
def test_what_is_due_is_served_at_the_step_at_which_a_walk_would_find_it(
    ticked: int, due_ms: int
) -> None:
    ticked_ms = ticked * _STEP_MS
    walked = ticked_ms + _STEP_MS
    while walked < due_ms and due_ms - walked < 10**5:
        walked += _STEP_MS

    step_ms = step_at(ticked_ms, due_ms, _STEP_MS)

    assert (step_ms - ticked_ms) % _STEP_MS == 0
    assert ticked_ms < step_ms
    assert due_ms <= step_ms < max(due_ms, ticked_ms + 1) + _STEP_MS
    if walked >= due_ms:
        assert step_ms == walked


@given(ticked_ms=_INSTANTS)
def test_for_nothing_no_step_is_taken(ticked_ms: int) -> None:
    assert step_at(ticked_ms, NEVER, _STEP_MS) == NEVER
