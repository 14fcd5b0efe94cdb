"""What a tape remembers of a market, in bounded space."""

import tracemalloc
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.exchange.stream_rig import RIG_MS, Rig, SteadyHistory, engine_of, symbol_names

from livespot.exchange.candle import MINUTE_MS
from livespot.exchange.klines import Bar, join, opens_at
from livespot.exchange.market_hub import MarketHub
from livespot.exchange.minute_log import KEPT_MINUTES
from livespot.exchange.model import PublicTrade
from livespot.exchange.tape import Tape
from livespot.exchange.trade_log import KEPT_TRADES

_DAY_MS = 86_400_000


def trade(
    number: int, t_ms: int, *, ticks: int = 10_000, steps: int = 100, taker: int = 0
) -> PublicTrade:
    return PublicTrade(
        symbol="B000USDT",
        trade_id=number,
        price=Decimal(ticks) / 100,
        qty=Decimal(steps) / 1000,
        buyer_is_maker=bool(number % 2),
        buyer_order_id=-1,
        seller_order_id=-1,
        time_ms=t_ms,
        taker_id=taker,
    )


def a_tape(outage: tuple[int, ...] = ()) -> Tape:
    return Tape(SteadyHistory("B000USDT", outage=outage), RIG_MS)


def filled(count: int, *, apart_ms: int = 1000, taker: int = 0) -> Tape:
    tape = a_tape()
    for number in range(count):
        tape.on_trade(trade(number + 1, RIG_MS + number * apart_ms, taker=taker))
    return tape


@given(
    moments=st.lists(
        st.tuples(st.integers(0, 400_000), st.integers(1, 10**6), st.integers(1, 10**5)),
        min_size=1,
        max_size=80,
    )
)
def test_bars_of_every_length_hold_the_same_trades(moments: list[tuple[int, int, int]]) -> None:
    tape = a_tape()
    for number, (after_ms, ticks, steps) in enumerate(sorted(moments)):
        tape.on_trade(trade(number + 1, RIG_MS + after_ms, ticks=ticks, steps=steps))
    end_ms = RIG_MS + 420_000

    for interval in ("1s", "1m", "3m", "1h"):
        bars = [bar for bar in tape.bars(interval, RIG_MS - 3_600_000, end_ms) if bar.last_id >= 0]
        assert sum(bar.last_id - bar.first_id + 1 for bar in bars) == len(moments)
        assert max(bar.high for bar in bars) >= max(ticks for _, ticks, _ in moments)
        assert min(bar.low for bar in bars) <= min(ticks for _, ticks, _ in moments)
        assert bars[-1].close == sorted(moments)[-1][1]
    minutes = tape.bars("1m", RIG_MS, end_ms)
    assert [bar.open_ms for bar in minutes] == list(range(RIG_MS, end_ms + 1, MINUTE_MS))
    assert sum(bar.volume for bar in minutes) == sum(steps for *_, steps in moments)
    assert sum(bar.trades for bar in minutes) == len(moments)


@settings(max_examples=80, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 200_000), st.integers(-70_000, 0), st.sampled_from("tabh")),
        min_size=1,
        max_size=15,
    ),
    interval=st.sampled_from(["1m", "3m", "15m", "1h"]),
    offset_ms=st.sampled_from([0, 5 * 3_600_000]),
)
def test_the_forming_bar_is_the_last_of_the_bars_whenever_somebody_asks(
    steps: list[tuple[int, int, str]], interval: str, offset_ms: int
) -> None:
    outage = tuple(range(RIG_MS // MINUTE_MS + 9, RIG_MS // MINUTE_MS + 12))
    tape, now_ms = a_tape(outage), RIG_MS
    for number, (after_ms, late_ms, kind) in enumerate(steps, 1):
        now_ms += after_ms
        if kind == "t":
            # A trade may come an instant after one of the minute that follows its own.
            tape.on_trade(trade(number, max(RIG_MS, now_ms + late_ms), ticks=9_000 + number))
        elif kind != "a":
            tape.on_status("BREAK" if kind == "b" else "TRADING", now_ms)
        begin_ms = opens_at(now_ms, interval, offset_ms)
        told = tape.bars(interval, begin_ms, now_ms, offset_ms)

        assert tape.forming(interval, now_ms, offset_ms) == (told[-1] if told else None)


def test_a_bar_without_trades_takes_the_prices_of_what_follows() -> None:
    silent = Bar(0, 5, 5, 5, 5, 0, 0, 0, 0, 0)

    join(silent, Bar(60_000, 8, 9, 7, 8, 2, 16, 2, 1, 8, 4, 5))
    join(silent, Bar(120_000, 8, 8, 8, 8, 0, 0, 0, 0, 0))

    assert silent == Bar(0, 8, 9, 7, 8, 2, 16, 2, 1, 8, 4, 5)


def test_a_window_of_any_span_is_the_sum_of_its_minutes() -> None:
    tape = filled(500)
    now_ms = RIG_MS + 500_000

    for span_ms in (MINUTE_MS, 90 * MINUTE_MS, 7 * _DAY_MS):
        from_ms = (now_ms - span_ms) // MINUTE_MS * MINUTE_MS
        bar = tape.window(from_ms, now_ms)
        minutes = tape.bars("1m", from_ms, now_ms)
        assert bar is not None
        assert bar.open_ms == from_ms
        assert bar.volume == sum(minute.volume for minute in minutes)
        assert bar.trades == sum(minute.trades for minute in minutes)
        assert bar.last_id == 500


def test_a_trading_day_of_another_zone_begins_at_its_midnight() -> None:
    offset_ms = 8 * 3_600_000
    tape, now_ms = filled(10), RIG_MS + 10_000

    start_ms = opens_at(now_ms, "1d", offset_ms)
    bar = tape.window(start_ms, now_ms)

    assert (start_ms + offset_ms) % _DAY_MS == 0
    assert bar is not None
    assert bar.trades == (RIG_MS - start_ms) // MINUTE_MS + 10


def test_silent_minutes_are_flat_and_outages_are_holes() -> None:
    tape = a_tape(outage=(RIG_MS // MINUTE_MS + 2,))
    tape.on_trade(trade(1, RIG_MS + 10, ticks=12_000))
    tape.on_trade(trade(2, RIG_MS + 4 * MINUTE_MS, ticks=13_000))

    bars = tape.bars("1m", RIG_MS, RIG_MS + 6 * MINUTE_MS)

    assert [(bar.open_ms - RIG_MS) // MINUTE_MS for bar in bars] == [0, 1, 3, 4, 5, 6]
    assert [bar.close for bar in bars] == [12_000] * 3 + [13_000] * 3
    assert [bar.trades for bar in bars] == [1, 0, 0, 1, 0, 0]


def test_seconds_without_trades_are_flat() -> None:
    tape = a_tape()
    tape.on_trade(trade(1, RIG_MS + 1500))
    tape.on_trade(trade(2, RIG_MS + 4100, ticks=11_000))

    bars = tape.bars("1s", RIG_MS, RIG_MS + 5999)

    assert [(bar.open_ms - RIG_MS, bar.close, bar.trades) for bar in bars] == [
        (1000, 10_000, 1),
        (2000, 10_000, 0),
        (3000, 10_000, 0),
        (4000, 11_000, 1),
        (5000, 11_000, 0),
    ]


def test_the_newest_trades_are_kept_and_older_ones_go() -> None:
    tape = filled(3 * KEPT_TRADES)
    log = tape.trades

    assert KEPT_TRADES <= len(log) < 1.25 * KEPT_TRADES
    assert log[-1].trade_id == 3 * KEPT_TRADES
    assert [one.trade_id for one in log.from_id(7000, 2)] == [7000, 7001]
    assert log.from_id(1, 1)[0].trade_id == log[0].trade_id > 1
    assert (log[-1].price, log[-1].qty) == (Decimal(100), Decimal("0.1"))
    oldest = tape.bars("1s", 0, RIG_MS + 3 * KEPT_TRADES * 1000)[0]
    assert oldest.open_ms == log[0].time_ms + 1000


def test_aggregates_are_found_by_id_time_and_age() -> None:
    tape = a_tape()
    for number in range(12):
        # Three trades each, of one taker.
        tape.on_trade(trade(2 * number + 2, RIG_MS + number * 1000, taker=1 + number // 3))
    find = tape.trades.aggregates

    assert [(a.agg_id, a.qty) for a in find(limit=9)] == [(n, Decimal("0.3")) for n in range(1, 5)]
    assert [a.agg_id for a in find(limit=2)] == [3, 4]
    assert [a.agg_id for a in find(from_id=2, limit=2)] == [2, 3]
    assert [a.agg_id for a in find(start_ms=RIG_MS + 3000, limit=9)] == [2, 3, 4]
    assert [a.agg_id for a in find(end_ms=RIG_MS + 5999, limit=9)] == [1, 2]
    assert find(from_id=99, limit=9) == []
    assert (find(limit=1)[0].first_id, find(limit=1)[0].last_id) == (20, 24)


def test_an_aggregate_that_lost_its_beginning_is_left_out() -> None:
    tape = filled(2 * KEPT_TRADES, taker=7)
    tape.on_trade(trade(2 * KEPT_TRADES + 1, RIG_MS + 10**8, taker=8))

    assert [a.first_id for a in tape.trades.aggregates(limit=9)][-1] == 2 * KEPT_TRADES + 1
    assert all(a.first_id >= tape.trades[0].trade_id for a in tape.trades.aggregates(limit=999))


def test_a_forgotten_minute_is_read_from_the_record_again() -> None:
    tape = filled(KEPT_MINUTES + 500, apart_ms=MINUTE_MS)
    end_ms = RIG_MS + (KEPT_MINUTES + 500) * MINUTE_MS - 1

    bars = tape.bars("1d", RIG_MS - _DAY_MS, end_ms)
    minutes = tape.bars("1m", RIG_MS, end_ms)

    assert [bar.open_ms for bar in minutes] == list(range(RIG_MS, end_ms, MINUTE_MS))
    assert minutes[0].volume == 10
    assert minutes[-1].volume == 100
    assert len({bar.open_ms for bar in bars}) == len(bars)


@pytest.mark.parametrize("price", ["100.5", "100.6"])
def test_a_resting_order_and_the_rest_of_a_market_trade_are_one_taker(price: str) -> None:
    with Rig() as rig:
        limit = {"type": "LIMIT", "timeInForce": "GTC", "quantity": "0.5", "price": "100.5"}
        rig.place("alice", "B000USDT", side="SELL", **limit)
        rig.print("B000USDT", price, "2")
        found = rig.tapes["B000USDT"].trades.aggregates(limit=9)

    prices = [(str(a.price), str(a.qty), a.last_id - a.first_id + 1) for a in found]
    assert prices == (
        [("100.50", "2.000", 2)]
        if price == "100.5"
        else [("100.50", "0.500", 1), ("100.60", "2.000", 1)]
    )


def test_four_hundred_idle_symbols_need_little_memory() -> None:
    names = symbol_names(400)
    engine = engine_of(names)
    histories = [SteadyHistory(name) for name in names]
    tracemalloc.start()
    try:
        tapes = {one.symbol: Tape(one, RIG_MS) for one in histories}
        hub = MarketHub(engine, tapes)
        for second in range(3):
            hub.tick(RIG_MS + second * 1000)
        used = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()

    assert used / 400 < 6000


@pytest.mark.parametrize(
    ("status", "silent"),
    [("HALT", [0, 1, 2, 3, 4]), ("BREAK", [0, 3, 4]), ("CANCEL_ONLY", [0, 3, 4])],
)
def test_no_bars_form_while_a_symbol_gives_no_data_or_only_cancels(
    status: str, silent: list[int]
) -> None:
    tape = a_tape()
    tape.on_trade(trade(1, RIG_MS))
    tape.on_status(status, RIG_MS + MINUTE_MS + 5000)
    during = tape.bars("1m", RIG_MS, RIG_MS + 2 * MINUTE_MS + 1000)
    tape.on_status("TRADING", RIG_MS + 3 * MINUTE_MS + 5000)
    after = tape.bars("1m", RIG_MS, RIG_MS + 4 * MINUTE_MS + 1000)

    assert [(bar.open_ms - RIG_MS) // MINUTE_MS for bar in during] == [
        minute for minute in silent if minute < 3
    ]
    assert [(bar.open_ms - RIG_MS) // MINUTE_MS for bar in after] == silent
    assert [bar.trades for bar in after] == [1] + [0] * (len(silent) - 1)


@given(
    moments=st.lists(
        st.tuples(st.integers(0, 200_000), st.booleans(), st.integers(9_900, 10_100)),
        min_size=1,
        max_size=30,
    )
)
def test_a_day_that_was_told_before_is_the_day_told_for_the_first_time(
    moments: list[tuple[int, bool, int]],
) -> None:
    asked = a_tape()
    happened: list[PublicTrade] = []
    for number, (after_ms, is_trade, ticks) in enumerate(sorted(moments)):
        now_ms = RIG_MS + after_ms
        if is_trade:
            happened.append(trade(number + 1, now_ms, ticks=ticks))
            asked.on_trade(happened[-1])
        fresh = a_tape()
        for one in happened:
            fresh.on_trade(one)

        assert asked.day(now_ms) == asked.day(now_ms) == fresh.day(now_ms)
