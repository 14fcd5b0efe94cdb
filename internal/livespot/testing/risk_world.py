"""A risk actor beside an account that keeps books of its own about what was let through.

The actor is the real one, with its rules, counters and reserves; only the database is a dictionary.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from typing import Any

import anyio.lowlevel
import msgspec

from livespot.actors.mail import (
    AccountObserved,
    ApprovedEntry,
    ExecutionInbox,
    FeaturesAsked,
    GatedProposal,
    GovernorInbox,
    Marks,
    RiskInbox,
    SignalInbox,
    SymbolsLearned,
)
from livespot.actors.risk import RiskOfficer
from livespot.contracts.audit import AuditEntry
from livespot.contracts.decision import Decision
from livespot.contracts.market import Snapshot
from livespot.contracts.orders import AccountView, Alias, Balance, Fill, OrderIntent, Position
from livespot.contracts.queries import StoredFill, StoredOrder
from livespot.contracts.records import ReserveRow, RiskCounters, SymbolHealth
from livespot.contracts.settings import RiskSettings, SelectionSettings, Settings
from livespot.contracts.system import ModeChanged
from livespot.contracts.venue import ServerClock
from livespot.contracts.vocabulary import (
    IntentAction,
    IntentRole,
    IntentState,
    OrderStatus,
    Side,
    SysMode,
)
from livespot.runtime.mailboxes import Mailbox
from livespot.store.queries import LedgerQueries
from livespot.testing.audit import RecordingAudit
from livespot.testing.clock import ManualClock
from livespot.testing.ledger_rows import order
from livespot.testing.market_values import NOW_MS, a_snapshot, a_symbol
from livespot.testing.risk_values import a_gate_result, an_entry
from livespot.testing.server_clock import FixedOffset

SYMBOLS = ("AAAUSDT", "BBBUSDT", "CCCUSDT", "DDDUSDT")
LIMITS = RiskSettings(max_trades_per_day=3, max_trades_per_window=2, max_open_orders_total=3)
# Other tests cover correlation; here every symbol moves alike.
SETTINGS = Settings(risk=LIMITS, selection=SelectionSettings(corr_min_symbols=1000))
_NORMAL = ModeChanged(
    mode=SysMode.NORMAL, previous=SysMode.DEGRADE, reasons=(), active=(), at_ms=NOW_MS
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _NoCounts:
    used_weight: int = 0
    weight_limit: int = 6000
    unfilled_orders_pct: int = 0


class _NoRows:
    async def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return []


@dataclass(slots=True)
class Entry:
    """An approval and what became of it on the exchange. `left` is what it may still buy."""

    decision: Decision
    price: Decimal
    left: Decimal
    approved_ms: int
    opened: bool = False
    unknown: bool = False
    over: bool = False
    bought: Decimal = Decimal(0)
    spent: Decimal = Decimal(0)

    @property
    def symbol(self) -> str:
        return self.decision.symbol

    @property
    def worst_quote(self) -> Decimal:
        return Decimal(0) if self.over else self.left * self.price


class Ledger(LedgerQueries):
    """What a database would hold: the actor's rows, and execution's, which the account keeps."""

    def __init__(self) -> None:
        super().__init__(_NoRows())
        self.counters: str | None = None
        self.kept: dict[str, ReserveRow] = {}
        self.health: dict[str, SymbolHealth] = {}
        self.fills: list[StoredFill] = []
        self.entries: list[Entry] = []

    def store(self, entries: Sequence[AuditEntry]) -> None:
        for record in (record for entry in entries for record in entry.records):
            match record:
                case RiskCounters():
                    self.counters = record.counters_json
                case ReserveRow():
                    self.kept[record.decision_id] = record
                case SymbolHealth():
                    self.health[record.symbol] = record
                case _:
                    continue

    async def risk_counters(self) -> str | None:
        return self.counters

    async def symbol_health(self) -> tuple[SymbolHealth, ...]:
        return tuple(self.health.values())

    async def reserves(self) -> tuple[ReserveRow, ...]:
        return tuple(r for r in self.kept.values() if r.state in ("RESERVED", "BOUND"))

    async def fills_of_decision(self, decision_id: str) -> tuple[StoredFill, ...]:
        return tuple(stored for stored in self.fills if stored.decision_id == decision_id)

    async def open_positions(self) -> tuple[Position, ...]:
        return ()

    async def alias(self, client_order_id: str) -> Alias | None:
        return None

    async def intents_of_decision(self, decision_id: str) -> tuple[OrderIntent, ...]:
        return tuple(
            _intent(entry)
            for entry in self.entries
            if entry.opened and entry.decision.decision_id == decision_id
        )

    async def open_orders(self) -> tuple[StoredOrder, ...]:
        return tuple(
            StoredOrder(
                order=msgspec.structs.replace(
                    order(OrderStatus.NEW).order, symbol=entry.symbol, side=Side.BUY
                ),
                order_intent_id=f"oi_{entry.decision.decision_id}",
                role=IntentRole.ENTRY.value,
            )
            for entry in self.entries
            if entry.opened and not entry.over and not entry.unknown
        )


def _intent(entry: Entry) -> OrderIntent:
    return OrderIntent(
        order_intent_id=f"oi_{entry.decision.decision_id}",
        decision_id=entry.decision.decision_id,
        parent_order_intent_id="",
        action=IntentAction.SUBMIT,
        role=IntentRole.ENTRY,
        attempt=0,
        symbol=entry.symbol,
        side=Side.BUY,
        client_order_id="X_",
        payload="{}",
        state=IntentState.SENT_UNKNOWN if entry.unknown else IntentState.CONFIRMED,
    )


class _Storing(RecordingAudit):
    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self._ledger = ledger

    async def commit(self, *entries: AuditEntry) -> None:
        await super().commit(*entries)
        self._ledger.store(entries)


@cache
def _proposal(symbol: str) -> tuple[Snapshot, Decision]:
    snapshot = a_snapshot(SETTINGS, symbol=symbol)
    return snapshot, an_entry(snapshot, SETTINGS)


@dataclass(slots=True)
class House:
    """One process after another on the same ledger; every call returns once all is quiet."""

    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW_MS))
    ledger: Ledger = field(default_factory=Ledger)
    server_clock: ServerClock | None = None
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    number: int = 0
    _inbox: Mailbox[RiskInbox] = field(init=False)
    _execution: Mailbox[ExecutionInbox] = field(init=False)
    _life: asyncio.Task[None] = field(init=False)

    def boot(self, free: Decimal) -> None:
        self.loop.run_until_complete(self._boot())
        infos = {symbol: a_symbol(symbol) for symbol in SYMBOLS}
        learned = SymbolsLearned(infos=infos, cause="BOOT", at_ms=self.clock.now_ms())
        self.say(learned, _NORMAL, account(free, self.clock.now_ms()))

    async def _boot(self) -> None:
        clock = self.clock
        self._inbox = Mailbox("risk", 64, clock)
        self._execution = Mailbox("execution", 64, clock)
        signal: Mailbox[SignalInbox] = Mailbox("signal", 256, clock)
        governor: Mailbox[GovernorInbox] = Mailbox("governor", 256, clock)
        market: Mailbox[FeaturesAsked] = Mailbox("market", 4, clock)
        officer = RiskOfficer(
            settings=SETTINGS,
            clock=clock,
            server_clock=self.server_clock or FixedOffset(clock),
            audit=_Storing(self.ledger),
            ledger=self.ledger,
            counts=_NoCounts(),
            inbox=self._inbox,
            execution=self._execution,
            signal=signal,
            governor=governor,
            market=market,
        )
        self._life = asyncio.get_running_loop().create_task(officer.run())

    def end_life(self, *, killed: bool) -> None:
        """End the process, with or without an orderly end."""
        self.loop.run_until_complete(self._end_life(killed=killed))

    async def _end_life(self, *, killed: bool) -> None:
        if killed:
            self._life.cancel()
        else:
            self._inbox.close()
        await asyncio.wait([self._life])

    def say(self, *messages: RiskInbox) -> list[Entry]:
        """Deliver messages, wait until all are processed, and return what was approved."""
        self.loop.run_until_complete(self._say(messages))
        found = []
        while (message := self._execution.receive_nowait()) is not None:
            if isinstance(message, ApprovedEntry):
                found.append(self._approved(message))
        self.ledger.entries += found
        return found

    async def _say(self, messages: Sequence[RiskInbox]) -> None:
        # The last is taken only when the others are done.
        quiet = Marks(bids={}, asks={}, at_ms=self.clock.now_ms())
        for message in (*messages, quiet):
            await self._inbox.send(message)
        while self._inbox.stats().depth:
            if self._life.done():
                self._life.result()
            await anyio.lowlevel.checkpoint()

    def _approved(self, message: ApprovedEntry) -> Entry:
        plan, verdict = message.decision.entry_plan, message.decision.risk_verdict
        if plan is None or verdict is None or verdict.approved_qty > plan.qty:
            raise TypeError(f"not an approval: {message.decision.decision_id}")
        return Entry(
            decision=message.decision,
            price=plan.limit_price,
            left=verdict.approved_qty,
            approved_ms=message.approved_at_ms,
        )

    def propose(self, *symbols: str) -> list[Entry]:
        """Make fresh proposals at once; their ids are simply counted."""
        return self.say(*(self._fresh(symbol) for symbol in symbols))

    def _fresh(self, symbol: str) -> GatedProposal:
        self.number += 1
        snapshot, decision = asked_about(symbol, self.clock.now_ms())
        decision = msgspec.structs.replace(decision, decision_id=f"dec_{self.number}")
        return GatedProposal(decision=decision, snapshot=snapshot, gate=a_gate_result())

    def close(self) -> None:
        self.end_life(killed=False)
        self.loop.close()


def asked_about(symbol: str, now_ms: int) -> tuple[Snapshot, Decision]:
    """Return the same proposal as always, made now on a snapshot of now."""
    snapshot, decision = _proposal(symbol)
    return (
        msgspec.structs.replace(snapshot, local_received_ms=now_ms),
        msgspec.structs.replace(decision, ts_ms=now_ms),
    )


def account(free: Decimal, now_ms: int, *, changed_ms: int = 0) -> AccountObserved:
    """A read of the balances as they stood at `changed_ms`."""
    return AccountObserved(
        account=AccountView(
            balances={"USDT": Balance(asset="USDT", free=free, locked=Decimal(0))},
            can_trade=True,
            update_time_ms=changed_ms or now_ms,
            local_received_ms=now_ms,
        )
    )


def stored(fill: Fill, decision_id: str) -> StoredFill:
    """The row execution writes before it tells of a fill."""
    return StoredFill(
        fill=fill,
        order_intent_id=f"oi_{decision_id}",
        decision_id=decision_id,
        fee_quote=Decimal(0),
        fee_unpriced=False,
    )
