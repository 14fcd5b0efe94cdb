"""Each check of the default strategy one unit below, at and one unit above its limit."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livespot.contracts.canonical import canonical_json
from livespot.contracts.codes import ReasonCode as Code
from livespot.contracts.decision import Decision
from livespot.contracts.market import Snapshot
from livespot.contracts.settings import ExitSettings, Settings, StrategySettings
from livespot.contracts.vocabulary import Direction, Mode, RegimeLabel
from livespot.rules import edge, planning
from livespot.rules.pullback_checks import assess
from livespot.rules.strategies import strategy_for
from livespot.rules.strategy import Blocked
from livespot.rules.trailing import NO_TRAIL
from livespot.testing.market_values import NOW_MS, a_candle, a_snapshot, some_constraints

_SETTINGS = Settings()
_replace = msgspec.structs.replace
_RANGE = {
    "label": RegimeLabel.RANGE,
    "direction": Direction.BEAR,
    "trend_score_x10000": 1000,
    "range_score_x10000": 8000,
}
Parts = dict[str, dict[str, Any]]


def _snapshot(parts: Parts | None = None, **whole: Any) -> Snapshot:
    """The good snapshot with some fields of some parts replaced, and its own hash."""
    base = a_snapshot()
    changed = {name: _replace(getattr(base, name), **new) for name, new in (parts or {}).items()}
    return a_snapshot(**{**changed, **whole})


def _propose(snapshot: Snapshot, config: Settings = _SETTINGS) -> Decision | Blocked:
    return strategy_for(config).propose(
        snapshot, config, mode=Mode.SIM, cycle_id="cyc_1", now_ms=NOW_MS
    )


def _reasons(snapshot: Snapshot, config: Settings = _SETTINGS) -> tuple[Code, ...]:
    """Why it is blocked; empty for an entry."""
    outcome = _propose(snapshot, config)
    return outcome.reasons if isinstance(outcome, Blocked) else ()


def _micro(name: str) -> Any:
    return lambda value: {"microstructure": {name: value}}


def _range_micro(name: str) -> Any:
    return lambda value: {
        "regime": _RANGE,
        "volatility": {"atr14_5m_bps": 200},
        "microstructure": {name: value},
    }


def _last(text: str) -> Parts:
    return {"prices": {"last_price": Decimal(text)}}


def _fee(value: int, regime: dict[str, Any] | None = None) -> Parts:
    return {"regime": regime or {}, "cost_inputs": {"maker_fee_bps": value}}


@pytest.mark.parametrize(
    ("parts", "values", "passing", "reason"),
    [
        pytest.param(
            _micro("spread_current_bps"),
            (19, 20, 21),
            (True, True, False),
            Code.STRAT_SPREAD_TOO_WIDE,
            id="spread",
        ),
        pytest.param(
            _range_micro("spread_current_bps"),
            (9, 10, 11),
            (True, True, False),
            Code.STRAT_SPREAD_TOO_WIDE,
            id="spread-in-a-range",
        ),
        pytest.param(
            _micro("delta_spread_bps_p90_10s"),
            (4, 5, 6),
            (True, True, False),
            Code.STRAT_SPREAD_OPENING,
            id="opening",
        ),
        pytest.param(
            _micro("bid_ask_imbalance_p50_10s_x10000"),
            (5499, 5500, 5501),
            (False, True, True),
            Code.STRAT_IMBALANCE_AGAINST,
            id="imbalance",
        ),
        pytest.param(
            lambda score: {"regime": {"trend_score_x10000": score}},
            (6999, 7000, 7001),
            (False, True, True),
            Code.STRAT_REGIME_WEAK,
            id="trend-score",
        ),
        pytest.param(
            lambda score: {
                "regime": {**_RANGE, "range_score_x10000": score},
                "volatility": {"atr14_5m_bps": 200},
            },
            (5999, 6000, 6001),
            (False, True, True),
            Code.STRAT_REGIME_WEAK,
            id="range-score",
        ),
        pytest.param(
            _last,
            ("99.9001", "99.9", "99.8999"),
            (False, True, True),
            Code.STRAT_PULLBACK_FAIL,
            id="least-pullback",
        ),
        pytest.param(
            _last,
            ("99.2001", "99.2", "99.1999"),
            (True, True, False),
            Code.STRAT_PULLBACK_FAIL,
            id="most-pullback",
        ),
        pytest.param(
            # An ATR of 100 leaves 50 bps between profit and stop; 10 of cost are not the fee.
            _fee,
            (24, 25, 26),
            (True, True, False),
            Code.STRAT_EDGE_BELOW_MIN,
            id="edge",
        ),
        pytest.param(
            lambda fee: _fee(fee, _RANGE),
            (16, 17, 18),
            (True, True, False),
            Code.STRAT_EDGE_BELOW_MIN,
            id="edge-in-a-range",
        ),
        pytest.param(
            lambda atr: {"volatility": {"atr14_5m_bps": atr}, "cost_inputs": {"maker_fee_bps": 0}},
            (49, 50, 51),
            (False, True, True),
            Code.STRAT_EDGE_BELOW_MIN,
            id="volatility",
        ),
    ],
)
def test_a_check_turns_at_its_limit(
    parts: Any, values: tuple[Any, ...], passing: tuple[bool, ...], reason: Code
) -> None:
    found = [_reasons(_snapshot(parts(value))) for value in values]

    assert found == [() if good else (reason,) for good in passing]


@pytest.mark.parametrize(
    ("regime", "ratio", "passing"),
    [
        *(({}, ratio, ratio >= 12_000) for ratio in (11_999, 12_000, 12_001)),
        *((_RANGE, ratio, ratio >= 13_200) for ratio in (13_199, 13_200, 13_201)),
    ],
)
def test_volume_turns_at_its_limit(regime: dict[str, Any], ratio: int, passing: bool) -> None:
    found = _reasons(_snapshot({"regime": regime}, volume_ratio_5m_x10000=ratio))

    assert found == (() if passing else (Code.STRAT_VOLUME_LOW,))


@pytest.mark.parametrize(
    ("atr", "k", "m", "sane"),
    [
        pytest.param(1, "1.5", "2.0", False, id="both-round-to-two"),
        pytest.param(2, "1.5", "2.0", True, id="three-and-four"),
        pytest.param(10, "0.05", "0.5", False, id="a-stop-of-none"),
        pytest.param(11, "0.05", "0.5", True, id="a-stop-of-one"),
    ],
)
def test_exits_are_sane_from_the_first_whole_basis_point_on(
    atr: int, k: str, m: str, sane: bool
) -> None:
    config = Settings(exit=ExitSettings(k_atr_trend=Decimal(k), m_atr_trend=Decimal(m)))
    snapshot = _snapshot({"volatility": {"atr14_5m_bps": atr}})

    assert (Code.STRAT_EXIT_INVALID in assess(snapshot, config).failed) is not sane
    assert (Code.STRAT_EXIT_ATR_TP_SL in assess(snapshot, config).passed) is sane


@pytest.mark.parametrize(("atr", "stop"), [(1, 2), (3, 4), (5, 8), (7, 10), (9, 14)])
def test_a_half_basis_point_goes_to_the_even_one(atr: int, stop: int) -> None:
    assert edge.exits_of(RegimeLabel.TREND, atr, _SETTINGS.exit).sl_bps == stop


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        ({"microstructure": {"spread_current_bps": 0}}, {}),
        ({"microstructure": {"spread_current_bps": -1}}, {}),
        ({"volatility": {"atr14_5m_bps": 0}}, {}),
        ({"volatility": {"atr14_5m_bps": -1}}, {}),
        ({}, {"ema20_5m": Decimal(0)}),
        ({}, {"ema20_5m": Decimal(-1)}),
    ],
)
def test_what_must_be_positive_is_invalid_at_zero_and_below(
    parts: Parts, whole: dict[str, Any]
) -> None:
    assert _reasons(_snapshot(parts, **whole)) == (Code.STRAT_INPUT_INVALID,)


def test_one_basis_point_of_spread_is_valid() -> None:
    assert _reasons(_snapshot({"microstructure": {"spread_current_bps": 1}})) == ()


def test_a_candle_too_few_is_a_missing_field() -> None:
    short = a_snapshot().candles_5m[1:]

    assert _reasons(_snapshot(candles_5m=short)) == (Code.STRAT_MISSING_FIELD,)


def test_bad_input_hides_none_of_the_other_failures() -> None:
    silent = tuple(a_candle(NOW_MS - (40 - i) * 300_000, volume="0") for i in range(40))
    snapshot = _snapshot(
        {
            "regime": {"frames": {}},
            "microstructure": {
                "delta_spread_bps_p90_10s": 6,
                "bid_ask_imbalance_p50_10s_x10000": 5499,
            },
            "prices": {"last_price": Decimal(101)},
        },
        candles_5m=silent,
    )

    assert _reasons(snapshot) == (
        Code.STRAT_MISSING_FIELD,
        Code.STRAT_INPUT_INVALID,
        Code.STRAT_SPREAD_OPENING,
        Code.STRAT_IMBALANCE_AGAINST,
        Code.STRAT_PULLBACK_FAIL,
    )


def test_all_failures_stand_in_the_order_of_the_checks() -> None:
    snapshot = _snapshot(
        {
            "microstructure": {
                "spread_current_bps": 21,
                "delta_spread_bps_p90_10s": 6,
                "bid_ask_imbalance_p50_10s_x10000": 5499,
            },
            "prices": {"last_price": Decimal(101)},
            "volatility": {"atr14_5m_bps": 1},
        },
        volume_ratio_5m_x10000=11_999,
    )
    falling = _replace(snapshot, regime=_replace(snapshot.regime, direction=Direction.BEAR))
    market = (
        Code.STRAT_SPREAD_TOO_WIDE,
        Code.STRAT_SPREAD_OPENING,
        Code.STRAT_IMBALANCE_AGAINST,
        Code.STRAT_VOLUME_LOW,
    )

    assert _reasons(snapshot) == (
        *market,
        Code.STRAT_PULLBACK_FAIL,
        Code.STRAT_EXIT_INVALID,
        Code.STRAT_EDGE_BELOW_MIN,
    )
    assert _reasons(falling) == (
        *market,
        Code.STRAT_REGIME_WEAK,
        Code.REGIME_NO_TRADE,
        Code.STRAT_PULLBACK_FAIL,
    )


@pytest.mark.parametrize(
    ("parts", "margin", "enabled"),
    [
        *(
            ({"microstructure": {"spread_current_bps": spread}}, 38, spread <= 25)
            for spread in (24, 25, 26)
        ),
        *(
            ({"cost_inputs": {"slippage_est_entry_taker_bps": bps}}, 38, bps <= 25)
            for bps in (24, 25, 26)
        ),
        *(({}, margin, margin >= 20) for margin in (19, 20, 21)),
    ],
)
def test_the_fallback_turns_at_each_of_its_limits(parts: Parts, margin: int, enabled: bool) -> None:
    fallback = planning.fallback_of(_snapshot(parts), margin, _SETTINGS)

    assert fallback.enabled is enabled
    assert planning.plan_codes(fallback, NO_TRAIL, _SETTINGS)[0] is (
        Code.STRAT_FALLBACK_ALLOWED if enabled else Code.STRAT_FALLBACK_BLOCKED
    )


@pytest.mark.parametrize(
    ("price", "holds"), [("99.939224", True), ("99.939225", True), ("99.939226", False)]
)
@pytest.mark.parametrize("attempt", [1, 2, 3])
def test_no_attempt_pays_a_tick_more_than_the_first_price_and_its_slippage(
    price: str, holds: bool, attempt: int
) -> None:
    fine = some_constraints(tick_size=Decimal("0.000001"))
    snapshot = _snapshot(constraints=fine)
    first = _propose(snapshot)
    assert isinstance(first, Decision)

    again = strategy_for(_SETTINGS).reevaluate(
        snapshot, _SETTINGS, first, price=Decimal(price), attempt=attempt
    )

    assert again.holds is holds
    assert again.reasons == (() if holds else (Code.STRAT_ENTRY_ABORTED_COST,))


def test_an_attempt_without_a_regime_says_so_and_nothing_that_follows_from_it() -> None:
    first = _propose(a_snapshot())
    assert isinstance(first, Decision)
    unclear = _snapshot({"regime": {"label": RegimeLabel.UNCLEAR}})

    again = strategy_for(_SETTINGS).reevaluate(
        unclear, _SETTINGS, first, price=Decimal("99.7"), attempt=1
    )

    assert again.reasons == (Code.STRAT_REGIME_WEAK, Code.REGIME_MISMATCH)


@pytest.mark.parametrize(
    ("weights", "good"),
    [
        (("0.55", "0.20", "0.15", "0.100001"), True),
        (("0.55", "0.20", "0.15", "0.100002"), False),
        (("0.55", "0.20", "0.15", "0.099999"), True),
        (("0.55", "0.20", "0.15", "0.099998"), False),
        (("0.55", "0.20", "0.25"), False),
        (("1.10", "-0.10", "0", "0"), False),
    ],
)
def test_weights_sum_to_one_within_a_millionth(weights: tuple[str, ...], good: bool) -> None:
    values = tuple(Decimal(weight) for weight in weights)

    if good:
        assert StrategySettings(weights=values).weights == values
    else:
        with pytest.raises(ValueError, match="weights"):
            StrategySettings(weights=values)


_LABELLED = st.fixed_dictionaries(
    {
        "label": st.sampled_from(RegimeLabel),
        "direction": st.sampled_from(Direction),
        "trend_score_x10000": st.integers(5500, 10_000),
        "range_score_x10000": st.integers(5500, 10_000),
    }
)
_MICRO = st.fixed_dictionaries(
    {
        "spread_current_bps": st.integers(0, 24),
        "delta_spread_bps_p90_10s": st.integers(-5, 8),
        "bid_ask_imbalance_p50_10s_x10000": st.integers(4500, 10_000),
    }
)
_MARKETS = st.builds(
    lambda regime, micro, atr, last, ratio, fee: _snapshot(
        {
            "regime": regime,
            "microstructure": micro,
            "volatility": {"atr14_5m_bps": atr},
            "prices": {"last_price": Decimal(last) / 100},
            "cost_inputs": {"maker_fee_bps": fee},
        },
        volume_ratio_5m_x10000=ratio,
    ),
    _LABELLED,
    _MICRO,
    st.integers(0, 200),
    st.integers(9_900, 10_010),
    st.integers(9_000, 25_000),
    st.integers(0, 30),
)


@settings(max_examples=120, deadline=None)
@given(
    market=_MARKETS,
    worse=st.sampled_from(
        (
            ("microstructure", "spread_current_bps", 1),
            ("microstructure", "delta_spread_bps_p90_10s", 1),
            ("microstructure", "bid_ask_imbalance_p50_10s_x10000", -1),
            ("cost_inputs", "maker_fee_bps", 1),
            ("cost_inputs", "taker_fee_bps", 1),
            ("cost_inputs", "slippage_est_exit_taker_bps", 1),
        )
    ),
    by=st.integers(1, 12),
)
def test_what_is_worse_for_a_buyer_never_helps(
    market: Snapshot, worse: tuple[str, str, int], by: int
) -> None:
    part, field, sign = worse
    before = getattr(market, part)
    if market.microstructure.spread_current_bps == 0 and field == "spread_current_bps":
        return  # no spread at all is a broken reading, not the best of all
    changed = _replace(before, **{field: max(-100, getattr(before, field) + sign * by)})
    harmed = _replace(market, **{part: changed})

    good, bad = assess(market, _SETTINGS), assess(harmed, _SETTINGS)

    assert set(good.failed) <= set(bad.failed)
    assert bad.score_x10000 <= good.score_x10000
    assert bad.edge_bps <= good.edge_bps
    assert 0 <= bad.score_x10000 <= 10_000
    if market.cost_inputs.maker_fee_bps <= market.cost_inputs.taker_fee_bps:
        assert assess(market, _SETTINGS, taker_entry=True).edge_bps <= good.edge_bps


@settings(max_examples=60, deadline=None)
@given(market=_MARKETS, more=st.integers(1, 3000))
def test_a_clearer_regime_never_scores_less(market: Snapshot, more: int) -> None:
    regime = market.regime
    clearer = _replace(
        market,
        regime=_replace(
            regime,
            trend_score_x10000=min(10_000, regime.trend_score_x10000 + more),
            range_score_x10000=min(10_000, regime.range_score_x10000 + more),
        ),
    )

    assert assess(clearer, _SETTINGS).score_x10000 >= assess(market, _SETTINGS).score_x10000


@settings(max_examples=60, deadline=None)
@given(market=_MARKETS, order=st.permutations(list(a_snapshot().regime.frames)))
def test_equal_values_in_another_order_give_equal_bytes(market: Snapshot, order: list[str]) -> None:
    frames = {name: market.regime.frames[name] for name in order}
    other = _replace(market, regime=_replace(market.regime, frames=frames))
    reread = msgspec.json.decode(canonical_json(market), type=Snapshot)

    texts = {canonical_json(_plain(_propose(same))) for same in (market, other, reread)}

    assert len(texts) == 1


def _plain(outcome: Decision | Blocked) -> Any:
    return msgspec.to_builtins(outcome, builtin_types=(Decimal,))


@settings(max_examples=150, deadline=None)
@given(market=_MARKETS)
def test_a_check_either_passed_or_failed_and_never_both(market: Snapshot) -> None:
    pairs = (
        ({Code.STRAT_IMBALANCE_OK}, {Code.STRAT_IMBALANCE_AGAINST}),
        ({Code.STRAT_VOLUME_OK}, {Code.STRAT_VOLUME_LOW}),
        ({Code.STRAT_PULLBACK_OK}, {Code.STRAT_PULLBACK_FAIL}),
        (
            {Code.STRAT_MICROSTRUCT_OK},
            {Code.STRAT_SPREAD_TOO_WIDE, Code.STRAT_SPREAD_OPENING, Code.STRAT_INPUT_INVALID},
        ),
        (
            {Code.STRAT_REGIME_TREND_OK, Code.STRAT_REGIME_RANGE_OK},
            {Code.STRAT_REGIME_WEAK},
        ),
    )
    found = assess(market, _SETTINGS)

    for good, bad in pairs:
        assert bool(good & set(found.passed)) or bool(bad & set(found.failed))
    for good, bad in pairs[:3]:
        assert bool(good & set(found.passed)) is not bool(bad & set(found.failed))
    assert not set(found.passed) & set(found.failed)
