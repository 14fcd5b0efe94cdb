"""I06 and I34: absence is only claimed behind the fence, and requests carry the right time."""

from collections.abc import Iterator

from livespot.contracts.settings import TimeSettings, TimingSettings
from livespot.evidence.findings import Finding, judged
from livespot.evidence.rows import IntentFact, TransitionFact
from livespot.exchange.journal import OrderRow, RequestRow
from livespot.testing.search.witness import Witness, house_steps

_TIMING = TimingSettings()
_READS = frozenset(
    {"order", "openOrders", "allOrders", "myTrades", "orderList", "openOrderList", "allOrderList"}
)
# Of a cancel-replace: the cancel was done, the new order refused.
_CANCELLED_ONLY = "-2021"
_FEWEST_READS = 3
_FEWEST_ENDPOINTS = 2
_MUTATIONS = frozenset({"POST", "DELETE"})
# A beat of whoever watches the clocks, and a measurement.
_MEASURED_WITHIN_MS = 3000
_NEVER = 1 << 62


def absence_only_behind_the_fence(witness: Witness) -> Finding:
    """I06: each NOT_FOUND came late enough, after reads enough, and was true."""
    intents = {intent.order_intent_id: intent for intent in witness.facts.intents}
    denials = [step for step in witness.facts.transitions if step.to_state == "NOT_FOUND"]
    problems = [
        f"{step.order_intent_id[:15]}: {problem}"
        for step in denials
        for problem in _hasty(witness, intents[step.order_intent_id], step)
    ]
    return judged("I06", "Absence is proven behind the fence", len(denials), problems)


def _hasty(witness: Witness, intent: IntentFact, step: TransitionFact) -> Iterator[str]:
    sent = witness.sent[intent.order_intent_id]
    lag_ms = _TIMING.engine_wait_ms + _TIMING.read_lag_ms
    fence_ms = sent.at_ms + sent.recv_window_ms + lag_ms
    if step.at_ms < fence_ms:
        yield f"denied {fence_ms - step.at_ms} ms before the fence"
    reads = [
        row.path.rpartition("/")[2]
        for place, row in witness.requests()
        if _reads(row, intent.symbol)
        and fence_ms <= witness.at(place, row.t_arrive)
        and witness.at(place, row.t_reply) <= step.at_ms
    ]
    if len(reads) < _FEWEST_READS or len(set(reads)) < _FEWEST_ENDPOINTS:
        yield f"denied after {len(reads)} reads of {len(set(reads))} endpoints behind the fence"
    names = {a.client_order_id for a in witness.facts.aliases
             if a.order_intent_id == intent.order_intent_id}  # fmt: skip
    made = {row.cid for row in witness.rows if isinstance(row, OrderRow) and row.cid in names}
    if made and intent.state == "NOT_FOUND":
        yield f"denied although the exchange made {sorted(made)[0]}"
    if intent.role == "CANCEL" and _was_taken(witness, intent.client_order_id):
        yield f"denied although the exchange did {intent.client_order_id}"


def _was_taken(witness: Witness, cancel_id: str) -> bool:
    """Whether the exchange cancelled what this request aimed at, with or without a replacement."""
    return any(
        cancel_id in request.own_ids
        and (request.accepted or request.outcome.endswith(_CANCELLED_ONLY))
        for request in witness.journal.requests
    )


def _reads(row: RequestRow, symbol: str) -> bool:
    return (
        row.method == "GET"
        and row.delivered
        and row.path.rpartition("/")[2] in _READS
        and row.params.get("symbol", symbol) == symbol
    )


def signed_with_the_right_time(witness: Witness) -> Finding:
    """I34: a mutation's timestamp lies within the allowed drift of the server's clock.

    Nothing is looked at where a fault moved the server's clock: until the next measurement the
    runtime cannot know, and the exchange's own refusal is what protects then. The same holds for
    some seconds after somebody set our own, and while nobody answers our question for the time.
    """
    limit_ms = TimeSettings().clock_drift_max_ms
    unsure = list(_unsure(witness))
    problems, looked_at = [], 0
    clock_moved = witness.clock_moved
    for _, row in witness.requests():
        if clock_moved or row.method not in _MUTATIONS or "timestamp" not in row.params:
            continue
        sent_ms = row.t_first_byte or row.t_arrive
        if any(begin_ms <= sent_ms < end_ms for begin_ms, end_ms in unsure):
            continue
        looked_at += 1
        apart_ms = abs(int(row.params["timestamp"]) - (row.t_first_byte or row.t_arrive))
        if apart_ms > limit_ms:
            problems.append(f"{row.method} {row.path} was signed {apart_ms} ms off")
    return judged("I34", "Time is right when signing", looked_at, problems)


def _unsure(witness: Witness) -> Iterator[tuple[int, int]]:
    """Spans after each step of our own clock in which we cannot know the exchange's time."""
    asked = [row for _, row in witness.requests() if row.path.endswith("/time")]
    for at_ms, _ in house_steps(witness.plan):
        known_ms = at_ms + _MEASURED_WITHIN_MS
        if any(at_ms <= (row.t_first_byte or row.t_arrive) < known_ms for row in asked):
            answers = [row.t_reply for row in asked if row.delivered and row.t_reply > at_ms]
            known_ms = max(known_ms, min(answers, default=_NEVER))
        yield at_ms, known_ms
