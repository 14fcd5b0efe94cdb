"""What execution is given: ports, mailboxes and the small tools its parts share."""

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Generic, TypeVar

from anyio.abc import TaskGroup

from livespot.actors.announcements import Announcements
from livespot.actors.mail import (
    ExecutionInbox,
    GovernorInbox,
    MarketStateInbox,
    PositionInbox,
    ReconcilerInbox,
    RiskInbox,
    ScannerInbox,
    SignalInbox,
)
from livespot.actors.sending import tell
from livespot.contracts.audit import AuditPort
from livespot.contracts.codes import ReasonCode
from livespot.contracts.market import SymbolInfo
from livespot.contracts.orders import Fill
from livespot.contracts.ports import Clock
from livespot.contracts.queries import LedgerReader
from livespot.contracts.settings import Settings
from livespot.contracts.system import Alert, HealthSignal
from livespot.contracts.venue import AccountReader, MarketReader, OrderTransport, ServerClock
from livespot.contracts.vocabulary import Mode, Severity, SignalKind, SignalLevel
from livespot.rules.pnl import price_fee
from livespot.rules.strategy import Strategy
from livespot.runtime.bell import Bell
from livespot.runtime.cycles import CycleIds
from livespot.runtime.mailboxes import Mailbox
from livespot.runtime.patience import Patience
from livespot.runtime.send_gate import SendGate
from livespot.runtime.unprotected import Unprotected

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionPorts:
    """Dependencies of the execution actor, injected once by the composition root."""

    mode: Mode
    settings: Settings
    clock: Clock
    server_clock: ServerClock
    audit: AuditPort
    ledger: LedgerReader
    orders: OrderTransport
    reads: AccountReader
    market: MarketReader
    gate: SendGate
    strategy: Strategy
    cycles: CycleIds
    inbox: Mailbox[ExecutionInbox]
    position: Mailbox[PositionInbox]
    risk: Mailbox[RiskInbox]
    signal: Mailbox[SignalInbox]
    reconciler: Mailbox[ReconcilerInbox]
    governor: Mailbox[GovernorInbox]
    scanner: Mailbox[ScannerInbox]
    market_state: Mailbox[MarketStateInbox]
    beat: Callable[[], None]
    unprotected: Unprotected = field(default_factory=Unprotected)
    patience: Patience = field(default_factory=Patience)
    announced: Announcements = field(default_factory=Announcements)

    async def announce(self, mailbox: Mailbox[T], message: T) -> None:
        """Tell a listener after everything that it is still to be told."""
        self.announced.add(mailbox, message)
        await self.announced.deliver(self.clock)

    async def alert(
        self, severity: Severity, code: ReasonCode, text: str, *, symbol: str = ""
    ) -> None:
        await tell(self.governor, self.alert_of(severity, code, text, symbol=symbol))

    def alert_of(
        self, severity: Severity, code: ReasonCode, text: str, *, symbol: str = ""
    ) -> Alert:
        return Alert(
            severity=severity,
            code=code,
            reasons=(code,),
            text=text,
            symbol=symbol,
            at_ms=self.clock.now_ms(),
        )

    async def demand(
        self, kind: SignalKind, level: SignalLevel, reason: ReasonCode, *, source: str, detail: str
    ) -> None:
        """Raise or (with CLEAR) withdraw one demand on the governor."""
        await tell(self.governor, self.demand_of(kind, level, reason, source=source, detail=detail))

    def demand_of(
        self, kind: SignalKind, level: SignalLevel, reason: ReasonCode, *, source: str, detail: str
    ) -> HealthSignal:
        return HealthSignal(
            kind=kind,
            level=level,
            reason=reason,
            source=source,
            detail=detail,
            at_ms=self.clock.now_ms(),
        )


@dataclass(slots=True)
class Reference:
    """Symbols and last prices as others told us."""

    infos: dict[str, SymbolInfo] = field(default_factory=dict)
    bids: dict[str, Decimal] = field(default_factory=dict)

    def fee_quote(self, fill: Fill) -> tuple[Decimal, bool]:
        """The commission in quote, and whether its price was unknown (then the amount is 0)."""
        info = self.infos.get(fill.symbol)
        base, quote = (info.base_asset, info.quote_asset) if info is not None else ("", "")
        fee = price_fee(
            fill,
            base_asset=base,
            quote_asset=quote,
            third_asset_price=self.bids.get(f"{fill.commission_asset}{quote}") if quote else None,
        )
        return fee.quote, fee.unpriced


class Crew(Generic[T]):
    """Runs the jobs that wait for the network and queues what they bring back.

    The queue is bounded by construction: a job reports a fixed number of times and the inbox pump
    puts one message at a time.
    """

    def __init__(self, tasks: TaskGroup) -> None:
        self._tasks = tasks
        self._items: deque[T] = deque()
        self._arrived = Bell()
        self._taken = Bell()
        self.running = 0

    @property
    def is_waited_at(self) -> bool:
        """Whether somebody waits for the next item, or has not come to its turn since it came."""
        return self._arrived.is_waited_at

    def start(self, job: Callable[[], Awaitable[T]]) -> None:
        """Run a job; its result is queued."""
        self.running += 1
        self._tasks.start_soon(self._run, job)

    def put(self, item: T) -> None:
        self._items.append(item)
        self._arrived.ring()

    async def put_and_wait(self, item: T) -> None:
        """Queue and wait until it was taken; keeps back pressure on the inbox. For one task."""
        self.put(item)
        while any(waiting is item for waiting in self._items):
            await self._taken.wait()

    async def next(self) -> T:
        while not self._items:
            await self._arrived.wait()
        item = self._items.popleft()
        self._taken.ring()
        return item

    def drain(self) -> list[T]:
        """Everything queued, without waiting."""
        items = list(self._items)
        self._items.clear()
        return items

    async def _run(self, job: Callable[[], Awaitable[T]]) -> None:
        try:
            self.put(await job())
        finally:
            self.running -= 1
