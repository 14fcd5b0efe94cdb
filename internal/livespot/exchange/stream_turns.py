"""Streams that speak at fixed turns: candles, windows of trading, book tops and averages."""

from collections.abc import Callable
from decimal import Decimal

from livespot.exchange import stream_json
from livespot.exchange.klines import Bar, opens_at
from livespot.exchange.model import Json, Level
from livespot.exchange.stream_channels import Channel, DepthChannel
from livespot.exchange.stream_json import Day
from livespot.exchange.stream_names import Topic
from livespot.exchange.tape import Tape

DayOf = Callable[[str, int], Day | None]
DayPayload = Callable[[Day, int], Json]
Depth = Callable[[str, int], tuple[int, list[Level], list[Level]]]
PriceAt = Callable[[int], tuple[Decimal, int] | None]


class KlineChannel(Channel):
    """`@kline_<interval>`: the forming bar when it has changed, and every bar once it is over."""

    def __init__(self, name: str, topic: Topic, tape: Tape, now_ms: int) -> None:
        super().__init__(name, topic)
        self._tape = tape
        self._head = (topic.symbol, topic.interval, topic.offset_ms)
        # When the oldest bar opened whose end has not been told.
        self._untold = opens_at(now_ms, topic.interval, topic.offset_ms) if now_ms else None
        self._said: tuple[int, int] | None = None

    def beat(self, now_ms: int) -> None:
        """The stream's turn."""
        interval, offset_ms = self.topic.interval, self.topic.offset_ms
        forming_ms = opens_at(now_ms, interval, offset_ms)
        untold = forming_ms if self._untold is None else self._untold
        if untold == forming_ms and interval != "1s":
            forming = self._tape.forming(interval, now_ms, offset_ms)
            bars = [forming] if forming is not None else []
        else:
            bars = self._tape.bars(interval, untold, now_ms, offset_ms)
        for bar in bars:
            if bar.open_ms < forming_ms:
                self._say(bar, now_ms)
            elif (bar.open_ms, bar.trades) != self._said:
                self._said = (bar.open_ms, bar.trades)
                self._say(bar, now_ms)
        self._untold = forming_ms

    def _say(self, bar: Bar, now_ms: int) -> None:
        self.say_made(
            lambda unit: stream_json.kline(self._head, bar, self._tape.scale, now_ms, unit),
        )


class PartialChannel(Channel):
    """`@depth<n>`: the best levels of each side, when the book has changed."""

    def __init__(self, name: str, topic: Topic, depth: Depth) -> None:
        super().__init__(name, topic)
        self._depth = depth
        self._said = -1

    def beat(self, now_ms: int) -> None:
        """The stream's turn."""
        update_id, bids, asks = self._depth(self.topic.symbol, self.topic.size)
        if update_id != self._said:
            self._said = update_id
            self.say(lambda _: stream_json.partial_depth(update_id, bids, asks))


class WindowChannel(Channel):
    """`@miniTicker`, `@ticker`, `@ticker_<window>`: one symbol's window, when it has changed."""

    def __init__(self, name: str, topic: Topic, day_of: DayOf, payload: DayPayload) -> None:
        super().__init__(name, topic)
        self._day_of = day_of
        self._payload = payload
        self._said: object = None

    def beat(self, now_ms: int) -> None:
        """The stream's turn."""
        day = self._day_of(self.topic.symbol, now_ms)
        if day is not None and day.content != self._said:
            self._said = day.content
            self.say(lambda unit: self._payload(day, unit))


class MarketChannel(Channel):
    """`!...@arr`: the windows of all symbols that have changed, in one array."""

    def __init__(
        self,
        name: str,
        topic: Topic,
        symbols: tuple[str, ...],
        day_of: DayOf,
        payload: DayPayload,
    ) -> None:
        super().__init__(name, topic)
        self._symbols = symbols
        self._day_of = day_of
        self._payload = payload
        self._said: dict[str, object] = {}

    def beat(self, now_ms: int) -> None:
        """The stream's turn."""
        changed: list[Day] = []
        for symbol in self._symbols:
            day = self._day_of(symbol, now_ms)
            if day is not None and self._said.get(symbol) != day.content:
                self._said[symbol] = day.content
                changed.append(day)
        if changed:
            self.say(lambda unit: [self._payload(day, unit) for day in changed])


class AverageChannel(Channel):
    """`@avgPrice`: the five minutes' average, every second once there is one."""

    def __init__(self, name: str, topic: Topic, average: PriceAt) -> None:
        super().__init__(name, topic)
        self._average = average

    def beat(self, now_ms: int) -> None:
        """The stream's turn."""
        found = self._average(now_ms)
        if found is not None:
            symbol, (price, last_ms) = self.topic.symbol, found
            self.say(lambda unit: stream_json.avg_price(symbol, price, last_ms, now_ms, unit))


class ReferenceChannel(Channel):
    """`@referencePrice`: the reference price, every second once one was ever set."""

    def __init__(
        self, name: str, topic: Topic, reference: Callable[[str], tuple[Decimal | None, int] | None]
    ) -> None:
        super().__init__(name, topic)
        self._reference = reference

    def beat(self, now_ms: int) -> None:
        """The stream's turn."""
        found = self._reference(self.topic.symbol)
        if found is not None:
            symbol, (price, set_ms) = self.topic.symbol, found
            self.say(lambda unit: stream_json.reference_price(symbol, price, set_ms, unit))


Turning = (
    DepthChannel
    | KlineChannel
    | PartialChannel
    | WindowChannel
    | MarketChannel
    | AverageChannel
    | ReferenceChannel
)
