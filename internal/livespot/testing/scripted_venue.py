"""An exchange account reduced to what execution must survive: scripted answers, true reads."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import anyio
import msgspec

from livespot.contracts.errors import NoSuchOrder, OutcomeUnknown, Refused, Unreachable
from livespot.contracts.market import BookTicker, Candle, DepthBook, SymbolInfo, Ticker24h
from livespot.contracts.orders import (
    AccountView,
    CancelReplaceAnswer,
    CancelReplaceRequest,
    CancelRequest,
    CommissionRates,
    Fill,
    LegRequest,
    ListRequest,
    ListView,
    OrderRequest,
    OrderUpdate,
    OrderView,
    PlaceAnswer,
)
from livespot.contracts.ports import Clock
from livespot.contracts.vocabulary import Interval, OrderStatus, OrderType, Side

ZERO = Decimal(0)
# Outcomes of a mutation: whether it happens, and whether its answer arrives.
ACCEPT, DROP_ANSWER, DROP_REQUEST = "ACCEPT", "DROP_ANSWER", "DROP_REQUEST"


def refused(code: int, message: str) -> Refused:
    return Refused(code, message)


class PlacementRefused(Exception):
    """The second half of a cancel-replace is refused after the first half was done."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(slots=True)
class ScriptedVenue:
    """`script` holds the outcomes of the next mutations, in order; after that all are accepted.

    `on_mutation` is called with the client id at the moment of the first byte. Reads show nothing
    while `blind`; those named in `lagging` show nothing yet. While `holding` is set, answers wait
    for it; while `down`, no read is answered.
    """

    clock: Clock
    script: list[str | Exception] = field(default_factory=list)
    on_mutation: Callable[[str], None] = lambda _: None
    orders_by_id: dict[int, OrderView] = field(default_factory=dict)
    lists_by_id: dict[str, ListView] = field(default_factory=dict)
    fills: list[Fill] = field(default_factory=list)
    sent: list[object] = field(default_factory=list)
    blind: bool = False
    traded_until_ms: int = 0
    down: bool = False
    lagging: frozenset[str] = frozenset()
    holding: anyio.Event | None = None

    # ---- mutations

    async def place(self, request: OrderRequest) -> PlaceAnswer:
        happens, answers = await self._begin(request, request.client_order_id)
        if happens:
            view = self._add(request, OrderStatus.NEW, -1)
            if answers:
                return PlaceAnswer(updates=(self.update(view.order_id, "REPLY"),))
        raise OutcomeUnknown(request.client_order_id, "scripted")

    async def place_list(self, request: ListRequest) -> PlaceAnswer:
        happens, answers = await self._begin(request, request.list_client_order_id)
        if not happens:
            raise OutcomeUnknown(request.list_client_order_id, "scripted")
        list_id = 900 + len(self.lists_by_id)
        views = []
        if request.working is not None:
            views.append(self._add(request.working, OrderStatus.NEW, list_id))
        legs = OrderStatus.NEW if request.working is None else OrderStatus.PENDING_NEW
        views += [self._leg(request, leg, legs, list_id) for leg in (request.above, request.below)]
        order_list = ListView(
            symbol=request.symbol,
            order_list_id=list_id,
            list_client_order_id=request.list_client_order_id,
            contingency_type="OTO",
            list_status_type="EXEC_STARTED",
            list_order_status="EXECUTING",
            legs=tuple((view.order_id, view.client_order_id) for view in views),
            exchange_time_ms=self.clock.now_ms(),
            local_received_ms=self.clock.now_ms(),
        )
        self.lists_by_id[request.list_client_order_id] = order_list
        if not answers:
            raise OutcomeUnknown(request.list_client_order_id, "scripted")
        updates = tuple(self.update(view.order_id, "REPLY") for view in views)
        return PlaceAnswer(updates=updates, order_list=order_list)

    async def cancel(self, request: CancelRequest) -> tuple[OrderUpdate, ...]:
        happens, answers = await self._begin(request, request.client_order_id)
        if not happens:
            raise OutcomeUnknown(request.client_order_id, "scripted")
        ended = self._end(request)
        if not answers:
            raise OutcomeUnknown(request.client_order_id, "scripted")
        return tuple(self.update(view.order_id, "REPLY") for view in ended)

    def _end(self, request: CancelRequest) -> list[OrderView]:
        """Cancel an order with its whole list; the asked one first. Raises what refuses it."""
        wanted = (request.order_id, request.orig_client_order_id)
        target = next(
            (
                v
                for v in self.orders_by_id.values()
                if v.order_id == wanted[0] or v.client_order_id == wanted[1]
            ),
            None,
        )
        if target is None or target.status.is_terminal:
            raise NoSuchOrder(-2011, "Unknown order sent.")
        if request.only_new and target.executed_qty > 0:
            raise Refused(-2011, "Order was not canceled due to cancel restrictions.")
        whole = [v for v in self.orders_by_id.values() if self._same_list(v, target)]
        ended = sorted(whole, key=lambda view: view.order_id != target.order_id)
        for view in ended:
            self.change(
                view.order_id,
                status=OrderStatus.CANCELED,
                orig_client_order_id=view.client_order_id,
                client_order_id=request.client_order_id,
            )
        return ended

    async def cancel_replace(self, request: CancelReplaceRequest) -> CancelReplaceAnswer:
        """Both halves; `PlacementRefused` in the script lets the first one happen alone."""
        refusal = None
        try:
            happens, answers = await self._begin(request, request.order.client_order_id)
        except PlacementRefused as error:
            happens, answers, refusal = True, True, (error.code, error.message)
        if not happens:
            raise OutcomeUnknown(request.order.client_order_id, "scripted")
        try:
            ended = self._end(request.cancel)
        except Refused as error:
            return CancelReplaceAnswer(
                cancelled=None,
                cancel_error=(error.code, error.message),
                placed=None,
                place_error=None,
                place_attempted=False,
            )
        placed = None
        if refusal is None:
            placed = self.update(self._add(request.order, OrderStatus.NEW, -1).order_id, "REPLY")
        if not answers:
            raise OutcomeUnknown(request.order.client_order_id, "scripted")
        first, *others = [self.update(view.order_id, "REPLY") for view in ended]
        return CancelReplaceAnswer(
            cancelled=first,
            cancel_error=None,
            placed=placed,
            place_error=refusal,
            place_attempted=True,
            also_ended=tuple(others),
        )

    async def _begin(self, request: object, client_id: str) -> tuple[bool, bool]:
        self.on_mutation(client_id)
        self.sent.append(request)
        if self.holding is not None:
            await self.holding.wait()
        step = self.script.pop(0) if self.script else ACCEPT
        if isinstance(step, Exception):
            raise step
        return step != DROP_REQUEST, step == ACCEPT

    def _same_list(self, view: OrderView, target: OrderView) -> bool:
        listed = target.order_list_id >= 0 and view.order_list_id == target.order_list_id
        return not view.status.is_terminal and (listed or view.order_id == target.order_id)

    # ---- what the market does

    def fill(self, order_id: int, qty: str) -> None:
        """The market executes this much more of an order, at its price."""
        view, more = self.orders_by_id[order_id], Decimal(qty)
        executed = view.executed_qty + more
        full = executed == view.orig_qty
        self.change(
            order_id,
            executed_qty=executed,
            cumulative_quote=view.cumulative_quote + more * view.price,
            status=OrderStatus.FILLED if full else OrderStatus.PARTIALLY_FILLED,
        )
        self.fills.append(
            Fill(
                symbol=view.symbol,
                trade_id=1 + len(self.fills),
                order_id=order_id,
                client_order_id="",
                side=view.side,
                price=view.price,
                qty=more,
                commission=more / 1000,
                commission_asset="SOL",
                is_maker=True,
                exchange_time_ms=self.clock.now_ms(),
                local_received_ms=self.clock.now_ms(),
            )
        )

    def change(self, order_id: int, **members: Any) -> None:
        view = msgspec.structs.replace(self.orders_by_id[order_id], **members)
        self.orders_by_id[order_id] = msgspec.structs.replace(
            view, raw_status=view.status.value, exchange_time_ms=self.clock.now_ms()
        )

    def update(self, order_id: int, source: str, *, with_fills: bool = False) -> OrderUpdate:
        fills = tuple(f for f in self.fills if f.order_id == order_id) if with_fills else ()
        return OrderUpdate(order=self.orders_by_id[order_id], fills=fills, source=source)

    def of_side(self, side: Side) -> list[OrderView]:
        return [view for view in self.orders_by_id.values() if view.side is side]

    def working_buys(self) -> list[OrderView]:
        return [view for view in self.of_side(Side.BUY) if not view.status.is_terminal]

    # ---- reads

    async def account(self) -> AccountView:
        return AccountView(
            balances={}, can_trade=True, update_time_ms=0, local_received_ms=self.clock.now_ms()
        )

    async def commission(self, symbol: str) -> CommissionRates:
        raise Refused(-1121, f"no rates for {symbol}")

    async def open_orders(self, symbol: str | None) -> tuple[OrderView, ...]:
        visible = [] if "open_orders" in self.lagging else self._visible()
        return tuple(v for v in visible if not v.status.is_terminal)

    async def order(
        self, symbol: str, *, client_order_id: str = "", order_id: int = 0
    ) -> OrderView:
        for view in self._visible():
            by_name = client_order_id == view.client_order_id and "order" not in self.lagging
            if by_name or order_id == view.order_id:
                return msgspec.structs.replace(view, orig_client_order_id="")
        raise NoSuchOrder(-2013, "Order does not exist.")

    async def all_orders(
        self, symbol: str, *, from_order_id: int = 0, start_ms: int = 0
    ) -> tuple[OrderView, ...]:
        return tuple(msgspec.structs.replace(v, orig_client_order_id="") for v in self._visible())

    async def open_lists(self) -> tuple[ListView, ...]:
        return tuple(self.lists_by_id.values())

    async def order_list(self, *, list_client_order_id: str) -> ListView:
        self._require_up()
        found = None if self.blind else self.lists_by_id.get(list_client_order_id)
        if found is None:
            raise NoSuchOrder(-2018, "Order list does not exist.")
        return found

    async def trades(
        self, symbol: str, *, order_id: int = 0, from_id: int = 0, start_ms: int = 0
    ) -> tuple[Fill, ...]:
        self._require_up()
        if self.blind:
            return ()
        return tuple(f for f in self.fills if order_id in (0, f.order_id))

    def _require_up(self) -> None:
        if self.down:
            raise Unreachable("scripted")

    def _visible(self) -> list[OrderView]:
        self._require_up()
        return [] if self.blind else list(self.orders_by_id.values())

    # ---- market reads

    async def server_time_ms(self) -> int:
        return self.clock.now_ms()

    async def exchange_info(self) -> dict[str, SymbolInfo]:
        return {}

    async def symbol_info(self, symbol: str) -> SymbolInfo:
        raise Refused(-1121, f"no symbol {symbol}")

    async def tickers_24h(self) -> tuple[Ticker24h, ...]:
        return ()

    async def klines(
        self, symbol: str, interval: Interval, *, limit: int, start_ms: int = 0, end_ms: int = 0
    ) -> tuple[Candle, ...]:
        """The symbol last traded in the minute that began at `traded_until_ms`."""
        one = Decimal(1)
        if not self.traded_until_ms:
            return ()
        return (
            Candle(
                open_time_ms=self.traded_until_ms,
                open=one,
                high=one,
                low=one,
                close=one,
                volume=one,
            ),
        )

    async def depth(self, symbol: str, *, limit: int) -> DepthBook:
        raise Refused(-1121, f"no book of {symbol}")

    async def book_ticker(self, symbol: str) -> BookTicker:
        raise Refused(-1121, f"no book of {symbol}")

    # ---- rows

    def _add(self, request: OrderRequest, status: OrderStatus, list_id: int) -> OrderView:
        return self._view(
            request.symbol,
            request.side,
            LegRequest(
                type=request.type,
                client_order_id=request.client_order_id,
                price=request.price,
                stop_price=request.stop_price,
            ),
            (request.qty, status, list_id),
        )

    def _leg(
        self, request: ListRequest, leg: LegRequest, status: OrderStatus, list_id: int
    ) -> OrderView:
        return self._view(request.symbol, request.side, leg, (request.qty or ZERO, status, list_id))

    def _view(
        self, symbol: str, side: Side, leg: LegRequest, rest: tuple[Decimal, OrderStatus, int]
    ) -> OrderView:
        qty, status, list_id = rest
        ioc = leg.type is OrderType.LIMIT
        order_id = 100 + len(self.orders_by_id)
        status = OrderStatus.EXPIRED if ioc else status
        self.orders_by_id[order_id] = OrderView(
            symbol=symbol,
            order_id=order_id,
            order_list_id=list_id,
            client_order_id=leg.client_order_id,
            orig_client_order_id="",
            side=side,
            type=leg.type,
            status=status,
            raw_status=status.value,
            price=leg.price or ZERO,
            stop_price=leg.stop_price or ZERO,
            orig_qty=qty,
            executed_qty=ZERO,
            cumulative_quote=ZERO,
            exchange_time_ms=self.clock.now_ms(),
            local_received_ms=self.clock.now_ms(),
            is_working=leg.stop_price is None,
        )
        return self.orders_by_id[order_id]
