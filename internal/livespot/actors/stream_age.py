"""The life signs of the market stream, written by the feed, read by market state and health."""

from collections import defaultdict


class StreamAge:
    """When a frame was last consumed, and related counts; times are monotonic milliseconds."""

    def __init__(self) -> None:
        self._last_ms: int | None = None
        self.connected = False
        self.disconnects = 0
        self.malformed = 0
        self.silent_percent = 0
        self.late_books: dict[str, int] = defaultdict(int)

    def consumed(self, now_ms: int) -> None:
        """A frame was taken from the socket and processed."""
        self._last_ms = now_ms

    def age_ms(self, now_ms: int) -> int | None:
        """How long ago a frame was consumed; None before the first one."""
        return None if self._last_ms is None else max(0, now_ms - self._last_ms)

    def is_fresh(self, now_ms: int, limit_ms: int) -> bool:
        """Whether a frame was consumed less than `limit_ms` ago."""
        age = self.age_ms(now_ms)
        return age is not None and age < limit_ms
