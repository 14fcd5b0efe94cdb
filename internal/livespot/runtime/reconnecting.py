"""The reconnect policy with its memory, as the account feed is given it."""

from livespot.contracts.errors import Transient
from livespot.contracts.ports import Entropy
from livespot.venue.reconnect import ReconnectPolicy, ReconnectState, after_loss


class RememberedPauses:
    """Counts failures in a row; one instance per connection."""

    def __init__(self, policy: ReconnectPolicy, entropy: Entropy) -> None:
        self._policy = policy
        self._entropy = entropy
        self._state = ReconnectState()

    def seconds(self, *, lived_ms: int, cause: Transient) -> float:
        """How long to wait after a connection that lived this long (0: it never opened)."""
        self._state, seconds = after_loss(
            self._state,
            lived_ms=lived_ms,
            cause=cause,
            policy=self._policy,
            entropy=self._entropy,
        )
        return seconds
