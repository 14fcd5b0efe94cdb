"""The exchange's whole mutable state, and the few ways to record what happened to it."""

import hashlib
from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from livespot.exchange.book import Book
from livespot.exchange.model import (
    NO_LIST,
    ZERO,
    AccountPosition,
    AccountSpec,
    Balance,
    BookChanged,
    Event,
    ExecutionReport,
    Fill,
    ListStatus,
    Order,
    OrderList,
    Rejection,
    SymbolSpec,
)
from livespot.exchange.order_counts import OrderCounts

AVERAGE_WINDOW_MS = 300_000


@dataclass(slots=True)
class Account:
    """One account's funds and counters."""

    spec: AccountSpec
    counts: OrderCounts
    balances: dict[str, Balance]
    updated_ms: int = 0
    touched: dict[str, None] = field(default_factory=dict)

    def balance(self, asset: str) -> Balance:
        """The asset's balance, created empty on first use."""
        return self.balances.setdefault(asset, Balance())


@dataclass(slots=True)
class Market:
    """Everything that belongs to one symbol.

    `prints` are (time, price, quantity) of the average price window; `unseen_prices` are
    (sequence, price) of trades that stops have not been checked against yet.
    """

    spec: SymbolSpec
    book: Book = field(default_factory=Book)
    orders: dict[int, Order] = field(default_factory=dict)
    open_ids: dict[int, None] = field(default_factory=dict)
    by_client: dict[tuple[str, str], int] = field(default_factory=dict)
    fills: dict[str, list[Fill]] = field(default_factory=dict)
    prints: deque[tuple[int, Decimal, Decimal]] = field(default_factory=deque)
    unseen_prices: deque[tuple[int, Decimal]] = field(default_factory=deque)
    last_price: Decimal | None = None
    last_order_id: int = 0
    last_trade_id: int = 0
    last_execution_id: int = 0
    last_match_id: int = -1

    def open_orders(self, account_id: str) -> list[Order]:
        """The account's open orders, oldest first."""
        orders = [self.orders[number] for number in self.open_ids]
        return [order for order in orders if order.account_id == account_id]

    def forget_prints(self, now_ms: int) -> None:
        """Drop what no longer counts for the average price."""
        while self.prints and self.prints[0][0] <= now_ms - AVERAGE_WINDOW_MS:
            self.prints.popleft()

    def average_price(self, now_ms: int) -> Decimal | None:
        """Volume-weighted price of the last five minutes, else the last price."""
        self.forget_prints(now_ms)
        volume = sum((qty for _, _, qty in self.prints), ZERO)
        if volume == 0:
            return self.last_price
        return sum((price * qty for _, price, qty in self.prints), ZERO) / volume


@dataclass(slots=True)
class Exchange:
    """All markets, accounts and lists.

    `house` and `fees` are the counterparties of every account, so that the sum over all of
    them never changes. `changed` holds orders a match has changed and whose list has not been
    looked at yet.
    """

    markets: dict[str, Market]
    accounts: dict[str, Account]
    lists: dict[int, OrderList] = field(default_factory=dict)
    house: dict[str, Decimal] = field(default_factory=dict)
    fees: dict[str, Decimal] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    changed: deque[Order] = field(default_factory=deque)
    now_ms: int = 0
    sequence: int = 0
    named: int = 0
    last_list_id: int = -1
    house_takers: int = 0

    def next_sequence(self) -> int:
        """A number that orders placements and trades in time."""
        self.sequence += 1
        return self.sequence

    def new_name(self) -> str:
        """A client id for a caller who sent none; the same one in every replay."""
        self.named += 1
        return hashlib.sha256(f"client id {self.named}".encode()).hexdigest()[:22]

    def market(self, symbol: str) -> Market:
        """The market of a symbol; -1121 when there is none."""
        found = self.markets.get(symbol)
        if found is None:
            raise Rejection(-1121, "Invalid symbol.")
        return found

    def market_of(self, order: Order) -> Market:
        """The market an order belongs to."""
        return self.markets[order.symbol]

    def list_of(self, order: Order) -> OrderList | None:
        """The list an order belongs to."""
        return None if order.list_id == NO_LIST else self.lists[order.list_id]

    def members(self, order_list: OrderList) -> list[Order]:
        """The orders of a list, in the exchange's order."""
        market = self.markets[order_list.symbol]
        return [market.orders[number] for number in order_list.order_ids]

    def report(
        self,
        order: Order,
        execution_type: str,
        fill: Fill | None = None,
        *,
        formerly: str = "",
        reject_reason: str = "NONE",
    ) -> None:
        """Record one order event as it stands now; `formerly` is the id an amend replaced."""
        market = self.market_of(order)
        market.last_execution_id += 1
        order.updated_ms = self.now_ms
        self.events.append(
            ExecutionReport(
                **(_order_members(order) | ({"orig_client_id": formerly} if formerly else {})),
                execution_type=execution_type,
                reject_reason=reject_reason,
                last_qty=fill.qty if fill else ZERO,
                last_price=fill.price if fill else ZERO,
                last_quote=fill.quote_qty if fill else ZERO,
                commission=fill.commission if fill else ZERO,
                commission_asset=fill.commission_asset if fill else None,
                trade_id=fill.trade_id if fill else -1,
                execution_id=market.last_execution_id,
                # A taker in the middle of its fills has not reached the book yet.
                is_working=is_on_book(order) and (fill is None or fill.is_maker),
                is_maker=fill.is_maker if fill else False,
                time_ms=self.now_ms,
            )
        )

    def report_prevention(self, order: Order, other: Order, qty: Decimal, price: Decimal) -> None:
        """Record a match that self-trade prevention stopped."""
        market = self.market_of(order)
        market.last_execution_id += 1
        order.updated_ms = self.now_ms
        self.events.append(
            ExecutionReport(
                **_order_members(order),
                execution_type="TRADE_PREVENTION",
                reject_reason="NONE",
                last_qty=ZERO,
                last_price=ZERO,
                last_quote=ZERO,
                commission=ZERO,
                commission_asset=None,
                trade_id=-1,
                execution_id=market.last_execution_id,
                is_working=is_on_book(order),
                is_maker=False,
                time_ms=self.now_ms,
                prevented_last=qty,
                prevented_price=price,
                counter_order_id=other.order_id,
            )
        )

    def report_list(self, order_list: OrderList) -> None:
        """Record one list event as it stands now."""
        self.announce_list(order_list, self.members(order_list))

    def announce_list(
        self, order_list: OrderList, members: list[Order], reject_reason: str = "NONE"
    ) -> None:
        """Record one list event with the members given, which need not be registered."""
        order_list.transaction_ms = self.now_ms
        self.events.append(
            ListStatus(
                account_id=order_list.account_id,
                symbol=order_list.symbol,
                list_id=order_list.list_id,
                contingency=order_list.contingency,
                status_type=order_list.status_type,
                order_status=order_list.order_status,
                reject_reason=reject_reason,
                client_id=order_list.client_id,
                orders=tuple((m.order_id, m.cancelled_client_id or m.client_id) for m in members),
                time_ms=self.now_ms,
            )
        )

    def totals(self) -> dict[str, Decimal]:
        """Per asset the sum over all accounts, the house and the fees."""
        sums: dict[str, Decimal] = dict(self.house)
        for asset, fee in self.fees.items():
            sums[asset] = sums.get(asset, ZERO) + fee
        for account in self.accounts.values():
            for asset, held in account.balances.items():
                sums[asset] = sums.get(asset, ZERO) + held.free + held.locked
        return sums

    def flush(self) -> None:
        """Record the balances touched and the book levels changed since the last flush."""
        for account in self.accounts.values():
            if account.touched:
                account.updated_ms = self.now_ms
                rows = tuple(
                    (asset, account.balance(asset).free, account.balance(asset).locked)
                    for asset in account.touched
                )
                account.touched.clear()
                self.events.append(
                    AccountPosition(
                        account_id=account.spec.account_id, balances=rows, time_ms=self.now_ms
                    )
                )
        for market in self.markets.values():
            self._flush_book(market)

    def _flush_book(self, market: Market) -> None:
        if not market.book.dirty:
            return
        bids, asks = market.book.changes()
        if bids or asks:
            market.book.update_id += 1
            self.events.append(
                BookChanged(
                    symbol=market.spec.symbol,
                    update_id=market.book.update_id,
                    bids=bids,
                    asks=asks,
                    time_ms=self.now_ms,
                )
            )


def is_on_book(order: Order) -> bool:
    """True while the order works: open, activated, and not waiting for a trigger."""
    return order.status in ("NEW", "PARTIALLY_FILLED") and not order.conditional


def _order_members(order: Order) -> dict[str, Any]:
    cancelled = order.status == "CANCELED"
    return {
        "account_id": order.account_id,
        "symbol": order.symbol,
        "order_id": order.order_id,
        "list_id": order.list_id,
        "client_id": order.client_id,
        "orig_client_id": order.cancelled_client_id if cancelled else "",
        "side": order.side,
        "type": order.type,
        "time_in_force": order.time_in_force,
        "price": order.shown_price,
        "orig_qty": order.orig_qty,
        "quote_qty": order.quote_qty,
        "stop_price": order.stop_price,
        "trailing_delta": order.trailing_delta,
        "trailing_ms": order.trailing_ms,
        "iceberg_qty": order.iceberg_qty,
        "strategy_id": order.strategy_id,
        "strategy_type": order.strategy_type,
        "stp": order.stp,
        "status": order.status,
        "expiry_reason": order.expiry_reason,
        "executed": order.executed,
        "cum_quote": order.cum_quote,
        "created_ms": order.created_ms,
        "working_ms": order.working_ms,
        "prevented": order.prevented,
        "prevented_match_id": order.prevented_match_id,
        "peg": order.peg,
        "pegged_price": order.pegged_price,
    }
