"""I22, I27, I28: recovery after healing, one process at a time, a restart without effects."""

from collections.abc import Iterator
from itertools import pairwise

from livespot.contracts.errors import ExitCode
from livespot.evidence.findings import Finding, judged
from livespot.evidence.journal import JournalRequest
from livespot.evidence.rows import IntentFact
from livespot.exchange.journal import FillRow, ModeRow, OrderRow
from livespot.testing.search.limits_of_risk import settings_of
from livespot.testing.search.witness import Witness

# The fence, the engine's proof that it moved on, and rounds of reads.
_SETTLED_WITHIN_MS = 120_000
# An empty universe is scanned again after a minute; otherwise cycles are much shorter.
_CYCLE_WITHIN_MS = 75_000
_FLIGHT_MS = 20
# Longer than any answer takes, plus the quiet time after it with two cycles.
_IN_DOUBT_MS = 10_000
_QUIET_MS = 75_000
# What changes the exchange's clock from one moment to the next.
_MOVES = frozenset({"clock.step", "clock.suspend"})
_DRIFT = {"ENTER_DEGRADE", "CLOCK_DRIFT_WARN"}
_SLACK_MS = 5000
_UNSETTLED = ("CREATED", "SENT_UNKNOWN")


def alive_after_healing(witness: Witness) -> Finding:
    """I22: after the quiet window nothing is in doubt, and the run works or waits in PAUSE."""
    restart_ms = witness.restart_ms
    problems = [
        f"{intent.role} {intent.order_intent_id[:15]} is still {intent.state}"
        for intent in witness.facts.intents
        if intent.state in _UNSETTLED and intent.created_at_ms < restart_ms - _SETTLED_WITHIN_MS
    ]
    last = next((life.run_id for life in reversed(witness.lives) if life.run_id), "")
    problems += [
        f"{intent.role} {intent.order_intent_id[:15]} of {intent.run_id} was left as CREATED"
        for intent in witness.facts.intents
        if intent.state == "CREATED" and last not in ("", intent.run_id)
    ]
    mode = witness.mode_before(restart_ms)
    excused = _just_settled(witness) or _just_measured(witness)
    if mode not in ("NORMAL", "PAUSE") and not excused:
        after_ms = restart_ms - witness.plan.healed_ms
        problems.append(f"the mode is {mode or 'none'} {after_ms} ms after healing")
    if mode == "NORMAL" and not _cycled(witness):
        problems.append("no cycle began in the last 75 s before the restart")
    living = [life for life in witness.lives if life.born_ms <= restart_ms <= life.over_ms]
    if not living:
        problems.append("no process lived when the restart was due")
    return judged("I22", "Alive after healing", 1, problems, note=f"mode {mode}")


def _just_settled(witness: Witness) -> bool:
    """Whether the quiet time after the last doubt about an order cannot be over yet."""
    doubts = {
        step.order_intent_id: step.at_ms
        for step in witness.facts.transitions
        if step.at_ms - witness.sent[step.order_intent_id].at_ms > _IN_DOUBT_MS
    }
    return max(doubts.values(), default=0) > witness.restart_ms - _QUIET_MS


def _just_measured(witness: Witness) -> bool:
    """Whether it is in DEGRADE for nothing but the first sight of an exchange's clock that moved.

    A moved clock that refuses nothing is found by the next measurement, which may come long after
    the healing; then the quiet time is due, once.
    """
    steps = [
        witness.at(place, row.t_ms)
        for place, row in enumerate(witness.rows, 1)
        if isinstance(row, ModeRow) and row.verb in _MOVES and row.event == "fire"
    ]
    before = [mode for mode in witness.facts.modes if mode.at_ms < witness.restart_ms]
    seen_ms = before[-1].at_ms if before else 0
    moved_ms = max((at_ms for at_ms in steps if at_ms <= seen_ms), default=None)
    if moved_ms is None or set(before[-1].reasons) != _DRIFT:
        return False
    told = [m for m in before if m.at_ms >= moved_ms and "CLOCK_DRIFT_WARN" in m.reasons]
    due_ms = settings_of(witness).time.sync_interval_ms + _SLACK_MS
    late = seen_ms - moved_ms > due_ms or seen_ms <= witness.restart_ms - _QUIET_MS
    return len(told) == 1 and not late


def _cycled(witness: Witness) -> bool:
    restart_ms = witness.restart_ms
    return any(restart_ms - _CYCLE_WITHIN_MS <= at_ms < restart_ms for at_ms in witness.cycles)


def one_writer(witness: Witness) -> Finding:
    """I27: each request came from the life whose run wrote it down; no two lives overlap."""
    lives = witness.lives
    problems = [
        f"a life began at {after.born_ms}, before {before.over_ms}"
        for before, after in pairwise(lives)
        if after.born_ms < before.over_ms
    ]
    spans = {life.run_id: (life.born_ms, life.over_ms + _FLIGHT_MS) for life in lives}
    runs = {s.order_intent_id: s.run_id for s in witness.facts.transitions
            if s.to_state == "SENT_UNKNOWN"}  # fmt: skip
    intents, places = witness.facts.own_intents(), dict(witness.requests())
    looked_at, clock_moved = 0, witness.clock_moved
    for request in witness.journal.requests:
        intent = _intent(request, intents)
        span = spans.get(runs.get(intent.order_intent_id, "")) if intent else None
        if intent is None or span is None:
            continue
        looked_at += 1
        row = places[request.row]
        at_ms = witness.market_at(request.row, row.t_first_byte or row.t_arrive)
        if not span[0] <= at_ms <= span[1] and not clock_moved:
            problems.append(f"{intent.client_order_id} arrived at {at_ms}, outside its life {span}")
    return judged("I27", "One writer of orders", looked_at, problems)


def _intent(request: JournalRequest, intents: dict[str, IntentFact]) -> IntentFact | None:
    return next((intents[name] for name in request.own_ids if name in intents), None)


def restart_changes_nothing(witness: Witness) -> Finding:
    """I28: after an orderly stop, no life sends anything of its own accord for an old decision."""
    pairs = [
        (before, after)
        for before, after in pairwise(witness.lives)
        if after.born_ms >= witness.restart_ms
    ]
    if not pairs:
        return judged("I28", "Restart is idempotent", 0, (), note="there was no orderly restart")
    problems = [
        f"the life before ended with {before.code!r}"
        for before, _ in pairs
        if before.code not in (ExitCode.CLEAN, ExitCode.PAUSED)
    ]
    problems += _unasked(witness, pairs[0][1].born_ms)
    return judged("I28", "Restart is idempotent", len(pairs), problems)


def _unasked(witness: Witness, born_ms: int) -> Iterator[str]:
    decided = {d.decision_id: d.at_ms for d in reversed(witness.facts.decisions)}
    intents = witness.facts.own_intents()
    news = _first_news(witness, born_ms)
    for request in witness.journal.requests:
        at_ms = witness.market_at(request.row, request.arrived_ms)
        if not request.verb or at_ms < born_ms or request.row > news:
            continue
        intent = _intent(request, intents)
        if intent is None or decided.get(intent.decision_id, 0) < born_ms:
            role = intent.role if intent is not None else "?"
            yield f"{request.method} {request.path} ({role}) {at_ms - born_ms} ms after the restart"


def _first_news(witness: Witness, born_ms: int) -> int:
    """The place of the first change on the exchange that no request of this life made."""
    for place, row in enumerate(witness.rows, 1):
        if isinstance(row, FillRow) and witness.market_at(place, row.t_ms) >= born_ms:
            return place
        if (
            isinstance(row, OrderRow)
            and row.t_end
            and witness.market_at(place, row.t_end) >= born_ms
        ):
            return place
    return len(witness.rows) + 1
