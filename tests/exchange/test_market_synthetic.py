"""The made-up market: random access, exact sums, stated correlations, regimes that show."""

import hashlib
import math
from decimal import Decimal
from itertools import combinations
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from livespot.exchange.candle import MINUTE_MS, flaw_of, trade_count
from livespot.exchange.fixed_point import ONE, log_of, scaled_exp
from livespot.exchange.listings import listed
from livespot.exchange.market import Print, Quote
from livespot.exchange.scenario import read_scenario
from livespot.exchange.sources import StatusTurn
from livespot.exchange.specs import symbol_spec
from livespot.exchange.synthetic import SyntheticSeries
from livespot.exchange.synthetic_market import SyntheticMarket, SyntheticOrder, open_synthetic
from livespot.exchange.tape import Tape

# 2026-03-04T05:06 UTC
NOW_MS = 1_772_600_760_000
NOW = NOW_MS // MINUTE_MS
CALM = 'name = "calm"\n[[phase]]\nfrom = "0"\nfor = "1m"\nregime = "range"\n'


def market(tmp_path: Path, text: str = CALM, *, seed: int = 1, count: int = 3) -> SyntheticMarket:
    path = tmp_path / "scenario.toml"
    path.write_text(text)
    order = SyntheticOrder(
        name="made-up", seed=seed, count=count, scenario=read_scenario(path), from_ms=NOW_MS
    )
    return open_synthetic(order)


def phase(regime: str, more: str = "", *, start: str = "0", length: str = "30m") -> str:
    return f'[[phase]]\nfrom = "{start}"\nfor = "{length}"\nregime = "{regime}"\n{more}\n'


def row(series: SyntheticSeries, minute: int) -> int:
    return minute - series.minutes[0]


def test_a_minute_is_the_same_whatever_was_asked_before(tmp_path: Path) -> None:
    one, other = market(tmp_path), market(tmp_path)
    a, b = one.series["SOLUSDT"], other.series["SOLUSDT"]
    minutes = [NOW + n * 977 for n in range(-30, 30)]

    forwards = [a.candle(minute) for minute in minutes]
    backwards = [b.candle(minute) for minute in reversed(minutes)]

    assert forwards == backwards[::-1]
    assert a.events("1:SOL", NOW_MS) == b.events("1:SOL", NOW_MS)


def test_a_day_of_it_is_the_same_bytes_on_every_machine(tmp_path: Path) -> None:
    digest = hashlib.sha256()
    made = market(tmp_path, seed=7, count=12)
    for series in made.series.values():
        for minute in range(NOW, NOW + 1440, 7):
            digest.update(f"{series.symbol} {series.candle(minute)}\n".encode())

    assert digest.hexdigest() == "56d73263a028ff6621a2f381e0a7b66f8a24c20b624732b3f2e1d8b4f919177a"


def test_another_seed_makes_another_market(tmp_path: Path) -> None:
    one, other = market(tmp_path, seed=1), market(tmp_path, seed=2)

    assert one.sha256 != other.sha256
    assert one.series["BTCUSDT"].candle(NOW) != other.series["BTCUSDT"].candle(NOW)


@pytest.mark.slow
def test_bars_hold_exactly_their_minutes(tmp_path: Path) -> None:
    series = market(tmp_path).series["ETHUSDT"]
    first = row(series, NOW - 200)

    bar = series.bar(first, first + 333, 0)
    candles = [series.at(at) for at in range(first, first + 333)]

    assert bar.open == candles[0].open
    assert bar.close == candles[-1].close
    assert bar.high == max(candle.high for candle in candles)
    assert bar.low == min(candle.low for candle in candles)
    assert bar.volume == sum(candle.volume for candle in candles)
    assert bar.trades == sum(trade_count(candle) for candle in candles)


def test_every_minute_opens_where_the_last_one_closed_and_can_be_traded(tmp_path: Path) -> None:
    for series in market(tmp_path).series.values():
        candles = [series.candle(minute) for minute in range(NOW - 90, NOW + 90)]

        assert [flaw_of(candle) for candle in candles] == [None] * 180
        assert [c.open for c in candles[1:]] == [c.close for c in candles[:-1]]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(-80 * 1440, 30_000 * 1440))
def test_prices_stay_positive_and_near_their_mean_for_ever(seed: int, away: int) -> None:
    listing = listed(seed, 11)[-1]
    order = SyntheticOrder(
        name="x",
        seed=seed,
        count=11,
        scenario=DAY,
        from_ms=NOW_MS,
        only=frozenset({listing.symbol}),
    )
    candle = open_synthetic(order).series[listing.symbol].candle(NOW + away)

    assert flaw_of(candle) is None
    assert candle.volume > 0
    assert abs(math.log(candle.close / listing.character.mean_price)) < 3


DAY = read_scenario(Path(__file__).parents[2] / "internal/livespot/exchange/data/scenario-day.toml")


@pytest.mark.slow
@pytest.mark.parametrize(("width", "tolerance"), [(60, 0.13), (5, 0.1)])
def test_changes_correlate_as_the_market_says(tmp_path: Path, width: int, tolerance: float) -> None:
    made = market(tmp_path, seed=5, count=6)
    changes = {}
    for name, series in made.series.items():
        first, bars = row(series, NOW - 600 * width), 600
        closes = [
            series.bar(first + n * width, first + (n + 1) * width, 0).close for n in range(bars)
        ]
        changes[name] = np.diff(np.log(closes))

    for one, other in combinations(made.series, 2):
        measured = np.corrcoef(changes[one], changes[other])[0, 1]
        assert abs(measured - made.correlation_x10000(one, other) / 10_000) < tolerance


def test_a_trend_leads_where_it_says_and_falls_back_on_the_way(tmp_path: Path) -> None:
    rising = market(tmp_path, 'name = "t"\n' + phase("trend_up", "size = 10", length="4h"))
    calm = market(tmp_path)
    for name, series in rising.series.items():
        moved = [
            math.log(series.candle(NOW + n).open / calm.series[name].candle(NOW + n).open)
            for n in (0, 240)
        ]

        # The noise of a phase differs within an hour; at whole hours it is the same again.
        assert moved[0] == pytest.approx(0, abs=0.02)
        assert moved[1] == pytest.approx(0.4, abs=0.03)
        closes = [series.candle(NOW + n).close for n in range(240)]
        fallen = max(1 - low / max(closes[: n + 1]) for n, low in enumerate(closes))
        assert fallen > 0.004


def test_a_crash_takes_its_share_within_one_minute_and_stays(tmp_path: Path) -> None:
    series = market(tmp_path, 'name = "c"\n' + phase("crash", start="10m", length="2m")).series
    for one in series.values():
        before, crashed = one.candle(NOW + 9), one.candle(NOW + 10)

        assert crashed.close / before.close == pytest.approx(0.7, abs=0.02)
        assert crashed.low >= 1
        assert one.candle(NOW + 40).close < 0.8 * before.close


def test_a_thin_book_has_a_wide_spread_and_little_in_it(tmp_path: Path) -> None:
    series = market(tmp_path, 'name = "x"\n' + phase("thin", start="30m")).series["SOLUSDT"]

    def quotes(minute: int) -> list[Quote]:
        events = series.events("1:SOL", minute * MINUTE_MS)
        return [event for event in events if isinstance(event, Quote)]

    def spread_bps(minute: int) -> float:
        found = quotes(minute)
        return sum((q.ask - q.bid) / q.bid for q in found) / len(found) * 10_000

    def size(minute: int) -> float:
        return sum(quote.bid_qty + quote.ask_qty for quote in quotes(minute))

    assert 1.5 < spread_bps(NOW + 10) < 3.5
    assert spread_bps(NOW + 40) > 12
    assert size(NOW + 40) < size(NOW + 10) / 4


def test_a_halt_holds_the_price_and_is_announced(tmp_path: Path) -> None:
    text = 'name = "h"\n' + phase("halt", 'symbols = ["ETHUSDT"]', start="55m", length="10m")
    made = market(tmp_path, text)
    halted, other = made.series["ETHUSDT"], made.series["BTCUSDT"]
    events = [halted.events("1:ETH", (NOW + n) * MINUTE_MS) for n in range(54, 66)]

    assert [len(one) > 1 for one in events] == [True] + [False] * 10 + [True]
    assert events[1] == (StatusTurn((NOW + 55) * MINUTE_MS, "HALT"),)
    assert events[11][0] == StatusTurn((NOW + 65) * MINUTE_MS, "TRADING")
    assert isinstance(events[11][-1], Quote | Print)
    still = {halted.candle(NOW + n).close for n in range(55, 65)}
    assert still == {halted.candle(NOW + 54).close}
    assert halted.candle(NOW + 60).volume == 0
    assert other.candle(NOW + 60).volume > 0
    within = halted.bar(row(halted, NOW + 58), row(halted, NOW + 70), 0)
    assert within.open == halted.candle(NOW + 65).open


def test_chop_swings_wider_than_a_range_and_leads_nowhere(tmp_path: Path) -> None:
    def widths(regime: str) -> float:
        text = 'name = "c"\n' + phase(regime, length="6h")
        series = market(tmp_path, text).series["SOLUSDT"]
        bars = [
            series.bar(at, at + 5, 0) for at in range(row(series, NOW), row(series, NOW + 360), 5)
        ]
        return sum((bar.high - bar.low) / bar.close for bar in bars) / len(bars)

    assert widths("chop") > 2.5 * widths("range")


def test_a_repeating_scenario_closes_without_drift(tmp_path: Path) -> None:
    text = 'name = "r"\nrepeat = "2h"\n' + phase("trend_up", "size = 10", length="1h")
    repeating, calm = market(tmp_path, text), market(tmp_path)

    for cycles in (0, 1, 50):
        minute = NOW + cycles * 120
        pair = [one.series["SOLUSDT"].candle(minute).open for one in (repeating, calm)]
        assert pair[0] / pair[1] == pytest.approx(1, abs=0.02)


def test_history_serves_a_tape_of_every_interval_around_the_present(tmp_path: Path) -> None:
    series = market(tmp_path).series["SOLUSDT"]
    tape = Tape(series, NOW_MS)

    hours = tape.bars("1h", NOW_MS - 12 * 3_600_000, NOW_MS)
    day = tape.day(NOW_MS - 1)

    assert len(hours) == 12
    assert day is not None
    assert day.trades > 10_000
    turnover = day.quote * series.tick_size * series.step_size
    assert 50_000_000 < turnover < 5_000_000_000


def test_four_hundred_listings_differ_and_their_rules_are_read() -> None:
    listings = listed(3, 400)
    specs = [symbol_spec(listing.row) for listing in listings]

    assert len({spec.symbol for spec in specs}) == 400
    assert [one.symbol for one in listed(3, 30)] == [spec.symbol for spec in specs[:30]]
    assert len({one.tick_size for one in listings}) >= 5
    assert len({one.step_size for one in listings}) >= 4
    stops = {spec.symbol for spec in specs if "STOP_LOSS" in spec.order_types}
    assert 50 < len(stops) < 350
    notionals = [spec.filters.notionals[0].name for spec in specs]
    assert 50 < notionals.count("MIN_NOTIONAL") < 200


def test_a_lot_step_is_worth_little_and_a_tick_is_a_small_part_of_the_price() -> None:
    for listing in listed(1, 400):
        price = listing.character.mean_price * listing.tick_size

        assert listing.tick_size / price <= Decimal("0.001"), listing.symbol
        assert listing.step_size * price <= 2, listing.symbol


@given(st.integers(-3 * ONE, 3 * ONE), st.integers(1, ONE // 100))
def test_the_exponential_rises_and_is_close_to_the_truth(log: int, more: int) -> None:
    unit = 10**12
    low, high = scaled_exp(unit, [log, log + more])

    assert low <= high
    assert low == pytest.approx(unit * math.exp(log / ONE), rel=2e-7)


@given(st.integers(500, 30_000))
def test_a_logarithm_undoes_the_exponential(bps: int) -> None:
    assert scaled_exp(10_000_000, [log_of(bps)])[0] == pytest.approx(bps * 1000, rel=1e-5)
