"""Streams, user data and WebSocket API requests through python-binance's own socket classes."""

import asyncio
import queue
from collections.abc import Iterator
from typing import Any

import pytest
from binance import AsyncClient, BinanceSocketManager, Client, ThreadedWebsocketManager
from binance.exceptions import BinanceAPIException
from binance.ws.depthcache import DepthCacheManager

SYMBOL = "BTCUSDT"
PATIENCE_S = 10
# How long a closing socket waits for one more message; the library's own ten seconds are long.
LAST_WAIT_S = 1


@pytest.fixture(scope="module")
def talker(pointed: Any, venue: Any) -> Iterator[Any]:
    """One client for all WebSocket API requests: each closing of its socket takes a while."""
    identity = next(venue.identities)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    client = pointed(Client)(identity.key, identity.secret)
    client.ws_api.TIMEOUT = LAST_WAIT_S
    yield client
    asyncio.set_event_loop(loop)
    loop.run_until_complete(client.ws_api.close())
    client.close_connection()
    asyncio.set_event_loop(None)
    loop.close()


@pytest.fixture
def near(speaking: Any) -> Any:
    """Gives prices relative to the market, as text on the symbol's grid."""
    last = float(speaking.ws_get_symbol_ticker(symbol=SYMBOL)["price"])
    return lambda factor: f"{last * factor:.2f}"


@pytest.fixture
def speaking(talker: Any) -> Iterator[Any]:
    """That client, with its own loop as the current one."""
    asyncio.set_event_loop(talker.loop)
    yield talker
    asyncio.set_event_loop(None)


# How each socket is opened, and the keys of what it delivers.
STREAMS: dict[str, tuple[dict[str, Any], str]] = {
    "depth_socket": ({"symbol": SYMBOL, "interval": 100}, "e E s U u b a"),
    "kline_socket": ({"symbol": SYMBOL, "interval": "1m"}, "e E s k"),
    "aggtrade_socket": ({"symbol": SYMBOL}, "e E s a p q f l T m M"),
    "trade_socket": ({"symbol": SYMBOL}, "e E s t p q T m M"),
    "symbol_miniticker_socket": ({"symbol": SYMBOL}, "e E s c o h l v q"),
    "symbol_ticker_socket": (
        {"symbol": SYMBOL},
        "e E s p P w x c Q b B a A o h l v q O C F L n",
    ),
    "symbol_book_ticker_socket": ({"symbol": SYMBOL}, "u s b B a A"),
}


async def first(socket: Any) -> Any:
    """The first message of a socket that is then closed."""
    async with socket as opened:
        return await asyncio.wait_for(opened.recv(), PATIENCE_S)


async def test_every_market_stream_delivers_its_own_fields(sockets: Any) -> None:
    opened = [getattr(sockets, name)(**more) for name, (more, _) in STREAMS.items()]

    messages = await asyncio.gather(*map(first, opened))

    for (_, keys), message in zip(STREAMS.values(), messages, strict=True):
        assert set(message) == set(keys.split())
        assert message["s"] == SYMBOL


async def test_partial_book_holds_as_many_levels_as_asked(sockets: Any) -> None:
    book = await first(
        sockets.depth_socket(SYMBOL, depth=BinanceSocketManager.WEBSOCKET_DEPTH_5, interval=100)
    )

    assert len(book["bids"]) == len(book["asks"]) == 5


async def test_combined_socket_names_the_stream_of_each_message(sockets: Any) -> None:
    names = {"btcusdt@bookTicker", "ethusdt@bookTicker"}
    seen: dict[str, Any] = {}
    async with sockets.multiplex_socket(sorted(names)) as opened:
        while set(seen) != names:
            message = await asyncio.wait_for(opened.recv(), PATIENCE_S)
            seen[message["stream"]] = message["data"]

    assert {data["s"] for data in seen.values()} == {"BTCUSDT", "ETHUSDT"}


async def test_depth_cache_keeps_a_book_in_step(async_client: Any, sockets: Any) -> None:
    cache = DepthCacheManager(async_client, SYMBOL, bm=sockets, ws_interval=100)
    async with cache as opened:
        book = await asyncio.wait_for(opened.recv(), PATIENCE_S)

    assert book.get_bids()[0][0] < book.get_asks()[0][0]


async def test_user_socket_reports_order_list_and_balances(async_client: Any, sockets: Any) -> None:
    last = float((await async_client.get_symbol_ticker(symbol=SYMBOL))["price"])
    async with sockets.user_socket() as user:
        await async_client.order_market_buy(symbol=SYMBOL, quantity="0.01")
        await async_client.create_oco_order(
            symbol=SYMBOL,
            side="SELL",
            quantity="0.01",
            aboveType="LIMIT_MAKER",
            abovePrice=f"{last * 1.1:.2f}",
            belowType="STOP_LOSS",
            belowStopPrice=f"{last * 0.9:.2f}",
        )
        events = [await asyncio.wait_for(user.recv(), PATIENCE_S) for _ in range(7)]

    kinds = [event["e"] for event in events]
    assert kinds[:3] == ["executionReport", "executionReport", "outboundAccountPosition"]
    assert [event["x"] for event in events[:2]] == ["NEW", "TRADE"]
    assert sorted(kinds[3:]) == [
        "executionReport",
        "executionReport",
        "listStatus",
        "outboundAccountPosition",
    ]


async def test_user_socket_says_which_cancel_ended_an_order(
    async_client: Any, sockets: Any
) -> None:
    last = float((await async_client.get_symbol_ticker(symbol=SYMBOL))["price"])
    async with sockets.user_socket() as user:
        placed = await async_client.order_limit_buy(
            symbol=SYMBOL, quantity="0.01", price=f"{last * 0.9:.2f}"
        )
        gone = await async_client.cancel_order(symbol=SYMBOL, orderId=placed["orderId"])
        events = [await asyncio.wait_for(user.recv(), PATIENCE_S) for _ in range(4)]

    report = events[2]
    assert (report["x"], report["X"]) == ("CANCELED", "CANCELED")
    assert (report["C"], report["c"]) == (placed["clientOrderId"], gone["clientOrderId"])


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
async def test_user_socket_opens_with_a_private_key(pointed: Any, identity: Any, kind: str) -> None:
    key = identity.rsa_key if kind == "rsa" else identity.ed25519_key
    pem = identity.rsa_pem if kind == "rsa" else identity.ed25519_pem
    client = await pointed(AsyncClient).create(key, private_key=pem)
    client.ws_api.TIMEOUT = LAST_WAIT_S
    async with pointed(BinanceSocketManager)(client).user_socket() as user:
        await client.ws_order_market_buy(symbol=SYMBOL, quantity="0.01")
        event = await asyncio.wait_for(user.recv(), PATIENCE_S)
    await client.close_connection()

    assert event["e"] == "executionReport"


def test_threaded_sockets_call_back(
    venue: Any,
    identity: Any,
    loop: asyncio.AbstractEventLoop,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # It makes its own client, so the addresses can only come from the public constants.
    monkeypatch.setattr(AsyncClient, "API_URL", f"{venue.rest_url}/api")
    monkeypatch.setattr(AsyncClient, "WS_API_URL", venue.ws_api_url)
    monkeypatch.setattr(BinanceSocketManager, "STREAM_URL", f"{venue.stream_url}/")
    heard: queue.Queue[Any] = queue.Queue()
    manager = ThreadedWebsocketManager(identity.key, identity.secret, loop=loop)
    manager.start()
    manager.start_symbol_book_ticker_socket(callback=heard.put, symbol=SYMBOL)

    message = heard.get(timeout=PATIENCE_S)

    manager.stop()
    manager.join()
    assert message["s"] == SYMBOL


ONE = {"symbol": SYMBOL}
UNAFFORDABLE = {"symbol": SYMBOL, "quantity": "100", "price": "50000"}
UNTOUCHED = {"symbol": "ETHUSDT"}


@pytest.mark.parametrize(
    ("method", "params", "keys"),
    [
        ("ws_ping", {}, ""),
        ("ws_get_time", {}, "serverTime"),
        ("ws_get_exchange_info", ONE, "symbols rateLimits"),
        ("ws_get_order_book", ONE, "lastUpdateId bids asks"),
        ("ws_get_avg_price", ONE, "mins price closeTime"),
        ("ws_get_ticker", ONE, "symbol weightedAvgPrice"),
        ("ws_get_trading_day_ticker", ONE, "symbol weightedAvgPrice"),
        ("ws_get_symbol_ticker_window", ONE, "symbol weightedAvgPrice"),
        ("ws_get_symbol_ticker", ONE, "symbol price"),
        ("ws_get_orderbook_ticker", ONE, "symbol bidPrice askPrice"),
        ("ws_get_account", {}, "balances uid"),
        ("ws_get_commission_rates", ONE, "standardCommission"),
    ],
)
def test_websocket_api_answers_an_object(
    speaking: Any, method: str, params: dict[str, Any], keys: str
) -> None:
    assert set(keys.split()) <= set(getattr(speaking, method)(**params))


@pytest.mark.parametrize(
    ("method", "params", "rows"),
    [
        ("ws_get_recent_trades", ONE | {"limit": 2}, 2),
        ("ws_get_historical_trades", ONE | {"limit": 2}, 2),
        ("ws_get_aggregate_trades", ONE | {"limit": 2}, 2),
        ("ws_get_klines", ONE | {"interval": "1m", "limit": 2}, 2),
        ("ws_get_uiKlines", ONE | {"interval": "1m", "limit": 2}, 2),
        ("ws_get_account_rate_limits_orders", {}, 2),
        ("ws_get_all_orders", UNTOUCHED, 0),
        ("ws_get_open_orders", UNTOUCHED, 0),
        ("ws_get_my_trades", UNTOUCHED, 0),
        ("ws_get_prevented_matches", UNTOUCHED | {"orderId": 1}, 0),
        ("ws_get_allocations", UNTOUCHED, 0),
        ("ws_get_oco_open_orders", {}, 0),
    ],
)
def test_websocket_api_answers_a_list(
    speaking: Any, method: str, params: dict[str, Any], rows: int
) -> None:
    assert len(getattr(speaking, method)(**params)) == rows


def test_order_lives_and_dies_over_the_websocket_api(speaking: Any, near: Any) -> None:
    order = {"symbol": SYMBOL, "quantity": "0.01", "price": near(0.9)}
    placed = speaking.ws_order_limit_buy(**order)
    ids = {"symbol": SYMBOL, "orderId": placed["orderId"]}

    assert speaking.ws_get_order(**ids)["status"] == "NEW"
    assert speaking.ws_cancel_order(**ids)["status"] == "CANCELED"
    assert ids["orderId"] not in [o["orderId"] for o in speaking.ws_get_open_orders()]


def test_order_is_replaced_over_the_websocket_api(speaking: Any, near: Any) -> None:
    order = {"symbol": SYMBOL, "quantity": "0.01", "price": near(0.9)}
    placed = speaking.ws_order_limit_buy(**order)

    swapped = speaking.ws_cancel_and_replace_order(
        **order,
        side="BUY",
        type="LIMIT",
        timeInForce="GTC",
        cancelReplaceMode="STOP_ON_FAILURE",
        cancelOrderId=placed["orderId"],
    )

    assert swapped["newOrderResult"] == "SUCCESS"
    assert len(speaking.ws_cancel_all_open_orders(symbol=SYMBOL)) == 1


def test_order_is_only_tested_over_the_websocket_api(speaking: Any, near: Any) -> None:
    order = {"symbol": SYMBOL, "side": "BUY", "type": "MARKET", "quantity": "0.01"}

    assert speaking.ws_create_test_order(**order) == {}


def test_oco_is_placed_and_cancelled_over_the_websocket_api(speaking: Any, near: Any) -> None:
    placed = speaking.ws_create_oco_order(
        symbol=SYMBOL,
        side="SELL",
        quantity="0.01",
        aboveType="LIMIT_MAKER",
        abovePrice=near(1.1),
        belowType="STOP_LOSS",
        belowStopPrice=near(0.9),
    )
    number = {"orderListId": placed["orderListId"]}

    assert speaking.ws_get_oco_order(**number)["listOrderStatus"] == "EXECUTING"
    gone = speaking.ws_cancel_oco_order(symbol=SYMBOL, **number)
    assert gone["listOrderStatus"] == "ALL_DONE"


@pytest.mark.parametrize(
    ("code", "call"),
    [
        (-1121, lambda client: client.ws_get_order_book(symbol="NOPE")),
        (-2013, lambda client: client.ws_get_order(symbol=SYMBOL, orderId=987_654)),
        (-2011, lambda client: client.ws_cancel_order(symbol=SYMBOL, orderId=987_654)),
        (-2010, lambda client: client.ws_order_limit_buy(**UNAFFORDABLE)),
    ],
)
def test_websocket_api_refusal_keeps_its_code(speaking: Any, code: int, call: Any) -> None:
    with pytest.raises(BinanceAPIException) as caught:
        call(speaking)

    assert caught.value.code == code


def test_wrong_secret_is_refused_over_the_websocket_api(
    pointed: Any, identity: Any, loop: asyncio.AbstractEventLoop
) -> None:
    client = pointed(Client)(identity.key, "wrong")
    client.ws_api.TIMEOUT = LAST_WAIT_S

    with pytest.raises(BinanceAPIException) as caught:
        client.ws_get_account()

    assert caught.value.code == -1022
    loop.run_until_complete(client.ws_api.close())
    client.close_connection()
