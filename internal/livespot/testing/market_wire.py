"""A market stream and a REST reader in memory, for tests of the actors that use them."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

import anyio

from livespot.contracts.errors import Unreachable
from livespot.contracts.market import BookTicker, Candle, DepthBook, SymbolInfo, Ticker24h
from livespot.contracts.vocabulary import Interval


class ScriptedConnection:
    """Delivers the frames that were put in; `lose` ends it.

    `asked` lists every stream ever asked for, repetitions included; `knocks` counts requests for a
    sign of life.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.subscribed: frozenset[str] = frozenset()
        self.lost = False
        self.closed = False
        self.knocks = 0
        self.answers_knocks = True
        self._frames: list[bytes] = []
        self._arrived = anyio.Event()

    def put(self, *frames: bytes) -> None:
        self._frames.extend(frames)
        self._arrived.set()

    def lose(self) -> None:
        self.lost = True
        self._arrived.set()

    async def subscribe(self, streams: frozenset[str]) -> None:
        if self.lost:
            raise Unreachable("the test cut the connection")
        self.asked.extend(streams)
        self.subscribed |= streams

    async def unsubscribe(self, streams: frozenset[str]) -> None:
        self.subscribed -= streams

    async def knock(self) -> None:
        self.knocks += 1
        if not self.answers_knocks:
            await anyio.sleep_forever()

    async def receive(self) -> bytes:
        while not self._frames:
            if self.lost:
                raise Unreachable("the test cut the connection")
            self._arrived = anyio.Event()
            await self._arrived.wait()
        return self._frames.pop(0)

    def receive_nowait(self) -> bytes | None:
        return self._frames.pop(0) if self._frames else None


class ScriptedStream:
    """Every connection it ever opened is in `connections`, the newest last."""

    def __init__(self) -> None:
        self.connections: list[ScriptedConnection] = []
        self._opened = anyio.Event()

    def connect(self) -> AbstractAsyncContextManager[ScriptedConnection]:
        return self._connection()

    async def opened(self, count: int) -> ScriptedConnection:
        """Wait until so many connections were opened; the newest of them."""
        while len(self.connections) < count:
            self._opened = anyio.Event()
            await self._opened.wait()
        return self.connections[count - 1]

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[ScriptedConnection]:
        connection = ScriptedConnection()
        self.connections.append(connection)
        self._opened.set()
        try:
            yield connection
        finally:
            connection.closed = True


@dataclass(slots=True, kw_only=True)
class ScriptedReader:
    """Answers from what it was given; `failure` is raised by the next call and then cleared.

    `calls` counts the requests by name; those named in `unanswered` never return.
    """

    now_ms: int = 0
    infos: dict[str, SymbolInfo] = field(default_factory=dict)
    tickers: tuple[Ticker24h, ...] = ()
    candles: dict[tuple[str, Interval], tuple[Candle, ...]] = field(default_factory=dict)
    books: dict[str, DepthBook] = field(default_factory=dict)
    tickers_of: dict[str, BookTicker] = field(default_factory=dict)
    asked: list[tuple[str, Interval, int]] = field(default_factory=list)
    failure: Exception | None = None
    calls: Counter[str] = field(default_factory=Counter)
    unanswered: set[str] = field(default_factory=set)

    def _answer(self, call: str) -> None:
        self.calls[call] += 1
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure

    async def server_time_ms(self) -> int:
        self._answer("server_time_ms")
        return self.now_ms

    async def exchange_info(self) -> dict[str, SymbolInfo]:
        self._answer("exchange_info")
        return dict(self.infos)

    async def symbol_info(self, symbol: str) -> SymbolInfo:
        self._answer("symbol_info")
        if "symbol_info" in self.unanswered:
            await anyio.sleep_forever()
        return self.infos[symbol]

    async def tickers_24h(self) -> tuple[Ticker24h, ...]:
        self._answer("tickers_24h")
        return self.tickers

    async def klines(
        self, symbol: str, interval: Interval, *, limit: int, start_ms: int = 0, end_ms: int = 0
    ) -> tuple[Candle, ...]:
        self.asked.append((symbol, interval, start_ms))
        self._answer("klines")
        known = self.candles.get((symbol, interval), ())
        span = tuple(c for c in known if c.open_time_ms >= start_ms)
        return span[:limit] if start_ms else span[-limit:]

    async def depth(self, symbol: str, *, limit: int) -> DepthBook:
        self._answer("depth")
        return self.books[symbol]

    async def book_ticker(self, symbol: str) -> BookTicker:
        self._answer("book_ticker")
        if symbol not in self.tickers_of:
            raise Unreachable(f"no book of {symbol!r} was scripted")
        return self.tickers_of[symbol]
