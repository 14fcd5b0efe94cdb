"""Bundles the records around each fault that led to PAUSE or to the end of the run."""

from collections.abc import Iterator
from typing import Any

import msgspec

from livespot.contracts.base import Message
from livespot.evidence.moments import stamp
from livespot.store.reader import Reader

_RUN = """
SELECT r.ended_at_ms, r.clean, r.exit_code, r.end_reasons,
       coalesce((SELECT ts_ms FROM audit_events WHERE run_id = r.run_id ORDER BY seq DESC LIMIT 1),
                r.started_at_ms)
FROM runs r WHERE r.run_id = ?
"""
_STEPS = "SELECT mode, previous, reasons, at_ms FROM sysmodes WHERE run_id = ? ORDER BY id"
_COLUMNS = (
    "run_id", "seq", "ts_ms", "stage", "event_type", "reasons", "decision_id", "order_intent_id",
    "symbol", "data",
)  # fmt: skip
_MODE_COLUMNS = ("mode", "previous", "reasons", "active_json", "at_ms")
_INTENT_COLUMNS = (
    "order_intent_id", "run_id", "action", "role", "symbol", "state", "client_order_id",
    "exchange_order_id", "last_error_code", "created_at_ms", "updated_at_ms",
)  # fmt: skip
_PASS_COLUMNS = ("started_at_ms", "label", "drift_score_x10000", "diffs_json")
_SAMPLE_COLUMNS = ("at_ms", "sample_json")
# Newest first, so that a limit keeps what is closest to the incident.
_EVENTS = (
    f"SELECT {', '.join(_COLUMNS)} FROM audit_events "  # noqa: S608  names of the schema
    "WHERE ts_ms <= ? ORDER BY id DESC LIMIT 500"
)
_MODES = (
    f"SELECT {', '.join(_MODE_COLUMNS)} FROM sysmodes "  # noqa: S608
    "WHERE run_id = ? AND at_ms <= ? ORDER BY id DESC"
)
_INTENTS = (
    f"SELECT {', '.join(_INTENT_COLUMNS)} FROM order_intents "  # noqa: S608
    "WHERE created_at_ms <= ? ORDER BY rowid DESC LIMIT 200"
)
_PASSES = (
    f"SELECT {', '.join(_PASS_COLUMNS)} FROM reconcile_reports "  # noqa: S608
    "WHERE run_id = ? AND started_at_ms <= ? AND diffs_json <> '[]' ORDER BY id DESC LIMIT 60"
)
_SAMPLES = (
    f"SELECT {', '.join(_SAMPLE_COLUMNS)} FROM health_samples "  # noqa: S608
    "WHERE run_id = ? AND at_ms <= ? ORDER BY id DESC LIMIT 60"
)
_JSON = ("reasons", "data", "active_json", "diffs_json", "sample_json")
_CONFIG = "SELECT config_hash FROM runs WHERE run_id = ?"
_ASKED = frozenset({"OPERATOR_PAUSE", "OPERATOR_STOP", "KILL_SWITCH_FILE"})
_FATAL = frozenset({20, 30})


class Incident(Message, frozen=True):
    """A change to PAUSE or EXIT caused by a fault, or an end without either."""

    at_ms: int
    what: str
    reasons: tuple[str, ...]

    @property
    def folder(self) -> str:
        return f"incident-{stamp(self.at_ms)}"


async def incidents(reader: Reader, run_id: str) -> tuple[Incident, ...]:
    """Return the incidents of one run, oldest first. Raises `StoreBusy` or `AuditUnwritable`."""
    rows = await reader.rows(_RUN, (run_id,))
    steps = [
        _Step(mode=mode, previous=previous, reasons=msgspec.json.decode(reasons), at_ms=at_ms)
        for mode, previous, reasons, at_ms in await reader.rows(_STEPS, (run_id,))
    ]
    return tuple(found for row in rows for found in _found(steps, *row))


class _Step(Message, frozen=True):
    mode: str
    previous: str
    reasons: tuple[str, ...]
    at_ms: int


def _found(
    steps: list[_Step], ended_ms: int, clean: int, exit_code: int, reasons: str, last_ms: int
) -> Iterator[Incident]:
    for step in steps:
        if step.mode in ("PAUSE", "EXIT") and not _asked_for(step):
            what = f"{step.previous} -> {step.mode}"
            yield Incident(at_ms=step.at_ms, what=what, reasons=step.reasons)
    why = tuple(msgspec.json.decode(reasons))
    if ended_ms and not clean:
        yield Incident(at_ms=last_ms, what="killed", reasons=why)
    elif exit_code in _FATAL and not any(step.mode == "EXIT" for step in steps):
        yield Incident(at_ms=ended_ms, what=f"ended with exit code {exit_code}", reasons=why)


def _asked_for(step: _Step) -> bool:
    causes = {reason for reason in step.reasons if not reason.startswith("ENTER_")}
    return bool(causes) and causes <= _ASKED


async def bundle(reader: Reader, run_id: str, incident: Incident) -> dict[str, bytes]:
    """Return the bundle's files by name. Raises `StoreBusy` or `AuditUnwritable`."""
    at = incident.at_ms
    config = await reader.rows(_CONFIG, (run_id,))
    return {
        "incident.json": document(
            {"incident": incident, "run_id": run_id, "config_hash": config[0][0]}
        ),
        "events.json": document(await _named(reader, _EVENTS, _COLUMNS, (at,))),
        "modes.json": document(await _named(reader, _MODES, _MODE_COLUMNS, (run_id, at))),
        "intents.json": document(await _named(reader, _INTENTS, _INTENT_COLUMNS, (at,))),
        "reconcile.json": document(await _named(reader, _PASSES, _PASS_COLUMNS, (run_id, at))),
        "health.json": document(await _named(reader, _SAMPLES, _SAMPLE_COLUMNS, (run_id, at))),
    }


async def _named(
    reader: Reader, sql: str, columns: tuple[str, ...], values: tuple[str | int, ...]
) -> list[dict[str, Any]]:
    """Return rows as dictionaries, oldest first, with their JSON decoded."""
    newest_first = await reader.rows(sql, values)
    return [_opened(dict(zip(columns, row, strict=True))) for row in reversed(newest_first)]


def document(value: Any) -> bytes:
    """Return indented JSON with sorted keys and a newline at its end."""
    return msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=2) + b"\n"


def _opened(row: dict[str, Any]) -> dict[str, Any]:
    return row | {name: msgspec.Raw(row[name].encode()) for name in _JSON if name in row}
