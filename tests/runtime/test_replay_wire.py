"""HTTP and WebSockets in process: latency, order, refusals, and connections that are lost."""

from collections.abc import Awaitable, Callable

import anyio
import pytest
from starlette.types import Message, Receive, Scope, Send

from livespot.contracts.errors import Throttled, Unreachable
from livespot.runtime.entropy import SeededEntropy
from livespot.runtime.replay_clock import VirtualClock
from livespot.runtime.replay_loop import VirtualLoop, run_virtually
from livespot.runtime.replay_pipe import Latency
from livespot.runtime.replay_wire import Wire

App = Callable[[Scope, Receive, Send], Awaitable[None]]
_URL = "http://127.0.0.1:1/path?a=1"
_WS = "ws://127.0.0.1:1/ws"


class _World:
    """An application behind a wire, on a loop of its own."""

    def __init__(self, app: App) -> None:
        self.loop = VirtualLoop()
        clock = VirtualClock(self.loop, 0)
        self.wire = Wire(app, self.loop, clock, Latency(SeededEntropy(1)))

    def run(self, client: Callable[["_World"], Awaitable[None]]) -> None:
        async def main() -> None:
            async with anyio.create_task_group() as tasks:
                await tasks.start(self.wire.run)
                await client(self)
                tasks.cancel_scope.cancel()

        run_virtually(self.loop, main)

    @property
    def now_ms(self) -> float:
        return self.loop.now_ns / 1e6

    async def ask(self, timeout_seconds: float = 5) -> tuple[int, dict[str, str], bytes]:
        answer = await self.wire.request(
            "POST", _URL, headers={"X-Key": "k"}, content=b"body", timeout_seconds=timeout_seconds
        )
        return answer.status, answer.headers, answer.body


async def _answers(scope: Scope, receive: Receive, send: Send) -> None:
    request = await receive()
    said = scope["query_string"] + b" " + request["body"] + b" " + dict(scope["headers"])[b"x-key"]
    head: Message = {"type": "http.response.start", "status": 201, "headers": [(b"X-Used", b"7")]}
    await send(head)
    await send({"type": "http.response.body", "body": said[:3], "more_body": True})
    await send({"type": "http.response.body", "body": said[3:]})


async def _echoes(scope: Scope, receive: Receive, send: Send) -> None:
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        if message["text"] == "bye":
            await send({"type": "websocket.close", "code": 1000})
            return
        await send({"type": "websocket.send", "text": message["text"] * 2})


def test_a_request_arrives_whole_and_its_answer_takes_two_journeys() -> None:
    async def client(world: _World) -> None:
        assert await world.ask() == (201, {"x-used": "7"}, b"a=1 body k")
        assert 2 <= world.now_ms <= 10

    _World(_answers).run(client)


def test_an_answer_that_comes_too_late_is_lost_and_the_server_learns_of_it() -> None:
    told: list[str] = []

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        told.append((await receive())["type"])

    async def client(world: _World) -> None:
        with pytest.raises(Unreachable, match=r"POST http://[0-9.:]+/path: no answer"):
            await world.ask(timeout_seconds=0.5)
        assert world.now_ms == 500
        await anyio.sleep(1)

    _World(slow).run(client)

    assert told == ["http.disconnect"]


def test_frames_come_back_in_order_after_their_latency() -> None:
    async def client(world: _World) -> None:
        async with world.wire.connect(_WS) as socket:
            began = world.now_ms
            for text in ("a", "b", "c"):
                await socket.send(text)
            assert socket.receive_nowait() is None
            assert [await socket.receive() for _ in range(3)] == [b"aa", b"bb", b"cc"]
            assert 2 <= world.now_ms - began <= 10
            assert socket.receive_nowait() is None

    _World(_echoes).run(client)


def test_a_closed_connection_says_so_after_its_last_frame() -> None:
    async def client(world: _World) -> None:
        async with world.wire.connect(_WS) as socket:
            await socket.send("last")
            await socket.send("bye")
            assert await socket.receive() == b"lastlast"
            with pytest.raises(Unreachable):
                await socket.receive()
            with pytest.raises(Unreachable):
                socket.receive_nowait()

    _World(_echoes).run(client)


def test_a_refused_connection_names_its_reason() -> None:
    async def refuses(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        head = [(b"Retry-After", b"9")]
        status = int(scope["path"][1:])
        await send({"type": "websocket.http.response.start", "status": status, "headers": head})
        await send({"type": "websocket.http.response.body", "body": b""})

    async def client(world: _World) -> None:
        with pytest.raises(Throttled) as caught:
            async with world.wire.connect("ws://127.0.0.1:1/418"):
                pass
        assert (caught.value.retry_after_ms, caught.value.banned) == (9000, True)
        with pytest.raises(Unreachable, match="500"):
            async with world.wire.connect("ws://127.0.0.1:1/500"):
                pass

    _World(refuses).run(client)


def test_a_connection_cut_before_it_was_accepted_was_refused_by_nobody() -> None:
    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await receive()

    async def client(world: _World) -> None:
        world.loop.call_at_ns(50_000_000, world.wire.cut, None)
        with pytest.raises(Unreachable, match="before it was accepted"):
            async with world.wire.connect(_WS):
                pass

    _World(silent).run(client)


def test_a_connection_closed_instead_of_accepted_is_throttled_like_a_403() -> None:
    async def closes(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.close"})

    async def client(world: _World) -> None:
        with pytest.raises(Throttled) as caught:
            async with world.wire.connect(_WS):
                pass
        assert caught.value.retry_after_ms == 60_000

    _World(closes).run(client)


def test_a_cut_loses_what_is_on_its_way_on_both_sides() -> None:
    left: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await _echoes(scope, receive, send)
        left.append("server")

    async def client(world: _World) -> None:
        async with world.wire.connect(_WS) as socket:
            await socket.send("lost")
            world.wire.cut()
            with pytest.raises(Unreachable):
                await socket.receive()
            with pytest.raises(Unreachable):
                await socket.send("more")
        assert left == []
        await anyio.sleep(1)

    _World(app).run(client)

    assert left == ["server"]


def test_a_reader_that_does_not_read_makes_the_writer_wait() -> None:
    sent: list[int] = []

    async def floods(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        for number in range(5000):
            await send({"type": "websocket.send", "text": str(number)})
            sent.append(number)

    async def client(world: _World) -> None:
        async with world.wire.connect(_WS) as socket:
            await anyio.sleep(60)
            held = len(sent)
            assert 1000 < held < 3000
            for number in range(5000):
                assert await socket.receive() == str(number).encode()

    _World(floods).run(client)


def test_what_the_application_raises_breaks_the_run() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError("a defect of the server")

    async def client(world: _World) -> None:
        await world.ask()

    with pytest.raises(ExceptionGroup) as caught:
        _World(broken).run(client)

    assert caught.group_contains(ValueError, match="a defect of the server")
