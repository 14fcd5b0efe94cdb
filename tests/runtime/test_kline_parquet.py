"""Parquet candles become rows, whatever type wrote them; without the reader it says what to do."""

import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livespot.contracts.errors import PreflightFailed
from livespot.exchange.recorded import RecordedDataInvalid
from livespot.runtime import kline_archive
from livespot.runtime.kline_archive import archives_in, read_archive
from livespot.runtime.kline_parquet import COLUMNS, Columns, read_columns, rows_of
from livespot.runtime.kline_row import ArchiveRow

_MINUTE_MS = 60_000
_OPEN_MS = 1_706_745_600_000
_NAME = "BTCUSDT-1m-2024-02.parquet"
_TICKS = {"tick_size": "0.01", "step_size": "0.00001"}


def columns(
    open_time: Any = _OPEN_MS,
    prices: tuple[Any, ...] = ("42000.10", "42010.00", "41990.50", "42001.00"),
    volume: Any = "12.34567",
    **metadata: str,
) -> Columns:
    values = zip(COLUMNS, ([item] for item in (open_time, *prices, volume)), strict=True)
    return Columns(values=dict(values), metadata=metadata)


def rows(of: Columns) -> list[ArchiveRow]:
    return [*rows_of(_NAME, of, width_ms=_MINUTE_MS)]


EXPECTED = ArchiveRow(
    _OPEN_MS,
    Decimal("42000.10"),
    Decimal("42010.00"),
    Decimal("41990.50"),
    Decimal("42001.00"),
    Decimal("12.34567"),
)


@pytest.mark.parametrize(
    "given_columns",
    [
        pytest.param(columns(), id="texts"),
        pytest.param(
            columns(
                prices=tuple(map(Decimal, ("42000.1", "42010", "41990.5", "42001"))),
                volume=Decimal("12.34567"),
            ),
            id="decimals",
        ),
        pytest.param(
            columns(prices=(42000.1, 42010.0, 41990.5, 42001.0), volume=12.34567), id="doubles"
        ),
        pytest.param(
            columns(prices=(4200010, 4201000, 4199050, 4200100), volume=1234567, **_TICKS),
            id="whole ticks and steps",
        ),
        pytest.param(columns(open_time=_OPEN_MS * 1000), id="microseconds"),
        pytest.param(columns(open_time=datetime(2024, 2, 1, tzinfo=UTC)), id="a time stamp"),
        pytest.param(columns(open_time=datetime(2024, 2, 1)), id="a bare one"),  # noqa: DTZ001
    ],
)
def test_every_usual_type_gives_the_same_candle(given_columns: Columns) -> None:
    assert rows(given_columns) == [EXPECTED]


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        pytest.param(columns(prices=(1, 2, 1, 2)), "does not say its tick_size", id="no tick"),
        pytest.param(columns(volume=3), "does not say its step_size", id="no step"),
        pytest.param(columns(prices=(1, 2, 1, 2), tick_size="x"), "tick_size is 'x'", id="odd"),
        pytest.param(columns(open_time=_OPEN_MS + 1), "no multiple of 60000 ms", id="crooked"),
        pytest.param(columns(open_time="now"), "open_time is 'now'", id="no time"),
        pytest.param(columns(open_time=True), "open_time is True", id="a truth"),
        pytest.param(columns(volume=None), "volume is None", id="a hole"),
        pytest.param(columns(volume=float("nan")), "no prices and no volume", id="not a number"),
        pytest.param(columns(volume="-1"), "no prices and no volume", id="negative"),
        pytest.param(columns(volume="many"), "row 1", id="a word"),
    ],
)
def test_what_is_no_candle_is_named_by_file_and_row(spoilt: Columns, said: str) -> None:
    with pytest.raises(RecordedDataInvalid, match=_NAME) as refused:
        rows(spoilt)

    assert said in str(refused.value)


@settings(deadline=None)
@given(ticks=st.integers(0, 10**15 - 1), places=st.integers(0, 8))
def test_a_double_stands_for_the_decimal_it_was_made_of(ticks: int, places: int) -> None:
    text = Decimal(ticks).scaleb(-places)

    (row,) = rows(columns(volume=float(text)))

    assert row.volume == text


class _Column:
    def __init__(self, values: list[Any]) -> None:
        self._values = values

    def to_pylist(self) -> list[Any]:
        return self._values


class _Table:
    """The part of a pyarrow table that is used."""

    def __init__(self, of: Columns, leave_out: str = "") -> None:
        self._of = of
        self.column_names = [name for name in COLUMNS if name != leave_out]
        metadata = {key.encode(): value.encode() for key, value in of.metadata.items()}
        self.schema = type("Schema", (), {"metadata": metadata or None})

    def column(self, name: str) -> _Column:
        return _Column([*self._of.values[name]])


def _installed(monkeypatch: pytest.MonkeyPatch, answer: "_Table | Exception") -> None:
    def read_table(_: object) -> _Table:
        if isinstance(answer, Exception):
            raise answer
        return answer

    parquet = ModuleType("pyarrow.parquet")
    monkeypatch.setattr(parquet, "read_table", read_table, raising=False)
    monkeypatch.setitem(sys.modules, "pyarrow", ModuleType("pyarrow"))
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", parquet)


def test_without_the_extra_it_names_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / _NAME).write_bytes(b"PAR1")

    with pytest.raises(PreflightFailed, match="scripts/environment research"):
        read_archive(tmp_path / _NAME)


def test_a_file_is_read_by_columns_with_its_metadata(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = columns(prices=(4200010, 4201000, 4199050, 4200100), volume=1234567, **_TICKS)
    _installed(monkeypatch, _Table(whole))
    (tmp_path / _NAME).write_bytes(b"PAR1")

    (path,) = archives_in([tmp_path])
    archive = read_archive(path)

    assert (archive.symbol, archive.interval_minutes, archive.rows) == ("BTCUSDT", 1, (EXPECTED,))


def test_a_lacking_column_and_a_damaged_file_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    _installed(monkeypatch, _Table(columns(), leave_out="volume"))
    with pytest.raises(RecordedDataInvalid, match="has no column volume"):
        read_columns(_NAME, b"PAR1")

    _installed(monkeypatch, ValueError("not parquet"))
    with pytest.raises(RecordedDataInvalid, match="cannot be read as parquet: not parquet"):
        read_columns(_NAME, b"PAR1")


@pytest.mark.parametrize(
    "name",
    ["BTCUSDT-1m-2024.parquet", "BTCUSDT-1m-2024-02.parquet", "BTCUSDT-5m-2024-02-01.parquet"],
)
def test_a_file_may_be_of_a_year_a_month_or_a_day(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"")

    assert archives_in([tmp_path]) == (tmp_path / name,)
    assert kline_archive.INTERVALS[name.split("-")[1]]
