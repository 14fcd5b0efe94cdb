"""Every setting with its default and its bounds; the meaning of a key is its name and unit."""

import re
from decimal import Decimal
from typing import Annotated

from msgspec import Meta

from livespot.contracts.base import Message, require
from livespot.contracts.vocabulary import FallbackKind, Severity, WebhookShape

Ms = Annotated[int, Meta(ge=1, le=604_800_000)]
Bps = Annotated[int, Meta(ge=0, le=10_000)]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
X10000 = Annotated[int, Meta(ge=0, le=10_000)]
Percent = Annotated[int, Meta(ge=0, le=100)]
_ADDRESS = re.compile(
    r"(?P<scheme>[a-z]+)://(?P<host>[A-Za-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?"
)
_WEIGHT_TOLERANCE = Decimal("0.000001")


def _require_weights(field: str, weights: tuple[Decimal, ...], count: int) -> None:
    require(len(weights) == count, field, weights, f"needs exactly {count} weights")
    require(all(w.is_finite() and w >= 0 for w in weights), field, weights, "must be >= 0")
    total = sum(weights, Decimal(0))
    require(abs(total - 1) <= _WEIGHT_TOLERANCE, field, weights, "weights must sum to 1")


def _require_range(field: str, value: Decimal, low: str, high: str) -> None:
    require(
        value.is_finite() and Decimal(low) <= value <= Decimal(high),
        field,
        str(value),
        f"must be within {low}..{high}",
    )


def _require_order(section: Message, *pairs: tuple[str, str]) -> None:
    """The first of each pair must be below the second: a warning comes before a stop."""
    for low, high in pairs:
        value = getattr(section, low)
        require(value < getattr(section, high), low, value, f"must be below {high}")


def _require_address(field: str, url: str, plain: str) -> None:
    """A server and a path, nothing else: settings are stored and shown, and must hold no secret."""
    secure = "https" if plain == "http" else "wss"
    found = _ADDRESS.fullmatch(url)
    good = found is not None and (
        found["scheme"] == secure or (found["scheme"] == plain and found["host"] == "127.0.0.1")
    )
    shown = "***" if "@" in url or "?" in url else url
    rule = "must be TLS, or plain on 127.0.0.1: scheme, host, port and path only"
    require(good, field, shown, rule)


class VenueSettings(Message, frozen=True):
    quote_asset: Annotated[str, Meta(pattern=r"^[A-Z0-9]{2,10}$")] = "USDT"
    rest_url: str = "https://api.binance.com"
    ws_url: str = "wss://stream.binance.com:9443"
    ws_api_url: str = "wss://ws-api.binance.com:443/ws-api/v3"
    order_transport: Annotated[str, Meta(pattern=r"^(WS_API|REST)$")] = "WS_API"
    maker_bps: Bps = 10
    taker_bps: Bps = 10

    def __post_init__(self) -> None:
        for field in ("rest_url", "ws_url", "ws_api_url"):
            url: str = getattr(self, field)
            _require_address(field, url, "http" if field == "rest_url" else "ws")


class HealthSettings(Message, frozen=True):
    loop_stuck_ms_degrade: Ms = 5000
    loop_stuck_ms_pause: Ms = 15000
    ws_stale_ms_degrade: Ms = 2000
    ws_stale_ms_pause: Ms = 10000
    rest_stale_ms_degrade: Ms = 10000
    rest_stale_ms_pause: Ms = 60000
    disk_free_degrade_bytes: Annotated[int, Meta(ge=0)] = 1_073_741_824
    disk_free_pause_bytes: Annotated[int, Meta(ge=0)] = 536_870_912
    disk_health_sample_interval_ms: Ms = 5000
    degrade_exit_stable_window_ms: Ms = 60000
    watchdog_kill_ms: Ms = 60000

    def __post_init__(self) -> None:
        _require_order(
            self,
            ("loop_stuck_ms_degrade", "loop_stuck_ms_pause"),
            ("loop_stuck_ms_pause", "watchdog_kill_ms"),
            ("ws_stale_ms_degrade", "ws_stale_ms_pause"),
            ("rest_stale_ms_degrade", "rest_stale_ms_pause"),
            ("disk_free_pause_bytes", "disk_free_degrade_bytes"),
        )


class AuditSettings(Message, frozen=True):
    writer_queue_capacity: Count = 1024
    writer_queue_hi_watermark_pct: Percent = 80
    writer_queue_full_pct: Percent = 95
    writer_max_lag_ms: Ms = 5000
    redacted_json_max_bytes: Count = 4096
    jsonl_keep_days: Count = 90
    backup_keep: Count = 14

    def __post_init__(self) -> None:
        _require_order(self, ("writer_queue_hi_watermark_pct", "writer_queue_full_pct"))


class ReconcileSettings(Message, frozen=True):
    rest_interval_ms: Ms = 5000
    all_orders_interval_ms: Ms = 60000
    drift_degrade_score_x10000: Count = 20000
    drift_pause_score_x10000: Count = 50000

    def __post_init__(self) -> None:
        _require_order(self, ("drift_degrade_score_x10000", "drift_pause_score_x10000"))


class TimeSettings(Message, frozen=True):
    recv_window_ms: Annotated[int, Meta(ge=500, le=60_000)] = 5000
    sync_interval_ms: Ms = 300_000
    clock_drift_max_ms: Ms = 500


class IntentSettings(Message, frozen=True):
    max_rest_queries: Count = 3
    rest_query_timeout_ms: Ms = 5000


class PanelSettings(Message, frozen=True):
    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8787
    stream_snapshot_interval_ms: Annotated[int, Meta(ge=100, le=60_000)] = 1000
    intents_recent_limit: Annotated[int, Meta(ge=1, le=500)] = 50
    reconcile_diffs_recent_limit: Annotated[int, Meta(ge=1, le=500)] = 50
    market_symbols_limit: Annotated[int, Meta(ge=1, le=500)] = 50
    token: bool = False

    def __post_init__(self) -> None:
        require(self.host in ("127.0.0.1", "::1"), "host", self.host, "must be loopback")


class GateSettings(Message, frozen=True):
    ai_dec: Annotated[int, Meta(ge=0, le=2)] = 2
    pause_after_failures: Count = 1
    max_calls_per_hour: Count = 60
    max_calls_per_day: Count = 500
    timeout_ms: Annotated[int, Meta(ge=100, le=60_000)] = 8000
    model: Annotated[str, Meta(min_length=1, max_length=100)] = "gpt-4o-mini"
    base_url: str = "https://api.openai.com/v1"

    def __post_init__(self) -> None:
        _require_address("base_url", self.base_url, "http")


class SelectionSettings(Message, frozen=True):
    topn: Count = 20
    topk: Count = 3
    rank_weights: tuple[Decimal, ...] = (Decimal("0.55"), Decimal("0.30"), Decimal("0.15"))
    min_quote_volume_24h: Decimal = Decimal(5_000_000)
    min_trades_24h: Annotated[int, Meta(ge=0)] = 10_000
    min_price_change_bps: Bps = 30
    deep_weights: tuple[Decimal, ...] = (
        Decimal("0.45"),
        Decimal("0.20"),
        Decimal("0.20"),
        Decimal("0.15"),
    )
    deep_min_edge_bps: Bps = 20
    deep_max_spread_bps: Annotated[int, Meta(ge=1, le=10_000)] = 20
    deep_min_imbalance_x10000: X10000 = 5500
    churn_guard_min_cycles: Count = 6
    churn_guard_min_score_delta_x10000: X10000 = 1000
    corr_max_x10000: X10000 = 8000
    corr_window_points: Annotated[int, Meta(ge=2, le=500)] = 72
    corr_missing_max_pct: Percent = 10
    corr_min_symbols: Count = 3

    def __post_init__(self) -> None:
        _require_weights("rank_weights", self.rank_weights, 3)
        _require_weights("deep_weights", self.deep_weights, 4)
        require(self.topk <= self.topn, "topk", self.topk, "cannot exceed topn")


class StrategySettings(Message, frozen=True):
    id: str = "REGIME_PULLBACK_MAKER_V1"
    version: str = "1.0.0"
    file: str = ""
    file_sha256: Annotated[str, Meta(pattern="^([0-9a-f]{64})?$")] = ""
    trend_threshold: X10000 = 7000
    range_threshold: X10000 = 6000
    min_edge_bps: Bps = 15
    min_edge_bps_fallback: Bps = 20
    max_spread_entry_bps: Annotated[int, Meta(ge=1, le=10_000)] = 20
    max_delta_spread_bps_10s: Annotated[int, Meta(ge=1, le=10_000)] = 5
    min_imbalance_buy: Annotated[int, Meta(ge=0, le=9_999)] = 5500
    pullback_min: Bps = 10
    pullback_max: Bps = 80
    volume_ratio_window: Annotated[int, Meta(ge=2, le=40)] = 12
    min_volume_ratio: Decimal = Decimal("1.20")
    weights: tuple[Decimal, ...] = (
        Decimal("0.55"),
        Decimal("0.20"),
        Decimal("0.15"),
        Decimal("0.10"),
    )

    def __post_init__(self) -> None:
        _require_weights("weights", self.weights, 4)
        _require_range("min_volume_ratio", self.min_volume_ratio, "0.01", "100")
        require(
            self.pullback_min < self.pullback_max,
            "pullback_min",
            self.pullback_min,
            "must be below pullback_max",
        )
        for field in ("trend_threshold", "range_threshold"):
            require(getattr(self, field) < 10_000, field, getattr(self, field), "below 10000")


class EntrySettings(Message, frozen=True):
    maker_ttl_ms: Ms = 30_000
    reprice_max: Annotated[int, Meta(ge=1, le=20)] = 2
    fallback_kind: FallbackKind = FallbackKind.IOC_LIMIT
    fallback_max_spread_bps: Bps = 25
    max_slippage_bps: Bps = 25
    partial_fill_grace_ms: Ms = 1500


class ExitSettings(Message, frozen=True):
    k_atr_trend: Decimal = Decimal("1.5")
    m_atr_trend: Decimal = Decimal("2.0")
    k_atr_range: Decimal = Decimal("1.0")
    m_atr_range: Decimal = Decimal("1.5")
    attach: Annotated[str, Meta(pattern="^(ATTACHED|SEPARATE)$")] = "ATTACHED"
    stop_kind: Annotated[str, Meta(pattern="^(AUTO|STOP_LOSS|STOP_LOSS_LIMIT)$")] = "AUTO"
    stop_limit_offset_bps: Bps = 100
    trailing_policy: Annotated[str, Meta(pattern="^(AUTO|OFF|VIRTUAL|NATIVE)$")] = "AUTO"
    trailing_enable_profit_bps: Bps = 50
    trailing_trend_min: X10000 = 6000
    t_atr_trend: Decimal = Decimal("1.0")
    t_atr_range: Decimal = Decimal("0.8")
    trailing_max_spread_bps: Bps = 25
    protection_deadline_ms: Ms = 2000
    protection_retries: Annotated[int, Meta(ge=0, le=10)] = 2
    protection_retry_backoff_ms: Ms = 400
    protection_pause_ms: Ms = 5000
    recovery_deadline_ms: Ms = 30_000

    def __post_init__(self) -> None:
        for field in (
            "k_atr_trend",
            "m_atr_trend",
            "k_atr_range",
            "m_atr_range",
            "t_atr_trend",
            "t_atr_range",
        ):
            _require_range(field, getattr(self, field), "0.05", "20")
        require(
            self.k_atr_trend < self.m_atr_trend and self.k_atr_range < self.m_atr_range,
            "m_atr_trend",
            str(self.m_atr_trend),
            "take profit must lie beyond the stop's distance",
        )
        _require_order(self, ("protection_deadline_ms", "protection_pause_ms"))


class RiskSettings(Message, frozen=True):
    per_trade: Decimal = Decimal("100.00")
    max_exposure_symbol: Decimal = Decimal("200.00")
    max_exposure_total: Decimal = Decimal("500.00")
    max_daily_loss: Decimal = Decimal("-500.00")
    max_drawdown: Decimal = Decimal("500.00")
    max_open_orders_per_symbol: Count = 1
    max_open_orders_total: Count = 10
    max_trades_per_day: Count = 20
    trades_window_seconds: Count = 3600
    max_trades_per_window: Count = 3
    cooldown_seconds: Count = 300
    max_consecutive_losses: Count = 3
    ws_latency_threshold_ms: Ms = 1000
    max_dust_bps: Bps = 100

    def __post_init__(self) -> None:
        _require_range("per_trade", self.per_trade, "10.00", "500.00")
        _require_range("max_exposure_symbol", self.max_exposure_symbol, "5", "1000000")
        _require_range("max_exposure_total", self.max_exposure_total, "5", "10000000")
        _require_range("max_daily_loss", self.max_daily_loss, "-10000000", "-1")
        _require_range("max_drawdown", self.max_drawdown, "1", "10000000")
        require(
            self.max_exposure_symbol <= self.max_exposure_total,
            "max_exposure_symbol",
            str(self.max_exposure_symbol),
            "cannot exceed max_exposure_total",
        )


class AdaptiveSettings(Message, frozen=True):
    spread_factor: Annotated[int, Meta(ge=10_000, le=100_000)] = 15_000
    volatility_factor: Annotated[int, Meta(ge=10_000, le=100_000)] = 15_000
    liquidity_floor: X10000 = 5000
    max_multiplier: Annotated[int, Meta(ge=10_000, le=100_000)] = 30_000
    normal_atr_5m_bps: Annotated[int, Meta(ge=1, le=10_000)] = 50


class ChurnSettings(Message, frozen=True):
    max_cancel_replace_10s: Count = 3
    max_cancel_10s: Count = 5
    max_new_orders_10s: Count = 5
    cooldown_seconds: Count = 60
    unfilled_warning_pct: Percent = 80
    unfilled_critical_pct: Percent = 95

    def __post_init__(self) -> None:
        _require_order(self, ("unfilled_warning_pct", "unfilled_critical_pct"))


class QuarantineSettings(Message, frozen=True):
    max_rejects_per_hour: Count = 3
    max_ws_disconnects_per_10min: Count = 5
    max_timeouts_consecutive: Count = 3
    ttl_seconds: Count = 3600
    auto_release: bool = True


class TimingSettings(Message, frozen=True):
    decision_cycle_ms: Ms = 5000
    selection_cycle_ms: Ms = 15_000
    universe_interval_ms: Ms = 60_000
    microstructure_sample_ms: Ms = 500
    decision_max_age_ms: Ms = 15_000
    mutation_timeout_ms: Ms = 8000
    engine_wait_ms: Ms = 10_000
    read_lag_ms: Ms = 60_000
    entry_recv_window_ms: Annotated[str, Meta(pattern=r"^(AUTO|[1-9][0-9]{3})$")] = "AUTO"


class LiveSettings(Message, frozen=True):
    first_day_max_notional: Decimal = Decimal(25)
    crash_loop_max: Count = 3
    require_ok_file: bool = True
    ok_file: str = "var/LIVE.ok"
    stop_file: str = "var/STOP"
    account_label: str = ""
    allow_gate_below_2: bool = False


class AlertSettings(Message, frozen=True):
    """`webhook` names the private file that holds the address; empty means off."""

    sound: bool = False
    webhook: str = ""
    webhook_shape: WebhookShape = WebhookShape.JSON
    webhook_min_severity: Severity = Severity.WARN
    webhook_timeout_ms: Annotated[int, Meta(ge=100, le=60_000)] = 5000
    webhook_max_per_minute: Annotated[int, Meta(ge=1, le=60)] = 10

    def __post_init__(self) -> None:
        # An address may be a secret, so the error does not quote it.
        require(
            "://" not in self.webhook,
            "webhook",
            "***",
            "must name a private file with the address in it, not be the address",
        )


class Settings(Message, frozen=True):
    """The whole configuration: frozen, hashed, never changed while running."""

    venue: VenueSettings = VenueSettings()
    health: HealthSettings = HealthSettings()
    audit: AuditSettings = AuditSettings()
    reconcile: ReconcileSettings = ReconcileSettings()
    time: TimeSettings = TimeSettings()
    intents: IntentSettings = IntentSettings()
    panel: PanelSettings = PanelSettings()
    ai_gate: GateSettings = GateSettings()
    selection: SelectionSettings = SelectionSettings()
    strategy: StrategySettings = StrategySettings()
    entry: EntrySettings = EntrySettings()
    exit: ExitSettings = ExitSettings()
    risk: RiskSettings = RiskSettings()
    adaptive: AdaptiveSettings = AdaptiveSettings()
    churn: ChurnSettings = ChurnSettings()
    quarantine: QuarantineSettings = QuarantineSettings()
    timing: TimingSettings = TimingSettings()
    live: LiveSettings = LiveSettings()
    alerts: AlertSettings = AlertSettings()
