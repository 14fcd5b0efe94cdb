"""The official SDK, pointed at the embedded exchange by its configuration objects."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from binance_common.configuration import (
    ConfigurationRestAPI,
    ConfigurationWebSocketAPI,
    ConfigurationWebSocketStreams,
)
from binance_sdk_spot.spot import Spot


@pytest.fixture
def made(venue: Any) -> Callable[..., Spot]:
    """Gives an SDK object for a key, its secret or its private key."""

    def make(key: str, *, at: Any = None, **credentials: Any) -> Spot:
        place = at or venue
        return Spot(
            ConfigurationRestAPI(
                api_key=key, base_path=place.rest_url, timeout=5000, retries=0, **credentials
            ),
            ConfigurationWebSocketAPI(
                api_key=key, stream_url=place.ws_api_url, reconnect_delay=100, **credentials
            ),
            ConfigurationWebSocketStreams(stream_url=place.stream_url, reconnect_delay=100),
        )

    return make


@pytest.fixture
def rest(made: Any, identity: Any) -> Any:
    """The REST client with an HMAC key."""
    return made(identity.key, api_secret=identity.secret).rest_api


@pytest.fixture
async def ws_api(made: Any, identity: Any) -> AsyncIterator[Any]:
    """The WebSocket API client with an HMAC key, connected."""
    client = made(identity.key, api_secret=identity.secret).websocket_api
    await client.create_connection()
    yield client
    await client.close_connection(close_session=True)


@pytest.fixture
async def streams(made: Any) -> AsyncIterator[Any]:
    """The market stream client, connected."""
    client = made("nobody").websocket_streams
    await client.create_connection()
    yield client
    await client.close_connection(close_session=True)


@pytest.fixture
def price(rest: Any) -> Callable[[float], float]:
    """Gives prices relative to the market, on the symbol's grid."""
    last = float(rest.avg_price(symbol="BTCUSDT").data().price)
    return lambda factor: round(last * factor, 2)
