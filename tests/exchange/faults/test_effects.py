"""Faults that change the exchange itself, seen through its own faces."""

import json
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from livespot.exchange.faults.loader import plan_of
from livespot.exchange.journal import BalanceRow, ModeRow, OrderRow, read_journal
from livespot.exchange.settings import DEMO_KEY, ExchangeSettings

SOL = frozenset({"SOLUSDT"})
BUY = {"symbol": "SOLUSDT", "side": "BUY", "type": "MARKET", "quantity": "1.00"}
REST = {"symbol": "SOLUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC",
        "quantity": "1.00", "price": "20.0000"}  # fmt: skip
PING = {"path": "/api/v3/ping"}


def under(path: Path | None, *faults: dict[str, Any]) -> ExchangeSettings:
    rows = [{"id": f"f{number}", **fault} for number, fault in enumerate(faults)]
    return ExchangeSettings(symbols=SOL, journal=path, plan=plan_of({"faults": rows}))


def on_ping(what: dict[str, Any], number: int = 1, **when: int) -> dict[str, Any]:
    """A fault that takes effect when the nth ping comes in."""
    return {"what": what, "match": PING, "when": {"nth": number, **when}}


async def pinged(venue: Any) -> None:
    await venue.http.get("/api/v3/ping")


async def test_every_order_of_a_type_expires_at_once(exchange: Any, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    async with exchange(under(path, on_ping({"verb": "ex.mass_expire", "types": ["LIMIT"]}))) as v:
        await v.signed("POST", "order", **REST, newClientOrderId="mine")
        await pinged(v)
        found = await v.signed("GET", "order", symbol="SOLUSDT", origClientOrderId="mine")

    assert found.json()["status"] == "EXPIRED"
    rows = list(read_journal(path))
    assert [row.reason for row in rows if isinstance(row, OrderRow)][-1] == "EXCHANGE_CANCELED"
    fire = next(row for row in rows if isinstance(row, ModeRow) and row.event == "fire")
    assert fire.hit == "rid 2 GET /api/v3/ping: 1 orders expired"


async def test_of_two_changes_of_one_symbol_neither_outlasts_its_end(exchange: Any) -> None:
    broken = {"verb": "ex.set_status", "symbol": "SOLUSDT", "status": "BREAK"}
    halted = {"verb": "ex.set_status", "symbol": "SOLUSDT", "status": "HALT"}
    settings = under(
        None,
        {"what": broken, "when": {"after_ms": 400, "for_ms": 800}},
        {"what": halted, "when": {"after_ms": 800, "for_ms": 800}},
    )

    async def status(venue: Any) -> str:
        info = await venue.get("exchangeInfo", symbol="SOLUSDT")
        return str(info["symbols"][0]["status"])

    async with exchange(settings) as venue:
        seen = [await status(venue)]
        for _ in range(4):
            await venue.clock.sleep(0.45)
            seen.append(await status(venue))

    assert seen == ["TRADING", "BREAK", "HALT", "HALT", "TRADING"]


async def test_filters_change_and_come_back(exchange: Any) -> None:
    patch = [
        {"filterType": "LOT_SIZE", "stepSize": "10.00", "minQty": "10.00"},
        {"filterType": "NOVEL", "limit": 3},
    ]
    what = {"verb": "ex.set_filter", "symbol": "SOLUSDT", "patch": patch, "remove": ["NOTIONAL"]}
    settings = under(None, {"what": what, "when": {"after_ms": 400, "for_ms": 400}})

    async def filters(venue: Any) -> dict[str, Any]:
        info = await venue.get("exchangeInfo", symbol="SOLUSDT")
        return {row["filterType"]: row for row in info["symbols"][0]["filters"]}

    async with exchange(settings) as venue:
        before = await filters(venue)
        await venue.clock.sleep(0.45)
        during = await filters(venue)
        refused = await venue.signed("POST", "order", **BUY)
        await venue.clock.sleep(0.45)
        after = await filters(venue)

    assert during["LOT_SIZE"] == before["LOT_SIZE"] | {"stepSize": "10.00", "minQty": "10.00"}
    assert during["NOVEL"]["limit"] == 3
    assert "NOTIONAL" not in during
    assert refused.json() == {"code": -1013, "msg": "Filter failure: LOT_SIZE"}
    assert after == before


async def test_a_symbol_stops_trading(exchange: Any) -> None:
    what = {"verb": "ex.set_status", "symbol": "SOLUSDT", "status": "HALT"}
    async with exchange(under(None, on_ping(what))) as venue:
        await pinged(venue)
        info = await venue.get("exchangeInfo", symbol="SOLUSDT")
        refused = await venue.signed("POST", "order", **BUY)

    assert info["symbols"][0]["status"] == "HALT"
    assert refused.json()["msg"] == "Market is closed."


async def test_funds_leave_and_the_stream_says_so(
    exchange: Any, asking: Any, tmp_path: Path
) -> None:
    path = tmp_path / "journal.jsonl"
    out = {"verb": "ex.adjust_balance", "asset": "USDT", "delta": "-4000"}
    more = {"verb": "ex.adjust_balance", "asset": "USDT", "delta": "-90000"}
    settings = under(path, on_ping(out), on_ping(more, 2))
    async with exchange(settings) as venue, venue.connect("/ws-api/v3") as socket:
        await asking(socket, "userDataStream.subscribe.signature", venue.signed_params())
        await pinged(venue)
        told = json.loads(await socket.recv())["event"]
        await pinged(venue)
        account = (await venue.signed("GET", "account", omitZeroBalances="true")).json()

    assert (told["e"], told["d"]) == ("balanceUpdate", "-4000.00000000")
    assert account["balances"] == [
        {"asset": "USDT", "free": "6000.00000000", "locked": "0.00000000"}
    ]
    rows = list(read_journal(path))
    assert [row.free for row in rows if isinstance(row, BalanceRow)] == [6000]
    fires = [row.hit for row in rows if isinstance(row, ModeRow) and row.event == "fire"]
    assert ": not done: " in fires[1]


async def test_a_revoked_key_is_refused_until_it_is_restored(exchange: Any, asking: Any) -> None:
    revoke = {"verb": "ex.revoke_key", "key": DEMO_KEY}
    settings = under(None, {"what": revoke, "when": {"after_ms": 400, "for_ms": 400}})
    async with exchange(settings) as venue, venue.connect("/ws-api/v3") as socket:
        await asking(socket, "userDataStream.subscribe.signature", venue.signed_params())
        told = json.loads(await socket.recv())["event"]["e"]
        refused = await venue.signed("GET", "account")
        await venue.clock.sleep(0.45)
        again = await venue.signed("GET", "account")

    assert told == "eventStreamTerminated"
    assert (refused.status_code, refused.json()["code"]) == (401, -2015)
    assert again.status_code == 200


async def test_user_streams_end_and_the_socket_stays(exchange: Any, asking: Any) -> None:
    settings = under(None, on_ping({"verb": "ex.end_user_streams"}))
    async with exchange(settings) as venue, venue.connect("/ws-api/v3") as socket:
        await asking(socket, "userDataStream.subscribe.signature", venue.signed_params())
        await pinged(venue)
        told = json.loads(await socket.recv())["event"]["e"]
        again = await asking(socket, "userDataStream.subscribe.signature", venue.signed_params())

    assert told == "eventStreamTerminated"
    assert again["status"] == 200


async def test_a_ban_answers_418_cuts_sockets_and_passes(exchange: Any) -> None:
    settings = under(None, {"what": {"verb": "ex.ban", "ms": 600}, "when": {"after_ms": 300}})
    async with exchange(settings) as venue, venue.connect("/ws") as socket:
        await pinged(venue)
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        banned = await venue.http.get("/api/v3/ping")
        await venue.clock.sleep(0.7)
        free = await venue.http.get("/api/v3/ping")

    assert (banned.status_code, banned.headers["retry-after"]) == (418, "1")
    assert free.status_code == 200


async def test_a_stepped_clock_moves_what_is_stamped_and_not_the_market(exchange: Any) -> None:
    settings = under(None, on_ping({"verb": "clock.step", "ms": 90_000}))
    async with exchange(settings, speed=20) as venue:
        await pinged(venue)
        server = (await venue.get("time"))["serverTime"]
        refused = await venue.signed("GET", "account", recvWindow=1000)
        async with venue.connect("/ws/solusdt@trade") as socket:
            trade = json.loads(await socket.recv())
        now_ms = venue.clock.now_ms()

    assert 85_000 < server - now_ms <= 90_000
    assert refused.json()["code"] == -1021
    assert abs(trade["T"] - now_ms) < 20_000


async def test_a_suspended_clock_stands_still(exchange: Any) -> None:
    settings = under(None, on_ping({"verb": "clock.suspend", "ms": 300}))
    async with exchange(settings) as venue:
        await pinged(venue)
        stood = {(await venue.get("time"))["serverTime"] for _ in range(5)}
        await venue.clock.sleep(0.35)
        later = (await venue.get("time"))["serverTime"]

    assert len(stood) == 1
    assert later - stood.pop() >= 300
