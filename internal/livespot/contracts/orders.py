"""Orders, order lists, fills, intents, positions and balances as the runtime knows them."""

from decimal import Decimal

from livespot.contracts.base import Message, require, require_amount, require_positive
from livespot.contracts.vocabulary import (
    ExitReason,
    IntentAction,
    IntentRole,
    IntentState,
    ListKind,
    OrderStatus,
    OrderType,
    PositionPhase,
    Side,
    TimeInForce,
)


class OrderRequest(Message, frozen=True):
    """One order as it goes to the exchange. Absent values are None; all amounts quantised."""

    symbol: str
    side: Side
    type: OrderType
    qty: Decimal
    client_order_id: str
    price: Decimal | None = None
    stop_price: Decimal | None = None
    trailing_delta: int | None = None
    time_in_force: TimeInForce | None = None
    recv_window_ms: int = 5000


class LegRequest(Message, frozen=True):
    """One leg of an order list."""

    type: OrderType
    client_order_id: str
    price: Decimal | None = None
    stop_price: Decimal | None = None
    trailing_delta: int | None = None
    time_in_force: TimeInForce | None = None


class ListRequest(Message, frozen=True):
    """An OCO, OTOCO or OPOCO. `working` is None for a plain OCO.

    `qty` is the quantity of the OCO, or of the pending legs of an OTOCO; None for an OPOCO, where
    the exchange derives it from what was bought.
    """

    kind: ListKind
    symbol: str
    list_client_order_id: str
    side: Side
    qty: Decimal | None
    above: LegRequest
    below: LegRequest
    working: OrderRequest | None = None
    recv_window_ms: int = 5000


class CancelRequest(Message, frozen=True):
    """Cancel one order and its list, by exchange id if it is known, else by client id."""

    symbol: str
    client_order_id: str
    order_id: int | None = None
    orig_client_order_id: str | None = None
    only_new: bool = False
    recv_window_ms: int = 5000

    def __post_init__(self) -> None:
        require(
            self.order_id is not None or self.orig_client_order_id is not None,
            "order_id",
            self.order_id,
            "one of order_id and orig_client_order_id is needed",
        )


class CancelReplaceRequest(Message, frozen=True):
    """Cancel one order and place another, stopping when the cancel fails."""

    cancel: CancelRequest
    order: OrderRequest


class Fill(Message, frozen=True):
    """One execution, identified by (symbol, trade_id) and applied once."""

    symbol: str
    trade_id: int
    order_id: int
    client_order_id: str
    side: Side
    price: Decimal
    qty: Decimal
    commission: Decimal
    commission_asset: str
    is_maker: bool
    exchange_time_ms: int
    local_received_ms: int

    def __post_init__(self) -> None:
        require_positive(price=self.price, qty=self.qty)
        require(self.commission.is_finite(), "commission", self.commission, "must be finite")


class OrderView(Message, frozen=True):
    """The state of one order as the exchange reports it, whatever the source.

    After a cancel `client_order_id` is the cancel's id and `orig_client_order_id` the order's own;
    before, `orig_client_order_id` is empty.
    """

    symbol: str
    order_id: int
    order_list_id: int
    client_order_id: str
    orig_client_order_id: str
    side: Side
    type: OrderType
    status: OrderStatus
    raw_status: str
    price: Decimal
    stop_price: Decimal
    orig_qty: Decimal
    executed_qty: Decimal
    cumulative_quote: Decimal
    exchange_time_ms: int
    local_received_ms: int
    expiry_reason: str = ""
    is_working: bool = True

    @property
    def own_id(self) -> str:
        """The client id under which the order was placed, cancelled or not."""
        return self.orig_client_order_id or self.client_order_id


class OrderUpdate(Message, frozen=True):
    """An order's newer state, with the fills that came with it. `source`: REPLY, STREAM or REST."""

    order: OrderView
    fills: tuple[Fill, ...]
    source: str


class ListView(Message, frozen=True):
    """An order list and the ids of its legs as (order_id, client_order_id)."""

    symbol: str
    order_list_id: int
    list_client_order_id: str
    contingency_type: str
    list_status_type: str
    list_order_status: str
    legs: tuple[tuple[int, str], ...]
    exchange_time_ms: int
    local_received_ms: int


class PlaceAnswer(Message, frozen=True):
    """An accepted placement: one update per reported order, and the list if there is one."""

    updates: tuple[OrderUpdate, ...]
    order_list: ListView | None = None


class CancelReplaceAnswer(Message, frozen=True):
    """Both halves, each accepted (an update) or refused (code and message).

    `also_ended` are the other orders of the cancelled order's list, which ended with it.
    """

    cancelled: OrderUpdate | None
    cancel_error: tuple[int, str] | None
    placed: OrderUpdate | None
    place_error: tuple[int, str] | None
    place_attempted: bool
    also_ended: tuple[OrderUpdate, ...] = ()


class Balance(Message, frozen=True):
    asset: str
    free: Decimal
    locked: Decimal


class AccountView(Message, frozen=True):
    """The balances that are not empty, by asset name."""

    balances: dict[str, Balance]
    can_trade: bool
    update_time_ms: int
    local_received_ms: int

    def free(self, asset: str) -> Decimal:
        balance = self.balances.get(asset)
        return balance.free if balance is not None else Decimal(0)

    def total(self, asset: str) -> Decimal:
        balance = self.balances.get(asset)
        return balance.free + balance.locked if balance is not None else Decimal(0)


class BalancesChanged(Message, frozen=True):
    """Absolute balances of the assets that an account event changed."""

    balances: tuple[Balance, ...]
    exchange_time_ms: int
    local_received_ms: int


class CommissionRates(Message, frozen=True):
    """Per-symbol commission as decimal rates (0.001 is 10 bps); the discount is a multiplier."""

    symbol: str
    maker: Decimal
    taker: Decimal
    buyer: Decimal
    seller: Decimal
    tax_maker: Decimal
    tax_taker: Decimal
    tax_buyer: Decimal
    tax_seller: Decimal
    special_maker: Decimal
    special_taker: Decimal
    special_buyer: Decimal
    special_seller: Decimal
    discount_enabled: bool
    discount_asset: str
    discount: Decimal


class OrderIntent(Message, frozen=True):
    """One atomic mutation in the ledger; `payload` is the request as canonical JSON."""

    order_intent_id: str
    decision_id: str
    parent_order_intent_id: str
    action: IntentAction
    role: IntentRole
    attempt: int
    symbol: str
    side: Side
    client_order_id: str
    payload: str
    state: IntentState
    request_id: str = ""
    exchange_order_id: int = 0
    exchange_list_id: int = -1
    last_error_code: str = ""
    attempts: int = 0
    sent_at_ms: int = 0
    recv_window_ms: int = 5000
    created_at_ms: int = 0
    updated_at_ms: int = 0


class Alias(Message, frozen=True):
    """One client id of an intent: its own, a leg's or a cancel's."""

    client_order_id: str
    order_intent_id: str
    role: IntentRole


class Position(Message, frozen=True):
    """One symbol's position, computed from fills only. Quantities in base, money in quote.

    `qty` is net of fees taken in base; `cost_quote` is the average-cost basis of `qty`.
    """

    symbol: str
    position_id: str
    decision_id: str
    entry_intent_id: str
    phase: PositionPhase
    qty: Decimal
    avg_price: Decimal
    cost_quote: Decimal
    tp_price: Decimal
    sl_price: Decimal
    tp_bps: int
    sl_bps: int
    realised_quote: Decimal
    fees_quote: Decimal
    fee_unpriced: bool
    dust_qty: Decimal
    protection_list_id: int
    protection_intent_id: str
    protected_qty: Decimal
    opened_at_ms: int
    unprotected_since_ms: int
    unprotected_ms: int
    closed_at_ms: int
    exit_reason: ExitReason
    updated_at_ms: int

    def __post_init__(self) -> None:
        require_amount(qty=self.qty, dust_qty=self.dust_qty, protected_qty=self.protected_qty)
