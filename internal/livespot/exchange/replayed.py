"""Plays recorded quotes and trades at exactly their own times."""

import hashlib
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import msgspec

from livespot.exchange.candle import MINUTE_MS, Candle
from livespot.exchange.klines import Bar, flat, join, of_trade
from livespot.exchange.market import MarketEvent, Print, Quote
from livespot.exchange.model import SymbolSpec
from livespot.exchange.recorded import (
    DataFile,
    RecordedDataInvalid,
    read,
    symbol_rules,
    unpacked,
)

FORMAT = "livespot-replayed-1"
TAPE_HEADER = "kind,ms,price,other,qty,other_qty"


class TapePart(msgspec.Struct, frozen=True):
    """A file that goes on where the one before it ended."""

    file: str
    sha256: str
    rows: int


class _TapeFile(msgspec.Struct, frozen=True):
    file: str
    sha256: str
    rows: int
    tick_size: Decimal
    step_size: Decimal
    parts: tuple[TapePart, ...] = ()


class _Manifest(msgspec.Struct, frozen=True):
    format: str
    id: str
    start_ms: int
    end_ms: int
    symbols_file: DataFile
    tapes: dict[str, _TapeFile]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedSeries:
    """One symbol's recorded events, and its minutes as their trades make them."""

    symbol: str
    tick_size: Decimal
    step_size: Decimal
    minutes: Sequence[int]
    happened: tuple[MarketEvent, ...]
    starts: tuple[int, ...]
    bars: tuple[Bar, ...]

    def at(self, row: int) -> Candle:
        """The candle in a row; flat at the close before where nothing traded."""
        bar = self.bars[row]
        return Candle(bar.open_ms, bar.open, bar.high, bar.low, bar.close, bar.volume)

    def bar(self, first: int, last: int, open_ms: int) -> Bar:
        """Rows [first, last), at least one, as one bar."""
        total = flat(open_ms, self.bars[first].open)
        for bar in self.bars[first:last]:
            join(total, bar)
        total.close = self.bars[last - 1].close
        return total

    def events(self, key: str, open_ms: int) -> tuple[MarketEvent, ...]:
        """What was recorded in a minute; the key has no say in it."""
        row = open_ms // MINUTE_MS - self.minutes[0]
        if not 0 <= row < len(self.minutes):
            return ()
        return self.happened[self.starts[row] : self.starts[row + 1]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedMarket:
    """A checked directory of recorded events."""

    data_id: str
    sha256: str
    start_ms: int
    end_ms: int
    series: Mapping[str, ReplayedSeries]
    symbols: tuple[SymbolSpec, ...]
    # Before what was recorded there is nothing.
    warm_up_minutes: int = 0

    def warm(self, now_ms: int, step: int) -> bool:
        """Everything is in memory already."""
        return False


def load_replayed(
    directory: Path, only: frozenset[str] = frozenset(), shift_ms: int = 0
) -> ReplayedMarket:
    """Read and check a directory; `shift_ms` (whole minutes) moves the record in time.

    Raises:
        RecordedDataInvalid: a file is absent, its hash differs, or a row is impossible.
    """
    text = read(directory / "manifest.json")
    try:
        manifest = msgspec.json.decode(text, type=_Manifest)
    except msgspec.DecodeError as error:
        raise RecordedDataInvalid(f"{directory / 'manifest.json'}: {error}") from error
    rules = symbol_rules(directory, manifest.symbols_file)
    chosen = sorted(only or manifest.tapes)
    absent = [name for name in chosen if name not in manifest.tapes or name not in rules]
    if absent or not chosen:
        raise RecordedDataInvalid(f"{directory}: no events or no rules of {', '.join(absent)}")
    edges = (manifest.start_ms % MINUTE_MS, manifest.end_ms % MINUTE_MS)
    if any(edges) or manifest.end_ms <= manifest.start_ms:
        raise RecordedDataInvalid(f"{directory}: the record does not span whole minutes")
    return ReplayedMarket(
        data_id=manifest.id,
        sha256=hashlib.sha256(text).hexdigest(),
        start_ms=manifest.start_ms + shift_ms,
        end_ms=manifest.end_ms + shift_ms,
        series={name: _series(directory, name, manifest, shift_ms) for name in chosen},
        symbols=tuple(rules[name] for name in chosen),
    )


def _series(directory: Path, symbol: str, manifest: _Manifest, shift_ms: int) -> ReplayedSeries:
    file = manifest.tapes[symbol]
    start_ms = manifest.start_ms + shift_ms
    span_ms = manifest.end_ms - manifest.start_ms
    happened: list[MarketEvent] = []
    last = 0
    for part in (TapePart(file.file, file.sha256, file.rows), *file.parts):
        lines = unpacked(directory, part.file, part.sha256)
        if not lines or lines[0] != TAPE_HEADER or len(lines) - 1 != part.rows:
            raise RecordedDataInvalid(f"{part.file}: not {part.rows} rows below {TAPE_HEADER!r}")
        for number, line in enumerate(lines[1:], start=2):
            event, at = _event(part.file, number, line, start_ms)
            if not last <= at < span_ms:
                raise RecordedDataInvalid(f"{part.file} line {number}: {at} ms is out of order")
            last = at
            happened.append(event)
    times = [event.t_ms for event in happened]
    minutes = range(start_ms // MINUTE_MS, (start_ms + span_ms) // MINUTE_MS)
    starts = tuple(bisect_left(times, minute * MINUTE_MS) for minute in minutes)
    starts = (*starts, len(happened))
    return ReplayedSeries(
        symbol=symbol,
        tick_size=file.tick_size,
        step_size=file.step_size,
        minutes=minutes,
        happened=tuple(happened),
        starts=starts,
        bars=_bars(file.file, happened, minutes, starts),
    )


def _event(file: str, number: int, line: str, start_ms: int) -> tuple[MarketEvent, int]:
    kind, *rest = line.split(",")
    try:
        at, price, other, qty, other_qty = map(int, rest)
    except ValueError as error:
        raise RecordedDataInvalid(f"{file} line {number}: {error}") from error
    if kind == "q" and 0 < price < other and qty > 0 and other_qty > 0:
        return Quote(start_ms + at, price, other, qty, other_qty), at
    if kind == "t" and price > 0 and qty > 0 and other in (0, 1):
        return Print(start_ms + at, price, qty, other == 1), at
    raise RecordedDataInvalid(f"{file} line {number}: {line!r} is no quote and no trade")


def _bars(
    file: str, happened: list[MarketEvent], minutes: range, starts: tuple[int, ...]
) -> tuple[Bar, ...]:
    first = next((event for event in happened if isinstance(event, Print)), None)
    if first is None:
        raise RecordedDataInvalid(f"{file}: it has no trade")
    bars: list[Bar] = []
    price = first.price
    for row, minute in enumerate(minutes):
        bar = flat(minute * MINUTE_MS, price)
        for event in happened[starts[row] : starts[row + 1]]:
            if isinstance(event, Print):
                maker = event.buyer_is_maker
                join(bar, of_trade(bar.open_ms, event.price, event.qty, -1, buyer_is_maker=maker))
        price = bar.close
        bars.append(bar)
    return tuple(bars)
