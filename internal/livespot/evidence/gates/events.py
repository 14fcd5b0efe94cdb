"""The gate `events`: nothing was removed, edited or unannounced; each intent is accounted for."""

from collections.abc import Iterator

from livespot.evidence import audit_checks
from livespot.evidence.gates.results import Looked, Subject, Verdict, Why, needs_data
from livespot.evidence.rows import Facts, IntentFact

GATE = "events"
_RESTORE = (
    "keep the damaged files as they are, compare with the newest backup, and put that back while "
    "nothing runs"
)


async def events(subject: Subject) -> Verdict:
    """Check chain, sequence, trail, modes and their alerts, ends of runs and of intents."""
    facts = subject.facts
    if not subject.ended:
        return needs_data(
            GATE,
            Why.NOT_ENDED,
            f"{subject.run_id} is still being written",
            "ask again when the run has ended; there is no need to stop it for this",
        )
    if not facts.trail.events and not facts.trail.problems:
        return needs_data(GATE, Why.NO_EVENTS, "no event is recorded", "livespot sim --for 3m")
    looked = Looked(gate=GATE, looked_at=facts.trail.events)
    if facts.trail.pruned:
        looked.notes.append(f"{facts.trail.pruned} more are pruned; the chain goes on by anchors")
    for problem in facts.trail.problems:
        looked.met(Why.EVENT_EDITED, problem)
    for place in facts.trail.places:
        looked.met(Why.TRAIL_DIFFERS, place)
    looked.judge(audit_checks.every_move_announced(facts), Why.ALERT_MISSING)
    looked.judge(audit_checks.modes_move_legally(facts), Why.MODE_ILLEGAL)
    looked.judge(audit_checks.exits_are_accounted(facts), Why.END_UNACCOUNTED)
    looked.judge(audit_checks.database_is_intact(facts), Why.DATABASE_DAMAGED)
    looked.looked_at += len(facts.intents)
    for place in _unclosed(facts):
        looked.met(Why.INTENT_UNCLOSED, place)
    return looked.verdict(good="", bad=_RESTORE)


def _unclosed(facts: Facts) -> Iterator[str]:
    """Yield intents that neither ended nor have a reason on record why they are open."""
    over = {run.run_id for run in facts.runs if run.ended_at_ms}
    in_doubt = {
        event.order_intent_id
        for event in facts.events
        if event.order_intent_id and "INTENT_SENT_UNKNOWN" in event.reasons
    }
    for intent in facts.intents:
        if intent.state == "CREATED" and intent.run_id in over:
            yield f"{_named(intent)} was never sent and never closed"
        elif intent.state == "SENT_UNKNOWN" and intent.order_intent_id not in in_doubt:
            yield f"{_named(intent)} has no answer, and no event says why it is pending"


def _named(intent: IntentFact) -> str:
    return f"{intent.role} {intent.symbol} {intent.order_intent_id}"
