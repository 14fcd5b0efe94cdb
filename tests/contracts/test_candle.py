"""What a candle may hold."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livespot.contracts.market import Candle

_AMOUNTS = st.one_of(
    st.sampled_from([Decimal(text) for text in ("NaN", "-NaN", "sNaN", "Infinity", "-Infinity")]),
    st.decimals("-2", "3", places=0),
)


def _is_true(prices: tuple[Decimal, Decimal, Decimal, Decimal], volume: Decimal) -> bool:
    begin, high, low, end = prices
    return (
        all(price.is_finite() and price > 0 for price in prices)
        and volume.is_finite()
        and volume >= 0
        and low <= min(begin, end)
        and high >= max(begin, end)
    )


@given(prices=st.tuples(_AMOUNTS, _AMOUNTS, _AMOUNTS, _AMOUNTS), volume=_AMOUNTS)
def test_a_candle_holds_finite_prices_above_zero_within_its_range_and_no_negative_volume(
    prices: tuple[Decimal, Decimal, Decimal, Decimal], volume: Decimal
) -> None:
    begin, high, low, end = prices
    fields = {"open": begin, "high": high, "low": low, "close": end, "volume": volume}
    if _is_true(prices, volume):
        assert Candle(open_time_ms=0, **fields).high == high
        return
    with pytest.raises(ValueError, match=r"must be|low <= open"):
        Candle(open_time_ms=0, **fields)
