"""The REST face: forms, proofs, limits, removed paths and the page at the root."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.exchange.desk import HOST, SOL, START_MS, SYMBOL, Desk, open_desk, sign

from livespot.exchange.model import OrderLimits
from livespot.exchange.settings import ApiKey, RequestLimits, SharedClock
from livespot.testing.clock import ManualClock

ORDER = {
    "symbol": SYMBOL,
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "1.00",
    "price": "28.0000",
}
FORM = "&".join(f"{name}={value}" for name, value in ORDER.items())


class HurriedClock(ManualClock):
    """Runs on by `step_ms` whenever it is read."""

    step_ms = 0

    def now_ms(self) -> int:
        self.advance(self.step_ms)
        return self.wall_ms


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    with open_desk(replace(SOL, order_limits=OrderLimits(ten_seconds=10**6))) as one:
        yield one


def stamped(text: str = "") -> str:
    return f"{text}&timestamp={START_MS}".removeprefix("&")


@pytest.mark.parametrize(
    ("query", "body"),
    [
        pytest.param(stamped(FORM), "", id="query"),
        pytest.param("", stamped(FORM), id="body"),
        pytest.param(FORM, f"timestamp={START_MS}", id="both"),
    ],
)
def test_an_order_may_come_in_the_query_or_the_body(desk: Desk, query: str, body: str) -> None:
    signature = f"&signature={sign(query + body)}"
    in_query = desk.send("POST", "order", query + signature, body)
    in_body = desk.send("POST", "order", query, (body + signature).removeprefix("&"))

    assert in_query.status == 200, in_query.body
    assert in_body.status == 200, in_body.body


def test_the_query_wins_where_both_name_a_parameter(desk: Desk) -> None:
    query, body = stamped(FORM), "price=1.0000"
    reply = desk.send("POST", "order", f"{query}&signature={sign(query + body)}", body)

    assert reply.json["price"] == "28.00000000"


def test_a_signature_counts_in_upper_case_and_for_exactly_these_bytes(desk: Desk) -> None:
    text = stamped(FORM)
    upper = desk.send("POST", "order/test", f"{text}&signature={sign(text).upper()}")
    other = desk.send("POST", "order/test", f"{text}&recvWindow=1&signature={sign(text)}")

    assert upper.status == 200
    assert (other.status, other.json["code"]) == (400, -1022)


def test_a_foreign_symbol_must_be_escaped_before_signing(desk: Desk) -> None:
    raw = stamped("symbol=币安人生USDT")
    escaped = stamped(f"symbol={quote('币安人生USDT')}")

    answers = [
        desk.send("GET", "openOrders", f"{text}&signature={sign(text)}").json["code"]
        for text in (raw, escaped)
    ]

    assert answers == [-1022, -1121]


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        pytest.param("depth", f"symbol={SYMBOL}&symbol={SYMBOL}", -1101, id="twice"),
        pytest.param("depth", f"symbol={SYMBOL}&limit=", -1105, id="empty"),
        pytest.param("depth", f"symbol={SYMBOL}&limit=x", -1100, id="letters"),
        pytest.param("depth", f"symbol={SYMBOL}&limit=99999999999", -1108, id="overflow"),
        pytest.param("depth", f"symbol={SYMBOL}&deep=1", -1104, id="stray"),
        pytest.param("depth", f"symbol={SYMBOL}&x=%FF", -1100, id="bytes"),
        pytest.param("klines", f"symbol={SYMBOL}&interval=1H", -1120, id="interval"),
        pytest.param("klines", f"symbol={SYMBOL}&interval=1m&startTime=-1", -1100, id="negative"),
    ],
)
def test_a_wrong_form_is_refused(desk: Desk, path: str, query: str, code: int) -> None:
    reply = desk.send("GET", path, query)

    assert (reply.status, reply.json["code"]) == (400, code)


def test_nothing_is_allocated_without_smart_order_routing(desk: Desk) -> None:
    assert desk.signed("GET", "myAllocations", symbol=SYMBOL).json == []
    assert desk.signed("GET", "myAllocations", symbol=SYMBOL, n="1").json["code"] == -1104


def test_a_body_of_another_kind_is_signed_but_not_read(desk: Desk) -> None:
    query, body = stamped("symbol=NOPE"), json.dumps({"symbol": SYMBOL})
    signed = f"{query}&signature={sign(query + body)}"

    reply = desk.send("DELETE", "openOrders", signed, body, content_type="application/json")

    assert reply.json["code"] == -1121


def test_a_key_must_look_like_one(desk: Desk) -> None:
    def refused(key: str) -> tuple[int, int]:
        reply = desk.send("GET", "account", stamped() + "&signature=0", x_mbx_apikey=key)
        return reply.status, reply.json["code"]

    assert refused("") == (401, -2014)
    assert refused("with blank") == (401, -2014)
    assert refused("k" * 129) == (401, -2014)
    assert refused("unknown-key") == (401, -2015)


def test_an_ed25519_signature_travels_escaped() -> None:
    private = Ed25519PrivateKey.generate()
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    key = ApiKey(key="ed", account_id="demo", public_key_pem=pem.decode())
    text = stamped()
    signature = quote(base64.b64encode(private.sign(text.encode())).decode(), safe="")
    with open_desk(replace(SOL, keys=(key,))) as desk:
        reply = desk.send("GET", "account", f"{text}&signature={signature}", x_mbx_apikey="ed")

    assert reply.status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("POST", "userDataStream", 410, id="listen-key-start"),
        pytest.param("PUT", "userDataStream", 410, id="listen-key-ping"),
        pytest.param("DELETE", "userDataStream", 410, id="listen-key-stop"),
        pytest.param("GET", "nothing", 404, id="unknown"),
        pytest.param("GET", "/api/v1/ping", 404, id="old-version"),
        pytest.param("POST", "ping", 405, id="method"),
    ],
)
def test_what_is_not_served_says_so(desk: Desk, method: str, path: str, status: int) -> None:
    reply = desk.send(method, path)
    page = desk.send(method, path, accept="text/html")

    assert reply.status == status
    assert reply.json["code"] == -1020
    assert ("html" in page.headers["content-type"]) is (status == 404)
    assert reply.headers.get("allow") == ("GET" if status == 405 else None)


def test_a_revoked_key_opens_nothing_any_more() -> None:
    with open_desk() as desk:
        before = desk.signed("GET", "account")
        desk.core.revoke_key(SOL.keys[0].key)
        after = desk.signed("GET", "account")

    assert before.status == 200
    assert (after.status, after.json["code"]) == (401, -2015)


def test_a_key_may_lose_the_right_to_trade() -> None:
    with open_desk() as desk:
        desk.core.set_key(replace(SOL.keys[0], can_trade=False))
        reply = desk.signed("POST", "order", **ORDER)

    assert (reply.status, reply.json["code"]) == (401, -2015)


@pytest.mark.parametrize(
    ("path", "orders"),
    [
        pytest.param("order", 1, id="order"),
        pytest.param("order/cancelReplace", 1, id="replace"),
        pytest.param("orderList/oco", 2, id="oco"),
        pytest.param("orderList/otoco", 3, id="otoco"),
        pytest.param("order/test", 0, id="test"),
    ],
)
def test_an_order_that_got_old_on_its_way_counts_but_is_not_placed(path: str, orders: int) -> None:
    clock = HurriedClock(START_MS)
    with open_desk(clock=clock) as desk:
        text = f"{FORM}&timestamp={clock.wall_ms}&recvWindow=250"
        clock.step_ms = 100
        reply = desk.send("POST", path, f"{text}&signature={sign(text)}")
        clock.step_ms = 0
        counts = desk.core.engine.order_counts("demo", clock.wall_ms)
        still = desk.core.engine.open_orders("demo", {})

    assert (reply.status, reply.json["code"]) == (400, -1021)
    assert counts == (orders, orders)
    assert still == []


def test_order_counts_are_told_and_their_limit_says_when_to_come_back() -> None:
    limits = OrderLimits(ten_seconds=2, day=3)
    clock = ManualClock(START_MS)
    with open_desk(replace(SOL, order_limits=limits), clock) as desk:
        first, second, third = (desk.signed("POST", "order", **ORDER) for _ in range(3))
        clock.advance(10_000)
        fourth, fifth = (desk.signed("POST", "order", **ORDER) for _ in range(2))

    assert [first.headers[f"x-mbx-order-count-{span}"] for span in ("10s", "1d")] == ["1", "1"]
    assert second.headers["x-mbx-order-count-10s"] == "2"
    assert (third.status, third.json["code"]) == (429, -1015)
    assert third.headers["retry-after"] == "10"
    assert fourth.status == 200
    assert int(fifth.headers["retry-after"]) == 86_400 - (START_MS // 1000 + 10) % 86_400


def test_a_ban_cuts_sockets_and_refuses_connections() -> None:
    limits = RequestLimits(weight_per_minute=1, refusals_before_ban=0)
    with (
        open_desk(replace(SOL, request_limits=limits)) as desk,
        desk.talk() as talk,
        desk.talk() as other,
    ):
        desk.core.sockets.add(talk.outbound, talk.session.farewell, HOST)
        desk.core.sockets.add(other.outbound, other.session.farewell, "192.0.2.1")
        desk.get("ping")
        banned = desk.get("ping")
        again = desk.get("time")
        spared = not other.outbound.lost.is_set()

    assert (banned.status, again.status) == (418, 418)
    assert banned.headers["retry-after"] == "120"
    assert talk.outbound.lost.is_set()
    assert spared


def test_requests_count_even_where_nothing_is_served() -> None:
    limits = RequestLimits(raw_requests=2, refusals_before_ban=1)
    with open_desk(replace(SOL, request_limits=limits)) as desk:
        statuses = [desk.send("GET", "nothing").status for _ in range(4)]
        still = desk.send("POST", "userDataStream").status

    assert statuses == [404, 404, 429, 418]
    assert still == 418


def test_the_root_tells_people_what_this_is(desk: Desk) -> None:
    page = desk.send("GET", "/", accept="text/html,*/*")

    assert page.status == 200
    text = page.body.decode()
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "only pretends" in text
    assert "No real money" in text
    assert "API documentation" in text
    assert "2021-04-20T11:47:00Z" in text
    assert SYMBOL in text
    assert "<script" not in text
    assert "http" not in text.replace("http://127.0.0.1:2", "")


def test_the_root_tells_programs_the_same() -> None:
    fast = replace(SOL, shared_clock=SharedClock(wall_ms=0, market_ms=START_MS, speed=30))
    with open_desk(fast) as desk:
        facts = desk.send("GET", "/", accept="application/json").json

    assert facts["speed"] == 30
    assert facts["marketTimeMs"] == START_MS
    assert facts["symbols"] == [SYMBOL]
    assert facts["rest"] == "http://127.0.0.1:2/api/v3"
    assert facts["websocketApi"] == "ws://127.0.0.1:2/ws-api/v3"


def test_the_name_in_the_address_cannot_write_into_the_page(desk: Desk) -> None:
    page = desk.send("GET", "/", accept="text/html", host="<script>alert(1)</script>")

    assert b"<script>" not in page.body


def test_an_empty_client_id_has_a_code_of_its_own(desk: Desk) -> None:
    new = desk.signed("POST", "order", **ORDER | {"newClientOrderId": ""})
    cancelled = desk.signed("DELETE", "order", symbol=SYMBOL, orderId=1, origClientOrderId="")
    other = desk.signed("POST", "order", **ORDER | {"quantity": ""})

    assert new.json == {"code": -1118, "msg": "New client order ID was empty."}
    assert cancelled.json == {"code": -1119, "msg": "Original client order ID was empty."}
    assert other.json == {"code": -1105, "msg": "Parameter 'quantity' was empty."}


def test_a_symbol_in_lower_case_is_illegal_in_a_signed_request_too(desk: Desk) -> None:
    refused = desk.signed("GET", "openOrders", symbol=SYMBOL.lower())
    unknown = desk.signed("GET", "openOrders", symbol="NOPE")

    assert (refused.status, refused.json["code"]) == (400, -1100)
    assert (unknown.status, unknown.json["code"]) == (400, -1121)
