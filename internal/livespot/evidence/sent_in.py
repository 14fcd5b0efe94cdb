"""The mode in which each request's row was written, by the order of the audit, not by clocks."""

from collections import Counter
from collections.abc import Mapping

from livespot.contracts.base import Message
from livespot.contracts.vocabulary import EventType, IntentState
from livespot.evidence.rows import EventFact, Facts


class Spell(Message, frozen=True):
    """A mode while it was in force, between the stamps of two changes; `ended_ms` 0 if it lasts."""

    mode: str
    began_ms: int
    ended_ms: int


def sent_in(facts: Facts) -> Mapping[str, Spell]:
    """Return, by intent id, the mode in force when the audit took the row SENT_UNKNOWN.

    An intent is missing where that is not known: its events are pruned, or the events of its run do
    not match the recorded modes.
    """
    spells = _spells(facts)
    told: dict[str, Spell] = {}
    changes: Counter[str] = Counter()
    for event in facts.events:
        if event.event_type == EventType.SYSMODE_CHANGED.value:
            changes[event.run_id] += 1
        elif _is_sending(event):
            own = spells.get(event.run_id, [])
            if 0 < changes[event.run_id] <= len(own):
                told[event.order_intent_id] = own[changes[event.run_id] - 1]
    return told


def _is_sending(event: EventFact) -> bool:
    return (
        event.event_type == EventType.INTENT_STATE_CHANGED.value
        and isinstance(event.data, dict)
        and event.data.get("to") == IntentState.SENT_UNKNOWN.value
    )


def _spells(facts: Facts) -> dict[str, list[Spell]]:
    """Return each run's modes in order, for runs with as many mode events as mode rows."""
    audited = Counter(
        event.run_id
        for event in facts.events
        if event.event_type == EventType.SYSMODE_CHANGED.value
    )
    found: dict[str, list[Spell]] = {}
    for mode, after in zip(facts.modes, (*facts.modes[1:], None), strict=True):
        ended_ms = after.at_ms if after is not None else 0
        spell = Spell(mode=mode.mode, began_ms=mode.at_ms, ended_ms=ended_ms)
        found.setdefault(mode.run_id, []).append(spell)
    return {run_id: own for run_id, own in found.items() if len(own) == audited[run_id]}
