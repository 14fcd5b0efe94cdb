"""WebSockets over real connections."""

import http
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import pytest
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from livespot.contracts.errors import Throttled, Unreachable
from livespot.contracts.transport import Socket
from livespot.runtime.clock import SystemClock
from livespot.venue.sockets import WebsocketsTransport

Handler = Callable[[ServerConnection], Awaitable[None]]


def _url(server: Server) -> str:
    port = next(iter(server.sockets)).getsockname()[1]
    return f"ws://127.0.0.1:{port}/stream?signature=canary-77ab"


@asynccontextmanager
async def _connected(handler: Handler) -> AsyncIterator[Socket]:
    async with (
        serve(handler, "127.0.0.1", 0) as server,
        WebsocketsTransport(SystemClock()).connect(_url(server)) as client,
    ):
        yield client


async def _drained(client: Socket) -> list[bytes]:
    await anyio.lowlevel.checkpoint()
    found = []
    while (raw := client.receive_nowait()) is not None:
        found.append(raw)
    return found


async def test_text_travels_both_ways_as_bytes() -> None:
    async def echo(connection: ServerConnection) -> None:
        await connection.send(await connection.recv())

    async with _connected(echo) as client:
        await client.send("täglich")

        assert await client.receive() == "täglich".encode()


async def test_waiting_frames_are_drained_without_yielding() -> None:
    sent = anyio.Event()

    async def burst(connection: ServerConnection) -> None:
        for number in range(100):
            await connection.send(str(number))
        sent.set()
        await connection.wait_closed()

    async with _connected(burst) as client:
        assert await client.receive() == b"0"
        await sent.wait()
        drained: list[bytes] = []
        with anyio.fail_after(5):
            while len(drained) < 99:
                drained += await _drained(client)
        left = client.receive_nowait()

    assert drained == [str(number).encode() for number in range(1, 100)]
    assert left is None


async def test_looking_at_half_a_message_loses_nothing() -> None:
    go_on = anyio.Event()
    half_sent = anyio.Event()

    async def halves() -> AsyncIterator[str]:
        yield "first "
        half_sent.set()
        await go_on.wait()
        yield "second"

    async def handler(connection: ServerConnection) -> None:
        await connection.send(halves())
        await connection.wait_closed()

    async with _connected(handler) as client:
        await half_sent.wait()
        await anyio.wait_all_tasks_blocked()

        assert client.receive_nowait() is None
        go_on.set()

        assert await client.receive() == b"first second"


async def test_a_cancelled_receive_loses_nothing() -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send("late")
        await connection.wait_closed()

    async with _connected(handler) as client:
        with anyio.move_on_after(0.01):
            await client.receive()
        await client.send("go")

        assert await client.receive() == b"late"


async def test_a_closed_connection_is_unreachable_in_every_call() -> None:
    async def hang_up(connection: ServerConnection) -> None:
        await connection.close()

    async with _connected(hang_up) as client:
        with pytest.raises(Unreachable):
            await client.receive()
        with pytest.raises(Unreachable):
            client.receive_nowait()
        with pytest.raises(Unreachable):
            await client.send("anyone?")


async def test_leaving_says_goodbye_even_when_cancelled() -> None:
    codes: list[int | None] = []

    async def handler(connection: ServerConnection) -> None:
        await connection.wait_closed()
        codes.append(connection.close_code)

    async with serve(handler, "127.0.0.1", 0) as server:
        with anyio.CancelScope() as scope:
            async with WebsocketsTransport(SystemClock()).connect(_url(server)):
                scope.cancel()
                await anyio.sleep_forever()

    assert codes == [1001]


async def test_a_mute_server_delays_leaving_only_so_long() -> None:
    async def mute(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.receive()
            await anyio.sleep_forever()

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610  anyio's
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, mute)
            with anyio.move_on_after(0.05) as scope:
                async with WebsocketsTransport(SystemClock()).connect(f"ws://127.0.0.1:{port}"):
                    pytest.fail("no handshake, no connection")
            tasks.cancel_scope.cancel()

    assert scope.cancelled_caught


@pytest.mark.parametrize(
    ("status", "header", "banned", "retry_ms"),
    [
        (429, "7", False, 7_000),
        (418, None, True, 120_000),
        (403, None, False, 60_000),
    ],
)
async def test_a_refused_handshake_asks_for_silence(
    status: int, header: str | None, banned: bool, retry_ms: int
) -> None:
    def refuse(connection: ServerConnection, _request: Request) -> Response:
        response = connection.respond(http.HTTPStatus(status), "no")
        if header is not None:
            response.headers["Retry-After"] = header
        return response

    async def handler(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async with serve(handler, "127.0.0.1", 0, process_request=refuse) as server:
        with pytest.raises(Throttled) as caught:
            async with WebsocketsTransport(SystemClock()).connect(_url(server)):
                pytest.fail("the handshake was refused")

    assert (caught.value.banned, caught.value.retry_after_ms) == (banned, retry_ms)


async def test_nobody_listening_is_unreachable_and_the_query_stays_unsaid() -> None:
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610  anyio's

    with pytest.raises(Unreachable) as caught:
        async with WebsocketsTransport(SystemClock()).connect(
            f"ws://127.0.0.1:{port}/?signature=canary-77ab"
        ):
            pytest.fail("nobody listens")

    assert "canary" not in f"{caught.value} {caught.value.__cause__!r}"
