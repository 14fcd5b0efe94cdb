"""Valid rows of every kind the ledger knows, and migrated databases to put them in."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from livespot.contracts.audit import AuditDraft, AuditEntry
from livespot.contracts.chain import Place, SealedEvent, seal
from livespot.contracts.orders import Alias, Fill, ListView, OrderIntent, OrderView, Position
from livespot.contracts.records import (
    FillRow,
    IntentCreated,
    IntentMoved,
    OrderListRow,
    OrderRow,
    PositionRow,
    Record,
    RunStarted,
)
from livespot.contracts.redaction import Redactor
from livespot.contracts.vocabulary import (
    EventType,
    ExitReason,
    IntentAction,
    IntentRole,
    IntentState,
    Mode,
    OrderStatus,
    OrderType,
    PositionPhase,
    Side,
    Stage,
)
from livespot.store.connection import Database
from livespot.store.migrate import migrate

RUN = "run_20260101_000000_abcdef"
NOW_MS = 1_767_225_600_000


def fresh(directory: Path) -> Path:
    """A migrated, empty database."""
    path = directory / "data" / "audit.sqlite"
    migrate(path, backup_dir=directory / "backups", now_ms=NOW_MS)
    return path


async def opened(path: Path, redactor: Redactor | None = None) -> Database:
    return await Database.open(path, run_id=RUN, redactor=redactor or Redactor())


def draft(
    number: int = 0, *, data: dict[str, Any] | None = None, ts_ms: int = NOW_MS
) -> AuditDraft:
    return AuditDraft(
        event_type=EventType.STAGE_CHANGED,
        stage=Stage.UNIVERSE_SCAN,
        ts_ms=ts_ms + number,
        data={"number": number} if data is None else data,
    )


def entry(number: int, *records: Record, data: dict[str, Any] | None = None) -> AuditEntry:
    return AuditEntry(draft=draft(number, data=data), records=records)


def chain(
    count: int, *, ts_ms: int = NOW_MS, run_id: str = RUN, prev: str = ""
) -> list[SealedEvent]:
    """Sealed events 1..count of a run."""
    events: list[SealedEvent] = []
    for number in range(1, count + 1):
        place = Place(
            run_id=run_id,
            mode=Mode.SIM,
            seq=number,
            ts_ms=ts_ms + number,
            prev_hash=events[-1].hash if events else prev,
        )
        events.append(seal(draft(number), msgspec.json.encode({"number": number}), place))
    return events


def run_started(run_id: str = RUN, at_ms: int = NOW_MS) -> RunStarted:
    return RunStarted(
        run_id=run_id,
        mode=Mode.SIM,
        started_at_ms=at_ms,
        config_hash="c",
        config_json="{}",
        prompt_hash="p",
        version="0.1.0",
        platform="test",
        account_label="sim",
        previous_run_id="",
    )


def intent(key: str = "a", *, client_order_id: str = "") -> OrderIntent:
    return OrderIntent(
        order_intent_id=f"oi_{key}",
        decision_id="dec_1",
        parent_order_intent_id="",
        action=IntentAction.SUBMIT,
        role=IntentRole.ENTRY,
        attempt=0,
        symbol="BTCUSDT",
        side=Side.BUY,
        client_order_id=client_order_id or f"X_{key}",
        payload='{"qty":"1.50"}',
        state=IntentState.CREATED,
        created_at_ms=NOW_MS,
        updated_at_ms=NOW_MS,
    )


def created(key: str = "a", *legs: str, client_order_id: str = "") -> IntentCreated:
    own = intent(key, client_order_id=client_order_id)
    aliases = tuple(
        Alias(client_order_id=leg, order_intent_id=own.order_intent_id, role=IntentRole.TP)
        for leg in legs
    )
    return IntentCreated(intent=own, aliases=aliases)


def moved(from_state: IntentState, to_state: IntentState, key: str = "a") -> IntentMoved:
    return IntentMoved(
        order_intent_id=f"oi_{key}",
        from_state=from_state,
        to_state=to_state,
        reasons=(),
        evidence="query",
        request_id="",
        exchange_order_id=0,
        exchange_list_id=-1,
        last_error_code="",
        sent_at_ms=0,
        recv_window_ms=0,
        at_ms=NOW_MS + 1,
    )


def order(
    status: OrderStatus = OrderStatus.NEW, executed: str = "0.00", *, at_ms: int = NOW_MS
) -> OrderRow:
    return OrderRow(
        order=OrderView(
            symbol="BTCUSDT",
            order_id=7,
            order_list_id=-1,
            client_order_id="X_a",
            orig_client_order_id="",
            side=Side.BUY,
            type=OrderType.LIMIT_MAKER,
            status=status,
            raw_status=status.value,
            price=Decimal("100.10"),
            stop_price=Decimal("0.00"),
            orig_qty=Decimal("20.00"),
            executed_qty=Decimal(executed),
            cumulative_quote=Decimal("0.00"),
            exchange_time_ms=at_ms,
            local_received_ms=at_ms,
        ),
        order_intent_id="oi_a",
        role="ENTRY",
        source="REST",
    )


def order_list() -> OrderListRow:
    return OrderListRow(
        order_list=ListView(
            symbol="BTCUSDT",
            order_list_id=3,
            list_client_order_id="X_l",
            contingency_type="OCO",
            list_status_type="EXEC_STARTED",
            list_order_status="EXECUTING",
            legs=((7, "X_a"), (8, "X_b")),
            exchange_time_ms=NOW_MS,
            local_received_ms=NOW_MS,
        ),
        order_intent_id="oi_a",
    )


def fill(trade_id: int = 1, *, qty: str = "1.50") -> FillRow:
    return FillRow(
        fill=Fill(
            symbol="BTCUSDT",
            trade_id=trade_id,
            order_id=7,
            client_order_id="X_a",
            side=Side.BUY,
            price=Decimal("100.10"),
            qty=Decimal(qty),
            commission=Decimal("0.0015"),
            commission_asset="BTC",
            is_maker=True,
            exchange_time_ms=NOW_MS,
            local_received_ms=NOW_MS,
        ),
        order_intent_id="oi_a",
        decision_id="dec_1",
        fee_quote=Decimal("0.15015"),
        fee_unpriced=False,
        source="STREAM",
    )


def position(
    position_id: str = "pos_1", phase: PositionPhase = PositionPhase.PROTECTED
) -> PositionRow:
    return PositionRow(
        position=Position(
            symbol="BTCUSDT",
            position_id=position_id,
            decision_id="dec_1",
            entry_intent_id="oi_a",
            phase=phase,
            qty=Decimal("1.4985"),
            avg_price=Decimal("100.10"),
            cost_quote=Decimal("150.15"),
            tp_price=Decimal("103.00"),
            sl_price=Decimal("98.00"),
            tp_bps=290,
            sl_bps=210,
            realised_quote=Decimal("-1.25"),
            fees_quote=Decimal("0.15015"),
            fee_unpriced=False,
            dust_qty=Decimal("0.0000"),
            protection_list_id=3,
            protection_intent_id="oi_a",
            protected_qty=Decimal("1.49"),
            opened_at_ms=NOW_MS,
            unprotected_since_ms=0,
            unprotected_ms=12,
            closed_at_ms=0,
            exit_reason=ExitReason.NONE,
            updated_at_ms=NOW_MS,
        )
    )
