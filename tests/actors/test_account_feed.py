"""The account feed: every event to its owner, every loss announced, every return reconciled."""

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import anyio
import msgspec

from livespot.actors.account_feed import AccountFeed
from livespot.actors.mail import ReconcileWanted, UserStreamChanged
from livespot.contracts.errors import KeyRefused, Transient, Unreachable
from livespot.contracts.orders import Balance, BalancesChanged, OrderUpdate
from livespot.contracts.streams import BalanceMoved, UserEvent, UserEvents, UserStreamEnded
from livespot.contracts.system import HealthSignal
from livespot.contracts.vocabulary import SignalKind, SignalLevel
from livespot.runtime.mailboxes import Mailbox
from livespot.testing.clock import ManualClock
from livespot.testing.ledger_rows import order

BALANCES = BalancesChanged(
    balances=(Balance(asset="BTC", free=Decimal(1), locked=Decimal(0)),),
    exchange_time_ms=1,
    local_received_ms=1,
)
UPDATE = OrderUpdate(order=order().order, fills=(), source="STREAM")
ENDED = UserStreamEnded(exchange_time_ms=1, local_received_ms=1)


class Events:
    """One connection's events; when they are used up it is silent, unless told to be lost."""

    def __init__(self, items: list[UserEvent | Exception], clock: ManualClock) -> None:
        self._items = deque(items)
        self._clock = clock

    async def next(self) -> UserEvent:
        if not self._items:
            self._clock.advance(20_000)
            await anyio.sleep_forever()
        item = self._items.popleft()
        if isinstance(item, Exception):
            raise item
        return item


@dataclass
class Connection:
    """Opens once per script, in order; an exception there is a connection that never opened."""

    clock: ManualClock
    scripts: deque[list[UserEvent | Exception] | Exception]
    probes: int = 0
    opened: int = 0
    doubtful: bool = False
    done: anyio.Event = field(default_factory=anyio.Event)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[UserEvents]:
        if not self.scripts:
            self.done.set()
            await anyio.sleep_forever()
        script = self.scripts.popleft()
        if isinstance(script, Exception):
            raise script
        self.opened += 1
        yield Events(script, self.clock)

    async def probe(self) -> None:
        self.probes += 1
        raise Unreachable("no pong")


@dataclass
class Pauses:
    lived: list[int] = field(default_factory=list)

    def seconds(self, *, lived_ms: int, cause: Transient) -> float:
        self.lived.append(lived_ms)
        return 0.5


@dataclass
class Played:
    connection: Connection
    pauses: Pauses
    boxes: dict[str, list[Any]]
    had_again: int

    def demands(self, kind: SignalKind = SignalKind.USER_STREAM) -> list[SignalLevel]:
        return [
            m.level
            for m in self.boxes["governor"]
            if isinstance(m, HealthSignal) and m.kind is kind
        ]


async def play(*scripts: list[UserEvent | Exception] | Exception) -> Played:
    """Run the feed through these connections and collect what everybody was told."""
    clock = ManualClock()
    names = ("execution", "risk", "position", "reconciler", "governor")
    boxes: dict[str, Mailbox[Any]] = {name: Mailbox(name, 1000, clock) for name in names}
    connection = Connection(clock=clock, scripts=deque(scripts))
    pauses = Pauses()
    feed = AccountFeed(
        clock=clock,
        connection=connection,
        pauses=pauses,
        execution=boxes["execution"],
        risk=boxes["risk"],
        position=boxes["position"],
        reconciler=boxes["reconciler"],
        governor=boxes["governor"],
        beat=lambda: None,
    )
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            await tasks.start(feed.run)
            await connection.done.wait()
            tasks.cancel_scope.cancel()
    told = {name: list(iter(box.receive_nowait, None)) for name, box in boxes.items()}
    return Played(
        connection=connection, pauses=pauses, boxes=told, had_again=feed.reconnections.count
    )


async def test_each_event_goes_to_its_owners() -> None:
    played = await play([UPDATE, BALANCES, ENDED])

    assert UPDATE in played.boxes["execution"]
    assert BALANCES in played.boxes["position"]
    assert BALANCES in played.boxes["risk"]
    assert UPDATE not in played.boxes["position"]


async def test_a_connection_is_reconciled_before_its_demand_is_withdrawn() -> None:
    played = await play([ENDED])

    kinds = [type(m).__name__ for m in played.boxes["reconciler"]]
    assert kinds == ["UserStreamChanged", "ReconcileWanted", "UserStreamChanged"]
    assert played.demands() == [SignalLevel.DEGRADE, SignalLevel.CLEAR, SignalLevel.DEGRADE]


async def test_a_loss_is_told_to_execution_and_reconciler() -> None:
    played = await play([Unreachable("cut")])

    for name in ("execution", "reconciler"):
        states = [m.live for m in played.boxes[name] if isinstance(m, UserStreamChanged)]
        assert states == [True, False]


async def test_failing_to_connect_again_is_announced_once_and_paced_by_the_policy() -> None:
    played = await play(Unreachable("1"), Unreachable("2"), Unreachable("3"), [ENDED])

    lost = [m for m in played.boxes["execution"] if m == msgspec.structs.replace(m, live=False)]
    assert len(lost) == 2
    assert len(played.pauses.lived) == 4
    assert played.pauses.lived[:3] == [0, 0, 0]


async def test_every_connection_but_the_first_counts_as_one_that_was_had_again() -> None:
    assert (await play([ENDED])).had_again == 0
    assert (await play([ENDED], Unreachable("1"), [ENDED], [ENDED])).had_again == 2


async def test_a_silent_connection_is_probed_and_replaced_when_it_does_not_answer() -> None:
    played = await play([])

    assert played.connection.probes == 1
    assert played.demands()[-1] is SignalLevel.DEGRADE


async def test_a_rejected_key_is_a_loss_that_names_its_cause() -> None:
    played = await play(KeyRefused(-2015, "Invalid API-key, IP, or permissions for action."))

    demands = [m for m in played.boxes["governor"] if isinstance(m, HealthSignal)]
    assert [d.level for d in demands] == [SignalLevel.DEGRADE, SignalLevel.DEGRADE]
    assert "Invalid API-key" in demands[-1].detail


async def test_a_moved_balance_makes_the_reconciler_read_all_of_it() -> None:
    moved = BalanceMoved(
        asset="BTC",
        delta=Decimal(-1),
        external_lock=False,
        exchange_time_ms=1,
        local_received_ms=1,
    )
    played = await play([moved, ENDED])

    causes = [m.cause for m in played.boxes["reconciler"] if isinstance(m, ReconcileWanted)]
    assert "balance moved" in causes
