"""Spares the first entry in a known share of the plans, so that there is something to go wrong."""

from msgspec.structs import replace

from livespot.exchange.faults.plan import When
from livespot.testing.search.dice import Dice
from livespot.testing.search.plan import RunPlan

# Of the staged plans that have faults or troubles; in the others either may hit the entry itself.
_SPARED_PERCENT = 75
# The order is on its way some seconds after it was expected, at the latest.
_ON_ITS_WAY_MS = 5000
_SPREAD_MS = 15_000
_BEFORE_END_MS = 3000


def with_entry_spared(plan: RunPlan, *, entry_ms: int) -> RunPlan:
    """What would begin before the first entry is sent begins after it instead."""
    dice = Dice(f"spared {plan.seed}")
    if plan.stage is None or not plan.mishaps or not dice.percent(_SPARED_PERCENT):
        return plan
    from_ms = entry_ms + _ON_ITS_WAY_MS
    latest_ms = min(from_ms + _SPREAD_MS, plan.safety_ms - _BEFORE_END_MS)
    if latest_ms <= from_ms:
        return plan

    def later(begin_ms: int) -> int:
        return begin_ms if begin_ms >= from_ms else dice.between(from_ms, latest_ms)

    def moved(when: When) -> When:
        after_ms = later(when.after_ms or 0)
        left_ms = plan.safety_ms - after_ms
        for_ms = None if when.for_ms is None else min(when.for_ms, left_ms)
        return replace(when, after_ms=after_ms, for_ms=for_ms)

    return replace(
        plan,
        faults=tuple(replace(fault, when=moved(fault.when)) for fault in plan.faults),
        troubles=tuple(replace(one, after_ms=later(one.after_ms)) for one in plan.troubles),
    )
