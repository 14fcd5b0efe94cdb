"""Extras of some plans: a second user, a wrong clock, an operator, a late market.

Each is drawn from a key of its own, so that adding one leaves all other draws as they were.
"""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import TypeAlias

from msgspec.structs import replace

from livespot.contracts.vocabulary import OperatorAction
from livespot.exchange.faults.plan import (
    AdjustBalance,
    Blackhole,
    CancelByHand,
    Delay,
    DropEvents,
    Fault,
    Match,
    OrderByHand,
    SaleByHand,
    SetFilter,
    SuspendClock,
    Verb,
    When,
)
from livespot.testing.search.dice import Dice
from livespot.testing.search.plan import DeathPlan, RunPlan
from livespot.testing.search.stage import Leg, StagedSymbol
from livespot.testing.search.staged_market import BILLS
from livespot.testing.search.troubles import ClockSet, MachineSleeps, OperatorSays, Trouble, What

# Shares of the plans that have faults at all.
_HANDS_PERCENT = 20
_HOUSE_PERCENT = 15
_LATE_PERCENT = 3
_COMMIT_PERCENT = 45
_CANCELLED_PERCENT = 25
_TRAILING_PERCENT = 35
_EVEN_PERCENT = 50
_UNSEEN_PERCENT = 25
_AMONG_PERCENT = 50
# The row, the send, the answer; then a transaction or two for each crumb.
_AMONG_COMMITS = (4, 10)
_LONGEST_UNSEEN_MS = 40_000
_CRUMB_QUOTE = 120
_LATEST_MS = 60_000
_BEFORE_END_MS = 3000
_LONGEST_SLEEP_MS = 30_000
_LONGEST_WRONG_MS = 40_000
_MOST_COMMITS = 40

_Drawn: TypeAlias = tuple[Verb, bool]


def _order(dice: Dice, symbol: str) -> _Drawn:
    away = dice.pick((None, 0, 3, 30, 300))
    quote, name = Decimal(dice.between(12, 60)), f"web_{dice.between(1, 99_999)}"
    return OrderByHand(symbol=symbol, quote=quote, away_bps=away, client_id=name), False


def _moved(dice: Dice, symbol: str) -> _Drawn:
    """Base comes in, or what is free of it leaves."""
    lot = Decimal(50) / BILLS[symbol].price
    delta = (lot * dice.pick((1, 1, 3, -1)) / 10).quantize(BILLS[symbol].step_size)
    return AdjustBalance(asset=symbol.removesuffix("USDT"), delta=delta), False


def _filters(dice: Dice, symbol: str) -> _Drawn:
    """Ticks or lots become coarser for a while."""
    bill, times = BILLS[symbol], dice.pick((2, 5, 10))
    tick, step = f"{bill.tick_size * times:f}", f"{bill.step_size * times:f}"
    patch = dice.pick(
        (
            {"filterType": "PRICE_FILTER", "tickSize": tick, "minPrice": tick},
            {"filterType": "LOT_SIZE", "stepSize": step, "minQty": step},
            {"filterType": "NOTIONAL", "minNotional": str(dice.between(6, 15))},
        )
    )
    return SetFilter(symbol=symbol, patch=[patch]), True


# Each with the symbol it is about; whether it lasts.
HAND_KINDS: Mapping[str, Callable[[Dice, str], _Drawn]] = {
    "order-by-hand": _order,
    "another-order-by-hand": _order,
    "base-moved": _moved,
    "cancel-by-hand": lambda _, symbol: (CancelByHand(symbol=symbol), False),
    "sale-by-hand": lambda _, symbol: (SaleByHand(symbol=symbol), False),
    "filters-changed": _filters,
    "exchange-clock-stands": lambda dice, _: (SuspendClock(ms=dice.scaled(200, 10_000)), False),
}


def with_hands(plan: RunPlan, *, entry_ms: int) -> RunPlan:
    """Somebody else acts in the account, or the exchange's rules change."""
    dice = Dice(f"hands {plan.seed}")
    if not plan.faults or plan.stage is None or not dice.percent(_HANDS_PERCENT):
        return plan
    found = []
    for number in range(dice.between(1, 2)):
        name = dice.pick(tuple(HAND_KINDS))
        what, lasts = HAND_KINDS[name](dice, dice.pick(plan.symbols))
        after_ms = moment_of(dice, plan, entry_ms)
        longest_ms = plan.safety_ms - after_ms
        when = When(after_ms=after_ms, for_ms=dice.scaled(500, longest_ms) if lasts else None)
        found.append(Fault(id=f"h{number}-{name}", what=what, when=when))
    return replace(plan, faults=(*plan.faults, *found))


def with_late_market(plan: RunPlan, *, entry_ms: int) -> RunPlan:
    """The market's frames come late from before the entry on: most of these plans buy nothing."""
    dice = Dice(f"late {plan.seed}")
    if not plan.faults or not dice.percent(_LATE_PERCENT):
        return plan
    begin_ms = dice.between(0, entry_ms // 2)
    late = Fault(
        id="market-late",
        what=Delay(target="ws_md", ms=dice.between(1200, 6000)),
        match=Match.NOTHING,
        when=When(after_ms=begin_ms, for_ms=dice.between(entry_ms, plan.safety_ms) - begin_ms),
    )
    return replace(plan, faults=(*plan.faults, late))


def _said(dice: Dice, symbols: tuple[str, ...]) -> What:
    action = dice.pick(
        (
            *(OperatorAction.PAUSE, OperatorAction.RESUME, OperatorAction.RESUME),
            *(OperatorAction.STOP, OperatorAction.EXPOSURE_OPEN),
        )
    )
    if action is not OperatorAction.EXPOSURE_OPEN:
        return OperatorSays(action=action)
    symbol = dice.pick(symbols)
    step = BILLS[symbol].step_size
    return OperatorSays(action=action, symbol=symbol, qty=step * dice.between(1, 200))


def with_house(plan: RunPlan, *, entry_ms: int) -> RunPlan:
    """The machine's clock is set wrong for a while, the machine sleeps, or its operator speaks."""
    dice = Dice(f"house {plan.seed}")
    if not plan.faults or plan.stage is None or not dice.percent(_HOUSE_PERCENT):
        return plan
    after_ms = moment_of(dice, plan, entry_ms)
    left_ms = plan.safety_ms - after_ms
    kind = dice.pick(("clock", "clock", "sleep", "operator", "operator"))
    troubles = []
    if kind == "clock":
        ms = dice.scaled(300, 120_000) * dice.pick((1, 1, -1))
        for_ms = dice.scaled(1000, min(_LONGEST_WRONG_MS, left_ms))
        troubles.append(_trouble("h-clock-set", ClockSet(ms=ms), after_ms, for_ms))
    elif kind == "sleep":
        for_ms = dice.scaled(1000, min(_LONGEST_SLEEP_MS, left_ms))
        troubles.append(_trouble("h-machine-sleeps", MachineSleeps(), after_ms, for_ms))
    else:
        for number in range(dice.between(1, 3)):
            what = _said(dice, plan.symbols)
            troubles.append(_trouble(f"h{number}-command", what, after_ms, 1))
            after_ms = min(plan.safety_ms - 1000, after_ms + dice.scaled(50, 20_000))
    return replace(plan, troubles=(*plan.troubles, *troubles))


def with_manners(plan: RunPlan) -> RunPlan:
    """Some lives die just as something about an order is durable; some are cancelled instead."""
    dice = Dice(f"manners {plan.seed}")
    return replace(plan, deaths=tuple(_in_some_manner(dice, death) for death in plan.deaths))


def _in_some_manner(dice: Dice, death: DeathPlan) -> DeathPlan:
    commit = dice.scaled(1, _MOST_COMMITS) if dice.percent(_COMMIT_PERCENT) else None
    cancelled = dice.percent(_CANCELLED_PERCENT)
    return replace(
        death,
        commit=commit,
        point=None if commit is not None else death.point,
        cancelled=cancelled,
        power_cut=death.power_cut and not cancelled,
    )


def with_trailing(plan: RunPlan) -> RunPlan:
    """Where there is a trend the stop may follow the price, by swaps that have been rehearsed.

    The price then climbs in steps far enough apart for several swaps, and falls in the end.
    """
    stage = plan.stage
    if stage is None or stage.symbols[0].shape != "rising":
        return plan
    dice = Dice(f"trailing {plan.seed}")
    if not dice.percent(_TRAILING_PERCENT):
        return plan
    climb = tuple(_climb(dice))
    first = stage.symbols[0]
    climbing = replace(first, legs=(*first.legs[:-1], *climb))
    longer_ms = sum(leg.ms for leg in climb)
    return replace(
        plan,
        safety_ms=plan.safety_ms + longer_ms,
        stage=replace(
            stage, symbols=(climbing, *stage.symbols[1:]), end_ms=stage.end_ms + longer_ms
        ),
        settings={**plan.settings, "exit.trailing_policy": "VIRTUAL"},
        swap_proven=True,
    )


def _climb(dice: Dice) -> Iterator[Leg]:
    yield Leg(ms=dice.between(8000, 14_000), bps=dice.between(100, 130))
    for _ in range(dice.between(1, 3)):
        yield Leg(ms=dice.between(3000, 7000), bps=dice.between(25, 70))
    yield Leg(ms=dice.between(1000, 5000), bps=-dice.between(20, 300))


def with_even_prints(plan: RunPlan) -> RunPlan:
    """Where an order is filled in crumbs, mostly many of one size, behind a short queue."""
    if plan.stage is None:
        return plan
    dice = Dice(f"even {plan.seed}")
    symbols = tuple(
        _evenly_traded(dice, staged)
        if staged.print_quote <= _CRUMB_QUOTE and dice.percent(_EVEN_PERCENT)
        else staged
        for staged in plan.stage.symbols
    )
    return replace(plan, stage=replace(plan.stage, symbols=symbols))


def with_unseen_crumbs(plan: RunPlan, *, entry_ms: int) -> RunPlan:
    """Where an order is filled in equal crumbs, its events are lost in a part of the plans."""
    even = plan.stage is not None and any(staged.even_prints for staged in plan.stage.symbols)
    dice = Dice(f"unseen {plan.seed}")
    if not even or not plan.faults or not dice.percent(_UNSEEN_PERCENT):
        return plan
    kinds: tuple[Verb, ...] = (DropEvents(), DropEvents(), Blackhole(target="ws_user"))
    what = dice.pick(kinds)
    match = Match(event="executionReport") if isinstance(what, DropEvents) else Match.NOTHING
    begin_ms = entry_ms - dice.between(0, 2000)
    longest_ms = min(_LONGEST_UNSEEN_MS, plan.safety_ms - begin_ms)
    when = When(after_ms=begin_ms, for_ms=dice.between(longest_ms // 2, longest_ms))
    unseen = Fault(id="crumbs-unseen", what=what, match=match, when=when)
    return replace(plan, faults=(*plan.faults, unseen))


def with_deaths_among_crumbs(plan: RunPlan) -> RunPlan:
    """Where an order is filled in equal crumbs, half of the first deaths come between two."""
    even = plan.stage is not None and any(staged.even_prints for staged in plan.stage.symbols)
    dice = Dice(f"among {plan.seed}")
    if not even or not plan.deaths or not dice.percent(_AMONG_PERCENT):
        return plan
    first = replace(plan.deaths[0], commit=dice.between(*_AMONG_COMMITS), point=None)
    return replace(plan, deaths=(first, *plan.deaths[1:]))


def _evenly_traded(dice: Dice, staged: StagedSymbol) -> StagedSymbol:
    return replace(
        staged,
        even_prints=True,
        print_quote=dice.between(20, 45),
        top_quote=dice.between(20, 60),
        print_ms=dice.between(400, 900),
    )


def _trouble(name: str, what: What, after_ms: int, for_ms: int) -> Trouble:
    return Trouble(id=name, what=what, after_ms=after_ms, for_ms=max(1, for_ms))


def moment_of(dice: Dice, plan: RunPlan, entry_ms: int) -> int:
    """Soon after the entry, mostly."""
    latest_ms = max(20, min(_LATEST_MS, plan.safety_ms - entry_ms - _BEFORE_END_MS))
    return min(entry_ms + dice.scaled(10, latest_ms), plan.safety_ms - _BEFORE_END_MS)
