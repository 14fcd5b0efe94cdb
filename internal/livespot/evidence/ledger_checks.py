"""Checks within the ledger: effects, transitions, quantities, and the chain of decision."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from decimal import Decimal

from livespot.contracts.vocabulary import IntentState
from livespot.evidence.facts import net_base
from livespot.evidence.findings import Finding, judged
from livespot.evidence.journal import JournalFill, JournalRows
from livespot.evidence.rows import Facts, FillFact, IntentFact, TransitionFact
from livespot.rules.ledger import TRANSITIONS

_ZERO = Decimal(0)
_LEGAL = frozenset((left.value, right.value) for left, right in TRANSITIONS)


def one_effect_per_decision(facts: Facts, journal: JournalRows | None) -> Finding:
    """I02: a decision never bought more than planned, and never with two orders at once.

    The first approval is the limit: an attempt at another price asks again, for no more, while the
    attempt before it may still fill.
    """
    planned = {d.decision_id: d.planned_qty for d in facts.decisions}
    approved: dict[str, Decimal] = {}
    for verdict in facts.verdicts:
        if verdict.verdict == "ALLOW":
            approved.setdefault(verdict.decision_id, verdict.approved_qty)
    bought: dict[str, Decimal] = defaultdict(Decimal)
    for fill in facts.fills:
        if fill.side == "BUY":
            bought[fill.decision_id] += fill.qty
    problems = []
    for decision_id, qty in bought.items():
        limit = min(planned.get(decision_id, _ZERO), approved.get(decision_id, _ZERO))
        if qty > limit:
            problems.append(f"{_short(decision_id)} bought {qty}, at most {limit} was approved")
    if journal is not None:
        problems.extend(_doubled_entries(facts, journal))
    looked_at = len({i.decision_id for i in facts.intents if i.is_entry})
    return judged("I02", "One effect per decision", looked_at, problems)


def _doubled_entries(facts: Facts, journal: JournalRows) -> Iterator[str]:
    decision_of = {name: intent.decision_id for name, intent in facts.intent_of().items()}
    standing: dict[str, set[int]] = defaultdict(set)
    for item in journal.timeline():
        decision_id = decision_of.get(item.client_order_id, "")
        if isinstance(item, JournalFill) or item.side != "BUY" or not decision_id:
            continue
        entries = standing[decision_id]
        if not item.is_open:
            entries.discard(item.order_id)
        elif item.order_id not in entries:
            entries.add(item.order_id)
            if len(entries) > 1:
                yield f"{_short(decision_id)} had {len(entries)} entries standing at once"


def legal_state_machine(facts: Facts) -> Finding:
    """I05: each intent's steps are legal, unbroken from CREATED, and end in its state."""
    steps: dict[str, list[TransitionFact]] = defaultdict(list)
    for step in facts.transitions:
        steps[step.order_intent_id].append(step)
    told = _audited_steps(facts)
    problems = []
    for intent in facts.intents:
        name = f"intent {_short(intent.order_intent_id)}"
        own = steps.pop(intent.order_intent_id, [])
        problems += [f"{name}: {problem}" for problem in _broken(intent, own)]
        pairs = [(step.from_state, step.to_state) for step in own]
        if told[intent.order_intent_id] != [("", "CREATED"), *pairs]:
            problems.append(f"{name}: its audit events tell another story")
    problems += [f"steps of an intent nobody made: {_short(name)}" for name in steps]
    return judged("I05", "Legal state machine", len(facts.intents), problems)


def _broken(intent: IntentFact, steps: Sequence[TransitionFact]) -> Iterator[str]:
    state = IntentState.CREATED.value
    for step in steps:
        if step.from_state != state:
            yield f"a step leaves {step.from_state} where it was {state}"
        if (step.from_state, step.to_state) not in _LEGAL:
            yield f"{step.from_state} -> {step.to_state} is not legal"
        if step.from_state == IntentState.NOT_FOUND and not step.evidence:
            yield "reopened without evidence"
        state = step.to_state
    if intent.state != state:
        yield f"it is {intent.state}, its last step says {state}"


def _audited_steps(facts: Facts) -> dict[str, list[tuple[str, str]]]:
    told: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for event in facts.events:
        if event.event_type == "INTENT_STATE_CHANGED" and isinstance(event.data, dict):
            step = (str(event.data.get("from", "")), str(event.data.get("to", "")))
            told[event.order_intent_id].append(step)
    return told


def position_is_its_fills(facts: Facts) -> Finding:
    """I08: each position holds exactly what its fills leave, less fees taken in base."""
    fills: dict[tuple[str, str], list[FillFact]] = defaultdict(list)
    for fill in facts.fills:
        fills[fill.symbol, fill.decision_id].append(fill)
    problems = []
    for position in facts.positions:
        own = fills.pop((position.symbol, position.decision_id), [])
        left = max(_ZERO, net_base(own, facts.quote_asset))
        if left != position.qty:
            problems.append(f"{position.symbol} holds {position.qty}, its fills leave {left}")
    problems += [f"{symbol}: {len(own)} fills of no position" for (symbol, _), own in fills.items()]
    return judged("I08", "Position is the sum of its fills", len(facts.positions), problems)


def full_decision_chain(facts: Facts) -> Finding:
    """I14: each entry was preceded by snapshot, decision, gate and risk, in this order."""
    entries = [intent for intent in facts.intents if intent.is_entry]
    chains = _Chains(facts)
    problems = [
        f"entry {_short(intent.order_intent_id)} lacks {', '.join(lacking)}"
        for intent in entries
        if (lacking := chains.lacking(intent))
    ]
    return judged("I14", "Full chain of decision before each entry", len(entries), problems)


class _Chains:
    """What precedes each decision's entry, by decision id."""

    def __init__(self, facts: Facts) -> None:
        self._snapshots = {snapshot.snapshot_id: snapshot for snapshot in facts.snapshots}
        self._decisions = {d.decision_id: d for d in reversed(facts.decisions)}
        self._allowed = _earliest(
            (v.decision_id, v.at_ms) for v in facts.verdicts if v.verdict == "ALLOW"
        )
        self._passed = _earliest(
            (g.decision_id, g.at_ms)
            for g in facts.gate
            if g.verdict == "ALLOW" or (g.verdict == "MODIFY" and g.modify_applied)
        )

    def lacking(self, intent: IntentFact) -> list[str]:
        """Return the links that are missing or came after the entry."""
        decision = self._decisions.get(intent.decision_id)
        if decision is None or decision.at_ms > intent.created_at_ms:
            return ["its decision"]
        asked = decision.original_decision_id or decision.decision_id
        snapshot = self._snapshots.get(decision.snapshot_id)
        links = {
            "its snapshot": snapshot is not None
            and snapshot.snapshot_hash == decision.snapshot_hash
            and snapshot.at_ms <= intent.created_at_ms,
            "the gate's word": self._passed.get(asked, _NEVER) <= intent.created_at_ms,
            "risk's approval": self._allowed.get(intent.decision_id, _NEVER)
            <= intent.created_at_ms,
        }
        return [name for name, stands in links.items() if not stands]


_NEVER = 2**62


def _earliest(found: Iterator[tuple[str, int]]) -> dict[str, int]:
    times: dict[str, int] = {}
    for name, at_ms in found:
        times[name] = min(at_ms, times.get(name, _NEVER))
    return times


def _short(name: str) -> str:
    return name[:15]
