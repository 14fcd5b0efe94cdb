"""Cancels denied for want of an open order, or by a closed market: when the next may be sent.

The matching engine knows what is open, while reads may lag by a minute. So a cancel denied for want
of an open order is no reason to send another: the order has ended, and a read will soon show how.
The denial itself proves nothing about how it ended. A closed market denies the cancel whoever asks.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from livespot.rules.due import earliest

_PAUSES_MS = (10_000, 30_000)
MOST_DENIALS = len(_PAUSES_MS) + 1
_CLOSED_FIRST_MS = 2000
_CLOSED_MOST_MS = 10_000
_READ_FIRST_MS = 1000
_READ_MOST_MS = 16_000

Key = tuple[str, int]
"""Symbol and the exchange's number of an order."""


def cancel_pause_ms(denials: int) -> int | None:
    """How long after this many denials the next cancel may be sent; None means never."""
    if denials <= 0:
        return 0
    return _PAUSES_MS[denials - 1] if denials < MOST_DENIALS else None


def closed_pause_ms(denials: int) -> int:
    """How long a closed market is left alone after so many denials: 2, 4, 8, then 10 s."""
    return min(_CLOSED_FIRST_MS << min(max(denials - 1, 0), 8), _CLOSED_MOST_MS)


def read_pause_ms(reads: int) -> int:
    """The pause after so many reads of an order whose end has not been seen; it doubles."""
    return min(_READ_FIRST_MS << min(max(reads - 1, 0), 8), _READ_MOST_MS)


@dataclass(frozen=True, slots=True)
class _Denied:
    count: int
    last_ms: int
    reads: int
    read_ms: int


class DeniedCancels:
    """How often the cancel of each order was denied, and when to read that order again."""

    def __init__(self) -> None:
        self._denied: dict[Key, _Denied] = {}
        self._closed: dict[Key, tuple[int, int]] = {}

    def note(self, key: Key, now_ms: int) -> None:
        """Record a denial; a first read of the order is expected to be under way."""
        known = self._denied.get(key)
        count = 1 if known is None else known.count + 1
        self._denied[key] = _Denied(count, now_ms, 1, now_ms + read_pause_ms(1))

    def note_closed(self, key: Key, now_ms: int) -> None:
        """Record that its market was closed to the cancel of this order."""
        count = self._closed.get(key, (0, 0))[0] + 1
        self._closed[key] = (count, now_ms + closed_pause_ms(count))

    def permits(self, key: Key, now_ms: int) -> bool:
        """Whether a cancel of this order may be sent."""
        if now_ms < self._closed.get(key, (0, now_ms))[1]:
            return False
        known = self._denied.get(key)
        if known is None:
            return True
        pause_ms = cancel_pause_ms(known.count)
        return pause_ms is not None and now_ms - known.last_ms >= pause_ms

    def due(self, now_ms: int) -> Iterator[Key]:
        """The orders to read now; each counts as read from here on."""
        for key, known in list(self._denied.items()):
            if now_ms >= known.read_ms:
                pause_ms = read_pause_ms(known.reads + 1)
                again = replace(known, reads=known.reads + 1, read_ms=now_ms + pause_ms)
                self._denied[key] = again
                yield key

    @property
    def due_ms(self) -> int:
        """When the next order is to be read."""
        return earliest(*(known.read_ms for known in self._denied.values()))

    def forget(self, key: Key) -> None:
        """The end of the order has been seen."""
        self._denied.pop(key, None)
        self._closed.pop(key, None)
