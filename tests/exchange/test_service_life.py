"""Start, stop, journal and state file of the embedded exchange."""

import json
import signal
import socket
import subprocess
import sys
from contextlib import AsyncExitStack, suppress
from decimal import Decimal
from itertools import cycle
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from livespot.exchange.journal import (
    BalanceRow,
    EventRow,
    FillRow,
    JournalInvalid,
    LifeRow,
    ListRow,
    ModeRow,
    OrderRow,
    RequestRow,
    read_journal,
)
from livespot.exchange.recorded import RecordedDataInvalid
from livespot.exchange.service import PortTaken, serve_exchange
from livespot.exchange.settings import ExchangeSettings, RequestLimits, SharedClock
from livespot.exchange.state_file import read_state
from livespot.runtime.clock import ClockAnchor, ScaledClock

SOL = frozenset({"SOLUSDT"})
BUY = {"symbol": "SOLUSDT", "side": "BUY", "type": "MARKET", "quantity": "1.00"}
OCO = {
    "symbol": "SOLUSDT",
    "side": "SELL",
    "quantity": "0.50",
    "aboveType": "LIMIT_MAKER",
    "abovePrice": "40.0000",
    "belowType": "STOP_LOSS_LIMIT",
    "belowStopPrice": "25.0000",
    "belowPrice": "24.9000",
    "belowTimeInForce": "GTC",
}


async def test_the_journal_tells_the_whole_story_and_no_signature(
    exchange: Any, tmp_path: Path
) -> None:
    path = tmp_path / "j" / "journal.jsonl"
    async with exchange(ExchangeSettings(symbols=SOL, journal=path)) as venue:
        order = {"symbol": "SOLUSDT", "side": "BUY", "type": "MARKET", "quantity": "1.00"}
        await venue.signed("POST", "order", **order, newClientOrderId="mine")
        await venue.signed("POST", "order", **order | {"quantity": "0"})

    rows = list(read_journal(path))
    requests = [row for row in rows if isinstance(row, RequestRow)]
    orders = [row for row in rows if isinstance(row, OrderRow)]
    fills = [row for row in rows if isinstance(row, FillRow)]
    assert [row.event for row in rows if isinstance(row, LifeRow)] == ["start", "stop"]
    assert [row.rid for row in requests] == [1, 2]
    assert [row.outcome.split()[0] for row in requests] == ["200", "400"]
    assert requests[0].params["newClientOrderId"] == "mine"
    assert requests[0].t_arrive <= requests[0].t_reply
    assert (orders[-1].cid, orders[-1].status) == ("mine", "FILLED")
    assert orders[-1].t_end >= orders[-1].t_new
    assert sum(fill.qty for fill in fills) == orders[-1].exec == 1
    assert {row.asset for row in rows if isinstance(row, BalanceRow)} == {"SOL", "USDT"}
    assert b"signature" not in path.read_bytes()


async def test_the_journal_knows_lists_events_and_connections_without_their_ports(
    exchange: Any, asking: Any, tmp_path: Path
) -> None:
    path = tmp_path / "journal.jsonl"
    settings = ExchangeSettings(symbols=SOL, journal=path)
    async with exchange(settings) as venue, venue.connect("/ws-api/v3") as api:
        await venue.signed("POST", "order", **BUY)
        await asking(api, "userDataStream.subscribe.signature", venue.signed_params())
        await venue.signed("POST", "orderList/oco", **OCO, listClientOrderId="both")
        async with httpx.AsyncClient(base_url=venue.address.rest_url, trust_env=False) as other:
            await other.get("/api/v3/ping")

    rows = list(read_journal(path))
    requests = [row for row in rows if isinstance(row, RequestRow)]
    lists = [row for row in rows if isinstance(row, ListRow)]
    events = [row for row in rows if isinstance(row, EventRow)]
    assert [row.conn for row in requests] == ["rest-1", "ws-api-1", "rest-1", "rest-2"]
    assert all(row.t_first_byte <= row.t_arrive <= row.t_reply for row in requests)
    assert b"127.0.0.1" not in path.read_bytes()
    assert (lists[0].list_cid, lists[0].status, len(lists[0].oids)) == ("both", "EXECUTING", 2)
    assert {row.sent for row in events} == {0, 1}
    assert [row.sent for row in events if row.kind == "listStatus"] == [1]
    assert {row.fate for row in events} == {"sent"}


@pytest.mark.slow
def test_killing_the_process_loses_no_line(tmp_path: Path) -> None:
    path, state = tmp_path / "journal.jsonl", tmp_path / "state.json"
    command = [sys.executable, "-c", "from livespot_cmd.main import main; main()", "exchange"]
    options = f"--port 0 --start 2021-04-20T11:47 --journal {path} --state-file {state}"
    with subprocess.Popen([*command, *options.split()], stdout=subprocess.DEVNULL) as process:
        while not state.exists():
            assert process.poll() is None
        url = read_state(state).address.rest_url + "/api/v3/ping"
        with httpx.Client(trust_env=False) as http:
            # Whether an answer was delivered is known after it: its line follows the answer, so
            # only the next answer proves that it is written.
            asked = [http.get(url).status_code for _ in range(4)]
        process.kill()

    rows = list(read_journal(path))
    assert asked == [200] * 4
    assert sum(isinstance(row, RequestRow) for row in rows) >= 3
    assert [row.event for row in rows if isinstance(row, LifeRow)] == ["start"]


@pytest.mark.slow
def test_a_storm_of_signals_ends_the_process_in_order(tmp_path: Path) -> None:
    path, state = tmp_path / "journal.jsonl", tmp_path / "state.json"
    command = [sys.executable, "-c", "from livespot_cmd.main import main; main()", "exchange"]
    options = f"--port 0 --start 2021-04-20T11:47 --journal {path} --state-file {state}"
    with subprocess.Popen([*command, *options.split()], stdout=subprocess.DEVNULL) as process:
        while not state.exists():
            assert process.poll() is None
        for number in cycle((signal.SIGINT, signal.SIGTERM)):
            process.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=0.002)
                break

    rows = list(read_journal(path))
    assert process.returncode == 0
    assert [row.event for row in rows if isinstance(row, LifeRow)] == ["start", "stop"]
    assert not state.exists()


async def test_a_planned_life_is_told_at_its_planned_times(exchange: Any, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    begin = 1_618_919_220_000
    settings = ExchangeSettings(
        symbols=SOL, journal=path, start_ms=begin, stop_ms=begin + 2000, read_lag_ms=1
    )
    async with exchange(settings, speed=20) as venue:
        await venue.clock.sleep(3)
    async with exchange(settings, speed=1):
        pass

    lives = [row.t_ms - begin for row in read_journal(path) if isinstance(row, LifeRow)]
    assert lives[:2] == [0, 2000]
    assert 0 <= lives[3] < 2000


async def test_a_key_in_the_parameters_is_not_journalled(exchange: Any, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    settings = ExchangeSettings(symbols=SOL, journal=path)
    async with exchange(settings) as venue, venue.connect("/ws-api/v3") as socket:
        params = venue.signed_params()
        await socket.send(json.dumps({"id": 1, "method": "account.status", "params": params}))
        assert json.loads(await socket.recv())["status"] == 200

    written = path.read_bytes()
    assert b"account.status" in written
    assert params["apiKey"].encode() not in written


def test_an_unfinished_last_line_is_left_out_and_a_wrong_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text('{"t":"mode","t_ms":5,"fault":"halt"}\n{"t":"mode","t_m')

    assert list(read_journal(path)) == [ModeRow(t_ms=5, fault="halt")]

    path.write_text('{"t":"other"}\n')
    with pytest.raises(JournalInvalid, match="line 1"):
        list(read_journal(path))


async def test_the_state_file_leads_to_the_exchange_and_goes_with_it(
    exchange: Any, tmp_path: Path
) -> None:
    path = tmp_path / "state.json"
    shared = SharedClock(wall_ms=1, market_ms=2, speed=1)
    settings = ExchangeSettings(symbols=SOL, seed=9, state_file=path, shared_clock=shared)
    async with exchange(settings) as venue:
        state = read_state(path)
        async with httpx.AsyncClient(trust_env=False) as http:
            pong = await http.get(state.address.rest_url + "/api/v3/ping")

    assert pong.json() == {}
    assert state.address == venue.address
    assert (state.seed, state.data_id, state.clock) == (9, "spot-usdt-2021-04", shared)
    assert not path.exists()


async def test_the_port_is_free_again_after_the_stop(exchange: Any) -> None:
    async with exchange(speed=20) as venue, venue.connect("/ws/solusdt@trade") as stream:
        port = venue.address.port
        await stream.recv()

    socket.create_server(("127.0.0.1", port)).close()


async def test_every_client_is_told_of_the_shutdown(exchange: Any) -> None:
    async with AsyncExitStack() as sockets:
        async with exchange() as venue:
            raw, combined, api = [
                await sockets.enter_async_context(venue.connect(path))
                for path in ("/ws", "/stream?streams=x", "/ws-api/v3")
            ]
        told = [json.loads(await socket.recv()) for socket in (raw, combined, api)]

    assert told[0]["e"] == "serverShutdown"
    assert told[1]["stream"] == "!serverShutdown"
    assert told[1]["data"]["e"] == "serverShutdown"
    assert told[2]["event"]["e"] == "serverShutdown"


async def test_a_ban_cuts_every_socket(exchange: Any) -> None:
    limits = RequestLimits(weight_per_minute=1, refusals_before_ban=0)
    settings = ExchangeSettings(symbols=SOL, request_limits=limits)
    async with exchange(settings) as venue, venue.connect("/ws") as stream:
        await venue.http.get("/api/v3/ping")
        banned = await venue.http.get("/api/v3/ping")
        await stream.wait_closed()

    assert banned.status_code == 418


def a_clock(market_ms: int = 1_618_919_220_000) -> ScaledClock:
    import time

    wall_ms = time.time_ns() // 10**6
    return ScaledClock(ClockAnchor(wall_ms=wall_ms, market_ms=market_ms, speed=1))


async def test_a_busy_port_is_a_typed_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        with pytest.raises(PortTaken, match=f"cannot listen on 127.0.0.1:{port}"):
            await serve_exchange(ExchangeSettings(port=port, symbols=SOL), a_clock())


async def test_a_time_outside_the_record_is_a_typed_error() -> None:
    with pytest.raises(RecordedDataInvalid, match="not at 2021-05-01"):
        await serve_exchange(ExchangeSettings(symbols=SOL), a_clock(1_619_827_200_000))


async def test_the_model_server_answers_on_the_same_port(exchange: Any) -> None:
    message = {"role": "user", "content": "judge\n{}"}
    async with exchange() as venue:
        answer = await venue.http.post(
            venue.address.model_url + "/chat/completions", json={"messages": [message]}
        )

    assert answer.status_code == 200
    content = json.loads(answer.json()["choices"][0]["message"]["content"])
    assert content["verdict"] == "ALLOW"


async def test_two_runs_of_one_seed_print_the_same_trades(exchange: Any) -> None:
    async def trades(seed: int) -> list[tuple[int, str, str]]:
        async with exchange(ExchangeSettings(symbols=SOL, seed=seed)) as venue:
            rows = await venue.get("trades", symbol="SOLUSDT", limit=1000)
        return [(row["time"], row["price"], row["qty"]) for row in rows][:100]

    first, again, other = await trades(3), await trades(3), await trades(4)

    assert first == again
    assert first != other


async def test_stopping_does_not_wait_for_a_client_that_never_reads(exchange: Any) -> None:
    settings = ExchangeSettings(symbols=SOL, queue_size=4)
    with anyio.fail_after(8):
        async with exchange(settings, speed=50) as venue:
            reader = await anyio.connect_tcp("127.0.0.1", venue.address.port)
            async with reader:
                handshake = (
                    "GET /stream?streams=solusdt@depth20@100ms/solusdt@trade HTTP/1.1\r\n"
                    f"Host: 127.0.0.1:{venue.address.port}\r\nUpgrade: websocket\r\n"
                    "Connection: Upgrade\r\nSec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n"
                    "Sec-WebSocket-Version: 13\r\n\r\n"
                )
                await reader.send(handshake.encode())
                assert b"101" in await reader.receive()
                assert (await venue.get("time"))["serverTime"] > 0


async def test_a_renamed_order_is_journalled_under_the_id_it_was_placed_with(
    exchange: Any, tmp_path: Path
) -> None:
    path = tmp_path / "journal.jsonl"
    far = BUY | {"type": "LIMIT", "timeInForce": "GTC", "price": "28.0000", "quantity": "2.00"}
    async with exchange(ExchangeSettings(symbols=SOL, journal=path)) as venue:
        await venue.signed("POST", "order", **far, newClientOrderId="first")
        for name, qty in (("second", "1.50"), ("third", "1.00")):
            which = {"symbol": "SOLUSDT", "orderId": 1, "newQty": qty, "newClientOrderId": name}
            await venue.signed("PUT", "order/amend/keepPriority", **which)
        await venue.signed("DELETE", "order", symbol="SOLUSDT", origClientOrderId="third")

    orders = [row for row in read_journal(path) if isinstance(row, OrderRow)]
    assert [(row.cid, row.qty) for row in orders] == [
        ("first", 2),
        ("first", Decimal("1.5")),
        ("first", 1),
        ("first", 1),
    ]
    assert orders[-1].status == "CANCELED"
