"""Network and reply faults on real HTTP connections, and what the journal says of them."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from livespot.exchange.faults.loader import plan_of
from livespot.exchange.journal import ModeRow, OrderRow, RequestRow, Row, read_journal
from livespot.exchange.settings import ExchangeSettings

SOL = frozenset({"SOLUSDT"})
BUY = {"symbol": "SOLUSDT", "side": "BUY", "type": "MARKET", "quantity": "1.00"}
POST = {"method": "POST", "path": "/api/v3/order"}
PING = {"path": "/api/v3/ping"}


def under(path: Path | None, *faults: dict[str, Any], seed: int = 0) -> ExchangeSettings:
    rows = [{"id": f"f{number}", **fault} for number, fault in enumerate(faults)]
    plan = plan_of({"seed": seed, "faults": rows})
    return ExchangeSettings(symbols=SOL, journal=path, plan=plan)


def requests(path: Path) -> list[RequestRow]:
    return [row for row in read_journal(path) if isinstance(row, RequestRow)]


def fired(rows: list[Row]) -> list[str]:
    return [row.fault for row in rows if isinstance(row, ModeRow) and row.event == "fire"]


async def test_a_lost_reply_leaves_an_order_that_was_done(exchange: Any, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    lost = {"verb": "ex.accept_then", "then": {"verb": "net.drop_response", "target": "rest"}}
    settings = under(path, {"what": lost, "match": POST, "when": {"nth": 1}})
    async with exchange(settings) as venue:
        venue.http.timeout = httpx.Timeout(0.3)
        with pytest.raises(httpx.ReadTimeout):
            await venue.signed("POST", "order", **BUY, newClientOrderId="lost")
        found = await venue.signed("GET", "order", symbol="SOLUSDT", origClientOrderId="lost")

    assert found.json()["status"] == "FILLED"
    rows = list(read_journal(path))
    post = requests(path)[0]
    assert (post.rid, post.outcome, post.delivered, post.fault) == (1, "200", False, "f0")
    assert fired(rows) == ["f0"]
    assert [row.event for row in rows if isinstance(row, ModeRow)] == ["begin", "fire", "end"]


async def test_a_lost_request_never_reaches_the_engine(exchange: Any, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    lost = {"verb": "net.drop_request", "target": "rest", "then": "close"}
    settings = under(path, {"what": lost, "match": POST, "when": {"count": 1}})
    async with exchange(settings) as venue:
        with pytest.raises(httpx.RemoteProtocolError):
            await venue.signed("POST", "order", **BUY)
        second = await venue.signed("POST", "order", **BUY, newClientOrderId="second")

    assert second.status_code == 200
    assert {row.cid for row in read_journal(path) if isinstance(row, OrderRow)} == {"second"}
    first = requests(path)[0]
    assert (first.outcome, first.delivered) == ("dropped", False)
    assert "signature" not in first.params


@pytest.mark.parametrize("verb", ["net.reset", "net.drop_request", "net.drop_response"])
async def test_a_reset_is_a_reset_on_the_wire(exchange: Any, verb: str) -> None:
    what = {"verb": verb, "target": "rest"} | ({} if verb == "net.reset" else {"then": "reset"})
    async with exchange(under(None, {"what": what, "match": PING})) as venue:
        with pytest.raises(httpx.ReadError) as caught:
            await venue.http.get("/api/v3/ping")

    cause: BaseException | None = caught.value
    while cause is not None and not isinstance(cause, ConnectionResetError):
        cause = cause.__cause__ or cause.__context__
    assert isinstance(cause, ConnectionResetError)


@pytest.mark.parametrize("verb", ["net.half_open", "net.blackhole"])
async def test_nobody_answers_until_the_fault_is_healed_by_a_reset(
    exchange: Any, verb: str, tmp_path: Path
) -> None:
    path = tmp_path / "journal.jsonl"
    what = {"verb": verb, "target": "rest"}
    settings = under(path, {"what": what, "match": PING, "when": {"for_ms": 600}})
    async with exchange(settings) as venue:
        before = venue.clock.now_ms()
        with pytest.raises(httpx.ReadError):
            await venue.http.get("/api/v3/ping")
        waited = venue.clock.now_ms() - before
        again = await venue.http.get("/api/v3/ping")

    assert waited >= 300
    assert again.status_code == 200
    assert [row.outcome for row in requests(path)] == ["unanswered", "200"]


async def test_a_blackhole_takes_in_connections_that_are_open(exchange: Any) -> None:
    hole = {"verb": "net.blackhole", "target": "rest"}
    settings = under(None, {"what": hole, "when": {"after_ms": 300, "for_ms": 60_000}})
    async with exchange(settings) as venue:
        venue.http.timeout = httpx.Timeout(0.7)
        assert (await venue.http.get("/api/v3/ping")).status_code == 200
        await venue.clock.sleep(0.4)
        with pytest.raises(httpx.ReadTimeout):
            await venue.http.get("/api/v3/ping")


async def test_delays_lie_before_arrival_or_after_the_work(exchange: Any, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    early = {"verb": "net.delay", "target": "rest", "ms": 150}
    late = {"verb": "net.delay", "target": "rest", "ms": 150, "leg": "reply"}
    settings = under(
        path,
        {"what": early, "match": PING, "when": {"nth": 1}},
        {"what": late, "match": PING, "when": {"nth": 2}},
    )
    async with exchange(settings) as venue:
        await venue.http.get("/api/v3/ping")
        await venue.http.get("/api/v3/ping")

    first, second = requests(path)
    assert first.t_arrive - first.t_first_byte >= 145
    assert first.t_reply - first.t_arrive < 145
    assert second.t_arrive - second.t_first_byte < 145
    assert second.t_reply - second.t_arrive >= 145
    assert first.delivered
    assert second.delivered


async def test_a_reply_can_be_made_up_before_or_after_the_engine(
    exchange: Any, tmp_path: Path
) -> None:
    path = tmp_path / "journal.jsonl"
    unknown = {"verb": "ex.reply", "status": 504, "code": -1007, "msg": "Timeout waiting."}
    page = {
        "verb": "ex.reply",
        "status": 502,
        "body": "<html>",
        "headers": {"Content-Type": "text/html", "Retry-After": "37"},
    }
    settings = under(
        path,
        {
            "what": {"verb": "ex.accept_then", "then": unknown},
            "match": POST,
            "when": {"nth": 1},
        },
        {"what": page, "match": PING},
    )
    async with exchange(settings) as venue:
        placed = await venue.signed("POST", "order", **BUY, newClientOrderId="mine")
        found = await venue.signed("GET", "order", symbol="SOLUSDT", origClientOrderId="mine")
        html = await venue.http.get("/api/v3/ping")

    assert (placed.status_code, placed.json()["code"]) == (504, -1007)
    assert found.json()["status"] == "FILLED"
    assert (html.status_code, html.text) == (502, "<html>")
    assert (html.headers["content-type"], html.headers["retry-after"]) == ("text/html", "37")
    assert [(row.outcome, row.delivered) for row in requests(path)] == [
        ("200", False),
        ("200", True),
        ("502", True),
    ]


async def test_members_of_a_reply_can_be_rewritten(exchange: Any) -> None:
    change = {
        "verb": "ex.rewrite",
        "target": "rest",
        "set": {"symbols.0.status": "CANCEL_ONLY", "symbols.0.novel.x": 1, "symbols.9.y": 1},
        "headers": {"X-MBX-USED-WEIGHT-1M": "4000"},
    }
    fault = {"what": change, "match": {"path": "*/exchangeInfo"}}
    async with exchange(under(None, fault)) as venue:
        response = await venue.http.get("/api/v3/exchangeInfo")

    assert response.json()["symbols"][0]["status"] == "CANCEL_ONLY"
    assert "novel" not in response.json()["symbols"][0]
    assert response.headers["x-mbx-used-weight-1m"] == "4000"


async def test_a_halt_refuses_mutations_and_nothing_else(exchange: Any, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    halt = {"verb": "ex.halt", "code": -1010, "msg": "Rest API trading is not enabled."}
    async with exchange(under(path, {"what": halt})) as venue:
        refused = await venue.signed("POST", "order", **BUY)
        read = await venue.signed("GET", "openOrders")

    assert refused.json() == {"code": -1010, "msg": "Rest API trading is not enabled."}
    assert read.status_code == 200
    assert [row.outcome for row in requests(path)] == ["400 -1010", "200"]


async def test_the_model_can_answer_late_wrongly_or_not_at_all(
    exchange: Any, tmp_path: Path
) -> None:
    path = tmp_path / "journal.jsonl"
    message = {"role": "user", "content": "judge\n{}"}
    settings = under(
        path,
        {"what": {"verb": "ai.reply", "content": "no JSON {input_hash}"}, "when": {"nth": 1}},
        {"what": {"verb": "ai.reply", "raw": "{", "status": 200}, "when": {"nth": 2}},
        {"what": {"verb": "ai.delay", "ms": 150}, "when": {"nth": 3}},
        {"what": {"verb": "ai.reply", "status": 429}, "when": {"nth": 3}},
        {"what": {"verb": "net.drop_request", "target": "ai", "then": "close"}, "when": {"nth": 4}},
    )
    async with exchange(settings) as venue:
        url = venue.address.model_url + "/chat/completions"

        async def ask() -> httpx.Response:
            answer: httpx.Response = await venue.http.post(url, json={"messages": [message]})
            return answer

        told = (await ask()).json()["choices"][0]["message"]["content"]
        raw = await ask()
        before = venue.clock.now_ms()
        refused = await ask()
        waited = venue.clock.now_ms() - before
        with pytest.raises(httpx.RemoteProtocolError):
            await ask()
        usual = await ask()

    assert told.startswith("no JSON ")
    assert len(told) == len("no JSON ") + 64
    assert raw.content == b"{"
    assert refused.status_code == 429
    assert waited >= 145
    assert usual.status_code == 200
    rows = requests(path)
    assert {(row.conn, row.method) for row in rows} == {("model", "POST")}
    assert [row.outcome for row in rows] == ["200", "200", "429", "dropped", "200"]


async def test_what_no_fault_is_about_passes_untouched(exchange: Any, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    drop = {"verb": "net.drop_request", "target": "rest"}
    async with exchange(under(path, {"what": drop, "match": {"symbol": "ADAUSDT"}})) as venue:
        placed = await venue.signed("POST", "order", **BUY)

    assert placed.status_code == 200
    assert requests(path)[0].fault == ""
    assert fired(list(read_journal(path))) == []


async def test_chance_hits_the_same_requests_in_every_run(exchange: Any) -> None:
    async def hits(seed: int) -> list[int]:
        what = {"verb": "ex.reply", "status": 500}
        fault = {"what": what, "match": PING, "when": {"probability_x10000": 4000}}
        async with exchange(under(None, fault, seed=seed)) as venue:
            return [(await venue.http.get("/api/v3/ping")).status_code for _ in range(30)]

    first = await hits(1)

    assert first == await hits(1)
    assert first != await hits(2)
    assert {200, 500} == set(first)
