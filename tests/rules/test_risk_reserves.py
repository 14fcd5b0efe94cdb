from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livespot.rules.reserves import (
    Cash,
    Reserve,
    ReserveState,
    bound,
    cash_seen,
    cash_spent,
    converted,
    ended,
    entry_over,
    held_quote,
    lapsed,
    of_symbol,
    rebuilt,
    reserved,
    resized,
    with_reserve,
)


def _fresh(key: str = "a", amount: str = "100") -> Reserve:
    return reserved(f"dec_{key}", f"{key}USDT", Decimal(amount), expires_at_ms=1000)


def test_a_filled_entry_ends_converted_and_an_unfilled_one_released() -> None:
    open_entry = bound(_fresh(), "oi_1")

    assert ended(open_entry).state is ReserveState.RELEASED
    spent = converted(open_entry, Decimal(40))
    assert (spent.amount_quote, spent.converted_quote) == (Decimal(60), Decimal(40))
    assert ended(spent).state is ReserveState.CONVERTED
    assert ended(spent).amount_quote == 0


def test_an_entry_that_ended_holds_what_its_fills_have_not_shown() -> None:
    over = entry_over(converted(bound(_fresh(), "oi"), Decimal(40)), Decimal(90))

    assert (over.state, over.amount_quote) == (ReserveState.BOUND, Decimal(50))
    assert converted(over, Decimal("49.99999999")).state is ReserveState.CONVERTED
    assert converted(over, Decimal(20)).amount_quote == 30


@pytest.mark.parametrize(("now_ms", "gone"), [(999, False), (1000, False), (1001, True)])
def test_only_an_unbound_reserve_lapses(now_ms: int, gone: bool) -> None:
    book = with_reserve(with_reserve({}, _fresh("a")), bound(_fresh("b"), "oi"))

    assert [r.decision_id for r in lapsed(book, now_ms)] == (["dec_a"] if gone else [])


def test_a_fill_that_overtook_its_entry_binds_the_reserve() -> None:
    assert lapsed(with_reserve({}, converted(_fresh(), Decimal(1))), 9999) == ()


def test_settled_reserves_leave_the_book_and_live_ones_survive_a_restart() -> None:
    book = with_reserve(
        with_reserve({}, _fresh("a")), resized(bound(_fresh("b"), "oi"), Decimal(7))
    )
    book = with_reserve(book, ended(book["dec_a"]))

    again = rebuilt(r.row(5) for r in (*book.values(), ended(_fresh("c"))))

    assert again == book
    assert held_quote(again) == 7
    assert held_quote(again, symbol="aUSDT") == 0
    assert of_symbol(again, "bUSDT") == book["dec_b"]


def test_a_fill_the_account_view_cannot_show_yet_is_deducted_until_it_can() -> None:
    cash = cash_seen(Cash(), Decimal(1000), 100)

    spent = cash_spent(cash, Decimal(200), 150)

    assert spent.spendable == 800
    assert cash_seen(spent, Decimal(1000), 120).spendable == 800
    assert cash_seen(spent, Decimal(800), 150).spendable == 800
    assert cash_seen(spent, Decimal(5), 99) == spent
    assert cash_spent(cash, Decimal(200), 100) == cash


def test_before_the_first_view_nothing_is_free() -> None:
    assert Cash().spendable == 0


_STEPS = st.lists(
    st.tuples(st.sampled_from(["reserve", "bind", "fill", "end", "lapse"]), st.integers(0, 3)),
    max_size=60,
)


@given(_STEPS)
def test_no_history_leaks_a_reserve(steps: list[tuple[str, int]]) -> None:
    book: dict[str, Reserve] = {}
    for step, number in steps:
        key = f"dec_{number}"
        held = book.get(key)
        match step:
            case "reserve" if held is None:
                book = with_reserve(book, _fresh(str(number)))
            case "bind" if held is not None:
                book = with_reserve(book, bound(held, "oi"))
            case "fill" if held is not None:
                book = with_reserve(book, converted(held, Decimal(60)))
            case "end" if held is not None:
                book = with_reserve(book, ended(held))
            case "lapse":
                for reserve in lapsed(book, 1001):
                    book = with_reserve(book, ended(reserve))
            case _:
                continue
        assert all(0 <= r.amount_quote <= 100 for r in book.values())

    for reserve in tuple(book.values()):
        book = with_reserve(book, ended(reserve))
    assert book == {}
    assert held_quote(book) == 0
