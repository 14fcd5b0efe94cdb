"""What an exchange says happened, as plain rows to compare the ledger with."""

from collections.abc import Iterator
from decimal import Decimal

from livespot.contracts.base import Message

OPEN = frozenset({"NEW", "PARTIALLY_FILLED"})


class JournalOrder(Message, frozen=True):
    """An order after one change; the rows of one order are in the journal's order.

    `row` is the place in the journal. `at_ms` is the exchange's time of the change as far as known:
    the newest time written up to this row. `created_ms` is when the order was made.
    """

    row: int
    at_ms: int
    symbol: str
    order_id: int
    client_order_id: str
    list_client_order_id: str
    side: str
    type: str
    qty: Decimal
    executed_qty: Decimal
    price: Decimal
    stop_price: Decimal
    status: str
    created_ms: int

    @property
    def is_open(self) -> bool:
        """Whether it is in the book or waits for its trigger; a pending leg does neither."""
        return self.status in OPEN

    @property
    def remaining(self) -> Decimal:
        return self.qty - self.executed_qty


class JournalFill(Message, frozen=True):
    """One execution, with price, quantity and fee as the exchange states them."""

    row: int
    at_ms: int
    symbol: str
    trade_id: int
    order_id: int
    client_order_id: str
    side: str
    qty: Decimal
    price: Decimal
    fee: Decimal
    fee_asset: str


class JournalRequest(Message, frozen=True):
    """A request as it arrived. `outcome` is the HTTP status, then the error code, if any.

    `method` is the HTTP method; for WS, `path` holds the name of the API method.
    """

    row: int
    arrived_ms: int
    method: str
    path: str
    params: dict[str, str]
    outcome: str

    @property
    def accepted(self) -> bool:
        return self.outcome.startswith("200")

    @property
    def verb(self) -> str:
        """`place`, `place_list`, `replace`, `cancel` or `cancel_all`; empty for anything else."""
        if self.method == "WS":
            return _socket_verb(self.path.removeprefix("v3/"))
        return _REST_VERBS.get((self.method, self.path.removeprefix("/api/v3/")), "")

    @property
    def buys(self) -> bool:
        """Whether it asks for an order that buys."""
        if self.verb == "place_list":
            return self.params.get("workingSide", self.params.get("side", "")) == "BUY"
        return self.verb in ("place", "replace") and self.params.get("side") == "BUY"

    @property
    def own_ids(self) -> tuple[str, ...]:
        """The client ids that the request gives to what it creates."""
        names = {
            "place": ("newClientOrderId",),
            "place_list": ("listClientOrderId",),
            "replace": ("newClientOrderId", "cancelNewClientOrderId"),
            "cancel": ("newClientOrderId",),
        }.get(self.verb, ())
        return tuple(self.params[name] for name in names if name in self.params)


class JournalBalance(Message, frozen=True):
    """One asset's absolute balance after a change."""

    row: int
    at_ms: int
    asset: str
    free: Decimal
    locked: Decimal


class JournalRows(Message, frozen=True):
    """A whole journal, each kind in the order written. `source` names where it was read from."""

    source: str
    orders: tuple[JournalOrder, ...] = ()
    fills: tuple[JournalFill, ...] = ()
    requests: tuple[JournalRequest, ...] = ()
    balances: tuple[JournalBalance, ...] = ()

    def timeline(self) -> Iterator[JournalOrder | JournalFill]:
        """Yield orders and fills in the one order in which they happened."""
        mixed: list[JournalOrder | JournalFill] = [*self.orders, *self.fills]
        yield from sorted(mixed, key=lambda item: item.row)


_REST_VERBS = {
    ("POST", "order"): "place",
    ("DELETE", "order"): "cancel",
    ("POST", "order/cancelReplace"): "replace",
    ("DELETE", "openOrders"): "cancel_all",
    ("DELETE", "orderList"): "cancel_list",
    ("POST", "order/oco"): "place_list",
    ("POST", "orderList/oco"): "place_list",
    ("POST", "orderList/oto"): "place_list",
    ("POST", "orderList/otoco"): "place_list",
    ("POST", "orderList/opo"): "place_list",
    ("POST", "orderList/opoco"): "place_list",
}
_SOCKET_VERBS = {
    "order.place": "place",
    "order.cancel": "cancel",
    "order.cancelReplace": "replace",
    "openOrders.cancelAll": "cancel_all",
    "orderList.cancel": "cancel_list",
}


def _socket_verb(name: str) -> str:
    return "place_list" if name.startswith("orderList.place") else _SOCKET_VERBS.get(name, "")
