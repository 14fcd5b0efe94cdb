"""python-binance, pointed at the embedded exchange by its own URL constants."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from binance import AsyncClient, BinanceSocketManager, Client

# How long a closing socket waits for one more message; the library's own ten seconds are long.
LAST_WAIT_S = 1


@pytest.fixture(scope="module")
def pointed(venue: Any) -> Callable[[type], Any]:
    """Gives a client class with other addresses; nothing else of it is touched."""
    urls = {
        "API_URL": f"{venue.rest_url}/api",
        "MARGIN_API_URL": f"{venue.rest_url}/sapi",
        "WS_API_URL": venue.ws_api_url,
        "STREAM_URL": f"{venue.stream_url}/",
    }

    def at_exchange(kind: type) -> Any:
        own = {name: url for name, url in urls.items() if hasattr(kind, name)}
        return type(kind.__name__, (kind,), own)

    return at_exchange


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """The current loop for a synchronous client, which would make one and never close it."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield loop
    asyncio.set_event_loop(None)
    loop.close()


@pytest.fixture
def client(pointed: Any, identity: Any, loop: asyncio.AbstractEventLoop) -> Iterator[Any]:
    """The synchronous client with an HMAC key."""
    client = pointed(Client)(identity.key, identity.secret)
    yield client
    client.close_connection()


@pytest.fixture
async def async_client(pointed: Any, identity: Any) -> AsyncIterator[Any]:
    """The asynchronous client with an HMAC key."""
    client = await pointed(AsyncClient).create(identity.key, identity.secret)
    client.ws_api.TIMEOUT = LAST_WAIT_S
    yield client
    await client.close_connection()


@pytest.fixture
def sockets(pointed: Any, async_client: Any) -> Any:
    """The market stream and user stream factory of the asynchronous client."""
    return pointed(BinanceSocketManager)(async_client)


@pytest.fixture
def price(client: Any) -> Any:
    """Gives prices relative to the market, as text on the symbol's grid."""
    last = float(client.get_symbol_ticker(symbol="BTCUSDT")["price"])
    return lambda factor: f"{last * factor:.2f}"
