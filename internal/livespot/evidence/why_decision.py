"""Why a watched symbol was not bought: mode, holdings, and the strategy's decision."""

import msgspec

from livespot.contracts.codes import ReasonCode
from livespot.contracts.vocabulary import RegimeLabel
from livespot.evidence import measures
from livespot.evidence.links import Link, Passage, Question, codes_of, listed, tree_of
from livespot.evidence.moments import instant
from livespot.evidence.why_proposal import proposal_links
from livespot.store.reader import Row

# A block repeated within a minute is not recorded; one cycle later, silence has a meaning.
_REPEAT_MS = 60_000
_HELD = """
SELECT position_id, phase, opened_at_ms, decision_id FROM positions
WHERE symbol = ? AND opened_at_ms <= ? AND (closed_at_ms = 0 OR closed_at_ms > ?)
ORDER BY opened_at_ms DESC LIMIT 1
"""
_ENDED = """
SELECT ts_ms, reasons FROM audit_events WHERE event_type = 'DECISION_PROPOSED'
AND decision_id = ? AND decision_id <> '' AND json_extract(data, '$.outcome') = 'ENDED'
AND ts_ms >= ? AND ts_ms <= ?
ORDER BY id LIMIT 1
"""
_REJECTED = """
SELECT reasons, json_extract(data, '$.detail'), ts_ms, cycle_id FROM audit_events
WHERE symbol = ? AND symbol <> '' AND event_type = 'UNIVERSE_ELIGIBILITY'
AND stage = 'STATE_UPDATE' AND run_id = ? AND ts_ms <= ? ORDER BY ts_ms DESC, id DESC LIMIT 1
"""
_BLOCKS = """
SELECT outcome, reasons, at_ms FROM decisions
WHERE symbol = ? AND run_id = ? AND at_ms <= ? ORDER BY at_ms DESC, id DESC
"""


async def mode_link(ask: Question) -> Link:
    """The run's mode at the instant; entries are considered in NORMAL only."""
    row = await ask.first(
        "SELECT mode, reasons, active_json, at_ms FROM sysmodes WHERE run_id = ? AND at_ms <= ? "
        "ORDER BY id DESC LIMIT 1",
        ask.run_id,
        ask.at_ms,
    )
    if row is None:
        return Link(stage="SYSMODE", passage=Passage.STOPPED, text="the run had no mode yet")
    mode, reasons, active_json, at_ms = row
    if mode == "NORMAL":
        return Link(
            stage="SYSMODE", passage=Passage.PASSED, text="NORMAL: entries allowed", since_ms=at_ms
        )
    codes = codes_of(reasons)
    said = [_demand(reason) for reason in _array(active_json)] or [
        measures.meaning(code) for code in codes
    ]
    return Link(
        stage="SYSMODE",
        passage=Passage.STOPPED,
        text=f"{mode}, so no entries: {listed(said)}",
        codes=(ReasonCode.RISK_SYSMODE_BLOCKS_ENTRY, *codes),
        since_ms=at_ms,
    )


async def holding_link(ask: Question) -> Link | None:
    """The position held at the instant, if any; a symbol is held once at a time."""
    row = await ask.first(_HELD, ask.symbol, ask.at_ms, ask.at_ms)
    if row is None:
        return None
    position_id, phase, opened_at_ms, decision_id = row
    return Link(
        stage="POSITION_MANAGE",
        passage=Passage.TRADED,
        text=f"position {position_id} was open (last phase {phase})",
        codes=(ReasonCode.RISK_POSITION_ALREADY_OPEN,),
        since_ms=opened_at_ms,
        ids=(position_id, decision_id),
    )


_RELEASED = (
    "SELECT id FROM audit_events WHERE event_type = 'OPERATOR_COMMAND' AND symbol = ? "
    "AND ts_ms BETWEEN ? AND ? AND json_extract(data, '$.outcome') LIKE 'done:%' LIMIT 1"
)


async def quarantine_link(ask: Question) -> Link | None:
    """A quarantine that was in force at the instant: neither over nor released."""
    since = ask.at_ms - ask.settings.quarantine.ttl_seconds * 1000
    row = await ask.first(
        "SELECT text, at_ms FROM alerts WHERE symbol = ? AND code = 'SYMBOL_QUARANTINED' "
        "AND at_ms <= ? AND at_ms > ? ORDER BY id DESC LIMIT 1",
        ask.symbol,
        ask.at_ms,
        since,
    )
    if row is None or await ask.first(_RELEASED, ask.symbol, row[1], ask.at_ms):
        return None
    return Link(
        stage="QUARANTINE",
        passage=Passage.STOPPED,
        text=f"{ReasonCode.SYMBOL_QUARANTINED}: {row[0]}",
        codes=(ReasonCode.SYMBOL_QUARANTINED,),
        since_ms=row[1],
    )


async def own_link(ask: Question) -> Link | None:
    """A position in the symbol that the operator held by hand at the instant."""
    row = await ask.first(
        "SELECT exposure_id, side, qty, opened_at_ms FROM manual_exposures WHERE symbol = ? "
        "AND opened_at_ms <= ? AND (closed_at_ms = 0 OR closed_at_ms > ?) ORDER BY opened_at_ms",
        ask.symbol,
        ask.at_ms,
        ask.at_ms,
    )
    if row is None:
        return None
    code = ReasonCode.MANUAL_EXPOSURE_ACTIVE
    return Link(
        stage="YOURS",
        passage=Passage.STOPPED,
        text=f"{code}: {row[0]}, {row[1]} {row[2]} by hand",
        codes=(code,),
        since_ms=row[3],
    )


async def cycle_links(ask: Question) -> tuple[Link, ...]:
    """The newest decision of the symbol, and for a proposal what became of it."""
    decided = await ask.newest(
        "outcome, reasons, decision_json, edge_bps_expected, at_ms, decision_id, cycle_id",
        "decisions",
        "outcome <> 'MODIFIED'",
    )
    rejected = await ask.first(_REJECTED, ask.symbol, ask.run_id, ask.at_ms)
    if rejected is not None and (decided is None or rejected[2] >= decided[4]):
        return (_rejection(ask, rejected),)
    if decided is None:
        return (_unjudged("no decision cycle had judged it yet"),)
    if decided[0] == "BLOCKED":
        return (await _block(ask, decided),)
    return await _proposal(ask, decided)


def _rejection(ask: Question, row: Row) -> Link:
    reasons, detail, at_ms, cycle_id = row
    codes = codes_of(reasons)
    if _is_old(ask, at_ms):
        return _unjudged(f"no decision cycle looked at it after {instant(at_ms)}")
    said = [measures.meaning(code) for code in codes]
    return Link(
        stage="STATE_UPDATE",
        passage=Passage.STOPPED,
        text=f"no valid snapshot: {listed(said)}" + (f" ({detail})" if detail else ""),
        codes=codes,
        since_ms=at_ms,
        ids=(cycle_id,),
    )


async def _block(ask: Question, row: Row) -> Link:
    _, reasons, text, edge_bps, at_ms, _, cycle_id = row
    if _is_old(ask, at_ms):
        return _unjudged(f"no decision cycle looked at it after {instant(at_ms)}")
    codes, detail = codes_of(reasons), tree_of(text)
    features = {**detail.get("features", {}), "edge_bps_expected": edge_bps}
    label = RegimeLabel(detail.get("regime", RegimeLabel.UNCLEAR))
    said = [
        measures.failed(code, measures.STRATEGY, features, ask.settings, label) for code in codes
    ]
    return Link(
        stage="STRATEGY_PROPOSE",
        passage=Passage.STOPPED,
        text=f"blocked by the strategy in a market it calls {label}: {listed(said)}",
        codes=codes,
        since_ms=await _blocked_since(ask, reasons, at_ms),
        ids=(cycle_id,),
    )


async def _blocked_since(ask: Question, reasons: str, at_ms: int) -> int:
    """Return when the unbroken series of this same block began."""
    since = at_ms
    gap = _REPEAT_MS + 3 * ask.settings.timing.decision_cycle_ms
    for outcome, others, then_ms in await ask.reader.rows(_BLOCKS, (ask.symbol, ask.run_id, at_ms)):
        if outcome != "BLOCKED" or others != reasons or since - then_ms > gap:
            break
        since = then_ms
    return since


async def _proposal(ask: Question, row: Row) -> tuple[Link, ...]:
    """A proposal: how far it had come, unless it ended before the instant."""
    _, reasons, _, edge_bps, at_ms, decision_id, cycle_id = row
    ended = await ask.first(_ENDED, decision_id, at_ms, ask.at_ms)
    proposed = Link(
        stage="STRATEGY_PROPOSE",
        passage=Passage.PASSED,
        text=f"proposed with a reward margin of {edge_bps} bps: {', '.join(codes_of(reasons))}",
        since_ms=at_ms,
        ids=(decision_id, cycle_id),
    )
    links = [proposed, *await proposal_links(ask, decision_id)]
    stopped = any(link.passage is not Passage.PASSED for link in links)
    if ended is not None and not stopped:
        codes = codes_of(ended[1])
        said = [measures.meaning(code) for code in codes] or ["it ran its whole course"]
        links.append(
            Link(
                stage="EXECUTE_INTENT",
                passage=Passage.STOPPED,
                text=f"the proposal ended: {listed(said)}",
                codes=codes,
                since_ms=ended[0],
                ids=(decision_id,),
            )
        )
    if ended is not None and _is_old(ask, ended[0]):
        return (_unjudged(f"no decision cycle looked at it after {instant(ended[0])}"),)
    if ended is None and not stopped:
        links.append(
            Link(
                stage="EXECUTE_INTENT",
                passage=Passage.STOPPED,
                text=f"proposal {decision_id[:16]} was still on its way",
                codes=(ReasonCode.RISK_ENTRY_ALREADY_PENDING,),
                since_ms=at_ms,
                ids=(decision_id,),
            )
        )
    return tuple(links)


def _unjudged(text: str) -> Link:
    return Link(stage="STRATEGY_PROPOSE", passage=Passage.NOT_REACHED, text=text)


def _is_old(ask: Question, at_ms: int) -> bool:
    return ask.at_ms - at_ms > _REPEAT_MS + 3 * ask.settings.timing.decision_cycle_ms


def _array(text: str) -> list[dict[str, object]]:
    return msgspec.json.decode(text, type=list[dict[str, object]])


def _demand(reason: dict[str, object]) -> str:
    """Return an active reason with its value and limit, if it has them."""
    text = f"{reason['code']} ({reason['source']})"
    if reason.get("threshold"):
        text += f" {reason['value']} against {reason['threshold']} {reason['unit']}".rstrip()
    elif reason.get("detail"):
        text += f": {reason['detail']}"
    return text
