"""Sales refused for what only somebody else can end: one walk, growing pauses, and at once."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livespot.contracts.codes import ReasonCode
from livespot.contracts.vocabulary import (
    IntentRole,
    MutationOutcome,
    OrderStatus,
    OrderType,
    Severity,
    SignalLevel,
)
from livespot.rules.barred import Bar, Barred, bar_of
from livespot.rules.protection import (
    Cancel,
    Close,
    Command,
    Flight,
    Guard,
    Notify,
    Protect,
    Scene,
    Settlement,
    Signal,
    measure,
    order_seen,
)
from livespot.rules.protection_answers import settled
from livespot.rules.protection_ladder import advance
from livespot.rules.protection_pace import rung_of
from livespot.testing.protection_cases import a_scene, a_sell

D = Decimal
NO_TRADING = "This account may not place or cancel orders."
NOT_THIS_SYMBOL = "This symbol is restricted for this account."
NO_BASE = "Account has insufficient balance for requested action."
OPEN = a_scene(base_free=D(1), account_trades=True)
LOCKED = replace(OPEN, base_free=D(0))
FROZEN = replace(OPEN, account_trades=False)
BARS = [
    pytest.param(NO_TRADING, FROZEN, id="account"),
    pytest.param(NO_TRADING, OPEN, id="account-that-reads-well"),
    pytest.param(NO_TRADING, replace(OPEN, account_trades=None), id="account-unread"),
    pytest.param(NOT_THIS_SYMBOL, OPEN, id="symbol"),
]
IN_SIGHT = [
    pytest.param(NO_TRADING, FROZEN, id="account"),
    pytest.param(NO_BASE, LOCKED, id="base"),
]
WALK_MS = 5000
A_MINUTE_MS = 60_000
AN_HOUR_MS = 3_600_000

Asked = Protect | Close


@dataclass
class Told:
    """A position all of whose requests are answered at once, and what was asked and said when."""

    guard: Guard = field(default_factory=Guard)
    asks: list[tuple[int, Asked]] = field(default_factory=list)
    said: list[tuple[int, Command]] = field(default_factory=list)

    def lives(
        self, scene: Scene, message: str, span: Iterable[int], outcome: str = "REFUSED"
    ) -> "Told":
        for now_ms in span:
            for command in self.look(scene, now_ms):
                answer = Settlement(
                    role=role_of(command),
                    intent_id="",
                    outcome=MutationOutcome(outcome),
                    code=-2010,
                    message=message,
                    orders=(),
                )
                self.guard = settled(self.guard, scene, answer, now_ms)
        return self

    def look(self, scene: Scene, now_ms: int) -> list[Asked]:
        self.guard, commands = advance(self.guard, scene, now_ms)
        asked = [c for c in commands if isinstance(c, Asked)]
        self.asks += [(now_ms, command) for command in asked]
        self.said += [(now_ms, command) for command in commands if command not in asked]
        return asked

    def times(self, wanted: Callable[[Asked], bool] = lambda _: True) -> list[int]:
        return [at_ms for at_ms, command in self.asks if wanted(command)]

    def most_alike(self) -> int:
        commands = [command for _, command in self.asks]
        return max(commands.count(command) for command in commands)


def role_of(command: Asked) -> IntentRole:
    return command.role if isinstance(command, Protect) else IntentRole.CLOSE


def spells(end_ms: int, begin_ms: int = 0) -> list[int]:
    """Ten passes a second while the ladder is walked down, then one."""
    walked_ms = max(begin_ms, min(end_ms, WALK_MS))
    return [*range(begin_ms, walked_ms, 100), *range(walked_ms, end_ms, 1000)]


@pytest.mark.parametrize(("message", "scene"), BARS)
@pytest.mark.parametrize("bid", [D(98), D(100), None], ids=["crossed", "within", "no-bid"])
def test_behind_a_bar_no_request_is_made_more_than_three_times_in_a_minute_and_a_half(
    message: str, scene: Scene, bid: Decimal | None
) -> None:
    told = Told().lives(replace(scene, bid=bid), message, spells(90_000))

    assert told.most_alike() <= 3


@pytest.mark.parametrize(("message", "scene"), BARS)
def test_after_the_first_walk_down_the_ladder_one_sale_is_asked_for_at_pauses_that_double(
    message: str, scene: Scene
) -> None:
    told = Told().lives(scene, message, spells(1_800_000))

    later = [at_ms for at_ms in told.times() if at_ms > WALK_MS]
    pauses = [round((b - a) / 1000) for a, b in pairwise(later)]
    assert pauses[:4] == pytest.approx([60, 120, 240, 300], abs=1)
    assert pauses[4:] == pytest.approx([300] * len(pauses[4:]), abs=1)
    assert all(isinstance(command, Close) for at_ms, command in told.asks if at_ms > WALK_MS)


@pytest.mark.parametrize(("message", "scene"), BARS)
def test_the_first_walk_is_as_quick_as_after_any_other_refusal(message: str, scene: Scene) -> None:
    barred = Told().lives(scene, message, spells(30_000))
    other = Told().lives(scene, "Unsupported order combination", spells(30_000))

    assert barred.asks == other.asks
    assert barred.said[:-1] == other.said[:-1]


@pytest.mark.parametrize(("message", "scene"), BARS)
def test_a_bar_is_pause_and_one_alert_that_names_it_each_hour(message: str, scene: Scene) -> None:
    told = Told().lives(scene, message, spells(AN_HOUR_MS + 6 * A_MINUTE_MS))

    levels = {c.level for at_ms, c in told.said if isinstance(c, Signal) and at_ms >= 5000}
    cries = [(at_ms, c) for at_ms, c in told.said if isinstance(c, Notify)]
    named = [c for _, c in cries if c.code is ReasonCode.CLOSE_SAFELY_FAILED]
    bar = bar_of(message)
    assert levels == {SignalLevel.PAUSE}
    assert cries[0][0] <= 5000
    assert {c.severity for _, c in cries} == {Severity.CRIT}
    assert len(named) == 2
    assert bar is not None
    assert {c.text for c in named} == {f"1.000 could not be sold ({bar.value})"}


@pytest.mark.parametrize(("message", "scene"), IN_SIGHT)
@pytest.mark.parametrize("at_ms", [1000, 20_000, 50_000, 700_000])
def test_as_soon_as_reads_show_the_end_of_a_bar_the_position_is_protected_or_sold(
    message: str, scene: Scene, at_ms: int
) -> None:
    told = Told().lives(scene, message, spells(at_ms))

    asked = told.look(OPEN, at_ms)

    assert len(asked) == 1


def test_between_two_sales_the_end_of_a_bar_brings_a_whole_protection() -> None:
    told = Told().lives(FROZEN, NO_TRADING, spells(50_000))

    (asked,) = told.look(OPEN, 50_000)

    assert isinstance(asked, Protect)
    assert asked.role is IntentRole.LIST


def test_an_account_that_said_all_along_that_it_may_trade_ends_no_pause() -> None:
    told = Told().lives(OPEN, NO_TRADING, spells(50_000))

    assert told.look(OPEN, 50_000) == []


def test_a_bar_that_nobody_could_see_end_is_over_with_the_next_sale() -> None:
    told = Told().lives(OPEN, NOT_THIS_SYMBOL, spells(50_000))
    told.lives(OPEN, "", spells(100_000, 50_000), outcome="ACCEPTED")

    assert told.guard.barred is None
    assert [type(command) for at_ms, command in told.asks if at_ms >= 50_000] == [Close]


@pytest.mark.parametrize("bid", [D(98), D(100), None], ids=["crossed", "within", "no-bid"])
def test_base_that_reads_show_locked_is_not_asked_for_again_and_is_pause(
    bid: Decimal | None,
) -> None:
    told = Told().lives(replace(LOCKED, bid=bid), NO_BASE, spells(600_000))

    levels = [c.level for _, c in told.said if isinstance(c, Signal)]
    cries = [(at_ms, c.severity) for at_ms, c in told.said if isinstance(c, Notify)]
    assert len(told.asks) == 1
    assert levels[-1] is SignalLevel.PAUSE
    assert cries[0] == (5000, Severity.CRIT)


def test_the_alert_says_how_much_of_the_base_is_locked() -> None:
    told = Told().lives(LOCKED, NO_BASE, spells(6000))

    (cry,) = (c for _, c in told.said if isinstance(c, Notify))
    assert cry.text == "1.000 held without a live stop for 5000 ms; of that 1.000 is locked"


def test_the_free_part_of_locked_base_is_protected_and_the_rest_as_soon_as_it_is_free() -> None:
    scene = replace(OPEN, base_free=D("0.4"))
    told = Told().lives(scene, NO_BASE, [0])
    (part,) = told.look(scene, 400)
    stands = a_sell(7, OrderType.STOP_LOSS, orig_qty=D("0.4"), stop_price=D(99))
    answer = Settlement(
        role=IntentRole.LIST,
        intent_id="",
        outcome=MutationOutcome.ACCEPTED,
        code=0,
        message="",
        orders=(stands,),
    )
    told.guard = settled(told.guard, scene, answer, 400)
    before_the_read = told.look(replace(OPEN, base_free=None), 500)
    while_locked = Told(guard=told.guard).lives(LOCKED, NO_BASE, spells(60_000, 600))

    (rest,) = while_locked.look(replace(OPEN, base_free=D("0.6")), 60_000)

    assert part.qty == D("0.4")
    assert before_the_read == []
    assert while_locked.times() == [60_000]
    assert isinstance(rest, Protect)
    assert rest.qty == D("0.6")


def test_base_that_is_free_and_refused_all_the_same_uses_up_rounds_as_before() -> None:
    told = Told().lives(OPEN, NO_BASE, spells(300_000))

    assert told.guard.rounds == 3


def test_another_refusal_ends_what_is_known_of_a_bar() -> None:
    told = Told().lives(OPEN, NO_TRADING, spells(500))
    barred = told.guard.barred
    told.lives(OPEN, "Unsupported order combination", spells(1200, 500))

    assert barred is not None
    assert barred.by is Bar.ACCOUNT
    assert told.guard.barred is None


def test_a_refusal_for_missing_base_beside_a_request_in_doubt_is_no_bar() -> None:
    scene = replace(OPEN, base_free=D(0))
    told = Told()
    told.look(scene, 0)
    told.guard, _ = advance(told.guard, scene, 2100)
    flight = told.guard.flights[0]
    told.guard = replace(
        told.guard,
        flights=(replace(flight, intent_id="oi_0"), replace(flight, intent_id="oi_1")),
    )

    answer = Settlement(
        role=IntentRole.LIST,
        intent_id="oi_1",
        outcome=MutationOutcome.REFUSED,
        code=-2010,
        message=NO_BASE,
        orders=(),
    )
    told.guard = settled(told.guard, scene, answer, 2100)

    assert told.guard.flights
    assert told.guard.barred is None


def test_a_swap_that_is_refused_for_missing_base_is_no_bar() -> None:
    flight = Flight(role=IntentRole.TRAIL, qty=D(1), since_ms=0, since_wall_ms=0)
    answer = Settlement(
        role=IntentRole.TRAIL,
        intent_id="",
        outcome=MutationOutcome.REFUSED,
        code=-2010,
        message=NO_BASE,
        orders=(),
    )

    guard = settled(Guard(flights=(flight,)), LOCKED, answer, 0)

    assert guard.swap_failed
    assert guard.barred is None


def test_a_protection_that_stands_ends_a_bar() -> None:
    told = Told().lives(FROZEN, NO_TRADING, spells(2000))
    stop = a_sell(7, OrderType.STOP_LOSS, status=OrderStatus.NEW, stop_price=D(99))
    answer = Settlement(
        role=IntentRole.STOP,
        intent_id="",
        outcome=MutationOutcome.NOT_FOUND,
        code=0,
        message="",
        orders=(stop,),
    )
    told.guard = settled(told.guard, FROZEN, answer, 2000)

    told.guard, _ = advance(told.guard, FROZEN, 2000)

    assert measure(told.guard, FROZEN).covered == 1
    assert told.guard.barred is None


@pytest.mark.parametrize("message", [NO_TRADING, NOT_THIS_SYMBOL])
def test_a_stop_that_is_left_to_the_operator_is_asked_for_at_growing_pauses_behind_a_bar(
    message: str,
) -> None:
    told = Told(guard=Guard(rounds=3, refusals=3)).lives(OPEN, message, spells(600_000))

    pauses = [b - a for a, b in pairwise(told.times())]
    assert pauses == sorted(pauses)
    assert len(pauses) <= 6


def test_a_target_sold_in_part_is_left_on_the_book_until_the_next_sale_behind_a_bar_is_due() -> (
    None
):
    part = a_sell(
        3,
        OrderType.LIMIT_MAKER,
        status=OrderStatus.PARTIALLY_FILLED,
        order_list_id=5,
        executed_qty=D("0.5"),
    )
    scene = replace(OPEN, qty=D("0.5"), base_total=D("0.5"), booked_sales={3: D("0.5")})
    barred = Barred(by=Bar.ACCOUNT, failures=1)
    guard = Guard(barred=barred, hold_until_ms=30_000, level=SignalLevel.PAUSE)
    guard = order_seen(guard, part, IntentRole.TP, "oi_1")

    cancels: list[int] = []
    for now_ms in spells(40_000):
        guard, commands = advance(guard, scene, now_ms)
        cancels += [now_ms for command in commands if isinstance(command, Cancel)]

    assert cancels[0] == 30_000


@given(
    story=st.lists(
        st.tuples(
            st.sampled_from([0, 100, 400, 2000, 31_000]),
            st.sampled_from([None, D(0), D("0.4"), D(1)]),
            st.booleans(),
            st.sampled_from([D(98), D(100), D(103), None]),
            st.sampled_from(["REFUSED", "REFUSED", "ACCEPTED", "UNKNOWN", "NOT_FOUND"]),
            st.sampled_from([NO_TRADING, NOT_THIS_SYMBOL, NO_BASE, "no"]),
        ),
        max_size=40,
    )
)
def test_behind_locked_base_no_more_is_offered_than_is_free_and_nothing_twice_without_news(
    story: list[tuple[int, Decimal | None, bool, Decimal | None, str, str]],
) -> None:
    told, now_ms, scene = Told(), 0, OPEN
    offered: list[tuple[int, object]] = []
    for span_ms, free, trades, bid, outcome, message in story:
        now_ms += span_ms
        seen = replace(scene, base_free=free, account_trades=trades, bid=bid)
        if seen != scene:
            offered.clear()
        scene = seen
        for _ in range(3):
            guard, before = told.guard, len(told.asks)
            told.lives(scene, message, [now_ms], outcome=outcome)
            asked = [command for _, command in told.asks[before:]]
            locked = guard.barred is not None and guard.barred.by is Bar.BASE
            if locked and free is not None and not guard.flights:
                assert all(command.qty <= free for command in asked)
            offered += [(now_ms, rung_of(command)) for command in asked]
        assert len(set(offered)) == len(offered)


@pytest.mark.parametrize(
    ("message", "bar"),
    [
        (NO_TRADING, Bar.ACCOUNT),
        ("This action is disabled on this account.", Bar.ACCOUNT),
        ("This symbol is not permitted for this account.", Bar.SYMBOL),
        (NOT_THIS_SYMBOL, Bar.SYMBOL),
        (NO_BASE, Bar.BASE),
        ("Market is closed.", None),
        ("Order would trigger immediately.", None),
        ("Filter failure: PERCENT_PRICE_BY_SIDE", None),
        ("Timestamp for this request is outside of the recvWindow.", None),
        ("", None),
    ],
)
def test_only_words_about_the_account_and_its_base_name_a_bar(
    message: str, bar: Bar | None
) -> None:
    assert bar_of(message) is bar
