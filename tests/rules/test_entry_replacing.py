"""A reprice that cancels and places in one request: every outcome, and none that buys twice."""

from dataclasses import replace as changed
from decimal import Decimal

import msgspec
import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from livespot.contracts.codes import ReasonCode
from livespot.contracts.orders import OrderView
from livespot.contracts.vocabulary import OrderStatus, OrderType
from livespot.rules import entry_engine as engine
from livespot.rules.entry_engine import EntryState, Phase
from livespot.testing.entry_bench import PLAN, QTY, T0, EntryAtAnExchange, begun, seen, step

DUE = T0 + 30_000
REFUSED = engine.PlaceRefused(crossed=False, reason=ReasonCode.ORDER_SUBMIT_REJECTED)
CROSSED = engine.PlaceRefused(crossed=True, reason=ReasonCode.STRAT_MAKER_REJECTED_CROSSES_BOOK)


def working() -> EntryState:
    return step(begun(replaces=True), seen())[0]


def appraising() -> EntryState:
    return step(working(), engine.Ticked(), DUE)[0]


def replacing() -> EntryState:
    return step(appraising(), engine.Weighed(plan=PLAN, qty=Decimal(8)), DUE)[0]


def reasons(commands: tuple[engine.Command, ...]) -> list[tuple[ReasonCode, ...]]:
    return [c.reasons for c in commands if isinstance(c, engine.Finish)]


def test_the_order_works_on_while_the_next_attempt_is_weighed() -> None:
    state, commands = step(working(), engine.Ticked(), DUE)

    assert commands == (engine.Weigh(attempt=1, order_type=OrderType.LIMIT_MAKER),)
    assert state.phase is Phase.APPRAISING


def test_what_holds_goes_out_as_one_request_that_never_buys_more() -> None:
    _, commands = step(appraising(), engine.Weighed(plan=PLAN, qty=Decimal(12)), DUE)

    assert commands == (
        engine.Replace(
            replaced=0,
            order_id=1,
            plan=PLAN,
            qty=QTY,
            attempt=1,
            order_type=OrderType.LIMIT_MAKER,
        ),
    )


def test_what_does_not_hold_is_cancelled_and_ends_for_that_reason() -> None:
    away = engine.WeighedAway(reason=ReasonCode.STRAT_ENTRY_ABORTED_COST)
    state, commands = step(appraising(), away, DUE)
    _, last = step(state, seen(OrderStatus.CANCELED, answers=True), DUE)

    assert [type(c) for c in commands] == [engine.Cancel]
    assert reasons(last) == [(ReasonCode.STRAT_ENTRY_ABORTED_COST,)]


def test_a_part_filled_meanwhile_takes_the_path_of_a_partial_fill() -> None:
    state, commands = step(
        appraising(), seen(OrderStatus.PARTIALLY_FILLED, "4", protectable=True), DUE
    )
    ignored, nothing = step(state, engine.Weighed(plan=PLAN, qty=QTY), DUE)

    assert (state.phase, commands) == (Phase.WORKING, ())
    assert (ignored, nothing) == (state, ())


def test_a_lost_mode_cancels_an_order_that_is_being_weighed() -> None:
    _, commands = step(
        appraising(), engine.Halted(reason=ReasonCode.RISK_SYSMODE_BLOCKS_ENTRY), DUE
    )

    assert [type(c) for c in commands] == [engine.Cancel]


def test_both_halves_done_leave_the_new_order_working() -> None:
    state, _ = step(replacing(), seen(OrderStatus.CANCELED, answers=True), DUE)
    state, commands = step(state, seen(attempt=1, order_id=2), DUE)

    assert (state.phase, state.attempt, state.order_id, state.qty) == (
        Phase.WORKING,
        1,
        2,
        Decimal(8),
    )
    assert commands == ()


def test_cancelled_but_refused_for_crossing_counts_and_is_placed_again() -> None:
    state, _ = step(replacing(), seen(OrderStatus.CANCELED, answers=True), DUE)
    state, _ = step(state, CROSSED, DUE)
    _, commands = step(state, engine.Ticked(), DUE + 1000)

    assert commands == (engine.Weigh(attempt=2, order_type=OrderType.LIMIT_MAKER),)


def test_cancelled_but_refused_otherwise_ends_the_entry() -> None:
    state, _ = step(replacing(), seen(OrderStatus.CANCELED, answers=True), DUE)
    _, commands = step(state, REFUSED, DUE)

    assert reasons(commands) == [(ReasonCode.ORDER_SUBMIT_REJECTED,)]


def test_neither_half_done_falls_back_to_a_plain_cancel_and_a_new_number() -> None:
    state, first = step(replacing(), engine.CancelFailed(), DUE)
    state, commands = step(state, REFUSED, DUE)
    state, again = step(state, seen(OrderStatus.CANCELED, answers=True), DUE)

    assert first == ()
    assert commands == (engine.Cancel(order_id=1, only_new=True, tries=1, attempt=0),)
    assert again == (engine.Weigh(attempt=2, order_type=OrderType.LIMIT_MAKER),)


def test_a_replacement_that_a_filter_refuses_is_not_offered_again_by_the_old_rules() -> None:
    state, _ = step(replacing(), engine.CancelFailed(), DUE)
    state, commands = step(state, changed(REFUSED, by_filter=True), DUE)
    _, last = step(state, seen(OrderStatus.CANCELED, answers=True), DUE)

    assert commands == (engine.Cancel(order_id=1, only_new=True, tries=1, attempt=0),)
    assert reasons(last) == [(ReasonCode.ORDER_SUBMIT_REJECTED,)]


def test_an_order_that_was_partly_filled_already_is_asked_about() -> None:
    state, commands = step(replacing(), engine.CancelRestricted(), DUE)
    state, _ = step(state, REFUSED, DUE)
    state, late = step(state, seen(OrderStatus.PARTIALLY_FILLED, "4", protectable=True), DUE + 1500)

    assert commands == (engine.QueryOrder(order_id=1),)
    assert (state.phase, state.attempt, late) == (Phase.WORKING, 0, ())


def test_an_order_that_filled_first_ends_the_entry_with_what_it_bought() -> None:
    state, commands = step(replacing(), engine.CancelFoundNothing(), DUE)
    _, last = step(state, seen(OrderStatus.FILLED, "10"), DUE + 500)

    assert commands == (engine.QueryOrder(order_id=1),)
    assert last == (engine.Finish(executed=QTY, reasons=(ReasonCode.STRAT_OK,)),)


def lost() -> EntryState:
    state, _ = step(replacing(), engine.CancelFailed(), DUE)
    return step(state, engine.PlaceUnknown(), DUE)[0]


def test_after_a_lost_answer_the_old_order_is_asked_about_and_cancelled_if_it_stands() -> None:
    state, asked = step(lost(), engine.Ticked(), DUE + 1000)
    _, commands = step(state, seen(), DUE + 1100)

    assert asked == (engine.QueryOrder(order_id=1),)
    assert commands == (engine.Cancel(order_id=1, only_new=False, tries=1, attempt=0),)


def test_after_a_lost_answer_a_new_order_that_stands_is_cancelled() -> None:
    _, commands = step(lost(), seen(attempt=1, order_id=2), DUE + 500)

    assert commands == (engine.Cancel(order_id=2, only_new=True, tries=1, attempt=1),)


@pytest.mark.parametrize("old_first", [True, False])
def test_after_a_lost_answer_the_entry_ends_when_both_orders_are_known(
    old_first: bool,
) -> None:
    state = lost()
    over = seen(OrderStatus.CANCELED, "3")
    news: list[engine.Event] = [over, engine.PlaceNotFound()]

    first, second = news if old_first else reversed(news)
    state, early = step(state, first, DUE + 500)
    _, commands = step(state, second, DUE + 500)

    assert early == ()
    assert commands == (
        engine.Finish(executed=Decimal(3), reasons=(ReasonCode.STRAT_ENTRY_TIMEOUT,)),
    )


class ReplacingAtAnExchange(EntryAtAnExchange, RuleBasedStateMachine):
    """The same engine where a reprice is one request, any half of which may fail or be lost."""

    def __init__(self) -> None:
        self.lost_replace: engine.Replace | None = None
        super().__init__(replaces=True)

    def take(self, commands: tuple[engine.Command, ...]) -> None:
        for command in commands:
            assert not self.finished
            match command:
                case engine.Place():
                    assert self.placing is None
                    assert self.lost is None
                    assert not self.live()
                    assert command.qty <= QTY
                case engine.Replace():
                    assert self.placing is None
                    assert self.lost is None
                    assert self.replacing is None
                    assert self.lost_replace is None
                    assert command.qty <= QTY
                case _:
                    pass
            super().take((command,))

    def swap(self, command: engine.Replace) -> tuple[OrderView | None, OrderView | None]:
        """What the exchange does with it: the old order if it was cancelled, then the new one."""
        old = self.truth[command.order_id]
        if old.status.is_terminal or old.executed_qty > 0:
            return None, None
        old = msgspec.structs.replace(old, status=OrderStatus.CANCELED)
        self.truth[old.order_id] = old
        new = self.accept(
            engine.Place(
                plan=command.plan,
                qty=command.qty,
                attempt=command.attempt,
                order_type=command.order_type,
            )
        )
        return old, new

    @precondition(lambda self: self.replacing is not None)
    @rule(
        how=st.sampled_from(
            [
                "arrives",
                "place crossed",
                "place refused",
                "whole refused",
                "answer lost",
                "request lost",
            ]
        )
    )
    def replace_ends(self, how: str) -> None:
        command, self.replacing = self.replacing, None
        assert command is not None
        if how == "request lost":
            self.lost_replace = command
        if how == "answer lost":
            self.swap(command)
        if how.endswith("lost"):
            self.feed(engine.CancelFailed())
            self.feed(engine.PlaceUnknown())
            return
        if how == "whole refused":
            self.feed(engine.CancelFailed())
            self.feed(REFUSED)
            return
        before = self.truth[command.order_id]
        old, new = self.swap(command)
        if old is None or new is None:
            partly = before.executed_qty > 0 and not before.status.is_terminal
            self.feed(engine.CancelRestricted() if partly else engine.CancelFoundNothing())
            self.feed(REFUSED)
            return
        if how != "arrives":
            del self.truth[new.order_id]
        self.show(old, answers=True)
        if how == "arrives":
            self.show(new)
        else:
            self.feed(CROSSED if how == "place crossed" else REFUSED)

    @precondition(lambda self: self.lost_replace is not None)
    @rule(arrives=st.booleans())
    def lost_replace_is_settled(self, *, arrives: bool) -> None:
        command, self.lost_replace = self.lost_replace, None
        assert command is not None
        new = self.swap(command)[1] if arrives else None
        if new is not None:
            self.show(new)
        else:
            self.feed(engine.PlaceNotFound())

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

    @precondition(lambda self: self.state.phase in (Phase.WEIGHING, Phase.APPRAISING))
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
            assert self.replacing is None
            assert self.lost_replace is None


ReplacingAtAnExchange.TestCase.settings = hypothesis_settings(
    max_examples=150, stateful_step_count=40, deadline=None
)
TestReplacingAtAnExchange = ReplacingAtAnExchange.TestCase
