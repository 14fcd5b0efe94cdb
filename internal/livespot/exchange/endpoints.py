"""Every request the exchange answers: its handler, weight and security."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

from livespot.exchange import market_calls as market
from livespot.exchange import ticker_calls as tickers
from livespot.exchange import trade_calls as trade
from livespot.exchange.calls import Call
from livespot.exchange.read_params import PROOF

Params: TypeAlias = Mapping[str, str]
Weight: TypeAlias = int | Callable[[Params], int]


class Security(Enum):
    """What a caller must prove."""

    NONE = "none"
    SIGNED = "signed"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One request. Those that mutate need the right to trade and cost nothing when done.

    `reads` are the parameters of a public request; a signed one names its own strays. `orders`
    is how many orders a request would add to the unfilled ones.
    """

    handler: Callable[[Call], Any]
    weight: Weight
    security: Security = Security.NONE
    mutates: bool = False
    reads: frozenset[str] | None = None
    orders: int = 0

    def cost(self, params: Params) -> int:
        """Weight of one request with these parameters."""
        return self.weight if isinstance(self.weight, int) else self.weight(params)


def _depth_weight(params: Params) -> int:
    text = params.get("limit", "100")
    limit = int(text) if text.isascii() and text.isdigit() and len(text) < _DIGITS else 100
    return next((w for most, w in ((100, 5), (500, 25), (1000, 50)) if limit <= most), 250)


def _each_symbol(weight: int, most: int, without: int) -> Callable[[Params], int]:
    """So much for every symbol asked for, up to a most."""

    def cost(params: Params) -> int:
        if "symbol" in params:
            return weight
        if "symbols" not in params:
            return without
        return min(most, weight * (params["symbols"].count(",") + 1))

    return cost


def _day_weight(params: Params) -> int:
    if "symbol" in params:
        return 2
    if "symbols" not in params:
        return 80
    count = params["symbols"].count(",") + 1
    return next((w for most, w in ((20, 2), (100, 40)) if count <= most), 80)


def _signed(handler: Callable[[Call], Any], weight: Weight) -> Endpoint:
    return Endpoint(handler, weight, Security.SIGNED)


def _mutation(handler: Callable[[Call], Any], orders: int = 0) -> Endpoint:
    return Endpoint(handler, 1, Security.SIGNED, mutates=True, orders=orders)


def _public(handler: Callable[[Call], Any], weight: Weight, reads: str = "") -> Endpoint:
    return Endpoint(handler, weight, reads=frozenset(reads.split()))


_BY_SYMBOL = trade.weight_by_symbol
V3 = "/api/v3/"
_DIGITS = 10
_KLINES = "symbol interval startTime endTime timeZone limit"
_SYMBOLS = "symbol symbols symbolStatus"
ENDPOINTS: Mapping[tuple[str, str], Endpoint] = {
    ("GET", V3 + "ping"): _public(market.ping, 1),
    ("GET", V3 + "time"): _public(market.time, 1),
    ("GET", V3 + "exchangeInfo"): _public(
        market.exchange_info, 20, f"{_SYMBOLS} permissions showPermissionSets"
    ),
    ("GET", V3 + "depth"): _public(market.depth, _depth_weight, "symbol limit symbolStatus"),
    ("GET", V3 + "trades"): _public(market.trades, 25, "symbol limit"),
    ("GET", V3 + "historicalTrades"): _public(market.old_trades, 25, "symbol limit fromId"),
    ("GET", V3 + "aggTrades"): _public(
        market.agg_trades, 4, "symbol fromId startTime endTime limit"
    ),
    ("GET", V3 + "klines"): _public(market.klines, 2, _KLINES),
    ("GET", V3 + "uiKlines"): _public(market.klines, 2, _KLINES),
    ("GET", V3 + "avgPrice"): _public(market.avg_price, 2, "symbol"),
    ("GET", V3 + "ticker/24hr"): _public(tickers.day, _day_weight, f"{_SYMBOLS} type"),
    ("GET", V3 + "ticker/tradingDay"): _public(
        tickers.trading_day, _each_symbol(4, 200, 4), f"{_SYMBOLS} type timeZone"
    ),
    ("GET", V3 + "ticker"): _public(
        tickers.rolling, _each_symbol(4, 200, 4), f"{_SYMBOLS} type windowSize"
    ),
    ("GET", V3 + "ticker/price"): _public(tickers.price, _BY_SYMBOL(2, 4), _SYMBOLS),
    ("GET", V3 + "ticker/bookTicker"): _public(tickers.book, _BY_SYMBOL(2, 4), _SYMBOLS),
    ("GET", V3 + "executionRules"): _public(
        market.execution_rules, _each_symbol(2, 40, 40), _SYMBOLS
    ),
    ("GET", V3 + "referencePrice"): _public(market.reference_price, 2, "symbol"),
    ("GET", V3 + "referencePrice/calculation"): _public(
        market.reference_calculation, 2, "symbol symbolStatus"
    ),
    ("POST", V3 + "order"): _mutation(trade.place, 1),
    ("POST", V3 + "order/test"): _signed(
        trade.test, lambda params: 20 if params.get("computeCommissionRates") == "true" else 1
    ),
    ("GET", V3 + "order"): _signed(trade.query, 4),
    ("DELETE", V3 + "order"): _mutation(trade.cancel),
    ("POST", V3 + "order/cancelReplace"): _mutation(trade.cancel_replace, 1),
    ("PUT", V3 + "order/amend/keepPriority"): Endpoint(
        trade.amend, trade.AMEND_WEIGHT, Security.SIGNED, mutates=True
    ),
    ("GET", V3 + "order/amendments"): _signed(trade.amendments, 4),
    ("GET", V3 + "openOrders"): _signed(trade.open_orders, _BY_SYMBOL(6, 80)),
    ("DELETE", V3 + "openOrders"): _mutation(trade.cancel_open_orders),
    ("GET", V3 + "allOrders"): _signed(trade.all_orders, 20),
    ("POST", V3 + "order/oco"): _mutation(trade.place_list("oco_legacy"), 2),
    ("POST", V3 + "orderList/oco"): _mutation(trade.place_list("oco"), 2),
    ("POST", V3 + "orderList/oto"): _mutation(trade.place_list("oto"), 2),
    ("POST", V3 + "orderList/otoco"): _mutation(trade.place_list("otoco"), 3),
    ("POST", V3 + "orderList/opo"): _mutation(trade.place_list("opo"), 2),
    ("POST", V3 + "orderList/opoco"): _mutation(trade.place_list("opoco"), 3),
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
    ("GET", V3 + "myAllocations"): Endpoint(
        trade.allocations, 20, Security.SIGNED, reads=PROOF | trade.ALLOCATION_PARAMS
    ),
    ("GET", V3 + "myFilters"): _signed(trade.filters, 40),
    ("GET", V3 + "rateLimit/order"): _signed(trade.order_limits, 40),
    ("GET", "/sapi/v1/account/apiRestrictions"): Endpoint(
        trade.key_rights, 1, Security.SIGNED, reads=PROOF
    ),
}

WS_METHODS = {
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
    "ticker": "GET ticker",
    "ticker.tradingDay": "GET ticker/tradingDay",
    "trades.recent": "GET trades",
    "trades.historical": "GET historicalTrades",
    "trades.aggregate": "GET aggTrades",
    "executionRules": "GET executionRules",
    "referencePrice": "GET referencePrice",
    "referencePrice.calculation": "GET referencePrice/calculation",
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
    "myAllocations": "GET myAllocations",
    "myFilters": "GET myFilters",
}


def endpoint_of(method: str) -> Endpoint | None:
    """The endpoint behind a WebSocket API method; both faces share one behaviour."""
    rest = WS_METHODS.get(method)
    if rest is None:
        return None
    verb, _, path = rest.partition(" ")
    return ENDPOINTS[verb, V3 + path]
