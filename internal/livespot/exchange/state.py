"""The exchange's whole mutable state, and the few ways to record what happened to it."""

import hashlib
from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache

from msgspec.structs import replace as change

from livespot.exchange.averages import AVERAGE_MINUTES, AveragePrices
from livespot.exchange.book import Book
from livespot.exchange.model import (
    NO_LIST,
    NO_ORDER,
    ZERO,
    AccountPosition,
    AccountSpec,
    Balance,
    BookChanged,
    Event,
    ExchangeFilters,
    ExecutionReport,
    Fill,
    Levels,
    ListStatus,
    Order,
    OrderList,
    PreventedMatch,
    PriceRange,
    Rejection,
    Side,
    SymbolSpec,
    rate_of,
)
from livespot.exchange.open_orders import NO_EXCHANGE_FILTERS, OpenOrders
from livespot.exchange.order_counts import OrderCounts

_WORKING = frozenset({"NEW", "PARTIALLY_FILLED"})
# What an order event that is no trade carries in place of one.
NO_FILL = Fill(
    trade_id=-1,
    order_id=NO_ORDER,
    list_id=NO_LIST,
    price=ZERO,
    qty=ZERO,
    quote_qty=ZERO,
    commission=ZERO,
    commission_asset="",
    time_ms=0,
    is_buyer=False,
    is_maker=False,
)


@dataclass(slots=True)
class Account:
    """One account's funds and counters; `moved` is the exchange's list of those to report."""

    spec: AccountSpec
    counts: OrderCounts
    balances: dict[str, Balance]
    updated_ms: int = 0
    touched: dict[str, None] = field(default_factory=dict)
    open: OpenOrders = field(default_factory=OpenOrders)
    moved: dict[str, "Account"] = field(default_factory=dict)
    _rates: dict[tuple[Side, bool], tuple[Decimal, Decimal]] = field(default_factory=dict)

    def rates(self, side: Side, *, is_maker: bool) -> tuple[Decimal, Decimal]:
        """(standard rate, the other rates together) of one fill."""
        found = self._rates.get((side, is_maker))
        if found is None:
            spec = self.spec
            standard, special, tax = (
                rate_of(rates, side, is_maker=is_maker)
                for rates in (spec.standard, spec.special, spec.tax)
            )
            found = self._rates[side, is_maker] = (standard, special + tax)
        return found

    def touch(self, asset: str) -> None:
        """Mark a balance as possibly changed."""
        self.touched[asset] = None
        self.moved[self.spec.account_id] = self

    def balance(self, asset: str) -> Balance:
        """The asset's balance, created empty on first use."""
        held = self.balances.get(asset)
        if held is None:
            held = self.balances[asset] = Balance()
        return held


@dataclass(slots=True)
class Market:
    """Everything that belongs to one symbol.

    `waiting` are the open orders that watch for their trigger.
    `unseen_prices` are (sequence, price) of trades that stops have not been checked against yet.
    `reference` is the reference price with the time it was set; the price is None while there is
    none, and `reference` is None as long as there never was one. `held_book` is the house book
    that comes into force when the symbol trades again. An account that trades here has one
    permission out of each group of `permissions`.
    """

    spec: SymbolSpec
    book: Book = field(default_factory=Book)
    orders: dict[int, Order] = field(default_factory=dict)
    open_ids: dict[int, None] = field(default_factory=dict)
    waiting: dict[int, Order] = field(default_factory=dict)
    by_client: dict[tuple[str, str], int] = field(default_factory=dict)
    fills: dict[str, list[Fill]] = field(default_factory=dict)
    averages: AveragePrices = field(default_factory=AveragePrices)
    unseen_prices: deque[tuple[int, Decimal]] = field(default_factory=deque)
    last_price: Decimal | None = None
    last_order_id: int = 0
    last_trade_id: int = 0
    last_execution_id: int = 0
    last_match_id: int = -1
    reference: tuple[Decimal | None, int] | None = None
    price_range: PriceRange | None = None
    prevented: list[PreventedMatch] = field(default_factory=list)
    held_book: tuple[Levels, Levels] | None = None
    permissions: tuple[frozenset[str], ...] = ()

    def __post_init__(self) -> None:
        self.adopt(self.spec)

    @property
    def is_trading(self) -> bool:
        """True while orders are taken and matched."""
        return self.spec.status == "TRADING"

    def adopt(self, spec: SymbolSpec) -> None:
        """Take over a symbol's rules, and remember trades as long as its filters look back."""
        self.spec = spec
        self.permissions = tuple(_group(*names) for names in spec.info.get("permissionSets", ()))
        filters = spec.filters
        self.averages.keep(rule.avg_price_mins for rule in filters.percent_prices)
        self.averages.keep(rule.avg_price_mins for rule in filters.notionals)

    def open_orders(self, account_id: str) -> list[Order]:
        """The account's open orders, oldest first."""
        orders = [self.orders[number] for number in self.open_ids]
        return [order for order in orders if order.account_id == account_id]

    def average_price(self, now_ms: int, minutes: int = AVERAGE_MINUTES) -> Decimal | None:
        """Volume-weighted price of the last minutes, else the last price."""
        average = self.averages.over(minutes, now_ms) if minutes > 0 else None
        return self.last_price if average is None else average

    def filter_price(self, now_ms: int, minutes: int) -> Decimal | None:
        """What filters compare with: the reference price, else the average of these minutes."""
        reference = self.reference
        if reference is not None and reference[0] is not None:
            return reference[0]
        return self.average_price(now_ms, minutes)


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
    filters: ExchangeFilters = NO_EXCHANGE_FILTERS
    moved: dict[str, Account] = field(default_factory=dict)
    pairs: dict[tuple[str, str], Market] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for account in self.accounts.values():
            account.moved = self.moved
        for market in self.markets.values():
            self.pairs.setdefault((market.spec.base, market.spec.quote), market)

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

    def opened(self, market: Market, order: Order) -> None:
        """Enter a new order in every index."""
        number = order.order_id
        market.orders[number] = order
        market.open_ids[number] = None
        market.by_client[order.account_id, order.client_id] = number
        self.accounts[order.account_id].open.add(order)

    def closed(self, market: Market, order: Order) -> None:
        """Take an order that ended off the book and off the indexes of open orders."""
        market.book.remove(order)
        number = order.order_id
        if number in market.open_ids:
            del market.open_ids[number]
            market.waiting.pop(number, None)
            self.accounts[order.account_id].open.discard(order)

    def note(self, order: Order) -> None:
        """Let the order's list, if it has one, know that the order changed."""
        if order.list_id != NO_LIST:
            self.changed.append(order)

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
        report = self._next_report(order, execution_type, fill or NO_FILL)
        if formerly or reject_reason != "NONE":
            former = formerly or report.orig_client_id
            report = change(report, orig_client_id=former, reject_reason=reject_reason)
        self.events.append(report)

    def report_prevention(
        self, order: Order, other: Order, match: PreventedMatch, qty: Decimal
    ) -> None:
        """Record a match that self-trade prevention stopped, of which `qty` would have traded."""
        is_taker = order.order_id == match.taker_order_id
        lost = match.taker_qty if is_taker else match.maker_qty
        report = self._next_report(order, "TRADE_PREVENTION", NO_FILL)
        self.events.append(
            change(
                report,
                is_working=report.is_working and not is_taker,
                prevented_last=lost or ZERO,
                prevented_price=match.price,
                prevented_match_qty=qty,
                counter_order_id=other.order_id,
                counter_symbol=other.symbol,
                trade_group_id=order.trade_group_id,
            )
        )

    def _next_report(self, order: Order, execution_type: str, fill: Fill) -> ExecutionReport:
        market, status = self.markets[order.symbol], order.status
        market.last_execution_id += 1
        order.updated_ms = now_ms = self.now_ms
        is_plain = order.peg is None
        # By position, because matching so many members by name takes four times as long.
        return ExecutionReport(
            order.account_id,
            order.symbol,
            order.order_id,
            order.list_id,
            order.client_id,
            order.cancelled_client_id if status == "CANCELED" else "",
            order.side,
            order.type,
            order.time_in_force,
            order.price if is_plain else order.shown_price,
            order.orig_qty,
            order.quote_qty,
            order.stop_price,
            order.trailing_delta,
            order.trailing_ms,
            order.iceberg_qty,
            order.strategy_id,
            order.strategy_type,
            order.stp,
            execution_type,
            status,
            "NONE",
            order.expiry_reason,
            order.executed,
            order.cum_quote,
            fill.qty,
            fill.price,
            fill.quote_qty,
            fill.commission,
            fill.commission_asset or None,
            fill.trade_id,
            market.last_execution_id,
            # A taker in the middle of its fills has not reached the book yet.
            status in _WORKING and not order.conditional and (fill is NO_FILL or fill.is_maker),
            fill.is_maker,
            order.created_ms,
            order.working_ms,
            now_ms,
            order.prevented,
            ZERO,  # prevented_last
            order.prevented_match_id,
            None,  # counter_order_id
            "",  # counter_symbol
            ZERO,  # prevented_price
            ZERO,  # prevented_match_qty
            None,  # trade_group_id
            order.peg,
            None if is_plain else order.pegged_price,
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

    def flush(self, market: Market | None = None) -> None:
        """Record the balances touched and the levels of this book changed since the last flush."""
        if self.moved:
            for name, account in self.moved.items():
                account.updated_ms = self.now_ms
                balances = account.balances
                rows = [
                    (asset, held.free, held.locked)
                    for asset in account.touched
                    for held in (balances[asset],)
                ]
                account.touched.clear()
                self.events.append(AccountPosition(name, tuple(rows), self.now_ms))
            self.moved.clear()
        if market is not None:
            self._flush_book(market.spec.symbol, market.book)

    def _flush_book(self, symbol: str, book: Book) -> None:
        moved = book.has_moved()
        bids, asks = book.changes()
        if moved or bids or asks:
            book.update_id += 1
            self.events.append(BookChanged(symbol, book.update_id, bids, asks, self.now_ms))


@cache
def _group(*permissions: str) -> frozenset[str]:
    """One set for all symbols alike: a group may name hundreds of permissions."""
    return frozenset(permissions)


def is_on_book(order: Order) -> bool:
    """True while the order works: open, activated, and not waiting for a trigger."""
    return order.status in _WORKING and not order.conditional
