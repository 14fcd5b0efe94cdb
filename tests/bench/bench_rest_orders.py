"""How many orders a minute one client can place through REST at an exchange in its own process."""

import hashlib
import hmac
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from tests.bench.report import Figure, report

from livespot.exchange.settings import DEMO_KEY, DEMO_SECRET

pytestmark = [pytest.mark.bench, pytest.mark.timeout(300)]

_LEAST_PER_MINUTE = 20_000
_SECONDS = 20
_SYMBOL = "BTCUSDT"
_ORDERS = "/api/v3/order"
# An account may have two hundred open orders of a symbol.
_MOST_OPEN = 150


@dataclass(frozen=True, slots=True)
class _Run:
    """`client_s` and `server_s` are processor seconds."""

    placed: int
    wall_s: float
    client_s: float
    server_s: float

    @property
    def per_minute(self) -> float:
        return 60 * self.placed / self.wall_s

    @property
    def undisturbed(self) -> float:
        """Placements a minute if nothing else wanted the processors; the two take turns."""
        return 60 * self.placed / (self.client_s + self.server_s)


class _Client:
    """One keep-alive connection whose requests are signed with the demo key."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._connection = HTTPConnection(address.hostname or "", address.port, timeout=10)
        self._headers = {"X-MBX-APIKEY": DEMO_KEY}

    def send(self, method: str, path: str, query: str = "") -> Any:
        """The decoded reply; anything but 200 ends the measurement."""
        self._connection.request(method, f"{path}?{query}", headers=self._headers)
        reply = self._connection.getresponse()
        body = reply.read()
        assert reply.status == 200, body
        return json.loads(body)

    def signed(self, method: str, path: str, query: str) -> Any:
        """A request with time and signature."""
        text = f"{query}&timestamp={time.time_ns() // 1_000_000}"
        proof = hmac.new(DEMO_SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
        return self.send(method, path, f"{text}&signature={proof}")

    def close(self) -> None:
        self._connection.close()


@contextmanager
def _exchange(tmp_path: Path) -> Iterator[tuple[str, psutil.Process]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.order_server", str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), psutil.Process(process.pid)
    finally:
        process.terminate()
        process.communicate()


def _spent(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _place(client: _Client, server: psutil.Process) -> _Run:
    """Place limit orders below the market for some time; full books are emptied in between."""
    bid = float(client.send("GET", "/api/v3/ticker/bookTicker", f"symbol={_SYMBOL}")["bidPrice"])
    price, quantity = f"{bid * 0.95:.2f}", f"{15 / bid:.5f}"
    order = f"symbol={_SYMBOL}&side=BUY&type=LIMIT&timeInForce=GTC&quantity={quantity}"
    placed, last_id = 0, -1
    began, client_s, server_s = time.perf_counter(), time.process_time(), _spent(server)
    while time.perf_counter() - began < _SECONDS:
        for number in range(placed, placed + _MOST_OPEN):
            name = f"price={price}&newClientOrderId=bench-{number}"
            body = client.signed("POST", _ORDERS, f"{order}&{name}")
            assert body["status"] == "NEW"
            assert body["orderId"] > last_id
            last_id = body["orderId"]
        placed += _MOST_OPEN
        gone = client.signed("DELETE", "/api/v3/openOrders", f"symbol={_SYMBOL}")
        assert len(gone) == _MOST_OPEN
    wall = time.perf_counter() - began
    return _Run(placed, wall, time.process_time() - client_s, _spent(server) - server_s)


def test_one_client_places_twenty_thousand_orders_a_minute(tmp_path: Path) -> None:
    with _exchange(tmp_path) as (url, server):
        client = _Client(url)
        run = _place(client, server)
        client.close()

    assert run.wall_s >= _SECONDS
    report(
        f"limit orders through REST, one client, {_SECONDS} s",
        Figure("placements a minute, as it was", run.per_minute, ""),
        Figure(
            "placements a minute, by processor time",
            run.undisturbed,
            "",
            least=_LEAST_PER_MINUTE,
        ),
        Figure("exchange", 1e6 * run.server_s / run.placed, "us each"),
        Figure("client", 1e6 * run.client_s / run.placed, "us each"),
    )
