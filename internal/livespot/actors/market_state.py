"""Owns what is known about every attached symbol and answers questions about it.

Reads: books (conflated), trades, candles, depth, reference data. Writes: snapshots and features to
whoever asks; gaps to the feed; closed 1m candles to the signal actor; symbols whose prices proved
false to risk; marks and latency about once a second. Owns: the symbol windows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import assert_never

import anyio
from anyio.abc import TaskStatus

from livespot.actors.mail import (
    CandleClosed,
    CommissionLearned,
    FeaturesAsked,
    KlineGapFound,
    LatencySeen,
    MarketStateInbox,
    Marks,
    PricesInsane,
    SnapshotsAsked,
    SnapshotsBuilt,
    SymbolDropped,
    SymbolsLearned,
    TickersLearned,
)
from livespot.actors.stream_age import StreamAge
from livespot.actors.wires import Sink
from livespot.contracts.codes import ReasonCode
from livespot.contracts.market import (
    AggTrade,
    BookTicker,
    DeepFeatures,
    DepthBook,
    KlineHistory,
    KlineUpdate,
    Rejection,
    Snapshot,
    SymbolInfo,
    Ticker24h,
)
from livespot.contracts.ports import Clock
from livespot.contracts.records import SymbolHealth
from livespot.contracts.settings import Settings
from livespot.contracts.system import Alert
from livespot.contracts.venue import ServerClock
from livespot.contracts.vocabulary import Interval, Severity
from livespot.rules import quarantine
from livespot.rules.candles import Duplicate, Gap, Joined, opened_at
from livespot.rules.costs import Fees, fees_of
from livespot.rules.microstructure import LatencyWindow
from livespot.rules.snapshot import SnapshotContext, build_snapshot, deep_features
from livespot.rules.symbol_window import KlineOutcome, SymbolWindow
from livespot.rules.thresholds import config_hash, thresholds_hash
from livespot.runtime.mailboxes import ConflatingMailbox, Mailbox

# A symbol without a book for this long loses its eligibility until its minute is full again.
_SILENT_MS = 10_000
_MARKS_EVERY_MS = 1000
_FIRST_ASK_MS = 5000
_LAST_ASK_MS = 60_000
_NOTE_EVERY_MS = 60_000


@dataclass(slots=True, kw_only=True)
class _Known:
    """The actor's whole memory.

    It survives a restart of the actor, since histories and reference data are sent only once.
    """

    windows: dict[str, SymbolWindow] = field(default_factory=dict)
    infos: dict[str, SymbolInfo] = field(default_factory=dict)
    tickers: dict[str, Ticker24h] = field(default_factory=dict)
    fees: dict[str, Fees] = field(default_factory=dict)
    health: dict[str, SymbolHealth] = field(default_factory=dict)
    latency: LatencyWindow = field(default_factory=LatencyWindow)
    asked: dict[tuple[str, Interval], tuple[int, int]] = field(default_factory=dict)
    marks_due_ms: int = 0
    heard_ms: dict[str, int] = field(default_factory=dict)
    noted: dict[tuple[ReasonCode, str], int] = field(default_factory=dict)
    late: dict[str, int] = field(default_factory=dict)
    # By symbol: until when no candle can be missing unless a closed one arrives.
    complete_ms: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketState:
    settings: Settings
    clock: Clock
    server_clock: ServerClock
    inbox: Mailbox[MarketStateInbox]
    books: ConflatingMailbox[BookTicker]
    age: StreamAge
    feed: Sink[KlineGapFound]
    signal: Sink[CandleClosed]
    risk: Sink[LatencySeen | PricesInsane]
    marks_to: Sequence[Sink[Marks]]
    alerts: Sink[Alert]
    beat: Callable[[], None]
    known: _Known = field(default_factory=_Known, init=False)
    _hashes: tuple[str, str] = field(init=False)

    def __post_init__(self) -> None:
        hashes = (config_hash(self.settings), thresholds_hash(self.settings))
        object.__setattr__(self, "_hashes", hashes)

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled."""
        known = self.known
        for window in known.windows.values():
            # Books and trades were missed while the actor was down.
            window.forget_live()
        known.heard_ms.clear()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._take_books, known)
            tasks.start_soon(self._tick_for_ever, known)
            task_status.started()
            async for message in self.inbox:
                self._take(known, message)

    async def _take_books(self, known: _Known) -> None:
        while True:
            books = await self.books.receive_all()
            now = self.clock.monotonic_ms()
            for book in books:
                window = known.windows.get(book.symbol)
                # A refused book is no sign of life: the update ids may have started again.
                if window is not None and window.take_book(book):
                    known.heard_ms[book.symbol] = now

    async def _tick_for_ever(self, known: _Known) -> None:
        """Sample at a steady pace; a missed tick is not made up for."""
        step = self.settings.timing.microstructure_sample_ms
        due = self.clock.monotonic_ms()
        while True:
            self.beat()
            self._tick(known)
            now = self.clock.monotonic_ms()
            due = due + step if due + step > now else now + step
            await self.clock.sleep((due - now) / 1000)

    def _tick(self, known: _Known) -> None:
        now = self.clock.monotonic_ms()
        server_now = self.server_clock.server_now_ms()
        fresh = self._is_fresh()
        silent = 0
        for window in known.windows.values():
            quiet = now - known.heard_ms.setdefault(window.symbol, now) >= _SILENT_MS
            silent += quiet
            if fresh and not quiet:
                window.sample()
            else:
                window.forget_live()
            self._report_false_price(known, window)
            if server_now >= known.complete_ms.get(window.symbol, 0):
                self._ask_for_missing(known, window, now, server_now)
        self.age.silent_percent = 100 * silent // len(known.windows) if known.windows else 0
        if now >= known.marks_due_ms:
            known.marks_due_ms = now + _MARKS_EVERY_MS
            self._send_marks(known)

    def _take(self, known: _Known, message: MarketStateInbox) -> None:
        match message:
            case AggTrade() | KlineUpdate() | KlineHistory() | DepthBook():
                self._take_tick(known, message)
            case SymbolDropped():
                known.windows.pop(message.symbol, None)
                known.heard_ms.pop(message.symbol, None)
                known.complete_ms.pop(message.symbol, None)
            case SnapshotsAsked():
                message.reply.answer(self._snapshots(known, message.symbols))
            case FeaturesAsked():
                message.reply.answer(self._features(known, message.symbols))
            case _:
                self._learn(known, message)

    def _take_tick(
        self, known: _Known, message: AggTrade | KlineUpdate | KlineHistory | DepthBook
    ) -> None:
        if isinstance(message, KlineHistory) and message.symbol not in known.windows:
            known.windows[message.symbol] = self._attach(known, message.symbol)
        window = known.windows.get(message.symbol)
        if window is None:
            # A late message of a symbol that is no longer streamed.
            return
        match message:
            case AggTrade() | KlineUpdate():
                self._take_event(known, window, message)
            case KlineHistory():
                known.complete_ms.pop(message.symbol, None)
                self._take_history(window, message)
            case DepthBook():
                window.depth = message
            case _:
                assert_never(message)

    def _take_event(
        self, known: _Known, window: SymbolWindow, message: AggTrade | KlineUpdate
    ) -> None:
        """Drop an event from the future: every later one would look old beside it."""
        newest = self.server_clock.server_now_ms() + self.settings.time.recv_window_ms
        if message.exchange_time_ms > newest:
            window.drop_event()
        elif isinstance(message, KlineUpdate):
            if message.closed:
                known.complete_ms.pop(message.symbol, None)
            self._joined(known, window, message.interval, window.take_kline(message))
        elif window.take_trade(message):
            received = message.local_received_ms + self.server_clock.offset_ms
            known.latency.take(received - message.exchange_time_ms)

    def _take_history(self, window: SymbolWindow, history: KlineHistory) -> None:
        """Pass on minutes that closed a gap like those of the stream, but not a first history."""
        is_first = window.series[history.interval].last is None
        joined = window.take_history(history)
        if history.interval is Interval.M1 and joined.candles and not is_first:
            self.signal.offer(CandleClosed(symbol=window.symbol, candles=joined.candles))

    def _report_false_price(self, known: _Known, window: SymbolWindow) -> None:
        """Report a symbol with a price that proved false to risk and to the operator."""
        price = window.guard.exposed(self.clock.now_ms())
        if price is not None:
            text = f"a price of {price:g} was held back and proved false"
            self._note(known, ReasonCode.MD_PRICE_INSANE, window.symbol, text)
            self.risk.offer(PricesInsane(symbol=window.symbol, at_ms=self.clock.now_ms()))

    def _joined(
        self, known: _Known, window: SymbolWindow, interval: Interval, outcome: KlineOutcome
    ) -> None:
        """Pass on a joined 1m candle, and note a duplicate.

        If the signal actor's inbox is full nothing is lost: it decides in every cycle anyway.
        """
        if isinstance(outcome, Duplicate):
            text = (
                f"{interval} candle of {opened_at(outcome.open_time_ms)} came again and was dropped"
            )
            self._note(known, ReasonCode.DATA_DUPLICATE_TIMESTAMP, window.symbol, text)
        elif interval is Interval.M1 and isinstance(outcome, Joined):
            self.signal.offer(CandleClosed(symbol=window.symbol, candles=outcome.candles))

    def _note(self, known: _Known, code: ReasonCode, symbol: str, text: str) -> None:
        """Alert the operator, at most once a minute for one code and symbol."""
        now = self.clock.monotonic_ms()
        if now < known.noted.get((code, symbol), 0):
            return
        known.noted[(code, symbol)] = now + _NOTE_EVERY_MS
        self.alerts.offer(
            Alert(
                severity=Severity.INFO,
                code=code,
                reasons=(code,),
                text=text,
                symbol=symbol,
                at_ms=self.clock.now_ms(),
            )
        )

    def _learn(
        self,
        known: _Known,
        message: SymbolsLearned | TickersLearned | CommissionLearned | SymbolHealth,
    ) -> None:
        match message:
            case SymbolsLearned():
                known.infos.update(message.infos)
            case TickersLearned():
                known.tickers = {ticker.symbol: ticker for ticker in message.tickers}
            case CommissionLearned():
                known.fees[message.rates.symbol] = fees_of(
                    message.rates,
                    self.settings.venue,
                    discount_usable=message.discount_usable,
                )
            case SymbolHealth():
                known.health[message.symbol] = message
            case _:
                assert_never(message)
        for window in known.windows.values():
            self._refer(known, window)

    def _attach(self, known: _Known, symbol: str) -> SymbolWindow:
        window = SymbolWindow(
            symbol=symbol, fees=fees_of(None, self.settings.venue, discount_usable=False)
        )
        self._refer(known, window)
        return window

    def _refer(self, known: _Known, window: SymbolWindow) -> None:
        """Give a window the newest reference data of its symbol."""
        symbol = window.symbol
        window.info = known.infos.get(symbol)
        window.ticker = known.tickers.get(symbol)
        window.fees = known.fees.get(symbol, window.fees)
        health = known.health.get(symbol)
        if health is not None:
            window.quarantined_until_ms = health.quarantined_until_ms
            window.recent_rejects = len(quarantine.from_row(health).rejects_ms)

    def _snapshots(self, known: _Known, symbols: Sequence[str]) -> SnapshotsBuilt:
        context = self._context()
        built: list[Snapshot] = []
        rejections: list[Rejection] = []
        for symbol in symbols:
            outcome = self._snapshot(known.windows.get(symbol), symbol, context)
            if isinstance(outcome, Snapshot):
                built.append(outcome)
            else:
                rejections.append(outcome)
        return SnapshotsBuilt(snapshots=tuple(built), rejections=tuple(rejections))

    def _snapshot(
        self, window: SymbolWindow | None, symbol: str, context: SnapshotContext
    ) -> Snapshot | Rejection:
        if window is None:
            return Rejection(
                symbol=symbol, reasons=(ReasonCode.STRAT_WARMUP,), detail="not attached yet"
            )
        if not context.ws_ok:
            return Rejection(
                symbol=symbol, reasons=(ReasonCode.WS_STALE_DEGRADE,), detail="the stream is silent"
            )
        return build_snapshot(
            window, context, out_of_order_drops=self.age.late_books.get(symbol, 0)
        )

    def _features(self, known: _Known, symbols: Sequence[str]) -> tuple[DeepFeatures, ...]:
        context = self._context()
        return tuple(
            deep_features(
                known.windows.get(symbol) or self._attach(known, symbol),
                context,
                out_of_order_drops=self.age.late_books.get(symbol, 0),
            )
            for symbol in symbols
        )

    def _context(self) -> SnapshotContext:
        of_config, of_thresholds = self._hashes
        return SnapshotContext(
            settings=self.settings,
            config_hash=of_config,
            thresholds_hash=of_thresholds,
            now_ms=self.server_clock.server_now_ms(),
            ws_ok=self._is_fresh(),
        )

    def _is_fresh(self) -> bool:
        limit = self.settings.health.ws_stale_ms_degrade
        return self.age.is_fresh(self.clock.monotonic_ms(), limit)

    def _ask_for_missing(
        self, known: _Known, window: SymbolWindow, now: int, server_now: int
    ) -> None:
        """Ask the feed for spans that are missing or overdue, at growing intervals."""
        wanted: dict[Interval, Gap] = dict(window.overdue(server_now))
        wanted.update(window.gaps)
        if not wanted:
            known.complete_ms[window.symbol] = window.closed(self.settings).behind_ms
        for interval in Interval:
            key = (window.symbol, interval)
            gap = wanted.get(interval)
            if gap is None:
                known.asked.pop(key, None)
                continue
            due, pause = known.asked.get(key, (0, _FIRST_ASK_MS))
            if now >= due:
                known.asked[key] = (now + pause, min(2 * pause, _LAST_ASK_MS))
                text = f"{interval} candles of {gap} are missing"
                self._note(known, ReasonCode.DATA_GAP_DETECTED, window.symbol, text)
                self.feed.offer(
                    KlineGapFound(
                        symbol=window.symbol,
                        interval=interval,
                        from_ms=gap.from_ms,
                        to_ms=gap.to_ms,
                    )
                )

    def _send_marks(self, known: _Known) -> None:
        """Send marks and latency; a receiver that is full gets the next ones instead."""
        at_ms = self.clock.now_ms()
        books = {w.symbol: w.book for w in known.windows.values() if w.book is not None}
        marks = Marks(
            bids={symbol: book.bid for symbol, book in books.items()},
            asks={symbol: book.ask for symbol, book in books.items()},
            at_ms=at_ms,
        )
        for sink in self.marks_to:
            sink.offer(marks)
        self._note_late_events(known)
        p90 = known.latency.p90_ms()
        if p90 is not None:
            self.risk.offer(LatencySeen(p90_ms=p90, at_ms=at_ms))

    def _note_late_events(self, known: _Known) -> None:
        """Note when the count of events dropped because they came out of order has risen."""
        for symbol, window in known.windows.items():
            dropped = self.age.late_books.get(symbol, 0) + window.stale_events
            if dropped > known.late.get(symbol, 0):
                text = f"{dropped} events came out of order since start and were dropped"
                self._note(known, ReasonCode.WS_OOO_EVENT, symbol, text)
            known.late[symbol] = dropped
