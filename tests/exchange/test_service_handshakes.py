"""How connections to the WebSocket API begin and end, over real sockets."""

import json
from dataclasses import replace
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from livespot.exchange.settings import ExchangeSettings, RequestLimits

ORDERS = "/ws-api/v3"
SOL = ExchangeSettings(symbols=frozenset({"SOLUSDT"}))


async def test_a_connection_ends_with_age_after_a_farewell(exchange: Any) -> None:
    short = replace(SOL, connection_life_ms=3000, shutdown_notice_ms=1000)
    async with exchange(short, speed=20) as venue:
        # Before the handshake: after it, a busy machine has let market time pass already.
        opened_ms = venue.clock.now_ms()
        async with venue.connect(ORDERS) as socket:
            farewell = json.loads(await socket.recv())
            with pytest.raises(ConnectionClosed):
                await socket.recv()
        closed_ms = venue.clock.now_ms()

    assert farewell["event"]["e"] == "serverShutdown"
    assert farewell["event"]["E"] - opened_ms >= 1900
    assert closed_ms - opened_ms >= 2900


async def test_too_many_attempts_to_connect_are_turned_away(exchange: Any) -> None:
    limits = RequestLimits(connections=2)
    async with exchange(replace(SOL, request_limits=limits)) as venue:
        async with venue.connect(ORDERS), venue.connect(ORDERS):
            pass
        with pytest.raises(InvalidStatus) as caught:
            async with venue.connect(ORDERS):
                pass

    response = caught.value.response
    assert response.status_code == 429
    assert 0 < int(response.headers["Retry-After"]) <= 300
    assert response.body is not None
    assert json.loads(response.body)["code"] == -1034


async def test_a_connection_costs_weight(exchange: Any, asking: Any) -> None:
    async with exchange(SOL) as venue, venue.connect(ORDERS) as socket:
        ping = await asking(socket, "ping")

    assert ping["rateLimits"][-1]["count"] == 3


async def test_the_address_chooses_unit_and_limits(exchange: Any, asking: Any) -> None:
    path = f"{ORDERS}?timeUnit=microsecond&returnRateLimits=false"
    async with exchange(SOL) as venue, venue.connect(path) as socket:
        time = await asking(socket, "time")
        now_ms = venue.clock.now_ms()

    assert set(time) == {"id", "status", "result"}
    assert 0 <= now_ms - time["result"]["serverTime"] // 1000 < 1000


@pytest.mark.parametrize(
    ("query", "code"),
    [
        pytest.param("timeUnit=NANOSECOND", -1194, id="unit"),
        pytest.param("returnRateLimits=perhaps", -1100, id="limits"),
    ],
)
async def test_a_wrong_address_is_refused(exchange: Any, query: str, code: int) -> None:
    async with exchange(SOL) as venue:
        with pytest.raises(InvalidStatus) as caught:
            async with venue.connect(f"{ORDERS}?{query}"):
                pass

    assert caught.value.response.status_code == 400
    assert caught.value.response.body is not None
    assert json.loads(caught.value.response.body)["code"] == code


async def test_a_refused_handshake_is_no_error_of_the_server(
    exchange: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with exchange() as venue:
        for path in ("/ws-api/v3?timeUnit=DAY", "/stream?timeUnit=DAY"):
            with pytest.raises(InvalidStatus) as caught:
                await venue.connect(path)
            assert caught.value.response.status_code == 400

    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []
