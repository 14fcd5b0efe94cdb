from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from livespot.contracts.codes import ReasonCode
from livespot.contracts.market import DeepFeatures, Returns
from livespot.contracts.settings import SelectionSettings
from livespot.contracts.vocabulary import Direction, Interval, RegimeLabel
from livespot.rules.choice import Choice, choose
from livespot.rules.correlation import correlation_x10000, likeness_x10000, log_returns
from livespot.rules.selection import (
    Eligibility,
    Ranked,
    deep_scan,
    listing,
    rank,
    universe,
)
from livespot.testing.market_values import a_candle, a_day, a_snapshot, a_symbol

_SETTINGS = SelectionSettings()
_replace = msgspec.structs.replace


def _scan(symbol: str = "SOLUSDT", quarantined: frozenset[str] = frozenset(), **day: Any) -> Any:
    [only] = universe(
        listing({symbol: a_symbol(symbol)}, quote_asset="USDT"),
        (a_day(symbol, **day),),
        quarantined,
        _SETTINGS,
    )
    return only.reasons


def test_a_liquid_rising_symbol_is_eligible() -> None:
    assert _scan() == ()


def test_each_exclusion_has_its_own_reason() -> None:
    assert _scan(quote_volume=Decimal(4_999_999)) == (ReasonCode.UNIVERSE_VOLUME_LOW,)
    assert _scan(trades=9999) == (ReasonCode.UNIVERSE_TRADES_LOW,)
    assert _scan(price_change_bps=29) == (ReasonCode.UNIVERSE_MOMENTUM_LOW,)
    assert _scan(quarantined=frozenset({"SOLUSDT"})) == (ReasonCode.SYMBOL_QUARANTINED,)


def test_what_no_stop_can_be_placed_on_is_not_bought() -> None:
    info = a_symbol("SOLUSDT", order_types=("LIMIT", "LIMIT_MAKER", "MARKET"))

    [only] = listing({"SOLUSDT": info}, quote_asset="USDT")

    assert only.reasons == (ReasonCode.PROTECTION_INVALID_FILTER,)
    assert _scan() == ()


def test_what_fees_are_paid_with_is_not_traded() -> None:
    infos = {name: a_symbol(name) for name in ("BNBUSDT", "SOLUSDT")}

    fee, other = universe(
        listing(infos, quote_asset="USDT"),
        tuple(a_day(name) for name in infos),
        (),
        _SETTINGS,
        fee_assets={"BNB"},
    )

    assert (fee.symbol, fee.reasons) == ("BNBUSDT", (ReasonCode.RISK_EXPOSURE_LIMIT,))
    assert (other.symbol, other.reasons) == ("SOLUSDT", ())


def test_all_reasons_of_one_symbol_are_told() -> None:
    info = a_symbol("SOLUSDT", status="BREAK", constraints=None)

    listed = listing({"SOLUSDT": info}, quote_asset="USDT")

    [only] = universe(listed, (), (), _SETTINGS)

    assert only.reasons == (
        ReasonCode.SYMBOL_NOT_TRADING,
        ReasonCode.PROTECTION_INVALID_FILTER,
        ReasonCode.STRAT_MISSING_FIELD,
    )


def test_names_beyond_ascii_are_set_aside() -> None:
    assert _scan("\u5e01\u5b89USDT") == (ReasonCode.SYMBOL_QUARANTINED,)


def test_other_quote_assets_are_not_of_this_universe() -> None:
    infos = {"SOLBTC": a_symbol("SOLBTC", quote_asset="BTC")}

    assert listing(infos, quote_asset="USDT") == ()


def _eligible(symbol: str, **day: Any) -> Eligibility:
    return Eligibility(symbol=symbol, reasons=(), ticker=a_day(symbol, **day))


def test_rank_weighs_volume_rise_and_spread() -> None:
    best, second = rank(
        [
            _eligible("AUSDT", quote_volume=Decimal(50), price_change_bps=100),
            _eligible("BUSDT", quote_volume=Decimal(100), price_change_bps=50),
        ],
        _SETTINGS,
    )

    assert (best.symbol, best.score_x10000) == ("BUSDT", 5500 + 1500)
    assert (second.symbol, second.score_x10000) == ("AUSDT", 2750 + 3000)


def test_equal_scores_rank_by_name_and_those_behind_the_cut_say_so() -> None:
    few = _replace(_SETTINGS, topn=3)

    ranked = rank([_eligible(name) for name in ("DUSDT", "BUSDT", "CUSDT", "AUSDT")], few)

    assert [(item.symbol, item.rank) for item in ranked if not item.dropped] == [
        ("AUSDT", 1),
        ("BUSDT", 2),
        ("CUSDT", 3),
    ]
    assert [(item.symbol, item.rank, item.reasons) for item in ranked if item.dropped] == [
        ("DUSDT", 4, (ReasonCode.UNIVERSE_RANK_LOW,))
    ]


@given(st.permutations(["AUSDT", "BUSDT", "CUSDT", "DUSDT"]))
def test_ranking_does_not_depend_on_the_order_of_its_input(order: list[str]) -> None:
    days = {name: i for i, name in enumerate("ABCD")}
    items = [
        _eligible(name, quote_volume=Decimal(10 + days[name[0]]), price_change_bps=40)
        for name in order
    ]

    assert rank(items, _SETTINGS) == rank(sorted(items, key=lambda e: e.symbol), _SETTINGS)


def _features(symbol: str = "SOLUSDT", *, atr: int = 100, **micro: int) -> DeepFeatures:
    snapshot = a_snapshot()
    return DeepFeatures(
        symbol=symbol,
        warm=True,
        regime=snapshot.regime,
        microstructure=_replace(snapshot.microstructure, **micro),
        atr14_5m_bps=atr,
        cost_inputs=snapshot.cost_inputs,
        returns=snapshot.returns,
    )


def test_deep_scan_scores_edge_regime_book_and_range() -> None:
    [only] = deep_scan([_features()], _SETTINGS)

    # edge 100 - 12 = 88 counts fully; regime 0.8; book 0.6 * 0.85 + 0.4 / 9; range 0.5
    micro = 0.6 * 0.85 + 0.4 * 500 / 4500
    expected = 0.45 + 0.20 * 0.8 + 0.20 * micro + 0.15 * 0.5
    assert not only.dropped
    assert only.score_x10000 == round(expected * 10_000)


def test_deep_scan_cuts_with_reasons_and_lists_the_cut_last() -> None:
    cold = _replace(_features("AUSDT"), warm=False)
    wide = _features("BUSDT", spread_current_bps=21)
    lean = _features("CUSDT", bid_ask_imbalance_p50_10s_x10000=5499)
    flat = _features("DUSDT", atr=31)

    ranked = deep_scan([cold, wide, lean, flat, _features("EUSDT")], _SETTINGS)

    reasons = {item.symbol: item.reasons for item in ranked}
    assert ranked[0].symbol == "EUSDT"
    assert reasons == {
        "EUSDT": (),
        "AUSDT": (ReasonCode.STRAT_WARMUP,),
        "BUSDT": (ReasonCode.STRAT_SPREAD_TOO_WIDE,),
        "CUSDT": (ReasonCode.STRAT_IMBALANCE_AGAINST,),
        "DUSDT": (ReasonCode.STRAT_EDGE_BELOW_MIN,),
    }


def test_a_falling_trend_earns_nothing_for_its_regime() -> None:
    rising = _features()
    regime = rising.regime
    assert regime is not None
    falling = _replace(rising, regime=_replace(regime, direction=Direction.BEAR))
    unclear = _replace(rising, regime=_replace(regime, label=RegimeLabel.UNCLEAR))

    [best] = deep_scan([rising], _SETTINGS)

    for worse in (falling, unclear):
        assert deep_scan([worse], _SETTINGS)[0].score_x10000 == best.score_x10000 - 1600


def _ranked(**scores: int) -> list[Ranked]:
    return [
        Ranked(symbol=symbol, rank=0, score_x10000=score, reasons=())
        for symbol, score in scores.items()
    ]


def _noise(seed: int) -> Returns:
    points = tuple((seed * 7919 + i * i * (seed + 3) * 31) % 41 - 20 for i in range(72))
    return Returns(timeframe=Interval.M5, window=72, log_return_bps=points, missing_count=0)


def _returns(*symbols: str) -> dict[str, Returns]:
    return {symbol: _noise(i) for i, symbol in enumerate(symbols, start=1)}


def _chosen(choices: tuple[Choice, ...]) -> list[str]:
    return [choice.symbol for choice in choices if choice.chosen]


def test_the_best_three_are_chosen() -> None:
    ranked = _ranked(A=10, B=40, C=30, D=20)

    choices = choose(ranked, _returns("A", "B", "C", "D"), {}, (), _SETTINGS)

    assert _chosen(choices) == ["B", "C", "D"]


def test_a_young_incumbent_yields_only_to_a_clearly_better_one() -> None:
    returns = _returns("A", "B")
    one = _replace(_SETTINGS, topk=1)

    def pick(challenger: int, cycles: int) -> list[str]:
        ranked = _ranked(A=4000, B=challenger)
        return _chosen(choose(ranked, returns, {"A": cycles}, (), one))

    assert pick(4999, cycles=5) == ["A"]
    assert pick(5000, cycles=5) == ["B"]
    assert pick(4001, cycles=6) == ["B"]


def _left(choices: tuple[Choice, ...]) -> Choice:
    [left] = [choice for choice in choices if not choice.chosen]
    return left


def test_who_finds_no_place_is_told_the_last_who_did() -> None:
    choices = choose(_ranked(A=9, B=8, C=7, D=6), _returns("A", "B", "C", "D"), {}, (), _SETTINGS)

    left = _left(choices)
    assert left.reasons == (ReasonCode.WATCHLIST_FULL,)
    assert left.features == {"places": 3, "last": "C", "last_score_x10000": 7}


def test_who_loses_only_to_the_guard_is_told_which_incumbent_was_kept() -> None:
    one = _replace(_SETTINGS, topk=1)

    choices = choose(_ranked(A=4000, B=4500), _returns("A", "B"), {"A": 2}, (), one)

    left = _left(choices)
    assert (left.symbol, left.reasons) == ("B", (ReasonCode.WATCHLIST_CHURN_GUARD,))
    assert left.features == {
        "places": 1,
        "kept": "A",
        "kept_score_x10000": 4000,
        "kept_cycles": 2,
    }


def test_a_place_taken_by_a_position_is_a_full_list_too() -> None:
    one = _replace(_SETTINGS, topk=1)

    left = _left(choose(_ranked(A=9), _returns("A"), {}, {"H"}, one))

    assert (left.reasons, left.features) == ((ReasonCode.WATCHLIST_FULL,), {"places": 1})


@given(
    st.dictionaries(st.sampled_from("ABCDEFGH"), st.integers(0, 10_000), min_size=1),
    st.dictionaries(st.sampled_from("ABCDEFGH"), st.integers(0, 9)),
    st.frozensets(st.sampled_from("ABXY"), max_size=3),
    st.integers(1, 4),
)
def test_every_candidate_is_chosen_or_has_a_reason(
    scores: dict[str, int], incumbents: dict[str, int], held: frozenset[str], places: int
) -> None:
    few = _replace(_SETTINGS, topk=places)

    choices = choose(_ranked(**scores), _returns(*"ABCDEF"), incumbents, held, few)

    assert {choice.symbol for choice in choices} == set(scores) | held
    assert all(choice.chosen or choice.reasons for choice in choices)


def test_a_symbol_that_moves_like_a_chosen_one_is_replaced_from_the_third_on() -> None:
    returns = _returns("A", "B", "C", "D")
    returns["C"] = returns["A"]

    choices = choose(_ranked(A=90, B=80, C=70, D=60), returns, {}, (), _SETTINGS)

    assert _chosen(choices) == ["A", "B", "D"]
    left = _left(choices)
    assert left.reasons == (ReasonCode.RISK_DIVERSIFY_APPLIED,)
    assert left.features == {"like": "A", "correlation_x10000": 10_000}


def test_two_alike_symbols_alone_may_be_watched_together() -> None:
    returns = {"A": _noise(1), "B": _noise(1)}

    assert _chosen(choose(_ranked(A=2, B=1), returns, {}, (), _SETTINGS)) == ["A", "B"]


def test_too_many_missing_points_disqualify() -> None:
    returns = _returns("A", "B")
    returns["A"] = _replace(returns["A"], missing_count=8)

    choices = choose(_ranked(A=2, B=1), returns, {}, (), _SETTINGS)

    assert _chosen(choices) == ["B"]
    assert choices[1].reasons == (ReasonCode.DATA_GAP_DETECTED,)


def test_a_held_symbol_stays_even_when_it_was_cut() -> None:
    cut = Ranked(symbol="H", rank=0, score_x10000=0, reasons=(ReasonCode.STRAT_WARMUP,))

    choices = choose([*_ranked(A=9, B=8, C=7), cut], _returns("A", "B", "C"), {}, {"H"}, _SETTINGS)

    assert _chosen(choices) == ["H", "A", "B"]


_POINTS = st.lists(st.tuples(st.integers(-500, 500), st.integers(-500, 500)), min_size=2)


@given(_POINTS)
def test_correlation_is_symmetric_bounded_and_free_of_scale(pairs: list[tuple[int, int]]) -> None:
    left, right = [a for a, _ in pairs], [b for _, b in pairs]

    value = correlation_x10000(left, right)

    assert value == correlation_x10000(right, left)
    assert -10_000 <= value <= 10_000
    assert abs(correlation_x10000([3 * a + 7 for a in left], right) - value) <= 1
    assert correlation_x10000(left, left) in (0, 10_000)


@given(_POINTS)
def test_what_is_remembered_of_a_pair_is_its_correlation(pairs: list[tuple[int, int]]) -> None:
    left, right = _moved([a for a, _ in pairs]), _moved([b for _, b in pairs])

    found = [likeness_x10000(left, right) for _ in range(2)]

    assert found == [correlation_x10000(left.log_return_bps, right.log_return_bps)] * 2


def _moved(points: list[int]) -> Returns:
    return Returns(
        timeframe=Interval.M5, window=len(points), log_return_bps=tuple(points), missing_count=0
    )


def test_returns_count_what_is_missing() -> None:
    frame = Interval.M5.ms
    candles = [a_candle(i * frame, close=str(100 + i)) for i in range(73) if i != 70]

    returns = log_returns(candles, 72)

    assert returns.missing_count == 2
    assert len(returns.log_return_bps) == 72
    assert returns.log_return_bps[-1] == 58
