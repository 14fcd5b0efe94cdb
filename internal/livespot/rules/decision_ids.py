"""The ids of a decision and of the orders it plans."""

import msgspec

from livespot.contracts import ids
from livespot.contracts.decision import Decision, DecisionHashPayload
from livespot.contracts.vocabulary import IntentAction, IntentRole, OrderType
from livespot.rules.intent_ids import derived_intent_id, entry_intent_id
from livespot.rules.thresholds import constraints_hash


def identified(draft: Decision, *, config_hash: str) -> Decision:
    """The same ENTRY with its derived ids; raises `ValueError` without both plans."""
    plan, exits = draft.entry_plan, draft.exit_plan
    if plan is None or exits is None:
        raise ValueError("an entry needs both plans before it can be named")
    intent = entry_intent_id(
        draft,
        action=IntentAction.SUBMIT,
        attempt=0,
        price=plan.limit_price,
        qty=plan.qty,
        order_type=OrderType.LIMIT_MAKER,
    )
    tp_id = ids.client_order_id(derived_intent_id(intent, IntentRole.TP, 0))
    sl_id = ids.client_order_id(derived_intent_id(intent, IntentRole.SL, 0))
    return msgspec.structs.replace(
        draft,
        entry_plan=msgspec.structs.replace(plan, client_order_id=ids.client_order_id(intent)),
        exit_plan=msgspec.structs.replace(
            exits, client_order_id_tp=tp_id, client_order_id_sl=sl_id
        ),
        decision_id=decision_id_of(draft, config_hash=config_hash),
    )


def decision_id_of(decision: Decision, *, config_hash: str) -> str:
    """The id of a decision: a hash of all that affects the outcome, without times, runs or ids."""
    entry, exits = decision.entry_plan, decision.exit_plan
    return ids.decision_id(
        DecisionHashPayload(
            mode=decision.mode,
            symbol=decision.symbol,
            side=decision.side,
            intent=decision.intent,
            entry_kind=entry.kind if entry else None,
            desired_price=entry.desired_price if entry else None,
            limit_price=entry.limit_price if entry else None,
            qty=entry.qty if entry else None,
            time_in_force=entry.time_in_force if entry else None,
            ttl_ms=entry.ttl_ms if entry else 0,
            reprice_ms=entry.reprice_ms if entry else 0,
            max_reprices=entry.max_reprices if entry else 0,
            fallback=entry.fallback if entry else None,
            tp_price=exits.tp_price if exits else None,
            sl_price=exits.sl_price if exits else None,
            protection_kind=exits.protection_kind if exits else None,
            trailing_mode=exits.trailing_mode if exits else None,
            trailing_trigger_price=exits.trailing_trigger_price if exits else None,
            trailing_distance_bps=exits.trailing_distance_bps if exits else 0,
            edge_score_x10000=decision.edge_score_x10000,
            edge_bps_expected=decision.edge_bps_expected,
            reasons=decision.reasons,
            snapshot_hash=decision.snapshot_hash,
            constraints_hash=constraints_hash(decision.constraints),
            config_hash=config_hash,
            strategy_id=decision.strategy_id,
            strategy_version=decision.strategy_version,
        )
    )
