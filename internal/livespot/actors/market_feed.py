"""Owns the market connection: what is streamed, what is read by REST, and how old it all is.

Reads: attachments from the scanner, gaps from market state, frames from the exchange. Writes: books
(conflated), trades, candles and depth to market state; lost connections and symbols with insane
prices to risk. Owns: the subscription set, the reconnects, the queue of REST reads.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import assert_never

import anyio
from anyio.abc import TaskGroup, TaskStatus

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
from livespot.runtime.bell import Bell
from livespot.runtime.mailboxes import ConflatingMailbox, Mailbox

# Frames processed before other tasks get a turn.
_BURST = 256
# A tenth of the silence after which an actor counts as stuck.
_BEAT_MS = 500
_AGAIN_MS = 250
# A connection that lived this long resets the count of failures.
_STABLE_MS = 30_000
# The exchange cuts every connection after 24 hours; leave before that, on our own terms.
_ROTATE_MS = 23 * 3_600_000
_FIRST_FRAME_MS = 15_000
_ALERT_EVERY_MS = 60_000
_OVERLAP_SECONDS = 1.0
_HEIR_RETRY_MS = 5_000
# The exchange allows a connection every second; a longer pause would only lose market data.
_LONGEST_PAUSE_SECONDS = 5.0
# A held symbol without a book for this long is read by REST.
_HELD_SILENT_MS = 10_000
_HELD_PROBE_SECONDS = 2.0
# How long the answer to a sign-of-life request may take.
_KNOCK_SECONDS = 5.0


DecodeFrame = Callable[[bytes, int], MarketMessage | None]
_Slow = AggTrade | KlineUpdate | DepthBook


@dataclass(slots=True, kw_only=True)
class _Session:
    """One connection from opening to end; `wait_seconds` is the pause the exchange asked for."""

    opened_ms: int
    connection: MarketConnection | None = None
    scope: Scope | None = None
    leaving: bool = False
    knocking: bool = False
    wait_seconds: float = 0.0
    over: anyio.Event = field(default_factory=anyio.Event)
    succeeds: anyio.Event = field(default_factory=anyio.Event)

    def cut(self) -> None:
        if self.scope is not None:
            self.scope.cancel()


@dataclass(slots=True, kw_only=True)
class _Link:
    """State shared by the tasks of one feed: what is wanted, and the current connections.

    `heir` is opened while `session` still delivers, and replaces it once it delivers itself.
    """

    symbols: tuple[str, ...] = ()
    watched: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    session: _Session
    heir: _Session | None = None
    heir_due_ms: int = 0
    heard_ms: dict[str, int] = field(default_factory=dict)
    last_ids: dict[str, int] = field(default_factory=dict)
    unseen: dict[str, int] = field(default_factory=dict)
    blamed: set[str] = field(default_factory=set)
    history: HistoryQueue = field(default_factory=HistoryQueue)
    alert_due_ms: int = 0
    insane_due_ms: dict[str, int] = field(default_factory=dict)
    left: Bell = field(default_factory=Bell)
    held_changed: Bell = field(default_factory=Bell)
    watched_changed: Bell = field(default_factory=Bell)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketFeed:
    """`decode` reads a raw frame received at a local time in ms and raises `PayloadInvalid`.

    `backoff` gives the seconds to wait after so many failures in a row.

    A connection that has to be replaced (too old, or about to be shut down) is closed only once its
    heir delivers. For a second both are read, and duplicates are recognised by their ids.
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
    attached: dict[str, None] = field(default_factory=dict, init=False)

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Stream until cancelled."""
        link = _Link(session=_Session(opened_ms=self.clock.monotonic_ms()))
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
            tasks.start_soon(self._tend, link, tasks)
            tasks.start_soon(self._probe_held, link)
            tasks.start_soon(history.run, link.history, lambda: link.symbols)
            tasks.start_soon(history.poll_depth, lambda: link.watched, link.watched_changed)
            task_status.started()
            await self._stream_for_ever(link, tasks)

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
        self.attached.update(dict.fromkeys(wanted.symbols))
        link.symbols, link.watched, link.held = wanted.symbols, wanted.watched, wanted.held
        link.watched_changed.ring()
        link.held_changed.ring()
        for symbol in removed:
            link.unseen.pop(symbol, None)
            link.last_ids.pop(symbol, None)
            link.heard_ms.pop(symbol, None)
            link.insane_due_ms.pop(symbol, None)
            link.history.forget(symbol)
            self.age.late_books.pop(symbol, None)
        for symbol in added:
            link.unseen[symbol] = self.clock.monotonic_ms() + _FIRST_FRAME_MS
            link.history.want_all(symbol)
        for session in (link.session, link.heir):
            if session is not None:
                await self._change(session, added, removed)
        left_over = [s for s in self.attached if s not in wanted.symbols and s not in removed]
        for symbol in (*removed, *left_over):
            await self.state.send(SymbolDropped(symbol=symbol))
            del self.attached[symbol]

    async def _change(self, session: _Session, added: list[str], removed: list[str]) -> None:
        connection = session.connection
        if connection is None:
            return
        try:
            if added:
                await connection.subscribe(frozenset(streams_of(added)))
            if removed:
                await connection.unsubscribe(frozenset(streams_of(removed)))
        except Transient:
            # The reading task sees the same loss, and its next connection subscribes to everything.
            session.cut()
        except Refused as error:
            self._alert(ReasonCode.WS_STALE_DEGRADE, f"subscription refused: {error}")

    async def _stream_for_ever(self, link: _Link, tasks: TaskGroup) -> None:
        failures = 0
        self._begin(link, link.session, tasks)
        while True:
            session = link.session
            await session.over.wait()
            if link.session is not session:
                continue
            if link.heir is not None:
                # It was lost before its heir delivered: the heir is the only connection left.
                link.session, link.heir = link.heir, None
                self._expect_everything(link)
                continue
            now = self.clock.monotonic_ms()
            if not session.leaving:
                failures = 0 if now - session.opened_ms >= _STABLE_MS else failures + 1
                self.age.disconnects += 1
                link.last_ids.clear()
                self.risk.offer(StreamDropped(symbols=link.symbols, at_ms=self.clock.now_ms()))
                pause = min(self.backoff(failures), _LONGEST_PAUSE_SECONDS)
                await self.clock.sleep(max(session.wait_seconds, pause))
            link.session = _Session(opened_ms=self.clock.monotonic_ms())
            self._begin(link, link.session, tasks)

    def _begin(self, link: _Link, session: _Session, tasks: TaskGroup) -> None:
        session.opened_ms = self.clock.monotonic_ms()
        tasks.start_soon(self._live, link, session)

    async def _live(self, link: _Link, session: _Session) -> None:
        """Serve one connection from opening to loss."""
        try:
            with self.clock.move_on_after(None) as scope:
                session.scope = scope
                async with self.stream.connect() as connection:
                    await connection.subscribe(_wanted(link))
                    if link.session is session:
                        self._expect_everything(link)
                    session.connection = connection
                    self.age.connected = True
                    await self._consume(connection, link, session)
        except Throttled as error:
            session.wait_seconds = error.retry_after_ms / 1000
        except Transient:
            session.wait_seconds = 0.0
        except Refused as error:
            self._alert(ReasonCode.WS_STALE_DEGRADE, f"subscription refused: {error}")
        finally:
            session.connection = session.scope = None
            if link.heir is session:
                link.heir = None
                link.heir_due_ms = self.clock.monotonic_ms() + _HEIR_RETRY_MS
            others = (link.session, link.heir)
            self.age.connected = any(s is not None and s.connection is not None for s in others)
            session.succeeds.set()
            session.over.set()

    def _expect_everything(self, link: _Link) -> None:
        due = self.clock.monotonic_ms() + _FIRST_FRAME_MS
        link.unseen = dict.fromkeys(link.symbols, due)

    async def _succeed(self, link: _Link, heir: _Session) -> None:
        """Make the heir the session once it delivers; close the old one a little later."""
        await heir.succeeds.wait()
        if link.heir is not heir:
            return
        old, link.session, link.heir = link.session, heir, None
        self._expect_everything(link)
        await self.clock.sleep(_OVERLAP_SECONDS)
        old.cut()

    async def _probe_held(self, link: _Link) -> None:
        """Read by REST the book of a held symbol whose stream is silent: it must have a mark."""
        while True:
            if link.held:
                await self.clock.sleep(_HELD_PROBE_SECONDS)
            else:
                await link.held_changed.wait()
            now = self.clock.monotonic_ms()
            for symbol in link.held:
                if now - link.heard_ms.setdefault(symbol, now) < _HELD_SILENT_MS:
                    continue
                try:
                    self.books.put(symbol, await self.reader.book_ticker(symbol))
                except (Transient, Refused, PayloadInvalid) as error:
                    text = f"{symbol} is held, its stream is silent and REST says: {error}"
                    self._alert(ReasonCode.WS_STALE_DEGRADE, text)

    async def _consume(self, connection: MarketConnection, link: _Link, session: _Session) -> None:
        """Process frames without yielding while there are any, in bounded bursts."""
        slow: deque[_Slow] = deque()
        while True:
            raw: bytes | None = await connection.receive()
            taken, malformed = 0, self.age.malformed
            while raw is not None:
                self.take(raw, link, slow, session)
                taken += 1
                if taken >= _BURST:
                    break
                raw = connection.receive_nowait()
            if self.age.malformed - malformed < taken:
                # Malformed frames alone count as silence: an unreadable stream goes stale.
                self.age.consumed(self.clock.monotonic_ms())
                if link.heir is session and connection.subscribed >= _wanted(link):
                    session.succeeds.set()
            while slow:
                await self._forward(slow.popleft())
            if taken >= _BURST:
                await anyio.lowlevel.checkpoint()

    def take(self, raw: bytes, link: _Link, slow: deque[_Slow], session: _Session) -> None:
        """Process one frame: books are passed on at once, other messages are queued in `slow`."""
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
            link.heard_ms[symbol] = self.clock.monotonic_ms()
            self.books.put(symbol, message)
            if symbol in link.unseen:
                del link.unseen[symbol]
        elif isinstance(message, AggTrade | KlineUpdate | DepthBook):
            link.unseen.pop(message.symbol, None)
            slow.append(message)
        elif isinstance(message, ServerShutdown):
            session.leaving = True
            link.left.ring()

    async def _forward(self, message: _Slow) -> None:
        """Closed candles must arrive; trades and forming candles may be dropped."""
        if isinstance(message, KlineUpdate) and message.closed:
            await self.state.send(message)
        else:
            self.state.offer(message)

    async def _tend(self, link: _Link, tasks: TaskGroup) -> None:
        """Cut a connection that is silent or lacks a stream; replace one that is old."""
        silent_ms = self.settings.health.ws_stale_ms_pause // 2
        knock_ms = self.settings.health.ws_stale_ms_degrade * 3 // 4
        while True:
            self.beat()
            now = self.clock.monotonic_ms()
            session = link.session
            if session.scope is not None:
                open_ms = now - session.opened_ms
                age = self.age.age_ms(now)
                quiet = open_ms if age is None else min(age, open_ms)
                overdue = [s for s, due in link.unseen.items() if now >= due]
                fresh_blame = [s for s in overdue if s not in link.blamed]
                link.blamed.update(fresh_blame)
                if quiet >= silent_ms or (session.connection and fresh_blame):
                    session.cut()
                elif session.leaving or open_ms >= _ROTATE_MS:
                    self._replace(link, session, tasks)
                if quiet >= knock_ms:
                    self._knock(link, session, tasks)
                due_ms = knock_ms if _may_knock(link, session) else silent_ms
                left_ms = min(_BEAT_MS, _left_ms(link, now, due_ms - quiet))
            else:
                left_ms = _BEAT_MS
            await link.left.wait_within(self.clock, left_ms / 1000)

    def _knock(self, link: _Link, session: _Session, tasks: TaskGroup) -> None:
        """Ask for a sign of life where the streams may be silent without a fault."""
        if _may_knock(link, session):
            session.knocking = True
            tasks.start_soon(self._await_answer, session)

    async def _await_answer(self, session: _Session) -> None:
        connection = session.connection
        try:
            with self.clock.move_on_after(_KNOCK_SECONDS):
                if connection is not None:
                    await connection.knock()
                    self.age.consumed(self.clock.monotonic_ms())
        except Transient:
            session.cut()
        finally:
            session.knocking = False

    def _replace(self, link: _Link, session: _Session, tasks: TaskGroup) -> None:
        """Open the heir of a session that must be replaced, unless one is being opened."""
        session.leaving = True
        now = self.clock.monotonic_ms()
        if link.heir is None and now >= link.heir_due_ms:
            link.heir = _Session(opened_ms=now)
            self._begin(link, link.heir, tasks)
            tasks.start_soon(self._succeed, link, link.heir)

    def _malformed(self, link: _Link, error: PayloadInvalid) -> None:
        """Drop and count a frame that cannot be believed; alert at most once a minute."""
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
        """Have the symbol quarantined; repeated every minute while insane frames keep coming."""
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


def _left_ms(link: _Link, now_ms: int, silent_in_ms: int) -> int:
    """How long until a connection can next have to be cut or replaced, in ms.

    What is due already has been handled and is checked again after a short while.
    """
    session = link.session
    left = [silent_in_ms, session.opened_ms + _ROTATE_MS - now_ms]
    left += [due - now_ms for symbol, due in link.unseen.items() if symbol not in link.blamed]
    if session.leaving and link.heir is None:
        left.append(link.heir_due_ms - now_ms)
    soonest_ms = min(left)
    return soonest_ms if soonest_ms > 0 else _AGAIN_MS


def _may_knock(link: _Link, session: _Session) -> bool:
    """Whether silence may be harmless: the all-market ticker reports only what has changed.

    Books of streamed symbols change so often that their silence is a fault.
    """
    return not link.symbols and session.connection is not None and not session.knocking


def _wanted(link: _Link) -> frozenset[str]:
    return frozenset((HEARTBEAT_STREAM, *streams_of(link.symbols)))
