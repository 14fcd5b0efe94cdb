"""The audit entries of what we learn about orders: the event for people, the row for the ledger."""

from dataclasses import dataclass
from decimal import Decimal

from livespot.actors.mail import FillBooked
from livespot.contracts.amounts import ZERO
from livespot.contracts.audit import AuditDraft, AuditEntry
from livespot.contracts.codes import ReasonCode
from livespot.contracts.orders import ListView, OrderIntent, OrderView
from livespot.contracts.records import FillRow, OrderListRow, OrderRow
from livespot.contracts.vocabulary import EventType, IntentRole, Stage
from livespot.rules.order_state import missing_qty


@dataclass(slots=True)
class Tracked:
    """One order of ours. `booked` is the quantity of its fills that are in the ledger."""

    view: OrderView
    intent_id: str
    role: IntentRole
    booked: Decimal = ZERO

    @property
    def missing(self) -> Decimal:
        return missing_qty(self.view, self.booked)


def order_entry(tracked: Tracked, intent: OrderIntent, source: str, now_ms: int) -> AuditEntry:
    view = tracked.view
    expired = view.expiry_reason == "EXCHANGE_CANCELED"
    draft = _draft(
        EventType.ORDER_UPDATE,
        intent,
        {
            "order_id": view.order_id,
            "client_order_id": view.client_order_id,
            "role": tracked.role.value,
            "status": view.raw_status,
            "executed_qty": view.executed_qty,
            "source": source,
        },
        now_ms=now_ms,
        exchange_ms=view.exchange_time_ms,
        reasons=(ReasonCode.ORDER_EXPIRED_BY_EXCHANGE,) if expired else (),
    )
    row = OrderRow(
        order=view, order_intent_id=tracked.intent_id, role=tracked.role.value, source=source
    )
    return AuditEntry(draft=draft, records=(row,))


def refusal_entry(order: OrderView, intent: OrderIntent, source: str, now_ms: int) -> AuditEntry:
    """The event for the report of a refused placement; there is no order to store."""
    data: dict[str, object] = {
        "order_id": order.order_id,
        "client_order_id": order.client_order_id,
        "status": order.raw_status,
        "source": source,
    }
    draft = _draft(
        EventType.ORDER_UPDATE,
        intent,
        data,
        now_ms=now_ms,
        exchange_ms=order.exchange_time_ms,
        reasons=(ReasonCode.ORDER_SUBMIT_REJECTED,),
    )
    return AuditEntry(draft=draft)


def fill_entry(booked: FillBooked, intent: OrderIntent, source: str, now_ms: int) -> AuditEntry:
    fill = booked.fill
    draft = _draft(
        EventType.FILL,
        intent,
        {
            "trade_id": fill.trade_id,
            "order_id": fill.order_id,
            "role": booked.role.value,
            "price": fill.price,
            "qty": fill.qty,
            "commission": fill.commission,
            "commission_asset": fill.commission_asset,
            "source": source,
        },
        now_ms=now_ms,
        exchange_ms=fill.exchange_time_ms,
    )
    row = FillRow(
        fill=fill,
        order_intent_id=booked.order_intent_id,
        decision_id=booked.decision_id,
        fee_quote=booked.fee_quote,
        fee_unpriced=booked.fee_unpriced,
        source=source,
    )
    return AuditEntry(draft=draft, records=(row,))


def list_entry(order_list: ListView, intent: OrderIntent, now_ms: int) -> AuditEntry:
    draft = _draft(
        EventType.ORDER_UPDATE,
        intent,
        {
            "order_list_id": order_list.order_list_id,
            "list_client_order_id": order_list.list_client_order_id,
            "list_order_status": order_list.list_order_status,
        },
        now_ms=now_ms,
        exchange_ms=order_list.exchange_time_ms,
    )
    row = OrderListRow(order_list=order_list, order_intent_id=intent.order_intent_id)
    return AuditEntry(draft=draft, records=(row,))


def _draft(
    event_type: EventType,
    intent: OrderIntent,
    data: dict[str, object],
    *,
    now_ms: int,
    exchange_ms: int,
    reasons: tuple[ReasonCode, ...] = (),
) -> AuditDraft:
    return AuditDraft(
        event_type=event_type,
        stage=Stage.EXECUTE_INTENT,
        ts_ms=now_ms,
        reasons=reasons,
        decision_id=intent.decision_id,
        order_intent_id=intent.order_intent_id,
        symbol=intent.symbol,
        exchange_time_ms=max(0, exchange_ms),
        data=data,
    )
