"""Which plans are worth running for a planted defect: told from the plan alone."""

import pytest
from msgspec.structs import replace

from livespot.exchange.faults.plan import (
    AcceptThen,
    Ban,
    Delay,
    DropRequest,
    DropResponse,
    Fault,
    Match,
    Reply,
    Reset,
    StepClock,
    Verb,
    When,
)
from livespot.testing.search.drawing import draw
from livespot.testing.search.fault_kinds import CANCELS, ORDERS
from livespot.testing.search.mutant_needs import (
    another_stop,
    answered_after,
    clock_quietly_wrong,
    killed_at_a_creation,
    left_in_crumbs,
    order_vanishes,
    reborn_in_silence,
    stop_follows,
    stops_lost,
    undisturbed_entry,
    unreachable,
)
from livespot.testing.search.mutant_search import MUTANTS
from livespot.testing.search.plan import DeathPlan, RunPlan
from livespot.testing.search.scenes import ENTRY_MS
from livespot.testing.search.socket_orders import on_socket
from livespot.testing.search.troubles import ClockSet, Trouble

_BY_SEEDS = [mutant for mutant in MUTANTS.values() if not mutant.scenario]


def _fault(what: Verb, match: Match = Match.NOTHING, after_ms: int = 80_000) -> Fault:
    return Fault(id="one", what=what, match=match, when=When(after_ms=after_ms))


def test_every_defect_has_a_plan_among_the_first_two_hundred() -> None:
    plans = [draw("short", seed) for seed in range(1, 201)]

    assert not [m.name for m in _BY_SEEDS if not any(m.needs(plan) for plan in plans)]


@pytest.mark.parametrize(
    ("lost", "worth"),
    [
        (AcceptThen(then=DropResponse(target="rest", then="hang")), True),
        (AcceptThen(then=DropResponse(target="rest", then="close")), False),
        (AcceptThen(then=Delay(target="rest", ms=8000)), True),
        (AcceptThen(then=Delay(target="rest", ms=7999)), False),
        (Delay(target="rest", ms=9000), False),
    ],
)
def test_an_answer_is_late_only_when_its_order_was_done(
    quiet_plan: RunPlan, lost: AcceptThen | Delay, *, worth: bool
) -> None:
    late = answered_after(8000)
    order, cancel = _fault(lost, ORDERS, after_ms=0), _fault(lost, CANCELS, after_ms=0)

    assert late(replace(quiet_plan, faults=(order,))) is worth
    assert late(replace(quiet_plan, faults=(on_socket(order),))) is worth
    assert not late(replace(quiet_plan, faults=(cancel,)))


@pytest.mark.parametrize(
    ("what", "down_ms", "worth"),
    [
        (Ban(ms=30_000), 1000, True),
        (Ban(ms=30_000), 18_500, False),
        (Ban(ms=9_000), 1000, False),
        (Reply(status=429, headers={"Retry-After": "30"}), 1000, True),
        (Reply(status=500), 1000, False),
    ],
)
def test_a_life_is_born_in_a_silence_that_an_earlier_one_was_told_of(
    quiet_plan: RunPlan, what: Ban | Reply, down_ms: int, *, worth: bool
) -> None:
    death = DeathPlan(after_ms=90_000, down_ms=down_ms)
    plan = replace(quiet_plan, faults=(_fault(what),), deaths=(death,))

    assert reborn_in_silence(plan) is worth
    assert not reborn_in_silence(replace(plan, deaths=(replace(death, after_ms=70_000),)))
    assert not reborn_in_silence(replace(plan, deaths=(replace(death, commit=3),)))


@pytest.mark.parametrize(
    ("what", "worth"),
    [
        (DropRequest(target="rest", then="hang"), True),
        (Delay(target="rest", ms=9000), True),
        (Delay(target="rest", ms=300), False),
        (Reply(status=502, body="<html>"), True),
        (Reply(status=200, body='{"symbol": "SOLU'), True),
        (Reply(status=400, code=-2010), False),
        (Reply(status=503, code=-1008), False),
        (AcceptThen(then=DropResponse(target="rest", then="hang")), False),
    ],
)
def test_an_order_vanishes_when_it_is_not_done_and_nobody_says_so(
    quiet_plan: RunPlan, what: Verb, *, worth: bool
) -> None:
    at_entry, later = _fault(what, ORDERS, after_ms=0), _fault(what, ORDERS)
    staged = replace(draw("short", 1), faults=(later,), troubles=())
    apart = replace(staged, settings={"exit.attach": "SEPARATE"})

    assert order_vanishes(replace(quiet_plan, faults=(at_entry,))) is worth
    assert not order_vanishes(replace(quiet_plan, faults=(_fault(what, CANCELS, after_ms=0),)))
    assert not order_vanishes(replace(staged, settings={}))
    assert order_vanishes(apart) is worth


@pytest.mark.parametrize(
    ("ms", "for_ms", "worth"),
    [
        (-1933, 30_000, True),
        (-1933, 3000, False),
        (-510, 30_000, False),
        (951, 16_000, True),
        (951, 6000, False),
        (-6000, 30_000, False),
        (2800, 1000, True),
        (60_000, 30_000, False),
    ],
)
def test_a_clock_is_quietly_wrong_while_its_stamps_are_taken(
    quiet_plan: RunPlan, ms: int, for_ms: int, *, worth: bool
) -> None:
    step = Trouble(id="one", what=ClockSet(ms=ms), after_ms=70_000, for_ms=for_ms)

    apart = replace(quiet_plan, settings={"exit.attach": "SEPARATE"})

    assert clock_quietly_wrong(replace(apart, troubles=(step,))) is worth
    assert not clock_quietly_wrong(replace(quiet_plan, troubles=(step,)))
    assert not clock_quietly_wrong(
        replace(apart, troubles=(step,), faults=(_fault(StepClock(ms=900)),))
    )


def test_an_entry_is_undisturbed_when_all_begins_after_it() -> None:
    plan, cut = replace(draw("short", 1), faults=(), troubles=()), Reset(target="rest")

    assert undisturbed_entry(replace(plan, faults=(_fault(cut),)))
    assert not undisturbed_entry(replace(plan, faults=(_fault(cut, after_ms=ENTRY_MS),)))


def test_only_a_cut_of_the_requests_makes_the_exchange_unreachable(quiet_plan: RunPlan) -> None:
    assert unreachable(replace(quiet_plan, faults=(_fault(Reset(target="rest")),)))
    assert not unreachable(replace(quiet_plan, faults=(_fault(Reset(target="ws_md")),)))


def test_plans_that_were_picked_show_what_they_were_picked_for() -> None:
    plans = [draw("short", seed) for seed in range(1, 201)]

    for plan in filter(another_stop, plans):
        assert plan.settings["exit.attach"] == "SEPARATE"
        assert stops_lost(plan) or plan.swap_proven
    for plan in filter(stop_follows, plans):
        assert plan.settings["exit.trailing_policy"] == "VIRTUAL"
    for plan in filter(killed_at_a_creation, plans):
        assert 1 in {death.commit for death in plan.deaths}
    for plan in filter(left_in_crumbs, plans):
        assert plan.stage is not None
        assert plan.stage.symbols[0].legs[1].bps == 0 < plan.stage.symbols[0].legs[2].bps
