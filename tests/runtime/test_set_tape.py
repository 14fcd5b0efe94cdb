"""A recording becomes a playable set, and says what it lacks, also after a kill."""

import json
import shutil
from decimal import Decimal
from pathlib import Path

import pytest

from livespot.contracts.errors import PreflightFailed
from livespot.contracts.market import AggTrade, BookTicker
from livespot.exchange.candle import MINUTE_MS
from livespot.exchange.market import Print, Quote
from livespot.exchange.recorded import packaged_data
from livespot.exchange.replayed import load_replayed
from livespot.runtime.set_check import check_set
from livespot.runtime.set_manifest import Gap
from livespot.runtime.set_tape import Grid, TapeWriter, begin_tape, conclude

# 2026-03-04T05:06:00 UTC
START_MS = 1_772_600_760_000
GRID = Grid(tick_size=Decimal("0.01"), step_size=Decimal("0.001"))


def begun(directory: Path, *symbols: str) -> TapeWriter:
    directory.mkdir()
    rows = json.loads((packaged_data() / "symbols.json").read_text())
    return begin_tape(
        directory,
        url="wss://somewhere",
        rules=[row for row in rows if row["symbol"] in symbols],
        grids=dict.fromkeys(symbols, GRID),
        frame=(START_MS + 7_000, 30_000),
    )


def quote(bid: str = "32.50", ask: str = "32.51", symbol: str = "SOLUSDT") -> BookTicker:
    return BookTicker(
        symbol=symbol,
        update_id=1,
        bid=Decimal(bid),
        bid_qty=Decimal(2),
        ask=Decimal(ask),
        ask_qty=Decimal(3),
        local_received_ms=0,
    )


def trade(trade_id: int, price: str = "32.51", symbol: str = "SOLUSDT") -> AggTrade:
    return AggTrade(
        symbol=symbol,
        trade_id=trade_id,
        price=Decimal(price),
        qty=Decimal("0.5"),
        buyer_is_maker=False,
        exchange_time_ms=0,
        local_received_ms=0,
    )


def test_rows_in_several_files_play_as_one_tape_at_their_own_times(tmp_path: Path) -> None:
    writer = begun(tmp_path / "set", "SOLUSDT")
    writer.put(quote(), START_MS + 8_000)
    writer.put(trade(1), START_MS + 9_000)
    writer.put(quote("32.49"), START_MS + 31_000)
    writer.put(trade(2), START_MS + 61_000)
    writer.close()

    done = conclude(tmp_path / "set")
    market = load_replayed(tmp_path / "set")

    assert (done.rows, writer.files) == (4, 3)
    assert (market.start_ms, market.end_ms) == (START_MS, START_MS + 2 * MINUTE_MS)
    assert market.series["SOLUSDT"].happened == (
        Quote(START_MS + 8_000, 3250, 3251, 2000, 3000),
        Print(START_MS + 9_000, 3251, 500, buyer_is_maker=False),
        Quote(START_MS + 31_000, 3249, 3251, 2000, 3000),
        Print(START_MS + 61_000, 3251, 500, buyer_is_maker=False),
    )
    assert check_set(tmp_path / "set").problems == ()


def test_repeats_are_left_out_and_lost_trades_stated(tmp_path: Path) -> None:
    writer = begun(tmp_path / "set", "SOLUSDT")
    for message in (quote(), quote(), trade(1), trade(1), trade(5)):
        writer.put(message, START_MS + 8_000)
    writer.close()

    done = conclude(tmp_path / "set")

    assert done.rows == 3
    assert done.origin.duplicates == {"SOLUSDT": 1}
    assert [gap.cause for gap in done.origin.gaps["SOLUSDT"]] == ["3 trades lost"]


def test_a_time_that_runs_back_is_held_at_the_row_before(tmp_path: Path) -> None:
    writer = begun(tmp_path / "set", "SOLUSDT")
    writer.put(quote(), START_MS + 8_000)
    writer.put(trade(1), START_MS + 7_500)
    writer.close()
    conclude(tmp_path / "set")

    assert [e.t_ms for e in load_replayed(tmp_path / "set").series["SOLUSDT"].happened] == [
        START_MS + 8_000
    ] * 2


def test_a_book_that_cannot_be_played_is_counted_and_not_written(tmp_path: Path) -> None:
    writer = begun(tmp_path / "set", "SOLUSDT")
    writer.put(quote("32.51", "32.51"), START_MS + 8_000)
    writer.put(quote("32.505"), START_MS + 8_000)
    writer.put(trade(1), START_MS + 9_000)
    writer.close()

    done = conclude(tmp_path / "set")

    assert done.rows == 1
    assert done.origin.notes == ("SOLUSDT: 2 quotes or trades could not be used",)


def test_what_a_kill_left_is_finished_with_the_rows_that_are_whole(tmp_path: Path) -> None:
    writer = begun(tmp_path / "live", "SOLUSDT")
    writer.put(quote(), START_MS + 8_000)
    writer.put(trade(1), START_MS + 9_000)
    writer.note_gap(Gap(from_ms=START_MS + 9_000, to_ms=START_MS + 9_500, cause="lost"))
    writer.flush()
    writer.put(trade(2), START_MS + 10_000)
    shutil.copytree(tmp_path / "live", tmp_path / "killed")
    writer.close()

    done = conclude(tmp_path / "killed")

    assert done.rows == 2
    assert "cut short; 2 rows" in done.origin.notes[0]
    assert [gap.cause for gap in done.origin.gaps["SOLUSDT"]] == ["lost"]
    assert check_set(tmp_path / "killed").problems == ()


def test_minutes_in_which_nothing_arrived_are_stated(tmp_path: Path) -> None:
    writer = begun(tmp_path / "set", "SOLUSDT")
    writer.put(trade(1), START_MS + 8_000)
    writer.put(trade(2), START_MS + 3 * MINUTE_MS)
    writer.close()

    gaps = conclude(tmp_path / "set").origin.gaps["SOLUSDT"]

    assert [(gap.minutes, gap.cause) for gap in gaps] == [(2, "nothing arrived")]
    assert check_set(tmp_path / "set").problems == ()


def test_a_symbol_without_a_trade_is_left_out_and_nothing_at_all_is_refused(
    tmp_path: Path,
) -> None:
    writer = begun(tmp_path / "set", "SOLUSDT", "ETHUSDT")
    writer.put(trade(1), START_MS + 8_000)
    writer.put(quote(symbol="ETHUSDT"), START_MS + 8_000)
    writer.close()
    begun(tmp_path / "empty", "SOLUSDT").close()

    done = conclude(tmp_path / "set")

    assert "ETHUSDT: no trade arrived, so it is left out" in done.origin.notes
    assert list(load_replayed(tmp_path / "set").series) == ["SOLUSDT"]
    with pytest.raises(PreflightFailed, match="nothing to play"):
        conclude(tmp_path / "empty")
