"""What holds of every selection: bounds, independence of order, and a reason for each absence."""

from dataclasses import dataclass
from decimal import Decimal

import msgspec
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from livespot.contracts.codes import ReasonCode
from livespot.contracts.market import DeepFeatures, Returns, SymbolInfo, Ticker24h
from livespot.contracts.settings import SelectionSettings
from livespot.contracts.vocabulary import Direction, Interval, RegimeLabel
from livespot.rules.choice import Choice, choose
from livespot.rules.correlation import correlation_x10000, has_too_many_missing
from livespot.rules.selection import (
    Eligibility,
    Ranked,
    deep_scan,
    listing,
    rank,
    universe,
)
from livespot.testing.market_values import a_day, a_snapshot, a_symbol

_replace = msgspec.structs.replace
_FEW = settings(max_examples=60, deadline=None)
_SETTINGS = SelectionSettings()
_NAMES = [f"{letter}USDT" for letter in "ABCDEFGHJK"]
_SNAPSHOT = a_snapshot()
_ORDERS = st.permutations(range(len(_NAMES)))


# ---- universe and ranking


_DAYS = st.builds(
    lambda volume, trades, change, bid, wide: {
        "quote_volume": Decimal(volume) * 1_000_000,
        "trades": trades * 1000,
        "price_change_bps": change,
        "bid": Decimal(bid),
        "ask": Decimal(bid) + Decimal(wide) / 100,
    },
    st.integers(0, 12),
    st.integers(5, 15),
    st.integers(-200, 400),
    st.integers(0, 50),
    st.integers(0, 30),
)


@dataclass(frozen=True, slots=True)
class _World:
    infos: dict[str, SymbolInfo]
    days: tuple[Ticker24h, ...]
    quarantined: frozenset[str]


@st.composite
def _worlds(draw: st.DrawFn) -> _World:
    names = draw(st.lists(st.sampled_from(_NAMES), unique=True, min_size=1))
    infos = {
        name: a_symbol(
            name,
            status=draw(st.sampled_from(["TRADING", "TRADING", "TRADING", "BREAK"])),
            problem=draw(st.sampled_from(["", "", "", "no tick"])),
            quote_asset=draw(st.sampled_from(["USDT", "USDT", "BTC"])),
            spot_allowed=draw(st.sampled_from([True, True, False])),
        )
        for name in names
    }
    days = tuple(a_day(name, **draw(_DAYS)) for name in names if draw(st.integers(0, 9)))
    return _World(infos, days, frozenset(draw(st.sets(st.sampled_from(names), max_size=2))))


def _listed(world: _World) -> tuple[Eligibility, ...]:
    listed = listing(world.infos, quote_asset="USDT")
    return universe(listed, world.days, world.quarantined, _SETTINGS)


@_FEW
@given(_worlds())
def test_the_universe_is_every_spot_symbol_of_the_quote_asset_by_name(world: _World) -> None:
    wanted = sorted(
        name
        for name, info in world.infos.items()
        if info.quote_asset == "USDT" and info.spot_allowed
    )

    assert [item.symbol for item in _listed(world)] == wanted


@_FEW
@given(_worlds())
def test_a_symbol_is_eligible_exactly_when_it_meets_every_minimum(world: _World) -> None:
    days = {day.symbol: day for day in world.days}
    for item in _listed(world):
        info, day = world.infos[item.symbol], days.get(item.symbol)
        meets = (
            info.is_trading
            and not info.problem
            and item.symbol not in world.quarantined
            and day is not None
            and day.quote_volume >= 5_000_000
            and day.trades >= 10_000
            and day.price_change_bps >= 30
        )

        assert item.is_eligible is meets
        assert len(set(item.reasons)) == len(item.reasons)


@_FEW
@given(_worlds(), st.randoms(use_true_random=False))
def test_neither_list_depends_on_the_order_of_the_answers(world: _World, dice: object) -> None:
    shuffled_days, names = list(world.days), list(world.infos)
    dice.shuffle(shuffled_days)  # type: ignore[attr-defined]
    dice.shuffle(names)  # type: ignore[attr-defined]
    other = _World({n: world.infos[n] for n in names}, tuple(shuffled_days), world.quarantined)

    assert _listed(other) == _listed(world)
    assert rank(_listed(other)[::-1], _SETTINGS) == rank(_listed(world), _SETTINGS)


@_FEW
@given(_worlds(), st.integers(1, 4))
def test_the_ranking_holds_each_eligible_symbol_once_and_wants_the_best(
    world: _World, topn: int
) -> None:
    rules = _replace(_SETTINGS, topn=topn, topk=1)

    ranked = rank(_listed(world), rules)

    assert sorted(r.symbol for r in ranked) == [e.symbol for e in _listed(world) if e.is_eligible]
    assert [r.rank for r in ranked] == list(range(1, len(ranked) + 1))
    assert [(-r.score_x10000, r.symbol) for r in ranked] == sorted(
        (-r.score_x10000, r.symbol) for r in ranked
    )
    for item in ranked:
        assert 0 <= item.score_x10000 <= 10_000
        assert item.features
        low = (ReasonCode.UNIVERSE_RANK_LOW,)
        assert item.reasons == (() if item.rank <= topn else low)


@_FEW
@given(_worlds(), st.integers(2, 50))
def test_only_shares_of_the_maximum_count_in_the_ranking(world: _World, factor: int) -> None:
    listed = [e for e in _listed(world) if e.is_eligible]
    larger = [
        Eligibility(
            symbol=e.symbol,
            reasons=(),
            ticker=e.ticker and _replace(e.ticker, quote_volume=e.ticker.quote_volume * factor),
        )
        for e in listed
    ]

    for one, other in zip(rank(listed, _SETTINGS), rank(larger, _SETTINGS), strict=True):
        assert abs(one.score_x10000 - other.score_x10000) <= 1


# ---- deep scan


@st.composite
def _feature(draw: st.DrawFn, symbol: str) -> DeepFeatures:
    base = _SNAPSHOT
    micro = _replace(
        base.microstructure,
        spread_current_bps=draw(st.integers(0, 40)),
        bid_ask_imbalance_p50_10s_x10000=draw(st.integers(0, 10_000)),
    )
    regime = _replace(
        base.regime,
        label=draw(st.sampled_from(RegimeLabel)),
        direction=draw(st.sampled_from(Direction)),
        trend_score_x10000=draw(st.integers(0, 10_000)),
        range_score_x10000=draw(st.integers(0, 10_000)),
    )
    warm = draw(st.integers(0, 9)) > 0
    return DeepFeatures(
        symbol=symbol,
        warm=warm,
        regime=regime if warm else None,
        microstructure=micro if warm else None,
        atr14_5m_bps=draw(st.integers(0, 400)),
        cost_inputs=base.cost_inputs,
        returns=base.returns if warm else None,
    )


@_FEW
@given(st.tuples(*(_feature(name) for name in _NAMES)), _ORDERS)
def test_the_deep_scan_is_bounded_complete_and_free_of_order(
    features: tuple[DeepFeatures, ...], order: list[int]
) -> None:
    scanned = deep_scan(features, _SETTINGS)

    assert deep_scan([features[i] for i in order], _SETTINGS) == scanned
    assert sorted(item.symbol for item in scanned) == _NAMES
    assert all(0 <= item.score_x10000 <= 10_000 for item in scanned)
    kept = [item for item in scanned if not item.dropped]
    assert scanned[: len(kept)] == tuple(kept)
    assert kept == sorted(kept, key=lambda item: (-item.score_x10000, item.symbol))


@_FEW
@given(_feature("AUSDT"))
def test_the_deep_scan_cuts_exactly_by_its_limits(item: DeepFeatures) -> None:
    [found] = deep_scan([item], _SETTINGS)
    micro = item.microstructure
    if micro is None:
        assert found.reasons == (ReasonCode.STRAT_WARMUP,)
        return
    cost = item.cost_inputs
    edge = item.atr14_5m_bps - (
        micro.spread_current_bps
        + cost.maker_fee_bps
        + cost.taker_fee_bps
        + cost.slippage_est_entry_maker_bps
        + cost.slippage_est_exit_taker_bps
    )

    assert found.features["edge_estimate_bps"] == edge
    assert (ReasonCode.STRAT_SPREAD_TOO_WIDE in found.reasons) is (micro.spread_current_bps > 20)
    against = micro.bid_ask_imbalance_p50_10s_x10000 < 5500
    assert (ReasonCode.STRAT_IMBALANCE_AGAINST in found.reasons) is against
    assert (ReasonCode.STRAT_EDGE_BELOW_MIN in found.reasons) is (edge < 20)


@_FEW
@given(_feature("AUSDT"), st.integers(0, 100))
def test_a_wider_range_never_lowers_the_score(item: DeepFeatures, more: int) -> None:
    wider = _replace(item, atr14_5m_bps=item.atr14_5m_bps + more)

    assert (
        deep_scan([wider], _SETTINGS)[0].score_x10000
        >= deep_scan([item], _SETTINGS)[0].score_x10000
    )


# ---- choice


@dataclass(frozen=True, slots=True)
class _Race:
    ranked: tuple[Ranked, ...]
    returns: dict[str, Returns]
    incumbents: dict[str, int]
    held: frozenset[str]


def _series(kind: int, missing: int) -> Returns:
    """Six families of returns; members of one family move alike."""
    points = tuple((kind * 7919 + i * i * (kind + 3) * 31) % 41 - 20 for i in range(72))
    return Returns(timeframe=Interval.M5, window=72, log_return_bps=points, missing_count=missing)


@st.composite
def _races(draw: st.DrawFn) -> _Race:
    names = draw(st.lists(st.sampled_from(_NAMES), unique=True, min_size=1))
    cut = (ReasonCode.STRAT_EDGE_BELOW_MIN,)
    ranked = tuple(
        Ranked(
            symbol=name,
            rank=0,
            score_x10000=draw(st.integers(0, 20)) * 250,
            reasons=() if draw(st.integers(0, 3)) else cut,
        )
        for name in names
    )
    returns = {
        name: _series(draw(st.integers(0, 5)), draw(st.sampled_from([0, 0, 7, 8])))
        for name in names
        if draw(st.integers(0, 9))
    }
    incumbents = draw(st.dictionaries(st.sampled_from(_NAMES), st.integers(1, 9), max_size=3))
    held = draw(st.frozensets(st.sampled_from(_NAMES), max_size=2))
    return _Race(ranked, returns, incumbents, held)


def _run(race: _Race) -> tuple[Choice, ...]:
    return choose(race.ranked, race.returns, race.incumbents, race.held, _SETTINGS)


def _picked(race: _Race) -> list[str]:
    """Chosen for their score, in the order of the list; the held ones come before them."""
    return [c.symbol for c in _run(race) if c.chosen and c.symbol not in race.held]


@_FEW
@given(_races(), st.randoms(use_true_random=False))
def test_the_choice_does_not_depend_on_the_order_of_its_input(race: _Race, dice: object) -> None:
    shuffled = list(race.ranked)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]

    assert _run(_Race(tuple(shuffled), race.returns, race.incumbents, race.held)) == _run(race)


@_FEW
@given(_races())
def test_every_candidate_is_chosen_or_has_a_reason(race: _Race) -> None:
    choices = _run(race)

    assert sorted(c.symbol for c in choices) == sorted({r.symbol for r in race.ranked} | race.held)
    assert [c.rank for c in choices] == list(range(1, len(choices) + 1))
    for choice in choices:
        assert choice.chosen or choice.reasons
        assert 0 <= choice.score_x10000 <= 10_000


@_FEW
@given(_races())
def test_the_chosen_set_keeps_every_rule(race: _Race) -> None:
    picked, by_symbol = _picked(race), {item.symbol: item for item in race.ranked}
    chosen = [*sorted(race.held), *picked]

    assert race.held <= {c.symbol for c in _run(race) if c.chosen}
    assert len(chosen) <= max(_SETTINGS.topk, len(race.held))
    for symbol in picked:
        assert not by_symbol[symbol].dropped
        assert not has_too_many_missing(race.returns[symbol], _SETTINGS.corr_missing_max_pct)
    if len(chosen) >= _SETTINGS.corr_min_symbols and picked:
        assert _last_added_is_unlike(picked, race)


def _last_added_is_unlike(picked: list[str], race: _Race) -> bool:
    """The symbol that made the list three or more moves like none of the others."""
    chosen = [*race.held, *picked]

    def is_unlike(symbol: str) -> bool:
        own = race.returns[symbol]
        others = [race.returns[o] for o in chosen if o != symbol and o in race.returns]
        return all(
            abs(correlation_x10000(own.log_return_bps, other.log_return_bps))
            < _SETTINGS.corr_max_x10000
            for other in others
        )

    return any(is_unlike(symbol) for symbol in picked)


@_FEW
@given(_races())
def test_a_young_incumbent_leaves_only_for_a_clearly_better_one(race: _Race) -> None:
    by_symbol, picked = {item.symbol: item for item in race.ranked}, _picked(race)
    for symbol, cycles in race.incumbents.items():
        item = by_symbol.get(symbol)
        if item is None or item.dropped or cycles >= _SETTINGS.churn_guard_min_cycles:
            continue
        [choice] = [c for c in _run(race) if c.symbol == symbol]
        if choice.chosen or ReasonCode.WATCHLIST_FULL not in choice.reasons:
            # It stayed, or it moves like one that stays, or its returns have holes.
            continue
        newcomers = [by_symbol[s] for s in picked if s not in race.incumbents]
        assert all(n.score_x10000 >= item.score_x10000 + 1000 for n in newcomers)


@_FEW
@given(_races())
def test_without_incumbents_and_look_alikes_the_best_are_chosen(race: _Race) -> None:
    free = [item for item in race.ranked if not item.dropped]
    unlike = {item.symbol: _series(i, 0) for i, item in enumerate(free)}
    pairs = [
        correlation_x10000(unlike[a].log_return_bps, unlike[b].log_return_bps)
        for a in unlike
        for b in unlike
        if a < b
    ]
    assume(all(abs(value) < _SETTINGS.corr_max_x10000 for value in pairs))

    picked = _picked(_Race(race.ranked, unlike, {}, frozenset()))

    best = sorted(free, key=lambda item: (-item.score_x10000, item.symbol))
    assert picked == [item.symbol for item in best[: _SETTINGS.topk]]
