"""Every request the exchange answers: its handler, weight and security."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, TypeAlias

import msgspec

from livespot.exchange import market_calls as market
from livespot.exchange import trade_calls as trade
from livespot.exchange.calls import Call
from livespot.exchange.model import Rejection
from livespot.exchange.settings import ApiKey
from livespot.exchange.signing import denied

Params: TypeAlias = Mapping[str, str]
Weight: TypeAlias = int | Callable[[Params], int]


class Security(Enum):
    """What a caller must prove."""

    NONE = "none"
    SIGNED = "signed"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One request. Those that mutate need the right to trade and cost nothing when done."""

    handler: Callable[[Call], Any]
    weight: Weight
    security: Security = Security.NONE
    mutates: bool = False

    def cost(self, params: Params) -> int:
        """Weight of one request with these parameters."""
        return self.weight if isinstance(self.weight, int) else self.weight(params)


def _depth_weight(params: Params) -> int:
    text = params.get("limit", "100")
    limit = int(text) if text.isascii() and text.isdigit() else 100
    return next((w for most, w in ((100, 5), (500, 25), (1000, 50)) if limit <= most), 250)


def _day_weight(params: Params) -> int:
    if "symbol" in params:
        return 2
    if "symbols" not in params:
        return 80
    count = params["symbols"].count(",") + 1
    return next((w for most, w in ((20, 2), (100, 40)) if count <= most), 80)


def _signed(handler: Callable[[Call], Any], weight: Weight) -> Endpoint:
    return Endpoint(handler, weight, Security.SIGNED)


def _mutation(handler: Callable[[Call], Any]) -> Endpoint:
    return Endpoint(handler, 1, Security.SIGNED, mutates=True)


_BY_SYMBOL = trade.weight_by_symbol
V3 = "/api/v3/"
ENDPOINTS: Mapping[tuple[str, str], Endpoint] = {
    ("GET", V3 + "ping"): Endpoint(market.ping, 1),
    ("GET", V3 + "time"): Endpoint(market.time, 1),
    ("GET", V3 + "exchangeInfo"): Endpoint(market.exchange_info, 20),
    ("GET", V3 + "depth"): Endpoint(market.depth, _depth_weight),
    ("GET", V3 + "trades"): Endpoint(market.trades, 25),
    ("GET", V3 + "aggTrades"): Endpoint(market.agg_trades, 4),
    ("GET", V3 + "klines"): Endpoint(market.klines, 2),
    ("GET", V3 + "uiKlines"): Endpoint(market.klines, 2),
    ("GET", V3 + "avgPrice"): Endpoint(market.avg_price, 2),
    ("GET", V3 + "ticker/24hr"): Endpoint(market.ticker_24h, _day_weight),
    ("GET", V3 + "ticker/price"): Endpoint(market.ticker_price, _BY_SYMBOL(2, 4)),
    ("GET", V3 + "ticker/bookTicker"): Endpoint(market.book_ticker, _BY_SYMBOL(2, 4)),
    ("POST", V3 + "order"): _mutation(trade.place),
    ("POST", V3 + "order/test"): _signed(
        trade.test, lambda params: 20 if params.get("computeCommissionRates") == "true" else 1
    ),
    ("GET", V3 + "order"): _signed(trade.query, 4),
    ("DELETE", V3 + "order"): _mutation(trade.cancel),
    ("POST", V3 + "order/cancelReplace"): _mutation(trade.cancel_replace),
    ("PUT", V3 + "order/amend/keepPriority"): Endpoint(
        trade.amend, trade.AMEND_WEIGHT, Security.SIGNED, mutates=True
    ),
    ("GET", V3 + "order/amendments"): _signed(trade.amendments, 4),
    ("GET", V3 + "openOrders"): _signed(trade.open_orders, _BY_SYMBOL(6, 80)),
    ("DELETE", V3 + "openOrders"): _mutation(trade.cancel_open_orders),
    ("GET", V3 + "allOrders"): _signed(trade.all_orders, 20),
    ("POST", V3 + "order/oco"): _mutation(trade.place_list("oco_legacy")),
    ("POST", V3 + "orderList/oco"): _mutation(trade.place_list("oco")),
    ("POST", V3 + "orderList/oto"): _mutation(trade.place_list("oto")),
    ("POST", V3 + "orderList/otoco"): _mutation(trade.place_list("otoco")),
    ("POST", V3 + "orderList/opo"): _mutation(trade.place_list("opo")),
    ("POST", V3 + "orderList/opoco"): _mutation(trade.place_list("opoco")),
    ("DELETE", V3 + "orderList"): _mutation(trade.cancel_list),
    ("GET", V3 + "orderList"): _signed(trade.query_list, 4),
    ("GET", V3 + "openOrderList"): _signed(trade.open_lists, 6),
    ("GET", V3 + "allOrderList"): _signed(trade.all_lists, 20),
    ("GET", V3 + "account"): _signed(trade.account, 20),
    ("GET", V3 + "account/commission"): _signed(trade.commission, 20),
    ("GET", V3 + "myTrades"): _signed(
        trade.my_trades, lambda params: 5 if "orderId" in params else 20
    ),
    ("GET", V3 + "myPreventedMatches"): _signed(
        trade.prevented_matches, lambda params: 2 if "preventedMatchId" in params else 20
    ),
    ("GET", V3 + "myFilters"): _signed(trade.filters, 40),
    ("GET", V3 + "rateLimit/order"): _signed(trade.order_limits, 40),
    ("GET", "/sapi/v1/account/apiRestrictions"): _signed(trade.key_rights, 1),
}

_REST_OF = {
    "ping": "GET ping",
    "time": "GET time",
    "exchangeInfo": "GET exchangeInfo",
    "depth": "GET depth",
    "klines": "GET klines",
    "uiKlines": "GET uiKlines",
    "avgPrice": "GET avgPrice",
    "ticker.24hr": "GET ticker/24hr",
    "ticker.price": "GET ticker/price",
    "ticker.book": "GET ticker/bookTicker",
    "trades.recent": "GET trades",
    "trades.aggregate": "GET aggTrades",
    "order.place": "POST order",
    "order.test": "POST order/test",
    "order.status": "GET order",
    "order.cancel": "DELETE order",
    "order.cancelReplace": "POST order/cancelReplace",
    "order.amend.keepPriority": "PUT order/amend/keepPriority",
    "order.amendments": "GET order/amendments",
    "openOrders.status": "GET openOrders",
    "openOrders.cancelAll": "DELETE openOrders",
    "allOrders": "GET allOrders",
    "orderList.place": "POST order/oco",
    "orderList.place.oco": "POST orderList/oco",
    "orderList.place.oto": "POST orderList/oto",
    "orderList.place.otoco": "POST orderList/otoco",
    "orderList.place.opo": "POST orderList/opo",
    "orderList.place.opoco": "POST orderList/opoco",
    "orderList.cancel": "DELETE orderList",
    "orderList.status": "GET orderList",
    "openOrderLists.status": "GET openOrderList",
    "allOrderLists": "GET allOrderList",
    "account.status": "GET account",
    "account.commission": "GET account/commission",
    "account.rateLimits.orders": "GET rateLimit/order",
    "myTrades": "GET myTrades",
    "myPreventedMatches": "GET myPreventedMatches",
    "myFilters": "GET myFilters",
}


def endpoint_of(method: str) -> Endpoint | None:
    """The endpoint behind a WebSocket API method; both faces share one behaviour."""
    rest = _REST_OF.get(method)
    if rest is None:
        return None
    verb, _, path = rest.partition(" ")
    return ENDPOINTS[verb, V3 + path]


def perform(endpoint: Endpoint, call: Call, key: ApiKey | None) -> tuple[int, bytes]:
    """Run an endpoint: HTTP status and JSON body. Raises `Rejection`; settles what happened."""
    if endpoint.mutates and key is not None and not key.can_trade:
        raise denied()
    lags = call.core.reads.lag_ms and not endpoint.mutates and key is not None
    try:
        result = endpoint.handler(_lagging(call) if lags else call)
    finally:
        call.core.settle()
    if isinstance(result, tuple):
        status, body = result
        return status, msgspec.json.encode(body)
    return 200, msgspec.json.encode(result)


def _lagging(call: Call) -> Call:
    """The same call, asking what queries can see by now."""
    return replace(call, core=replace(call.core, engine=call.core.reads.engine()))


def charge(endpoint: Endpoint, call: Call, status: int) -> None:
    """Pay for a request: order calls that worked are free."""
    if not (endpoint.mutates and status == 200):
        call.core.meter.charge(endpoint.cost(call.params), call.now_ms)


def failure(error: Rejection) -> bytes:
    """The body of a refusal."""
    return msgspec.json.encode(error.body())
