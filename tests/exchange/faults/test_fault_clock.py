"""The exchange's clock can be wrong; its market's cannot."""

from livespot.exchange.faults.fault_clock import FaultClock
from livespot.testing.clock import ManualClock


def a_clock() -> tuple[ManualClock, FaultClock]:
    true = ManualClock(1_000_000)
    return true, FaultClock(true)


def test_it_is_right_until_a_fault_moves_it() -> None:
    true, clock = a_clock()
    true.advance(7)

    assert clock.now_ms() == 1_000_007


def test_steps_add_up() -> None:
    _, clock = a_clock()

    clock.step(90_000)
    clock.step(-20_000)

    assert clock.now_ms() == 1_070_000


def test_a_skew_grows_and_what_it_gained_stays() -> None:
    true, clock = a_clock()

    clock.skew("slow", -200, true.now_ms())
    true.advance(1_000_000)
    drifted = clock.now_ms() - true.now_ms()
    clock.unskew("slow", true.now_ms())
    true.advance(1_000_000)

    assert drifted == -200
    assert clock.now_ms() - true.now_ms() == -200


def test_a_suspended_clock_stands_and_then_jumps() -> None:
    true, clock = a_clock()

    clock.suspend(5000, true.now_ms())
    true.advance(4999)
    stood = clock.now_ms()
    true.advance(1)

    assert stood == 1_000_000
    assert clock.now_ms() == 1_005_000


async def test_spans_and_ages_stay_true() -> None:
    true, clock = a_clock()
    clock.step(1_000_000)

    await clock.sleep(2.0)
    with clock.move_on_after(1), clock.fail_after(1):
        pass

    assert true.slept == [2.0]
    assert clock.monotonic_ms() == true.monotonic_ms() == 2000
