"""Reward against cost, in basis points: distances of the exits, cost, margin, break-even."""

from decimal import Decimal

import msgspec

from livespot.contracts.amounts import round_x10000
from livespot.contracts.market import CostInputs, Microstructure
from livespot.contracts.settings import ExitSettings
from livespot.contracts.vocabulary import RegimeLabel

_RANGE = RegimeLabel.RANGE


class Exits(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Distances from the entry in bps."""

    sl_bps: int
    tp_bps: int
    trailing_bps: int

    @property
    def are_sane(self) -> bool:
        return 0 < self.sl_bps < self.tp_bps


def exits_of(label: RegimeLabel, atr_bps: int, settings: ExitSettings) -> Exits:
    """Multiples of the ATR by regime, rounded half to even. Any label but RANGE counts as TREND."""
    if label is _RANGE:
        k, m, t = settings.k_atr_range, settings.m_atr_range, settings.t_atr_range
    else:
        k, m, t = settings.k_atr_trend, settings.m_atr_trend, settings.t_atr_trend
    return Exits(
        sl_bps=_times(k, atr_bps), tp_bps=_times(m, atr_bps), trailing_bps=_times(t, atr_bps)
    )


def cost_bps(inputs: CostInputs, micro: Microstructure, *, taker_entry: bool = False) -> int:
    """Both fees, both slippages, the spread, and its recent widening if it has widened.

    A taking entry pays the taker's fee and slippage on the way in.
    """
    fee = inputs.taker_fee_bps if taker_entry else inputs.maker_fee_bps
    slippage = (
        inputs.slippage_est_entry_taker_bps if taker_entry else inputs.slippage_est_entry_maker_bps
    )
    return (
        fee
        + inputs.taker_fee_bps
        + slippage
        + inputs.slippage_est_exit_taker_bps
        + micro.spread_current_bps
        + max(0, micro.delta_spread_bps_p90_10s)
    )


def edge_bps(exits: Exits, cost: int) -> int:
    """The reward margin: how much farther away the target is than stop and cost together."""
    return exits.tp_bps - exits.sl_bps - cost


def breakeven_hit_x10000(exits: Exits, cost: int) -> int:
    """The share of trades that must reach the target for the mean result to be zero."""
    reach = exits.tp_bps + exits.sl_bps
    return round_x10000((exits.sl_bps + cost) / reach) if reach > 0 else 10_000


def cost_of_visit(inputs: CostInputs, spread_bps: int) -> int:
    """Spread, both fees and both slippages of a resting entry; the deep scan subtracts it."""
    return (
        spread_bps
        + inputs.maker_fee_bps
        + inputs.taker_fee_bps
        + inputs.slippage_est_entry_maker_bps
        + inputs.slippage_est_exit_taker_bps
    )


def _times(multiple: Decimal, atr_bps: int) -> int:
    return round(multiple * atr_bps)
