"""The reconciler beside the real execution actor: belief is corrected forwards, and only there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest
from msgspec.structs import replace as changed

from livespot.actors.mail import (
    AccountObserved,
    ExecutionInbox,
    FillBooked,
    OrderProgressed,
    ReconcilerInbox,
    ReconcileWanted,
    RecoverAsked,
    RecoverySummary,
    UserStreamChanged,
)
from livespot.actors.reconciler import Reconciler
from livespot.actors.reconciler_reads import Reading, Watch
from livespot.actors.rest_age import RestAge
from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import NoSuchOrder, Throttled, Unreachable
from livespot.contracts.ids import client_order_id
from livespot.contracts.orders import Fill, OrderUpdate, OrderView
from livespot.contracts.system import Alert, HealthSignal
from livespot.contracts.vocabulary import (
    EventType,
    OrderStatus,
    OrderType,
    PositionPhase,
    Side,
    SignalKind,
    SignalLevel,
)
from livespot.runtime.mailboxes import Mailbox, Reply
from livespot.store.queries import LedgerQueries
from livespot.testing.audit import RecordingAudit
from livespot.testing.execution_bench import SYMBOL, Bench, StepClock, a_decision, bench
from livespot.testing.inline_store import InlineReader
from livespot.testing.ledger_rows import fresh, position
from livespot.testing.scripted_venue import ScriptedVenue
from livespot.testing.server_clock import FixedOffset

D = Decimal


@dataclass(slots=True)
class FlakyVenue(ScriptedVenue):
    """Reads fail with what is queued; `asked` counts the open-order reads by symbol.

    `unread` are failures of reads of one order.
    """

    failures: list[Exception] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    unread: list[Exception] = field(default_factory=list)

    async def order(
        self, symbol: str, *, client_order_id: str = "", order_id: int = 0
    ) -> OrderView:
        if self.unread:
            raise self.unread.pop(0)
        return await ScriptedVenue.order(
            self, symbol, client_order_id=client_order_id, order_id=order_id
        )

    async def trades(
        self, symbol: str, *, order_id: int = 0, from_id: int = 0, start_ms: int = 0
    ) -> tuple[Fill, ...]:
        fills = await ScriptedVenue.trades(self, symbol, order_id=order_id)
        return tuple(fill for fill in fills if fill.trade_id >= from_id)

    async def open_orders(self, symbol: str | None) -> tuple[OrderView, ...]:
        self.asked.append(symbol or "*")
        if self.failures:
            raise self.failures.pop(0)
        return tuple(v for v in self._visible() if not v.status.is_terminal)


@dataclass(slots=True)
class ReconcileBench:
    inner: Bench
    actor: Reconciler
    audit: RecordingAudit
    position: Mailbox[Any]

    async def look(self, cause: str = "test") -> None:
        await self.tell(ReconcileWanted(cause=cause, symbol=""))
        self.inner.clock.step(300)
        await self.inner.settle()

    async def tell(self, message: ReconcilerInbox) -> None:
        await self.actor.inbox.send(message)
        await self.inner.settle()

    def diffs(self) -> list[dict[str, Any]]:
        return [e.draft.data for e in self.audit.of(EventType.RECONCILE_DIFF)]

    def passes(self) -> int:
        events = self.audit.of(EventType.RECONCILE_REST)
        return sum("failed" not in e.draft.data for e in events)

    def demands(self) -> list[SignalLevel]:
        signals = self.inner.heard(self.actor.governor, HealthSignal)
        mine = [s for s in signals if s.source == "reconciler" and s.kind is SignalKind.DRIFT]
        return [s.level for s in mine]


@asynccontextmanager
async def reconcile_bench(path: Path) -> AsyncIterator[ReconcileBench]:
    clock = StepClock()
    venue = FlakyVenue(clock)
    async with (
        bench(path, clock=clock, venue=venue) as inner,
        anyio.create_task_group() as tasks,
    ):
        audit = RecordingAudit()
        actor = Reconciler(
            mode=inner.actor.mode,
            settings=inner.settings,
            clock=clock,
            server_clock=FixedOffset(clock),
            audit=audit,
            ledger=LedgerQueries(InlineReader(path)),
            reads=venue,
            inbox=inner.actor.reconciler,
            execution=inner.actor.inbox,
            risk=inner.actor.risk,
            position=inner.actor.position,
            governor=inner.actor.governor,
            rest_age=RestAge(5000),
            beat=lambda: None,
            listen_ms=0,
        )
        await tasks.start(actor.run)
        made = ReconcileBench(inner=inner, actor=actor, audit=audit, position=inner.actor.position)
        assert made.demands() == [SignalLevel.CLEAR], "an earlier life's complaint is withdrawn"
        await made.tell(UserStreamChanged(live=True, at_ms=clock.now_ms()))
        clock.step(300)
        await inner.settle()
        yield made
        actor.inbox.close()


def venue_of(b: ReconcileBench) -> FlakyVenue:
    venue = b.inner.venue
    assert isinstance(venue, FlakyVenue)
    return venue


def plant(
    b: ReconcileBench, client_id: str, order_id: int = 900, placed_ms: int | None = None
) -> None:
    """An order on the account that this program's ledger knows nothing of."""
    now = b.inner.clock.now_ms()
    b.inner.venue.orders_by_id[order_id] = OrderView(
        symbol=SYMBOL,
        order_id=order_id,
        order_list_id=-1,
        client_order_id=client_id,
        orig_client_order_id="",
        side=Side.BUY,
        type=OrderType.LIMIT,
        status=OrderStatus.NEW,
        raw_status="NEW",
        price=D(1),
        stop_price=D(0),
        orig_qty=D(1),
        executed_qty=D(0),
        cumulative_quote=D(0),
        exchange_time_ms=now if placed_ms is None else placed_ms,
        local_received_ms=now,
    )


async def test_a_fill_that_no_event_reported_is_found_and_booked_once(tmp_path: Path) -> None:
    async with reconcile_bench(fresh(tmp_path)) as b:
        await b.inner.approve(a_decision())
        order = b.inner.venue.working_buys()[0]
        b.inner.venue.fill(order.order_id, str(order.orig_qty))
        b.inner.clock.step(2500)

        await b.look()
        await b.look()

        booked = b.inner.heard(b.position, FillBooked)
        assert [f.fill.qty for f in booked] == [order.orig_qty]
        assert [d["mismatch"] for d in b.diffs()] == ["MISSING_FILL"]
        assert b.demands() == []


@pytest.mark.parametrize(
    "failure", [Unreachable("gone"), NoSuchOrder(-2013, "Order does not exist.")]
)
async def test_fills_of_a_sweep_that_broke_off_are_swept_again(
    tmp_path: Path, failure: Exception
) -> None:
    clock = StepClock()
    venue, told = FlakyVenue(clock), Mailbox[ExecutionInbox]("told", 10, clock)
    async with bench(fresh(tmp_path), clock=clock, venue=venue) as inner:
        await inner.approve(a_decision())
        order = venue.working_buys()[0]
        venue.fill(order.order_id, str(order.orig_qty))
        source = Reading(
            begun_ms=0,
            settings=inner.settings,
            clock=clock,
            server_clock=FixedOffset(clock),
            ledger=LedgerQueries(InlineReader(inner.path)),
            reads=venue,
            execution=told,
            risk=inner.actor.risk,
            position=inner.actor.position,
            beat=lambda: None,
        )
        watch = Watch()
        venue.unread = [failure]
        with suppress(Unreachable):
            await source.sweep(watch, SYMBOL)
        assert told.receive_nowait() is None

        await source.sweep(watch, SYMBOL)
        await source.sweep(watch, SYMBOL)

        update = told.receive_nowait()
        assert isinstance(update, OrderUpdate)
        assert [fill.qty for fill in update.fills] == [order.orig_qty]
        assert told.receive_nowait() is None


async def test_an_order_gone_from_the_open_ones_is_queried_by_its_id(tmp_path: Path) -> None:
    async with reconcile_bench(fresh(tmp_path)) as b:
        await b.inner.approve(a_decision())
        order = b.inner.venue.working_buys()[0]
        b.inner.venue.change(order.order_id, status=OrderStatus.CANCELED)
        b.inner.clock.step(2500)

        await b.look()

        told = b.inner.heard(b.position, OrderProgressed)
        ends = [t.order.status for t in told if t.order.order_id == order.order_id]
        assert ends[-1] is OrderStatus.CANCELED


async def test_a_read_that_lags_never_takes_anything_back(tmp_path: Path) -> None:
    async with reconcile_bench(fresh(tmp_path)) as b:
        await b.inner.approve(a_decision())
        order = b.inner.venue.working_buys()[0]
        b.inner.venue.fill(order.order_id, str(order.orig_qty))
        await b.inner.stream(order.order_id)
        b.inner.venue.change(
            order.order_id, status=OrderStatus.NEW, executed_qty=D(0), cumulative_quote=D(0)
        )
        b.inner.heard(b.position, OrderProgressed)
        b.inner.clock.step(9000)

        await b.look()

        told = b.inner.heard(b.position, OrderProgressed)
        assert [t for t in told if t.order.order_id == order.order_id] == []


async def test_a_foreign_order_is_announced_and_changes_no_mode(tmp_path: Path) -> None:
    async with reconcile_bench(fresh(tmp_path)) as b:
        plant(b, "web_123")
        await b.look()
        b.inner.clock.step(2500)

        await b.look()
        await b.look()

        alerts = [a.code for a in b.inner.heard(b.actor.governor, Alert)]
        assert alerts == [ReasonCode.FOREIGN_ORDER_DETECTED]
        assert [d["mismatch"] for d in b.diffs()] == ["FOREIGN_ORDER"]
        assert b.demands() == []
        assert b.inner.venue.sent == []


async def test_an_order_of_our_shape_without_a_row_pauses_on_the_second_read(
    tmp_path: Path,
) -> None:
    async with reconcile_bench(fresh(tmp_path)) as b:
        plant(b, client_order_id("oi_lost"), placed_ms=0)
        await b.look()
        assert b.demands() == []
        b.inner.clock.step(2500)

        await b.look()

        assert b.demands() == [SignalLevel.PAUSE]
        assert b.diffs()[-1]["score_x10000"] == 50_000
        (alert,) = [
            a for a in b.inner.heard(b.actor.governor, Alert) if a.code == "DRIFT_LIMIT_EXCEEDED"
        ]
        assert alert.reasons == (
            ReasonCode.DRIFT_LIMIT_EXCEEDED,
            ReasonCode.FOREIGN_ORDER_DETECTED,
        )
        assert b.inner.venue.sent == []


async def test_an_order_of_our_shape_placed_while_we_run_is_called_a_second_instance(
    tmp_path: Path,
) -> None:
    async with reconcile_bench(fresh(tmp_path)) as b:
        plant(b, client_order_id("oi_theirs"))
        await b.look()
        b.inner.clock.step(2500)

        await b.look()

        signals = b.inner.heard(b.actor.governor, HealthSignal)
        assert SignalLevel.PAUSE in {s.level for s in signals if s.kind is SignalKind.DRIFT}
        (alert,) = [
            a for a in b.inner.heard(b.actor.governor, Alert) if a.code == "DRIFT_LIMIT_EXCEEDED"
        ]
        assert ReasonCode.SECOND_INSTANCE in alert.reasons
        assert "another process" in alert.text
        assert b.inner.venue.sent == []


async def test_a_stop_of_somebody_else_does_not_stand_in_for_ours(tmp_path: Path) -> None:
    """What counts as missing is ours; the foreign stop is reported as what it is."""
    async with reconcile_bench(fresh(tmp_path)) as b:
        held = changed(
            position(phase=PositionPhase.PROTECTED).position, symbol=SYMBOL, protected_qty=D(1)
        )
        await b.actor.inbox.send(held)
        plant(b, "web_stop")
        b.inner.venue.change(900, side=Side.SELL, type=OrderType.STOP_LOSS)
        b.inner.clock.step(61_000)
        await b.look()
        b.inner.clock.step(2500)

        await b.look()

        found = {d["mismatch"] for d in b.diffs()}
        assert {"PROTECTION_MISSING", "FOREIGN_ORDER"} <= found
        assert SignalLevel.PAUSE in b.demands()


async def test_drift_that_ends_withdraws_its_demand(tmp_path: Path) -> None:
    async with reconcile_bench(fresh(tmp_path)) as b:
        plant(b, client_order_id("oi_lost"))
        b.inner.clock.step(61_000)
        await b.look()
        b.inner.clock.step(2500)
        await b.look()
        b.inner.venue.change(900, status=OrderStatus.CANCELED)
        b.inner.clock.step(61_000)

        await b.look()

        assert b.demands() == [SignalLevel.PAUSE, SignalLevel.CLEAR]


async def test_a_failed_read_is_reported_and_the_next_one_tries_again(tmp_path: Path) -> None:
    async with reconcile_bench(fresh(tmp_path)) as b:
        await b.inner.approve(a_decision())
        venue_of(b).failures = [Unreachable("gone")]
        b.inner.clock.step(15_000)
        await b.inner.settle()
        before = b.passes()
        failed = [e for e in b.audit.of(EventType.RECONCILE_REST) if "failed" in e.draft.data]
        age = b.actor.rest_age.age_ms(b.inner.clock.monotonic_ms())

        b.inner.clock.step(1100)
        await b.inner.settle()

        assert len(failed) == 1
        assert age is not None
        assert age >= 5000
        assert b.passes() > before
        assert b.actor.rest_age.age_ms(b.inner.clock.monotonic_ms()) == 0


async def test_reads_that_fail_since_something_is_open_are_missed_by_the_shorter_interval(
    tmp_path: Path,
) -> None:
    async with reconcile_bench(fresh(tmp_path)) as b:
        b.inner.clock.step(16_000)
        await b.inner.settle()
        idle_ms = b.actor.rest_age.interval_ms
        await b.inner.approve(a_decision())
        venue_of(b).failures = [Unreachable("gone")]

        b.inner.clock.step(15_000)
        await b.inner.settle()

        assert (idle_ms, b.actor.rest_age.interval_ms) == (15_000, 5000)


async def test_a_throttled_read_keeps_silent_for_as_long_as_it_was_told(tmp_path: Path) -> None:
    async with reconcile_bench(fresh(tmp_path)) as b:
        await b.inner.approve(a_decision())
        venue_of(b).failures = [Throttled(retry_after_ms=30_000, banned=False)]
        b.inner.clock.step(15_000)
        await b.inner.settle()
        asked = len(venue_of(b).asked)

        await b.look()
        b.inner.clock.step(20_000)
        await b.inner.settle()
        quiet = len(venue_of(b).asked)
        b.inner.clock.step(10_000)
        await b.inner.settle()

        assert quiet == asked
        assert len(venue_of(b).asked) > asked


async def test_with_nothing_open_it_looks_every_fifteen_seconds_and_faster_without_a_stream(
    tmp_path: Path,
) -> None:
    async with reconcile_bench(fresh(tmp_path)) as b:
        b.inner.clock.step(16_000)
        await b.inner.settle()
        start = b.passes()
        for _ in range(14):
            b.inner.clock.step(1000)
            await b.inner.settle()
        idle = b.passes() - start
        await b.tell(UserStreamChanged(live=False, at_ms=b.inner.clock.now_ms()))
        b.inner.clock.step(300)
        await b.inner.settle()
        start = b.passes()

        for _ in range(15):
            b.inner.clock.step(1000)
            await b.inner.settle()

        assert idle == 0
        assert b.passes() - start == 3
        assert b.actor.rest_age.interval_ms == 5000


async def test_a_working_entry_is_read_every_three_seconds_though_no_event_tells_of_it(
    tmp_path: Path,
) -> None:
    async with reconcile_bench(fresh(tmp_path)) as b:
        await b.inner.approve(a_decision())
        await b.look()
        order = b.inner.venue.working_buys()[0]
        b.inner.venue.fill(order.order_id, str(order.orig_qty / 2))

        b.inner.clock.step(2600)
        await b.inner.settle()
        unheard = b.inner.heard(b.position, FillBooked)
        b.inner.clock.step(400)
        await b.inner.settle()

        assert unheard == []
        assert [f.fill.qty for f in b.inner.heard(b.position, FillBooked)] == [order.orig_qty / 2]
        asked = len(venue_of(b).asked)
        b.inner.venue.change(order.order_id, status=OrderStatus.CANCELED)
        for _ in range(9):
            b.inner.clock.step(1000)
            await b.inner.settle()
        assert len(venue_of(b).asked) - asked <= 3, "over, it is not read more often than the rest"


async def armed_legs(b: ReconcileBench) -> dict[OrderType, OrderView]:
    """An entry bought whole, with both legs of its list on the book and everything read."""
    await b.inner.approve(a_decision())
    entry = b.inner.venue.working_buys()[0]
    b.inner.venue.fill(entry.order_id, str(entry.orig_qty))
    await b.inner.stream(entry.order_id)
    sells = b.inner.venue.of_side(Side.SELL)
    for leg in sells:
        b.inner.venue.change(leg.order_id, status=OrderStatus.NEW, orig_qty=entry.orig_qty)
        await b.inner.stream(leg.order_id)
    await b.look()
    return {leg.type: b.inner.venue.orders_by_id[leg.order_id] for leg in sells}


async def test_a_target_filled_in_part_is_found_within_three_seconds_though_no_event_tells_of_it(
    tmp_path: Path,
) -> None:
    async with reconcile_bench(fresh(tmp_path)) as b:
        legs = await armed_legs(b)
        target, stop = legs[OrderType.LIMIT_MAKER], legs[OrderType.STOP_LOSS]
        b.inner.venue.fill(target.order_id, str(target.orig_qty / 2))
        b.inner.venue.change(stop.order_id, status=OrderStatus.EXPIRED)

        b.inner.clock.step(2600)
        await b.inner.settle()
        unheard = b.inner.heard(b.position, FillBooked)
        b.inner.clock.step(400)
        await b.inner.settle()

        sold = [f.fill.qty for f in b.inner.heard(b.position, FillBooked)]
        told = b.inner.heard(b.position, OrderProgressed)
        assert target.orig_qty / 2 not in [f.fill.qty for f in unheard]
        assert sold == [target.orig_qty / 2]
        assert (stop.order_id, OrderStatus.EXPIRED) in [
            (t.order.order_id, t.order.status) for t in told
        ]


async def test_what_is_held_is_read_so_often_although_another_symbol_is_asked_for_all_the_time(
    tmp_path: Path,
) -> None:
    async with reconcile_bench(fresh(tmp_path)) as b:
        await armed_legs(b)
        venue_of(b).asked.clear()

        for _ in range(8):
            await b.tell(ReconcileWanted(cause="test", symbol="ADAUSDT"))
            b.inner.clock.step(500)
            await b.inner.settle()

        assert SYMBOL in venue_of(b).asked
        assert b.demands() == []


async def test_between_two_comparisons_what_is_held_costs_one_read_and_leaves_no_record(
    tmp_path: Path,
) -> None:
    async with reconcile_bench(fresh(tmp_path)) as b:
        await b.tell(UserStreamChanged(live=True, at_ms=b.inner.clock.now_ms()))
        await armed_legs(b)
        for _ in range(7):
            b.inner.clock.step(1000)
            await b.inner.settle()
        venue_of(b).asked.clear()
        before = b.passes()

        for _ in range(60):
            b.inner.clock.step(1000)
            await b.inner.settle()

        assert venue_of(b).asked.count(SYMBOL) == 24
        assert b.passes() - before == 12


async def test_an_entry_that_opens_is_read_within_three_seconds(tmp_path: Path) -> None:
    async with reconcile_bench(fresh(tmp_path)) as b:
        b.inner.clock.step(16_000)
        await b.inner.settle()
        before = b.passes()
        await b.inner.approve(a_decision())
        opening = changed(position(phase=PositionPhase.OPENING).position, symbol=SYMBOL, qty=D(0))
        await b.tell(opening)
        b.inner.clock.step(2600)
        await b.inner.settle()
        early = b.passes()
        b.inner.clock.step(400)
        await b.inner.settle()

        assert early <= before + 1
        assert b.passes() > early


async def test_after_a_silence_it_reads_at_once(tmp_path: Path) -> None:
    async with reconcile_bench(fresh(tmp_path)) as b:
        await b.inner.approve(a_decision())
        venue_of(b).failures = [
            Throttled(retry_after_ms=20_000, banned=True),
            Throttled(retry_after_ms=1, banned=True),
        ]
        b.inner.clock.step(15_000)
        await b.inner.settle()
        before = b.passes()

        for ms in (20_000, 1, 250):
            b.inner.clock.step(ms)
            await b.inner.settle()

        assert b.passes() > before


async def test_balances_read_go_to_risk_and_position(tmp_path: Path) -> None:
    async with reconcile_bench(fresh(tmp_path)) as b:
        await b.look()

        assert b.inner.heard(b.actor.risk, AccountObserved)
        assert b.inner.heard(b.position, AccountObserved)


async def test_recovery_reads_twice_before_it_calls_a_difference_drift(tmp_path: Path) -> None:
    async with reconcile_bench(fresh(tmp_path)) as b:
        plant(b, client_order_id("oi_lost"))
        reply: Reply[RecoverySummary] = Reply()
        await b.tell(RecoverAsked(reply=reply))
        b.inner.clock.step(2100)
        await b.inner.settle()

        summary = await reply.wait()

        assert summary.drift is SignalLevel.PAUSE
        assert summary.unresolved == 0


async def test_a_clean_account_recovers_clean(tmp_path: Path) -> None:
    async with reconcile_bench(fresh(tmp_path)) as b:
        reply: Reply[RecoverySummary] = Reply()
        await b.tell(RecoverAsked(reply=reply))

        summary = await reply.wait()

        assert (summary.drift, summary.unresolved) == (SignalLevel.CLEAR, 0)
        assert summary.detail == "0 differences"


@pytest.mark.parametrize(("offset_ms", "counted"), [(0, 0), (3_600_000, 1), (-3_600_000, 0)])
async def test_how_long_ago_an_order_moved_is_told_by_the_exchanges_clock(
    tmp_path: Path, offset_ms: int, counted: int
) -> None:
    """The exchange stamps orders with the local time here: an hour ahead, that is an hour ago."""
    clock = StepClock()
    venue, told = FlakyVenue(clock), Mailbox[ExecutionInbox]("told", 10, clock)
    async with bench(fresh(tmp_path), clock=clock, venue=venue) as inner:
        await inner.approve(a_decision())
        believed = await LedgerQueries(InlineReader(inner.path)).open_orders()
        order = venue.working_buys()[0]
        venue.fill(order.order_id, str(order.orig_qty))
        source = Reading(
            begun_ms=0,
            settings=inner.settings,
            clock=clock,
            server_clock=FixedOffset(clock, offset_ms),
            ledger=LedgerQueries(InlineReader(inner.path)),
            reads=venue,
            execution=told,
            risk=inner.actor.risk,
            position=inner.actor.position,
            beat=lambda: None,
        )
        clock.step(1500)
        diffs = await source.symbol(Watch(), SYMBOL, believed)

    moved = [diff for diff in diffs if diff.subject == f"order {order.order_id}"]
    assert len(moved) == counted


async def test_a_foreign_order_that_is_open_no_more_is_asked_for_and_frees_its_symbol(
    tmp_path: Path,
) -> None:
    async with reconcile_bench(fresh(tmp_path)) as b:
        plant(b, "web_123")
        await b.look()
        await b.inner.approve(a_decision())
        assert b.inner.venue.sent == []
        # Its end is told to nobody, and the first read of it lags.
        b.inner.venue.change(900, status=OrderStatus.CANCELED)
        venue = b.inner.venue
        assert isinstance(venue, FlakyVenue)
        venue.unread.append(NoSuchOrder(-2013, "Order does not exist."))
        await b.look()
        await b.inner.approve(a_decision())
        assert b.inner.venue.sent == []

        await b.look()
        await b.inner.approve(a_decision())

        assert len(b.inner.venue.sent) == 1


async def test_a_clock_set_back_keeps_no_order_from_being_asked_for(tmp_path: Path) -> None:
    async with reconcile_bench(fresh(tmp_path)) as b:
        await b.inner.approve(a_decision())
        order = b.inner.venue.working_buys()[0]
        b.inner.venue.change(order.order_id, status=OrderStatus.EXPIRED)
        b.inner.clock.step(9000)
        b.inner.clock.wall_ms -= 3_600_000

        await b.look()

        told = b.inner.heard(b.position, OrderProgressed)
        assert OrderStatus.EXPIRED in [t.order.status for t in told]
