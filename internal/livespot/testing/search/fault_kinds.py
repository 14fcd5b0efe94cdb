"""The kinds of faults a plan is drawn from, each with its own spread of strengths and times."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TypeAlias

from livespot.exchange.faults.plan import (
    AcceptThen,
    AdjustBalance,
    AfterAccept,
    Ban,
    Blackhole,
    Delay,
    DelayEvents,
    DropEvents,
    DropRequest,
    DropResponse,
    Duplicate,
    DuplicateEvents,
    Ending,
    EndUserStreams,
    HalfOpen,
    Halt,
    MassExpire,
    Match,
    ModelDelay,
    ModelReply,
    ReadLag,
    Reorder,
    Reply,
    Reset,
    RevokeKey,
    SetStatus,
    SkewClock,
    StepClock,
    Target,
    Verb,
    When,
)
from livespot.testing.search.dice import Dice

Drawn: TypeAlias = tuple[Verb, Match, When]
_ENDINGS: tuple[Ending, ...] = ("hang", "close", "reset")
ORDERS = Match(method="POST", path="/api/v3/order*")
CANCELS = Match(method="DELETE", path="/api/v3/order*")
_READS = Match(method="GET", path="/api/v3/*")
_SHORTEST_MS = 1500
_HTML = "<html><body><h1>502 Bad Gateway</h1></body></html>"
# Status, code and body of answers after which nobody can know whether the order was done.
_UNCLEAR: tuple[Reply, ...] = (
    Reply(status=504, code=-1007, msg="Timeout waiting for response from backend server."),
    Reply(status=500, code=-1006, msg="An unexpected response was received."),
    Reply(status=502, body=_HTML, headers={"content-type": "text/html"}),
    Reply(status=503, body=""),
    Reply(status=200, body='{"symbol": "SOLU'),
    Reply(status=500, code=-1000),
    Reply(status=403, body=_HTML, headers={"content-type": "text/html"}),
)
_REFUSALS = (
    Reply(status=400, code=-2010, msg="Account has insufficient balance for requested action."),
    Reply(status=400, code=-1013, msg="Filter failure: PERCENT_PRICE_BY_SIDE"),
    Reply(status=400, code=-1015, msg="Too many new orders; current limit is 100 per 10 SECOND."),
    Reply(status=400, code=-1021, msg="Timestamp for this request is outside of the recvWindow."),
    Reply(status=503, code=-1008, msg="Server is currently overloaded with other requests."),
)
_MODEL: tuple[ModelReply | ModelDelay, ...] = (
    ModelReply(content="```json\n{}\n```"),
    ModelReply(content='{"verdict": "ALLOW"'),
    ModelReply(raw="<html>busy</html>"),
    ModelReply(status=429),
    ModelReply(status=500),
    ModelDelay(ms=9000),
    ModelDelay(ms=3000),
)


class Stage:
    """When faults may happen: anywhere in the fault phase, but mostly around the expected entry."""

    def __init__(self, dice: Dice, *, entry_ms: int, safety_ms: int, symbols: tuple[str, ...]):
        self.dice = dice
        self.symbols = symbols
        self._entry_ms = entry_ms
        self._safety_ms = safety_ms

    def span(self, longest_ms: int) -> When:
        """Return a begin and a duration that end before the healing."""
        begin_ms = self._begin()
        most = min(longest_ms, self._safety_ms - begin_ms)
        return When(after_ms=begin_ms, for_ms=self.dice.scaled(min(_SHORTEST_MS, most), most))

    def moment(self) -> When:
        return When(after_ms=self._begin())

    def few(self, most: int) -> When:
        """Return the first few messages from some moment on."""
        return When(after_ms=self._begin(), count=self.dice.between(1, most))

    def some(self, longest_ms: int) -> When:
        """Return a share of the messages for some time."""
        when = self.span(longest_ms)
        share = self.dice.pick((300, 1000, 3000, 7000))
        return When(after_ms=when.after_ms, for_ms=when.for_ms, probability_x10000=share)

    def order(self) -> When:
        """Return one of the first mutations, whenever it comes, or several."""
        if self.dice.percent(70):
            return When(nth=self.dice.pick((1, 1, 1, 1, 2, 2)))
        return When(nth=self.dice.between(1, 2), count=self.dice.between(2, 4))

    def ending(self) -> Ending:
        return self.dice.pick(_ENDINGS)

    def _begin(self) -> int:
        # Before the entry, most faults only prevent it.
        if self.dice.percent(10):
            return self._entry_ms - self.dice.scaled(10, 30_000)
        if self.dice.percent(60):
            return min(self._entry_ms + self.dice.scaled(10, 60_000), self._safety_ms - 2000)
        return self.dice.between(self._entry_ms, self._safety_ms - 2000)


def _order_reply_lost(stage: Stage) -> Drawn:
    then = DropResponse(target="rest", then=stage.ending())
    return AcceptThen(then=then), ORDERS, stage.order()


def _order_reply_unclear(stage: Stage) -> Drawn:
    then: AfterAccept = stage.dice.pick(_UNCLEAR)
    return AcceptThen(then=then), ORDERS, stage.order()


def _order_reply_late(stage: Stage) -> Drawn:
    then = Delay(target="rest", ms=stage.dice.scaled(200, 12_000))
    return AcceptThen(then=then), ORDERS, stage.order()


def _order_lost(stage: Stage) -> Drawn:
    return DropRequest(target="rest", then=stage.ending()), ORDERS, stage.order()


def _order_late(stage: Stage) -> Drawn:
    return Delay(target="rest", ms=stage.dice.scaled(200, 9000)), ORDERS, stage.order()


def _order_answered_unclear(stage: Stage) -> Drawn:
    return stage.dice.pick(_UNCLEAR), ORDERS, stage.order()


def _order_refused(stage: Stage) -> Drawn:
    return stage.dice.pick(_REFUSALS), ORDERS, stage.order()


def _cancel_reply_lost(stage: Stage) -> Drawn:
    then = DropResponse(target="rest", then=stage.ending())
    return AcceptThen(then=then), CANCELS, stage.order()


def _cancel_lost(stage: Stage) -> Drawn:
    return DropRequest(target="rest", then=stage.ending()), CANCELS, stage.order()


def _reads_lost(stage: Stage) -> Drawn:
    return DropRequest(target="rest", then=stage.ending()), _READS, stage.span(80_000)


def _reads_fail(stage: Stage) -> Drawn:
    return stage.dice.pick(_UNCLEAR), _READS, stage.some(60_000)


def _reads_lag(stage: Stage) -> Drawn:
    return ReadLag(ms=stage.dice.scaled(500, 40_000)), Match.NOTHING, stage.span(120_000)


def _rest_slow(stage: Stage) -> Drawn:
    ms = stage.dice.scaled(100, 6000)
    late = Delay(target="rest", ms=ms, leg="request"), Delay(target="rest", ms=ms, leg="reply")
    return stage.dice.pick(late), Match.NOTHING, stage.some(90_000)


def _cut(target: Target) -> Callable[[Stage], Drawn]:
    return lambda stage: (Reset(target=target), Match.NOTHING, stage.span(5000))


def _silent(target: Target, longest_ms: int) -> Callable[[Stage], Drawn]:
    return lambda stage: (Blackhole(target=target), Match.NOTHING, stage.span(longest_ms))


def _unanswered(target: Target) -> Callable[[Stage], Drawn]:
    return lambda stage: (HalfOpen(target=target), Match.NOTHING, stage.span(40_000))


def _throttled(stage: Stage) -> Drawn:
    seconds = stage.dice.scaled(1, 40)
    headers = {"Retry-After": str(seconds)}
    match = stage.dice.pick((ORDERS, _READS, Match.NOTHING))
    what = Reply(status=429, code=-1003, msg="Too much request weight used.", headers=headers)
    return what, match, stage.few(2)


def _banned(stage: Stage) -> Drawn:
    return Ban(ms=stage.dice.scaled(2000, 60_000)), Match.NOTHING, stage.moment()


def _halted(stage: Stage) -> Drawn:
    symbol = stage.dice.pick(("", *stage.symbols))
    what = Halt(symbol=symbol, cancels=stage.dice.percent(50))
    return what, Match.NOTHING, stage.span(90_000)


def _broken(stage: Stage) -> Drawn:
    what = SetStatus(symbol=stage.dice.pick(stage.symbols), status="BREAK")
    return what, Match.NOTHING, stage.span(60_000)


def _expired(stage: Stage) -> Drawn:
    types = stage.dice.pick((["STOP_LOSS", "STOP_LOSS_LIMIT"], ["LIMIT_MAKER"], ["TAKE_PROFIT"]))
    return MassExpire(types=types), Match.NOTHING, stage.moment()


def _money_moved(stage: Stage) -> Drawn:
    delta = Decimal(stage.dice.pick((-9900, -5000, 300)))
    return AdjustBalance(asset="USDT", delta=delta), Match.NOTHING, stage.moment()


def _key_revoked(stage: Stage) -> Drawn:
    return RevokeKey(), Match.NOTHING, stage.span(20_000)


def _frames_lost(stage: Stage) -> Drawn:
    return DropResponse(target="ws_md"), Match.NOTHING, stage.some(40_000)


def _frames_late(stage: Stage) -> Drawn:
    what = Delay(target="ws_md", ms=stage.dice.scaled(50, 3000))
    return what, Match.NOTHING, stage.some(30_000)


def _frames_again(stage: Stage) -> Drawn:
    return Duplicate(target="ws_md"), Match.NOTHING, stage.some(60_000)


def _frames_mixed(stage: Stage) -> Drawn:
    what = Reorder(target="ws_md", behind=stage.dice.between(1, 4))
    return what, Match.NOTHING, stage.some(60_000)


def _events_lost(stage: Stage) -> Drawn:
    return DropEvents(), Match(event="executionReport"), stage.few(3)


def _events_again(stage: Stage) -> Drawn:
    return DuplicateEvents(times=stage.dice.between(1, 3)), Match.NOTHING, stage.few(10)


def _events_late(stage: Stage) -> Drawn:
    what = DelayEvents(ms=stage.dice.scaled(100, 15_000))
    return what, Match(event="executionReport"), stage.few(3)


def _events_mixed(stage: Stage) -> Drawn:
    return Reorder(target="ws_user", behind=stage.dice.between(1, 3)), Match.NOTHING, stage.few(4)


def _user_streams_ended(stage: Stage) -> Drawn:
    return EndUserStreams(), Match.NOTHING, stage.moment()


def _socket_calls_lost(stage: Stage) -> Drawn:
    return DropRequest(target="ws_api"), Match.NOTHING, stage.few(3)


def _clock_set(stage: Stage) -> Drawn:
    ms = stage.dice.scaled(200, 20_000) * stage.dice.pick((1, -1))
    return StepClock(ms=ms), Match.NOTHING, stage.moment()


def _clock_runs_off(stage: Stage) -> Drawn:
    ppm = stage.dice.between(50, 400) * stage.dice.pick((1, -1))
    return SkewClock(ppm=ppm), Match.NOTHING, stage.span(300_000)


def _model_misbehaves(stage: Stage) -> Drawn:
    return stage.dice.pick(_MODEL), Match.NOTHING, stage.few(2)


def _model_lost(stage: Stage) -> Drawn:
    return DropRequest(target="ai", then=stage.ending()), Match.NOTHING, stage.few(2)


KINDS: Mapping[str, Callable[[Stage], Drawn]] = {
    "order-reply-lost": _order_reply_lost,
    "order-reply-unclear": _order_reply_unclear,
    "order-reply-late": _order_reply_late,
    "order-lost": _order_lost,
    "order-late": _order_late,
    "order-answered-unclear": _order_answered_unclear,
    "order-refused": _order_refused,
    "cancel-reply-lost": _cancel_reply_lost,
    "cancel-lost": _cancel_lost,
    "reads-lost": _reads_lost,
    "reads-fail": _reads_fail,
    "reads-lag": _reads_lag,
    "rest-slow": _rest_slow,
    "rest-cut": _cut("rest"),
    "rest-silent": _silent("rest", 70_000),
    "rest-unanswered": _unanswered("rest"),
    "throttled": _throttled,
    "banned": _banned,
    "halted": _halted,
    "symbol-broken": _broken,
    "orders-expired": _expired,
    "money-moved": _money_moved,
    "key-revoked": _key_revoked,
    "frames-lost": _frames_lost,
    "frames-late": _frames_late,
    "frames-again": _frames_again,
    "frames-mixed": _frames_mixed,
    "streams-cut": _cut("ws_md"),
    "streams-silent": _silent("ws_md", 40_000),
    "streams-unanswered": _unanswered("ws_md"),
    "events-lost": _events_lost,
    "events-again": _events_again,
    "events-late": _events_late,
    "events-mixed": _events_mixed,
    "events-silent": _silent("ws_user", 90_000),
    "user-streams-ended": _user_streams_ended,
    "socket-cut": _cut("ws_api"),
    "socket-silent": _silent("ws_api", 60_000),
    "socket-unanswered": _unanswered("ws_api"),
    "socket-calls-lost": _socket_calls_lost,
    "clock-set": _clock_set,
    "clock-runs-off": _clock_runs_off,
    "model-misbehaves": _model_misbehaves,
    "model-lost": _model_lost,
}
