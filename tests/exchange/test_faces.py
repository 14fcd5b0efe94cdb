"""Which face answers a path, and what a path without one hears."""

from typing import Any

import pytest

from livespot.exchange.service import application, opened
from livespot.exchange.settings import ExchangeSettings
from livespot.testing.clock import ManualClock

START_MS = 1_619_000_000_000


async def _said(kind: str, path: str, method: str = "GET") -> list[Any]:
    """What the application sends for a request without a body."""
    scope = {
        "type": kind,
        "path": path,
        "method": method,
        "query_string": b"",
        "headers": [],
        "client": ("client", 1),
    }
    said: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        said.append(message)

    settings = ExchangeSettings(symbols=frozenset({"SOLUSDT"}))
    with opened(settings, ManualClock(START_MS)) as (core, _, _):
        await application(core)(scope, receive, send)
    return said


@pytest.mark.parametrize("path", ["/", "/wss", "/ws-api/v2", "/stream/x", "/api/v3/ping"])
async def test_a_socket_to_a_path_without_streams_is_closed_before_it_opens(path: str) -> None:
    assert [message["type"] for message in await _said("websocket", path)] == ["websocket.close"]


async def test_the_model_answers_only_what_is_posted_to_it() -> None:
    start, _ = await _said("http", "/model/v1/chat/completions")

    assert start["status"] == 405
    assert (b"allow", b"POST") in start["headers"]


@pytest.mark.parametrize(
    ("path", "status"), [("/api/v3/ping", 200), ("/ws", 404), ("/model/v1", 404)]
)
async def test_every_other_request_goes_to_the_rest_face(path: str, status: int) -> None:
    start, body = await _said("http", path)

    assert start["status"] == status
    assert body["body"].startswith(b"{")
