"""The client against the embedded exchange over real sockets: both sides must agree."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

import anyio
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from livespot.contracts.errors import FilterRefused, KeyRefused, NoSuchOrder, Refused
from livespot.contracts.market import AggTrade, BookTicker, KlineUpdate
from livespot.contracts.orders import (
    CancelReplaceRequest,
    CancelRequest,
    LegRequest,
    ListRequest,
    OrderRequest,
    OrderUpdate,
)
from livespot.contracts.secret import Secret
from livespot.contracts.streams import StreamHeartbeat, UserEvents
from livespot.contracts.venue import OrderTransport
from livespot.contracts.vocabulary import (
    Interval,
    ListKind,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from livespot.exchange.service import serve_exchange
from livespot.exchange.settings import DEMO_KEY, DEMO_SECRET, ApiKey, ExchangeSettings
from livespot.exchange.state_file import ExchangeAddress
from livespot.runtime.clock import ClockAnchor, ScaledClock
from livespot.venue.caller import RestCaller
from livespot.venue.frames import (
    HEARTBEAT_STREAM,
    book_stream,
    decode_frame,
    kline_stream,
    trade_stream,
)
from livespot.venue.http_client import HttpxTransport
from livespot.venue.key_rights import read_key_rights
from livespot.venue.market_stream import MarketStream
from livespot.venue.rest import BinanceRest
from livespot.venue.rest_orders import RestOrders
from livespot.venue.signing import Signer, load_signer
from livespot.venue.sockets import WebsocketsTransport
from livespot.venue.ws_api import WsApiConnection
from livespot.venue.ws_orders import WsApiOrders

_SYMBOL = "BTCUSDT"
_MARKET_MS = 1_618_100_000_000
_SPEED = 5
_ED25519 = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
_ED25519_KEY = ApiKey(
    key="an-ed25519-key",
    account_id="demo",
    public_key_pem=_ED25519.public_key()
    .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    .decode(),
)
_HMAC_KEY = ApiKey(key=DEMO_KEY, account_id="demo", hmac_secret=DEMO_SECRET)


@dataclass(frozen=True, slots=True, kw_only=True)
class Venue:
    """Everything a runtime has of one exchange."""

    address: ExchangeAddress
    clock: ScaledClock
    caller: RestCaller
    rest: BinanceRest
    ws_api: WsApiConnection
    rest_orders: RestOrders
    socket_orders: WsApiOrders


def _hmac() -> Signer:
    return load_signer(Secret(DEMO_KEY), Secret(DEMO_SECRET))


def _ed25519() -> Signer:
    pem = _ED25519.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return load_signer(Secret(_ED25519_KEY.key), Secret(pem))


@asynccontextmanager
async def _venue(signer: Signer) -> AsyncIterator[Venue]:
    anchor = ClockAnchor(wall_ms=time.time_ns() // 1_000_000, market_ms=_MARKET_MS, speed=_SPEED)
    clock = ScaledClock(anchor)
    settings = ExchangeSettings(symbols=frozenset({_SYMBOL}), keys=(_HMAC_KEY, _ED25519_KEY))
    async with anyio.create_task_group() as tasks, HttpxTransport(clock) as http:
        address: ExchangeAddress = await tasks.start(serve_exchange, settings, clock)
        caller = RestCaller(transport=http, base_url=address.rest_url, clock=clock, signer=signer)
        ws_api = WsApiConnection(
            transport=WebsocketsTransport(clock),
            url=address.ws_api_url,
            clock=clock,
            server_clock=caller.server_clock,
            signer=signer,
            budget=caller.budget,
        )
        yield Venue(
            address=address,
            clock=clock,
            caller=caller,
            rest=BinanceRest(caller),
            ws_api=ws_api,
            rest_orders=RestOrders(caller, timeout_seconds=30),
            socket_orders=WsApiOrders(ws_api, timeout_seconds=30),
        )
        tasks.cancel_scope.cancel()


async def _until(events: UserEvents, client_id: str, status: OrderStatus) -> OrderUpdate:
    with anyio.fail_after(10):
        while True:
            event = await events.next()
            if (
                isinstance(event, OrderUpdate)
                and event.order.own_id == client_id
                and event.order.status is status
            ):
                return event


def _limit(client_id: str, price: Decimal, qty: str = "0.01") -> OrderRequest:
    return OrderRequest(
        symbol=_SYMBOL,
        side=Side.BUY,
        type=OrderType.LIMIT,
        qty=Decimal(qty),
        price=price.quantize(Decimal("0.01")),
        time_in_force=TimeInForce.GTC,
        client_order_id=client_id,
    )


def _market(client_id: str, side: Side, qty: str = "0.02") -> OrderRequest:
    return OrderRequest(
        symbol=_SYMBOL,
        side=side,
        type=OrderType.MARKET,
        qty=Decimal(qty),
        client_order_id=client_id,
    )


async def test_public_data_is_read_whole() -> None:
    async with _venue(_hmac()) as venue:
        await venue.caller.server_clock.resync()
        info = (await venue.rest.exchange_info())[_SYMBOL]
        candles = await venue.rest.klines(_SYMBOL, Interval.M5, limit=50)
        (ticker,) = await venue.rest.tickers_24h()
        book = await venue.rest.book_ticker(_SYMBOL)
        depth = await venue.rest.depth(_SYMBOL, limit=20)

    assert abs(venue.caller.server_clock.offset_ms) < 500
    assert info.problem == ""
    assert info.constraints is not None
    assert len(candles) == 50
    steps = {after.open_time_ms - before.open_time_ms for before, after in pairwise(candles)}
    assert steps == {Interval.M5.ms}
    assert (ticker.symbol, book.symbol) == (_SYMBOL, _SYMBOL)
    assert depth.bids[0].price < depth.asks[0].price
    assert venue.caller.budget.used_weight > 0


@pytest.mark.parametrize("over", ["rest", "socket"])
async def test_an_order_round_trip_agrees_in_reply_stream_and_query(over: str) -> None:
    async with _venue(_hmac()) as venue, venue.ws_api.open() as events:
        orders: OrderTransport = venue.rest_orders if over == "rest" else venue.socket_orders
        bid = (await venue.rest.book_ticker(_SYMBOL)).bid

        (placed,) = (await orders.place(_limit("x-1", bid / 2))).updates
        queried = await venue.rest.order(_SYMBOL, client_order_id="x-1")
        (listed,) = await venue.rest.open_orders(_SYMBOL)
        streamed = await _until(events, "x-1", OrderStatus.NEW)
        (cancelled,) = await orders.cancel(
            CancelRequest(
                symbol=_SYMBOL, client_order_id="c-1", order_id=placed.order.order_id, only_new=True
            )
        )
        gone = await _until(events, "x-1", OrderStatus.CANCELED)

        assert placed.order.status is OrderStatus.NEW
        assert {placed.order.order_id, queried.order_id, listed.order_id} == {
            streamed.order.order_id
        }
        assert queried.orig_qty == placed.order.orig_qty == Decimal("0.01")
        assert cancelled.order.own_id == gone.order.own_id == "x-1"
        assert cancelled.order.client_order_id == "c-1"
        with pytest.raises(NoSuchOrder):
            await orders.cancel(
                CancelRequest(symbol=_SYMBOL, client_order_id="c-2", orig_client_order_id="x-1")
            )
        with pytest.raises(NoSuchOrder):
            await venue.rest.order(_SYMBOL, client_order_id="never")


async def test_fills_agree_in_reply_stream_and_trades() -> None:
    async with _venue(_ed25519()) as venue, venue.ws_api.open() as events:
        (placed,) = (await venue.socket_orders.place(_market("x-1", Side.BUY))).updates
        streamed = await _until(events, "x-1", OrderStatus.FILLED)
        trades = await venue.rest.trades(_SYMBOL, order_id=placed.order.order_id)
        account = await venue.rest.account()
        rates = await venue.rest.commission(_SYMBOL)
        rights = await read_key_rights(venue.caller)

    assert placed.order.status is OrderStatus.FILLED
    assert sum(fill.qty for fill in placed.fills) == Decimal("0.02")
    assert [(fill.trade_id, fill.price, fill.commission) for fill in placed.fills] == [
        (fill.trade_id, fill.price, fill.commission) for fill in trades
    ]
    assert streamed.fills[0].trade_id == trades[-1].trade_id
    fees = sum(fill.commission for fill in trades if fill.commission_asset == "BTC")
    assert account.total("BTC") == Decimal("0.02") - fees
    assert rates.symbol == _SYMBOL
    assert (rights.trades_spot, rights.withdraws) == (True, False)
    assert venue.caller.budget.unfilled_orders_pct >= 0


async def test_protection_is_placed_and_swapped() -> None:
    async with _venue(_hmac()) as venue:
        await venue.rest_orders.place(_market("x-1", Side.BUY))
        book = await venue.rest.book_ticker(_SYMBOL)
        cent = Decimal("0.01")
        oco = ListRequest(
            kind=ListKind.OCO,
            symbol=_SYMBOL,
            list_client_order_id="list-1",
            side=Side.SELL,
            qty=Decimal("0.019"),
            above=LegRequest(
                type=OrderType.LIMIT_MAKER,
                client_order_id="tp-1",
                price=(book.ask * 2).quantize(cent),
            ),
            below=LegRequest(
                type=OrderType.STOP_LOSS_LIMIT,
                client_order_id="sl-1",
                price=(book.bid / 2).quantize(cent),
                stop_price=(book.bid / 2).quantize(cent),
                time_in_force=TimeInForce.GTC,
            ),
        )

        placed = await venue.rest_orders.place_list(oco)
        open_lists = await venue.rest.open_lists()
        queried = await venue.rest.order_list(list_client_order_id="list-1")
        stop, take = sorted(
            (update.order for update in placed.updates), key=lambda one: one.client_order_id
        )
        swapped = await venue.rest_orders.cancel_replace(
            CancelReplaceRequest(
                cancel=CancelRequest(symbol=_SYMBOL, client_order_id="c-1", order_id=take.order_id),
                order=OrderRequest(
                    symbol=_SYMBOL,
                    side=Side.SELL,
                    type=OrderType.LIMIT,
                    qty=Decimal("0.019"),
                    price=(book.ask * 2).quantize(cent),
                    time_in_force=TimeInForce.GTC,
                    client_order_id="tp-2",
                ),
            )
        )
        history = await venue.rest.all_orders(_SYMBOL)

    assert placed.order_list is not None
    assert {leg[1] for leg in placed.order_list.legs} == {"tp-1", "sl-1"}
    assert [one.order_list_id for one in open_lists] == [queried.order_list_id]
    assert (stop.client_order_id, stop.is_working) == ("sl-1", False)
    assert swapped.cancelled is not None
    assert swapped.cancelled.order.own_id == "tp-1"
    assert swapped.placed is not None
    assert swapped.placed.order.status is OrderStatus.NEW
    assert [one.status for one in history] == [
        OrderStatus.FILLED,
        OrderStatus.CANCELED,
        OrderStatus.CANCELED,
        OrderStatus.NEW,
    ]


@pytest.mark.parametrize("over", ["rest", "socket"])
async def test_an_entry_takes_its_protection_along(over: str) -> None:
    async with _venue(_hmac()) as venue, venue.ws_api.open():
        orders: OrderTransport = venue.rest_orders if over == "rest" else venue.socket_orders
        price = ((await venue.rest.book_ticker(_SYMBOL)).bid * Decimal("0.8")).quantize(
            Decimal("0.01")
        )
        cent = Decimal("0.01")
        attached = ListRequest(
            kind=ListKind.OPOCO,
            symbol=_SYMBOL,
            list_client_order_id="list-1",
            side=Side.SELL,
            qty=None,
            working=OrderRequest(
                symbol=_SYMBOL,
                side=Side.BUY,
                type=OrderType.LIMIT_MAKER,
                qty=Decimal("0.01"),
                price=price,
                client_order_id="entry-1",
            ),
            above=LegRequest(
                type=OrderType.LIMIT_MAKER,
                client_order_id="tp-1",
                price=(price * 2).quantize(cent),
            ),
            below=LegRequest(
                type=OrderType.STOP_LOSS_LIMIT,
                client_order_id="sl-1",
                price=(price / 2).quantize(cent),
                stop_price=(price / 2).quantize(cent),
                time_in_force=TimeInForce.GTC,
            ),
        )

        placed = await orders.place_list(attached)
        states = {one.order.client_order_id: one.order for one in placed.updates}
        cancelled = await orders.cancel(
            CancelRequest(
                symbol=_SYMBOL,
                client_order_id="c-1",
                order_id=states["entry-1"].order_id,
                only_new=True,
            )
        )

    assert states["entry-1"].status is OrderStatus.NEW
    assert states["tp-1"].status is states["sl-1"].status is OrderStatus.PENDING_NEW
    assert cancelled[0].order.own_id == "entry-1"
    assert {one.order.status for one in cancelled} == {OrderStatus.CANCELED}
    assert len(cancelled) == 3


async def test_refusals_say_why() -> None:
    async with _venue(_hmac()) as venue:
        with pytest.raises(FilterRefused) as off_grid:
            await venue.rest_orders.place(_limit("x-1", Decimal(100), qty="0.0000001"))
        with pytest.raises(Refused) as too_much:
            await venue.rest_orders.place(_market("x-2", Side.SELL, qty="1"))

    assert off_grid.value.filter_name in {"LOT_SIZE", "PERCENT_PRICE_BY_SIDE", "NOTIONAL"}
    assert "insufficient balance" in too_much.value.message


@pytest.mark.parametrize(
    "signer",
    [
        lambda: load_signer(Secret(DEMO_KEY), Secret("another secret")),
        lambda: load_signer(Secret("nobody's key"), Secret(DEMO_SECRET)),
    ],
    ids=["wrong secret", "unknown key"],
)
async def test_a_wrong_key_opens_nothing(signer: Callable[[], Signer]) -> None:
    async with _venue(signer()) as venue:
        with pytest.raises(Refused) as read:
            await venue.rest.account()
        with pytest.raises(Refused) as streamed:
            async with venue.ws_api.open():
                pytest.fail("the subscription must be refused")

    assert type(read.value) is type(streamed.value)
    assert isinstance(read.value, KeyRefused) or read.value.code == -1022


async def test_the_market_streams_into_typed_messages() -> None:
    names = frozenset(
        {
            HEARTBEAT_STREAM,
            book_stream(_SYMBOL),
            trade_stream(_SYMBOL),
            kline_stream(_SYMBOL, Interval.M1),
        }
    )
    seen: set[type] = set()

    async with _venue(_hmac()) as venue:
        feed = MarketStream(WebsocketsTransport(venue.clock), venue.address.stream_url, venue.clock)
        async with feed.connect() as connection:
            await connection.subscribe(names)
            with anyio.fail_after(10):
                while seen != {BookTicker, AggTrade, KlineUpdate, StreamHeartbeat}:
                    message = decode_frame(await connection.receive(), venue.clock.now_ms())
                    assert message is not None
                    seen.add(type(message))
            subscribed = connection.subscribed

    assert subscribed == names
