"""When execution's own clock ticks: at every step while somebody waits, now and then otherwise."""

from hypothesis import given
from hypothesis import strategies as st

from livespot.actors.execution import IDLE_TICK_MS, TICK_MS, next_tick_ms

_STEPS = st.integers(0, 10_000)


@given(ticked=_STEPS, late_ms=st.integers(0, 5_000))
def test_who_waits_for_time_to_pass_is_served_at_the_next_step(ticked: int, late_ms: int) -> None:
    """As by a poll at every step, whenever the waiting began."""
    ticked_ms, now = ticked * TICK_MS, ticked * TICK_MS + late_ms

    due = next_tick_ms(ticked_ms, now, idle=False)

    assert due % TICK_MS == 0
    assert due > ticked_ms
    assert now <= due < max(now, ticked_ms + 1) + TICK_MS


@given(ticked_ms=st.integers(0, 10**9), late_ms=st.integers(0, 5_000))
def test_an_idle_actor_shows_itself_as_often_as_a_heart_has_to_beat(
    ticked_ms: int, late_ms: int
) -> None:
    assert next_tick_ms(ticked_ms, ticked_ms + late_ms, idle=True) == ticked_ms + IDLE_TICK_MS
    assert IDLE_TICK_MS == 500
