"""I06 and I34: absence is only claimed behind the fence, and requests carry the right time."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from typing import Self

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
# One beat of the clock keeper, and a measurement.
_MEASURED_WITHIN_MS = 3000
_NEVER = 1 << 62
_arrived = itemgetter(0)


def absence_only_behind_the_fence(witness: Witness) -> Finding:
    """I06: each NOT_FOUND came late enough, after enough reads, and was true."""
    intents = {intent.order_intent_id: intent for intent in witness.facts.intents}
    denials = [step for step in witness.facts.transitions if step.to_state == "NOT_FOUND"]
    there = _There.by(witness) if denials else _There()
    problems = [
        f"{step.order_intent_id[:15]}: {problem}"
        for step in denials
        for problem in _hasty(witness, there, intents[step.order_intent_id], step)
    ]
    return judged("I06", "Absence is proven behind the fence", len(denials), problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class _There:
    """What the exchange shows: answered reads by arrival, and client ids that had an effect.

    Both times of a read are by the runtime's clock.
    """

    reads: Sequence[tuple[int, int, RequestRow]] = ()
    made: frozenset[str] = frozenset()
    taken: frozenset[str] = frozenset()

    @classmethod
    def by(cls, witness: Witness) -> Self:
        reads = [
            (witness.market_at(place, row.t_arrive), witness.market_at(place, row.t_reply), row)
            for place, row in witness.requests()
            if _reads(row)
        ]
        return cls(
            reads=sorted(reads, key=_arrived),
            # A refused order has a row, but never stood.
            made=frozenset(
                row.cid
                for row in witness.rows
                if isinstance(row, OrderRow) and row.status != "REJECTED"
            ),
            # The cancel was done, with or without a replacement.
            taken=frozenset(
                name
                for request in witness.journal.requests
                if request.accepted or request.outcome.endswith(_CANCELLED_ONLY)
                for name in request.own_ids
            ),
        )

    def reads_within(self, symbol: str, begin_ms: int, end_ms: int) -> Iterator[str]:
        """Yield what was asked about a symbol and answered in this span."""
        first = bisect_left(self.reads, begin_ms, key=_arrived)
        for arrived_ms, told_ms, row in islice(self.reads, first, None):
            if arrived_ms > end_ms:
                return
            if told_ms <= end_ms and row.params.get("symbol", symbol) == symbol:
                yield row.path.rpartition("/")[2]


def _hasty(
    witness: Witness, there: _There, intent: IntentFact, step: TransitionFact
) -> Iterator[str]:
    sent = witness.sent[intent.order_intent_id]
    lag_ms = _TIMING.engine_wait_ms + _TIMING.read_lag_ms
    # In market time: no clock that is set gives the exchange any more of it.
    sent_ms = next(iter(witness.in_market(sent.at_ms)), sent.at_ms)
    fence_ms = sent_ms + sent.recv_window_ms + lag_ms
    # A clock that was set back shows an instant twice; the denial came the last time.
    denied_ms = max(witness.in_market(step.at_ms), default=step.at_ms)
    if denied_ms < fence_ms:
        yield f"denied {fence_ms - denied_ms} ms before the fence"
    reads = list(there.reads_within(intent.symbol, fence_ms, denied_ms))
    if len(reads) < _FEWEST_READS or len(set(reads)) < _FEWEST_ENDPOINTS:
        yield f"denied after {len(reads)} reads of {len(set(reads))} endpoints behind the fence"
    names = {a.client_order_id for a in witness.facts.aliases
             if a.order_intent_id == intent.order_intent_id}  # fmt: skip
    made = names & there.made
    if made and intent.state == "NOT_FOUND":
        yield f"denied although the exchange made {sorted(made)[0]}"
    if intent.role == "CANCEL" and intent.client_order_id in there.taken:
        yield f"denied although the exchange did {intent.client_order_id}"


def _reads(row: RequestRow) -> bool:
    return row.method == "GET" and row.delivered and row.path.rpartition("/")[2] in _READS


def signed_with_the_right_time(witness: Witness) -> Finding:
    """I34: a mutation's timestamp lies within the allowed drift of the server's clock.

    Not checked where a fault moved the server's clock: until its next measurement the runtime
    cannot know, and is protected by the exchange's own refusal. The same holds for some seconds
    after our own clock was set, and while nobody answers a question for the time.
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
    """Yield spans after a step of our own clock in which the exchange's time cannot be known."""
    asked = [row for _, row in witness.requests() if row.path.endswith("/time")]
    for at_ms, _ in house_steps(witness.plan):
        known_ms = at_ms + _MEASURED_WITHIN_MS
        if any(at_ms <= (row.t_first_byte or row.t_arrive) < known_ms for row in asked):
            answers = [row.t_reply for row in asked if row.delivered and row.t_reply > at_ms]
            known_ms = max(known_ms, min(answers, default=_NEVER))
        yield at_ms, known_ms
