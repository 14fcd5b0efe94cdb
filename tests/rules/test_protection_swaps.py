"""A stop that is raised by swaps: when, how far, and what follows when a swap goes wrong."""

from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livespot.contracts.orders import Balance, OrderView
from livespot.contracts.vocabulary import (
    IntentRole,
    MutationOutcome,
    OrderStatus,
    OrderType,
    PositionPhase,
)
from livespot.rules import protection as rule
from livespot.rules.protection import Close, Command, Guard, Protect, Scene, Settlement, Swap
from livespot.rules.protection_answers import account_seen, settled
from livespot.rules.protection_ladder import advance
from livespot.rules.protection_prices import swap_gap_ms
from livespot.testing.market_values import some_constraints
from livespot.testing.protection_cases import a_scene, a_sell

D = Decimal
LIMITS = some_constraints()
SCENE = a_scene(
    constraints=LIMITS, tp_price=D(105), swap_from=D(102), trailing_bps=100, swap_every_ms=3334
)


def sale(order_id: int, kind: OrderType, stop: str, list_id: int, at_ms: int = 1) -> OrderView:
    return a_sell(
        order_id,
        kind,
        order_list_id=list_id,
        price=D(105) if kind is OrderType.LIMIT_MAKER else D(0),
        stop_price=D(stop),
        exchange_time_ms=at_ms,
        is_working=kind is OrderType.LIMIT_MAKER,
    )


def told(
    role: IntentRole, outcome: str, *orders: OrderView, message: str = "", code: int = -2010
) -> Settlement:
    return Settlement(
        role=role,
        intent_id=role.value,
        outcome=MutationOutcome(outcome),
        code=code,
        message=message,
        orders=orders,
    )


def at(bid: str) -> Scene:
    return replace(SCENE, bid=D(bid))


def standing() -> Guard:
    guard, _ = advance(Guard(), SCENE, 0)
    legs = sale(1, OrderType.STOP_LOSS, "99", 7), sale(2, OrderType.LIMIT_MAKER, "0", 7)
    guard = settled(guard, SCENE, told(IntentRole.LIST, "ACCEPTED", *legs), 10)
    return advance(guard, SCENE, 10)[0]


def swaps(commands: tuple[Command, ...]) -> list[Swap]:
    return [c for c in commands if isinstance(c, Swap)]


def cancelled(guard: Guard, at_ms: int = 1000) -> Guard:
    """The whole list was ended by the first half of the swap."""
    for tracked in tuple(guard.sells.values()):
        ended = msgspec.structs.replace(
            tracked.order,
            status=OrderStatus.CANCELED,
            raw_status="CANCELED",
            exchange_time_ms=at_ms,
        )
        guard = rule.order_seen(guard, ended, tracked.role, tracked.intent_id)
    return guard


def swapped(bid: str = "102", now_ms: int = 1000) -> Guard:
    guard, _ = advance(standing(), at(bid), now_ms)
    price = str((D(bid) * D("0.99")).quantize(D("0.01")))
    new = sale(3, OrderType.STOP_LOSS, price, -1, at_ms=1007)
    guard = settled(cancelled(guard), at(bid), told(IntentRole.TRAIL, "ACCEPTED", new), now_ms + 50)
    return advance(guard, at(bid), now_ms + 50)[0]


@pytest.mark.parametrize(
    ("locked", "denied"),
    [
        pytest.param("1.000", False, id="the list still stood, or the new stop does"),
        pytest.param("0", True, id="neither stands"),
    ],
)
def test_base_that_a_swap_may_have_locked_does_not_deny_it(locked: str, denied: bool) -> None:
    guard, _ = advance(standing(), at("102"), 1000)
    base = Balance(asset="BTC", free=D("1.0005") - D(locked), locked=D(locked))
    guard = account_seen(guard, base, held=D("1.000"), at_wall_ms=SCENE.wall_ms + 500)
    _, commands = advance(cancelled(guard), at("102"), 3500)

    assert any(isinstance(command, Protect) for command in commands) is denied


def test_below_the_profit_it_begins_at_nothing_is_swapped() -> None:
    assert swaps(advance(standing(), at("101.99"), 1000)[1]) == []


def test_in_profit_of_a_market_that_no_longer_trends_nothing_is_swapped() -> None:
    assert swaps(advance(standing(), replace(at("102"), trend_holds=False), 1000)[1]) == []


def test_in_profit_one_request_takes_the_leg_for_a_higher_stop_of_the_whole_size() -> None:
    _, commands = advance(standing(), at("102"), 1000)

    assert commands == (
        Swap(intent_id="LIST", order_id=1, qty=D(1), sl_price=D("100.98"), stop_limit_price=None),
    )


def test_a_limit_form_follows_its_own_trigger() -> None:
    scene = replace(at("102"), stop_market=False)

    (swap,) = swaps(advance(standing(), scene, 1000)[1])

    assert swap.stop_limit_price == D("99.97")


def test_a_fixed_exit_is_never_swapped() -> None:
    scene = replace(at("104"), swap_from=None)

    assert advance(standing(), scene, 1000)[1] == ()


def test_while_an_answer_is_awaited_no_second_swap_goes_out() -> None:
    guard, _ = advance(standing(), at("102"), 1000)

    assert swaps(advance(guard, at("104"), 1900)[1]) == []


def test_a_done_swap_is_trailing_and_its_gap_is_measured_by_the_exchange() -> None:
    guard = swapped()

    assert swap_gap_ms(guard) == 7
    assert guard.naked_since_ms is None
    assert rule.phase_of(guard, SCENE, rule.measure(guard, SCENE)) is PositionPhase.TRAILING


def test_the_gap_is_not_mistaken_for_the_time_since_while_news_is_missing_or_it_is_triggered() -> (
    None
):
    guard, _ = advance(swapped(), at("103"), 10_000)
    newer = sale(4, OrderType.STOP_LOSS, "101.97", -1, at_ms=9_900)
    both = settled(guard, at("103"), told(IntentRole.TRAIL, "ACCEPTED", newer), 10_050)
    fired = rule.order_seen(
        swapped(),
        msgspec.structs.replace(
            sale(3, OrderType.STOP_LOSS, "100.98", -1, at_ms=90_000), is_working=True
        ),
        IntentRole.TRAIL,
        "TRAIL",
    )

    assert swap_gap_ms(both) == -1
    assert swap_gap_ms(fired) == -1


@pytest.mark.parametrize(("placed_ms", "again"), [(1999, 1), (2000, 0)])
def test_a_swap_that_left_nothing_standing_for_a_second_is_the_last(
    placed_ms: int, again: int
) -> None:
    guard, _ = advance(standing(), at("102"), 1000)
    new = sale(3, OrderType.STOP_LOSS, "100.98", -1, at_ms=placed_ms)
    guard = settled(cancelled(guard), at("102"), told(IntentRole.TRAIL, "ACCEPTED", new), 1050)

    _, commands = advance(guard, at("104"), 60_000)

    assert len(swaps(commands)) == again
    assert [c for c in commands if not isinstance(c, Swap)] == []


@pytest.mark.parametrize(
    ("bid", "after_ms", "price"),
    [
        pytest.param("102.11", 10_000, None, id="less-than-ten-bps"),
        pytest.param("102.12", 10_000, "101.09", id="ten-bps"),
        pytest.param("103", 3000, None, id="too-soon"),
        pytest.param("103", 3334, "101.97", id="in-time"),
        pytest.param("101", 10_000, None, id="price-fell"),
    ],
)
def test_it_is_raised_when_enough_is_gained_and_not_too_often(
    bid: str, after_ms: int, price: str | None
) -> None:
    _, commands = advance(swapped(), at(bid), 1000 + after_ms)

    assert [str(s.sl_price) for s in swaps(commands)] == ([] if price is None else [price])
    assert all(s.order_id == 3 for s in swaps(commands))


def test_cancelled_but_would_trigger_is_sold_at_once() -> None:
    guard, _ = advance(standing(), at("102"), 1000)
    text = "Stop price would trigger immediately."
    guard = settled(
        cancelled(guard), at("100.90"), told(IntentRole.TRAIL, "REFUSED", message=text), 1050
    )

    _, commands = advance(guard, at("100.90"), 1050)

    assert [c for c in commands if isinstance(c, Close)] == [
        Close(qty=D(1), limit_price=D("100.90"))
    ]


def test_cancelled_but_refused_otherwise_is_reinstalled_at_once_and_never_swapped_again() -> None:
    guard, _ = advance(standing(), at("102"), 1000)
    refusal = told(IntentRole.TRAIL, "REFUSED", message="Account has insufficient balance")
    guard = settled(cancelled(guard), at("102"), refusal, 1050)

    guard, commands = advance(guard, at("102"), 1050)
    legs = sale(5, OrderType.STOP_LOSS, "99", 8), sale(6, OrderType.LIMIT_MAKER, "0", 8)
    guard = settled(guard, at("102"), told(IntentRole.LIST, "ACCEPTED", *legs), 1100)
    guard, _ = advance(guard, at("102"), 1100)

    assert [c.role for c in commands if isinstance(c, Protect)] == [IntentRole.LIST]
    assert guard.naked_total_ms <= 1000
    assert advance(guard, at("104"), 60_000)[1] == ()


def test_a_swap_that_never_left_keeps_what_stands_and_is_tried_again_later() -> None:
    guard, _ = advance(standing(), at("102"), 1000)
    guard = settled(guard, at("102"), told(IntentRole.TRAIL, "NOT_SENT", code=0), 1050)

    assert advance(guard, at("102"), 2000)[1] == ()
    assert len(swaps(advance(guard, at("102"), 1000 + 3334)[1])) == 1


def test_an_unanswered_swap_whose_old_stop_is_gone_waits_for_one_negative_round() -> None:
    guard, _ = advance(standing(), at("102"), 1000)
    guard = settled(cancelled(guard), at("102"), told(IntentRole.TRAIL, "UNKNOWN"), 1050)

    guard, commands = advance(guard, at("102"), 1100)

    assert [c for c in commands if isinstance(c, Protect | Swap | Close)] == []


@given(st.lists(st.integers(-300, 300), min_size=1, max_size=60))
def test_whatever_the_price_does_the_stop_only_rises_and_stays_below_the_bid(
    moves: list[int],
) -> None:
    guard, bid, stop, number, now = standing(), D(101), D(99), 10, 1000
    for move in moves:
        now += 1000
        bid = max(D(50), bid + D(move) / 100)
        if bid <= stop:
            return
        guard, commands = advance(guard, replace(SCENE, bid=bid), now)
        for swap in swaps(commands):
            assert stop + max(2 * LIMITS.tick_size, stop / 1000) <= swap.sl_price < bid
            stop, number = swap.sl_price, number + 1
            new = sale(number, OrderType.STOP_LOSS, str(stop), -1)
            done = told(IntentRole.TRAIL, "ACCEPTED", new)
            guard = settled(cancelled(guard), replace(SCENE, bid=bid), done, now)
