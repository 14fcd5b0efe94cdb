"""A position taken over while the exchange answers no read: how long its stop waits for one."""

from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from livespot.actors.mail import RecoverySummary
from livespot.actors.position_case import Desk
from livespot.actors.position_recovery import RecoverySources, recover
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
from livespot.runtime.replay_clock import VirtualClock
from livespot.runtime.replay_loop import VirtualLoop, run_virtually
from livespot.store.queries import LedgerQueries
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


def _taken_over(path: Path, *rows: Record) -> tuple[RecoverySummary, int]:
    """What recovery says, and after how many milliseconds."""
    loop = VirtualLoop()
    clock = VirtualClock(loop, 0)

    async def take_over() -> RecoverySummary:
        database = InlineDatabase(path, run_id=RUN, redactor=Redactor())
        await database.transaction(rows)
        await database.close()
        reads: Any = _Silent()
        ledger = LedgerQueries(InlineReader(path))
        sources = RecoverySources(ledger=ledger, reads=reads, clock=clock, settings=Settings())
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
