"""The intents ledger: which transitions exist, and the records that make them durable."""

from typing import Any

import msgspec

from livespot.contracts.audit import AuditDraft, AuditEntry
from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import LedgerViolation
from livespot.contracts.orders import Alias, OrderIntent
from livespot.contracts.records import IntentCreated, IntentMoved
from livespot.contracts.vocabulary import EventType, IntentState, Stage

_S = IntentState

TRANSITIONS = frozenset(
    {
        (_S.CREATED, _S.SENT_UNKNOWN),
        (_S.CREATED, _S.FAILED_TERMINAL),
        (_S.SENT_UNKNOWN, _S.CONFIRMED),
        (_S.SENT_UNKNOWN, _S.FAILED_TERMINAL),
        (_S.SENT_UNKNOWN, _S.NOT_FOUND),
        (_S.NOT_FOUND, _S.CONFIRMED),
    }
)
SETTLED = frozenset({_S.CONFIRMED, _S.FAILED_TERMINAL, _S.NOT_FOUND})


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """The facts of a transition; zeros and empty strings mean "nothing new"."""

    to_state: IntentState
    at_ms: int
    reasons: tuple[ReasonCode, ...] = ()
    evidence: str = ""
    exchange_order_id: int = 0
    exchange_list_id: int = -1
    error_code: str = ""
    sent_at_ms: int = 0


def is_legal(from_state: IntentState, to_state: IntentState) -> bool:
    """Whether the ledger allows this transition."""
    return (from_state, to_state) in TRANSITIONS


def creation(intent: OrderIntent, aliases: tuple[Alias, ...], *, cycle_id: str) -> AuditEntry:
    """The entry that makes a new intent durable, its client ids with it."""
    if intent.state is not IntentState.CREATED:
        raise LedgerViolation(f"intent {intent.order_intent_id!r} begins as {intent.state!r}")
    data: dict[str, Any] = {
        "from": "",
        "to": intent.state.value,
        "action": intent.action.value,
        "role": intent.role.value,
        "attempt": intent.attempt,
        "client_order_id": intent.client_order_id,
        "parent": intent.parent_order_intent_id,
        "request_id": intent.request_id,
    }
    return AuditEntry(
        draft=_draft(intent, intent.created_at_ms, cycle_id, (), data),
        records=(IntentCreated(intent=intent, aliases=aliases),),
    )


def transition(intent: OrderIntent, step: Step, *, cycle_id: str) -> tuple[OrderIntent, AuditEntry]:
    """The moved intent and the entry that makes the move durable.

    Raises `LedgerViolation` when the ledger does not allow the transition; `NOT_FOUND -> CONFIRMED`
    needs evidence.
    """
    if not is_legal(intent.state, step.to_state):
        raise LedgerViolation(
            f"intent {intent.order_intent_id!r}: {intent.state!r} -> {step.to_state!r}"
        )
    if intent.state is IntentState.NOT_FOUND and not step.evidence:
        raise LedgerViolation(f"intent {intent.order_intent_id!r} reopened without evidence")
    moved = msgspec.structs.replace(
        intent,
        state=step.to_state,
        exchange_order_id=step.exchange_order_id or intent.exchange_order_id,
        exchange_list_id=(
            step.exchange_list_id if step.exchange_list_id >= 0 else intent.exchange_list_id
        ),
        last_error_code=step.error_code or intent.last_error_code,
        attempts=intent.attempts + (step.to_state is IntentState.SENT_UNKNOWN),
        sent_at_ms=step.sent_at_ms or intent.sent_at_ms,
        updated_at_ms=step.at_ms,
    )
    data: dict[str, Any] = {
        "from": intent.state.value,
        "to": step.to_state.value,
        "evidence": step.evidence,
        "client_order_id": intent.client_order_id,
        "error_code": step.error_code,
    }
    return moved, AuditEntry(
        draft=_draft(intent, step.at_ms, cycle_id, step.reasons, data),
        records=(_record(intent, moved, step),),
    )


def _record(intent: OrderIntent, moved: OrderIntent, step: Step) -> IntentMoved:
    return IntentMoved(
        order_intent_id=intent.order_intent_id,
        from_state=intent.state,
        to_state=moved.state,
        reasons=step.reasons,
        evidence=step.evidence,
        request_id=moved.request_id,
        exchange_order_id=moved.exchange_order_id,
        exchange_list_id=moved.exchange_list_id,
        last_error_code=moved.last_error_code,
        sent_at_ms=moved.sent_at_ms,
        recv_window_ms=moved.recv_window_ms,
        at_ms=step.at_ms,
    )


def _draft(
    intent: OrderIntent,
    at_ms: int,
    cycle_id: str,
    reasons: tuple[ReasonCode, ...],
    data: dict[str, Any],
) -> AuditDraft:
    return AuditDraft(
        event_type=EventType.INTENT_STATE_CHANGED,
        stage=Stage.EXECUTE_INTENT,
        ts_ms=at_ms,
        cycle_id=cycle_id,
        reasons=reasons,
        decision_id=intent.decision_id,
        order_intent_id=intent.order_intent_id,
        symbol=intent.symbol,
        data=data,
    )
