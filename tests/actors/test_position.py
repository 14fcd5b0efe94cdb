"""Positions through the keeper and the real execution actor: durable, protected, never doubled."""

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from livespot.actors.execution_work import Attempts
from livespot.actors.mail import StopAsked
from livespot.contracts.codes import ReasonCode
from livespot.contracts.orders import CancelRequest, ListRequest, OrderRequest, Position
from livespot.contracts.settings import ExitSettings, Settings
from livespot.contracts.system import Alert, HealthSignal
from livespot.contracts.vocabulary import (
    ExitReason,
    OrderStatus,
    OrderType,
    PositionPhase,
    Side,
    SignalKind,
    SignalLevel,
)
from livespot.runtime.mailboxes import Reply
from livespot.testing.execution_bench import a_decision, bench, remember
from livespot.testing.ledger_rows import fresh
from livespot.testing.position_bench import PositionBench, position_bench
from livespot.testing.scripted_venue import DROP_REQUEST, refused

SEPARATE = msgspec.structs.replace(Settings(), exit=ExitSettings(attach="SEPARATE"))


def own_lists(b: PositionBench) -> list[ListRequest]:
    """Protections sent by us: order lists without a working entry."""
    sent = [r for r in b.inner.venue.sent if isinstance(r, ListRequest)]
    return [r for r in sent if r.working is None]


def protection_levels(b: PositionBench) -> list[SignalLevel]:
    signals = b.inner.heard(b.keeper.governor, HealthSignal)
    return [s.level for s in signals if s.kind is SignalKind.PROTECTION]


async def test_an_attached_exit_protects_without_any_order_of_ours(tmp_path: Path) -> None:
    async with position_bench(fresh(tmp_path)) as b:
        entry = await b.buy()
        await b.arm(entry)
        await b.inner.advance(3000)

        position = await b.position()

        assert position.phase is PositionPhase.PROTECTED
        assert position.protection_list_id == entry.order_list_id
        assert own_lists(b) == []
        assert protection_levels(b) == []


async def test_the_position_is_on_disk_with_the_net_of_base_fees(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    async with position_bench(path) as b:
        entry = await b.buy()
        await b.arm(entry)

        (row,) = await b.keeper.ledger.open_positions()

        assert row.qty == entry.orig_qty - entry.orig_qty / 1000
        assert row.phase is PositionPhase.PROTECTED


async def test_legs_that_end_at_arming_are_replaced_by_a_list_of_ours_at_once(
    tmp_path: Path,
) -> None:
    async with position_bench(fresh(tmp_path)) as b:
        entry = await b.buy()
        await b.arm(entry, OrderStatus.REJECTED)

        (wanted,) = own_lists(b)

        position = await b.position()
        assert wanted.qty is not None
        assert wanted.qty <= position.qty
        assert position.phase is PositionPhase.PROTECTED


async def test_a_separate_exit_is_sent_after_the_fill_for_what_is_really_held(
    tmp_path: Path,
) -> None:
    async with position_bench(fresh(tmp_path), settings=SEPARATE) as b:
        await b.buy()

        (wanted,) = own_lists(b)
        position = await b.position()

        assert wanted.below.type is OrderType.STOP_LOSS
        assert position.phase is PositionPhase.PROTECTED
        assert position.sl_price < position.avg_price < position.tp_price


async def test_a_filled_take_profit_ends_the_position_with_its_reason(tmp_path: Path) -> None:
    async with position_bench(fresh(tmp_path)) as b:
        entry = await b.buy()
        await b.arm(entry)
        stop, profit = sorted(b.legs(entry.order_list_id), key=lambda v: v.type == "LIMIT_MAKER")
        b.inner.venue.fill(profit.order_id, str(entry.orig_qty))
        await b.inner.stream(profit.order_id)
        b.inner.venue.change(stop.order_id, status=OrderStatus.EXPIRED)
        await b.inner.stream(stop.order_id)

        told = b.inner.heard(b.keeper.risk, Position)

        assert told[-1].phase is PositionPhase.FLAT
        assert told[-1].exit_reason is ExitReason.TAKE_PROFIT
        assert await b.held() == ()
        assert [r for r in b.inner.venue.sent if isinstance(r, CancelRequest)] == []


async def test_refused_lists_end_in_a_single_stop(tmp_path: Path) -> None:
    async with position_bench(fresh(tmp_path), settings=SEPARATE) as b:
        no = refused(-2010, "This action is disabled on this account.")
        b.inner.venue.script = ["ACCEPT", no, no, no]
        await b.buy()
        await b.inner.advance(1500)

        singles = [r for r in b.inner.venue.sent if isinstance(r, OrderRequest)]

        assert len(own_lists(b)) == 3
        assert singles[-1].type is OrderType.STOP_LOSS
        assert (await b.position()).phase is PositionPhase.PROTECTED


async def cancel_sells(b: PositionBench) -> None:
    """Somebody cancels by hand whatever is offered for sale."""
    for view in b.inner.venue.of_side(Side.SELL):
        if not view.status.is_terminal:
            b.inner.venue.change(view.order_id, status=OrderStatus.CANCELED)
            await b.inner.stream(view.order_id)


async def test_requests_blocked_as_sent_before_take_the_next_rung_and_end_in_a_pause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def first(*_: object) -> int:
        return 1

    monkeypatch.setattr(Attempts, "next", first)
    async with position_bench(fresh(tmp_path), settings=SEPARATE) as b:
        await b.buy()
        await cancel_sells(b)
        await b.inner.advance(2000)
        lesser = await b.position()
        await cancel_sells(b)
        await b.inner.advance(5200)

        alerts = [a.code for a in b.inner.heard(b.keeper.governor, Alert)]
        singles = [r for r in b.inner.venue.sent if isinstance(r, OrderRequest) if r.side == "SELL"]

        assert lesser.phase is PositionPhase.PROTECTED
        assert len(own_lists(b)) == 1
        assert [r.type for r in singles[:2]] == [OrderType.STOP_LOSS, OrderType.MARKET]
        assert protection_levels(b)[-1] is SignalLevel.PAUSE
        assert ReasonCode.PAUSE_NEEDS_MANUAL_PROTECTION in alerts
        assert 0 < alerts.count(ReasonCode.CLIENT_ORDER_ID_REUSE_BLOCK) < 15


async def test_a_crossed_stop_is_sold_at_once(tmp_path: Path) -> None:
    async with position_bench(fresh(tmp_path), settings=SEPARATE) as b:
        await b.bid("50")
        await b.buy()
        await b.inner.advance(300)

        sales = [r for r in b.inner.venue.sent if isinstance(r, OrderRequest) and r.side == "SELL"]

        assert own_lists(b) == []
        assert sales[0].type is OrderType.LIMIT
        assert sales[0].price == 50


async def test_an_unknown_protection_degrades_then_pauses_with_a_critical_alert(
    tmp_path: Path,
) -> None:
    async with position_bench(fresh(tmp_path), settings=SEPARATE) as b:
        b.inner.venue.script = ["ACCEPT", DROP_REQUEST]
        await b.base("1000")
        await b.buy()
        await b.base("1000")
        await b.inner.advance(2100)
        assert protection_levels(b) == [SignalLevel.DEGRADE]
        await b.inner.advance(3000)

        alerts = [a.code for a in b.inner.heard(b.keeper.governor, Alert) if a.severity == "CRIT"]
        assert protection_levels(b) == [SignalLevel.PAUSE]
        assert "PAUSE_NEEDS_MANUAL_PROTECTION" in alerts
        assert len(own_lists(b)) == 1


async def test_a_protection_cancelled_by_hand_is_installed_again(tmp_path: Path) -> None:
    async with position_bench(fresh(tmp_path)) as b:
        entry = await b.buy()
        await b.arm(entry)
        for leg in b.legs(entry.order_list_id):
            b.inner.venue.change(leg.order_id, status=OrderStatus.CANCELED)
            await b.inner.stream(leg.order_id)

        assert len(own_lists(b)) == 1
        assert (await b.position()).phase is PositionPhase.PROTECTED


async def test_a_killed_keeper_finds_its_position_and_its_orders_again(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    async with position_bench(path) as b:
        entry = await b.buy()
        await b.arm(entry)
        venue, clock = b.inner.venue, b.inner.clock
        before = await b.position()
        sent = len(venue.sent)
    async with position_bench(path, venue=venue, clock=clock) as b:
        await b.inner.recover()
        summary = await b.recover()

        after = await b.position()

        assert summary.unresolved == 0
        assert after.phase is PositionPhase.PROTECTED
        assert (after.qty, after.position_id) == (before.qty, before.position_id)
        assert len(venue.sent) == sent


async def test_a_position_found_bare_at_boot_is_protected_before_the_answer_is_a_second_old(
    tmp_path: Path,
) -> None:
    path = fresh(tmp_path)
    async with position_bench(path) as b:
        entry = await b.buy()
        await b.arm(entry)
        venue, clock = b.inner.venue, b.inner.clock
    for view in list(venue.orders_by_id.values()):
        if view.order_list_id == entry.order_list_id and view.side == "SELL":
            venue.change(view.order_id, status=OrderStatus.EXPIRED)
    async with position_bench(path, venue=venue, clock=clock) as b:
        await b.inner.recover()
        await b.recover()
        await b.inner.advance(500)

        assert (await b.position()).phase is PositionPhase.PROTECTED
        assert len(own_lists(b)) == 1


async def test_a_keeper_that_takes_a_position_over_withdraws_its_earlier_demand(
    tmp_path: Path,
) -> None:
    path = fresh(tmp_path)
    async with position_bench(path) as b:
        entry = await b.buy()
        await b.inner.advance(2500)
        assert protection_levels(b) == [SignalLevel.DEGRADE]
        venue, clock = b.inner.venue, b.inner.clock
    for leg in [v for v in venue.orders_by_id.values() if v.side == "SELL"]:
        venue.change(leg.order_id, status=OrderStatus.NEW, orig_qty=entry.orig_qty)
    async with position_bench(path, venue=venue, clock=clock) as b:
        await b.inner.recover()
        await b.recover()

        assert (await b.position()).phase is PositionPhase.PROTECTED
        assert protection_levels(b) == [SignalLevel.CLEAR]


async def test_stopping_waits_for_protection_and_leaves_it_standing(tmp_path: Path) -> None:
    async with position_bench(fresh(tmp_path)) as b:
        entry = await b.buy()
        reply: Reply[None] = Reply()
        await b.tell(StopAsked(within_ms=30_000, reply=reply))
        with b.inner.clock.move_on_after(0.02) as early:
            await reply.wait()

        await b.arm(entry)
        await reply.wait()

        assert early.cancelled_caught
        assert (await b.position()).phase is PositionPhase.PROTECTED
        assert not any(isinstance(r, CancelRequest) for r in b.inner.venue.sent)


async def test_a_fill_booked_before_recovery_is_adopted_and_protected_only_once(
    tmp_path: Path,
) -> None:
    path = fresh(tmp_path)
    async with bench(path, settings=SEPARATE) as before:
        decision = a_decision(SEPARATE)
        await remember(before, decision)
        await before.approve(decision)
        order = before.venue.working_buys()[0]
        before.venue.fill(order.order_id, str(order.orig_qty))
    async with position_bench(path, settings=SEPARATE, venue=before.venue, clock=before.clock) as b:
        await b.inner.recover()
        await b.inner.advance(300)
        await b.recover()
        await b.inner.advance(300)

        position = await b.position()

        assert position.qty == order.orig_qty - order.orig_qty / 1000
        assert position.phase is PositionPhase.PROTECTED
        assert len(own_lists(b)) == 1


async def test_what_the_bid_does_not_take_goes_at_market_and_ends_as_a_stop_loss(
    tmp_path: Path,
) -> None:
    async with position_bench(fresh(tmp_path), settings=SEPARATE) as b:
        await b.bid("50")
        await b.buy()
        await b.inner.advance(600)
        market = next(v for v in b.inner.venue.orders_by_id.values() if v.type == "MARKET")
        b.inner.venue.change(market.order_id, price=Decimal(50))
        b.inner.venue.fill(market.order_id, str(market.orig_qty))
        await b.inner.stream(market.order_id)
        await b.inner.advance(300)

        last = b.inner.heard(b.keeper.risk, Position)[-1]

        assert last.phase in (PositionPhase.FLAT, PositionPhase.DUST)
        assert last.exit_reason is ExitReason.STOP_LOSS
        assert last.realised_quote < 0
        assert await b.held() == ()


async def test_a_take_profit_found_partly_filled_seconds_ago_is_cancelled_at_once(
    tmp_path: Path,
) -> None:
    async with position_bench(fresh(tmp_path)) as b:
        entry = await b.buy()
        await b.arm(entry)
        stop, profit = sorted(b.legs(entry.order_list_id), key=lambda v: v.type == "LIMIT_MAKER")
        b.inner.venue.fill(profit.order_id, "0.5")
        b.inner.venue.change(stop.order_id, status=OrderStatus.EXPIRED)
        await b.inner.advance(4900)
        unheard = [r for r in b.inner.venue.sent if isinstance(r, CancelRequest)]
        for leg in (profit, stop):
            await b.inner.tell(b.inner.venue.update(leg.order_id, "REST", with_fills=True))
        await b.inner.advance(100)

        cancels = [r for r in b.inner.venue.sent if isinstance(r, CancelRequest)]

        assert unheard == []
        assert [c.order_id for c in cancels] == [profit.order_id]
        assert [r.side for r in b.inner.venue.sent if isinstance(r, OrderRequest)] == [Side.SELL]


async def test_a_partly_filled_take_profit_is_cancelled_after_its_grace_and_the_rest_sold(
    tmp_path: Path,
) -> None:
    async with position_bench(fresh(tmp_path)) as b:
        entry = await b.buy()
        await b.arm(entry)
        stop, profit = sorted(b.legs(entry.order_list_id), key=lambda v: v.type == "LIMIT_MAKER")
        b.inner.venue.fill(profit.order_id, "0.5")
        b.inner.venue.change(stop.order_id, status=OrderStatus.EXPIRED)
        await b.inner.stream(profit.order_id)
        await b.inner.stream(stop.order_id)
        await b.inner.advance(1400)
        early = [r for r in b.inner.venue.sent if isinstance(r, CancelRequest)]
        await b.inner.advance(600)

        cancels = [r for r in b.inner.venue.sent if isinstance(r, CancelRequest)]
        sales = [r for r in b.inner.venue.sent if isinstance(r, OrderRequest)]
        position = await b.position()

        assert early == []
        assert [c.order_id for c in cancels] == [profit.order_id]
        assert 0 < sales[0].qty <= position.qty
