"""Cancels that the exchange denied because no such order is open: when one may be sent again.

The matching engine knows what is open, while reads may lag by a minute. So a denied cancel is no
reason to send another: the order has ended, or is about to show how. It proves nothing about how.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from livespot.rules.due import earliest

_PAUSES_MS = (10_000, 30_000)
MOST_DENIALS = len(_PAUSES_MS) + 1
_READ_FIRST_MS = 1000
_READ_MOST_MS = 16_000

Key = tuple[str, int]
"""Symbol and the exchange's number of an order."""


def cancel_pause_ms(denials: int) -> int | None:
    """How long after this many denials the next cancel may go; None when none may ever."""
    if denials <= 0:
        return 0
    return _PAUSES_MS[denials - 1] if denials < MOST_DENIALS else None


def read_pause_ms(reads: int) -> int:
    """The pause after so many reads of an order that has not shown its end; it doubles."""
    return min(_READ_FIRST_MS << min(max(reads - 1, 0), 8), _READ_MOST_MS)


@dataclass(frozen=True, slots=True)
class _Denied:
    count: int
    last_ms: int
    reads: int
    read_ms: int


class DeniedCancels:
    """How often the cancel of each order was denied, and when to ask what became of the order."""

    def __init__(self) -> None:
        self._denied: dict[Key, _Denied] = {}

    def note(self, key: Key, now_ms: int) -> None:
        """The exchange says that no such order is open; a read of it is on its way."""
        known = self._denied.get(key)
        count = 1 if known is None else known.count + 1
        self._denied[key] = _Denied(count, now_ms, 1, now_ms + read_pause_ms(1))

    def permits(self, key: Key, now_ms: int) -> bool:
        """Whether a cancel of this order may be sent."""
        known = self._denied.get(key)
        if known is None:
            return True
        pause_ms = cancel_pause_ms(known.count)
        return pause_ms is not None and now_ms - known.last_ms >= pause_ms

    def due(self, now_ms: int) -> Iterator[Key]:
        """The orders to ask for now; each is counted as asked for."""
        for key, known in list(self._denied.items()):
            if now_ms >= known.read_ms:
                pause_ms = read_pause_ms(known.reads + 1)
                again = replace(known, reads=known.reads + 1, read_ms=now_ms + pause_ms)
                self._denied[key] = again
                yield key

    @property
    def due_ms(self) -> int:
        """When the next order is to be asked for."""
        return earliest(*(known.read_ms for known in self._denied.values()))

    def forget(self, key: Key) -> None:
        """The order has shown its end."""
        self._denied.pop(key, None)
