"""The desk of a run that sends nothing: estimates are recorded, and nobody is told of a fill."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import anyio
import msgspec
import pytest

from livespot.actors.mail import (
    AccountObserved,
    ApprovedEntry,
    EntryEnded,
    ExecutionInbox,
    Marks,
    ProposalEnded,
    StopAsked,
    SymbolDropped,
)
from livespot.actors.shadow_desk import SHADOW, ShadowDesk, TradesHeard, terms_of
from livespot.contracts.codes import ReasonCode
from livespot.contracts.decision import Costs, Decision, RiskVerdict
from livespot.contracts.market import AggTrade
from livespot.contracts.settings import Settings
from livespot.contracts.vocabulary import EventType, Verdict
from livespot.rules.shadow_fills import ShadowTerms
from livespot.runtime.mailboxes import Mailbox, Reply
from livespot.testing.audit import RecordingAudit
from livespot.testing.clock import ManualClock
from livespot.testing.market_values import NOW_MS, a_snapshot
from livespot.testing.risk_values import an_entry
from livespot.testing.server_clock import FixedOffset

SYMBOL = "SOLUSDT"


def approved() -> Decision:
    verdict = RiskVerdict(
        verdict=Verdict.ALLOW,
        approved_qty=Decimal("0.5"),
        reasons=(),
        limits={},
        costs=Costs(fees_bps=20, slippage_bps=5, spread_bps=1, delta_spread_bps=0),
    )
    return msgspec.structs.replace(an_entry(), risk_verdict=verdict)


DECISION = approved()


def terms() -> ShadowTerms:
    found = terms_of(DECISION, Settings(), placed_ms=NOW_MS)
    assert found is not None
    return found


@dataclass(kw_only=True)
class Bench:
    """One desk, its mailboxes and what it said."""

    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW_MS))
    audit: RecordingAudit = field(default_factory=RecordingAudit)
    inbox: Mailbox[ExecutionInbox]
    trades: Mailbox[AggTrade | SymbolDropped]
    risk: Mailbox[Any]
    signal: Mailbox[Any]
    last_id: int = 0

    def trade(self, price: Decimal, after_ms: int, *, skip: int = 0) -> None:
        self.last_id += 1 + skip
        self.trades.offer(
            AggTrade(
                symbol=SYMBOL,
                trade_id=self.last_id,
                price=price,
                qty=Decimal(1),
                buyer_is_maker=True,
                exchange_time_ms=NOW_MS + after_ms,
                local_received_ms=NOW_MS + after_ms,
            )
        )

    async def look(self, after_ms: int) -> None:
        """Let the desk deal with everything that is there at that time."""
        self.clock.advance(NOW_MS + after_ms - self.clock.now_ms())
        # Any message wakes it; this one says nothing to it.
        await self.inbox.send(Marks(bids={}, asks={}, at_ms=0))
        await anyio.wait_all_tasks_blocked()

    async def approve(self) -> None:
        await self.inbox.send(
            ApprovedEntry(decision=DECISION, snapshot=a_snapshot(Settings()), approved_at_ms=NOW_MS)
        )
        await anyio.wait_all_tasks_blocked()

    def risk_heard(self) -> list[Any]:
        return drained(self.risk)

    async def stop(self) -> None:
        reply: Reply[None] = Reply()
        await self.inbox.send(StopAsked(within_ms=1000, reply=reply))
        await reply.wait()

    def told(self) -> list[dict[str, Any]]:
        """The estimates on record."""
        drafts = [entry.draft for entry in self.audit.entries]
        assert all(draft.event_type is EventType.DECISION_PROPOSED for draft in drafts)
        assert all(draft.data["outcome"] == SHADOW for draft in drafts)
        assert all(entry.records == () for entry in self.audit.entries)
        return [draft.data["shadow"] for draft in drafts]


def drained(mailbox: Mailbox[Any]) -> list[Any]:
    found = []
    while (message := mailbox.receive_nowait()) is not None:
        found.append(message)
    return found


@asynccontextmanager
async def at_work() -> AsyncIterator[Bench]:
    """A desk that follows one approved entry."""
    clock = ManualClock(NOW_MS)
    bench = Bench(
        clock=clock,
        inbox=Mailbox("execution", 16, clock),
        trades=Mailbox("trades", 16, clock),
        risk=Mailbox("risk", 64, clock),
        signal=Mailbox("signal", 64, clock),
    )
    desk = ShadowDesk(
        settings=Settings(),
        clock=clock,
        server_clock=FixedOffset(clock),
        audit=bench.audit,
        inbox=bench.inbox,
        trades=bench.trades,
        risk=bench.risk,
        signal=bench.signal,
        beat=lambda: None,
    )
    async with anyio.create_task_group() as tasks:
        await tasks.start(desk.run)
        await bench.approve()
        yield bench
        tasks.cancel_scope.cancel()


async def test_the_entry_and_its_terms_are_on_record_before_anything_is_estimated() -> None:
    async with at_work() as bench:
        (told,) = bench.told()

    plan = DECISION.entry_plan
    assert plan is not None
    assert told["outcome"] == "WOULD_ENTER"
    assert (told["qty"], told["limit_price"]) == (Decimal("0.5"), plan.limit_price)
    assert (told["maker_bps"], told["taker_bps"], told["slippage_bps"]) == (10, 10, 5)
    assert told["net_quote"] is None
    assert "no order was sent" in told["note"]


async def test_a_target_reached_is_an_estimate_and_risk_hears_of_no_fill() -> None:
    async with at_work() as bench:
        bench.trade(terms().limit_price - Decimal("0.01"), 100)
        bench.trade(terms().tp_price + Decimal("0.01"), 200)
        await bench.look(3000)
        told, to_risk, to_signal = bench.told(), drained(bench.risk), drained(bench.signal)

    assert [one["outcome"] for one in told] == ["WOULD_ENTER", "TAKE_PROFIT"]
    assert told[1]["net_quote"] > 0
    assert told[1]["fees_quote"] > 0
    ended = [message for message in to_risk if not isinstance(message, AccountObserved)]
    assert [type(message) for message in ended] == [EntryEnded]
    assert (ended[0].filled_qty, ended[0].filled_quote) == (0, 0)
    assert to_signal == [ProposalEnded(decision_id=DECISION.decision_id, symbol=SYMBOL, reasons=())]


async def test_an_entry_nobody_met_ends_when_its_patience_is_over() -> None:
    async with at_work() as bench:
        bench.trade(terms().limit_price, 100)
        await bench.look(terms().patience_ms + 2500)
        told, to_signal = bench.told(), drained(bench.signal)

    assert told[-1]["outcome"] == "NOT_FILLED"
    assert told[-1]["net_quote"] == 0
    assert [message.reasons for message in to_signal] == [(ReasonCode.STRAT_ENTRY_TIMEOUT,)]


@pytest.mark.parametrize("cause", ["trades lost", "no longer streamed", "too many at once"])
async def test_after_lost_trades_the_model_says_that_it_does_not_know(cause: str) -> None:
    async with at_work() as bench:
        bench.trade(terms().limit_price - Decimal("0.01"), 100)
        await bench.look(500)
        if cause == "trades lost":
            bench.trade(terms().tp_price + 1, 600, skip=3)
        elif cause == "no longer streamed":
            bench.trades.offer(SymbolDropped(symbol=SYMBOL))
        else:
            for number in range(20):
                bench.trade(terms().limit_price, 600 + number)
        await bench.look(4000)
        told = bench.told()

    assert told[-1]["outcome"] == "UNKNOWN"
    assert told[-1]["net_quote"] is None


async def test_what_is_still_open_at_the_end_of_the_run_is_recorded_as_open() -> None:
    async with at_work() as bench:
        bench.trade(terms().limit_price - Decimal("0.01"), 100)
        await bench.look(3000)
        await bench.stop()
        told = bench.told()

    assert told[-1]["outcome"] == "OPEN_AT_END"
    assert (told[-1]["exit_price"], told[-1]["net_quote"]) == (None, None)
    assert told[-1]["entered_ms"] == NOW_MS + 100


async def test_an_entry_approved_after_the_end_is_not_begun() -> None:
    async with at_work() as bench:
        await bench.stop()
        bench.risk_heard()
        told = bench.told()
        await bench.approve()
        later = bench.told()
        heard = bench.risk_heard()

    assert [one["outcome"] for one in later] == ["WOULD_ENTER", "OPEN_AT_END"]
    assert later == told
    # Risk still gets the end of what it allowed, or it would hold the money for ever.
    assert [type(one) for one in heard] == [EntryEnded]


async def test_risk_is_told_of_as_much_money_as_the_limits_allow() -> None:
    async with at_work() as bench:
        observed = [m for m in drained(bench.risk) if isinstance(m, AccountObserved)]

    assert observed[0].account.free("USDT") == Settings().risk.max_exposure_total
    assert not observed[0].account.can_trade


async def test_market_state_gets_everything_and_the_desk_its_trades() -> None:
    clock = ManualClock(NOW_MS)
    heard: Mailbox[AggTrade | SymbolDropped] = Mailbox("heard", 4, clock)
    state = TradesHeard("market state", 4, clock, heard)
    dropped = SymbolDropped(symbol=SYMBOL)

    await state.send(dropped)

    assert (state.receive_nowait(), heard.receive_nowait()) == (dropped, dropped)
