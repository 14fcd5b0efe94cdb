from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest

from livespot.contracts.orders import Balance, OrderView
from livespot.contracts.vocabulary import (
    IntentRole,
    MutationOutcome,
    OrderStatus,
    OrderType,
    PositionPhase,
    Side,
    SignalLevel,
)
from livespot.rules import protection as rule
from livespot.rules.protection import (
    Cancel,
    Close,
    CloseCause,
    Command,
    Flight,
    Guard,
    Look,
    Notify,
    Protect,
    Scene,
    Settlement,
    Signal,
)
from livespot.rules.protection_answers import account_seen, settled
from livespot.rules.protection_ladder import advance
from livespot.testing.market_values import some_constraints
from livespot.testing.protection_cases import a_scene, a_sell

D = Decimal
LIMITS = some_constraints(max_qty=D(1000), max_price=D(100_000))
SCENE = a_scene(qty=D("1.0005"), base_total=D("1.0005"), constraints=LIMITS)


def order(
    order_id: int,
    kind: OrderType = OrderType.STOP_LOSS,
    status: OrderStatus = OrderStatus.NEW,
    *,
    qty: str = "1.000",
    executed: str = "0",
    list_id: int = -1,
    price: str = "0",
) -> OrderView:
    return a_sell(
        order_id,
        kind,
        status=status,
        order_list_id=list_id,
        price=D(price),
        stop_price=D(99),
        orig_qty=D(qty),
        executed_qty=D(executed),
    )


def oco(first: int = 1, *, list_id: int = 7, qty: str = "1.000") -> tuple[OrderView, OrderView]:
    return (
        order(first, list_id=list_id, qty=qty),
        order(first + 1, OrderType.LIMIT_MAKER, list_id=list_id, qty=qty, price="102"),
    )


def answer(
    role: IntentRole,
    outcome: str,
    *,
    intent: str = "oi_1",
    message: str = "",
    orders: tuple[OrderView, ...] = (),
    code: int = -2010,
) -> Settlement:
    return Settlement(
        role=role,
        intent_id=intent,
        outcome=MutationOutcome(outcome),
        code=code,
        message=message,
        orders=orders,
    )


def protected() -> Guard:
    guard, _ = advance(Guard(), SCENE, 0)
    guard = settled(guard, SCENE, answer(IntentRole.LIST, "ACCEPTED", orders=oco()), 10)
    guard, commands = advance(guard, SCENE, 10)
    assert commands == ()
    return guard


def acts(commands: tuple[Command, ...]) -> list[Command]:
    return [c for c in commands if isinstance(c, Protect | Close | Cancel)]


def phase(guard: Guard, scene: Scene = SCENE) -> PositionPhase:
    return rule.phase_of(guard, scene, rule.measure(guard, scene))


def test_a_bare_position_asks_for_an_oco_over_the_floored_size_at_once() -> None:
    guard, commands = advance(Guard(), SCENE, 0)

    assert commands == (
        Protect(
            role=IntentRole.LIST,
            qty=D("1.000"),
            tp_price=D(102),
            sl_price=D(99),
            stop_limit_price=None,
        ),
    )
    assert phase(guard) is PositionPhase.UNPROTECTED


def test_an_accepted_list_protects_and_asks_for_nothing_more() -> None:
    guard = protected()

    assert phase(guard) is PositionPhase.PROTECTED
    assert advance(guard, SCENE, 60_000)[1] == ()


def test_a_symbol_without_market_stops_gets_a_limit_below_the_trigger() -> None:
    _, commands = advance(Guard(), replace(SCENE, stop_market=False), 0)

    assert isinstance(commands[0], Protect)
    assert commands[0].stop_limit_price == D("98.01")


@pytest.mark.parametrize(
    ("bid", "cause"),
    [
        pytest.param(D(102), CloseCause.TP_CROSSED, id="take-profit"),
        pytest.param(D(99), CloseCause.SL_CROSSED, id="stop"),
    ],
)
def test_a_market_that_left_the_band_is_sold_into_at_the_bid(
    bid: Decimal, cause: CloseCause
) -> None:
    guard, commands = advance(Guard(), replace(SCENE, bid=bid), 0)

    assert acts(commands) == [Close(qty=D("1.000"), limit_price=bid)]
    assert guard.close is cause


@pytest.mark.parametrize(
    ("bid", "cause"),
    [
        pytest.param(D(101), CloseCause.TP_CROSSED, id="above-what-was-paid"),
        pytest.param(D("99.5"), CloseCause.SL_CROSSED, id="below-what-was-paid"),
    ],
)
def test_a_list_refused_for_its_prices_is_followed_by_a_sale(
    bid: Decimal, cause: CloseCause
) -> None:
    scene = replace(SCENE, bid=bid)
    guard, _ = advance(Guard(), scene, 0)
    text = "The relationship of the prices for the orders is not correct."

    guard = settled(guard, scene, answer(IntentRole.LIST, "REFUSED", message=text), 50)
    guard, commands = advance(guard, scene, 50)

    assert acts(commands) == [Close(qty=D("1.000"), limit_price=bid)]
    assert guard.close is cause


def test_other_refusals_are_retried_twice_then_a_single_stop_is_asked_for_then_a_sale() -> None:
    guard, wanted = Guard(), []
    now = 0
    for _ in range(4):
        guard, commands = advance(guard, SCENE, now)
        (command,) = acts(commands)
        assert isinstance(command, Protect)
        wanted.append(command.role)
        guard = settled(guard, SCENE, answer(command.role, "REFUSED", message="no"), now)
        if command.role is IntentRole.LIST:
            assert acts(advance(guard, SCENE, now + 399)[1]) == []
        now += 400

    guard, commands = advance(guard, SCENE, now)

    assert wanted == [IntentRole.LIST] * 3 + [IntentRole.STOP]
    assert acts(commands) == [Close(qty=D("1.000"), limit_price=D(100))]
    assert guard.level is SignalLevel.PAUSE


def after_refusals(code: int, message: str, until_ms: int) -> tuple[Guard, int]:
    """Every request is refused until then, later only sales are; the guard and what was asked."""
    guard, asked = Guard(), 0
    for now in range(0, until_ms + 70_000, 100):
        guard, commands = advance(guard, replace(SCENE, wall_ms=1_000_000 + now), now)
        for command in acts(commands):
            asked += 1
            assert isinstance(command, Protect | Close)
            role = command.role if isinstance(command, Protect) else IntentRole.CLOSE
            told = answer(role, "REFUSED", message=message, code=code)
            if now >= until_ms and isinstance(command, Protect):
                told = answer(role, "ACCEPTED", orders=(order(1),))
            guard = settled(guard, SCENE, told, now)
    return guard, asked


@pytest.mark.parametrize("silence_ms", [3_000, 60_000, 600_000])
def test_a_silence_the_exchange_asked_for_uses_up_no_rung(silence_ms: int) -> None:
    guard, asked = after_refusals(-1003, "throttled", silence_ms)

    assert phase(guard) is PositionPhase.PROTECTED
    assert asked < silence_ms / 1000 + 20


def test_a_halt_that_outlasts_every_round_of_selling_is_still_followed_by_a_stop() -> None:
    guard, asked = after_refusals(-1013, "Market is closed.", 600_000)

    assert phase(guard) is PositionPhase.PROTECTED
    assert asked < 60


def test_time_without_a_stop_degrades_at_two_seconds_and_pauses_and_sells_at_five() -> None:
    scene = replace(SCENE, entry_open=False)
    guard, _ = advance(Guard(), scene, 0)
    guard = settled(guard, scene, answer(IntentRole.LIST, "UNKNOWN"), 10)

    guard, at_two = advance(guard, scene, 2000)
    base = Balance(asset="BTC", free=D("1.0005"), locked=D(0))
    guard = account_seen(guard, base, held=D("1.000"), at_wall_ms=1_000_500)
    guard = replace(guard, next_try_ms=9000)
    guard, at_five = advance(guard, scene, 5000)

    assert [c.level for c in at_two if isinstance(c, Signal)] == [SignalLevel.DEGRADE]
    assert [c.level for c in at_five if isinstance(c, Signal)] == [SignalLevel.PAUSE]
    assert [c.severity for c in at_five if isinstance(c, Notify)] == ["CRIT"]
    assert acts(at_five) == [Close(qty=D("1.000"), limit_price=D(100))]


def test_after_an_unknown_list_the_next_rung_waits_for_one_negative_round() -> None:
    guard, _ = advance(Guard(), SCENE, 0)
    guard = settled(guard, SCENE, answer(IntentRole.LIST, "UNKNOWN"), 10)

    guard, early = advance(guard, SCENE, 500)
    base = Balance(asset="BTC", free=D("1.0005"), locked=D(0))
    guard = account_seen(guard, base, held=D("1.000"), at_wall_ms=1_000_600)
    guard, later = advance(guard, SCENE, 600)

    assert early == (Look(cause="protection unknown"),)
    assert [c.role for c in acts(later) if isinstance(c, Protect)] == [IntentRole.LIST]


def test_a_rung_that_the_news_of_the_last_one_overtook_uses_up_nothing() -> None:
    guard, _ = advance(Guard(), SCENE, 0)
    guard = settled(guard, SCENE, answer(IntentRole.LIST, "UNKNOWN"), 10)
    base = Balance(asset="BTC", free=D("1.0005"), locked=D(0))
    guard = account_seen(guard, base, held=D("1.000"), at_wall_ms=1_000_600)
    guard, _ = advance(guard, SCENE, 600)
    assert len(guard.flights) == 2

    guard = rule.orders_seen(guard, oco(), IntentRole.LIST, "oi_1")
    guard = settled(guard, SCENE, answer(IntentRole.LIST, "OVERTAKEN", intent="oi_2"), 610)
    guard, commands = advance(guard, SCENE, 610)

    assert acts(commands) == []
    assert (guard.flights, guard.refusals) == ((), 0)
    assert phase(guard) is PositionPhase.PROTECTED


def test_with_twice_the_base_at_hand_no_second_sell_follows_an_unknown_one() -> None:
    scene = replace(SCENE, base_total=D(5))
    guard, _ = advance(Guard(), scene, 0)
    guard = settled(guard, scene, answer(IntentRole.LIST, "UNKNOWN"), 10)
    base = Balance(asset="BTC", free=D(5), locked=D(0))
    said: list[Command] = []

    for now in range(500, 60_000, 500):
        guard = account_seen(guard, base, held=D("1.000"), at_wall_ms=1_000_000 + now)
        guard, commands = advance(guard, scene, now)
        said.extend(commands)

    assert acts(tuple(said)) == []
    assert guard.level is SignalLevel.PAUSE
    assert any(isinstance(c, Notify) for c in said)


def test_base_that_left_since_the_request_does_not_deny_it() -> None:
    guard, _ = advance(Guard(), replace(SCENE, base_total=D("1.9")), 0)
    guard = settled(guard, SCENE, answer(IntentRole.LIST, "UNKNOWN"), 10)
    base = Balance(asset="BTC", free=D("1.2"), locked=D(0))

    guard = account_seen(guard, base, held=D("1.000"), at_wall_ms=1_000_600)

    assert guard.flights[0].negatives == 0


def test_insufficient_balance_after_an_unknown_list_is_taken_as_a_hint_that_it_stands() -> None:
    guard, _ = advance(Guard(), SCENE, 0)
    guard = settled(guard, SCENE, answer(IntentRole.LIST, "UNKNOWN"), 10)
    base = Balance(asset="BTC", free=D("1.0005"), locked=D(0))
    guard = account_seen(guard, base, held=D("1.000"), at_wall_ms=1_000_600)
    guard, _ = advance(guard, SCENE, 600)
    text = "Account has insufficient balance for requested action."

    guard = settled(
        guard, SCENE, answer(IntentRole.LIST, "REFUSED", intent="oi_2", message=text), 700
    )

    assert [f.intent_id for f in guard.flights] == ["oi_1"]
    assert guard.refusals == 0
    assert acts(advance(guard, SCENE, 1200)[1]) == []


def test_evidence_of_an_unknown_list_ends_the_doubt() -> None:
    guard, _ = advance(Guard(), SCENE, 0)
    guard = settled(guard, SCENE, answer(IntentRole.LIST, "UNKNOWN"), 10)

    for view, role in zip(oco(), (IntentRole.SL, IntentRole.TP), strict=True):
        guard = rule.order_seen(guard, view, role, "oi_1")

    assert guard.flights == ()
    assert phase(guard) is PositionPhase.PROTECTED


def test_a_found_protection_calls_off_the_sale_that_its_silence_had_caused() -> None:
    guard, _ = advance(Guard(), replace(SCENE, base_total=D(5)), 0)
    guard, _ = advance(guard, replace(SCENE, base_total=D(5)), 5000)
    assert guard.close is CloseCause.UNPROTECTED

    guard = settled(guard, SCENE, answer(IntentRole.LIST, "ACCEPTED", orders=oco()), 6000)
    guard, commands = advance(guard, SCENE, 6000)

    assert acts(commands) == []
    assert phase(guard) is PositionPhase.PROTECTED


def test_a_sale_first_cancels_what_locks_the_base() -> None:
    scene = replace(SCENE, bid=D(90))
    guard = replace(protected(), close=CloseCause.STOP_JUMPED, close_since_ms=20)

    guard, commands = advance(guard, scene, 20)
    assert acts(commands) == [Cancel(intent_id="oi_1", order_id=2, purpose="CLOSE")]

    for view in oco():
        ended = order(view.order_id, view.type, OrderStatus.CANCELED, list_id=7)
        guard = rule.order_seen(guard, ended, IntentRole.LIST, "oi_1")
    guard, commands = advance(guard, scene, 40)
    assert acts(commands) == [Close(qty=D("1.000"), limit_price=D(90))]


def test_what_the_bid_did_not_take_is_sold_at_market_net_of_unbooked_fills() -> None:
    scene = replace(SCENE, bid=D(90))
    guard, _ = advance(Guard(), scene, 0)
    ioc = order(9, OrderType.LIMIT, OrderStatus.EXPIRED, executed="0.400", price="90")

    guard = settled(guard, scene, answer(IntentRole.CLOSE, "ACCEPTED", orders=(ioc,)), 10)
    guard, commands = advance(guard, scene, 10)

    assert acts(commands) == [Close(qty=D("0.600"), limit_price=None)]


def test_a_sale_that_keeps_failing_is_cried_out_and_leaves_a_stop_if_it_can() -> None:
    scene = replace(SCENE, bid=D(100))
    guard = replace(Guard(), close=CloseCause.INSTALL_FAILED, close_since_ms=0)
    said: list[Command] = []
    now = 0
    while not any(isinstance(c, Notify) and c.code == "CLOSE_SAFELY_FAILED" for c in said):
        guard, commands = advance(guard, scene, now)
        said.extend(commands)
        if any(isinstance(c, Close) for c in commands):
            guard = settled(guard, scene, answer(IntentRole.CLOSE, "REFUSED", message="x"), now)
        now += 100

    guard, commands = advance(guard, scene, now)

    assert [c.role for c in acts(commands) if isinstance(c, Protect)] == [IntentRole.STOP]
    assert sum(isinstance(c, Close) for c in said) == 3
    assert guard.level is SignalLevel.PAUSE


def test_a_take_profit_partly_filled_is_given_its_grace_then_cancelled_and_sold() -> None:
    guard = protected()
    partial = order(
        2, OrderType.LIMIT_MAKER, OrderStatus.PARTIALLY_FILLED, executed="0.3", list_id=7
    )
    guard = rule.order_seen(guard, partial, IntentRole.TP, "oi_1")
    guard, early = advance(guard, SCENE, 1000)
    assert phase(guard) is PositionPhase.UNPROTECTED
    assert acts(early) == []

    guard, late = advance(guard, SCENE, 2500)

    assert acts(late) == [Cancel(intent_id="oi_1", order_id=2, purpose="CLOSE")]
    assert guard.close is CloseCause.TP_REMAINDER


def learned_late(age_ms: int) -> tuple[Guard, Scene]:
    """At 5000 ms a read shows a take-profit filled in part, and its stop ended `age_ms` ago."""
    at_ms = 2_000_000
    part = order(2, OrderType.LIMIT_MAKER, OrderStatus.PARTIALLY_FILLED, executed="0.3", list_id=7)
    ended = msgspec.structs.replace(
        order(1, status=OrderStatus.EXPIRED, list_id=7), exchange_time_ms=at_ms - age_ms
    )
    guard = rule.order_seen(protected(), part, IntentRole.TP, "oi_1")
    guard = rule.order_seen(guard, ended, IntentRole.SL, "oi_1")
    return guard, replace(SCENE, exchange_ms=at_ms)


def test_a_partly_filled_take_profit_that_no_event_told_of_is_cancelled_when_a_read_shows_it() -> (
    None
):
    guard, scene = learned_late(5000)

    guard, commands = advance(guard, scene, 5000)

    assert acts(commands) == [Cancel(intent_id="oi_1", order_id=2, purpose="CLOSE")]
    assert guard.close is CloseCause.TP_REMAINDER


@pytest.mark.parametrize(("age_ms", "due_ms"), [(1499, 1), (600, 900), (0, 1500), (-60_000, 1500)])
def test_the_grace_of_a_part_counts_from_the_end_of_its_stop_and_is_never_longer(
    age_ms: int, due_ms: int
) -> None:
    guard, scene = learned_late(age_ms)

    guard, first = advance(guard, scene, 5000)
    before = replace(scene, exchange_ms=scene.exchange_ms + due_ms - 1)
    guard, early = advance(guard, before, 5000 + due_ms - 1)
    then = replace(scene, exchange_ms=scene.exchange_ms + due_ms)
    guard, late = advance(guard, then, 5000 + due_ms)

    assert acts((*first, *early)) == []
    assert acts(late) == [Cancel(intent_id="oi_1", order_id=2, purpose="CLOSE")]


def test_a_take_profit_of_which_nothing_is_sold_is_not_sold_out_for_the_age_of_its_stops_end() -> (
    None
):
    ended = order(1, status=OrderStatus.EXPIRED, list_id=7)
    guard = rule.order_seen(protected(), ended, IntentRole.SL, "oi_1")

    guard, commands = advance(guard, replace(SCENE, exchange_ms=2_000_000), 5000)

    assert acts(commands) == []
    assert guard.close is None


def test_a_take_profit_whose_stop_was_refused_at_arming_is_cancelled_and_protected_anew() -> None:
    stop, profit = oco()
    guard = rule.order_seen(Guard(), profit, IntentRole.TP, "oi_1")
    ended = order(1, status=OrderStatus.EXPIRED, list_id=7)
    guard = rule.order_seen(guard, ended, IntentRole.SL, "oi_1")
    guard, first = advance(guard, SCENE, 0)
    guard, then = advance(guard, SCENE, 400)
    gone = order(2, OrderType.LIMIT_MAKER, OrderStatus.CANCELED, list_id=7)
    guard = rule.order_seen(guard, gone, IntentRole.TP, "oi_1")

    _, after = advance(guard, SCENE, 500)

    assert stop.order_id == 1
    assert acts(first) == []
    assert acts(then) == [Cancel(intent_id="oi_1", order_id=2, purpose="REARM")]
    assert [c.role for c in acts(after) if isinstance(c, Protect)] == [IntentRole.LIST]


@pytest.mark.parametrize("status", [OrderStatus.CANCELED, OrderStatus.EXPIRED])
def test_a_protection_that_disappears_is_installed_again(status: OrderStatus) -> None:
    guard = protected()
    for view in oco():
        gone = order(view.order_id, view.type, status, list_id=7)
        guard = rule.order_seen(guard, gone, IntentRole.LIST, "oi_1")

    guard, commands = advance(guard, SCENE, 100)

    assert [c.role for c in acts(commands) if isinstance(c, Protect)] == [IntentRole.LIST]


def attached(qty: str = "1.000") -> Guard:
    flight = Flight(
        role=IntentRole.LIST, qty=D(qty), since_ms=0, since_wall_ms=1_000_000, intent_id="oi_e"
    )
    return rule.legs_expected(Guard(), flight)


def test_attached_legs_are_awaited_until_the_deadline_and_then_replaced_by_our_own_list() -> None:
    guard = attached()
    base = Balance(asset="BTC", free=D("1.0005"), locked=D(0))

    guard, early = advance(guard, SCENE, 1000)
    guard = account_seen(guard, base, held=D("1.000"), at_wall_ms=1_001_200)
    guard, before = advance(guard, SCENE, 1999)
    guard, after = advance(guard, SCENE, 2000)

    assert early == (Look(cause="answer awaited"),)
    assert acts(before) == []
    assert [c.role for c in acts(after) if isinstance(c, Protect)] == [IntentRole.LIST]


def test_pending_legs_do_not_count_as_armed() -> None:
    guard = Guard()
    for view, role in zip(oco(), (IntentRole.SL, IntentRole.TP), strict=True):
        pending = order(view.order_id, view.type, OrderStatus.PENDING_NEW, list_id=7)
        guard = rule.order_seen(guard, pending, role, "oi_e")
    flight = Flight(
        role=IntentRole.LIST, qty=D(1), since_ms=0, since_wall_ms=1_000_000, intent_id="oi_e"
    )
    guard = rule.legs_expected(guard, flight)

    guard, commands = advance(guard, SCENE, 0)

    assert acts(commands) == []
    assert phase(guard) is PositionPhase.UNPROTECTED


def test_attached_legs_seen_new_protect_without_any_request() -> None:
    guard = attached()
    for view, role in zip(oco(), (IntentRole.SL, IntentRole.TP), strict=True):
        guard = rule.order_seen(guard, view, role, "oi_e")

    guard, commands = advance(guard, SCENE, 300)

    assert commands == ()
    assert phase(guard) is PositionPhase.PROTECTED


def test_a_leg_rejected_at_arming_starts_the_ladder_at_once() -> None:
    guard = attached()
    for view in oco():
        ended = order(view.order_id, view.type, OrderStatus.REJECTED, list_id=7)
        guard = rule.order_seen(guard, ended, IntentRole.LIST, "oi_e")

    _, commands = advance(guard, SCENE, 100)

    assert [c.role for c in acts(commands) if isinstance(c, Protect)] == [IntentRole.LIST]


def test_a_stop_limit_left_behind_by_the_market_is_cancelled_and_sold() -> None:
    scene = replace(SCENE, stop_market=False)
    stop = order(1, OrderType.STOP_LOSS_LIMIT, price="98.01")
    guard = rule.order_seen(Guard(), stop, IntentRole.STOP, "oi_1")
    scene = replace(scene, bid=D(97))
    guard, first = advance(guard, scene, 0)

    guard, later = advance(guard, scene, 2000)

    assert acts(first) == []
    assert acts(later) == [Cancel(intent_id="oi_1", order_id=1, purpose="CLOSE")]


def test_a_partial_fill_too_small_to_protect_is_kept_as_dust_and_announced() -> None:
    scene = replace(SCENE, qty=D("0.030"), base_total=D("0.030"))

    guard, commands = advance(Guard(), scene, 0)

    assert phase(guard, scene) is PositionPhase.DUST
    assert [c.code for c in commands if isinstance(c, Notify)] == [
        "PROTECTION_INVALID_MIN_NOTIONAL"
    ]
    assert acts(commands) == []


def test_the_end_of_a_filled_exit_waits_for_its_other_leg_and_then_is_flat() -> None:
    guard = protected()
    scene = replace(SCENE, qty=D("0.0005"), booked_sales={2: D("1.000")})
    guard = rule.sale_booked(guard, 2, D("1.000"))
    guard, commands = advance(guard, scene, 100)
    assert commands == ()

    gone = order(1, status=OrderStatus.EXPIRED, list_id=7)
    guard = rule.order_seen(guard, gone, IntentRole.SL, "oi_1")
    guard, commands = advance(guard, scene, 120)

    assert guard.over
    assert phase(guard, scene) is PositionPhase.DUST
    assert acts(commands) == []


def test_a_sale_left_standing_beside_no_position_is_cancelled() -> None:
    guard = protected()
    scene = replace(SCENE, qty=D(0), base_total=D(3))
    guard, _ = advance(guard, scene, 100)

    _, commands = advance(guard, scene, 2100)

    assert [c.purpose for c in acts(commands) if isinstance(c, Cancel)] == ["LEFTOVER"]


def test_nothing_is_installed_while_the_entry_still_works() -> None:
    scene = replace(SCENE, entry_open=True)
    bought = replace_side(order(50, OrderType.LIMIT_MAKER, OrderStatus.PARTIALLY_FILLED, qty="2"))
    guard = rule.order_seen(Guard(), bought, IntentRole.ENTRY, "oi_e")
    guard, first = advance(guard, scene, 0)

    guard, late = advance(guard, scene, 5000)

    assert acts(first) == []
    assert acts(late) == [Cancel(intent_id="oi_e", order_id=50, purpose="ENTRY")]


@pytest.mark.parametrize(
    ("qty", "level"),
    [("0.053", SignalLevel.CLEAR), ("0.054", SignalLevel.DEGRADE)],
    ids=["perhaps-too-small", "surely-taken"],
)
def test_a_part_is_bare_while_its_entry_works_only_once_a_stop_for_it_would_surely_be_taken(
    qty: str, level: SignalLevel
) -> None:
    """The smallest order is worth 5, the lowest price asked for would be 98.01; both parts sell."""
    scene = replace(SCENE, qty=D(qty), base_total=D(qty), entry_open=True)
    guard, _ = advance(Guard(), scene, 0)

    guard, _ = advance(guard, scene, 2000)
    ended, commands = advance(guard, replace(scene, entry_open=False), 2100)

    assert guard.level is level
    assert ended.naked_since_ms is not None
    assert acts(commands) != []


def test_a_denied_cancel_of_the_entry_is_followed_by_looks_and_not_by_the_same_cancel() -> None:
    scene = replace(SCENE, entry_open=True)
    bought = replace_side(order(50, OrderType.LIMIT_MAKER, OrderStatus.PARTIALLY_FILLED, qty="2"))
    guard = rule.order_seen(Guard(), bought, IntentRole.ENTRY, "oi_e")
    guard, _ = advance(guard, scene, 0)
    denied = answer(IntentRole.CANCEL, "REFUSED", intent="oi_e", code=-2011)

    cancelled_ms, looks = [], 0
    for now_ms in range(5_000, 300_000, 500):
        guard, commands = advance(guard, scene, now_ms)
        looks += sum(isinstance(command, Look) for command in commands)
        if any(isinstance(command, Cancel) for command in commands):
            cancelled_ms.append(now_ms)
            guard = settled(guard, scene, denied, now_ms)

    assert cancelled_ms == [5_000, 15_000, 45_000]
    assert looks > 100


def replace_side(view: OrderView) -> OrderView:
    return msgspec.structs.replace(view, side=Side.BUY)


def test_without_constraints_nothing_is_sent_but_the_alarm_goes_up() -> None:
    scene = replace(SCENE, constraints=None)
    guard, first = advance(Guard(), scene, 0)

    _, late = advance(guard, scene, 5000)

    assert first == ()
    assert [c.level for c in late if isinstance(c, Signal)] == [SignalLevel.PAUSE]


def test_base_that_was_taken_away_leaves_the_rest_protected_and_pauses() -> None:
    guard = protected()
    for view in oco():
        gone = order(view.order_id, view.type, OrderStatus.CANCELED, list_id=7)
        guard = rule.order_seen(guard, gone, IntentRole.LIST, "oi_1")
    scene = replace(SCENE, base_total=D("0.5"))
    guard, commands = advance(guard, scene, 100)
    assert [c.qty for c in acts(commands) if isinstance(c, Protect)] == [D("0.500")]
    legs = oco(11, list_id=8, qty="0.500")
    guard = settled(
        guard, scene, answer(IntentRole.LIST, "ACCEPTED", intent="oi_2", orders=legs), 110
    )

    guard, late = advance(guard, scene, 6000)

    assert acts(late) == []
    assert guard.level is SignalLevel.PAUSE


@pytest.mark.parametrize(
    ("there", "doing"),
    [
        ("1", "selling is under way"),
        ("0.01", "the account has only 0.010 of it, too little to sell"),
        ("0", "the account has only 0.000 of it, too little to sell"),
    ],
)
def test_the_alert_of_a_bare_position_says_whether_it_is_being_sold(there: str, doing: str) -> None:
    bare = replace(SCENE, base_total=D(there))
    guard, _ = advance(Guard(), bare, 0)

    _, commands = advance(guard, bare, 5000)

    said = [c.text for c in commands if isinstance(c, Notify)]
    assert said == [f"1.000 held without a live stop for 5000 ms; {doing}"]
