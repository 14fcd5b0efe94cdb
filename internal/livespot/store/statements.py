"""The SQL for each row: events, runs, selection and decisions; that of the ledger stands apart."""

from typing import TypeAlias, assert_never

from livespot.contracts.canonical import canonical_json
from livespot.contracts.chain import SealedEvent
from livespot.contracts.records import (
    AlertRow,
    AliasAdded,
    CandleRow,
    ChainAnchor,
    CycleRanking,
    CycleSelection,
    DailySummaryRow,
    DecisionRow,
    FillRow,
    GateEventRow,
    HealthSample,
    IntentCreated,
    IntentMoved,
    ManualExposureRow,
    OperatorCommandRow,
    OrderListRow,
    OrderRow,
    PositionRow,
    ReconcileRow,
    Record,
    ReserveRow,
    RiskCounters,
    RiskVerdictRow,
    RowsPruned,
    RunEnded,
    RunStarted,
    SnapshotRow,
    SymbolHealth,
    SysModeRow,
    TrailDayPacked,
    TrailDayRemoved,
    UniverseScan,
)
from livespot.store.ledger_statements import LedgerRow, ledger_statements
from livespot.store.sql import SqlValue, Statement, insert, money, once, texts, upsert
from livespot.store.upkeep_statements import upkeep_statements

StoreRow: TypeAlias = SealedEvent | Record

_EVENT = insert(
    "audit_events",
    ("run_id", "seq", "ts_ms", "cycle_id", "mode", "stage", "event_type", "reasons", "snapshot_id",
     "decision_id", "order_intent_id", "symbol", "exchange_time_ms", "local_received_ms", "data",
     "prev_hash", "hash"),
)  # fmt: skip
_RUN = insert(
    "runs",
    ("run_id", "mode", "started_at_ms", "config_hash", "config_json", "prompt_hash", "version",
     "platform", "account_label", "previous_run_id"),
)  # fmt: skip
_RUN_END = (
    "UPDATE runs SET ended_at_ms = ?, exit_code = ?, end_reasons = ?, clean = ? WHERE run_id = ?"
)
_SYSMODE = insert("sysmodes", ("run_id", "mode", "previous", "reasons", "active_json", "at_ms"))
_SCAN = once(
    "universe_scans",
    ("cycle_id", "symbol", "run_id", "eligible", "reasons", "features_json", "at_ms"),
    ("cycle_id", "symbol"),
)
_RANKING = once(
    "cycle_rankings",
    ("cycle_id", "kind", "rank", "symbol", "run_id", "score_x10000", "dropped", "reasons",
     "features_json", "config_hash", "at_ms"),
    ("cycle_id", "kind", "symbol"),
)  # fmt: skip
_SELECTION = once(
    "cycle_selections",
    ("cycle_id", "rank", "symbol", "run_id", "score_x10000", "chosen", "incumbent_cycles",
     "reasons", "features_json", "config_hash", "at_ms"),
    ("cycle_id", "symbol"),
)  # fmt: skip
_SYMBOL_HEALTH = upsert(
    "symbol_health",
    ("symbol", "quarantined_until_ms", "cause", "counters_json", "updated_at_ms"),
    ("symbol",),
)
_SNAPSHOT = once(
    "snapshots",
    ("snapshot_id", "snapshot_hash", "symbol", "run_id", "cycle_id", "exchange_time_ms",
     "snapshot_json", "at_ms"),
    ("snapshot_id",),
)  # fmt: skip
_DECISION = once(
    "decisions",
    ("decision_id", "run_id", "cycle_id", "symbol", "outcome", "snapshot_id", "edge_score_x10000",
     "edge_bps_expected", "reasons", "decision_json", "original_decision_id", "at_ms"),
    ("decision_id", "cycle_id", "symbol", "outcome"),
)  # fmt: skip
_GATE = insert(
    "ai_gate_events",
    ("run_id", "cycle_id", "decision_id", "snapshot_id", "snapshot_hash", "input_hash", "raw_hash",
     "prompt_hash", "enabled", "verdict", "reasons", "model", "latency_ms", "modify_applied",
     "patch_redacted", "error_code", "error_detail_redacted", "at_ms"),
)  # fmt: skip
_VERDICT = insert(
    "risk_verdicts",
    ("run_id", "decision_id", "cycle_id", "symbol", "verdict", "approved_qty", "reasons",
     "limits_json", "account_json", "counters_json", "at_ms", "inputs_json"),
)  # fmt: skip
_COUNTERS = upsert("risk_counters", ("only", "counters_json", "updated_at_ms"), ("only",))
_CANDLE = upsert(
    "candles",
    ("symbol", "interval", "open_time_ms", "open", "high", "low", "close", "volume"),
    ("symbol", "interval", "open_time_ms"),
)
_HEALTH = insert("health_samples", ("run_id", "at_ms", "sample_json"))
_RECONCILE = insert(
    "reconcile_reports",
    ("run_id", "cycle_id", "started_at_ms", "duration_ms", "drift_score_x10000", "label", "scope",
     "diffs_json"),
)  # fmt: skip
ALERT = insert("alerts", ("run_id", "severity", "code", "reasons", "text", "symbol", "at_ms"))
_COMMAND = upsert(
    "operator_commands", ("nonce", "run_id", "action", "reason", "outcome", "at_ms"), ("nonce",)
)
_EXPOSURE = upsert(
    "manual_exposures",
    ("exposure_id", "symbol", "side", "qty", "note", "opened_at_ms", "closed_at_ms", "close_note"),
    ("exposure_id",),
)
_SUMMARY = upsert("daily_summaries", ("day", "summary_json", "at_ms"), ("day",))

_RunRow: TypeAlias = (
    RunStarted
    | RunEnded
    | SysModeRow
    | RiskCounters
    | CandleRow
    | HealthSample
    | ReconcileRow
    | AlertRow
    | OperatorCommandRow
    | ManualExposureRow
    | DailySummaryRow
)
_CycleRow: TypeAlias = (
    UniverseScan
    | CycleRanking
    | CycleSelection
    | SymbolHealth
    | SnapshotRow
    | DecisionRow
    | GateEventRow
    | RiskVerdictRow
)


def statements_of(row: StoreRow, run_id: str) -> tuple[Statement, ...]:
    """Return the SQL of one row, in the order in which it must be executed."""
    match row:
        case SealedEvent():
            return (Statement(_EVENT, _event_values(row)),)
        case (
            IntentCreated()
            | IntentMoved()
            | AliasAdded()
            | OrderRow()
            | OrderListRow()
            | FillRow()
            | PositionRow()
            | ReserveRow()
        ):
            ledger_row: LedgerRow = row
            return ledger_statements(ledger_row, run_id)
        case (
            UniverseScan()
            | CycleRanking()
            | CycleSelection()
            | SymbolHealth()
            | SnapshotRow()
            | DecisionRow()
            | GateEventRow()
            | RiskVerdictRow()
        ):
            return (_of_cycle(row, run_id),)
        case ChainAnchor() | RowsPruned() | TrailDayPacked() | TrailDayRemoved():
            return upkeep_statements(row)
        case _:
            return (_of_run(row, run_id),)


def _event_values(event: SealedEvent) -> tuple[SqlValue, ...]:
    draft, place = event.draft, event.place
    return (
        place.run_id, place.seq, place.ts_ms, draft.cycle_id, place.mode.value, draft.stage.value,
        draft.event_type.value, texts(draft.reasons), draft.snapshot_id, draft.decision_id,
        draft.order_intent_id, draft.symbol, draft.exchange_time_ms, draft.local_received_ms,
        event.data_json, place.prev_hash, event.hash,
    )  # fmt: skip


def _of_cycle(row: _CycleRow, run_id: str) -> Statement:
    match row:
        case UniverseScan():
            return Statement(_SCAN, (
                row.cycle_id, row.symbol, run_id, int(row.eligible), texts(row.reasons),
                row.features_json, row.at_ms))  # fmt: skip
        case CycleRanking():
            return Statement(_RANKING, (
                row.cycle_id, row.kind, row.rank, row.symbol, run_id, row.score_x10000,
                int(row.dropped), texts(row.reasons), row.features_json, row.config_hash,
                row.at_ms))  # fmt: skip
        case CycleSelection():
            return Statement(_SELECTION, (
                row.cycle_id, row.rank, row.symbol, run_id, row.score_x10000, int(row.chosen),
                row.incumbent_cycles, texts(row.reasons), row.features_json, row.config_hash,
                row.at_ms))  # fmt: skip
        case SymbolHealth():
            return Statement(_SYMBOL_HEALTH, (
                row.symbol, row.quarantined_until_ms, row.cause, row.counters_json,
                row.updated_at_ms))  # fmt: skip
        case SnapshotRow():
            return Statement(_SNAPSHOT, (
                row.snapshot_id, row.snapshot_hash, row.symbol, run_id, row.cycle_id,
                row.exchange_time_ms, row.snapshot_json, row.at_ms))  # fmt: skip
        case DecisionRow():
            return Statement(_DECISION, (
                row.decision_id, run_id, row.cycle_id, row.symbol, row.outcome, row.snapshot_id,
                row.edge_score_x10000, row.edge_bps_expected, texts(row.reasons),
                row.decision_json, row.original_decision_id, row.at_ms))  # fmt: skip
        case GateEventRow():
            return Statement(_GATE, (
                run_id, row.cycle_id, row.decision_id, row.snapshot_id, row.snapshot_hash,
                row.input_hash, row.raw_hash, row.prompt_hash, int(row.enabled),
                row.verdict.value, texts(row.reasons), row.model, row.latency_ms,
                int(row.modify_applied), row.patch_redacted, row.error_code,
                row.error_detail_redacted, row.at_ms))  # fmt: skip
        case RiskVerdictRow():
            return Statement(_VERDICT, (
                run_id, row.decision_id, row.cycle_id, row.symbol, row.verdict.value,
                money(row.approved_qty), texts(row.reasons), row.limits_json, row.account_json,
                row.counters_json, row.at_ms, row.inputs_json))  # fmt: skip
        case _:
            assert_never(row)


def _of_run(row: _RunRow, run_id: str) -> Statement:
    match row:
        case RunStarted():
            return Statement(_RUN, (
                row.run_id, row.mode.value, row.started_at_ms, row.config_hash, row.config_json,
                row.prompt_hash, row.version, row.platform, row.account_label,
                row.previous_run_id))  # fmt: skip
        case RunEnded():
            return Statement(_RUN_END, (
                row.ended_at_ms, row.exit_code, texts(row.reasons), int(row.clean),
                row.run_id))  # fmt: skip
        case SysModeRow():
            return Statement(_SYSMODE, (
                row.run_id, row.mode.value, row.previous.value, texts(row.reasons),
                row.active_json, row.at_ms))  # fmt: skip
        case RiskCounters():
            return Statement(_COUNTERS, (1, row.counters_json, row.updated_at_ms))
        case CandleRow():
            candle = row.candle
            return Statement(_CANDLE, (
                row.symbol, row.interval.value, candle.open_time_ms, money(candle.open),
                money(candle.high), money(candle.low), money(candle.close),
                money(candle.volume)))  # fmt: skip
        case HealthSample():
            return Statement(_HEALTH, (run_id, row.at_ms, row.sample_json))
        case _:
            return _of_operations(row, run_id)


def _of_operations(
    row: ReconcileRow | AlertRow | OperatorCommandRow | ManualExposureRow | DailySummaryRow,
    run_id: str,
) -> Statement:
    match row:
        case ReconcileRow():
            report = row.report
            return Statement(_RECONCILE, (
                run_id, row.cycle_id, report.started_at_ms, report.duration_ms,
                report.drift_score_x10000, report.label, report.scope,
                canonical_json(report.diffs).decode()))  # fmt: skip
        case AlertRow():
            alert = row.alert
            return Statement(ALERT, (
                run_id, alert.severity.value, alert.code.value, texts(alert.reasons), alert.text,
                alert.symbol, alert.at_ms))  # fmt: skip
        case OperatorCommandRow():
            command = row.command
            return Statement(_COMMAND, (
                command.nonce, run_id, command.action.value, command.reason, row.outcome,
                command.at_ms))  # fmt: skip
        case ManualExposureRow():
            return Statement(_EXPOSURE, (
                row.exposure_id, row.symbol, row.side.value, money(row.qty), row.note,
                row.opened_at_ms, row.closed_at_ms, row.close_note))  # fmt: skip
        case DailySummaryRow():
            return Statement(_SUMMARY, (row.day, row.summary_json, row.at_ms))
        case _:
            assert_never(row)
