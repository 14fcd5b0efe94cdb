"""The SQL for each row of the ledger: intents, orders, fills, positions, reserves."""

from typing import TypeAlias, assert_never

import msgspec

from livespot.contracts.orders import Alias, Position
from livespot.contracts.records import (
    AliasAdded,
    FillRow,
    IntentCreated,
    IntentMoved,
    OrderListRow,
    OrderRow,
    PositionRow,
    ReserveRow,
)
from livespot.contracts.vocabulary import IntentState
from livespot.store.sql import Statement, insert, money, once, texts, upsert

LedgerRow: TypeAlias = (
    IntentCreated
    | IntentMoved
    | AliasAdded
    | OrderRow
    | OrderListRow
    | FillRow
    | PositionRow
    | ReserveRow
)

_INTENT = insert(
    "order_intents",
    ("order_intent_id", "run_id", "decision_id", "parent_order_intent_id", "action", "role",
     "attempt", "symbol", "side", "client_order_id", "payload", "state", "request_id",
     "exchange_order_id", "exchange_list_id", "last_error_code", "attempts", "sent_at_ms",
     "recv_window_ms", "created_at_ms", "updated_at_ms"),
)  # fmt: skip
_ALIAS = insert("intent_client_ids", ("client_order_id", "order_intent_id", "role"))
_TRANSITION = insert(
    "intent_transitions",
    ("order_intent_id", "run_id", "from_state", "to_state", "reasons", "evidence", "request_id",
     "last_error_code", "at_ms"),
)  # fmt: skip
# 0, -1 and empty text mean "not stated" in a transition; such columns keep their value.
_MOVE = """
UPDATE order_intents SET
    state = ?,
    attempts = attempts + ?,
    request_id = coalesce(nullif(?, ''), request_id),
    exchange_order_id = coalesce(nullif(?, 0), exchange_order_id),
    exchange_list_id = coalesce(nullif(?, -1), exchange_list_id),
    last_error_code = coalesce(nullif(?, ''), last_error_code),
    sent_at_ms = coalesce(nullif(?, 0), sent_at_ms),
    recv_window_ms = coalesce(nullif(?, 0), recv_window_ms),
    updated_at_ms = ?
WHERE order_intent_id = ?
"""

_TERMINAL = "('FILLED', 'CANCELED', 'REJECTED', 'EXPIRED', 'EXPIRED_IN_MATCH')"


def _exact(column: str) -> str:
    """Return SQL that compares decimal text: (whole part, decimals padded to eighteen digits)."""
    return (
        f"(CAST({column} AS INTEGER), substr(substr({column}, instr({column} || '.', '.') + 1)"
        " || '000000000000000000', 1, 18))"
    )


_ORDER_COLUMNS = (
    "symbol", "order_id", "order_list_id", "client_order_id", "orig_client_order_id", "side",
    "type", "status", "raw_status", "price", "stop_price", "orig_qty", "executed_qty",
    "cumulative_quote", "exchange_time_ms", "local_received_ms", "expiry_reason", "is_working",
    "order_intent_id", "role", "source",
)  # fmt: skip
_OLD, _NEW = _exact("orders.executed_qty"), _exact("excluded.executed_qty")
# A stale view changes nothing. It is stale when it has executed less, revives a terminal order, or
# bears an earlier time.
_NEWER_VIEW = f"""
WHERE {_NEW} >= {_OLD}
  AND NOT (orders.status IN {_TERMINAL} AND excluded.status NOT IN {_TERMINAL})
  AND ({_NEW} > {_OLD}
       OR excluded.exchange_time_ms >= orders.exchange_time_ms
       OR (excluded.status IN {_TERMINAL} AND orders.status NOT IN {_TERMINAL}))
"""
_KEPT_WHEN_UNKNOWN = ("order_intent_id", "role")
_ORDER = (
    insert("orders", _ORDER_COLUMNS, "ON CONFLICT (symbol, order_id) DO UPDATE SET")
    + " "
    + ", ".join(
        f"{name} = CASE WHEN excluded.{name} = '' THEN orders.{name} ELSE excluded.{name} END"
        if name in _KEPT_WHEN_UNKNOWN
        else f"{name} = excluded.{name}"
        for name in _ORDER_COLUMNS[2:]
    )
    + _NEWER_VIEW
)
_LIST_COLUMNS = (
    "symbol", "order_list_id", "list_client_order_id", "contingency_type", "list_status_type",
    "list_order_status", "legs_json", "exchange_time_ms", "local_received_ms", "order_intent_id",
)  # fmt: skip
_LIST = (
    upsert("order_lists", _LIST_COLUMNS, ("symbol", "order_list_id"))
    + """
WHERE excluded.exchange_time_ms >= order_lists.exchange_time_ms
  AND NOT (order_lists.list_order_status IN ('ALL_DONE', 'REJECT')
           AND excluded.list_order_status = 'EXECUTING')
"""
)
_FILL = once(
    "fills",
    ("symbol", "trade_id", "order_id", "client_order_id", "side", "price", "qty", "commission",
     "commission_asset", "is_maker", "exchange_time_ms", "local_received_ms", "run_id",
     "order_intent_id", "decision_id", "fee_quote", "fee_unpriced", "source"),
    ("symbol", "trade_id"),
)  # fmt: skip
_POSITION = upsert(
    "positions",
    ("symbol", "position_id", "decision_id", "entry_intent_id", "phase", "qty", "avg_price",
     "cost_quote", "tp_price", "sl_price", "tp_bps", "sl_bps", "realised_quote", "fees_quote",
     "fee_unpriced", "dust_qty", "protection_list_id", "protection_intent_id", "protected_qty",
     "opened_at_ms", "unprotected_since_ms", "unprotected_ms", "closed_at_ms", "exit_reason",
     "updated_at_ms", "run_id"),
    ("symbol", "position_id"),
)  # fmt: skip
_RESERVE = upsert(
    "reserves",
    ("decision_id", "symbol", "state", "amount_quote", "order_intent_id", "expires_at_ms",
     "updated_at_ms"),
    ("decision_id",),
)  # fmt: skip


def ledger_statements(row: LedgerRow, run_id: str) -> tuple[Statement, ...]:
    """Return the SQL of one ledger row, in the order in which it must be executed."""
    match row:
        case IntentCreated():
            return _created(row, run_id)
        case IntentMoved():
            return _moved(row, run_id)
        case AliasAdded():
            return (_alias(row.alias),)
        case OrderRow():
            return (_order(row),)
        case OrderListRow():
            return (_order_list(row),)
        case FillRow():
            return (_fill(row, run_id),)
        case PositionRow():
            return (_position(row.position, run_id),)
        case ReserveRow():
            return (Statement(_RESERVE, (
                row.decision_id, row.symbol, row.state, money(row.amount_quote),
                row.order_intent_id, row.expires_at_ms, row.updated_at_ms)),)  # fmt: skip
        case _:
            assert_never(row)


def _created(row: IntentCreated, run_id: str) -> tuple[Statement, ...]:
    intent = row.intent
    created = Statement(_INTENT, (
        intent.order_intent_id, run_id, intent.decision_id, intent.parent_order_intent_id,
        intent.action.value, intent.role.value, intent.attempt, intent.symbol, intent.side.value,
        intent.client_order_id, intent.payload, intent.state.value, intent.request_id,
        intent.exchange_order_id, intent.exchange_list_id, intent.last_error_code,
        intent.attempts, intent.sent_at_ms, intent.recv_window_ms, intent.created_at_ms,
        intent.updated_at_ms))  # fmt: skip
    aliases = row.aliases
    if all(alias.client_order_id != intent.client_order_id for alias in aliases):
        own = Alias(
            client_order_id=intent.client_order_id,
            order_intent_id=intent.order_intent_id,
            role=intent.role,
        )
        aliases = (own, *aliases)
    return (created, *(_alias(alias) for alias in aliases))


def _moved(row: IntentMoved, run_id: str) -> tuple[Statement, ...]:
    return (
        Statement(_TRANSITION, (
            row.order_intent_id, run_id, row.from_state.value, row.to_state.value,
            texts(row.reasons), row.evidence, row.request_id, row.last_error_code,
            row.at_ms)),
        Statement(_MOVE, (
            row.to_state.value, int(row.to_state is IntentState.SENT_UNKNOWN), row.request_id,
            row.exchange_order_id, row.exchange_list_id, row.last_error_code, row.sent_at_ms,
            row.recv_window_ms, row.at_ms, row.order_intent_id)),
    )  # fmt: skip


def _alias(alias: Alias) -> Statement:
    return Statement(_ALIAS, (alias.client_order_id, alias.order_intent_id, alias.role.value))


def _order(row: OrderRow) -> Statement:
    order = row.order
    return Statement(_ORDER, (
        order.symbol, order.order_id, order.order_list_id, order.client_order_id,
        order.orig_client_order_id, order.side.value, order.type.value, order.status.value,
        order.raw_status, money(order.price), money(order.stop_price), money(order.orig_qty),
        money(order.executed_qty), money(order.cumulative_quote), order.exchange_time_ms,
        order.local_received_ms, order.expiry_reason, int(order.is_working),
        row.order_intent_id, row.role, row.source))  # fmt: skip


def _order_list(row: OrderListRow) -> Statement:
    order_list = row.order_list
    return Statement(_LIST, (
        order_list.symbol, order_list.order_list_id, order_list.list_client_order_id,
        order_list.contingency_type, order_list.list_status_type, order_list.list_order_status,
        msgspec.json.encode(order_list.legs).decode(), order_list.exchange_time_ms,
        order_list.local_received_ms, row.order_intent_id))  # fmt: skip


def _fill(row: FillRow, run_id: str) -> Statement:
    fill = row.fill
    return Statement(_FILL, (
        fill.symbol, fill.trade_id, fill.order_id, fill.client_order_id, fill.side.value,
        money(fill.price), money(fill.qty), money(fill.commission), fill.commission_asset,
        int(fill.is_maker), fill.exchange_time_ms, fill.local_received_ms, run_id,
        row.order_intent_id, row.decision_id, money(row.fee_quote), int(row.fee_unpriced),
        row.source))  # fmt: skip


def _position(position: Position, run_id: str) -> Statement:
    return Statement(_POSITION, (
        position.symbol, position.position_id, position.decision_id, position.entry_intent_id,
        position.phase.value, money(position.qty), money(position.avg_price),
        money(position.cost_quote), money(position.tp_price), money(position.sl_price),
        position.tp_bps, position.sl_bps, money(position.realised_quote),
        money(position.fees_quote), int(position.fee_unpriced), money(position.dust_qty),
        position.protection_list_id, position.protection_intent_id,
        money(position.protected_qty), position.opened_at_ms, position.unprotected_since_ms,
        position.unprotected_ms, position.closed_at_ms, position.exit_reason.value,
        position.updated_at_ms, run_id))  # fmt: skip
