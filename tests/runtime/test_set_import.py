"""Published candle files become a set the exchange plays, and the check finds what is wrong."""

import gzip
import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from livespot.contracts.errors import PreflightFailed
from livespot.exchange.candle import MINUTE_MS
from livespot.exchange.recorded import RecordedDataInvalid, load_recorded, packaged_data
from livespot.runtime.set_check import check_set
from livespot.runtime.set_import import ImportOrder, import_klines, source_of
from livespot.runtime.set_manifest import Gap

# 2024-01-01T00:00 UTC
START_MS = 1_704_067_200_000


def line(minute: int, *, unit: int = 1, width: int = 1, prices: str = "", volume: str = "") -> str:
    """One row as archives print it; `unit` is 1000 for microseconds."""
    open_ms = START_MS + minute * MINUTE_MS
    close = (open_ms + width * MINUTE_MS) * unit - 1
    amounts = prices or "101.5000,103.2500,100.0000,102.0000"
    return f"{open_ms * unit},{amounts},{volume or '12.50'},{close},1275.0,40,6.0,612.0,0"


def archive(directory: Path, name: str, lines: list[str], *, header: bool = False) -> Path:
    head = ["open_time,open,high,low,close,volume,close_time,quote_volume,count,a,b,ignore"]
    text = "".join(f"{row}\n" for row in (*(head if header else ()), *lines))
    path = directory / name
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as packed:
            packed.writestr(path.with_suffix(".csv").name, text)
    else:
        path.write_text(text)
    return path


def order(tmp_path: Path, *places: Path) -> ImportOrder:
    return ImportOrder(places=places, into=tmp_path / "set", name="january")


def test_monthly_zip_and_daily_csv_with_microseconds_become_one_set(tmp_path: Path) -> None:
    monthly = archive(tmp_path, "SOLUSDT-1m-2024-01.zip", [line(n) for n in range(5)])
    daily = archive(
        tmp_path,
        "SOLUSDT-1m-2024-01-01.csv",
        [line(n, unit=1000) for n in range(3, 8)],
        header=True,
    )

    done = import_klines(order(tmp_path, monthly, daily))
    market = load_recorded(tmp_path / "set")

    assert (done.rows, done.symbols) == (8, ("SOLUSDT",))
    assert done.origin.duplicates == {"SOLUSDT": 2}
    assert (market.start_ms, market.end_ms) == (START_MS, START_MS + 8 * MINUTE_MS)
    candle = market.series["SOLUSDT"].candle(START_MS)
    assert candle is not None
    assert (candle.open, candle.high, candle.low, candle.close) == (
        1_015_000,
        1_032_500,
        1_000_000,
        1_020_000,
    )
    assert candle.volume == 1250
    assert check_set(tmp_path / "set").problems == ()


def test_missing_minutes_are_stated_and_a_stated_gap_is_no_problem(tmp_path: Path) -> None:
    path = archive(tmp_path, "SOLUSDT-1m-2024-01.csv", [line(n) for n in (0, 1, 4, 5)])

    done = import_klines(order(tmp_path, path))
    found = check_set(tmp_path / "set")

    gap = Gap(
        from_ms=START_MS + 2 * MINUTE_MS,
        to_ms=START_MS + 4 * MINUTE_MS,
        cause="missing in the source",
    )
    assert done.origin.gaps == {"SOLUSDT": (gap,)}
    assert found.series[0].gaps == (gap,)
    assert found.problems == ()


def test_a_minute_too_small_to_play_is_left_out_and_said(tmp_path: Path) -> None:
    rows = [line(0), line(1, volume="0.03"), line(2)]

    done = import_klines(order(tmp_path, archive(tmp_path, "SOLUSDT-1m-2024-01.csv", rows)))

    assert [gap.cause for gap in done.origin.gaps["SOLUSDT"]] == ["volume too small to play"]
    assert check_set(tmp_path / "set").problems == ()


def test_a_minute_without_trades_stays_as_a_flat_one(tmp_path: Path) -> None:
    flat = line(1, prices="102.0,102.0,102.0,102.0", volume="0.0")

    import_klines(
        order(tmp_path, archive(tmp_path, "SOLUSDT-1m-2024-01.csv", [line(0), flat, line(2)]))
    )

    candle = load_recorded(tmp_path / "set").series["SOLUSDT"].candle(START_MS + MINUTE_MS)
    assert candle is not None
    assert candle.volume == 0


def test_prices_finer_than_the_rules_bring_the_rules_along_and_are_noted(tmp_path: Path) -> None:
    fine = [line(n, prices="1.000051,1.000061,1.000041,1.000051") for n in range(3)]

    done = import_klines(order(tmp_path, archive(tmp_path, "SOLUSDT-1m-2024-01.csv", fine)))
    market = load_recorded(tmp_path / "set")

    assert str(market.series["SOLUSDT"].tick_size) == "0.000001"
    price = market.symbols[0].filters.price
    assert price is not None
    assert price.step == market.series["SOLUSDT"].tick_size
    assert "tick 0.000001" in done.origin.notes[0]


def test_five_minute_candles_are_announced_as_such(tmp_path: Path) -> None:
    rows = [line(n, width=5) for n in (0, 5, 10)]

    import_klines(order(tmp_path, archive(tmp_path, "SOLUSDT-5m-2024-01.csv", rows)))

    assert len(load_recorded(tmp_path / "set").series["SOLUSDT"].minutes) == 15
    assert check_set(tmp_path / "set").problems == ()


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        pytest.param(["1,2,3"], "line 1: .*3 columns, not 12", id="columns"),
        pytest.param([line(0), line(1).replace("103.2500", "NaN")], "line 2", id="not-a-number"),
        pytest.param([line(0).replace("103.2500", "1.0")], "high", id="high-below-low"),
        pytest.param([line(0), line(0, volume="99.00")], "contradicts", id="contradiction"),
        pytest.param([line(0, width=5)], "does not end 1 minutes", id="another-width"),
        pytest.param([], "no candle", id="empty"),
    ],
)
def test_what_cannot_be_a_candle_is_refused_by_its_place(
    tmp_path: Path, rows: list[str], said: str
) -> None:
    path = archive(tmp_path, "SOLUSDT-1m-2024-01.csv", rows)

    with pytest.raises(RecordedDataInvalid, match=said):
        import_klines(order(tmp_path, path))

    assert not (tmp_path / "set" / "manifest.json").exists()


def test_a_file_that_differs_from_its_published_checksum_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path, "SOLUSDT-1m-2024-01.csv", [line(0)])
    (tmp_path / f"{path.name}.CHECKSUM").write_text("0" * 64 + f"  {path.name}\n")

    with pytest.raises(RecordedDataInvalid, match="SHA-256"):
        import_klines(order(tmp_path, path))


def test_a_symbol_without_rules_is_refused_with_the_way_to_get_them(tmp_path: Path) -> None:
    path = archive(tmp_path, "NEWUSDT-1m-2024-01.csv", [line(0)])

    with pytest.raises(PreflightFailed, match="--rules"):
        import_klines(order(tmp_path, path))


def test_a_directory_in_use_is_left_alone(tmp_path: Path) -> None:
    path = archive(tmp_path, "SOLUSDT-1m-2024-01.csv", [line(0)])
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "notes.txt").write_text("mine")

    with pytest.raises(PreflightFailed, match="not empty"):
        import_klines(order(tmp_path, path))


def _rewritten(directory: Path, change: dict[str, Any], lines: list[str]) -> None:
    """Another content of the candle file, with a manifest that vouches for it."""
    packed = gzip.compress(("\n".join(lines) + "\n").encode(), mtime=0)
    (directory / "SOLUSDT.csv.gz").write_bytes(packed)
    manifest = json.loads((directory / "manifest.json").read_text())
    manifest["series"]["SOLUSDT"] |= change
    (directory / "manifest.json").write_text(json.dumps(manifest))


def _made(tmp_path: Path) -> Path:
    path = archive(tmp_path, "SOLUSDT-1m-2024-01.csv", [line(n) for n in range(4)])
    import_klines(order(tmp_path, path))
    return tmp_path / "set"


def test_a_changed_byte_is_found_and_the_file_named(tmp_path: Path) -> None:
    made = _made(tmp_path)
    content = bytearray((made / "SOLUSDT.csv.gz").read_bytes())
    content[-1] ^= 1
    (made / "SOLUSDT.csv.gz").write_bytes(bytes(content))

    problems = check_set(made).problems

    assert any("SOLUSDT.csv.gz is damaged" in problem for problem in problems)


def test_a_gap_the_manifest_does_not_state_and_a_doubled_candle_are_problems(
    tmp_path: Path,
) -> None:
    made = _made(tmp_path)
    lines = gzip.decompress((made / "SOLUSDT.csv.gz").read_bytes()).decode().splitlines()
    changed = [lines[0], lines[1], lines[1], lines[4]]
    packed = gzip.compress(("\n".join(changed) + "\n").encode(), mtime=0)
    _rewritten(made, {"rows": 3, "sha256": hashlib.sha256(packed).hexdigest()}, changed)

    found = check_set(made)

    assert [gap.minutes for gap in found.series[0].unstated] == [2]
    assert found.series[0].duplicates == 1
    assert any("2 minutes" in problem for problem in found.problems)
    assert any("twice" in problem for problem in found.problems)


def test_a_missing_file_is_a_problem_and_a_missing_manifest_an_error(tmp_path: Path) -> None:
    made = _made(tmp_path)
    (made / "symbols.json").unlink()

    assert any("symbols.json" in problem for problem in check_set(made).problems)
    with pytest.raises(RecordedDataInvalid):
        check_set(tmp_path)


def test_the_recorded_quotes_that_ship_with_us_are_sound() -> None:
    found = check_set(packaged_data() / "replayed")

    assert found.problems == ()
    assert [one.symbol for one in found.series] == ["BTCUSDT"]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["A-1m-2024-01.zip", "A-1m-2024-02.csv"], "Binance public candle files"),
        (["A-1m-2024.parquet"], "parquet candle files"),
        (
            ["A-1m-2024.parquet", "B-1m-2024-01.zip"],
            "Binance public candle files and parquet candle files",
        ),
    ],
)
def test_every_kind_of_file_that_a_set_was_made_of_is_named(names: list[str], words: str) -> None:
    assert source_of(names) == words
