"""Reads the market and, with a key, the account over REST."""

import anyio.lowlevel
import structlog

from livespot.contracts.errors import Refused
from livespot.contracts.market import BookTicker, Candle, DepthBook, SymbolInfo, Ticker24h
from livespot.contracts.orders import (
    AccountView,
    CommissionRates,
    Fill,
    ListView,
    OrderView,
)
from livespot.contracts.vocabulary import Interval
from livespot.venue import codec_account, codec_info, codec_market, codec_orders
from livespot.venue.caller import Call, RestCaller
from livespot.venue.params import Params
from livespot.venue.weights import Priority

_V3 = "/api/v3/"
_SYMBOLS_PER_TURN = 50
_DEPTH_WEIGHTS = ((100, 5), (500, 25), (1000, 50), (5000, 250))
_MOST_ROWS = 1000

_log = structlog.get_logger()


class BinanceRest:
    """A `MarketReader`; with a key also an `AccountReader`."""

    def __init__(self, caller: RestCaller) -> None:
        self._caller = caller

    async def server_time_ms(self) -> int:
        return codec_market.decode_time(await self._public("time", {}, 1, Priority.QUERY))

    async def exchange_info(self) -> dict[str, SymbolInfo]:
        """Return all symbols by name; the request budget adopts the limits in the same answer."""
        raw = codec_info.split_info(await self._public("exchangeInfo", {}, 20, Priority.SCAN))
        self._caller.budget.adopt(raw.limits)
        infos: dict[str, SymbolInfo] = {}
        for number, symbol in enumerate(raw.symbols):
            info = codec_info.read_symbol(symbol)
            infos[info.symbol] = info
            if number % _SYMBOLS_PER_TURN == 0:
                # Decoding thousands of symbols without a pause would hold up every other actor.
                await anyio.lowlevel.checkpoint()
        return infos

    async def symbol_info(self, symbol: str) -> SymbolInfo:
        """Return one symbol's rules. Raises `Refused` when the exchange does not list it."""
        body = await self._public("exchangeInfo", {"symbol": symbol}, 20, Priority.QUERY)
        found = codec_info.decode_info(body).get(symbol)
        if found is None:
            raise Refused(-1121, f"{symbol!r} is not in the answer")
        return found

    async def tickers_24h(self) -> tuple[Ticker24h, ...]:
        """Return the readable rows; unreadable ones are left out and counted in the log."""
        body = await self._public("ticker/24hr", {"type": "FULL"}, 80, Priority.SCAN)
        tickers = codec_market.decode_tickers(body)
        if tickers.unreadable:
            _log.warning("tickers_unreadable", rows=tickers.unreadable)
        return tickers.rows

    async def klines(
        self, symbol: str, interval: Interval, *, limit: int, start_ms: int = 0, end_ms: int = 0
    ) -> tuple[Candle, ...]:
        params: Params = {"symbol": symbol, "interval": interval.value, "limit": limit}
        params |= _set_only(startTime=start_ms, endTime=end_ms)
        return codec_market.decode_klines(await self._public("klines", params, 2, Priority.SCAN))

    async def depth(self, symbol: str, *, limit: int) -> DepthBook:
        weight = next((w for most, w in _DEPTH_WEIGHTS if limit <= most), 250)
        params: Params = {"symbol": symbol, "limit": limit}
        body = await self._public("depth", params, weight, Priority.QUERY)
        return codec_market.decode_depth(body, symbol, self._now_ms())

    async def book_ticker(self, symbol: str) -> BookTicker:
        body = await self._public("ticker/bookTicker", {"symbol": symbol}, 2, Priority.QUERY)
        return codec_market.decode_book_ticker(body, self._now_ms())

    async def account(self) -> AccountView:
        body = await self._signed("account", {"omitZeroBalances": "true"}, 20)
        return codec_account.decode_account(body, self._now_ms())

    async def commission(self, symbol: str) -> CommissionRates:
        body = await self._signed("account/commission", {"symbol": symbol}, 20)
        return codec_account.decode_commission(body)

    async def open_orders(self, symbol: str | None) -> tuple[OrderView, ...]:
        params: Params = {} if symbol is None else {"symbol": symbol}
        body = await self._signed("openOrders", params, 80 if symbol is None else 6)
        return codec_orders.decode_orders(body, self._now_ms())

    async def order(
        self, symbol: str, *, client_order_id: str = "", order_id: int = 0
    ) -> OrderView:
        """Query one order by exchange id, by client id, or by both, which must then agree."""
        params: Params = {"symbol": symbol}
        params |= _set_only(orderId=order_id, origClientOrderId=client_order_id)
        return codec_orders.decode_order(await self._signed("order", params, 4), self._now_ms())

    async def all_orders(
        self, symbol: str, *, from_order_id: int = 0, start_ms: int = 0
    ) -> tuple[OrderView, ...]:
        """Return at most 1000 orders, oldest first, from an id or a time.

        Page on from the last id.
        """
        params: Params = {"symbol": symbol, "limit": _MOST_ROWS}
        params |= _set_only(orderId=from_order_id, startTime=start_ms)
        body = await self._signed("allOrders", params, 20)
        return codec_orders.decode_orders(body, self._now_ms())

    async def open_lists(self) -> tuple[ListView, ...]:
        body = await self._signed("openOrderList", {}, 6)
        return codec_orders.decode_lists(body, self._now_ms())

    async def order_list(self, *, list_client_order_id: str) -> ListView:
        body = await self._signed("orderList", {"origClientOrderId": list_client_order_id}, 4)
        return codec_orders.decode_list(body, self._now_ms())

    async def trades(
        self, symbol: str, *, order_id: int = 0, from_id: int = 0, start_ms: int = 0
    ) -> tuple[Fill, ...]:
        """Return at most 1000 own trades, oldest first.

        The exchange accepts an order id together with a first trade id, but a start time only
        alone.
        """
        params: Params = {"symbol": symbol, "limit": _MOST_ROWS}
        params |= _set_only(orderId=order_id, fromId=from_id, startTime=start_ms)
        body = await self._signed("myTrades", params, 5 if order_id else 20)
        return codec_orders.decode_trades(body, self._now_ms())

    async def _public(self, path: str, params: Params, weight: int, priority: Priority) -> bytes:
        call = Call(method="GET", path=_V3 + path, params=params, weight=weight, priority=priority)
        return await self._caller.read(call)

    async def _signed(self, path: str, params: Params, weight: int) -> bytes:
        call = Call(
            method="GET",
            path=path if path.startswith("/") else _V3 + path,
            params=params,
            weight=weight,
            priority=Priority.QUERY,
            signed=True,
        )
        return await self._caller.read(call)

    def _now_ms(self) -> int:
        return self._caller.clock.now_ms()


def _set_only(**values: int | str) -> Params:
    """Return the parameters that are set; in these calls zero and empty text mean "not given"."""
    return {name: value for name, value in values.items() if value}
