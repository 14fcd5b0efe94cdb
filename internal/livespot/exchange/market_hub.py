"""Who listens to which market stream, and when each stream speaks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial

from livespot.exchange import stream_json
from livespot.exchange.candle import MINUTE_MS
from livespot.exchange.engine import Engine
from livespot.exchange.klines import INTERVALS, opens_at
from livespot.exchange.model import BookChanged, Json, Level, PublicTrade
from livespot.exchange.outbound import Outbound, encode
from livespot.exchange.tape import Tape

BEAT_MS = 100
_SLOW_MS = 1000
_KLINE_MS = 2000
_PARTIAL_DEPTHS = ("5", "10", "20")
_NO_LEVEL: Level = (Decimal(0), Decimal(0))
ALL_MINI = "!miniTicker@arr"


@dataclass(eq=False, slots=True)
class Listener:
    """One client of the market streams. `combined` wraps each payload with its stream's name."""

    outbound: Outbound
    combined: bool = False
    streams: dict[str, None] = field(default_factory=dict)


@dataclass(slots=True)
class _Diff:
    """Level changes gathered since a depth stream last spoke."""

    first: int = 0
    last: int = 0
    bids: dict[Decimal, Decimal] = field(default_factory=dict)
    asks: dict[Decimal, Decimal] = field(default_factory=dict)

    def add(self, event: BookChanged) -> None:
        if not self.first:
            self.first = event.update_id
        self.last = event.update_id
        self.bids.update(event.bids)
        self.asks.update(event.asks)


class MarketHub:
    """Turns engine events and the passing of time into stream frames."""

    def __init__(self, engine: Engine, tapes: Mapping[str, Tape]) -> None:
        self._engine = engine
        self._tapes = tapes
        self._listeners: dict[str, dict[Listener, None]] = {}
        self._fast = {symbol: _Diff() for symbol in tapes}
        self._slow = {symbol: _Diff() for symbol in tapes}
        self._tops: dict[str, tuple[Level, Level]] = {}
        self._said: dict[str, int] = {}
        self._beat = 0

    def subscribe(self, listener: Listener, stream: str) -> None:
        """Add a stream; one that nothing is ever sent on is accepted, as on the exchange."""
        listener.streams[stream] = None
        self._listeners.setdefault(stream, {})[listener] = None

    def unsubscribe(self, listener: Listener, stream: str) -> None:
        """Remove a stream; unknown ones are ignored."""
        listener.streams.pop(stream, None)
        listeners = self._listeners.get(stream)
        if listeners is not None:
            listeners.pop(listener, None)
            if not listeners:
                del self._listeners[stream]
                self._said.pop(stream, None)

    def leave(self, listener: Listener) -> None:
        """Remove every stream of a client."""
        for stream in tuple(listener.streams):
            self.unsubscribe(listener, stream)

    def on_trade(self, event: PublicTrade, now_ms: int) -> None:
        """Live trade streams."""
        name = event.symbol.lower()
        self._say(f"{name}@trade", lambda: stream_json.trade(event, now_ms))
        self._say(f"{name}@aggTrade", lambda: stream_json.agg_trade(event, now_ms))

    def on_book(self, event: BookChanged) -> None:
        """The live best prices; level changes are kept for the depth streams' next turn."""
        self._fast[event.symbol].add(event)
        self._slow[event.symbol].add(event)
        stream = f"{event.symbol.lower()}@bookTicker"
        if stream not in self._listeners:
            return
        bid, ask = self.top(event.symbol)
        if self._tops.get(event.symbol) != (bid, ask):
            self._tops[event.symbol] = (bid, ask)
            self._say(
                stream, lambda: stream_json.book_ticker(event.symbol, event.update_id, bid, ask)
            )

    def tick(self, now_ms: int) -> None:
        """Speak on every stream whose time has come; call it at least each 100 ms."""
        before, self._beat = self._beat, now_ms // BEAT_MS * BEAT_MS
        if before == self._beat:
            return
        for symbol in self._tapes:
            self._depth(symbol, self._fast, "@100ms", now_ms)
        if before // MINUTE_MS != now_ms // MINUTE_MS and before:
            self._close_klines(before, now_ms)
        if before // _SLOW_MS != now_ms // _SLOW_MS:
            for symbol in self._tapes:
                self._depth(symbol, self._slow, "", now_ms)
            self._every_second(now_ms)
        if before // _KLINE_MS != now_ms // _KLINE_MS:
            self._update_klines(now_ms)

    def day(self, symbol: str, now_ms: int) -> stream_json.Day | None:
        """The 24 hour figures of a symbol; None before its first trade."""
        tape = self._tapes[symbol]
        bar = tape.day(now_ms)
        if bar is None:
            return None
        bid, ask = self.top(symbol)
        last_qty = tape.trades[-1].qty if tape.trades else Decimal(0)
        return stream_json.Day(
            symbol=symbol,
            bar=bar,
            scale=tape.scale,
            last_qty=last_qty,
            bid=bid,
            ask=ask,
            now_ms=now_ms,
        )

    def top(self, symbol: str) -> tuple[Level, Level]:
        """Best bid and ask; zeros for an empty side."""
        bid, ask = self._engine.best(symbol)
        return bid or _NO_LEVEL, ask or _NO_LEVEL

    def _depth(self, symbol: str, diffs: dict[str, _Diff], suffix: str, now_ms: int) -> None:
        diff = diffs[symbol]
        if not diff.first:
            return
        diffs[symbol] = _Diff()
        name = symbol.lower()
        self._say(
            f"{name}@depth{suffix}",
            lambda: {
                "e": "depthUpdate",
                "E": now_ms,
                "s": symbol,
                "U": diff.first,
                "u": diff.last,
                "b": stream_json.levels(diff.bids.items()),
                "a": stream_json.levels(diff.asks.items()),
            },
        )
        for size in _PARTIAL_DEPTHS:
            self._say(f"{name}@depth{size}{suffix}", partial(self._partial, symbol, int(size)))

    def _partial(self, symbol: str, size: int) -> Json:
        update_id, bids, asks = self._engine.depth(symbol, size)
        return {
            "lastUpdateId": update_id,
            "bids": stream_json.levels(bids),
            "asks": stream_json.levels(asks),
        }

    def _every_second(self, now_ms: int) -> None:
        minis = []
        for symbol, tape in self._tapes.items():
            name = symbol.lower()
            self._average(symbol, now_ms)
            wanted = [s for s in (f"{name}@miniTicker", f"{name}@ticker") if s in self._listeners]
            if not wanted and ALL_MINI not in self._listeners:
                continue
            last_id = tape.trades[-1].trade_id if tape.trades else -1
            if self._said.get(name) == last_id:
                continue
            self._said[name] = last_id
            day = self.day(symbol, now_ms)
            if day is None:
                continue
            minis.append(stream_json.mini_ticker(day))
            self._say(f"{name}@miniTicker", partial(stream_json.mini_ticker, day))
            self._say(f"{name}@ticker", partial(stream_json.ticker, day))
        if minis:
            self._say(ALL_MINI, lambda: minis)

    def _average(self, symbol: str, now_ms: int) -> None:
        stream = f"{symbol.lower()}@avgPrice"
        if stream not in self._listeners:
            return
        price = self._engine.average_price(symbol, now_ms)
        trades = self._tapes[symbol].trades
        if price is not None and trades:
            last_ms = trades[-1].time_ms
            self._say(stream, lambda: stream_json.avg_price(symbol, price, last_ms, now_ms))

    def _kline_streams(self) -> list[tuple[str, str, str]]:
        """(stream, symbol, interval) of every kline stream somebody hears."""
        found = []
        for stream in self._listeners:
            name, _, interval = stream.partition("@kline_")
            if interval in INTERVALS and name.upper() in self._tapes:
                found.append((stream, name.upper(), interval))
        return found

    def _update_klines(self, now_ms: int) -> None:
        for stream, symbol, interval in self._kline_streams():
            tape = self._tapes[symbol]
            bar = tape.forming(interval, now_ms)
            if bar is None or self._said.get(stream) == bar.last_id:
                continue
            self._said[stream] = bar.last_id
            self._say(
                stream,
                partial(stream_json.kline, symbol, interval, bar, tape.scale, now_ms),
            )

    def _close_klines(self, before_ms: int, now_ms: int) -> None:
        """The final frame of every bar that ended since the last tick."""
        for stream, symbol, interval in self._kline_streams():
            tape = self._tapes[symbol]
            start = opens_at(before_ms, interval)
            for bar in tape.bars(interval, start, opens_at(now_ms, interval) - 1):
                self._say(
                    stream,
                    partial(stream_json.kline, symbol, interval, bar, tape.scale, now_ms),
                )

    def _say(self, stream: str, payload: Callable[[], object]) -> None:
        listeners = self._listeners.get(stream)
        if not listeners:
            return
        raw = encode(payload())
        wrapped = f'{{"stream":"{stream}","data":{raw}}}'
        for listener in listeners:
            listener.outbound.push(wrapped if listener.combined else raw)
