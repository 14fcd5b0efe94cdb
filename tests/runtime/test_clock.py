"""Scaled time: one anchor, one market clock, and ages that never shrink."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livespot.runtime.clock import ClockAnchor, ScaledClock, SystemClock

MARKET_MS = 1_600_000_000_000


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


@given(
    speed=st.integers(1, 1000),
    market_ms=st.integers(0, 2_000_000_000_000),
    since_ms=st.integers(-60_000, 86_400_000),
)
def test_market_time_is_the_anchor_plus_scaled_wall_time(
    speed: int, market_ms: int, since_ms: int
) -> None:
    anchor = ClockAnchor(wall_ms=wall_ms() - since_ms, market_ms=market_ms, speed=speed)
    clock = ScaledClock(anchor)

    before, shown, after = wall_ms(), clock.now_ms(), wall_ms() + 1

    assert market_ms + (before - anchor.wall_ms) * speed <= shown
    assert shown <= market_ms + (after - anchor.wall_ms) * speed


def test_two_clocks_with_one_anchor_agree() -> None:
    anchor = ClockAnchor(wall_ms=wall_ms() - 5_000, market_ms=MARKET_MS, speed=50)
    ours, theirs = ScaledClock(anchor), ScaledClock(anchor)

    readings = [clock.now_ms() for _ in range(200) for clock in (ours, theirs)]

    assert readings == sorted(readings)


def test_market_time_moves_in_milliseconds_and_not_in_steps_of_the_speed() -> None:
    clock = ScaledClock(ClockAnchor(wall_ms=wall_ms(), market_ms=MARKET_MS, speed=5))
    end = time.monotonic() + 0.03
    seen: set[int] = set()

    while time.monotonic() < end:
        seen.add((clock.now_ms() - MARKET_MS) % 5)

    assert len(seen) == 5


@pytest.mark.parametrize(
    "clock",
    [
        pytest.param(SystemClock(), id="system"),
        pytest.param(ScaledClock(ClockAnchor(wall_ms=0, market_ms=0, speed=7)), id="scaled"),
    ],
)
def test_monotonic_time_never_runs_backwards(clock: SystemClock | ScaledClock) -> None:
    readings = [clock.monotonic_ms() for _ in range(2000)]

    assert readings == sorted(readings)


def test_monotonic_time_runs_at_the_speed_whatever_the_anchor_says() -> None:
    clock = ScaledClock(ClockAnchor(wall_ms=wall_ms() + 10**9, market_ms=0, speed=40))

    before = time.monotonic_ns() // 1_000_000
    shown = clock.monotonic_ms()
    after = time.monotonic_ns() // 1_000_000 + 1

    assert before * 40 <= shown <= after * 40


async def test_a_sleep_is_a_span_of_market_time() -> None:
    clock = ScaledClock(ClockAnchor(wall_ms=wall_ms(), market_ms=MARKET_MS, speed=1000))
    begun_wall, begun = time.monotonic(), clock.monotonic_ms()

    await clock.sleep(20)

    assert clock.monotonic_ms() - begun >= 19_900
    assert time.monotonic() - begun_wall < 5


async def test_deadlines_are_in_market_time() -> None:
    clock = ScaledClock(ClockAnchor(wall_ms=wall_ms(), market_ms=MARKET_MS, speed=1000))
    begun = time.monotonic()

    with clock.move_on_after(10) as scope:
        await clock.sleep(3_600)
    with pytest.raises(TimeoutError), clock.fail_after(10):
        await clock.sleep(3_600)

    assert scope.cancelled_caught
    assert time.monotonic() - begun < 2


async def test_no_deadline_is_no_deadline() -> None:
    clock = ScaledClock(ClockAnchor(wall_ms=wall_ms(), market_ms=MARKET_MS, speed=1000))

    with clock.move_on_after(None) as scope, clock.fail_after(None):
        await clock.sleep(1)

    assert not scope.cancelled_caught
