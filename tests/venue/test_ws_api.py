"""The WebSocket API: replies find their requests, losses leave mutations unknown."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import anyio
import pytest
from websockets.asyncio.server import ServerConnection, serve

from livespot.contracts.errors import (
    KeyRefused,
    LivespotError,
    NotSent,
    OutcomeUnknown,
    Refused,
    Throttled,
    Unreachable,
)
from livespot.contracts.orders import CancelReplaceRequest, CancelRequest, OrderRequest, OrderUpdate
from livespot.contracts.secret import Secret
from livespot.contracts.vocabulary import OrderType, Side
from livespot.runtime.clock import SystemClock
from livespot.venue.signing import HmacSigner, socket_payload
from livespot.venue.sockets import WebsocketsTransport
from livespot.venue.time_sync import TimeSync
from livespot.venue.weights import WeightBudget
from livespot.venue.ws_api import WsApiConnection
from livespot.venue.ws_orders import WsApiOrders

_CANARY = "canary-91e4d7"
_SIGNER = HmacSigner(api_key=Secret("key"), secret=Secret(_CANARY))
_CANCEL = CancelRequest(symbol="BTCUSDT", client_order_id="c-1", order_id=7)

Request = dict[str, Any]
Answer = Callable[[ServerConnection, Request], Awaitable[None]]


def _order(client_id: str = "x-1") -> OrderRequest:
    return OrderRequest(
        symbol="BTCUSDT",
        side=Side.BUY,
        type=OrderType.MARKET,
        qty=Decimal(1),
        client_order_id=client_id,
    )


class _Server:
    """Grants subscriptions and leaves every other request to `answer`."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.requests: list[Request] = []

    async def handle(self, connection: ServerConnection) -> None:
        async for text in connection:
            request = json.loads(text)
            self.requests.append(request)
            if request["method"].startswith("userDataStream"):
                await _reply(connection, request, {"subscriptionId": 0})
            else:
                await self.answer(connection, request)


async def _reply(connection: ServerConnection, request: Request, result: object) -> None:
    reply = {"id": request["id"], "status": 200, "result": result}
    await connection.send(json.dumps(reply))


@asynccontextmanager
async def _connection(answer: Answer) -> AsyncIterator[tuple[WsApiConnection, _Server]]:
    clock = SystemClock()
    server = _Server(answer)

    async def never() -> int:
        raise Unreachable("no clock to read")

    server_clock = TimeSync(clock, never)
    async with serve(server.handle, "127.0.0.1", 0) as listening:
        port = next(iter(listening.sockets)).getsockname()[1]
        yield (
            WsApiConnection(
                transport=WebsocketsTransport(clock),
                url=f"ws://127.0.0.1:{port}/ws-api/v3",
                clock=clock,
                server_clock=server_clock,
                signer=_SIGNER,
                budget=WeightBudget(server_clock.steady_now_ms),
            ),
            server,
        )


def _sample(sockets: dict[str, bytes], name: str) -> Request:
    sample: Request = json.loads(sockets[name])
    return sample


async def test_an_order_is_signed_sent_once_and_answered(sockets: dict[str, bytes]) -> None:
    full = _sample(sockets, "wsapi_order_place_full")

    async def answer(connection: ServerConnection, request: Request) -> None:
        await connection.send(json.dumps(full | {"id": request["id"]}))

    async with _connection(answer) as (connection, server), connection.open():
        placed = await WsApiOrders(connection, timeout_seconds=5).place(_order())

    subscribe, place = server.requests
    assert subscribe["method"] == "userDataStream.subscribe.signature"
    assert place["method"] == "order.place"
    params = place["params"]
    assert params["signature"] == _SIGNER.sign(socket_payload(params))
    assert isinstance(params["timestamp"], int)
    assert params["quantity"] == "1"
    assert len(placed.updates[0].fills) == len(full["result"]["fills"])


async def test_replies_in_any_order_find_their_requests() -> None:
    held: list[Request] = []

    async def answer(connection: ServerConnection, request: Request) -> None:
        held.append(request)
        for one in reversed(held) if len(held) == 3 else ():
            number = int(one["params"]["newClientOrderId"])
            acknowledged = {
                "symbol": "BTCUSDT",
                "orderId": number,
                "clientOrderId": str(number),
                "transactTime": 1,
            }
            await _reply(connection, one, acknowledged)

    found: dict[str, int] = {}

    async with _connection(answer) as (connection, _), connection.open():
        orders = WsApiOrders(connection, timeout_seconds=5)

        async def place(client_id: str) -> None:
            placed = await orders.place(_order(client_id))
            found[client_id] = placed.updates[0].order.order_id

        async with anyio.create_task_group() as tasks:
            for client_id in ("11", "12", "13"):
                tasks.start_soon(place, client_id)

    assert found == {"11": 11, "12": 12, "13": 13}


async def test_a_lost_connection_leaves_unanswered_mutations_unknown() -> None:
    unknown: list[str] = []

    async def answer(connection: ServerConnection, request: Request) -> None:
        if request["params"]["newClientOrderId"] == "12":
            await connection.close()

    async with _connection(answer) as (connection, server), connection.open() as events:
        orders = WsApiOrders(connection, timeout_seconds=5)

        async def place(client_id: str) -> None:
            try:
                await orders.place(_order(client_id))
            except OutcomeUnknown as error:
                unknown.append(error.client_order_id)

        async with anyio.create_task_group() as tasks:
            for client_id in ("11", "12"):
                tasks.start_soon(place, client_id)
        with pytest.raises(Unreachable):
            await events.next()
        with pytest.raises(NotSent):
            await orders.place(_order("13"))

    assert sorted(unknown) == ["11", "12"]
    assert len(server.requests) == 3


async def test_no_reply_in_time_is_unknown_and_a_late_one_is_ignored() -> None:
    async def answer(connection: ServerConnection, request: Request) -> None:
        if request["method"] == "session.status":
            await _reply(connection, {"id": 2}, {"orderId": 1, "symbol": "BTCUSDT"})
            await _reply(connection, request, {})

    async with _connection(answer) as (connection, _), connection.open():
        with pytest.raises(OutcomeUnknown):
            await WsApiOrders(connection, timeout_seconds=0.03).place(_order())

        await connection.probe()

        assert connection.connected


async def test_without_a_connection_nothing_is_sent() -> None:
    async def answer(_connection: ServerConnection, _request: Request) -> None:
        pytest.fail("nothing may arrive")

    async with _connection(answer) as (connection, _):
        with pytest.raises(NotSent):
            await WsApiOrders(connection, timeout_seconds=1).place(_order())


_ERRORS: list[tuple[int, dict[str, Any], type[LivespotError]]] = [
    (400, {"code": -2010, "msg": "Account has insufficient balance."}, Refused),
    (504, {"code": -1007, "msg": "Timeout"}, OutcomeUnknown),
    (401, {"code": -2015, "msg": "Invalid API-key"}, KeyRefused),
    (429, {"code": -1015, "msg": "Too many new orders"}, Throttled),
    (418, {"code": -1003, "msg": "banned", "data": {"retryAfter": 4102444800000}}, Throttled),
    (400, {"nothing": "readable"}, OutcomeUnknown),
]


@pytest.mark.parametrize(("status", "error", "kind"), _ERRORS)
async def test_an_error_reply_is_classified_like_a_rest_answer(
    status: int, error: dict[str, Any], kind: type[LivespotError]
) -> None:
    async def answer(connection: ServerConnection, request: Request) -> None:
        reply = {"id": request["id"], "status": status, "error": error}
        await connection.send(json.dumps(reply))

    async with _connection(answer) as (connection, _):
        with pytest.raises(kind) as caught:
            async with connection.open():
                await WsApiOrders(connection, timeout_seconds=5).cancel(_CANCEL)

    assert _CANARY not in f"{caught.value} {caught.value.__cause__!r}"
    if status == 418:
        assert isinstance(caught.value, Throttled)
        assert caught.value.retry_after_ms > 10**10


async def test_a_half_done_cancel_replace_shows_both_halves(sockets: dict[str, bytes]) -> None:
    sample = _sample(sockets, "wsapi_order_cancelReplace_409_new_failed")

    async def answer(connection: ServerConnection, request: Request) -> None:
        await connection.send(json.dumps(sample | {"id": request["id"]}))

    async with _connection(answer) as (connection, _), connection.open():
        result = await WsApiOrders(connection, timeout_seconds=5).cancel_replace(
            CancelReplaceRequest(cancel=_CANCEL, order=_order())
        )

    assert result.cancelled is not None
    assert result.cancelled.order.executed_qty == Decimal("0.00001")
    assert result.place_error == (-2010, "Order would immediately match and take.")


async def test_events_arrive_in_order_beside_replies(sockets: dict[str, bytes]) -> None:
    async def answer(connection: ServerConnection, request: Request) -> None:
        for event in json.loads(sockets["sequence_market_expired"]):
            await connection.send(json.dumps({"subscriptionId": 0, "event": event}))
        await _reply(connection, request, {})

    async with _connection(answer) as (connection, _), connection.open() as events:
        await connection.probe()
        received = [await events.next() for _ in range(5)]

    statuses = [one.order.raw_status for one in received if isinstance(one, OrderUpdate)]
    assert statuses == ["NEW", "PARTIALLY_FILLED", "PARTIALLY_FILLED", "EXPIRED"]


async def test_a_revoked_session_ends_the_events(sockets: dict[str, bytes]) -> None:
    async def answer(connection: ServerConnection, _request: Request) -> None:
        await connection.send(sockets["wsapi_session_revoked"].decode())

    async with _connection(answer) as (connection, _), connection.open() as events:
        with pytest.raises(Unreachable):
            await connection.probe()
        with pytest.raises(Unreachable, match="401"):
            await events.next()

        assert not connection.connected


async def test_a_connection_can_be_opened_again() -> None:
    async def answer(connection: ServerConnection, request: Request) -> None:
        await _reply(connection, request, {})

    async with _connection(answer) as (connection, server):
        for _ in range(2):
            async with connection.open(user_events=False):
                await connection.probe()

    assert [request["method"] for request in server.requests] == ["session.status"] * 2
