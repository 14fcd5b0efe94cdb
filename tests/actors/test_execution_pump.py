"""When execution's own clock ticks: at the step at which a walk would find something due."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import anyio
from hypothesis import given
from hypothesis import strategies as st

from livespot.actors.execution import LOOK_MS, STEP_MS, Execution
from livespot.actors.execution_work import Received, Tick
from livespot.rules.due import NEVER
from livespot.runtime.mailboxes import Mailbox
from livespot.runtime.replay_clock import VirtualClock
from livespot.runtime.replay_loop import VirtualLoop, run_virtually

_SPAN_MS = 4_000


@dataclass
class _Late:
    """A clock whose alarms ring late."""

    clock: VirtualClock
    late_ms: int

    def monotonic_ms(self) -> int:
        return self.clock.monotonic_ms()

    def alarm(self, seconds: float, ring: Callable[[], object]) -> object:
        return self.clock.alarm(seconds + self.late_ms / 1000, ring)


@dataclass
class _Actor:
    """Clock, inbox, crew and life of a pump at once; `dues` are served by one tick each."""

    clock: Any
    dues: list[int]
    inbox: Mailbox[Any]
    ticks: list[int] = field(default_factory=list)
    looks: int = 0
    awaited_ms: int = NEVER

    def due_ms(self) -> int:
        self.looks += 1
        return min(self.dues, default=NEVER)

    async def put_and_wait(self, work: Tick | Received) -> None:
        if isinstance(work, Received):
            self.dues.append(cast("Any", work.message))
            return
        now = self.clock.monotonic_ms()
        self.ticks.append(now)
        self.dues = [due for due in self.dues if due > now]


def _pumped(
    dues: list[int],
    *,
    late_ms: int = 0,
    told: tuple[tuple[int, int], ...] = (),
    nudged: tuple[tuple[int, int], ...] = (),
) -> _Actor:
    """Four seconds of a pump. News comes at one instant and names the one at which it is due."""
    loop = VirtualLoop()
    clock = VirtualClock(loop, 0)
    late: Any = _Late(clock, late_ms)
    actor = _Actor(late, dues, Mailbox("execution", 1000, late))

    async def tell() -> None:
        for at_ms, due_ms in sorted(told):
            await clock.sleep(max(0, at_ms - clock.monotonic_ms()) / 1000)
            await actor.inbox.send(due_ms)

    async def nudge() -> None:
        for at_ms, due_ms in sorted(nudged):
            await clock.sleep(max(0, at_ms - clock.monotonic_ms()) / 1000)
            actor.dues.append(due_ms)
            if due_ms < actor.awaited_ms:
                actor.inbox.nudge()

    async def to_the_end() -> None:
        with clock.move_on_after(_SPAN_MS / 1000):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(tell)
                tasks.start_soon(nudge)
                pump: Any = actor
                await Execution._pump(pump, pump, pump)

    run_virtually(loop, to_the_end)
    return actor


def _walk(known: list[tuple[int, int]]) -> list[int]:
    """When a tick at every step would have had work; `known` since when, and when it is due."""
    ticks = []
    left = list(known)
    for now in range(STEP_MS, _SPAN_MS, STEP_MS):
        served = [one for one in left if max(one) <= now]
        if served:
            ticks.append(now)
            left = [one for one in left if one not in served]
    return ticks


_DUES = st.lists(st.integers(0, _SPAN_MS - 1_000), max_size=8)
_NEWS = st.lists(
    st.tuples(st.integers(1, _SPAN_MS - 1_000), st.integers(0, _SPAN_MS - 1_000)), max_size=8
)


@given(dues=_DUES, told=_NEWS, nudged=_NEWS)
def test_ticks_come_when_a_walk_would_have_found_something_due(
    dues: list[int], told: list[tuple[int, int]], nudged: list[tuple[int, int]]
) -> None:
    # News of a step's own instant may come before or after the step in either way of waiting.
    told = [(at, due) for at, due in told if at % STEP_MS]
    nudged = [(at, due) for at, due in nudged if at % STEP_MS]

    actor = _pumped(list(dues), told=tuple(told), nudged=tuple(nudged))

    assert actor.ticks == _walk([(0, due) for due in dues] + told + nudged)


@given(late_ms=st.integers(0, STEP_MS - 1), dues=_DUES)
def test_a_wait_that_ends_late_leaves_no_step_out(late_ms: int, dues: list[int]) -> None:
    actor = _pumped(list(dues), late_ms=late_ms)

    for due in dues:
        step_ms = max(STEP_MS, -(-due // STEP_MS) * STEP_MS)
        assert any(due <= tick <= step_ms + late_ms for tick in actor.ticks)


def test_with_nothing_pending_nobody_wakes() -> None:
    assert _pumped([]).looks == 1


def test_while_something_is_pending_the_clocks_are_looked_at_twice_a_second() -> None:
    """Somebody may set the clock by which it is dated."""
    actor = _pumped([3_000])

    assert actor.ticks == [3_000]
    assert LOOK_MS == 500
    assert 6 <= actor.looks <= 9
