"""When each market stream speaks, and what it says."""

from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from tests.exchange.stream_rig import RIG_MS, Rig

from livespot.exchange.candle import MINUTE_MS
from livespot.exchange.klines import INTERVALS, closes_at, opens_at

NAME = "B000USDT"
LIMIT = {"type": "LIMIT", "timeInForce": "GTC"}


def closed(payloads: list[Any]) -> list[Any]:
    return [payload["k"] for payload in payloads if payload["k"]["x"]]


def test_trades_of_one_taker_at_one_price_are_one_aggregate() -> None:
    with Rig() as rig:
        for price, qty in (("100.5", "0.2"), ("100.5", "0.3"), ("100.6", "1")):
            rig.place("alice", NAME, side="SELL", price=price, quantity=qty, **LIMIT)
        ear = rig.ear("b000usdt@aggTrade", "b000usdt@trade")
        rig.place("bob", NAME, side="BUY", type="MARKET", quantity="0.9")
        rig.place("bob", NAME, side="BUY", type="MARKET", quantity="0.1")
        frames = ear.frames()

    trades = [payload for stream, payload in frames if stream.endswith("@trade")]
    aggregates = [payload for stream, payload in frames if stream.endswith("@aggTrade")]
    assert [(t["t"], t["p"], t["q"]) for t in trades] == [
        (1, "100.50000000", "0.20000000"),
        (2, "100.50000000", "0.30000000"),
        (3, "100.60000000", "0.40000000"),
        (4, "100.60000000", "0.10000000"),
    ]
    assert [(a["a"], a["f"], a["l"], a["p"], a["q"]) for a in aggregates] == [
        (1, 1, 2, "100.50000000", "0.50000000"),
        (2, 3, 3, "100.60000000", "0.40000000"),
        (3, 4, 4, "100.60000000", "0.10000000"),
    ]
    assert {a["m"] for a in aggregates} == {False}


def test_two_market_trades_at_one_price_are_two_aggregates() -> None:
    with Rig() as rig:
        ear = rig.ear("b000usdt@aggTrade")
        rig.print(NAME, "101")
        rig.print(NAME, "101")

        assert [(a["a"], a["f"], a["l"]) for a in ear.payloads()] == [(1, 1, 1), (2, 2, 2)]


def test_the_best_prices_are_told_when_they_or_their_quantities_change() -> None:
    with Rig() as rig:
        ear = rig.ear("b000usdt@bookTicker")
        rig.book(NAME, 100, 102)
        rig.book(NAME, 100, 102)
        rig.book(NAME, 100, 102, qty=6)
        rig.place("alice", NAME, side="BUY", price="90", quantity="1", **LIMIT)
        told = ear.payloads()

    assert told == [
        {
            "u": 2,
            "s": NAME,
            "b": "100.00000000",
            "B": "5.00000000",
            "a": "102.00000000",
            "A": "5.00000000",
        },
        told[0] | {"u": 3, "B": "6.00000000", "A": "6.00000000"},
    ]


def test_an_empty_side_is_told_as_zeros() -> None:
    with Rig() as rig:
        ear = rig.ear("b000usdt@bookTicker")
        rig.engine.set_book(NAME, [], [(Decimal(101), Decimal(5))], rig.now_ms)
        rig.settle()

        (told,) = ear.payloads()

    assert (told["b"], told["B"], told["a"]) == ("0.00000000", "0.00000000", "101.00000000")


@pytest.mark.parametrize(("suffix", "period_ms"), [("@100ms", 100), ("", 1000)])
def test_depth_speaks_at_its_turns_and_its_ids_follow_each_other(
    suffix: str, period_ms: int
) -> None:
    with Rig() as rig:
        ear = rig.ear(f"b000usdt@depth{suffix}")
        for number in range(60):
            rig.book(NAME, 100 - number % 7, 101 + number % 5, qty=1 + number % 3)
            rig.to(50 * (number + 1), step_ms=50)
        told = ear.payloads()

    assert len(told) == 3000 // period_ms
    assert {payload["E"] % period_ms for payload in told} == {0}
    assert all(later["U"] == earlier["u"] + 1 for earlier, later in pairwise(told))
    assert all(
        payload["b"] == sorted(payload["b"], key=lambda level: -float(level[0])) for payload in told
    )


def test_partial_depth_holds_the_best_levels_and_speaks_when_the_book_changed() -> None:
    with Rig() as rig:
        ear = rig.ear("b000usdt@depth5@100ms")
        levels = [(Decimal(100 - depth), Decimal(1)) for depth in range(9)]
        rig.engine.set_book(NAME, levels, [], rig.now_ms)
        rig.settle()
        rig.to(1000)

        (told,) = ear.payloads()

    assert [level[0] for level in told["bids"]] == [f"{100 - depth}.00000000" for depth in range(5)]
    assert (told["asks"], told["lastUpdateId"]) == ([], 2)


@pytest.mark.parametrize("step_ms", [50, 700, 61_000])
def test_each_closed_minute_is_told_once_in_order_and_without_a_gap(step_ms: int) -> None:
    with Rig() as rig:
        ear = rig.ear("b000usdt@kline_1m")
        end_ms = 6 * MINUTE_MS
        while rig.now_ms < RIG_MS + end_ms:
            rig.to(rig.now_ms - RIG_MS + step_ms, step_ms)
            # The third minute stays without a trade.
            if rig.now_ms // MINUTE_MS != RIG_MS // MINUTE_MS + 2:
                rig.print(NAME, "101", "0.5")
        told = ear.payloads()
        bars = rig.tapes[NAME].bars("1m", RIG_MS, rig.now_ms)

    over = closed(told)
    assert [k["t"] for k in over] == [RIG_MS + n * MINUTE_MS for n in range(len(bars) - 1)]
    assert [k["n"] for k in over] == [bar.trades for bar in bars[:-1]]
    forming = [payload for payload in told if not payload["k"]["x"]]
    assert all(payload["E"] <= payload["k"]["T"] for payload in forming)
    assert [payload["k"]["t"] for payload in told] == sorted(p["k"]["t"] for p in told)


def test_a_silent_minute_closes_flat_and_one_of_an_outage_not_at_all() -> None:
    down = RIG_MS // MINUTE_MS + 1
    with Rig(outage=(down,)) as rig:
        ear = rig.ear("b000usdt@kline_1m")
        rig.print(NAME, "101")
        rig.to(3 * MINUTE_MS)
        over = closed(ear.payloads())

    assert [(k["t"] - RIG_MS) // MINUTE_MS for k in over] == [0, 2]
    assert {over[1][name] for name in "ohlc"} == {"101.00000000"}
    assert (over[1]["n"], over[1]["f"], over[1]["L"]) == (0, -1, -1)


def test_seconds_are_told_every_second_and_minutes_every_other() -> None:
    with Rig() as rig:
        ear = rig.ear("b000usdt@kline_1s", "b000usdt@kline_5m")
        for number in range(40):
            rig.to(250 * (number + 1))
            rig.print(NAME, "101", "0.1")
        frames = ear.frames()

    seconds = [payload for stream, payload in frames if stream.endswith("1s")]
    minutes = [payload for stream, payload in frames if stream.endswith("5m")]
    assert {payload["E"] % 2000 for payload in minutes} == {0}
    assert [k["t"] - RIG_MS for k in closed(seconds)] == [1000 * n for n in range(10)]
    assert sum(k["n"] for k in closed(seconds)) == 39
    assert all(k["T"] - k["t"] == 999 for k in closed(seconds))


@pytest.mark.parametrize("interval", INTERVALS)
def test_every_interval_has_a_stream_in_both_time_zones(interval: str) -> None:
    names = (f"b000usdt@kline_{interval}", f"b000usdt@kline_{interval}@+08:00")
    with Rig() as rig:
        ear = rig.ear(*names)
        rig.print(NAME, "101")
        rig.to(2000)
        told = {stream: payload["k"] for stream, payload in reversed(ear.frames())}

    for stream, offset_ms in zip(names, (0, 8 * 3_600_000), strict=True):
        start = opens_at(RIG_MS, interval, offset_ms)
        assert told[stream]["t"] == start
        assert told[stream]["T"] == closes_at(start, interval, offset_ms)
        assert told[stream]["i"] == interval


def test_the_tickers_of_all_symbols_hold_only_those_that_changed() -> None:
    with Rig(symbols=3) as rig:
        ear = rig.ear("!miniTicker@arr", "!ticker_1h@arr")
        rig.to(1000)
        ear.frames()
        rig.print("B001USDT", "101", "2")
        rig.to(2000)
        rig.to(3000)
        frames = ear.frames()

    assert [(stream, [one["s"] for one in told]) for stream, told in frames] == [
        ("!miniTicker@arr", ["B001USDT"]),
        ("!ticker_1h@arr", ["B001USDT"]),
    ]
    assert frames[0][1][0]["c"] == "101.00000000"


def test_a_rolling_window_holds_its_span_and_no_more() -> None:
    with Rig() as rig:
        ear = rig.ear("b000usdt@ticker_1h")
        rig.print(NAME, "102", "3")
        rig.to(59 * MINUTE_MS, step_ms=1000)
        before = ear.payloads()[-1]
        rig.to(62 * MINUTE_MS, step_ms=1000)
        after = ear.payloads()[-1]

    assert before["e"] == "1hTicker"
    assert (before["h"], before["L"]) == ("102.00000000", 1)
    assert before["O"] % MINUTE_MS == 0
    assert before["C"] - before["O"] - 3_600_000 in range(MINUTE_MS)
    assert (after["n"], after["v"]) == (0, "0.00000000")


def test_the_average_price_comes_every_second_with_the_last_trade_s_time() -> None:
    with Rig() as rig:
        ear = rig.ear("b000usdt@avgPrice")
        rig.to(1000)
        rig.print(NAME, "101", "1")
        rig.print(NAME, "103", "3")
        rig.to(3000)
        told = ear.payloads()

    assert [payload["E"] - RIG_MS for payload in told] == [2000, 3000]
    assert told[0]["w"] == "102.50000000"
    assert told[0]["T"] == RIG_MS + 1000


def test_the_reference_price_comes_every_second_once_one_was_set_even_while_there_is_none() -> None:
    with Rig() as rig:
        ear = rig.ear("b000usdt@referencePrice")
        rig.to(1000)
        rig.engine.set_reference_price(NAME, Decimal("100.5"), rig.now_ms)
        rig.to(2000)
        rig.engine.set_reference_price(NAME, None, rig.now_ms)
        rig.to(3000)

        assert ear.payloads() == [
            {"e": "referencePrice", "s": NAME, "r": "100.50000000", "t": RIG_MS + 1000},
            {"e": "referencePrice", "s": NAME, "r": None, "t": RIG_MS + 2000},
        ]


def test_times_come_in_microseconds_for_who_asked_so() -> None:
    streams = ("b000usdt@trade", "b000usdt@kline_1m", "b000usdt@ticker", "b000usdt@avgPrice")
    with Rig() as rig:
        plain, fine = rig.ear(*streams), rig.ear(*streams, unit=1000)
        rig.to(900)
        rig.print(NAME, "101")
        rig.to(2000)
        slow, quick = plain.payloads(), fine.payloads()

    assert len(slow) == len(quick) == 5
    for one, other in zip(slow, quick, strict=True):
        assert other["E"] == one["E"] * 1000
        assert other.keys() == one.keys()
    kline = next(payload["k"] for payload in quick if "k" in payload)
    assert (kline["t"], kline["T"]) == (RIG_MS * 1000, (RIG_MS + MINUTE_MS) * 1000 - 1)
    assert quick[0]["T"] == (RIG_MS + 900) * 1000


def test_nothing_is_kept_of_a_stream_once_nobody_hears_it() -> None:
    streams = [
        f"b000usdt@{kind}"
        for kind in ("trade", "aggTrade", "bookTicker", "depth", "depth5", "kline_1m", "ticker")
    ]
    with Rig() as rig:
        first, second = rig.ear(*streams), rig.ear(*streams)
        rig.hub.leave(first.listener)
        rig.print(NAME, "101")
        rig.book(NAME, 100, 103)
        rig.to(2000)
        assert first.frames() == []
        assert {stream for stream, _ in second.frames()} == set(streams)

        rig.hub.leave(second.listener)

        hub = rig.hub
        live = (hub._channels, hub._trades, hub._aggregates, hub._tops)
        assert not any((*live, *hub._turning.values(), *hub._depths.values()))
        rig.book(NAME, 100, 104)
        rig.print(NAME, "104")
        rig.to(4000)
        assert second.frames() == []
