"""Recorded data is checked before it is played, and adds up to every interval."""

import gzip
import hashlib
import json
from decimal import Decimal
from pathlib import Path

import pytest

from livespot.contracts.errors import ExitCode
from livespot.exchange.candle import MINUTE_MS
from livespot.exchange.klines import INTERVALS, closes_at, opens_at
from livespot.exchange.model import PublicTrade
from livespot.exchange.recorded import (
    RecordedDataInvalid,
    RecordedMarket,
    load_recorded,
    packaged_data,
)
from livespot.exchange.tape import Tape

OUTAGE_MS = 1_618_884_000_000
START_MS = 1_618_919_220_000


@pytest.fixture(scope="module")
def sol() -> RecordedMarket:
    return load_recorded(packaged_data(), frozenset({"SOLUSDT"}))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A small valid data directory."""
    text = "minute,open,high,low,close,volume\n0,100,110,90,105,50\n1,105,106,104,104,9\n"
    packed = gzip.compress(text.encode(), mtime=0)
    rules = json.loads((packaged_data() / "symbols.json").read_text())
    chosen = json.dumps([row for row in rules if row["symbol"] == "SOLUSDT"]).encode()
    (tmp_path / "sol.csv.gz").write_bytes(packed)
    (tmp_path / "symbols.json").write_bytes(chosen)
    write_manifest(tmp_path, rows=2)
    return tmp_path


def write_manifest(directory: Path, rows: int, **changes: object) -> None:
    def sha(name: str) -> str:
        return hashlib.sha256((directory / name).read_bytes()).hexdigest()

    manifest = {
        "format": "livespot-recorded-1",
        "id": "small",
        "start_ms": 0,
        "end_ms": 10 * MINUTE_MS,
        "symbols_file": {"file": "symbols.json", "sha256": sha("symbols.json")},
        "series": {
            "SOLUSDT": {
                "file": "sol.csv.gz",
                "rows": rows,
                "sha256": sha("sol.csv.gz"),
                "tick_size": "0.0001",
                "step_size": "0.01",
            }
        },
    }
    (directory / "manifest.json").write_text(json.dumps(manifest | changes))


def rewrite(directory: Path, lines: str, rows: int) -> None:
    text = "minute,open,high,low,close,volume\n" + lines
    (directory / "sol.csv.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    write_manifest(directory, rows)


@pytest.fixture(scope="module")
def everything() -> RecordedMarket:
    return load_recorded(packaged_data())


def test_the_packaged_data_is_sound(everything: RecordedMarket) -> None:
    market = everything

    assert len(market.series) == 10
    for series in market.series.values():
        assert series.minutes[0] * MINUTE_MS == market.start_ms
        assert (series.minutes[-1] + 1) * MINUTE_MS == market.end_ms


def test_the_tick_and_step_of_the_rules_are_those_of_the_data(
    everything: RecordedMarket,
) -> None:
    for spec in everything.symbols:
        series = everything.series[spec.symbol]
        assert spec.filters.price is not None
        assert spec.filters.lot is not None
        assert spec.filters.price.step == series.tick_size
        assert spec.filters.lot.step == series.step_size


def test_the_outage_stays_a_hole(sol: RecordedMarket) -> None:
    series = sol.series["SOLUSDT"]

    assert series.candle(OUTAGE_MS - MINUTE_MS) is not None
    assert series.candle(OUTAGE_MS) is None
    assert series.candle(OUTAGE_MS + 149 * MINUTE_MS) is None
    assert series.candle(OUTAGE_MS + 150 * MINUTE_MS) is not None


def test_a_small_directory_of_the_same_format_loads(directory: Path) -> None:
    market = load_recorded(directory)

    assert market.data_id == "small"
    assert list(market.series["SOLUSDT"].columns[3]) == [105, 104]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        pytest.param("0,100,99,90,95,50\n", "below open or close", id="high-too-low"),
        pytest.param("0,100,110,101,105,50\n", "above open or close", id="low-too-high"),
        pytest.param("0,100,110,90,105,-1\n", "negative", id="negative-volume"),
        pytest.param("0,100,110,90,105,3\n", "too small to trade", id="too-little-volume"),
        pytest.param("0,1,1\n", "line 2", id="too-few-columns"),
        pytest.param("0,1,1,1,1,x\n", "line 2", id="not-a-number"),
        pytest.param("5,1,1,1,1,9\n5,1,1,1,1,9\n", "does not follow", id="repeated-minute"),
        pytest.param(f"0,1,{10**18},1,1,{10**18}\n", "too large", id="overflow"),
    ],
)
def test_an_impossible_row_is_named(directory: Path, lines: str, said: str) -> None:
    rewrite(directory, lines, lines.count("\n"))

    with pytest.raises(RecordedDataInvalid, match=said) as caught:
        load_recorded(directory)

    assert caught.value.exit_code == ExitCode.PREFLIGHT


def test_a_damaged_file_is_refused(directory: Path) -> None:
    content = (directory / "sol.csv.gz").read_bytes()
    (directory / "sol.csv.gz").write_bytes(content[:-1] + b"\xff")

    with pytest.raises(RecordedDataInvalid, match="is damaged"):
        load_recorded(directory)


def test_a_file_that_is_no_archive_is_refused(directory: Path) -> None:
    (directory / "sol.csv.gz").write_bytes(b"not gzip")
    write_manifest(directory, rows=2)

    with pytest.raises(RecordedDataInvalid, match=r"sol\.csv\.gz"):
        load_recorded(directory)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"format": "other"}, "unknown format", id="format"),
        pytest.param({"series": {}}, "no rules", id="empty"),
        pytest.param({"start_ms": "soon"}, "manifest.json", id="type"),
    ],
)
def test_a_wrong_manifest_is_refused(
    directory: Path, changes: dict[str, object], said: str
) -> None:
    write_manifest(directory, 2, **changes)

    with pytest.raises(RecordedDataInvalid, match=said):
        load_recorded(directory)


def test_a_missing_directory_and_a_missing_symbol_are_refused(directory: Path) -> None:
    with pytest.raises(RecordedDataInvalid, match="cannot read"):
        load_recorded(directory / "nowhere")
    with pytest.raises(RecordedDataInvalid, match="no candles of BTCUSDT"):
        load_recorded(directory, frozenset({"BTCUSDT"}))


def test_fewer_rows_than_promised_are_refused(directory: Path) -> None:
    write_manifest(directory, rows=3)

    with pytest.raises(RecordedDataInvalid, match="2 rows, not 3"):
        load_recorded(directory)


@pytest.mark.parametrize("interval", [name for name in INTERVALS if name != "1s"])
def test_bars_of_every_interval_hold_exactly_their_minutes(
    sol: RecordedMarket, interval: str
) -> None:
    tape = Tape(sol.series["SOLUSDT"], START_MS)
    minutes = tape.bars("1m", sol.start_ms, START_MS)

    bars = tape.bars(interval, 0, START_MS)

    assert sum(bar.volume for bar in bars) == sum(bar.volume for bar in minutes)
    assert bars[0].open == minutes[0].open
    assert bars[-1].close == minutes[-1].close
    for bar in bars[-3:]:
        until = closes_at(bar.open_ms, interval)
        part = [one for one in minutes if bar.open_ms <= one.open_ms <= until]
        assert bar.high == max(one.high for one in part)
        assert bar.low == min(one.low for one in part)
        assert opens_at(until, interval) == bar.open_ms
        assert opens_at(until + 1, interval) == until + 1


def test_a_late_trade_still_belongs_to_its_own_minute(sol: RecordedMarket) -> None:
    tape = Tape(sol.series["SOLUSDT"], START_MS)
    for number, t_ms in enumerate((START_MS, START_MS + MINUTE_MS, START_MS + 59_999)):
        tape.on_trade(
            PublicTrade(
                symbol="SOLUSDT",
                trade_id=number,
                price=Decimal("30.5000") + number,
                qty=Decimal("2.00"),
                buyer_is_maker=False,
                buyer_order_id=-1,
                seller_order_id=-1,
                time_ms=t_ms,
            )
        )

    first, second = tape.bars("1m", START_MS, START_MS + MINUTE_MS)

    assert (first.trades, first.close, first.volume) == (2, 325_000, 400)
    assert (second.trades, second.close) == (1, 315_000)
