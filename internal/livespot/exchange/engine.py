"""The facade of the matching engine: an embedded spot exchange without IO, clock or chance."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from livespot.exchange import amending, cancelling, lists, matching, placing, queries, replies
from livespot.exchange.book import House
from livespot.exchange.funds import deposit
from livespot.exchange.list_params import read_list
from livespot.exchange.model import (
    AccountSpec,
    Balance,
    BalanceChanged,
    Event,
    ExchangeFilters,
    Json,
    Level,
    Levels,
    ListKind,
    Order,
    OrderLimits,
    PriceRange,
    Rejection,
    StatusChanged,
    SymbolSpec,
)
from livespot.exchange.open_orders import NO_EXCHANGE_FILTERS, OpenOrders
from livespot.exchange.order_counts import OrderCounts
from livespot.exchange.params import OrderRequest, Params, read_order, read_response_type
from livespot.exchange.plain_order import read_plain
from livespot.exchange.specs import (
    asset_filter_rows,
    exchange_filter_rows,
    execution_rule_rows,
)
from livespot.exchange.state import Account, Exchange, Market
from livespot.exchange.triggers import on_price

Raw = Mapping[str, str]
DEFAULT_LIMITS = OrderLimits()


class Engine:
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
        limits: OrderLimits = DEFAULT_LIMITS,
        *,
        report_refusals: bool = True,
        filters: ExchangeFilters = NO_EXCHANGE_FILTERS,
    ) -> None:
        """`report_refusals`: orders the engine refuses also show on the user stream."""
        self._report_refusals = report_refusals
        self._exchange = Exchange(
            markets={spec.symbol: Market(spec=spec) for spec in symbols},
            accounts={
                spec.account_id: Account(
                    spec=spec,
                    counts=OrderCounts(limits),
                    balances={
                        asset: Balance(free=amount) for asset, amount in spec.balances.items()
                    },
                    open=OpenOrders(filters),
                )
                for spec in accounts
            },
            filters=filters,
        )

    @property
    def state(self) -> Exchange:
        """All it holds, for views of it; never to be changed from outside."""
        return self._exchange

    @classmethod
    def reading(cls, state: Exchange) -> "Engine":
        """An engine over another state, for queries only."""
        reader = cls((), ())
        reader._exchange = state
        return reader

    def set_book(self, symbol: str, bids: Levels, asks: Levels, now_ms: int) -> None:
        """Replace all house levels (best first); resting orders the new book crosses fill."""
        market = self._at(symbol, now_ms)
        matching.replace_house(self._exchange, market, bids, asks)
        self._settle(market)

    def set_house(self, symbol: str, house: House, now_ms: int) -> None:
        """The same as `set_book`; deeper levels are worked out once somebody looks at them."""
        market = self._at(symbol, now_ms)
        if market.is_trading and market.book.defer(house):
            self._exchange.house_takers += 1
            market.held_book = None
        else:
            matching.replace_house(self._exchange, market, *house.levels())
        self._settle(market)

    def watch_book(self, symbol: str, *, watched: bool) -> None:
        """While a book is watched every change of it is announced level by level."""
        self._exchange.market(symbol).book.watch(watched=watched)

    def print_trade(
        self, symbol: str, price: Decimal, qty: Decimal, *, buyer_is_maker: bool, now_ms: int
    ) -> None:
        """A trade of the wider market: fills resting orders it reaches and fires triggers.

        Set the book of that moment first: a triggered stop trades with the book as it stands.
        Nothing happens while the symbol does not trade.
        """
        market = self._at(symbol, now_ms)
        if not market.is_trading:
            return
        self._exchange.house_takers += 1
        # A price between ours and this one was passed before the trade printed, so what our
        # fills set in motion (pending legs above all) must already stand when it does.
        matching.fill_through(self._exchange, market, price)
        self._cascade(market)
        matching.print_trade(self._exchange, market, price, qty, buyer_is_maker=buyer_is_maker)
        self._settle(market)

    def set_symbol(self, spec: SymbolSpec) -> None:
        """Replace a symbol's rules or status; open orders stay.

        A symbol that trades again does so with the newest house book set meanwhile.
        """
        market = self._exchange.market(spec.symbol)
        if spec.status != market.spec.status:
            now_ms = self._exchange.now_ms
            turn = StatusChanged(symbol=spec.symbol, status=spec.status, time_ms=now_ms)
            self._exchange.events.append(turn)
        market.adopt(spec)
        if market.is_trading and market.held_book is not None:
            matching.replace_house(self._exchange, market, *market.held_book)
            self._settle(market)

    def set_status(self, symbol: str, status: str, now_ms: int) -> None:
        """Set a symbol's status: TRADING, HALT, BREAK, END_OF_DAY or CANCEL_ONLY."""
        spec = self._at(symbol, now_ms).spec
        info = {**spec.info, "status": status}
        self.set_symbol(replace(spec, status=status, info=info))

    def set_reference_price(self, symbol: str, price: Decimal | None, now_ms: int) -> None:
        """Set the reference price; None withdraws it, which is not the same as never having one."""
        self._at(symbol, now_ms).reference = (price, now_ms)

    def reference_price(self, symbol: str) -> tuple[Decimal | None, int] | None:
        """(reference price or None for now, time it was set); None if there never was one."""
        return self._exchange.market(symbol).reference

    def set_execution_rules(self, symbol: str, rule: PriceRange | None) -> None:
        """Set or lift the price range within which takers trade."""
        self._exchange.market(symbol).price_range = rule

    def execution_rules(self, symbol: str) -> list[Json]:
        """The symbol's execution rules as the exchange publishes them."""
        return execution_rule_rows(self._exchange.market(symbol).price_range)

    def exchange_filters(self) -> list[Json]:
        """Filters over all symbols as the exchange publishes them."""
        return exchange_filter_rows(self._exchange.filters)

    def asset_filters(self) -> list[Json]:
        """Filters on assets as the exchange publishes them."""
        return asset_filter_rows(self._exchange.filters)

    def adjust_balance(self, account: str, asset: str, delta: Decimal, now_ms: int) -> None:
        """Deposit (positive) or withdraw (negative) free funds.

        Raises:
            ValueError: more would be withdrawn than is free.
        """
        self._exchange.now_ms = now_ms
        deposit(self._exchange, self._exchange.accounts[account], asset, delta)
        self._exchange.events.append(
            BalanceChanged(account_id=account, asset=asset, delta=delta, time_ms=now_ms)
        )
        self._exchange.flush()

    def expire_orders(self, symbol: str, types: frozenset[str], now_ms: int) -> int:
        """Expire every open order of these types, as an exchange incident does; the count."""
        market = self._at(symbol, now_ms)
        hit = [
            order
            for order in map(market.orders.__getitem__, list(market.open_ids))
            if order.type in types
        ]
        for order in hit:
            matching.end_order(self._exchange, order, "EXPIRED", "EXCHANGE_CANCELED")
        self._settle(market)
        return len(hit)

    def place_order(self, account: str, params: Raw, now_ms: int) -> Json:
        """A new order; the reply shows it right after matching."""
        owner = self._exchange.accounts[account]
        market, request, response_type = self._read_placed(params, now_ms)
        owner.counts.check(now_ms)
        placing.check_before_engine(self._exchange, market, owner, request)
        order = self._accept(market, owner, request)
        owner.counts.add(1, now_ms)
        placing.start(self._exchange, market, order)
        reply = replies.order_reply(order, response_type)
        self._settle(market)
        return reply

    def test_order(self, account: str, params: Raw, now_ms: int) -> Json:
        """Validate like a new order, up to but not into the engine."""
        owner = self._exchange.accounts[account]
        reader = Params(params)
        wants_rates = reader.flag("computeCommissionRates")
        market, request, _ = self._read_order(reader, now_ms)
        placing.check_before_engine(self._exchange, market, owner, request)
        return replies.order_commission_body(owner, request.side) if wants_rates else {}

    def cancel_order(self, account: str, params: Raw, now_ms: int) -> Json:
        """Cancel one order; for a list member the list's report is the reply."""
        reader = Params(params)
        market = self._at(reader.need("symbol"), now_ms)
        request = cancelling.read_cancel(reader)
        reader.finish()
        owner = self._exchange.accounts[account]
        reply = cancelling.cancel(self._exchange, market, owner, request)
        self._settle(market)
        return reply

    def cancel_open_orders(self, account: str, params: Raw, now_ms: int) -> list[Json]:
        """Cancel everything open on a symbol."""
        reader = Params(params)
        market = self._at(reader.need("symbol"), now_ms)
        reader.finish()
        owner = self._exchange.accounts[account]
        reply = cancelling.cancel_all(self._exchange, market, owner)
        self._settle(market)
        return reply

    def cancel_replace(self, account: str, params: Raw, now_ms: int) -> tuple[int, Json]:
        """(HTTP status, body); only plain errors (nothing attempted) raise `Rejection`."""
        owner = self._exchange.accounts[account]
        reader = Params(params)
        cancelled, mode = cancelling.read_replaced(reader)
        market, request, response_type = self._read_order(reader, now_ms)
        if not market.spec.cancel_replace_allowed:
            raise Rejection(-2010, "Order cancel-replace is not supported for this symbol.")
        placing.check_limits(self._exchange, market, owner, request)
        refusal = _refusal(owner, now_ms)
        if refusal is not None and not mode.cancel_only:
            raise refusal
        if refusal is None:
            owner.counts.add(1, now_ms)

        def cancel_half() -> Json:
            return cancelling.cancel(self._exchange, market, owner, cancelled)

        def place_half() -> Json:
            if refusal is not None:
                raise refusal
            placing.check_account(market, owner)
            placing.check_supported(market, request)
            order = self._accept(market, owner, request)
            placing.start(self._exchange, market, order)
            return replies.order_reply(order, response_type)

        answer = cancelling.replace_order(cancel_half, place_half, mode)
        self._settle(market)
        return answer

    def place_list(self, account: str, kind: ListKind, params: Raw, now_ms: int) -> Json:
        """A new list; pending legs read PENDING_NEW in the reply even if they armed at once."""
        owner = self._exchange.accounts[account]
        market = self._at(Params(params).need("symbol"), now_ms)
        plan = read_list(params, market.spec, kind)
        owner.counts.check(now_ms, len(plan.requests))
        lists.check_list(self._exchange, market, owner, plan)
        try:
            order_list = lists.place_list(self._exchange, market, owner, plan)
        except Rejection as refused:
            reason = self._told(refused)
            if reason is not None:
                lists.report_refused_list(self._exchange, market, owner, plan, reason)
            raise
        owner.counts.add(len(plan.requests), now_ms)
        lists.start_list(self._exchange, market, order_list)
        reply = replies.list_reply(self._exchange, order_list, plan.response_type)
        self._settle(market)
        return reply

    def amend_order(self, account: str, params: Raw, now_ms: int) -> Json:
        """Lower an open order's quantity without losing its turn."""
        reader = Params(params)
        market = self._at(reader.need("symbol"), now_ms)
        request = amending.read_amend(reader, market.spec)
        owner = self._exchange.accounts[account]
        reply = amending.amend(self._exchange, market, owner, request)
        self._settle(market)
        return reply

    def amendments(self, account: str, params: Raw) -> list[Json]:
        """What was amended of one order."""
        reader, market = self._reader(params)
        return amending.amendments(market, self._exchange.accounts[account], reader)

    def cancel_list(self, account: str, params: Raw, now_ms: int) -> Json:
        """Cancel a list."""
        reader = Params(params)
        symbol = reader.need("symbol")
        market = self._at(symbol, now_ms)
        owner = self._exchange.accounts[account]
        reply = cancelling.cancel_list(self._exchange, owner, reader, symbol)
        self._settle(market)
        return reply

    def query_order(self, account: str, params: Raw) -> Json:
        """One order; -2013 when there is none."""
        reader, market = self._reader(params)
        owner = self._exchange.accounts[account]
        return queries.query_order(market, owner, reader, self._exchange.now_ms)

    def open_orders(self, account: str, params: Raw) -> list[Json]:
        """Open orders of one symbol, or of all without `symbol`."""
        owner = self._exchange.accounts[account]
        reader = Params(params)
        symbol = reader.text("symbol")
        reader.finish()
        return queries.open_orders(self._exchange, owner, symbol)

    def all_orders(self, account: str, params: Raw) -> list[Json]:
        """Orders of a symbol, open and ended."""
        reader, market = self._reader(params)
        owner = self._exchange.accounts[account]
        return queries.all_orders(market, owner, reader, self._exchange.now_ms)

    def query_list(self, account: str, params: Raw) -> Json:
        """One list by `orderListId` or `origClientOrderId`."""
        owner = self._exchange.accounts[account]
        return queries.query_list(self._exchange, owner, Params(params))

    def open_lists(self, account: str, params: Raw | None = None) -> list[Json]:
        """Lists still executing; takes no parameters."""
        Params(params or {}).finish()
        return queries.open_lists(self._exchange, self._exchange.accounts[account])

    def all_lists(self, account: str, params: Raw) -> list[Json]:
        """Lists, open and done."""
        owner = self._exchange.accounts[account]
        return queries.all_lists(self._exchange, owner, Params(params))

    def my_trades(self, account: str, params: Raw) -> list[Json]:
        """The account's trades of a symbol."""
        reader, market = self._reader(params)
        return queries.my_trades(market, self._exchange.accounts[account], reader)

    def prevented_matches(self, account: str, params: Raw) -> list[Json]:
        """Matches that self-trade prevention stopped."""
        reader, market = self._reader(params)
        return queries.prevented_matches(market, self._exchange.accounts[account], reader)

    def filters(self, params: Raw) -> Json:
        """The filters of the exchange, of a symbol and of its assets."""
        reader, market = self._reader(params)
        reader.finish()
        return replies.filters_body(self._exchange, market)

    def account_info(self, account: str, params: Raw) -> Json:
        """Balances and commission rates."""
        reader = Params(params)
        omit_zero = reader.flag("omitZeroBalances")
        reader.finish()
        return replies.account_body(self._exchange.accounts[account], omit_zero=omit_zero)

    def commission(self, account: str, params: Raw) -> Json:
        """Commission rates for a symbol."""
        reader, market = self._reader(params)
        reader.finish()
        return replies.commission_body(self._exchange.accounts[account], market)

    def order_counts(self, account: str, now_ms: int) -> tuple[int, int]:
        """Unfilled orders in the running 10 s and day windows."""
        return self._exchange.accounts[account].counts.counts(now_ms)

    def count_late(self, account: str, orders: int, now_ms: int) -> None:
        """Count orders whose time ran out on their way here; they reached no book."""
        self._exchange.accounts[account].counts.add(orders, now_ms)

    def drain_events(self) -> list[Event]:
        """Everything since the last drain, in the order the exchange sends it."""
        events = self._exchange.events
        self._exchange.events = []
        return events

    def symbol(self, symbol: str) -> SymbolSpec:
        """The symbol's current rules; raises Rejection -1121 for an unknown one."""
        return self._exchange.market(symbol).spec

    def symbols(self) -> tuple[SymbolSpec, ...]:
        """Current rules of every symbol."""
        return tuple(market.spec for market in self._exchange.markets.values())

    def last_price(self, symbol: str) -> Decimal | None:
        """Price of the last trade."""
        return self._exchange.market(symbol).last_price

    def average_price(self, symbol: str, now_ms: int) -> Decimal | None:
        """Volume-weighted price of the last five minutes, else the last price."""
        return self._exchange.market(symbol).average_price(now_ms)

    def best(self, symbol: str) -> tuple[Level | None, Level | None]:
        """Best bid and best ask as (price, quantity); None on an empty side."""
        book = self._exchange.market(symbol).book
        return book.best("BUY"), book.best("SELL")

    def depth(self, symbol: str, limit: int) -> tuple[int, list[Level], list[Level]]:
        """(last update id, bids, asks), house and account orders merged, best first."""
        book = self._exchange.market(symbol).book
        return book.update_id, book.merged("BUY", limit), book.merged("SELL", limit)

    def totals(self) -> dict[str, Decimal]:
        """Per asset the sum over accounts, house and fees; constant, as no value is created."""
        return self._exchange.totals()

    def _at(self, symbol: str, now_ms: int) -> Market:
        self._exchange.now_ms = now_ms
        return self._exchange.market(symbol)

    def _reader(self, params: Raw) -> tuple[Params, Market]:
        reader = Params(params)
        return reader, self._exchange.market(reader.need("symbol"))

    def _read_placed(self, params: Raw, now_ms: int) -> tuple[Market, OrderRequest, str | None]:
        market = self._exchange.markets.get(params.get("symbol", ""))
        plain = None if market is None else read_plain(params, market.spec)
        if market is None or plain is None:
            return self._read_order(Params(params), now_ms)
        self._exchange.now_ms = now_ms
        return market, plain, params.get("newOrderRespType")

    def _read_order(self, reader: Params, now_ms: int) -> tuple[Market, OrderRequest, str | None]:
        market = self._at(reader.need("symbol"), now_ms)
        request = read_order(reader, market.spec)
        response_type = read_response_type(reader)
        reader.finish()
        return market, request, response_type

    def _accept(self, market: Market, owner: Account, request: OrderRequest) -> Order:
        try:
            return placing.accept(self._exchange, market, owner, request)
        except Rejection as refused:
            reason = self._told(refused)
            if reason is not None:
                placing.report_refused(self._exchange, market, owner, request, reason)
            raise

    def _told(self, refused: Rejection) -> str | None:
        return placing.reject_reason(refused) if self._report_refusals else None

    def _settle(self, market: Market) -> None:
        """Finish everything a request or a trade set in motion, then announce the sums."""
        if self._exchange.changed or market.unseen_prices:
            self._cascade(market)
        self._exchange.flush(market)

    def _cascade(self, market: Market) -> None:
        """Carry changes over to lists and prices to triggers until nothing moves any more."""
        while self._exchange.changed or market.unseen_prices:
            if self._exchange.changed:
                order = self._exchange.changed.popleft()
                lists.after_change(self._exchange, market, order)
            else:
                sequence, price = market.unseen_prices.popleft()
                on_price(self._exchange, market, sequence, price)


def _refusal(owner: Account, now_ms: int) -> Rejection | None:
    try:
        owner.counts.check(now_ms)
    except Rejection as refusal:
        return refusal
    return None
