"""Made-up markets: the past makes the strategy want them, and what is played follows the plan."""

from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from msgspec.structs import replace

from livespot.contracts.settings import Settings
from livespot.contracts.vocabulary import Direction, Interval, RegimeLabel
from livespot.exchange.candle import MINUTE_MS
from livespot.exchange.klines import join
from livespot.exchange.market import Print, Quote
from livespot.rules.indicators import Wilder, ema20
from livespot.rules.regime import regime_of
from livespot.testing.search.drawing import draw
from livespot.testing.search.running import run_plan
from livespot.testing.search.scenes import VARIANTS, drawn_play, drawn_scene
from livespot.testing.search.stage import Shape
from livespot.testing.search.staged_market import open_stage
from livespot.testing.search.staged_past import MINUTES, Past, past_of

_PASTS: list[tuple[Shape, int]] = [
    (shape, variant) for shape, variants in VARIANTS.items() for variant in variants
]


def wilder(past: Past, minutes: int) -> Wilder:
    state = Wilder()
    for row in range(0, MINUTES, minutes):
        bar = past.bar(row, row + minutes, 0)
        state.update((float(bar.high), float(bar.low), float(bar.close)))
    return state


@pytest.mark.parametrize(("shape", "variant"), _PASTS)
def test_every_past_is_of_its_regime_and_moves_enough_to_pay_its_cost(
    shape: Shape, variant: int
) -> None:
    past = past_of(shape, variant, 0, 14_800, 200_000)
    frames = {interval: wilder(past, interval.ms // MINUTE_MS) for interval in Interval}
    readings = {name: state.directional for name, state in frames.items()}
    regime = regime_of({n: r for n, r in readings.items() if r is not None}, Settings().strategy)
    atr = frames[Interval.M5].atr
    assert atr is not None
    closes = [Decimal(past.closes[row]) for row in range(4, MINUTES, 5)]
    average = ema20(closes)

    assert average is not None
    assert abs(past.average - float(average)) < 0.001
    if shape == "rising":
        assert (regime.label, regime.direction) == (RegimeLabel.TREND, Direction.BULL)
        assert atr / past.closes[-1] > 0.0090
    else:
        assert regime.label is RegimeLabel.RANGE
        assert atr / past.closes[-1] > 0.0109


def test_a_staged_minute_is_always_the_same_and_trades_at_the_quote_before() -> None:
    scene = drawn_scene(5, after_ms=60_000)
    [one, again] = [open_stage(scene.stage, scene.start_ms) for _ in range(2)]
    minute = scene.start_ms // MINUTE_MS * MINUTE_MS
    for name, series in one.series.items():
        events = series.events("any", minute)
        quotes = [event for event in events if isinstance(event, Quote)]

        assert events == again.series[name].events("other", minute)
        assert [event.t_ms for event in events] == sorted(event.t_ms for event in events)
        assert all(quote.bid < quote.ask for quote in quotes)
        for before, event in pairwise(events):
            if isinstance(event, Print) and isinstance(before, Quote):
                assert event.price == (before.bid if event.buyer_is_maker else before.ask)


def test_a_price_follows_its_legs_and_stands_still_after_the_last() -> None:
    scene = drawn_play(3, story_ms=300_000, after_ms=60_000)
    market = open_stage(scene.stage, scene.start_ms)
    for staged in scene.stage.symbols:
        series = market.series[staged.symbol]
        end = sum(leg.bps for leg in staged.legs)
        last_ms = scene.start_ms + scene.story_ms + 30_000
        [*_, last] = [q for q in series.events("", last_ms) if isinstance(q, Quote)]
        expected = series.base * (10_000 + end) / 10_000

        assert abs(last.bid - expected) <= series.base * staged.noise_x100 / 1_000_000 + 1


def test_a_long_plan_trades_three_symbols_for_a_quarter_of_an_hour() -> None:
    plans = [draw("long", seed) for seed in range(40)]
    made_up = [plan for plan in plans if plan.stage is not None]

    assert 20 <= len(made_up) < 40
    assert all(len(plan.symbols) == 3 for plan in made_up)
    assert all(900_000 <= plan.safety_ms <= 1_300_000 for plan in made_up)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 4])
def test_without_faults_a_short_plan_has_an_entry_and_breaks_nothing(
    seed: int, tmp_path: Path
) -> None:
    plan = replace(draw("short", seed), faults=(), deaths=(), troubles=())
    outcome = run_plan(plan, tmp_path / "run")

    assert not outcome.vacuous
    assert outcome.violations == ()


def test_a_bar_of_one_minute_is_that_minute() -> None:
    past = past_of("ranging", 1, 0, 14_800, 200_000)
    for row in (0, 777, MINUTES - 2):
        both, later = past.bar(row, row + 2, 0), past.bar(row + 1, row + 2, 0)
        total = past.bar(row, row + 1, 0)
        join(total, later)
        assert (total.open, total.high, total.low, total.close) == (
            both.open, both.high, both.low, both.close,
        )  # fmt: skip
        assert (total.volume, total.trades) == (both.volume, both.trades)
        assert later.quote == later.volume * (later.open + later.close) // 2
