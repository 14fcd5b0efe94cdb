"""Reads for the gate tab: the last calls with verdicts, latencies and failures by kind."""

from collections import Counter

from livespot.panel.codes import codes_of
from livespot.panel.database import PanelDatabase
from livespot.panel.tabs import GateCallView, GateTab

_COUNTED = 200
_SHOWN = 20
_CALLS = f"""
SELECT g.id, g.at_ms, g.decision_id, g.enabled, g.verdict, g.reasons, g.model, g.latency_ms,
       g.modify_applied, g.patch_redacted, g.error_code, g.error_detail_redacted,
       coalesce((SELECT symbol FROM snapshots WHERE snapshot_id = g.snapshot_id), '')
FROM (SELECT * FROM ai_gate_events ORDER BY id DESC LIMIT {_COUNTED}) g ORDER BY g.id DESC
"""  # noqa: S608
_NEVER = "the gate has not been asked yet"
_SWITCHED_OFF = "the gate was switched off: nothing was asked"


async def gate(database: PanelDatabase) -> GateTab:
    """Count the newest attempts; a gate that is off has verdicts and no calls."""
    calls = [
        GateCallView(
            id=number,
            at_ms=at_ms,
            symbol=symbol,
            decision_id=decision_id,
            enabled=bool(enabled),
            verdict=verdict,
            reasons=codes_of(reasons),
            model=model,
            latency_ms=latency_ms,
            modify_applied=bool(modified),
            patch=patch,
            error_code=error_code,
            error_detail=error_detail,
        )
        for (
            number,
            at_ms,
            decision_id,
            enabled,
            verdict,
            reasons,
            model,
            latency_ms,
            modified,
            patch,
            error_code,
            error_detail,
            symbol,
        ) in await database.rows(_CALLS)
    ]
    asked = sorted(call.latency_ms for call in calls if call.enabled)
    failed = [call for call in calls if call.enabled and call.verdict == "ERROR"]
    silent = _NEVER if not calls else _SWITCHED_OFF
    figures = ("failure_rate_x10000", "latency_p50_ms", "latency_p90_ms")
    return GateTab(
        since_ms=calls[-1].at_ms if calls else None,
        counted=len(calls),
        verdicts=dict(Counter(call.verdict for call in calls)),
        errors=dict(Counter(call.error_code or "UNNAMED" for call in failed)),
        failure_rate_x10000=10_000 * len(failed) // len(asked) if asked else None,
        latency_p50_ms=_percentile(asked, 50),
        latency_p90_ms=_percentile(asked, 90),
        calls=tuple(calls[:_SHOWN]),
        unknown={} if asked else dict.fromkeys(figures, silent),
    )


def _percentile(ascending: list[int], percent: int) -> int | None:
    """Nearest rank."""
    if not ascending:
        return None
    return ascending[max(0, -(-percent * len(ascending) // 100) - 1)]
