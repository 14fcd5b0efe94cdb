"""The randomness seam."""

import random
import secrets


class SystemEntropy:
    """The operating system's randomness."""

    def hex(self, digits: int) -> str:
        return secrets.token_hex((digits + 1) // 2)[:digits]

    def uniform(self, low: float, high: float) -> float:
        return secrets.SystemRandom().uniform(low, high)


class SeededEntropy:
    """Repeatable randomness for simulations and tests."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311  repeatability is the point

    def hex(self, digits: int) -> str:
        return f"{self._random.getrandbits(digits * 4):0{digits}x}"

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)
