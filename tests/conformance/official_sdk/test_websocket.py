"""The official SDK's market streams, private events and WebSocket API requests."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from binance_sdk_spot.websocket_api.models import UserDataStreamEventsResponse

SYMBOL = "BTCUSDT"
ONE = {"symbol": SYMBOL}
PATIENCE_S = 10

STREAMS: list[tuple[str, dict[str, Any]]] = [
    ("agg_trade", {"symbol": "btcusdt"}),
    ("trade", {"symbol": "btcusdt"}),
    ("kline", {"symbol": "btcusdt", "interval": "1m"}),
    ("kline_offset", {"symbol": "btcusdt", "interval": "1m"}),
    ("mini_ticker", {"symbol": "btcusdt"}),
    ("ticker", {"symbol": "btcusdt"}),
    ("rolling_window_ticker", {"symbol": "btcusdt", "window_size": "1h"}),
    ("book_ticker", {"symbol": "btcusdt"}),
    ("avg_price", {"symbol": "btcusdt"}),
    ("partial_book_depth", {"symbol": "btcusdt", "levels": "5", "update_speed": "100ms"}),
    ("diff_book_depth", {"symbol": "btcusdt", "update_speed": "100ms"}),
    ("all_mini_ticker", {}),
    ("all_market_rolling_window_ticker", {"window_size": "4h"}),
]


def heard_on(handle: Any) -> Callable[[], Any]:
    """Collects what a stream says; the result waits for its first message."""
    first: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def hear(message: Any) -> None:
        if not first.done():
            first.set_result(message)

    handle.on("message", hear)
    return lambda: asyncio.wait_for(first, PATIENCE_S)


def fields(message: Any) -> dict[str, Any]:
    one = message[0] if isinstance(message, list) else message
    dumped: dict[str, Any] = one.model_dump()
    return dumped


async def test_every_market_stream_fits_its_model(streams: Any) -> None:
    # Five control messages a second are allowed, and the SDK subscribes one stream at a time.
    waiting = []
    for number, (name, more) in enumerate(STREAMS):
        if number % 4 == 3:
            await asyncio.sleep(1)
        waiting.append(heard_on(await getattr(streams, name)(**more)))

    messages = await asyncio.gather(*(heard() for heard in waiting))

    for message in messages:
        values = fields(message)
        assert values.pop("additional_properties") == {}
        assert any(value is not None for value in values.values())


async def test_streams_are_listed_and_left(streams: Any) -> None:
    handle = await streams.book_ticker(symbol="btcusdt")
    await heard_on(handle)()

    listed = await streams.list_subscribe()
    await handle.unsubscribe()

    assert "btcusdt@bookTicker" in str(listed)


PUBLIC: list[tuple[str, dict[str, Any]]] = [
    ("ping", {}),
    ("time", {}),
    ("exchange_info", ONE),
    ("execution_rules", ONE),
    ("depth", ONE | {"limit": 5}),
    ("trades_recent", ONE | {"limit": 2}),
    ("trades_historical", ONE | {"limit": 2}),
    ("trades_aggregate", ONE | {"limit": 2}),
    ("klines", ONE | {"interval": "1m", "limit": 2}),
    ("ui_klines", ONE | {"interval": "1m", "limit": 2}),
    ("avg_price", ONE),
    ("ticker24hr", ONE),
    ("ticker", ONE),
    ("ticker_trading_day", ONE),
    ("ticker_price", ONE),
    ("ticker_book", ONE),
    ("session_status", {}),
    ("session_subscriptions", {}),
]
PRIVATE: list[tuple[str, dict[str, Any]]] = [
    ("account_status", {}),
    ("account_commission", ONE),
    ("account_rate_limits_orders", {}),
    ("all_orders", ONE),
    ("all_order_lists", {}),
    ("my_trades", ONE),
    ("my_filters", ONE),
    ("my_prevented_matches", ONE | {"order_id": 1}),
    ("my_allocations", ONE),
    ("open_orders_status", {}),
    ("open_order_lists_status", {}),
]


@pytest.mark.parametrize(
    ("method", "params"), PUBLIC + PRIVATE, ids=[row[0] for row in PUBLIC + PRIVATE]
)
async def test_answer_fits_the_model(ws_api: Any, method: str, params: dict[str, Any]) -> None:
    response = await getattr(ws_api, method)(**params)

    answer = response.data()
    assert not isinstance(answer, dict), answer
    assert "REQUEST_WEIGHT" in {limit.rateLimitType for limit in response.rate_limits}


async def market_price(ws_api: Any) -> float:
    return float((await ws_api.avg_price(symbol=SYMBOL)).data().result.price)


async def test_order_lives_and_dies_over_the_websocket_api(ws_api: Any) -> None:
    price = await market_price(ws_api)
    order = {
        "symbol": SYMBOL,
        "side": "BUY",
        "type": "LIMIT",
        "time_in_force": "GTC",
        "quantity": 0.02,
        "price": round(price * 0.9, 2),
    }

    await ws_api.order_test(**order)
    placed = (await ws_api.order_place(**order)).data().result
    number = {"symbol": SYMBOL, "order_id": placed.order_id}
    amended = (await ws_api.order_amend_keep_priority(**number, new_qty=0.01)).data().result
    history = (await ws_api.order_amendments(**number)).data().result
    swapped = (
        await ws_api.order_cancel_replace(
            **order, cancel_replace_mode="STOP_ON_FAILURE", cancel_order_id=placed.order_id
        )
    ).data()
    number["order_id"] = swapped.result.new_order_response.order_id
    found = (await ws_api.order_status(**number)).data().result
    gone = (await ws_api.order_cancel(**number)).data().result

    assert amended.amended_order.qty == "0.01000000"
    assert len(history) == 1
    assert (found.status, gone.status) == ("NEW", "CANCELED")


async def test_lists_of_every_kind_are_placed_and_swept(ws_api: Any) -> None:
    price = await market_price(ws_api)

    def at(factor: float) -> float:
        return round(price * factor, 2)

    working = {
        "symbol": SYMBOL,
        "working_type": "LIMIT",
        "working_side": "BUY",
        "working_price": at(0.9),
        "working_quantity": 0.01,
        "working_time_in_force": "GTC",
        "pending_side": "SELL",
    }
    single = {"pending_type": "LIMIT", "pending_price": at(1.1), "pending_time_in_force": "GTC"}
    legs = {
        "pending_above_type": "LIMIT_MAKER",
        "pending_above_price": at(1.1),
        "pending_below_type": "STOP_LOSS",
        "pending_below_stop_price": at(0.8),
    }
    quantity = {"pending_quantity": 0.01}
    old = {"symbol": SYMBOL, "side": "SELL", "quantity": 0.01}

    placed = [
        await ws_api.order_list_place(**old, price=at(1.1), stop_price=at(0.9)),
        await ws_api.order_list_place_oco(
            **old,
            above_type="LIMIT_MAKER",
            above_price=at(1.1),
            below_type="STOP_LOSS",
            below_stop_price=at(0.9),
        ),
        await ws_api.order_list_place_oto(**working, **single, **quantity),
        await ws_api.order_list_place_otoco(**working, **legs, **quantity),
        await ws_api.order_list_place_opo(**working, **single),
    ]
    numbers = [response.data().result.order_list_id for response in placed]
    status = (await ws_api.order_list_status(order_list_id=numbers[0])).data().result
    gone = (await ws_api.order_list_cancel(symbol=SYMBOL, order_list_id=numbers[0])).data().result
    swept = (await ws_api.open_orders_cancel_all(symbol=SYMBOL)).data().result

    assert len(set(numbers)) == 5
    assert (status.list_order_status, gone.list_order_status) == ("EXECUTING", "ALL_DONE")
    assert len(swept) == 4


async def test_refusal_is_told_with_its_code(ws_api: Any) -> None:
    response = await ws_api.order_cancel(symbol=SYMBOL, order_id=987_654)

    assert response.data()["error"]["code"] == -2011


def events_of(handle: Any) -> tuple[list[Any], Callable[[int], Any]]:
    heard: list[Any] = []
    grown = asyncio.Event()

    def hear(event: Any) -> None:
        heard.append(event.actual_instance)
        grown.set()

    async def until(count: int) -> None:
        while len(heard) < count:
            grown.clear()
            await asyncio.wait_for(grown.wait(), PATIENCE_S)

    handle.on("message", hear)
    return heard, until


async def test_private_events_fit_their_models(ws_api: Any, rest: Any) -> None:
    subscription = await ws_api.user_data_stream_subscribe_signature()
    heard, until = events_of(subscription.stream)
    price = await market_price(ws_api)

    await asyncio.to_thread(
        lambda: rest.new_order(symbol=SYMBOL, side="BUY", type="MARKET", quantity=0.01)
    )
    await until(3)
    await ws_api.order_list_place_oco(
        symbol=SYMBOL,
        side="SELL",
        quantity=0.01,
        above_type="LIMIT_MAKER",
        above_price=round(price * 1.1, 2),
        below_type="STOP_LOSS",
        below_stop_price=round(price * 0.9, 2),
    )
    await until(7)

    known = set(UserDataStreamEventsResponse.model_fields["one_of_schemas"].default)
    kinds = [type(event).__name__ for event in heard]
    assert kinds[:3] == ["ExecutionReport", "ExecutionReport", "OutboundAccountPosition"]
    assert sorted(kinds[3:]) == [
        "ExecutionReport",
        "ExecutionReport",
        "ListStatus",
        "OutboundAccountPosition",
    ]
    assert set(kinds) <= known


async def test_session_of_an_ed25519_key_needs_no_more_signatures(made: Any, identity: Any) -> None:
    client = made(identity.ed25519_key, private_key=identity.ed25519_pem).websocket_api
    await client.create_connection()

    logged = (await client.session_logon()).data().result
    subscription = await client.user_data_stream_subscribe()
    heard, until = events_of(subscription.stream)
    await client.order_place(symbol=SYMBOL, side="BUY", type="MARKET", quantity=0.01)
    await until(3)
    status = (await client.session_status()).data().result
    await client.user_data_stream_unsubscribe(
        subscription_id=subscription.response.data().result.subscription_id
    )
    after = (await client.session_logout()).data().result
    await client.close_connection(close_session=True)

    assert logged.api_key == identity.ed25519_key
    assert status.user_data_stream
    assert after.api_key is None
    assert type(heard[0]).__name__ == "ExecutionReport"
