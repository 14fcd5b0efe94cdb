"""Whatever happens in whatever order, the risk actor's limits hold and no reserve leaks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from typing import Any

import anyio
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livespot.actors.mail import (
    AccountObserved,
    ApprovedEntry,
    EntryEnded,
    EntryOpened,
    ExecutionInbox,
    FeaturesAsked,
    FillBooked,
    GatedProposal,
    GovernorInbox,
    RiskInbox,
    SignalInbox,
    SymbolsLearned,
)
from livespot.actors.risk import RiskOfficer
from livespot.contracts.canonical import canonical_json
from livespot.contracts.decision import Decision
from livespot.contracts.market import Snapshot
from livespot.contracts.orders import AccountView, Balance
from livespot.contracts.records import ReserveRow, RiskVerdictRow
from livespot.contracts.settings import RiskSettings, SelectionSettings, Settings
from livespot.contracts.system import ModeChanged
from livespot.contracts.vocabulary import IntentRole, PositionPhase, Side, SysMode
from livespot.rules.risk import assess
from livespot.rules.verdict_inputs import read_inputs, view_of
from livespot.runtime.mailboxes import Mailbox
from livespot.store.queries import LedgerQueries
from livespot.testing.audit import RecordingAudit
from livespot.testing.clock import ManualClock
from livespot.testing.ledger_rows import position
from livespot.testing.market_values import NOW_MS, a_snapshot, a_symbol
from livespot.testing.risk_values import a_gate_result, a_trade, an_entry
from livespot.testing.server_clock import FixedOffset

_SYMBOLS = ("AAAUSDT", "BBBUSDT", "CCCUSDT", "DDDUSDT")
_LIMITS = RiskSettings(max_trades_per_day=6, max_trades_per_window=2, max_open_orders_total=3)
_SETTINGS = Settings(risk=_LIMITS, selection=SelectionSettings(corr_min_symbols=1000))
_HOUR_MS = 3_600_000


class _EmptyDatabase:
    async def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return []


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counts:
    used_weight: int = 0
    weight_limit: int = 6000
    unfilled_orders_pct: int = 0


@dataclass
class _Entry:
    """An approved entry as the exchange could still fill it; unknown counts as open."""

    decision: Decision
    left: Decimal
    price: Decimal
    open: bool = True


@dataclass
class _World:
    """An independent account of what has been let through."""

    risk: Mailbox[RiskInbox]
    execution: Mailbox[ExecutionInbox]
    audit: RecordingAudit
    clock: ManualClock
    free: Decimal
    entries: list[_Entry] = field(default_factory=list)
    held: dict[str, Decimal] = field(default_factory=dict)
    qty: dict[str, Decimal] = field(default_factory=dict)
    trades: list[tuple[str, int]] = field(default_factory=list)
    spent: Decimal = Decimal(0)
    number: int = 0
    proposed: dict[str, GatedProposal] = field(default_factory=dict)

    async def say(self, *messages: RiskInbox) -> None:
        for message in messages:
            await self.risk.send(message)
        while self.risk.stats().depth:
            await anyio.lowlevel.checkpoint()
        await anyio.wait_all_tasks_blocked()
        while (approved := self.execution.receive_nowait()) is not None:
            assert isinstance(approved, ApprovedEntry)
            self._approved(approved.decision)

    def _approved(self, decision: Decision) -> None:
        plan, verdict = decision.entry_plan, decision.risk_verdict
        assert plan is not None
        assert verdict is not None
        assert verdict.approved_qty <= plan.qty
        entry = _Entry(decision=decision, left=verdict.approved_qty, price=plan.limit_price)
        self.entries.append(entry)

    def pending(self) -> list[_Entry]:
        return [entry for entry in self.entries if entry.open]

    def check(self) -> None:
        exposure = dict(self.held)
        for entry in self.pending():
            symbol = entry.decision.symbol
            exposure[symbol] = exposure.get(symbol, Decimal(0)) + entry.left * entry.price
        open_quote = sum((e.left * e.price for e in self.pending()), Decimal(0))
        assert all(quote <= _LIMITS.max_exposure_symbol for quote in exposure.values())
        assert sum(exposure.values()) <= _LIMITS.max_exposure_total
        assert self.spent + open_quote <= self.free
        assert len(self.pending()) <= _LIMITS.max_open_orders_total
        started = {e.decision.decision_id for e in self.pending() if e.decision.symbol in self.held}
        waiting = sum(1 for e in self.pending() if e.decision.decision_id not in started)
        assert len(self.trades) + waiting <= _LIMITS.max_trades_per_day
        for symbol in _SYMBOLS:
            recent = [at for s, at in self.trades if s == symbol and self._ago(at) < _HOUR_MS]
            assert len(recent) <= _LIMITS.max_trades_per_window

    def _ago(self, at_ms: int) -> int:
        return self.clock.now_ms() - at_ms


@cache
def _proposal(symbol: str) -> tuple[Snapshot, Decision]:
    snapshot = a_snapshot(_SETTINGS, symbol=symbol)
    return snapshot, an_entry(snapshot, _SETTINGS)


async def _propose(world: _World, symbol: str) -> None:
    """A fresh decision each time: only its numbers matter here, so its id is simply counted."""
    world.number += 1
    snapshot, decision = _proposal(symbol)
    now = world.clock.now_ms()
    fresh = msgspec.structs.replace(decision, decision_id=f"dec_{world.number}", ts_ms=now)
    proposal = GatedProposal(
        decision=fresh,
        snapshot=msgspec.structs.replace(snapshot, local_received_ms=now),
        gate=a_gate_result(),
    )
    world.proposed[fresh.decision_id] = proposal
    await world.say(proposal)


async def _open(world: _World, entry: _Entry) -> None:
    await world.say(
        EntryOpened(decision=entry.decision, order_intent_id="oi", at_ms=world.clock.now_ms())
    )


async def _fill(world: _World, entry: _Entry, percent: int) -> None:
    symbol = entry.decision.symbol
    qty = (entry.left * percent / 100).quantize(Decimal("0.001"))
    if not qty:
        return
    await _open(world, entry)
    if symbol not in world.held:
        world.trades.append((symbol, world.clock.now_ms()))
    entry.left -= qty
    world.spent += qty * entry.price
    world.held[symbol] = world.held.get(symbol, Decimal(0)) + qty * entry.price
    world.qty[symbol] = world.qty.get(symbol, Decimal(0)) + qty
    await _book(world, entry.decision, Side.BUY, qty, entry.price)


async def _book(
    world: _World, decision: Decision, side: Side, qty: Decimal, price: Decimal
) -> None:
    world.number += 1
    now = world.clock.now_ms()
    fill = a_trade(
        world.number,
        side,
        str(price),
        str(qty),
        symbol=decision.symbol,
        commission=Decimal(0),
        exchange_time_ms=now,
        local_received_ms=now,
    )
    await world.say(
        FillBooked(
            fill=fill,
            order_intent_id="oi",
            decision_id=decision.decision_id,
            role=IntentRole.ENTRY if side is Side.BUY else IntentRole.TP,
            fee_quote=Decimal(0),
            fee_unpriced=False,
        )
    )


async def _sell(world: _World, symbol: str) -> None:
    """Close a position whose entry is over."""
    mine = [entry for entry in world.entries if entry.decision.symbol == symbol]
    if symbol not in world.held or mine[-1].open:
        return
    decision, price = mine[-1].decision, mine[-1].price
    await _book(world, decision, Side.SELL, world.qty.pop(symbol), price)
    flat = position(phase=PositionPhase.FLAT).position
    await world.say(
        msgspec.structs.replace(
            flat, symbol=symbol, decision_id=decision.decision_id, realised_quote=Decimal(0)
        )
    )
    del world.held[symbol]


async def _end(world: _World, entry: _Entry) -> None:
    verdict = entry.decision.risk_verdict
    assert verdict is not None
    filled = verdict.approved_qty - entry.left
    entry.open = False
    await world.say(
        EntryEnded(
            decision_id=entry.decision.decision_id,
            symbol=entry.decision.symbol,
            order_intent_id="oi",
            filled_qty=filled,
            filled_quote=filled * entry.price,
            attached_list_id=-1,
            tp_client_id="",
            sl_client_id="",
            reasons=(),
            at_ms=world.clock.now_ms(),
        )
    )


def _account(free: Decimal, at_ms: int) -> AccountObserved:
    return AccountObserved(
        account=AccountView(
            balances={"USDT": Balance(asset="USDT", free=free, locked=Decimal(0))},
            can_trade=True,
            update_time_ms=at_ms,
            local_received_ms=at_ms,
        )
    )


_NORMAL = ModeChanged(
    mode=SysMode.NORMAL, previous=SysMode.DEGRADE, reasons=(), active=(), at_ms=NOW_MS
)
_ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("propose"), st.integers(0, 3)),
        st.tuples(st.just("propose"), st.integers(0, 3)),
        st.tuples(st.just("fill"), st.integers(0, 100)),
        st.tuples(st.just("end"), st.integers(0, 9)),
        st.tuples(st.just("sell"), st.integers(0, 3)),
        st.tuples(st.just("wait"), st.integers(1, 20_000)),
    ),
    min_size=20,
    max_size=80,
)


async def _act(world: _World, action: str, number: int) -> None:
    pending = world.pending()
    match action:
        case "propose":
            await _propose(world, _SYMBOLS[number])
        case "fill" if pending:
            await _fill(world, pending[number % len(pending)], number)
        case "end" if pending:
            await _end(world, pending[number % len(pending)])
        case "sell":
            await _sell(world, _SYMBOLS[number])
        case "wait":
            # Everything approved is opened first: execution never opens a lapsed approval.
            for entry in pending:
                await _open(world, entry)
            world.clock.advance(number)
        case _:
            return


async def _live(actions: list[tuple[str, int]], free: Decimal) -> None:
    clock, audit = ManualClock(NOW_MS), RecordingAudit()
    risk: Mailbox[RiskInbox] = Mailbox("risk", 64, clock)
    execution: Mailbox[ExecutionInbox] = Mailbox("execution", 64, clock)
    signal: Mailbox[SignalInbox] = Mailbox("signal", 256, clock)
    governor: Mailbox[GovernorInbox] = Mailbox("governor", 256, clock)
    market: Mailbox[FeaturesAsked] = Mailbox("market", 64, clock)
    officer = RiskOfficer(
        settings=_SETTINGS,
        clock=clock,
        server_clock=FixedOffset(clock),
        audit=audit,
        ledger=LedgerQueries(_EmptyDatabase()),
        counts=_Counts(),
        inbox=risk,
        execution=execution,
        signal=signal,
        governor=governor,
        market=market,
    )
    world = _World(risk=risk, execution=execution, audit=audit, clock=clock, free=free)
    async with anyio.create_task_group() as group:
        await group.start(officer.run)
        infos = {symbol: a_symbol(symbol) for symbol in _SYMBOLS}
        await world.say(
            SymbolsLearned(infos=infos, cause="BOOT", at_ms=NOW_MS),
            _NORMAL,
            _account(world.free, NOW_MS - 1),
        )
        for action, number in actions:
            await _act(world, action, number)
            world.check()
        for entry in world.pending():
            await _end(world, entry)
        risk.close()
    _check_no_leak(audit)
    _check_recomputes(audit, world.proposed)


def _check_recomputes(audit: RecordingAudit, proposed: dict[str, GatedProposal]) -> None:
    """Each verdict follows again from its own row: nothing the rule looked at is missing there."""
    rows = [record for entry in audit.entries for record in entry.records]
    for row in (record for record in rows if isinstance(record, RiskVerdictRow)):
        proposal = proposed[row.decision_id]
        inputs = read_inputs(row.account_json, row.counters_json, row.inputs_json)
        again = assess(proposal.decision, proposal.snapshot, view_of(inputs, _SETTINGS))
        assert (again.verdict, again.approved_qty, again.reasons) == (
            row.verdict,
            row.approved_qty,
            row.reasons,
        )
        assert canonical_json(again.limits).decode() == row.limits_json


def _check_no_leak(audit: RecordingAudit) -> None:
    last: dict[str, ReserveRow] = {}
    for entry in audit.entries:
        for row in entry.records:
            if isinstance(row, ReserveRow):
                last[row.decision_id] = row
    assert all(row.state in ("CONVERTED", "RELEASED") for row in last.values())
    assert all(row.amount_quote == 0 for row in last.values())


@pytest.mark.slow
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_ACTIONS, st.sampled_from([Decimal(420), Decimal(5000)]))
def test_no_history_exceeds_a_limit_or_leaks_a_reserve(
    actions: list[tuple[str, int]], free: Decimal
) -> None:
    anyio.run(_live, actions, free)
