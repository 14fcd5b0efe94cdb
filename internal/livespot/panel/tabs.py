"""The views behind the tabs: market, risk, gate, selection and run, as parts of the snapshot.

A figure that nobody measured is null, and `unknown` of the same view names it with the reason; a
zero is always a measured zero. Prices and money are decimal strings, times epoch milliseconds.
"""

from typing import Any

import msgspec

from livespot.contracts.base import Message
from livespot.panel.codes import CodeView

Unknown = dict[str, str]


class MarkView(Message, frozen=True):
    """One own trade on a price series."""

    at_ms: int
    side: str
    price: str
    qty: str
    decision_id: str


class LevelView(Message, frozen=True):
    """A level that held for a time; `kind` is STOP, TARGET or TRAIL (where trailing begins).

    `to_ms` is null while the level is in force; `trailing_bps` is how far a stop follows behind.
    """

    kind: str
    price: str
    from_ms: int
    to_ms: int | None = None
    trailing_bps: int | None = None
    detail: str = ""


class ChartView(Message, frozen=True):
    """Closed one-minute candles, oldest first, with own trades and levels drawn over them."""

    at_ms: tuple[int, ...] = ()
    close: tuple[str, ...] = ()
    high: tuple[str, ...] = ()
    low: tuple[str, ...] = ()
    trades: tuple[MarkView, ...] = ()
    levels: tuple[LevelView, ...] = ()
    unknown: Unknown = msgspec.field(default_factory=dict)


class SymbolView(Message, frozen=True):
    """The newest readings of one watched or held symbol, and what stood in its way.

    `read_at_ms` is when they were taken. `edge_bps` is the reward margin after `cost_bps`.
    """

    symbol: str
    read_at_ms: int | None = None
    held: bool = False
    regime: str | None = None
    direction: str | None = None
    trend_score_x10000: int | None = None
    range_score_x10000: int | None = None
    spread_bps: int | None = None
    spread_p50_bps: int | None = None
    spread_p90_bps: int | None = None
    delta_spread_p90_bps: int | None = None
    imbalance_x10000: int | None = None
    atr14_5m_bps: int | None = None
    volume_ratio_x10000: int | None = None
    edge_bps: int | None = None
    edge_score_x10000: int | None = None
    cost_bps: int | None = None
    sl_bps: int | None = None
    tp_bps: int | None = None
    outcome: str | None = None
    decision_id: str = ""
    decided_at_ms: int | None = None
    reasons: tuple[CodeView, ...] = ()
    passed: tuple[CodeView, ...] = ()
    chart: ChartView = ChartView()
    unknown: Unknown = msgspec.field(default_factory=dict)


class MarketView(Message, frozen=True):
    """Held, watched, lately traded and scanned symbols, in that order; the first few are drawn."""

    symbols: tuple[SymbolView, ...] = ()
    unknown: Unknown = msgspec.field(default_factory=dict)


class GaugeView(Message, frozen=True):
    """A figure against its limit.

    `share_x10000` is how much of the limit is used up (10000: all of it). `name` is a stable word,
    `label` the same for people, `unit` is the quote asset, `count` or `ms`.
    """

    name: str
    label: str
    unit: str
    value: str | None
    limit: str | None
    share_x10000: int | None
    symbol: str = ""
    at_ms: int | None = None
    unknown: str = ""


class BalanceView(Message, frozen=True):
    """The quote asset: what is free, locked in own orders, and promised to decisions."""

    asset: str = ""
    free_quote: str | None = None
    free_at_ms: int | None = None
    locked_quote: str | None = None
    reserved_quote: str | None = None
    unknown: Unknown = msgspec.field(default_factory=dict)


class CurveView(Message, frozen=True):
    """Result of all trading in this database after fees, point by point, oldest first.

    A point stands where a position closed; the last one is now and holds the open result too.
    `drawdown_quote` is the distance below the highest point so far, never negative.
    """

    at_ms: tuple[int, ...] = ()
    equity_quote: tuple[str, ...] = ()
    drawdown_quote: tuple[str, ...] = ()
    unknown: Unknown = msgspec.field(default_factory=dict)


class HoldView(Message, frozen=True):
    """A symbol that may not be entered for a time.

    `kind` is COOLDOWN, STREAK, CHURN or QUARANTINE; `cause` is a code or words.
    """

    symbol: str
    kind: str
    until_ms: int
    left_ms: int
    cause: str = ""
    reasons: tuple[CodeView, ...] = ()


class StreakView(Message, frozen=True):
    """Losing exits in a row of one symbol, against the number that blocks it."""

    symbol: str
    losses_in_row: int
    limit: int


class RiskTab(Message, frozen=True):
    gauges: tuple[GaugeView, ...] = ()
    balance: BalanceView = BalanceView()
    curve: CurveView = CurveView()
    holds: tuple[HoldView, ...] = ()
    streaks: tuple[StreakView, ...] = ()
    fired: tuple[CodeView, ...] = ()
    unknown: Unknown = msgspec.field(default_factory=dict)


class GateCallView(Message, frozen=True):
    id: int
    at_ms: int
    symbol: str
    decision_id: str
    enabled: bool
    verdict: str
    reasons: tuple[CodeView, ...]
    model: str
    latency_ms: int
    modify_applied: bool
    patch: str
    error_code: str
    error_detail: str


class GateTab(Message, frozen=True):
    """Counts over the newest `counted` attempts since `since_ms`; errors by their code."""

    since_ms: int | None = None
    counted: int = 0
    verdicts: dict[str, int] = msgspec.field(default_factory=dict)
    errors: dict[str, int] = msgspec.field(default_factory=dict)
    failure_rate_x10000: int | None = None
    latency_p50_ms: int | None = None
    latency_p90_ms: int | None = None
    calls: tuple[GateCallView, ...] = ()
    unknown: Unknown = msgspec.field(default_factory=dict)


class RankView(Message, frozen=True):
    """One symbol's place in a ranking; `dropped` ones say why."""

    symbol: str
    rank: int
    score_x10000: int
    dropped: bool
    reasons: tuple[CodeView, ...]
    features: dict[str, int | str]


class RankingView(Message, frozen=True):
    at_ms: int | None = None
    cycle_id: str = ""
    lines: tuple[RankView, ...] = ()
    unknown: Unknown = msgspec.field(default_factory=dict)


class ChoiceView(Message, frozen=True):
    """One candidate for the watch list.

    A chosen one is guarded for `guard_cycles_left` more selection cycles against others that are
    not clearly better.
    """

    symbol: str
    rank: int
    score_x10000: int
    chosen: bool
    incumbent_cycles: int
    guard_cycles_left: int
    reasons: tuple[CodeView, ...]
    features: dict[str, int | str]


class UniverseView(Message, frozen=True):
    at_ms: int | None = None
    symbols: int | None = None
    eligible: int | None = None
    excluded_by: dict[str, int] = msgspec.field(default_factory=dict)
    unknown: Unknown = msgspec.field(default_factory=dict)


class CorrelationView(Message, frozen=True):
    """Pearson's r of 5m log returns; `rows[i][j]` belongs to `symbols[i]` and `symbols[j]`."""

    symbols: tuple[str, ...] = ()
    rows: tuple[tuple[int | None, ...], ...] = ()
    limit_x10000: int | None = None
    at_ms: int | None = None
    unknown: Unknown = msgspec.field(default_factory=dict)


class SelectionTab(Message, frozen=True):
    """From the universe to the watch list; `guard_*` are the limits of the churn guard."""

    universe: UniverseView = UniverseView()
    topn: RankingView = RankingView()
    deep: RankingView = RankingView()
    choices: tuple[ChoiceView, ...] = ()
    chosen_at_ms: int | None = None
    guard_min_cycles: int | None = None
    guard_min_score_delta_x10000: int | None = None
    correlation: CorrelationView = CorrelationView()
    unknown: Unknown = msgspec.field(default_factory=dict)


class ManifestView(Message, frozen=True):
    """What ran: versions and hashes as recorded when the run began."""

    run_id: str = ""
    mode: str = ""
    version: str = ""
    python: str = ""
    sqlite: str = ""
    platform: str = ""
    account_label: str = ""
    strategy_id: str = ""
    strategy_version: str = ""
    strategy_file_sha256: str = ""
    config_hash: str = ""
    prompt_hash: str = ""
    schema_version: int | None = None
    previous_run_id: str = ""
    started_ms: int = 0
    ended_ms: int = 0
    exit_code: int | None = None
    end_reasons: tuple[CodeView, ...] = ()
    unknown: Unknown = msgspec.field(default_factory=dict)


class RunTab(Message, frozen=True):
    """The manifest and the configuration by section; an address that may hold a token is masked."""

    manifest: ManifestView = ManifestView()
    config: dict[str, Any] = msgspec.field(default_factory=dict)
    unknown: Unknown = msgspec.field(default_factory=dict)


class SurvivalView(Message, frozen=True):
    """Times in ms of the runs' own clock.

    `restart_ms` is the longest way from a start to NORMAL, `between_failures_ms` the uptime for
    each internal failure. `missed_fills` came by query, not by the stream.
    """

    runs: int
    uptime_ms: int
    internal_failures: int
    between_failures_ms: int | None
    restart_ms: int | None
    modes_ms: dict[str, int]
    unprotected_p99_ms: int | None
    unprotected_max_ms: int | None
    unprotected_total_ms: int | None
    unknown_intents: int
    unresolved_intents: int
    resolve_max_ms: int | None
    missed_fills: int | None
    drift_corrections: int | None
    unknown: Unknown = msgspec.field(default_factory=dict)


class SurvivalTab(Message, frozen=True):
    """How well the newest run, and all runs in this database, survived; counted at `at_ms`."""

    at_ms: int = 0
    run: SurvivalView | None = None
    over_runs: SurvivalView | None = None
    unknown: Unknown = msgspec.field(default_factory=dict)
