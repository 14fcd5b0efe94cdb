"""Extras of some plans: answers of another form, more operator commands, delistings.

Like the rarities, each is drawn from a key of its own.
"""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from livespot.contracts.vocabulary import OperatorAction
from livespot.exchange.faults.plan import (
    AcceptThen,
    DropRequest,
    Fault,
    MassExpire,
    Match,
    ModelDelay,
    ModelReply,
    Reply,
    Rewrite,
    SetStatus,
    Verb,
    When,
)
from livespot.testing.search.dice import Dice
from livespot.testing.search.fault_kinds import CANCELS, ORDERS
from livespot.testing.search.plan import RunPlan
from livespot.testing.search.rarities import moment_of
from livespot.testing.search.socket_orders import on_socket
from livespot.testing.search.troubles import OperatorSays, PageAsked, Trouble

# Shares of the plans that have faults at all.
_ANSWERS_PERCENT = 15
_WORDS_PERCENT = 6
_DELISTED_PERCENT = 4
_VISITED_PERCENT = 8
_MODEL_PERCENT = 3
# Before the first question to the model; it is asked about once in a short story.
_BEFORE_ENTRY_MS = 30_000
_LONGEST_MS = 60_000
_TYPES = ["LIMIT", "LIMIT_MAKER", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT"]
_HTML = "<html><body><h1>502 Bad Gateway</h1></body></html>"
_READS = ("/api/v3/order", "/api/v3/openOrders", "/api/v3/account", "/api/v3/myTrades")
# Answers to another question. None of them can be taken for an honest one to any that is asked.
_STRANGE = ('{"listenKey": "none"}', '"ok"', "null", "[1, 2]", '{"symbol": "SOLU', "", _HTML)
# Members that no version of ours knows, where an answer is one object and where it is a list.
_NEW_MEMBERS: dict[str, Any] = {
    "ofTheFuture": {"deep": [1, {"er": None}]},
    "0.ofTheFuture": "x",
    "orders.0.ofTheFuture": 3,
    "result.ofTheFuture": True,
}

# What is asked of the panel: pages that it has, and what a page of somebody else would try.
VISITS: tuple[PageAsked, ...] = (
    *(PageAsked(path=path) for path in ("/dashboard", "/api/dashboard", "/healthz", "/metrics")),
    *(PageAsked(path=path) for path in ("/api/orders?limit=500", "/api/alerts")),
    PageAsked(path="/api/dashboard", times=30),
    PageAsked(path="/api/dashboard", host="evil.example"),
    PageAsked(path="/api/orders", origin="https://evil.example"),
    PageAsked(path="/api/dashboard", method="POST"),
    PageAsked(path="/api/pause", method="POST", origin="https://evil.example"),
    PageAsked(path="/api/orders", method="DELETE"),
    PageAsked(path="/api/dashboard", method="OPTIONS"),
    PageAsked(path="/static/../../.env"),
    PageAsked(path="/api/intents/oi_unknown"),
)

MODEL_FAULTS: tuple[Verb, ...] = (
    *(ModelDelay(ms=3000), ModelDelay(ms=9000), ModelReply(status=500)),
    *(ModelReply(content='{"verdict": "ALLOW"'), ModelReply(raw="<html>busy</html>")),
    *(DropRequest(target="ai", then="hang"), DropRequest(target="ai", then="reset")),
)

_Drawn = tuple[Verb, Match, When]


def _lasting(dice: Dice, begin_ms: int, safety_ms: int) -> When:
    longest_ms = min(_LONGEST_MS, safety_ms - begin_ms)
    return When(after_ms=begin_ms, for_ms=dice.scaled(500, longest_ms))


def _few(dice: Dice, begin_ms: int) -> When:
    return When(after_ms=begin_ms, count=dice.between(1, 4))


def _status_of_the_future(dice: Dice, begin_ms: int, _: int) -> _Drawn:
    """A read shows an order in a state that nobody knows."""
    match = Match(method="GET", path=dice.pick(("/api/v3/order", "/api/v3/openOrders")))
    name = "0.status" if match.path.endswith("Orders") else "status"
    return Rewrite(target="rest", set={name: "PENDING_REVIEW"}), match, _few(dice, begin_ms)


def _placed_in_an_unknown_state(dice: Dice, begin_ms: int, _: int) -> _Drawn:
    """The answer to an order tells a state that nobody knows."""
    del begin_ms
    what = Rewrite(target="rest", set={"status": "PENDING_REVIEW"})
    return what, ORDERS, When(nth=dice.pick((1, 1, 2)))


def _new_members(dice: Dice, begin_ms: int, safety_ms: int) -> _Drawn:
    """Every answer holds more than is known of."""
    match = Match(path="/api/v3/*")
    return Rewrite(target="rest", set=_NEW_MEMBERS), match, _lasting(dice, begin_ms, safety_ms)


def _rules_of_the_future(dice: Dice, begin_ms: int, safety_ms: int) -> _Drawn:
    """A symbol's rules name a state, an order type and a filter that nobody knows."""
    filtered = {"filterType": "OF_THE_FUTURE", "most": "1"}
    changes: dict[str, Any] = dice.pick(
        (
            {"symbols.0.status": "CANCEL_ONLY"},
            {"symbols.0.orderTypes.0": "ICEBERG_OF_THE_FUTURE"},
            {"symbols.0.filters.0": filtered},
            {"symbols.0.permissionSets": [["OF_THE_FUTURE"]]},
        )
    )
    match = Match(path="/api/v3/exchangeInfo")
    return Rewrite(target="rest", set=changes), match, _lasting(dice, begin_ms, safety_ms)


def _event_of_the_future(dice: Dice, begin_ms: int, _: int) -> _Drawn:
    """An event tells a state that nobody knows, or is of a kind that nobody knows."""
    changes = dice.pick(({"event.X": "PENDING_REVIEW"}, {"event.e": "ofTheFuture"}))
    return Rewrite(target="ws_user", set=changes), Match.NOTHING, _few(dice, begin_ms)


def _answer_to_another(dice: Dice, begin_ms: int, _: int) -> _Drawn:
    """A read is answered with something else."""
    what = Reply(status=dice.pick((200, 200, 502)), body=dice.pick(_STRANGE))
    match = Match(method="GET", path=dice.pick(_READS))
    return what, match, _few(dice, begin_ms)


def _order_answered_by_another(dice: Dice, begin_ms: int, _: int) -> _Drawn:
    """An order or a cancel is done, and answered with something else."""
    del begin_ms
    what = AcceptThen(then=Reply(status=dice.pick((200, 200, 502)), body=dice.pick(_STRANGE)))
    return what, dice.pick((ORDERS, ORDERS, CANCELS)), When(nth=dice.pick((1, 1, 2)))


ANSWER_KINDS: Mapping[str, Callable[[Dice, int, int], _Drawn]] = {
    "status-of-the-future": _status_of_the_future,
    "placed-in-an-unknown-state": _placed_in_an_unknown_state,
    "new-members": _new_members,
    "rules-of-the-future": _rules_of_the_future,
    "event-of-the-future": _event_of_the_future,
    "answer-to-another": _answer_to_another,
    "order-answered-by-another": _order_answered_by_another,
}


def with_oddities(plan: RunPlan, *, entry_ms: int) -> RunPlan:
    """The plan with all of them that its seed draws."""
    plan = _with_more_words(_with_odd_answers(plan, entry_ms), entry_ms)
    return _with_visits(_with_delisting(plan, entry_ms), entry_ms)


def _with_odd_answers(plan: RunPlan, entry_ms: int) -> RunPlan:
    """Some answers and events are of a form that the program was not written for."""
    dice = Dice(f"answers {plan.seed}")
    if not plan.faults or not dice.percent(_ANSWERS_PERCENT):
        return plan
    by_socket = plan.settings.get("venue.order_transport") == "WS_API"
    found = []
    for number in range(dice.between(1, 3)):
        name = dice.pick(tuple(ANSWER_KINDS))
        begin_ms = moment_of(dice, plan, entry_ms)
        what, match, when = ANSWER_KINDS[name](dice, begin_ms, plan.safety_ms)
        fault = Fault(id=f"a{number}-{name}", what=what, match=match, when=when)
        found.append(_on_socket(fault) if by_socket else fault)
    return replace(plan, faults=(*plan.faults, *found))


def _on_socket(fault: Fault) -> Fault:
    """As orders go by the socket; there an answer's members lie one deeper."""
    moved = on_socket(fault)
    if moved is fault or not isinstance(fault.what, Rewrite):
        return moved
    deeper = {f"result.{path}": value for path, value in fault.what.set.items()}
    return replace(moved, what=Rewrite(target="ws_api", set=deeper))


def _with_more_words(plan: RunPlan, entry_ms: int) -> RunPlan:
    """The operator halts and asks the next life to resume, or lets go of a symbol."""
    dice = Dice(f"words {plan.seed}")
    if not plan.faults or plan.stage is None or not dice.percent(_WORDS_PERCENT):
        return plan
    release = OperatorSays(action=OperatorAction.RELEASE, symbol=dice.pick(plan.symbols))
    halted = (OperatorSays(action=OperatorAction.HALT), OperatorSays(action=OperatorAction.RESUME))
    said = dice.pick(((release,), (release, release), halted, (*halted, release)))
    after_ms = moment_of(dice, plan, entry_ms)
    troubles = []
    for number, what in enumerate(said):
        troubles.append(Trouble(id=f"w{number}-command", what=what, after_ms=after_ms, for_ms=1))
        after_ms = min(plan.safety_ms - 1000, after_ms + dice.scaled(50, 20_000))
    return replace(plan, troubles=(*plan.troubles, *troubles))


def _with_delisting(plan: RunPlan, entry_ms: int) -> RunPlan:
    """A symbol ends trading for as long as faults last, mostly with all that stands on it."""
    dice = Dice(f"delisted {plan.seed}")
    if not plan.faults or not dice.percent(_DELISTED_PERCENT):
        return plan
    symbol, begin_ms = dice.pick(plan.symbols), moment_of(dice, plan, entry_ms)
    ended = SetStatus(symbol=symbol, status=dice.pick(("BREAK", "HALT", "END_OF_DAY")))
    when = When(after_ms=begin_ms, for_ms=plan.safety_ms - begin_ms)
    found = [Fault(id="delisted", what=ended, when=when)]
    if dice.percent(70):
        expired = MassExpire(types=_TYPES, symbol=symbol)
        found.append(Fault(id="delisted-orders", what=expired, when=When(after_ms=begin_ms)))
    return replace(plan, faults=(*plan.faults, *found))


def with_ill_model(plan: RunPlan, *, entry_ms: int) -> RunPlan:
    """The model fails the first question that it is asked."""
    dice = Dice(f"model {plan.seed}")
    if not plan.faults or not dice.percent(_MODEL_PERCENT):
        return plan
    when = When(after_ms=entry_ms - _BEFORE_ENTRY_MS, count=1)
    ill = Fault(id="model-at-entry", what=dice.pick(MODEL_FAULTS), when=when)
    return replace(plan, faults=(*plan.faults, ill))


def _with_visits(plan: RunPlan, entry_ms: int) -> RunPlan:
    """Somebody looks at the panel, or something tries what it can there."""
    dice = Dice(f"visits {plan.seed}")
    if not plan.faults or not dice.percent(_VISITED_PERCENT):
        return plan
    troubles = []
    for number in range(dice.between(2, 5)):
        after_ms = moment_of(dice, plan, entry_ms)
        visit = dice.pick(VISITS)
        troubles.append(Trouble(id=f"v{number}-visit", what=visit, after_ms=after_ms, for_ms=1))
    return replace(plan, troubles=(*plan.troubles, *troubles))
