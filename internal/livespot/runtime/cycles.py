"""Cycle identifiers: one sequence for the whole run."""

from livespot.contracts import ids
from livespot.contracts.ports import Clock


class CycleIds:
    """Hands out `cycle_id`s in order; the sequence starts at 1 in every run."""

    def __init__(self, run_id: str, clock: Clock) -> None:
        self._run_id = run_id
        self._clock = clock
        self.count = 0

    def next(self) -> str:
        self.count += 1
        return ids.cycle_id(self._run_id, self.count, self._clock.now_ms())
