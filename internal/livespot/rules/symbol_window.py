"""Everything known about one attached symbol: candles, ring, book, trades, reference data.

Prices that jump are held back by the window's guard until they are confirmed; a closed candle of
the stream that looks wrong is left out, so that history is asked for it.
"""

from dataclasses import dataclass, field
from decimal import Decimal

from livespot.contracts.amounts import round_bps
from livespot.contracts.market import (
    AggTrade,
    BookTicker,
    Candle,
    CostInputs,
    DepthBook,
    KlineHistory,
    KlineUpdate,
    Regime,
    SymbolInfo,
    Ticker24h,
    Volatility,
)
from livespot.contracts.settings import Settings
from livespot.contracts.vocabulary import Interval
from livespot.rules.candles import CandleSeries, Duplicate, Gap, Joined, Misaligned
from livespot.rules.closed_readings import ClosedReadings, signal_frame, versions_of
from livespot.rules.costs import Fees, cost_inputs, slippage_of
from livespot.rules.indicators import Wilder
from livespot.rules.microstructure import MicroRing
from livespot.rules.price_guard import JUMP, PriceGuard, Told
from livespot.rules.regime import regime_of

# A frame this much older than the newest of its stream is news from the past.
STALE_EVENT_MS = 5000
# Depth is read every 30 s; a book that missed two readings says nothing about now.
DEPTH_USABLE_MS = 65_000
# How late the frame that closes a candle may be before the series counts as behind.
CANDLE_GRACE_MS = 3000

KlineOutcome = Joined | Gap | Duplicate | Misaligned | None


def _new_series() -> dict[Interval, CandleSeries]:
    return {interval: CandleSeries(interval) for interval in Interval}


@dataclass(slots=True, kw_only=True)
class SymbolWindow:
    """The mutable state of one symbol; one owner, who alone calls its methods."""

    symbol: str
    info: SymbolInfo | None = None
    ticker: Ticker24h | None = None
    fees: Fees
    series: dict[Interval, CandleSeries] = field(default_factory=_new_series)
    ring: MicroRing = field(default_factory=MicroRing)
    guard: PriceGuard = field(default_factory=PriceGuard)
    book: BookTicker | None = None
    depth: DepthBook | None = None
    last_price: Decimal | None = None
    last_price_ms: int = 0
    exchange_time_ms: int = 0
    local_received_ms: int = 0
    stale_events: int = 0
    recent_rejects: int = 0
    quarantined_until_ms: int = 0
    _anchored_ms: int = 0
    _newest: dict[str, int] = field(default_factory=dict)
    _closed: ClosedReadings | None = None

    def take_book(self, book: BookTicker) -> bool:
        """Keep a newer book; False when its update id is not above the last one, or it jumps."""
        if self.book is not None and book.update_id <= self.book.update_id:
            return False
        mid = (float(book.bid) + float(book.ask)) / 2.0
        if not self.guard.take(mid, book.local_received_ms, Told.BOOK):
            return False
        self.book = book
        self.local_received_ms = max(self.local_received_ms, book.local_received_ms)
        return True

    def take_trade(self, trade: AggTrade) -> bool:
        """Keep a trade's price; False when the trade is too old for its stream."""
        if not self._is_current("aggTrade", trade.exchange_time_ms):
            return False
        self._saw(trade.exchange_time_ms, trade.local_received_ms)
        if self.guard.take(float(trade.price), trade.local_received_ms, Told.TRADE):
            self._price(trade.price, trade.exchange_time_ms)
        return True

    def take_kline(self, update: KlineUpdate) -> KlineOutcome:
        """Join a closed candle; a forming one only tells the last price."""
        interval, candle = update.interval, update.candle
        if not self._is_current(f"kline_{interval}", update.exchange_time_ms):
            return None
        self._saw(update.exchange_time_ms, update.local_received_ms)
        close = float(candle.close)
        if interval is Interval.M1 and self.guard.take(close, update.local_received_ms, Told.TRADE):
            self._price(candle.close, update.exchange_time_ms)
        if not update.closed or not (self.guard.agrees(close) and _is_smooth(candle)):
            return None
        return self.series[interval].add(candle)

    def take_history(self, history: KlineHistory) -> Joined:
        """Join closed candles read by REST; until the stream tells a price, theirs is the last."""
        joined = self.series[history.interval].absorb(history.candles)
        last = self.series[history.interval].last
        if last is not None and self.book is None and self.last_price_ms == 0:
            end_ms = last.open_time_ms + history.interval.ms
            if end_ms > self._anchored_ms:
                self._anchored_ms, self.last_price = end_ms, last.close
                self.guard.anchor(float(last.close))
        return joined

    def sample(self) -> None:
        """Put the present book into the ring."""
        if self.book is not None:
            self.ring.sample(self.book)

    def forget_live(self) -> None:
        """The stream was silent for too long: the book and its minute are void."""
        self.book = None
        self.ring.clear()

    @property
    def gaps(self) -> tuple[tuple[Interval, Gap], ...]:
        """Every span of candles still missing."""
        found = ((interval, series.gap()) for interval, series in self.series.items())
        return tuple((interval, gap) for interval, gap in found if gap is not None)

    def overdue(self, now_ms: int) -> tuple[tuple[Interval, Gap], ...]:
        """Frames whose newest closed candle should have been followed by another, and which."""
        found: list[tuple[Interval, Gap]] = []
        for interval, series in self.series.items():
            last = series.last
            if last is None:
                continue
            expected = last.open_time_ms + interval.ms
            if now_ms >= expected + interval.ms + CANDLE_GRACE_MS:
                found.append((interval, Gap(from_ms=expected, to_ms=expected)))
        return tuple(found)

    def is_warm(self, settings: Settings) -> bool:
        """All four frames and the ring are full enough to decide on."""
        needed = settings.selection.corr_window_points + 1
        return (
            self.book is not None
            and self.ring.is_warm
            and all(series.is_warm for series in self.series.values())
            and len(self.series[Interval.M5]) >= needed
        )

    def wilder(self, interval: Interval) -> Wilder:
        return self.series[interval].wilder

    def regime(self, settings: Settings) -> Regime | None:
        """The regime of the closed candles, or None while a frame has no ADX."""
        readings = {interval: self.wilder(interval).directional for interval in Interval}
        known = {interval: reading for interval, reading in readings.items() if reading is not None}
        return regime_of(known, settings.strategy) if len(known) == len(readings) else None

    def volatility(self) -> Volatility | None:
        """ATR(14) over the last close, in bps; None while it is not defined."""
        m5, m15 = self._atr_bps(Interval.M5), self._atr_bps(Interval.M15)
        if m5 is None or m15 is None:
            return None
        return Volatility(atr14_5m_bps=m5, atr14_15m_bps=m15)

    def closed(self, settings: Settings) -> ClosedReadings:
        """What the closed candles say; computed anew only after one has joined.

        Four of five closed minutes end no 5m candle, and then the readings of that frame stay.
        """
        closed, versions = self._closed, versions_of(self.series)
        if closed is not None and closed.settings is settings and closed.versions == versions:
            return closed
        m5 = self.series[Interval.M5]
        signal = None
        if closed is not None and closed.settings is settings and closed.m5_version == m5.version:
            signal = closed.signal
        self._closed = ClosedReadings(
            versions=versions,
            m5_version=m5.version,
            settings=settings,
            regime=self.regime(settings),
            volatility=self.volatility(),
            signal=signal or signal_frame(m5, settings),
        )
        return self._closed

    def usable_depth(self, now_ms: int) -> DepthBook | None:
        """The depth, unless it is too old to speak of now."""
        if self.depth is None or now_ms - self.depth.local_received_ms > DEPTH_USABLE_MS:
            return None
        return self.depth

    def cost_inputs(self, settings: Settings, now_ms: int) -> CostInputs:
        """Fees and the slippage of the symbol's whole exposure cap."""
        slippage = slippage_of(self.usable_depth(now_ms), settings.risk.max_exposure_symbol)
        return cost_inputs(self.fees, slippage)

    def _atr_bps(self, interval: Interval) -> int | None:
        atr, last = self.wilder(interval).atr, self.series[interval].last
        if atr is None or last is None:
            return None
        return round_bps(atr / float(last.close) * 10_000.0)

    def drop_event(self) -> None:
        """Count an event that cannot be placed in time."""
        self.stale_events += 1

    def _is_current(self, stream: str, event_ms: int) -> bool:
        newest = self._newest.get(stream, 0)
        if event_ms < newest - STALE_EVENT_MS:
            self.stale_events += 1
            return False
        self._newest[stream] = max(newest, event_ms)
        return True

    def _saw(self, exchange_ms: int, local_ms: int) -> None:
        self.exchange_time_ms = max(self.exchange_time_ms, exchange_ms)
        self.local_received_ms = max(self.local_received_ms, local_ms)

    def _price(self, price: Decimal, at_ms: int) -> None:
        if at_ms >= self.last_price_ms:
            self.last_price, self.last_price_ms = price, at_ms


def _is_smooth(candle: Candle) -> bool:
    """Whether no wick of the candle is a jump against its body."""
    body = float(candle.open), float(candle.close)
    return float(candle.high) <= max(body) * JUMP and min(body) <= float(candle.low) * JUMP
