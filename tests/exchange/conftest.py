"""A running exchange on real sockets, for the tests of its faces."""

import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

import anyio
import httpx
import msgspec
import pytest
from hypothesis import settings
from websockets.asyncio.client import ClientConnection, connect

from livespot.exchange.service import serve_exchange
from livespot.exchange.settings import DEMO_KEY, DEMO_SECRET, ExchangeSettings
from livespot.exchange.state_file import ExchangeAddress
from livespot.runtime.clock import ClockAnchor, ScaledClock

# For a longer search: `pytest tests/exchange/test_random_requests.py --hypothesis-profile=long`.
settings.register_profile("long", max_examples=5000)

# 2021-04-20T11:47 UTC, in the middle of a candle of fifteen minutes.
START_MS = 1_618_919_220_000


@dataclass(frozen=True)
class Venue:
    """An exchange and a client of it."""

    address: ExchangeAddress
    clock: ScaledClock
    http: httpx.AsyncClient

    async def get(self, path: str, **params: str | int) -> Any:
        response = await self.http.get(f"/api/v3/{path}", params=params)
        assert response.status_code == 200, response.text
        return response.json()

    async def signed(self, method: str, path: str, **params: str | int) -> httpx.Response:
        """Send a signed request with the demo key."""
        query = urlencode({**params, **self._stamp()})
        url = f"/api/v3/{path}?{query}&signature={sign(query)}"
        return await self.http.request(method, url, headers={"X-MBX-APIKEY": DEMO_KEY})

    def _stamp(self) -> dict[str, int]:
        # The widest window: at twenty times the machine's speed the usual one is a quarter second.
        return {"timestamp": self.clock.now_ms(), "recvWindow": 60_000}

    def connect(self, path: str) -> connect:
        return connect(self.address.stream_url + path, proxy=None, compression=None)

    def signed_params(self, **params: str | int) -> dict[str, Any]:
        """WebSocket API parameters with the demo key and its signature."""
        everything = {**params, "apiKey": DEMO_KEY, **self._stamp()}
        text = "&".join(f"{name}={everything[name]}" for name in sorted(everything))
        return {**everything, "signature": sign(text)}


def sign(text: str) -> str:
    return hmac.new(DEMO_SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()


async def ask(socket: ClientConnection, method: str, params: Any = None, number: int = 1) -> Any:
    """Send one request on a socket; the reply with its id, other frames are passed over."""
    request = {"id": number, "method": method}
    if params is not None:
        request["params"] = params
    await socket.send(msgspec.json.encode(request).decode())
    while True:
        reply = msgspec.json.decode(await socket.recv())
        if isinstance(reply, dict) and reply.get("id") == number and "stream" not in reply:
            return reply


@asynccontextmanager
async def running(
    settings: ExchangeSettings | None = None, *, start_ms: int = START_MS, speed: int = 1
) -> AsyncIterator[Venue]:
    chosen = settings or ExchangeSettings()
    if not chosen.symbols and chosen.data is None:
        chosen = replace(chosen, symbols=frozenset({"SOLUSDT"}))
    anchor = ClockAnchor(wall_ms=time.time_ns() // 10**6, market_ms=start_ms, speed=speed)
    clock = ScaledClock(anchor)
    async with anyio.create_task_group() as tasks:
        address = await tasks.start(serve_exchange, chosen, clock)
        async with httpx.AsyncClient(
            base_url=address.rest_url,
            verify=False,  # noqa: S501  plain HTTP on loopback; skips reading certificates
            trust_env=False,
        ) as http:
            yield Venue(address, clock, http)
        tasks.cancel_scope.cancel()


@pytest.fixture
def exchange() -> Callable[..., AbstractAsyncContextManager[Venue]]:
    """Opens an exchange for the length of an `async with`."""
    return running


@pytest.fixture
def asking() -> Callable[..., Any]:
    """Request and reply on a socket."""
    return ask
