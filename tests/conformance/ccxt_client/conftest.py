"""ccxt, pointed at the embedded exchange by its `urls`."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import ccxt
import ccxt.pro
import pytest

# Only the spot market exists here, and no /sapi: what ccxt would ask beyond it is switched off.
OPTIONS = {
    "fetchCurrencies": False,
    "fetchMargins": False,
    "fetchMarkets": {"types": ["spot"]},
}


def point(exchange: Any, venue: Any) -> Any:
    """Set the addresses of an exchange object."""
    urls = exchange.urls["api"]
    urls["public"] = urls["private"] = f"{venue.rest_url}/api/v3"
    urls["ws"] = {"spot": f"{venue.stream_url}/ws", "ws-api": {"spot": venue.ws_api_url}}
    return exchange


@pytest.fixture
def made(venue: Any) -> Callable[..., Any]:
    """Gives an exchange object of a class for a key."""

    def make(kind: type, key: str, secret: str, *, at: Any = None) -> Any:
        exchange = kind(
            {"apiKey": key, "secret": secret, "enableRateLimit": False, "options": OPTIONS.copy()}
        )
        return point(exchange, at or venue)

    return make


@pytest.fixture
def exchange(made: Any, identity: Any) -> Any:
    """The synchronous client with an HMAC key."""
    return made(ccxt.binance, identity.key, identity.secret)


@pytest.fixture
async def pro(made: Any, identity: Any) -> AsyncIterator[Any]:
    """The asynchronous client with its streams, and an HMAC key."""
    exchange = made(ccxt.pro.binance, identity.key, identity.secret)
    yield exchange
    await exchange.close()


@pytest.fixture
def price(exchange: Any) -> float:
    """The last price."""
    last: float = exchange.fetch_ticker("BTC/USDT")["last"]
    return last
