"""Market streams: shapes, control messages, local order book, slow readers."""

import json
from typing import Any

import anyio
import pytest

from livespot.exchange.outbound import Outbound
from livespot.exchange.stream_face import Control

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


async def test_the_local_book_recipe_ends_in_the_exchange_s_book(exchange: Any) -> None:
    async with (
        exchange(speed=4) as venue,
        venue.connect("/ws/solusdt@depth@100ms") as socket,
    ):
        first = json.loads(await socket.recv())
        snapshot = await venue.get("depth", symbol="SOLUSDT", limit=5000)
        assert snapshot["lastUpdateId"] >= first["U"] - 1
        sides = {"b": dict(snapshot["bids"]), "a": dict(snapshot["asks"])}
        known, applied = snapshot["lastUpdateId"], 0
        while applied < 10:
            event = json.loads(await socket.recv())
            if event["u"] <= known:
                continue
            assert event["U"] <= known + 1
            for side, levels in sides.items():
                for price, qty in event[side]:
                    levels[price] = qty
                    if float(qty) == 0:
                        del levels[price]
            known, applied = event["u"], applied + 1
        later = await venue.get("depth", symbol="SOLUSDT", limit=5000)
        while known < later["lastUpdateId"]:
            event = json.loads(await socket.recv())
            for side, levels in sides.items():
                levels.update(event[side])
            known = event["u"]

    if known == later["lastUpdateId"]:
        for side, name in (("b", "bids"), ("a", "asks")):
            mine = {price: qty for price, qty in sides[side].items() if float(qty) > 0}
            assert mine == dict(later[name])


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


@pytest.fixture
def control() -> Any:
    from livespot.exchange.engine import Engine
    from livespot.exchange.market_hub import Listener, MarketHub
    from livespot.exchange.model import OrderLimits
    from livespot.testing.clock import ManualClock

    outbound = Outbound("test", 8)
    hub = MarketHub(Engine([], [], OrderLimits()), {})
    yield Control(hub, Listener(outbound), ManualClock())
    outbound.close()


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        pytest.param(
            '{"method":"GET_PROPERTY","params":["combined"],"id":2}',
            {"result": False, "id": 2},
            id="get-property",
        ),
        pytest.param(
            '{"method":"SET_PROPERTY","params":["combined",true],"id":"x"}',
            {"result": None, "id": "x"},
            id="set-property",
        ),
        pytest.param(
            '{"method":"GET_PROPERTY","params":["color"],"id":1}',
            {"code": 0, "msg": "Unknown property", "id": 1},
            id="unknown-property",
        ),
        pytest.param(
            '{"method":"SET_PROPERTY","params":["combined","yes"],"id":1}',
            {"code": 1, "msg": "Invalid value type: expected Boolean", "id": 1},
            id="not-boolean",
        ),
        pytest.param(
            '{"method":"GET_PROPERTY","params":[1],"id":1}',
            {"code": 2, "msg": "Invalid request: property name must be a string", "id": 1},
            id="property-name",
        ),
        pytest.param(
            '{"method":"GET_PROPERTY","params":["combined",1],"id":1}',
            {"code": 2, "msg": "Invalid request: too many parameters", "id": 1},
            id="too-many",
        ),
        pytest.param(
            '{"method":"LIST_SUBSCRIPTIONS","id":1.5}',
            {"code": 2, "msg": "Invalid request: request ID must be an unsigned integer"},
            id="id",
        ),
        pytest.param(
            "{nonsense",
            {"code": 3, "msg": "Invalid JSON: expected value at line 1 column 1"},
            id="json",
        ),
    ],
)
async def test_control_replies(control: Any, text: str, answer: dict[str, object]) -> None:
    assert control.reply(text) == answer


async def test_unknown_methods_are_told_the_known_ones(control: Any) -> None:
    reply = control.reply('{"method":"DANCE","id":1}')

    assert reply["code"] == 2
    assert reply["msg"].startswith(
        "Invalid request: unknown variant `DANCE`, expected one of `SUBSCRIBE`, `UNSUBSCRIBE`"
    )
    assert "missing field `method`" in control.reply('{"id":1}')["msg"]


async def test_a_client_that_talks_too_much_is_cut_off(exchange: Any) -> None:
    async with exchange() as venue, venue.connect("/ws") as socket:
        for number in range(30):
            await socket.send(f'{{"method":"LIST_SUBSCRIPTIONS","id":{number}}}')
        await socket.wait_closed()

    assert socket.close_code == 1008


async def test_a_queue_that_overflows_loses_its_client() -> None:
    outbound = Outbound("slow", 2)

    pushed = [outbound.push(text) for text in "abcd"]

    assert pushed == [True, True, False, False]
    with anyio.fail_after(1):
        await outbound.lost.wait()
    outbound.close()
