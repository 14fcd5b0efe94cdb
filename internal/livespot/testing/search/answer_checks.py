"""I07b: what an answer says was executed is looked at, not left for a later comparison to find."""

from collections import defaultdict
from collections.abc import Iterator

from livespot.evidence.findings import Finding, judged
from livespot.exchange.faults.plan import ReadLag
from livespot.exchange.journal import FillRow, OrderRow, RequestRow
from livespot.testing.search.witness import Witness

# The trades of an order are read at once; so many rounds may fail on the way.
_BOOKED_WITHIN_MS = 5000
_CANCELS = frozenset({"cancel", "cancel_list", "replace"})
# What stands in the way of reading trades.
_TROUBLED = ("disk.", "actor.", "host.")


def answers_are_booked(witness: Witness) -> Finding:
    """I07b: after the answer to a cancel, the executions of the order it ended are soon booked.

    Looked at where a process lived on for that long and the exchange answered all its reads.
    """
    verbs = {request.row: request.verb for request in witness.journal.requests}
    troubled = any(verb.startswith(_TROUBLED) for _, verb in witness.plan.mishaps)
    lagging = any(isinstance(fault.what, ReadLag) for fault in witness.plan.faults)
    if troubled or lagging:
        return judged("I07b", "An answer's executions are booked", 0, (), note="a troubled run")
    fills = _fills_of(witness)
    problems, looked_at = [], 0
    for place, row in witness.requests():
        if verbs.get(place) not in _CANCELS or not _told(row) or not _readable(witness, place, row):
            continue
        due_ms = witness.at(place, row.t_reply) + _BOOKED_WITHIN_MS
        for cid in _ended_by(witness, place, row):
            for fill in fills[cid]:
                looked_at += 1
                known_ms = witness.received.get((fill.sym, fill.tid))
                if known_ms is None or known_ms > due_ms:
                    late = "never" if known_ms is None else f"{known_ms - due_ms} ms too late"
                    problems.append(f"trade {fill.tid} on {fill.sym} was booked {late}")
    return judged("I07b", "An answer's executions are booked", looked_at, problems)


def _told(row: RequestRow) -> bool:
    return row.delivered and row.outcome.startswith("200")


def _readable(witness: Witness, place: int, row: RequestRow) -> bool:
    """Whether one process lived on, and every read of these seconds was answered."""
    told_ms = witness.at(place, row.t_reply)
    due_ms = told_ms + _BOOKED_WITHIN_MS
    if not any(life.born_ms <= told_ms and due_ms < life.over_ms for life in witness.lives):
        return False
    near = (
        other
        for there, other in witness.requests()
        if other.method == "GET" and told_ms <= witness.at(there, other.t_arrive) <= due_ms
    )
    return all(_told(other) for other in near)


def _fills_of(witness: Witness) -> dict[str, list[FillRow]]:
    own = {alias.client_order_id for alias in witness.facts.aliases}
    found: dict[str, list[FillRow]] = defaultdict(list)
    for row in witness.rows:
        if isinstance(row, FillRow) and row.cid in own:
            found[row.cid].append(row)
    return found


def _ended_by(witness: Witness, place: int, row: RequestRow) -> Iterator[str]:
    """Orders of the request's symbol that ended as it was done: their rows stand before its own."""
    symbol = row.params.get("symbol", "")
    for earlier in reversed(witness.rows[: place - 1]):
        if isinstance(earlier, RequestRow):
            return
        if isinstance(earlier, OrderRow) and earlier.sym == symbol and earlier.t_end:
            yield earlier.cid
