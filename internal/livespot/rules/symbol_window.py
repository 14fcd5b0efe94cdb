"""Everything known about one attached symbol: candles, ring, book, trades, reference data.

Prices that jump are held back by the window's guard until they are confirmed. A closed candle of
the stream that looks wrong is left out, so that it is read by REST instead.
"""

from dataclasses import dataclass, field
from decimal import Decimal

from livespot.contracts.market import (
    AggTrade,
    BookTicker,
    Candle,
    CostInputs,
    DepthBook,
    KlineHistory,
    KlineUpdate,
    Regime,
    Returns,
    SymbolInfo,
    Ticker24h,
)
from livespot.contracts.settings import Settings
from livespot.contracts.vocabulary import Interval
from livespot.rules.candles import CandleSeries, Duplicate, Gap, Joined, Misaligned
from livespot.rules.closed_readings import (
    CANDLE_GRACE_MS,
    ClosedReadings,
    SignalFrame,
    SignalFrames,
    closed_readings,
    regime_of_readings,
    returns_of_readings,
)
from livespot.rules.costs import Fees, cost_inputs, slippage_of
from livespot.rules.microstructure import MicroRing
from livespot.rules.price_guard import JUMP, PriceGuard, Told

# A frame this much older than the newest of its stream is dropped as late.
STALE_EVENT_MS = 5000
# Depth is read every 30 s; one that is two readings old is no longer used.
DEPTH_USABLE_MS = 65_000

_M1, _BY_TRADE = Interval.M1, Told.TRADE

KlineOutcome = Joined | Gap | Duplicate | Misaligned | None


def _new_series() -> dict[Interval, CandleSeries]:
    return {interval: CandleSeries(interval) for interval in Interval}


@dataclass(slots=True, kw_only=True)
class SymbolWindow:
    """The mutable state of one symbol, used by its owner only."""

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
    _regime: tuple[ClosedReadings, Regime | None] | None = None
    _signals: SignalFrames = field(init=False)
    _costs: tuple[Fees, DepthBook | None, Settings, CostInputs] | None = None

    def __post_init__(self) -> None:
        self._signals = SignalFrames(self.series[Interval.M5])

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
        if not self._is_current("aggTrade", trade.exchange_time_ms, trade.local_received_ms):
            return False
        believed = self.guard.take(float(trade.price), trade.local_received_ms, _BY_TRADE)
        if believed and trade.exchange_time_ms >= self.last_price_ms:
            self.last_price, self.last_price_ms = trade.price, trade.exchange_time_ms
        return True

    def take_kline(self, update: KlineUpdate) -> KlineOutcome:
        """Join a closed candle; a forming one only updates the last price."""
        interval, candle = update.interval, update.candle
        if not self._is_current(interval, update.exchange_time_ms, update.local_received_ms):
            return None
        close = float(candle.close)
        if interval is not _M1:
            believed = self.guard.agrees(close)
        else:
            believed = self.guard.take(close, update.local_received_ms, _BY_TRADE)
            if believed and update.exchange_time_ms >= self.last_price_ms:
                self.last_price, self.last_price_ms = candle.close, update.exchange_time_ms
        if not (update.closed and believed):
            return None
        high, low = float(candle.high), float(candle.low)
        # If the whole candle is within the limit of a jump, so is every wick.
        if not (high <= low * JUMP or _is_smooth(candle, high, low, close)):
            return None
        return self.series[interval].add(candle, (high, low, close))

    def take_history(self, history: KlineHistory) -> Joined:
        """Join closed candles read by REST; until the stream shows a price, theirs is the last."""
        joined = self.series[history.interval].absorb(history.candles)
        last = self.series[history.interval].last
        if last is not None and self.book is None and self.last_price_ms == 0:
            end_ms = last.open_time_ms + history.interval.ms
            if end_ms > self._anchored_ms:
                self._anchored_ms, self.last_price = end_ms, last.close
                self.guard.anchor(float(last.close))
        return joined

    def sample(self, times: int = 1) -> None:
        """Sample the current book into the ring; `times` samples if it has stood that long."""
        if self.book is not None:
            self.ring.sample(self.book, times)

    def forget_live(self) -> None:
        """The stream was silent for too long: drop the book and its minute of samples."""
        self.book = None
        self.ring.clear()

    @property
    def gaps(self) -> tuple[tuple[Interval, Gap], ...]:
        """Every span of candles that is missing."""
        found = ((interval, series.gap()) for interval, series in self.series.items())
        return tuple((interval, gap) for interval, gap in found if gap is not None)

    def overdue(self, now_ms: int) -> tuple[tuple[Interval, Gap], ...]:
        """Frames whose next closed candle is late, with that candle as a gap."""
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
        """Whether all four frames and the ring hold enough to decide on."""
        return self.book is not None and self.ring.is_warm and self.closed(settings).is_warm

    def closed(self, settings: Settings) -> ClosedReadings:
        """The readings of the closed candles; a frame is read again only after it has changed."""
        self._closed = closed_readings(self.series, settings, self._closed)
        return self._closed

    def regime(self, closed: ClosedReadings) -> Regime | None:
        """The regime with each frame's readings; built only when a decision asks for it."""
        known = self._regime
        if known is None or known[0] is not closed:
            known = self._regime = closed, regime_of_readings(closed)
        return known[1]

    def signal(self, settings: Settings) -> SignalFrame:
        """What a decision looks at in the 5m candles; computed once per closed candle."""
        return self._signals.now(settings)

    def returns(self, settings: Settings) -> Returns:
        """The symbol's 5m returns over the window of correlations."""
        return returns_of_readings(self.closed(settings))

    def usable_depth(self, now_ms: int) -> DepthBook | None:
        """The depth; None without one or when it is too old."""
        if self.depth is None or now_ms - self.depth.local_received_ms > DEPTH_USABLE_MS:
            return None
        return self.depth

    def cost_inputs(self, settings: Settings, now_ms: int) -> CostInputs:
        """Fees and the slippage of the symbol's whole exposure cap; cached per depth."""
        depth = None if self.depth is None else self.usable_depth(now_ms)
        known = self._costs
        if known is not None:
            fees, walked, under, inputs = known
            if fees is self.fees and walked is depth and under is settings:
                return inputs
        slippage = slippage_of(depth, settings.risk.max_exposure_symbol)
        inputs = cost_inputs(self.fees, slippage)
        self._costs = self.fees, depth, settings, inputs
        return inputs

    def drop_event(self) -> None:
        """Count an event whose time is not plausible."""
        self.stale_events += 1

    def _is_current(self, stream: str, event_ms: int, local_ms: int) -> bool:
        """Note the times of an event; False, noting only its count, when it is too old."""
        newest = self._newest.get(stream, 0)
        if event_ms > newest:
            self._newest[stream] = event_ms
        elif event_ms < newest - STALE_EVENT_MS:
            self.stale_events += 1
            return False
        if event_ms > self.exchange_time_ms:
            self.exchange_time_ms = event_ms
        if local_ms > self.local_received_ms:
            self.local_received_ms = local_ms
        return True


def _is_smooth(candle: Candle, high: float, low: float, close: float) -> bool:
    """Whether no wick of the candle is a jump away from its body."""
    lower, upper = float(candle.open), close
    if lower > upper:
        lower, upper = upper, lower
    return high <= upper * JUMP and lower <= low * JUMP
