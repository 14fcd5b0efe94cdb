"""Reconnecting backs off, and only a stable link resets it."""

from hypothesis import given
from hypothesis import strategies as st

from livespot.contracts.errors import Throttled, Unreachable
from livespot.runtime.entropy import SeededEntropy
from livespot.venue.reconnect import ReconnectPolicy, ReconnectState, after_loss

_POLICY = ReconnectPolicy()
_LOST = Unreachable("gone")


def test_links_that_die_at_once_wait_ever_longer() -> None:
    state, waits = ReconnectState(), []
    for _ in range(12):
        state, wait = after_loss(
            state, lived_ms=5, cause=_LOST, policy=_POLICY, entropy=SeededEntropy(1)
        )
        waits.append(wait)

    assert waits == sorted(waits)
    assert sum(waits[:6]) > 5
    assert waits[-1] <= _POLICY.cap_seconds


@given(st.integers(0, 100), st.integers(0, 10**6), st.integers(0, 10**6))
def test_the_wait_is_bounded_and_honours_a_silence(
    failures: int, lived_ms: int, retry_after_ms: int
) -> None:
    _, wait = after_loss(
        ReconnectState(failures),
        lived_ms=lived_ms,
        cause=Throttled(retry_after_ms=retry_after_ms, banned=False),
        policy=_POLICY,
        entropy=SeededEntropy(2),
    )

    assert retry_after_ms / 1000 < wait <= retry_after_ms / 1000 + _POLICY.cap_seconds


def test_a_stable_link_resets_the_back_off() -> None:
    state, wait = after_loss(
        ReconnectState(9), lived_ms=60_000, cause=_LOST, policy=_POLICY, entropy=SeededEntropy(3)
    )

    assert state.failures == 1
    assert wait <= _POLICY.base_seconds
