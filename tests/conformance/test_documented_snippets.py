"""The override lines in the documents work as printed, against `livespot exchange` as it starts."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_SECTION = re.compile(r"^### (.+?)\n(?:.*?)^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
SNIPPETS = dict(_SECTION.findall((ROOT / "docs" / "exchange.md").read_text(encoding="utf-8")))

# Appended to a snippet: its stream and WebSocket API addresses are right too.
PROBES = {
    "python-binance": """
import asyncio

async def probe():
    client = await AsyncClient.create(client_key, client_secret)
    client.ws_api.TIMEOUT = 1
    sockets = BinanceSocketManager(client)
    async with sockets.user_socket() as user:
        await client.order_market_buy(symbol="BTCUSDT", quoteOrderQty=100)
        print((await user.recv())["e"])
    async with sockets.symbol_book_ticker_socket("BTCUSDT") as quotes:
        print((await quotes.recv())["s"])
    await client.close_connection()

client_key, client_secret = client.API_KEY, client.API_SECRET
asyncio.run(probe())
""",
    "ccxt": """
import asyncio
import ccxt.pro

async def probe():
    pro = ccxt.pro.binance(
        {"apiKey": exchange.apiKey, "secret": exchange.secret, "options": exchange.options}
    )
    pro.urls = exchange.urls
    order = await pro.create_order_ws("BTC/USDT", "market", "buy", 0.002)
    print("executionReport" if order["status"] == "closed" else order)
    quotes = await pro.watch_bids_asks(["BTC/USDT"])
    print(quotes["BTC/USDT"]["symbol"].replace("/", ""))
    await pro.close()

asyncio.run(probe())
""",
    "The official SDK": """
import asyncio

async def probe():
    api, streams = spot.websocket_api, spot.websocket_streams
    await api.create_connection()
    await streams.create_connection()
    user = (await api.user_data_stream_subscribe_signature()).stream
    heard, quoted = asyncio.Queue(), asyncio.Queue()
    user.on("message", lambda event: heard.put_nowait(type(event.actual_instance).__name__))
    await api.order_place(**order)
    print((await heard.get()).replace("E", "e", 1))
    (await streams.book_ticker(symbol="btcusdt")).on("message", quoted.put_nowait)
    print((await quoted.get()).s)
    await api.close_connection()
    await streams.close_connection()

asyncio.run(probe())
""",
}


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of the command, started as the page says but on a free one."""
    place = tmp_path_factory.mktemp("exchange")
    state = place / "state.json"
    command = [sys.executable, "-m", "livespot_cmd.main", "exchange", "--port", "0"]
    with subprocess.Popen(
        [*command, "--state-file", str(state)], cwd=place, stdout=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + 30
        while not state.exists() or not state.read_text():
            assert process.poll() is None, "the exchange did not start"
            assert time.monotonic() < deadline, "the exchange says nothing"
            time.sleep(0.05)
        yield json.loads(state.read_text())["address"]["port"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0


def test_every_client_of_the_suite_is_documented() -> None:
    assert set(SNIPPETS) == set(PROBES)


@pytest.mark.parametrize("client", sorted(PROBES))
def test_documented_lines_point_a_client_here(client: str, port: int, tmp_path: Path) -> None:
    snippet = SNIPPETS[client]
    assert "9080" in snippet
    script = tmp_path / "bot.py"
    script.write_text(snippet.replace("9080", str(port)) + PROBES[client], encoding="utf-8")

    ran = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() in (
        ["FILLED", "executionReport", "BTCUSDT"],
        ["closed", "executionReport", "BTCUSDT"],
    )
