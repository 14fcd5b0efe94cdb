"""Requests that reduce risk: protections, closes and cancels, with their ledger rows."""

from dataclasses import dataclass
from decimal import Decimal

import msgspec

from livespot.contracts import ids
from livespot.contracts.amounts import ZERO
from livespot.contracts.market import Constraints
from livespot.contracts.orders import (
    Alias,
    CancelReplaceRequest,
    CancelRequest,
    LegRequest,
    ListRequest,
    OrderIntent,
    OrderRequest,
    OrderView,
)
from livespot.contracts.vocabulary import (
    IntentAction,
    IntentRole,
    IntentState,
    ListKind,
    OrderType,
    Side,
    TimeInForce,
)
from livespot.rules.intent_ids import derived_intent_id
from livespot.rules.order_slots import check_slots
from livespot.rules.quantize import OrderDraft, OrderRefused
from livespot.rules.requests import (
    Mutation,
    Request,
    StopPrices,
    above_leg,
    first_qty,
    leg_id,
    mutation_of,
    payload_of,
    refused,
    stop_leg,
)
from livespot.rules.trailing import Above


@dataclass(frozen=True, slots=True, kw_only=True)
class SellDraft:
    """What a position wants sold or protected; the amounts are quantised already."""

    decision_id: str
    parent_intent_id: str
    symbol: str
    qty: Decimal
    attempt: int
    recv_window_ms: int
    now_ms: int


def oco_mutation(draft: SellDraft, *, above: Above, stop: StopPrices) -> Mutation:
    """A sell OCO: the target or a trailing take-profit above, a stop below."""
    intent_id = derived_intent_id(draft.parent_intent_id, IntentRole.LIST, draft.attempt)
    tp_id = leg_id(draft.parent_intent_id, IntentRole.TP, draft.attempt)
    sl_id = leg_id(draft.parent_intent_id, IntentRole.SL, draft.attempt)
    request = ListRequest(
        kind=ListKind.OCO,
        symbol=draft.symbol,
        list_client_order_id=ids.client_order_id(intent_id),
        side=Side.SELL,
        qty=draft.qty,
        above=above_leg(above, tp_id),
        below=stop_leg(stop, sl_id),
        recv_window_ms=draft.recv_window_ms,
    )
    legs = (
        Alias(client_order_id=tp_id, order_intent_id=intent_id, role=IntentRole.TP),
        Alias(client_order_id=sl_id, order_intent_id=intent_id, role=IntentRole.SL),
    )
    intent = _sell_intent(draft, intent_id, IntentAction.OCO_CREATE, IntentRole.LIST, request)
    return mutation_of(intent, request, legs)


def stop_mutation(
    draft: SellDraft, *, stop: StopPrices, role: IntentRole = IntentRole.STOP
) -> Mutation:
    """A single protective stop, the weaker protection; or, as TRAIL, a raised one."""
    intent_id = derived_intent_id(draft.parent_intent_id, role, draft.attempt)
    limited = stop.limit_price is not None
    request = OrderRequest(
        symbol=draft.symbol,
        side=Side.SELL,
        type=OrderType.STOP_LOSS_LIMIT if limited else OrderType.STOP_LOSS,
        qty=draft.qty,
        client_order_id=ids.client_order_id(intent_id),
        price=stop.limit_price,
        stop_price=stop.trigger_price,
        time_in_force=TimeInForce.GTC if limited else None,
        recv_window_ms=draft.recv_window_ms,
    )
    raised = role is IntentRole.TRAIL
    action = IntentAction.TRAILING_ACTIVATE if raised else IntentAction.SUBMIT
    intent = _sell_intent(draft, intent_id, action, role, request)
    return mutation_of(intent, request)


def close_mutation(draft: SellDraft, *, limit_price: Decimal | None) -> Mutation:
    """Sell now: IOC at a limit, or at market without one."""
    intent_id = derived_intent_id(draft.parent_intent_id, IntentRole.CLOSE, draft.attempt)
    request = OrderRequest(
        symbol=draft.symbol,
        side=Side.SELL,
        type=OrderType.MARKET if limit_price is None else OrderType.LIMIT,
        qty=draft.qty,
        client_order_id=ids.client_order_id(intent_id),
        price=limit_price,
        time_in_force=None if limit_price is None else TimeInForce.IOC,
        recv_window_ms=draft.recv_window_ms,
    )
    intent = _sell_intent(draft, intent_id, IntentAction.CLOSE, IntentRole.CLOSE, request)
    return mutation_of(intent, request)


def check_sells(
    mutation: Mutation, constraints: Constraints, standing: tuple[OrderView, ...] = ()
) -> OrderRefused | None:
    """Why the quantizer refuses a protection or close, before it becomes an intent.

    `standing` are the live orders of the symbol; a close does not rest and is not counted with
    them. The price band is left to the exchange: its reference price moves, and a stop that we
    refused on a guess would leave a position without one. For the same reason a list's leg at
    market is valued at the list's best price.
    """
    free = msgspec.structs.replace(constraints, percent_price=None)
    request = mutation.request
    legs: tuple[OrderRequest | LegRequest, ...] = ()
    if isinstance(request, OrderRequest):
        legs = (request,)
    elif isinstance(request, ListRequest):
        legs = (request.above, request.below)
    qty = first_qty(request)
    best = max((leg.price or leg.stop_price or ZERO for leg in legs), default=ZERO)
    for leg in legs:
        if not best:
            continue
        draft = OrderDraft(
            type=leg.type,
            side=Side.SELL,
            qty=qty,
            price=leg.price,
            stop_price=leg.stop_price,
            trailing_delta=leg.trailing_delta,
        )
        refusal = refused(draft, free, best)
        if refusal is not None:
            return refusal
    if isinstance(request, CancelRequest | CancelReplaceRequest):
        return None
    rests = mutation.intent.role is not IntentRole.CLOSE
    return check_slots(request, standing, constraints) if rests else None


def cancel_mutation(
    target: OrderIntent,
    *,
    order_id: int,
    orig_client_order_id: str,
    only_new: bool,
    attempt: int,
    now_ms: int,
) -> Mutation:
    """Cancel one order of `target`: by exchange id if it is known, else by its client id.

    The cancel's id becomes an alias of the *target*, because the exchange will report the cancelled
    order under it.
    """
    intent_id = derived_intent_id(target.order_intent_id, IntentRole.CANCEL, attempt)
    client_id = ids.client_order_id(intent_id)
    request = CancelRequest(
        symbol=target.symbol,
        client_order_id=client_id,
        order_id=order_id or None,
        orig_client_order_id=None if order_id else orig_client_order_id,
        only_new=only_new,
    )
    intent = OrderIntent(
        order_intent_id=intent_id,
        decision_id=target.decision_id,
        parent_order_intent_id=target.order_intent_id,
        action=IntentAction.CANCEL,
        role=IntentRole.CANCEL,
        attempt=attempt,
        symbol=target.symbol,
        side=target.side,
        client_order_id=client_id,
        payload=payload_of(request),
        state=IntentState.CREATED,
        recv_window_ms=request.recv_window_ms,
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
    )
    alias = Alias(
        client_order_id=client_id,
        order_intent_id=target.order_intent_id,
        role=IntentRole.CANCEL,
    )
    return Mutation(intent=intent, aliases=(alias,), request=request)


def _sell_intent(
    draft: SellDraft,
    intent_id: str,
    action: IntentAction,
    role: IntentRole,
    request: Request,
) -> OrderIntent:
    return OrderIntent(
        order_intent_id=intent_id,
        decision_id=draft.decision_id,
        parent_order_intent_id=draft.parent_intent_id,
        action=action,
        role=role,
        attempt=draft.attempt,
        symbol=draft.symbol,
        side=Side.SELL,
        client_order_id=ids.client_order_id(intent_id),
        payload=payload_of(request),
        state=IntentState.CREATED,
        recv_window_ms=draft.recv_window_ms,
        created_at_ms=draft.now_ms,
        updated_at_ms=draft.now_ms,
    )


def replacing(cancel: Mutation, placement: Mutation) -> Mutation:
    """One cancel-replace: the placement is sent on only if the cancel succeeds.

    Both rows name the request by the new order's client id.
    """
    request_id = placement.intent.client_order_id
    return msgspec.structs.replace(
        placement,
        intent=msgspec.structs.replace(placement.intent, request_id=request_id),
        cancel=msgspec.structs.replace(
            cancel, intent=msgspec.structs.replace(cancel.intent, request_id=request_id)
        ),
    )
