"""Ends all waits for answers of the exchange when the process is told to hurry."""

from collections.abc import Iterator
from contextlib import contextmanager

from livespot.contracts.ports import Scope


class Patience:
    """A limit shared by every wait for an answer of the exchange; the system ends it.

    A request whose wait is given up may have been carried out, just as after its own timeout.
    """

    def __init__(self) -> None:
        self._waits: set[Scope] = set()
        self._is_over = False

    @property
    def is_over(self) -> bool:
        return self._is_over

    @contextmanager
    def lasts(self, wait: Scope) -> Iterator[None]:
        """Cancel `wait` when the patience ends during the block; at once if it is over already."""
        if self._is_over:
            wait.cancel()
        self._waits.add(wait)
        try:
            yield
        finally:
            self._waits.discard(wait)

    def end(self) -> None:
        """Cancel all current waits, and every later one at its start."""
        self._is_over = True
        for wait in tuple(self._waits):
            wait.cancel()
