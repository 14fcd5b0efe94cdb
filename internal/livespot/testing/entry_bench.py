"""An entry of ten at a price of 100 for tests of its engine, and an exchange it can be tried at."""

from decimal import Decimal

import msgspec

from livespot.contracts.codes import ReasonCode
from livespot.contracts.decision import EntryPlan, Fallback
from livespot.contracts.orders import OrderView
from livespot.contracts.settings import EntrySettings
from livespot.contracts.vocabulary import (
    EntryKind,
    FallbackKind,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from livespot.rules import entry_engine as engine
from livespot.rules.entry_engine import EntryState

QTY = Decimal(10)
T0 = 1_000_000
SETTINGS = EntrySettings()
PLAN = EntryPlan(
    kind=EntryKind.MAKER_FIRST,
    desired_price=Decimal(100),
    limit_price=Decimal(100),
    qty=QTY,
    time_in_force=TimeInForce.GTC,
    ttl_ms=30_000,
    reprice_ms=30_000,
    max_reprices=2,
    fallback=Fallback(
        enabled=True, kind=FallbackKind.IOC_LIMIT, max_slippage_bps=25, deadline_ms=95_000
    ),
    client_order_id="",
)


def view(
    status: OrderStatus = OrderStatus.NEW, executed: str = "0", order_id: int = 1
) -> OrderView:
    return OrderView(
        symbol="SOLUSDT",
        order_id=order_id,
        order_list_id=-1,
        client_order_id="X_a",
        orig_client_order_id="",
        side=Side.BUY,
        type=OrderType.LIMIT_MAKER,
        status=status,
        raw_status=status.value,
        price=Decimal(100),
        stop_price=Decimal(0),
        orig_qty=QTY,
        executed_qty=Decimal(executed),
        cumulative_quote=Decimal(0),
        exchange_time_ms=T0,
        local_received_ms=T0,
    )


def seen(
    status: OrderStatus = OrderStatus.NEW,
    executed: str = "0",
    *,
    attempt: int = 0,
    answers: bool = False,
    protectable: bool = False,
    order_id: int = 1,
) -> engine.OrderSeen:
    return engine.OrderSeen(
        order=view(status, executed, order_id),
        attempt=attempt,
        protectable=protectable,
        answers_cancel=answers,
    )


def begun(*, replaces: bool = False) -> EntryState:
    """Return an entry whose first order is in flight; `replaces`: a new price is one request."""
    state, _ = engine.begin(
        PLAN, QTY, approved_ms=T0, now_ms=T0, max_age_ms=15_000, replaces=replaces
    )
    return state


def step(state: EntryState, event: engine.Event, at_ms: int = T0) -> engine.Moved:
    return engine.advance(state, event, now_ms=at_ms, settings=SETTINGS)


class EntryAtAnExchange:
    """An entry engine and the orders it has at an exchange, which may lose any request or answer.

    `truth` is what the exchange knows; the engine learns of it only through `feed`. A test that
    draws the order of events inherits from this and inspects every command in `take`.
    """

    def __init__(self, *, replaces: bool = False) -> None:
        super().__init__()
        self.now = T0
        self.truth: dict[int, OrderView] = {}
        self.attempt_of: dict[int, int] = {}
        self.placing: engine.Place | None = None
        self.lost: engine.Place | None = None
        self.cancel: engine.Cancel | None = None
        self.replacing: engine.Replace | None = None
        self.finished = False
        self.state, commands = engine.begin(
            PLAN, QTY, approved_ms=T0, now_ms=T0, max_age_ms=15_000, replaces=replaces
        )
        self.take(commands)

    def take(self, commands: tuple[engine.Command, ...]) -> None:
        """Keep the engine's commands until the exchange gets to them."""
        for command in commands:
            match command:
                case engine.Place():
                    self.placing = command
                case engine.Cancel():
                    self.cancel = command
                case engine.Replace():
                    self.replacing = command
                case engine.Finish():
                    self.finished = True
                case engine.QueryOrder() | engine.Weigh() | engine.CancelStuck():
                    pass

    def feed(self, event: engine.Event) -> None:
        self.state, commands = step(self.state, event, self.now)
        self.take(commands)

    def live(self) -> list[OrderView]:
        return [order for order in self.truth.values() if not order.status.is_terminal]

    def show(self, order: OrderView, *, answers: bool = False) -> None:
        self.feed(
            engine.OrderSeen(
                order=order,
                attempt=self.attempt_of[order.order_id],
                protectable=order.executed_qty >= 2,
                answers_cancel=answers,
            )
        )

    def accept(self, place: engine.Place) -> OrderView:
        order_id = len(self.truth) + 1
        status = OrderStatus.NEW
        if place.order_type is not OrderType.LIMIT_MAKER:
            status = OrderStatus.EXPIRED
        order = msgspec.structs.replace(
            view(status, order_id=order_id), orig_qty=place.qty, type=place.order_type
        )
        self.truth[order_id] = order
        self.attempt_of[order_id] = place.attempt
        return order

    def end_place(self, place: engine.Place, how: str) -> None:
        """End a placement in one way: accepted, crossed, refused, answer lost, or request lost."""
        match how:
            case "accepted":
                self.show(self.accept(place))
            case "crossed" | "refused":
                crossed = how == "crossed"
                reason = ReasonCode.ORDER_SUBMIT_REJECTED
                self.feed(engine.PlaceRefused(crossed=crossed, reason=reason))
            case "answer lost":
                self.accept(place)
                self.feed(engine.PlaceUnknown())
            case _:
                self.lost = place
                self.feed(engine.PlaceUnknown())

    def settle_lost_place(self, place: engine.Place, *, arrives: bool) -> None:
        if arrives:
            self.show(self.accept(place))
        else:
            self.feed(engine.PlaceNotFound())

    def end_cancel(self, cancel: engine.Cancel, *, arrives: bool, answered: bool) -> None:
        if not arrives:
            self.feed(engine.CancelFailed())
            return
        order = self.truth.get(cancel.order_id)
        if order is None or order.status.is_terminal:
            self.feed(engine.CancelFoundNothing() if answered else engine.CancelFailed())
        elif cancel.only_new and order.executed_qty > 0:
            self.feed(engine.CancelRestricted() if answered else engine.CancelFailed())
        else:
            order = msgspec.structs.replace(order, status=OrderStatus.CANCELED)
            self.truth[order.order_id] = order
            if answered:
                self.show(order, answers=True)
            else:
                self.feed(engine.CancelFailed())

    def fill(self, qty: int, *, told: bool) -> None:
        """The live order trades up to `qty` more."""
        order = self.live()[0]
        executed = min(order.orig_qty, order.executed_qty + qty)
        full = executed == order.orig_qty
        status = OrderStatus.FILLED if full else OrderStatus.PARTIALLY_FILLED
        order = msgspec.structs.replace(order, executed_qty=executed, status=status)
        self.truth[order.order_id] = order
        if told:
            self.show(order)

    def read(self, number: int, *, stale: bool) -> None:
        """Read one order; a stale read shows it as it was when it was new."""
        order = self.truth[1 + number % len(self.truth)]
        if stale:
            executed = Decimal(0)
            order = msgspec.structs.replace(order, status=OrderStatus.NEW, executed_qty=executed)
        self.show(order)

    def end_weighing(self, qty: int, *, holds: bool) -> None:
        if holds:
            self.feed(engine.Weighed(plan=PLAN, qty=Decimal(qty)))
        else:
            self.feed(engine.WeighedAway(reason=ReasonCode.STRAT_ENTRY_ABORTED_COST))
