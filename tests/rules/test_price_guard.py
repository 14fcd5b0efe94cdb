from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livespot.rules.price_guard import (
    CONFIRM_MS,
    CONFIRMATIONS,
    DOUBT_MS,
    JUMP,
    PriceGuard,
    Told,
)


def _guard(level: float = 100.0) -> PriceGuard:
    guard = PriceGuard()
    guard.take(level, 0, Told.BOOK)
    return guard


def test_the_first_price_is_believed() -> None:
    assert PriceGuard().take(3.0, 0, Told.BOOK)


@pytest.mark.parametrize("price", [109.9, 91.0, 100.0])
def test_a_price_within_a_tenth_is_believed_and_becomes_the_level(price: float) -> None:
    guard = _guard()

    assert guard.take(price, 1, Told.BOOK)
    assert not guard.is_doubtful
    assert guard.agrees(price * 1.09)


@pytest.mark.parametrize("price", [60.0, 140.0])
def test_one_price_far_away_is_held_back_and_exposed_by_the_next(price: float) -> None:
    guard = _guard()

    assert not guard.take(price, 1, Told.BOOK)
    assert guard.is_doubtful
    assert guard.exposed(1) is None
    assert guard.take(100.1, 2, Told.BOOK)

    assert not guard.is_doubtful
    assert guard.exposed(2) == price
    assert guard.exposed(2) is None


def test_a_crash_that_books_repeat_is_believed_after_two_seconds() -> None:
    guard = _guard()

    believed = [guard.take(60.0 + i, 500 * i, Told.BOOK) for i in range(5)]

    assert believed == [False, False, False, False, True]
    assert not guard.is_doubtful
    assert guard.exposed(60_000) is None
    assert guard.take(61.0, 2500, Told.BOOK)


def test_a_crash_that_books_and_trades_tell_is_believed_at_the_third_price() -> None:
    guard = _guard()

    assert not guard.take(60.0, 0, Told.BOOK)
    assert not guard.take(60.5, 1, Told.BOOK)
    assert guard.take(60.2, 2, Told.TRADE)


def test_two_prices_alone_are_never_enough() -> None:
    guard = _guard()

    assert not guard.take(60.0, 0, Told.BOOK)
    assert not guard.take(60.0, 60_000, Told.TRADE)


def test_a_third_level_exposes_the_second_and_is_itself_in_question() -> None:
    guard = _guard()
    guard.take(60.0, 0, Told.BOOK)

    assert not guard.take(20.0, 1, Told.BOOK)
    assert guard.exposed(1) == 60.0
    assert guard.is_doubtful


def test_a_jump_that_nothing_follows_is_exposed_once_but_stays_in_question() -> None:
    guard = _guard()
    guard.take(60.0, 0, Told.BOOK)

    assert guard.exposed(DOUBT_MS - 1) is None
    assert guard.exposed(DOUBT_MS) == 60.0
    assert guard.exposed(DOUBT_MS + 500) is None
    assert guard.is_doubtful
    guard.take(100.0, DOUBT_MS + 600, Told.BOOK)
    assert guard.exposed(DOUBT_MS + 600) is None


def test_a_slide_in_small_steps_is_never_held_back() -> None:
    guard = _guard()
    price = 100.0

    for step in range(50):
        price *= 0.95
        assert guard.take(price, step, Told.TRADE)


_PRICES = st.lists(
    st.tuples(st.floats(0.5, 200.0), st.integers(0, 3000), st.sampled_from(Told)), max_size=60
)


@given(_PRICES)
def test_whatever_comes_a_believed_jump_had_its_confirmations(
    told: list[tuple[float, int, Told]],
) -> None:
    """The level never moves by more than a tenth unless the last three prices agree."""
    guard, level, now, seen = _guard(), 100.0, 0, [(100.0, 0)]
    for price, pause, source in told:
        now += pause
        seen.append((price, now))
        if not guard.take(price, now, source):
            continue
        if max(price / level, level / price) > JUMP:
            tail = [p for p, _ in seen[-CONFIRMATIONS:]]
            assert all(max(a / b, b / a) <= JUMP for a, b in pairwise(tail))
        level = price
        assert guard.agrees(level)


@given(_PRICES, st.floats(20.0, 500.0))
def test_any_true_level_is_believed_again_soon(
    told: list[tuple[float, int, Told]], truth: float
) -> None:
    """No history of nonsense can blind it: a steady level is believed after two seconds."""
    guard, now = _guard(), 0
    for price, pause, source in told:
        now += pause
        guard.take(price, now, source)

    believed = []
    for _ in range(CONFIRMATIONS + 1):
        now += CONFIRM_MS
        believed.append(guard.take(truth, now, Told.BOOK))

    assert believed[-1]
    assert not guard.is_doubtful
