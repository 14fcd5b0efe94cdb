"""Spares the first entry in a known share of the plans, so that faults find something to hit."""

from msgspec.structs import replace

from livespot.exchange.faults.plan import DropRequest, Fault, Reply, When
from livespot.testing.search.dice import Dice
from livespot.testing.search.fault_kinds import ORDERS
from livespot.testing.search.plan import RunPlan
from livespot.testing.search.socket_orders import PLACED

# Of the staged plans that have faults or troubles; in the others either may hit the entry itself.
_SPARED_PERCENT = 85
# The order is on its way some seconds after it was expected, at the latest.
_ON_ITS_WAY_MS = 5000
_SPREAD_MS = 15_000
_BEFORE_END_MS = 3000
# Of all plans: hands, words, sleeps and odd answers may come before the entry is on its way.
_MET_PERCENT = 20
_ORDERS = (ORDERS, PLACED)


def met_at_ms(seed: int, *, entry_ms: int) -> int:
    """From when on a plan's rarer mishaps happen: mostly once the first entry is on its way."""
    return entry_ms if Dice(f"met {seed}").percent(_MET_PERCENT) else entry_ms + _ON_ITS_WAY_MS


def with_entry_spared(plan: RunPlan, *, entry_ms: int) -> RunPlan:
    """What would begin before the first entry is sent begins after it instead.

    What keeps several orders in a row from being placed lets the first of them pass.
    """
    dice = Dice(f"spared {plan.seed}")
    if plan.stage is None or not plan.mishaps or not dice.percent(_SPARED_PERCENT):
        return plan
    from_ms = entry_ms + _ON_ITS_WAY_MS
    latest_ms = min(from_ms + _SPREAD_MS, plan.safety_ms - _BEFORE_END_MS)
    if latest_ms <= from_ms:
        return plan

    def later(begin_ms: int) -> int:
        return begin_ms if begin_ms >= from_ms else dice.between(from_ms, latest_ms)

    def moved(fault: Fault) -> When:
        when = fault.when
        if when.nth == 1 and _keeps_all_away(fault):
            when = replace(when, nth=2)
        after_ms = later(when.after_ms or 0)
        left_ms = plan.safety_ms - after_ms
        for_ms = None if when.for_ms is None else min(when.for_ms, left_ms)
        return replace(when, after_ms=after_ms, for_ms=for_ms)

    return replace(
        plan,
        faults=tuple(replace(fault, when=moved(fault)) for fault in plan.faults),
        troubles=tuple(replace(one, after_ms=later(one.after_ms)) for one in plan.troubles),
    )


def _keeps_all_away(fault: Fault) -> bool:
    """Whether every attempt at the entry would fail: it is given up after a few."""
    several = fault.when.count is not None and fault.when.count > 1
    return several and isinstance(fault.what, DropRequest | Reply) and fault.match in _ORDERS
