"""The kinds of troubles a plan is drawn from: disk and actors, mostly around the entry."""

from collections.abc import Callable, Mapping
from typing import get_args

from msgspec.structs import replace

from livespot.testing.search.dice import Dice
from livespot.testing.search.plan import RunPlan
from livespot.testing.search.troubles import (
    ActorName,
    ActorRaises,
    ActorReturns,
    ActorStalls,
    DiskBusy,
    DiskError,
    DiskFull,
    DiskSlow,
    Trouble,
    What,
)

_ACTORS: tuple[ActorName, ...] = get_args(ActorName)
# Runs with troubles of their own among those that have faults at all.
_TROUBLED_PERCENT = 40
_LONGEST_BUSY_MS = 12_000
_LONGEST_FULL_MS = 12_000
_LONGEST_SLOW_MS = 60_000
_LATEST_MS = 60_000


def _stalled(dice: Dice) -> tuple[What, int]:
    ms = dice.scaled(500, 20_000)
    return ActorStalls(actor=dice.pick(_ACTORS), ms=ms, nth=dice.between(1, 20)), 1


TROUBLE_KINDS: Mapping[str, Callable[[Dice], tuple[What, int]]] = {
    "disk-full": lambda dice: (DiskFull(), dice.scaled(200, _LONGEST_FULL_MS)),
    "commit-fails": lambda dice: (DiskError(op="commit", nth=dice.between(1, 12)), 1),
    "trail-fails": lambda dice: (DiskError(op="append", nth=dice.between(1, 12)), 1),
    "disk-slow": lambda dice: (
        DiskSlow(ms=dice.scaled(5, 1500)),
        dice.scaled(1000, _LONGEST_SLOW_MS),
    ),
    "database-held": lambda dice: (DiskBusy(), dice.scaled(20, _LONGEST_BUSY_MS)),
    "actor-raises": lambda dice: (
        ActorRaises(actor=dice.pick(_ACTORS), nth=dice.between(1, 50)),
        1,
    ),
    "actor-returns": lambda dice: (
        ActorReturns(actor=dice.pick(_ACTORS), nth=dice.between(1, 50)),
        1,
    ),
    "actor-stalls": _stalled,
}


def with_troubles(plan: RunPlan, *, entry_ms: int) -> RunPlan:
    """The plan with troubles and power cuts of its own; one without any fault stays as it is."""
    if not plan.faults:
        return plan
    deaths = zip(plan.deaths, power_cuts(plan.seed, len(plan.deaths)), strict=True)
    return replace(
        plan,
        troubles=drawn_troubles(plan.seed, entry_ms=entry_ms, safety_ms=plan.safety_ms),
        deaths=tuple(replace(death, power_cut=cut) for death, cut in deaths),
    )


def drawn_troubles(seed: int, *, entry_ms: int, safety_ms: int) -> tuple[Trouble, ...]:
    """None, one or two for a seed; the same for ever as long as this code stands."""
    dice = Dice(f"troubles {seed}")
    if not dice.percent(_TROUBLED_PERCENT):
        return ()
    drawn = []
    for number in range(dice.between(1, 2)):
        name = dice.pick(tuple(TROUBLE_KINDS))
        what, for_ms = TROUBLE_KINDS[name](dice)
        latest_ms = min(_LATEST_MS, max(11, safety_ms - entry_ms - 2000))
        after_ms = entry_ms + dice.scaled(10, latest_ms) - dice.pick((0, 0, 0, 5000))
        drawn.append(Trouble(id=f"{number}-{name}", what=what, after_ms=after_ms, for_ms=for_ms))
    return tuple(drawn)


def power_cuts(seed: int, deaths: int) -> tuple[bool, ...]:
    """Which of a seed's deaths take the power with them."""
    dice = Dice(f"power {seed}")
    return tuple(dice.percent(40) for _ in range(deaths))
