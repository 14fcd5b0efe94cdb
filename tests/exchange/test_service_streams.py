"""Market streams: shapes, control messages, local order book, slow readers."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import anyio
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from livespot.exchange.outbound import Outbound
from livespot.exchange.service import _server, application, opened
from livespot.exchange.settings import ExchangeSettings, RequestLimits, SharedClock
from livespot.testing.clock import ManualClock

START_MS = 1_618_919_220_000
SHAPES = {
    "aggTrade": set("eEsapqflTmM"),
    "trade": set("eEstpqTmM"),
    "bookTicker": set("usbBaA"),
    "miniTicker": set("eEscohlvq"),
    "ticker": set("eEspPwxcQbBaAohlvqOCFLn"),
    "kline_1m": set("eEsk"),
    "depth@100ms": set("eEsUuba"),
    "depth5": {"lastUpdateId", "bids", "asks"},
    "avgPrice": set("eEsiwT"),
}


async def test_every_stream_speaks_in_its_shape(exchange: Any) -> None:
    streams = "/".join(f"solusdt@{kind}" for kind in SHAPES)
    seen: dict[str, Any] = {}
    async with (
        exchange(speed=20) as venue,
        venue.connect(f"/stream?streams={streams}/!miniTicker@arr") as socket,
    ):
        while len(seen) <= len(SHAPES):
            frame = json.loads(await socket.recv())
            seen[frame["stream"].partition("@")[2]] = frame["data"]

    assert seen.pop("arr")[0].keys() == SHAPES["miniTicker"]
    assert {kind: set(payload) for kind, payload in seen.items()} == SHAPES
    assert set(seen["kline_1m"]["k"]) == set("tTsifLochlvnxqVQB")


async def test_a_closed_kline_is_announced_once_with_the_recorded_close(exchange: Any) -> None:
    closed = []
    async with (
        exchange(start_ms=START_MS - 24_000, speed=20) as venue,
        venue.connect("/ws/solusdt@kline_1m") as socket,
    ):
        while True:
            kline = json.loads(await socket.recv())["k"]
            if kline["x"]:
                closed.append(kline)
            if kline["t"] == START_MS:
                break
        rows = await venue.get("klines", symbol="SOLUSDT", interval="1m", limit=2)

    assert [kline["t"] for kline in closed] == [START_MS - 60_000]
    assert [closed[0][name] for name in "ohlcv"] == rows[0][1:6]


async def test_control_messages_on_a_socket(exchange: Any, asking: Any) -> None:
    async with exchange() as venue, venue.connect("/ws/solusdt@aggTrade") as socket:
        more = await asking(socket, "SUBSCRIBE", ["solusdt@bookTicker"], 1)
        listed = await asking(socket, "LIST_SUBSCRIPTIONS", None, 2)
        fewer = await asking(socket, "UNSUBSCRIBE", ["solusdt@aggTrade"], 3)
        kept = await asking(socket, "LIST_SUBSCRIPTIONS", None, 4)

    assert more == {"result": None, "id": 1}
    assert listed["result"] == ["solusdt@aggTrade", "solusdt@bookTicker"]
    assert fewer == {"result": None, "id": 3}
    assert kept["result"] == ["solusdt@bookTicker"]


@pytest.mark.parametrize("kind", ["message", "ping", "pong"])
async def test_a_client_that_talks_too_much_is_cut_off(exchange: Any, kind: str) -> None:
    async with exchange() as venue, venue.connect("/ws") as socket:
        # Two seconds can share them, but not without one of them having six.
        for number in range(11):
            if kind == "message":
                await socket.send(f'{{"method":"LIST_SUBSCRIPTIONS","id":{number}}}')
            elif kind == "ping":
                await socket.ping()
            else:
                await socket.pong()
        await socket.wait_closed()

    assert socket.close_code == 1008


async def test_five_messages_of_any_kind_in_one_second_are_allowed(
    exchange: Any, asking: Any
) -> None:
    async with exchange() as venue, venue.connect("/ws") as socket:
        await asking(socket, "LIST_SUBSCRIPTIONS", None, 1)
        await (await socket.ping())
        await socket.pong()
        await asking(socket, "LIST_SUBSCRIPTIONS", None, 2)
        last = await asking(socket, "LIST_SUBSCRIPTIONS", None, 3)

    assert last == {"result": [], "id": 3}


async def test_a_combined_connection_can_become_raw_and_back(exchange: Any, asking: Any) -> None:
    async with (
        exchange(speed=20) as venue,
        venue.connect("/stream?streams=solusdt@trade") as socket,
    ):
        assert "data" in json.loads(await socket.recv())
        await asking(socket, "SET_PROPERTY", ["combined", False], 1)
        raw = json.loads(await socket.recv())

    assert raw["e"] == "trade"


async def test_names_in_an_address_are_percent_decoded_once_and_a_plus_is_a_plus(
    exchange: Any, asking: Any
) -> None:
    wanted = ["solusdt@trade", "solusdt@kline_1d@+08:00"]
    paths = (
        "/stream?streams=solusdt%40trade/solusdt@kline_1d@+08:00",
        "/stream?streams=solusdt@trade%2Fsolusdt@kline_1d@%2B08:00",
        "/ws/solusdt%40trade/solusdt@kline_1d@+08:00",
    )
    async with exchange() as venue:
        for path in paths:
            async with venue.connect(path) as socket:
                listed = await asking(socket, "LIST_SUBSCRIPTIONS", None, 1)
                assert listed["result"] == wanted


async def test_a_symbol_in_upper_case_is_accepted_and_silent(exchange: Any) -> None:
    heard = set()
    async with (
        exchange(speed=20) as venue,
        venue.connect("/stream?streams=SOLUSDT@trade/!bookTicker/solusdt@trade") as socket,
    ):
        for _ in range(20):
            heard.add(json.loads(await socket.recv())["stream"])

    assert heard == {"solusdt@trade"}


@pytest.mark.parametrize("path", ["/ws/solusdt@trade?", "/stream?streams=solusdt@trade&"])
@pytest.mark.parametrize("unit", ["MICROSECOND", "microsecond"])
async def test_times_are_in_microseconds_on_request(exchange: Any, path: str, unit: str) -> None:
    async with (
        exchange(speed=20) as venue,
        venue.connect(f"{path}timeUnit={unit}") as socket,
    ):
        frame = json.loads(await socket.recv())

    trade = frame.get("data", frame)
    assert trade["E"] // 10**15 == trade["T"] // 10**15 == 1


@pytest.mark.parametrize(
    ("path", "code"),
    [
        pytest.param("/ws/solusdt@trade?timeUnit=NANOSECOND", -1194, id="time-unit"),
        pytest.param("/ws/" + "/".join(str(n) for n in range(1025)), -1101, id="streams"),
    ],
)
async def test_an_impossible_connection_is_refused(exchange: Any, path: str, code: int) -> None:
    async with exchange() as venue:
        with pytest.raises(InvalidStatus) as refused:
            await venue.connect(path)

    assert refused.value.response.status_code == 400
    assert json.loads(refused.value.response.body)["code"] == code


async def test_an_address_too_long_to_be_read_is_refused_at_once(exchange: Any) -> None:
    async with exchange() as venue:
        with anyio.fail_after(2), pytest.raises(InvalidStatus) as refused:
            await venue.connect("/ws/" + "x" * 9000)

    assert refused.value.response.status_code == 400


async def test_an_address_may_open_only_so_many_connections(exchange: Any) -> None:
    settings = ExchangeSettings(
        symbols=frozenset({"SOLUSDT"}), request_limits=RequestLimits(connections=3)
    )
    async with exchange(settings) as venue:
        for _ in range(3):
            async with venue.connect("/ws"):
                pass
        with pytest.raises(InvalidStatus) as refused:
            await venue.connect("/ws")

    assert refused.value.response.status_code == 429


async def drained(socket: ClientConnection) -> AsyncIterator[str | bytes]:
    """Everything until the connection ends, however it ends."""
    try:
        while True:
            yield await socket.recv()
    except ConnectionClosed:
        return


@pytest.mark.parametrize("path", ["/ws/solusdt@avgPrice", "/stream?streams=solusdt@avgPrice"])
async def test_a_connection_ends_with_its_day_after_a_notice(exchange: Any, path: str) -> None:
    settings = ExchangeSettings(
        symbols=frozenset({"SOLUSDT"}), connection_life_ms=20_000, shutdown_notice_ms=5000
    )
    async with exchange(settings, speed=100) as venue, venue.connect(path) as socket:
        opened_ms = venue.clock.now_ms()
        frames = [json.loads(text) async for text in drained(socket)]
        lasted_ms = venue.clock.now_ms() - opened_ms

    raw = [frame.get("data", frame) for frame in frames]
    (notice,) = [frame for frame in raw if frame["e"] == "serverShutdown"]
    assert set(notice) == {"e", "E"}
    if path.startswith("/stream"):
        assert {"stream": "!serverShutdown", "data": notice} in frames
    assert notice["E"] - opened_ms >= 14_000
    assert lasted_ms >= 19_000


def test_pings_come_every_twenty_seconds_and_wait_a_minute() -> None:
    plain = ExchangeSettings(symbols=frozenset({"SOLUSDT"}))
    fast = replace(plain, shared_clock=SharedClock(wall_ms=0, market_ms=0, speed=20))

    spans = []
    for settings in (plain, fast):
        with opened(settings, ManualClock(now_ms=START_MS)) as (core, *_):
            config = _server(core, application(core)).config
            spans.append((config.ws_ping_interval, config.ws_ping_timeout))

    assert spans == [(20, 60), (1, 3)]


async def test_queued_frames_reach_the_client_whole_and_in_order(
    exchange: Any, asking: Any
) -> None:
    """A frame of each size class: the lengths of WebSocket headers differ."""
    async with exchange() as venue, venue.connect("/ws") as socket:
        sizes = (1, 200, 70_000)
        for size in sizes:
            await socket.send(
                json.dumps({"method": "SUBSCRIBE", "params": ["x" * size + "@trade"], "id": size})
            )
        done = [json.loads(await socket.recv())["id"] for _ in sizes]
        listed = await asking(socket, "LIST_SUBSCRIPTIONS", None, 9)

    assert done == list(sizes)
    assert [len(name) - 6 for name in listed["result"]] == list(sizes)


async def test_a_queue_that_overflows_loses_its_client() -> None:
    outbound = Outbound("slow", 2)

    pushed = [outbound.push(text) for text in "abcd"]

    assert pushed == [True, True, False, False]
    with anyio.fail_after(1):
        await outbound.lost.wait()
    outbound.close()


async def test_an_address_cut_off_again_and_again_is_banned(exchange: Any) -> None:
    settings = ExchangeSettings(request_limits=RequestLimits(cuts_before_ban=1))
    async with exchange(settings) as venue, venue.connect("/ws") as quiet:
        for _ in range(2):
            async with venue.connect("/ws") as socket:
                for _ in range(11):
                    await socket.ping()
                await socket.wait_closed()
        await quiet.wait_closed()
        with pytest.raises(InvalidStatus) as caught:
            await venue.connect("/ws")
        answer = await venue.http.get("/api/v3/ping")

    assert (caught.value.response.status_code, answer.status_code) == (418, 418)
    assert caught.value.response.headers["Retry-After"] == answer.headers["Retry-After"]
