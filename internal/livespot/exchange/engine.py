"""The facade of the matching engine: an embedded spot exchange without IO, clock or chance."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Protocol

from livespot.exchange.model import (
    AccountSpec,
    Event,
    Json,
    Level,
    Levels,
    ListKind,
    OrderLimits,
    SymbolSpec,
)


class Engine(Protocol):
    """One exchange: symbols, accounts, books and orders.

    Request methods take the account id, the raw request parameters (names and values as the
    exchange spells them, already authenticated; `timestamp`, `recvWindow`, `signature` and
    `apiKey` are ignored) and the current time. They return the reply's JSON or raise
    `Rejection`. What happened meanwhile is read with `drain_events`.
    """

    def __init__(
        self,
        symbols: Sequence[SymbolSpec],
        accounts: Sequence[AccountSpec],
        limits: OrderLimits = OrderLimits(),  # noqa: B008
    ) -> None: ...

    # market side
    def set_book(self, symbol: str, bids: Levels, asks: Levels, now_ms: int) -> None:
        """Replace all house levels (best first); resting orders the new book crosses fill."""
        ...

    def print_trade(
        self, symbol: str, price: Decimal, qty: Decimal, *, buyer_is_maker: bool, now_ms: int
    ) -> None:
        """A trade of the wider market: fills resting orders it reaches and fires triggers."""
        ...

    # operator side (faults and rehearsals)
    def set_symbol(self, spec: SymbolSpec) -> None:
        """Replace a symbol's rules or status; open orders stay."""
        ...

    def adjust_balance(self, account: str, asset: str, delta: Decimal, now_ms: int) -> None:
        """Deposit (positive) or withdraw (negative) free funds; raises ValueError below zero."""
        ...

    def expire_orders(self, symbol: str, types: frozenset[str], now_ms: int) -> int:
        """Expire every open order of these types, as an exchange incident does; the count."""
        ...

    # trading, all: raw params -> reply JSON
    def place_order(self, account: str, params: Mapping[str, str], now_ms: int) -> Json: ...
    def test_order(self, account: str, params: Mapping[str, str], now_ms: int) -> Json: ...
    def cancel_order(self, account: str, params: Mapping[str, str], now_ms: int) -> Json: ...
    def cancel_open_orders(
        self, account: str, params: Mapping[str, str], now_ms: int
    ) -> list[Json]: ...
    def cancel_replace(
        self, account: str, params: Mapping[str, str], now_ms: int
    ) -> tuple[int, Json]:
        """(HTTP status, body); only plain errors (nothing attempted) raise `Rejection`."""
        ...

    def place_list(
        self, account: str, kind: ListKind, params: Mapping[str, str], now_ms: int
    ) -> Json: ...
    def cancel_list(self, account: str, params: Mapping[str, str], now_ms: int) -> Json: ...

    # queries
    def query_order(self, account: str, params: Mapping[str, str]) -> Json: ...
    def open_orders(self, account: str, params: Mapping[str, str]) -> list[Json]: ...
    def all_orders(self, account: str, params: Mapping[str, str]) -> list[Json]: ...
    def query_list(self, account: str, params: Mapping[str, str]) -> Json: ...
    def open_lists(self, account: str) -> list[Json]: ...
    def all_lists(self, account: str, params: Mapping[str, str]) -> list[Json]: ...
    def my_trades(self, account: str, params: Mapping[str, str]) -> list[Json]: ...
    def account_info(self, account: str, params: Mapping[str, str]) -> Json: ...
    def commission(self, account: str, params: Mapping[str, str]) -> Json: ...

    def order_counts(self, account: str, now_ms: int) -> tuple[int, int]:
        """Unfilled orders in the running 10 s and day windows, for headers and rateLimit/order."""
        ...

    def drain_events(self) -> list[Event]:
        """Everything since the last drain, in the order the exchange sends it."""
        ...

    # market reads
    def symbol(self, symbol: str) -> SymbolSpec:
        """The symbol's current rules; raises Rejection -1121 for an unknown one."""
        ...

    def symbols(self) -> tuple[SymbolSpec, ...]: ...
    def last_price(self, symbol: str) -> Decimal | None: ...
    def average_price(self, symbol: str, now_ms: int) -> Decimal | None:
        """Volume-weighted price of the last five minutes, else the last price."""
        ...

    def best(self, symbol: str) -> tuple[Level | None, Level | None]:
        """Best bid and best ask as (price, quantity); None on an empty side."""
        ...

    def depth(self, symbol: str, limit: int) -> tuple[int, list[Level], list[Level]]:
        """(last update id, bids, asks), house and account orders merged, best first."""
        ...
