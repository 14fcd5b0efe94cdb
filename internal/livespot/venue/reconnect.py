"""When to connect again: exponential with jitter, and never inside a ban."""

from dataclasses import dataclass, replace

from livespot.contracts.errors import Throttled, Transient
from livespot.contracts.ports import Entropy


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconnectPolicy:
    """Seconds of market time. A link shorter than `stable` does not count as a success."""

    base_seconds: float = 0.25
    cap_seconds: float = 30.0
    stable_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class ReconnectState:
    """How many short-lived or failed links came in a row."""

    failures: int = 0


def after_loss(
    state: ReconnectState,
    *,
    lived_ms: int,
    cause: Transient,
    policy: ReconnectPolicy,
    entropy: Entropy,
) -> tuple[ReconnectState, float]:
    """The state after a link that lived `lived_ms`, and how many seconds to wait.

    The first loss of a stable link waits only a jitter of the base. Resetting on a mere connect
    would let a server that accepts and closes be called hundreds of times a second.
    """
    lived_well = lived_ms >= policy.stable_seconds * 1000
    failures = 0 if lived_well else state.failures
    exponent = min(failures, 32)
    pause = min(policy.cap_seconds, policy.base_seconds * 2**exponent) * entropy.uniform(0.5, 1.0)
    if isinstance(cause, Throttled):
        pause += cause.retry_after_ms / 1000
    return replace(state, failures=failures + 1), pause
