"""Replies that faults make up, lose, delay or rewrite."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from starlette.types import Message

from livespot.exchange.faults.plan import (
    AcceptThen,
    Delay,
    DropResponse,
    Ending,
    Halt,
    Reply,
    Reset,
    Rewrite,
    Verb,
)

_JSON = "application/json;charset=UTF-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Canned:
    """A whole reply that did not come from the exchange's engine."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    outcome: str

    def start(self) -> Message:
        """The head, as an application sends it."""
        headers = {"content-type": _JSON, **{k.lower(): v for k, v in self.headers.items()}}
        headers["content-length"] = str(len(self.body))
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        return {"type": "http.response.start", "status": self.status, "headers": pairs}


def canned(what: Reply | Halt) -> Canned:
    """The reply a plan spells out; errors get the exchange's own shape."""
    if isinstance(what, Reply) and what.body is not None:
        return Canned(
            status=what.status,
            body=what.body.encode(),
            headers=what.headers,
            outcome=str(what.status),
        )
    return Canned(
        status=what.status,
        body=msgspec.json.encode({"code": what.code, "msg": what.msg}),
        headers=what.headers if isinstance(what, Reply) else {},
        outcome=f"{what.status} {what.code}",
    )


def early_delay(what: Verb) -> int:
    """How long this holds a request back before it arrives, in ms."""
    is_early = isinstance(what, Delay) and what.leg != "reply"
    return what.ms if is_early and isinstance(what, Delay) else 0


@dataclass(slots=True)
class AfterReply:
    """What is to happen to one reply."""

    wait_ms: int = 0
    lost: Ending | None = None
    instead: Canned | None = None
    rewrites: list[Rewrite] = field(default_factory=list)

    def shape(self, start: Message, body: bytes) -> tuple[Message, bytes]:
        """Head and body as they go out."""
        if self.instead is not None:
            return self.instead.start(), self.instead.body
        if not self.rewrites:
            return start, body
        headers = {name.lower(): value for name, value in start["headers"]}
        for rewrite in self.rewrites:
            body = rewritten(body, rewrite.set)
            more = {k.lower().encode(): v.encode() for k, v in rewrite.headers.items()}
            headers.update(more)
        headers[b"content-length"] = str(len(body)).encode()
        return {**start, "headers": list(headers.items())}, body


def after(verbs: Iterable[Verb]) -> AfterReply:
    """What several faults together make of a reply."""
    plan = AfterReply()
    for verb in verbs:
        what = verb.then if isinstance(verb, AcceptThen) else verb
        if isinstance(what, Delay) and (what.leg == "reply" or isinstance(verb, AcceptThen)):
            plan.wait_ms += what.ms
        elif isinstance(what, DropResponse):
            plan.lost = what.then
        elif isinstance(what, Reset):
            plan.lost = "reset"
        elif isinstance(what, Reply):
            plan.instead = canned(what)
        elif isinstance(what, Rewrite):
            plan.rewrites.append(what)
    return plan


def rewritten(body: bytes, changes: Mapping[str, Any]) -> bytes:
    """A JSON text with members changed; what is no JSON, or has no such place, stays."""
    if not changes:
        return body
    try:
        document = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return body
    for path, value in changes.items():
        _put(document, path.split("."), value)
    return msgspec.json.encode(document)


def _put(place: Any, path: list[str], value: Any) -> None:
    for name in path[:-1]:
        if isinstance(place, list) and _in(place, name):
            place = place[int(name)]
        elif isinstance(place, dict) and name in place:
            place = place[name]
        else:
            return
    if isinstance(place, list) and _in(place, path[-1]):
        place[int(path[-1])] = value
    elif isinstance(place, dict):
        place[path[-1]] = value


def _in(place: list[Any], name: str) -> bool:
    return name.isascii() and name.isdigit() and int(name) < len(place)
