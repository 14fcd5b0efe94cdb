"""When something can be due: instants of a steady clock in ms, the earliest of which counts."""

from typing import Final

AT_ONCE: Final = 0
NEVER: Final = 1 << 62


def earliest(*instants_ms: int) -> int:
    """The first of them, `NEVER` when there are none."""
    return min(instants_ms, default=NEVER)


def step_at(ticked_ms: int, due_ms: int, step_ms: int) -> int:
    """The first step after the last tick at which what is due then is due already.

    Steps lie `step_ms` apart, counted from the last tick, which was at one of them: one that was
    left out is not made up for.
    """
    if due_ms >= NEVER:
        return NEVER
    behind = max(1, -((ticked_ms - due_ms) // step_ms))
    return ticked_ms + behind * step_ms
