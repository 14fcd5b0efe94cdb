from decimal import Decimal
from typing import Any

import msgspec
import pytest

from livespot.contracts.codes import ReasonCode
from livespot.contracts.market import Returns
from livespot.contracts.settings import RiskSettings, Settings
from livespot.contracts.vocabulary import GateVerdict, Interval, RegimeLabel, Verdict
from livespot.rules.reserves import Reserve, ReserveState
from livespot.rules.risk import (
    RiskView,
    assess,
    costs_of,
    edge_multiplier_x10000,
)
from livespot.rules.risk_counters import Counters, HeldLot, SymbolCounters
from livespot.testing.market_values import NOW_MS, a_snapshot
from livespot.testing.risk_values import TODAY, a_gate_result, a_view, an_entry

_replace = msgspec.structs.replace
Code = ReasonCode


def _reasons(view: RiskView, **changes: Any) -> tuple[ReasonCode, ...]:
    snapshot = a_snapshot()
    return assess(_replace(an_entry(snapshot), **changes), snapshot, view).reasons


def _counters(symbol: str = "SOLUSDT", *, day: Any = None, **mine: Any) -> Counters:
    return Counters(day=TODAY, symbols={symbol: SymbolCounters(**mine)}, **(day or {}))


def _reserve(symbol: str, amount: str = "10") -> Reserve:
    return Reserve(
        decision_id=f"dec_{symbol}",
        symbol=symbol,
        state=ReserveState.BOUND,
        amount_quote=Decimal(amount),
        order_intent_id="oi",
        expires_at_ms=NOW_MS,
    )


def _book(*symbols: str) -> dict[str, Reserve]:
    return {f"dec_{symbol}": _reserve(symbol) for symbol in symbols}


def _day(**day: Any) -> RiskView:
    return a_view(counters=Counters(day=TODAY, **day))


def test_a_calm_account_lets_the_entry_through_at_the_symbol_cap() -> None:
    snapshot = a_snapshot()
    decision = an_entry(snapshot)

    verdict = assess(decision, snapshot, a_view())

    assert verdict.verdict is Verdict.ALLOW
    assert verdict.reasons == (Code.RISK_OK, Code.RISK_SIZE_CAPPED)
    # 200 / 99.69 = 2.0062, floored to the step.
    assert verdict.approved_qty == Decimal("2.006")
    assert verdict.limits["size_binding"] == "exposure_symbol_room"
    assert verdict.limits["exposure_symbol_max"] == "200.00000000"


def test_a_decision_the_gate_did_not_pass_is_blocked() -> None:
    assert Code.AIGATE_BLOCKED in _reasons(a_view(), ai_gate=None)
    stopped = a_gate_result(verdict=GateVerdict.ERROR)
    assert Code.AIGATE_BLOCKED in _reasons(a_view(), ai_gate=stopped)


def test_a_decision_off_its_grid_or_from_another_snapshot_is_blocked() -> None:
    entry = an_entry().entry_plan
    assert entry is not None

    odd = _replace(entry, limit_price=Decimal("99.695"))

    assert Code.PROTECTION_INVALID_FILTER in _reasons(a_view(), entry_plan=odd)
    assert Code.STRAT_INPUT_INVALID in _reasons(a_view(), snapshot_hash="0" * 64)


@pytest.mark.parametrize(
    ("micro", "atr", "expected"),
    [
        ({}, 75, 10_000),
        ({}, 76, 13_000),
        # With a median of 3 the spread may be round_div(3 * 15000, 10000) = 5.
        ({"spread_current_bps": 5}, 75, 10_000),
        ({"spread_current_bps": 6}, 75, 12_000),
        ({"spread_current_bps": 6}, 76, 13_000),
        ({"bid_ask_imbalance_p50_10s_x10000": 5000}, 75, 10_000),
        ({"bid_ask_imbalance_p50_10s_x10000": 4999}, 76, 14_000),
    ],
)
def test_the_edge_multiplier_is_the_worst_of_three(
    micro: dict[str, int], atr: int, expected: int
) -> None:
    calm = a_snapshot()
    snapshot = a_snapshot(
        microstructure=_replace(calm.microstructure, **micro),
        volatility=_replace(calm.volatility, atr14_5m_bps=atr),
    )

    assert edge_multiplier_x10000(snapshot, Settings().adaptive) == expected


@pytest.mark.parametrize(
    ("label", "edge", "blocked"),
    [
        # ATR 100 asks for 13/10 of 15: round_div(195000, 10000) = 20. RANGE: 23 -> 30.
        (RegimeLabel.TREND, 19, True),
        (RegimeLabel.TREND, 20, False),
        (RegimeLabel.TREND, 21, False),
        (RegimeLabel.RANGE, 29, True),
        (RegimeLabel.RANGE, 30, False),
        (RegimeLabel.RANGE, 31, False),
    ],
)
def test_the_margin_must_reach_the_adapted_minimum(
    label: RegimeLabel, edge: int, blocked: bool
) -> None:
    reasons = _reasons(a_view(), regime=label, edge_bps_expected=edge)

    assert (Code.STRAT_EDGE_BELOW_MIN in reasons) is blocked


def test_the_adapted_minimum_of_a_calm_range_is_twenty_three() -> None:
    calm = a_snapshot()
    snapshot = a_snapshot(volatility=_replace(calm.volatility, atr14_5m_bps=50))

    verdict = assess(_replace(an_entry(), regime=RegimeLabel.RANGE), snapshot, a_view())

    assert verdict.limits["edge_min_bps"] == "23"


def test_negative_costs_are_not_believed() -> None:
    snapshot = a_snapshot(cost_inputs=_replace(a_snapshot().cost_inputs, taker_fee_bps=-1))
    decision = _replace(an_entry(), snapshot_hash=snapshot.snapshot_hash)

    assert Code.STRAT_INPUT_INVALID in assess(decision, snapshot, a_view()).reasons


def test_a_closing_spread_is_no_bonus() -> None:
    costs = costs_of(a_snapshot())

    assert (costs.fees_bps, costs.slippage_bps) == (6, 3)
    assert (costs.spread_bps, costs.delta_spread_bps) == (3, 0)


@pytest.mark.parametrize(
    ("sl", "tp", "invalid"),
    [
        # Half of an ATR of 100 bps at 99.69 is 0.49845.
        pytest.param("99.20", "101", True, id="stop-inside-half-an-atr"),
        pytest.param("99.19", "101", False, id="stop-at-half-an-atr"),
        pytest.param("98.69", "100.69", True, id="target-as-far-as-stop"),
        pytest.param("98.69", "100.70", False, id="target-beyond-stop"),
    ],
)
def test_exits_must_be_sane(sl: str, tp: str, invalid: bool) -> None:
    exits = an_entry().exit_plan
    assert exits is not None

    moved = _replace(exits, sl_price=Decimal(sl), tp_price=Decimal(tp))

    assert (Code.STRAT_EXIT_INVALID in _reasons(a_view(), exit_plan=moved)) is invalid


@pytest.mark.parametrize(("ticks", "invalid"), [(1, True), (2, False), (3, False)])
def test_a_stop_is_at_least_two_ticks_away(ticks: int, invalid: bool) -> None:
    calm = a_snapshot()
    quiet = a_snapshot(volatility=_replace(calm.volatility, atr14_5m_bps=1))
    decision = _replace(an_entry(), snapshot_hash=quiet.snapshot_hash)
    exits = decision.exit_plan
    assert exits is not None
    near = _replace(exits, sl_price=Decimal("99.69") - ticks * Decimal("0.01"))

    reasons = assess(_replace(decision, exit_plan=near), quiet, a_view()).reasons

    assert (Code.STRAT_EXIT_INVALID in reasons) is invalid


def test_room_taken_by_reserves_shrinks_the_size_and_never_grows_it() -> None:
    snapshot = a_snapshot()
    decision = an_entry(snapshot)
    view = a_view(book={"x": _reserve("AUSDT", "440")})

    verdict = assess(decision, snapshot, view)

    # 500 in total less 440 leaves 60: 60 / 99.69 floored to 0.001.
    assert verdict.approved_qty == Decimal("0.601")
    assert verdict.limits["size_binding"] == "exposure_total_room"


def test_the_gates_smaller_quantity_is_not_raised() -> None:
    snapshot = a_snapshot()
    decision = an_entry(snapshot)
    plan = decision.entry_plan
    assert plan is not None
    shrunk = _replace(decision, entry_plan=_replace(plan, qty=Decimal("0.5")))

    assert assess(shrunk, snapshot, a_view()).approved_qty == Decimal("0.5")


def test_a_recheck_does_not_count_its_own_reserve() -> None:
    snapshot = a_snapshot()
    view = a_view(book={"x": _reserve("SOLUSDT", "200")}, free_quote=Decimal(200), recheck=True)

    verdict = assess(an_entry(snapshot), snapshot, view)

    assert verdict.verdict is Verdict.ALLOW
    assert verdict.approved_qty == Decimal("2.006")


def _returns(*values: int) -> Returns:
    repeated = (values * 72)[:72]
    return Returns(timeframe=Interval.M5, window=72, log_return_bps=repeated, missing_count=0)


_UP_DOWN = _returns(5, -5, 3, -4)
_OTHER = _returns(1, 4, -4, 2, -3)


@pytest.mark.parametrize(
    ("others", "blocked"),
    [
        pytest.param({"AUSDT": _UP_DOWN}, False, id="a-second-position-is-not-compared"),
        pytest.param({"AUSDT": _OTHER, "BUSDT": _OTHER}, False, id="unlike"),
        pytest.param({"AUSDT": _OTHER, "BUSDT": _UP_DOWN}, True, id="alike"),
        pytest.param({"AUSDT": _OTHER, "BUSDT": _returns(-5, 5, -3, 4)}, True, id="opposite"),
        pytest.param(
            {"AUSDT": _OTHER, "BUSDT": _replace(_OTHER, missing_count=8)}, True, id="holes"
        ),
    ],
)
def test_a_third_position_must_move_differently(others: dict[str, Returns], blocked: bool) -> None:
    snapshot = a_snapshot(returns=_UP_DOWN)
    held = {s: SymbolCounters(held=HeldLot(decision_id=s, qty=Decimal(1))) for s in others}
    view = a_view(counters=Counters(day=TODAY, symbols=held), returns=others)

    reasons = assess(an_entry(snapshot), snapshot, view).reasons

    assert (Code.RISK_CORRELATION_TOO_HIGH in reasons) is blocked


def test_returns_nobody_could_give_count_as_alike() -> None:
    snapshot = a_snapshot(returns=_UP_DOWN)

    reasons = assess(an_entry(snapshot), snapshot, a_view(book=_book("AUSDT", "BUSDT"))).reasons

    assert Code.RISK_CORRELATION_TOO_HIGH in reasons


def test_the_configured_risk_limits_are_the_ones_used() -> None:
    settings = Settings(risk=RiskSettings(per_trade=Decimal(10), max_exposure_symbol=Decimal(50)))
    snapshot = a_snapshot(settings)

    verdict = assess(an_entry(snapshot, settings), snapshot, a_view(settings=settings))

    assert verdict.approved_qty == Decimal("0.501")


def test_an_order_cap_limits_the_value_of_a_single_order() -> None:
    snapshot = a_snapshot()
    decision = an_entry(snapshot)
    assert decision.entry_plan is not None

    verdict = assess(decision, snapshot, a_view(order_cap=Decimal(25)))

    assert verdict.limits["size_binding"] == "first_day_max_notional"
    assert verdict.approved_qty * decision.entry_plan.limit_price <= 25
