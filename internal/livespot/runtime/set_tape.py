"""Writes quotes and trades as they arrive, and turns what was written into a data set."""

import gzip
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import BinaryIO

import msgspec

from livespot.contracts.base import Message
from livespot.contracts.errors import PreflightFailed
from livespot.contracts.market import AggTrade, BookTicker
from livespot.exchange.candle import MINUTE_MS
from livespot.exchange.recorded import RecordedDataInvalid, read
from livespot.exchange.replayed import FORMAT, TAPE_HEADER
from livespot.runtime.set_manifest import Gap, Origin, gaps_between, sha256_of, write_json

CAPTURE_FILE = "capture.json"
SILENT = "nothing arrived"
EVERY_SYMBOL = "*"
_FORMAT = "livespot-capture-1"
_LOG_FILE = "capture-log.jsonl"
_SYMBOLS_FILE = "symbols.json"
_PART = re.compile(r"^([A-Z0-9]+)-(\d{4,})\.csv\.gz$")
# 32 + 15: accept a zlib or a gzip header, with the largest window.
_ANY_HEADER = 47


class Grid(Message, frozen=True):
    """The units in which prices and quantities are counted."""

    tick_size: Decimal
    step_size: Decimal


class Capture(Message, frozen=True):
    """What is recorded, from where and since when; written before the first row."""

    format: str
    url: str
    start_ms: int
    rotate_ms: int
    symbols: dict[str, Grid]


class Noted(Message, frozen=True):
    """One line of the log beside the rows; `duplicates` and `unusable` are totals so far."""

    symbol: str = ""
    gap: Gap | None = None
    duplicates: int = 0
    unusable: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Concluded:
    """A recording that has become a data set."""

    set_id: str
    rows: int
    origin: Origin


@dataclass(slots=True, kw_only=True)
class _Tape:
    """The open file of one symbol, and the last row written to it."""

    grid: Grid
    raw: BinaryIO | None = None
    packed: gzip.GzipFile | None = None
    part: int = 0
    last_ms: int = 0
    last_quote: tuple[int, ...] = ()
    trade_id: int = -1
    traded_ms: int = 0
    duplicates: int = 0
    unusable: int = 0
    told: tuple[int, int] = (0, 0)

    def close(self) -> None:
        if self.packed is not None and self.raw is not None:
            self.packed.close()
            self.raw.close()
        self.packed = self.raw = None


@dataclass(slots=True, kw_only=True)
class TapeWriter:
    """Writes the rows of every symbol, to a new file every `rotate_ms`.

    A row's time is that of its receipt, and never earlier than the row above it.
    """

    directory: Path
    capture: Capture
    rows: int = 0
    files: int = 0
    _tapes: dict[str, _Tape] = field(default_factory=dict)

    def put(self, message: BookTicker | AggTrade, at_ms: int) -> None:
        """Write one quote or trade; a repeated or unusable one is counted instead."""
        tape = self._tapes.get(message.symbol)
        if tape is None:
            grid = self.capture.symbols.get(message.symbol)
            if grid is None:
                return
            tape = self._tapes.setdefault(message.symbol, _Tape(grid=grid))
        at_ms = max(at_ms, tape.last_ms, self.capture.start_ms)
        row = (
            _quote(tape, message)
            if isinstance(message, BookTicker)
            else self._trade(tape, message, at_ms)
        )
        if row is None:
            return
        tape.last_ms = at_ms
        kind, values = row
        offset = at_ms - self.capture.start_ms
        line = f"{kind},{offset},{','.join(map(str, values))}\n"
        self._opened(message.symbol, tape, offset).write(line.encode())
        self.rows += 1

    def note_gap(self, gap: Gap, symbol: str = EVERY_SYMBOL) -> None:
        """Write a gap to disk at once: the note must survive this process."""
        self._note(Noted(symbol=symbol, gap=gap))

    def note_unreadable(self, frames: int) -> None:
        """Note how many frames could not be decoded."""
        if frames:
            self._note(Noted(symbol=EVERY_SYMBOL, unusable=frames))

    def flush(self) -> None:
        """Hand everything written so far to the system, so that it survives this process."""
        for symbol, tape in self._tapes.items():
            if tape.packed is not None and tape.raw is not None:
                tape.packed.flush()
                tape.raw.flush()
            counts = (tape.duplicates, tape.unusable)
            if counts != tape.told:
                tape.told = counts
                self._note(Noted(symbol=symbol, duplicates=counts[0], unusable=counts[1]))

    def close(self) -> None:
        """Finish every file."""
        self.flush()
        for tape in self._tapes.values():
            tape.close()

    def _trade(
        self, tape: _Tape, trade: AggTrade, at_ms: int
    ) -> tuple[str, tuple[int, ...]] | None:
        if trade.trade_id <= tape.trade_id:
            tape.duplicates += 1
            return None
        if 0 <= tape.trade_id < trade.trade_id - 1:
            lost = trade.trade_id - tape.trade_id - 1
            gap = Gap(from_ms=tape.traded_ms, to_ms=at_ms, cause=f"{lost} trades lost")
            self.note_gap(gap, trade.symbol)
        tape.trade_id, tape.traded_ms = trade.trade_id, at_ms
        counted = _counted((trade.price,), (trade.qty,), tape.grid)
        if counted is None or min(counted) < 1:
            tape.unusable += 1
            return None
        return "t", (counted[0], int(trade.buyer_is_maker), counted[1], 0)

    def _opened(self, symbol: str, tape: _Tape, offset_ms: int) -> gzip.GzipFile:
        part = offset_ms // self.capture.rotate_ms + 1
        if tape.packed is None or part != tape.part:
            tape.close()
            tape.part = part
            tape.raw = (self.directory / f"{symbol}-{part:04d}.csv.gz").open("xb")
            tape.packed = gzip.GzipFile(filename="", mode="wb", fileobj=tape.raw, mtime=0)
            tape.packed.write(f"{TAPE_HEADER}\n".encode())
            self.files += 1
        return tape.packed

    def _note(self, noted: Noted) -> None:
        with (self.directory / _LOG_FILE).open("ab") as log:
            log.write(msgspec.json.encode(noted) + b"\n")


def begin_tape(
    directory: Path,
    *,
    url: str,
    rules: list[dict[str, object]],
    grids: dict[str, Grid],
    frame: tuple[int, int],
) -> TapeWriter:
    """Start a recording in an empty directory; `frame` is (start, rotation) in milliseconds.

    It starts with a whole minute, so that its minutes coincide with those of candles.
    """
    capture = Capture(
        format=_FORMAT,
        url=url,
        start_ms=frame[0] // MINUTE_MS * MINUTE_MS,
        rotate_ms=frame[1],
        symbols=grids,
    )
    write_json(directory / _SYMBOLS_FILE, rules)
    write_json(directory / CAPTURE_FILE, capture)
    return TapeWriter(directory=directory, capture=capture)


def conclude(directory: Path) -> Concluded:
    """Write the manifest of a recording, even of one whose process was killed.

    A file cut by a kill is kept as far as it is readable, and rewritten as a valid one.

    Raises:
        RecordedDataInvalid: it is no recording.
        PreflightFailed: nothing was recorded that can be played.
    """
    try:
        capture = msgspec.json.decode(read(directory / CAPTURE_FILE), type=Capture)
    except msgspec.DecodeError as error:
        raise RecordedDataInvalid(f"{directory / CAPTURE_FILE}: {error}") from error
    noted = _notes(directory)
    found = {symbol: _taken(directory, symbol) for symbol in sorted(capture.symbols)}
    played = {symbol: taken for symbol, taken in found.items() if taken.trades}
    if not played:
        raise PreflightFailed(
            f"no trade was recorded in {directory}, so there is nothing to play.\n"
            "Next: record again, longer, or a busier symbol"
        )
    last = max(taken.last_ms for taken in played.values())
    span = (capture.start_ms, capture.start_ms + (last // MINUTE_MS + 1) * MINUTE_MS)
    origin = _origin(capture, played, noted, span)
    manifest = {
        "format": FORMAT,
        "id": directory.resolve().name,
        "start_ms": span[0],
        "end_ms": span[1],
        "symbols_file": {
            "file": _SYMBOLS_FILE,
            "sha256": sha256_of(read(directory / _SYMBOLS_FILE)),
        },
        "tapes": {s: _entry(taken, capture.symbols[s]) for s, taken in played.items()},
        "origin": origin,
    }
    write_json(directory / "manifest.json", manifest)
    rows = sum(part.rows for taken in played.values() for part in taken.parts)
    return Concluded(set_id=directory.resolve().name, rows=rows, origin=origin)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    file: str
    sha256: str
    rows: int


@dataclass(slots=True, kw_only=True)
class _Taken:
    """The recorded rows of one symbol; times are milliseconds since the recording's start."""

    parts: list[_Part] = field(default_factory=list)
    minutes: set[int] = field(default_factory=set)
    trades: int = 0
    last_ms: int = 0
    mended: list[str] = field(default_factory=list)


def _quote(tape: _Tape, book: BookTicker) -> tuple[str, tuple[int, ...]] | None:
    counted = _counted((book.bid, book.ask), (book.bid_qty, book.ask_qty), tape.grid)
    if counted is None or not 0 < counted[0] < counted[1] or min(counted[2:]) < 1:
        tape.unusable += 1
        return None
    if counted == tape.last_quote:
        return None
    tape.last_quote = counted
    return "q", counted


def _counted(
    prices: tuple[Decimal, ...], amounts: tuple[Decimal, ...], grid: Grid
) -> tuple[int, ...] | None:
    """Return ticks, then steps; None when one is not a whole number of its unit."""
    exact = [price / grid.tick_size for price in prices]
    exact += [amount / grid.step_size for amount in amounts]
    whole = tuple(int(value) for value in exact)
    return whole if all(w == e for w, e in zip(whole, exact, strict=True)) else None


def _notes(directory: Path) -> tuple[Noted, ...]:
    path = directory / _LOG_FILE
    lines = read(path).split(b"\n") if path.is_file() else []
    try:
        # A kill may cut the last line short; such a line has no end.
        return tuple(msgspec.json.decode(line, type=Noted) for line in lines[:-1])
    except msgspec.DecodeError as error:
        raise RecordedDataInvalid(f"{path}: {error}") from error


def _taken(directory: Path, symbol: str) -> _Taken:
    taken = _Taken()
    names = [path.name for path in directory.iterdir()]
    parts = [found for name in names if (found := _PART.match(name)) and found[1] == symbol]
    for part in sorted(parts, key=lambda found: int(found[2])):
        _take(directory / part.string, taken)
    return taken


def _take(path: Path, taken: _Taken) -> None:
    content = read(path)
    text, is_whole = _unpacked(path, content)
    lines = text[: text.rfind(b"\n") + 1].decode("ascii").splitlines()
    if not is_whole:
        if len(lines) < 2:
            path.unlink()
            taken.mended.append(f"{path.name} held no whole row and was removed")
            return
        content = gzip.compress(("\n".join(lines) + "\n").encode(), mtime=0)
        path.write_bytes(content)
        taken.mended.append(f"{path.name} was cut short; {len(lines) - 1} rows of it are whole")
    _count(path.name, lines[1:], taken)
    part = _Part(file=path.name, sha256=sha256_of(content), rows=len(lines) - 1)
    taken.parts.append(part)


def _unpacked(path: Path, content: bytes) -> tuple[bytes, bool]:
    """Return what can be unpacked, and whether the file is complete."""
    unpacker = zlib.decompressobj(_ANY_HEADER)
    try:
        return unpacker.decompress(content), unpacker.eof
    except zlib.error as error:
        raise RecordedDataInvalid(f"{path.name}: {error}") from error


def _count(file: str, lines: Iterable[str], taken: _Taken) -> None:
    for line in lines:
        kind, at, _ = line.split(",", 2)
        if int(at) < taken.last_ms:
            raise RecordedDataInvalid(f"{file}: {at} ms is out of order")
        taken.last_ms = int(at)
        taken.minutes.add(int(at) // MINUTE_MS)
        taken.trades += kind == "t"


def _origin(
    capture: Capture, played: dict[str, _Taken], noted: tuple[Noted, ...], span: tuple[int, int]
) -> Origin:
    gaps: dict[str, tuple[Gap, ...]] = {}
    notes = [line for taken in played.values() for line in taken.mended]
    notes += [
        f"{symbol}: no trade arrived, so it is left out"
        for symbol in sorted(set(capture.symbols) - set(played))
    ]
    counts = {note.symbol: note for note in noted if note.gap is None}
    notes += [
        f"{_whose(symbol)}: {note.unusable} quotes or trades could not be used"
        for symbol, note in sorted(counts.items())
        if note.unusable
    ]
    for symbol, taken in played.items():
        opens = [span[0] + minute * MINUTE_MS for minute in sorted(taken.minutes)]
        silent = gaps_between(opens, MINUTE_MS, span, {})
        told = [n.gap for n in noted if n.gap is not None and n.symbol in (symbol, EVERY_SYMBOL)]
        told += [Gap(from_ms=gap.from_ms, to_ms=gap.to_ms, cause=SILENT) for gap in silent]
        if told:
            gaps[symbol] = tuple(sorted(told, key=lambda gap: (gap.from_ms, gap.to_ms)))
    return Origin(
        source=f"recorded from {capture.url}",
        gaps=gaps,
        duplicates={s: n.duplicates for s, n in counts.items() if n.duplicates and s in played},
        notes=tuple(notes),
    )


def _whose(symbol: str) -> str:
    return "some symbol" if symbol == EVERY_SYMBOL else symbol


def _entry(taken: _Taken, grid: Grid) -> dict[str, object]:
    first, *rest = taken.parts
    return {
        "file": first.file,
        "sha256": first.sha256,
        "rows": first.rows,
        "tick_size": grid.tick_size,
        "step_size": grid.step_size,
        "parts": [{"file": part.file, "sha256": part.sha256, "rows": part.rows} for part in rest],
    }
