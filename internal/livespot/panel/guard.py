"""The wall around the panel: who may ask what, how often, and what every answer carries.

Pure ASGI outside of the application, so that refusals and the application's own error page carry
the same headers.
"""

from collections import deque
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from livespot.contracts.ports import Clock

AuditRequest = Callable[[str, str, int], bool]

# The page is made of some thirty small files, and two may be opened at once.
_REQUESTS_PER_SECOND = 60
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
    503: b"too many viewers\n",
}


class SlowViewer(OSError):
    """A viewer did not take its bytes in time; ends its response like a lost connection."""


@dataclass(slots=True, kw_only=True)
class Guard:
    """Wraps the application. `hosts` are the exact values the Host header may have.

    `audit_request(route_template, method, status)` returns False when the audit has no room; the
    request is then answered 429. Requests over the limit are counted and audited once a round by
    `flush_refused`. A viewer that needs longer than `send_seconds` (wall time) for one piece loses
    its connection.
    """

    app: ASGIApp
    hosts: frozenset[str]
    routes: frozenset[str]
    stream: str
    wall: Clock
    audit_request: AuditRequest
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
        """Audit the requests refused for their number since the last call, as one."""
        if self._refused and self.audit_request(f"over-limit x{self._refused}", "ANY", 429):
            self._refused = 0

    def template(self, scope: Scope) -> str:
        """What the audit keeps of an address: a known route, never what was asked."""
        path = scope["path"]
        return path if path in self.routes else "unmatched"

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
            # Its response is over; the server closes the connection of an unfinished answer.
            return
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
        """0 when the request may pass, else the status of its refusal. Host comes first."""
        headers = scope["headers"]
        given = _all(headers, b"host")
        if len(given) != 1 or given[0].lower() not in self.hosts:
            return 421
        if not _is_loopback(scope) or not self._is_same_site(headers, given[0]):
            return 403
        if scope["method"] not in ("GET", "HEAD") or _all(headers, b"upgrade"):
            return 403
        return 0 if scope["path"] in self.routes else 404

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
            await self.send(message)
        if scope.cancelled_caught:
            raise SlowViewer("the viewer does not read")

    async def refuse(self, status: int, *, audited: bool = True) -> None:
        if audited and not self._audit(status):
            status = 429
        body = _TEXTS[status]
        headers = [
            *_HEADERS,
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        if status in (429, 503):
            headers.append((b"retry-after", b"1"))
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    def _audit(self, status: int) -> bool:
        method = self.scope["method"]
        known = method if method in _METHODS else "OTHER"
        return self.guard.audit_request(self.guard.template(self.scope), known, status)


def _with_fixed(message: MutableMapping[str, Any]) -> list[tuple[bytes, bytes]]:
    own = [(name, value) for name, value in message["headers"] if name.lower() not in _FIXED]
    return [*own, *_HEADERS]


def _all(headers: list[tuple[bytes, bytes]], name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in headers if key.lower() == name]


def _is_loopback(scope: Scope) -> bool:
    client = scope.get("client")
    return client is not None and ip_address(client[0]).is_loopback
