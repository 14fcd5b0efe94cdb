"""Streams that somebody hears: who, and how one payload becomes everybody's frame."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from livespot.exchange import stream_json
from livespot.exchange.model import BookChanged, Level, PublicTrade
from livespot.exchange.outbound import Outbound, encode
from livespot.exchange.stream_names import Topic
from livespot.exchange.trade_log import AggTrade, first_of

Top = tuple[Level, Level]
TopOf = Callable[[str], Top]
Payload = Callable[[int], object]


@dataclass(eq=False, slots=True)
class Listener:
    """One client of the market streams.

    `combined` wraps each payload with its stream's name; `unit` is how many of the client's time
    units are a millisecond.
    """

    outbound: Outbound
    combined: bool = False
    unit: int = 1
    streams: dict[str, None] = field(default_factory=dict)


class Channel:
    """One stream with listeners."""

    def __init__(self, name: str, topic: Topic) -> None:
        self.name = name
        self.topic = topic
        self.listeners: dict[Listener, None] = {}
        self._prefix = f'{{"stream":{encode(name)},"data":'

    def say(self, payload: Payload) -> None:
        """Send a payload, given the time unit; each form of it is made once."""
        self.say_made(lambda unit: encode(payload(unit)))

    def say_made(self, text_of: Callable[[int], str]) -> None:
        """The same with a payload that comes as JSON text."""
        texts: dict[int, str] = {}
        for listener in self.listeners:
            text = texts.get(listener.unit)
            if text is None:
                text = texts[listener.unit] = text_of(listener.unit)
            self._push(listener, text)

    def say_text(self, text: str) -> None:
        """Send a payload without times, already as JSON."""
        for listener in self.listeners:
            self._push(listener, text)

    def _push(self, listener: Listener, text: str) -> None:
        listener.outbound.push(f"{self._prefix}{text}}}" if listener.combined else text)


class TopChannel(Channel):
    """`@bookTicker`: the best prices when one of them or its quantity has changed.

    Changes of one instant are told together; `update_id` is the last of them.
    """

    def __init__(self, name: str, topic: Topic, top_of: TopOf) -> None:
        super().__init__(name, topic)
        self.update_id = 0
        self._top_of = top_of
        self._top = top_of(topic.symbol)

    def settle(self) -> None:
        """The instant is over."""
        top = self._top_of(self.topic.symbol)
        if top != self._top:
            self._top = top
            self.say_text(stream_json.book_ticker(self.topic.symbol, self.update_id, *top))


class AggChannel(Channel):
    """`@aggTrade`: joins trades of one taker at one price, which always happen at one instant."""

    def __init__(self, name: str, topic: Topic) -> None:
        super().__init__(name, topic)
        self._open: AggTrade | None = None

    def on_trade(self, trade: PublicTrade, agg_id: int, now_ms: int) -> None:
        """A trade, and the aggregate it belongs to."""
        if self._open is not None and self._open.agg_id == agg_id:
            self._open = self._open.joined(trade)
        else:
            self.settle(now_ms)
            self._open = first_of(agg_id, trade)

    def settle(self, now_ms: int) -> None:
        """Nothing can join the open aggregate any more."""
        aggregate, self._open = self._open, None
        if aggregate is not None:
            symbol = self.topic.symbol
            self.say_made(lambda unit: stream_json.agg_trade(symbol, aggregate, now_ms, unit))


class DepthChannel(Channel):
    """`@depth` and `@depth@100ms`: the levels that changed since it last spoke."""

    def __init__(self, name: str, topic: Topic) -> None:
        super().__init__(name, topic)
        self._first = 0
        self._last = 0
        self._bids: dict[Decimal, Decimal] = {}
        self._asks: dict[Decimal, Decimal] = {}

    def on_book(self, event: BookChanged) -> None:
        """Gather a change until the stream's next turn."""
        if not self._first:
            self._first = event.update_id
        self._last = event.update_id
        self._bids.update(event.bids)
        self._asks.update(event.asks)

    def beat(self, now_ms: int) -> None:
        """The stream's turn."""
        if not self._first:
            return
        bids = sorted(self._bids.items(), reverse=True)
        span, asks = (self._first, self._last), sorted(self._asks.items())
        self._first, self._bids, self._asks = 0, {}, {}
        symbol = self.topic.symbol
        self.say(lambda unit: stream_json.depth_update(symbol, span, (bids, asks), now_ms * unit))
