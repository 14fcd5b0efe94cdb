"""What the runtime may ask of an exchange, split by permission."""

from typing import Protocol

from livespot.contracts.base import Message
from livespot.contracts.market import (
    BookTicker,
    Candle,
    DepthBook,
    SymbolInfo,
    Ticker24h,
)
from livespot.contracts.orders import (
    AccountView,
    CancelReplaceAnswer,
    CancelReplaceRequest,
    CancelRequest,
    CommissionRates,
    Fill,
    ListRequest,
    ListView,
    OrderRequest,
    OrderUpdate,
    OrderView,
    PlaceAnswer,
)
from livespot.contracts.vocabulary import Interval


class MarketReader(Protocol):
    """Public data by REST. Every call may raise `Transient`, `Refused` or `PayloadInvalid`."""

    async def server_time_ms(self) -> int: ...

    async def exchange_info(self) -> dict[str, SymbolInfo]:
        """All symbols in one bulk call, by name."""
        ...

    async def symbol_info(self, symbol: str) -> SymbolInfo: ...

    async def tickers_24h(self) -> tuple[Ticker24h, ...]:
        """All symbols in one bulk call."""
        ...

    async def klines(
        self, symbol: str, interval: Interval, *, limit: int, start_ms: int = 0, end_ms: int = 0
    ) -> tuple[Candle, ...]:
        """Oldest first; the forming candle may be last. Zero means no bound."""
        ...

    async def depth(self, symbol: str, *, limit: int) -> DepthBook: ...

    async def book_ticker(self, symbol: str) -> BookTicker: ...


class AccountReader(Protocol):
    """Signed reads. `order` raises `NoSuchOrder`; reads may lag behind the engine."""

    async def account(self) -> AccountView: ...

    async def commission(self, symbol: str) -> CommissionRates: ...

    async def open_orders(self, symbol: str | None) -> tuple[OrderView, ...]: ...

    async def order(
        self, symbol: str, *, client_order_id: str = "", order_id: int = 0
    ) -> OrderView: ...

    async def all_orders(
        self, symbol: str, *, from_order_id: int = 0, start_ms: int = 0
    ) -> tuple[OrderView, ...]: ...

    async def open_lists(self) -> tuple[ListView, ...]: ...

    async def order_list(self, *, list_client_order_id: str) -> ListView: ...

    async def trades(
        self, symbol: str, *, order_id: int = 0, from_id: int = 0, start_ms: int = 0
    ) -> tuple[Fill, ...]:
        """Own fills, oldest first; their `client_order_id` is empty, as the exchange omits it."""
        ...


class OrderTransport(Protocol):
    """Sends mutations, each once.

    Raises `OutcomeUnknown` when it may have happened, `Refused` (and its kinds) or `Throttled` when
    it definitely did not.
    """

    async def place(self, request: OrderRequest) -> PlaceAnswer: ...

    async def place_list(self, request: ListRequest) -> PlaceAnswer: ...

    async def cancel(self, request: CancelRequest) -> tuple[OrderUpdate, ...]:
        """The cancelled order, and the other legs of its list if it had one."""
        ...

    async def cancel_replace(self, request: CancelReplaceRequest) -> CancelReplaceAnswer: ...


class ServerClock(Protocol):
    """The exchange's time as far as we know it."""

    def server_now_ms(self) -> int:
        """Local wall time plus the measured offset."""
        ...

    @property
    def offset_ms(self) -> int: ...

    @property
    def synced(self) -> bool:
        """Whether a measurement has succeeded yet; until then the offset is assumed to be zero."""
        ...

    def steady_now_ms(self) -> int:
        """The exchange's time as far as known, counted on by the steady clock.

        For spans that the exchange asked for: a machine clock that is set neither ends nor prolongs
        them. Before the first measurement it rests on the machine's clock as it was at the start.
        """
        ...

    def certain_now_ms(self) -> int | None:
        """The exchange's time by the last measurement and the steady clock, or None in doubt.

        A machine clock that is set does not move it. While the machine sleeps it stands, and then
        it is late until the next measurement. It is in doubt before the first measurement, and
        while the last one contradicts the one before.
        """
        ...

    async def resync(self) -> int:
        """Measure again; returns how far the offset moved, in milliseconds."""
        ...

    async def glance(self) -> int:
        """The offset from a single answer, off by up to half its round trip; it is not stored."""
        ...


class BanState(Message, frozen=True):
    """Silences that must survive the process, as server epoch ms; 0 for none."""

    throttled_until_ms: int = 0
    banned_until_ms: int = 0
    orders_until_ms: int = 0


class OrderCounts(Protocol):
    """The exchange's own count of used limits, from response headers."""

    @property
    def used_weight(self) -> int: ...

    @property
    def weight_limit(self) -> int: ...

    @property
    def unfilled_orders_pct(self) -> int:
        """The worst of the order-count windows, in percent of its limit."""
        ...
