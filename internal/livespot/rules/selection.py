"""From all symbols to the few worth watching: universe, ranking, deep scan, choice."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeAlias

from livespot.contracts.amounts import clamp01, round_x10000
from livespot.contracts.codes import ReasonCode
from livespot.contracts.market import DeepFeatures, Regime, Returns, SymbolInfo, Ticker24h
from livespot.contracts.settings import SelectionSettings
from livespot.contracts.vocabulary import Direction, RegimeLabel
from livespot.rules.correlation import correlation_x10000, has_too_many_missing
from livespot.rules.edge import cost_of_visit
from livespot.rules.microstructure import spread_bps

_GOOD_EDGE_BPS = 40
_HIGH_ATR_BPS = 200
Features: TypeAlias = dict[str, int | str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Eligibility:
    """One symbol of the universe; no reasons means eligible."""

    symbol: str
    reasons: tuple[ReasonCode, ...]
    ticker: Ticker24h | None

    @property
    def is_eligible(self) -> bool:
        return not self.reasons


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """One symbol's place; `rank` counts from 1, `dropped` ones have a reason."""

    symbol: str
    rank: int
    score_x10000: int
    reasons: tuple[ReasonCode, ...]
    features: dict[str, int | str | Decimal]

    @property
    def dropped(self) -> bool:
        return bool(self.reasons)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One candidate for the watch list; `incumbent_cycles` counts from its last choosing.

    `features` tell what it was measured against, where another symbol stood in its way.
    """

    symbol: str
    rank: int
    score_x10000: int
    chosen: bool
    incumbent_cycles: int
    reasons: tuple[ReasonCode, ...]
    features: Features = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """Why a candidate is kept off the watch list."""

    reasons: tuple[ReasonCode, ...]
    features: Features = field(default_factory=dict)


def universe(
    infos: Mapping[str, SymbolInfo],
    tickers: Sequence[Ticker24h],
    quarantined: Collection[str],
    settings: SelectionSettings,
    *,
    quote_asset: str,
) -> tuple[Eligibility, ...]:
    """Every spot symbol of the quote asset, by name, with each reason that keeps it out."""
    by_symbol = {ticker.symbol: ticker for ticker in tickers}
    return tuple(
        Eligibility(
            symbol=name,
            reasons=_exclusions(
                info, by_symbol.get(name), settings, quarantined=name in quarantined
            ),
            ticker=by_symbol.get(name),
        )
        for name, info in sorted(infos.items())
        if info.quote_asset == quote_asset and info.spot_allowed
    )


def delisted(symbols: Iterable[str]) -> list[Eligibility]:
    """Symbols that the exchange no longer lists: out, for the reason of not being traded."""
    reasons = (ReasonCode.SYMBOL_NOT_TRADING,)
    return [Eligibility(symbol=name, reasons=reasons, ticker=None) for name in sorted(symbols)]


def rank(eligible: Sequence[Eligibility], settings: SelectionSettings) -> tuple[Ranked, ...]:
    """All eligible by volume, rise and spread of the day, best first; ties break by name.

    The first `topn` are wanted; those behind them carry their reason. A symbol without a two-sided
    book in the day's answer ranks as the widest.
    """
    tickers = [e.ticker for e in eligible if e.is_eligible and e.ticker is not None]
    if not tickers:
        return ()
    spreads = {t.symbol: _day_spread(t) for t in tickers}
    known = [spread for spread in spreads.values() if spread is not None]
    widest = max(known, default=0.0)
    most = max(float(t.quote_volume) for t in tickers)
    highest = max(max(0, t.price_change_bps) for t in tickers)
    weights = [float(weight) for weight in settings.rank_weights]
    scored: list[tuple[int, str, Ticker24h]] = []
    for ticker in tickers:
        spread = spreads[ticker.symbol]
        parts = (
            float(ticker.quote_volume) / most if most > 0 else 0.0,
            max(0, ticker.price_change_bps) / highest if highest > 0 else 0.0,
            0.0 if spread is None else (1 - spread / widest if widest > 0 else 1.0),
        )
        score = sum(weight * part for weight, part in zip(weights, parts, strict=True))
        scored.append((round_x10000(score), ticker.symbol, ticker))
    scored.sort(key=lambda item: (-item[0], item[1]))
    return tuple(
        Ranked(
            symbol=symbol,
            rank=place,
            score_x10000=score,
            reasons=() if place <= settings.topn else (ReasonCode.UNIVERSE_RANK_LOW,),
            features={
                "quote_volume": ticker.quote_volume,
                "price_change_bps": ticker.price_change_bps,
                "spread_x10000": round((spreads[symbol] or 0.0) * 10_000),
            },
        )
        for place, (score, symbol, ticker) in enumerate(scored, start=1)
    )


def deep_scan(features: Sequence[DeepFeatures], settings: SelectionSettings) -> tuple[Ranked, ...]:
    """Scores of the attached symbols, best first; those that were cut follow with their reasons."""
    scored = [_deep(item, settings) for item in features]
    scored.sort(key=lambda item: (item.dropped, -item.score_x10000, item.symbol))
    return tuple(
        Ranked(
            symbol=item.symbol,
            rank=place,
            score_x10000=item.score_x10000,
            reasons=item.reasons,
            features=item.features,
        )
        for place, item in enumerate(scored, start=1)
    )


def choose(
    ranked: Sequence[Ranked],
    returns: Mapping[str, Returns],
    incumbents: Mapping[str, int],
    held: Collection[str],
    settings: SelectionSettings,
) -> tuple[Choice, ...]:
    """The watch list: symbols held, then the best `topk` that are not too alike.

    `incumbents` maps each symbol of the present list to the selection cycles since it was chosen.
    A young one keeps its place against a challenger less than the guard's margin better. Held
    symbols stay whatever their score and take places of the `topk`.
    """
    by_symbol = {item.symbol: item for item in ranked}
    chosen: list[str] = sorted(held)
    verdicts: dict[str, _Kept] = {}
    for item in sorted(ranked, key=lambda item: _precedence(item, incumbents, settings)):
        if item.symbol in held:
            continue
        kept_off = _Kept(reasons=item.reasons) if item.dropped else None
        if kept_off is None and len(chosen) < settings.topk:
            kept_off = _alike(item.symbol, chosen, returns, settings)
        elif kept_off is None:
            taken = [by_symbol[s] for s in chosen if s not in held]
            kept_off = _crowded_out(item, taken, incumbents, settings)
        if kept_off is None:
            chosen.append(item.symbol)
        else:
            verdicts[item.symbol] = kept_off
    best_first = sorted(
        (by_symbol[symbol] for symbol in chosen if symbol not in held),
        key=lambda item: (-item.score_x10000, item.symbol),
    )
    chosen = [*sorted(held), *(item.symbol for item in best_first)]
    kept = [
        _choice(symbol, place, by_symbol.get(symbol), incumbents.get(symbol, 0), chosen=True)
        for place, symbol in enumerate(chosen, start=1)
    ]
    left = [
        Choice(
            symbol=symbol,
            rank=place,
            score_x10000=by_symbol[symbol].score_x10000,
            chosen=False,
            incumbent_cycles=incumbents.get(symbol, 0),
            reasons=kept_off.reasons,
            features=kept_off.features,
        )
        for place, (symbol, kept_off) in enumerate(verdicts.items(), start=len(kept) + 1)
    ]
    return (*kept, *left)


def _exclusions(
    info: SymbolInfo, ticker: Ticker24h | None, settings: SelectionSettings, *, quarantined: bool
) -> tuple[ReasonCode, ...]:
    rules = [
        (info.is_trading, ReasonCode.SYMBOL_NOT_TRADING),
        (
            info.constraints is not None and not info.problem,
            ReasonCode.PROTECTION_INVALID_FILTER,
        ),
        (not quarantined and _is_plain(info.symbol), ReasonCode.SYMBOL_QUARANTINED),
    ]
    if ticker is None:
        rules.append((False, ReasonCode.STRAT_MISSING_FIELD))
    else:
        rules += [
            (
                ticker.quote_volume >= settings.min_quote_volume_24h,
                ReasonCode.UNIVERSE_VOLUME_LOW,
            ),
            (ticker.trades >= settings.min_trades_24h, ReasonCode.UNIVERSE_TRADES_LOW),
            (
                ticker.price_change_bps >= settings.min_price_change_bps,
                ReasonCode.UNIVERSE_MOMENTUM_LOW,
            ),
        ]
    return tuple(code for holds, code in rules if not holds)


def _is_plain(symbol: str) -> bool:
    """Only names that can be signed, logged and shown without surprises are traded."""
    return symbol.isascii() and symbol.isalnum()


def _day_spread(ticker: Ticker24h) -> float | None:
    if ticker.bid <= 0 or ticker.ask < ticker.bid:
        return None
    return spread_bps(ticker.bid, ticker.ask)


def _deep(item: DeepFeatures, settings: SelectionSettings) -> Ranked:
    micro, regime = item.microstructure, item.regime
    if not item.warm or micro is None or regime is None:
        return Ranked(
            symbol=item.symbol,
            rank=0,
            score_x10000=0,
            reasons=(ReasonCode.STRAT_WARMUP,),
            features={},
        )
    spread, balance = micro.spread_current_bps, micro.bid_ask_imbalance_p50_10s_x10000
    edge = item.atr14_5m_bps - cost_of_visit(item.cost_inputs, spread)
    rules = (
        (spread <= settings.deep_max_spread_bps, ReasonCode.STRAT_SPREAD_TOO_WIDE),
        (balance >= settings.deep_min_imbalance_x10000, ReasonCode.STRAT_IMBALANCE_AGAINST),
        (edge >= settings.deep_min_edge_bps, ReasonCode.STRAT_EDGE_BELOW_MIN),
    )
    floor = settings.deep_min_imbalance_x10000
    micro_part = 0.6 * (1 - spread / settings.deep_max_spread_bps) + 0.4 * (
        (balance - floor) / max(1, 10_000 - floor)
    )
    parts = (
        clamp01(edge / _GOOD_EDGE_BPS),
        _regime_score(regime) / 10_000,
        clamp01(micro_part),
        clamp01(item.atr14_5m_bps / _HIGH_ATR_BPS),
    )
    weights = [float(weight) for weight in settings.deep_weights]
    score = sum(weight * part for weight, part in zip(weights, parts, strict=True))
    return Ranked(
        symbol=item.symbol,
        rank=0,
        score_x10000=round_x10000(score),
        reasons=tuple(code for holds, code in rules if not holds),
        features={
            "edge_estimate_bps": edge,
            "atr14_5m_bps": item.atr14_5m_bps,
            "spread_current_bps": spread,
            "spread_p50_bps": micro.spread_bps_p50_60s,
            "spread_p90_bps": micro.spread_bps_p90_60s,
            "delta_spread_p90_bps": micro.delta_spread_bps_p90_10s,
            "imbalance_x10000": balance,
            "regime": regime.label.value,
            "direction": regime.direction.value,
            "trend_score_x10000": regime.trend_score_x10000,
            "range_score_x10000": regime.range_score_x10000,
        },
    )


def _regime_score(regime: Regime) -> int:
    """The label's own score; nothing for an unclear market or a falling trend."""
    match regime.label:
        case RegimeLabel.TREND:
            return regime.trend_score_x10000 if regime.direction is Direction.BULL else 0
        case RegimeLabel.RANGE:
            return regime.range_score_x10000
        case RegimeLabel.UNCLEAR:
            return 0


def _precedence(
    item: Ranked, incumbents: Mapping[str, int], settings: SelectionSettings
) -> tuple[bool, int, bool, str]:
    """Best first; a young incumbent counts as better by the guard's margin, and loses a tie."""
    guarded = _is_guarded(item.symbol, incumbents, settings)
    bonus = settings.churn_guard_min_score_delta_x10000 if guarded else 0
    return (item.dropped, -(item.score_x10000 + bonus), guarded, item.symbol)


def _is_guarded(symbol: str, incumbents: Mapping[str, int], settings: SelectionSettings) -> bool:
    """Whether it was chosen so lately that only a clearly better symbol may replace it."""
    guard = settings.churn_guard_min_cycles
    return incumbents.get(symbol, guard) < guard


def _crowded_out(
    item: Ranked,
    taken: Sequence[Ranked],
    incumbents: Mapping[str, int],
    settings: SelectionSettings,
) -> _Kept:
    """Who has the places: better ones, or a young incumbent that this one does not beat clearly."""
    weaker = [
        other
        for other in taken
        if other.score_x10000 < item.score_x10000
        and _is_guarded(other.symbol, incumbents, settings)
    ]
    features: Features = {"places": settings.topk}
    if weaker:
        kept = min(weaker, key=lambda other: (other.score_x10000, other.symbol))
        features |= {
            "kept": kept.symbol,
            "kept_score_x10000": kept.score_x10000,
            "kept_cycles": incumbents[kept.symbol],
        }
        return _Kept(reasons=(ReasonCode.WATCHLIST_CHURN_GUARD,), features=features)
    if taken:
        last = min(taken, key=lambda other: (other.score_x10000, other.symbol))
        features |= {"last": last.symbol, "last_score_x10000": last.score_x10000}
    return _Kept(reasons=(ReasonCode.WATCHLIST_FULL,), features=features)


def _alike(
    symbol: str, chosen: Sequence[str], returns: Mapping[str, Returns], settings: SelectionSettings
) -> _Kept | None:
    """Why a candidate is too close to what is chosen, once enough symbols are together."""
    own = returns.get(symbol)
    if own is None or has_too_many_missing(own, settings.corr_missing_max_pct):
        missing = 0 if own is None else own.missing_count
        return _Kept(reasons=(ReasonCode.DATA_GAP_DETECTED,), features={"returns_missing": missing})
    if len(chosen) + 1 < settings.corr_min_symbols:
        return None
    for other in chosen:
        theirs = returns.get(other)
        if theirs is None:
            continue
        value = correlation_x10000(own.log_return_bps, theirs.log_return_bps)
        if abs(value) >= settings.corr_max_x10000:
            return _Kept(
                reasons=(ReasonCode.RISK_DIVERSIFY_APPLIED,),
                features={"like": other, "correlation_x10000": value},
            )
    return None


def _choice(symbol: str, place: int, item: Ranked | None, cycles: int, *, chosen: bool) -> Choice:
    return Choice(
        symbol=symbol,
        rank=place,
        score_x10000=item.score_x10000 if item is not None else 0,
        chosen=chosen,
        incumbent_cycles=cycles,
        reasons=item.reasons if item is not None else (),
    )
