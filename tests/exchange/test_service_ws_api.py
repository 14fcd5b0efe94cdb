"""The WebSocket API: orders, sessions and private events on one socket."""

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from websockets.asyncio.client import ClientConnection

from livespot.exchange.settings import ApiKey, ExchangeSettings
from livespot.exchange.signing import signed_text

ORDERS = "/ws-api/v3"
SOL = frozenset({"SOLUSDT"})
# 2021-04-20T11:50 UTC: the price falls for half a minute.
DIP_MS = 1_618_919_400_000
LIMIT_FAR_AWAY = {
    "symbol": "SOLUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "1.00",
    "price": "25.0000",
}


async def events_until(socket: ClientConnection, kind: str) -> list[dict[str, Any]]:
    """Private events up to and including the first of a kind."""
    seen = []
    while True:
        frame = json.loads(await socket.recv())
        if "event" in frame:
            assert set(frame) == {"subscriptionId", "event"}
            seen.append(frame["event"])
            if frame["event"]["e"] == kind:
                return seen


async def test_public_requests_answer_with_their_rate_limits(exchange: Any, asking: Any) -> None:
    async with exchange() as venue, venue.connect(ORDERS) as socket:
        ping = await asking(socket, "ping")
        time = await asking(socket, "v3/time", {"returnRateLimits": False})
        info = await asking(socket, "exchangeInfo", {"symbols": ["SOLUSDT"]})
        klines = await asking(socket, "klines", {"symbol": "SOLUSDT", "interval": "5m", "limit": 3})

    assert ping["status"] == 200
    assert ping["result"] == {}
    assert ping["rateLimits"][0]["rateLimitType"] == "REQUEST_WEIGHT"
    assert set(time) == {"id", "status", "result"}
    assert info["result"]["rateLimits"][-1]["rateLimitType"] == "CONNECTIONS"
    assert len(klines["result"]) == 3


async def test_an_order_and_its_events_travel_on_one_socket(exchange: Any, asking: Any) -> None:
    async with exchange() as venue, venue.connect(ORDERS) as socket:
        heard = await asking(socket, "userDataStream.subscribe.signature", venue.signed_params(), 1)
        twice = await asking(socket, "userDataStream.subscribe.signature", venue.signed_params(), 2)
        order = venue.signed_params(**LIMIT_FAR_AWAY, newClientOrderId="mine")
        await socket.send(json.dumps({"id": 3, "method": "order.place", "params": order}))
        opened = await events_until(socket, "outboundAccountPosition")
        placed = json.loads(await socket.recv())
        which = {"symbol": "SOLUSDT", "origClientOrderId": "mine"}
        status = await asking(socket, "order.status", venue.signed_params(**which), 4)
        await socket.send(
            json.dumps({"id": 5, "method": "order.cancel", "params": venue.signed_params(**which)})
        )
        closed = await events_until(socket, "outboundAccountPosition")

    assert heard["result"] == {"subscriptionId": 0}
    assert (twice["status"], twice["error"]["code"]) == (400, -2035)
    assert [event["e"] for event in opened] == ["executionReport", "outboundAccountPosition"]
    assert (opened[0]["x"], opened[0]["X"], opened[0]["c"]) == ("NEW", "NEW", "mine")
    assert opened[1]["B"][0]["l"] == "25.00000000"
    assert (placed["id"], placed["status"]) == (3, 200)
    assert [limit["rateLimitType"] for limit in placed["rateLimits"]] == [
        "ORDERS",
        "ORDERS",
        "REQUEST_WEIGHT",
    ]
    assert status["result"]["status"] == "NEW"
    assert (closed[0]["x"], closed[0]["C"]) == ("CANCELED", "mine")


async def test_a_list_is_placed_and_cancelled(exchange: Any, asking: Any) -> None:
    legs = {
        "symbol": "SOLUSDT",
        "workingType": "LIMIT",
        "workingSide": "BUY",
        "workingPrice": "25.0000",
        "workingQuantity": "2.00",
        "workingTimeInForce": "GTC",
        "pendingSide": "SELL",
        "pendingQuantity": "2.00",
        "pendingAboveType": "LIMIT_MAKER",
        "pendingAbovePrice": "40.0000",
        "pendingBelowType": "STOP_LOSS_LIMIT",
        "pendingBelowPrice": "19.9000",
        "pendingBelowStopPrice": "20.0000",
        "pendingBelowTimeInForce": "GTC",
        "listClientOrderId": "list-1",
    }
    async with exchange() as venue, venue.connect(ORDERS) as socket:
        placed = await asking(socket, "orderList.place.otoco", venue.signed_params(**legs), 1)
        listed = await asking(socket, "openOrderLists.status", venue.signed_params(), 2)
        which = venue.signed_params(symbol="SOLUSDT", listClientOrderId="list-1")
        ended = await asking(socket, "orderList.cancel", which, 3)
        orders = await asking(socket, "openOrders.status", venue.signed_params(), 4)

    assert placed["status"] == 200, placed
    assert len(placed["result"]["orderReports"]) == 3
    assert listed["result"][0]["listClientOrderId"] == "list-1"
    assert ended["result"]["listOrderStatus"] == "ALL_DONE"
    assert orders["result"] == []


async def test_a_maker_order_at_the_bid_is_filled_by_the_recorded_market(
    exchange: Any, asking: Any
) -> None:
    async with (
        exchange(start_ms=DIP_MS, speed=20) as venue,
        venue.connect(ORDERS) as socket,
    ):
        await asking(socket, "userDataStream.subscribe.signature", venue.signed_params(), 1)
        book = await venue.get("ticker/bookTicker", symbol="SOLUSDT")
        order = {
            "symbol": "SOLUSDT",
            "side": "BUY",
            "type": "LIMIT_MAKER",
            "quantity": "10.00",
            "price": f"{float(book['bidPrice']):.4f}",
        }
        placed = await asking(socket, "order.place", venue.signed_params(**order), 2)
        report: dict[str, Any] = {}
        while report.get("X") != "FILLED":
            report = (await events_until(socket, "executionReport"))[-1]

    assert placed["status"] == 200, placed
    assert report["m"] is True
    assert float(report["L"]) == float(book["bidPrice"])
    assert report["N"] == "SOL"


async def test_a_session_needs_an_ed25519_key(exchange: Any, asking: Any) -> None:
    private = Ed25519PrivateKey.generate()
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    key = ApiKey(key="ed", account_id="demo", public_key_pem=pem.decode())
    settings = ExchangeSettings(keys=(*ExchangeSettings().keys, key), symbols=SOL)
    async with exchange(settings) as venue, venue.connect(ORDERS) as socket:
        early = await asking(socket, "userDataStream.subscribe", None, 1)
        by_hmac = await asking(socket, "session.logon", venue.signed_params(), 2)
        plain = {"apiKey": "ed", "timestamp": str(venue.clock.now_ms())}
        signature = base64.b64encode(private.sign(signed_text(plain))).decode()
        forged = await asking(socket, "session.logon", plain | {"signature": "AAAA"}, 3)
        on = await asking(socket, "session.logon", plain | {"signature": signature}, 4)
        stamp = {"timestamp": venue.clock.now_ms()}
        account = await asking(socket, "account.status", stamp, 5)
        heard = await asking(socket, "userDataStream.subscribe", None, 6)
        ids = await asking(socket, "session.subscriptions", {}, 7)
        await socket.send('{"id":8,"method":"session.logout"}')
        ended = await events_until(socket, "eventStreamTerminated")
        out = json.loads(await socket.recv())
        after = await asking(socket, "account.status", stamp, 9)

    assert (early["status"], early["error"]["code"]) == (401, -2015)
    assert by_hmac["error"]["code"] == -4056
    assert forged["error"]["code"] == -1022
    assert on["result"]["apiKey"] == "ed"
    assert account["result"]["canTrade"] is True
    assert heard["result"] == {"subscriptionId": 0}
    assert ids["result"] == [{"subscriptionId": 0}]
    assert len(ended) == 1
    assert (out["result"]["apiKey"], out["result"]["userDataStream"]) == (None, False)
    assert after["error"]["code"] == -2014


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        pytest.param("{nonsense", -1135, id="json"),
        pytest.param('{"id":1,"method":"dance"}', -1020, id="method"),
        pytest.param('{"id":1,"method":"klines","params":{"symbol":"X"}}', -1121, id="symbol"),
        pytest.param('{"id":1,"method":"account.status"}', -2014, id="key"),
        pytest.param('{"id":1,"method":"userDataStream.unsubscribe"}', 0, id="nothing-heard"),
    ],
)
async def test_a_bad_frame_gets_an_error_and_keeps_the_socket(
    exchange: Any, asking: Any, frame: str, code: int
) -> None:
    async with exchange() as venue, venue.connect(ORDERS) as socket:
        await socket.send(frame)
        answer = json.loads(await socket.recv())
        ping = await asking(socket, "ping", None, 2)

    assert answer.get("error", {"code": 0})["code"] == code
    assert ping["status"] == 200


async def test_a_half_done_cancel_replace_is_an_error_with_both_halves(
    exchange: Any, asking: Any
) -> None:
    change = {
        **LIMIT_FAR_AWAY,
        "cancelReplaceMode": "ALLOW_FAILURE",
        "cancelOrigClientOrderId": "nobody",
    }
    async with exchange() as venue, venue.connect(ORDERS) as socket:
        answer = await asking(socket, "order.cancelReplace", venue.signed_params(**change))

    assert answer["status"] == 409
    assert answer["error"]["code"] == -2021
    assert answer["error"]["data"]["newOrderResult"] == "SUCCESS"
