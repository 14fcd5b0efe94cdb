"""Checks that no candidate vanished: each ends in a reason code or reaches the next stage."""

from collections import defaultdict
from collections.abc import Mapping

from msgspec.structs import replace

from livespot.contracts.codes import ReasonCode
from livespot.evidence.findings import Finding, judged
from livespot.evidence.moments import Span, instant, spans
from livespot.evidence.pruned import lost_of
from livespot.evidence.watched_spans import silences
from livespot.store.reader import Reader, Row

_NO_REASON = """
SELECT 'universe', symbol, at_ms FROM universe_scans WHERE eligible = 0 AND reasons = '[]'
UNION ALL
SELECT 'ranking ' || kind, symbol, at_ms FROM cycle_rankings WHERE dropped = 1 AND reasons = '[]'
UNION ALL
SELECT 'selection', symbol, at_ms FROM cycle_selections WHERE chosen = 0 AND reasons = '[]'
UNION ALL
SELECT 'decision', symbol, at_ms FROM decisions WHERE reasons = '[]'
UNION ALL
SELECT 'risk', symbol, at_ms FROM risk_verdicts WHERE reasons = '[]'
UNION ALL
SELECT 'gate', decision_id, at_ms FROM ai_gate_events
WHERE verdict IN ('BLOCK', 'ERROR') AND reasons = '[]'
"""
_CODES = """
SELECT DISTINCT value FROM (
    SELECT reasons FROM universe_scans UNION SELECT reasons FROM cycle_rankings
    UNION SELECT reasons FROM cycle_selections UNION SELECT reasons FROM decisions
    UNION SELECT reasons FROM risk_verdicts UNION SELECT reasons FROM ai_gate_events
    UNION SELECT reasons FROM audit_events), json_each(reasons)
"""
_ROWS = """
SELECT (SELECT count(*) FROM universe_scans) + (SELECT count(*) FROM cycle_rankings)
     + (SELECT count(*) FROM cycle_selections) + (SELECT count(*) FROM decisions)
     + (SELECT count(*) FROM risk_verdicts) + (SELECT count(*) FROM ai_gate_events)
"""
_SCANS = """
SELECT ts_ms, cycle_id, json_extract(data, '$.eligible') FROM audit_events
WHERE run_id = ? AND event_type = 'UNIVERSE_ELIGIBILITY' AND stage = 'UNIVERSE_SCAN' ORDER BY id
"""
_STANDINGS = "SELECT cycle_id, symbol, eligible FROM universe_scans WHERE run_id = ?"
_PLACES = """
SELECT cycle_id, symbol, dropped FROM cycle_rankings WHERE run_id = ? AND kind = 'TOPN'
"""
_DEEP_SCANS = """
SELECT ts_ms, cycle_id FROM audit_events WHERE run_id = ? AND event_type = 'DEEP_SCAN' ORDER BY id
"""
_RANKINGS = """
SELECT ts_ms, cycle_id FROM audit_events WHERE run_id = ? AND event_type = 'RANK_TOPN' ORDER BY id
"""
_LOOKED_AT = "SELECT cycle_id, symbol FROM cycle_rankings WHERE run_id = ? AND kind = 'DEEP'"
_WEIGHED = "SELECT cycle_id, symbol FROM cycle_selections WHERE run_id = ?"
_PROPOSED = """
SELECT d.symbol, d.at_ms, d.decision_id, (
    SELECT min(ts_ms) FROM audit_events e WHERE e.event_type = 'DECISION_PROPOSED'
    AND e.decision_id = d.decision_id AND e.decision_id <> ''
    AND json_extract(e.data, '$.outcome') = 'ENDED'
    AND e.ts_ms >= d.at_ms)
FROM decisions d WHERE d.run_id = ? AND d.outcome = 'PROPOSED' ORDER BY d.id
"""


async def check_endings(reader: Reader) -> tuple[Finding, ...]:
    """Check every stage of every cycle of every run.

    Raises `StoreBusy` or `AuditUnwritable` when the database cannot be read, and
    `msgspec.ValidationError` for a run whose settings are of another version.
    """
    runs = await spans(reader)
    whole, note = await _whole(reader, runs)
    return (
        await _reasons(reader),
        *(
            replace(found, detail="; ".join(text for text in (found.detail, note) if text))
            for found in (
                await _universe(reader, whole),
                await _deep_scans(reader, whole),
                await _selections(reader, whole),
                await _cycles(reader, whole),
                await _proposals(reader, whole),
            )
        ),
    )


async def _whole(reader: Reader, runs: tuple[Span, ...]) -> tuple[tuple[Span, ...], str]:
    """Return the runs that can be checked, and a note on those whose records were pruned."""
    stories = {run.run_id: (await lost_of(reader, run.run_id)).story for run in runs}
    whole = tuple(run for run in runs if not stories[run.run_id])
    gone = [f"{run_id} ({story})" for run_id, story in stories.items() if story]
    if not gone:
        return whole, ""
    more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
    return whole, f"left out: {gone[0]}{more}"


async def _reasons(reader: Reader) -> Finding:
    bare = await reader.rows(_NO_REASON)
    problems = [f"{stage} of {who} at {instant(at_ms)} has no reason" for stage, who, at_ms in bare]
    known = set(ReasonCode)
    codes = {code for (code,) in await reader.rows(_CODES)}
    problems += [f"{code} is not in the catalogue" for code in sorted(codes - known)]
    [(rows,)] = await reader.rows(_ROWS)
    return judged("reasons", "Every cut, block and refusal names its codes", rows, problems)


async def _universe(reader: Reader, runs: tuple[Span, ...]) -> Finding:
    """Check each scan. A row is written when eligibility changes, so all rows so far count."""
    looked, problems = 0, list[str]()
    for run in runs:
        standings = await _by_cycle(reader, _STANDINGS, run)
        places = await _by_cycle(reader, _PLACES, run)
        eligible: dict[str, bool] = {}
        ranked: dict[str, tuple[str, bool]] = {}
        for ts_ms, cycle_id, stated in await reader.rows(_SCANS, (run.run_id,)):
            eligible.update((symbol, bool(ok)) for symbol, ok in standings[cycle_id])
            ranked.update((symbol, (cycle_id, bool(cut))) for symbol, cut in places[cycle_id])
            fit = [symbol for symbol, ok in eligible.items() if ok]
            looked += len(eligible)
            if len(fit) != stated:
                problems.append(f"{instant(ts_ms)}: {stated} eligible, {len(fit)} on record")
            problems += [
                f"{symbol} was eligible at {instant(ts_ms)} and not ranked"
                for symbol in fit
                if not _is_placed(ranked.get(symbol), cycle_id)
            ]
    return judged("universe", "Every symbol is out for a reason or ranked", looked, problems)


def _is_placed(place: tuple[str, bool] | None, cycle_id: str) -> bool:
    """Whether a symbol is ranked in this cycle, or was cut in an earlier one and still is."""
    return place is not None and (place[0] == cycle_id or place[1])


async def _deep_scans(reader: Reader, runs: tuple[Span, ...]) -> Finding:
    looked, problems = 0, list[str]()
    for run in runs:
        places = await _by_cycle(reader, _PLACES, run)
        seen = await _by_cycle(reader, _LOOKED_AT, run)
        rankings = await reader.rows(_RANKINGS, (run.run_id,))
        following = iter([*rankings, (run.last_event_ms + 1, "")])
        wanted: set[str] = set()
        next_ms, next_cycle = next(following)
        for ts_ms, cycle_id in await reader.rows(_DEEP_SCANS, (run.run_id,)):
            while next_ms <= ts_ms:
                wanted = {symbol for symbol, cut in places[next_cycle] if not cut}
                next_ms, next_cycle = next(following)
            missing = wanted - {symbol for (symbol,) in seen[cycle_id]}
            looked += len(wanted)
            problems += [f"{s} was not deep scanned at {instant(ts_ms)}" for s in sorted(missing)]
    return judged("deep scan", "Every symbol within the cut is deep scanned", looked, problems)


async def _selections(reader: Reader, runs: tuple[Span, ...]) -> Finding:
    looked, problems = 0, list[str]()
    for run in runs:
        weighed = await _by_cycle(reader, _WEIGHED, run)
        for cycle_id, rows in (await _by_cycle(reader, _LOOKED_AT, run)).items():
            looked += len(rows)
            missing = {symbol for (symbol,) in rows} - {symbol for (symbol,) in weighed[cycle_id]}
            problems += [f"{s} was not weighed in {cycle_id}" for s in sorted(missing)]
    title = "Every deep-scanned symbol is chosen or kept off"
    return judged("selection", title, looked, problems)


async def _cycles(reader: Reader, runs: tuple[Span, ...]) -> Finding:
    looked, problems = 0, list[str]()
    for run in runs:
        watched, silent = await silences(reader, run)
        looked += watched
        problems += silent
    title = "Every watched symbol is judged while entries are allowed"
    return judged("cycles", title, looked, problems)


async def _proposals(reader: Reader, runs: tuple[Span, ...]) -> Finding:
    """A proposal ends, lapses, or is cut short by the end of its run."""
    looked, problems = 0, list[str]()
    for run in runs:
        settings = run.settings()
        longest_ms = (
            (settings.entry.reprice_max + 2) * settings.entry.maker_ttl_ms
            + settings.timing.decision_max_age_ms
            + settings.timing.decision_cycle_ms
        )
        for symbol, at_ms, decision_id, ended_ms in await reader.rows(_PROPOSED, (run.run_id,)):
            looked += 1
            if ended_ms is None and at_ms + longest_ms < run.last_event_ms:
                name = decision_id[:16]
                problems.append(f"{name} of {symbol} at {instant(at_ms)} never ended")
    return judged("proposals", "Every proposal comes to an end", looked, problems)


async def _by_cycle(reader: Reader, sql: str, run: Span) -> Mapping[str, list[Row]]:
    """Return a run's rows by their first column, the cycle id, and without it."""
    found: dict[str, list[Row]] = defaultdict(list)
    for cycle_id, *rest in await reader.rows(sql, (run.run_id,)):
        found[cycle_id].append(tuple(rest))
    return found
