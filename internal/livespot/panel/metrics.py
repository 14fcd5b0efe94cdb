"""The snapshot as metrics: every name carries its unit, and unknown figures have no sample."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from livespot.panel.dashboard import Dashboard, HealthView
from livespot.panel.tabs import SurvivalView

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_MODES = ("NORMAL", "DEGRADE", "PAUSE", "EXIT")
# Name, meaning, figure of the sample, and the divisor that gives the unit.
_HEALTH = (
    ("disk_free_bytes", "Free space on the audit volume", "disk_free_bytes", 1),
    ("database_bytes", "Size of the audit database", "db_bytes", 1),
    ("wal_bytes", "Size of the write-ahead log", "wal_bytes", 1),
    ("resident_memory_bytes", "Resident memory of the process", "rss_bytes", 1),
    ("cpu_ratio", "Share of one processor in use", "cpu_percent_x100", 10_000),
    ("writer_queue_events", "Events waiting for the audit writer", "writer_depth", 1),
    ("writer_lag_seconds", "Time of the last audit commit", "writer_lag_ms", 1000),
    ("writer_oldest_seconds", "Age of the oldest event that waits", "writer_oldest_ms", 1000),
    ("market_stream_age_seconds", "Time since the market stream spoke", "stream_age_ms", 1000),
    ("rest_age_seconds", "Time since REST confirmed the account", "rest_age_ms", 1000),
    ("clock_offset_seconds", "The exchange's clock against ours", "clock_offset_ms", 1000),
    ("request_weight_used", "Weight used in the exchange's minute", "used_weight", 1),
    ("request_weight_limit", "Weight the exchange allows a minute", "weight_limit", 1),
    ("unfilled_orders_ratio", "Unfilled orders of those allowed", "unfilled_orders_pct", 100),
)


_SURVIVAL = (
    ("run_internal_failures", "What went wrong inside the process", "internal_failures", 1),
    ("run_first_normal_seconds", "From its start to NORMAL", "restart_ms", 1000),
    ("run_unprotected_max_seconds", "Longest without a stop", "unprotected_max_ms", 1000),
    ("run_unprotected_seconds", "Without a stop in all", "unprotected_total_ms", 1000),
    ("run_intents_in_doubt", "Mutations whose outcome was in doubt", "unknown_intents", 1),
    ("run_missed_fills", "Fills the stream did not bring", "missed_fills", 1),
    ("run_drift_corrections", "Differences a reconcile corrected", "drift_corrections", 1),
)


class _Families(Collector):
    def __init__(self, dashboard: Dashboard) -> None:
        self._dashboard = dashboard

    def collect(self) -> Iterator[Metric]:
        yield from _standing(self._dashboard)
        yield from _health(self._dashboard.health)
        yield from _mailboxes(self._dashboard.health)
        yield from _execution(self._dashboard)
        yield from _money(self._dashboard)
        yield from _gate(self._dashboard)
        yield from _survival(self._dashboard.survival.run)


def metrics_text(dashboard: Dashboard) -> bytes:
    """Return a snapshot in the text format of Prometheus."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(dashboard))
    return generate_latest(registry)


def _gauge(name: str, meaning: str, value: float | None) -> Iterator[Metric]:
    if value is not None:
        yield GaugeMetricFamily(f"livespot_{name}", meaning, value=value)


def _labelled(
    name: str, meaning: str, label: str, values: dict[str, int]
) -> Iterator[GaugeMetricFamily]:
    family = GaugeMetricFamily(f"livespot_{name}", meaning, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    yield family


def _standing(dashboard: Dashboard) -> Iterator[Metric]:
    header, process = dashboard.header, dashboard.process
    info = GaugeMetricFamily(
        "livespot_run_info", "The run shown", labels=["run_id", "mode", "version"]
    )
    if header.run_id:
        info.add_metric([header.run_id, header.mode, header.version], 1)
    yield info
    yield from _gauge("up", "1 while the run's process lives", int(process.state == "RUNNING"))
    yield from _labelled(
        "sysmode",
        "1 for the mode in force",
        "sysmode",
        {mode: int(mode == header.sysmode) for mode in _MODES},
    )
    yield from _gauge(
        "snapshot_time_seconds",
        "Market time of this snapshot, since the epoch",
        dashboard.now_ms / 1000,
    )
    counts = dashboard.alerts
    yield from _labelled(
        "alerts",
        "Alerts of the day by severity",
        "severity",
        {"INFO": counts.info, "WARN": counts.warn, "CRIT": counts.crit},
    )


def _health(health: HealthView) -> Iterator[Metric]:
    for name, meaning, figure, divisor in _HEALTH:
        value: int | None = getattr(health, figure)
        yield from _gauge(name, meaning, None if value is None else value / divisor)
    yield from _gauge(
        "audit_events_per_minute", "Events of the last minute", health.events_per_minute
    )


def _mailboxes(health: HealthView) -> Iterator[Metric]:
    depth = GaugeMetricFamily(
        "livespot_mailbox_depth_messages", "Messages that wait", labels=["mailbox"]
    )
    age = GaugeMetricFamily(
        "livespot_mailbox_oldest_seconds", "Age of the oldest message", labels=["mailbox"]
    )
    dropped = CounterMetricFamily(
        "livespot_mailbox_dropped_messages", "Messages dropped or replaced", labels=["mailbox"]
    )
    for box in health.mailboxes:
        depth.add_metric([box.name], box.depth)
        age.add_metric([box.name], box.oldest_age_ms / 1000)
        dropped.add_metric([box.name], box.dropped)
    yield from (depth, age, dropped)


def _execution(dashboard: Dashboard) -> Iterator[Metric]:
    execution = dashboard.execution
    yield from _labelled("intents", "The newest intents by state", "state", execution.by_state)
    oldest = max((intent.age_ms for intent in execution.unknown), default=0)
    yield from _gauge("intents_unknown", "Intents of unknown outcome", len(execution.unknown))
    yield from _gauge("intents_unknown_oldest_seconds", "Age of the oldest of them", oldest / 1000)
    bare = [p for p in dashboard.positions if not p.protected]
    yield from _gauge("positions_open", "Open positions", len(dashboard.positions))
    yield from _gauge("positions_unprotected", "Open positions without a live stop", len(bare))
    since = min((p.unprotected_since_ms for p in bare if p.unprotected_since_ms), default=0)
    age_ms = max(0, dashboard.now_ms - since) if since else 0
    yield from _gauge("positions_unprotected_oldest_seconds", "How long so far", age_ms / 1000)
    yield from _gauge(
        "exposures_by_hand", "Open positions of the operator's own", len(dashboard.exposures)
    )
    report = execution.reconcile
    if report is not None:
        yield from _gauge(
            "reconcile_drift_score",
            "Drift the last reconcile found",
            report.drift_score_x10000 / 10_000,
        )
        yield from _gauge(
            "reconcile_age_seconds",
            "Time since the last reconcile began",
            (dashboard.now_ms - report.at_ms) / 1000,
        )
        yield from _gauge(
            "reconcile_duration_seconds", "How long it took", report.duration_ms / 1000
        )


def _money(dashboard: Dashboard) -> Iterator[Metric]:
    pnl = dashboard.pnl
    unit = dashboard.risk.balance.asset.lower() or "quote"
    for name, meaning, text in (
        ("pnl_realised", "Realised today after fees", pnl.realised_quote),
        ("pnl_unrealised", "Open result at the last close", pnl.unrealised_quote),
        ("fees_paid", "Fees of today", pnl.fees_quote),
        ("balance_free", "Free balance as risk last saw it", dashboard.risk.balance.free_quote),
        ("balance_locked", "Locked in own buy orders", dashboard.risk.balance.locked_quote),
        ("balance_reserved", "Promised to decisions", dashboard.risk.balance.reserved_quote),
    ):
        yield from _gauge(f"{name}_{unit}", meaning, None if text is None else float(text))
    used = {
        gauge.name if not gauge.symbol else f"{gauge.name}:{gauge.symbol}": gauge.share_x10000
        for gauge in dashboard.risk.gauges
    }
    family = GaugeMetricFamily(
        "livespot_limit_used_ratio", "How much of a limit is used up", labels=["limit"]
    )
    for name, share in used.items():
        if share is not None:
            family.add_metric([name], share / 10_000)
    yield family


def _gate(dashboard: Dashboard) -> Iterator[Metric]:
    gate = dashboard.gate
    yield from _labelled(
        "gate_verdicts", "The newest attempts by verdict", "verdict", gate.verdicts
    )
    for name, meaning, value, divisor in (
        ("gate_failure_ratio", "Share of them that failed", gate.failure_rate_x10000, 10_000),
        ("gate_latency_p90_seconds", "90 % answered within", gate.latency_p90_ms, 1000),
    ):
        yield from _gauge(name, meaning, None if value is None else value / divisor)


def _survival(run: SurvivalView | None) -> Iterator[Metric]:
    """Yield how the run has fared so far, counted once a minute."""
    for name, meaning, figure, divisor in _SURVIVAL:
        value: int | None = None if run is None else getattr(run, figure)
        yield from _gauge(name, meaning, None if value is None else value / divisor)
