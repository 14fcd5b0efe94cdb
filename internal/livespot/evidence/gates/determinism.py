"""The gate `determinism`: the same inputs give the same decisions, ids and bytes."""

from livespot.evidence.gates.results import Looked, Subject, Verdict, Why, needs_data
from livespot.evidence.pruned import pruned
from livespot.evidence.recompute import Compared, recompute

GATE = "determinism"
_DECISIONS = """
SELECT decision_id FROM decisions d WHERE outcome <> 'BLOCKED' AND run_id = ?
AND (at_ms >= ? OR EXISTS (SELECT 1 FROM snapshots s WHERE s.snapshot_id = d.snapshot_id)
     OR EXISTS (SELECT 1 FROM order_intents i WHERE i.decision_id = d.decision_id))
GROUP BY decision_id ORDER BY min(id)
"""
_NOTHING = "proposed nothing"
_NO_ORDER = "proposed nothing that led to an order, and its snapshots are past their age"


async def determinism(subject: Subject) -> Verdict:
    """Recompute every decision of the run, then compare two replays of one data set."""
    looked = Looked(gate=GATE)
    edge_ms = (await pruned(subject.reader)).snapshots_ms
    found = await subject.reader.rows(_DECISIONS, (subject.run_id, edge_ms))
    is_pruned = edge_ms > subject.facts.run().started_at_ms
    if is_pruned:
        looked.notes.append("snapshots past their age are pruned; what led to no order is left out")
    for (decision_id,) in found:
        told = await recompute(subject.reader, str(decision_id))
        looked.looked_at += len(told.compared)
        for item in told.compared:
            if not item.identical:
                why = Why.DECISION_DIFFERS if item.subject != "snapshot" else Why.SNAPSHOT_CHANGED
                looked.met(why, f"{decision_id}: {_told(item)}")
    rehearsal = await subject.rehearse()
    if rehearsal.failure:
        looked.met(Why.REPLAY_FAILED, rehearsal.failure)
    elif rehearsal.difference:
        looked.met(Why.REPLAY_DIFFERS, f"two replays of one data set: {rehearsal.difference}")
    else:
        looked.notes.append(f"two replays end in {rehearsal.audit_hash}")
        looked.looked_at += rehearsal.summary.counts.events if rehearsal.summary else 0
    if not found and not looked.problems:
        return needs_data(
            GATE,
            Why.NO_DECISIONS,
            f"{subject.run_id} {_NO_ORDER if is_pruned else _NOTHING}, so none of its decisions "
            "can be recomputed; the two replays are identical",
            "livespot sim --for 3m",
        )
    return looked.verdict(
        good="",
        bad="livespot explain DECISION_ID --recompute for a decision; livespot replay --check for "
        "a replay",
    )


def _told(item: Compared) -> str:
    if item.problem:
        return f"{item.subject} cannot be recomputed, {item.problem}"
    return f"{item.subject} differs in {item.field}"
