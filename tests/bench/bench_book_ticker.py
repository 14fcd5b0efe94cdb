"""A book ticker from the socket to market state, against a bare reader of the same stream."""

import subprocess
import sys
import time
from asyncio import Runner
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal

import anyio
import msgspec
import pytest
import uvloop
from tests.bench.frame_server import SYMBOLS, last_ids, level_of
from tests.bench.report import report_comparison
from tests.bench.rounds import Cost, compare
from websockets.asyncio.client import connect

from livespot.actors.mail import (
    CandleClosed,
    FeedInbox,
    KlineGapFound,
    LatencySeen,
    MarketStateInbox,
    PricesInsane,
    StreamDropped,
)
from livespot.actors.market_feed import MarketFeed
from livespot.actors.market_state import MarketState
from livespot.actors.stream_age import StreamAge
from livespot.contracts.market import BookTicker, KlineHistory
from livespot.contracts.settings import Settings
from livespot.contracts.system import Alert
from livespot.contracts.vocabulary import Interval
from livespot.rules.symbol_window import SymbolWindow
from livespot.runtime.clock import SystemClock
from livespot.runtime.mailboxes import ConflatingMailbox, Mailbox
from livespot.testing.market_values import a_candle
from livespot.testing.market_wire import ScriptedReader
from livespot.testing.server_clock import FixedOffset
from livespot.venue.frames import decode_frame
from livespot.venue.market_stream import MarketStream
from livespot.venue.sockets import WebsocketsTransport

pytestmark = [pytest.mark.bench, pytest.mark.timeout(300)]

_LIMIT = 2.5
_ROUNDS = 9


class _Book(msgspec.Struct, gc=False):
    u: int
    s: str
    b: Decimal
    B: Decimal
    a: Decimal
    A: Decimal


class _Frame(msgspec.Struct, gc=False):
    stream: str
    data: _Book


@dataclass(frozen=True, slots=True)
class _Traffic:
    """`frames` in writes of `burst` frames, `pause_us` apart."""

    name: str
    frames: int
    burst: int
    pause_us: int

    def path(self) -> str:
        return f"/{self.frames}/{self.burst}/{self.pause_us}"


_FLOOD = _Traffic("as fast as it is read", 50_000, 250, 0)
_BURSTS = _Traffic("bursts of 8 frames", 12_000, 8, 100)
_SINGLE = _Traffic("one frame at a time", 1_500, 1, 100)


@contextmanager
def _server() -> Iterator[str]:
    """A frame server in a process of its own; its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.frame_server", str(_FLOOD.frames)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        if process.stdout is None:
            raise RuntimeError("the server has no output")
        yield f"ws://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.terminate()
        process.communicate()


async def _bare(url: str, traffic: _Traffic) -> None:
    """The least a reader can do: receive and decode into typed fields."""
    decoder = msgspec.json.Decoder(_Frame)
    async with connect(
        f"{url}/stream", compression=None, proxy=None, ping_interval=None, max_queue=(1024, 256)
    ) as socket:
        await socket.send('{"method":"SUBSCRIBE","params":[],"id":1}')
        await socket.recv(decode=False)
        seen: dict[str, int] = {}
        for _ in range(traffic.frames):
            book = decoder.decode(await socket.recv(decode=False)).data
            seen[book.s] = book.u
        assert seen == last_ids(traffic.frames)


async def _ours(url: str, traffic: _Traffic) -> None:
    """The runtime's own way: transport, connection, feed actor, mailbox, state actor."""
    clock = SystemClock()
    settings, age = Settings(), StreamAge()
    books: ConflatingMailbox[BookTicker] = ConflatingMailbox("books", 64, clock)
    inbox: Mailbox[FeedInbox] = Mailbox("feed", 64, clock)
    state_inbox: Mailbox[MarketStateInbox] = Mailbox("state", 1024, clock)
    gaps: Mailbox[KlineGapFound] = Mailbox("gaps", 1024, clock)
    signal: Mailbox[CandleClosed] = Mailbox("signal", 64, clock)
    risk: Mailbox[StreamDropped | LatencySeen | PricesInsane] = Mailbox("risk", 64, clock)
    alerts: Mailbox[Alert] = Mailbox("alerts", 1024, clock)
    feed = MarketFeed(
        settings=settings,
        clock=clock,
        server_clock=FixedOffset(clock),
        stream=MarketStream(WebsocketsTransport(clock), url, clock),
        decode=decode_frame,
        reader=ScriptedReader(),
        inbox=inbox,
        books=books,
        state=state_inbox,
        risk=risk,
        alerts=alerts,
        age=age,
        backoff=lambda _: 0.05,
        beat=lambda: None,
    )
    state = MarketState(
        settings=settings,
        clock=clock,
        server_clock=FixedOffset(clock),
        inbox=state_inbox,
        books=books,
        age=age,
        feed=gaps,
        signal=signal,
        risk=risk,
        marks_to=(),
        alerts=alerts,
        beat=lambda: None,
    )
    wanted = last_ids(traffic.frames)
    async with anyio.create_task_group() as tasks:
        await tasks.start(state.run)
        for symbol in SYMBOLS:
            await state_inbox.send(_history(symbol, clock.now_ms()))
        await tasks.start(feed.run)
        # The windows announce nothing, and must not have to for the sake of a measurement.
        while _ids(state.known.windows) != wanted:  # noqa: ASYNC110
            await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()
    # A conflated frame is one whose successor came first; each was taken, none was called late.
    assert books.stats().received == traffic.frames
    assert age.late_books == {}
    assert age.malformed == 0


def _history(symbol: str, now_ms: int) -> KlineHistory:
    """One closed candle: it attaches a symbol to market state, and tells where its price is."""
    minute = Interval.M1.ms
    candle = a_candle(now_ms // minute * minute - minute, close=level_of(symbol))
    return KlineHistory(symbol=symbol, interval=Interval.M1, candles=(candle,))


def _ids(windows: dict[str, SymbolWindow]) -> dict[str, int]:
    return {symbol: w.book.update_id for symbol, w in windows.items() if w.book is not None}


def _timed(run: Callable[[], Awaitable[None]], frames: int) -> Cost:
    async def body() -> tuple[float, float]:
        cpu, wall = time.process_time(), time.perf_counter()
        await run()
        return time.process_time() - cpu, time.perf_counter() - wall

    with Runner(loop_factory=uvloop.new_event_loop) as runner:
        cpu, wall = runner.run(body())
    return Cost(cpu_us=cpu / frames * 1e6, wall_us=wall / frames * 1e6)


@pytest.mark.parametrize("traffic", [_FLOOD, _BURSTS, _SINGLE], ids=lambda t: t.name)
def test_a_book_reaches_market_state_at_little_more_than_a_bare_read(traffic: _Traffic) -> None:
    with _server() as address:
        url = address + traffic.path()
        result = compare(
            f"book ticker, socket to market state: {traffic.name}",
            {
                "bare recv and decode": lambda: _timed(lambda: _bare(url, traffic), traffic.frames),
                "livespot": lambda: _timed(lambda: _ours(url, traffic), traffic.frames),
            },
            rounds=_ROUNDS,
            limit=_LIMIT,
        )

    report_comparison(result)
