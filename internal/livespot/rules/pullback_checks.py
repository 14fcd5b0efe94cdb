"""The checks, the edge score and the reward of the pullback strategy."""

from decimal import ROUND_CEILING, Decimal
from enum import StrEnum, auto

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
_NO_EXITS = edge.Exits(sl_bps=0, tp_bps=0, trailing_bps=0)


class Assessment(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of all checks on one snapshot.

    `label` is the active regime, UNCLEAR without one; then exits, cost and edge are not defined
    and read zero. So does whatever would need a missing or invalid value.
    """

    label: RegimeLabel
    failed: tuple[ReasonCode, ...]
    passed: tuple[ReasonCode, ...]
    exits: edge.Exits
    cost_bps: int
    edge_bps: int
    score_x10000: int
    pullback_bps: Decimal


class _Field(StrEnum):
    """A reading that a check may need."""

    SPREAD = auto()
    VOLUME = auto()
    REGIME = auto()
    EMA = auto()
    ATR = auto()


class _Tally:
    """What failed and what passed so far, each in the order of the checks."""

    def __init__(self) -> None:
        self.failed: list[ReasonCode] = []
        self.passed: list[ReasonCode] = []

    def judge(self, good: bool, passed: ReasonCode, failed: ReasonCode) -> None:  # noqa: FBT001
        (self.passed if good else self.failed).append(passed if good else failed)


def assess(snapshot: Snapshot, settings: Settings, *, taker_entry: bool = False) -> Assessment:
    """Every check, in order, none skipped because another failed.

    What cannot be judged is left out and counts neither way: a check whose own input is missing or
    invalid, and exits and edge without exactly one active regime, because only a regime has
    multiples.
    """
    strategy, tally = settings.strategy, _Tally()
    unusable = _check_inputs(snapshot, strategy, tally)
    label = RegimeLabel.UNCLEAR if _Field.REGIME in unusable else active_regime(snapshot, strategy)
    _check_market(snapshot, strategy, label, unusable, tally)
    if _Field.REGIME not in unusable:
        _check_regime(snapshot, label, tally)
    pullback = ZERO
    if _Field.EMA not in unusable:
        pullback = pullback_bps(snapshot)
        tally.judge(
            strategy.pullback_min <= pullback <= strategy.pullback_max,
            ReasonCode.STRAT_PULLBACK_OK,
            ReasonCode.STRAT_PULLBACK_FAIL,
        )
    exits, cost, margin = _NO_EXITS, 0, 0
    if label is not RegimeLabel.UNCLEAR and _Field.ATR not in unusable:
        exits = edge.exits_of(label, snapshot.volatility.atr14_5m_bps, settings.exit)
        tally.judge(exits.are_sane, ReasonCode.STRAT_EXIT_ATR_TP_SL, ReasonCode.STRAT_EXIT_INVALID)
        if _Field.SPREAD not in unusable:
            cost = _cost_bps(snapshot, taker_entry=taker_entry)
            margin = edge.edge_bps(exits, cost)
            tally.judge(
                margin >= min_edge_bps(label, strategy),
                ReasonCode.STRAT_EDGE_OK,
                ReasonCode.STRAT_EDGE_BELOW_MIN,
            )
    return Assessment(
        label=label,
        failed=tuple(tally.failed),
        passed=tuple(tally.passed),
        exits=exits,
        cost_bps=cost,
        edge_bps=margin,
        score_x10000=0 if unusable else edge_score_x10000(snapshot, strategy, label, pullback),
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


def _check_inputs(
    snapshot: Snapshot, settings: StrategySettings, tally: _Tally
) -> frozenset[_Field]:
    """The readings that no check may use; both codes when one is missing and another bad.

    A short history of candles leaves neither a mean volume nor an average price.
    """
    window = settings.volume_ratio_window
    mean = mean_volume([candle.volume for candle in snapshot.candles_5m[-window:]], window)
    missing = {
        _Field.REGIME: not snapshot.regime.frames.keys() >= _FRAMES,
        _Field.EMA: len(snapshot.candles_5m) < EMA_CANDLES,
        _Field.VOLUME: mean is None,
    }
    invalid = {
        _Field.SPREAD: snapshot.microstructure.spread_current_bps <= 0,
        _Field.ATR: snapshot.volatility.atr14_5m_bps <= 0,
        _Field.EMA: snapshot.ema20_5m <= 0,
        _Field.VOLUME: mean is not None and mean <= 0,
    }
    if any(missing.values()):
        tally.failed.append(ReasonCode.STRAT_MISSING_FIELD)
    if any(invalid.values()):
        tally.failed.append(ReasonCode.STRAT_INPUT_INVALID)
    return frozenset(field for field in _Field if missing.get(field) or invalid.get(field))


def _check_market(
    snapshot: Snapshot,
    settings: StrategySettings,
    label: RegimeLabel,
    unusable: frozenset[_Field],
    tally: _Tally,
) -> None:
    """Spread, its opening, imbalance and volume; a range is held to stricter limits."""
    micro = snapshot.microstructure
    spread, least_volume = micro.spread_current_bps, settings.min_volume_ratio
    if label is RegimeLabel.RANGE:
        spread, least_volume = 2 * spread, least_volume * _RANGE_STRICTER_VOLUME
    quiet = spread <= settings.max_spread_entry_bps
    steady = micro.delta_spread_bps_p90_10s <= settings.max_delta_spread_bps_10s
    if not quiet and _Field.SPREAD not in unusable:
        tally.failed.append(ReasonCode.STRAT_SPREAD_TOO_WIDE)
    if not steady:
        tally.failed.append(ReasonCode.STRAT_SPREAD_OPENING)
    if quiet and steady and _Field.SPREAD not in unusable:
        tally.passed.append(ReasonCode.STRAT_MICROSTRUCT_OK)
    tally.judge(
        micro.bid_ask_imbalance_p50_10s_x10000 >= settings.min_imbalance_buy,
        ReasonCode.STRAT_IMBALANCE_OK,
        ReasonCode.STRAT_IMBALANCE_AGAINST,
    )
    if _Field.VOLUME not in unusable:
        tally.judge(
            snapshot.volume_ratio_5m_x10000 >= least_volume * BPS,
            ReasonCode.STRAT_VOLUME_OK,
            ReasonCode.STRAT_VOLUME_LOW,
        )


def _check_regime(snapshot: Snapshot, label: RegimeLabel, tally: _Tally) -> None:
    match label:
        case RegimeLabel.TREND:
            tally.passed.append(ReasonCode.STRAT_REGIME_TREND_OK)
        case RegimeLabel.RANGE:
            tally.passed.append(ReasonCode.STRAT_REGIME_RANGE_OK)
        case RegimeLabel.UNCLEAR:
            tally.failed.append(ReasonCode.STRAT_REGIME_WEAK)
            regime = snapshot.regime
            if regime.label is RegimeLabel.TREND and regime.direction is Direction.BEAR:
                tally.failed.append(ReasonCode.REGIME_NO_TRADE)


def _cost_bps(snapshot: Snapshot, *, taker_entry: bool) -> int:
    return edge.cost_bps(snapshot.cost_inputs, snapshot.microstructure, taker_entry=taker_entry)
