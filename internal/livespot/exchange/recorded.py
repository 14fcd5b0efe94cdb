"""Reads a directory of recorded one-minute candles and refuses anything it cannot vouch for."""

import gzip
import hashlib
import zlib
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from livespot.contracts.errors import PreflightFailed
from livespot.exchange.candle import LARGEST, MINUTE_MS, USUAL, Activity, Candle, flaw_of
from livespot.exchange.klines import Bar
from livespot.exchange.market import Backdrop, MarketEvent, minute_events
from livespot.exchange.model import SymbolSpec
from livespot.exchange.sources import usual_warm_up
from livespot.exchange.specs import symbol_spec
from livespot.exchange.split import split_candle

FORMAT = "livespot-recorded-1"
_BACKDROP_MINUTES = 20
_MIX = 2_654_435_761
_VOLUME_MIX = 40_503
CANDLE_HEADER = "minute,open,high,low,close,volume"


class RecordedDataInvalid(PreflightFailed):
    """The recorded market data is missing, damaged or not what its manifest says."""


class DataFile(msgspec.Struct, frozen=True):
    file: str
    sha256: str


class _SeriesFile(msgspec.Struct, frozen=True):
    file: str
    sha256: str
    rows: int
    tick_size: Decimal
    step_size: Decimal


class _Manifest(msgspec.Struct, frozen=True):
    format: str
    id: str
    start_ms: int
    end_ms: int
    symbols_file: DataFile
    series: dict[str, _SeriesFile]
    interval_minutes: int = 1


Column: TypeAlias = "array[int]"
Columns = tuple[Column, Column, Column, Column, Column, Column]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Candles of one symbol in time order, as columns; holes are the exchange's own outages."""

    symbol: str
    tick_size: Decimal
    step_size: Decimal
    minutes: "array[int]"
    columns: "tuple[array[int], ...]"
    index: Mapping[int, int]
    quotes: "array[int]"
    trades: "array[int]"
    activity: Activity = USUAL

    def bar(self, first: int, last: int, open_ms: int) -> Bar:
        """Rows [first, last) as one bar.

        The record has no quote volume and no taker share: the typical price and a half stand in.
        """
        opens, highs, lows, closes, volumes = self.columns
        volume, quote = sum(volumes[first:last]), sum(self.quotes[first:last])
        return Bar(
            open_ms,
            opens[first],
            max(highs[first:last]),
            min(lows[first:last]),
            closes[last - 1],
            volume,
            quote,
            sum(self.trades[first:last]),
            volume // 2,
            quote // 2,
        )

    def at(self, row: int) -> Candle:
        """The candle in a row."""
        o, h, low, c, v = (column[row] for column in self.columns)
        return Candle(self.minutes[row] * MINUTE_MS, o, h, low, c, v)

    def candle(self, open_ms: int) -> Candle | None:
        """The candle of a minute; None where the exchange recorded none."""
        row = self.index.get(open_ms // MINUTE_MS)
        return None if row is None else self.at(row)

    def events(self, key: str, open_ms: int) -> tuple[MarketEvent, ...]:
        """One way in which the recorded minute can have come about."""
        row = self.index.get(open_ms // MINUTE_MS)
        if row is None:
            return ()
        candle = self.at(row)
        backdrop = self._backdrop(row) or Backdrop(candle.open, candle.volume)
        return minute_events(key, candle, backdrop, self.activity)

    def _backdrop(self, row: int) -> Backdrop | None:
        """Means over the recorded minutes before one; None at the very beginning."""
        rows = slice(max(0, row - _BACKDROP_MINUTES), row)
        closes, volumes = self.columns[3][rows], self.columns[4][rows]
        if not closes:
            return None
        return Backdrop(sum(closes) // len(closes), sum(volumes) // len(volumes))


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedMarket:
    """A checked data directory; `sha256` is its manifest's and names the whole."""

    data_id: str
    sha256: str
    start_ms: int
    end_ms: int
    series: Mapping[str, Series]
    symbols: tuple[SymbolSpec, ...]

    @property
    def warm_up_minutes(self) -> int:
        return usual_warm_up(len(self.series))

    def warm(self, now_ms: int, step: int) -> bool:
        """Everything is in memory already."""
        return False


def packaged_data() -> Path:
    """The excerpt that ships with the program."""
    return Path(str(resources.files("livespot.exchange") / "data"))


def load_recorded(
    directory: Path, only: frozenset[str] = frozenset(), shift_ms: int = 0
) -> RecordedMarket:
    """Read and check a directory; `only` leaves out all other symbols.

    `shift_ms` (whole minutes) moves the record in time. Wider candles than a minute's are split
    into minutes that add up to them.

    Raises:
        RecordedDataInvalid: a file is absent, its hash differs, or a row is impossible.
    """
    text = read(directory / "manifest.json")
    try:
        manifest = msgspec.json.decode(text, type=_Manifest)
    except msgspec.DecodeError as error:
        raise RecordedDataInvalid(f"{directory / 'manifest.json'}: {error}") from error
    if manifest.format != FORMAT:
        raise RecordedDataInvalid(f"{directory}: unknown format {manifest.format!r}")
    if manifest.interval_minutes not in (1, 3, 5, 15):
        raise RecordedDataInvalid(f"{directory}: candles of {manifest.interval_minutes} minutes")
    rules = symbol_rules(directory, manifest.symbols_file)
    unknown = sorted(set(manifest.series) - set(rules))
    if unknown or not manifest.series:
        raise RecordedDataInvalid(f"{directory}: no rules for {unknown or 'any symbol'}")
    absent = sorted(only - set(manifest.series))
    if absent:
        raise RecordedDataInvalid(f"{directory}: no candles of {', '.join(absent)}")
    chosen = sorted(only or manifest.series)
    series = {name: _series(directory, name, manifest, shift_ms) for name in chosen}
    return RecordedMarket(
        data_id=manifest.id,
        sha256=hashlib.sha256(text).hexdigest(),
        start_ms=manifest.start_ms + shift_ms,
        end_ms=manifest.end_ms + shift_ms,
        series=series,
        symbols=tuple(rules[name] for name in series),
    )


def read(path: Path) -> bytes:
    """A file's content; `RecordedDataInvalid` when it cannot be had."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise RecordedDataInvalid(f"cannot read {path}: {error.strerror}") from error


def checked(directory: Path, file: str, sha256: str) -> bytes:
    """A file's content once its hash is the manifest's; raises `RecordedDataInvalid`."""
    path = directory / file
    content = read(path)
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise RecordedDataInvalid(
            f"{path} is damaged: SHA-256 {found[:12]}, manifest says {sha256[:12]}"
        )
    return content


def unpacked(directory: Path, file: str, sha256: str) -> list[str]:
    """The lines of a packed text file; raises `RecordedDataInvalid`."""
    packed = checked(directory, file, sha256)
    try:
        return gzip.decompress(packed).decode("ascii").splitlines()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise RecordedDataInvalid(f"{file}: {error}") from error


def symbol_rules(directory: Path, file: DataFile) -> dict[str, SymbolSpec]:
    """The trading rules that come with a record; raises `RecordedDataInvalid`."""
    content = checked(directory, file.file, file.sha256)
    try:
        rows = msgspec.json.decode(content, type=list[dict[str, Any]])
        specs = [symbol_spec(row) for row in rows]
    except (msgspec.DecodeError, KeyError, ArithmeticError) as error:
        raise RecordedDataInvalid(f"{file.file}: {error!r}") from error
    return {spec.symbol: spec for spec in specs}


def _series(directory: Path, symbol: str, manifest: _Manifest, shift_ms: int) -> Series:
    file = manifest.series[symbol]
    lines = unpacked(directory, file.file, file.sha256)
    if not lines or lines[0] != CANDLE_HEADER:
        raise RecordedDataInvalid(f"{file.file}: the first line is not {CANDLE_HEADER!r}")
    if len(lines) - 1 != file.rows:
        raise RecordedDataInvalid(f"{file.file}: {len(lines) - 1} rows, not {file.rows}")
    first_minute = (manifest.start_ms + shift_ms) // MINUTE_MS
    columns = _parsed(file.file, lines, first_minute)
    if manifest.interval_minutes > 1:
        columns = _split(symbol, columns, manifest.interval_minutes)
    return series_of(symbol, (file.tick_size, file.step_size), columns)


def series_of(symbol: str, grid: tuple[Decimal, Decimal], columns: Columns) -> Series:
    """A series from six columns: epoch minutes, open, high, low, close, volume."""
    minutes, opens, highs, lows, closes, volumes = columns
    quotes = array(
        "q",
        [
            v * (o + h + low + c) // 4
            for o, h, low, c, v in zip(opens, highs, lows, closes, volumes, strict=True)
        ],
    )
    # What `trade_count` says, which a call for each row would make slow.
    mixed = [m * _MIX + v * _VOLUME_MIX for m, v in zip(minutes, volumes, strict=True)]
    trades = array(
        "q",
        [
            min(USUAL.least_trades + ((m & 0xFFFFFFFF) >> 8) % USUAL.spread, v)
            for m, v in zip(mixed, volumes, strict=True)
        ],
    )
    return Series(
        symbol=symbol,
        tick_size=grid[0],
        step_size=grid[1],
        minutes=minutes,
        columns=(opens, highs, lows, closes, volumes),
        index={minute: row for row, minute in enumerate(minutes)},
        quotes=quotes,
        trades=trades,
    )


def _parsed(file: str, lines: list[str], first_minute: int) -> Columns:
    """All columns at once; only what is not plainly right is looked at row by row."""
    rows = lines[1:]
    try:
        values = array("q", map(int, ",".join(rows).split(","))) if rows else array("q")
    except (ValueError, OverflowError):
        return _row_by_row(file, rows, first_minute)
    minutes, opens, highs, lows, closes, volumes = (values[i::6] for i in range(6))
    sound = (
        all(row.count(",") == 5 for row in rows)
        and all(a < b for a, b in pairwise((-1, *minutes)))
        and all(
            0 < low <= o <= high and low <= c <= high and v >= 4 and high * v < LARGEST
            for o, high, low, c, v in zip(opens, highs, lows, closes, volumes, strict=True)
        )
    )
    if not sound:
        return _row_by_row(file, rows, first_minute)
    moved = array("q", [first_minute + minute for minute in minutes])
    return moved, opens, highs, lows, closes, volumes


def _row_by_row(file: str, rows: list[str], first_minute: int) -> Columns:
    """The same columns, or the first row that is impossible."""
    columns = tuple(array("q") for _ in range(6))
    previous = -1
    for number, line in enumerate(rows, start=2):
        try:
            minute, *values = map(int, line.split(","))
            o, h, low, c, v = values
        except ValueError as error:
            raise RecordedDataInvalid(f"{file} line {number}: {error}") from error
        flaw = flaw_of(Candle((first_minute + minute) * MINUTE_MS, o, h, low, c, v))
        if minute <= previous:
            flaw = f"minute {minute} does not follow {previous}"
        if flaw is not None:
            raise RecordedDataInvalid(f"{file} line {number}: {flaw}")
        previous = minute
        for column, value in zip(columns, (first_minute + minute, *values), strict=True):
            column.append(value)
    minutes, opens, highs, lows, closes, volumes = columns
    return minutes, opens, highs, lows, closes, volumes


def _split(symbol: str, columns: Columns, width: int) -> Columns:
    """Minutes that rebuild each wider candle; the same ones every time."""
    found = tuple(array("q") for _ in range(6))
    for minute, *values in zip(*columns, strict=True):
        o, h, low, c, v = values
        wide = Candle(minute * MINUTE_MS, o, h, low, c, v)
        for part in split_candle(symbol, wide, width):
            row = (part.open, part.high, part.low, part.close, part.volume)
            for column, value in zip(found, (part.open_ms // MINUTE_MS, *row), strict=True):
                column.append(value)
    minutes, opens, highs, lows, closes, volumes = found
    return minutes, opens, highs, lows, closes, volumes
