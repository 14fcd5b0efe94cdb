"""Arithmetic of due times: monotonic ms, of which the earliest counts."""

from typing import Final

AT_ONCE: Final = 0
NEVER: Final = 1 << 62


def earliest(*instants_ms: int) -> int:
    """The earliest of them, `NEVER` when there are none."""
    return min(instants_ms, default=NEVER)


def step_at(ticked_ms: int, due_ms: int, step_ms: int) -> int:
    """The first tick after the last one at which `due_ms` has been reached.

    Ticks lie `step_ms` apart, counted from the last one; a tick that was left out is not made up
    for.
    """
    if due_ms >= NEVER:
        return NEVER
    behind = max(1, -((ticked_ms - due_ms) // step_ms))
    return ticked_ms + behind * step_ms
