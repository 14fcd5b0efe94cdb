"""Who listens to which market stream, and when each stream speaks."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial

from livespot.exchange import stream_json
from livespot.exchange.candle import MINUTE_MS
from livespot.exchange.engine import Engine
from livespot.exchange.klines import Bar
from livespot.exchange.model import BookChanged, Level, PublicTrade
from livespot.exchange.stream_channels import (
    AggChannel,
    Channel,
    DepthChannel,
    Listener,
    TopChannel,
)
from livespot.exchange.stream_json import Beside, Day
from livespot.exchange.stream_names import Topic, topic_of
from livespot.exchange.stream_turns import (
    AverageChannel,
    DayOf,
    DayPayload,
    KlineChannel,
    MarketChannel,
    PartialChannel,
    ReferenceChannel,
    Turning,
    WindowChannel,
)
from livespot.exchange.tape import DAY_MS, Tape

_NO_LEVEL: Level = (Decimal(0), Decimal(0))


class MarketHub:
    """Turns engine events and the passing of time into stream frames.

    A stream costs nothing until somebody hears it, and nothing again once nobody does.
    """

    def __init__(self, engine: Engine, tapes: Mapping[str, Tape]) -> None:
        self._engine = engine
        self._tapes = tapes
        self._channels: dict[str, Channel] = {}
        self._trades: dict[str, Channel] = {}
        self._aggregates: dict[str, AggChannel] = {}
        self._tops: dict[str, TopChannel] = {}
        self._depths: dict[str, list[DepthChannel]] = {}
        self._turning: dict[int, dict[str, Turning]] = {}
        self._grown: dict[AggChannel, None] = {}
        self._moved: dict[TopChannel, None] = {}
        self._now_ms = 0
        # The next turn of any stream as of `_now_ms`; 0 while nobody has looked.
        self._turn_ms = 0
        self._told: Callable[[], object] = lambda: None

    def when_turning(self, told: Callable[[], object]) -> None:
        """Call `told` when a stream with turns begins; one listener, the latest."""
        self._told = told

    def subscribe(self, listener: Listener, stream: str) -> None:
        """Add a stream; one that nothing is ever sent on is accepted, as on the exchange."""
        listener.streams[stream] = None
        channel = self._channels.get(stream)
        if channel is None:
            topic = topic_of(stream, self._tapes)
            if topic is None:
                return
            channel = self._channels[stream] = self._open(stream, topic)
        channel.listeners[listener] = None

    def unsubscribe(self, listener: Listener, stream: str) -> None:
        """Remove a stream; unknown ones are ignored."""
        listener.streams.pop(stream, None)
        channel = self._channels.get(stream)
        if channel is None:
            return
        channel.listeners.pop(listener, None)
        if not channel.listeners:
            self._close(channel)

    def leave(self, listener: Listener) -> None:
        """Remove every stream of a client."""
        for stream in tuple(listener.streams):
            self.unsubscribe(listener, stream)

    def on_trade(self, event: PublicTrade, now_ms: int) -> None:
        """Live trades; the symbol's tape must have taken the trade already."""
        channel = self._trades.get(event.symbol)
        if channel is not None:
            channel.say(lambda unit: stream_json.trade(event, now_ms, unit))
        aggregates = self._aggregates.get(event.symbol)
        if aggregates is not None:
            aggregates.on_trade(event, self._tapes[event.symbol].trades.last_agg_id, now_ms)
            self._grown[aggregates] = None

    def on_book(self, event: BookChanged) -> None:
        """A changed book: of interest once the instant is over, and at the depth streams' turn."""
        channel = self._tops.get(event.symbol)
        if channel is not None:
            channel.update_id = event.update_id
            self._moved[channel] = None
        for depth in self._depths.get(event.symbol, ()):
            depth.on_book(event)

    def settle(self, now_ms: int) -> None:
        """Everything that happened at one instant has been told; speak of where it led."""
        for aggregates in self._grown:
            aggregates.settle(now_ms)
        self._grown.clear()
        for channel in self._moved:
            channel.settle()
        self._moved.clear()

    def tick(self, now_ms: int) -> None:
        """Let every stream speak whose turn has come; call it at least each 100 ms."""
        before, self._now_ms = self._now_ms, now_ms
        if before <= now_ms < self._turn_ms:
            return
        self._turn_ms = 0
        for period_ms, channels in self._turning.items():
            if before // period_ms != now_ms // period_ms:
                for channel in channels.values():
                    channel.beat(now_ms)

    def next_turn_ms(self, now_ms: int) -> int:
        """When the next stream's turn comes; a minute from now where none has turns."""
        if self._now_ms <= now_ms < self._turn_ms:
            return self._turn_ms
        turns = [
            (now_ms // period_ms + 1) * period_ms
            for period_ms, channels in self._turning.items()
            if channels
        ]
        if not turns:
            return now_ms + MINUTE_MS
        turn_ms = min(turns)
        if now_ms == self._now_ms:
            self._turn_ms = turn_ms
        return turn_ms

    def day(self, symbol: str, now_ms: int) -> Day | None:
        """The 24 hour figures of a symbol; None before its first trade."""
        bar = self._tapes[symbol].day(now_ms)
        return None if bar is None else self._window(symbol, bar, now_ms - DAY_MS, now_ms)

    def rolling(self, symbol: str, span_ms: int, now_ms: int) -> Day | None:
        """The figures of a window that opens at the whole minute `span_ms` ago or before."""
        from_ms = (now_ms - span_ms) // MINUTE_MS * MINUTE_MS
        bar = self._tapes[symbol].window(from_ms, now_ms)
        return None if bar is None else self._window(symbol, bar, from_ms, now_ms)

    def top(self, symbol: str) -> tuple[Level, Level]:
        """Best bid and ask; zeros for an empty side."""
        bid, ask = self._engine.best(symbol)
        return bid or _NO_LEVEL, ask or _NO_LEVEL

    def _window(self, symbol: str, bar: Bar, from_ms: int, now_ms: int) -> Day:
        return Day(
            symbol=symbol,
            bar=bar,
            scale=self._tapes[symbol].scale,
            now_ms=now_ms,
            beside=lambda: self._beside(symbol, bar, from_ms),
        )

    def _beside(self, symbol: str, bar: Bar, from_ms: int) -> Beside:
        tape = self._tapes[symbol]
        return Beside(
            tape.trades[-1].qty if tape.trades else Decimal(0),
            *self.top(symbol),
            tape.close_before(from_ms // MINUTE_MS * MINUTE_MS) or bar.open,
        )

    def _open(self, name: str, topic: Topic) -> Channel:
        """Begin a stream."""
        if topic.period_ms:
            turning = self._turn(name, topic)
            self._turning.setdefault(topic.period_ms, {})[name] = turning
            self._turn_ms = 0
            self._told()
            if isinstance(turning, DepthChannel):
                self._depths.setdefault(topic.symbol, []).append(turning)
                self._engine.watch_book(topic.symbol, watched=True)
            return turning
        if topic.kind == "aggTrade":
            aggregates = self._aggregates[topic.symbol] = AggChannel(name, topic)
            return aggregates
        if topic.kind == "bookTicker":
            top = self._tops[topic.symbol] = TopChannel(name, topic, self.top)
            return top
        trades = self._trades[topic.symbol] = Channel(name, topic)
        return trades

    def _turn(self, name: str, topic: Topic) -> Turning:
        """A stream that speaks at fixed turns."""
        match topic.kind:
            case "depth":
                return DepthChannel(name, topic)
            case "partial":
                return PartialChannel(name, topic, self._engine.depth)
            case "kline":
                return KlineChannel(name, topic, self._tapes[topic.symbol], self._now_ms)
            case "avgPrice":
                return AverageChannel(name, topic, partial(self._average, topic.symbol))
            case "referencePrice":
                return ReferenceChannel(name, topic, self._engine.reference_price)
            case _:
                return self._windows(name, topic)

    def _windows(self, name: str, topic: Topic) -> Turning:
        day_of, payload = self._figures(topic)
        if topic.symbol:
            return WindowChannel(name, topic, day_of, payload)
        return MarketChannel(name, topic, tuple(self._tapes), day_of, payload)

    def _figures(self, topic: Topic) -> tuple[DayOf, DayPayload]:
        """What a window's stream is about, and how it is printed."""
        if topic.kind == "rolling":
            return (
                lambda symbol, now_ms: self.rolling(symbol, topic.span_ms, now_ms),
                partial(stream_json.rolling_ticker, topic.interval),
            )
        return self.day, stream_json.ticker if topic.kind == "ticker" else stream_json.mini_ticker

    def _close(self, channel: Channel) -> None:
        """End a stream nobody hears any more."""
        name, symbol = channel.name, channel.topic.symbol
        del self._channels[name]
        self._turning.get(channel.topic.period_ms, {}).pop(name, None)
        self._turn_ms = 0
        match channel:
            case DepthChannel():
                self._depths[symbol].remove(channel)
                self._engine.watch_book(symbol, watched=bool(self._depths[symbol]))
            case AggChannel():
                del self._aggregates[symbol]
                self._grown.pop(channel, None)
            case TopChannel():
                del self._tops[symbol]
                self._moved.pop(channel, None)
            case _:
                if not channel.topic.period_ms:
                    del self._trades[symbol]

    def _average(self, symbol: str, now_ms: int) -> tuple[Decimal, int] | None:
        """The average price and the time of the last trade."""
        price = self._engine.average_price(symbol, now_ms)
        times = self._tapes[symbol].trades.times
        return (price, times[-1]) if price is not None and times else None
