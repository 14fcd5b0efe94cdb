"""Moves the market along with the clock: the exchange's heartbeat."""

from collections import deque
from dataclasses import dataclass, field

from livespot.contracts.ports import Clock
from livespot.exchange.candle import MINUTE_MS
from livespot.exchange.core import ExchangeCore
from livespot.exchange.ladder import Ladder
from livespot.exchange.market import Print, Quote
from livespot.exchange.prng import SplitMix
from livespot.exchange.sources import Happening, PlayedHistory, StatusTurn
from livespot.exchange.wake import Wake

_QUANTUM_MS = 50
_MOST_QUANTA = 20
_AHEAD_MS = 20_000
_WARM_STEPS = 48
# Later than anything: when nothing more will be due.
_NEVER_MS = 1 << 62


@dataclass(slots=True)
class Player:
    """Hands out one symbol's market events as their time comes."""

    key: str
    history: PlayedHistory
    next_minute_ms: int
    waiting: deque[Happening] = field(default_factory=deque)
    # When the first event that waits happens, and when the next minute opens, if there is one.
    event_ms: int = field(default=_NEVER_MS, init=False)
    opens_ms: int = field(default=_NEVER_MS, init=False)
    last_ms: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """`last_ms` is when the last minute there is opens."""
        self.last_ms = self.history.minutes[-1] * MINUTE_MS
        if self.next_minute_ms <= self.last_ms:
            self.opens_ms = self.next_minute_ms

    def prepare(self, until_ms: int) -> bool:
        """Produce one minute that begins before `until_ms`; false when there was none to do."""
        minute_ms = self.opens_ms
        if minute_ms >= until_ms:
            return False
        self.next_minute_ms += MINUTE_MS
        self.opens_ms = self.next_minute_ms if minute_ms < self.last_ms else _NEVER_MS
        waiting = self.waiting
        waiting.extend(self.history.events(self.key, minute_ms))
        if waiting:
            self.event_ms = waiting[0].t_ms
        return True

    def due(self, now_ms: int) -> list[Happening]:
        """Everything up to now, without quotes that a later one replaced before any trade."""
        while self.opens_ms <= now_ms:
            self.prepare(now_ms + 1)
        due: list[Happening] = []
        waiting = self.waiting
        quoted = False
        while waiting and waiting[0].t_ms <= now_ms:
            event = waiting.popleft()
            is_quote = type(event) is Quote
            if is_quote and quoted:
                due[-1] = event
            else:
                due.append(event)
            quoted = is_quote
        self.event_ms = waiting[0].t_ms if waiting else _NEVER_MS
        return due


class MarketPump:
    """Feeds every symbol's events to the engine and lets the hubs speak."""

    def __init__(self, core: ExchangeCore, *, seed: int, from_ms: int) -> None:
        self._core = core
        self._clock: Clock = core.market_clock
        self._players = {
            symbol: Player(f"{seed}:{symbol}", history, from_ms)
            for symbol, history in core.source.series.items()
        }
        self._warmed = 0
        self._is_warm = False
        self._asked = Wake()
        self._opens_ms = 0
        self._seeds = {symbol: SplitMix(f"{seed}:{symbol}").bits() for symbol in core.tapes}

    def catch_up(self) -> None:
        """Apply what lies before the present at once: all but quotes that others replaced."""
        now_ms = self._clock.now_ms()
        for symbol, player in self._players.items():
            due = player.due(now_ms)
            quotes = [event for event in due if isinstance(event, Quote)]
            for event in due:
                if not isinstance(event, Quote):
                    self._apply(symbol, event)
            if quotes:
                self._apply(symbol, quotes[-1])
        self._core.settle()
        self._core.market.tick(now_ms)

    async def run(self) -> None:
        """Keep the market moving until cancelled. After a record's end it stands still."""
        self._core.market.when_turning(self._asked.set)
        while True:
            quanta = self._idle_quanta()
            if quanta == 1:
                await self._clock.sleep(_QUANTUM_MS / 1000)
            else:
                await self._wait(quanta)
            self.step()

    async def _wait(self, quanta: int) -> None:
        """A stream that somebody asks for meanwhile may have its first turn earlier."""
        alarm = self._clock.alarm(quanta * _QUANTUM_MS / 1000, self._asked.set)
        try:
            await self._asked.wait()
        finally:
            alarm.cancel()

    def step(self) -> None:
        """Bring the market to the present."""
        now_ms = self._clock.now_ms()
        for symbol, player in self._players.items():
            if player.event_ms <= now_ms or player.opens_ms <= now_ms:
                for event in player.due(now_ms):
                    self._apply(symbol, event)
        self._core.settle()
        self._core.market.tick(now_ms)
        # A little at a time, ahead of need, so that no step is long.
        for _ in range(self._share):
            if not self._prepare(now_ms + _AHEAD_MS):
                self._is_warm = not self._warm(now_ms)
                return

    def _prepare(self, until_ms: int) -> bool:
        """Produce a minute of one symbol that begins before then; false when none was left."""
        if self._opens_ms >= until_ms:
            return False
        if any(player.prepare(until_ms) for player in self._players.values()):
            return True
        self._opens_ms = min(player.opens_ms for player in self._players.values())
        return False

    def _idle_quanta(self) -> int:
        """For how many quanta there is nothing to do but wait, this one included."""
        if not self._is_warm:
            return 1
        now_ms = self._clock.now_ms()
        until_ms = self._core.market.next_turn_ms(now_ms)
        for player in self._players.values():
            next_ms = min(player.event_ms, player.opens_ms - _AHEAD_MS)
            if next_ms < until_ms:
                until_ms = next_ms
        return min(max(1, -(-(until_ms - now_ms) // _QUANTUM_MS)), _MOST_QUANTA)

    @property
    def _share(self) -> int:
        """How many minutes to prepare in one step, so that all symbols get their turn in time."""
        return 1 + len(self._players) // 100

    def _warm(self, now_ms: int) -> bool:
        """Work out a few pieces ahead of need; false once none is left."""
        for _ in range(_WARM_STEPS):
            if not self._core.source.warm(now_ms, self._warmed):
                return False
            self._warmed += 1
        return True

    def _apply(self, symbol: str, event: Happening) -> None:
        engine, scale = self._core.engine, self._core.tapes[symbol].scale
        match event:
            case Quote():
                house = Ladder(self._seeds[symbol], event, scale)
                engine.set_house(symbol, house, event.t_ms)
            case Print():
                engine.print_trade(
                    symbol,
                    event.price * scale.tick_size,
                    event.qty * scale.step_size,
                    buyer_is_maker=event.buyer_is_maker,
                    now_ms=event.t_ms,
                )
            case StatusTurn():
                engine.set_status(symbol, event.status, event.t_ms)
