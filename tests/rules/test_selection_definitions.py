"""The scores of selection against their definitions, written term by term."""

from collections.abc import Sequence
from decimal import Decimal

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from livespot.contracts.amounts import rint
from livespot.contracts.codes import ReasonCode
from livespot.contracts.market import DeepFeatures, Ticker24h
from livespot.contracts.settings import SelectionSettings
from livespot.contracts.vocabulary import Direction, RegimeLabel
from livespot.rules.selection import Eligibility, deep_scan, rank
from livespot.testing.market_values import a_day, a_snapshot

_replace = msgspec.structs.replace
_SETTINGS = SelectionSettings()
_SNAPSHOT = a_snapshot()
_MANY = settings(max_examples=150, deadline=None)


def _clamped(value: float) -> float:
    return min(1.0, max(0.0, value))


# ---- the ranking


_DAYS = st.lists(
    st.tuples(
        st.integers(0, 10**9),
        st.integers(-500, 3000),
        st.integers(0, 10**6),
        st.integers(-5, 5000),
    ),
    min_size=1,
    max_size=12,
)


@_MANY
@given(_DAYS)
def test_a_place_is_volume_rise_and_narrowness_over_the_most_of_each(
    drawn: Sequence[tuple[int, int, int, int]],
) -> None:
    days = [
        a_day(
            f"S{number:02d}USDT",
            quote_volume=Decimal(volume),
            price_change_bps=change,
            bid=Decimal(bid),
            ask=Decimal(bid + wide),
        )
        for number, (volume, change, bid, wide) in enumerate(drawn)
    ]
    listed = [Eligibility(symbol=day.symbol, reasons=(), ticker=day) for day in days]

    ranked = {item.symbol: item for item in rank(listed, _SETTINGS)}

    assert {symbol: item.score_x10000 for symbol, item in ranked.items()} == {
        day.symbol: _place(day, days) for day in days
    }
    for day in days:
        assert ranked[day.symbol].features["spread_x10000"] == round((_spread(day) or 0) * 10_000)


def _place(day: Ticker24h, days: Sequence[Ticker24h]) -> int:
    most = max(float(other.quote_volume) for other in days)
    highest = max(max(0, other.price_change_bps) for other in days)
    widest = max((_spread(other) or 0.0 for other in days), default=0.0)
    spread = _spread(day)
    volume = float(day.quote_volume) / most if most > 0 else 0.0
    rise = max(0, day.price_change_bps) / highest if highest > 0 else 0.0
    narrow = 0.0 if spread is None else 1 - spread / widest if widest > 0 else 1.0
    return rint(_clamped(0.55 * volume + 0.30 * rise + 0.15 * narrow) * 10_000)


def _spread(day: Ticker24h) -> float | None:
    bid, ask = float(day.bid), float(day.ask)
    return (ask - bid) / ((ask + bid) / 2) * 10_000 if day.bid > 0 and day.ask >= day.bid else None


# ---- the deep scan


_READINGS = st.builds(
    lambda spread, balance, atr, label, direction, trend, ranging: DeepFeatures(
        symbol="AUSDT",
        warm=True,
        regime=_replace(
            _SNAPSHOT.regime,
            label=label,
            direction=direction,
            trend_score_x10000=trend,
            range_score_x10000=ranging,
        ),
        microstructure=_replace(
            _SNAPSHOT.microstructure,
            spread_current_bps=spread,
            bid_ask_imbalance_p50_10s_x10000=balance,
        ),
        atr14_5m_bps=atr,
        cost_inputs=_SNAPSHOT.cost_inputs,
        returns=None,
    ),
    st.integers(0, 60),
    st.integers(0, 10_000),
    st.integers(0, 400),
    st.sampled_from(RegimeLabel),
    st.sampled_from(Direction),
    st.integers(0, 10_000),
    st.integers(0, 10_000),
)


@_MANY
@given(_READINGS)
def test_a_deep_score_is_edge_regime_micro_and_range_by_their_weights(found: DeepFeatures) -> None:
    [ranked] = deep_scan([found], _SETTINGS)

    edge, regime, micro, atr = _parts(found)
    score = 0.45 * edge + 0.20 * regime + 0.20 * micro + 0.15 * atr
    assert ranked.score_x10000 == rint(_clamped(score) * 10_000)
    assert ranked.reasons == tuple(code for cut, code in _cuts(found) if cut)


def _edge(found: DeepFeatures) -> int:
    micro, costs = found.microstructure, found.cost_inputs
    assert micro is not None
    return found.atr14_5m_bps - (
        micro.spread_current_bps
        + costs.maker_fee_bps
        + costs.taker_fee_bps
        + costs.slippage_est_entry_maker_bps
        + costs.slippage_est_exit_taker_bps
    )


def _parts(found: DeepFeatures) -> tuple[float, float, float, float]:
    regime, micro = found.regime, found.microstructure
    assert regime is not None
    assert micro is not None
    own = {
        RegimeLabel.TREND: regime.trend_score_x10000,
        RegimeLabel.RANGE: regime.range_score_x10000,
        RegimeLabel.UNCLEAR: 0,
    }[regime.label]
    falling = regime.label is RegimeLabel.TREND and regime.direction is Direction.BEAR
    balance = (micro.bid_ask_imbalance_p50_10s_x10000 - 5500) / 4500
    return (
        _clamped(_edge(found) / 40),
        0.0 if falling else own / 10_000,
        _clamped(0.6 * (1 - micro.spread_current_bps / 20) + 0.4 * balance),
        _clamped(found.atr14_5m_bps / 200),
    )


def _cuts(found: DeepFeatures) -> tuple[tuple[bool, ReasonCode], ...]:
    micro = found.microstructure
    assert micro is not None
    return (
        (micro.spread_current_bps > 20, ReasonCode.STRAT_SPREAD_TOO_WIDE),
        (micro.bid_ask_imbalance_p50_10s_x10000 < 5500, ReasonCode.STRAT_IMBALANCE_AGAINST),
        (_edge(found) < 20, ReasonCode.STRAT_EDGE_BELOW_MIN),
    )
