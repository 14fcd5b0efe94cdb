"""Turns published candle files into a data set that the exchange can play."""

import gzip
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from livespot.contracts.amounts import decimal_text
from livespot.exchange.candle import MINUTE_MS, Candle, flaw_of
from livespot.exchange.recorded import (
    CANDLE_HEADER,
    FORMAT,
    RecordedDataInvalid,
    packaged_data,
    read,
)
from livespot.runtime.kline_archive import Archive, archives_in, read_archive
from livespot.runtime.kline_row import ArchiveRow
from livespot.runtime.set_manifest import (
    TOO_SMALL,
    Gap,
    Origin,
    SourceFile,
    gaps_between,
    require_fresh,
    rows_for,
    sha256_of,
    write_json,
)

_SYMBOLS_FILE = "symbols.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOrder:
    """What to import.

    `rules` is a file with an exchangeInfo answer; None takes the packaged rules.
    """

    places: tuple[Path, ...]
    into: Path
    name: str = ""
    rules: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """The result of an import."""

    set_id: str
    symbols: tuple[str, ...]
    rows: int
    start_ms: int
    end_ms: int
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class _Joined:
    """All candles of one symbol, each once, in time order."""

    symbol: str
    rows: tuple[ArchiveRow, ...]
    duplicates: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counted:
    """A symbol's candles in ticks and steps; `left_out` gives open times and the reason."""

    grid: tuple[Decimal, Decimal]
    candles: tuple[Candle, ...]
    left_out: dict[int, str]


def import_klines(order: ImportOrder) -> Imported:
    """Write a new set. The manifest comes last, so that a partial set is not one.

    Raises:
        RecordedDataInvalid: a file is damaged, or two files contradict each other on a candle.
        PreflightFailed: the directory is in use, or a symbol has no rules.
    """
    archives = [read_archive(path) for path in archives_in(order.places)]
    widths = {archive.interval_minutes for archive in archives}
    if len(widths) != 1:
        raise RecordedDataInvalid(
            f"candles of {', '.join(f'{width}m' for width in sorted(widths))}: a set has one width"
        )
    joined = [_joined(name, archives) for name in sorted({a.symbol for a in archives})]
    rules = rows_for(_rules(order.rules), [series.symbol for series in joined])
    width_ms = widths.pop() * MINUTE_MS
    span = (
        min(series.rows[0].open_ms for series in joined),
        max(series.rows[-1].open_ms for series in joined) + width_ms,
    )
    require_fresh(order.into)
    return _write(order, archives, joined, rules, (span, width_ms))


def _joined(symbol: str, archives: Sequence[Archive]) -> _Joined:
    rows: dict[int, ArchiveRow] = {}
    duplicates = 0
    for archive in archives:
        for row in archive.rows if archive.symbol == symbol else ():
            known = rows.setdefault(row.open_ms, row)
            if known != row:
                raise RecordedDataInvalid(
                    f"{archive.name} contradicts an earlier row: the {symbol} candle at "
                    f"{row.open_ms} ms"
                )
            duplicates += known is not row
    if not rows:
        raise RecordedDataInvalid(f"the files of {symbol} hold no candle")
    ordered = tuple(rows[open_ms] for open_ms in sorted(rows))
    return _Joined(symbol=symbol, rows=ordered, duplicates=duplicates)


def _rules(path: Path | None) -> list[dict[str, Any]]:
    source = packaged_data() / _SYMBOLS_FILE if path is None else path
    try:
        document = msgspec.json.decode(read(source))
    except msgspec.DecodeError as error:
        raise RecordedDataInvalid(f"{source}: {error}") from error
    rows = document.get("symbols") if isinstance(document, dict) else document
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise RecordedDataInvalid(f"{source} is no answer of exchangeInfo")
    return rows


def _write(
    order: ImportOrder,
    archives: Sequence[Archive],
    joined: Sequence[_Joined],
    rules: Sequence[dict[str, Any]],
    frame: tuple[tuple[int, int], int],
) -> Imported:
    span, width_ms = frame
    series: dict[str, object] = {}
    gaps: dict[str, tuple[Gap, ...]] = {}
    fitted: list[dict[str, Any]] = []
    notes: list[str] = []
    total = 0
    for one, row in zip(joined, rules, strict=True):
        counted = _counted(one, row)
        fitted.append(_fitted(row, counted.grid, notes))
        series[one.symbol] = _write_series(order.into, one.symbol, counted, span[0])
        total += len(counted.candles)
        opens = [candle.open_ms for candle in counted.candles]
        found = gaps_between(opens, width_ms, span, counted.left_out)
        if found:
            gaps[one.symbol] = found
    origin = Origin(
        source=source_of(archive.name for archive in archives),
        files=tuple(SourceFile(file=a.name, sha256=a.sha256, rows=len(a.rows)) for a in archives),
        gaps=gaps,
        duplicates={one.symbol: one.duplicates for one in joined if one.duplicates},
        notes=tuple(notes),
    )
    set_id = order.name or order.into.resolve().name
    symbols = write_json(order.into / _SYMBOLS_FILE, fitted)
    manifest = {
        "format": FORMAT,
        "id": set_id,
        "start_ms": span[0],
        "end_ms": span[1],
        "interval_minutes": width_ms // MINUTE_MS,
        "symbols_file": {"file": _SYMBOLS_FILE, "sha256": sha256_of(symbols)},
        "series": series,
        "origin": origin,
    }
    write_json(order.into / "manifest.json", manifest)
    return Imported(
        set_id=set_id,
        symbols=tuple(series),
        rows=total,
        start_ms=span[0],
        end_ms=span[1],
        origin=origin,
    )


def source_of(names: Iterable[str]) -> str:
    """Name the kinds of files a set was made of; the origin of a parquet file is not known."""
    kinds = {name.endswith(".parquet") for name in names}
    told = ((False, "Binance public candle files"), (True, "parquet candle files"))
    return " and ".join(words for kind, words in told if kind in kinds)


def _counted(joined: _Joined, rule: Mapping[str, Any]) -> _Counted:
    tick, step = grid_of(rule)
    tick = min(tick, _finest(amount for r in joined.rows for amount in (r.open, r.high, r.low)))
    tick = min(tick, _finest(r.close for r in joined.rows))
    step = min(step, _finest(r.volume for r in joined.rows))
    candles: list[Candle] = []
    left_out: dict[int, str] = {}
    for row in joined.rows:
        opened, high, low, close = (
            _whole(price, tick) for price in (row.open, row.high, row.low, row.close)
        )
        candle = Candle(row.open_ms, opened, high, low, close, _whole(row.volume, step))
        if candle.high != candle.low and 0 <= candle.volume < 4:
            left_out[row.open_ms] = TOO_SMALL
            continue
        flaw = flaw_of(candle)
        if flaw is not None:
            raise RecordedDataInvalid(f"{joined.symbol} candle at {row.open_ms} ms: {flaw}")
        candles.append(candle)
    return _Counted(grid=(tick, step), candles=tuple(candles), left_out=left_out)


def _whole(amount: Decimal, unit: Decimal) -> int:
    count = amount / unit
    if count != int(count):
        raise RecordedDataInvalid(f"{amount} is no multiple of {unit}")
    return int(count)


def grid_of(rule: Mapping[str, Any]) -> tuple[Decimal, Decimal]:
    """Return tick and lot step of a symbol's rules. Raises `RecordedDataInvalid`."""
    try:
        filters = {row["filterType"]: row for row in rule["filters"]}
        tick = Decimal(filters["PRICE_FILTER"]["tickSize"])
        step = Decimal(filters["LOT_SIZE"]["stepSize"])
    except (KeyError, TypeError, ArithmeticError) as error:
        raise RecordedDataInvalid(f"rules of {rule.get('symbol')!r}: {error!r}") from error
    if not (tick > 0 and step > 0):
        raise RecordedDataInvalid(f"rules of {rule.get('symbol')!r}: tick {tick}, step {step}")
    return tick, step


def _finest(amounts: Iterable[Decimal]) -> Decimal:
    """Return the largest power of ten that divides every amount; a huge one when all are zero."""
    # Few exponents remain once the zeros that archives pad numbers with are stripped.
    exponents = {int(a.normalize().as_tuple().exponent) for a in set(amounts) if a}
    return Decimal(1).scaleb(min(exponents, default=0))


def _fitted(
    rule: dict[str, Any], grid: tuple[Decimal, Decimal], notes: list[str]
) -> dict[str, Any]:
    """Return the rules, with the recorded tick and step where the present ones are wider."""
    known = grid_of(rule)
    if known == grid:
        return rule
    notes.append(
        f"{rule['symbol']}: the candles need tick {decimal_text(grid[0])} and step "
        f"{decimal_text(grid[1])}; the rules given have {decimal_text(known[0])} and "
        f"{decimal_text(known[1])}"
    )
    named = {"PRICE_FILTER": ("tickSize", grid[0]), "LOT_SIZE": ("stepSize", grid[1])}
    filters = []
    for row in rule["filters"]:
        member, size = named.get(row["filterType"], ("", Decimal(0)))
        filters.append({**row, member: decimal_text(size)} if member else row)
    return {**rule, "filters": filters}


def _write_series(directory: Path, symbol: str, counted: _Counted, start_ms: int) -> object:
    lines = [CANDLE_HEADER]
    lines += [
        f"{(c.open_ms - start_ms) // MINUTE_MS},{c.open},{c.high},{c.low},{c.close},{c.volume}"
        for c in counted.candles
    ]
    packed = gzip.compress(("\n".join(lines) + "\n").encode(), mtime=0)
    file = f"{symbol}.csv.gz"
    (directory / file).write_bytes(packed)
    return {
        "file": file,
        "rows": len(counted.candles),
        "sha256": sha256_of(packed),
        "tick_size": decimal_text(counted.grid[0]),
        "step_size": decimal_text(counted.grid[1]),
    }
