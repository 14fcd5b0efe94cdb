"""Types of the embedded exchange's matching engine: symbols, orders, events and rejections."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, TypeAlias

import msgspec

from livespot.exchange.filter_types import Filters

Json: TypeAlias = dict[str, Any]
Side: TypeAlias = Literal["BUY", "SELL"]
ListKind: TypeAlias = Literal["oco", "oco_legacy", "oto", "otoco", "opo", "opoco"]
Level: TypeAlias = tuple[Decimal, Decimal]

ZERO = Decimal(0)
NO_LIST = -1
NO_ORDER = -1

OPEN_STATUSES = frozenset({"NEW", "PARTIALLY_FILLED", "PENDING_NEW"})
LIMIT_TYPES = frozenset({"LIMIT", "LIMIT_MAKER", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"})
ALGO_TYPES = frozenset({"STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"})
STOP_TYPES = frozenset({"STOP_LOSS", "STOP_LOSS_LIMIT"})
TAKE_TYPES = frozenset({"TAKE_PROFIT", "TAKE_PROFIT_LIMIT"})
ORDER_TYPES = LIMIT_TYPES | ALGO_TYPES | {"MARKET"}


class Rejection(Exception):
    """A request the exchange declines, with the exchange's own code, text and HTTP status."""

    def __init__(
        self, code: int, msg: str, http_status: int = 400, data: Json | None = None
    ) -> None:
        super().__init__(f"{code} {msg}")
        self.code = code
        self.msg = msg
        self.http_status = http_status
        self.data = data

    def body(self) -> Json:
        """The error body as the exchange sends it; `data` only where there is some."""
        body: Json = {"code": self.code, "msg": self.msg}
        if self.data is not None:
            body["data"] = self.data
        return body


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRange:
    """How far from the reference price a taker may trade; None leaves that bound open."""

    bid_up: Decimal | None = None
    bid_down: Decimal | None = None
    ask_up: Decimal | None = None
    ask_down: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeFilters:
    """Filters beyond one symbol: over all of an account's open orders, and per asset.

    `max_assets` bounds what one order may move of an asset: the quantity of its base, the
    notional of its quote.
    """

    max_num_orders: int | None = None
    max_num_algo_orders: int | None = None
    max_num_iceberg_orders: int | None = None
    max_num_order_lists: int | None = None
    max_assets: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolSpec:
    """What the exchange publishes about one symbol. Build it with `specs.symbol_spec(row)`.

    `info` is the row of exchangeInfo it was read from, ready to be served again.
    """

    symbol: str
    base: str
    quote: str
    status: str
    base_precision: int
    quote_precision: int
    order_types: frozenset[str]
    iceberg_allowed: bool
    oco_allowed: bool
    oto_allowed: bool
    opo_allowed: bool
    quote_order_qty_allowed: bool
    trailing_allowed: bool
    cancel_replace_allowed: bool
    default_stp: str
    allowed_stp: frozenset[str]
    filters: Filters
    info: Mapping[str, Any]
    amend_allowed: bool = True
    peg_allowed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Commission rates as fractions of the received amount."""

    maker: Decimal = ZERO
    taker: Decimal = ZERO
    buyer: Decimal = ZERO
    seller: Decimal = ZERO


def rate_of(rates: Rates, side: Side, *, is_maker: bool) -> Decimal:
    """The commission rate of one kind that applies to one fill."""
    role = rates.maker if is_maker else rates.taker
    return role + (rates.buyer if side == "BUY" else rates.seller)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSpec:
    """One account at the start: balances and what it pays.

    `discount` multiplies the standard commission when it is paid in `discount_asset`. Accounts
    of one `trade_group_id` are kept from trading with each other like one account with itself.
    """

    account_id: str
    uid: int = 1
    balances: Mapping[str, Decimal] = field(default_factory=dict)
    standard: Rates = Rates(maker=Decimal("0.001"), taker=Decimal("0.001"))
    special: Rates = Rates()
    tax: Rates = Rates()
    discount_enabled: bool = False
    discount_asset: str = "BNB"
    discount: Decimal = Decimal("0.75")
    trade_group_id: int | None = None
    can_trade: bool = True
    permissions: tuple[str, ...] = ("SPOT",)
    restricted_symbols: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLimits:
    """Unfilled-order limits of one account per window."""

    ten_seconds: int = 50
    day: int = 160000


class Balance(msgspec.Struct):
    """Free and locked amount of one asset."""

    free: Decimal = ZERO
    locked: Decimal = ZERO


class Lock(msgspec.Struct, eq=False):
    """Funds set aside for one order, or shared by the legs of a list."""

    asset: str
    amount: Decimal = ZERO


class Fill(msgspec.Struct, frozen=True, gc=False):
    """One execution of one account order."""

    trade_id: int
    order_id: int
    list_id: int
    price: Decimal
    qty: Decimal
    quote_qty: Decimal
    commission: Decimal
    commission_asset: str
    time_ms: int
    is_buyer: bool
    is_maker: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Peg:
    """How an order's price follows the book when it goes there.

    PRIMARY_PEG takes the best price of the order's own side, MARKET_PEG of the other one;
    `offset` counts price levels from there into the book (None when none was sent).
    `stated` is the price the caller gave besides, zero without one.
    """

    price_type: Literal["PRIMARY_PEG", "MARKET_PEG"]
    offset: int | None = None
    stated: Decimal = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Amendment:
    """One reduction of an order's quantity."""

    execution_id: int
    old_client_id: str
    new_client_id: str
    old_qty: Decimal
    new_qty: Decimal
    time_ms: int


class PreventedMatch(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One match that self-trade prevention stopped, between orders of one account or one group.

    A quantity is None where that order lost nothing. `mode` is the one that ruled: the taker's,
    and DECREMENT where only the taker asked for TRANSFER.
    """

    symbol: str
    match_id: int
    mode: str
    price: Decimal
    taker_account_id: str
    taker_order_id: int
    taker_qty: Decimal | None
    maker_account_id: str
    maker_symbol: str
    maker_order_id: int
    maker_qty: Decimal | None
    trade_group_id: int | None
    time_ms: int


class Order(msgspec.Struct, eq=False):
    """One account order, mutable, owned by the engine.

    `orig_qty` is None for a pending leg whose quantity is not known before arming.
    `conditional` is true until a stop or take-profit has been triggered.
    `queue_ahead` is the house quantity that stands before the order at its price, `displayed`
    what the book shows of it: all that remains, or the current part of an iceberg.
    `prevented_matches` are those in which it was the taker; `trade_group_id` is set once a match
    of the order was prevented; `transferred` is what prevention moved to or from a group member.
    `lock_price` is what a buy reserves per unit. `price` is where the order works; that of a
    pegged order is zero until it goes to the book.
    """

    account_id: str
    symbol: str
    order_id: int
    client_id: str
    side: Side
    type: str
    time_in_force: str
    price: Decimal
    orig_qty: Decimal | None
    quote_qty: Decimal
    lock: Lock
    created_ms: int
    lock_price: Decimal = ZERO
    list_id: int = NO_LIST
    stop_price: Decimal | None = None
    trailing_delta: int | None = None
    trailing_ms: int = -1
    trailing_extreme: Decimal | None = None
    iceberg_qty: Decimal = ZERO
    strategy_id: int | None = None
    strategy_type: int | None = None
    stp: str = "NONE"
    status: str = "NEW"
    executed: Decimal = ZERO
    cum_quote: Decimal = ZERO
    prevented: Decimal = ZERO
    prevented_match_id: int | None = None
    updated_ms: int = 0
    working_ms: int = -1
    conditional: bool = False
    expiry_reason: str = "NONE"
    cancelled_client_id: str = ""
    queue_ahead: Decimal = ZERO
    sequence: int = 0
    fills: list[Fill] = msgspec.field(default_factory=list)
    peg: Peg | None = None
    amendments: tuple[Amendment, ...] = ()
    displayed: Decimal = ZERO
    transferred: Decimal = ZERO
    trade_group_id: int | None = None
    prevented_matches: tuple[PreventedMatch, ...] = ()

    @property
    def remaining(self) -> Decimal:
        """Quantity still to be executed; zero while it is unknown."""
        if self.orig_qty is None:
            return ZERO
        return self.orig_qty - self.executed - self.prevented

    @property
    def shown_price(self) -> Decimal:
        """The price as the caller stated it; zero for a pegged order that states none."""
        return self.price if self.peg is None else self.peg.stated

    @property
    def pegged_price(self) -> Decimal | None:
        """Where a pegged order was put; None before that and for every other order."""
        return None if self.peg is None or self.price == 0 else self.price

    @property
    def is_open(self) -> bool:
        """True while the order may still trade."""
        return self.status in OPEN_STATUSES


@dataclass(slots=True, kw_only=True)
class OrderList:
    """An OCO, OTO, OTOCO, OPO or OPOCO; `order_ids` in the order the exchange lists them.

    `working_id` is the order that must fill first (None for a plain OCO); `pays` marks lists
    whose pending quantity is what the working order bought.
    """

    account_id: str
    symbol: str
    list_id: int
    contingency: Literal["OCO", "OTO"]
    client_id: str
    order_ids: tuple[int, ...]
    transaction_ms: int
    working_id: int | None = None
    pays: bool = False
    armed: bool = False
    bought: Lock | None = None
    status_type: str = "EXEC_STARTED"
    order_status: str = "EXECUTING"


class PublicTrade(msgspec.Struct, frozen=True, gc=False):
    """A trade as the market sees it; order ids are -1 on the house side.

    Trades of one incoming order share `taker_id`: the order's id, or a negative number of its own
    for one of the house. Zero means unknown.
    """

    symbol: str
    trade_id: int
    price: Decimal
    qty: Decimal
    buyer_is_maker: bool
    buyer_order_id: int
    seller_order_id: int
    time_ms: int
    taker_id: int = 0


class BookChanged(msgspec.Struct, frozen=True, gc=False):
    """One book update: the changed levels of house plus account orders, absolute quantities.

    A quantity of zero deletes the level. Update ids are consecutive per symbol.
    """

    symbol: str
    update_id: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    time_ms: int


class ExecutionReport(msgspec.Struct, frozen=True, gc=False):
    """Snapshot of one order event, enough for the user stream's executionReport.

    `client_id` is the wire's `c` (the cancel id on a cancel), `orig_client_id` its `C`.
    Of a prevented match `prevented_match_qty` would have traded (the wire's `pl`), while
    `prevented_last` is what this order lost by it (`B`).
    """

    account_id: str
    symbol: str
    order_id: int
    list_id: int
    client_id: str
    orig_client_id: str
    side: Side
    type: str
    time_in_force: str
    price: Decimal
    orig_qty: Decimal | None
    quote_qty: Decimal
    stop_price: Decimal | None
    trailing_delta: int | None
    trailing_ms: int
    iceberg_qty: Decimal
    strategy_id: int | None
    strategy_type: int | None
    stp: str
    execution_type: str
    status: str
    reject_reason: str
    expiry_reason: str
    executed: Decimal
    cum_quote: Decimal
    last_qty: Decimal
    last_price: Decimal
    last_quote: Decimal
    commission: Decimal
    commission_asset: str | None
    trade_id: int
    execution_id: int
    is_working: bool
    is_maker: bool
    created_ms: int
    working_ms: int
    time_ms: int
    prevented: Decimal = ZERO
    prevented_last: Decimal = ZERO
    prevented_match_id: int | None = None
    counter_order_id: int | None = None
    counter_symbol: str = ""
    prevented_price: Decimal = ZERO
    prevented_match_qty: Decimal = ZERO
    trade_group_id: int | None = None
    peg: Peg | None = None
    pegged_price: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListStatus:
    """Snapshot of one order list event; `orders` is (order id, client id)."""

    account_id: str
    symbol: str
    list_id: int
    contingency: str
    status_type: str
    order_status: str
    reject_reason: str
    client_id: str
    orders: tuple[tuple[int, str], ...]
    time_ms: int


class AccountPosition(msgspec.Struct, frozen=True, gc=False):
    """Absolute balances that may have changed; `balances` is (asset, free, locked).

    The journal's balance rows come from this too: every balance change ends in one of these
    before the call that made it returns.
    """

    account_id: str
    balances: tuple[tuple[str, Decimal, Decimal], ...]
    time_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceChanged:
    """A deposit, withdrawal or transfer: the signed change of the free amount."""

    account_id: str
    asset: str
    delta: Decimal
    time_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusChanged:
    """A symbol has this status from now on."""

    symbol: str
    status: str
    time_ms: int


UserEvent: TypeAlias = ExecutionReport | ListStatus | AccountPosition | BalanceChanged
Event: TypeAlias = UserEvent | PublicTrade | BookChanged | StatusChanged

Levels: TypeAlias = Sequence[Level]
