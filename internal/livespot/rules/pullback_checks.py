"""The checks, the edge score and the reward of the pullback strategy."""

from decimal import Decimal
from operator import mul
from typing import NamedTuple

import msgspec

from livespot.contracts.amounts import BPS, ZERO, clamp01, round_x10000
from livespot.contracts.canonical import once_per_object
from livespot.contracts.codes import ReasonCode
from livespot.contracts.market import Snapshot
from livespot.contracts.settings import Settings, StrategySettings
from livespot.contracts.vocabulary import Direction, Interval, RegimeLabel
from livespot.rules import edge
from livespot.rules.indicators import EMA_CANDLES

_RANGE_STRICTER_VOLUME = Decimal("1.1")
_RANGE_DISCOUNT = 0.7
_FRAMES = frozenset(Interval)
_NO_EXITS = edge.Exits(sl_bps=0, tp_bps=0, trailing_bps=0)
# Bound once: looking up an enum member costs more than a call.
_TREND, _RANGE, _UNCLEAR = RegimeLabel.TREND, RegimeLabel.RANGE, RegimeLabel.UNCLEAR
# The code of a check that passes, and of one that fails.
_Codes = tuple[ReasonCode, ReasonCode]
_IMBALANCE: _Codes = ReasonCode.STRAT_IMBALANCE_OK, ReasonCode.STRAT_IMBALANCE_AGAINST
_VOLUME: _Codes = ReasonCode.STRAT_VOLUME_OK, ReasonCode.STRAT_VOLUME_LOW
_PULLBACK: _Codes = ReasonCode.STRAT_PULLBACK_OK, ReasonCode.STRAT_PULLBACK_FAIL
_EXITS: _Codes = ReasonCode.STRAT_EXIT_ATR_TP_SL, ReasonCode.STRAT_EXIT_INVALID
_EDGE: _Codes = ReasonCode.STRAT_EDGE_OK, ReasonCode.STRAT_EDGE_BELOW_MIN
_QUIET, _WIDE = ReasonCode.STRAT_MICROSTRUCT_OK, ReasonCode.STRAT_SPREAD_TOO_WIDE
_OPENING, _WEAK = ReasonCode.STRAT_SPREAD_OPENING, ReasonCode.STRAT_REGIME_WEAK
_IN_TREND, _IN_RANGE = ReasonCode.STRAT_REGIME_TREND_OK, ReasonCode.STRAT_REGIME_RANGE_OK


class Assessment(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of all checks on one snapshot.

    `label` is the active regime, UNCLEAR without one; exits, cost and edge are then zero, as is
    every figure that would need a missing or invalid value.
    """

    label: RegimeLabel
    failed: tuple[ReasonCode, ...]
    passed: tuple[ReasonCode, ...]
    exits: edge.Exits
    cost_bps: int
    edge_bps: int
    score_x10000: int
    pullback_bps: Decimal


class _Usable(NamedTuple):
    """Which of the readings that the checks need are present and valid."""

    spread: bool
    volume: bool
    regime: bool
    ema: bool
    atr: bool


class _Tally:
    """What failed and what passed so far, each in the order of the checks."""

    __slots__ = ("failed", "passed")

    def __init__(self) -> None:
        self.failed: list[ReasonCode] = []
        self.passed: list[ReasonCode] = []

    def judge(self, good: bool, codes: _Codes) -> None:  # noqa: FBT001
        passed, failed = codes
        if good:
            self.passed.append(passed)
        else:
            self.failed.append(failed)


def assess(snapshot: Snapshot, settings: Settings, *, taker_entry: bool = False) -> Assessment:
    """Every check, in order, none skipped because another failed.

    A check that cannot be made is left out and counts neither way: one whose own input is missing
    or invalid, and those of exits and edge without exactly one active regime, since the multiples
    of the ATR depend on it.
    """
    strategy, tally = settings.strategy, _Tally()
    usable = _check_inputs(snapshot, strategy, tally)
    label = active_regime(snapshot, strategy) if usable.regime else _UNCLEAR
    _check_market(snapshot, strategy, label, usable, tally)
    if usable.regime:
        _check_regime(snapshot, label, tally)
    pullback = ZERO
    if usable.ema:
        pullback = pullback_bps(snapshot)
        tally.judge(strategy.pullback_min <= pullback <= strategy.pullback_max, _PULLBACK)
    exits, cost, margin = _NO_EXITS, 0, 0
    if label is not _UNCLEAR and usable.atr:
        exits = edge.exits_of(label, snapshot.volatility.atr14_5m_bps, settings.exit)
        tally.judge(exits.are_sane, _EXITS)
        if usable.spread:
            cost = edge.cost_bps(
                snapshot.cost_inputs, snapshot.microstructure, taker_entry=taker_entry
            )
            margin = edge.edge_bps(exits, cost)
            tally.judge(margin >= min_edge_bps(label, strategy), _EDGE)
    return Assessment(
        label=label,
        failed=tuple(tally.failed),
        passed=tuple(tally.passed),
        exits=exits,
        cost_bps=cost,
        edge_bps=margin,
        score_x10000=edge_score_x10000(snapshot, strategy, label, pullback) if all(usable) else 0,
        pullback_bps=pullback,
    )


def active_regime(snapshot: Snapshot, settings: StrategySettings) -> RegimeLabel:
    """TREND upwards or RANGE, each at its threshold; UNCLEAR otherwise."""
    regime = snapshot.regime
    if (
        regime.label is _TREND
        and regime.direction is Direction.BULL
        and regime.trend_score_x10000 >= settings.trend_threshold
    ):
        return _TREND
    if regime.label is _RANGE and regime.range_score_x10000 >= settings.range_threshold:
        return _RANGE
    return _UNCLEAR


def pullback_bps(snapshot: Snapshot) -> Decimal:
    """How far the last price lies below the EMA, unrounded."""
    return (snapshot.ema20_5m - snapshot.prices.last_price) / snapshot.ema20_5m * BPS


def min_edge_bps(label: RegimeLabel, settings: StrategySettings) -> int:
    """The minimum for the regime; in a range it is half as much again, rounded up."""
    least = settings.min_edge_bps
    return least + (least + 1) // 2 if label is _RANGE else least


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
    return round_x10000(sum(map(mul, _as_floats(settings.weights), parts)))


@once_per_object(8)
def _as_floats(weights: tuple[Decimal, ...]) -> tuple[float, ...]:
    return tuple(map(float, weights))


def _regime_part(snapshot: Snapshot, settings: StrategySettings, label: RegimeLabel) -> float:
    regime = snapshot.regime
    if label is _TREND:
        threshold = settings.trend_threshold
        return clamp01((regime.trend_score_x10000 - threshold) / (10_000 - threshold))
    if label is _RANGE:
        threshold = settings.range_threshold
        return _RANGE_DISCOUNT * clamp01(
            (regime.range_score_x10000 - threshold) / (10_000 - threshold)
        )
    return 0.0


def _check_inputs(snapshot: Snapshot, settings: StrategySettings, tally: _Tally) -> _Usable:
    """The readings that checks may use; adds a code for missing and one for invalid ones.

    With too few candles there is neither a mean volume nor an average price. No volume is negative,
    so the mean is above zero if any of them is.
    """
    candles, window = snapshot.candles_5m, settings.volume_ratio_window
    has_frames = snapshot.regime.frames.keys() >= _FRAMES
    has_ema, has_volume = len(candles) >= EMA_CANDLES, len(candles) >= window
    spread, atr = (
        snapshot.microstructure.spread_current_bps > 0,
        snapshot.volatility.atr14_5m_bps > 0,
    )
    ema = snapshot.ema20_5m > ZERO
    volume = not has_volume or any(candle.volume for candle in candles[-window:-1])
    if not (has_frames and has_ema and has_volume):
        tally.failed.append(ReasonCode.STRAT_MISSING_FIELD)
    if not (spread and atr and ema and volume):
        tally.failed.append(ReasonCode.STRAT_INPUT_INVALID)
    return _Usable(
        spread=spread,
        volume=has_volume and volume,
        regime=has_frames,
        ema=has_ema and ema,
        atr=atr,
    )


def _check_market(
    snapshot: Snapshot,
    settings: StrategySettings,
    label: RegimeLabel,
    usable: _Usable,
    tally: _Tally,
) -> None:
    """Spread, its widening, imbalance and volume; in a range the limits are stricter."""
    micro = snapshot.microstructure
    spread, least_volume = micro.spread_current_bps, settings.min_volume_ratio
    if label is _RANGE:
        spread, least_volume = 2 * spread, least_volume * _RANGE_STRICTER_VOLUME
    quiet = spread <= settings.max_spread_entry_bps
    steady = micro.delta_spread_bps_p90_10s <= settings.max_delta_spread_bps_10s
    if not quiet and usable.spread:
        tally.failed.append(_WIDE)
    if not steady:
        tally.failed.append(_OPENING)
    if quiet and steady and usable.spread:
        tally.passed.append(_QUIET)
    tally.judge(micro.bid_ask_imbalance_p50_10s_x10000 >= settings.min_imbalance_buy, _IMBALANCE)
    if usable.volume:
        tally.judge(snapshot.volume_ratio_5m_x10000 >= least_volume * BPS, _VOLUME)


def _check_regime(snapshot: Snapshot, label: RegimeLabel, tally: _Tally) -> None:
    if label is _TREND:
        tally.passed.append(_IN_TREND)
    elif label is _RANGE:
        tally.passed.append(_IN_RANGE)
    else:
        tally.failed.append(_WEAK)
        regime = snapshot.regime
        if regime.label is _TREND and regime.direction is Direction.BEAR:
            tally.failed.append(ReasonCode.REGIME_NO_TRADE)
