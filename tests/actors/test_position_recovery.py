"""A position taken over while the exchange answers no read: how long its stop waits for one."""

import itertools
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from livespot.actors.mail import RecoverAsked, RecoverySummary
from livespot.actors.position_case import Desk
from livespot.actors.position_recovery import RecoverySources, recover
from livespot.contracts.errors import Unreachable
from livespot.contracts.records import IntentCreated, Record
from livespot.contracts.redaction import Redactor
from livespot.contracts.settings import Settings
from livespot.contracts.vocabulary import (
    IntentRole,
    IntentState,
    OrderStatus,
    PositionPhase,
    Side,
)
from livespot.runtime.mailboxes import Reply
from livespot.runtime.replay_clock import VirtualClock
from livespot.runtime.replay_loop import VirtualLoop, run_virtually
from livespot.store.queries import LedgerQueries
from livespot.testing.execution_bench import a_decision, remember
from livespot.testing.inline_store import InlineDatabase, InlineReader
from livespot.testing.ledger_rows import (
    RUN,
    created,
    fill,
    fresh,
    intent,
    moved,
    order,
    position,
    run_started,
)
from livespot.testing.position_bench import position_bench

BOUGHT = (
    run_started(),
    created(),
    moved(IntentState.CREATED, IntentState.SENT_UNKNOWN),
    moved(IntentState.SENT_UNKNOWN, IntentState.CONFIRMED),
    order(OrderStatus.FILLED, "20.00"),
    fill(),
)


class _Silent:
    """An exchange that takes every read and answers none."""

    async def open_orders(self, symbol: str | None) -> Any:
        await anyio.sleep_forever()

    async def order(self, symbol: str, *, client_order_id: str = "", order_id: int = 0) -> Any:
        await anyio.sleep_forever()

    async def account(self) -> Any:
        await anyio.sleep_forever()


class _Held:
    """An account whose open orders are told when the test lets them go."""

    def __init__(self, account: Any) -> None:
        self._account = account
        self.let_go = anyio.Event()

    async def open_orders(self, symbol: str | None) -> Any:
        await self.let_go.wait()
        return await self._account.open_orders(symbol)

    async def account(self) -> Any:
        return await self._account.account()


class _NoOrders:
    """An exchange that tells balances and no orders."""

    def __init__(self, account: Any) -> None:
        self._account = account

    async def open_orders(self, symbol: str | None) -> Any:
        raise Unreachable("the test said so")

    async def order(self, symbol: str, *, client_order_id: str = "", order_id: int = 0) -> Any:
        raise Unreachable("the test said so")

    async def account(self) -> Any:
        return await self._account.account()


def _taken_over(
    path: Path, *rows: Record, beats: list[int] | None = None
) -> tuple[RecoverySummary, int]:
    """What recovery says, and after how many milliseconds; `beats` takes when the heart beat."""
    heard: list[int] = [] if beats is None else beats
    loop = VirtualLoop()
    clock = VirtualClock(loop, 0)

    async def take_over() -> RecoverySummary:
        database = InlineDatabase(path, run_id=RUN, redactor=Redactor())
        await database.transaction(rows)
        await database.close()
        reads: Any = _Silent()
        ledger = LedgerQueries(InlineReader(path))
        sources = RecoverySources(
            ledger=ledger,
            reads=reads,
            clock=clock,
            settings=Settings(),
            beat=lambda: heard.append(clock.monotonic_ms()),
        )
        return await recover(Desk(), sources)

    summary = run_virtually(loop, take_over)
    return summary, clock.monotonic_ms()


def _a_list(side: Side) -> IntentCreated:
    own = msgspec.structs.replace(intent("b"), side=side, role=IntentRole.LIST, attempt=1)
    return IntentCreated(intent=own, aliases=())


UNANSWERED = (_a_list(Side.SELL), moved(IntentState.CREATED, IntentState.SENT_UNKNOWN, "b"))
ATTACHED = (
    _a_list(Side.BUY),
    moved(IntentState.CREATED, IntentState.SENT_UNKNOWN, "b"),
    moved(IntentState.SENT_UNKNOWN, IntentState.CONFIRMED, "b"),
)
ANOTHER = msgspec.structs.replace(
    order(), order=msgspec.structs.replace(order().order, order_id=8, side=Side.SELL)
)


def test_a_position_that_is_bare_by_the_ledger_waits_two_seconds_for_reads(tmp_path: Path) -> None:
    bare = position(phase=PositionPhase.UNPROTECTED)

    summary, took_ms = _taken_over(fresh(tmp_path), *BOUGHT, bare)

    assert took_ms == 2000
    assert summary.unresolved > 0


@pytest.mark.parametrize(
    ("phase", "more"),
    [
        pytest.param(PositionPhase.PROTECTED, (), id="protected, as far as is known"),
        pytest.param(PositionPhase.OPENING, (), id="not looked at yet"),
        pytest.param(PositionPhase.UNPROTECTED, UNANSWERED, id="a sale in doubt"),
        pytest.param(PositionPhase.UNPROTECTED, ATTACHED, id="legs of the entry"),
        pytest.param(PositionPhase.UNPROTECTED, (ANOTHER,), id="an order that stands"),
    ],
)
def test_where_an_order_may_stand_the_reads_are_waited_for(
    tmp_path: Path, phase: PositionPhase, more: tuple[Record, ...]
) -> None:
    _, took_ms = _taken_over(fresh(tmp_path), *BOUGHT, *more, position(phase=phase))

    assert took_ms > 10_000


def test_the_heart_beats_while_the_exchange_is_silent(tmp_path: Path) -> None:
    beats: list[int] = []
    protected = position(phase=PositionPhase.PROTECTED)

    _, took_ms = _taken_over(fresh(tmp_path), *BOUGHT, ANOTHER, protected, beats=beats)

    gaps = [later - earlier for earlier, later in itertools.pairwise([0, *beats, took_ms])]
    assert took_ms > 20_000
    assert max(gaps) <= 500


async def test_an_entry_without_a_position_whose_orders_cannot_be_read_is_unresolved(
    tmp_path: Path,
) -> None:
    path = fresh(tmp_path)
    async with position_bench(path) as b:
        decision = a_decision(b.inner.settings)
        await remember(b.inner, decision)
        b.keeper.inbox.close()
        await b.inner.approve(decision)
        venue, clock = b.inner.venue, b.inner.clock

    async with position_bench(path, venue=venue, clock=clock, reads=_NoOrders(venue)) as b:
        reply: Reply[RecoverySummary] = Reply()
        await b.keeper.inbox.send(RecoverAsked(reply=reply))
        await b.inner.advance(5000)
        summary = await reply.wait()

    assert (summary.resolved, summary.unresolved) == (0, 1)


async def test_a_keeper_that_waits_for_a_read_at_boot_is_not_stuck(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    async with position_bench(path) as b:
        entry = await b.buy()
        await b.arm(entry)
        venue, clock = b.inner.venue, b.inner.clock
    held, beats = _Held(venue), list[int]()

    def beat() -> None:
        beats.append(clock.monotonic_ms())

    async with position_bench(path, venue=venue, clock=clock, reads=held, beat=beat) as b:
        reply: Reply[RecoverySummary] = Reply()
        await b.keeper.inbox.send(RecoverAsked(reply=reply))
        await b.inner.advance(12_000)
        waited = list(beats)
        held.let_go.set()
        summary = await reply.wait()

        assert summary.unresolved == 0
        assert waited[-1] - waited[0] > 11_000
        assert max(later - earlier for earlier, later in itertools.pairwise(waited)) <= 500
