"""Typed rows of the audit database; only the store knows their SQL."""

from decimal import Decimal
from typing import Literal, TypeAlias

from livespot.contracts.base import Message
from livespot.contracts.codes import ReasonCode
from livespot.contracts.market import Candle
from livespot.contracts.orders import Alias, Fill, ListView, OrderIntent, OrderView, Position
from livespot.contracts.system import Alert, OperatorCommand, ReconcileReport
from livespot.contracts.vocabulary import (
    GateVerdict,
    IntentState,
    Interval,
    Mode,
    Side,
    SysMode,
    Verdict,
)

PrunedTable: TypeAlias = Literal[
    "universe_scans",
    "cycle_rankings",
    "cycle_selections",
    "health_samples",
    "snapshots",
    "decisions",
]


class RunStarted(Message, frozen=True, tag=True):
    run_id: str
    mode: Mode
    started_at_ms: int
    config_hash: str
    config_json: str
    prompt_hash: str
    version: str
    platform: str
    account_label: str
    previous_run_id: str


class RunEnded(Message, frozen=True, tag=True):
    """Completes a run's row; `clean` is false when the next boot wrote it for a killed run."""

    run_id: str
    ended_at_ms: int
    exit_code: int
    reasons: tuple[ReasonCode, ...]
    clean: bool


class SysModeRow(Message, frozen=True, tag=True):
    """The mode of a run; the last row decides how the next run boots."""

    run_id: str
    mode: SysMode
    previous: SysMode
    reasons: tuple[ReasonCode, ...]
    active_json: str
    at_ms: int


class UniverseScan(Message, frozen=True, tag=True):
    """One symbol's eligibility in one universe scan."""

    cycle_id: str
    symbol: str
    eligible: bool
    reasons: tuple[ReasonCode, ...]
    features_json: str
    at_ms: int


class CycleRanking(Message, frozen=True, tag=True):
    """One symbol's place in a ranking (`kind` TOPN or DEEP)."""

    cycle_id: str
    kind: str
    rank: int
    symbol: str
    score_x10000: int
    dropped: bool
    reasons: tuple[ReasonCode, ...]
    features_json: str
    config_hash: str
    at_ms: int


class CycleSelection(Message, frozen=True, tag=True):
    """One symbol chosen for (or kept out of) the watch list."""

    cycle_id: str
    rank: int
    symbol: str
    score_x10000: int
    chosen: bool
    incumbent_cycles: int
    reasons: tuple[ReasonCode, ...]
    features_json: str
    config_hash: str
    at_ms: int


class SymbolHealth(Message, frozen=True, tag=True):
    """Quarantine and reject counters of one symbol, as risk persists them."""

    symbol: str
    quarantined_until_ms: int
    cause: str
    counters_json: str
    updated_at_ms: int


class SnapshotRow(Message, frozen=True, tag=True):
    snapshot_id: str
    snapshot_hash: str
    symbol: str
    cycle_id: str
    exchange_time_ms: int
    snapshot_json: str
    at_ms: int


class DecisionRow(Message, frozen=True, tag=True):
    """A proposal or a block, with everything needed to recompute it."""

    decision_id: str
    cycle_id: str
    symbol: str
    outcome: str
    snapshot_id: str
    edge_score_x10000: int
    edge_bps_expected: int
    reasons: tuple[ReasonCode, ...]
    decision_json: str
    original_decision_id: str
    at_ms: int


class GateEventRow(Message, frozen=True, tag=True):
    """One attempt to call the gate, also when it failed or was disabled."""

    cycle_id: str
    decision_id: str
    snapshot_id: str
    snapshot_hash: str
    input_hash: str
    raw_hash: str
    prompt_hash: str
    enabled: bool
    verdict: GateVerdict
    reasons: tuple[ReasonCode, ...]
    model: str
    latency_ms: int
    modify_applied: bool
    patch_redacted: str
    error_code: str
    error_detail_redacted: str
    at_ms: int


class RiskVerdictRow(Message, frozen=True, tag=True):
    """A verdict with all of its inputs: account, counters and the rest (`inputs_json`)."""

    decision_id: str
    cycle_id: str
    symbol: str
    verdict: Verdict
    approved_qty: Decimal
    reasons: tuple[ReasonCode, ...]
    limits_json: str
    account_json: str
    counters_json: str
    at_ms: int
    inputs_json: str = "{}"


class IntentCreated(Message, frozen=True, tag=True):
    """A new ledger row in state CREATED with all its client ids."""

    intent: OrderIntent
    aliases: tuple[Alias, ...]


class IntentMoved(Message, frozen=True, tag=True):
    """A transition of one intent; the database refuses an illegal one."""

    order_intent_id: str
    from_state: IntentState
    to_state: IntentState
    reasons: tuple[ReasonCode, ...]
    evidence: str
    request_id: str
    exchange_order_id: int
    exchange_list_id: int
    last_error_code: str
    sent_at_ms: int
    recv_window_ms: int
    at_ms: int


class AliasAdded(Message, frozen=True, tag=True):
    alias: Alias


class OrderRow(Message, frozen=True, tag=True):
    """The newest state of an order, upserted by (symbol, order_id), never backwards."""

    order: OrderView
    order_intent_id: str
    role: str
    source: str


class OrderListRow(Message, frozen=True, tag=True):
    order_list: ListView
    order_intent_id: str


class FillRow(Message, frozen=True, tag=True):
    """Inserted once per (symbol, trade_id); a second insert is a no-op."""

    fill: Fill
    order_intent_id: str
    decision_id: str
    fee_quote: Decimal
    fee_unpriced: bool
    source: str


class PositionRow(Message, frozen=True, tag=True):
    position: Position


class ReserveRow(Message, frozen=True, tag=True):
    """Quote reserved for a decision; state RESERVED, BOUND, CONVERTED or RELEASED."""

    decision_id: str
    symbol: str
    state: str
    amount_quote: Decimal
    order_intent_id: str
    expires_at_ms: int
    updated_at_ms: int


class RiskCounters(Message, frozen=True, tag=True):
    """The risk actor's whole memory as canonical JSON; one row, replaced."""

    counters_json: str
    updated_at_ms: int


class CandleRow(Message, frozen=True, tag=True):
    symbol: str
    interval: Interval
    candle: Candle


class HealthSample(Message, frozen=True, tag=True):
    """One periodic measurement of the process as canonical JSON."""

    at_ms: int
    sample_json: str


class ReconcileRow(Message, frozen=True, tag=True):
    report: ReconcileReport
    cycle_id: str


class AlertRow(Message, frozen=True, tag=True):
    alert: Alert


class OperatorCommandRow(Message, frozen=True, tag=True):
    command: OperatorCommand
    outcome: str


class ManualExposureRow(Message, frozen=True, tag=True):
    """A position the operator took by hand; it is open while `closed_at_ms` is 0."""

    exposure_id: str
    symbol: str
    side: Side
    qty: Decimal
    note: str
    opened_at_ms: int
    closed_at_ms: int = 0
    close_note: str = ""


class ChainAnchor(Message, frozen=True, tag=True):
    """What remains of a pruned segment of the chain; the segment goes in the same transaction.

    Rows and sequence run from the first to the last pruned event, all of one run; `prev_hash` is
    what the first one named.
    """

    run_id: str
    first_row: int
    last_row: int
    first_seq: int
    last_seq: int
    from_ms: int
    until_ms: int
    prev_hash: str
    last_hash: str


class RowsPruned(Message, frozen=True, tag=True):
    """Rows of one table that are no longer needed, by row number."""

    table: PrunedTable
    rows: tuple[int, ...]


class TrailDayPacked(Message, frozen=True, tag=True):
    """A day of the trail has been compressed into one file; `sha256` is of that file."""

    day: str
    sha256: str
    lines: int
    packed_at_ms: int


class TrailDayRemoved(Message, frozen=True, tag=True):
    """A packed day has expired; its file is deleted once this is durable."""

    day: str
    removed_at_ms: int


class DailySummaryRow(Message, frozen=True, tag=True):
    day: str
    summary_json: str
    at_ms: int


Record = (
    RunStarted
    | RunEnded
    | SysModeRow
    | UniverseScan
    | CycleRanking
    | CycleSelection
    | SymbolHealth
    | SnapshotRow
    | DecisionRow
    | GateEventRow
    | RiskVerdictRow
    | IntentCreated
    | IntentMoved
    | AliasAdded
    | OrderRow
    | OrderListRow
    | FillRow
    | PositionRow
    | ReserveRow
    | RiskCounters
    | CandleRow
    | HealthSample
    | ReconcileRow
    | AlertRow
    | OperatorCommandRow
    | ManualExposureRow
    | DailySummaryRow
    | ChainAnchor
    | RowsPruned
    | TrailDayPacked
    | TrailDayRemoved
)
