"""A seeded market without end: correlated prices, regimes on a timeline, any minute at any time."""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import accumulate, repeat

from msgspec.structs import replace

from livespot.exchange.candle import MINUTE_MS, Activity, Candle
from livespot.exchange.fixed_point import BPS, scaled_exp
from livespot.exchange.klines import Bar, join
from livespot.exchange.market import Backdrop, minute_events
from livespot.exchange.random_path import (
    HOUR_DEVIATION,
    MINUTE_STEP,
    STEP_BITS,
    RandomPath,
    steps_of,
)
from livespot.exchange.scenario import HourWeather, Weather
from livespot.exchange.sources import Happening, StatusTurn

_HOUR = 60
_KEPT_HOURS = 4
_LEAST_VOLUME = 400
_SPREAD_PER_MILLION = 260
_LOADING_UNIT = 1000
_MIX = 2_654_435_761


@dataclass(frozen=True, slots=True, kw_only=True)
class Character:
    """What distinguishes a symbol.

    Its hourly change is `deviation_bps * (loading * market + rest * own)` with loading and rest in
    thousandths and loading^2 + rest^2 = 1, so two symbols correlate by the product of their
    loadings. `mean_price` is in ticks, `mean_volume` in steps a minute.
    """

    deviation_bps: int
    loading: int
    rest: int
    mean_price: int
    mean_volume: int


@dataclass(frozen=True, slots=True)
class _Hour:
    """Sixty minutes as columns, and the hour as a whole."""

    opens: "array[int]"
    highs: "array[int]"
    lows: "array[int]"
    closes: "array[int]"
    volumes: "array[int]"
    quotes: "array[int]"
    trades: "array[int]"

    def bar(self, first: int, after: int, open_ms: int) -> Bar:
        """Minutes [first, after) as one bar; a halt at their beginning has no price."""
        while first < after - 1 and not self.volumes[first]:
            first += 1
        volume, quote = sum(self.volumes[first:after]), sum(self.quotes[first:after])
        return Bar(
            open_ms,
            self.opens[first],
            max(self.highs[first:after]),
            min(self.lows[first:after]),
            self.closes[after - 1],
            volume,
            quote,
            sum(self.trades[first:after]),
            volume // 2,
            quote // 2,
        )


@dataclass(slots=True, kw_only=True)
class SyntheticSeries:
    """The minutes of one made-up symbol. All but the two memories is fixed."""

    symbol: str
    tick_size: Decimal
    step_size: Decimal
    minutes: Sequence[int]
    character: Character
    activity: Activity
    market: RandomPath
    own: RandomPath
    weather: Weather
    kept_sums: int = 64
    _hours: dict[int, _Hour] = field(default_factory=dict)
    _sums: dict[int, Bar] = field(default_factory=dict)

    def at(self, row: int) -> Candle:
        """The candle in a row."""
        return self.candle(self.minutes[row])

    def candle(self, minute: int) -> Candle:
        """The candle of an epoch minute; without volume while trading is halted."""
        number, i = divmod(minute, _HOUR)
        hour = self._hour(number)
        return Candle(
            minute * MINUTE_MS,
            hour.opens[i],
            hour.highs[i],
            hour.lows[i],
            hour.closes[i],
            hour.volumes[i],
        )

    def bar(self, first: int, last: int, open_ms: int) -> Bar:
        """Rows [first, last), at least one, as one bar."""
        parts = self._parts(self.minutes[first], self.minutes[last - 1] + 1, open_ms)
        total = next(parts)
        for part in parts:
            join(total, part)
        return total

    def _parts(self, begin: int, end: int, open_ms: int) -> Iterator[Bar]:
        """The epoch minutes [begin, end), an hour or what there is of it at a time."""
        while begin < end:
            number, i = divmod(begin, _HOUR)
            after = min(end - number * _HOUR, _HOUR)
            yield self._part(number, i, after, open_ms)
            begin = number * _HOUR + after

    def warm(self, minute: int, back: int) -> None:
        """Work out the hour that lies so many hours before a minute's own."""
        self._whole(minute // _HOUR - back)

    def events(self, key: str, open_ms: int) -> tuple[Happening, ...]:
        """Quotes and trades of a minute, after a turn of its status where there is one."""
        minute = open_ms // MINUTE_MS
        candle, at = self.candle(minute), self.weather.place(minute)
        if self.weather.halted[at]:
            # Said every minute, because play may begin within a halt.
            return (StatusTurn(open_ms, "HALT"),)
        played = minute_events(key, candle, self._backdrop(minute, at), self.activity)
        if self.weather.halted[self.weather.place(minute - 1)]:
            return (StatusTurn(open_ms, "TRADING"), *played)
        return played

    def _backdrop(self, minute: int, at: int) -> Backdrop:
        before = [self.candle(minute - back) for back in range(20, 0, -1)]
        return Backdrop(
            sum(candle.close for candle in before) // len(before),
            max(1, sum(candle.volume for candle in before) // len(before)),
            self.weather.spread[at],
            self.weather.depth[at],
        )

    def _part(self, number: int, first: int, after: int, open_ms: int) -> Bar:
        if (first, after) == (0, _HOUR):
            return replace(self._whole(number), open_ms=open_ms)
        return self._hour(number).bar(first, after, open_ms)

    def _whole(self, number: int) -> Bar:
        found = self._sums.get(number)
        if found is None:
            hour = self._hours.get(number) or self._made(number)
            found = hour.bar(0, _HOUR, number * _HOUR * MINUTE_MS)
            while len(self._sums) >= self.kept_sums:
                del self._sums[next(iter(self._sums))]
            self._sums[number] = found
        return found

    def _hour(self, number: int) -> _Hour:
        found = self._hours.get(number)
        if found is None:
            found = self._made(number)
            while len(self._hours) >= _KEPT_HOURS:
                del self._hours[next(iter(self._hours))]
            self._hours[number] = found
        return found

    def _path(self, number: int, words: tuple[int, ...]) -> list[int]:
        """Prices in ticks at the hour's 61 whole minutes."""
        one, hour = self.character, self.weather.hour(number)
        market = one.deviation_bps * one.loading * BPS // _LOADING_UNIT
        own = one.deviation_bps * one.rest * BPS // _LOADING_UNIT
        start, end = (
            (market * self.market.at(edge) + own * self.own.at(edge)) // HOUR_DEVIATION
            for edge in (number, number + 1)
        )
        common, alone = market * MINUTE_STEP, own * MINUTE_STEP
        steps = [
            (common * m + alone * o) // 100 * noise
            for m, o, noise in zip(
                self.market.steps(number), steps_of(words), hour.noise, strict=True
            )
        ]
        # Bent so that it leads from the hour's beginning to its end.
        walked = list(accumulate(steps, initial=0))
        bend = (end - start << STEP_BITS) - walked[-1]
        bends = range(0, bend * (_HOUR + 1), bend) if bend else repeat(0, _HOUR + 1)
        logs = [
            start + (at + bent // _HOUR >> STEP_BITS) + drift
            for at, bent, drift in zip(walked, bends, hour.drift, strict=True)
        ]
        return scaled_exp(one.mean_price, logs)

    def _made(self, number: int) -> _Hour:
        weather, first = self.weather.hour(number), number * _HOUR
        words = self.own.words(number)
        path = self._path(number, words)
        opens, closes = path[:-1], path[1:]
        highs, lows = self._extremes(path, words[180:], weather)
        volumes = self._volumes(path, words, weather)
        if not weather.calm:
            columns = _Prices(opens, highs, lows, closes, volumes)
            self._disturb(number, columns, weather)
        quotes = [
            v * (o + h + low + c) // 4
            for o, h, low, c, v in zip(opens, highs, lows, closes, volumes, strict=True)
        ]
        least, spread = self.activity.least_trades, self.activity.spread
        # The same count as `trade_count`, which a call for each minute would make slow.
        mixed = range(first * _MIX, (first + _HOUR) * _MIX, _MIX)
        trades = [
            least + ((m + v * 40_503 & 0xFFFFFFFF) >> 8) % spread if v else 0
            for m, v in zip(mixed, volumes, strict=True)
        ]
        made = (opens, highs, lows, closes, volumes, quotes, trades)
        return _Hour(*(array("q", column) for column in made))

    def _extremes(
        self, path: list[int], words: tuple[int, ...], weather: HourWeather
    ) -> tuple[list[int], list[int]]:
        """Highs and lows: beyond open and close by up to a minute's deviation or so."""
        unit = path[0] * self.character.deviation_bps
        highs, lows = [], []
        reaches = [unit * noise // 8_000_000 for noise in weather.noise]
        for o, c, word, reach in zip(path, path[1:], words, reaches, strict=False):
            up, down = word & 0xFF, word >> 8
            if o < c:
                lows.append(o - (reach * down * down >> 16))
                highs.append(c + (reach * up * up >> 16))
            else:
                lows.append(c - (reach * down * down >> 16))
                highs.append(o + (reach * up * up >> 16))
        if min(lows) < 1:
            lows = [max(1, low) for low in lows]
        return highs, lows

    def _volumes(self, path: list[int], words: tuple[int, ...], weather: HourWeather) -> list[int]:
        """More when the price moves, in bursts of five minutes, and as the phase says."""
        typical = max(1, path[0] * self.character.deviation_bps // 77_000)
        mean, most = self.character.mean_volume, 4 * typical
        bursts = [20_000 + (word * word >> 16) for word in words[:_HOUR:5] for _ in range(5)]
        found = []
        for o, c, burst, own, volume in zip(
            path, path[1:], bursts, words[120:180], weather.volume, strict=False
        ):
            moved = c - o if c > o else o - c
            moved = typical + (moved if moved < most else most)
            weight = (burst * (30_000 + own) >> 16) * moved // typical
            found.append(_LEAST_VOLUME + mean * weight * volume // 6_553_600)
        return found

    def _disturb(self, number: int, hour: "_Prices", weather: HourWeather) -> None:
        """Make room for wide spreads and hold the price where trading is halted."""
        frozen = 0
        for i, halted in enumerate(weather.halted):
            if halted:
                frozen = frozen or self._close_before(number * _HOUR + i)
                hour.opens[i] = hour.highs[i] = hour.lows[i] = hour.closes[i] = frozen
                hour.volumes[i] = 0
                continue
            frozen = 0
            if weather.spread[i] > 100:
                # A minute must be two spreads wide for both sides to trade all its prices.
                room = hour.opens[i] * _SPREAD_PER_MILLION * weather.spread[i] // 100_000_000
                hour.highs[i] += room
                hour.lows[i] = max(1, hour.lows[i] - room)

    def _close_before(self, minute: int) -> int:
        """The last price before the halt that a minute lies in."""
        for _ in range(self.weather.scenario.length):
            if not self.weather.halted[self.weather.place(minute - 1)]:
                break
            minute -= 1
        number, i = divmod(minute - 1, _HOUR)
        return self._path(number, self.own.words(number))[i + 1]


@dataclass(frozen=True, slots=True)
class _Prices:
    opens: list[int]
    highs: list[int]
    lows: list[int]
    closes: list[int]
    volumes: list[int]
