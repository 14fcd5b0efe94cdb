"""I17: after 429 and 418 there is silence, and a refused request is not repeated without end."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from livespot.evidence.findings import Finding, judged
from livespot.evidence.journal import JournalRequest
from livespot.exchange.faults.plan import Ban, Reply
from livespot.exchange.journal import ModeRow, RequestRow
from livespot.testing.search.troubles import DiskError, DiskFull
from livespot.testing.search.witness import Witness

_MOST_REPEATS = 3
# A request that was on its way when the answer came.
_FLIGHT_MS = 20
# A closed market is asked again at growing pauses for as long as it is closed, to take an order of
# ours off the book: so many refusals may come within this time, not within the run. Whether it is
# closed still, a new life can only learn by asking.
_CLOSED = "400 -1010"
_CLOSED_MS = 10_000
_FAILURES = frozenset({DiskFull.__struct_config__.tag, DiskError.__struct_config__.tag})
# What differs between two attempts at the same thing.
_OF_ONE_ATTEMPT = frozenset(
    {"timestamp", "recvWindow", "newClientOrderId", "listClientOrderId", "cancelNewClientOrderId",
     "aboveClientOrderId", "belowClientOrderId", "workingClientOrderId",
     "pendingAboveClientOrderId", "pendingBelowClientOrderId"}
)  # fmt: skip


def limits_are_respected(witness: Witness) -> Finding:
    """I17: silence lasts as long as 429 and 418 ask, and we cause no limit to be reached."""
    requests = [row for _, row in witness.requests()]
    silences = [*_throttled(witness), *_banned(witness)]
    problems = []
    for name, begin_ms, end_ms in silences:
        broken = [
            (sent_ms, row)
            for place, row in witness.requests()
            if row.conn != "model"
            and begin_ms + _FLIGHT_MS < (sent_ms := _sent_ms(witness, place, row)) < end_ms
        ]
        broken = _with_knowledge(witness, begin_ms, broken)
        if broken:
            _, first = broken[0]
            problems.append(
                f"{len(broken)} requests in the silence {name} asked for until {end_ms}, first "
                f"{first.method} {first.path} at {first.t_first_byte}"
            )
    problems += [
        f"{row.method} {row.path} earned {row.outcome}"
        for row in requests
        if row.outcome[:3] in ("418", "429") and not row.fault and not _has_ban(witness)
    ]
    problems += list(_repeated(witness))
    return judged("I17", "Limits are respected", len(silences), problems)


def _with_knowledge(
    witness: Witness, told_ms: int, sent: list[tuple[int, RequestRow]]
) -> list[tuple[int, RequestRow]]:
    """Leave out the first request of a life whose predecessor could not record a silence.

    Its disk failed when it heard of the silence, so the next life asks once and is told again. The
    disk must have failed at once: a moment later the silence was on record.
    """
    failed_ms = next(
        (
            hit.t_ms
            for hit in witness.hits
            if hit.verb in _FAILURES and 0 <= hit.t_ms - told_ms <= _FLIGHT_MS
        ),
        None,
    )
    if failed_ms is None or not sent:
        return sent
    next_ms = next((life.born_ms for life in witness.lives if life.born_ms > failed_ms), None)
    unaware = next_ms is not None and sent[0][0] >= next_ms
    return sent[1:] if unaware else sent


def _throttled(witness: Witness) -> Iterator[tuple[str, int, int]]:
    """(what, from, until) in market time of each delivered 429 that a fault gave."""
    replies = {fault.id: fault.what for fault in witness.plan.faults}
    for place, row in witness.requests():
        what = next((replies.get(name) for name in row.fault.split(",")), None)
        if not isinstance(what, Reply) or not row.outcome.startswith("429") or not row.delivered:
            continue
        begin_ms = witness.at(place, row.t_reply)
        until_ms = begin_ms + int(what.headers.get("Retry-After", "0")) * 1000
        yield f"429 to {row.path}", begin_ms, min(until_ms, _over_ms(witness, begin_ms))


def _banned(witness: Witness) -> Iterator[tuple[str, int, int]]:
    """From the first refusal a ban gave to its end."""
    bans = {fault.id: fault.what for fault in witness.plan.faults if isinstance(fault.what, Ban)}
    starts = [
        (row.t_ms, bans[row.fault].ms)
        for row in witness.rows
        if isinstance(row, ModeRow) and row.fault in bans and row.event == "fire"
    ]
    for start_ms, ms in starts:
        told = [
            witness.at(place, row.t_reply)
            for place, row in witness.requests()
            if row.outcome.startswith("418") and witness.at(place, row.t_reply) >= start_ms
        ]
        if told and not witness.clock_moved:
            yield "418", min(told), start_ms + ms


def _over_ms(witness: Witness, at_ms: int) -> int:
    """When the life of this moment was over; only a ban is remembered beyond."""
    return next((life.over_ms for life in witness.lives if life.over_ms > at_ms), at_ms)


def _sent_ms(witness: Witness, place: int, row: RequestRow) -> int:
    return witness.at(place, row.t_first_byte or row.t_arrive)


def _has_ban(witness: Witness) -> bool:
    return any(isinstance(fault.what, Ban) for fault in witness.plan.faults)


def _repeated(witness: Witness) -> Iterator[str]:
    """Yield mutations that the exchange itself refused again and again in the same words.

    A refusal that was not received does not count.
    """
    refused: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    heard = {place: row for place, row in witness.requests() if row.delivered}
    for row in witness.journal.requests:
        refusal = row.outcome.startswith("4") and not row.outcome.startswith("429")
        if row.verb and refusal and row.row in heard:
            told_ms = witness.at(row.row, heard[row.row].t_reply)
            refused[(row.verb, *_same(row))].append(told_ms)
    for (verb, *key), told in refused.items():
        if key[1] != _CLOSED:
            times = len(told)
        elif verb == "cancel":
            times = max(_most_within(each, _CLOSED_MS) for each in _by_life(witness, told))
        else:
            times = max(map(len, _by_life(witness, told)))
        if times > _MOST_REPEATS:
            yield f"{key[0]} was refused with {key[1]} {times} times"


def _by_life(witness: Witness, told: list[int]) -> list[list[int]]:
    lives = [0, *(life.over_ms for life in witness.lives)]
    spans = [[at_ms for at_ms in told if begin <= at_ms < end] for begin, end in pairwise(lives)]
    return [span for span in spans if span] or [told]


def _most_within(told: list[int], span_ms: int) -> int:
    """The most refusals in any span of this length, its end left out."""
    return max(sum(begin_ms <= at_ms < begin_ms + span_ms for at_ms in told) for begin_ms in told)


def _same(row: JournalRequest) -> tuple[str, ...]:
    kept = sorted(item for item in row.params.items() if item[0] not in _OF_ONE_ATTEMPT)
    return (f"{row.method} {row.path}", row.outcome, *(f"{name}={value}" for name, value in kept))
