"""From a plan to the exact request, its ledger row and every client id, all derived, none drawn."""

from decimal import Decimal
from typing import TypeAlias

import msgspec

from livespot.contracts import ids
from livespot.contracts.amounts import BPS
from livespot.contracts.base import Message
from livespot.contracts.canonical import canonical_json
from livespot.contracts.codes import ReasonCode
from livespot.contracts.decision import Decision
from livespot.contracts.market import Constraints, SymbolInfo
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
from livespot.contracts.settings import ExitSettings
from livespot.contracts.vocabulary import (
    IntentAction,
    IntentRole,
    IntentState,
    ListKind,
    OrderType,
    Side,
    TimeInForce,
    TrailingMode,
)
from livespot.rules.intent_ids import derived_intent_id
from livespot.rules.order_slots import check_slots
from livespot.rules.quantize import (
    OrderDraft,
    OrderRefused,
    check_order,
    quantize_price,
    sellable_after_fee,
)
from livespot.rules.sizing import stop_order_type
from livespot.rules.trailing import Above, above_of, trailing_form

Request: TypeAlias = OrderRequest | ListRequest | CancelRequest | CancelReplaceRequest

# Attempt 0 of TP and SL belongs to the legs that are attached to the entry.
ATTACHED_ATTEMPT = 0


class StoredRequest(Message, frozen=True):
    """The payload of a ledger row: exactly one member is set."""

    order: OrderRequest | None = None
    order_list: ListRequest | None = None
    cancel: CancelRequest | None = None
    cancel_replace: CancelReplaceRequest | None = None


class Mutation(msgspec.Struct, frozen=True, kw_only=True):
    """One request with the ledger row that precedes it.

    `not_after_ms` (monotonic, 0 for none) is when the verdict behind an entry expires. With a
    `cancel` both are sent as one cancel-replace: two rows, one request, each settled on its own.
    """

    intent: OrderIntent
    aliases: tuple[Alias, ...]
    request: Request
    not_after_ms: int = 0
    cancel: "Mutation | None" = None

    @property
    def is_entry(self) -> bool:
        return self.intent.role is IntentRole.ENTRY

    @property
    def halves(self) -> "tuple[Mutation, ...]":
        """Its rows, in the order in which the exchange processes them."""
        if self.cancel is None:
            return (self,)
        return (self.cancel, msgspec.structs.replace(self, cancel=None))


class EntryDraft(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt of an entry. `order_type` is LIMIT_MAKER, LIMIT (sent as IOC) or MARKET.

    `standing` are the live orders of the symbol.
    """

    intent_id: str
    decision: Decision
    qty: Decimal
    attempt: int
    order_type: OrderType
    info: SymbolInfo
    base_fee_bps: int
    recv_window_ms: int
    now_ms: int
    not_after_ms: int = 0
    standing: tuple[OrderView, ...] = ()


def payload_of(request: Request) -> str:
    """The request as canonical JSON for the ledger."""
    return canonical_json(_stored(request)).decode()


def _stored(request: Request) -> StoredRequest:
    match request:
        case OrderRequest():
            return StoredRequest(order=request)
        case ListRequest():
            return StoredRequest(order_list=request)
        case CancelRequest():
            return StoredRequest(cancel=request)
        case CancelReplaceRequest():
            return StoredRequest(cancel_replace=request)


def request_of(payload: str) -> Request:
    """The request stored in a ledger row. Raises `ValueError` on anything else."""
    stored = msgspec.json.decode(payload, type=StoredRequest)
    for request in (stored.order, stored.order_list, stored.cancel, stored.cancel_replace):
        if request is not None:
            return request
    raise ValueError(f"payload {payload!r} holds no request")


def first_qty(request: Request) -> Decimal:
    """The quantity of the order that enters the book first; 0 for a cancel."""
    match request:
        case OrderRequest():
            return request.qty
        case ListRequest():
            working = request.working
            return working.qty if working is not None else request.qty or Decimal(0)
        case CancelReplaceRequest():
            return request.order.qty
        case CancelRequest():
            return Decimal(0)


def attached_kind(info: SymbolInfo, settings: ExitSettings) -> ListKind | None:
    """The list with which protection is attached to the entry; None if it must follow later."""
    if settings.attach != "ATTACHED" or not info.oco_allowed:
        return None
    if info.opo_allowed:
        return ListKind.OPOCO
    return ListKind.OTOCO if info.oto_allowed else None


def entry_mutation(draft: EntryDraft, settings: ExitSettings) -> Mutation | OrderRefused:
    """The request of one attempt: a list with its protection, or a plain order.

    Only a resting order can carry a list; IOC and market fallbacks are plain. `OrderRefused` means
    that our own quantizer refused the order. Raises `ValueError` on an incomplete decision.
    """
    plan = draft.decision.entry_plan
    constraints = draft.info.constraints
    if plan is None or draft.decision.exit_plan is None or constraints is None:
        raise ValueError(f"decision {draft.decision.decision_id!r} is not a complete entry")
    refusal = refused(
        OrderDraft(
            type=draft.order_type,
            side=Side.BUY,
            qty=draft.qty,
            price=None if draft.order_type is OrderType.MARKET else plan.limit_price,
        ),
        constraints,
        plan.limit_price,
    )
    if refusal is not None:
        return refusal
    working = OrderRequest(
        symbol=draft.decision.symbol,
        side=Side.BUY,
        type=draft.order_type,
        qty=draft.qty,
        client_order_id=ids.client_order_id(draft.intent_id),
        price=None if draft.order_type is OrderType.MARKET else plan.limit_price,
        time_in_force=TimeInForce.IOC if draft.order_type is OrderType.LIMIT else None,
        recv_window_ms=draft.recv_window_ms,
    )
    kind = attached_kind(draft.info, settings)
    if kind is None or draft.order_type is not OrderType.LIMIT_MAKER:
        native = draft.decision.exit_plan.trailing_mode is TrailingMode.NATIVE
        legs = 2 if native else 1
        crowded = check_slots(working, draft.standing, constraints, algo_legs=legs)
        return crowded or _entry(draft, working, ())
    return _attached(draft, working, kind, settings)


class StopPrices(msgspec.Struct, frozen=True, kw_only=True):
    """A stop's trigger, and its limit if the symbol only offers STOP_LOSS_LIMIT."""

    trigger_price: Decimal
    limit_price: Decimal | None = None


def stop_prices(
    sl_price: Decimal, kind: OrderType, settings: ExitSettings, constraints: Constraints
) -> StopPrices:
    """The trigger at `sl_price`; the limit, if any, lies `stop_limit_offset_bps` below."""
    if kind is OrderType.STOP_LOSS:
        return StopPrices(trigger_price=sl_price)
    limit = sl_price * (BPS - settings.stop_limit_offset_bps) / BPS
    return StopPrices(trigger_price=sl_price, limit_price=quantize_price(limit, constraints))


def _attached(
    draft: EntryDraft, working: OrderRequest, kind: ListKind, settings: ExitSettings
) -> Mutation | OrderRefused:
    exits, constraints = draft.decision.exit_plan, draft.info.constraints
    form = stop_order_type(draft.info, settings)
    if exits is None or constraints is None or form is None:
        return OrderRefused(
            reason=ReasonCode.PROTECTION_INVALID_FILTER,
            filter_name="orderTypes",
            detail="the symbol offers no stop of the wanted kind",
        )
    stop = stop_prices(exits.sl_price, form, settings, constraints)
    qty = sellable_after_fee(draft.qty, constraints, draft.base_fee_bps)
    tp_id = leg_id(draft.intent_id, IntentRole.TP, ATTACHED_ATTEMPT)
    sl_id = leg_id(draft.intent_id, IntentRole.SL, ATTACHED_ATTEMPT)
    above = above_of(
        exits,
        working.price or exits.sl_price,
        trailing_form(draft.info.order_types),
        offset_bps=settings.stop_limit_offset_bps,
        constraints=constraints,
    )
    legs = (above_leg(above, tp_id), stop_leg(stop, sl_id))
    for leg in legs:
        refusal = refused(
            OrderDraft(
                type=leg.type,
                side=Side.SELL,
                qty=qty,
                price=leg.price,
                stop_price=leg.stop_price,
                trailing_delta=leg.trailing_delta,
            ),
            constraints,
            working.price or exits.sl_price,
        )
        if refusal is not None:
            return refusal
    list_id = leg_id(draft.intent_id, IntentRole.LIST, ATTACHED_ATTEMPT)
    request = ListRequest(
        kind=kind,
        symbol=working.symbol,
        list_client_order_id=list_id,
        side=Side.SELL,
        qty=qty if kind is ListKind.OTOCO else None,
        above=legs[0],
        below=legs[1],
        working=working,
        recv_window_ms=draft.recv_window_ms,
    )
    crowded = check_slots(request, draft.standing, constraints)
    if crowded is not None:
        return crowded
    aliases = tuple(
        Alias(client_order_id=client_id, order_intent_id=draft.intent_id, role=role)
        for client_id, role in (
            (list_id, IntentRole.LIST),
            (tp_id, IntentRole.TP),
            (sl_id, IntentRole.SL),
        )
    )
    return _entry(draft, request, aliases)


def above_leg(above: Above, client_id: str) -> LegRequest:
    """The upper leg of a sell list."""
    return LegRequest(
        type=above.type,
        client_order_id=client_id,
        price=above.price,
        stop_price=above.stop_price,
        trailing_delta=above.trailing_delta,
        time_in_force=above.time_in_force,
    )


def stop_leg(stop: StopPrices, client_id: str) -> LegRequest:
    limited = stop.limit_price is not None
    return LegRequest(
        type=OrderType.STOP_LOSS_LIMIT if limited else OrderType.STOP_LOSS,
        client_order_id=client_id,
        price=stop.limit_price,
        stop_price=stop.trigger_price,
        time_in_force=TimeInForce.GTC if limited else None,
    )


def _entry(draft: EntryDraft, request: Request, legs: tuple[Alias, ...]) -> Mutation:
    intent = OrderIntent(
        order_intent_id=draft.intent_id,
        decision_id=draft.decision.decision_id,
        parent_order_intent_id="",
        action=IntentAction.SUBMIT,
        role=IntentRole.ENTRY,
        attempt=draft.attempt,
        symbol=draft.decision.symbol,
        side=Side.BUY,
        client_order_id=ids.client_order_id(draft.intent_id),
        payload=payload_of(request),
        state=IntentState.CREATED,
        recv_window_ms=draft.recv_window_ms,
        created_at_ms=draft.now_ms,
        updated_at_ms=draft.now_ms,
    )
    mutation = mutation_of(intent, request, legs)
    return Mutation(
        intent=mutation.intent,
        aliases=mutation.aliases,
        request=request,
        not_after_ms=draft.not_after_ms,
    )


def mutation_of(intent: OrderIntent, request: Request, legs: tuple[Alias, ...] = ()) -> Mutation:
    own = Alias(
        client_order_id=intent.client_order_id,
        order_intent_id=intent.order_intent_id,
        role=intent.role,
    )
    return Mutation(intent=intent, aliases=(own, *legs), request=request)


def leg_id(parent: str, role: IntentRole, attempt: int) -> str:
    return ids.client_order_id(derived_intent_id(parent, role, attempt))


def refused(draft: OrderDraft, constraints: Constraints, reference: Decimal) -> OrderRefused | None:
    checked = check_order(draft, constraints, reference_price=reference)
    if isinstance(checked, OrderRefused):
        return checked
    wanted = (draft.qty, draft.price, draft.stop_price)
    if (checked.qty, checked.price, checked.stop_price) != wanted:
        return OrderRefused(
            reason=ReasonCode.RISK_SIZE_INVALID,
            filter_name="quantizer",
            detail=f"{wanted} was not quantised before it came here",
        )
    return None
