"""What we know about our orders: one book, one owner, every change durable before it is announced.

*Reads* the ledger for what earlier lives left. *Writes* order, list and fill rows together with the
transitions they prove. *Owns* the maps from client ids and exchange ids to intents.
"""

from collections.abc import Container, Iterable
from dataclasses import dataclass, field

import msgspec

from livespot.actors.execution_ports import ExecutionPorts, Reference
from livespot.actors.foreign_orders import ForeignOrders, OrderKey
from livespot.actors.mail import FillBooked, OrderProgressed
from livespot.actors.order_records import (
    Tracked,
    fill_entry,
    list_entry,
    order_entry,
    refusal_entry,
)
from livespot.contracts import ids
from livespot.contracts.amounts import ZERO
from livespot.contracts.audit import AuditEntry
from livespot.contracts.codes import ReasonCode
from livespot.contracts.orders import (
    Alias,
    CancelRequest,
    Fill,
    ListView,
    OrderIntent,
    OrderUpdate,
    OrderView,
)
from livespot.contracts.queries import StoredOrder
from livespot.contracts.vocabulary import (
    IntentRole,
    IntentState,
    OrderStatus,
    OrderType,
    Severity,
    Side,
    SignalKind,
    SignalLevel,
)
from livespot.rules import ledger
from livespot.rules.order_state import cancelled_by, merge
from livespot.rules.requests import Mutation, request_of

_STOPS = (OrderType.STOP_LOSS, OrderType.STOP_LOSS_LIMIT)
_REFUSED, _OVER = "REJECT", "ALL_DONE"


@dataclass(slots=True)
class Change:
    """The result of one `absorb`: newer orders, moved intents, and intents back from NOT_FOUND.

    `unseen` are legs named by a list of ours whose orders have not been seen yet; `doubted` are
    legs that we believe to be on the book although their list is over.
    """

    orders: list[Tracked] = field(default_factory=list)
    moved: list[OrderIntent] = field(default_factory=list)
    reopened: list[OrderIntent] = field(default_factory=list)
    unseen: list[OrderKey] = field(default_factory=list)
    doubted: list[OrderKey] = field(default_factory=list)


@dataclass(slots=True)
class _Batch:
    entries: list[AuditEntry] = field(default_factory=list)
    orders: dict[OrderKey, Tracked] = field(default_factory=dict)
    fills: list[FillBooked] = field(default_factory=list)
    steps: dict[str, ledger.Step] = field(default_factory=dict)
    named: list[OrderKey] = field(default_factory=list)
    list_states: dict[OrderKey, tuple[str, str]] = field(default_factory=dict)


class OrderTracker:
    """Used by one task only; calls of `absorb` must not overlap."""

    def __init__(self, ports: ExecutionPorts, reference: Reference) -> None:
        self._ports = ports
        self._reference = reference
        self.intents: dict[str, OrderIntent] = {}
        self.orders: dict[OrderKey, Tracked] = {}
        self.engine_ms = 0
        self._aliases: dict[str, Alias] = {}
        self._trade_ids: dict[str, set[int]] = {}
        self._restored: set[str] = set()
        self.foreign = ForeignOrders(ports)
        self._list_states: dict[OrderKey, tuple[str, str]] = {}

    # ---- what others ask

    def register(self, mutation: Mutation) -> bool:
        """Store the ids before the first byte is sent: the stream may be faster than the answer.

        False, and nothing changed, when the intent is known already.
        """
        if mutation.intent.order_intent_id in self.intents:
            return False
        self.intents[mutation.intent.order_intent_id] = mutation.intent
        for alias in mutation.aliases:
            self._aliases.setdefault(alias.client_order_id, alias)
        return True

    def forget(self, mutation: Mutation) -> None:
        """Drop a mutation whose row the ledger refused: its ids belong to another one."""
        self.intents.pop(mutation.intent.order_intent_id, None)
        for alias in mutation.aliases:
            if self._aliases.get(alias.client_order_id) == alias:
                del self._aliases[alias.client_order_id]

    def knows(self, symbol: str, order_id: int) -> bool:
        return (symbol, order_id) in self.orders

    def restore(self, intent: OrderIntent, aliases: Iterable[Alias]) -> None:
        """Take over an intent of an earlier life."""
        self.intents.setdefault(intent.order_intent_id, intent)
        self._restored.add(intent.order_intent_id)
        for alias in aliases:
            self._aliases.setdefault(alias.client_order_id, alias)

    async def restore_order(self, stored: StoredOrder) -> None:
        """Take over an order that was open when the earlier life ended."""
        intent = await self._intent(stored.order_intent_id)
        if intent is not None:
            key = (stored.order.symbol, stored.order.order_id)
            tracked = await self._first_touch(stored.order, intent, IntentRole(stored.role))
            self.orders[key] = tracked

    def open_orders(self) -> tuple[StoredOrder, ...]:
        return tuple(
            StoredOrder(
                order=tracked.view, order_intent_id=tracked.intent_id, role=tracked.role.value
            )
            for tracked in self.orders.values()
            if not tracked.view.status.is_terminal
        )

    def aliases_of(self, intent_id: str) -> tuple[Alias, ...]:
        return tuple(a for a in self._aliases.values() if a.order_intent_id == intent_id)

    def order_of(self, intent_id: str, role: IntentRole) -> Tracked | None:
        """The order that an intent placed in this role, if it has been seen."""
        return next(
            (t for t in self.orders.values() if t.intent_id == intent_id and t.role is role), None
        )

    def unknown_intents(self, symbol: str) -> list[OrderIntent]:
        """The intents of the symbol in SENT_UNKNOWN."""
        return [
            intent
            for intent in self.intents.values()
            if intent.symbol == symbol and intent.state is IntentState.SENT_UNKNOWN
        ]

    def standing(self, symbol: str, *, but: Container[str] = ()) -> tuple[OrderView, ...]:
        """Every live order on the symbol, ours and foreign, except orders of the intents `but`."""
        ours = [tracked.view for tracked in self.orders.values() if tracked.intent_id not in but]
        living = (order for order in (*ours, *self.foreign.living()) if order.symbol == symbol)
        return tuple(order for order in living if not order.status.is_terminal)

    def incomplete(self) -> list[Tracked]:
        """Orders whose executed quantity exceeds the fills we hold."""
        return [tracked for tracked in self.orders.values() if tracked.missing > 0]

    # ---- taking evidence in

    async def absorb(
        self,
        updates: Iterable[OrderUpdate] = (),
        *,
        order_list: ListView | None = None,
        step: tuple[str, ledger.Step] | None = None,
        also: AuditEntry | None = None,
    ) -> Change:
        """Merge what the exchange said, make it durable with what it proves, then announce it.

        `step` is a transition the caller asks for; it is dropped when the evidence has already
        moved the intent. `also` is an event of the caller's for the same transaction.
        """
        batch = _Batch(entries=[also] if also is not None else [])
        if step is not None and self._may(step[0], step[1].to_state):
            batch.steps[step[0]] = step[1]
        for update in updates:
            await self._take(update, batch)
        if order_list is not None:
            await self._take_list(order_list, batch)
        change = Change(orders=list(batch.orders.values()))
        moved = [self._transition(intent_id, s, batch) for intent_id, s in batch.steps.items()]
        if batch.entries:
            await self._ports.audit.commit(*batch.entries)
        self._remember(batch, moved)
        change.moved = [intent for intent, _ in moved]
        change.unseen = [key for key in batch.named if key not in self.orders]
        if order_list is not None and order_list.list_order_status == _OVER:
            change.doubted = [key for key in batch.named if self.stands(*key)]
        change.reopened = [i for i, before in moved if before is IntentState.NOT_FOUND]
        self._publish(batch, moved)
        await self._ports.announced.deliver(self._ports.clock)
        return change

    def stands(self, symbol: str, order_id: int) -> bool:
        """Whether we believe that this order of ours is on the book."""
        known = self.orders.get((symbol, order_id))
        status = None if known is None else known.view.status
        return status in (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED)

    async def _take(self, update: OrderUpdate, batch: _Batch) -> None:
        order = update.order
        if update.source != "REST":
            self.engine_ms = max(self.engine_ms, order.exchange_time_ms)
        owner = await self._owner(order, batch)
        if owner is None:
            await self.foreign.meet(order)
            return
        if self._never_was(order, owner):
            intent, now_ms = self.intents[owner.intent_id], self._ports.clock.now_ms()
            batch.entries.append(refusal_entry(order, intent, update.source, now_ms))
            return
        key = (order.symbol, order.order_id)
        before = batch.orders.get(key) or self.orders.get(key)
        seen = self._under_own_id(order, owner.intent_id, owner.role)
        merged = merge(before.view if before else None, seen)
        fills = await self._new_fills(update, batch)
        if merged is None and not fills:
            self._prove(owner, seen, update.source, batch)
            return
        tracked = Tracked(
            view=merged or owner.view,
            intent_id=owner.intent_id,
            role=owner.role,
            booked=owner.booked + sum((fill.qty for fill in fills), ZERO),
        )
        batch.orders[key] = tracked
        intent, now_ms = self.intents[tracked.intent_id], self._ports.clock.now_ms()
        if merged is not None:
            batch.entries.append(order_entry(tracked, intent, update.source, now_ms))
        for booked in [self._booked(tracked, fill) for fill in fills]:
            batch.fills.append(booked)
            batch.entries.append(fill_entry(booked, intent, update.source, now_ms))
        self._prove(tracked, tracked.view, update.source, batch)

    async def _owner(self, order: OrderView, batch: _Batch) -> Tracked | None:
        key = (order.symbol, order.order_id)
        known = batch.orders.get(key) or self.orders.get(key)
        if known is not None:
            return known
        for client_id in (order.orig_client_order_id, order.client_order_id):
            alias = await self._alias(client_id) if client_id else None
            intent = await self._intent(alias.order_intent_id) if alias else None
            if alias is not None and intent is not None and intent.symbol == order.symbol:
                return await self._first_touch(order, intent, _role(alias, intent, order))
        return None

    async def _alias(self, client_id: str) -> Alias | None:
        alias = self._aliases.get(client_id)
        if alias is None and ids.is_own_client_order_id(client_id):
            alias = await self._ports.ledger.alias(client_id)
        if alias is not None:
            self._aliases[client_id] = alias
        return alias

    async def _intent(self, intent_id: str) -> OrderIntent | None:
        intent = self.intents.get(intent_id)
        if intent is None:
            intent = await self._ports.ledger.intent(intent_id)
            if intent is not None:
                self.restore(intent, await self._ports.ledger.aliases_of(intent_id))
        return intent

    async def _first_touch(
        self, order: OrderView, intent: OrderIntent, role: IntentRole
    ) -> Tracked:
        booked = ZERO
        if intent.order_intent_id in self._restored:
            stored = await self._ports.ledger.fills_of_decision(intent.decision_id)
            of_order = [s.fill for s in stored if s.fill.order_id == order.order_id]
            booked = sum((f.qty for f in of_order if f.symbol == order.symbol), ZERO)
        return Tracked(view=order, intent_id=intent.order_intent_id, role=role, booked=booked)

    async def _new_fills(self, update: OrderUpdate, batch: _Batch) -> list[Fill]:
        symbol = update.order.symbol
        if not update.fills:
            return []
        if symbol not in self._trade_ids:
            self._trade_ids[symbol] = set(await self._ports.ledger.trade_ids(symbol))
        known = self._trade_ids[symbol] | {
            booked.fill.trade_id for booked in batch.fills if booked.fill.symbol == symbol
        }
        fresh: dict[int, Fill] = {}
        for fill in update.fills:
            if fill.trade_id not in known and fill.order_id == update.order.order_id:
                fresh.setdefault(fill.trade_id, fill)
        return list(fresh.values())

    def _under_own_id(self, order: OrderView, intent_id: str, role: IntentRole) -> OrderView:
        # After a cancel, a read shows the order under the id of the cancel only.
        if order.orig_client_order_id:
            return order
        alias = self._aliases.get(order.client_order_id)
        if alias is None or alias.role is not IntentRole.CANCEL:
            return order
        own = next((a for a in self.aliases_of(intent_id) if a.role is role), None)
        own_id = own.client_order_id if own is not None else order.client_order_id
        return msgspec.structs.replace(order, orig_client_order_id=own_id)

    # ---- what evidence proves

    def _prove(self, tracked: Tracked, view: OrderView, source: str, batch: _Batch) -> None:
        intent = self.intents[tracked.intent_id]
        if self._unsettled(intent) and intent.order_intent_id not in batch.steps:
            batch.steps[intent.order_intent_id] = self._existence(intent, tracked, view, source)
        if not view.status.is_terminal:
            return
        for cancel in [*self.unknown_intents(view.symbol), *self._denied_hits(view)]:
            if cancel.role is IntentRole.CANCEL and cancel.order_intent_id not in batch.steps:
                step = self._cancel_step(cancel, tracked, view)
                if step is not None:
                    batch.steps[cancel.order_intent_id] = step

    def _denied_hits(self, view: OrderView) -> list[OrderIntent]:
        """Cancels that were proven absent but did end this order."""
        name = cancelled_by(view)
        return [
            intent
            for intent in self.intents.values()
            if intent.client_order_id == name and intent.state is IntentState.NOT_FOUND
        ]

    def _never_was(self, order: OrderView, owner: Tracked) -> bool:
        """Whether this is the report of a refused placement, which proves no order and denies none.

        Our id may have arrived twice and been accepted once, so the intent waits for its own answer
        or for the resolver. A leg that was refused when its list armed is an order that ended.
        """
        key = (order.symbol, order.order_id)
        if order.status is not OrderStatus.REJECTED or order.executed_qty or key in self.orders:
            return False
        confirmed = self.intents[owner.intent_id].state is IntentState.CONFIRMED
        return not confirmed or self.order_of(owner.intent_id, owner.role) is not None

    def _unsettled(self, intent: OrderIntent) -> bool:
        return intent.state in (IntentState.SENT_UNKNOWN, IntentState.NOT_FOUND)

    def _existence(
        self, intent: OrderIntent, tracked: Tracked, view: OrderView, source: str
    ) -> ledger.Step:
        return ledger.Step(
            to_state=IntentState.CONFIRMED,
            at_ms=self._ports.clock.now_ms(),
            reasons=(ReasonCode.INTENT_CONFIRMED_BY_REST,),
            evidence=f"{source} order {view.order_id} {view.raw_status}",
            exchange_order_id=view.order_id if tracked.role is intent.role else 0,
            exchange_list_id=view.order_list_id,
        )

    def _cancel_step(
        self, cancel: OrderIntent, tracked: Tracked, view: OrderView
    ) -> ledger.Step | None:
        """The end of an unanswered cancel whose order has ended: it hit, or it can never hit."""
        request = request_of(cancel.payload)
        if not isinstance(request, CancelRequest):
            return None
        by_id = request.order_id == view.order_id
        by_client_id = request.order_id is None and request.orig_client_order_id == view.own_id
        if not (by_id or by_client_id) or cancel.parent_order_intent_id != tracked.intent_id:
            return None
        hit = cancelled_by(view) == cancel.client_order_id
        return ledger.Step(
            to_state=IntentState.CONFIRMED if hit else IntentState.FAILED_TERMINAL,
            at_ms=self._ports.clock.now_ms(),
            reasons=() if hit else (ReasonCode.ORDER_CANCEL_REJECTED,),
            evidence=f"order {view.order_id} ended {view.raw_status}",
            exchange_order_id=view.order_id,
        )

    async def _take_list(self, order_list: ListView, batch: _Batch) -> None:
        alias = await self._alias(order_list.list_client_order_id)
        intent = await self._intent(alias.order_intent_id) if alias else None
        if intent is None or order_list.list_order_status == _REFUSED:
            # The answer to a failed placement or cancel proves nothing about the list.
            return
        intent_id = intent.order_intent_id
        if self._unsettled(intent) and intent_id not in batch.steps:
            batch.steps[intent_id] = ledger.Step(
                to_state=IntentState.CONFIRMED,
                at_ms=self._ports.clock.now_ms(),
                reasons=(ReasonCode.INTENT_CONFIRMED_BY_REST,),
                evidence=f"order list {order_list.order_list_id}",
                exchange_list_id=order_list.order_list_id,
            )
        key = (order_list.symbol, order_list.order_list_id)
        state = (order_list.list_status_type, order_list.list_order_status)
        if self._list_states.get(key) != state:
            batch.list_states[key] = state
            batch.entries.append(list_entry(order_list, intent, self._ports.clock.now_ms()))
        batch.named += [(order_list.symbol, order_id) for order_id, _ in order_list.legs]

    def _may(self, intent_id: str, to_state: IntentState) -> bool:
        return ledger.is_legal(self.intents[intent_id].state, to_state)

    def _transition(
        self, intent_id: str, step: ledger.Step, batch: _Batch
    ) -> tuple[OrderIntent, IntentState]:
        before = self.intents[intent_id]
        moved, entry = ledger.transition(before, step, cycle_id="")
        batch.entries.insert(0, entry)
        return moved, before.state

    # ---- rows and messages

    def _booked(self, tracked: Tracked, fill: Fill) -> FillBooked:
        fee_quote, unpriced = self._reference.fee_quote(fill)
        return FillBooked(
            fill=fill,
            order_intent_id=tracked.intent_id,
            decision_id=self.intents[tracked.intent_id].decision_id,
            role=tracked.role,
            fee_quote=fee_quote,
            fee_unpriced=unpriced,
        )

    def _remember(self, batch: _Batch, moved: list[tuple[OrderIntent, IntentState]]) -> None:
        self.orders.update(batch.orders)
        self._list_states.update(batch.list_states)
        for booked in batch.fills:
            self._trade_ids[booked.fill.symbol].add(booked.fill.trade_id)
        for intent, _ in moved:
            self.intents[intent.order_intent_id] = intent

    def _publish(self, batch: _Batch, moved: list[tuple[OrderIntent, IntentState]]) -> None:
        ports, announced = self._ports, self._ports.announced
        for booked in batch.fills:
            announced.add(ports.position, booked)
            announced.add(ports.risk, booked)
        for tracked in batch.orders.values():
            announced.add(
                ports.position,
                OrderProgressed(
                    order=tracked.view,
                    order_intent_id=tracked.intent_id,
                    decision_id=self.intents[tracked.intent_id].decision_id,
                    role=tracked.role,
                ),
            )
        for intent, before in moved:
            if before is IntentState.NOT_FOUND:
                self._report_resurrection(intent)

    def _report_resurrection(self, intent: OrderIntent) -> None:
        reason = ReasonCode.PAUSE_NEEDS_MANUAL
        text = f"intent {intent.order_intent_id} was proven absent and exists after all"
        ports = self._ports
        alert = ports.alert_of(Severity.CRIT, reason, text, symbol=intent.symbol)
        ports.announced.add(ports.governor, alert)
        for level in (SignalLevel.PAUSE, SignalLevel.CLEAR):
            # A past event: the governor holds PAUSE until a resume, so the demand is withdrawn at
            # once.
            source = f"resurrected:{intent.order_intent_id}"
            demand = ports.demand_of(SignalKind.INTENT, level, reason, source=source, detail=text)
            ports.announced.add(ports.governor, demand)


def _role(alias: Alias, intent: OrderIntent, order: OrderView) -> IntentRole:
    if alias.role is not IntentRole.CANCEL:
        return alias.role
    # Known only by the id of a cancel: side and type tell which leg it is.
    if intent.role not in (IntentRole.ENTRY, IntentRole.LIST):
        return intent.role
    if order.side is Side.BUY:
        return IntentRole.ENTRY
    return IntentRole.SL if order.type in _STOPS else IntentRole.TP
