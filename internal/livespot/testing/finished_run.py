"""A finished run in which everything is right: its database and its trail.

One trade is bought, protected, sold at a profit and reconciled; one entry never gets an answer, is
found by a query and cancelled; the mode falls to DEGRADE once and recovers. The exchange's side of
the story is in `finished_run_journal`.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

import msgspec

from livespot.actors import signal_records
from livespot.actors.mail import ProposalEnded
from livespot.contracts.audit import AuditDraft, AuditEntry
from livespot.contracts.canonical import canonical_json
from livespot.contracts.chain import Place, SealedEvent, seal
from livespot.contracts.codes import ReasonCode
from livespot.contracts.orders import Alias, Fill, OrderIntent, OrderView, Position
from livespot.contracts.records import (
    AlertRow,
    DecisionRow,
    FillRow,
    GateEventRow,
    OrderRow,
    PositionRow,
    ReconcileRow,
    Record,
    RiskVerdictRow,
    RunEnded,
    SnapshotRow,
    SysModeRow,
)
from livespot.contracts.redaction import Redactor
from livespot.contracts.system import Alert, ReconcileReport
from livespot.contracts.vocabulary import (
    EventType,
    ExitReason,
    GateVerdict,
    IntentAction,
    IntentRole,
    IntentState,
    Mode,
    OrderStatus,
    OrderType,
    PositionPhase,
    Severity,
    Side,
    Stage,
    SysMode,
    Verdict,
)
from livespot.rules import ledger
from livespot.rules.sysmode import ENTER_CODES
from livespot.runtime.disk import RealDisk
from livespot.store.connection import Database
from livespot.store.reader import ReadOnlyDatabase
from livespot.store.trail import JsonlTrail
from livespot.testing import ledger_rows as rows
from livespot.testing.finished_run_journal import (
    BOUGHT,
    BOUGHT_MS,
    LOST_MS,
    SOLD,
    SOLD_MS,
    START_MS,
    SYMBOL,
    Trade,
)

RUN = rows.RUN


async def told(directory: Path) -> Path:
    """Write database and trail below `directory` (`data/`, `logs/`); the database's path."""
    path = rows.fresh(directory)
    (directory / "logs").mkdir()
    database = await rows.opened(path)
    events: list[SealedEvent] = []
    try:
        for entry in _entries():
            event = _sealed(entry.draft, len(events) + 1, events[-1].hash if events else "")
            events.append(event)
            await database.transaction([event, *entry.records])
    finally:
        await database.close()
    JsonlTrail(RealDisk(), directory / "logs", ReadOnlyDatabase(path)).append(events)
    return path


async def write(path: Path, *records: Record) -> None:
    """More rows into the database of a story, beside its events."""
    database = await Database.open(path, run_id=RUN, redactor=Redactor())
    try:
        await database.transaction(list(records))
    finally:
        await database.close()


def _sealed(draft: AuditDraft, seq: int, prev: str) -> SealedEvent:
    place = Place(run_id=RUN, mode=Mode.SIM, seq=seq, ts_ms=draft.ts_ms, prev_hash=prev)
    return seal(draft, canonical_json(draft.data), place)


def _entries() -> Iterator[AuditEntry]:
    yield _entry(EventType.RUN_STARTED, 0, records=(rows.run_started(),))
    yield from _mode(SysMode.DEGRADE, SysMode.DEGRADE, 1_000, ReasonCode.BOOT_RECOVERY)
    yield from _mode(SysMode.NORMAL, SysMode.DEGRADE, 10_000)
    yield _blocked(15_000)
    yield from _decided("dec_1", 20_000)
    yield from _bought()
    yield _ended("dec_1", 23_000)
    yield from _sold()
    yield from _decided("dec_2", 59_000)
    yield from _lost_and_cancelled()
    yield _ended("dec_2", 99_000, ReasonCode.STRAT_ENTRY_TIMEOUT)
    yield from _mode(SysMode.DEGRADE, SysMode.NORMAL, 100_000, ReasonCode.REST_STALE_DEGRADE)
    yield from _mode(SysMode.NORMAL, SysMode.DEGRADE, 161_000)
    yield from _mode(SysMode.EXIT, SysMode.NORMAL, 180_000, ReasonCode.OPERATOR_STOP)
    ended = RunEnded(
        run_id=RUN, ended_at_ms=START_MS + 181_000, exit_code=0, reasons=(), clean=True
    )
    yield _entry(EventType.RUN_ENDED, 181_000, records=(ended,))


def _entry(
    event_type: EventType,
    after_ms: int,
    *,
    reasons: tuple[ReasonCode, ...] = (),
    data: dict[str, object] | None = None,
    records: Sequence[Record] = (),
    intent_id: str = "",
) -> AuditEntry:
    draft = AuditDraft(
        event_type=event_type,
        stage=Stage.STATE_UPDATE,
        ts_ms=START_MS + after_ms,
        cycle_id="cyc_1",
        reasons=reasons,
        order_intent_id=intent_id,
        data=data or {},
    )
    return AuditEntry(draft=draft, records=tuple(records))


def _mode(
    mode: SysMode, previous: SysMode, after_ms: int, *why: ReasonCode
) -> Iterator[AuditEntry]:
    code = ENTER_CODES[mode]
    row = SysModeRow(
        run_id=RUN,
        mode=mode,
        previous=previous,
        reasons=(code, *why),
        active_json="[]",
        at_ms=START_MS + after_ms,
    )
    alert = Alert(
        severity=Severity.INFO if mode is SysMode.NORMAL else Severity.WARN,
        code=code,
        reasons=why,
        text=f"{previous} -> {mode}",
        at_ms=START_MS + after_ms,
    )
    data: dict[str, object] = {"from": previous, "to": mode}
    yield _entry(
        EventType.SYSMODE_CHANGED, after_ms, reasons=(code, *why), data=data, records=(row,)
    )
    alerted = (AlertRow(alert=alert),)
    yield _entry(EventType.ALERT_RAISED, after_ms, reasons=(code, *why), records=alerted)


def _ended(decision_id: str, after_ms: int, *why: ReasonCode) -> AuditEntry:
    ended = ProposalEnded(decision_id=decision_id, symbol=SYMBOL, reasons=why)
    return signal_records.ended_entry(ended, START_MS + after_ms)


def _blocked(after_ms: int) -> AuditEntry:
    row = _decision("", "BLOCKED", after_ms, (ReasonCode.STRAT_EDGE_BELOW_MIN,), "{}")
    return _entry(EventType.DECISION_PROPOSED, after_ms, records=(row,))


def _decided(decision_id: str, after_ms: int) -> Iterator[AuditEntry]:
    """Snapshot, proposal, the gate's and risk's consent, in their order."""
    snapshot = SnapshotRow(
        snapshot_id=f"snap_{decision_id}",
        snapshot_hash=f"hash_{decision_id}",
        symbol=SYMBOL,
        cycle_id="cyc_1",
        exchange_time_ms=START_MS + after_ms,
        snapshot_json="{}",
        at_ms=START_MS + after_ms,
    )
    text = msgspec.json.encode(
        {"snapshot_hash": f"hash_{decision_id}", "entry_plan": {"qty": "10.00"}}
    ).decode()
    row = _decision(decision_id, "PROPOSED", after_ms, (ReasonCode.STRAT_OK,), text)
    yield _entry(EventType.SNAPSHOT_BUILT, after_ms, records=(snapshot,))
    yield _entry(EventType.DECISION_PROPOSED, after_ms, records=(row,))
    yield _entry(EventType.AIGATE_CALL, after_ms + 1, records=(_gate(decision_id, after_ms + 1),))
    yield _entry(EventType.RISK_VERDICT, after_ms + 2, records=(_risk(decision_id, after_ms + 2),))


def _decision(
    decision_id: str, outcome: str, after_ms: int, reasons: tuple[ReasonCode, ...], text: str
) -> DecisionRow:
    return DecisionRow(
        decision_id=decision_id,
        cycle_id="cyc_1",
        symbol=SYMBOL,
        outcome=outcome,
        snapshot_id=f"snap_{decision_id}",
        edge_score_x10000=0,
        edge_bps_expected=0,
        reasons=reasons,
        decision_json=text,
        original_decision_id="",
        at_ms=START_MS + after_ms,
    )


def _gate(decision_id: str, after_ms: int) -> GateEventRow:
    return GateEventRow(
        cycle_id="cyc_1",
        decision_id=decision_id,
        snapshot_id="",
        snapshot_hash="",
        input_hash="",
        raw_hash="",
        prompt_hash="",
        enabled=True,
        verdict=GateVerdict.ALLOW,
        reasons=(ReasonCode.AIGATE_ALLOWED,),
        model="local",
        latency_ms=1,
        modify_applied=False,
        patch_redacted="",
        error_code="",
        error_detail_redacted="",
        at_ms=START_MS + after_ms,
    )


def _risk(decision_id: str, after_ms: int) -> RiskVerdictRow:
    return RiskVerdictRow(
        decision_id=decision_id,
        cycle_id="cyc_1",
        symbol=SYMBOL,
        verdict=Verdict.ALLOW,
        approved_qty=Decimal("10.00"),
        reasons=(ReasonCode.RISK_OK,),
        limits_json="{}",
        account_json="{}",
        counters_json="{}",
        at_ms=START_MS + after_ms,
    )


def _intent(key: str, decision_id: str, action: IntentAction, role: IntentRole) -> OrderIntent:
    return msgspec.structs.replace(
        rows.intent(key),
        decision_id=decision_id,
        action=action,
        role=role,
        symbol=SYMBOL,
        created_at_ms=START_MS + (20_500 if decision_id == "dec_1" else 60_000),
    )


def _through(
    intent: OrderIntent, aliases: tuple[Alias, ...], evidence: str, settled_after_ms: int
) -> Iterator[AuditEntry]:
    """CREATED, SENT_UNKNOWN a millisecond later, then CONFIRMED."""
    yield ledger.creation(intent, aliases, cycle_id="cyc_1")
    sent_ms = intent.created_at_ms + 1
    sent = ledger.Step(to_state=IntentState.SENT_UNKNOWN, at_ms=sent_ms, sent_at_ms=sent_ms)
    intent, entry = ledger.transition(intent, sent, cycle_id="cyc_1")
    yield entry
    if evidence != "answer":
        yield _entry(
            EventType.ORDER_SUBMIT,
            sent_ms - START_MS,
            reasons=(ReasonCode.INTENT_SENT_UNKNOWN,),
            intent_id=intent.order_intent_id,
        )
    confirmed = ledger.Step(
        to_state=IntentState.CONFIRMED, at_ms=sent_ms + settled_after_ms, evidence=evidence
    )
    yield ledger.transition(intent, confirmed, cycle_id="cyc_1")[1]


def _bought() -> Iterator[AuditEntry]:
    intent = _intent("a", "dec_1", IntentAction.OCO_CREATE, IntentRole.LIST)
    aliases = tuple(
        Alias(client_order_id=name, order_intent_id="oi_a", role=role)
        for name, role in (
            ("X_e", IntentRole.ENTRY),
            ("X_t", IntentRole.TP),
            ("X_s", IntentRole.SL),
        )
    )
    yield from _through(intent, aliases, "answer", 9)
    yield _entry(
        EventType.FILL,
        21_000,
        records=(_order(11, "X_e", Side.BUY, OrderStatus.FILLED, "10.00"), _fill(BOUGHT)),
    )
    yield _entry(
        EventType.PROTECTION_CHANGED,
        21_100,
        records=(_position(PositionPhase.PROTECTED, "9.99", "0", 21_100),),
    )


def _sold() -> Iterator[AuditEntry]:
    orders = (
        _order(12, "X_t", Side.SELL, OrderStatus.FILLED, "9.99"),
        _order(13, "X_s", Side.SELL, OrderStatus.EXPIRED, "0.00"),
    )
    flat = _position(PositionPhase.FLAT, "0.00", "0.1796102", 50_100)
    yield _entry(EventType.FILL, 50_050, records=(*orders, _fill(SOLD), flat))
    report = ReconcileReport(
        started_at_ms=SOLD_MS + 2_000,
        duration_ms=10,
        drift_score_x10000=0,
        label="OK",
        scope="active",
        diffs=(),
    )
    yield _entry(
        EventType.RECONCILE_REST, 52_000, records=(ReconcileRow(report=report, cycle_id="cyc_1"),)
    )


def _lost_and_cancelled() -> Iterator[AuditEntry]:
    intent = _intent("b", "dec_2", IntentAction.SUBMIT, IntentRole.ENTRY)
    yield from _through(intent, (), "REST order 21 NEW", 3_000)
    cancel = msgspec.structs.replace(
        _intent("c", "dec_2", IntentAction.CANCEL, IntentRole.CANCEL),
        created_at_ms=LOST_MS + 5_000,
    )
    yield from _through(cancel, (), "answer", 4)
    cancelled = _order(21, "X_b", Side.BUY, OrderStatus.CANCELED, "0.00", intent_id="oi_b")
    yield _entry(EventType.ORDER_UPDATE, 65_010, records=(cancelled,))


def _order(
    order_id: int,
    name: str,
    side: Side,
    status: OrderStatus,
    executed: str,
    *,
    intent_id: str = "oi_a",
) -> OrderRow:
    return OrderRow(
        order=OrderView(
            symbol=SYMBOL,
            order_id=order_id,
            order_list_id=-1,
            client_order_id=name,
            orig_client_order_id="",
            side=side,
            type=OrderType.LIMIT_MAKER,
            status=status,
            raw_status=status.value,
            price=Decimal("1.0000"),
            stop_price=Decimal(0),
            orig_qty=Decimal("10.00"),
            executed_qty=Decimal(executed),
            cumulative_quote=Decimal(0),
            exchange_time_ms=START_MS,
            local_received_ms=START_MS,
        ),
        order_intent_id=intent_id,
        role="",
        source="STREAM",
    )


def _fill(trade: Trade) -> FillRow:
    return FillRow(
        fill=Fill(
            symbol=SYMBOL,
            trade_id=trade.trade_id,
            order_id=trade.order_id,
            client_order_id=trade.name,
            side=trade.side,
            price=Decimal(trade.price),
            qty=Decimal(trade.qty),
            commission=Decimal(trade.fee),
            commission_asset=trade.fee_asset,
            is_maker=True,
            exchange_time_ms=trade.at_ms,
            local_received_ms=trade.at_ms,
        ),
        order_intent_id="oi_a",
        decision_id="dec_1",
        fee_quote=Decimal("0.01"),
        fee_unpriced=False,
        source="STREAM",
    )


def _position(phase: PositionPhase, qty: str, realised: str, after_ms: int) -> PositionRow:
    over = phase is PositionPhase.FLAT
    return PositionRow(
        position=Position(
            symbol=SYMBOL,
            position_id="pos_1",
            decision_id="dec_1",
            entry_intent_id="oi_a",
            phase=phase,
            qty=Decimal(qty),
            avg_price=Decimal("1.0000"),
            cost_quote=Decimal(qty),
            tp_price=Decimal("1.0200"),
            sl_price=Decimal("0.9800"),
            tp_bps=200,
            sl_bps=200,
            realised_quote=Decimal(realised),
            fees_quote=Decimal("0.0201898"),
            fee_unpriced=False,
            dust_qty=Decimal(0),
            protection_list_id=3,
            protection_intent_id="oi_a",
            protected_qty=Decimal(qty),
            opened_at_ms=BOUGHT_MS,
            unprotected_since_ms=0,
            unprotected_ms=100,
            closed_at_ms=START_MS + after_ms if over else 0,
            exit_reason=ExitReason.TAKE_PROFIT if over else ExitReason.NONE,
            updated_at_ms=START_MS + after_ms,
        )
    )
