"""A position whose profit trails at the exchange: installed, armed, fired, and left behind."""

from dataclasses import replace
from decimal import Decimal

import msgspec

from livespot.contracts.market import TrailingDeltaBounds
from livespot.contracts.orders import OrderView
from livespot.contracts.vocabulary import (
    IntentRole,
    MutationOutcome,
    OrderStatus,
    OrderType,
    PositionPhase,
)
from livespot.rules import protection as rule
from livespot.rules.protection import (
    Cancel,
    CloseCause,
    Command,
    Guard,
    Protect,
    Scene,
    Settlement,
)
from livespot.rules.protection_answers import settled
from livespot.rules.protection_ladder import advance
from livespot.testing.market_values import some_constraints
from livespot.testing.protection_cases import a_scene, a_sell

D = Decimal
LIMITS = some_constraints(
    trailing_delta_bounds=TrailingDeltaBounds(
        min_above=10, max_above=2000, min_below=10, max_below=2000
    )
)
SCENE = a_scene(
    constraints=LIMITS,
    stop_market=False,
    tp_price=D("102.12"),
    trail_form=OrderType.TAKE_PROFIT_LIMIT,
    trailing_bps=100,
)


def leg(order_id: int, kind: OrderType, stop: str, limit: str) -> OrderView:
    return a_sell(
        order_id, kind, order_list_id=7, price=D(limit), stop_price=D(stop), is_working=False
    )


ABOVE = leg(1, OrderType.TAKE_PROFIT_LIMIT, "102.12", "100.12")
BELOW = leg(2, OrderType.STOP_LOSS_LIMIT, "99", "98.01")


def standing(scene: Scene = SCENE) -> Guard:
    guard, _ = advance(Guard(), scene, 0)
    answer = Settlement(
        role=IntentRole.LIST,
        intent_id="oi_1",
        outcome=MutationOutcome.ACCEPTED,
        code=0,
        message="",
        orders=(ABOVE, BELOW),
    )
    return advance(settled(guard, scene, answer, 10), scene, 10)[0]


def fired(guard: Guard) -> Guard:
    """The trailing leg was triggered: it is on the book, and its stop has expired."""
    above = msgspec.structs.replace(ABOVE, is_working=True)
    below = msgspec.structs.replace(BELOW, status=OrderStatus.EXPIRED, raw_status="EXPIRED")
    guard = rule.order_seen(guard, below, IntentRole.SL, "oi_1")
    return rule.order_seen(guard, above, IntentRole.TP, "oi_1")


def phase(guard: Guard, scene: Scene = SCENE) -> PositionPhase:
    return rule.phase_of(guard, scene, rule.measure(guard, scene))


def cancels(commands: tuple[Command, ...]) -> list[int]:
    return [c.order_id for c in commands if isinstance(c, Cancel)]


def test_the_installed_list_trails_above_with_a_limit_that_keeps_a_gain() -> None:
    _, (command,) = advance(Guard(), SCENE, 0)

    assert command == Protect(
        role=IntentRole.LIST,
        qty=D(1),
        tp_price=D("102.12"),
        sl_price=D(99),
        stop_limit_price=D("98.01"),
        tp_type=OrderType.TAKE_PROFIT_LIMIT,
        tp_limit_price=D("100.12"),
        trailing_delta=100,
    )


def test_it_counts_as_trailing_once_the_bid_has_been_at_the_trigger_and_ever_after() -> None:
    guard = standing()
    before = phase(guard)

    guard, _ = advance(guard, replace(SCENE, bid=D("102.12")), 1000)
    guard, _ = advance(guard, replace(SCENE, bid=D("101.50")), 2000)

    assert before is PositionPhase.PROTECTED
    assert phase(guard) is PositionPhase.TRAILING


def test_waiting_below_its_limit_is_no_reason_to_sell() -> None:
    guard = standing()

    for now in range(100, 60_000, 500):
        guard, commands = advance(guard, replace(SCENE, bid=D("99.50")), now)
        assert commands == ()


def test_a_fired_limit_that_fills_in_time_is_left_alone() -> None:
    guard = fired(standing())

    guard, commands = advance(guard, replace(SCENE, bid=D("101.10")), 1000)
    guard, later = advance(guard, replace(SCENE, bid=D("101.10")), 1900)

    assert cancels((*commands, *later)) == []


def test_a_fired_limit_that_stays_unfilled_is_cancelled_and_sold_at_the_bid() -> None:
    guard = fired(standing())
    scene = replace(SCENE, bid=D("100.05"))
    guard, _ = advance(guard, scene, 1000)

    guard, commands = advance(guard, scene, 2500)

    assert guard.close is CloseCause.TP_REMAINDER
    assert cancels(commands) == [1]


def test_the_partial_fill_of_a_fired_limit_leaves_the_rest_unprotected() -> None:
    guard = fired(standing())
    part = msgspec.structs.replace(
        ABOVE, is_working=True, executed_qty=D("0.4"), status=OrderStatus.PARTIALLY_FILLED
    )
    guard = rule.order_seen(guard, part, IntentRole.TP, "oi_1")

    assert phase(guard) is PositionPhase.UNPROTECTED
