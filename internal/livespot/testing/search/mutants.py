"""Defects planted into the runtime on purpose, one at a time and for the span of a run.

A search that cannot find them proves nothing when it finds nothing. They exist only here: the
runtime has no switch for them.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from livespot.runtime import replay_loop
from livespot.testing.search.plan import RunPlan

# A whole short run has some 15 000; with a defect that asks again at once they have no end.
_MOST_CALLBACKS_AT_ONE_INSTANT = 20_000


class Bench:
    """Puts other code in place of a class's or a module's, and takes it out again."""

    def __init__(self) -> None:
        self._before: list[tuple[Any, str, Any]] = []

    def put(self, owner: Any, name: str, value: Any) -> Any:
        """Replace `owner.name`; returns what was there, for the new code to call."""
        before = owner.__dict__[name]
        self._before.append((owner, name, before))
        setattr(owner, name, value)
        return before

    def clear(self) -> None:
        while self._before:
            owner, name, before = self._before.pop()
            setattr(owner, name, before)


def always(plan: RunPlan) -> bool:
    """Every run may show it."""
    del plan
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One defect. `plant` puts it in place on a bench.

    `needs` tells from a plan alone whether the defect is likely to change its run; other plans are
    skipped. With `scenario` it is looked for by killing that reference trade at commits and socket
    awaits, or, if `cancelled`, by cancelling it there.
    """

    name: str
    defect: str
    plant: Callable[[Bench], None] = field(repr=False)
    needs: Callable[[RunPlan], bool] = field(default=always, repr=False)
    scenario: str = ""
    cancelled: bool = False


@contextmanager
def planted(mutant: Mutant) -> Iterator[None]:
    """Plant the defect for the block only; a run in which time stands still ends soon."""
    bench = Bench()
    try:
        mutant.plant(bench)
        bench.put(replay_loop, "_MOST_POINTS_AT_ONE_INSTANT", _MOST_CALLBACKS_AT_ONE_INSTANT)
        yield
    finally:
        bench.clear()


def verbs(*prefixes: str) -> Callable[[RunPlan], bool]:
    """Plans in which something whose name begins like one of these goes wrong."""
    return lambda plan: any(verb.startswith(prefixes) for _, verb in plan.mishaps)


def deaths(plan: RunPlan) -> bool:
    """Plans in which a life is killed."""
    return bool(plan.deaths)


def power_cuts(plan: RunPlan) -> bool:
    """Plans in which a life dies with the power."""
    return any(death.power_cut for death in plan.deaths)
