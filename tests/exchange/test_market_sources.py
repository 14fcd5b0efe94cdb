"""Wider candles, recorded quotes, the continuation of a record, and the sets by name."""

import gzip
import hashlib
import json
from decimal import Decimal
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from livespot.contracts.errors import PreflightFailed
from livespot.exchange.candle import MINUTE_MS, Candle, flaw_of
from livespot.exchange.continued import ContinuedMarket, continued
from livespot.exchange.data_sets import DATA_SETS, DataOrder, live_from, open_market, recorded_until
from livespot.exchange.demo_key import ed25519_key
from livespot.exchange.klines import INTERVALS
from livespot.exchange.market import Print, Quote
from livespot.exchange.recorded import RecordedDataInvalid, load_recorded, packaged_data
from livespot.exchange.replayed import load_replayed
from livespot.exchange.scenario import ScenarioInvalid, read_scenario
from livespot.exchange.split import split_candle
from livespot.exchange.tape import Tape

DAY_MS = 86_400_000
# 2026-03-04T05:06:07 UTC
NOW_MS = 1_772_600_767_000


@st.composite
def wide_candles(draw: st.DrawFn) -> Candle:
    low = draw(st.integers(1, 10**7))
    high = low + draw(st.integers(0, max(1, low // 10)))
    inside = st.integers(low, high)
    start = draw(st.integers(0, 10**6)) * 5 * MINUTE_MS
    return Candle(start, draw(inside), high, low, draw(inside), draw(st.integers(4, 10**9)))


@settings(max_examples=200, deadline=None)
@given(wide_candles(), st.sampled_from([3, 5, 15]))
def test_the_minutes_of_a_wide_candle_rebuild_it_exactly(candle: Candle, parts: int) -> None:
    minutes = split_candle("SOLUSDT", candle, parts)

    assert [flaw_of(minute) for minute in minutes] == [None] * parts
    assert [m.open_ms for m in minutes] == [candle.open_ms + n * MINUTE_MS for n in range(parts)]
    assert minutes[0].open == candle.open
    assert minutes[-1].close == candle.close
    assert max(minute.high for minute in minutes) == candle.high
    assert min(minute.low for minute in minutes) == candle.low
    assert sum(minute.volume for minute in minutes) == candle.volume
    assert [m.open for m in minutes[1:]] == [m.close for m in minutes[:-1]]
    assert minutes == split_candle("SOLUSDT", candle, parts)


def rules(symbol: str) -> bytes:
    rows = json.loads((packaged_data() / "symbols.json").read_text())
    return json.dumps([row for row in rows if row["symbol"] == symbol]).encode()


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_record_of_five_minute_candles_plays_as_minutes(tmp_path: Path) -> None:
    text = b"minute,open,high,low,close,volume\n0,100,110,90,105,500\n10,105,106,104,104,90\n"
    packed = gzip.compress(text, mtime=0)
    (tmp_path / "sol.csv.gz").write_bytes(packed)
    (tmp_path / "symbols.json").write_bytes(rules("SOLUSDT"))
    manifest = {
        "format": "livespot-recorded-1",
        "id": "wide",
        "interval_minutes": 5,
        "start_ms": 0,
        "end_ms": 15 * MINUTE_MS,
        "symbols_file": {"file": "symbols.json", "sha256": sha(rules("SOLUSDT"))},
        "series": {
            "SOLUSDT": {
                "file": "sol.csv.gz",
                "rows": 2,
                "sha256": sha(packed),
                "tick_size": "0.0001",
                "step_size": "0.01",
            }
        },
    }
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))

    series = load_recorded(tmp_path).series["SOLUSDT"]
    bars = Tape(series, 15 * MINUTE_MS).bars("5m", 0, 14 * MINUTE_MS)

    assert list(series.minutes) == [0, 1, 2, 3, 4, 10, 11, 12, 13, 14]
    assert [(b.open, b.high, b.low, b.close, b.volume) for b in bars] == [
        (100, 110, 90, 105, 500),
        (105, 106, 104, 104, 90),
    ]


@pytest.fixture(scope="module")
def endless() -> ContinuedMarket:
    return continued(load_recorded(packaged_data(), frozenset({"BTCUSDT", "SOLUSDT"})))


@pytest.mark.slow
def test_a_record_goes_on_without_a_jump_or_a_drift(endless: ContinuedMarket) -> None:
    end = endless.recorded_until_ms // MINUTE_MS
    for series in endless.series.values():
        joins = []
        for times in range(3):
            before = series.minutes.index(end + times * endless.period - 1)
            joins.append((series.at(before), series.at(before + 1)))

        assert [abs(a.close - b.open) <= 1 for a, b in joins] == [True] * 3
        assert len({a.close for a, _ in joins}) == 1


@pytest.mark.slow
def test_bars_across_the_end_hold_the_record_and_its_continuation(
    endless: ContinuedMarket,
) -> None:
    series = endless.series["SOLUSDT"]
    last = len(series.head.minutes)
    rows = range(last - 5, last + 2 * len(series.minutes.tail) + 5)

    bar = series.bar(rows.start, rows.stop, 0)
    candles = [series.at(row) for row in rows]

    assert bar.high == max(candle.high for candle in candles)
    assert bar.low == min(candle.low for candle in candles)
    assert bar.volume == sum(candle.volume for candle in candles)
    assert (bar.open, bar.close) == (candles[0].open, candles[-1].close)
    assert {flaw_of(candle) for candle in candles} == {None}


def test_a_continued_minute_is_played_and_an_outage_is_repeated(endless: ContinuedMarket) -> None:
    series = endless.series["BTCUSDT"]
    minute = endless.recorded_until_ms // MINUTE_MS + 3 * endless.period + 77
    outage_ms = 1_618_884_000_000 + endless.period * MINUTE_MS

    trades = [e for e in series.events("1:BTC", minute * MINUTE_MS) if isinstance(e, Print)]
    candle = series.at(series.minutes.index(minute))

    assert candle.open_ms == minute * MINUTE_MS
    assert (trades[0].price, trades[-1].price) == (candle.open, candle.close)
    assert sum(trade.qty for trade in trades) == candle.volume
    assert series.events("1:BTC", outage_ms) == ()


def test_before_its_end_a_continued_record_plays_exactly_the_record(
    endless: ContinuedMarket,
) -> None:
    series, t_ms = endless.series["SOLUSDT"], 1_619_049_660_000

    assert series.events("7:SOLUSDT", t_ms) == series.head.events("7:SOLUSDT", t_ms)


def test_recorded_quotes_and_trades_come_exactly_as_they_were() -> None:
    directory = packaged_data() / "replayed"
    lines = gzip.decompress((directory / "BTCUSDT.csv.gz").read_bytes()).decode().splitlines()[1:]
    market = load_replayed(directory)
    series = market.series["BTCUSDT"]

    played = [
        event for minute in series.minutes for event in series.events("any", minute * MINUTE_MS)
    ]

    assert len(played) == len(lines)
    for line, event in zip(lines, played, strict=True):
        t_ms = event.t_ms - market.start_ms
        match event:
            case Quote():
                sizes = f"{event.bid_qty},{event.ask_qty}"
                assert line == f"q,{t_ms},{event.bid},{event.ask},{sizes}"
            case Print():
                assert line == f"t,{t_ms},{event.price},{int(event.buyer_is_maker)},{event.qty},0"
    trades = [event for event in played if isinstance(event, Print)]
    day = Tape(series, market.end_ms).day(market.end_ms)
    assert day is not None
    assert (day.trades, day.volume) == (len(trades), sum(trade.qty for trade in trades))
    assert day.high == max(trade.price for trade in trades)


def test_a_damaged_row_of_a_replayed_record_is_named(tmp_path: Path) -> None:
    text = b"kind,ms,price,other,qty,other_qty\nq,5,100,101,1,1\nq,4,100,101,1,1\n"
    packed = gzip.compress(text, mtime=0)
    (tmp_path / "btc.csv.gz").write_bytes(packed)
    (tmp_path / "symbols.json").write_bytes(rules("BTCUSDT"))
    tape = {"file": "btc.csv.gz", "sha256": sha(packed), "rows": 2}
    manifest = {
        "format": "livespot-replayed-1",
        "id": "damaged",
        "start_ms": 0,
        "end_ms": MINUTE_MS,
        "symbols_file": {"file": "symbols.json", "sha256": sha(rules("BTCUSDT"))},
        "tapes": {"BTCUSDT": tape | {"tick_size": "0.01", "step_size": "0.00001"}},
    }
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))

    with pytest.raises(RecordedDataInvalid, match="line 3: 4 ms is out of order"):
        load_replayed(tmp_path)


@pytest.mark.slow
def test_a_record_is_moved_by_whole_days_so_that_the_present_lies_in_it() -> None:
    only = frozenset({"SOLUSDT"})
    order = DataOrder(name="recorded", seed=1, now_ms=NOW_MS, shifted=True, only=only)
    moved = open_market(order)
    still = load_recorded(packaged_data(), only)

    shift = moved.start_ms - still.start_ms
    assert shift % DAY_MS == 0
    assert 5 * DAY_MS <= NOW_MS - moved.start_ms < 6 * DAY_MS
    until = recorded_until(moved)
    assert until is not None
    assert until - NOW_MS > 6 * DAY_MS
    candle = moved.series["SOLUSDT"].at(100)
    assert candle.open_ms == still.series["SOLUSDT"].at(100).open_ms + shift
    assert live_from(moved, NOW_MS) == NOW_MS // MINUTE_MS * MINUTE_MS - 5 * MINUTE_MS


@pytest.mark.parametrize("name", [data_set.name for data_set in DATA_SETS])
def test_every_set_has_candles_up_to_now_and_plays_on(name: str) -> None:
    source = open_market(DataOrder(name=name, seed=1, now_ms=NOW_MS, shifted=True))
    first_ms = live_from(source, NOW_MS)

    for series in list(source.series.values())[:3]:
        events = series.events(f"1:{series.symbol}", NOW_MS // MINUTE_MS * MINUTE_MS)
        assert any(isinstance(event, Print) for event in events)
        if name != "replayed":
            hours = Tape(series, first_ms).bars("1h", NOW_MS - DAY_MS, first_ms)
            assert len(hours) >= 23


def test_what_is_no_set_is_refused_with_what_there_is(tmp_path: Path) -> None:
    def refused(name: str, scenario: Path | None = None) -> str:
        with pytest.raises(PreflightFailed) as caught:
            open_market(DataOrder(name=name, seed=1, now_ms=NOW_MS, scenario=scenario))
        return str(caught.value)

    assert "one of recorded, replayed, synthetic" in refused(str(tmp_path))
    assert "between 1 and 1000" in refused("synthetic-5000")
    assert "needs made-up data" in refused("recorded", tmp_path)
    assert "cannot read" in refused("synthetic", tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("name = 1", "name", id="type"),
        pytest.param('name = "x"\nphase = []\nother = 1', "other", id="unknown-field"),
        pytest.param('[[phase]]\nfrom="1"\nfor="1m"\nregime="range"', "name", id="no-name"),
        pytest.param(
            'name="x"\n[[phase]]\nfrom="1"\nfor="1m"\nregime="range"', "not a span", id="span"
        ),
        pytest.param(
            'name="x"\n[[phase]]\nfrom="0"\nfor="1m"\nregime="up"', "Invalid enum", id="regime"
        ),
        pytest.param(
            'name="x"\nrepeat="1m"\n[[phase]]\nfrom="0"\nfor="2m"\nregime="range"',
            "before its last phase ends",
            id="repeat",
        ),
        pytest.param(
            'name="x"\n[[phase]]\nfrom="0"\nfor="2m"\nregime="crash"\nsize=-99',
            "not between",
            id="size",
        ),
        pytest.param(
            'name="x"\n[[phase]]\nfrom="0"\nfor="2m"\nregime="range"\nsymbols="3/2"',
            "neither a list",
            id="part",
        ),
        pytest.param(
            'name="x"\n[[phase]]\nfrom="0"\nfor="30d"\nregime="range"', "not between", id="long"
        ),
    ],
)
def test_a_wrong_scenario_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "scenario.toml"
    path.write_text(text)

    with pytest.raises(ScenarioInvalid, match=said):
        read_scenario(path)


def test_a_key_pair_is_made_once_and_kept_private(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "key.pem"

    first, second = ed25519_key(path), ed25519_key(path)

    assert first == second
    assert "BEGIN PUBLIC KEY" in first.public_key_pem
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("something else")
    with pytest.raises(PreflightFailed, match="is no private key"):
        ed25519_key(path)


def test_a_made_up_market_serves_every_interval_the_exchange_has() -> None:
    only = frozenset({"SOLUSDT"})
    source = open_market(DataOrder(name="synthetic", seed=1, now_ms=NOW_MS, only=only))
    tape = Tape(source.series["SOLUSDT"], NOW_MS)

    for interval, span in INTERVALS.items():
        if interval in ("1s", "1w", "1M", "3d"):
            continue
        bars = tape.bars(interval, NOW_MS - 4 * span, NOW_MS)
        assert 4 <= len(bars) <= 5, interval
        assert all(Decimal(bar.quote) > 0 for bar in bars[:-1]), interval
