"""Volume-weighted prices of one symbol's trades over windows of some minutes."""

from collections import deque
from collections.abc import Iterable
from decimal import Decimal

from livespot.exchange.model import ZERO

AVERAGE_MINUTES = 5
_MINUTE_MS = 60_000


class AveragePrices:
    """One running sum per window length, so that an average costs the same after any day."""

    def __init__(self) -> None:
        self._windows = {AVERAGE_MINUTES: _Window(AVERAGE_MINUTES * _MINUTE_MS)}

    def keep(self, minutes: Iterable[int]) -> None:
        """Follow these window lengths too; a new one starts with what the longest remembers."""
        for length in minutes:
            if length > 0 and length not in self._windows:
                longest = max(self._windows.values(), key=lambda one: one.length_ms)
                window = _Window(length * _MINUTE_MS)
                for at_ms, price, qty in longest.prints:
                    window.add(at_ms, price, qty)
                self._windows[length] = window

    def add(self, now_ms: int, price: Decimal, qty: Decimal) -> None:
        """Count one trade."""
        for window in self._windows.values():
            window.add(now_ms, price, qty)

    def over(self, minutes: int, now_ms: int) -> Decimal | None:
        """The average over a window that `keep` named; None when nothing traded in it."""
        return self._windows[minutes].average(now_ms)


class _Window:
    """Trades of the last `length_ms` as (time, price, quantity), with their sums."""

    def __init__(self, length_ms: int) -> None:
        self.length_ms = length_ms
        self.prints: deque[tuple[int, Decimal, Decimal]] = deque()
        self._volume = ZERO
        self._quote = ZERO
        self._average: Decimal | None = None

    def add(self, now_ms: int, price: Decimal, qty: Decimal) -> None:
        self._forget(now_ms)
        self.prints.append((now_ms, price, qty))
        self._volume += qty
        self._quote += price * qty
        self._average = None

    def average(self, now_ms: int) -> Decimal | None:
        prints = self.prints
        if prints and prints[0][0] <= now_ms - self.length_ms:
            self._forget(now_ms)
        if self._average is None and self._volume:
            self._average = self._quote / self._volume
        return self._average

    def _forget(self, now_ms: int) -> None:
        oldest = now_ms - self.length_ms
        prints = self.prints
        while prints and prints[0][0] <= oldest:
            _, price, qty = prints.popleft()
            self._volume -= qty
            self._quote -= price * qty
            self._average = None
