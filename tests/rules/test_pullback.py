from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livespot.contracts.canonical import canonical_json
from livespot.contracts.codes import ReasonCode
from livespot.contracts.decision import AIGateResult, Decision
from livespot.contracts.errors import ConfigInvalid
from livespot.contracts.market import Snapshot
from livespot.contracts.settings import ExitSettings, Settings, StrategySettings
from livespot.contracts.vocabulary import Direction, GateVerdict, Mode, RegimeLabel, TrailingMode
from livespot.rules.pullback_checks import assess, min_edge_bps
from livespot.rules.strategies import STRATEGIES, strategy_for
from livespot.rules.strategy import Blocked, Reevaluation
from livespot.testing.market_values import NOW_MS, a_candle, a_snapshot, some_constraints

_SETTINGS = Settings()
_replace = msgspec.structs.replace


def _with(snapshot: Snapshot, **parts: dict[str, Any]) -> Snapshot:
    """The snapshot with some fields of some parts replaced, and its own hash."""
    changes = {name: _replace(getattr(snapshot, name), **new) for name, new in parts.items()}
    return a_snapshot(
        **{
            name: changes.get(name, getattr(snapshot, name))
            for name in ("regime", "microstructure", "volatility", "prices", "cost_inputs")
        }
    )


def _propose(snapshot: Snapshot, config: Settings = _SETTINGS) -> Decision | Blocked:
    return strategy_for(config).propose(
        snapshot, config, mode=Mode.SIM, cycle_id="cyc_1", now_ms=NOW_MS
    )


def _blocked(snapshot: Snapshot) -> Blocked:
    outcome = _propose(snapshot)
    assert isinstance(outcome, Blocked)
    return outcome


def _entry(snapshot: Snapshot, config: Settings = _SETTINGS) -> Decision:
    outcome = _propose(snapshot, config)
    assert isinstance(outcome, Decision), outcome.reasons
    return outcome


_RANGE = {
    "label": RegimeLabel.RANGE,
    "direction": Direction.BEAR,
    "trend_score_x10000": 1000,
    "range_score_x10000": 8000,
}


def test_edge_score_of_the_worked_example() -> None:
    snapshot = _with(
        a_snapshot(),
        microstructure={"spread_current_bps": 15, "delta_spread_bps_p90_10s": 3},
    )

    assert assess(snapshot, _SETTINGS).score_x10000 == 3159


def test_margin_of_the_worked_example() -> None:
    decision = _entry(a_snapshot())

    assert (decision.sl_bps, decision.tp_bps) == (150, 200)
    assert decision.edge_bps_expected == 38
    assert decision.breakeven_hit_x10000 == 4629
    assert decision.regime is RegimeLabel.TREND


def test_an_entry_is_planned_at_the_best_bid_with_quantised_exits() -> None:
    decision = _entry(a_snapshot())

    assert decision.entry_plan is not None
    assert decision.exit_plan is not None
    assert decision.entry_plan.limit_price == Decimal("99.69")
    assert decision.exit_plan.tp_price == Decimal("101.68")
    assert decision.exit_plan.sl_price == Decimal("98.19")
    # The exposure cap of 200 binds long before 100 of risk over 1.5 percent does.
    assert decision.entry_plan.qty == Decimal("2.006")
    assert decision.entry_plan.fallback.deadline_ms == 95_000
    assert decision.exit_plan.trailing_mode is TrailingMode.OFF


def test_an_entry_says_why_it_is_wanted() -> None:
    reasons = _entry(a_snapshot()).reasons

    assert {
        ReasonCode.STRAT_MICROSTRUCT_OK,
        ReasonCode.STRAT_IMBALANCE_OK,
        ReasonCode.STRAT_VOLUME_OK,
        ReasonCode.STRAT_REGIME_TREND_OK,
        ReasonCode.STRAT_PULLBACK_OK,
        ReasonCode.STRAT_EXIT_ATR_TP_SL,
        ReasonCode.STRAT_EDGE_OK,
        ReasonCode.STRAT_FALLBACK_ALLOWED,
        ReasonCode.STRAT_TRAILING_ARM_BLOCKED,
        ReasonCode.STRAT_OK,
    } <= set(reasons)


def test_trailing_that_is_configured_off_is_not_reported_as_blocked() -> None:
    config = Settings(exit=ExitSettings(trailing_policy="OFF"))

    assert ReasonCode.STRAT_TRAILING_ARM_BLOCKED not in _entry(a_snapshot(config), config).reasons


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"microstructure": {"spread_current_bps": 21}}, ReasonCode.STRAT_SPREAD_TOO_WIDE),
        ({"microstructure": {"delta_spread_bps_p90_10s": 6}}, ReasonCode.STRAT_SPREAD_OPENING),
        (
            {"microstructure": {"bid_ask_imbalance_p50_10s_x10000": 5499}},
            ReasonCode.STRAT_IMBALANCE_AGAINST,
        ),
        ({"prices": {"last_price": Decimal("99.91")}}, ReasonCode.STRAT_PULLBACK_FAIL),
        ({"prices": {"last_price": Decimal("99.19")}}, ReasonCode.STRAT_PULLBACK_FAIL),
        ({"regime": {"label": RegimeLabel.UNCLEAR}}, ReasonCode.STRAT_REGIME_WEAK),
        ({"volatility": {"atr14_5m_bps": 50}}, ReasonCode.STRAT_EDGE_BELOW_MIN),
        ({"volatility": {"atr14_5m_bps": 0}}, ReasonCode.STRAT_INPUT_INVALID),
        ({"microstructure": {"spread_current_bps": 0}}, ReasonCode.STRAT_INPUT_INVALID),
        ({"regime": {"frames": {}}}, ReasonCode.STRAT_MISSING_FIELD),
    ],
)
def test_one_failed_check_is_the_one_reason(
    parts: dict[str, dict[str, Any]], reason: ReasonCode
) -> None:
    assert _blocked(_with(a_snapshot(), **parts)).reasons == (reason,)


def test_low_volume_blocks() -> None:
    snapshot = a_snapshot(volume_ratio_5m_x10000=11_999)

    assert _blocked(snapshot).reasons == (ReasonCode.STRAT_VOLUME_LOW,)


def test_a_mean_volume_of_zero_is_invalid_input() -> None:
    silent = tuple(a_candle(NOW_MS - (40 - i) * 300_000, volume="0") for i in range(40))

    assert _blocked(a_snapshot(candles_5m=silent)).reasons == (ReasonCode.STRAT_INPUT_INVALID,)


def test_a_falling_trend_is_never_entered() -> None:
    snapshot = _with(a_snapshot(), regime={"direction": Direction.BEAR})

    assert _blocked(snapshot).reasons == (
        ReasonCode.STRAT_REGIME_WEAK,
        ReasonCode.REGIME_NO_TRADE,
    )


def test_every_failed_check_is_reported_not_only_the_first() -> None:
    snapshot = _with(
        a_snapshot(),
        microstructure={"spread_current_bps": 30, "bid_ask_imbalance_p50_10s_x10000": 100},
        prices={"last_price": Decimal(101)},
        volatility={"atr14_5m_bps": 20},
    )

    assert set(_blocked(snapshot).reasons) == {
        ReasonCode.STRAT_SPREAD_TOO_WIDE,
        ReasonCode.STRAT_IMBALANCE_AGAINST,
        ReasonCode.STRAT_PULLBACK_FAIL,
        ReasonCode.STRAT_EDGE_BELOW_MIN,
    }


def test_a_range_is_held_to_stricter_limits() -> None:
    calm = _with(a_snapshot(), regime=_RANGE, volatility={"atr14_5m_bps": 110})
    wide = _with(
        a_snapshot(),
        regime=_RANGE,
        volatility={"atr14_5m_bps": 200},
        microstructure={"spread_current_bps": 11},
    )
    thin = a_snapshot(regime=calm.regime, volatility=calm.volatility, volume_ratio_5m_x10000=13_199)

    assert _entry(calm).regime is RegimeLabel.RANGE
    assert _blocked(wide).reasons == (ReasonCode.STRAT_SPREAD_TOO_WIDE,)
    assert _blocked(thin).reasons == (ReasonCode.STRAT_VOLUME_LOW,)
    assert min_edge_bps(RegimeLabel.RANGE, _SETTINGS.strategy) == 23


@given(st.integers(0, 500))
def test_a_range_asks_for_half_as_much_again_and_never_less(least: int) -> None:
    strategy = _replace(_SETTINGS.strategy, min_edge_bps=least)

    assert min_edge_bps(RegimeLabel.RANGE, strategy) == ceil(Fraction(3 * least, 2))
    assert min_edge_bps(RegimeLabel.TREND, strategy) == least


def test_a_size_the_exchange_would_refuse_is_not_proposed() -> None:
    snapshot = a_snapshot(constraints=some_constraints(min_notional=Decimal(500)))

    assert _blocked(snapshot).reasons == (ReasonCode.RISK_SIZE_INVALID,)


def test_exits_that_fall_onto_one_tick_are_not_proposed() -> None:
    snapshot = a_snapshot(constraints=some_constraints(tick_size=Decimal(50)))

    assert _blocked(snapshot).reasons == (ReasonCode.STRAT_EXIT_INVALID,)


def test_a_fallback_needs_a_good_margin() -> None:
    thin = _entry(_with(a_snapshot(), volatility={"atr14_5m_bps": 60}))

    assert thin.edge_bps_expected == 18
    assert thin.entry_plan is not None
    assert not thin.entry_plan.fallback.enabled
    assert ReasonCode.STRAT_FALLBACK_BLOCKED in thin.reasons


def test_a_decision_is_named_by_what_affects_it_and_by_nothing_else() -> None:
    snapshot = a_snapshot()
    strategy = strategy_for(_SETTINGS)

    first = strategy.propose(snapshot, _SETTINGS, mode=Mode.SIM, cycle_id="cyc_1", now_ms=1)
    later = strategy.propose(snapshot, _SETTINGS, mode=Mode.SIM, cycle_id="cyc_2", now_ms=2)
    live = strategy.propose(snapshot, _SETTINGS, mode=Mode.LIVE, cycle_id="cyc_1", now_ms=1)

    assert isinstance(first, Decision)
    assert isinstance(later, Decision)
    assert isinstance(live, Decision)
    assert first.decision_id == later.decision_id
    assert first.entry_plan == later.entry_plan
    assert live.decision_id != first.decision_id


def test_a_stored_snapshot_gives_the_same_decision_again() -> None:
    snapshot = _with(a_snapshot(), regime=_RANGE, volatility={"atr14_5m_bps": 140})
    stored = msgspec.json.decode(canonical_json(snapshot), type=Snapshot)

    assert canonical_json(_propose(stored)) == canonical_json(_propose(snapshot))


def test_the_three_client_ids_of_an_entry_differ() -> None:
    decision = _entry(a_snapshot())

    assert decision.entry_plan is not None
    assert decision.exit_plan is not None
    ids = {
        decision.entry_plan.client_order_id,
        decision.exit_plan.client_order_id_tp,
        decision.exit_plan.client_order_id_sl,
    }
    assert len(ids) == 3
    assert all(len(text) == 36 for text in ids)


def _again(snapshot: Snapshot, *, price: str, attempt: int = 1) -> Reevaluation:
    decision = _entry(a_snapshot())
    return strategy_for(_SETTINGS).reevaluate(
        snapshot, _SETTINGS, decision, price=Decimal(price), attempt=attempt
    )


def test_a_reprice_recomputes_from_its_own_price() -> None:
    again = _again(a_snapshot(), price="99.75")

    assert again.holds
    assert again.tp_price == Decimal("101.74")
    assert again.sl_price == Decimal("98.25")
    assert again.qty <= Decimal("2.006")
    assert again.edge_bps_expected == 38


def test_a_taking_attempt_pays_the_takers_cost() -> None:
    again = _again(a_snapshot(), price="99.75", attempt=3)

    assert again.cost_bps == 12 + 2 + 2
    assert again.edge_bps_expected == 34


def test_a_reprice_is_given_up_when_the_signal_is_gone() -> None:
    gone = _with(a_snapshot(), prices={"last_price": Decimal("99.95")})
    turned = _with(a_snapshot(), regime=_RANGE, volatility={"atr14_5m_bps": 200})

    assert _again(gone, price="99.75").reasons == (ReasonCode.STRAT_PULLBACK_FAIL,)
    assert _again(turned, price="99.75").reasons == (ReasonCode.REGIME_MISMATCH,)


def test_no_attempt_exceeds_the_slippage_allowed_from_the_first_price() -> None:
    assert _again(a_snapshot(), price="99.93").holds
    assert _again(a_snapshot(), price="99.95").reasons == (ReasonCode.STRAT_ENTRY_ABORTED_COST,)


def test_exits_the_gate_tightened_stay_tight_in_a_later_attempt() -> None:
    gate = AIGateResult(
        enabled=True,
        verdict=GateVerdict.MODIFY,
        reasons=(ReasonCode.AIGATE_MODIFIED,),
        model="m",
        latency_ms=1,
        input_hash="i",
        raw_hash="r",
        prompt_hash="p",
        modify_applied=True,
    )
    tightened = msgspec.structs.replace(_entry(a_snapshot()), sl_bps=100, tp_bps=180, ai_gate=gate)

    again = strategy_for(_SETTINGS).reevaluate(
        a_snapshot(), _SETTINGS, tightened, price=Decimal("99.75"), attempt=1
    )

    assert (again.sl_bps, again.tp_bps) == (100, 180)
    assert again.edge_bps_expected == 38


def test_an_unknown_strategy_is_a_configuration_error() -> None:
    with pytest.raises(ConfigInvalid, match="NONE_SUCH"):
        strategy_for(Settings(strategy=StrategySettings(id="NONE_SUCH")))


def test_every_registered_strategy_carries_its_own_key() -> None:
    assert all(key == (entry.id, entry.version) for key, entry in STRATEGIES.items())


_ATR = st.integers(1, 600)
_SCORE = st.integers(0, 10_000)


@settings(max_examples=150, deadline=None)
@given(
    atr=_ATR,
    trend=_SCORE,
    ranging=_SCORE,
    label=st.sampled_from(RegimeLabel),
    direction=st.sampled_from(Direction),
    spread=st.integers(1, 60),
    delta=st.integers(-20, 20),
    imbalance=_SCORE,
    last=st.integers(9_000, 11_000),
)
def test_whatever_it_sees_a_proposal_keeps_its_own_rules(
    atr: int,
    trend: int,
    ranging: int,
    label: RegimeLabel,
    direction: Direction,
    spread: int,
    delta: int,
    imbalance: int,
    last: int,
) -> None:
    snapshot = _with(
        a_snapshot(),
        regime={
            "label": label,
            "direction": direction,
            "trend_score_x10000": trend,
            "range_score_x10000": ranging,
        },
        microstructure={
            "spread_current_bps": spread,
            "delta_spread_bps_p90_10s": delta,
            "bid_ask_imbalance_p50_10s_x10000": imbalance,
        },
        volatility={"atr14_5m_bps": atr},
        prices={"last_price": Decimal(last) / 100},
    )

    outcome = _propose(snapshot)

    assert 0 <= outcome.edge_score_x10000 <= 10_000
    if isinstance(outcome, Blocked):
        assert outcome.reasons
        return
    assert spread <= 20
    assert delta <= 5
    assert imbalance >= 5500
    assert outcome.edge_bps_expected >= 15
    assert not (label is RegimeLabel.TREND and direction is Direction.BEAR)
    assert outcome.entry_plan is not None
    assert outcome.entry_plan.qty * outcome.entry_plan.limit_price <= 200


@given(low=st.integers(1, 15), more=st.integers(1, 5))
def test_a_wider_spread_never_scores_better(low: int, more: int) -> None:
    narrow = _with(a_snapshot(), microstructure={"spread_current_bps": low})
    wide = _with(a_snapshot(), microstructure={"spread_current_bps": low + more})

    assert assess(wide, _SETTINGS).score_x10000 <= assess(narrow, _SETTINGS).score_x10000
    assert assess(wide, _SETTINGS).edge_bps == assess(narrow, _SETTINGS).edge_bps - more
