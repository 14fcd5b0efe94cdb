"""Reads about the runtime itself: run, mode, alerts, stages, health."""

from typing import Any

import msgspec

from livespot.contracts.base import Message
from livespot.panel.codes import code_view, codes_of
from livespot.panel.dashboard import (
    AlertsView,
    AlertView,
    HeaderView,
    HealthView,
    MailboxView,
    ReasonView,
    SeriesView,
    StageSpan,
)
from livespot.panel.database import PanelDatabase

# How many of a run's newest events are searched for stages and ids.
_WINDOW = 600
_STAGES = 20
_ALERTS = 20
_ALERTS_COUNTED = 1000
_SAMPLES = 60
_DAY_MS = 86_400_000
_MINUTE_MS = 60_000
_EVENTS_COUNTED = 20_000
_FIGURES = (
    "disk_free_bytes",
    "db_bytes",
    "wal_bytes",
    "rss_bytes",
    "cpu_percent_x100",
    "writer_depth",
    "writer_lag_ms",
    "stream_age_ms",
    "rest_age_ms",
    "used_weight",
)
_MEASURED = (
    *_FIGURES,
    "writer_oldest_ms",
    "writer_failed",
    "writer_state",
    "drops",
    "clock_offset_ms",
    "weight_limit",
    "unfilled_orders_pct",
)
_WHY_UNKNOWN = {
    "stream_age_ms": "no market stream has answered a subscription yet",
    "rest_age_ms": "no confirming REST call has succeeded yet",
}

_RUN = """
SELECT run_id, mode, started_at_ms, ended_at_ms, exit_code, clean, version, account_label,
       config_json
FROM runs ORDER BY rowid DESC LIMIT 1
"""
_LAST_EVENT = "SELECT seq, ts_ms FROM audit_events WHERE run_id = ? ORDER BY seq DESC LIMIT 1"
# Requests, samples and alerts occur beside the stages; counted in, they would split each one.
_STAGE_SPANS = f"""
SELECT stage, cycle_id, ts_ms FROM (
    SELECT seq, ts_ms, stage, cycle_id, lag(stage) OVER (ORDER BY seq) AS before
    FROM audit_events
    WHERE run_id = ? AND seq > ? AND event_type NOT IN (
        'WEBUI_REQUEST', 'DISK_HEALTH_SAMPLE', 'TIME_SYNC', 'RATE_LIMIT', 'ALERT_RAISED',
        'DB_WRITER_BACKPRESSURE', 'DAILY_SUMMARY'))
WHERE before IS NULL OR stage <> before ORDER BY seq DESC LIMIT {_STAGES}
"""  # noqa: S608
_LATEST_IDS = """
SELECT coalesce((SELECT cycle_id FROM audit_events WHERE run_id = ? AND seq > ?
                 AND cycle_id <> '' ORDER BY seq DESC LIMIT 1), ''),
       coalesce((SELECT decision_id FROM audit_events WHERE run_id = ? AND seq > ?
                 AND decision_id <> '' ORDER BY seq DESC LIMIT 1), '')
"""
_SYSMODE = """
SELECT mode, previous, active_json, at_ms FROM sysmodes WHERE run_id = ? ORDER BY id DESC LIMIT 1
"""
_ALERT_ROWS = """
SELECT id, severity, code, reasons, text, symbol, at_ms FROM alerts
ORDER BY id DESC LIMIT ?
"""
_ALERT_COUNTS = f"""
SELECT severity, count(*) FROM
    (SELECT severity, at_ms FROM alerts ORDER BY id DESC LIMIT {_ALERTS_COUNTED})
WHERE at_ms >= ? GROUP BY severity
"""  # noqa: S608
_SAMPLE = "SELECT run_id, at_ms, sample_json FROM health_samples ORDER BY id DESC LIMIT 1"
_SERIES_COLUMNS = ", ".join(f"json_extract(sample_json, '$.{name}')" for name in _FIGURES)
_SERIES = f"""
SELECT at_ms, {_SERIES_COLUMNS} FROM
    (SELECT * FROM health_samples ORDER BY id DESC LIMIT {_SAMPLES})
WHERE run_id = ? ORDER BY id
"""  # noqa: S608
_EVENTS = f"""
SELECT count(*) FROM (SELECT 1 FROM audit_events WHERE ts_ms > ? LIMIT {_EVENTS_COUNTED})
"""  # noqa: S608


class RunFacts(Message, frozen=True):
    """The newest run and its last event; `config_json` is the run's whole configuration."""

    run_id: str
    mode: str
    started_ms: int
    ended_ms: int
    exit_code: int
    clean: bool
    version: str
    account_label: str
    config_json: str
    last_seq: int
    last_event_ms: int


class _Active(msgspec.Struct, frozen=True):
    code: str
    level: str = ""
    source: str = ""
    since_ms: int = 0
    value: int = 0
    threshold: int = 0
    unit: str = ""
    detail: str = ""
    count: int = 1


class _Mailbox(msgspec.Struct, frozen=True):
    name: str
    policy: str = ""
    capacity: int = 0
    depth: int = 0
    high_water: int = 0
    oldest_age_ms: int = 0
    received: int = 0
    dropped: int = 0


class _Sample(msgspec.Struct, frozen=True):
    disk_free_bytes: int | None = None
    db_bytes: int | None = None
    wal_bytes: int | None = None
    rss_bytes: int | None = None
    cpu_percent_x100: int | None = None
    writer_depth: int | None = None
    writer_lag_ms: int | None = None
    writer_oldest_ms: int | None = None
    writer_failed: int | None = None
    stream_age_ms: int | None = None
    rest_age_ms: int | None = None
    clock_offset_ms: int | None = None
    used_weight: int | None = None
    weight_limit: int | None = None
    unfilled_orders_pct: int | None = None
    mailboxes: tuple[_Mailbox, ...] = ()


async def run_facts(database: PanelDatabase) -> RunFacts | None:
    """Return the newest run; None in a database that never had one."""
    row = await database.first(_RUN)
    if row is None:
        return None
    last = await database.first(_LAST_EVENT, (row[0],))
    seq, ts_ms = last if last is not None else (0, row[2])
    run_id, mode, started_ms, ended_ms, exit_code, clean, version, account_label, config = row
    return RunFacts(
        run_id=run_id,
        mode=mode,
        started_ms=started_ms,
        ended_ms=ended_ms,
        exit_code=exit_code,
        clean=bool(clean),
        version=version,
        account_label=account_label,
        config_json=config,
        last_seq=seq,
        last_event_ms=ts_ms,
    )


async def header(database: PanelDatabase, run: RunFacts, stage: str) -> HeaderView:
    cycle_id, decision_id = await database.first(
        _LATEST_IDS, (run.run_id, run.last_seq - _WINDOW) * 2
    ) or ("", "")
    found = await database.first(_SYSMODE, (run.run_id,))
    # A run that has not written a mode yet is in the one that every run begins in.
    sysmode, previous, active, since = found or ("DEGRADE", "", "[]", run.started_ms)
    return HeaderView(
        mode=run.mode,
        sysmode=sysmode,
        previous=previous,
        since_ms=since,
        reasons=_reasons(active),
        stage=stage,
        run_id=run.run_id,
        cycle_id=cycle_id,
        decision_id=decision_id,
        started_ms=run.started_ms,
        ended_ms=run.ended_ms,
        exit_code=run.exit_code if run.ended_ms else None,
        version=run.version,
        account_label=run.account_label,
    )


def _reasons(active_json: str) -> tuple[ReasonView, ...]:
    return tuple(
        ReasonView(
            code=item.code,
            meaning=(known := code_view(item.code)).meaning,
            action=known.action,
            by_itself=known.by_itself,
            level=item.level,
            source=item.source,
            since_ms=item.since_ms,
            value=item.value,
            threshold=item.threshold,
            unit=item.unit,
            detail=item.detail,
            count=item.count,
        )
        for item in msgspec.json.decode(active_json, type=tuple[_Active, ...])
    )


async def stages(database: PanelDatabase, run: RunFacts) -> tuple[StageSpan, ...]:
    """Return the last stays in a stage, newest first; the newest lasts until the run has ended."""
    until = run.ended_ms
    spans: list[StageSpan] = []
    for stage, cycle_id, entered in await database.rows(
        _STAGE_SPANS, (run.run_id, run.last_seq - _WINDOW)
    ):
        spans.append(
            StageSpan(
                stage=stage,
                cycle_id=cycle_id,
                entered_ms=entered,
                duration_ms=max(0, until - entered) if until else None,
            )
        )
        until = entered
    return tuple(spans)


async def alerts(
    database: PanelDatabase, run: RunFacts, now_ms: int, limit: int = _ALERTS
) -> AlertsView:
    """Return the newest alerts, and counts over at most a day and a thousand alerts of this run."""
    since = max(run.started_ms, now_ms - _DAY_MS)
    counts: dict[str, int] = dict(await database.rows(_ALERT_COUNTS, (since,)))
    latest = tuple(
        AlertView(
            id=number,
            severity=severity,
            code=code_view(code),
            reasons=codes_of(reasons),
            text=text,
            symbol=symbol,
            at_ms=at_ms,
        )
        for number, severity, code, reasons, text, symbol, at_ms in await database.rows(
            _ALERT_ROWS, (limit,)
        )
    )
    return AlertsView(
        since_ms=since,
        info=counts.get("INFO", 0),
        warn=counts.get("WARN", 0),
        crit=counts.get("CRIT", 0),
        latest=latest,
    )


async def health(
    database: PanelDatabase, run: RunFacts, now_ms: int, max_lag_ms: int
) -> HealthView:
    """Return this run's newest sample and its recent history."""
    events = await database.first(_EVENTS, (now_ms - _MINUTE_MS,))
    per_minute = events[0] if events is not None else 0
    row = await database.first(_SAMPLE)
    if row is None or row[0] != run.run_id:
        return unsampled(per_minute)
    sample = msgspec.json.decode(row[2], type=_Sample)
    figures: dict[str, Any] = msgspec.structs.asdict(sample)
    boxes = tuple(MailboxView(**msgspec.structs.asdict(box)) for box in sample.mailboxes)
    figures |= {
        "mailboxes": boxes,
        "drops": sum(box.dropped for box in boxes),
        "writer_state": _writer_state(sample, max_lag_ms),
    }
    return HealthView(
        at_ms=row[1],
        events_per_minute=per_minute,
        series=_series(await database.rows(_SERIES, (run.run_id,))),
        unknown={
            name: _WHY_UNKNOWN.get(name, "the sample does not hold it")
            for name in _MEASURED
            if figures[name] is None
        },
        **figures,
    )


def unsampled(events_per_minute: int = 0) -> HealthView:
    """Return the health before the first sample, with every measured figure unknown."""
    return HealthView(
        events_per_minute=events_per_minute,
        unknown=dict.fromkeys(_MEASURED, "no sample of this run has been recorded yet"),
    )


def _writer_state(sample: _Sample, max_lag_ms: int) -> str | None:
    if sample.writer_failed is None or sample.writer_oldest_ms is None:
        return None
    if sample.writer_failed:
        return "FAILED"
    return "BEHIND" if sample.writer_oldest_ms >= max_lag_ms else "OK"


def _series(rows: list[tuple[Any, ...]]) -> SeriesView:
    columns = list(zip(*rows, strict=True))
    if not columns:
        return SeriesView()
    named = dict(zip(_FIGURES, columns[1:], strict=True))
    return SeriesView(at_ms=columns[0], **named)


async def last_event_ms(database: PanelDatabase) -> int:
    """Return when the newest run last recorded something, in its time; 0 if nothing ever ran."""
    async with database.transaction():
        run = await run_facts(database)
    return run.last_event_ms if run is not None else 0
