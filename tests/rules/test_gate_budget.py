from hypothesis import given
from hypothesis import strategies as st

from livespot.contracts.settings import GateSettings
from livespot.contracts.vocabulary import SignalLevel
from livespot.rules.gate_budget import (
    DAY_MS,
    FAILURE_WINDOW_MS,
    GateUsage,
    called,
    current,
    failed,
    failure_level,
    may_call,
)

_TIMES = st.lists(st.integers(0, 5 * DAY_MS), max_size=8).map(lambda found: tuple(sorted(found)))


@given(calls=_TIMES, failures=_TIMES, now_ms=st.integers(0, 2 * DAY_MS))
def test_after_a_clock_was_set_back_nothing_counts_for_longer_than_its_window(
    calls: tuple[int, ...], failures: tuple[int, ...], now_ms: int
) -> None:
    once = GateSettings(max_calls_per_hour=1, max_calls_per_day=1, pause_after_failures=2)

    seen = current(GateUsage(calls_ms=calls, failures_ms=failures), now_ms)

    assert may_call(seen, now_ms + DAY_MS, once)
    again = failed(seen, now_ms + FAILURE_WINDOW_MS)
    assert failure_level(again, once) is SignalLevel.DEGRADE


@given(ahead_ms=st.integers(1, 5 * DAY_MS))
def test_a_call_by_a_clock_that_was_ahead_is_not_forgotten(ahead_ms: int) -> None:
    once = GateSettings(max_calls_per_hour=1)
    now_ms = DAY_MS

    seen = current(called(GateUsage(), now_ms + ahead_ms), now_ms)

    assert not may_call(seen, now_ms, once)


def test_times_that_have_passed_are_left_as_they_are() -> None:
    usage = GateUsage(calls_ms=(1, 5), failures_ms=(3,))

    assert current(usage, 5) is usage
