"""The fill model of a run that sends nothing: pessimistic wherever it cannot know."""

from dataclasses import replace
from decimal import Decimal

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from livespot.rules.shadow_fills import (
    OVER,
    ShadowCourse,
    ShadowPhase,
    ShadowTerms,
    broken_off,
    expired,
    instant,
    result_of,
)

TERMS = ShadowTerms(
    limit_price=Decimal(100),
    qty=Decimal(2),
    tp_price=Decimal(104),
    sl_price=Decimal(98),
    placed_ms=1000,
    patience_ms=5000,
    maker_bps=10,
    taker_bps=20,
    slippage_bps=50,
)


def prices(*texts: str) -> list[Decimal]:
    return [Decimal(text) for text in texts]


def held() -> ShadowCourse:
    return instant(ShadowCourse(), TERMS, prices("99.9"), 2000)


@pytest.mark.parametrize(
    ("price", "phase"),
    [("100.01", ShadowPhase.WAITING), ("100", ShadowPhase.WAITING), ("99.99", ShadowPhase.HELD)],
)
def test_a_resting_entry_fills_only_when_a_trade_goes_through_its_price(
    price: str, phase: ShadowPhase
) -> None:
    assert instant(ShadowCourse(), TERMS, prices(price), 2000).phase is phase


def test_a_trade_of_before_the_entry_or_of_its_own_instant_fills_nothing() -> None:
    for at_ms in (999, 1000):
        assert instant(ShadowCourse(), TERMS, prices("90"), at_ms) == ShadowCourse()


def test_an_entry_nobody_met_ends_with_its_patience() -> None:
    assert expired(ShadowCourse(), TERMS, 6000).phase is ShadowPhase.WAITING
    over = expired(ShadowCourse(), TERMS, 6001)
    late = instant(ShadowCourse(), TERMS, prices("90"), 6001)

    assert over == late
    assert (over.phase, over.ended_ms) == (ShadowPhase.NOT_FILLED, 6000)
    assert result_of(over, TERMS).net_quote == 0


def test_stop_and_target_in_one_instant_count_as_the_stop() -> None:
    course = instant(held(), TERMS, prices("105", "97.5"), 3000)

    assert course.phase is ShadowPhase.STOP_LOSS


def test_in_the_instant_of_the_entry_a_stop_counts_and_a_target_does_not() -> None:
    lucky = instant(ShadowCourse(), TERMS, prices("99", "105"), 2000)
    unlucky = instant(ShadowCourse(), TERMS, prices("99", "98"), 2000)

    assert lucky.phase is ShadowPhase.HELD
    assert unlucky.phase is ShadowPhase.STOP_LOSS


@pytest.mark.parametrize(
    ("price", "phase"),
    [
        ("104", ShadowPhase.HELD),
        ("104.01", ShadowPhase.TAKE_PROFIT),
        ("98.01", ShadowPhase.HELD),
        ("98", ShadowPhase.STOP_LOSS),
    ],
)
def test_a_target_needs_a_trade_through_it_and_a_stop_only_one_at_it(
    price: str, phase: ShadowPhase
) -> None:
    assert instant(held(), TERMS, prices(price), 3000).phase is phase


def test_a_stop_sells_at_the_worst_price_of_its_instant_less_slippage_and_taker_fee() -> None:
    course = instant(held(), TERMS, prices("97", "97.5"), 3000)
    result = result_of(course, TERMS)

    assert course.exit_price == Decimal("96.515")
    assert result.fees_quote == Decimal("0.2") + Decimal("193.03") * 20 / 10_000
    assert result.net_quote == Decimal("193.03") - 200 - (result.fees_quote or 0)


def test_a_target_sells_at_its_own_price_with_the_maker_fee() -> None:
    result = result_of(instant(held(), TERMS, prices("110"), 3000), TERMS)

    assert result.fees_quote == Decimal("0.408")
    assert result.net_quote == Decimal("7.592")


def test_a_taking_entry_pays_its_whole_limit_and_the_taker_fee() -> None:
    taking = replace(TERMS, rests=False)
    entered = instant(ShadowCourse(), taking, prices("100"), 2000)
    result = result_of(instant(entered, taking, prices("110"), 3000), taking)

    assert result.fees_quote == Decimal("0.4") + Decimal("0.208")


@pytest.mark.parametrize("phase", [ShadowPhase.UNKNOWN, ShadowPhase.OPEN_AT_END])
def test_what_cannot_be_told_has_no_amount_and_is_not_nothing(phase: ShadowPhase) -> None:
    result = result_of(broken_off(held(), phase, 3000), TERMS)

    assert (result.fees_quote, result.net_quote) == (None, None)


_PRICES = st.lists(st.integers(9000, 11_000), min_size=1, max_size=4)


@settings(max_examples=200, deadline=None)
@given(st.lists(_PRICES, max_size=20))
def test_a_course_ends_once_and_a_stop_never_sells_above_its_price(
    instants: list[list[int]],
) -> None:
    course = ShadowCourse()
    for number, cents in enumerate(instants):
        before = course
        found = [Decimal(c) / 100 for c in cents]
        course = instant(course, TERMS, found, 1001 + number)
        if before.phase in OVER:
            assert course == before
    if course.phase is ShadowPhase.STOP_LOSS:
        assert course.exit_price is not None
        assert course.exit_price < TERMS.sl_price
    if course.phase is ShadowPhase.TAKE_PROFIT:
        assert course.exit_price == TERMS.tp_price
