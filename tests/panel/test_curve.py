"""The curve adds up exactly, and its drawdown is the fall from the highest point so far."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from livespot.panel.curve import curve_of

_RESULTS = st.lists(st.decimals(-100, 100, places=4), max_size=30)


@given(_RESULTS, st.decimals(-100, 100, places=4))
def test_the_curve_ends_at_the_sum_of_everything(results: list[Decimal], open_: Decimal) -> None:
    curve = curve_of([(at, value) for at, value in enumerate(results)], open_, 1000)

    assert Decimal(curve.equity_quote[-1]) == sum(results) + open_
    assert curve.at_ms[-1] == 1000
    assert len(curve.at_ms) == len(curve.equity_quote) == len(curve.drawdown_quote)


@given(_RESULTS)
def test_drawdown_is_never_negative_and_nothing_at_a_new_high(results: list[Decimal]) -> None:
    curve = curve_of([(at, value) for at, value in enumerate(results)], Decimal(0), 1000)

    peak = Decimal(0)
    for equity, fall in zip(curve.equity_quote, curve.drawdown_quote, strict=True):
        peak = max(peak, Decimal(equity))
        assert Decimal(fall) == peak - Decimal(equity)


def test_without_every_price_the_curve_ends_where_it_is_known() -> None:
    curve = curve_of([(5, Decimal("1.5"))], None, 1000)

    assert curve.at_ms == (5,)
    assert curve.unknown["now"]
