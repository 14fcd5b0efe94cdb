"""Reads parquet files of candles, one symbol and interval each, as research tools write them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from importlib import import_module
from io import BytesIO
from typing import Any, NamedTuple

from livespot.contracts.errors import PreflightFailed
from livespot.exchange.recorded import RecordedDataInvalid
from livespot.runtime.kline_row import ArchiveRow

COLUMNS = ("open_time", "open", "high", "low", "close", "volume")
_PRICES = ("open", "high", "low", "close")
# Metadata keys of the units in which prices and volumes may be counted.
_UNITS = {**dict.fromkeys(_PRICES, "tick_size"), "volume": "step_size"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Below this a time is in milliseconds, above it in microseconds; the ranges do not overlap.
_LEAST_MICROSECONDS = 10**14


class Columns(NamedTuple):
    """A file's columns by name, and the key-value metadata of its schema."""

    values: Mapping[str, Sequence[Any]]
    metadata: Mapping[str, str]


def read_columns(name: str, content: bytes) -> Columns:
    """Unpack a file.

    Raises:
        PreflightFailed: pyarrow is not installed.
        RecordedDataInvalid: it is no parquet file, or lacks a column.
    """
    try:
        parquet = import_module("pyarrow.parquet")
    except ModuleNotFoundError as error:
        raise PreflightFailed(
            f"{name} is a parquet file, and what reads those is not installed: pyarrow, of the "
            "extra `research`.\nNext: scripts/environment research"
        ) from error
    try:
        table = parquet.read_table(BytesIO(content))
    except (OSError, ValueError) as error:
        raise RecordedDataInvalid(f"{name} cannot be read as parquet: {error}") from error
    lacking = [column for column in COLUMNS if column not in table.column_names]
    if lacking:
        raise RecordedDataInvalid(f"{name} has no column {', '.join(lacking)}")
    metadata = table.schema.metadata or {}
    return Columns(
        values={column: table.column(column).to_pylist() for column in COLUMNS},
        metadata={
            key.decode("utf-8", "replace"): value.decode("utf-8", "replace")
            for key, value in metadata.items()
        },
    )


def rows_of(name: str, columns: Columns, *, width_ms: int) -> Iterator[ArchiveRow]:
    """Yield the candles of a file in its order; open times must be multiples of `width_ms`.

    Prices and volumes are decimals, decimal texts, whole counts of the `tick_size` and `step_size`
    in the metadata, or doubles, which stand for their shortest decimal text.

    Raises:
        RecordedDataInvalid: a row, named by its number, is no candle.
    """
    read = {column: _reader(name, column, columns.metadata) for column in COLUMNS[1:]}
    for number, row in enumerate(zip(*(columns.values[c] for c in COLUMNS), strict=True), start=1):
        try:
            open_ms = _milliseconds(row[0])
            amounts = [read[c](value) for c, value in zip(COLUMNS[1:], row[1:], strict=True)]
        except (InvalidOperation, TypeError, ValueError) as error:
            raise RecordedDataInvalid(f"{name} row {number}: {error}") from error
        if open_ms % width_ms:
            raise RecordedDataInvalid(
                f"{name} row {number}: open time {open_ms} is no multiple of {width_ms} ms"
            )
        if not all(amount.is_finite() and amount >= 0 for amount in amounts):
            raise RecordedDataInvalid(f"{name} row {number}: {row[1:]} are no prices and no volume")
        yield ArchiveRow(open_ms, *amounts)


def _reader(name: str, column: str, metadata: Mapping[str, str]) -> Callable[[Any], Decimal]:
    stated = metadata.get(_UNITS[column])
    try:
        unit = None if stated is None else Decimal(stated)
    except InvalidOperation as error:
        raise RecordedDataInvalid(f"{name}: {_UNITS[column]} is {stated!r}") from error

    def read(value: Any) -> Decimal:
        match value:
            case bool() | None:
                raise ValueError(f"{column} is {value!r}")
            case int():
                if unit is None:
                    raise ValueError(
                        f"{column} is the whole number {value}, and the file does not say its "
                        f"{_UNITS[column]}"
                    )
                return value * unit
            case float():
                # The shortest text of this very number: the decimal it was before it became a
                # double.
                return Decimal(repr(value))
            case Decimal():
                return value
            case _:
                return Decimal(str(value))

    return read


def _milliseconds(value: Any) -> int:
    match value:
        case datetime():
            stamp = value if value.tzinfo else value.replace(tzinfo=UTC)
            return (stamp - _EPOCH) // timedelta(milliseconds=1)
        case int() if not isinstance(value, bool):
            return value // 1000 if value >= _LEAST_MICROSECONDS else value
        case _:
            raise ValueError(f"open_time is {value!r}")
