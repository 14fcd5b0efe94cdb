"""Drawn plans are repeatable, can be used, and end what they begin."""

from collections import Counter

from msgspec.structs import replace

from livespot.exchange.faults.loader import contradictions
from livespot.exchange.faults.matching import Subject, concerns
from livespot.exchange.faults.plan import AcceptThen, DropResponse, Fault, Reply, Reset, When
from livespot.testing.search.drawing import draw
from livespot.testing.search.fault_kinds import CANCELS, KINDS, ORDERS
from livespot.testing.search.plan import RunPlan, encoded, loaded_for
from livespot.testing.search.scenes import ENTRY_MS
from livespot.testing.search.socket_orders import on_socket
from livespot.testing.search.sparing import with_entry_spared

_MANY = range(400)


def test_a_seed_always_gives_the_same_plan_and_two_seeds_do_not() -> None:
    assert encoded(draw("short", 3)) == encoded(draw("short", 3))
    assert encoded(draw("short", 3)) != encoded(draw("short", 4))


def test_no_drawn_fault_contradicts_itself_and_every_setting_exists() -> None:
    problems = [
        text
        for seed in _MANY
        for fault in draw("short", seed).faults
        for text in contradictions(fault.what, fault.match, fault.when)
    ]

    assert problems == []
    for seed in _MANY[:40]:
        loaded_for(draw("short", seed).settings)


def test_every_fault_and_every_death_lies_before_the_healing() -> None:
    for seed in _MANY:
        plan = draw("short", seed)
        for fault in plan.faults:
            begin_ms = fault.when.after_ms or 0
            assert 0 <= begin_ms < plan.safety_ms
            assert begin_ms + (fault.when.for_ms or 0) <= plan.safety_ms
        assert sum(death.after_ms + death.down_ms for death in plan.deaths) <= plan.safety_ms


def test_the_mix_has_quiet_runs_runs_with_deaths_and_every_kind_of_fault() -> None:
    plans = [draw("short", seed) for seed in _MANY]
    usual = [[f for f in plan.faults if f.id[0].isdigit()] for plan in plans]
    kinds = Counter(fault.id.partition("-")[2] for faults in usual for fault in faults)
    faults = [len(faults) for faults in usual if faults]

    assert 20 <= sum(_is_quiet(plan) for plan in plans) <= 60
    assert kinds.keys() == KINDS.keys()
    assert 5 <= sum(faults) / len(faults) <= 7
    assert max(faults) <= 25
    assert {len(plan.deaths) for plan in plans} == {0, 1, 2, 3}


def _is_quiet(plan: RunPlan) -> bool:
    return not plan.faults and not plan.deaths


def test_about_two_in_five_runs_send_their_orders_on_the_socket_and_so_do_their_faults() -> None:
    plans = [draw("short", seed) for seed in _MANY]
    by_socket = [p for p in plans if p.settings.get("venue.order_transport") == "WS_API"]
    aimed = [fault.match for plan in by_socket for fault in plan.faults]

    assert 120 <= len(by_socket) <= 200
    assert {"order*.place*", "order*.cancel*"} <= {match.method for match in aimed}
    assert ORDERS not in aimed
    assert CANCELS not in aimed


def test_a_fault_of_an_order_meets_the_same_order_on_the_socket() -> None:
    lost = AcceptThen(then=DropResponse(target="rest", then="reset"))
    moved = on_socket(Fault(id="x", what=lost, match=CANCELS, when=When(nth=2)))
    cancel = Subject(kind="ws_api", leg="request", method="orderList.cancel")
    order = Subject(kind="ws_api", leg="request", method="order.place")

    assert moved.what == AcceptThen(then=DropResponse(target="ws_api", then="reset"))
    assert moved.when == When(nth=2)
    assert (concerns(moved, cancel), concerns(moved, order)) == (True, False)


def test_a_fault_of_something_else_stays_where_it_is() -> None:
    fault = Fault(id="x", what=Reset(target="ws_md"))

    assert on_socket(fault) is fault


def test_most_plans_let_the_first_entry_be_sent_before_anything_goes_wrong() -> None:
    plans = [plan for plan in (draw("short", seed) for seed in _MANY) if plan.faults]
    firsts = [min(fault.when.after_ms or 0 for fault in plan.faults) for plan in plans]
    spared = sum(first_ms >= ENTRY_MS for first_ms in firsts) / len(plans)

    # Hands, a late market and the like are drawn besides, some of them before the entry.
    assert 0.65 < spared < 0.92


def test_hands_and_words_mostly_come_once_the_entry_is_on_its_way() -> None:
    plans = [draw("short", seed) for seed in _MANY]
    drawn = [one.after_ms for plan in plans for one in plan.troubles if one.id[0] in "hw"] + [
        fault.when.after_ms or 0 for plan in plans for fault in plan.faults if fault.id[0] == "h"
    ]
    soon = sum(after_ms < ENTRY_MS + 5000 for after_ms in drawn)

    assert 0 < soon / len(drawn) < 0.25


def test_in_a_spared_plan_the_first_of_several_refused_orders_passes() -> None:
    refused = Reply(status=503, code=-1008, msg="overloaded")
    several = Fault(id="x", what=refused, match=ORDERS, when=When(nth=1, count=3))
    one = replace(several, id="y", when=When(nth=1))
    placed = Fault(id="z", what=AcceptThen(then=refused), match=ORDERS, when=When(nth=1, count=3))
    plan = replace(draw("short", 3), faults=(several, one, placed), troubles=())
    nths = {
        tuple(fault.when.nth for fault in with_entry_spared(seeded, entry_ms=ENTRY_MS).faults)
        for seeded in (replace(plan, seed=seed) for seed in range(40))
    }

    assert nths == {(1, 1, 1), (2, 1, 1)}
