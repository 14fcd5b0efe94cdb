"""Messages of the exchange's sockets besides orders and prices, and the ports to read them."""

from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from typing import Protocol, TypeAlias

from livespot.contracts.base import Message
from livespot.contracts.errors import PayloadInvalid
from livespot.contracts.market import AggTrade, BookTicker, DepthBook, KlineUpdate
from livespot.contracts.orders import BalancesChanged, ListView, OrderUpdate


class InsaneFrame(PayloadInvalid):
    """Readable, but its prices cannot be true; `symbol` is the one to quarantine."""

    def __init__(self, symbol: str, problem: str) -> None:
        super().__init__(f"frame of {symbol!r}: {problem}")
        self.symbol = symbol


class StreamHeartbeat(Message, frozen=True):
    """A frame of the all-market ticker: the connection lives even if single symbols are silent."""

    exchange_time_ms: int
    local_received_ms: int


class ServerShutdown(Message, frozen=True):
    """The exchange is about to close this connection, so another one must be opened now."""

    exchange_time_ms: int
    local_received_ms: int


class BalanceMoved(Message, frozen=True):
    """A deposit, withdrawal or transfer; or, when `external_lock`, a lock set from outside.

    `delta` is signed.
    """

    asset: str
    delta: Decimal
    external_lock: bool
    exchange_time_ms: int
    local_received_ms: int


class UserStreamEnded(Message, frozen=True):
    """The exchange ended our subscription; events after it are lost until the next one."""

    exchange_time_ms: int
    local_received_ms: int


MarketMessage: TypeAlias = (
    BookTicker | AggTrade | KlineUpdate | DepthBook | StreamHeartbeat | ServerShutdown
)
UserEvent: TypeAlias = (
    OrderUpdate | ListView | BalancesChanged | BalanceMoved | UserStreamEnded | ServerShutdown
)


class MarketConnection(Protocol):
    """One open market connection. Reading raises `Unreachable` once it is gone."""

    @property
    def subscribed(self) -> frozenset[str]:
        """The streams that the exchange has acknowledged."""
        ...

    async def subscribe(self, streams: frozenset[str]) -> None:
        """Subscribe to streams; the answer arrives only while `receive` is being called."""
        ...

    async def unsubscribe(self, streams: frozenset[str]) -> None: ...

    async def knock(self) -> None:
        """Ask for a sign of life and wait for it; it arrives only while `receive` is being called.

        On a connection that is gone this waits for ever, so the caller needs a limit.
        """
        ...

    async def receive(self) -> bytes:
        """The next data frame; raises `Unreachable` also when an answer is overdue."""
        ...

    def receive_nowait(self) -> bytes | None: ...


class MarketFeed(Protocol):
    def connect(self) -> AbstractAsyncContextManager[MarketConnection]:
        """Entering raises `Unreachable` or `Throttled`."""
        ...


class UserEvents(Protocol):
    """The private events of one connection, in order, without a gap until it ends."""

    async def next(self) -> UserEvent:
        """Raises `Unreachable` when the connection is gone or events were lost."""
        ...
