"""Remembers the state of the reconnect policy, for the account feed and recordings."""

from livespot.contracts.errors import Transient
from livespot.contracts.ports import Entropy
from livespot.venue.reconnect import ReconnectPolicy, ReconnectState, after_loss


class RememberedPauses:
    """Counts failures in a row; use one instance per connection."""

    def __init__(self, policy: ReconnectPolicy, entropy: Entropy) -> None:
        self._policy = policy
        self._entropy = entropy
        self._state = ReconnectState()

    def seconds(self, *, lived_ms: int, cause: Transient) -> float:
        """Return how long to wait after a connection that lived `lived_ms`; 0 if none opened."""
        self._state, seconds = after_loss(
            self._state,
            lived_ms=lived_ms,
            cause=cause,
            policy=self._policy,
            entropy=self._entropy,
        )
        return seconds
