"""Reads candle files, one symbol and interval each: published CSV or zip, or parquet."""

import hashlib
import io
import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

from livespot.exchange.candle import MINUTE_MS
from livespot.exchange.recorded import RecordedDataInvalid, read
from livespot.runtime.kline_parquet import read_columns, rows_of
from livespot.runtime.kline_row import ArchiveRow

# Length in minutes of the intervals a set can be made of; wider candles lose too much detail.
INTERVALS = {"1m": 1, "3m": 3, "5m": 5, "15m": 15}
_NAME = re.compile(
    r"^([A-Z0-9]+)-(\d+[a-zA-Z]+)-\d{4}(?:(?:-\d{2}){1,2}\.(?:csv|zip)|(?:-\d{2}){0,2}\.parquet)$"
)
_COLUMNS = 12
# Archives hold milliseconds until 2024 and microseconds since 2025; the ranges do not overlap.
_LEAST_MICROSECONDS = 10**14
_MOST_BYTES = 512 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """One file's candles; `sha256` is that of the file as published."""

    name: str
    sha256: str
    symbol: str
    interval_minutes: int
    rows: tuple[ArchiveRow, ...]


def archives_in(places: Iterable[Path]) -> tuple[Path, ...]:
    """Return the named files, and those in named directories, in the order of their names.

    Raises:
        RecordedDataInvalid: a place does not exist, or holds no archive.
    """
    found: list[Path] = []
    for place in places:
        if not place.is_dir():
            found.append(place)
            continue
        inside = sorted(path for path in place.iterdir() if _NAME.match(path.name))
        if not inside:
            raise RecordedDataInvalid(
                f"{place} holds no file named like BTCUSDT-1m-2024-01.zip, nor a capture.json"
            )
        found.extend(inside)
    return tuple(found)


def read_archive(path: Path) -> Archive:
    """Read one file, checked against the CHECKSUM file beside it if there is one.

    Raises:
        RecordedDataInvalid: it cannot be read, or a row, named by file and line, is no candle.
        PreflightFailed: it is parquet, and the extra that reads it is not installed.
    """
    named = _NAME.match(path.name)
    if named is None or named[2] not in INTERVALS:
        raise RecordedDataInvalid(
            f"{path.name}: the name must be SYMBOL-INTERVAL-DATE.csv, .zip or .parquet with an "
            f"interval of {', '.join(INTERVALS)}, as BTCUSDT-1m-2024-01.zip"
        )
    content = read(path)
    digest = hashlib.sha256(content).hexdigest()
    _hold_against_checksum(path, digest)
    minutes = INTERVALS[named[2]]
    return Archive(
        name=path.name,
        sha256=digest,
        symbol=named[1],
        interval_minutes=minutes,
        rows=tuple(_candles(path, content, minutes)),
    )


def _candles(path: Path, content: bytes, minutes: int) -> Iterator[ArchiveRow]:
    match path.suffix:
        case ".parquet":
            columns = read_columns(path.name, content)
            yield from rows_of(path.name, columns, width_ms=minutes * MINUTE_MS)
        case ".zip":
            yield from _rows(path.name, _unzipped(path, content), minutes)
        case _:
            yield from _rows(path.name, content, minutes)


def _hold_against_checksum(path: Path, digest: str) -> None:
    beside = path.with_name(path.name + ".CHECKSUM")
    if not beside.is_file():
        return
    stated = read(beside).split(maxsplit=1)
    if not stated or stated[0].decode("ascii", "replace").lower() != digest:
        raise RecordedDataInvalid(f"{path.name} does not have the SHA-256 that {beside.name} says")


def _unzipped(path: Path, content: bytes) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            inside = [item for item in packed.infolist() if item.filename.endswith(".csv")]
            if len(inside) != 1:
                raise RecordedDataInvalid(f"{path.name}: {len(inside)} CSV files inside, not one")
            if inside[0].file_size > _MOST_BYTES:
                raise RecordedDataInvalid(f"{path.name}: {inside[0].file_size} bytes unpacked")
            return packed.read(inside[0])
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError) as error:
        raise RecordedDataInvalid(f"{path.name}: {error}") from error


def _rows(name: str, content: bytes, minutes: int) -> Iterator[ArchiveRow]:
    try:
        lines = content.decode("ascii").splitlines()
    except UnicodeDecodeError as error:
        raise RecordedDataInvalid(f"{name} is not plain text: {error}") from error
    first = 1 if lines and lines[0].startswith("open_time") else 0
    for number, line in enumerate(lines[first:], start=first + 1):
        try:
            yield _row(line, minutes)
        except InvalidOperation as error:
            raise RecordedDataInvalid(f"{name} line {number}: {line!r}") from error
        except ValueError as error:
            raise RecordedDataInvalid(f"{name} line {number}: {error}") from error


def _row(line: str, minutes: int) -> ArchiveRow:
    fields = line.split(",")
    if len(fields) != _COLUMNS:
        raise ValueError(f"{len(fields)} columns, not {_COLUMNS}")
    open_ms, close_ms = _milliseconds(fields[0]), _milliseconds(fields[6])
    if open_ms % (minutes * MINUTE_MS):
        raise ValueError(f"open time {open_ms} is not a multiple of {minutes} minutes")
    if close_ms != open_ms + minutes * MINUTE_MS - 1:
        raise ValueError(f"close time {close_ms} does not end {minutes} minutes from {open_ms}")
    amounts = [Decimal(text) for text in fields[1:6]]
    if not all(amount.is_finite() and amount >= 0 for amount in amounts):
        raise ValueError(f"{fields[1:6]} are no prices and no volume")
    return ArchiveRow(open_ms, *amounts)


def _milliseconds(text: str) -> int:
    stamp = int(text)
    return stamp // 1000 if stamp >= _LEAST_MICROSECONDS else stamp
