from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal

import anyio
from msgspec.structs import replace

from livespot.actors.mail import (
    CandleClosed,
    FeaturesAsked,
    FeedInbox,
    GovernorInbox,
    KlineGapFound,
    LatencySeen,
    MarketStateInbox,
    Marks,
    PricesInsane,
    RiskInbox,
    SignalInbox,
    SnapshotsAsked,
    SnapshotsBuilt,
    SymbolDropped,
    SymbolsLearned,
    TickersLearned,
)
from livespot.actors.market_state import MarketState
from livespot.actors.stream_age import StreamAge
from livespot.contracts.codes import ReasonCode
from livespot.contracts.market import (
    AggTrade,
    BookTicker,
    Candle,
    DeepFeatures,
    KlineHistory,
    KlineUpdate,
)
from livespot.contracts.settings import Settings, TimingSettings
from livespot.contracts.system import Alert
from livespot.contracts.vocabulary import Interval, Severity
from livespot.rules.closed_readings import CANDLE_GRACE_MS
from livespot.runtime.mailboxes import ConflatingMailbox, Mailbox, Reply
from livespot.testing.clock import ManualClock
from livespot.testing.market_values import a_book, a_candle, a_day, a_symbol
from livespot.testing.server_clock import FixedOffset

_HOUR = Interval.H1.ms
_START = 1_700_000_000_000 // _HOUR * _HOUR
_SOL = "SOLUSDT"


class _StoppedClock(ManualClock):
    """Sleeping yields but moves no time: the test moves it."""

    async def sleep(self, seconds: float) -> None:
        await anyio.lowlevel.checkpoint()


class _HurryingClock(ManualClock):
    """Every reading is later than the one before, as on a busy machine."""

    def monotonic_ms(self) -> int:
        self.mono_ms += 3
        return self.mono_ms

    async def sleep(self, seconds: float) -> None:
        assert seconds >= 0, "a negative sleep is an error of the loop"
        self.slept.append(seconds)
        await anyio.lowlevel.checkpoint()


@dataclass(slots=True, kw_only=True)
class _Desk:
    clock: ManualClock
    inbox: Mailbox[MarketStateInbox]
    books: ConflatingMailbox[BookTicker]
    feed: Mailbox[FeedInbox]
    signal: Mailbox[SignalInbox]
    risk: Mailbox[RiskInbox]
    governor: Mailbox[GovernorInbox]
    age: StreamAge

    async def turn(self) -> None:
        """Let everything that is queued be dealt with."""
        for _ in range(20):
            await anyio.lowlevel.checkpoint()

    async def attach(self, *, hole: bool = False) -> None:
        """A symbol with full history of every frame and its reference data."""
        now_ms = self.clock.now_ms()
        await self.inbox.send(SymbolsLearned(infos={_SOL: a_symbol()}, cause="boot", at_ms=0))
        await self.inbox.send(TickersLearned(tickers=(a_day(close_time_ms=now_ms),), at_ms=0))
        for interval in Interval:
            candles = _history(interval, now_ms)
            if hole and interval is Interval.M1:
                candles = candles[:-2]
            await self.inbox.send(KlineHistory(symbol=_SOL, interval=interval, candles=candles))
        await self.inbox.send(_trade(now_ms))
        await self.turn()

    async def warm(self) -> None:
        """A full minute of fresh books."""
        for update_id in range(1, 131):
            now = self.clock.monotonic_ms()
            self.age.consumed(now)
            self.books.put(_SOL, a_book(update_id, local_received_ms=self.clock.now_ms()))
            await self.turn()

    async def snapshots(self) -> SnapshotsBuilt:
        reply: Reply[SnapshotsBuilt] = Reply()
        await self.inbox.send(SnapshotsAsked(cycle_id="cyc_1", symbols=(_SOL,), reply=reply))
        with anyio.fail_after(5):
            return await reply.wait()

    async def features(self) -> DeepFeatures:
        reply: Reply[tuple[DeepFeatures, ...]] = Reply()
        await self.inbox.send(FeaturesAsked(symbols=(_SOL,), reply=reply))
        with anyio.fail_after(5):
            [features] = await reply.wait()
        return features


def _history(interval: Interval, now_ms: int) -> tuple[Candle, ...]:
    last = now_ms // interval.ms * interval.ms - interval.ms
    return tuple(
        a_candle(last - i * interval.ms, close=str(100 + i % 5)) for i in range(149, -1, -1)
    )


def _trade(at_ms: int, latency_ms: int = 40) -> AggTrade:
    return AggTrade(
        symbol=_SOL,
        trade_id=1,
        price=Decimal(100),
        qty=Decimal(1),
        buyer_is_maker=True,
        exchange_time_ms=at_ms,
        local_received_ms=at_ms + latency_ms,
    )


def _minute(open_ms: int) -> KlineUpdate:
    return KlineUpdate(
        symbol=_SOL,
        interval=Interval.M1,
        candle=a_candle(open_ms),
        closed=True,
        exchange_time_ms=open_ms + 60_000,
        local_received_ms=open_ms + 60_001,
    )


@asynccontextmanager
async def _running(clock: ManualClock | None = None) -> AsyncIterator[_Desk]:
    desk, state = _built(clock or _StoppedClock(_START))
    async with anyio.create_task_group() as tasks:
        await tasks.start(state.run)
        yield desk
        tasks.cancel_scope.cancel()


def _built(clock: ManualClock) -> tuple[_Desk, MarketState]:
    desk = _Desk(
        clock=clock,
        inbox=Mailbox("state", 256, clock),
        books=ConflatingMailbox("books", 64, clock),
        feed=Mailbox("feed", 64, clock),
        signal=Mailbox("signal", 64, clock),
        risk=Mailbox("risk", 64, clock),
        governor=Mailbox("governor", 64, clock),
        age=StreamAge(),
    )
    state = MarketState(
        settings=Settings(timing=TimingSettings(microstructure_sample_ms=1)),
        clock=clock,
        server_clock=FixedOffset(clock),
        inbox=desk.inbox,
        books=desk.books,
        age=desk.age,
        feed=desk.feed,
        signal=desk.signal,
        risk=desk.risk,
        marks_to=(desk.risk,),
        alerts=desk.governor,
        beat=lambda: None,
    )
    return desk, state


async def test_a_warm_symbol_gives_a_valid_snapshot() -> None:
    async with _running() as desk:
        await desk.attach()
        await desk.warm()

        built = await desk.snapshots()

        assert built.rejections == ()
        [snapshot] = built.snapshots
        assert snapshot.symbol == _SOL
        assert len(snapshot.candles_5m) == 40
        assert snapshot.prices.best_bid == Decimal("99.99")


async def test_a_symbol_without_its_minute_of_books_is_warming_up() -> None:
    async with _running() as desk:
        await desk.attach()
        desk.age.consumed(0)

        built = await desk.snapshots()

        assert built.rejections[0].reasons == (ReasonCode.STRAT_WARMUP,)
        assert not (await desk.features()).warm


async def test_a_silent_stream_voids_the_books_and_gives_no_snapshot() -> None:
    async with _running() as desk:
        await desk.attach()
        await desk.warm()
        desk.clock.advance(2000)
        await desk.turn()

        silent = await desk.snapshots()
        desk.age.consumed(desk.clock.monotonic_ms())
        again = await desk.snapshots()

        assert silent.rejections[0].reasons == (ReasonCode.WS_STALE_DEGRADE,)
        assert again.rejections[0].reasons == (ReasonCode.STRAT_WARMUP,)


async def test_a_closed_minute_wakes_the_signal_actor() -> None:
    async with _running() as desk:
        await desk.attach()
        desk.clock.advance(60_000)
        await desk.inbox.send(_minute(_START))

        with anyio.fail_after(5):
            message = await desk.signal.receive()

        assert isinstance(message, CandleClosed)
        assert message.symbol == _SOL
        assert [candle.open_time_ms for candle in message.candles] == [_START]


async def test_a_missing_span_is_asked_for_once_and_then_with_patience() -> None:
    async with _running() as desk:
        await desk.attach()
        await desk.inbox.send(replace(_minute(_START + 120_000), exchange_time_ms=_START))
        await desk.turn()

        asked = desk.feed.receive_nowait()

        assert asked == KlineGapFound(
            symbol=_SOL, interval=Interval.M1, from_ms=_START, to_ms=_START + 60_000
        )
        await desk.turn()
        assert desk.feed.receive_nowait() is None
        desk.clock.advance(5000)
        await desk.turn()
        assert desk.feed.receive_nowait() == asked
        told = desk.governor.receive_nowait()
        assert isinstance(told, Alert)
        assert told.code is ReasonCode.DATA_GAP_DETECTED
        assert desk.governor.receive_nowait() is None


async def test_a_candle_that_fails_to_come_is_asked_for_as_soon_as_it_is_overdue() -> None:
    async with _running() as desk:
        await desk.attach()
        minute = Interval.M1.ms
        desk.clock.advance(minute)
        await desk.inbox.send(_minute(_START))
        await desk.turn()

        desk.clock.advance(minute + CANDLE_GRACE_MS - 1)
        await desk.turn()
        assert desk.feed.receive_nowait() is None
        desk.clock.advance(1)
        await desk.turn()

        overdue = _START + minute
        assert desk.feed.receive_nowait() == KlineGapFound(
            symbol=_SOL, interval=Interval.M1, from_ms=overdue, to_ms=overdue
        )


async def test_a_candle_that_came_twice_is_dropped_and_told() -> None:
    async with _running() as desk:
        await desk.attach()
        await desk.inbox.send(_minute(_START - 60_000))
        await desk.turn()

        told = desk.governor.receive_nowait()

        assert isinstance(told, Alert)
        assert told.code is ReasonCode.DATA_DUPLICATE_TIMESTAMP
        assert desk.signal.receive_nowait() is None


async def test_late_events_are_dropped_counted_and_told() -> None:
    clock = ManualClock(_START)
    async with _running(clock) as desk:
        await desk.attach()
        await desk.inbox.send(_trade(_START - 5_001))
        desk.age.late_books[_SOL] += 2
        await desk.turn()
        clock.advance(1_001)
        await desk.turn()

        told = desk.governor.receive_nowait()

        assert isinstance(told, Alert)
        assert told.code is ReasonCode.WS_OOO_EVENT
        assert told.text == "3 events came out of order since start and were dropped"
        assert (told.symbol, told.severity) == (_SOL, Severity.INFO)


async def test_a_series_that_fell_behind_is_no_basis_for_a_decision() -> None:
    async with _running() as desk:
        await desk.attach(hole=True)
        await desk.warm()

        built = await desk.snapshots()

        assert built.rejections[0].reasons == (ReasonCode.DATA_GAP_DETECTED,)
        assert isinstance(desk.feed.receive_nowait(), KlineGapFound)


async def test_history_that_answers_nothing_new_does_not_make_it_ask_faster() -> None:
    async with _running() as desk:
        await desk.attach(hole=True)
        await desk.turn()
        first = desk.feed.receive_nowait()
        await desk.inbox.send(
            KlineHistory(
                symbol=_SOL, interval=Interval.M1, candles=_history(Interval.M1, _START)[-4:-2]
            )
        )
        await desk.turn()

        assert isinstance(first, KlineGapFound)
        assert desk.feed.receive_nowait() is None


async def test_marks_and_latency_go_out() -> None:
    async with _running() as desk:
        await desk.attach()
        await desk.warm()
        desk.clock.advance(1000)
        await desk.turn()
        seen: list[object] = []
        while (message := desk.risk.receive_nowait()) is not None:
            seen.append(message)

        assert any(isinstance(m, Marks) and m.bids == {_SOL: Decimal("99.99")} for m in seen)
        assert any(isinstance(m, LatencySeen) and m.p90_ms == 40 for m in seen)


async def test_a_dropped_symbol_is_forgotten_and_stragglers_do_not_bring_it_back() -> None:
    async with _running() as desk:
        await desk.attach()
        await desk.warm()
        await desk.inbox.send(SymbolDropped(symbol=_SOL))
        await desk.inbox.send(_trade(_START))

        built = await desk.snapshots()

        assert built.rejections[0].detail == "not attached yet"


async def test_a_clock_that_moves_between_two_readings_never_gives_a_negative_sleep() -> None:
    clock = _HurryingClock(_START)

    async with _running(clock) as desk:
        await desk.turn()

    assert len(clock.slept) > 1


async def test_a_restarted_actor_still_knows_its_symbols_but_not_their_old_books() -> None:
    desk, state = _built(_StoppedClock(_START))
    async with anyio.create_task_group() as tasks:
        await tasks.start(state.run)
        await desk.attach()
        await desk.warm()
        assert (await desk.features()).symbol == _SOL
        tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        await tasks.start(state.run)
        stale = await desk.snapshots()
        await desk.warm()
        await desk.inbox.send(_trade(desk.clock.now_ms()))
        await desk.turn()
        built = await desk.snapshots()
        tasks.cancel_scope.cancel()

    assert not stale.snapshots
    assert [snapshot.symbol for snapshot in built.snapshots] == [_SOL]


async def test_a_symbol_without_books_for_ten_seconds_counts_as_silent() -> None:
    async with _running() as desk:
        await desk.attach()
        await desk.warm()
        assert desk.age.silent_percent == 0

        desk.clock.advance(10_000)
        desk.age.consumed(desk.clock.monotonic_ms())
        await desk.turn()

        assert desk.age.silent_percent == 100
        assert not (await desk.features()).warm


def _jump(update_id: int, share: str, at_ms: int) -> BookTicker:
    book = a_book(update_id, local_received_ms=at_ms)
    factor = Decimal(share)
    return replace(book, bid=book.bid * factor, ask=book.ask * factor)


def _set_aside(desk: _Desk) -> list[PricesInsane]:
    told = []
    while (message := desk.risk.receive_nowait()) is not None:
        if isinstance(message, PricesInsane):
            told.append(message)
    return told


async def test_a_spike_of_one_book_is_never_seen_and_sets_its_symbol_aside() -> None:
    async with _running() as desk:
        await desk.attach()
        await desk.warm()
        desk.books.put(_SOL, _jump(200, "0.6", desk.clock.now_ms()))
        await desk.turn()

        doubtful = await desk.snapshots()
        desk.books.put(_SOL, a_book(201, local_received_ms=desk.clock.now_ms()))
        await desk.turn()
        calm = await desk.snapshots()

        [rejection] = doubtful.rejections
        assert rejection.reasons == (ReasonCode.MD_PRICE_INSANE,)
        [snapshot] = calm.snapshots
        assert snapshot.prices.best_bid == Decimal("99.99")
        assert snapshot.microstructure.microvol_bps_10s == 0
        [told] = _set_aside(desk)
        assert told.symbol == _SOL
        codes = []
        while (alert := desk.governor.receive_nowait()) is not None:
            codes.append(alert.code if isinstance(alert, Alert) else None)
        assert codes == [ReasonCode.MD_PRICE_INSANE]


async def test_a_crash_that_goes_on_is_believed_and_sets_nothing_aside() -> None:
    async with _running() as desk:
        await desk.attach()
        await desk.warm()
        for step in range(3):
            desk.clock.advance(1000)
            desk.age.consumed(desk.clock.monotonic_ms())
            desk.books.put(_SOL, _jump(200 + step, "0.6", desk.clock.now_ms()))
            await desk.turn()

        built = await desk.snapshots()

        [snapshot] = built.snapshots
        assert snapshot.prices.best_bid == Decimal("59.994")
        assert _set_aside(desk) == []


async def test_a_trade_far_from_the_market_is_no_last_price() -> None:
    async with _running() as desk:
        await desk.attach()
        await desk.warm()
        await desk.inbox.send(replace(_trade(desk.clock.now_ms()), price=Decimal(140)))
        await desk.inbox.send(replace(_trade(desk.clock.now_ms()), price=Decimal("99.9")))
        await desk.turn()

        built = await desk.snapshots()

        [snapshot] = built.snapshots
        assert snapshot.prices.last_price == Decimal("99.9")
        assert len(_set_aside(desk)) == 1


async def test_a_closed_candle_that_looks_wrong_is_read_again() -> None:
    async with _running() as desk:
        await desk.attach()
        wrong = _minute(_START)
        wick = replace(wrong.candle, high=wrong.candle.high * 2)
        desk.clock.advance(60_000)
        await desk.inbox.send(replace(wrong, candle=wick))
        desk.clock.advance(3_001)
        await desk.turn()

        assert desk.signal.receive_nowait() is None
        assert desk.feed.receive_nowait() == KlineGapFound(
            symbol=_SOL, interval=Interval.M1, from_ms=_START, to_ms=_START
        )
        history = (a_candle(_START - 60_000), wick)
        await desk.inbox.send(KlineHistory(symbol=_SOL, interval=Interval.M1, candles=history))
        await desk.turn()
        told = desk.signal.receive_nowait()
        assert isinstance(told, CandleClosed)
        assert told.candles == (wick,)


async def test_an_event_of_the_future_is_dropped_and_does_not_make_the_present_old() -> None:
    async with _running() as desk:
        await desk.attach()
        await desk.warm()
        far = _trade(desk.clock.now_ms() + 86_400_000)
        await desk.inbox.send(replace(far, price=Decimal(101)))
        await desk.inbox.send(replace(_trade(desk.clock.now_ms()), price=Decimal("100.5")))
        await desk.turn()

        built = await desk.snapshots()

        [snapshot] = built.snapshots
        assert snapshot.prices.last_price == Decimal("100.5")
        assert snapshot.exchange_time_ms == desk.clock.now_ms()


async def test_books_whose_ids_began_anew_are_taken_after_ten_seconds() -> None:
    async with _running() as desk:
        await desk.attach()
        await desk.warm()
        for update_id in range(1, 13):
            desk.clock.advance(1000)
            desk.age.consumed(desk.clock.monotonic_ms())
            desk.books.put(
                _SOL, a_book(update_id, bid=Decimal("99.5"), local_received_ms=desk.clock.now_ms())
            )
            await desk.turn()
        marks = []
        while (message := desk.risk.receive_nowait()) is not None:
            if isinstance(message, Marks):
                marks.append(message.bids.get(_SOL))

        assert Decimal("99.99") in marks
        assert marks[-1] == Decimal("99.5")
