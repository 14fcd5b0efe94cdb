"""The guard around applications that misbehave, and viewers that do."""

from collections.abc import Awaitable, Callable

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from livespot.panel.guard import Guard
from livespot.runtime.clock import SystemClock


def guarded(app: ASGIApp, *, send_seconds: float = 10.0) -> Guard:
    return Guard(
        app=app,
        hosts=frozenset({"127.0.0.1:1"}),
        template=lambda path: path if path == "/x" else "",
        is_open=lambda _route: False,
        stream="/x",
        wall=SystemClock(),
        audit_request=lambda _route, _method, _status: True,
        send_seconds=send_seconds,
    )


def scope(*, client: str = "127.0.0.1", kind: str = "http") -> Scope:
    return {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "path": "/x",
        "raw_path": b"/x",
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "client": (client, 5),
        "headers": [(b"host", b"127.0.0.1:1")],
    }


async def nothing() -> Message:
    await anyio.sleep_forever()
    raise AssertionError


def into(sent: list[Message]) -> Callable[[Message], Awaitable[None]]:
    async def send(message: Message) -> None:
        sent.append(message)

    return send


async def test_an_application_error_is_answered_without_detail_and_with_the_headers() -> None:
    async def broken(_: Request) -> Response:
        raise LookupError("a detail nobody outside should read")

    sent: list[Message] = []
    app = Starlette(routes=[Route("/x", broken)])
    with pytest.raises(LookupError):
        await guarded(app)(scope(), nothing, into(sent))

    assert sent[0]["status"] == 500
    assert b"content-security-policy" in dict(sent[0]["headers"])
    assert b"detail" not in sent[1]["body"]


async def test_a_viewer_that_does_not_read_loses_its_place() -> None:
    async def endless(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": b"x", "more_body": True})

    async def stuck(message: Message) -> None:
        if message["type"] == "http.response.body":
            await anyio.sleep_forever()

    guard = guarded(endless, send_seconds=0.02)
    for _ in range(10):
        with anyio.fail_after(2):
            await guard(scope(), nothing, stuck)


async def test_a_peer_outside_of_this_machine_is_forbidden() -> None:
    sent: list[Message] = []

    await guarded(Starlette())(scope(client="192.168.1.7"), nothing, into(sent))

    assert sent[0]["status"] == 403


async def test_a_websocket_gets_no_answer_from_the_application() -> None:
    sent: list[Message] = []

    await guarded(Starlette())(scope(kind="websocket"), nothing, into(sent))

    assert sent == []
