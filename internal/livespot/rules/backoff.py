"""How long to wait before trying again."""


def backoff_seconds(failures: int, chance: float, *, base: float = 0.5, cap: float = 30.0) -> float:
    """Doubles with every failure up to `cap`; `chance` in 0..1 picks a point in the upper half."""
    full = min(cap, base * 2.0 ** min(failures, 16))
    return full * (0.5 + 0.5 * chance)
