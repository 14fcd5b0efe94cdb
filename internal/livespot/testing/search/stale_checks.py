"""I20e: a stale view, an ended stream and a refused timestamp are reported in time."""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import itemgetter

from livespot.evidence.findings import Finding, judged
from livespot.exchange.faults.plan import (
    AcceptThen,
    Ban,
    Blackhole,
    DelayEvents,
    DropEvents,
    DropResponse,
    EndUserStreams,
    Fault,
    HalfOpen,
    OrderByHand,
    Reset,
    RevokeKey,
)
from livespot.exchange.journal import OrderRow, RequestRow
from livespot.runtime.replay_run import Lived
from livespot.testing.search.limits_of_risk import settings_of
from livespot.testing.search.troubles import ActorStalls
from livespot.testing.search.witness import Witness, stood_still

# From a limit to its durable record: a tick of the measuring actor, the governor, a commit.
_SLACK_MS = 3000
# What returns within a minute of its end is not reported again.
TOLD_ONCE_MS = 60_000
# From the exchange to its receiver.
FLIGHT_MS = 20
_NEVER = 2**62
# While nobody can write or measure, or time itself is wrong, no report can come in time.
_MUTE = ("disk.", "actor.", "host.")
# An order refused for its closed market is reported for a minute, and then not again for as long.
_CLOSED_MS = 2 * TOLD_ONCE_MS
# A stream that has just been opened has nothing to fall silent yet.
_SETTLED_MS = 3000
# What ends events for longer than itself.
_HIDING = (EndUserStreams, RevokeKey, Ban, Reset, Blackhole, HalfOpen)
# What makes a connection fall silent, in whole or in part.
_SILENCING = (Reset, Blackhole, HalfOpen, DropResponse)
# Asked after twenty seconds of silence, with five seconds to answer.
_PROBED_WITHIN_MS = 25_000
_DEAFENING: tuple[tuple[type, str, int], ...] = (
    (EndUserStreams, "", 0),
    (Reset, "ws_user", 0),
    (Reset, "ws_api", 0),
    (Blackhole, "ws_user", _PROBED_WITHIN_MS),
    (Blackhole, "ws_api", _PROBED_WITHIN_MS),
)
# Refused, found to have moved, or not to be measured.
_CLOCK_CODES = ("BINANCE_TIMESTAMP_REJECTED", "CLOCK_DRIFT_WARN", "TIME_SYNC_FAIL")
_SUBSCRIPTION = "userDataStream.subscribe"
_CONFIRMING = frozenset({"order", "openOrders", "allOrders", "account", "myTrades"})
_NOTHING_CHANGED = "0 "


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A report that is due: by when, in which words, and from when on such words count.

    With `settles` the record of an order that ended with this code is enough.
    """

    what: str
    codes: tuple[str, ...]
    since_ms: int
    due_ms: int
    settles: str = ""


def stale_views_are_said(witness: Witness) -> Finding:
    """I20e: each condition that the harness knows of has its code on record in time.

    Checked where one process lives on until then, after its boot has compared everything.
    """
    troubles = witness.plan.troubles
    mute = any(t.verb.startswith(_MUTE) and not isinstance(t.what, ActorStalls) for t in troubles)
    if mute:
        return judged("I20e", "Stale views are said", 0, (), note="a troubled run")
    stalls = any(isinstance(trouble.what, ActorStalls) for trouble in troubles)
    sources = (_stalled,) if stalls else _SOURCES
    expected = [due for source in sources for due in source(witness)]
    problems = [
        f"nobody said {due.codes[0]} by {due.due_ms}: {due.what}"
        for due in expected
        if not _said(witness, due)
    ]
    return judged("I20e", "Stale views are said", len(expected), problems)


def _said(witness: Witness, due: Due) -> bool:
    since_ms = due.since_ms - TOLD_ONCE_MS
    alerts = (a.code for a in witness.facts.alerts if since_ms <= a.at_ms <= due.due_ms)
    if any(code in due.codes for code in alerts) or _is_settled(witness, due):
        return True
    modes = (m for m in witness.facts.modes if since_ms <= m.at_ms <= due.due_ms)
    return any(set(due.codes) & set(mode.reasons) for mode in modes)


def _is_settled(witness: Witness, due: Due) -> bool:
    """Whether an order's own record tells of it."""
    return any(
        event.event_type == "INTENT_STATE_CHANGED"
        and due.since_ms <= event.ts_ms <= due.due_ms
        and isinstance(event.data, dict)
        and event.data.get("error_code") == due.settles
        for event in witness.facts.events
        if due.settles
    )


def _life(witness: Witness, begin_ms: int, due_ms: int) -> Lived | None:
    """Return the life that had booted by then and could still record the report when it was due."""
    for life in witness.lives:
        booted_ms = witness.recovered.get(life.run_id)
        if booted_ms is not None and booted_ms <= begin_ms and due_ms < life.speaks_until_ms:
            return life
    return None


def _rest_is_old(witness: Witness) -> Iterator[Due]:
    """No confirming read was answered for ten seconds or three intervals; then for a minute."""
    settings = settings_of(witness)
    health, every_ms = settings.health, settings.reconcile.rest_interval_ms
    standing = _standing(witness)
    least_ms = max(health.rest_stale_ms_degrade, 3 * every_ms) + _SLACK_MS
    for (_, begin_ms), (next_ms, _) in pairwise(_confirmed(witness)):
        if next_ms - begin_ms <= least_ms:
            continue
        # While an order stands, reads are due three times as often, and missed that much sooner.
        opened_ms = min((first for first, last in standing if last >= next_ms), default=_NEVER)
        missed_ms = min(max(opened_ms - begin_ms, 0) + 3 * every_ms, 9 * every_ms)
        limit_ms = max(health.rest_stale_ms_degrade, missed_ms)
        for limit, code in (
            (limit_ms, "REST_STALE_DEGRADE"),
            (max(limit_ms, health.rest_stale_ms_pause), "REST_STALE_PAUSE"),
        ):
            due_ms = begin_ms + limit + _SLACK_MS
            if due_ms < next_ms and _life(witness, begin_ms, due_ms):
                codes = ("REST_STALE_PAUSE",) if code.endswith("PAUSE") else (
                    "REST_STALE_DEGRADE", "REST_STALE_PAUSE")  # fmt: skip
                what = f"no confirming answer since {begin_ms}"
                yield Due(what=what, codes=codes, since_ms=begin_ms, due_ms=due_ms)


def _confirmed(witness: Witness) -> list[tuple[int, int]]:
    """Return when reads of the account were answered, as (earliest, latest).

    The two differ where the exchange's clock stood, since it stamps all answers of that time alike.
    The end of the run closes the last silence.
    """
    stood = stood_still(witness)
    times = [
        (at_ms, at_ms + stood.get(witness.market_at(place, row.t_reply), 0))
        for place, row in witness.requests()
        if row.method == "GET"
        and row.delivered
        and row.outcome.startswith("200")
        and row.path.rpartition("/")[2] in _CONFIRMING
        for at_ms in (witness.at(place, row.t_reply),)
    ]
    over_ms = witness.lives[-1].over_ms
    return [*sorted(times), (over_ms, over_ms)]


def _standing(witness: Witness) -> list[tuple[int, int]]:
    """Return from when to when each order of ours stood on the exchange."""
    own = {alias.client_order_id for alias in witness.facts.aliases}
    spans: dict[int, tuple[int, int]] = {}
    for place, row in enumerate(witness.rows, 1):
        if isinstance(row, OrderRow) and row.cid in own:
            over_ms = witness.at(place, row.t_end) if row.t_end else _NEVER
            spans[row.oid] = (witness.at(place, row.t_new), over_ms)
    return list(spans.values())


def _streams_are_silent(witness: Witness) -> Iterator[Due]:
    """Every market connection is open and delivers nothing."""
    limit_ms = settings_of(witness).health.ws_stale_ms_degrade
    for fault, begin_ms, end_ms in _spans(witness, Blackhole, "ws_md"):
        due_ms = begin_ms + limit_ms + _SLACK_MS
        if due_ms < end_ms and _life(witness, begin_ms - _SETTLED_MS, due_ms):
            codes = ("WS_STALE_DEGRADE", "WS_STALE_PAUSE")
            since_ms = _episode_ms(witness, begin_ms, ("ws_md",))
            yield Due(what=fault.id, codes=codes, since_ms=since_ms, due_ms=due_ms)


def _account_is_deaf(witness: Witness) -> Iterator[Due]:
    """The account's events were ended, or their connection was reset or went silent.

    A report of the end must be able to arrive; silence is found out by asking.
    """
    for kind, target, within_ms in _DEAFENING:
        for fault, begin_ms, end_ms in _spans(witness, kind, target):
            due_ms = begin_ms + within_ms + _SLACK_MS
            lasts = kind is not Blackhole or due_ms < end_ms
            silent = kind is EndUserStreams and holds_events(witness, begin_ms)
            if lasts and not silent and _life(witness, begin_ms - _SETTLED_MS, due_ms):
                codes = ("USER_STREAM_LOST",)
                since_ms = _episode_ms(witness, begin_ms, ("ws_user", "ws_api"))
                yield Due(what=fault.id, codes=codes, since_ms=since_ms, due_ms=due_ms)


def _episode_ms(witness: Witness, begin_ms: int, targets: tuple[str, ...]) -> int:
    """Return when the trouble began whose last recurrence this is.

    The minute in which it is not reported again runs from its end, not from the report; a
    recurrence within it extends it. A new process has reported nothing yet.
    """
    life = _life(witness, begin_ms, begin_ms)
    born_ms = begin_ms if life is None else life.born_ms
    spans = []
    for fault in witness.plan.faults:
        if isinstance(fault.what, _SILENCING) and fault.what.target in targets:
            times = [r.t_ms for r in witness.turns_of(fault.id) if r.t_ms < begin_ms]
            spans += [(max(times), min(times))] if times else []
    if "ws_user" in targets:
        spans += [(at_ms, at_ms) for at_ms in _renewals(witness, born_ms, begin_ms)]
    since_ms = begin_ms
    for last_ms, first_ms in sorted(spans, reverse=True):
        if first_ms >= born_ms and since_ms - last_ms <= TOLD_ONCE_MS:
            since_ms = min(since_ms, first_ms)
    return since_ms


def _renewals(witness: Witness, born_ms: int, until_ms: int) -> list[int]:
    """When a life asked for the account's events again: until then it had lost them.

    It may have done so by itself, where it was not allowed to ask whether a silent stream lives.
    """
    asked = sorted(
        at_ms
        for place, row in witness.requests()
        if row.path.startswith(_SUBSCRIPTION)
        and born_ms <= (at_ms := witness.at(place, row.t_arrive)) < until_ms
    )
    return asked[1:]


def holds_events(witness: Witness, at_ms: int) -> bool:
    """Whether at this moment a fault may keep an event from its receiver."""
    for fault in witness.plan.faults:
        what = fault.what
        on_socket = getattr(what, "target", "") in ("ws_user", "ws_api")
        if not on_socket and not isinstance(what, DropEvents | DelayEvents):
            continue
        turns = [row.t_ms for row in witness.turns_of(fault.id)]
        if turns and min(turns) <= at_ms <= max(turns):
            return True
    return False


def cut_on_its_way(witness: Witness, place: int, left_ms: int) -> bool:
    """Whether a connection to the account is cut before an answer has surely arrived.

    The answer is that of the request at this place, and left at `left_ms`. A fault that silences a
    connection cuts it when it ends.
    """
    return _ended_behind(witness, place) or any(
        left_ms <= turn.t_ms <= left_ms + FLIGHT_MS
        for fault in witness.plan.faults
        if isinstance(fault.what, Blackhole | HalfOpen) or _ends_connection(fault.what)
        if getattr(fault.what, "target", "") in ("ws_user", "ws_api")
        for turn in witness.turns_of(fault.id)
    )


def _ended_behind(witness: Witness, place: int) -> bool:
    """Whether the connection of this request ended with a later reply, right behind its own.

    Replies leave in order, so one that was queued by then met its fault no sooner.
    """
    ending = {
        fault.id
        for fault in witness.plan.faults
        if isinstance(fault.what, AcceptThen | DropResponse)
        and _ends_connection(fault.what.then if isinstance(fault.what, AcceptThen) else fault.what)
    }
    row = witness.rows[place - 1]
    if not ending or not isinstance(row, RequestRow):
        return False
    requests, until_ms = witness.requests(), row.t_reply + FLIGHT_MS
    for index in range(bisect_right(requests, place, key=itemgetter(0)), len(requests)):
        later = requests[index][1]
        if later.t_arrive > until_ms:
            return False
        met = not later.delivered and not ending.isdisjoint(later.fault.split(","))
        if met and later.conn == row.conn and later.t_reply <= until_ms:
            return True
    return False


def _ends_connection(what: object) -> bool:
    return isinstance(what, Reset) or (isinstance(what, DropResponse) and what.then != "hang")


def _spans(witness: Witness, kind: type, target: str) -> Iterator[tuple[Fault, int, int]]:
    """Faults of a kind that hit something as they began, and from when to when they lasted."""
    for fault in witness.plan.faults:
        if not isinstance(fault.what, kind) or getattr(fault.what, "target", "") != target:
            continue
        rows = witness.turns_of(fault.id)
        hits = [row for row in rows if row.event == "fire"]
        ends = [row.t_ms for row in rows if row.event == "end"]
        begins = [row.t_ms for row in rows if row.event == "begin"]
        at_once = hits and begins and hits[0].t_ms == begins[0]
        if at_once and ends and not hits[0].hit.startswith(_NOTHING_CHANGED):
            yield fault, begins[0], ends[0]


def _times_refused(witness: Witness) -> Iterator[Due]:
    """An order or a cancel was refused for its timestamp.

    If the time is measured at once and has not moved, the request was slow or the answer invented.
    Then the mode stays, and the order's record tells why it ended.
    """
    for _, due in _refusals(witness, "400 -1021", _CLOCK_CODES):
        yield replace(due, settles="-1021") if _clock_stood_firm(witness, due) else due


def _clock_stood_firm(witness: Witness, due: Due) -> bool:
    """Whether both clocks agreed in all of this life, and answered whenever they were asked."""
    life = _life(witness, due.since_ms, due.due_ms)
    if life is None:
        return False
    ahead, asked = set(), []
    for place, row in witness.requests():
        at_ms = witness.at(place, row.t_arrive)
        if not life.born_ms <= at_ms <= due.due_ms:
            continue
        ahead.add(witness.offsets[place - 1])
        if row.path.endswith("/time") and at_ms >= due.since_ms:
            asked.append(row.delivered and row.outcome.startswith("200"))
    allowed_ms = settings_of(witness).time.clock_drift_max_ms
    return bool(asked) and all(asked) and max(ahead) - min(ahead) < allowed_ms


def _halted(witness: Witness) -> Iterator[Due]:
    """An order was refused because its market is closed.

    A refusal in the same life while the last one is still reported belongs to that report.
    """
    before: dict[tuple[str, int], Due] = {}
    for symbol, due in _refusals(witness, "400 -1010", ("EXCHANGE_HALTED", "SYMBOL_NOT_TRADING")):
        life = _life(witness, due.since_ms, due.due_ms)
        key = symbol, 0 if life is None else life.born_ms
        last = before.get(key)
        before[key] = due
        if last is not None and due.due_ms - last.due_ms <= _CLOSED_MS:
            before[key] = due = replace(due, since_ms=last.since_ms)
        yield due


def _refusals(witness: Witness, outcome: str, codes: tuple[str, ...]) -> Iterator[tuple[str, Due]]:
    """With their symbols; an answer that comes when nobody waits any more reaches nobody."""
    waits_ms = settings_of(witness).timing.mutation_timeout_ms
    mutations = {request.row for request in witness.journal.requests if request.verb}
    stood = stood_still(witness)
    for place, row in witness.requests():
        if place in mutations and row.delivered and row.outcome.startswith(outcome):
            told_ms = witness.at(place, row.t_reply)
            due_ms = told_ms + stood.get(row.t_reply, 0) + _SLACK_MS
            heard = row.t_reply - (row.t_first_byte or row.t_arrive) < waits_ms
            if heard and _life(witness, told_ms, due_ms):
                what = f"{row.method} {row.path} at {told_ms}"
                due = Due(what=what, codes=codes, since_ms=told_ms, due_ms=due_ms)
                yield row.params.get("symbol", ""), due


def _foreign(witness: Witness) -> Iterator[Due]:
    """Somebody else placed an order in the account, and its events or all reads arrive."""
    every_ms = settings_of(witness).reconcile.all_orders_interval_ms
    names = {f.what.client_id for f in witness.plan.faults if isinstance(f.what, OrderByHand)}
    for place, row in enumerate(witness.rows, 1):
        if not isinstance(row, OrderRow) or row.cid not in names:
            continue
        begin_ms = witness.at(place, row.t_new)
        heard = not any(isinstance(f.what, _HIDING) for f in witness.plan.faults)
        heard = heard and not holds_events(witness, begin_ms)
        due_ms = begin_ms + _SLACK_MS + (0 if heard else every_ms + 4 * _SLACK_MS)
        booted = _life(witness, begin_ms - _SETTLED_MS, due_ms)
        if booted and (heard or _all_answered(witness, begin_ms, due_ms)):
            codes = ("FOREIGN_ORDER_DETECTED",)
            yield Due(what=row.cid, codes=codes, since_ms=begin_ms, due_ms=due_ms)


def _all_answered(witness: Witness, begin_ms: int, end_ms: int) -> bool:
    reads: list[RequestRow] = [
        row
        for place, row in witness.requests()
        if row.method == "GET" and begin_ms <= witness.at(place, row.t_arrive) <= end_ms
    ]
    return all(row.delivered and row.outcome.startswith("200") for row in reads)


def _stalled(witness: Witness) -> Iterator[Due]:
    """An actor hangs. The governor cannot report itself: that is on the console alone."""
    limit_ms = settings_of(witness).health.loop_stuck_ms_degrade
    stalls = {t.id: t.what for t in witness.plan.troubles if isinstance(t.what, ActorStalls)}
    for hit in witness.hits:
        what = stalls.get(hit.id)
        if what is None or what.actor == "governor" or what.ms < limit_ms + _SLACK_MS:
            continue
        due_ms = hit.t_ms + limit_ms + _SLACK_MS
        if _life(witness, hit.t_ms, due_ms):
            codes = ("LOOP_STUCK_DEGRADE", "LOOP_STUCK_PAUSE")
            yield Due(what=hit.id, codes=codes, since_ms=hit.t_ms, due_ms=due_ms)


_SOURCES: tuple[Callable[[Witness], Iterator[Due]], ...] = (
    _rest_is_old,
    _streams_are_silent,
    _account_is_deaf,
    _times_refused,
    _halted,
    _foreign,
)
