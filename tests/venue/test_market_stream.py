"""A market connection asks once for each stream, gets answers, and paces itself."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from websockets.asyncio.server import ServerConnection, serve

from livespot.contracts.errors import LocalRefusal, Refused, Unreachable
from livespot.runtime.clock import ClockAnchor, ScaledClock, SystemClock
from livespot.testing.clock import ManualClock
from livespot.venue.market_stream import MarketStream, OpenMarketStream
from livespot.venue.sockets import WebsocketsTransport

_FRAME = b'{"stream":"btcusdt@bookTicker","data":{}}'


class _Wire:
    """A socket in memory: what was sent, and what is there to receive."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.waiting: list[bytes] = []

    async def send(self, text: str) -> None:
        self.sent.append(json.loads(text))

    async def receive(self) -> bytes:
        if not self.waiting:
            await anyio.sleep_forever()
        return self.waiting.pop(0)

    def receive_nowait(self) -> bytes | None:
        return self.waiting.pop(0) if self.waiting else None


def _streams(*names: str) -> frozenset[str]:
    return frozenset(names)


async def test_an_answered_stream_is_subscribed_and_data_flows_around_the_answer() -> None:
    wire, clock = _Wire(), ManualClock()
    stream = OpenMarketStream(wire, clock)

    await stream.subscribe(_streams("btcusdt@bookTicker", "!miniTicker@arr"))
    wire.waiting += [_FRAME, b'{"result":null,"id":1}', _FRAME]

    assert wire.sent == [
        {"method": "SUBSCRIBE", "params": ["!miniTicker@arr", "btcusdt@bookTicker"], "id": 1}
    ]
    assert stream.subscribed == frozenset()
    assert [await stream.receive(), await stream.receive()] == [_FRAME, _FRAME]
    assert stream.subscribed == {"!miniTicker@arr", "btcusdt@bookTicker"}


@pytest.mark.parametrize("noise", [b"\xff{]", b"", b"[1, 2]", b'{"id": 1, "error": "no"}'])
async def test_what_is_neither_data_nor_an_answer_is_left_to_the_reader_of_data(
    noise: bytes,
) -> None:
    wire = _Wire()
    stream = OpenMarketStream(wire, ManualClock())
    await stream.subscribe(_streams("a@trade"))
    wire.waiting += [noise, noise]

    assert await stream.receive() == noise
    assert stream.receive_nowait() == noise
    assert stream.subscribed == frozenset()


async def test_a_stream_is_asked_for_once() -> None:
    wire = _Wire()
    stream = OpenMarketStream(wire, ManualClock())

    for _ in range(3):
        await stream.subscribe(_streams("a@trade", "b@trade"))
    await stream.unsubscribe(_streams("a@trade", "never@trade"))
    await stream.subscribe(_streams("a@trade"))

    assert [(one["method"], one["params"]) for one in wire.sent] == [
        ("SUBSCRIBE", ["a@trade", "b@trade"]),
        ("UNSUBSCRIBE", ["a@trade"]),
        ("SUBSCRIBE", ["a@trade"]),
    ]


async def test_answers_in_order_leave_the_last_wish() -> None:
    wire = _Wire()
    stream = OpenMarketStream(wire, ManualClock())
    await stream.subscribe(_streams("a@trade", "b@trade"))
    await stream.unsubscribe(_streams("a@trade"))
    wire.waiting += [b'{"result":null,"id":1}', b'{"result":null,"id":2}', _FRAME]

    await stream.receive()

    assert stream.subscribed == {"b@trade"}


async def test_a_knock_returns_with_its_answer_and_changes_nothing() -> None:
    wire = _Wire()
    stream = OpenMarketStream(wire, ManualClock())
    await stream.subscribe(_streams("a@trade"))
    answered = anyio.Event()

    async def knock() -> None:
        await stream.knock()
        answered.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(knock)
        await anyio.wait_all_tasks_blocked()
        wire.waiting += [b'{"result":null,"id":1}', _FRAME]
        await stream.receive()
        await anyio.wait_all_tasks_blocked()
        assert not answered.is_set()
        wire.waiting += [b'{"result":["a@trade"],"id":2}', _FRAME]
        await stream.receive()

    assert answered.is_set()
    assert wire.sent[1] == {"method": "LIST_SUBSCRIPTIONS", "id": 2}
    assert stream.subscribed == {"a@trade"}


async def test_an_overdue_answer_ends_the_connection() -> None:
    wire, clock = _Wire(), ManualClock()
    stream = OpenMarketStream(wire, clock)
    await stream.subscribe(_streams("a@trade"))
    wire.waiting += [_FRAME, _FRAME]
    await stream.receive()

    clock.advance(5001)

    with pytest.raises(Unreachable):
        await stream.receive()


async def test_an_answer_overdue_since_another_task_asked_ends_a_waiting_reader() -> None:
    wire = _Wire()
    clock = ScaledClock(ClockAnchor(wall_ms=0, market_ms=0, speed=100))
    stream = OpenMarketStream(wire, clock)
    ended = False

    async def read() -> None:
        nonlocal ended
        with pytest.raises(Unreachable):
            await stream.receive()
        ended = True

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        await stream.subscribe(_streams("a@trade"))

    assert ended


async def test_a_reader_that_was_interrupted_goes_on_and_one_that_is_cancelled_does_not() -> None:
    clock = ScaledClock(ClockAnchor(wall_ms=0, market_ms=0, speed=100))
    stream = OpenMarketStream(_Wire(), clock)
    went_on: list[str] = []

    async def read() -> None:
        with pytest.raises(Unreachable):
            await stream.receive()
        await anyio.lowlevel.checkpoint()
        went_on.append("interrupted")
        await OpenMarketStream(_Wire(), clock).receive()
        went_on.append("cancelled")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        await stream.subscribe(_streams("a@trade"))
        while not went_on:
            await clock.sleep(1)
        tasks.cancel_scope.cancel()

    assert went_on == ["interrupted"]


async def test_an_overdue_answer_is_noticed_while_draining() -> None:
    wire, clock = _Wire(), ManualClock()
    stream = OpenMarketStream(wire, clock)
    await stream.subscribe(_streams("a@trade"))
    wire.waiting.append(_FRAME)
    clock.advance(5001)

    assert stream.receive_nowait() == _FRAME
    with pytest.raises(Unreachable):
        stream.receive_nowait()


@pytest.mark.parametrize(
    "reply",
    [
        b'{"code":2,"msg":"Invalid request: too many parameters","id":1}',
        b'{"error":{"code":2,"msg":"Invalid request"},"id":1}',
    ],
)
async def test_a_declined_subscription_is_a_refusal(reply: bytes) -> None:
    wire = _Wire()
    stream = OpenMarketStream(wire, ManualClock())
    await stream.subscribe(_streams("a@trade"))
    wire.waiting.append(reply)

    with pytest.raises(Refused) as caught:
        await stream.receive()

    assert caught.value.code == 2


async def test_no_more_than_four_messages_go_out_in_a_second() -> None:
    wire, clock = _Wire(), ManualClock()
    stream = OpenMarketStream(wire, clock)

    for number in range(10):
        await stream.subscribe(_streams(f"s{number}@trade"))

    assert len(wire.sent) == 10
    assert sum(clock.slept) == pytest.approx(2.0)


async def test_many_streams_are_split_and_too_many_refused() -> None:
    wire = _Wire()
    stream = OpenMarketStream(wire, ManualClock())

    await stream.subscribe(frozenset(f"s{number}@trade" for number in range(1024)))

    assert [len(one["params"]) for one in wire.sent] == [200] * 5 + [24]
    with pytest.raises(LocalRefusal):
        await stream.subscribe(_streams("one@more"))


@asynccontextmanager
async def _feed() -> AsyncIterator[str]:
    """Answers the first request, sends two frames, then falls silent."""

    async def handler(connection: ServerConnection) -> None:
        assert connection.request is not None
        assert connection.request.path == "/stream"
        request = json.loads(await connection.recv())
        await connection.send(json.dumps({"result": None, "id": request["id"]}))
        for _ in range(2):
            await connection.send(_FRAME.decode())
        await connection.wait_closed()

    async with serve(handler, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


async def test_a_real_connection_subscribes_and_reads() -> None:
    clock = SystemClock()
    async with _feed() as url:
        feed = MarketStream(WebsocketsTransport(clock), url, clock)
        async with feed.connect() as connection:
            await connection.subscribe(_streams("btcusdt@bookTicker"))

            frames = [await connection.receive() for _ in range(2)]

            assert frames == [_FRAME, _FRAME]
            assert connection.subscribed == {"btcusdt@bookTicker"}
            assert connection.receive_nowait() is None
