"""A rejected key is asked for again at growing intervals, by reads, and mutations wait for them."""

import pytest

from livespot.contracts.errors import KeyRefused, NoSuchOrder, Unreachable
from livespot.testing.clock import ManualClock
from livespot.venue.key_state import KeyState

_REJECTED = KeyRefused(-2015, "Invalid API-key, IP, or permissions for action.")


def _allowed(key: KeyState, *, mutation: bool) -> bool:
    try:
        key.require_usable(mutation=mutation)
    except KeyRefused:
        return False
    key.take_turn(mutation=mutation)
    return True


def _tries(clock: ManualClock, key: KeyState, *, mutation: bool, seconds: int) -> list[int]:
    """When in so many seconds of asking every 100 ms the request is let through, and refused."""
    begun, tried = clock.monotonic_ms(), []
    while clock.monotonic_ms() < begun + seconds * 1000:
        if _allowed(key, mutation=mutation):
            tried.append((clock.monotonic_ms() - begun) // 100 / 10)
            key.note(_REJECTED, mutation=mutation)
        clock.advance(100)
    return [round(at) for at in tried]


def test_a_good_key_holds_nobody_back() -> None:
    key = KeyState(ManualClock())

    assert key.rejection is None
    assert _allowed(key, mutation=True)
    assert _allowed(key, mutation=False)


def test_reads_find_out_at_growing_intervals() -> None:
    clock = ManualClock()
    key = KeyState(clock)

    assert _tries(clock, key, mutation=False, seconds=200) == [0, 2, 6, 14, 30, 62, 122, 182]


def test_while_reads_are_refused_no_mutation_leaves() -> None:
    clock = ManualClock()
    key = KeyState(clock)
    key.note(_REJECTED, mutation=False)
    clock.advance(3_600_000)

    assert not _allowed(key, mutation=True)
    assert key.rejection is _REJECTED


def test_a_read_that_is_taken_again_frees_the_mutations() -> None:
    clock = ManualClock()
    key = KeyState(clock)
    key.note(_REJECTED, mutation=True)
    key.note(_REJECTED, mutation=False)
    key.note(NoSuchOrder(-2013, "Order does not exist."), mutation=False)

    assert key.rejection is None
    assert _allowed(key, mutation=True)


def test_where_only_the_right_to_trade_is_gone_three_tries_a_minute_are_the_most() -> None:
    clock = ManualClock()
    key = KeyState(clock)

    assert _tries(clock, key, mutation=True, seconds=120) == [0, 5, 20, 65]


def test_a_lost_answer_says_nothing_of_the_key() -> None:
    key = KeyState(ManualClock())
    key.note(_REJECTED, mutation=False)
    key.note(Unreachable("lost"), mutation=False)

    assert key.rejection is _REJECTED


def test_while_one_read_asks_others_wait() -> None:
    clock = ManualClock()
    key = KeyState(clock)
    key.note(_REJECTED, mutation=False)
    clock.advance(2000)

    assert _allowed(key, mutation=False)
    assert not _allowed(key, mutation=False)
    with pytest.raises(KeyRefused, match="not asked again yet"):
        key.require_usable(mutation=False)
