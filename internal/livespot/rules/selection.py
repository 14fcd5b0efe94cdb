"""From all symbols to the few worth watching: universe, ranking, deep scan, choice."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from operator import attrgetter
from typing import TypeAlias

import msgspec

from livespot.contracts.amounts import ZERO, clamp01, round_x10000
from livespot.contracts.codes import ReasonCode
from livespot.contracts.market import DeepFeatures, Leaning, SymbolInfo, Ticker24h
from livespot.contracts.settings import SelectionSettings
from livespot.contracts.vocabulary import Direction, OrderType, RegimeLabel
from livespot.rules.edge import cost_of_visit
from livespot.rules.microstructure import spread_between

_GOOD_EDGE_BPS = 40
_HIGH_ATR_BPS = 200
_COLD = (ReasonCode.STRAT_WARMUP,)
_FEE_ASSET = (ReasonCode.RISK_EXPOSURE_LIMIT,)
_QUARANTINED = (ReasonCode.SYMBOL_QUARANTINED,)
_NO_DAY = (ReasonCode.STRAT_MISSING_FIELD,)
_SYMBOL = attrgetter("symbol")
_STOPS = frozenset({OrderType.STOP_LOSS, OrderType.STOP_LOSS_LIMIT})
_RANK_LOW = (ReasonCode.UNIVERSE_RANK_LOW,)
_TOO_WIDE = (ReasonCode.STRAT_SPREAD_TOO_WIDE,)
_AGAINST = (ReasonCode.STRAT_IMBALANCE_AGAINST,)
_TOO_LITTLE = (ReasonCode.STRAT_EDGE_BELOW_MIN,)


class Listed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A spot symbol of the quote asset, with the reasons that do not change during a day."""

    symbol: str
    base_asset: str
    reasons: tuple[ReasonCode, ...]


class Eligibility(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One symbol of the universe; no reasons means eligible."""

    symbol: str
    reasons: tuple[ReasonCode, ...]
    ticker: Ticker24h | None

    @property
    def is_eligible(self) -> bool:
        return not self.reasons


class Ranked(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One symbol's place; `rank` counts from 1, a dropped one has reasons.

    `measured` is what the score was computed from: the day's ticker, or the deep scan's features.
    """

    symbol: str
    rank: int
    score_x10000: int
    reasons: tuple[ReasonCode, ...]
    measured: Ticker24h | DeepFeatures | None = None

    @property
    def dropped(self) -> bool:
        return bool(self.reasons)

    @property
    def features(self) -> dict[str, int | str | Decimal]:
        """The inputs of the score by name, for the records; empty when there were none."""
        if self.measured is None:
            return {}
        if isinstance(self.measured, Ticker24h):
            return _day_features(self.measured)
        return _deep_features(self.measured)


_TREND, _RANGE, _BULL = RegimeLabel.TREND, RegimeLabel.RANGE, Direction.BULL
# A symbol in the deep scan, as sorted: whether it is cut, its negated score, its name. The reasons
# and features behind are never compared.
_Scored: TypeAlias = tuple[bool, int, str, tuple[ReasonCode, ...], DeepFeatures]


def listing(infos: Mapping[str, SymbolInfo], *, quote_asset: str) -> tuple[Listed, ...]:
    """Every spot symbol of the quote asset, by name; it changes only with `infos`."""
    return tuple(
        Listed(symbol=name, base_asset=infos[name].base_asset, reasons=_unfitness(infos[name]))
        for name in sorted(infos)
        if _is_traded_for(infos[name], quote_asset)
    )


def universe(
    listed: Iterable[Listed],
    tickers: Sequence[Ticker24h],
    quarantined: Collection[str],
    settings: SelectionSettings,
    *,
    fee_assets: Collection[str] = (),
) -> tuple[Eligibility, ...]:
    """Each listed symbol, in the same order, with every reason that keeps it out.

    Assets that fees are paid in are not traded: the fee of any other trade would reduce the
    position below the quantity of its stop.
    """
    by_symbol = {ticker.symbol: ticker for ticker in tickers}
    volume, trades = settings.min_quote_volume_24h, settings.min_trades_24h
    rise = settings.min_price_change_bps
    found = []
    for item in listed:
        name, reasons = item.symbol, item.reasons
        if name in quarantined and ReasonCode.SYMBOL_QUARANTINED not in reasons:
            reasons += _QUARANTINED
        day = by_symbol.get(name)
        if day is None:
            reasons += _NO_DAY
        elif day.quote_volume < volume or day.trades < trades or day.price_change_bps < rise:
            reasons += _quietness(day, settings)
        if item.base_asset in fee_assets:
            reasons += _FEE_ASSET
        found.append(Eligibility(symbol=name, reasons=reasons, ticker=day))
    return tuple(found)


def unknown_filters(
    infos: Mapping[str, SymbolInfo], before: Mapping[str, SymbolInfo], *, quote_asset: str
) -> dict[str, tuple[str, ...]]:
    """New filters that this program does not know, by symbol of our universe."""
    found = {}
    for name, info in infos.items():
        if not (info.unknown_filters and _is_traded_for(info, quote_asset)):
            continue
        known = before[name].unknown_filters if name in before else ()
        fresh = tuple(f for f in info.unknown_filters if f not in known)
        if fresh:
            found[name] = fresh
    return found


def delisted(symbols: Iterable[str]) -> list[Eligibility]:
    """Symbols that the exchange no longer lists, kept out as not trading."""
    reasons = (ReasonCode.SYMBOL_NOT_TRADING,)
    return [Eligibility(symbol=name, reasons=reasons, ticker=None) for name in sorted(symbols)]


def rank(eligible: Sequence[Eligibility], settings: SelectionSettings) -> tuple[Ranked, ...]:
    """All eligible symbols by the day's volume, rise and spread, best first; ties by name.

    The first `topn` are wanted; the others carry a reason. A symbol without a two-sided book in the
    day's ticker ranks as the widest.
    """
    days: list[tuple[Ticker24h, float, float | None]] = []
    most = highest = widest = 0.0
    for item in eligible:
        day = item.ticker
        if item.reasons or day is None:
            continue
        volume, rise, spread = float(day.quote_volume), day.price_change_bps, _day_spread(day)
        most = volume if volume > most else most
        highest = rise if rise > highest else highest
        if spread is not None and spread > widest:
            widest = spread
        days.append((day, volume, spread))
    # If all are zero, so are their shares, whatever the divisor.
    most, widest = most or 1.0, widest or 1.0
    of_volume, of_rise, of_spread = _floats(settings.rank_weights)
    scored: list[tuple[int, str, Ticker24h]] = []
    for day, volume, spread in days:
        rise = day.price_change_bps
        score = (
            of_volume * (volume / most)
            + of_rise * (rise / highest if rise > 0 else 0.0)
            + of_spread * (0.0 if spread is None else 1.0 - spread / widest)
        )
        scored.append((-round_x10000(score), day.symbol, day))
    scored.sort()
    topn = settings.topn
    return tuple(
        [
            Ranked(
                symbol=symbol,
                rank=rank,
                score_x10000=-score,
                reasons=() if rank <= topn else _RANK_LOW,
                measured=day,
            )
            for rank, (score, symbol, day) in enumerate(scored, start=1)
        ]
    )


def wanted(ranked: Sequence[Ranked], settings: SelectionSettings) -> tuple[str, ...]:
    """The symbols of a day's ranking that the deep scan will look at, best first."""
    return tuple(map(_SYMBOL, ranked[: settings.topn]))


def deep_scan(features: Sequence[DeepFeatures], settings: SelectionSettings) -> tuple[Ranked, ...]:
    """Scores of the attached symbols, best first; those that were cut follow with reasons."""
    of_edge, of_regime, of_micro, of_atr = _floats(settings.deep_weights)
    widest, floor = settings.deep_max_spread_bps, settings.deep_min_imbalance_x10000
    least, room = settings.deep_min_edge_bps, 10_000 - floor or 1
    scored: list[_Scored] = []
    for item in features:
        micro, regime, atr = item.microstructure, item.regime, item.atr14_5m_bps
        if not item.warm or micro is None or regime is None:
            scored.append((True, 0, item.symbol, _COLD, item))
            continue
        spread, balance = micro.spread_current_bps, micro.bid_ask_imbalance_p50_10s_x10000
        edge = atr - cost_of_visit(item.cost_inputs, spread)
        score = (
            of_edge * clamp01(edge / _GOOD_EDGE_BPS)
            + of_regime * (_regime_score(regime) / 10_000)
            + of_micro * clamp01(0.6 * (1.0 - spread / widest) + 0.4 * ((balance - floor) / room))
            + of_atr * clamp01(atr / _HIGH_ATR_BPS)
        )
        reasons: tuple[ReasonCode, ...] = ()
        if spread > widest:
            reasons += _TOO_WIDE
        if balance < floor:
            reasons += _AGAINST
        if edge < least:
            reasons += _TOO_LITTLE
        scored.append((bool(reasons), -round_x10000(score), item.symbol, reasons, item))
    scored.sort()
    return tuple(
        [
            Ranked(
                symbol=symbol,
                rank=rank,
                score_x10000=-score,
                reasons=reasons,
                measured=item,
            )
            for rank, (_, score, symbol, reasons, item) in enumerate(scored, start=1)
        ]
    )


def _is_traded_for(info: SymbolInfo, quote_asset: str) -> bool:
    return info.quote_asset == quote_asset and info.spot_allowed


def _unfitness(info: SymbolInfo) -> tuple[ReasonCode, ...]:
    """The symbol's own reasons that keep it out.

    A symbol on which no stop can be placed is not bought, and only names that can safely be signed,
    logged and displayed are traded.
    """
    rules = (
        (info.is_trading, ReasonCode.SYMBOL_NOT_TRADING),
        (
            info.constraints is not None
            and not info.problem
            and not _STOPS.isdisjoint(info.order_types),
            ReasonCode.PROTECTION_INVALID_FILTER,
        ),
        (info.symbol.isascii() and info.symbol.isalnum(), ReasonCode.SYMBOL_QUARANTINED),
    )
    return tuple(code for holds, code in rules if not holds)


def _quietness(day: Ticker24h, settings: SelectionSettings) -> tuple[ReasonCode, ...]:
    """The reasons of its last day that keep a symbol out."""
    rules = (
        (day.quote_volume >= settings.min_quote_volume_24h, ReasonCode.UNIVERSE_VOLUME_LOW),
        (day.trades >= settings.min_trades_24h, ReasonCode.UNIVERSE_TRADES_LOW),
        (day.price_change_bps >= settings.min_price_change_bps, ReasonCode.UNIVERSE_MOMENTUM_LOW),
    )
    return tuple(code for holds, code in rules if not holds)


@lru_cache(maxsize=16)
def _floats(weights: tuple[Decimal, ...]) -> tuple[float, ...]:
    """The weights as floats; cached, since they are the same in every cycle."""
    return tuple(float(weight) for weight in weights)


def _day_spread(day: Ticker24h) -> float | None:
    """The spread in bps; None when the day's ticker has no two-sided book."""
    bid, ask = float(day.bid), float(day.ask)
    # Prices that differ as floats differ as decimals; only equal floats need the decimals.
    if 0.0 < bid < ask or ZERO < day.bid <= day.ask:
        return spread_between(bid, ask)
    return None


def _day_features(ticker: Ticker24h) -> dict[str, int | str | Decimal]:
    return {
        "quote_volume": ticker.quote_volume,
        "price_change_bps": ticker.price_change_bps,
        "spread_x10000": round((_day_spread(ticker) or 0.0) * 10_000),
    }


def _deep_features(item: DeepFeatures) -> dict[str, int | str | Decimal]:
    micro, regime = item.microstructure, item.regime
    if not item.warm or micro is None or regime is None:
        return {}
    spread = micro.spread_current_bps
    return {
        "edge_estimate_bps": item.atr14_5m_bps - cost_of_visit(item.cost_inputs, spread),
        "atr14_5m_bps": item.atr14_5m_bps,
        "spread_current_bps": spread,
        "spread_p50_bps": micro.spread_bps_p50_60s,
        "spread_p90_bps": micro.spread_bps_p90_60s,
        "delta_spread_p90_bps": micro.delta_spread_bps_p90_10s,
        "imbalance_x10000": micro.bid_ask_imbalance_p50_10s_x10000,
        "regime": regime.label.value,
        "direction": regime.direction.value,
        "trend_score_x10000": regime.trend_score_x10000,
        "range_score_x10000": regime.range_score_x10000,
    }


def _regime_score(regime: Leaning) -> int:
    """The score of the regime's own label; 0 in an unclear market or a falling trend."""
    label = regime.label
    if label is _TREND:
        return regime.trend_score_x10000 if regime.direction is _BULL else 0
    return regime.range_score_x10000 if label is _RANGE else 0
