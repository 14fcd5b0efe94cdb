"""HTTP over real sockets: what was sent, and whether anything was."""

import gzip
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from livespot.contracts.errors import LivespotError, NotSent, Unreachable
from livespot.contracts.transport import HttpAnswer
from livespot.runtime.clock import SystemClock
from livespot.venue.http_client import AnswerTooLarge, HttpxTransport

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-MBX-USED-WEIGHT-1M: 7\r\n\r\n{}"
_CANARY = "canary-signature-33c1"

Handler = Callable[[SocketStream], Awaitable[None]]


@asynccontextmanager
async def _server(handler: Handler) -> AsyncIterator[str]:
    """A TCP server on loopback; yields its base URL."""
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(SocketAttribute.local_port)  # noqa: S610  anyio's, no database

        async def serve(stream: SocketStream) -> None:
            async with stream:
                await handler(stream)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, serve)
            yield f"http://127.0.0.1:{port}"
            tasks.cancel_scope.cancel()


async def _get(http: HttpxTransport, url: str, seconds: float = 5) -> HttpAnswer:
    return await http.request(
        "GET", url, headers={"X-MBX-APIKEY": "k"}, content=b"", timeout_seconds=seconds
    )


async def test_the_signed_query_is_sent_byte_for_byte() -> None:
    query = "symbol=%EF%BC%91%2F%2B&price=1.0&signature=ab%2Fcd%3D%3D"
    heads: list[bytes] = []

    async def handler(stream: SocketStream) -> None:
        heads.append(await stream.receive())
        await stream.send(_OK)

    async with _server(handler) as base, HttpxTransport(SystemClock()) as http:
        answer = await _get(http, f"{base}/api/v3/order?{query}")

    assert heads[0].startswith(f"GET /api/v3/order?{query} HTTP/1.1\r\n".encode())
    assert (answer.status, answer.body) == (200, b"{}")
    assert answer.headers["x-mbx-used-weight-1m"] == "7"


async def test_one_connection_serves_many_requests() -> None:
    connections = 0

    async def handler(stream: SocketStream) -> None:
        nonlocal connections
        connections += 1
        while True:
            try:
                await stream.receive()
            except anyio.EndOfStream:
                return
            await stream.send(_OK)

    async with _server(handler) as base, HttpxTransport(SystemClock()) as http:
        for _ in range(3):
            await _get(http, base)

    assert connections == 1


async def test_a_refused_connection_proves_that_nothing_was_sent() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]

        async with HttpxTransport(SystemClock()) as http:
            with pytest.raises(NotSent):
                await _get(http, f"http://127.0.0.1:{port}/?signature={_CANARY}")


async def test_a_server_that_hangs_up_after_reading_leaves_it_open() -> None:
    async def handler(stream: SocketStream) -> None:
        await stream.receive()

    async with _server(handler) as base, HttpxTransport(SystemClock()) as http:
        with pytest.raises(Unreachable) as caught:
            await _get(http, f"{base}/?signature={_CANARY}")

    error: BaseException | None = caught.value
    while error is not None:
        assert _CANARY not in f"{error!r} {error}"
        error = error.__cause__ or error.__context__


async def test_silence_after_the_request_is_unreachable_in_time() -> None:
    async def handler(stream: SocketStream) -> None:
        await stream.receive()
        await anyio.sleep_forever()

    async with _server(handler) as base, HttpxTransport(SystemClock()) as http:
        with pytest.raises(Unreachable):
            await _get(http, base, seconds=0.2)


async def test_a_cut_answer_is_unreachable() -> None:
    async def handler(stream: SocketStream) -> None:
        await stream.receive()
        await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{}")

    async with _server(handler) as base, HttpxTransport(SystemClock()) as http:
        with pytest.raises(Unreachable):
            await _get(http, base)


async def test_waiting_for_a_free_connection_in_vain_proves_that_nothing_was_sent() -> None:
    outcomes: list[type[LivespotError]] = []

    async def handler(stream: SocketStream) -> None:
        await stream.receive()
        await anyio.sleep_forever()

    async def ask(http: HttpxTransport, url: str, seconds: float) -> None:
        try:
            await _get(http, url, seconds)
        except (NotSent, Unreachable) as error:
            outcomes.append(type(error))

    async with (
        _server(handler) as base,
        HttpxTransport(SystemClock(), pool=1) as http,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(ask, http, base, 0.5)
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(ask, http, base, 0.05)

    assert outcomes == [NotSent, Unreachable]


async def test_requests_cancelled_at_will_do_not_exhaust_the_pool() -> None:
    async def handler(stream: SocketStream) -> None:
        while True:
            try:
                await stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return
            await anyio.sleep(0.005)
            await stream.send(_OK)

    async def abandon(http: HttpxTransport, url: str, after: float) -> None:
        with anyio.move_on_after(after):
            await _get(http, url)

    async with _server(handler) as base, HttpxTransport(SystemClock(), pool=3) as http:
        async with anyio.create_task_group() as tasks:
            for number in range(60):
                tasks.start_soon(abandon, http, base, number / 4000)

        answers = [await _get(http, base, seconds=2) for _ in range(6)]

    assert [answer.status for answer in answers] == [200] * 6


async def test_a_request_outside_the_context_never_leaves() -> None:
    with pytest.raises(NotSent):
        await _get(HttpxTransport(SystemClock()), "http://127.0.0.1:1/")


async def test_urls_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(stream: SocketStream) -> None:
        await stream.receive()
        await stream.send(_OK)

    with caplog.at_level(logging.INFO):
        async with _server(handler) as base, HttpxTransport(SystemClock()) as http:
            await _get(http, f"{base}/?signature={_CANARY}")

    assert _CANARY not in caplog.text


async def test_a_key_that_no_header_can_carry_is_refused_without_being_quoted() -> None:
    async with HttpxTransport(SystemClock()) as http:
        with pytest.raises(NotSent) as caught:
            await http.request(
                "GET",
                "http://127.0.0.1:1/",
                headers={"X-MBX-APIKEY": f"{_CANARY}\u00fc"},
                content=b"",
                timeout_seconds=5,
            )

    assert caught.value.__cause__ is None
    assert _CANARY not in str(caught.value)


def _packed(body: bytes) -> bytes:
    packed = gzip.compress(body)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n"
    return head.encode() + packed


async def test_an_answer_is_read_up_to_the_bound_and_no_further() -> None:
    sizes = [1000, 1001, 1000]

    async def handler(stream: SocketStream) -> None:
        while sizes:
            try:
                await stream.receive()
            except anyio.EndOfStream:
                return
            await stream.send(_packed(b"x" * sizes.pop(0)))

    async with (
        _server(handler) as base,
        HttpxTransport(SystemClock(), pool=1, most_bytes=1000) as http,
    ):
        assert len((await _get(http, base)).body) == 1000
        with pytest.raises(AnswerTooLarge, match="more than 1000 bytes"):
            await _get(http, f"{base}/api/v3/exchangeInfo?signature={_CANARY}")
        assert len((await _get(http, base)).body) == 1000


async def test_an_answer_without_an_end_is_given_up_at_the_bound() -> None:
    async def handler(stream: SocketStream) -> None:
        await stream.receive()
        await stream.send(b"HTTP/1.1 200 OK\r\n\r\n")
        with suppress(anyio.BrokenResourceError):
            while True:
                await stream.send(b"x" * 1000)

    async with _server(handler) as base, HttpxTransport(SystemClock(), most_bytes=100_000) as http:
        with pytest.raises(AnswerTooLarge):
            await _get(http, base)
