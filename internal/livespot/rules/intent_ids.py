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
from livespot.contracts.vocabulary import IntentAction, IntentRole, OrderType
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
    values = {
        "type": order_type.value,
        "price": decimal_text(price),
        "qty": decimal_text(qty),
    }
    if decision.exit_plan is not None:
        values["tp_price"] = decimal_text(decision.exit_plan.tp_price)
        values["sl_price"] = decimal_text(decision.exit_plan.sl_price)
    return ids.order_intent_id(
        OrderIntentHashPayload(
            mode=decision.mode,
            symbol=decision.symbol,
            side=decision.side,
            action=action.value,
            attempt=attempt,
            values=values,
            snapshot_hash=decision.snapshot_hash,
            constraints_hash=constraints_hash(decision.constraints),
        )
    )


@lru_cache(maxsize=256)
def derived_intent_id(parent: str, role: IntentRole, attempt: int) -> str:
    """The `order_intent_id` of a leg, protection, close or cancel of the entry `parent`."""
    return ids.order_intent_id(
        DerivedIntentHashPayload(parent_order_intent_id=parent, role=role.value, attempt=attempt)
    )
