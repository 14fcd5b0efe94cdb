"""What the actors read back from the database, mostly at boot."""

from decimal import Decimal
from typing import Protocol

from livespot.contracts.base import Message
from livespot.contracts.orders import Alias, Fill, OrderIntent, OrderView, Position
from livespot.contracts.records import ManualExposureRow, ReserveRow, SymbolHealth
from livespot.contracts.vocabulary import EventType, Mode, SysMode


class LastRun(Message, frozen=True):
    """The previous run as the database holds it; `ended` is false after a kill.

    `sysmode` is the last mode before EXIT: a run stopped while paused was paused.
    """

    run_id: str
    mode: Mode
    sysmode: SysMode
    ended: bool
    exit_code: int
    last_seq: int
    last_hash: str
    started_at_ms: int


class StoredOrder(Message, frozen=True):
    order: OrderView
    order_intent_id: str
    role: str


class StoredFill(Message, frozen=True):
    fill: Fill
    order_intent_id: str
    decision_id: str
    fee_quote: Decimal
    fee_unpriced: bool


class LedgerReader(Protocol):
    """Short reads on a read-only connection; each sees everything committed before it began."""

    async def last_run(self) -> LastRun | None: ...

    async def latest_event_data(self, event_type: EventType) -> str | None:
        """The data of the newest event of this type, as JSON; None when there is none."""
        ...

    async def quick_unclean_runs(self, *, since_ms: int) -> int:
        """How many runs since then ended uncleanly; for the crash-loop breaker."""
        ...

    async def unsettled_intents(self) -> tuple[OrderIntent, ...]:
        """Intents in CREATED or SENT_UNKNOWN, oldest first."""
        ...

    async def intent(self, order_intent_id: str) -> OrderIntent | None: ...

    async def intents_of_decision(self, decision_id: str) -> tuple[OrderIntent, ...]: ...

    async def aliases_of(self, order_intent_id: str) -> tuple[Alias, ...]: ...

    async def alias(self, client_order_id: str) -> Alias | None: ...

    async def order_owner(self, symbol: str, order_id: int) -> str | None:
        """The id of the intent that an order belongs to, under whatever client id it ended."""
        ...

    async def open_orders(self) -> tuple[StoredOrder, ...]:
        """Orders whose last known status is not terminal."""
        ...

    async def open_positions(self) -> tuple[Position, ...]:
        """Every position whose phase is neither FLAT nor DUST."""
        ...

    async def fills_of_decision(self, decision_id: str) -> tuple[StoredFill, ...]: ...

    async def trade_ids(self, symbol: str) -> frozenset[int]: ...

    async def decision_json(self, decision_id: str) -> str | None: ...

    async def snapshot_json(self, snapshot_id: str) -> str | None: ...

    async def reserves(self) -> tuple[ReserveRow, ...]:
        """Reserves that are neither converted nor released."""
        ...

    async def risk_counters(self) -> str | None: ...

    async def gate_calls(self, *, since_ms: int) -> tuple[int, ...]:
        """When the gate was really called since then, oldest first; the budget goes on from it."""
        ...

    async def symbol_health(self) -> tuple[SymbolHealth, ...]: ...

    async def open_exposures(self) -> tuple[ManualExposureRow, ...]:
        """Positions that the operator took by hand and has not closed, oldest first."""
        ...

    async def command_outcome(self, nonce: str) -> str | None:
        """The outcome of an operator command; None until it has been carried out."""
        ...
