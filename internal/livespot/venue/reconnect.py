"""Decides when to reconnect: exponential backoff with jitter, never during a ban."""

from dataclasses import dataclass, replace

from livespot.contracts.errors import Throttled, Transient
from livespot.contracts.ports import Entropy


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconnectPolicy:
    """Times in seconds of market time. A link shorter than `stable_seconds` counts as a failure."""

    base_seconds: float = 0.25
    cap_seconds: float = 30.0
    stable_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class ReconnectState:
    """The number of failed or short-lived links in a row."""

    failures: int = 0


def after_loss(
    state: ReconnectState,
    *,
    lived_ms: int,
    cause: Transient,
    policy: ReconnectPolicy,
    entropy: Entropy,
) -> tuple[ReconnectState, float]:
    """Return the state after a link that lived `lived_ms`, and the seconds to wait.

    The first loss of a stable link waits at most the base. The count is not reset by a mere
    connect: otherwise a server that accepts and closes at once would be called hundreds of times a
    second.
    """
    lived_well = lived_ms >= policy.stable_seconds * 1000
    failures = 0 if lived_well else state.failures
    exponent = min(failures, 32)
    pause = min(policy.cap_seconds, policy.base_seconds * 2**exponent) * entropy.uniform(0.5, 1.0)
    if isinstance(cause, Throttled):
        pause += cause.retry_after_ms / 1000
    return replace(state, failures=failures + 1), pause
