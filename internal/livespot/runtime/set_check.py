"""Checks a data set against its manifest: hashes, rows, gaps and duplicates."""

import gzip
import zlib
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import msgspec

from livespot.contracts.base import Message
from livespot.exchange.candle import MINUTE_MS
from livespot.exchange.recorded import (
    CANDLE_HEADER,
    FORMAT,
    DataFile,
    RecordedDataInvalid,
    load_recorded,
    read,
)
from livespot.exchange.replayed import FORMAT as TAPE_FORMAT
from livespot.exchange.replayed import TAPE_HEADER, TapePart, load_replayed
from livespot.runtime.set_manifest import Gap, HeadWithOrigin, Origin, gaps_between, sha256_of


class SeriesCheck(Message, frozen=True):
    """One symbol. `unstated` are those of `gaps` that the manifest does not state.

    `dropped` rows were duplicates, left out when the set was made.
    """

    symbol: str
    rows: int
    gaps: tuple[Gap, ...]
    unstated: tuple[Gap, ...]
    duplicates: int
    dropped: int


class SetCheck(Message, frozen=True):
    """What a set holds, and what is wrong with it; sound when `problems` is empty."""

    set_id: str
    format: str
    sha256: str
    start_ms: int
    end_ms: int
    source: str
    series: tuple[SeriesCheck, ...]
    problems: tuple[str, ...]


class _Files(msgspec.Struct, frozen=True):
    file: str
    sha256: str
    rows: int
    parts: tuple[TapePart, ...] = ()


class _Contents(msgspec.Struct, frozen=True):
    symbols_file: DataFile
    series: dict[str, _Files] = msgspec.field(default_factory=dict)
    tapes: dict[str, _Files] = msgspec.field(default_factory=dict)
    interval_minutes: int = 1


def check_set(directory: Path) -> SetCheck:
    """Check every file of a set. A gap is a problem only if the manifest does not state it.

    Raises:
        RecordedDataInvalid: there is no readable manifest.
    """
    text = read(directory / "manifest.json")
    try:
        head = msgspec.json.decode(text, type=HeadWithOrigin)
        contents = msgspec.json.decode(text, type=_Contents)
    except msgspec.DecodeError as error:
        raise RecordedDataInvalid(f"{directory / 'manifest.json'}: {error}") from error
    if head.format not in (FORMAT, TAPE_FORMAT):
        raise RecordedDataInvalid(f"{directory}: unknown format {head.format!r}")
    origin = head.origin or Origin(source="not stated")
    problems: list[str] = []
    _file(directory, contents.symbols_file.file, contents.symbols_file.sha256, problems)
    candles = head.format == FORMAT
    width_ms = contents.interval_minutes * MINUTE_MS if candles else MINUTE_MS
    series = [
        _series(directory, (name, files), (head, width_ms), origin, problems)
        for name, files in sorted((contents.series if candles else contents.tapes).items())
    ]
    if not problems:
        _play(directory, head.format, problems)
    for one in series:
        problems += [
            f"{one.symbol}: {gap.minutes} minutes from {gap.from_ms} to {gap.to_ms} are missing, "
            "and the manifest does not say so"
            for gap in one.unstated
        ]
        if one.duplicates:
            problems.append(f"{one.symbol}: {one.duplicates} candles are there twice")
    return SetCheck(
        set_id=head.id,
        format=head.format,
        sha256=sha256_of(text),
        start_ms=head.start_ms,
        end_ms=head.end_ms,
        source=origin.source,
        series=tuple(series),
        problems=tuple(problems),
    )


def _series(
    directory: Path,
    named: tuple[str, _Files],
    frame: tuple[HeadWithOrigin, int],
    origin: Origin,
    problems: list[str],
) -> SeriesCheck:
    symbol, files = named
    head, width_ms = frame
    opens: list[int] = []
    rows = 0
    for part in (TapePart(files.file, files.sha256, files.rows), *files.parts):
        lines = _lines(directory, part, head.format, problems)
        rows += len(lines)
        opens += _opens(part.file, lines, head, problems)
    distinct = sorted(set(opens))
    span = (head.start_ms, head.end_ms)
    # A row outside the span is no gap inside it; the exchange's reader refuses it by its line.
    inside = [at for at in distinct if span[0] <= at < span[1]]
    found = gaps_between(inside, width_ms, span, {})
    stated = origin.gaps.get(symbol, ())
    return SeriesCheck(
        symbol=symbol,
        rows=rows,
        gaps=found,
        unstated=tuple(gap for gap in found if not _is_stated(gap, stated)),
        duplicates=len(opens) - len(distinct) if head.format == FORMAT else 0,
        dropped=origin.duplicates.get(symbol, 0),
    )


def _is_stated(gap: Gap, stated: Sequence[Gap]) -> bool:
    """Whether the stated gaps, which may adjoin each other, cover a found gap completely."""
    at = gap.from_ms
    for known in stated:
        if known.from_ms <= at < known.to_ms:
            at = known.to_ms
    return at >= gap.to_ms


def _file(directory: Path, file: str, sha256: str, problems: list[str]) -> bytes:
    try:
        content = read(directory / file)
    except RecordedDataInvalid as error:
        problems.append(str(error))
        return b""
    found = sha256_of(content)
    if found != sha256:
        problems.append(f"{file} is damaged: SHA-256 {found[:12]}, manifest says {sha256[:12]}")
    return content


def _lines(directory: Path, part: TapePart, format_: str, problems: list[str]) -> list[str]:
    content = _file(directory, part.file, part.sha256, problems)
    if not content:
        return []
    try:
        lines = gzip.decompress(content).decode("ascii").splitlines()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        problems.append(f"{part.file} cannot be unpacked: {error}")
        return []
    header = CANDLE_HEADER if format_ == FORMAT else TAPE_HEADER
    if not lines or lines[0] != header:
        problems.append(f"{part.file}: the first line is not {header!r}")
        return []
    if len(lines) - 1 != part.rows:
        problems.append(f"{part.file}: {len(lines) - 1} rows, manifest says {part.rows}")
    return lines[1:]


def _opens(
    file: str, lines: Sequence[str], head: HeadWithOrigin, problems: list[str]
) -> Iterable[int]:
    """Return the open times of candles; for events, the minutes that they fall into."""
    candles = head.format == FORMAT
    try:
        values = [int(line.split(",", 2)[0 if candles else 1]) for line in lines]
    except (ValueError, IndexError) as error:
        problems.append(f"{file}: a row is not readable: {error}")
        return ()
    if any(later < earlier for earlier, later in pairwise(values)):
        problems.append(f"{file}: rows are not in time order")
    unit = MINUTE_MS if candles else 1
    times = [head.start_ms + value * unit for value in values]
    return times if candles else [at // MINUTE_MS * MINUTE_MS for at in times]


def _play(directory: Path, format_: str, problems: list[str]) -> None:
    """Let the exchange's own reader play the set, which finds rows that cannot be played."""
    try:
        if format_ == FORMAT:
            load_recorded(directory)
        else:
            load_replayed(directory)
    except RecordedDataInvalid as error:
        problems.append(str(error))
