"""The network under one WebSocket: requests and control messages in, replies and frames out."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from livespot.exchange.faults.board import Course
from livespot.exchange.faults.injector import Injector
from livespot.exchange.faults.lines import Line
from livespot.exchange.faults.matching import Subject
from livespot.exchange.faults.plan import (
    Blackhole,
    DropRequest,
    DropResponse,
    Duplicate,
    HalfOpen,
    Halt,
    Reorder,
    Reply,
    Reset,
    Rewrite,
)
from livespot.exchange.faults.replies import AfterReply, after, canned, early_delay, rewritten
from livespot.exchange.reply_watch import lose
from livespot.exchange.request_log import FATE, Fate, RequestLog

# Suffix of a raw frame's stream by its event type.
_STREAMS = {
    "aggTrade": "aggTrade",
    "trade": "trade",
    "24hrMiniTicker": "miniTicker",
    "24hrTicker": "ticker",
    "depthUpdate": "depth",
    "avgPrice": "avgPrice",
}


class SocketWire:
    """Carries WebSockets between their clients and the faces."""

    def __init__(self, app: ASGIApp, injector: Injector, log: RequestLog) -> None:
        self._app = app
        self._faults = injector
        self._log = log
        self._opened = 0

    async def serve(self, line: Line, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection, from its handshake to its end."""
        if self._faults.watches(line.kind):
            subject = Subject(kind=line.kind, leg="connect", path=str(scope["path"]))
            struck = self._faults.strike(subject, f"connection to {subject.path}")
            if struck:
                await _refuse(line, struck, receive)
                return
        if line.kind == "ws_api":
            # The face counts its connections in the same way.
            self._opened += 1
        name = f"ws-api-{self._opened}"
        wire = _Socket(self._faults, self._log, line, name, _listed(scope))
        await self._app(scope, wire.receiving(receive), wire.sending(send))


async def _refuse(line: Line, struck: list[Course], receive: Receive) -> None:
    """Reset a handshake, or leave it without an answer."""
    first = struck[0].fault
    if isinstance(first.what, Reset):
        line.reset()
        if line.owner is None:
            return
    else:
        line.held_by = first.id
        if isinstance(first.what, Blackhole):
            line.mute()
    while (await receive())["type"] != "websocket.disconnect":
        continue


@dataclass(slots=True)
class _Held:
    """A frame that waits for later ones to overtake it."""

    message: Message
    behind: int


@dataclass(slots=True)
class _Socket:
    """What passes on one connection."""

    faults: Injector
    log: RequestLog
    line: Line
    name: str
    listed: str
    replies: dict[object, AfterReply] = field(default_factory=dict)
    held: list[_Held] = field(default_factory=list)
    raw_send: Send | None = None

    def receiving(self, receive: Receive) -> Receive:
        """What the face hears."""

        async def heard() -> Message:
            while True:
                message = await receive()
                if message["type"] != "websocket.receive":
                    return message
                if self.line.silent:
                    continue
                if not self.faults.watches(self.line.kind) or await self._request(message):
                    return message

        return heard

    def sending(self, send: Send) -> Send:
        """What the face says."""
        self.raw_send = send

        async def said(message: Message) -> None:
            if message["type"] != "websocket.send":
                await send(message)
            elif self._is_dead:
                lose(message.get("text"))
            elif self.line.kind == "ws_api":
                await self._api_frame(message, send)
            elif self.held or self.faults.watches("ws_md"):
                text = str(message.get("text") or "")
                await self._frame(message, market_subject(text, self.listed), send)
            else:
                await send(message)

        return said

    @property
    def _is_dead(self) -> bool:
        return self.line.silent or not self.line.is_open

    async def _request(self, message: Message) -> bool:
        """False when the face must not hear this message."""
        request = _object(str(message.get("text") or ""))
        method, params = str(request.get("method", "")), _texts(request.get("params"))
        subject = Subject(kind=self.line.kind, leg="request", method=method, params=params)
        fate = self.log.expect() if self.line.kind == "ws_api" else Fate(0, 0)
        struck = self.faults.strike(subject, f"rid {fate.rid} {method}")
        fate.faults = tuple(course.fault.id for course in struck)
        wait_ms = sum(early_delay(course.fault.what) for course in struck)
        if wait_ms:
            await self.log.clock.sleep(wait_ms / 1000)
            if self._is_dead:
                # It was still on its way when its connection went dead.
                self._never(fate, subject, "unanswered")
                return False
        for course in struck:
            match course.fault.what:
                case DropRequest():
                    self._never(fate, subject, "dropped")
                    return False
                case Reset():
                    self._never(fate, subject, "reset")
                    self.line.reset()
                    return False
                case Blackhole() | HalfOpen():
                    self._never(fate, subject, "unanswered")
                    self._hold(course)
                    return False
                case Reply() | Halt() as what:
                    await self._answer(what, fate, subject, request.get("id"))
                    return False
                case _:
                    continue
        self._expect_reply(request.get("id"), fate, struck)
        return True

    def _expect_reply(self, number: object, fate: Fate, struck: list[Course]) -> None:
        plan = after(course.fault.what for course in struck)
        fate.delivered = plan.lost is None and plan.instead is None
        if self.line.kind != "ws_api":
            return
        FATE.set(fate)
        if struck:
            self.replies[number] = plan

    def _never(self, fate: Fate, subject: Subject, outcome: str) -> None:
        fate.delivered = False
        self._journal(fate, subject, outcome)

    def _journal(self, fate: Fate, subject: Subject, outcome: str) -> None:
        if self.line.kind != "ws_api":
            return
        FATE.set(fate)
        what = ("WS", subject.method)
        self.log.arrive().answered(self.name, what, subject.params, outcome, delivered=True)

    async def _answer(
        self, what: Reply | Halt, fate: Fate, subject: Subject, number: object
    ) -> None:
        reply = canned(what)
        self._journal(fate, subject, reply.outcome)
        if self.raw_send is not None:
            await self.raw_send(_text(_in_envelope(reply.status, reply.body, number)))

    async def _api_frame(self, message: Message, send: Send) -> None:
        """A reply meets what its request decided; an event is a frame of its own."""
        if not (self.replies or self.held or self.faults.watches("ws_user")):
            await send(message)
            return
        text = str(message.get("text") or "")
        frame = _object(text)
        event = frame.get("event")
        if isinstance(event, dict):
            params = {name: str(value) for name, value in event.items()}
            await self._frame(message, Subject(kind="ws_user", leg="frame", params=params), send)
            return
        plan = self.replies.pop(frame.get("id"), None)
        if plan is not None and plan.wait_ms:
            await self.log.clock.sleep(plan.wait_ms / 1000)
            if self._is_dead:
                # Held back for longer than its connection lived.
                lose(message.get("text"))
                return
        await (send(message) if plan is None else self._reply(plan, frame, text, send))

    async def _reply(self, plan: AfterReply, frame: dict[str, Any], text: str, send: Send) -> None:
        if plan.lost == "reset":
            self.line.reset()
        elif plan.lost == "close":
            self.line.close()
        elif plan.instead is not None:
            instead = plan.instead
            await send(_text(_in_envelope(instead.status, instead.body, frame.get("id"))))
        elif plan.lost is None:
            body = text.encode()
            for rewrite in plan.rewrites:
                body = rewritten(body, rewrite.set)
            await send(_text(body))

    async def _frame(self, message: Message, subject: Subject, send: Send) -> None:
        struck = self.faults.strike(subject, f"frame {subject.stream or subject.event}")
        wait_ms = after(course.fault.what for course in struck).wait_ms + sum(
            early_delay(course.fault.what) for course in struck
        )
        if wait_ms:
            await self.log.clock.sleep(wait_ms / 1000)
        copies = 1
        for course in struck:
            match course.fault.what:
                case DropResponse(then=then):
                    copies = 0
                    self._lose(then)
                case Reset():
                    copies = 0
                    self.line.reset()
                case Blackhole():
                    copies = 0
                    self._hold(course)
                case Duplicate(times=times):
                    copies += copies and times
                case Reorder(behind=behind) if copies:
                    copies = 0
                    self.held.append(_Held(message, behind + 1))
                case Rewrite(set=changes):
                    message = _text(rewritten(str(message.get("text")).encode(), changes))
                case _:
                    continue
        for _ in range(copies):
            await send(message)
        await self._overtaken(send)

    def _lose(self, then: str) -> None:
        if then == "reset":
            self.line.reset()
        elif then == "close":
            self.line.close()

    async def _overtaken(self, send: Send) -> None:
        """Send held frames whose turn has come."""
        for held in self.held:
            held.behind -= 1
        ready = [held for held in self.held if held.behind <= 0]
        self.held = [held for held in self.held if held.behind > 0]
        for held in ready:
            await send(held.message)

    def _hold(self, course: Course) -> None:
        self.line.held_by = course.fault.id
        self.line.mute()


def market_subject(text: str, listed: str) -> Subject:
    """What a market frame is: its stream, and the plain members of its payload."""
    frame = _object(text)
    payload = frame.get("data", frame)
    data = payload if isinstance(payload, dict) else {}
    stream = frame.get("stream")
    if not isinstance(stream, str):
        stream = listed if listed and "/" not in listed else _guessed(data)
    plain = {name: str(value) for name, value in data.items() if not isinstance(value, dict | list)}
    return Subject(kind="ws_md", leg="frame", stream=stream, params=plain)


def _guessed(data: dict[str, Any]) -> str:
    """The stream of a raw frame, as far as its payload tells."""
    name = str(data.get("s", "")).lower()
    event = data.get("e")
    if event == "kline":
        return f"{name}@kline_{data['k']['i']}"
    if event is None:
        return f"{name}@bookTicker" if "u" in data else ""
    return f"{name}@{_STREAMS[event]}" if event in _STREAMS else ""


def _listed(scope: Scope) -> str:
    """The streams a connection names in its address, joined by slashes."""
    path = str(scope["path"])
    if path.startswith("/ws/"):
        return unquote(path[4:])
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    return "/".join(query.get("streams", []))


def _in_envelope(status: int, body: bytes, number: object) -> bytes:
    """A reply body inside the WebSocket API's frame; a body that is no JSON goes out bare."""
    try:
        inner = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return body
    member = "result" if status == 200 else "error"
    return msgspec.json.encode({"id": number, "status": status, member: inner})


def _object(text: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _texts(params: object) -> dict[str, str]:
    if not isinstance(params, dict):
        return {}
    return {
        str(name): value if isinstance(value, str) else msgspec.json.encode(value).decode()
        for name, value in params.items()
    }


def _text(body: bytes) -> Message:
    return {"type": "websocket.send", "text": body.decode("utf-8", "replace")}
