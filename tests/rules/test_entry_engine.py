"""The entry engine: what each event leads to, and what no sequence of events can lead to."""

from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from livespot.contracts.codes import ReasonCode
from livespot.contracts.vocabulary import OrderStatus, OrderType
from livespot.rules import entry_engine as engine
from livespot.rules.entry_engine import EntryState, Phase
from livespot.testing.entry_bench import PLAN, QTY, T0, EntryAtAnExchange, begun, seen, step


def working() -> EntryState:
    return step(begun(), seen())[0]


def cancelling() -> EntryState:
    return step(working(), engine.Ticked(), T0 + 30_000)[0]


def test_a_verdict_that_is_too_old_places_nothing() -> None:
    _, commands = engine.begin(PLAN, QTY, approved_ms=T0, now_ms=T0 + 15_001, max_age_ms=15_000)

    assert [type(c) for c in commands] == [engine.Finish]


def test_the_ttl_ends_with_a_cancel_that_spares_a_partial_fill() -> None:
    state, commands = step(working(), engine.Ticked(), T0 + 30_000)

    assert commands == (engine.Cancel(order_id=1, only_new=True, tries=1, attempt=0),)
    assert state.phase is Phase.CANCELLING


def test_the_cancel_answer_with_nothing_executed_allows_the_next_attempt() -> None:
    state, commands = step(cancelling(), seen(OrderStatus.CANCELED, answers=True), T0 + 30_100)

    assert commands == (engine.Weigh(attempt=1, order_type=OrderType.LIMIT_MAKER),)
    plan = msgspec.structs.replace(PLAN, limit_price=Decimal("100.1"))
    state, commands = step(state, engine.Weighed(plan=plan, qty=QTY * 2), T0 + 30_200)
    (place,) = commands
    assert isinstance(place, engine.Place)
    assert (place.qty, place.attempt) == (QTY, 1)


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(engine.CancelFailed(), id="lost"),
        pytest.param(engine.CancelFoundNothing(), id="unknown-order"),
        pytest.param(engine.CancelRestricted(), id="restricted"),
        pytest.param(seen(OrderStatus.CANCELED), id="seen-on-the-stream"),
    ],
)
def test_anything_but_the_cancel_answer_never_leads_to_another_attempt(
    event: engine.Event,
) -> None:
    state, commands = step(cancelling(), event, T0 + 30_100)

    assert not _wants_more(commands)
    state, commands = step(state, seen(OrderStatus.CANCELED), T0 + 31_000)
    assert not _wants_more(commands)
    _, commands = step(state, engine.CancelFailed(), T0 + 31_100)
    assert not _wants_more(commands)


def test_an_execution_found_by_the_cancel_ends_the_entry_with_it() -> None:
    _, commands = step(cancelling(), seen(OrderStatus.CANCELED, "3", answers=True), T0 + 30_100)

    assert commands == (
        engine.Finish(executed=Decimal(3), reasons=(ReasonCode.STRAT_ENTRY_TIMEOUT,)),
    )


def test_restricted_cancels_take_the_path_of_a_partial_fill() -> None:
    state, commands = step(cancelling(), engine.CancelRestricted(), T0 + 30_100)
    assert commands == (engine.QueryOrder(order_id=1),)

    partly = seen(OrderStatus.PARTIALLY_FILLED, "3", protectable=True)
    state, commands = step(state, partly, T0 + 30_200)
    assert commands == ()

    _, commands = step(state, engine.Ticked(), T0 + 31_700)
    assert commands == (engine.Cancel(order_id=1, only_new=False, tries=1, attempt=0),)


def test_the_grace_counts_from_the_fill_and_not_from_when_it_was_heard_of() -> None:
    part = seen(OrderStatus.PARTIALLY_FILLED, "3", protectable=True)
    state, _ = step(working(), replace(part, age_ms=1400), T0 + 5000)

    assert step(state, engine.Ticked(), T0 + 5099)[1] == ()
    assert step(state, engine.Ticked(), T0 + 5100)[1] == (
        engine.Cancel(order_id=1, only_new=False, tries=1, attempt=0),
    )


@pytest.mark.parametrize(("age_ms", "due_ms"), [(-20_000, 6500), (20_000, 5000)])
def test_a_fill_is_neither_later_than_now_nor_older_than_its_order(
    age_ms: int, due_ms: int
) -> None:
    part = seen(OrderStatus.PARTIALLY_FILLED, "3", protectable=True)
    state, _ = step(working(), replace(part, age_ms=age_ms), T0 + 5000)

    assert state.protectable_ms >= working().placed_ms
    assert step(state, engine.Ticked(), T0 + due_ms)[1] != ()
    assert step(state, engine.Ticked(), T0 + due_ms - 1)[1] == () or due_ms == 5000


def test_a_part_too_small_to_protect_works_on_until_the_ttl() -> None:
    state, _ = step(working(), seen(OrderStatus.PARTIALLY_FILLED, "1"), T0 + 100)

    assert step(state, engine.Ticked(), T0 + 29_999)[1] == ()
    assert step(state, engine.Ticked(), T0 + 30_000)[1] == (
        engine.Cancel(order_id=1, only_new=False, tries=1, attempt=0),
    )


def test_a_cancel_that_a_silence_held_back_goes_out_the_moment_it_ends() -> None:
    state = cancelling()
    for begin_ms, silent_ms in ((30_100, 26_000), (56_100, 1)):
        event = engine.CancelFailed(silent_ms=silent_ms)
        state, commands = step(state, event, T0 + begin_ms)
        assert commands == ()
        end_ms = T0 + begin_ms + silent_ms
        assert step(state, engine.Ticked(), end_ms - 1)[1] == ()
        state, commands = step(state, engine.Ticked(), end_ms)
        assert [type(command) for command in commands] == [engine.Cancel]


def test_an_order_whose_cancel_found_nothing_is_asked_for_at_growing_pauses() -> None:
    state, _ = step(cancelling(), engine.CancelFoundNothing(), T0 + 30_100)
    asked_ms = []
    for now in range(T0 + 30_100, T0 + 40_000, 100):
        state, commands = step(state, engine.Ticked(), now)
        if commands:
            asked_ms.append(now - T0 - 30_100)
            assert commands == (engine.QueryOrder(order_id=1),)

    assert asked_ms == [1_000, 3_000, 7_000]


def test_a_lost_cancel_is_repeated_after_a_second_and_reported_after_five() -> None:
    state, now = cancelling(), T0 + 30_000
    commands: tuple[engine.Command, ...] = ()
    for tries in range(2, 7):
        state, commands = step(state, engine.CancelFailed(), now)
        if tries < 7 and commands:
            break
        assert step(state, engine.Ticked(), now + 999)[1] == ()
        now += 1000
        state, again = step(state, engine.Ticked(), now)
        assert again == (engine.Cancel(order_id=1, only_new=True, tries=tries, attempt=0),)

    assert isinstance(commands[0], engine.CancelStuck)
    assert state.phase is Phase.QUERYING


def test_a_closed_market_is_asked_to_cancel_at_growing_pauses() -> None:
    state, now = cancelling(), T0 + 30_000
    asked_ms = []
    for _ in range(5):
        state, _ = step(state, engine.CancelFailed(closed=True), now)
        while True:
            now += 100
            state, commands = step(state, engine.Ticked(), now)
            if any(isinstance(command, engine.Cancel) for command in commands):
                break
        asked_ms.append(now - T0 - 30_000)

    assert asked_ms == [2_000, 6_000, 14_000, 24_000, 34_000]


def test_attempts_refused_for_crossing_keep_their_distance() -> None:
    refused = engine.PlaceRefused(crossed=True, reason=ReasonCode.STRAT_MAKER_REJECTED_CROSSES_BOOK)
    state, commands = step(begun(), refused, T0 + 50)
    assert commands == ()

    assert step(state, engine.Ticked(), T0 + 999)[1] == ()
    assert _wants_more(step(state, engine.Ticked(), T0 + 1000)[1])


def test_an_unanswered_place_waits_whatever_the_time() -> None:
    state, _ = step(begun(), engine.PlaceUnknown())

    for later in (30_000, 100_000, 10_000_000):
        assert step(state, engine.Ticked(), T0 + later)[1] == ()
    _, commands = step(state, engine.PlaceNotFound(), T0 + 100_000)
    assert isinstance(commands[0], engine.Finish)


def test_an_order_the_exchange_ended_is_not_entered_again() -> None:
    _, commands = step(working(), seen(OrderStatus.EXPIRED), T0 + 100)

    assert commands == (
        engine.Finish(executed=Decimal(0), reasons=(ReasonCode.ORDER_EXPIRED_BY_EXCHANGE,)),
    )


def test_a_halt_while_placing_cancels_as_soon_as_the_order_shows() -> None:
    state, commands = step(begun(), engine.Halted(reason=ReasonCode.OPERATOR_STOP))
    assert commands == ()

    _, commands = step(state, seen(), T0 + 10)
    assert isinstance(commands[0], engine.Cancel)


def test_the_fallback_comes_after_the_last_attempt_and_only_in_time() -> None:
    last = replace(cancelling(), attempt=2)
    gone = seen(OrderStatus.CANCELED, attempt=2, answers=True)

    _, commands = step(last, gone, T0 + 90_000)
    assert commands == (engine.Weigh(attempt=3, order_type=OrderType.LIMIT),)
    _, commands = step(last, gone, T0 + 95_001)
    assert isinstance(commands[0], engine.Finish)


def test_a_price_beyond_the_allowed_slippage_is_not_followed() -> None:
    weighing, _ = step(cancelling(), seen(OrderStatus.CANCELED, answers=True), T0 + 31_000)
    far = msgspec.structs.replace(PLAN, limit_price=Decimal("100.26"))

    _, commands = step(weighing, engine.Weighed(plan=far, qty=QTY), T0 + 31_100)

    assert commands == (
        engine.Finish(executed=Decimal(0), reasons=(ReasonCode.STRAT_ENTRY_ABORTED_COST,)),
    )


def test_an_execution_of_an_earlier_attempt_stops_the_present_one() -> None:
    weighing, _ = step(cancelling(), seen(OrderStatus.CANCELED, answers=True), T0 + 31_000)
    state, _ = step(weighing, engine.Weighed(plan=PLAN, qty=QTY), T0 + 31_100)
    state, _ = step(state, seen(attempt=1, order_id=2), T0 + 31_200)

    _, commands = step(state, seen(OrderStatus.CANCELED, "2"), T0 + 31_300)

    assert commands == (engine.Cancel(order_id=2, only_new=True, tries=1, attempt=1),)


def _wants_more(commands: tuple[engine.Command, ...]) -> bool:
    return any(isinstance(c, engine.Weigh | engine.Place) for c in commands)


class AgainstAnExchange(EntryAtAnExchange, RuleBasedStateMachine):
    """The engine against an exchange that may lose any request and any answer, and lag."""

    def take(self, commands: tuple[engine.Command, ...]) -> None:
        for command in commands:
            assert not self.finished
            match command:
                case engine.Place():
                    assert self.placing is None
                    assert self.lost is None
                    assert not self.live()
                    assert command.qty <= QTY
                case engine.Cancel():
                    assert self.cancel is None
                case engine.Replace():
                    raise AssertionError("this entry reprices by cancel and place")
                case engine.Finish() | engine.QueryOrder() | engine.Weigh() | engine.CancelStuck():
                    pass
            super().take((command,))

    @precondition(lambda self: self.placing is not None)
    @rule(how=st.sampled_from(["accepted", "crossed", "refused", "answer lost", "request lost"]))
    def place_ends(self, how: str) -> None:
        place, self.placing = self.placing, None
        assert place is not None
        self.end_place(place, how)

    @precondition(lambda self: self.lost is not None)
    @rule(arrives=st.booleans())
    def lost_place_is_settled(self, *, arrives: bool) -> None:
        place, self.lost = self.lost, None
        assert place is not None
        self.settle_lost_place(place, arrives=arrives)

    @precondition(lambda self: self.cancel is not None)
    @rule(arrives=st.booleans(), answered=st.booleans())
    def cancel_ends(self, *, arrives: bool, answered: bool) -> None:
        cancel, self.cancel = self.cancel, None
        assert cancel is not None
        self.end_cancel(cancel, arrives=arrives, answered=answered)

    @precondition(lambda self: bool(self.live()))
    @rule(qty=st.integers(1, 10), told=st.booleans())
    def market_fills(self, qty: int, *, told: bool) -> None:
        self.fill(qty, told=told)

    @precondition(lambda self: bool(self.truth))
    @rule(number=st.integers(0, 10), stale=st.booleans())
    def a_read_shows_an_order(self, number: int, *, stale: bool) -> None:
        self.read(number, stale=stale)

    @precondition(lambda self: self.state.phase is Phase.WEIGHING)
    @rule(holds=st.booleans(), qty=st.integers(0, 20))
    def weighing_ends(self, qty: int, *, holds: bool) -> None:
        self.end_weighing(qty, holds=holds)

    @rule(ms=st.sampled_from([100, 1000, 1500, 30_000]))
    def time_passes(self, ms: int) -> None:
        self.now += ms
        self.feed(engine.Ticked())

    @rule()
    def the_mode_is_lost(self) -> None:
        self.feed(engine.Halted(reason=ReasonCode.RISK_SYSMODE_BLOCKS_ENTRY))

    @invariant()
    def never_two_live_orders(self) -> None:
        assert len(self.live()) <= 1

    @invariant()
    def never_more_bought_than_approved(self) -> None:
        assert sum(order.executed_qty for order in self.truth.values()) <= QTY

    @invariant()
    def an_ended_entry_leaves_nothing_working(self) -> None:
        if self.finished:
            assert not self.live()
            assert self.placing is None


AgainstAnExchange.TestCase.settings = hypothesis_settings(
    max_examples=150, stateful_step_count=40, deadline=None
)
TestAgainstAnExchange = AgainstAnExchange.TestCase
