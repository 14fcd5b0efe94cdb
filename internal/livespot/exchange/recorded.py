"""Reads a directory of recorded one-minute candles and refuses anything it cannot vouch for."""

import gzip
import hashlib
import zlib
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from livespot.contracts.errors import PreflightFailed
from livespot.exchange.candle import MINUTE_MS, Candle, flaw_of, trade_count
from livespot.exchange.klines import Bar
from livespot.exchange.market import Backdrop, MarketEvent, minute_events
from livespot.exchange.model import SymbolSpec
from livespot.exchange.specs import symbol_spec

_FORMAT = "livespot-recorded-1"
_BACKDROP_MINUTES = 20
_HEADER = "minute,open,high,low,close,volume"


class RecordedDataInvalid(PreflightFailed):
    """The recorded market data is missing, damaged or not what its manifest says."""


class _File(msgspec.Struct, frozen=True):
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
    symbols_file: _File
    series: dict[str, _SeriesFile]


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
        return minute_events(
            key, candle, self._backdrop(row) or Backdrop(candle.open, candle.volume)
        )

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


def packaged_data() -> Path:
    """The excerpt that ships with the program."""
    return Path(str(resources.files("livespot.exchange") / "data"))


def load_recorded(directory: Path, only: frozenset[str] = frozenset()) -> RecordedMarket:
    """Read and check a directory; `only` leaves out all other symbols.

    Raises:
        RecordedDataInvalid: a file is absent, its hash differs, or a row is impossible.
    """
    text = _read(directory / "manifest.json")
    try:
        manifest = msgspec.json.decode(text, type=_Manifest)
    except msgspec.DecodeError as error:
        raise RecordedDataInvalid(f"{directory / 'manifest.json'}: {error}") from error
    if manifest.format != _FORMAT:
        raise RecordedDataInvalid(f"{directory}: unknown format {manifest.format!r}")
    rules = _symbols(directory, manifest)
    unknown = sorted(set(manifest.series) - set(rules))
    if unknown or not manifest.series:
        raise RecordedDataInvalid(f"{directory}: no rules for {unknown or 'any symbol'}")
    absent = sorted(only - set(manifest.series))
    if absent:
        raise RecordedDataInvalid(f"{directory}: no candles of {', '.join(absent)}")
    chosen = sorted(only or manifest.series)
    series = {name: _series(directory, name, manifest) for name in chosen}
    return RecordedMarket(
        data_id=manifest.id,
        sha256=hashlib.sha256(text).hexdigest(),
        start_ms=manifest.start_ms,
        end_ms=manifest.end_ms,
        series=series,
        symbols=tuple(rules[name] for name in series),
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RecordedDataInvalid(f"cannot read {path}: {error.strerror}") from error


def _checked(directory: Path, file: _File | _SeriesFile) -> bytes:
    path = directory / file.file
    content = _read(path)
    found = hashlib.sha256(content).hexdigest()
    if found != file.sha256:
        raise RecordedDataInvalid(
            f"{path} is damaged: SHA-256 {found[:12]}, manifest says {file.sha256[:12]}"
        )
    return content


def _symbols(directory: Path, manifest: _Manifest) -> dict[str, SymbolSpec]:
    content = _checked(directory, manifest.symbols_file)
    try:
        rows = msgspec.json.decode(content, type=list[dict[str, Any]])
        specs = [symbol_spec(row) for row in rows]
    except (msgspec.DecodeError, KeyError, ArithmeticError) as error:
        raise RecordedDataInvalid(f"{manifest.symbols_file.file}: {error!r}") from error
    return {spec.symbol: spec for spec in specs}


def _series(directory: Path, symbol: str, manifest: _Manifest) -> Series:
    file = manifest.series[symbol]
    packed = _checked(directory, file)
    try:
        lines = gzip.decompress(packed).decode("ascii").splitlines()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise RecordedDataInvalid(f"{file.file}: {error}") from error
    if not lines or lines[0] != _HEADER:
        raise RecordedDataInvalid(f"{file.file}: the first line is not {_HEADER!r}")
    if len(lines) - 1 != file.rows:
        raise RecordedDataInvalid(f"{file.file}: {len(lines) - 1} rows, not {file.rows}")
    return _columns(symbol, file, lines[1:], manifest.start_ms // MINUTE_MS)


def _columns(symbol: str, file: _SeriesFile, lines: list[str], first_minute: int) -> Series:
    minutes = array("q")
    columns = tuple(array("q") for _ in range(5))
    quotes, trades = array("q"), array("q")
    previous = -1
    for number, line in enumerate(lines, start=2):
        try:
            minute, *values = map(int, line.split(","))
            o, h, low, c, v = values
        except ValueError as error:
            raise RecordedDataInvalid(f"{file.file} line {number}: {error}") from error
        candle = Candle((first_minute + minute) * MINUTE_MS, o, h, low, c, v)
        flaw = flaw_of(candle)
        if minute <= previous:
            flaw = f"minute {minute} does not follow {previous}"
        if flaw is not None:
            raise RecordedDataInvalid(f"{file.file} line {number}: {flaw}")
        previous = minute
        minutes.append(first_minute + minute)
        quotes.append(v * (o + h + low + c) // 4)
        trades.append(trade_count(candle))
        for column, value in zip(columns, values, strict=True):
            column.append(value)
    return Series(
        symbol=symbol,
        tick_size=file.tick_size,
        step_size=file.step_size,
        minutes=minutes,
        columns=columns,
        index={minute: row for row, minute in enumerate(minutes)},
        quotes=quotes,
        trades=trades,
    )
