"""Every mailbox of the runtime and its capacity, in one place."""

from collections.abc import Sequence
from dataclasses import dataclass

from livespot.actors.mail import (
    ExecutionInbox,
    FeedInbox,
    GateInbox,
    GovernorInbox,
    MarketStateInbox,
    PositionInbox,
    ReconcilerInbox,
    RiskInbox,
    ScannerInbox,
    SignalInbox,
)
from livespot.contracts.market import BookTicker
from livespot.contracts.ports import Clock
from livespot.runtime.mailboxes import ConflatingMailbox, Mailbox

# Deep enough that two actors that answer each other can never both be full: each waits for at most
# one answer of the other per open order, and there are never hundreds of those.
_DEEP = 4096
_SHALLOW = 256
_SYMBOLS = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Wires:
    """One inbox per actor; the order books of all symbols share a conflating one."""

    books: ConflatingMailbox[BookTicker]
    feed: Mailbox[FeedInbox]
    state: Mailbox[MarketStateInbox]
    scanner: Mailbox[ScannerInbox]
    signal: Mailbox[SignalInbox]
    gate: Mailbox[GateInbox]
    risk: Mailbox[RiskInbox]
    execution: Mailbox[ExecutionInbox]
    position: Mailbox[PositionInbox]
    reconciler: Mailbox[ReconcilerInbox]
    governor: Mailbox[GovernorInbox]

    def measured(self) -> Sequence[Mailbox[object] | ConflatingMailbox[object]]:
        """Return all mailboxes, for the health actor."""
        return [getattr(self, name) for name in self.__dataclass_fields__]


def lay_wires(clock: Clock) -> Wires:
    """Create the mailboxes of one run."""
    return Wires(
        books=ConflatingMailbox("books", _SYMBOLS, clock),
        feed=Mailbox("feed", _SHALLOW, clock),
        state=Mailbox("market state", _DEEP, clock),
        scanner=Mailbox("scanner", _SHALLOW, clock),
        signal=Mailbox("signal", _SHALLOW, clock),
        gate=Mailbox("gate", _SHALLOW, clock),
        risk=Mailbox("risk", _DEEP, clock),
        execution=Mailbox("execution", _DEEP, clock),
        position=Mailbox("position", _DEEP, clock),
        reconciler=Mailbox("reconciler", _DEEP, clock),
        governor=Mailbox("governor", _DEEP, clock),
    )
