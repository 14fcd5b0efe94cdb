"""Owns the market connection: what is streamed, what is fetched by REST, and how old it all is.

Reads: attachments from the scanner, gaps from market state, frames from the exchange.
Writes: books (conflated), trades, candles and depth to market state; lost connections and symbols
with insane prices to risk.
Owns: the subscription set, the reconnects, the queue of REST reads.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import assert_never

import anyio
from anyio.abc import TaskStatus

from livespot.actors.history import HistoryQueue, HistoryReader
from livespot.actors.mail import (
    AttachmentWanted,
    FeedInbox,
    KlineGapFound,
    MarketStateInbox,
    PricesInsane,
    StreamDropped,
    SymbolDropped,
)
from livespot.actors.stream_age import StreamAge
from livespot.actors.wires import Sink
from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import PayloadInvalid, Refused, Throttled, Transient
from livespot.contracts.market import AggTrade, BookTicker, DepthBook, KlineUpdate
from livespot.contracts.ports import Clock, Scope
from livespot.contracts.settings import Settings
from livespot.contracts.streams import (
    InsaneFrame,
    MarketConnection,
    MarketMessage,
    ServerShutdown,
)
from livespot.contracts.streams import MarketFeed as MarketStreams
from livespot.contracts.system import Alert
from livespot.contracts.venue import MarketReader, ServerClock
from livespot.contracts.vocabulary import Severity
from livespot.rules.streams import HEARTBEAT_STREAM, streams_of
from livespot.runtime.mailboxes import ConflatingMailbox, Mailbox

# Frames dealt with before other tasks get a turn.
_BURST = 256
_TEND_SECONDS = 0.25
# A link that lived this long proves the far side healthy again.
_STABLE_MS = 30_000
# The exchange cuts every connection after 24 hours; leave before that, on our own terms.
_ROTATE_MS = 23 * 3_600_000
_FIRST_FRAME_MS = 15_000
_ALERT_EVERY_MS = 60_000


DecodeFrame = Callable[[bytes, int], MarketMessage | None]
_Slow = AggTrade | KlineUpdate | DepthBook


@dataclass(slots=True, kw_only=True)
class _Link:
    """What the tasks of one feed share: what is wanted, and the connection of the moment."""

    symbols: tuple[str, ...] = ()
    watched: tuple[str, ...] = ()
    connection: MarketConnection | None = None
    scope: Scope | None = None
    opened_ms: int = 0
    planned: bool = False
    leaving: bool = False
    last_ids: dict[str, int] = field(default_factory=dict)
    unseen: dict[str, int] = field(default_factory=dict)
    blamed: set[str] = field(default_factory=set)
    history: HistoryQueue = field(default_factory=HistoryQueue)
    alert_due_ms: int = 0
    insane_due_ms: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketFeed:
    """`decode` reads a raw frame received at a local time in ms and raises `PayloadInvalid`.

    `backoff` gives the seconds to wait after so many failures in a row.
    """

    settings: Settings
    clock: Clock
    server_clock: ServerClock
    stream: MarketStreams
    decode: DecodeFrame
    reader: MarketReader
    inbox: Mailbox[FeedInbox]
    books: ConflatingMailbox[BookTicker]
    state: Mailbox[MarketStateInbox]
    risk: Sink[StreamDropped | PricesInsane]
    alerts: Sink[Alert]
    age: StreamAge
    backoff: Callable[[int], float]
    beat: Callable[[], None]

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Stream until cancelled."""
        link = _Link()
        history = HistoryReader(
            settings=self.settings,
            clock=self.clock,
            server_clock=self.server_clock,
            reader=self.reader,
            state=self.state,
            alerts=self.alerts,
            backoff=self.backoff,
        )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._serve, link)
            tasks.start_soon(self._tend, link)
            tasks.start_soon(history.run, link.history)
            tasks.start_soon(history.poll_depth, lambda: link.watched)
            task_status.started()
            await self._stream_for_ever(link)

    async def _serve(self, link: _Link) -> None:
        async for message in self.inbox:
            match message:
                case AttachmentWanted():
                    await self._attach(link, message)
                case KlineGapFound():
                    link.history.want(message.symbol, message.interval, message.from_ms)
                case _:
                    assert_never(message)

    async def _attach(self, link: _Link, wanted: AttachmentWanted) -> None:
        """Stream exactly these symbols; asking for what is already streamed changes nothing."""
        added = [symbol for symbol in wanted.symbols if symbol not in link.symbols]
        removed = [symbol for symbol in link.symbols if symbol not in wanted.symbols]
        link.symbols, link.watched = wanted.symbols, wanted.watched
        for symbol in removed:
            link.unseen.pop(symbol, None)
            link.last_ids.pop(symbol, None)
            link.insane_due_ms.pop(symbol, None)
            link.history.forget(symbol)
            self.age.late_books.pop(symbol, None)
        for symbol in added:
            link.unseen[symbol] = self.clock.monotonic_ms() + _FIRST_FRAME_MS
            link.history.want_all(symbol)
        connection = link.connection
        if connection is not None:
            try:
                if added:
                    await connection.subscribe(frozenset(streams_of(added)))
                if removed:
                    await connection.unsubscribe(frozenset(streams_of(removed)))
            except Transient:
                # The reading task meets the same loss; its next connection asks for everything.
                self._cut(link)
            except Refused as error:
                self._alert(ReasonCode.WS_STALE_DEGRADE, f"subscription refused: {error}")
        for symbol in removed:
            await self.state.send(SymbolDropped(symbol=symbol))

    async def _stream_for_ever(self, link: _Link) -> None:
        failures = 0
        while True:
            link.planned = link.leaving = False
            wait_seconds = await self._session(link)
            lived = self.clock.monotonic_ms() - link.opened_ms
            if link.planned:
                continue
            failures = 0 if lived >= _STABLE_MS else failures + 1
            self.age.disconnects += 1
            link.last_ids.clear()
            self.risk.offer(StreamDropped(symbols=link.symbols, at_ms=self.clock.now_ms()))
            await self.clock.sleep(max(wait_seconds, self.backoff(failures)))

    async def _session(self, link: _Link) -> float:
        """One connection from opening to loss; returns the seconds the other side asked for."""
        link.opened_ms = self.clock.monotonic_ms()
        try:
            with self.clock.move_on_after(None) as scope:
                link.scope = scope
                async with self.stream.connect() as connection:
                    await connection.subscribe(
                        frozenset((HEARTBEAT_STREAM, *streams_of(link.symbols)))
                    )
                    due = self.clock.monotonic_ms() + _FIRST_FRAME_MS
                    link.unseen = dict.fromkeys(link.symbols, due)
                    link.connection = connection
                    self.age.connected = True
                    await self._consume(connection, link)
        except Throttled as error:
            return error.retry_after_ms / 1000
        except Transient:
            return 0.0
        except Refused as error:
            self._alert(ReasonCode.WS_STALE_DEGRADE, f"subscription refused: {error}")
            return 0.0
        finally:
            link.connection, link.scope = None, None
            self.age.connected = False
        return 0.0

    async def _consume(self, connection: MarketConnection, link: _Link) -> None:
        """Drain without yielding while frames are here, in bounded bursts."""
        slow: deque[_Slow] = deque()
        while True:
            raw: bytes | None = await connection.receive()
            taken, malformed = 0, self.age.malformed
            while raw is not None:
                self.take(raw, link, slow)
                taken += 1
                if taken >= _BURST:
                    break
                raw = connection.receive_nowait()
            if self.age.malformed - malformed < taken:
                # Noise alone is silence: a stream that cannot be read goes stale.
                self.age.consumed(self.clock.monotonic_ms())
            while slow:
                await self._forward(slow.popleft())
            if taken >= _BURST:
                await anyio.lowlevel.checkpoint()

    def take(self, raw: bytes, link: _Link, slow: deque[_Slow]) -> None:
        """Deal with one frame: books go on at once, the rest waits in `slow`."""
        try:
            message = self.decode(raw, self.clock.now_ms())
        except PayloadInvalid as error:
            self._malformed(link, error)
            return
        if type(message) is BookTicker:
            symbol = message.symbol
            if message.update_id <= link.last_ids.get(symbol, -1):
                self.age.late_books[symbol] += 1
                return
            link.last_ids[symbol] = message.update_id
            self.books.put(symbol, message)
            if symbol in link.unseen:
                del link.unseen[symbol]
        elif isinstance(message, AggTrade | KlineUpdate | DepthBook):
            link.unseen.pop(message.symbol, None)
            slow.append(message)
        elif isinstance(message, ServerShutdown):
            link.leaving = True

    async def _forward(self, message: _Slow) -> None:
        """A closed candle must arrive; trades and forming candles are samples."""
        if isinstance(message, KlineUpdate) and message.closed:
            await self.state.send(message)
        else:
            self.state.offer(message)

    async def _tend(self, link: _Link) -> None:
        """Cut a connection that is silent, too old, or does not deliver what was asked."""
        silent_ms = self.settings.health.ws_stale_ms_pause // 2
        while True:
            self.beat()
            now = self.clock.monotonic_ms()
            if link.scope is not None:
                open_ms = now - link.opened_ms
                age = self.age.age_ms(now)
                quiet = open_ms if age is None else min(age, open_ms)
                overdue = [s for s, due in link.unseen.items() if now >= due]
                fresh_blame = [s for s in overdue if s not in link.blamed]
                link.blamed.update(fresh_blame)
                link.planned = link.leaving or open_ms >= _ROTATE_MS
                if link.planned or quiet >= silent_ms or (link.connection and fresh_blame):
                    self._cut(link)
            await self.clock.sleep(_TEND_SECONDS)

    def _cut(self, link: _Link) -> None:
        if link.scope is not None:
            link.scope.cancel()

    def _malformed(self, link: _Link, error: PayloadInvalid) -> None:
        """A frame that cannot be believed is dropped; one alert a minute says so."""
        self.age.malformed += 1
        if isinstance(error, InsaneFrame):
            self._set_aside(link, error.symbol)
        now = self.clock.monotonic_ms()
        if now < link.alert_due_ms:
            return
        link.alert_due_ms = now + _ALERT_EVERY_MS
        text = f"market frame dropped, {self.age.malformed} so far: {error}"
        self._alert(ReasonCode.MD_PRICE_INSANE, text)

    def _set_aside(self, link: _Link, symbol: str) -> None:
        """Have the symbol quarantined; said again each minute for as long as it goes on."""
        now = self.clock.monotonic_ms()
        if symbol in link.symbols and now >= link.insane_due_ms.get(symbol, 0):
            told = self.risk.offer(PricesInsane(symbol=symbol, at_ms=self.clock.now_ms()))
            if told:
                link.insane_due_ms[symbol] = now + _ALERT_EVERY_MS

    def _alert(self, code: ReasonCode, text: str) -> None:
        self.alerts.offer(
            Alert(
                severity=Severity.WARN,
                code=code,
                reasons=(code,),
                text=text[:400],
                at_ms=self.clock.now_ms(),
            )
        )
