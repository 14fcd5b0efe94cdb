"""Puts each measurement beside the limit it failed, in words, for every code that has both."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

from livespot.contracts.amounts import decimal_text
from livespot.contracts.catalogue import CATALOGUE
from livespot.contracts.codes import ReasonCode
from livespot.contracts.settings import Settings
from livespot.contracts.vocabulary import RegimeLabel
from livespot.rules.pullback_checks import min_edge_bps

Features: TypeAlias = Mapping[str, Any]
Limit: TypeAlias = Callable[[Settings, RegimeLabel], Decimal | int]


@dataclass(frozen=True, slots=True)
class _Measure:
    """A measurement by its stored name, how it failed, and the limit it failed."""

    feature: str
    name: str
    relation: str
    limit: Limit
    spell: Callable[[Any], str]


def bps(value: Any) -> str:
    """Format basis points."""
    return f"{value} bps"


def share(value: Any) -> str:
    """Format a score stored times 10 000 as a fraction."""
    return f"{Decimal(value) / 10_000:.4f}"


def amount(value: Any) -> str:
    """Format a count or amount with separated thousands and without trailing zeros."""
    number = Decimal(value)
    text = f"{number:,.8f}".rstrip("0").rstrip(".")
    return text or "0"


def _hundredth(value: Any) -> str:
    """Format basis points stored times 10 000."""
    return f"{Decimal(value) / 10_000:.1f} bps"


def _is_range(label: RegimeLabel) -> bool:
    return label is RegimeLabel.RANGE


def _widest(settings: Settings, label: RegimeLabel) -> Decimal | int:
    widest = settings.strategy.max_spread_entry_bps
    return Decimal(widest) / 2 if _is_range(label) else widest


def _least_volume(settings: Settings, label: RegimeLabel) -> Decimal:
    least = settings.strategy.min_volume_ratio * 10_000
    return least * Decimal("1.1") if _is_range(label) else least


UNIVERSE = {
    ReasonCode.UNIVERSE_VOLUME_LOW: (
        _Measure(
            "quote_volume",
            "24 h volume",
            "<",
            lambda s, _: s.selection.min_quote_volume_24h,
            amount,
        ),
    ),
    ReasonCode.UNIVERSE_TRADES_LOW: (
        _Measure("trades", "24 h trades", "<", lambda s, _: s.selection.min_trades_24h, amount),
    ),
    ReasonCode.UNIVERSE_MOMENTUM_LOW: (
        _Measure(
            "price_change_bps",
            "24 h change",
            "<",
            lambda s, _: s.selection.min_price_change_bps,
            bps,
        ),
    ),
}
DEEP = {
    ReasonCode.STRAT_SPREAD_TOO_WIDE: (
        _Measure(
            "spread_current_bps", "spread", ">", lambda s, _: s.selection.deep_max_spread_bps, bps
        ),
    ),
    ReasonCode.STRAT_IMBALANCE_AGAINST: (
        _Measure(
            "imbalance_x10000",
            "bid share of the book",
            "<",
            lambda s, _: s.selection.deep_min_imbalance_x10000,
            share,
        ),
    ),
    ReasonCode.STRAT_EDGE_BELOW_MIN: (
        _Measure(
            "edge_estimate_bps",
            "estimated edge",
            "<",
            lambda s, _: s.selection.deep_min_edge_bps,
            bps,
        ),
    ),
}
STRATEGY = {
    ReasonCode.STRAT_SPREAD_TOO_WIDE: (
        _Measure("spread_current_bps", "spread", ">", _widest, bps),
    ),
    ReasonCode.STRAT_SPREAD_OPENING: (
        _Measure(
            "delta_spread_bps_p90_10s",
            "spread widened by",
            ">",
            lambda s, _: s.strategy.max_delta_spread_bps_10s,
            bps,
        ),
    ),
    ReasonCode.STRAT_IMBALANCE_AGAINST: (
        _Measure(
            "imbalance_x10000",
            "bid share of the book",
            "<",
            lambda s, _: s.strategy.min_imbalance_buy,
            share,
        ),
    ),
    ReasonCode.STRAT_VOLUME_LOW: (
        _Measure("volume_ratio_5m_x10000", "5m volume ratio", "<", _least_volume, share),
    ),
    ReasonCode.STRAT_REGIME_WEAK: (
        _Measure(
            "trend_score_x10000", "trend", "<", lambda s, _: s.strategy.trend_threshold, share
        ),
        _Measure(
            "range_score_x10000", "range", "<", lambda s, _: s.strategy.range_threshold, share
        ),
    ),
    ReasonCode.STRAT_EDGE_BELOW_MIN: (
        _Measure(
            "edge_bps_expected",
            "reward margin",
            "<",
            lambda s, label: min_edge_bps(label, s.strategy),
            bps,
        ),
    ),
}
# Risk's measurement, how it failed, and the limit, by their names in the verdict's limits.
RISK = {
    ReasonCode.RISK_DAILY_LOSS_LIMIT: ("day_equity", "<=", "daily_loss_max"),
    ReasonCode.RISK_DRAWDOWN_LIMIT: ("drawdown", ">=", "drawdown_max"),
    ReasonCode.RISK_MAX_TRADES_DAY: ("trades_today", ">=", "trades_per_day_max"),
    ReasonCode.RISK_MAX_TRADES_WINDOW: ("trades_in_window", ">=", "trades_per_window_max"),
    ReasonCode.RISK_MAX_OPEN_ORDERS: ("open_entries", ">=", "open_orders_total_max"),
    ReasonCode.RISK_EXPOSURE_LIMIT: ("exposure_total", "near", "exposure_total_max"),
    ReasonCode.RISK_INSUFFICIENT_FREE_BALANCE: ("free_quote", "less", "reserved_quote"),
}


def failed(
    code: str,
    table: Mapping[ReasonCode, tuple[_Measure, ...]],
    features: Features,
    settings: Settings,
    label: RegimeLabel = RegimeLabel.UNCLEAR,
) -> str:
    """Return the code with its measurement and limit; with its meaning if it has none."""
    known = ReasonCode(code)
    if known is ReasonCode.STRAT_PULLBACK_FAIL and "pullback_x10000" in features:
        low, high = settings.strategy.pullback_min, settings.strategy.pullback_max
        found = _hundredth(features["pullback_x10000"])
        return f"{code}: pullback {found} is not within {low} to {high} bps"
    parts = [
        f"{m.name} {m.spell(features[m.feature])} {m.relation} {m.spell(m.limit(settings, label))}"
        for m in table.get(known, ())
        if m.feature in features
    ]
    return f"{code}: {', '.join(parts)}" if parts else meaning(code)


def failed_by_risk(code: str, limits: Mapping[str, str], margin_bps: int) -> str:
    """Return a reason of a risk verdict with its figures, if the verdict has them."""
    known = ReasonCode(code)
    if known is ReasonCode.STRAT_EDGE_BELOW_MIN and "edge_min_bps" in limits:
        factor = share(limits["edge_multiplier_x10000"])
        return f"{code}: reward margin {margin_bps} bps < {limits['edge_min_bps']} bps (x{factor})"
    if known in RISK:
        measured, relation, limit = RISK[known]
        if measured in limits and limit in limits:
            return (
                f"{code}: {_spoken(measured)} {amount(limits[measured])} {relation} "
                f"{_spoken(limit)} {amount(limits[limit])}"
            )
    return meaning(code)


def meaning(code: str) -> str:
    """Return the code with the catalogue's words."""
    said = CATALOGUE[ReasonCode(code)].meaning.rstrip(".")
    return f"{code}: {said[:1].lower()}{said[1:]}"


def _spoken(name: str) -> str:
    return name.replace("_", " ")


def price(value: Any) -> str:
    """Format a stored amount without an exponent."""
    return decimal_text(Decimal(value))
