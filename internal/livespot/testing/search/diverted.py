"""A recorded market that leaves the record at a given instant and then follows a script."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from itertools import pairwise

from livespot.exchange.candle import MINUTE_MS, Candle
from livespot.exchange.klines import Bar
from livespot.exchange.market import MarketEvent, Print, Quote
from livespot.exchange.model import SymbolSpec
from livespot.exchange.recorded import RecordedMarket, Series

# Often enough that no stream counts as stale, but not so often that it costs much.
_QUOTE_EVERY_MS = 500
# Often enough that the ticker of the whole market is a heartbeat, as on a busy exchange.
_TRADE_EVERY_MS = 1000
_TRADED_STEPS = 5
_BPS = 10_000


@dataclass(frozen=True, slots=True)
class Move:
    """`at_ms` after the turn, the best bid is this many basis points from the last recorded one."""

    at_ms: int
    bps: int


@dataclass(frozen=True, slots=True)
class Deal:
    """A sale of `steps` of the smallest quantity at the last recorded best bid, whoever bids.

    Without `steps` the sale is one tick lower, to everybody who bid more.
    """

    at_ms: int
    steps: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What happens from `from_ms` on; between moves the price goes in a straight line.

    `displayed_steps` is the quantity at the best prices: if it is small, a trade there soon reaches
    whoever is queued behind it.
    """

    from_ms: int
    displayed_steps: int = 1000
    moves: tuple[Move, ...] = ()
    deals: tuple[Deal, ...] = ()

    def bps_at(self, after_ms: int) -> float:
        """Return how many bps the bid is then from the last recorded best bid."""
        points = (Move(0, 0), *self.moves)
        for left, right in pairwise(points):
            if left.at_ms <= after_ms < right.at_ms:
                share = (after_ms - left.at_ms) / (right.at_ms - left.at_ms)
                return left.bps + (right.bps - left.bps) * share
        return points[-1].bps


@dataclass(frozen=True, kw_only=True)
class DivertedSeries:
    """One symbol: its recorded minutes up to the turn, scripted ones after it."""

    record: Series
    script: Script

    @property
    def symbol(self) -> str:
        return self.record.symbol

    @property
    def tick_size(self) -> Decimal:
        return self.record.tick_size

    @property
    def step_size(self) -> Decimal:
        return self.record.step_size

    @property
    def minutes(self) -> Sequence[int]:
        return self.record.minutes

    def bar(self, first: int, last: int, open_ms: int) -> Bar:
        return self.record.bar(first, last, open_ms)

    def at(self, row: int) -> Candle:
        return self.record.at(row)

    def events(self, key: str, open_ms: int) -> tuple[MarketEvent, ...]:
        """The record's events before the turn, the script's from then on."""
        from_ms = self.script.from_ms
        if open_ms + MINUTE_MS <= from_ms:
            return self.record.events(key, open_ms)
        events: list[MarketEvent] = []
        if open_ms < from_ms:
            events += [e for e in self.record.events(key, open_ms) if e.t_ms < from_ms]
        events += self._scripted(self._last_quote(key), max(open_ms, from_ms), open_ms + MINUTE_MS)
        return tuple(events)

    def _last_quote(self, key: str) -> Quote:
        open_ms = (self.script.from_ms - 1) // MINUTE_MS * MINUTE_MS
        quotes = [
            event
            for minute_ms in (open_ms - MINUTE_MS, open_ms)
            for event in self.record.events(key, minute_ms)
            if isinstance(event, Quote) and event.t_ms < self.script.from_ms
        ]
        return quotes[-1]

    def _scripted(self, last: Quote, from_ms: int, until_ms: int) -> list[MarketEvent]:
        begin_ms = self.script.from_ms
        events: list[MarketEvent] = []
        for t_ms in range(from_ms, until_ms, _QUOTE_EVERY_MS):
            quote = self._quote(last, t_ms)
            events.append(quote)
            if t_ms // _QUOTE_EVERY_MS * _QUOTE_EVERY_MS % _TRADE_EVERY_MS == 0:
                events.append(Print(t_ms, quote.ask, _TRADED_STEPS, buyer_is_maker=False))
        for deal in self.script.deals:
            t_ms = begin_ms + deal.at_ms
            if from_ms <= t_ms < until_ms:
                through = deal.steps is None
                price = last.bid - 1 if through else last.bid
                steps = deal.steps or _TRADED_STEPS
                events.append(Print(t_ms, price, steps, buyer_is_maker=True))
        return sorted(events, key=lambda event: event.t_ms)

    def _quote(self, last: Quote, t_ms: int) -> Quote:
        bps = self.script.bps_at(t_ms - self.script.from_ms)
        bid = round(last.bid * (1 + bps / _BPS))
        ask = bid + last.ask - last.bid
        # A book without changes is not sent, and then counts as stale.
        shown = self.script.displayed_steps + t_ms // _QUOTE_EVERY_MS % 2
        return Quote(t_ms, bid, ask, shown, shown)


@dataclass(frozen=True, kw_only=True)
class DivertedMarket:
    """A recorded market in which every symbol follows one script."""

    record: RecordedMarket
    script: Script

    @property
    def data_id(self) -> str:
        return f"{self.record.data_id}-diverted"

    @property
    def sha256(self) -> str:
        return self.record.sha256

    @property
    def start_ms(self) -> int:
        return self.record.start_ms

    @property
    def end_ms(self) -> int | None:
        return self.record.end_ms

    @cached_property
    def series(self) -> Mapping[str, DivertedSeries]:
        return dict(self._diverted())

    @property
    def symbols(self) -> tuple[SymbolSpec, ...]:
        return self.record.symbols

    @property
    def warm_up_minutes(self) -> int:
        return self.record.warm_up_minutes

    def warm(self, now_ms: int, step: int) -> bool:
        """Everything is in memory already."""
        return self.record.warm(now_ms, step)

    def _diverted(self) -> Iterator[tuple[str, DivertedSeries]]:
        for symbol, series in self.record.series.items():
            yield symbol, DivertedSeries(record=series, script=self.script)
