from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal

import anyio
import msgspec
import pytest

from livespot.actors.mail import (
    AttachmentWanted,
    FeedInbox,
    KlineGapFound,
    MarketStateInbox,
    PricesInsane,
    RiskInbox,
    StreamDropped,
    SymbolDropped,
)
from livespot.actors.market_feed import MarketFeed
from livespot.actors.stream_age import StreamAge
from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import Unreachable
from livespot.contracts.market import BookTicker, Candle, KlineHistory, KlineUpdate
from livespot.contracts.settings import Settings
from livespot.contracts.system import Alert
from livespot.contracts.vocabulary import Interval
from livespot.rules.streams import HEARTBEAT_STREAM, streams_of
from livespot.runtime.clock import ClockAnchor, ScaledClock, SystemClock
from livespot.runtime.mailboxes import ConflatingMailbox, Mailbox
from livespot.testing.market_values import a_candle
from livespot.testing.market_wire import ScriptedReader, ScriptedStream
from livespot.testing.server_clock import FixedOffset
from livespot.venue.frames import decode_frame


def _frame(stream: str, data: dict[str, object]) -> bytes:
    return msgspec.json.encode({"stream": stream, "data": data})


def _book(update_id: int, bid: str = "99.99") -> bytes:
    data: dict[str, object] = {
        "u": update_id,
        "s": "SOLUSDT",
        "b": bid,
        "B": "70",
        "a": "100.01",
        "A": "30",
    }
    return _frame("solusdt@bookTicker", data)


def _closed_minute() -> bytes:
    kline = {
        "t": 60_000,
        "i": "1m",
        "o": "100",
        "c": "100",
        "h": "101",
        "l": "99",
        "v": "5",
        "x": True,
    }
    return _frame("solusdt@kline_1m", {"s": "SOLUSDT", "E": 120_000, "k": kline})


@dataclass(slots=True, kw_only=True)
class _Desk:
    stream: ScriptedStream
    reader: ScriptedReader
    inbox: Mailbox[FeedInbox]
    books: ConflatingMailbox[BookTicker]
    state: Mailbox[MarketStateInbox]
    risk: Mailbox[RiskInbox]
    alerts: Mailbox[Alert]
    age: StreamAge
    feed: MarketFeed | None = None

    @asynccontextmanager
    async def living(self) -> AsyncIterator[None]:
        """One life of the actor."""
        assert self.feed is not None
        async with anyio.create_task_group() as tasks:
            await tasks.start(self.feed.run)
            yield
            tasks.cancel_scope.cancel()

    async def attach(self, *symbols: str) -> None:
        await self.inbox.send(AttachmentWanted(symbols=symbols, watched=()))

    async def told(self, kind: type) -> object:
        """The next message of this kind to market state."""
        with anyio.fail_after(5):
            while True:
                message = await self.state.receive()
                if isinstance(message, kind):
                    return message


@dataclass(slots=True)
class _SlowReader(ScriptedReader):
    """Answers a read of candles only once `released` is set."""

    released: anyio.Event = field(default_factory=anyio.Event)

    async def klines(
        self, symbol: str, interval: Interval, *, limit: int, start_ms: int = 0, end_ms: int = 0
    ) -> tuple[Candle, ...]:
        self.asked.append((symbol, interval, start_ms))
        await self.released.wait()
        return self.candles.get((symbol, interval), ())


@asynccontextmanager
async def _running(*, speed: int = 1, reader: ScriptedReader | None = None) -> AsyncIterator[_Desk]:
    clock = ScaledClock(ClockAnchor(wall_ms=0, market_ms=0, speed=speed))
    desk = _Desk(
        stream=ScriptedStream(),
        reader=reader or ScriptedReader(),
        inbox=Mailbox("feed", 64, clock),
        books=ConflatingMailbox("books", 64, clock),
        state=Mailbox("state", 1024, clock),
        risk=Mailbox("risk", 64, clock),
        alerts=Mailbox("alerts", 64, clock),
        age=StreamAge(),
    )
    feed = MarketFeed(
        settings=Settings(),
        clock=clock,
        server_clock=FixedOffset(clock),
        stream=desk.stream,
        decode=decode_frame,
        reader=desk.reader,
        inbox=desk.inbox,
        books=desk.books,
        state=desk.state,
        risk=desk.risk,
        alerts=desk.alerts,
        age=desk.age,
        backoff=lambda failures: 0.001,
        beat=lambda: None,
    )
    desk.feed = feed
    async with desk.living():
        yield desk


def _everything_of(symbol: str) -> frozenset[str]:
    return frozenset((HEARTBEAT_STREAM, *streams_of([symbol])))


async def _until(condition: object) -> None:
    assert callable(condition)
    with anyio.fail_after(5):
        while not condition():
            await anyio.lowlevel.checkpoint()


async def test_attached_symbols_are_streamed_and_their_history_is_read() -> None:
    async with _running() as desk:
        connection = await desk.stream.opened(1)
        await desk.attach("SOLUSDT")

        frames = {(await desk.told(KlineHistory)).interval for _ in Interval}  # type: ignore[attr-defined]

        assert frames == set(Interval)
        assert connection.subscribed == _everything_of("SOLUSDT")


async def test_asking_again_for_the_same_symbols_changes_nothing() -> None:
    async with _running() as desk:
        connection = await desk.stream.opened(1)
        await desk.attach("SOLUSDT")
        await desk.attach("SOLUSDT")
        await desk.attach("SOLUSDT", "ADAUSDT")
        await _until(lambda: "adausdt@bookTicker" in connection.subscribed)

        assert connection.asked.count("solusdt@bookTicker") == 1


async def test_a_symbol_no_longer_wanted_is_unsubscribed_and_forgotten() -> None:
    async with _running() as desk:
        connection = await desk.stream.opened(1)
        await desk.attach("SOLUSDT", "ADAUSDT")
        await desk.attach("ADAUSDT")

        dropped = await desk.told(SymbolDropped)

        assert dropped == SymbolDropped(symbol="SOLUSDT")
        assert connection.subscribed == _everything_of("ADAUSDT")


async def test_a_history_read_for_a_symbol_dropped_meanwhile_is_thrown_away() -> None:
    """Market state would take it for a new symbol and keep a window that no stream ever feeds."""
    reader = _SlowReader()
    async with _running(reader=reader) as desk:
        await desk.attach("SOLUSDT")
        await _until(lambda: len(reader.asked) == 1)
        await desk.attach("ADAUSDT")
        await desk.told(SymbolDropped)

        reader.released.set()
        histories = [await desk.told(KlineHistory) for _ in Interval]

        assert {h.symbol for h in histories if isinstance(h, KlineHistory)} == {"ADAUSDT"}


async def test_a_gap_of_a_symbol_that_is_not_streamed_is_not_read() -> None:
    async with _running() as desk:
        gap = KlineGapFound(symbol="SOLUSDT", interval=Interval.M1, from_ms=60_000, to_ms=60_000)
        await desk.inbox.send(gap)
        await desk.attach("ADAUSDT")

        histories = [await desk.told(KlineHistory) for _ in Interval]

        assert {h.symbol for h in histories if isinstance(h, KlineHistory)} == {"ADAUSDT"}
        assert {symbol for symbol, _, _ in desk.reader.asked} == {"ADAUSDT"}


async def test_a_symbol_given_up_between_two_lives_of_the_feed_is_reported_as_dropped() -> None:
    """Only the feed can tell market state, whose window would otherwise stay for good."""
    async with _running() as desk:
        await desk.attach("SOLUSDT", "ADAUSDT")
        for _ in range(2 * len(Interval)):
            await desk.told(KlineHistory)

    async with desk.living():
        await desk.attach("ADAUSDT")

        assert await desk.told(SymbolDropped) == SymbolDropped(symbol="SOLUSDT")


async def test_only_newer_books_pass_and_the_late_ones_are_counted() -> None:
    async with _running() as desk:
        connection = await desk.stream.opened(1)
        await desk.attach("SOLUSDT")
        connection.put(_book(5), _book(4), _book(5), _book(6))

        with anyio.fail_after(5):
            taken = await desk.books.receive_all()

        assert [book.update_id for book in taken] == [6]
        assert desk.age.late_books["SOLUSDT"] == 2


async def test_a_closed_candle_reaches_market_state() -> None:
    async with _running() as desk:
        connection = await desk.stream.opened(1)
        connection.put(_closed_minute())

        update = await desk.told(KlineUpdate)

        assert isinstance(update, KlineUpdate)
        assert update.closed
        assert update.candle.open_time_ms == 60_000


async def test_any_frame_is_a_sign_of_life() -> None:
    async with _running() as desk:
        connection = await desk.stream.opened(1)
        assert desk.age.age_ms(0) is None
        connection.put(_frame("!miniTicker@arr", {}).replace(b"{}", b"[]"))

        await _until(lambda: desk.age.age_ms(0) is not None)


async def test_an_insane_frame_is_dropped_counted_and_told_once() -> None:
    async with _running() as desk:
        connection = await desk.stream.opened(1)
        insane = _book(9, bid="NaN")
        connection.put(insane, insane, _book(10))

        with anyio.fail_after(5):
            taken = await desk.books.receive_all()

        assert [book.update_id for book in taken] == [10]
        assert desk.age.malformed == 2
        assert desk.alerts.stats().received == 1


def _book_with(**numbers: str) -> bytes:
    book = {"b": "99.99", "B": "70", "a": "100.01", "A": "30", **numbers}
    return _frame("solusdt@bookTicker", {"u": 9, "s": "SOLUSDT", **book})


def _trade_with(price: str, qty: str = "1") -> bytes:
    trade = {"s": "SOLUSDT", "a": 1, "p": price, "q": qty, "T": 1, "m": False}
    return _frame("solusdt@aggTrade", trade)


def _kline_with(**numbers: str) -> bytes:
    kline = {"t": 60_000, "i": "1m", "x": True, "v": "5", **numbers}
    return _frame("solusdt@kline_1m", {"s": "SOLUSDT", "E": 120_000, "k": kline})


@pytest.mark.parametrize(
    "insane",
    [
        pytest.param(_book_with(b="0"), id="bid-zero"),
        pytest.param(_book_with(b="NaN"), id="bid-nan"),
        pytest.param(_book_with(a="sNaN"), id="ask-signalling-nan"),
        pytest.param(_book_with(a="Infinity"), id="ask-infinite"),
        pytest.param(_book_with(B="-1"), id="size-negative"),
        pytest.param(_book_with(A="NaN"), id="size-nan"),
        pytest.param(_book_with(b="100.02"), id="crossed"),
        pytest.param(_trade_with("0"), id="trade-at-zero"),
        pytest.param(_trade_with("NaN"), id="trade-at-nan"),
        pytest.param(_trade_with("100", "-1"), id="trade-of-less-than-nothing"),
        pytest.param(_kline_with(o="1", h="2", l="0", c="1"), id="candle-from-zero"),
        pytest.param(_kline_with(o="1", h="1", l="2", c="1"), id="candle-upside-down"),
        pytest.param(_kline_with(o="1", h="NaN", l="1", c="1"), id="candle-of-nan"),
    ],
)
async def test_a_symbol_with_insane_numbers_is_set_aside_and_nothing_of_it_passes(
    insane: bytes,
) -> None:
    async with _running() as desk:
        connection = await desk.stream.opened(1)
        await desk.attach("SOLUSDT")
        await _until(lambda: connection.subscribed >= _everything_of("SOLUSDT"))
        connection.put(insane, insane, _book(10))

        with anyio.fail_after(5):
            [taken] = await desk.books.receive_all()
            told = await desk.risk.receive()

        assert taken.update_id == 10
        assert isinstance(told, PricesInsane)
        assert told.symbol == "SOLUSDT"
        assert desk.risk.receive_nowait() is None
        alert = desk.alerts.receive_nowait()
        assert isinstance(alert, Alert)
        assert alert.code is ReasonCode.MD_PRICE_INSANE


async def test_insane_numbers_of_a_symbol_nobody_attached_set_nothing_aside() -> None:
    async with _running() as desk:
        connection = await desk.stream.opened(1)
        connection.put(_book_with(b="0"), _book(10))
        with anyio.fail_after(5):
            await desk.books.receive_all()

        assert desk.age.malformed == 1
        assert desk.risk.receive_nowait() is None


async def test_noise_alone_is_no_sign_of_life() -> None:
    async with _running() as desk:
        connection = await desk.stream.opened(1)

        connection.put(b"\xff{]")
        await _until(lambda: desk.age.malformed == 1)

        assert desk.age.age_ms(0) is None


async def test_with_nothing_to_stream_an_answer_is_a_sign_of_life() -> None:
    async with _running(speed=50) as desk:
        connection = await desk.stream.opened(1)

        await _until(lambda: connection.knocks >= 4)

        assert desk.age.disconnects == 0
        assert not connection.closed


async def test_with_nothing_to_stream_a_connection_that_answers_nothing_is_replaced() -> None:
    async with _running(speed=50) as desk:
        connection = await desk.stream.opened(1)
        connection.answers_knocks = False

        with anyio.fail_after(5):
            await desk.stream.opened(2)

        assert connection.knocks == 1
        assert desk.age.age_ms(0) is None


async def test_a_streamed_symbol_has_to_speak_unasked() -> None:
    async with _running(speed=50) as desk:
        connection = await desk.stream.opened(1)
        await desk.attach("SOLUSDT")

        with anyio.fail_after(5):
            await desk.stream.opened(2)

        assert connection.knocks == 0


async def test_a_lost_connection_is_reported_and_everything_is_asked_for_once() -> None:
    async with _running() as desk:
        first = await desk.stream.opened(1)
        await desk.attach("SOLUSDT")
        await _until(lambda: "solusdt@bookTicker" in first.subscribed)
        first.lose()

        with anyio.fail_after(5):
            second = await desk.stream.opened(2)
            reported = await desk.risk.receive()
        await _until(lambda: len(second.subscribed) == 7)

        assert isinstance(reported, StreamDropped)
        assert reported.symbols == ("SOLUSDT",)
        assert second.subscribed == _everything_of("SOLUSDT")
        assert len(second.asked) == len(set(second.asked))
        assert desk.age.disconnects == 1


async def test_update_ids_begin_anew_with_a_new_connection() -> None:
    async with _running() as desk:
        first = await desk.stream.opened(1)
        first.put(_book(500))
        with anyio.fail_after(5):
            await desk.books.receive_all()
            first.lose()
            second = await desk.stream.opened(2)
            second.put(_book(1))

            [book] = await desk.books.receive_all()

        assert book.update_id == 1


async def test_a_gap_is_read_from_one_candle_before_it() -> None:
    async with _running() as desk:
        desk.reader.candles[("SOLUSDT", Interval.M1)] = tuple(
            a_candle(i * 60_000) for i in range(20)
        )
        await desk.attach("SOLUSDT")
        for _ in Interval:
            await desk.told(KlineHistory)
        await desk.inbox.send(
            KlineGapFound(symbol="SOLUSDT", interval=Interval.M1, from_ms=600_000, to_ms=660_000)
        )

        history = await desk.told(KlineHistory)

        assert isinstance(history, KlineHistory)
        assert history.candles[0].open_time_ms == 540_000


async def test_a_forming_candle_never_enters_history() -> None:
    async with _running() as desk:
        now_ms = SystemClock().now_ms()
        open_ms = now_ms - now_ms % 3_600_000
        desk.reader.candles[("SOLUSDT", Interval.H1)] = (
            a_candle(open_ms - 7_200_000),
            a_candle(open_ms),
        )
        await desk.attach("SOLUSDT")

        history = await desk.told(KlineHistory)

        assert isinstance(history, KlineHistory)
        assert [c.open_time_ms for c in history.candles] == [open_ms - 7_200_000]


async def test_a_failed_read_is_reported_and_tried_again() -> None:
    async with _running() as desk:
        desk.reader.failure = Unreachable("the test said so")
        await desk.attach("SOLUSDT")

        frames = {(await desk.told(KlineHistory)).interval for _ in Interval}  # type: ignore[attr-defined]

        assert frames == set(Interval)
        assert desk.alerts.stats().received == 1
        assert len(desk.reader.asked) == 5


async def test_a_shutdown_notice_is_followed_by_a_new_connection_that_counts_as_no_loss() -> None:
    async with _running() as desk:
        first = await desk.stream.opened(1)
        first.put(_frame("!serverShutdown", {"E": 1}))

        with anyio.fail_after(5):
            await desk.stream.opened(2)

        assert desk.age.disconnects == 0
        assert desk.risk.receive_nowait() is None


async def test_an_old_connection_goes_on_until_its_heir_delivers() -> None:
    async with _running() as desk:
        first = await desk.stream.opened(1)
        await desk.attach("SOLUSDT")
        await _until(lambda: "solusdt@bookTicker" in first.subscribed)
        first.put(_frame("!serverShutdown", {"E": 1}))
        with anyio.fail_after(5):
            second = await desk.stream.opened(2)
            await _until(lambda: second.subscribed == _everything_of("SOLUSDT"))
            first.put(_book(7))
            [before] = await desk.books.receive_all()

            second.put(_book(8))
            [after] = await desk.books.receive_all()
            first.put(_book(8), _book(9))
            [overlap] = await desk.books.receive_all()
            await _until(lambda: desk.age.late_books["SOLUSDT"] == 1)
            await _until(lambda: first.closed)

        assert (before.update_id, after.update_id, overlap.update_id) == (7, 8, 9)
        assert not second.closed
        assert desk.age.disconnects == 0
        assert desk.risk.receive_nowait() is None


async def test_when_the_old_connection_ends_first_its_heir_is_the_connection() -> None:
    async with _running() as desk:
        first = await desk.stream.opened(1)
        first.put(_frame("!serverShutdown", {"E": 1}))
        with anyio.fail_after(5):
            second = await desk.stream.opened(2)
            first.lose()
            await _until(lambda: first.closed)
            await desk.attach("SOLUSDT")
            await _until(lambda: second.subscribed == _everything_of("SOLUSDT"))
            second.put(_book(1))
            [book] = await desk.books.receive_all()

        assert book.update_id == 1
        assert len(desk.stream.connections) == 2
        assert desk.risk.receive_nowait() is None


async def test_an_heir_that_is_lost_leaves_the_old_connection_alone() -> None:
    async with _running() as desk:
        first = await desk.stream.opened(1)
        first.put(_frame("!serverShutdown", {"E": 1}))
        with anyio.fail_after(5):
            second = await desk.stream.opened(2)
            second.lose()
            await _until(lambda: second.closed)
            first.put(_book(3))
            [book] = await desk.books.receive_all()

        assert book.update_id == 3
        assert not first.closed
        assert desk.age.disconnects == 0


async def test_a_held_symbol_whose_stream_is_silent_is_asked_for_by_rest() -> None:
    async with _running(speed=20) as desk:
        await desk.stream.opened(1)
        desk.reader.tickers_of["SOLUSDT"] = BookTicker(
            symbol="SOLUSDT",
            update_id=0,
            bid=Decimal("99.5"),
            bid_qty=Decimal(1),
            ask=Decimal("99.6"),
            ask_qty=Decimal(1),
            local_received_ms=0,
        )
        await desk.inbox.send(
            AttachmentWanted(symbols=("SOLUSDT", "ADAUSDT"), watched=(), held=("SOLUSDT",))
        )
        with anyio.fail_after(5):
            [book] = await desk.books.receive_all()

        assert (book.symbol, book.bid) == ("SOLUSDT", Decimal("99.5"))


async def test_a_held_symbol_that_ticks_costs_no_request() -> None:
    async with _running(speed=20) as desk:
        connection = await desk.stream.opened(1)
        await desk.inbox.send(AttachmentWanted(symbols=("SOLUSDT",), watched=(), held=("SOLUSDT",)))
        for update_id in range(1, 20):
            connection.put(_book(update_id))
            await anyio.sleep(0.05)

        assert desk.reader.calls["book_ticker"] == 0
