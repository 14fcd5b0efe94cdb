"""The snapshot of the panel: everything its first screen shows, as one typed value.

Names from the database (states, stages, codes) are plain text here, so that a row this version does
not know is shown and never breaks the page. Times are epoch milliseconds of market time with 0 for
"never", money and quantities decimal strings. A figure that is not known is null, and `unknown`
beside it names it with the reason; a zero is always a measured zero.
"""

import msgspec

from livespot.contracts.base import Message
from livespot.contracts.schemas import schema_text
from livespot.panel.codes import CodeView
from livespot.panel.tabs import (
    GateTab,
    MarketView,
    RiskTab,
    RunTab,
    SelectionTab,
    SurvivalTab,
    Unknown,
)

SCHEMA_VERSION = 3


class ReasonView(Message, frozen=True):
    """One reason that holds the present mode, with what was measured and what to do."""

    code: str
    meaning: str
    action: str
    level: str
    source: str
    since_ms: int
    value: int
    threshold: int
    unit: str
    detail: str
    count: int
    by_itself: str = ""


class ProcessView(Message, frozen=True):
    """Whether a process stands behind these rows.

    `state` is RUNNING, DOWN (ended in order), CRASHED (ended without saying so), UNKNOWN, or
    NEVER_RAN. `silent_ms` is how long nothing was written, in wall time. `look` and `again` are the
    commands that show where it stands and start it again; `again` is empty where none is known.
    """

    state: str
    note: str = ""
    last_event_ms: int = 0
    silent_ms: int | None = None
    look: str = "livespot status"
    again: str = ""


class HeaderView(Message, frozen=True):
    """What runs, in which mode, why, and where it is."""

    mode: str = ""
    sysmode: str = ""
    previous: str = ""
    since_ms: int = 0
    reasons: tuple[ReasonView, ...] = ()
    stage: str = ""
    run_id: str = ""
    cycle_id: str = ""
    decision_id: str = ""
    started_ms: int = 0
    ended_ms: int = 0
    exit_code: int | None = None
    version: str = ""
    account_label: str = ""


class NextStep(Message, frozen=True):
    """The one thing the operator should do now; `urgency` is NONE, SOON or NOW."""

    action: str
    why: str
    urgency: str = "NONE"


class AlertView(Message, frozen=True):
    id: int
    severity: str
    code: CodeView
    reasons: tuple[CodeView, ...]
    text: str
    symbol: str
    at_ms: int


class AlertsView(Message, frozen=True):
    """Counts by severity since `since_ms`, and the newest alerts first."""

    since_ms: int = 0
    info: int = 0
    warn: int = 0
    crit: int = 0
    latest: tuple[AlertView, ...] = ()


class StageSpan(Message, frozen=True):
    """One stay in a stage, newest first; `duration_ms` is null while it lasts."""

    stage: str
    cycle_id: str
    entered_ms: int
    duration_ms: int | None


class MailboxView(Message, frozen=True):
    name: str
    policy: str
    capacity: int
    depth: int
    high_water: int
    oldest_age_ms: int
    received: int
    dropped: int


class SeriesView(Message, frozen=True):
    """Short histories for sparklines, oldest first; null where a sample lacked the figure."""

    at_ms: tuple[int, ...] = ()
    disk_free_bytes: tuple[int | None, ...] = ()
    db_bytes: tuple[int | None, ...] = ()
    wal_bytes: tuple[int | None, ...] = ()
    rss_bytes: tuple[int | None, ...] = ()
    cpu_percent_x100: tuple[int | None, ...] = ()
    writer_depth: tuple[int | None, ...] = ()
    writer_lag_ms: tuple[int | None, ...] = ()
    stream_age_ms: tuple[int | None, ...] = ()
    rest_age_ms: tuple[int | None, ...] = ()
    used_weight: tuple[int | None, ...] = ()


class HealthView(Message, frozen=True):
    """The newest measurement of the process, taken at `at_ms`.

    `writer_state` is OK, BEHIND (what waits is older than allowed) or FAILED.
    """

    at_ms: int = 0
    disk_free_bytes: int | None = None
    db_bytes: int | None = None
    wal_bytes: int | None = None
    rss_bytes: int | None = None
    cpu_percent_x100: int | None = None
    writer_depth: int | None = None
    writer_lag_ms: int | None = None
    writer_oldest_ms: int | None = None
    writer_failed: int | None = None
    writer_state: str | None = None
    events_per_minute: int = 0
    drops: int | None = None
    stream_age_ms: int | None = None
    rest_age_ms: int | None = None
    clock_offset_ms: int | None = None
    used_weight: int | None = None
    weight_limit: int | None = None
    unfilled_orders_pct: int | None = None
    mailboxes: tuple[MailboxView, ...] = ()
    series: SeriesView = SeriesView()
    unknown: Unknown = msgspec.field(default_factory=dict)


class IntentView(Message, frozen=True):
    """One mutation in the ledger; `age_ms` counts from its creation."""

    order_intent_id: str
    decision_id: str
    action: str
    role: str
    symbol: str
    side: str
    state: str
    attempts: int
    last_error_code: str
    created_ms: int
    updated_ms: int
    age_ms: int


class DiffView(Message, frozen=True):
    """One difference a reconcile found; `before` was ours, `after` is the exchange's."""

    at_ms: int
    mismatch: str
    symbol: str
    subject: str
    before: str
    after: str
    score_x10000: int
    corrected: bool


class ReconcileView(Message, frozen=True):
    at_ms: int
    duration_ms: int
    label: str
    drift_score_x10000: int
    scope: str
    diffs: tuple[DiffView, ...] = ()


class ChurnView(Message, frozen=True):
    """Mutations sent for one symbol; `near_limit` from 80 % of the configured 10 s limit."""

    symbol: str
    new_10s: int
    new_60s: int
    cancel_10s: int
    cancel_60s: int
    replace_10s: int
    replace_60s: int
    near_limit: bool


class ExecutionView(Message, frozen=True):
    """`by_state` counts the newest `counted` intents; `unknown` is oldest first and complete."""

    by_state: dict[str, int] = msgspec.field(default_factory=dict)
    counted: int = 0
    unknown: tuple[IntentView, ...] = ()
    recent: tuple[IntentView, ...] = ()
    reconcile: ReconcileView | None = None
    churn: tuple[ChurnView, ...] = ()


class MeasuredView(Message, frozen=True):
    """A hit rate with its 95 % interval, and the mean result of a trade that it would give."""

    hit_rate_x10000: int
    low_x10000: int
    high_x10000: int
    expectancy_bps: int


class EdgeView(Message, frozen=True):
    """Beside a reward margin; it describes and decides nothing.

    `trades` counts the newest closed ones of the same strategy version, regime and mode; with
    fewer than a hundred nothing is `measured`.
    """

    breakeven_hit_x10000: int
    trades: int
    measured: MeasuredView | None = None


class DecisionView(Message, frozen=True):
    """The newest decision of one symbol and how far it went; gate and risk empty when not asked.

    `edge_bps_expected` is the reward margin, not an expected profit.
    """

    symbol: str
    outcome: str
    regime: str
    decision_id: str
    cycle_id: str
    at_ms: int
    edge_score_x10000: int
    edge_bps_expected: int
    reasons: tuple[CodeView, ...]
    gate: str = ""
    gate_reasons: tuple[CodeView, ...] = ()
    risk: str = ""
    risk_reasons: tuple[CodeView, ...] = ()
    edge: EdgeView | None = None


class WatchView(Message, frozen=True):
    symbol: str
    rank: int
    score_x10000: int
    incumbent_cycles: int
    reasons: tuple[CodeView, ...]
    at_ms: int


class OrderLine(Message, frozen=True):
    """One order of the exchange; its intent and decision are empty for a foreign one."""

    symbol: str
    order_id: int
    client_order_id: str
    order_intent_id: str
    decision_id: str
    role: str
    side: str
    type: str
    status: str
    price: str
    stop_price: str
    orig_qty: str
    executed_qty: str
    at_ms: int


class PositionLine(Message, frozen=True):
    """One position; `mark_price` is the last recorded close."""

    symbol: str
    position_id: str
    decision_id: str
    phase: str
    qty: str
    avg_price: str
    cost_quote: str
    tp_price: str
    sl_price: str
    tp_bps: int
    sl_bps: int
    protected_qty: str
    protected: bool
    unprotected_since_ms: int
    unprotected_ms: int
    realised_quote: str
    fees_quote: str
    fee_unpriced: bool
    opened_ms: int
    closed_ms: int = 0
    exit_reason: str = ""
    trailing_mode: str | None = None
    mark_price: str | None = None
    mark_at_ms: int | None = None
    unrealised_quote: str | None = None
    unknown: Unknown = msgspec.field(default_factory=dict)


class PnlView(Message, frozen=True):
    """The present UTC day of market time. Closed positions count on the day they closed."""

    day_start_ms: int = 0
    realised_quote: str = "0"
    unrealised_quote: str | None = None
    fees_quote: str = "0"
    fee_unpriced: bool = False
    closed: int = 0
    won: int = 0
    lost: int = 0
    max_daily_loss_quote: str | None = None
    unknown: Unknown = msgspec.field(default_factory=dict)


class ExposureLine(Message, frozen=True):
    """A position the operator took by hand: while it is open, its symbol takes no entries."""

    exposure_id: str
    symbol: str
    side: str
    qty: str
    note: str
    opened_ms: int


class FillLine(Message, frozen=True):
    symbol: str
    trade_id: int
    order_id: int
    order_intent_id: str
    side: str
    price: str
    qty: str
    fee_quote: str
    fee_unpriced: bool
    is_maker: bool
    decision_id: str
    at_ms: int


class Dashboard(Message, frozen=True):
    """The whole snapshot. Ages are counted against `now_ms`; it repeats every `refresh_ms`."""

    schema_version: int
    now_ms: int
    refresh_ms: int
    process: ProcessView
    header: HeaderView
    next: NextStep
    alerts: AlertsView
    stages: tuple[StageSpan, ...]
    health: HealthView
    execution: ExecutionView
    decisions: tuple[DecisionView, ...]
    watchlist: tuple[WatchView, ...]
    orders: tuple[OrderLine, ...]
    positions: tuple[PositionLine, ...]
    pnl: PnlView
    fills: tuple[FillLine, ...]
    market: MarketView = MarketView()
    risk: RiskTab = RiskTab()
    gate: GateTab = GateTab()
    selection: SelectionTab = SelectionTab()
    run: RunTab = RunTab()
    exposures: tuple[ExposureLine, ...] = ()
    survival: SurvivalTab = SurvivalTab()


class OrdersPage(Message, frozen=True):
    """`/api/orders`: the newest `limit` of each kind, whatever their state."""

    schema_version: int
    now_ms: int
    limit: int
    intents: tuple[IntentView, ...]
    orders: tuple[OrderLine, ...]
    fills: tuple[FillLine, ...]
    positions: tuple[PositionLine, ...]


class AlertsPage(Message, frozen=True):
    """`/api/alerts`: the counts of the header and the newest `limit` alerts."""

    schema_version: int
    now_ms: int
    limit: int
    alerts: AlertsView


def dashboard_schema() -> str:
    """The published JSON Schema of the snapshot, as the text of its file."""
    return schema_text(msgspec.json.schema(Dashboard))
