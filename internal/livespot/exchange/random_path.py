"""An endless random walk of which any hour can be had without the hours before it."""

import struct
from array import array
from hashlib import sha256, shake_128
from math import isqrt

from livespot.exchange.fixed_point import bell
from livespot.exchange.prng import GOLDEN, mixed

# The deviation of one hour's change.
HOUR_DEVIATION = 1 << 20
_KNOT_BITS = 12
_BLOCK_BITS = 6
_BLOCK = 1 << _BLOCK_BITS
_KEPT_BLOCKS = 32
_KEPT_HOURS = 1024
# The sum of two 16-bit uniforms deviates by 65536 / sqrt(6); one of sixty minutes by 1 / sqrt(60)
# of an hour's deviation. A change times this, shifted by STEP_BITS, is in units of the latter.
STEP_BITS = 32
MINUTE_STEP = isqrt((6 << 2 * STEP_BITS) // (60 << 32))
_LEVEL_STRIDE = 0xD1342543DE82EF95


class RandomPath:
    """Values at whole hours by midpoint displacement (Lévy's construction of Brownian motion).

    Independent knots every 4096 hours keep it near zero for ever; between them each midpoint is
    the mean of its neighbours plus a draw of its own, so its value follows from the key, a level
    and a position. The knots' spread is that of a walk of 4096 hours.
    """

    def __init__(self, key: str) -> None:
        self._key = key
        self._word = int.from_bytes(sha256(key.encode()).digest()[:8], "big")
        self._blocks: dict[int, array[int]] = {}
        self._hours: dict[int, list[int]] = {}

    def at(self, hour: int) -> int:
        """The value at the beginning of an hour, in 1 / HOUR_DEVIATION of an hour's deviation."""
        number = hour >> _BLOCK_BITS
        block = self._blocks.get(number)
        if block is None:
            if len(self._blocks) >= _KEPT_BLOCKS:
                self._blocks.clear()
            block = self._blocks[number] = self._block(number)
        return block[hour & (_BLOCK - 1)]

    def words(self, hour: int) -> tuple[int, ...]:
        """240 numbers of 16 bits that belong to an hour."""
        return struct.unpack("<240H", shake_128(f"{self._key}:{hour}".encode()).digest(480))

    def steps(self, hour: int) -> list[int]:
        """The independent changes of an hour's minutes, before they are bent to meet its end."""
        steps = self._hours.get(hour)
        if steps is None:
            if len(self._hours) >= _KEPT_HOURS:
                self._hours.clear()
            steps = self._hours[hour] = steps_of(self.words(hour))
        return steps

    def _block(self, number: int) -> "array[int]":
        values = array("q", bytes(8 * (_BLOCK + 1)))
        values[0] = self._node(_BLOCK_BITS, number)
        values[_BLOCK] = self._node(_BLOCK_BITS, number + 1)
        for level in range(_BLOCK_BITS - 1, -1, -1):
            span = 1 << level
            first = number << (_BLOCK_BITS - level)
            for position in range(1, _BLOCK >> level, 2):
                here = position << level
                middle = (values[here - span] + values[here + span]) // 2
                values[here] = middle + self._draw(level, first + position)
        return values

    def _node(self, level: int, position: int) -> int:
        """The value at `position << level` hours."""
        if level == _KNOT_BITS:
            return self._draw(level, position)
        if position % 2 == 0:
            return self._node(level + 1, position // 2)
        before = self._node(level + 1, position // 2)
        after = self._node(level + 1, position // 2 + 1)
        return (before + after) // 2 + self._draw(level, position)

    def _draw(self, level: int, position: int) -> int:
        """A displacement in the middle of 2 << level hours; at a knot half its walk's variance."""
        bits = mixed(self._word + level * _LEVEL_STRIDE + position * GOLDEN)
        return bell(bits, isqrt(HOUR_DEVIATION**2 << level >> 1))


def steps_of(words: tuple[int, ...]) -> list[int]:
    """Sixty independent changes from the first 120 words; see `MINUTE_STEP`."""
    return [a + b - 65_535 for a, b in zip(words[:60], words[60:120], strict=True)]
