"""Plays a staged market: minutes of the past, then the legs of the plan."""

import hashlib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib import resources
from itertools import accumulate
from typing import Any

import msgspec

from livespot.exchange.candle import MINUTE_MS, Candle
from livespot.exchange.klines import Bar
from livespot.exchange.market import MarketEvent, Print, Quote
from livespot.exchange.model import SymbolSpec
from livespot.exchange.prng import SplitMix
from livespot.exchange.prng_ahead import DrawnAhead
from livespot.exchange.specs import symbol_spec
from livespot.testing.search.stage import StagedSymbol, StagePlan
from livespot.testing.search.staged_past import MINUTES, Past, past_of

_UNIT = 1_000_000
_MINUTE_VOLUME_QUOTE = 30_000
_STOPS = ("STOP_LOSS", "TAKE_PROFIT")

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Bill:
    """What a symbol costs and in which units: coarse and fine ticks both occur."""

    price: Decimal
    tick_size: Decimal
    step_size: Decimal


BILLS: Mapping[str, Bill] = {
    "SOLUSDT": Bill(Decimal(148), Decimal("0.01"), Decimal("0.001")),
    "ADAUSDT": Bill(Decimal("0.46"), Decimal("0.0001"), Decimal("0.1")),
    "LTCUSDT": Bill(Decimal(78), Decimal("0.01"), Decimal("0.001")),
    "ETHUSDT": Bill(Decimal(3100), Decimal("0.01"), Decimal("0.0001")),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedSeries:
    """One symbol of a staged market, from `start_ms` on as its legs say."""

    symbol: str
    tick_size: Decimal
    step_size: Decimal
    minutes: Sequence[int]
    past: Past
    staged: StagedSymbol
    seed: int
    start_ms: int
    base: int
    knots: tuple[tuple[int, ...], tuple[int, ...]]

    def bar(self, first: int, last: int, open_ms: int) -> Bar:
        """Rows [first, last) of the past as one bar."""
        return self.past.bar(first, last, open_ms)

    def at(self, row: int) -> Candle:
        """One row of the past; later ones are only played."""
        past = self.past
        return Candle(
            self.minutes[row] * MINUTE_MS,
            past.opens[row],
            past.highs[row],
            past.lows[row],
            past.closes[row],
            past.volumes[row],
        )

    def events(self, key: str, open_ms: int) -> tuple[MarketEvent, ...]:
        """The quotes of a minute, and trades at the best prices of the quote before them."""
        del key
        draw, staged = DrawnAhead(f"{self.seed}:{self.symbol}:{open_ms}"), self.staged
        turns = [(at, 0) for at in _instants(open_ms, staged.quote_ms, draw)]
        turns += [(at, 1) for at in _instants(open_ms, staged.print_ms, draw)]
        quote = self._quote(open_ms, draw)
        events: list[MarketEvent] = [quote]
        for at_ms, is_print in sorted(turns):
            if is_print:
                events.append(self._print(at_ms, quote, draw))
            else:
                quote = self._quote(at_ms, draw)
                events.append(quote)
        return tuple(events)

    def _quote(self, at_ms: int, draw: SplitMix) -> Quote:
        staged = self.staged
        noise = draw.below(2 * staged.noise_x100 + 1) - staged.noise_x100
        bid = max(1, self.base * (_UNIT + self._moved(at_ms) + noise) // _UNIT)
        share = staged.buyers_percent * 100 + draw.below(801) - 400
        top = self._steps(staged.top_quote) * (70 + draw.below(61)) // 100
        return Quote(
            at_ms,
            bid,
            bid + max(1, self.base * staged.spread_x100 // _UNIT),
            max(1, top * share // 10_000),
            max(1, top * (10_000 - share) // 10_000),
        )

    def _print(self, at_ms: int, quote: Quote, draw: SplitMix) -> Print:
        sells = draw.below(2) == 0
        most = self._steps(self.staged.print_quote)
        size = most if self.staged.even_prints else 1 + draw.below(most)
        return Print(at_ms, quote.bid if sells else quote.ask, size, sells)

    def _moved(self, at_ms: int) -> int:
        """How far the legs have led by then, in hundredths of a basis point."""
        times, places = self.knots
        since_ms = at_ms - self.start_ms
        after = bisect_right(times, since_ms)
        if after == 0 or after == len(times):
            return places[after and -1]
        begin_ms, end_ms = times[after - 1], times[after]
        begin, end = places[after - 1], places[after]
        return begin + (end - begin) * (since_ms - begin_ms) // (end_ms - begin_ms)

    def _steps(self, quote: int) -> int:
        """An amount of quote currency as steps of the quantity."""
        return max(1, int(quote / (self.base * self.tick_size * self.step_size)))


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedMarket:
    """A market source: all symbols of a stage."""

    data_id: str
    sha256: str
    start_ms: int
    end_ms: int
    series: Mapping[str, StagedSeries]
    symbols: tuple[SymbolSpec, ...]
    warm_up_minutes: int = 1

    def warm(self, now_ms: int, step: int) -> bool:
        """There is nothing to work out ahead."""
        del now_ms, step
        return False


def open_stage(stage: StagePlan, start_ms: int) -> StagedMarket:
    """Raises `KeyError` for a symbol that is not in `BILLS`."""
    # The last candle of five minutes that is over before play must be the past's last.
    first = start_ms // MINUTE_MS // 5 * 5 - MINUTES
    minutes = range(first, -(-(start_ms + stage.end_ms) // MINUTE_MS) + 1)
    series = {
        staged.symbol: _series(staged, stage.seed, minutes, start_ms) for staged in stage.symbols
    }
    return StagedMarket(
        data_id="staged",
        sha256=hashlib.sha256(msgspec.json.encode((stage, start_ms))).hexdigest(),
        start_ms=first * MINUTE_MS,
        end_ms=(minutes[-1] + 1) * MINUTE_MS,
        series=series,
        symbols=tuple(_spec(staged.symbol, staged.plain_stops) for staged in stage.symbols),
    )


def _series(staged: StagedSymbol, seed: int, minutes: Sequence[int], start_ms: int) -> StagedSeries:
    bill = BILLS[staged.symbol]
    volume = int(_MINUTE_VOLUME_QUOTE / (bill.price * bill.step_size))
    end = (minutes[0] + MINUTES) % 120
    past = past_of(staged.shape, staged.variant, end, int(bill.price / bill.tick_size), volume)
    return StagedSeries(
        symbol=staged.symbol,
        tick_size=bill.tick_size,
        step_size=bill.step_size,
        minutes=minutes,
        past=past,
        staged=staged,
        seed=seed,
        start_ms=start_ms,
        base=round(past.average * (10_000 - staged.below_bps) / 10_000),
        knots=(
            tuple(accumulate((leg.ms for leg in staged.legs), initial=0)),
            tuple(accumulate((leg.bps * 100 for leg in staged.legs), initial=0)),
        ),
    )


def _instants(open_ms: int, every_ms: int, draw: SplitMix) -> list[int]:
    """One instant in each equal share of a minute."""
    count = max(1, MINUTE_MS // every_ms)
    return [open_ms + (n * MINUTE_MS + draw.below(MINUTE_MS)) // count for n in range(count)]


@cache
def least_order(symbol: str) -> Decimal:
    """What the smallest order on a symbol is worth in quote, as its rules say before any fault."""
    return least_of(symbol_spec(_row(symbol)))


def least_of(spec: SymbolSpec) -> Decimal:
    """What the smallest order is worth in quote by a symbol's rules."""
    return max(rule.low for rule in spec.filters.notionals)


@cache
def _row(symbol: str) -> Row:
    packaged = resources.files("livespot.exchange") / "data" / "symbols.json"
    rows = msgspec.json.decode(packaged.read_bytes(), type=list[Row])
    return next(row for row in rows if row["symbol"] == symbol)


@cache
def _spec(symbol: str, plain_stops: bool) -> SymbolSpec:  # noqa: FBT001  a key of the cache
    row, bill = _row(symbol), BILLS[symbol]
    tick, step = format(bill.tick_size, ".8f"), format(bill.step_size, ".8f")
    sizes = {
        "PRICE_FILTER": {"minPrice": tick, "tickSize": tick},
        "LOT_SIZE": {"minQty": step, "stepSize": step},
    }
    filters = [rule | sizes.get(rule["filterType"], {}) for rule in row["filters"]]
    types = [*row["orderTypes"], *(_STOPS if plain_stops else ())]
    return symbol_spec(row | {"filters": filters, "orderTypes": types})
