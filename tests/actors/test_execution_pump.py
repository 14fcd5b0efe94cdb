"""When execution's own clock ticks: at every step while somebody waits, now and then otherwise."""

import itertools
from dataclasses import dataclass, field
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from livespot.actors.execution import IDLE_TICK_MS, TICK_MS, Execution, next_tick_ms
from livespot.actors.execution_work import Tick
from livespot.runtime.replay_clock import VirtualClock
from livespot.runtime.replay_loop import VirtualLoop, run_virtually

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


@dataclass
class _Busy:
    """Inbox, crew and life of a pump at once: no message comes, and every wait ends late."""

    clock: VirtualClock
    late_ms: int
    idle: bool = False
    is_awaited: bool = True
    ticks: list[int] = field(default_factory=list)

    @property
    def inbox(self) -> "_Busy":
        return self

    async def receive_within(self, seconds: float) -> None:
        await self.clock.sleep(seconds + self.late_ms / 1000)

    async def put_and_wait(self, work: object) -> None:
        assert isinstance(work, Tick)
        self.ticks.append(self.clock.monotonic_ms())


@given(late_ms=st.integers(0, TICK_MS - 1))
def test_waits_that_end_late_leave_no_step_out(late_ms: int) -> None:
    loop = VirtualLoop()
    clock = VirtualClock(loop, 0)
    pump = _Busy(clock, late_ms)

    async def for_two_seconds() -> None:
        with clock.move_on_after(2):
            await Execution._pump(cast("Any", pump), cast("Any", pump), cast("Any", pump))

    run_virtually(loop, for_two_seconds)

    assert len(pump.ticks) >= 18
    gaps = [later - earlier for earlier, later in itertools.pairwise(pump.ticks)]
    assert max(gaps) <= TICK_MS
