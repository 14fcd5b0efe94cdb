"""Reduces a failing plan: parts are left out one by one while the same check still fails."""

from collections.abc import Callable, Iterator

from msgspec.structs import replace

from livespot.testing.search.plan import RunPlan

Fails = Callable[[RunPlan], bool]


def shrunk(plan: RunPlan, fails: Fails, *, budget: int) -> tuple[RunPlan, int]:
    """The smallest plan found that still fails, and how many runs it took, at most `budget`."""
    spent = 0
    smaller = True
    while smaller:
        smaller = False
        for candidate in simpler(plan):
            if spent >= budget:
                return plan, spent
            spent += 1
            if fails(candidate):
                plan, smaller = candidate, True
                break
    return plan, spent


def simpler(plan: RunPlan) -> Iterator[RunPlan]:
    """Every plan that is one step simpler, the biggest steps first."""
    half = len(plan.faults) // 2
    if half > 1:
        yield replace(plan, faults=plan.faults[:half])
        yield replace(plan, faults=plan.faults[half:])
    for number in range(len(plan.faults)):
        yield replace(plan, faults=plan.faults[:number] + plan.faults[number + 1 :])
    for number in range(len(plan.troubles)):
        yield replace(plan, troubles=plan.troubles[:number] + plan.troubles[number + 1 :])
    for number in range(len(plan.deaths)):
        yield replace(plan, deaths=plan.deaths[:number] + plan.deaths[number + 1 :])
    if plan.shuffled:
        yield replace(plan, shuffled=False)
    for key in plan.settings:
        kept = {name: value for name, value in plan.settings.items() if name != key}
        yield replace(plan, settings=kept)
