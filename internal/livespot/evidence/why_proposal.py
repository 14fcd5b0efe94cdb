"""How far a proposal had come at an instant: gate, risk, orders."""

from livespot.evidence import measures
from livespot.evidence.links import Link, Passage, Question, codes_of, listed, tree_of


async def proposal_links(ask: Question, decision_id: str) -> list[Link]:
    """Return gate, risk and order of a proposal, as far as they had come by the instant."""
    links: list[Link] = []
    gate = await ask.first(
        "SELECT verdict, reasons, error_detail_redacted, modify_applied, at_ms FROM ai_gate_events "
        "WHERE decision_id = ? AND at_ms <= ? ORDER BY id DESC LIMIT 1",
        decision_id,
        ask.at_ms,
    )
    if gate is None:
        # What risk refuses whatever the gate would say never comes to the gate.
        return await _risk(ask, decision_id)
    verdict, reasons, detail, modified, at_ms = gate
    codes, said = codes_of(reasons), f"{verdict}: {', '.join(codes_of(reasons))}"
    allowed = verdict in ("ALLOW", "MODIFY")
    links.append(
        Link(
            stage="AIGATE_CALL",
            passage=Passage.PASSED if allowed else Passage.STOPPED,
            text=said + (f" ({detail})" if detail else ""),
            codes=() if allowed else codes,
            since_ms=at_ms,
        )
    )
    if not allowed:
        return links
    judged = decision_id
    if modified:
        row = await ask.first(
            "SELECT decision_id FROM decisions WHERE original_decision_id = ? AND at_ms <= ? "
            "ORDER BY id DESC LIMIT 1",
            decision_id,
            ask.at_ms,
        )
        judged = row[0] if row else decision_id
    return [*links, *await _risk(ask, judged)]


async def _risk(ask: Question, decision_id: str) -> list[Link]:
    row = await ask.first(
        "SELECT v.verdict, v.approved_qty, v.reasons, v.limits_json, v.at_ms, "
        "coalesce(d.edge_bps_expected, 0) FROM risk_verdicts v "
        "LEFT JOIN decisions d ON d.decision_id = v.decision_id "
        "WHERE v.decision_id = ? AND v.at_ms <= ? ORDER BY v.id DESC LIMIT 1",
        decision_id,
        ask.at_ms,
    )
    if row is None:
        return []
    verdict, approved, reasons, limits_json, at_ms, edge_bps = row
    codes, limits = codes_of(reasons), tree_of(limits_json)
    if verdict == "BLOCK":
        said = [measures.failed_by_risk(code, limits, edge_bps) for code in codes]
        return [
            Link(
                stage="RISK_VERDICT",
                passage=Passage.STOPPED,
                text=f"blocked by risk: {listed(said)}",
                codes=codes,
                since_ms=at_ms,
                ids=(decision_id,),
            )
        ]
    link = Link(
        stage="RISK_VERDICT",
        passage=Passage.PASSED,
        text=f"allowed, {measures.price(approved)} approved: {', '.join(codes)}",
        since_ms=at_ms,
        ids=(decision_id,),
    )
    return [link, *await _orders(ask, decision_id)]


async def _orders(ask: Question, decision_id: str) -> list[Link]:
    rows = await ask.reader.rows(
        "SELECT order_intent_id, role, state, created_at_ms FROM order_intents "
        "WHERE decision_id = ? AND side = 'BUY' AND created_at_ms <= ? ORDER BY rowid",
        (decision_id, ask.at_ms),
    )
    if not rows:
        return []
    fill = await ask.first(
        "SELECT min(exchange_time_ms) FROM fills WHERE decision_id = ? AND side = 'BUY' "
        "AND exchange_time_ms <= ?",
        decision_id,
        ask.at_ms,
    )
    if fill is not None and fill[0]:
        return [
            Link(
                stage="EXECUTE_INTENT",
                passage=Passage.TRADED,
                text="it was bought",
                since_ms=fill[0],
                ids=(decision_id,),
            )
        ]
    names = ", ".join(f"{row[1]} {row[0][:15]}" for row in rows)
    return [
        Link(
            stage="EXECUTE_INTENT",
            passage=Passage.PASSED,
            text=f"{len(rows)} orders were made, none filled by then: {names}",
            since_ms=rows[0][3],
            ids=tuple(row[0] for row in rows),
        )
    ]
