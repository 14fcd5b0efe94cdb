"""What a MODIFY may do: make the trade smaller, tighter or more patient, and nothing else.

Each field is proved on its own; a change in the wrong direction refuses the whole answer.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec

from livespot.contracts.amounts import BPS
from livespot.contracts.codes import ReasonCode
from livespot.contracts.decision import Decision, EntryPlan, ExitPlan, Fallback
from livespot.contracts.market import Constraints
from livespot.contracts.vocabulary import EntryKind, FallbackKind, TimeInForce, TrailingMode
from livespot.rules.decision_ids import identified
from livespot.rules.edge import Exits, breakeven_hit_x10000
from livespot.rules.gate_answer import EntryPatch, ExitPatch, FallbackPatch, Patch
from livespot.rules.quantize import quantize_price, quantize_qty

_ENTRY_PATIENCE = tuple(EntryKind)
_FALLBACK_PATIENCE = tuple(FallbackKind)
_TIME_IN_FORCE = {
    EntryKind.MAKER_FIRST: TimeInForce.GTC,
    EntryKind.TAKER: TimeInForce.IOC,
    EntryKind.MARKET: TimeInForce.IOC,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchRefused:
    """A change that is not a reduction; `field` and `rule` are our words, never the model's."""

    field: str
    rule: str


class _NotReducing(Exception):
    """Ends the processing of a patch; never leaves this module."""

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"{field}: {rule}")
        self.field = field
        self.rule = rule


def apply_patch(decision: Decision, patch: Patch, *, config_hash: str) -> Decision | PatchRefused:
    """The reduced decision under its own new ids, or the first field that would not reduce.

    Distances, margin and break-even follow the new prices; the margin is never raised by it.
    """
    entry, exits = decision.entry_plan, decision.exit_plan
    if entry is None or exits is None:
        return PatchRefused(field="decision", rule="only an entry can be modified")
    try:
        new_exits = _exits(exits, patch.exit_plan, entry.limit_price, decision.constraints)
        new_entry = _entry(entry, patch.entry_plan, decision.constraints)
        reasons = _reasons(decision.reasons, patch.reasons)
        changed = _remeasured(decision, new_entry, new_exits, reasons)
    except _NotReducing as error:
        return PatchRefused(field=error.field, rule=error.rule)
    except ValueError:
        # The message of a validation error may quote values, so it is not passed on.
        return PatchRefused(field="decision", rule="the reduced decision is not valid")
    return identified(changed, config_hash=config_hash)


def _entry(plan: EntryPlan, patch: EntryPatch | None, constraints: Constraints) -> EntryPlan:
    if patch is None:
        return plan
    changes: dict[str, Any] = {}
    if patch.kind is not None:
        _require_patience("kind", _ENTRY_PATIENCE, patch.kind, plan.kind)
        changes |= {"kind": patch.kind, "time_in_force": _TIME_IN_FORCE[patch.kind]}
    if patch.qty is not None:
        changes["qty"] = _smaller_qty(plan, Decimal(patch.qty), constraints)
    if patch.max_reprices is not None:
        _require("max_reprices", patch.max_reprices < plan.max_reprices, "may only be lowered")
        changes["max_reprices"] = patch.max_reprices
    if patch.ttl_ms is not None:
        _require("ttl_ms", 0 < patch.ttl_ms < plan.ttl_ms, "may only be lowered")
        changes["ttl_ms"] = patch.ttl_ms
    if patch.reprice_ms is not None:
        _require("reprice_ms", patch.reprice_ms > plan.reprice_ms, "may only be raised")
        changes["reprice_ms"] = patch.reprice_ms
    if patch.fallback is not None:
        changes["fallback"] = _fallback(plan.fallback, patch.fallback)
    return msgspec.structs.replace(plan, **changes)


def _smaller_qty(plan: EntryPlan, wanted: Decimal, constraints: Constraints) -> Decimal:
    qty = quantize_qty(wanted, constraints)
    _require("qty", qty < plan.qty, "may only be lowered")
    _require("qty", qty > 0 and qty >= constraints.min_qty, "is below the exchange's minimum")
    _require(
        "qty", qty * plan.limit_price >= constraints.min_notional, "is below the minimum notional"
    )
    return qty


def _fallback(plan: Fallback, patch: FallbackPatch) -> Fallback:
    changes: dict[str, Any] = {}
    if patch.enabled is not None:
        _require("fallback.enabled", plan.enabled and not patch.enabled, "may only be disabled")
        changes["enabled"] = False
    if patch.kind is not None:
        _require_patience("fallback.kind", _FALLBACK_PATIENCE, patch.kind, plan.kind)
        changes["kind"] = patch.kind
    if patch.max_slippage_bps is not None:
        lower = patch.max_slippage_bps < plan.max_slippage_bps
        _require("fallback.max_slippage_bps", lower, "may only be lowered")
        changes["max_slippage_bps"] = patch.max_slippage_bps
    if patch.deadline_ms is not None:
        lower = patch.deadline_ms < plan.deadline_ms
        _require("fallback.deadline_ms", lower, "may only be lowered")
        changes["deadline_ms"] = patch.deadline_ms
    return msgspec.structs.replace(plan, **changes)


def _exits(
    plan: ExitPlan, patch: ExitPatch | None, entry: Decimal, constraints: Constraints
) -> ExitPlan:
    if patch is None:
        return plan
    changes: dict[str, Any] = {}
    if patch.sl_price is not None:
        stop = quantize_price(Decimal(patch.sl_price), constraints)
        _require("sl_price", plan.sl_price < stop < entry, "may only be raised, below the entry")
        changes["sl_price"] = stop
    if patch.tp_price is not None:
        target = quantize_price(Decimal(patch.tp_price), constraints)
        _require("tp_price", entry < target < plan.tp_price, "may only be lowered, above the entry")
        changes["tp_price"] = target
    trails = plan.trailing_mode is not TrailingMode.OFF
    if patch.trailing_distance_bps is not None:
        lower = trails and 0 < patch.trailing_distance_bps < plan.trailing_distance_bps
        _require("trailing_distance_bps", lower, "may only be lowered, where trailing is on")
        changes["trailing_distance_bps"] = patch.trailing_distance_bps
    if patch.trailing_trigger_price is not None:
        trigger = quantize_price(Decimal(patch.trailing_trigger_price), constraints)
        earlier = trails and entry <= trigger < plan.trailing_trigger_price
        _require("trailing_trigger_price", earlier, "may only be earlier, where trailing is on")
        changes["trailing_trigger_price"] = trigger
    return msgspec.structs.replace(plan, **changes)


def _reasons(
    original: tuple[ReasonCode, ...], patched: tuple[ReasonCode, ...] | None
) -> tuple[ReasonCode, ...]:
    if patched is None:
        return original
    _require("reasons", set(original) <= set(patched), "may be added, never removed")
    _require("reasons", set(original) < set(patched), "must hold a new one to be a change")
    return (*original, *(code for code in dict.fromkeys(patched) if code not in original))


def _remeasured(
    decision: Decision, entry: EntryPlan, exits: ExitPlan, reasons: tuple[ReasonCode, ...]
) -> Decision:
    """Distances in bps follow the prices that moved; they are floored, so they only tighten."""
    old = decision.exit_plan
    moved = old is None or (old.sl_price, old.tp_price) != (exits.sl_price, exits.tp_price)
    measured = Exits(sl_bps=decision.sl_bps, tp_bps=decision.tp_bps, trailing_bps=0)
    cost = decision.tp_bps - decision.sl_bps - decision.edge_bps_expected
    breakeven = decision.breakeven_hit_x10000
    if moved:
        price = entry.limit_price
        measured = Exits(
            sl_bps=min(decision.sl_bps, int((price - exits.sl_price) * BPS / price)),
            tp_bps=min(decision.tp_bps, int((exits.tp_price - price) * BPS / price)),
            trailing_bps=0,
        )
        breakeven = breakeven_hit_x10000(measured, cost)
    return msgspec.structs.replace(
        decision,
        entry_plan=entry,
        exit_plan=exits,
        reasons=reasons,
        sl_bps=measured.sl_bps,
        tp_bps=measured.tp_bps,
        edge_bps_expected=min(decision.edge_bps_expected, measured.tp_bps - measured.sl_bps - cost),
        breakeven_hit_x10000=breakeven,
    )


def _require_patience(field: str, order: tuple[Any, ...], new: Any, old: Any) -> None:
    _require(field, order.index(new) < order.index(old), "may only become more patient")


def _require(field: str, holds: bool, rule: str) -> None:  # noqa: FBT001
    if not holds:
        raise _NotReducing(field, rule)
