"""Order identities, derived from what an order is and never from a clock, a run or a cycle."""

from decimal import Decimal
from functools import lru_cache

from livespot.contracts import ids
from livespot.contracts.amounts import decimal_text
from livespot.contracts.decision import (
    Decision,
    DerivedIntentHashPayload,
    OrderIntentHashPayload,
)
from livespot.contracts.vocabulary import IntentAction, IntentRole, Mode, OrderType, Side
from livespot.rules.thresholds import constraints_hash


def entry_intent_id(
    decision: Decision,
    *,
    action: IntentAction,
    attempt: int,
    price: Decimal,
    qty: Decimal,
    order_type: OrderType,
) -> str:
    """The `order_intent_id` of one attempt at an entry.

    `price` and `qty` are this attempt's quantised values, `qty` the approved quantity once risk
    has spoken. A market order's price is 0.
    """
    values: list[tuple[str, str]] = [
        ("type", order_type),
        ("price", decimal_text(price)),
        ("qty", decimal_text(qty)),
    ]
    if decision.exit_plan is not None:
        values.append(("tp_price", decimal_text(decision.exit_plan.tp_price)))
        values.append(("sl_price", decimal_text(decision.exit_plan.sl_price)))
    return _entry_intent_id(
        (decision.mode, decision.symbol, decision.side, action, attempt),
        tuple(values),
        decision.snapshot_hash,
        constraints_hash(decision.constraints),
    )


@lru_cache(maxsize=64)
def _entry_intent_id(
    what: tuple[Mode, str, Side, str, int],
    values: tuple[tuple[str, str], ...],
    snapshot_hash: str,
    of_constraints: str,
) -> str:
    """Cached: proposal and order ask for the same id, unless the quantity has changed."""
    mode, symbol, side, action, attempt = what
    return ids.order_intent_id(
        OrderIntentHashPayload(
            mode=mode,
            symbol=symbol,
            side=side,
            action=action,
            attempt=attempt,
            values=dict(values),
            snapshot_hash=snapshot_hash,
            constraints_hash=of_constraints,
        )
    )


@lru_cache(maxsize=256)
def derived_intent_id(parent: str, role: IntentRole, attempt: int) -> str:
    """The `order_intent_id` of a leg, protection, close or cancel of the entry `parent`."""
    return ids.order_intent_id(
        DerivedIntentHashPayload(parent_order_intent_id=parent, role=role.value, attempt=attempt)
    )
