"""Turns a wanted entry into quantised plans: price, size, exits, fallback.

Trailing has been resolved before, and the resolved mode is what is stored: the decision records
with `STRAT_TRAILING_ARM_ALLOWED` or `STRAT_TRAILING_ARM_BLOCKED` what became of the policy.
"""

from decimal import Decimal

import msgspec

from livespot.contracts.amounts import BPS, ONE, ZERO, floor_to
from livespot.contracts.codes import ReasonCode
from livespot.contracts.decision import EntryPlan, ExitPlan, Fallback
from livespot.contracts.market import Constraints, Snapshot
from livespot.contracts.settings import RiskSettings, Settings
from livespot.contracts.vocabulary import EntryKind, ProtectionKind, TimeInForce, TrailingMode
from livespot.rules.edge import Exits
from livespot.rules.trailing import Trail, trigger_at

# Time for cancelling, one query and the last placement, on top of the ttl of all attempts.
_FALLBACK_MARGIN_MS = 5000
# Bound once: looking up an enum member costs more than a call.
_MAKER_FIRST, _GTC, _OCO = EntryKind.MAKER_FIRST, TimeInForce.GTC, ProtectionKind.OCO
_NO_TRAILING = TrailingMode.OFF
_FALLBACK_ALLOWED = ReasonCode.STRAT_FALLBACK_ALLOWED
_FALLBACK_BLOCKED = ReasonCode.STRAT_FALLBACK_BLOCKED
_TRAILING_ALLOWED = ReasonCode.STRAT_TRAILING_ARM_ALLOWED
_TRAILING_BLOCKED = ReasonCode.STRAT_TRAILING_ARM_BLOCKED


class Levels(msgspec.Struct, frozen=True, kw_only=True):
    """Quantised prices and the unconstrained size of one attempt; long: sl < price < tp."""

    price: Decimal
    tp_price: Decimal
    sl_price: Decimal
    qty: Decimal

    @property
    def are_sane(self) -> bool:
        return ZERO < self.sl_price < self.price < self.tp_price


def levels_at(price: Decimal, exits: Exits, constraints: Constraints, risk: RiskSettings) -> Levels:
    """Exits from `price`, all floored to the tick, and the size they allow."""
    tick = constraints.tick_size.normalize()
    entry = floor_to(price, tick)
    tp_price = floor_to(entry * (ONE + Decimal(exits.tp_bps) / BPS), tick)
    sl_price = floor_to(entry * (ONE - Decimal(exits.sl_bps) / BPS), tick)
    qty = unconstrained_qty(entry, sl_price, constraints, risk) if entry > 0 else ZERO
    return Levels(price=entry, tp_price=tp_price, sl_price=sl_price, qty=qty)


def unconstrained_qty(
    price: Decimal, sl_price: Decimal, constraints: Constraints, risk: RiskSettings
) -> Decimal:
    """Risk per trade over the quantised stop distance, at most the symbol's exposure cap.

    Zero when the stop is not below the price. All other limits are applied by risk.
    """
    if sl_price >= price:
        return ZERO
    distance = (price - sl_price) / price
    quote = min(risk.per_trade / distance, risk.max_exposure_symbol)
    step = constraints.step_size.normalize()
    qty = floor_to(quote / price, step)
    return qty if qty <= constraints.max_qty else floor_to(constraints.max_qty, step)


def is_sendable(levels: Levels, constraints: Constraints) -> bool:
    """Whether the exchange would accept this quantity at this price at all."""
    return (
        levels.qty >= constraints.min_qty
        and levels.qty > 0
        and levels.qty * levels.price >= constraints.min_notional
    )


def fallback_of(snapshot: Snapshot, edge: int, settings: Settings) -> Fallback:
    """The taking end of an entry; off when spread, slippage or margin speak against it."""
    entry = settings.entry
    micro, costs = snapshot.microstructure, snapshot.cost_inputs
    enabled = (
        micro.spread_current_bps <= entry.fallback_max_spread_bps
        and costs.slippage_est_entry_taker_bps <= entry.max_slippage_bps
        and edge >= settings.strategy.min_edge_bps_fallback
    )
    return Fallback(
        enabled=enabled,
        kind=entry.fallback_kind,
        max_slippage_bps=entry.max_slippage_bps,
        deadline_ms=entry.maker_ttl_ms * (entry.reprice_max + 1) + _FALLBACK_MARGIN_MS,
    )


def entry_plan(
    levels: Levels, fallback: Fallback, settings: Settings, *, client_order_id: str
) -> EntryPlan:
    """A resting order at `levels.price` that is repriced when its ttl ends."""
    ttl = settings.entry.maker_ttl_ms
    return EntryPlan(
        kind=_MAKER_FIRST,
        desired_price=levels.price,
        limit_price=levels.price,
        qty=levels.qty,
        time_in_force=_GTC,
        ttl_ms=ttl,
        reprice_ms=ttl,
        max_reprices=settings.entry.reprice_max,
        fallback=fallback,
        client_order_id=client_order_id,
    )


def exit_plan(levels: Levels, trail: Trail, constraints: Constraints) -> ExitPlan:
    """An OCO around the entry; its upper leg trails if trailing was resolved to that."""
    return ExitPlan(
        tp_price=levels.tp_price,
        sl_price=levels.sl_price,
        protection_kind=_OCO,
        trailing_mode=trail.mode,
        trailing_trigger_price=trigger_at(levels.price, trail, constraints),
        trailing_distance_bps=trail.distance_bps,
        client_order_id_tp="",
        client_order_id_sl="",
    )


def plan_codes(fallback: Fallback, trail: Trail, settings: Settings) -> tuple[ReasonCode, ...]:
    """The reason codes of how fallback and trailing were resolved."""
    of_fallback = _FALLBACK_ALLOWED if fallback.enabled else _FALLBACK_BLOCKED
    if trail.mode is not _NO_TRAILING:
        return of_fallback, _TRAILING_ALLOWED
    if settings.exit.trailing_policy != _NO_TRAILING:
        return of_fallback, _TRAILING_BLOCKED
    return (of_fallback,)
