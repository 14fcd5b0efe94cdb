"""How long an answer is waited for when the process is told to hurry: not beyond its last word."""

from collections.abc import Iterator
from contextlib import contextmanager

from livespot.contracts.ports import Scope


class Patience:
    """Ended by whoever ends the process; those who wait for the exchange ask it for nothing.

    Who is given up knows no more than after its own limit: the request may have been done.
    """

    def __init__(self) -> None:
        self._waits: set[Scope] = set()
        self._is_over = False

    @property
    def is_over(self) -> bool:
        return self._is_over

    @contextmanager
    def lasts(self, wait: Scope) -> Iterator[None]:
        """Around a wait that ends with the patience; at once, where that is over already."""
        if self._is_over:
            wait.cancel()
        self._waits.add(wait)
        try:
            yield
        finally:
            self._waits.discard(wait)

    def end(self) -> None:
        """Give up all waits, those of the present and of the future."""
        self._is_over = True
        for wait in tuple(self._waits):
            wait.cancel()
