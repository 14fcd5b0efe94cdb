"""Repeatable draws for plans: whole numbers and picks, the same on every machine."""

from collections.abc import Sequence
from typing import TypeVar

from livespot.exchange.prng import SplitMix

T = TypeVar("T")


class Dice:
    """Keyed by text; two keys have nothing to do with each other."""

    def __init__(self, key: str) -> None:
        self._mix = SplitMix(key)

    def between(self, low: int, high: int) -> int:
        """Any whole number in [low, high], each as likely."""
        return low + self._mix.below(high - low + 1)

    def scaled(self, low: int, high: int) -> int:
        """A whole number in [low, high], each order of magnitude about as likely."""
        ceiling = low
        while ceiling < high and self.percent(85):
            ceiling = min(high, ceiling * 2)
        return self.between(low, ceiling)

    def percent(self, share: int) -> bool:
        """True in `share` of 100 draws."""
        return self._mix.below(100) < share

    def pick(self, options: Sequence[T]) -> T:
        return options[self._mix.below(len(options))]

    def half_of(self, options: Sequence[T]) -> list[T]:
        """About half of the options, at least one, in their order."""
        chosen = [option for option in options if self.percent(50)]
        return chosen or [self.pick(options)]

    def count(self, *, mean: int, most: int) -> int:
        """At least one, `mean` on average (geometric), at most `most`."""
        number = 1
        while number < most and self._mix.below(mean) != 0:
            number += 1
        return number
