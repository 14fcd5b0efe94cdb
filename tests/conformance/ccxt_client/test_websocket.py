"""ccxt.pro: watched markets, the private stream and orders over the WebSocket API."""

import asyncio
from typing import Any

import ccxt
import ccxt.pro
import pytest

SYMBOL = "BTC/USDT"
OTHER = "ETH/USDT"
PATIENCE_S = 10


async def soon(waiting: Any) -> Any:
    return await asyncio.wait_for(waiting, PATIENCE_S)


async def seen_after(pro: Any, watching: Any, acting: Any) -> tuple[Any, Any]:
    """What a watch reports once something was done; ccxt only tells those already waiting."""
    await pro.authenticate({"type": "spot"})
    known = awaited(pro)
    waiting = asyncio.ensure_future(watching)
    async with asyncio.timeout(PATIENCE_S):
        while awaited(pro) <= known:  # noqa: ASYNC110  ccxt tells nobody
            await asyncio.sleep(0)
    done = await acting
    return await soon(waiting), done


def awaited(pro: Any) -> set[str]:
    """What its watches are waiting for at this moment."""
    return {name for client in pro.clients.values() for name in client.futures}


async def test_every_watched_market_channel_delivers(pro: Any) -> None:
    await pro.load_markets()

    book, trades, candles, ticker, quotes = await asyncio.gather(
        soon(pro.watch_order_book(SYMBOL)),
        soon(pro.watch_trades(SYMBOL)),
        soon(pro.watch_ohlcv(SYMBOL, "1m")),
        soon(pro.watch_ticker(SYMBOL)),
        soon(pro.watch_bids_asks([SYMBOL])),
    )

    assert book["bids"][0][0] < book["asks"][0][0]
    assert trades[-1]["side"] in ("buy", "sell")
    assert candles[-1][3] <= candles[-1][4] <= candles[-1][2]
    assert ticker["low"] <= ticker["last"] <= ticker["high"]
    assert quotes[SYMBOL]["bid"] < quotes[SYMBOL]["ask"]


@pytest.mark.parametrize("channel", ["order_book", "trades"])
async def test_several_symbols_share_one_subscription(pro: Any, channel: str) -> None:
    await pro.load_markets()
    watch = getattr(pro, f"watch_{channel}_for_symbols")

    seen: set[str] = set()
    for _ in range(60):
        update = await soon(watch([SYMBOL, OTHER]))
        seen.add(update[-1]["symbol"] if channel == "trades" else update["symbol"])
        if seen == {SYMBOL, OTHER}:
            break

    assert seen == {SYMBOL, OTHER}


async def test_all_market_tickers_come_without_naming_symbols(pro: Any) -> None:
    await pro.load_markets()

    tickers = await soon(pro.watch_tickers())

    assert set(tickers) <= {SYMBOL, OTHER}


@pytest.mark.parametrize("name", ["ticker", "miniTicker", "ticker_1h"])
async def test_ticker_channels_are_chosen_by_name(pro: Any, name: str) -> None:
    await pro.load_markets()

    ticker = await soon(pro.watch_ticker(SYMBOL, {"name": name}))

    assert ticker["low"] <= ticker["last"] <= ticker["high"]


async def test_aggregate_trades_are_watched_by_name(pro: Any) -> None:
    await pro.load_markets()

    trades = await soon(pro.watch_trades(SYMBOL, params={"name": "aggTrade"}))

    assert trades[-1]["info"]["e"] == "aggTrade"


async def test_watched_book_stays_in_step_with_the_rest_book(pro: Any) -> None:
    # ccxt itself starts over when an update does not follow the one before.
    await pro.load_markets()
    book = await soon(pro.watch_order_book(SYMBOL, 1000))
    first = book["nonce"]
    while book["nonce"] < first + 5:
        book = await soon(pro.watch_order_book(SYMBOL, 1000))

    # The same instant seen twice: until both views carry the same update id.
    rest = await pro.fetch_order_book(SYMBOL, 1000)
    while book["nonce"] != rest["nonce"]:
        if book["nonce"] < rest["nonce"]:
            book = await soon(pro.watch_order_book(SYMBOL, 1000))
        else:
            rest = await pro.fetch_order_book(SYMBOL, 1000)

    assert [list(level) for level in book["bids"]] == rest["bids"]
    assert [list(level) for level in book["asks"]] == rest["asks"]


async def test_channels_are_left_again(pro: Any) -> None:
    await pro.load_markets()
    await soon(pro.watch_order_book(SYMBOL))
    await soon(pro.watch_ticker(SYMBOL))

    assert await soon(pro.un_watch_order_book(SYMBOL))
    assert await soon(pro.un_watch_ticker(SYMBOL))


async def test_private_stream_follows_order_trade_and_balance(pro: Any) -> None:
    await pro.load_markets()
    price = (await pro.fetch_ticker(SYMBOL))["last"]

    await pro.authenticate({"type": "spot"})
    balance = asyncio.ensure_future(pro.watch_balance())
    opened, limit = await seen_after(
        pro, pro.watch_orders(SYMBOL), pro.create_order(SYMBOL, "limit", "buy", 0.01, price * 0.9)
    )
    # The list is ccxt's living cache: what it says changes with the next event.
    assert (opened[-1]["id"], opened[-1]["status"]) == (limit["id"], "open")
    closed, _ = await seen_after(
        pro, pro.watch_orders(SYMBOL), pro.cancel_order(limit["id"], SYMBOL)
    )
    trades, market = await seen_after(
        pro, pro.watch_my_trades(SYMBOL), pro.create_order(SYMBOL, "market", "buy", 0.01)
    )

    assert (await soon(balance))["USDT"]["total"] == pytest.approx(1_000_000, rel=0.001)
    assert closed[-1]["status"] == "canceled"
    assert trades[-1]["order"] == market["id"]
    assert trades[-1]["fee"]["currency"] == "BTC"


async def test_order_lives_over_the_websocket_api(pro: Any) -> None:
    await pro.load_markets()
    price = (await pro.fetch_ticker(SYMBOL))["last"]

    placed = await pro.create_order_ws(SYMBOL, "limit", "buy", 0.01, price * 0.9)
    edited = await pro.edit_order_ws(placed["id"], SYMBOL, "limit", "buy", 0.02, price * 0.89)
    found = await pro.fetch_order_ws(edited["id"], SYMBOL)
    gone = await pro.cancel_order_ws(edited["id"], SYMBOL)

    assert (found["status"], found["amount"]) == ("open", 0.02)
    assert gone["status"] == "canceled"
    assert await pro.fetch_open_orders_ws(SYMBOL) == []
    assert [order["id"] for order in await pro.fetch_orders_ws(SYMBOL)] == [
        placed["id"],
        edited["id"],
    ]


async def test_market_order_over_the_websocket_api_becomes_a_trade(pro: Any) -> None:
    await pro.load_markets()

    order = await pro.create_order_ws(SYMBOL, "market", "buy", 0.01)

    assert order["status"] == "closed"
    assert [t["order"] for t in await pro.fetch_my_trades_ws(SYMBOL)] == [order["id"]]
    assert [o["id"] for o in await pro.fetch_closed_orders_ws(SYMBOL)] == [order["id"]]


async def test_all_orders_are_cancelled_over_the_websocket_api(pro: Any) -> None:
    await pro.load_markets()
    price = (await pro.fetch_ticker(SYMBOL))["last"]
    for _ in range(2):
        await pro.create_order_ws(SYMBOL, "limit", "buy", 0.01, price * 0.9)

    assert len(await pro.cancel_all_orders_ws(SYMBOL)) == 2


@pytest.mark.parametrize(
    ("method", "arguments"),
    [("fetch_balance_ws", ()), ("fetch_ohlcv_ws", (SYMBOL,)), ("fetch_trades_ws", (SYMBOL,))],
)
async def test_readings_over_the_websocket_api_answer(
    pro: Any, method: str, arguments: tuple[str, ...]
) -> None:
    assert await soon(getattr(pro, method)(*arguments))


async def test_refusals_over_the_websocket_api_are_classified(pro: Any) -> None:
    await pro.load_markets()
    price = (await pro.fetch_ticker(SYMBOL))["last"]

    with pytest.raises(ccxt.OrderNotFound, match="-2011"):
        await pro.cancel_order_ws("987654", SYMBOL)
    with pytest.raises(ccxt.InsufficientFunds):
        await pro.create_order_ws(SYMBOL, "limit", "buy", 100, price * 0.9)


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
async def test_private_stream_opens_with_a_private_key(made: Any, identity: Any, kind: str) -> None:
    key = identity.rsa_key if kind == "rsa" else identity.ed25519_key
    pem = identity.rsa_pem if kind == "rsa" else identity.ed25519_pem
    pro = made(ccxt.pro.binance, key, pem)
    await pro.load_markets()

    trades, order = await seen_after(
        pro, pro.watch_my_trades(SYMBOL), pro.create_order_ws(SYMBOL, "market", "buy", 0.01)
    )
    await pro.close()

    assert trades[-1]["order"] == order["id"]
