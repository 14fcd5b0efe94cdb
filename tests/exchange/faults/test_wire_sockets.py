"""Network faults on real WebSockets: market streams, user events and requests."""

import json
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from livespot.exchange.faults.loader import plan_of
from livespot.exchange.journal import EventRow, ModeRow, RequestRow, read_journal
from livespot.exchange.settings import ExchangeSettings

SOL = frozenset({"SOLUSDT"})
BUY = {"symbol": "SOLUSDT", "side": "BUY", "type": "MARKET", "quantity": "1.00"}
BOTH = "/stream?streams=solusdt@trade/solusdt@depth@100ms"


def under(path: Path | None, *faults: dict[str, Any]) -> ExchangeSettings:
    rows = [{"id": f"f{number}", **fault} for number, fault in enumerate(faults)]
    return ExchangeSettings(symbols=SOL, journal=path, plan=plan_of({"faults": rows}))


async def streams_of(socket: Any, count: int) -> list[str]:
    return [json.loads(await socket.recv())["stream"] for _ in range(count)]


async def test_one_stream_falls_silent_while_the_others_speak(exchange: Any) -> None:
    silence = {"verb": "net.drop_response", "target": "ws_md"}
    settings = under(None, {"what": silence, "match": {"stream": "*@trade"}})
    async with exchange(settings, speed=20) as venue, venue.connect(BOTH) as socket:
        heard = await streams_of(socket, 12)

    assert set(heard) == {"solusdt@depth@100ms"}


async def test_a_control_message_can_be_lost(exchange: Any, asking: Any) -> None:
    lost = {"verb": "net.drop_request", "target": "ws_md"}
    settings = under(None, {"what": lost, "match": {"method": "SUBSCRIBE"}})
    async with exchange(settings) as venue, venue.connect("/ws") as socket:
        await socket.send('{"method":"SUBSCRIBE","params":["solusdt@trade"],"id":1}')
        listed = await asking(socket, "LIST_SUBSCRIPTIONS", number=2)

    assert listed == {"result": [], "id": 2}


async def test_frames_come_twice_and_out_of_order(exchange: Any) -> None:
    settings = under(
        None,
        {
            "what": {"verb": "net.duplicate", "target": "ws_md", "times": 2},
            "match": {"stream": "*@trade"},
            "when": {"nth": 1},
        },
        {
            "what": {"verb": "net.reorder", "target": "ws_md", "behind": 2},
            "match": {"stream": "*@trade"},
            "when": {"nth": 2},
        },
    )
    async with exchange(settings, speed=20) as venue, venue.connect("/ws/solusdt@trade") as socket:
        numbers = [json.loads(await socket.recv())["t"] for _ in range(6)]

    first = numbers[0]
    assert numbers == [first, first, first, first + 2, first + 3, first + 1]


async def test_a_frame_can_be_rewritten(exchange: Any) -> None:
    change = {"verb": "ex.rewrite", "target": "ws_md", "set": {"data.p": "0"}}
    fault = {"what": change, "match": {"stream": "*@trade"}, "when": {"nth": 1}}
    settings, stream = under(None, fault), "/stream?streams=solusdt@trade"
    async with exchange(settings, speed=20) as venue, venue.connect(stream) as socket:
        prices = [json.loads(await socket.recv())["data"]["p"] for _ in range(2)]

    assert prices[0] == "0"
    assert prices[1] != "0"


async def test_a_silent_socket_stays_open_and_is_reset_when_the_fault_ends(exchange: Any) -> None:
    hole = {"verb": "net.blackhole", "target": "ws_md"}
    settings = under(None, {"what": hole, "when": {"after_ms": 6000, "for_ms": 10_000}})
    async with exchange(settings, speed=20) as venue, venue.connect(BOTH) as socket:
        await streams_of(socket, 3)
        begins = venue.clock.now_ms()
        with pytest.raises(ConnectionClosed):
            await streams_of(socket, 10_000)
        silent_ms = venue.clock.now_ms() - begins

        assert silent_ms > 8000
        async with venue.connect(BOTH) as again:
            assert await streams_of(again, 1)


async def test_a_reset_cuts_open_sockets_and_every_new_one_while_it_lasts(exchange: Any) -> None:
    cut = {"verb": "net.reset", "target": "ws_md"}
    settings = under(None, {"what": cut, "when": {"after_ms": 300}})
    async with exchange(settings) as venue, venue.connect("/ws") as socket:
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        with pytest.raises((OSError, InvalidHandshake)):
            async with venue.connect("/ws"):
                raise AssertionError("nobody may get in")


async def test_a_half_open_exchange_takes_a_connection_and_never_shakes_hands(
    exchange: Any,
) -> None:
    settings = under(None, {"what": {"verb": "net.half_open", "target": "ws_md"}})
    async with exchange(settings) as venue:
        with pytest.raises(TimeoutError):
            await venue_connect(venue, open_timeout=0.4)


async def venue_connect(venue: Any, *, open_timeout: float) -> None:
    from websockets.asyncio.client import connect

    url = venue.address.stream_url + "/ws"
    async with connect(url, proxy=None, open_timeout=open_timeout):
        raise AssertionError("nobody may get in")


async def subscribed(venue: Any, asking: Any, socket: Any) -> None:
    params = venue.signed_params()
    reply = await asking(socket, "userDataStream.subscribe.signature", params, number=9)
    assert reply["status"] == 200


async def fills_heard(socket: Any, until: str) -> list[str]:
    """Execution types up to an account position."""
    kinds: list[str] = []
    while True:
        event = json.loads(await socket.recv())["event"]
        kinds.append(event.get("x") or event["e"])
        if kinds[-1] == until:
            return kinds


async def test_one_fill_report_never_comes(exchange: Any, asking: Any, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    fault = {
        "what": {"verb": "ex.drop_events"},
        "match": {"event": "executionReport", "params": {"x": "TRADE"}},
        "when": {"count": 1},
    }
    async with exchange(under(path, fault)) as venue, venue.connect("/ws-api/v3") as socket:
        await subscribed(venue, asking, socket)
        await venue.signed("POST", "order", **BUY)
        heard = await fills_heard(socket, "outboundAccountPosition")

    rows = [row for row in read_journal(path) if isinstance(row, EventRow)]
    trades = [row for row in rows if row.kind == "executionReport.TRADE"]
    assert heard.count("TRADE") == len(trades) - 1
    assert (trades[0].fate, trades[0].sent, trades[0].fault) == ("dropped", 0, "f0")
    assert all(row.sent == 1 for row in rows if row is not trades[0])


async def test_a_fill_report_comes_thrice_and_another_late(exchange: Any, asking: Any) -> None:
    report = {"event": "executionReport"}
    settings = under(
        None,
        {
            "what": {"verb": "ex.duplicate_events", "times": 2},
            "match": {**report, "params": {"X": "FILLED"}},
        },
        {
            "what": {"verb": "ex.delay_events", "ms": 200},
            "match": {**report, "params": {"x": "NEW"}},
        },
    )
    async with exchange(settings) as venue, venue.connect("/ws-api/v3") as socket:
        await subscribed(venue, asking, socket)
        await venue.signed("POST", "order", **BUY)
        heard = await fills_heard(socket, "NEW")

    # Three of the last report, and the first event comes last of all.
    assert heard[-2:] == ["outboundAccountPosition", "NEW"]
    assert heard[-5:-2] == ["TRADE"] * 3


async def test_user_events_can_be_lost_on_the_way_while_replies_pass(
    exchange: Any, asking: Any
) -> None:
    settings = under(None, {"what": {"verb": "net.drop_response", "target": "ws_user"}})
    async with exchange(settings) as venue, venue.connect("/ws-api/v3") as socket:
        await subscribed(venue, asking, socket)
        await venue.signed("POST", "order", **BUY)
        await socket.send('{"id":5,"method":"ping"}')

        assert json.loads(await socket.recv())["id"] == 5


async def test_a_socket_request_is_lost_answered_otherwise_or_late(
    exchange: Any, asking: Any, tmp_path: Path
) -> None:
    path = tmp_path / "journal.jsonl"
    ping = {"method": "ping"}
    unknown = {"verb": "ex.reply", "target": "ws_api", "status": 504, "code": -1007, "msg": "late"}
    place = {"method": "order.place"}
    settings = under(
        path,
        {"what": {"verb": "net.drop_request", "target": "ws_api"}, "match": ping,
         "when": {"nth": 1}},
        {"what": {"verb": "net.drop_response", "target": "ws_api"}, "match": ping,
         "when": {"nth": 2}},
        {"what": {"verb": "net.delay", "target": "ws_api", "ms": 150, "leg": "reply"},
         "match": ping, "when": {"nth": 3}},
        {"what": {"verb": "ex.accept_then", "then": unknown}, "match": place},
    )  # fmt: skip
    async with exchange(settings) as venue, venue.connect("/ws-api/v3") as socket:
        await socket.send('{"id":1,"method":"ping"}')
        await socket.send('{"id":2,"method":"ping"}')
        before = venue.clock.now_ms()
        await socket.send('{"id":3,"method":"ping"}')
        late = json.loads(await socket.recv())
        waited = venue.clock.now_ms() - before
        placed = await asking(socket, "order.place", venue.signed_params(**BUY), number=4)

    assert late["id"] == 3
    assert waited >= 145
    assert (placed["status"], placed["error"]) == (504, {"code": -1007, "msg": "late"})
    rows = [row for row in read_journal(path) if isinstance(row, RequestRow)]
    assert {row.conn for row in rows} == {"ws-api-1"}
    assert [(row.outcome, row.delivered) for row in rows] == [
        ("dropped", False),
        ("200", False),
        ("200", True),
        ("200", False),
    ]


async def test_a_subscription_can_be_refused_by_its_method(exchange: Any, asking: Any) -> None:
    refuse = {"verb": "ex.reply", "target": "ws_api", "status": 401, "code": -2015, "msg": "no"}
    match = {"method": "userDataStream.subscribe.signature"}
    settings = under(None, {"what": refuse, "match": match})
    async with exchange(settings) as venue, venue.connect("/ws-api/v3") as socket:
        reply = await asking(socket, match["method"], venue.signed_params())

    assert (reply["status"], reply["error"]["code"]) == (401, -2015)


async def test_market_frames_are_counted_and_not_told_one_by_one(
    exchange: Any, tmp_path: Path
) -> None:
    path = tmp_path / "journal.jsonl"
    silence = {"verb": "net.drop_response", "target": "ws_md"}
    settings = under(path, {"what": silence, "match": {"stream": "*@trade"}})
    async with exchange(settings, speed=20) as venue, venue.connect(BOTH) as socket:
        await streams_of(socket, 12)

    modes = [row for row in read_journal(path) if isinstance(row, ModeRow)]
    assert [row.event for row in modes] == ["begin", "end"]
    assert modes[-1].fired > 0
