"""The WebSocket API without sockets: sessions, subscriptions, ids, limits and time units."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.exchange.desk import HOST, SOL, START_MS, SYMBOL, Desk, open_desk

from livespot.exchange.endpoints import WS_METHODS
from livespot.exchange.model import AccountSpec, Rejection
from livespot.exchange.outbound import Outbound
from livespot.exchange.session import SESSION_METHODS
from livespot.exchange.settings import ApiKey, RequestLimits
from livespot.exchange.signing import signed_text
from livespot.exchange.user_hub import Subscriber, UserHub

DENIED = {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}


@dataclass(frozen=True)
class Signer:
    """A key of an account and what signs for it."""

    key: ApiKey
    private: Ed25519PrivateKey

    def sign(self, **params: object) -> dict[str, Any]:
        everything = {"apiKey": self.key.key, "timestamp": str(START_MS)} | {
            name: str(value) for name, value in params.items()
        }
        raw = self.private.sign(signed_text(everything))
        return everything | {"signature": base64.b64encode(raw).decode()}


def signer(name: str, account: str) -> Signer:
    private = Ed25519PrivateKey.generate()
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return Signer(ApiKey(key=name, account_id=account, public_key_pem=pem.decode()), private)


ONE, TWO = signer("one", "demo"), signer("two", "other")
PAIR = replace(
    SOL,
    accounts=(*SOL.accounts, AccountSpec(account_id="other", uid=2)),
    keys=(*SOL.keys, ONE.key, TWO.key),
)


@pytest.fixture
def desk() -> Iterator[Desk]:
    with open_desk(PAIR) as one:
        yield one


def test_after_logon_only_the_timestamp_is_needed(desk: Desk) -> None:
    with desk.talk() as talk:
        on = talk.ask("session.logon", ONE.sign())["result"]
        account = talk.ask("account.status", {"timestamp": START_MS})
        bare = talk.ask("account.status")
        other = talk.ask("account.status", TWO.sign())

    assert on["apiKey"] == "one"
    assert on["authorizedSince"] == START_MS
    assert account["status"] == 200
    assert bare["error"]["code"] == -1102
    assert other["result"]["uid"] == 2


def test_a_second_logon_takes_the_place_of_the_first(desk: Desk) -> None:
    with desk.talk() as talk:
        talk.ask("session.logon", ONE.sign())
        talk.ask("userDataStream.subscribe")
        (ended, again) = talk.say(
            json.dumps({"id": 2, "method": "session.logon", "params": TWO.sign()})
        )
        account = talk.ask("account.status", {"timestamp": START_MS})

    assert ended == {"subscriptionId": 0, "event": {"e": "eventStreamTerminated", "E": START_MS}}
    assert again["result"]["apiKey"] == "two"
    assert account["result"]["uid"] == 2


def test_logout_ends_the_stream_of_the_login_but_no_other(desk: Desk) -> None:
    with desk.talk() as talk:
        talk.ask("session.logon", ONE.sign())
        first = talk.ask("userDataStream.subscribe")["result"]
        second = talk.ask("userDataStream.subscribe.signature", TWO.sign())["result"]
        ended, out = talk.say('{"id":1,"method":"session.logout"}')
        left = talk.ask("session.subscriptions")["result"]
        status = talk.ask("session.status")["result"]

    assert (first, second) == ({"subscriptionId": 0}, {"subscriptionId": 1})
    assert ended["subscriptionId"] == 0
    assert out["result"]["apiKey"] is None
    assert left == [{"subscriptionId": 1}]
    assert status["userDataStream"] is True


def test_a_connection_hears_an_account_once_and_no_number_twice(desk: Desk) -> None:
    with desk.talk() as talk:
        talk.ask("userDataStream.subscribe.signature", ONE.sign())
        twice = talk.ask("userDataStream.subscribe.signature", desk.proof())
        unknown = talk.ask("userDataStream.unsubscribe", {"subscriptionId": 5})
        words = talk.ask("userDataStream.unsubscribe", {"subscriptionId": "none"})
        talk.ask("userDataStream.unsubscribe", {"subscriptionId": 0})
        again = talk.ask("userDataStream.subscribe.signature", ONE.sign())

    assert twice["error"]["code"] == -2035
    assert unknown["error"]["code"] == -2036
    assert words["error"]["code"] == -1100
    assert again["result"] == {"subscriptionId": 1}


def test_subscriptions_are_limited_at_once_and_over_a_connections_life() -> None:
    hub, subscriber = UserHub(most_open=2, most_ids=3), Subscriber(Outbound("t", 10))

    def code(account: str) -> int:
        try:
            hub.subscribe(subscriber, account, "key")
        except Rejection as error:
            return error.code
        return 0

    assert [code("a"), code("b"), code("c")] == [0, 0, -1191]
    hub.unsubscribe(subscriber, 0, START_MS)
    assert code("c") == 0
    hub.unsubscribe(subscriber, None, START_MS)
    assert code("d") == -2042
    assert len(subscriber.outbound.waiting()) == 3
    subscriber.outbound.close()


def test_a_revoked_key_ends_streams_at_once_and_the_login_at_its_next_use(desk: Desk) -> None:
    with desk.talk() as talk:
        talk.ask("session.logon", ONE.sign())
        talk.ask("userDataStream.subscribe")
        desk.core.revoke_key("one")
        (ended,) = talk.heard()
        (told,) = talk.say(
            json.dumps({"id": 3, "method": "account.status", "params": {"timestamp": START_MS}})
        )
        status = talk.ask("session.status")["result"]
        next_one = talk.ask("account.status", {"timestamp": START_MS})
        desk.core.set_key(ONE.key)
        back = talk.ask("session.logon", ONE.sign())

    assert ended["event"]["e"] == "eventStreamTerminated"
    assert told == {"id": None, "status": 401, "error": DENIED}
    assert status["apiKey"] is None
    assert next_one["error"]["code"] == -2014
    assert back["status"] == 200


def test_listen_keys_are_gone(desk: Desk) -> None:
    with desk.talk() as talk:
        for method in ("start", "ping", "stop"):
            reply = talk.ask(f"userDataStream.{method}", {"apiKey": "one"})
            assert (reply["status"], reply["error"]["code"]) == (410, -1020)


@pytest.mark.parametrize("method", sorted(WS_METHODS))
def test_every_method_answers_with_and_without_its_version(desk: Desk, method: str) -> None:
    with desk.talk() as talk:
        plain = talk.ask(method, {"symbol": "NOPE"})
        versioned = talk.ask(f"v3/{method}", {"symbol": "NOPE"})

    for reply in (plain, versioned):
        assert reply["status"] in (200, 400, 401)
        assert reply.get("error", {"code": 0})["code"] != -1020


def test_methods_that_do_not_exist_are_refused(desk: Desk) -> None:
    with desk.talk() as talk:
        for method in ("ping/", "order", "v3/v3/ping", "session", "v2/ping"):
            assert talk.ask(method)["status"] == 400


def test_the_methods_of_the_connection_take_nothing_they_do_not_read(desk: Desk) -> None:
    with desk.talk() as talk:
        for method in SESSION_METHODS[:7]:
            stray = talk.ask(method, {"colour": "red"})
            assert stray["error"]["code"] == -1104


def test_rate_limits_are_left_out_by_connection_or_by_request(desk: Desk) -> None:
    with desk.talk() as talk:
        shown = talk.ask("ping")
        hidden = talk.ask("ping", {"returnRateLimits": False})
        signed = talk.ask("account.status", desk.proof(returnRateLimits="false"))
        bad = talk.ask("ping", {"returnRateLimits": 5})
        talk.session.return_rate_limits = False
        quiet = talk.ask("ping")
        asked = talk.ask("ping", {"returnRateLimits": True})

    assert "rateLimits" in shown
    assert "rateLimits" not in hidden
    assert (signed["status"], "rateLimits" in signed) == (200, False)
    assert bad["error"]["code"] == -1100
    assert "rateLimits" not in quiet
    assert "rateLimits" in asked


def test_an_order_may_say_how_its_reply_is_dressed(desk: Desk) -> None:
    order = {
        "symbol": SYMBOL,
        "side": "BUY",
        "type": "MARKET",
        "quantity": "1.00",
        "returnRateLimits": "false",
    }
    with desk.talk() as talk:
        reply = talk.ask("order.place", desk.proof(**order))

    assert reply["status"] == 200
    assert "rateLimits" not in reply


def test_orders_that_work_are_free_and_others_are_not(desk: Desk) -> None:
    def used(reply: Any) -> int:
        return int(reply["rateLimits"][-1]["count"])

    order = {"symbol": SYMBOL, "side": "BUY", "type": "MARKET"}
    with desk.talk() as talk:
        before = used(talk.ask("ping"))
        done = used(talk.ask("order.place", desk.proof(**order, quantity="1.00")))
        failed = used(talk.ask("order.place", desk.proof(**order, quantity="0.00")))
        status = used(talk.ask("session.status"))

    assert (done, failed, status) == (before, before + 1, before + 3)


def test_who_asks_too_much_is_told_until_when_in_epoch_ms() -> None:
    limits = RequestLimits(weight_per_minute=1, refusals_before_ban=1)
    with open_desk(replace(SOL, request_limits=limits)) as desk, desk.talk() as talk:
        desk.core.sockets.add(talk.outbound, talk.session.farewell, HOST)
        talk.ask("ping")
        refused = talk.ask("ping")
        talk.dialogue.on_text('{"id":1,"method":"ping"}')

    minute_end = (START_MS // 60_000 + 1) * 60_000
    assert refused["status"] == 429
    assert refused["error"]["code"] == -1003
    assert refused["error"]["data"] == {"serverTime": START_MS, "retryAfter": minute_end}
    assert talk.outbound.lost.is_set()


def test_times_come_in_microseconds_where_the_connection_asks(desk: Desk) -> None:
    order = {
        "symbol": SYMBOL,
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "1.00",
        "price": "28.0000",
    }
    with desk.talk(micros=True) as talk:
        time = talk.ask("time")["result"]["serverTime"]
        talk.ask("userDataStream.subscribe.signature", ONE.sign())
        frames = talk.say(
            json.dumps({"id": 7, "method": "order.place", "params": desk.proof(**order)})
        )
        status = talk.ask("session.status")["result"]

    micros = START_MS * 1000
    report, position = (frame["event"] for frame in frames if "event" in frame)
    placed = next(frame["result"] for frame in frames if "result" in frame)
    assert time == micros
    assert [report[name] for name in ("E", "T", "O", "W")] == [micros] * 4
    assert (report["c"], report["t"]) == (placed["clientOrderId"], -1)
    assert (position["E"], position["u"]) == (micros, micros)
    assert (placed["transactTime"], placed["workingTime"]) == (micros, micros)
    assert (status["connectedSince"], status["authorizedSince"]) == (micros, None)


def test_a_timestamp_may_come_in_microseconds(desk: Desk) -> None:
    with desk.talk() as talk:
        talk.ask("session.logon", ONE.sign())
        reply = talk.ask("account.status", {"timestamp": START_MS * 1000})

    assert reply["status"] == 200


def test_only_what_places_orders_tells_their_counts(desk: Desk) -> None:
    order = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
    order |= {"quantity": "1.00", "price": "28.0000", "newClientOrderId": "far"}
    far = {"symbol": SYMBOL, "origClientOrderId": "far"}
    with desk.talk() as talk:
        replies = [
            talk.ask("order.place", desk.proof(**order)),
            talk.ask("order.place", desk.proof(**order)),
            talk.ask("order.amend.keepPriority", desk.proof(**far, newQty="0.50")),
            talk.ask("openOrders.cancelAll", desk.proof(symbol=SYMBOL)),
            talk.ask("order.cancel", desk.proof(**far)),
        ]

    assert [reply["status"] for reply in replies] == [200, 400, 200, 200, 400]
    assert [len(reply["rateLimits"]) for reply in replies] == [3, 3, 1, 1, 1]
