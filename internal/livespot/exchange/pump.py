"""Moves the recorded market along with the clock: the exchange's heartbeat."""

from collections import deque
from dataclasses import dataclass, field

from livespot.contracts.ports import Clock
from livespot.exchange.candle import MINUTE_MS
from livespot.exchange.core import ExchangeCore
from livespot.exchange.ladder import ladder
from livespot.exchange.market import Backdrop, MarketEvent, Print, Quote, minute_events
from livespot.exchange.prng import SplitMix
from livespot.exchange.tape import Tape

WARM_UP_MINUTES = 5
_QUANTUM_SECONDS = 0.05
_AHEAD_MS = 20_000


@dataclass(slots=True)
class Player:
    """Hands out one symbol's market events as their time comes."""

    key: str
    tape: Tape
    next_minute_ms: int
    waiting: deque[MarketEvent] = field(default_factory=deque)

    def prepare(self, until_ms: int) -> bool:
        """Produce one minute that begins before `until_ms`; false when there was none to do."""
        series = self.tape.series
        if self.next_minute_ms >= until_ms or self.next_minute_ms > self.last_ms:
            return False
        candle = series.candle(self.next_minute_ms)
        self.next_minute_ms += MINUTE_MS
        if candle is not None:
            backdrop = self.tape.backdrop(candle.open_ms)
            if backdrop is None:
                backdrop = Backdrop(candle.open, candle.volume)
            self.waiting.extend(minute_events(self.key, candle, backdrop))
        return True

    @property
    def last_ms(self) -> int:
        """When the last recorded minute opens."""
        return self.tape.series.minutes[-1] * MINUTE_MS

    def due(self, now_ms: int) -> list[MarketEvent]:
        """Everything up to now, without quotes that a later one replaced before any trade."""
        while self.prepare(now_ms + 1):
            pass
        due: list[MarketEvent] = []
        while self.waiting and self.waiting[0].t_ms <= now_ms:
            event = self.waiting.popleft()
            if due and isinstance(event, Quote) and isinstance(due[-1], Quote):
                due[-1] = event
            else:
                due.append(event)
        return due


class MarketPump:
    """Feeds every symbol's events to the engine and lets the hubs speak."""

    def __init__(self, core: ExchangeCore, *, seed: int, from_ms: int) -> None:
        self._core = core
        self._clock: Clock = core.clock
        self._players = {
            symbol: Player(f"{seed}:{symbol}", tape, from_ms) for symbol, tape in core.tapes.items()
        }
        self._seeds = {symbol: SplitMix(f"{seed}:{symbol}").bits() for symbol in core.tapes}

    def catch_up(self) -> None:
        """Apply what lies before the present at once: all trades, but only the latest quotes."""
        now_ms = self._clock.now_ms()
        for symbol, player in self._players.items():
            due = player.due(now_ms)
            quotes = [event for event in due if isinstance(event, Quote)]
            for event in due:
                if isinstance(event, Print):
                    self._apply(symbol, event)
            if quotes:
                self._apply(symbol, quotes[-1])
        self._core.settle()
        self._core.market.tick(now_ms)

    async def run(self) -> None:
        """Keep the market moving until cancelled. After the record's end it stands still."""
        while True:
            await self._clock.sleep(_QUANTUM_SECONDS)
            self.step()

    def step(self) -> None:
        """Bring the market to the present."""
        now_ms = self._clock.now_ms()
        for symbol, player in self._players.items():
            for event in player.due(now_ms):
                self._apply(symbol, event)
        self._core.settle()
        self._core.market.tick(now_ms)
        # One minute of one symbol at a time, ahead of need, so that no step is long.
        any(player.prepare(now_ms + _AHEAD_MS) for player in self._players.values())

    def _apply(self, symbol: str, event: MarketEvent) -> None:
        engine, scale = self._core.engine, self._core.tapes[symbol].scale
        if isinstance(event, Quote):
            bids, asks = ladder(self._seeds[symbol], event, scale)
            engine.set_book(symbol, bids, asks, event.t_ms)
            return
        engine.print_trade(
            symbol,
            event.price * scale.tick_size,
            event.qty * scale.step_size,
            buyer_is_maker=event.buyer_is_maker,
            now_ms=event.t_ms,
        )
