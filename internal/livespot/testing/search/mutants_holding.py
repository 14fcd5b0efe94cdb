"""Defects of what is held: fills booked wrongly, protection that is late, doubled or loosened."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from msgspec.structs import replace as changed

from livespot.actors import entry_desk, position
from livespot.actors.mail import CancelWanted, ProtectWanted
from livespot.actors.order_tracker import OrderTracker
from livespot.actors.position import PositionKeeper
from livespot.actors.want_desk import WantDesk
from livespot.contracts.amounts import ZERO
from livespot.contracts.orders import Fill
from livespot.contracts.vocabulary import IntentRole
from livespot.rules import position as holdings
from livespot.rules import protection_ladder
from livespot.rules.protection import Protect, Swap
from livespot.rules.quantize import quantize_price
from livespot.testing.search.mutant_needs import (
    another_stop,
    base_moved,
    in_crumbs,
    separate,
    undisturbed_entry,
)
from livespot.testing.search.mutants import Bench, Mutant, deaths, verbs
from livespot.testing.search.plan import RunPlan

_LOOSENED = Decimal("0.997")


def _dedupe_by_price_and_qty(bench: Bench) -> None:
    async def new(tracker: OrderTracker, update: Any, batch: Any) -> list[Fill]:
        found: list[Fill] = await by_trade(tracker, update, batch)
        seen = tracker.__dict__.setdefault("seen", set())
        fresh = []
        for fill in found:
            key = (fill.symbol, fill.price, fill.qty)
            if key not in seen:
                seen.add(key)
                fresh.append(fill)
        return fresh

    by_trade = bench.put(OrderTracker, "_new_fills", new)


def _dedupe_missing_after_restart(bench: Bench) -> None:
    async def new(tracker: OrderTracker, update: Any, batch: Any) -> list[Fill]:
        tracker._trade_ids.setdefault(update.order.symbol, set())  # noqa: SLF001
        found: list[Fill] = await by_trade(tracker, update, batch)
        return found

    by_trade = bench.put(OrderTracker, "_new_fills", new)


def _position_from_balance(bench: Bench) -> None:
    async def advance(keeper: PositionKeeper, desk: Any, symbol: str) -> None:
        case = desk.cases.get(symbol)
        total = desk.base_total(case.holding) if case is not None else None
        if total is not None and case.holding.lot.qty and total != case.holding.lot.qty:
            case.holding = replace(case.holding, lot=replace(case.holding.lot, qty=total))
        await by_fills(keeper, desk, symbol)

    by_fills = bench.put(PositionKeeper, "_advance", advance)


def _base_fee_ignored(bench: Bench) -> None:
    def booked(fill: Fill, **told: Any) -> Any:
        return replace(fee(fill, **told), base_qty=ZERO)

    fee = bench.put(holdings, "booked_fee", booked)


def _partial_left_bare(bench: Bench) -> None:
    bench.put(entry_desk, "part_is_protectable", lambda *_: False)
    bench.put(protection_ladder, "_while_entering", lambda guard, _scene, _now_ms: (guard, ()))

    def naked(sizes: Any, scene: Any) -> bool:
        return not scene.entry_open and bare(sizes, scene)

    bare: Callable[[Any, Any], bool] = bench.put(protection_ladder, "naked", naked)


def _two_owners(bench: Bench) -> None:
    async def twice(desk: WantDesk, message: ProtectWanted) -> None:
        await protect(desk, message)
        if not message.replaces_order_id:
            await protect(desk, message)

    protect = bench.put(WantDesk, "protect", twice)
    # Each owner knows only its own requests.
    bench.put(WantDesk, "_all", lambda _desk: [])


def _new_then_cancel(bench: Bench) -> None:
    def wanted(case: Any, command: Any) -> Any:
        if not isinstance(command, Swap):
            return want(case, command)
        return changed(want(case, command), replaces="", replaces_order_id=0)

    async def do(keeper: PositionKeeper, case: Any, command: Any) -> None:
        await act(keeper, case, command)
        if isinstance(command, Swap):
            holding = case.holding
            await keeper.execution.send(
                CancelWanted(
                    position_id=holding.position_id,
                    decision_id=holding.decision_id,
                    symbol=holding.symbol,
                    order_intent_id=command.intent_id,
                    order_id=command.order_id,
                    purpose="REARM",
                )
            )

    want = bench.put(position, "want_of", wanted)
    act = bench.put(PositionKeeper, "_do", do)


def _stop_loosened(bench: Bench) -> None:
    asked: Counter[str] = Counter()

    def wanted(case: Any, command: Any) -> Any:
        message = want(case, command)
        limits = case.holding.constraints
        if not isinstance(command, Protect | Swap) or limits is None:
            return message
        before = asked[case.holding.position_id]
        asked[case.holding.position_id] += 1
        lower = quantize_price(message.sl_price * _LOOSENED**before, limits)
        limit = message.stop_limit_price
        if limit is not None:
            limit = quantize_price(limit * _LOOSENED**before, limits)
        return changed(message, sl_price=lower, stop_limit_price=limit)

    want = bench.put(position, "want_of", wanted)


def _foreign_adopted(bench: Bench) -> None:
    async def owner(tracker: OrderTracker, order: Any, batch: Any) -> Any:
        found = await own(tracker, order, batch)
        if found is not None:
            return found
        for intent in tracker.intents.values():
            if intent.symbol == order.symbol and intent.role is IntentRole.ENTRY:
                return await tracker._first_touch(order, intent, IntentRole.ENTRY)  # noqa: SLF001
        return None

    own = bench.put(OrderTracker, "_owner", owner)


def _in_even_crumbs(plan: RunPlan) -> bool:
    symbols = plan.stage.symbols if plan.stage is not None else ()
    return any(staged.even_prints for staged in symbols)


def _stands_in_even_crumbs(plan: RunPlan) -> bool:
    # Elsewhere the trades that fill an entry have different prices.
    return in_crumbs(plan) and _in_even_crumbs(plan)


def _killed_among_crumbs(plan: RunPlan) -> bool:
    return deaths(plan) and _in_even_crumbs(plan)


HOLDING = (
    Mutant(
        name="dedupe-by-price-and-qty",
        defect="two fills of one price and quantity count as one",
        plant=_dedupe_by_price_and_qty,
        needs=_stands_in_even_crumbs,
    ),
    Mutant(
        name="dedupe-missing-after-restart",
        defect="a new life does not know which trades an earlier one booked",
        plant=_dedupe_missing_after_restart,
        needs=_killed_among_crumbs,
    ),
    Mutant(
        name="position-from-balance",
        defect="a position is what the account's balance says, not what its fills say",
        plant=_position_from_balance,
        needs=base_moved,
    ),
    Mutant(
        name="base-fee-ignored",
        defect="fees taken in base are not deducted from what is held",
        plant=_base_fee_ignored,
    ),
    Mutant(
        name="partial-left-bare",
        defect="what an entry has bought is protected once it has bought all",
        plant=_partial_left_bare,
        needs=lambda plan: in_crumbs(plan) and undisturbed_entry(plan),
    ),
    Mutant(
        name="two-owners",
        defect="two parts of the program install protection, each without the other",
        plant=_two_owners,
        needs=lambda plan: separate(plan) and undisturbed_entry(plan),
    ),
    Mutant(
        name="new-then-cancel",
        defect="a stop is swapped by placing the new one and then cancelling the old one",
        plant=_new_then_cancel,
        scenario="swap-to-trailing",
    ),
    Mutant(
        name="stop-loosened",
        defect="each further stop of a position lies lower than the one before",
        plant=_stop_loosened,
        needs=another_stop,
    ),
    Mutant(
        name="foreign-adopted",
        defect="an order of somebody else on a symbol is taken for our entry there",
        plant=_foreign_adopted,
        needs=verbs("hand."),
    ),
)
