"""The same numbers as the seeded generator's, worked out many at a time."""

import struct

from livespot.exchange.prng import GOLDEN, SplitMix

_MASK = (1 << 64) - 1
_UNIT = 1.0 / (1 << 53)
_LANES = 512
_LANE_BITS = 128
# One number stands for many: each has a lane twice as wide as itself, so that products fit.
_ONES = sum(1 << _LANE_BITS * lane for lane in range(_LANES))
_WORDS = _MASK * _ONES
_STEPS = sum(((lane + 1) * GOLDEN & _MASK) << _LANE_BITS * lane for lane in range(_LANES))
_LOW_HALVES = struct.Struct("<" + "Q8x" * _LANES)
_BYTES = _LANES * _LANE_BITS // 8


class DrawnAhead(SplitMix):
    """A `SplitMix` for whoever draws hundreds of numbers: a fifth of the time for each."""

    __slots__ = ("_words",)

    def __init__(self, key: str) -> None:
        super().__init__(key)
        # The next one is the last.
        self._words: list[int] = []

    def bits(self) -> int:
        """The next 64 bits."""
        words = self._words or self._refilled()
        return words.pop()

    def unit(self) -> float:
        """Uniform in [0, 1)."""
        words = self._words or self._refilled()
        return (words.pop() >> 11) * _UNIT

    def below(self, bound: int) -> int:
        """Uniform integer in [0, bound)."""
        words = self._words or self._refilled()
        return words.pop() % bound

    def bell(self) -> float:
        """Mean 0, deviation 1: the sum of three uniforms, bounded by plus or minus 3."""
        words = self._words
        if len(words) < 3:
            words = self._refilled()
        pop = words.pop
        total = (pop() >> 11) * _UNIT + (pop() >> 11) * _UNIT + (pop() >> 11) * _UNIT
        return 2.0 * (total - 1.5)

    def _refilled(self) -> list[int]:
        """What is left, and a block of numbers after it, mixed as in `SplitMix.bits`."""
        z = (self._state * _ONES + _STEPS) & _WORDS
        z = ((z ^ ((z >> 30) & _WORDS)) * 0xBF58476D1CE4E5B9) & _WORDS
        z = ((z ^ ((z >> 27) & _WORDS)) * 0x94D049BB133111EB) & _WORDS
        z ^= (z >> 31) & _WORDS
        self._state = (self._state + _LANES * GOLDEN) & _MASK
        block = list(_LOW_HALVES.unpack(z.to_bytes(_BYTES, "little")))
        block.reverse()
        self._words = block + self._words
        return self._words
