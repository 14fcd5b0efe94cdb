"""Whatever is asked of the engine: money adds up, executions grow and priority holds."""

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from livespot.exchange.funds import needed
from livespot.exchange.model import (
    ALGO_TYPES,
    AccountPosition,
    AccountSpec,
    BookChanged,
    ExecutionReport,
    ListKind,
    Order,
    PriceRange,
    PublicTrade,
    Rejection,
)
from livespot.exchange.state import Account
from livespot.testing.spot_desk import SYMBOL, SpotDesk, symbol_row

NAMES = ("alice", "bob", "carol")
ACCOUNTS = st.sampled_from(NAMES)
SIDES = st.sampled_from(["BUY", "SELL"])
PRICES = st.integers(90, 110)
QTYS = st.decimals("0.1", "6", places=3)
ALL_MODES = ("NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT", "TRANSFER")
MODES = st.sampled_from(ALL_MODES)
TERMS = st.sampled_from(
    [
        "type=LIMIT timeInForce=GTC price={price}",
        "type=LIMIT timeInForce=GTC price={price} icebergQty=0.1",
        "type=LIMIT_MAKER price={price} icebergQty=0.075",
        "type=LIMIT timeInForce=IOC price={price}",
        "type=LIMIT timeInForce=FOK price={price}",
        "type=LIMIT_MAKER price={price}",
        "type=MARKET",
        "type=STOP_LOSS stopPrice={price}",
        "type=TAKE_PROFIT stopPrice={price}",
        "type=STOP_LOSS_LIMIT timeInForce=GTC stopPrice={price} price={other}",
        "type=TAKE_PROFIT_LIMIT timeInForce=IOC stopPrice={price} price={other}",
        "type=STOP_LOSS trailingDelta=200",
        "type=LIMIT timeInForce=GTC pegPriceType=PRIMARY_PEG",
        "type=LIMIT timeInForce=IOC pegPriceType=MARKET_PEG price={price}",
        "type=STOP_LOSS_LIMIT timeInForce=GTC stopPrice={price} pegPriceType=MARKET_PEG",
        "type=TAKE_PROFIT_LIMIT timeInForce=GTC trailingDelta=100 pegPriceType=PRIMARY_PEG",
    ]
)
TERMINAL = frozenset({"FILLED", "CANCELED", "EXPIRED", "EXPIRED_IN_MATCH"})
Reply = TypeVar("Reply")


def attempt(call: Callable[[], Reply]) -> Reply | None:
    """The reply, or None when the exchange refuses, which is an answer like any other."""
    try:
        return call()
    except Rejection as refused:
        if refused.code in (-2010, -2011, -2038, -1013, -1015):
            return None
        raise


def trading_desk() -> SpotDesk:
    """Alice and Bob belong together and Carol does not; Bob pays in BNB until it runs out."""
    funds = {"USDT": Decimal(10_000), "BTC": Decimal(10)}
    accounts = (
        AccountSpec(account_id="alice", balances=funds, trade_group_id=1),
        AccountSpec(
            account_id="bob",
            balances=funds | {"BNB": Decimal("0.001")},
            trade_group_id=1,
            discount_enabled=True,
        ),
        AccountSpec(account_id="carol", balances=funds),
    )
    row = symbol_row(allowedSelfTradePreventionModes=list(ALL_MODES))
    bnb = symbol_row(symbol="BNBUSDT", baseAsset="BNB")
    return SpotDesk(row, accounts=accounts, more_rows=(bnb,))


class Trading(RuleBasedStateMachine):
    """Random trading of three accounts with each other and against a moving house book."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = trading_desk()
        self.totals = self.desk.engine.totals()
        self.executed: dict[int, Decimal] = {}
        self.ended: dict[int, str] = {}
        self.levels: dict[str, dict[Decimal, Decimal]] = {"bids": {}, "asks": {}}
        self.update_id = 0
        self.trade_id = 0
        self.balances: dict[tuple[str, str], tuple[Decimal, Decimal]] = {}

    @initialize()
    def open_market(self) -> None:
        self.desk.book()
        self.desk.print_buy("100")
        self.desk.print_buy("500", symbol="BNBUSDT")

    @rule(price=st.integers(300, 700))
    def move_bnb(self, price: int) -> None:
        self.desk.print_buy(str(price), symbol="BNBUSDT")

    @rule(status=st.sampled_from(["TRADING", "TRADING", "HALT", "CANCEL_ONLY"]))
    def change_status(self, status: str) -> None:
        self.desk.engine.set_status(SYMBOL, status, self.desk.now_ms)

    @rule(price=st.none() | st.integers(95, 105), up=st.none() | st.just(Decimal("1.02")))
    def rule_prices(self, price: int | None, up: Decimal | None) -> None:
        reference = None if price is None else Decimal(price)
        self.desk.engine.set_reference_price(SYMBOL, reference, self.desk.now_ms)
        bounds = PriceRange(bid_up=up, ask_down=Decimal("0.97"))
        self.desk.engine.set_execution_rules(SYMBOL, bounds)

    @rule(middle=st.integers(92, 108), depth=QTYS)
    def move_book(self, middle: int, depth: Decimal) -> None:
        self.desk.book(
            bids=f"{middle - 1}x{depth} {middle - 2}x9", asks=f"{middle}x{depth} {middle + 1}x9"
        )

    @rule(price=PRICES, qty=QTYS, sells=st.booleans())
    def print_trade(self, price: int, qty: Decimal, sells: bool) -> None:
        (self.desk.print_sell if sells else self.desk.print_buy)(str(price), str(qty))

    @rule(account=ACCOUNTS, side=SIDES, qty=QTYS, terms=TERMS, price=PRICES, stp=MODES)
    def order(
        self, account: str, side: str, qty: Decimal, terms: str, price: int, stp: str
    ) -> None:
        text = terms.format(price=price, other=price + (1 if side == "BUY" else -1))
        params = f"side={side} quantity={qty} selfTradePreventionMode={stp} {text}"
        attempt(lambda: self.desk.order(params, account))

    @rule(account=ACCOUNTS, side=SIDES, amount=st.integers(5, 2000))
    def order_by_amount(self, account: str, side: str, amount: int) -> None:
        attempt(lambda: self.desk.order(f"side={side} type=MARKET quoteOrderQty={amount}", account))

    @rule(account=ACCOUNTS, side=SIDES, qty=QTYS, middle=PRICES)
    def oco(self, account: str, side: str, qty: Decimal, middle: int) -> None:
        take, stop = ("above", "below") if side == "SELL" else ("below", "above")
        prices = {"above": middle + 3, "below": middle - 3}
        params = f"side={side} quantity={qty} {take}Type=LIMIT_MAKER {take}Price={prices[take]} "
        params += f"{stop}Type=STOP_LOSS {stop}StopPrice={prices[stop]}"
        attempt(lambda: self.desk.place_list("oco", params, account))

    @rule(
        account=ACCOUNTS,
        qty=QTYS,
        price=PRICES,
        kind=st.sampled_from(["opoco", "otoco", "opo", "oto"]),
        terms=st.sampled_from(["LIMIT_MAKER", "LIMIT workingTimeInForce=IOC"]),
    )
    def entry(self, account: str, qty: Decimal, price: int, kind: ListKind, terms: str) -> None:
        params = f"workingSide=BUY workingType={terms} workingPrice={price} workingQuantity={qty} "
        params += "pendingSide=SELL "
        if kind in ("otoco", "oto"):
            params += f"pendingQuantity={qty} "
        if kind in ("opoco", "otoco"):
            params += f"pendingAboveType=LIMIT_MAKER pendingAbovePrice={price + 4} "
            params += f"pendingBelowType=STOP_LOSS pendingBelowStopPrice={price - 4}"
        else:
            params += f"pendingType=STOP_LOSS pendingStopPrice={price - 4}"
        attempt(lambda: self.desk.place_list(kind, params, account))

    @rule(account=ACCOUNTS, order_id=st.integers(1, 40))
    def cancel(self, account: str, order_id: int) -> None:
        attempt(lambda: self.desk.cancel(f"orderId={order_id}", account))

    @rule(account=ACCOUNTS, order_id=st.integers(1, 40), qty=QTYS)
    def amend(self, account: str, order_id: int, qty: Decimal) -> None:
        params = {"symbol": SYMBOL, "orderId": str(order_id), "newQty": str(qty)}
        attempt(lambda: self.desk.engine.amend_order(account, params, self.desk.now_ms))

    @rule(account=ACCOUNTS, order_id=st.integers(1, 40), qty=QTYS, price=PRICES)
    def replace(self, account: str, order_id: int, qty: Decimal, price: int) -> None:
        params = f"side=SELL type=STOP_LOSS quantity={qty} stopPrice={price} "
        params += f"cancelReplaceMode=STOP_ON_FAILURE cancelOrderId={order_id}"
        attempt(lambda: self.desk.replace(params, account))

    @invariant()
    def money_adds_up_and_is_never_negative(self) -> None:
        assert self.desk.engine.totals() == self.totals
        for account in self.accounts():
            for asset, held in account.balances.items():
                assert held.free >= 0, (asset, held)
                assert held.locked >= 0, (asset, held)

    @invariant()
    def locked_is_what_the_open_orders_need(self) -> None:
        market = self.desk.engine.state.market(SYMBOL)
        for account in self.accounts():
            locks: dict[int, list[Order]] = {}
            for order in market.orders.values():
                if order.account_id == account.spec.account_id and order.is_open:
                    locks.setdefault(id(order.lock), []).append(order)
            locked = {"USDT": Decimal(0), "BTC": Decimal(0)}
            for sharers in locks.values():
                lock = sharers[0].lock
                locked[lock.asset] += lock.amount
                if all(order.status != "PENDING_NEW" for order in sharers):
                    assert lock.amount == max(needed(order) for order in sharers)
            for order_list in self.desk.engine.state.lists.values():
                bought = order_list.bought
                mine = order_list.account_id == account.spec.account_id
                if mine and bought is not None and id(bought) not in locks:
                    assert bought.amount == 0
            for asset, amount in locked.items():
                assert account.balance(asset).locked == amount

    @invariant()
    def prevented_matches_are_numbered_and_add_up(self) -> None:
        market = self.desk.engine.state.market(SYMBOL)
        assert [one.match_id for one in market.prevented] == list(range(len(market.prevented)))
        lost = dict.fromkeys(market.orders, Decimal(0))
        for match in market.prevented:
            lost[match.taker_order_id] += match.taker_qty or 0
            lost[match.maker_order_id] += match.maker_qty or 0
        assert lost == {number: order.prevented for number, order in market.orders.items()}

    @invariant()
    def indexes_of_open_orders_agree(self) -> None:
        market = self.desk.engine.state.market(SYMBOL)
        for account in self.accounts():
            mine = market.open_orders(account.spec.account_id)
            assert list(account.open.orders(SYMBOL).values()) == mine
            tally = account.open.total
            assert tally.orders == len(mine)
            assert tally.algos == sum(order.type in ALGO_TYPES for order in mine)
            assert tally.icebergs == sum(order.iceberg_qty > 0 for order in mine)
            assert set(tally.lists) == {one.list_id for one in mine if one.list_id >= 0}
        waiting = {
            number
            for number in market.open_ids
            if market.orders[number].conditional and market.orders[number].status == "NEW"
        }
        assert set(market.waiting) == waiting

    def accounts(self) -> list[Account]:
        return list(self.desk.engine.state.accounts.values())

    def catch_up(self) -> None:
        for event in self.desk.engine.drain_events():
            if isinstance(event, ExecutionReport):
                self._follow(event)
            elif isinstance(event, BookChanged):
                self._apply(event)
            elif isinstance(event, PublicTrade) and event.symbol == SYMBOL:
                assert event.trade_id == self.trade_id + 1
                self.trade_id = event.trade_id
            elif isinstance(event, AccountPosition):
                for asset, free, locked in event.balances:
                    self.balances[event.account_id, asset] = (free, locked)

    @invariant()
    def positions_pushed_equal_positions_read(self) -> None:
        self.catch_up()
        for (account, asset), (free, locked) in self.balances.items():
            rows = self.desk.engine.account_info(account, {})["balances"]
            row = next(one for one in rows if one["asset"] == asset)
            assert (Decimal(row["free"]), Decimal(row["locked"])) == (free, locked)

    @invariant()
    def book_from_updates_equals_depth_and_is_not_crossed(self) -> None:
        self.catch_up()
        update_id, bids, asks = self.desk.engine.depth(SYMBOL, 5000)
        assert update_id == self.update_id
        assert dict(bids) == self.levels["bids"]
        assert dict(asks) == self.levels["asks"]
        if bids and asks:
            assert bids[0][0] < asks[0][0]

    @invariant()
    def list_is_done_exactly_when_no_member_is_open(self) -> None:
        for account in NAMES:
            open_lists = {
                one["orderListId"]
                for one in self.desk.engine.open_orders(account, {})
                if one["orderListId"] >= 0
            }
            executing = {one["orderListId"] for one in self.desk.engine.open_lists(account)}
            assert executing == open_lists

    def _follow(self, event: ExecutionReport) -> None:
        assert event.order_id not in self.ended or event.status == self.ended[event.order_id]
        before = self.executed.get(event.order_id, Decimal(0))
        assert event.executed == before + event.last_qty
        self.executed[event.order_id] = event.executed
        if event.orig_qty is not None:
            assert event.executed + event.prevented <= event.orig_qty
        if event.status in TERMINAL:
            assert event.order_id not in self.ended
            self.ended[event.order_id] = event.status

    def _apply(self, event: BookChanged) -> None:
        assert event.update_id == self.update_id + 1
        self.update_id = event.update_id
        for name, changes in (("bids", event.bids), ("asks", event.asks)):
            for price, qty in changes:
                if qty == 0:
                    del self.levels[name][price]
                else:
                    self.levels[name][price] = qty


TestTrading = Trading.TestCase
TestTrading.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


@settings(max_examples=60, deadline=None)
@given(
    makers=st.lists(st.tuples(st.integers(95, 99), QTYS), min_size=2, max_size=8),
    taken=QTYS,
)
def test_makers_fill_by_price_and_then_by_time(
    makers: list[tuple[int, Decimal]], taken: Decimal
) -> None:
    desk = SpotDesk()
    placed = []
    for price, qty in makers:
        params = f"side=BUY type=LIMIT_MAKER quantity={qty} price={price}"
        if attempt(partial(desk.order, params)):
            placed.append((price, qty))
    attempt(lambda: desk.order(f"side=SELL type=MARKET quantity={taken}", "bob"))
    ranked = sorted(range(len(placed)), key=lambda index: (-placed[index][0], index))
    left = taken
    for index in ranked:
        expected = min(left, placed[index][1])
        left -= expected
        assert Decimal(desk.query(index + 1)["executedQty"]) == expected


@settings(max_examples=60, deadline=None)
@given(queue=QTYS, own=QTYS, prints=st.lists(QTYS, min_size=1, max_size=6), behind=QTYS)
def test_resting_order_gets_exactly_what_is_left_after_its_queue(
    queue: Decimal, own: Decimal, prints: list[Decimal], behind: Decimal
) -> None:
    desk = SpotDesk()
    desk.book(bids=f"100x{queue}")
    desk.order(f"side=BUY type=LIMIT_MAKER quantity={own} price=100")
    desk.book(bids=f"100x{queue + behind}")
    for qty in prints:
        desk.print_sell("100", str(qty))
    through = max(Decimal(0), sum(prints, Decimal(0)) - queue)
    assert Decimal(desk.query(1)["executedQty"]) == min(own, through)
