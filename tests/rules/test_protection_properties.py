"""The ladder against a small unreliable exchange: late, lost and refused answers, moving prices."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import cycle

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from livespot.contracts.amounts import ZERO
from livespot.contracts.orders import Balance, OrderView
from livespot.contracts.vocabulary import (
    IntentRole,
    MutationOutcome,
    OrderStatus,
    OrderType,
    PositionPhase,
    SignalLevel,
)
from livespot.rules import protection as rule
from livespot.rules.protection import (
    Cancel,
    Close,
    Command,
    Guard,
    Look,
    Notify,
    Protect,
    Scene,
    Settlement,
)
from livespot.rules.protection_answers import account_seen, settled
from livespot.rules.protection_ladder import advance
from livespot.rules.quantize import protectable
from livespot.testing.market_values import some_constraints
from livespot.testing.protection_cases import a_scene, a_sell

D = Decimal
STEP_MS = 100
QTY = D("1.000")
PAID = D(100)
LIMITS = some_constraints(max_qty=D(1000), max_price=D(100_000))


@dataclass
class Venue:
    """Orders, one balance and a queue of what the runtime will hear, each at its own step."""

    luck: Iterator[int]
    total: Decimal
    step: int = 0
    bid: Decimal = PAID
    next_id: int = 1
    orders: dict[int, OrderView] = field(default_factory=dict)
    intents: dict[int, tuple[IntentRole, str]] = field(default_factory=dict)
    news: list[tuple[int, object]] = field(default_factory=list)
    sold: Decimal = ZERO
    healthy: bool = False

    def chance(self, sides: int) -> int:
        return 0 if self.healthy else next(self.luck) % sides

    def locked(self) -> Decimal:
        groups: dict[int, Decimal] = {}
        for o in self.orders.values():
            if not o.status.is_terminal:
                key = o.order_list_id if o.order_list_id >= 0 else -o.order_id
                groups[key] = max(groups.get(key, D(0)), o.orig_qty - o.executed_qty)
        return sum(groups.values(), D(0))

    def later(self, item: object, most: int = 12) -> None:
        self.news.append((self.step + 1 + self.chance(most), item))

    def do(self, command: Command) -> None:
        match command:
            case Protect():
                self.mutate(command.role, command)
            case Close():
                self.mutate(IntentRole.CLOSE, command)
            case Cancel():
                self.cancel(command)
            case Look():
                self.news.append((self.step + 2, "look"))
            case _:
                pass

    def mutate(self, role: IntentRole, command: Protect | Close) -> None:
        intent = f"oi_{self.next_id}"
        fate = self.chance(6)
        free = self.total - self.locked()
        if fate == 1:
            return self.later(answer(role, "REFUSED", intent, "Filter failure: X"))
        if fate == 2:
            return self.later(answer(role, "UNKNOWN", intent))
        if command.qty > free:
            text = "Account has insufficient balance for requested action."
            return self.later(answer(role, "REFUSED", intent, text))
        views = self.place(role, command, intent)
        if fate == 3:
            return self.later(answer(role, "UNKNOWN", intent))
        self.later(answer(role, "ACCEPTED", intent, orders=views))
        return None

    def place(self, role: IntentRole, c: Protect | Close, intent: str) -> tuple[OrderView, ...]:
        first = self.next_id
        self.next_id += 2
        if isinstance(c, Close):
            self.add(view(first, OrderType.LIMIT, c.qty), IntentRole.CLOSE, intent)
            part = c.qty if self.chance(2) == 0 else (c.qty / 2).quantize(D("0.001"))
            self.execute(first, part, ended=True)
            return (self.orders[first],)
        list_id = first if role is IntentRole.LIST else -1
        stop = view(first, OrderType.STOP_LOSS, c.qty, list_id, stop=c.sl_price)
        leg = IntentRole.SL if role is IntentRole.LIST else IntentRole.STOP
        self.add(stop, leg, intent)
        if role is IntentRole.LIST:
            profit = view(first + 1, OrderType.LIMIT_MAKER, c.qty, list_id, price=c.tp_price)
            self.add(profit, IntentRole.TP, intent)
        return tuple(o for o in self.orders.values() if o.order_id >= first)

    def add(self, order: OrderView, role: IntentRole, intent: str) -> None:
        self.orders[order.order_id] = order
        self.intents[order.order_id] = (role, intent)

    def execute(self, order_id: int, qty: Decimal, *, ended: bool = False) -> None:
        order = self.orders[order_id]
        executed = order.executed_qty + qty
        status = OrderStatus.PARTIALLY_FILLED
        if executed == order.orig_qty:
            status = OrderStatus.FILLED
        elif ended:
            status = OrderStatus.EXPIRED
        self.put(msgspec.structs.replace(order, executed_qty=executed, status=status))
        self.total -= qty
        self.sold += qty
        self.later(("fill", order_id, qty))
        self.end_siblings(order)

    def end_siblings(self, order: OrderView) -> None:
        for other in list(self.orders.values()):
            same = other.order_list_id == order.order_list_id >= 0
            if same and other.order_id != order.order_id and not other.status.is_terminal:
                self.put(msgspec.structs.replace(other, status=OrderStatus.EXPIRED))

    def put(self, order: OrderView) -> None:
        self.orders[order.order_id] = order
        self.later(order)

    def cancel(self, command: Cancel) -> None:
        order = self.orders[command.order_id]
        lost = self.chance(4) == 1
        if order.status.is_terminal:
            return self.later(answer(IntentRole.CANCEL, "REFUSED", "oi_c", "Unknown order sent."))
        if not lost:
            self.put(msgspec.structs.replace(order, status=OrderStatus.CANCELED))
            self.end_siblings(order)
        self.later(answer(IntentRole.CANCEL, "UNKNOWN" if lost else "ACCEPTED", "oi_c"))
        return None

    def trade(self) -> None:
        self.bid += D((0, 0, 1, -1, 0, 2, -2, 0)[self.chance(8)]) / 4
        for order in list(self.orders.values()):
            order = self.orders[order.order_id]
            if order.status.is_terminal:
                continue
            rest = order.orig_qty - order.executed_qty
            if order.type is OrderType.STOP_LOSS and self.bid <= order.stop_price:
                self.execute(order.order_id, rest)
            elif order.type is OrderType.LIMIT_MAKER and self.bid >= order.price:
                part = rest if self.chance(3) != 1 else (rest / 2).quantize(D("0.001"))
                self.execute(order.order_id, part or rest)
        if self.chance(40) == 7:
            for order in list(self.orders.values()):
                if not order.status.is_terminal:
                    self.put(msgspec.structs.replace(order, status=OrderStatus.CANCELED))


def view(
    order_id: int,
    kind: OrderType,
    qty: Decimal,
    list_id: int = -1,
    *,
    price: Decimal = ZERO,
    stop: Decimal = ZERO,
) -> OrderView:
    return a_sell(order_id, kind, order_list_id=list_id, price=price, stop_price=stop, orig_qty=qty)


def answer(
    role: IntentRole,
    outcome: str,
    intent: str,
    message: str = "",
    orders: tuple[OrderView, ...] = (),
) -> Settlement:
    return Settlement(
        role=role,
        intent_id=intent,
        outcome=MutationOutcome(outcome),
        code=0,
        message=message,
        orders=orders,
    )


@dataclass
class Run:
    """The runtime's side: guard, booked fills and what has been said."""

    venue: Venue
    extra: Decimal
    guard: Guard = field(default_factory=Guard)
    booked: dict[int, Decimal] = field(default_factory=dict)
    base: Decimal | None = None
    base_step: int = -1
    fill_step: int = 0
    alarms: int = 0

    def scene(self) -> Scene:
        sold = sum(self.booked.values(), D(0))
        return a_scene(
            qty=QTY - sold,
            booked_sales=self.booked,
            base_total=self.base if self.base_step >= self.fill_step else None,
            bid=self.venue.bid,
            constraints=LIMITS,
            wall_ms=self.venue.step * STEP_MS,
        )

    def hear(self, item: object) -> None:
        venue = self.venue
        match item:
            case Settlement():
                self.guard = settled(self.guard, self.scene(), item, venue.step * STEP_MS)
            case OrderView():
                self.see(item)
            case ("fill", int(order_id), Decimal() as qty):
                self.booked[order_id] = self.booked.get(order_id, D(0)) + qty
                self.fill_step = venue.step
                self.guard = rule.sale_booked(self.guard, order_id, self.booked[order_id])
            case _:
                for order in venue.orders.values():
                    self.see(order)
                self.base, self.base_step = venue.total, venue.step
                locked = venue.locked()
                base = Balance(asset="BTC", free=venue.total - locked, locked=locked)
                held = rule.measure(self.guard, self.scene()).held
                now = venue.step * STEP_MS
                self.guard = account_seen(self.guard, base, held=held, at_wall_ms=now)

    def see(self, order: OrderView) -> None:
        role, intent = self.venue.intents[order.order_id]
        self.guard = rule.order_seen(self.guard, order, role, intent)

    def tick(self) -> None:
        venue = self.venue
        venue.step += 1
        venue.trade()
        due = [item for at, item in venue.news if at <= venue.step]
        venue.news = [(at, item) for at, item in venue.news if at > venue.step]
        for item in due:
            self.hear(item)
        if venue.step % 100 == 0:
            self.hear("look")
        scene = self.scene()
        before = rule.measure(self.guard, scene)
        guard, commands = advance(self.guard, scene, venue.step * STEP_MS)
        self.check_size(before, commands)
        self.guard = guard
        for command in commands:
            self.alarms += isinstance(command, Notify) and command.severity == "CRIT"
            venue.do(command)
        self.check_alarm()

    def check_size(self, before: rule.Sizes, commands: tuple[Command, ...]) -> None:
        """Nothing is asked for that a fresh request or a standing order may still hold."""
        now = self.venue.step * STEP_MS
        fresh = sum(
            (f.qty for f in self.guard.flights if not f.unknown and now - f.since_ms < 2000), ZERO
        )
        wanted = sum((c.qty for c in commands if isinstance(c, Protect | Close)), ZERO)
        assert wanted == 0 or wanted + before.committed + fresh <= before.held

    def check_alarm(self) -> None:
        since = self.guard.naked_since_ms
        now = self.venue.step * STEP_MS
        if since is not None and now - since >= 5000:
            assert self.guard.level is SignalLevel.PAUSE
            assert self.alarms > 0


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(
    luck=st.lists(st.integers(0, 119), min_size=5, max_size=60),
    extra=st.sampled_from([D(0), D("0.4"), D("1.5"), D(7)]),
)
@example(luck=[29, 0, 99, 69, 0, 0, 77, 0, 117, 0, 13, 0, 6, 6], extra=D("1.5"))
def test_whatever_the_exchange_does_the_position_ends_safe_and_nothing_else_is_sold(
    luck: list[int], extra: Decimal
) -> None:
    run = Run(venue=Venue(luck=cycle(luck), total=QTY + extra), extra=extra)
    for _ in range(250):
        run.tick()
        assert run.venue.sold <= QTY
    run.venue.healthy = True

    for _ in range(500):
        run.tick()
        assert run.venue.sold <= QTY

    scene = run.scene()
    sizes = rule.measure(run.guard, scene)
    ended = rule.phase_of(run.guard, scene, sizes)
    shouting = run.guard.level is SignalLevel.PAUSE and run.alarms > 0
    settled_phases = (PositionPhase.PROTECTED, PositionPhase.FLAT, PositionPhase.DUST)
    # What is too small to sell may still wait for the answer to an old request.
    assert shouting or ended in settled_phases or not rule.tradable(sizes.held, scene)
    if ended is PositionPhase.PROTECTED:
        stops = [o for o in run.venue.orders.values() if o.type is OrderType.STOP_LOSS]
        live = sum((o.orig_qty for o in stops if not o.status.is_terminal), D(0))
        assert live >= sizes.covered
        assert live <= QTY - run.venue.sold


@given(
    bought=st.integers(min_value=1, max_value=400),
    sl_price=st.decimals(min_value=50, max_value=99, places=2),
)
def test_a_working_entrys_part_is_never_bare_before_the_entrys_own_grace_has_begun(
    bought: int, sl_price: Decimal
) -> None:
    """Where the fee is taken from what was bought."""
    executed, fee_bps = bought * D("0.001"), 10
    scene = a_scene(sl_price=sl_price, entry_open=True, base_total=None)
    scene = replace(scene, qty=executed - executed * fee_bps / 10_000)
    lowest = sl_price * (10_000 - scene.exits.stop_limit_offset_bps) / 10_000
    assert scene.constraints is not None

    bare = rule.naked(rule.measure(Guard(), scene), scene)

    assert bare == protectable(executed, scene.constraints, fee_bps, lowest, 10_000)
