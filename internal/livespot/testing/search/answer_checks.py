"""I07b, I07c, I26b: what an answer says is booked, once, and no answer is left unread."""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from livespot.evidence.findings import Finding, judged
from livespot.evidence.journal import JournalRequest
from livespot.exchange.faults.plan import ReadLag
from livespot.exchange.journal import FillRow, OrderRow, RequestRow
from livespot.runtime.replay_run import Lived
from livespot.testing.search.limits_of_risk import settings_of
from livespot.testing.search.stale_checks import FLIGHT_MS, cut_on_its_way
from livespot.testing.search.troubles import DiskError
from livespot.testing.search.witness import Witness, stood_still

# The trades of an order are read at once; this many rounds of reading may fail first.
_BOOKED_WITHIN_MS = 5000
_ANSWERS = frozenset({"ORDER_SUBMIT", "ORDER_CANCEL"})
# The longest time between the row that announces a request and its first byte.
_LATE_MS = 500
_CANCELS = frozenset({"cancel", "cancel_list", "replace"})
# Faults that keep trades from being read.
_TROUBLED = ("disk.", "actor.", "host.")
_CUTTING = ("net.reset", "net.blackhole", "net.half_open", "ex.ban", "host.suspend", "disk.")
# The journal's word on a reply over the WebSocket API is right whatever cuts its connection.
_STOPPING = ("host.suspend", "disk.")


def answers_are_booked(witness: Witness) -> Finding:
    """I07b: after the answer to a cancel, the executions of the order it ended are soon booked.

    Checked where a process lived on for that long and the exchange answered all its reads.
    """
    verbs = {request.row: request.verb for request in witness.journal.requests}
    troubled = any(verb.startswith(_TROUBLED) for _, verb in witness.plan.mishaps)
    lagging = any(isinstance(fault.what, ReadLag) for fault in witness.plan.faults)
    if troubled or lagging:
        return judged("I07b", "An answer's executions are booked", 0, (), note="a troubled run")
    fills, reads = _fills_of(witness), _reads(witness)
    problems, looked_at = [], 0
    for place, row in witness.requests():
        if verbs.get(place) not in _CANCELS or not _told(row):
            continue
        if not _readable(witness, reads, witness.at(place, row.t_reply)):
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


def no_answer_is_left_unread(witness: Witness) -> Finding:
    """I26b: a life that is not killed learns the answer to every mutation it has sent.

    It waits for answers when it is stopped in order, and over REST also when it is cancelled; the
    connection of the WebSocket API ends with a cancelled life. REST is not checked while something
    cuts connections. An answer that came in time was received itself; one that came later, or had
    two halves, may have been learned of from the stream or a read.
    """
    cuts, stops = list(_cuts(witness, _CUTTING)), list(_cuts(witness, _STOPPING))
    intents = witness.facts.own_intents()
    learned, heard = _learned(witness), _heard(witness)
    waits_ms = settings_of(witness).timing.mutation_timeout_ms - _LATE_MS
    rows, stood = dict(witness.requests()), stood_still(witness)
    problems, looked_at = [], 0
    for request in witness.journal.requests:
        row = rows[request.row]
        names = [intents[name].order_intent_id for name in request.own_ids if name in intents]
        sent_ms = _sent_ms(witness, request.row, row, names if row.t_arrive in stood else ())
        told_ms = witness.market_at(request.row, row.t_reply) + stood.get(row.t_reply, 0)
        life = _cleaning_up(witness, sent_ms)
        by_socket = request.method == "WS"
        if life is not None and life.code is None and by_socket:
            continue
        if life is None or row.fault or not row.delivered or not _dealt_with(request):
            continue
        # An answer that is under way when something breaks is lost as well.
        if _broke(stops if by_socket else cuts, sent_ms, told_ms + FLIGHT_MS):
            continue
        if by_socket and cut_on_its_way(witness, request.row, told_ms):
            continue
        looked_at += 1
        in_time = row.t_reply - (row.t_first_byte or row.t_arrive) < waits_ms
        whole = request.verb != "replace"
        # A cancelled life records what became of the order, and no more.
        known = heard if in_time and whole and life.code is not None else learned
        if not any((name, life.run_id) in known for name in names):
            problems.append(f"{row.method} {row.path} was answered, and nobody listened any more")
    return judged("I26b", "No answer is left unread", looked_at, problems)


def _sent_ms(witness: Witness, place: int, row: RequestRow, names: Sequence[str]) -> int:
    """Return a request's market time, but not before the ledger's row that `names` were sent.

    A request that came while the exchange's clock stood bears the time at which the clock stopped.
    """
    ours = [witness.sent[name].at_ms - witness.ahead_ms(place) for name in names]
    return max([witness.market_at(place, row.t_first_byte or row.t_arrive), *ours])


def _learned(witness: Witness) -> set[tuple[str, str]]:
    """Return (intent, run) where it became known there what the exchange did with the intent."""
    return {
        (step.order_intent_id, step.run_id)
        for step in witness.facts.transitions
        if step.from_state == "SENT_UNKNOWN"
    }


def _heard(witness: Witness) -> set[tuple[str, str]]:
    """Return (intent, run) where the answer itself is on record."""
    return {
        (event.order_intent_id, event.run_id)
        for event in witness.facts.events
        if event.event_type in _ANSWERS
        and not (isinstance(event.data, dict) and event.data.get("outcome") == "UNKNOWN")
    }


def _broke(spans: list[tuple[int, int]], sent_ms: int, heard_ms: int) -> bool:
    return any(begin_ms <= heard_ms and sent_ms <= end_ms for begin_ms, end_ms in spans)


def _dealt_with(request: JournalRequest) -> bool:
    """Whether the request asked for something, and was processed."""
    return bool(request.verb) and not turned_away(request)


def turned_away(request: JournalRequest) -> bool:
    """Whether the sender was refused: nobody read the request, so the journal lacks its content."""
    return request.outcome.startswith(("418", "429")) and not request.params


def _cuts(witness: Witness, verbs: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    """Yield spans of market time in which these verbs cut connections or stop the process."""
    plan = witness.plan
    for name, verb in plan.mishaps:
        times = [row.t_ms for row in witness.turns_of(name)]
        if verb.startswith(verbs) and times:
            yield min(times), max(times)
    for trouble in plan.troubles:
        if trouble.verb.startswith(verbs):
            begin_ms = plan.start_ms + trouble.after_ms
            yield begin_ms, begin_ms + trouble.for_ms
    yield from _unwritable(witness)


def _unwritable(witness: Witness) -> Iterator[tuple[int, int]]:
    """Yield spans from a failed write to the end of its life, which cannot record answers."""
    for hit in witness.hits:
        if hit.verb == DiskError.__struct_config__.tag:
            ends = [life.over_ms for life in witness.lives if hit.t_ms <= life.over_ms]
            yield hit.t_ms, min(ends, default=hit.t_ms)


def _cleaning_up(witness: Witness, at_ms: int) -> Lived | None:
    """Return the life at this moment, if it ended in order or was cancelled."""
    cancelled = [death.cancelled for death in witness.plan.deaths]
    for number, life in enumerate(witness.lives):
        if life.born_ms <= at_ms <= life.over_ms:
            cleans = life.code is not None or (number < len(cancelled) and cancelled[number])
            return life if cleans else None
    return None


def each_fill_is_told_once(witness: Witness) -> Finding:
    """I07c: the audit books no execution twice, neither in one life nor across lives."""
    counted = Counter(witness.told_fills)
    problems = [
        f"trade {number} on {symbol} was booked {times} times"
        for (symbol, number), times in counted.items()
        if times > 1
    ]
    return judged("I07c", "Each execution is booked once", len(counted), problems)


def _told(row: RequestRow) -> bool:
    return row.delivered and row.outcome.startswith("200")


def _reads(witness: Witness) -> list[tuple[int, bool]]:
    """Return (arrival, whether answered) of each read, in order of time."""
    return sorted(
        (witness.at(place, row.t_arrive), _told(row))
        for place, row in witness.requests()
        if row.method == "GET"
    )


def _readable(witness: Witness, reads: list[tuple[int, bool]], told_ms: int) -> bool:
    """Whether one process lived on, and every read in these seconds was answered."""
    due_ms = told_ms + _BOOKED_WITHIN_MS
    if not any(life.born_ms <= told_ms and due_ms < life.over_ms for life in witness.lives):
        return False
    begin, end = bisect_left(reads, (told_ms, False)), bisect_right(reads, (due_ms, True))
    return all(answered for _, answered in reads[begin:end])


def _fills_of(witness: Witness) -> dict[str, list[FillRow]]:
    own = {alias.client_order_id for alias in witness.facts.aliases}
    found: dict[str, list[FillRow]] = defaultdict(list)
    for row in witness.rows:
        if isinstance(row, FillRow) and row.cid in own:
            found[row.cid].append(row)
    return found


def _ended_by(witness: Witness, place: int, row: RequestRow) -> Iterator[str]:
    """Yield orders of the request's symbol that it ended: their rows precede its own."""
    symbol = row.params.get("symbol", "")
    for index in range(place - 2, -1, -1):
        earlier = witness.rows[index]
        if isinstance(earlier, RequestRow):
            return
        if isinstance(earlier, OrderRow) and earlier.sym == symbol and earlier.t_end:
            yield earlier.cid
