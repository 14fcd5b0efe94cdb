"""The guard around the panel: who may ask what and how often, and the headers of every answer.

It is pure ASGI around the application, so that refusals and the application's own error page carry
the same headers.
"""

from collections import deque
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass, field
from hmac import compare_digest
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from livespot.contracts.ports import Clock
from livespot.panel.connections import ABORT

AuditRequest = Callable[[str, str, int], bool]

_HEADER_BYTES = 16_384
_PIECE_BYTES = 16_384
_REQUESTS_PER_SECOND = 20
_STREAMS = 8
_IN_FLIGHT = 24
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")
_HEADERS = (
    (
        b"content-security-policy",
        (
            b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
            b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"cache-control", b"no-store"),
)
_FIXED = frozenset(name for name, _ in _HEADERS)
_TEXTS = {
    400: b"bad request\n",
    403: b"forbidden\n",
    404: b"not found\n",
    421: b"misdirected request\n",
    429: b"too many requests\n",
    431: b"header too large\n",
    503: b"too many viewers\n",
}


def _nothing() -> None:
    """Stands in for ending a connection where there is none."""


class SlowViewer(OSError):
    """A viewer did not take its bytes in time; ends its response like a lost connection."""


@dataclass(slots=True, kw_only=True)
class Guard:
    """Wraps the application. `hosts` are the exact values that the Host header may have.

    `template(path)` is the route that an address belongs to, "" for none. With a `token`, routes
    for which `is_open` is false require it. `audit_request(route, method, status)` returns False
    when the audit has no room; the request is then answered 429. Requests over the limit are
    counted, and audited once a second by `flush_refused`. A viewer that takes longer than
    `send_seconds` (wall time) for one piece loses its connection.
    """

    app: ASGIApp
    hosts: frozenset[str]
    template: Callable[[str], str]
    is_open: Callable[[str], bool]
    stream: str
    wall: Clock
    audit_request: AuditRequest
    token: str = ""
    send_seconds: float = 10.0
    _recent: deque[int] = field(default_factory=deque)
    _streams: int = 0
    _in_flight: int = 0
    _refused: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        answer = _Answer(send=send, guard=self, scope=scope)
        if self._over_limit():
            self._refused += 1
            await answer.refuse(429, audited=False)
            return
        status = self._judge(scope)
        if status:
            await answer.refuse(status)
            return
        await self._pass(scope, receive, answer)

    def flush_refused(self) -> None:
        """Audit, as one event, the requests refused for their number since the last call."""
        if self._refused and self.audit_request(f"over-limit x{self._refused}", "ANY", 429):
            self._refused = 0

    def refused_early(self, status: int) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """Audit a request that could not be read; returns its status, headers and body."""
        if self._over_limit():
            self._refused += 1
            status = 429
        elif not self.audit_request("unreadable", "OTHER", status):
            status = 429
        return status, _refusal_headers(status), _TEXTS[status]

    async def _pass(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        streaming = scope["path"] == self.stream and scope["method"] == "GET"
        if self._in_flight >= _IN_FLIGHT or (streaming and self._streams >= _STREAMS):
            await answer.refuse(503)
            return
        self._in_flight += 1
        self._streams += streaming
        try:
            await self.app(scope, receive, answer)
        except SlowViewer:
            # An orderly close would keep the unread bytes and wait for their reader for ever.
            scope.get(ABORT, _nothing)()
        finally:
            self._in_flight -= 1
            self._streams -= streaming

    def _over_limit(self) -> bool:
        now = self.wall.monotonic_ms()
        while self._recent and now - self._recent[0] >= 1000:
            self._recent.popleft()
        if len(self._recent) >= _REQUESTS_PER_SECOND:
            return True
        self._recent.append(now)
        return False

    def _judge(self, scope: Scope) -> int:
        """Return 0 if the request may pass, else the status of its refusal.

        Host is checked first.
        """
        headers = scope["headers"]
        if _size(scope) > _HEADER_BYTES:
            return 431
        given = _all(headers, b"host")
        if len(given) != 1 or given[0].lower() not in self.hosts:
            return 421
        if not _is_loopback(scope) or not self._is_same_site(headers, given[0]):
            return 403
        if scope["method"] not in ("GET", "HEAD") or _all(headers, b"upgrade"):
            return 403
        if _has_body(headers):
            return 400
        route = self.template(scope["path"])
        if not route:
            return 404
        return 0 if self.is_open(route) or self._knows_token(scope) else 403

    def _knows_token(self, scope: Scope) -> bool:
        if not self.token:
            return True
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        bearer = [
            value.removeprefix("Bearer ") for value in _all(scope["headers"], b"authorization")
        ]
        tried = [*given, *bearer]
        return len(tried) == 1 and compare_digest(tried[0].encode(), self.token.encode())

    def _is_same_site(self, headers: list[tuple[bytes, bytes]], host: str) -> bool:
        origins = _all(headers, b"origin")
        sites = _all(headers, b"sec-fetch-site")
        return all(origin == f"http://{host}" for origin in origins) and all(
            site in ("none", "same-origin") for site in sites
        )


@dataclass(slots=True, kw_only=True)
class _Answer:
    """The send side of one request: audits the status once, then adds the fixed headers."""

    send: Send
    guard: Guard
    scope: Scope
    _replaced: bool = False

    async def __call__(self, message: Message) -> None:
        if self._replaced:
            return
        if message["type"] == "http.response.start":
            if not self._audit(message["status"]):
                self._replaced = True
                await self.refuse(429, audited=False)
                return
            message = {**message, "headers": _with_fixed(message)}
        with self.guard.wall.move_on_after(self.guard.send_seconds) as scope:
            for piece in _pieces(message):
                await self.send(piece)
        if scope.cancelled_caught:
            raise SlowViewer("the viewer does not read")

    async def refuse(self, status: int, *, audited: bool = True) -> None:
        if audited and not self._audit(status):
            status = 429
        body, headers = _TEXTS[status], _refusal_headers(status)
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    def _audit(self, status: int) -> bool:
        method = self.scope["method"]
        known = method if method in _METHODS else "OTHER"
        route = self.guard.template(self.scope["path"]) or "unmatched"
        return self.guard.audit_request(route, known, status)


def _refusal_headers(status: int) -> list[tuple[bytes, bytes]]:
    headers = [
        *_HEADERS,
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(_TEXTS[status])).encode()),
        (b"connection", b"close"),
    ]
    if status in (429, 503):
        headers.append((b"retry-after", b"1"))
    return headers


def _pieces(message: MutableMapping[str, Any]) -> Iterator[MutableMapping[str, Any]]:
    """Split a large body, so that at most one buffer of it waits for its reader."""
    body = message.get("body", b"")
    if message["type"] != "http.response.body" or len(body) <= _PIECE_BYTES:
        yield message
        return
    for at in range(0, len(body), _PIECE_BYTES):
        last = at + _PIECE_BYTES >= len(body)
        yield {
            **message,
            "body": body[at : at + _PIECE_BYTES],
            "more_body": message.get("more_body", False) or not last,
        }


def _size(scope: Scope) -> int:
    """Return the bytes of the request line's address and of all headers."""
    address = len(scope["raw_path"]) + len(scope["query_string"])
    return address + sum(len(name) + len(value) + 4 for name, value in scope["headers"])


def _has_body(headers: list[tuple[bytes, bytes]]) -> bool:
    lengths = _all(headers, b"content-length")
    return bool(_all(headers, b"transfer-encoding")) or any(text != "0" for text in lengths)


def _with_fixed(message: MutableMapping[str, Any]) -> list[tuple[bytes, bytes]]:
    own = [(name, value) for name, value in message["headers"] if name.lower() not in _FIXED]
    return [*own, *_HEADERS]


def _all(headers: list[tuple[bytes, bytes]], name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in headers if key.lower() == name]


def _is_loopback(scope: Scope) -> bool:
    client = scope.get("client")
    return client is not None and ip_address(client[0]).is_loopback
