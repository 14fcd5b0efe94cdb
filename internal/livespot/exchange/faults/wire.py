"""The network between clients and the exchange's faces, in which faults can happen."""

from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from livespot.exchange.faults.board import Course
from livespot.exchange.faults.injector import Injector
from livespot.exchange.faults.lines import Line
from livespot.exchange.faults.matching import Kind, Subject
from livespot.exchange.faults.plan import (
    Blackhole,
    DropRequest,
    Ending,
    HalfOpen,
    Halt,
    ModelDelay,
    ModelReply,
    Reply,
    Reset,
)
from livespot.exchange.faults.replies import AfterReply, after, canned, early_delay
from livespot.exchange.faults.socket_wire import SocketWire
from livespot.exchange.model_gate import SCRIPT, ScriptedAnswer
from livespot.exchange.request_log import FATE, Fate, RequestLog

_MODEL = "/model/"
_WS_API = "/ws-api/"


class FaultWire:
    """Wraps the whole application. Whatever no armed fault is about passes untouched."""

    def __init__(self, app: ASGIApp, injector: Injector, log: RequestLog) -> None:
        self._app = app
        self._faults = injector
        self._log = log
        self._sockets = SocketWire(app, injector, log)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = str(scope.get("path", ""))
        if scope["type"] == "websocket":
            kind: Kind = "ws_api" if path.startswith(_WS_API) else "ws_md"
            line = self._faults.lines.of(kind, send)
            try:
                await self._sockets.serve(line, scope, receive, send)
            finally:
                self._faults.lines.forget(line)
            return
        kind = "ai" if path.startswith(_MODEL) else "rest"
        line = self._faults.lines.of(kind, send)
        try:
            if self._faults.watches(kind):
                call = _Exchange(self._app, self._faults, self._log, line)
                await call.serve(scope, receive, send)
            else:
                await self._app(scope, receive, send)
        finally:
            if line.owner is None:
                self._faults.lines.forget(line)


class _Exchange:
    """One HTTP request and its reply."""

    def __init__(self, app: ASGIApp, faults: Injector, log: RequestLog, line: Line) -> None:
        self._app = app
        self._faults = faults
        self._log = log
        self._line = line

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let it through, changed, late, in part or not at all."""
        fate = self._log.expect()
        body, receive = await _read_body(receive)
        subject = _subject(self._line.kind, scope, body)
        where = f"rid {fate.rid} {subject.method} {subject.path}"
        struck = self._faults.strike(subject, where)
        fate.faults = tuple(course.fault.id for course in struck)
        wait_ms = sum(early_delay(course.fault.what) for course in struck)
        if wait_ms:
            await self._log.clock.sleep(wait_ms / 1000)
        for course in struck:
            if await self._stopped(course, fate, (scope, receive, send), subject):
                return
        plan = after(course.fault.what for course in struck)
        fate.delivered = plan.lost is None and plan.instead is None
        FATE.set(fate)
        await self._app(scope, receive, _Returning(plan, send, self._log).send)
        if plan.lost is not None:
            await self._dispose(plan.lost, receive)

    async def _stopped(
        self, course: Course, fate: Fate, call: tuple[Scope, Receive, Send], subject: Subject
    ) -> bool:
        """True when this fault keeps the request from the exchange."""
        scope, receive, send = call
        match course.fault.what:
            case DropRequest(then=then):
                self._never(fate, scope, subject, "dropped")
                await self._dispose(then, receive)
            case Reset():
                self._never(fate, scope, subject, "reset")
                await self._dispose("reset", receive)
            case Blackhole() | HalfOpen() as what:
                self._never(fate, scope, subject, "unanswered")
                await self._hold(course.fault.id, what, receive)
            case Reply() | Halt() as what:
                await self._answer(what, fate, scope, (subject, send))
            case ModelReply() | ModelDelay() as what:
                _script(scope, what)
                return False
            case _:
                return False
        return True

    def _never(self, fate: Fate, scope: Scope, subject: Subject, outcome: str) -> None:
        fate.delivered = False
        self._journal(fate, scope, subject, outcome)

    def _journal(self, fate: Fate, scope: Scope, subject: Subject, outcome: str) -> None:
        FATE.set(fate)
        what = (subject.method, subject.path)
        self._log.arrive().answered(_conn(scope), what, subject.params, outcome, delivered=True)

    async def _answer(
        self, what: Reply | Halt, fate: Fate, scope: Scope, to: tuple[Subject, Send]
    ) -> None:
        subject, send = to
        reply = canned(what)
        self._journal(fate, scope, subject, reply.outcome)
        await send(reply.start())
        await send({"type": "http.response.body", "body": reply.body})

    async def _hold(self, fault: str, what: Blackhole | HalfOpen, receive: Receive) -> None:
        self._line.held_by = fault
        if isinstance(what, Blackhole):
            self._line.mute()
        await until_gone(receive)

    async def _dispose(self, then: Ending, receive: Receive) -> None:
        if then == "reset":
            self._line.reset()
        elif then == "close":
            self._line.close()
        else:
            self._line.held_by = self._line.held_by or "-"
        if then == "hang" or self._line.owner is not None:
            await until_gone(receive)


class _Returning:
    """Applies to a reply on its way out what was decided when its request came in."""

    def __init__(self, plan: AfterReply, send: Send, log: RequestLog) -> None:
        self._plan = plan
        self._send = send
        self._log = log
        self._start: Message = {}
        self._body = b""

    async def send(self, message: Message) -> None:
        """Collect the reply; pass it on when it is whole."""
        if message["type"] == "http.response.start":
            self._start = message
            if self._plan.wait_ms:
                await self._log.clock.sleep(self._plan.wait_ms / 1000)
            return
        self._body += message.get("body", b"")
        if message.get("more_body") or self._plan.lost is not None:
            return
        start, body = self._plan.shape(self._start, self._body)
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body})


def _script(scope: Scope, what: ModelReply | ModelDelay) -> None:
    """Tell the model's face what to answer."""
    before: ScriptedAnswer = scope.get(SCRIPT) or ScriptedAnswer()
    if isinstance(what, ModelDelay):
        scope[SCRIPT] = ScriptedAnswer(
            content=before.content,
            raw_body=before.raw_body,
            status=before.status,
            delay_seconds=before.delay_seconds + what.ms / 1000,
        )
        return
    scope[SCRIPT] = ScriptedAnswer(
        content=what.content,
        raw_body=None if what.raw is None else what.raw.encode(),
        status=what.status,
        delay_seconds=before.delay_seconds,
    )


async def until_gone(receive: Receive) -> None:
    """Wait for the client to leave."""
    while (await receive())["type"] not in ("http.disconnect", "websocket.disconnect"):
        continue


async def _read_body(receive: Receive) -> tuple[bytes, Receive]:
    """The whole body, and a `receive` that hands it out once more."""
    messages: list[Message] = []
    while True:
        message = await receive()
        messages.append(message)
        if message["type"] != "http.request" or not message.get("more_body"):
            break
    body = b"".join(message.get("body", b"") for message in messages)

    async def again() -> Message:
        return messages.pop(0) if messages else await receive()

    return body, again


def _subject(kind: Kind, scope: Scope, body: bytes) -> Subject:
    path = str(scope["path"])
    return Subject(
        kind=kind,
        leg="request",
        method=str(scope["method"]),
        path=path,
        params={} if kind == "ai" else _params(scope["query_string"], body),
    )


def _params(query: bytes, body: bytes) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for part in (body, query):
        found.update(parse_qsl(part.decode("utf-8", "replace"), keep_blank_values=True))
    return found


def _conn(scope: Scope) -> str:
    if str(scope["path"]).startswith(_MODEL):
        return "model"
    client = scope.get("client")
    return f"{client[0]}:{client[1]}" if client else ""
