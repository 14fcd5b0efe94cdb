"""Puts made-up symbols together under one market factor and one scenario."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from livespot.exchange.candle import MINUTE_MS, USUAL, Activity
from livespot.exchange.listings import listed
from livespot.exchange.model import SymbolSpec
from livespot.exchange.random_path import RandomPath
from livespot.exchange.scenario import Phase, Scenario, Weather, weather
from livespot.exchange.sources import usual_warm_up
from livespot.exchange.specs import symbol_spec
from livespot.exchange.synthetic import SyntheticSeries

HISTORY_DAYS = 90
# Long enough to be without end; prices stay near their mean for ever.
_FUTURE_DAYS = 36_500
_DAY_MINUTES = 1440
_DAY_HOURS = 24
_BUSY_UP_TO = 40
# Hours kept as sums: what one request for candles can ask for, or what tickers need.
_FULL_PAGE, _TWO_DAYS = 1100, 64
_SPARSE = Activity(least_trades=8, spread=16, quiet_quotes=16)


@dataclass(frozen=True, kw_only=True)
class SyntheticMarket:
    """Made-up symbols under one market factor. There is always a next minute."""

    data_id: str
    sha256: str
    start_ms: int
    series: Mapping[str, SyntheticSeries]
    symbols: tuple[SymbolSpec, ...]
    end_ms: int | None = None

    @cached_property
    def in_order(self) -> tuple[SyntheticSeries, ...]:
        return tuple(self.series.values())

    def correlation_x10000(self, one: str, other: str) -> int:
        """What changes of two symbols correlate by, phases of a scenario aside."""
        if one == other:
            return 10_000
        loadings = [self.series[name].character.loading for name in (one, other)]
        return loadings[0] * loadings[1] // 100

    @property
    def warm_up_minutes(self) -> int:
        return usual_warm_up(len(self.series))

    def warm(self, now_ms: int, step: int) -> bool:
        """Work out a little of the last day, which tickers need; false when no step is left."""
        symbol, back = divmod(step, _DAY_HOURS)
        if symbol >= len(self.series):
            return False
        self.in_order[symbol].warm(now_ms // MINUTE_MS, back + 1)
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticOrder:
    """What to make up. `from_ms` is where play begins; `only` leaves out all other symbols."""

    name: str
    seed: int
    count: int
    scenario: Scenario
    from_ms: int
    only: frozenset[str] = frozenset()


def open_synthetic(order: SyntheticOrder) -> SyntheticMarket:
    """Raises `ValueError` for a symbol it does not have."""
    listings = listed(order.seed, order.count)
    absent = sorted(order.only - {listing.symbol for listing in listings})
    if absent:
        raise ValueError(f"the made-up market has no {', '.join(absent)}")
    first = order.from_ms // MINUTE_MS
    day = first - first % _DAY_MINUTES
    start = day - HISTORY_DAYS * _DAY_MINUTES
    origin = 0 if order.scenario.from_day else first
    minutes = range(start, day + _FUTURE_DAYS * _DAY_MINUTES)
    factor = RandomPath(f"{order.seed}:market")
    skies: dict[tuple[Phase, ...], Weather] = {}
    series, specs = {}, []
    for number, listing in enumerate(listings):
        symbol = listing.symbol
        if order.only and symbol not in order.only:
            continue
        phases = order.scenario.phases_of(symbol, number)
        if phases not in skies:
            skies[phases] = weather(order.scenario, phases, origin)
        specs.append(symbol_spec(listing.row))
        series[symbol] = SyntheticSeries(
            symbol=symbol,
            tick_size=listing.tick_size,
            step_size=listing.step_size,
            minutes=minutes,
            character=listing.character,
            activity=USUAL if order.count <= _BUSY_UP_TO else _SPARSE,
            market=factor,
            own=RandomPath(f"{order.seed}:{symbol}"),
            weather=skies[phases],
            kept_sums=_FULL_PAGE if order.count <= _BUSY_UP_TO else _TWO_DAYS,
        )
    return SyntheticMarket(
        data_id=order.name,
        sha256=_identity(order),
        start_ms=start * MINUTE_MS,
        series=series,
        symbols=tuple(specs),
    )


def _identity(order: SyntheticOrder) -> str:
    """A hash of all the minutes follow from; a scenario of the day counts from no start."""
    start = 0 if order.scenario.from_day else order.from_ms // MINUTE_MS
    parts = (order.seed, order.count, sorted(order.only), start, order.scenario)
    return hashlib.sha256(repr(parts).encode()).hexdigest()
