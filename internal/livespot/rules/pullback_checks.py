"""The checks, the edge score and the reward of the pullback strategy."""

from decimal import ROUND_CEILING, Decimal

import msgspec

from livespot.contracts.amounts import BPS, ZERO, clamp01, round_x10000
from livespot.contracts.codes import ReasonCode
from livespot.contracts.market import Snapshot
from livespot.contracts.settings import Settings, StrategySettings
from livespot.contracts.vocabulary import Direction, Interval, RegimeLabel
from livespot.rules import edge
from livespot.rules.indicators import EMA_CANDLES, mean_volume

_RANGE_STRICTER_VOLUME = Decimal("1.1")
_RANGE_STRICTER_EDGE = Decimal("1.5")
_RANGE_DISCOUNT = 0.7
_FRAMES = frozenset(Interval)


class Assessment(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of all checks on one snapshot.

    `label` is the active regime, UNCLEAR without one; then exits, cost and edge are not defined
    and read zero.
    """

    label: RegimeLabel
    failed: tuple[ReasonCode, ...]
    passed: tuple[ReasonCode, ...]
    exits: edge.Exits
    cost_bps: int
    edge_bps: int
    score_x10000: int
    pullback_bps: Decimal


def assess(snapshot: Snapshot, settings: Settings, *, taker_entry: bool = False) -> Assessment:
    """Every check, in order, none skipped because another failed.

    Without exactly one active regime the exits have no multiples, so the checks on exits and edge
    do not apply; with missing or invalid input nothing else can be computed.
    """
    unusable = _unusable(snapshot, settings.strategy)
    if unusable:
        return _nothing(unusable)
    label = active_regime(snapshot, settings.strategy)
    pullback = pullback_bps(snapshot)
    failed: list[ReasonCode] = []
    passed: list[ReasonCode] = []
    _check_market(snapshot, settings.strategy, label, failed, passed)
    _check_regime(snapshot, label, failed, passed)
    if settings.strategy.pullback_min <= pullback <= settings.strategy.pullback_max:
        passed.append(ReasonCode.STRAT_PULLBACK_OK)
    else:
        failed.append(ReasonCode.STRAT_PULLBACK_FAIL)
    exits, cost, margin = edge.Exits(sl_bps=0, tp_bps=0, trailing_bps=0), 0, 0
    if label is not RegimeLabel.UNCLEAR:
        exits = edge.exits_of(label, snapshot.volatility.atr14_5m_bps, settings.exit)
        cost = edge.cost_bps(snapshot.cost_inputs, snapshot.microstructure, taker_entry=taker_entry)
        margin = edge.edge_bps(exits, cost)
        _check_reward(exits, margin, min_edge_bps(label, settings.strategy), failed, passed)
    return Assessment(
        label=label,
        failed=tuple(failed),
        passed=tuple(passed),
        exits=exits,
        cost_bps=cost,
        edge_bps=margin,
        score_x10000=edge_score_x10000(snapshot, settings.strategy, label, pullback),
        pullback_bps=pullback,
    )


def active_regime(snapshot: Snapshot, settings: StrategySettings) -> RegimeLabel:
    """TREND upwards or RANGE, each at its threshold; UNCLEAR otherwise."""
    regime = snapshot.regime
    if (
        regime.label is RegimeLabel.TREND
        and regime.direction is Direction.BULL
        and regime.trend_score_x10000 >= settings.trend_threshold
    ):
        return RegimeLabel.TREND
    if regime.label is RegimeLabel.RANGE and regime.range_score_x10000 >= settings.range_threshold:
        return RegimeLabel.RANGE
    return RegimeLabel.UNCLEAR


def pullback_bps(snapshot: Snapshot) -> Decimal:
    """How far the last price lies below the EMA, unrounded."""
    return (snapshot.ema20_5m - snapshot.prices.last_price) / snapshot.ema20_5m * BPS


def min_edge_bps(label: RegimeLabel, settings: StrategySettings) -> int:
    """The regime's own minimum; RANGE asks half as much again, rounded up."""
    if label is not RegimeLabel.RANGE:
        return settings.min_edge_bps
    stricter = _RANGE_STRICTER_EDGE * settings.min_edge_bps
    return int(stricter.to_integral_value(rounding=ROUND_CEILING))


def edge_score_x10000(
    snapshot: Snapshot, settings: StrategySettings, label: RegimeLabel, pullback: Decimal
) -> int:
    """Weighted quality of regime, pullback, microstructure and volume, 0..10000."""
    micro = snapshot.microstructure
    ratio, least = snapshot.volume_ratio_5m_x10000 / 10_000, float(settings.min_volume_ratio)
    spread_part = clamp01(1 - micro.spread_current_bps / settings.max_spread_entry_bps)
    delta_part = clamp01(1 - micro.delta_spread_bps_p90_10s / settings.max_delta_spread_bps_10s)
    floor = settings.min_imbalance_buy
    imbalance_part = clamp01((micro.bid_ask_imbalance_p50_10s_x10000 - floor) / (10_000 - floor))
    parts = (
        _regime_part(snapshot, settings, label),
        clamp01(
            (float(pullback) - settings.pullback_min)
            / (settings.pullback_max - settings.pullback_min)
        ),
        0.5 * spread_part + 0.25 * delta_part + 0.25 * imbalance_part,
        clamp01((ratio - least) / (max(2.0, least + 0.8) - least)),
    )
    return round_x10000(
        sum(float(weight) * part for weight, part in zip(settings.weights, parts, strict=True))
    )


def _regime_part(snapshot: Snapshot, settings: StrategySettings, label: RegimeLabel) -> float:
    regime = snapshot.regime
    match label:
        case RegimeLabel.TREND:
            threshold = settings.trend_threshold
            return clamp01((regime.trend_score_x10000 - threshold) / (10_000 - threshold))
        case RegimeLabel.RANGE:
            threshold = settings.range_threshold
            return _RANGE_DISCOUNT * clamp01(
                (regime.range_score_x10000 - threshold) / (10_000 - threshold)
            )
        case RegimeLabel.UNCLEAR:
            return 0.0


def _unusable(snapshot: Snapshot, settings: StrategySettings) -> tuple[ReasonCode, ...]:
    window = settings.volume_ratio_window
    mean = mean_volume([candle.volume for candle in snapshot.candles_5m[-window:]], window)
    if (
        mean is None
        or len(snapshot.candles_5m) < EMA_CANDLES
        or not snapshot.regime.frames.keys() >= _FRAMES
    ):
        return (ReasonCode.STRAT_MISSING_FIELD,)
    if (
        snapshot.microstructure.spread_current_bps <= 0
        or snapshot.volatility.atr14_5m_bps <= 0
        or snapshot.ema20_5m <= 0
        or mean <= 0
    ):
        return (ReasonCode.STRAT_INPUT_INVALID,)
    return ()


def _check_market(
    snapshot: Snapshot,
    settings: StrategySettings,
    label: RegimeLabel,
    failed: list[ReasonCode],
    passed: list[ReasonCode],
) -> None:
    """Spread, its opening, imbalance and volume; a range is held to stricter limits."""
    micro = snapshot.microstructure
    spread, least_volume = micro.spread_current_bps, settings.min_volume_ratio
    if label is RegimeLabel.RANGE:
        spread, least_volume = 2 * spread, least_volume * _RANGE_STRICTER_VOLUME
    quiet = spread <= settings.max_spread_entry_bps
    steady = micro.delta_spread_bps_p90_10s <= settings.max_delta_spread_bps_10s
    if not quiet:
        failed.append(ReasonCode.STRAT_SPREAD_TOO_WIDE)
    if not steady:
        failed.append(ReasonCode.STRAT_SPREAD_OPENING)
    if quiet and steady:
        passed.append(ReasonCode.STRAT_MICROSTRUCT_OK)
    bid_heavy = micro.bid_ask_imbalance_p50_10s_x10000 >= settings.min_imbalance_buy
    (passed if bid_heavy else failed).append(
        ReasonCode.STRAT_IMBALANCE_OK if bid_heavy else ReasonCode.STRAT_IMBALANCE_AGAINST
    )
    busy = snapshot.volume_ratio_5m_x10000 >= least_volume * BPS
    (passed if busy else failed).append(
        ReasonCode.STRAT_VOLUME_OK if busy else ReasonCode.STRAT_VOLUME_LOW
    )


def _check_regime(
    snapshot: Snapshot,
    label: RegimeLabel,
    failed: list[ReasonCode],
    passed: list[ReasonCode],
) -> None:
    match label:
        case RegimeLabel.TREND:
            passed.append(ReasonCode.STRAT_REGIME_TREND_OK)
        case RegimeLabel.RANGE:
            passed.append(ReasonCode.STRAT_REGIME_RANGE_OK)
        case RegimeLabel.UNCLEAR:
            failed.append(ReasonCode.STRAT_REGIME_WEAK)
            regime = snapshot.regime
            if regime.label is RegimeLabel.TREND and regime.direction is Direction.BEAR:
                failed.append(ReasonCode.REGIME_NO_TRADE)


def _check_reward(
    exits: edge.Exits,
    margin: int,
    least: int,
    failed: list[ReasonCode],
    passed: list[ReasonCode],
) -> None:
    (passed if exits.are_sane else failed).append(
        ReasonCode.STRAT_EXIT_ATR_TP_SL if exits.are_sane else ReasonCode.STRAT_EXIT_INVALID
    )
    enough = margin >= least
    (passed if enough else failed).append(
        ReasonCode.STRAT_EDGE_OK if enough else ReasonCode.STRAT_EDGE_BELOW_MIN
    )


def _nothing(failed: tuple[ReasonCode, ...]) -> Assessment:
    return Assessment(
        label=RegimeLabel.UNCLEAR,
        failed=failed,
        passed=(),
        exits=edge.Exits(sl_bps=0, tp_bps=0, trailing_bps=0),
        cost_bps=0,
        edge_bps=0,
        score_x10000=0,
        pullback_bps=ZERO,
    )
