"""How a profit trails: the mode, where it begins, and the order it becomes."""

from decimal import Decimal

import msgspec
import pytest

from livespot.contracts.codes import ReasonCode
from livespot.contracts.decision import Decision
from livespot.contracts.market import Snapshot, TrailingDeltaBounds
from livespot.contracts.orders import ListRequest
from livespot.contracts.settings import ExitSettings, Settings
from livespot.contracts.vocabulary import Mode, OrderType, RegimeLabel, TimeInForce, TrailingMode
from livespot.rules.edge import Exits
from livespot.rules.requests import EntryDraft, Mutation, entry_mutation
from livespot.rules.strategies import strategy_for
from livespot.rules.trailing import (
    NO_TRAIL,
    Trail,
    activation_bps,
    resolve,
    trailing_above,
    trailing_form,
    trigger_at,
)
from livespot.testing.market_values import NOW_MS, a_snapshot, a_symbol, some_constraints

D = Decimal
BOUNDS = TrailingDeltaBounds(min_above=10, max_above=2000, min_below=10, max_below=2000)
EXITS = Exits(sl_bps=150, tp_bps=200, trailing_bps=100)
LIMITED = ("LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT")
AT_MARKET = (*LIMITED, "STOP_LOSS", "TAKE_PROFIT")


def market(bounds: TrailingDeltaBounds | None = BOUNDS, **parts: object) -> Snapshot:
    config = Settings()
    snapshot = a_snapshot(config, constraints=some_constraints(trailing_delta_bounds=bounds))
    for part, changes in parts.items():
        changed = msgspec.structs.replace(getattr(snapshot, part), **changes)  # type: ignore[arg-type]
        snapshot = msgspec.structs.replace(snapshot, **{part: changed})
    return snapshot


def mode(snapshot: Snapshot, label: RegimeLabel = RegimeLabel.TREND, policy: str = "AUTO") -> str:
    settings = ExitSettings(trailing_policy=policy)
    return resolve(snapshot, label, EXITS, 12, settings).mode


@pytest.mark.parametrize(
    ("exits", "cost", "expected"),
    [
        pytest.param(EXITS, 12, 212, id="distance-offset-and-cost"),
        pytest.param(Exits(sl_bps=150, tp_bps=300, trailing_bps=100), 12, 300, id="the-target"),
        pytest.param(Exits(sl_bps=1, tp_bps=2, trailing_bps=1), -80, 50, id="configured-profit"),
    ],
)
def test_activation_is_the_farthest_of_target_of_what_must_remain_and_of_the_setting(
    exits: Exits, cost: int, expected: int
) -> None:
    assert activation_bps(exits, cost, ExitSettings()) == expected


@pytest.mark.parametrize("policy", ["AUTO", "NATIVE"])
def test_a_trend_on_a_symbol_with_trailing_orders_trails_natively(policy: str) -> None:
    assert mode(market(), policy=policy) is TrailingMode.NATIVE


@pytest.mark.parametrize(
    "snapshot",
    [
        pytest.param(market(None), id="no-trailing-orders"),
        pytest.param(market(msgspec.structs.replace(BOUNDS, max_above=99)), id="distance-too-far"),
        pytest.param(market(msgspec.structs.replace(BOUNDS, min_above=101)), id="too-near"),
        pytest.param(market(regime={"trend_score_x10000": 5999}), id="weak-trend"),
        pytest.param(market(microstructure={"spread_current_bps": 26}), id="wide-spread"),
    ],
)
def test_without_the_orders_or_the_market_for_it_the_exit_is_fixed(snapshot: Snapshot) -> None:
    assert mode(snapshot) is TrailingMode.OFF
    assert mode(snapshot, policy="NATIVE") is TrailingMode.OFF


def test_a_range_and_a_policy_of_off_never_trail() -> None:
    assert mode(market(), RegimeLabel.RANGE) is TrailingMode.OFF
    assert mode(market(), policy="OFF") is TrailingMode.OFF


def test_the_trigger_lies_on_the_tick_and_off_has_none() -> None:
    trail = Trail(mode=TrailingMode.NATIVE, activation_bps=212, distance_bps=100)

    assert trigger_at(D("33.33"), trail, some_constraints(tick_size=D("0.01"))) == D("34.03")
    assert trigger_at(D("33.33"), NO_TRAIL, some_constraints()) == 0


@pytest.mark.parametrize(
    ("types", "form"),
    [
        (AT_MARKET, OrderType.TAKE_PROFIT),
        (LIMITED, OrderType.TAKE_PROFIT_LIMIT),
        (("LIMIT_MAKER",), None),
    ],
)
def test_the_form_at_market_is_preferred(types: tuple[str, ...], form: OrderType | None) -> None:
    assert trailing_form(types) is form


def test_the_limit_form_asks_for_what_activation_leaves_after_distance_and_offset() -> None:
    above = trailing_above(
        OrderType.TAKE_PROFIT_LIMIT,
        D("102.12"),
        D(100),
        distance_bps=100,
        offset_bps=100,
        constraints=some_constraints(tick_size=D("0.01")),
    )

    assert (above.limit_price, above.time_in_force) == (D("100.12"), TimeInForce.GTC)
    assert (above.stop_price, above.trailing_delta) == (D("102.12"), 100)


def decided(policy: str = "AUTO") -> Decision:
    config = Settings(exit=ExitSettings(trailing_policy=policy))
    snapshot = a_snapshot(config, constraints=some_constraints(trailing_delta_bounds=BOUNDS))
    found = strategy_for(config).propose(
        snapshot, config, mode=Mode.SIM, cycle_id="cyc", now_ms=NOW_MS
    )
    assert isinstance(found, Decision)
    return found


def test_the_resolved_mode_is_part_of_the_decision_and_explained_by_its_reasons() -> None:
    trailing, fixed = decided(), decided("OFF")
    assert trailing.exit_plan is not None
    assert trailing.entry_plan is not None
    plan = trailing.exit_plan

    assert plan.trailing_mode is TrailingMode.NATIVE
    assert plan.trailing_trigger_price >= plan.tp_price
    assert plan.trailing_distance_bps > 0
    assert ReasonCode.STRAT_TRAILING_ARM_ALLOWED in trailing.reasons
    assert trailing.decision_id != fixed.decision_id


@pytest.mark.parametrize("types", [LIMITED, AT_MARKET])
def test_an_attached_list_carries_the_trailing_take_profit_above_and_a_plain_stop_below(
    types: tuple[str, ...],
) -> None:
    decision = decided()
    draft = EntryDraft(
        intent_id="oi_entry",
        decision=decision,
        qty=D("1.000"),
        attempt=0,
        order_type=OrderType.LIMIT_MAKER,
        info=a_symbol(order_types=types, constraints=decision.constraints),
        base_fee_bps=10,
        recv_window_ms=1500,
        now_ms=NOW_MS,
    )

    mutation = entry_mutation(draft, ExitSettings())

    assert isinstance(mutation, Mutation)
    request = mutation.request
    assert isinstance(request, ListRequest)
    assert decision.exit_plan is not None
    assert request.above.type is trailing_form(types)
    assert request.above.stop_price == decision.exit_plan.trailing_trigger_price
    assert request.above.trailing_delta == decision.exit_plan.trailing_distance_bps
    assert (request.above.price is None) == (request.above.type is OrderType.TAKE_PROFIT)
    assert request.below.stop_price == decision.exit_plan.sl_price
    assert request.below.trailing_delta is None


@pytest.mark.parametrize(("slots", "fits"), [(1, False), (2, True)])
def test_an_entry_without_a_list_needs_room_for_both_waiting_legs(slots: int, fits: bool) -> None:
    decision = decided()
    tight = msgspec.structs.replace(decision.constraints, max_num_algo_orders=slots)
    draft = EntryDraft(
        intent_id="oi_entry",
        decision=decision,
        qty=D("1.000"),
        attempt=0,
        order_type=OrderType.LIMIT_MAKER,
        info=a_symbol(order_types=AT_MARKET, constraints=tight),
        base_fee_bps=10,
        recv_window_ms=1500,
        now_ms=NOW_MS,
    )

    mutation = entry_mutation(draft, ExitSettings(attach="SEPARATE"))

    assert isinstance(mutation, Mutation) is fits
