"""A small seeded generator for the simulated market: same key, same numbers, on every machine."""

import hashlib

_MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15
_UNIT = 1.0 / (1 << 53)


def mixed(word: int) -> int:
    """64 bits in which every bit depends on every bit of a word (Stafford's variant 13)."""
    z = word & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


class SplitMix:
    """SplitMix64 (Steele, Lea, Flood 2014), keyed by text.

    Every minute of every symbol has its own key, so any minute can be produced without the ones
    before it.
    """

    __slots__ = ("_state",)

    def __init__(self, key: str) -> None:
        self._state = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")

    def bits(self) -> int:
        """The next 64 bits."""
        # `mixed` written out: a call would double the time of what is drawn most.
        self._state = (self._state + GOLDEN) & _MASK
        z = self._state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return z ^ (z >> 31)

    def unit(self) -> float:
        """Uniform in [0, 1)."""
        return (self.bits() >> 11) * _UNIT

    def below(self, bound: int) -> int:
        """Uniform integer in [0, bound)."""
        return self.bits() % bound

    def bell(self) -> float:
        """Mean 0, deviation 1: the sum of three uniforms, bounded by plus or minus 3."""
        # `bits` written out once more: most of what is drawn is drawn here.
        state, total = self._state, 0.0
        for _ in range(3):
            state = (state + GOLDEN) & _MASK
            z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
            z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
            total += ((z ^ (z >> 31)) >> 11) * _UNIT
        self._state = state
        return 2.0 * (total - 1.5)
