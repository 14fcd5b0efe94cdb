"""Tells from a plan alone whether its run is likely to show a planted defect."""

from collections.abc import Callable, Sequence

from livespot.exchange.faults.plan import (
    AcceptThen,
    AdjustBalance,
    Ban,
    Blackhole,
    CancelByHand,
    Delay,
    DropRequest,
    DropResponse,
    Fault,
    HalfOpen,
    MassExpire,
    OrderByHand,
    Reply,
    Reset,
    SaleByHand,
    SkewClock,
    StepClock,
    SuspendClock,
    Verb,
)
from livespot.testing.search.plan import RunPlan
from livespot.testing.search.scenes import ENTRY_MS
from livespot.testing.search.stage import StagedSymbol
from livespot.testing.search.troubles import ClockSet, DiskBusy, DiskError, DiskFull

# An entry that nothing disturbs has been placed by then.
_PLACED_MS = ENTRY_MS + 5000
# From a birth to its first request, about.
_BOOT_MS = 2000
# With a queue and trades so small an order is filled little by little.
_CRUMB_QUOTE = 120
# Rises of a stage that let a stop follow, and how many of them are enough for two swaps.
_RISE_BPS = 25
_RISES = 3
# Before an order that is this late arrives, three reads have not shown it.
_LATE_MS = 5000
# A clear refusal, and the answers that are refused or no JSON although their status is not.
_OVERLOADED = -1008
_UNREADABLE = {200, 403}
# How far a stamp may lie ahead of the exchange's time, and how far behind, to be taken.
_TAKEN_AHEAD_MS = 1000
_TAKEN_BEHIND_MS = 5000
# A signature may be 500 ms off, and a request's way to the exchange makes up for a few.
_NOTEWORTHY_MS = 550
# What is signed within three seconds of a step is excused, and orders are seconds apart.
_WRONG_FOR_MS = 10_000


def _of_orders(fault: Fault) -> bool:
    """Whether it is aimed at placing orders, and at nothing else."""
    return fault.match.method in {"POST", "order*.place*"}


def _first(plan: RunPlan) -> StagedSymbol | None:
    return plan.stage.symbols[0] if plan.stage is not None else None


def undisturbed_entry(plan: RunPlan) -> bool:
    """Nothing goes wrong before the first entry is placed."""
    begins = [fault.when.after_ms or 0 for fault in plan.faults]
    begins += [trouble.after_ms for trouble in plan.troubles]
    return plan.stage is not None and all(begin >= _PLACED_MS for begin in begins)


def separate(plan: RunPlan) -> bool:
    """Protection is not attached to the entry but placed afterwards."""
    return plan.settings.get("exit.attach") == "SEPARATE"


def in_crumbs(plan: RunPlan) -> bool:
    """The first entry is filled little by little, at a price that stands."""
    first = _first(plan)
    return (
        first is not None
        and first.print_quote <= _CRUMB_QUOTE
        and len(first.legs) > 1
        and first.legs[1].bps == 0
    )


def left_in_crumbs(plan: RunPlan) -> bool:
    """The price climbs away from an entry that has been filled in part."""
    first = _first(plan)
    return in_crumbs(plan) and first is not None and len(first.legs) > 2 and first.legs[2].bps > 0


def answered_after(least_ms: int) -> Callable[[RunPlan], bool]:
    """Plans in which an order is done, and its sender hears of it `least_ms` later, or never."""

    def late(fault: Fault) -> bool:
        if not isinstance(fault.what, AcceptThen) or not _of_orders(fault):
            return False
        then = fault.what.then
        if isinstance(then, DropResponse):
            return then.then == "hang"
        return isinstance(then, Delay) and then.ms >= least_ms

    return lambda plan: _meets_an_order(plan, [fault for fault in plan.faults if late(fault)])


def order_vanishes(plan: RunPlan) -> bool:
    """An order is not done, or later than anybody waits, and its sender cannot know."""
    lost = [fault for fault in plan.faults if _of_orders(fault) and _vanishes(fault.what)]
    return _meets_an_order(plan, lost)


def _meets_an_order(plan: RunPlan, faults: Sequence[Fault]) -> bool:
    """Whether one of these faults of orders is likely to find one.

    Where the first entry is spared, only a stop of its own or a reprice comes later.
    """
    if _orders_later(plan):
        return bool(faults)
    return any((fault.when.after_ms or 0) < _PLACED_MS for fault in faults)


def _orders_later(plan: RunPlan) -> bool:
    """The first entry is not the last order: a stop of its own follows, or another price."""
    first = _first(plan)
    return separate(plan) or (first is not None and len(first.legs) > 1 and first.legs[1].bps > 0)


def _vanishes(what: Verb) -> bool:
    if isinstance(what, Reply):
        return what.code != _OVERLOADED and (what.status >= 500 or what.status in _UNREADABLE)
    return isinstance(what, DropRequest) or (isinstance(what, Delay) and what.ms >= _LATE_MS)


def crumbs_unseen(plan: RunPlan) -> bool:
    """The fills of an entry in equal crumbs are not told."""
    return any(fault.id == "crumbs-unseen" for fault in plan.faults)


def stops_lost(plan: RunPlan) -> bool:
    """What protects a position leaves the book, and is placed anew."""
    return any(
        isinstance(fault.what, CancelByHand)
        or (isinstance(fault.what, MassExpire) and "STOP_LOSS" in fault.what.types)
        for fault in plan.faults
    )


def stop_follows(plan: RunPlan) -> bool:
    """A position bought in peace has a stop of its own, which then follows the price.

    What an entry left in pieces has no second stop: its rest is cancelled before the first.
    """
    first = _first(plan)
    climbs = first is not None and sum(leg.bps >= _RISE_BPS for leg in first.legs) >= _RISES
    return separate(plan) and undisturbed_entry(plan) and plan.swap_proven and climbs


def another_stop(plan: RunPlan) -> bool:
    """A position bought in peace has a second stop: the first is lost, or follows the price."""
    lost = separate(plan) and undisturbed_entry(plan) and stops_lost(plan)
    return lost or stop_follows(plan)


def base_moved(plan: RunPlan) -> bool:
    """Somebody else changes what there is of a base asset."""
    named = {symbol.removesuffix("USDT") for symbol in plan.symbols}
    return any(
        isinstance(fault.what, OrderByHand | SaleByHand)
        or (isinstance(fault.what, AdjustBalance) and fault.what.asset in named)
        for fault in plan.faults
    )


def killed_at_a_creation(plan: RunPlan) -> bool:
    """A life ends when its first intent is durable and nothing has been sent."""
    return any(death.commit == 1 and not death.cancelled for death in plan.deaths)


def reborn_in_silence(plan: RunPlan) -> bool:
    """A life is born while the exchange has told an earlier one to be silent."""
    return any(
        begin_ms < death_ms and birth_ms + _BOOT_MS < end_ms
        for death_ms, birth_ms in _gaps(plan)
        for begin_ms, end_ms in _silences(plan)
    )


def _gaps(plan: RunPlan) -> list[tuple[int, int]]:
    """(death, next birth) as far as the times are known from the plan."""
    now_ms, found = 0, []
    for death in plan.deaths:
        if death.commit is not None or death.point is not None:
            break
        death_ms = now_ms + death.after_ms
        now_ms = death_ms + death.down_ms
        found.append((death_ms, now_ms))
    return found


def _silences(plan: RunPlan) -> list[tuple[int, int]]:
    found = []
    for fault in plan.faults:
        begin_ms = fault.when.after_ms or 0
        if isinstance(fault.what, Ban):
            found.append((begin_ms, begin_ms + fault.what.ms))
        elif isinstance(fault.what, Reply) and "Retry-After" in fault.what.headers:
            seconds = int(fault.what.headers["Retry-After"])
            found.append((begin_ms, begin_ms + 1000 * seconds))
    return found


def clock_quietly_wrong(plan: RunPlan) -> bool:
    """Our clock is wrong by more than a signature may be, and by too little for a refusal.

    It is so for long enough that an order after the entry can be signed meanwhile. A larger step
    ahead is refused and measured; then it is the step back that nobody notices for half a minute.
    Where the exchange's clock moves as well, signatures are not judged.
    """
    moved = any(isinstance(f.what, StepClock | SkewClock | SuspendClock) for f in plan.faults)
    return (
        not moved
        and _orders_later(plan)
        and any(
            _quietly_wrong(trouble.what.ms, trouble.for_ms)
            for trouble in plan.troubles
            if isinstance(trouble.what, ClockSet)
        )
    )


def _quietly_wrong(ms: int, for_ms: int) -> bool:
    taken = -_TAKEN_BEHIND_MS < ms < _TAKEN_AHEAD_MS and for_ms >= _WRONG_FOR_MS
    return abs(ms) >= _NOTEWORTHY_MS and (taken or _TAKEN_AHEAD_MS < ms < _TAKEN_BEHIND_MS)


def commits_fail(plan: RunPlan) -> bool:
    """The database does not take something."""
    return any(
        isinstance(trouble.what, DiskFull | DiskBusy)
        or (isinstance(trouble.what, DiskError) and trouble.what.op == "commit")
        for trouble in plan.troubles
    )


def unreachable(plan: RunPlan) -> bool:
    """A request by REST finds nobody, or no answer."""
    return any(
        isinstance(fault.what, Reset | Blackhole | HalfOpen | DropRequest | DropResponse)
        and fault.what.target == "rest"
        for fault in plan.faults
    )
