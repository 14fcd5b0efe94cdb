"""A trading desk on a bare matching engine: short calls for tests of the embedded exchange."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from livespot.exchange.engine import DEFAULT_LIMITS, Engine
from livespot.exchange.model import (
    AccountSpec,
    ExchangeFilters,
    ExecutionReport,
    Json,
    ListKind,
    OrderLimits,
    Rejection,
)
from livespot.exchange.open_orders import NO_EXCHANGE_FILTERS
from livespot.exchange.specs import symbol_spec

SYMBOL = "BTCUSDT"
START_MS = 1_700_000_000_000
ORDER_TYPES = (
    "LIMIT",
    "LIMIT_MAKER",
    "MARKET",
    "STOP_LOSS",
    "STOP_LOSS_LIMIT",
    "TAKE_PROFIT",
    "TAKE_PROFIT_LIMIT",
)
STP_MODES = ("NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT")
BASIC_FILTERS: tuple[Mapping[str, Any], ...] = (
    {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "100000", "tickSize": "0.01"},
    {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
    {
        "filterType": "NOTIONAL",
        "minNotional": "5",
        "applyMinToMarket": True,
        "maxNotional": "900000",
        "applyMaxToMarket": False,
        "avgPriceMins": 5,
    },
)


def symbol_row(
    filters: tuple[Mapping[str, Any], ...] = BASIC_FILTERS, /, **changes: object
) -> Json:
    """A row of exchangeInfo for BTCUSDT, with some members changed."""
    row: Json = {
        "symbol": SYMBOL,
        "status": "TRADING",
        "baseAsset": "BTC",
        "baseAssetPrecision": 8,
        "quoteAsset": "USDT",
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": list(ORDER_TYPES),
        "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": list(STP_MODES),
        "filters": list(filters),
    }
    return row | changes


class SpotDesk:
    """An engine with one symbol and a settable time; `alice` trades unless told otherwise."""

    def __init__(
        self,
        row: Json | None = None,
        *,
        accounts: tuple[AccountSpec, ...] | None = None,
        limits: OrderLimits = DEFAULT_LIMITS,
        more_rows: tuple[Json, ...] = (),
        filters: ExchangeFilters = NO_EXCHANGE_FILTERS,
    ) -> None:
        rows = (row or symbol_row(), *more_rows)
        funds = {"USDT": Decimal(10_000), "BTC": Decimal(10)}
        owners = accounts or tuple(
            AccountSpec(account_id=name, balances=funds) for name in ("alice", "bob")
        )
        self.engine = Engine([symbol_spec(one) for one in rows], owners, limits, filters=filters)
        self.now_ms = START_MS

    def book(self, bids: str = "100x10 99x10", asks: str = "101x10 102x10") -> None:
        """Set the house book; levels are written as price x quantity."""
        self.engine.set_book(SYMBOL, _levels(bids), _levels(asks), self.now_ms)

    def print_sell(self, price: str, qty: str = "1", symbol: str = SYMBOL) -> None:
        """A market trade by an aggressive seller, at the bid."""
        self._print(symbol, price, qty, buyer_is_maker=True)

    def print_buy(self, price: str, qty: str = "1", symbol: str = SYMBOL) -> None:
        """A market trade by an aggressive buyer, at the ask."""
        self._print(symbol, price, qty, buyer_is_maker=False)

    def order(self, params: str, account: str = "alice") -> Json:
        """Place an order; parameters are written as name=value."""
        return self.engine.place_order(account, _params(params), self.now_ms)

    def place_list(self, kind: ListKind, params: str, account: str = "alice") -> Json:
        """Place an order list."""
        return self.engine.place_list(account, kind, _params(params), self.now_ms)

    def cancel(self, params: str, account: str = "alice") -> Json:
        """Cancel an order."""
        return self.engine.cancel_order(account, _params(params), self.now_ms)

    def amend(self, params: str, account: str = "alice") -> Json:
        """Lower an order's quantity."""
        return self.engine.amend_order(account, _params(params), self.now_ms)

    def replace(self, params: str, account: str = "alice") -> tuple[int, Json]:
        """Cancel and replace an order."""
        return self.engine.cancel_replace(account, _params(params), self.now_ms)

    def status(self, order_id: int, account: str = "alice") -> str:
        """The order's status now."""
        return str(self.query(order_id, account)["status"])

    def query(self, order_id: int, account: str = "alice") -> Json:
        """The order as its query shows it."""
        return self.engine.query_order(account, _params(f"orderId={order_id}"))

    def held(self, asset: str, account: str = "alice") -> tuple[str, str]:
        """(free, locked) of an asset, without trailing zeros."""
        body = self.engine.account_info(account, {})
        for row in body["balances"]:
            if row["asset"] == asset:
                return _short(row["free"]), _short(row["locked"])
        return "0", "0"

    def reports(self) -> list[ExecutionReport]:
        """Order events since the last drain."""
        return [one for one in self.engine.drain_events() if isinstance(one, ExecutionReport)]

    def trail(self) -> list[tuple[int, str, str]]:
        """Order events since the last drain as (order id, execution type, status)."""
        return [(one.order_id, one.execution_type, one.status) for one in self.reports()]

    def _print(self, symbol: str, price: str, qty: str, *, buyer_is_maker: bool) -> None:
        self.engine.print_trade(
            symbol, Decimal(price), Decimal(qty), buyer_is_maker=buyer_is_maker, now_ms=self.now_ms
        )


def refusal(error: Rejection) -> tuple[int, str]:
    """What a rejection says: (code, text)."""
    return error.code, error.msg


def _levels(text: str) -> list[tuple[Decimal, Decimal]]:
    pairs = (level.split("x") for level in text.split())
    return [(Decimal(price), Decimal(qty)) for price, qty in pairs]


def _params(text: str) -> dict[str, str]:
    pairs = dict(pair.split("=", 1) for pair in text.split())
    return {"symbol": SYMBOL} | pairs


def _short(text: str) -> str:
    return format(Decimal(text).normalize(), "f")
