"""Processor time of the decision core: a scan, a minute's close, a book, a candidate."""

import time
from asyncio import Runner
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from statistics import median

import anyio
import msgspec
import pytest
import uvloop
from tests.bench.report import Figure, report

from livespot.actors.mail import (
    CandleClosed,
    KlineGapFound,
    LatencySeen,
    MarketStateInbox,
    PricesInsane,
)
from livespot.actors.market_state import MarketState
from livespot.actors.scan_records import ranking_entry, selection_entry, universe_entry
from livespot.actors.stream_age import StreamAge
from livespot.contracts.decision import Decision
from livespot.contracts.market import (
    BookTicker,
    Candle,
    KlineUpdate,
    Snapshot,
    SymbolInfo,
    Ticker24h,
)
from livespot.contracts.settings import Settings
from livespot.contracts.system import Alert
from livespot.contracts.vocabulary import Interval, Mode, Verdict
from livespot.rules import selection
from livespot.rules.choice import choose
from livespot.rules.costs import fees_of
from livespot.rules.risk import assess
from livespot.rules.snapshot import SnapshotContext, build_snapshot, deep_features
from livespot.rules.strategies import strategy_for
from livespot.rules.symbol_window import SymbolWindow
from livespot.rules.thresholds import config_hash, thresholds_hash
from livespot.runtime.clock import SystemClock
from livespot.runtime.mailboxes import ConflatingMailbox, Mailbox
from livespot.testing.market_values import a_book, a_day, a_symbol, recorded_minutes
from livespot.testing.recorded_market import window_of
from livespot.testing.risk_values import a_gate_result, a_view
from livespot.testing.server_clock import FixedOffset

pytestmark = [pytest.mark.bench, pytest.mark.timeout(300)]

_MOST_CANDIDATE_US = 1_500
_MOST_BOOK_US = 15
_MOST_CLOSE_MS = 10
_MOST_SCAN_SECONDS = 1
_SYMBOLS = 2_000
_WATCHED = 20
_BOOKS = 20_000
_ROUNDS = 15
# An instant of the recorded market at which the default strategy wants to enter.
_NOW_MS = 1_618_919_400_000
_SETTINGS = Settings()


def _window(symbol: str = "SOLUSDT") -> SymbolWindow:
    minutes = recorded_minutes("SOLUSDT")
    return window_of(symbol, tuple(m for m in minutes if m.open_time_ms < _NOW_MS), _NOW_MS)


def _context() -> SnapshotContext:
    return SnapshotContext(
        settings=_SETTINGS,
        config_hash=config_hash(_SETTINGS),
        thresholds_hash=thresholds_hash(_SETTINGS),
        now_ms=_NOW_MS,
        ws_ok=True,
    )


def _seconds(run: Callable[[], object]) -> float:
    """Processor time of one run."""
    started = time.process_time()
    run()
    return time.process_time() - started


@dataclass(frozen=True, slots=True)
class _Desk:
    """Everything a candidate meets between market state and execution."""

    window: SymbolWindow
    context: SnapshotContext

    def candidates(self, count: int, *, fresh: bool) -> None:
        for _ in range(count):
            self.candidate(fresh=fresh)

    def candidate(self, *, fresh: bool) -> None:
        if fresh:
            # As after the close of a 5m candle and a new sample: nothing remembered is of use.
            self.window.series[Interval.M5].version += 1
            self.window.sample()
        snapshot = build_snapshot(self.window, self.context, out_of_order_drops=0)
        assert isinstance(snapshot, Snapshot)
        outcome = strategy_for(_SETTINGS).propose(
            snapshot, _SETTINGS, mode=Mode.SIM, cycle_id="cyc", now_ms=_NOW_MS
        )
        assert isinstance(outcome, Decision)
        decision = msgspec.structs.replace(outcome, ai_gate=a_gate_result())
        view = a_view(settings=_SETTINGS, now_ms=_NOW_MS, info=self.window.info)
        assert assess(decision, snapshot, view).verdict in Verdict


def test_a_candidate_is_judged_within_a_part_of_a_decision_cycle() -> None:
    desk, times = _Desk(_window(), _context()), 100
    taken: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(_ROUNDS):
        for fresh, found in taken.items():
            found.append(_seconds(partial(desk.candidates, times, fresh=fresh)))
    cost = {fresh: median(found) / times * 1e6 for fresh, found in taken.items()}

    report(
        "one candidate, from building its snapshot to the verdict of risk",
        Figure("after a 5m candle has closed", cost[True], "us", most=_MOST_CANDIDATE_US),
        Figure("between two closes", cost[False], "us"),
    )


async def _books_through_state(batch: int) -> float:
    """Microseconds of processor time per book, `batch` books at a time, one of each symbol."""
    clock, age = SystemClock(), StreamAge()
    books: ConflatingMailbox[BookTicker] = ConflatingMailbox("books", 64, clock)
    inbox: Mailbox[MarketStateInbox] = Mailbox("state", 64, clock)
    gaps: Mailbox[KlineGapFound] = Mailbox("gaps", 64, clock)
    signal: Mailbox[CandleClosed] = Mailbox("signal", 64, clock)
    risk: Mailbox[LatencySeen | PricesInsane] = Mailbox("risk", 64, clock)
    alerts: Mailbox[Alert] = Mailbox("alerts", 64, clock)
    state = MarketState(
        settings=_SETTINGS,
        clock=clock,
        server_clock=FixedOffset(clock),
        inbox=inbox,
        books=books,
        age=age,
        feed=gaps,
        signal=signal,
        risk=risk,
        marks_to=(),
        alerts=alerts,
        beat=lambda: None,
    )
    names = [f"S{i}USDT" for i in range(_WATCHED)]
    fees = fees_of(None, _SETTINGS.venue, discount_usable=False)
    state.known.windows.update({name: SymbolWindow(symbol=name, fees=fees) for name in names})
    rounds = [
        [a_book(number, name) for name in names[:batch]] for number in range(1, _BOOKS // batch + 1)
    ]
    async with anyio.create_task_group() as tasks:
        await tasks.start(state.run)
        await anyio.lowlevel.checkpoint()
        started = time.process_time()
        for wave in rounds:
            for book in wave:
                books.put(book.symbol, book)
            await anyio.lowlevel.checkpoint()
        while _taken(state, names[0]) < len(rounds):
            await anyio.lowlevel.checkpoint()
        spent = time.process_time() - started
        tasks.cancel_scope.cancel()
    return spent / (len(rounds) * batch) * 1e6


def _taken(state: MarketState, symbol: str) -> int:
    book = state.known.windows[symbol].book
    return 0 if book is None else book.update_id


def test_a_book_costs_market_state_little() -> None:
    def measured(batch: int) -> float:
        with Runner(loop_factory=uvloop.new_event_loop) as runner:
            return min(runner.run(_books_through_state(batch)) for _ in range(3))

    report(
        "one book ticker through market state, mailbox included",
        Figure("one at a time", measured(1), "us", most=_MOST_BOOK_US),
        Figure("twenty symbols at a time", measured(_WATCHED), "us", most=_MOST_BOOK_US),
    )


def _next(window: SymbolWindow, interval: Interval) -> KlineUpdate:
    last = window.series[interval].last
    assert last is not None
    candle: Candle = msgspec.structs.replace(last, open_time_ms=last.open_time_ms + interval.ms)
    end_ms = candle.open_time_ms + interval.ms
    return KlineUpdate(
        symbol=window.symbol,
        interval=interval,
        candle=candle,
        closed=True,
        exchange_time_ms=end_ms,
        local_received_ms=end_ms,
    )


def _closing(windows: Sequence[SymbolWindow], frames: Sequence[Interval]) -> float:
    """Milliseconds of processor time until all windows have taken the close and read it."""
    updates = [(w, [_next(w, interval) for interval in frames]) for w in windows]

    def run() -> None:
        for window, closes in updates:
            for close in closes:
                window.take_kline(close)
            window.closed(_SETTINGS)

    return _seconds(run) * 1000


def test_the_close_of_a_minute_is_a_matter_of_milliseconds() -> None:
    windows = [_window() for _ in range(_WATCHED)]
    for window in windows:
        window.closed(_SETTINGS)
    minute = [_closing(windows, [Interval.M1]) for _ in range(_ROUNDS)]
    hour = [_closing(windows, list(Interval)) for _ in range(_ROUNDS)]

    report(
        f"a minute closes for {_WATCHED} symbols, all readings computed",
        Figure("1m only", median(minute), "ms", most=_MOST_CLOSE_MS),
        Figure("1m, 5m, 15m and 1h at once", median(hour), "ms", most=_MOST_CLOSE_MS),
    )


def _scan(infos: dict[str, SymbolInfo], days: tuple[Ticker24h, ...], desk: _Desk) -> None:
    """Universe, ranking, deep scan of twenty and choice, with the records they leave."""
    rules, digest = _SETTINGS.selection, desk.context.config_hash
    known = selection.listing(infos, quote_asset="USDT")
    listed = selection.universe(known, days, (), rules)
    ranked = selection.rank(listed, rules)
    cut = frozenset(item.symbol for item in ranked if item.dropped)
    universe_entry(listed, listed, "cyc", _NOW_MS)
    ranking_entry(ranked, "TOPN", "cyc", digest, _NOW_MS, newly_cut=cut)
    wanted = [item.symbol for item in ranked if not item.dropped]
    assert len(wanted) == _WATCHED
    features = []
    for symbol in wanted:
        desk.window.series[Interval.M5].version += 1
        found = deep_features(desk.window, desk.context, out_of_order_drops=0)
        features.append(msgspec.structs.replace(found, symbol=symbol))
    deep = selection.deep_scan(features, rules)
    returns = {found.symbol: found.returns for found in features if found.returns is not None}
    choices = choose(deep, returns, {}, (), rules)
    ranking_entry(deep, "DEEP", "cyc", digest, _NOW_MS)
    selection_entry(choices, "cyc", digest, _NOW_MS)


def test_two_thousand_symbols_are_scanned_within_a_second() -> None:
    names = [f"S{i:04d}USDT" for i in range(_SYMBOLS)]
    infos = {name: a_symbol(name) for name in names}
    days = tuple(
        a_day(
            name,
            quote_volume=Decimal(4_000_000 + 7919 * i),
            price_change_bps=(i * 37) % 400,
            bid=Decimal("99.99") - Decimal(i % 13) / 100,
        )
        for i, name in enumerate(names)
    )
    desk = _Desk(_window(), _context())
    spent = [_seconds(lambda: _scan(infos, days, desk)) for _ in range(5)]

    report(
        f"{_SYMBOLS} symbols scanned, deep scan of {_WATCHED} and records included",
        Figure("the whole scan", median(spent), "s", most=_MOST_SCAN_SECONDS),
    )
