"""Quantiles by nearest rank, and nothing invented where nothing was measured."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livespot.evidence.fingerprint import distribution
from livespot.evidence.particulars import FillSeen


@given(st.lists(st.integers(-(10**6), 10**6), min_size=1))
def test_quantiles_are_measured_values_in_order(values: list[int]) -> None:
    spread = distribution(values, "")
    found = [spread.p50, spread.p95, spread.p99, spread.most]

    assert all(value in values for value in found)
    assert found == sorted(found, key=lambda value: value or 0)
    assert spread.most == max(values)


def test_the_ranks_are_those_of_the_definition() -> None:
    spread = distribution(range(1, 201), "")

    assert (spread.p50, spread.p95, spread.p99) == (100, 190, 198)


def test_nothing_measured_is_unknown_and_not_zero() -> None:
    spread = distribution((), "nothing was filled")

    assert (spread.count, spread.p50, spread.most) == (0, None, None)
    assert spread.unknown == "nothing was filled"


@pytest.mark.parametrize(
    ("side", "price", "planned", "bps"),
    [
        ("BUY", "101", "100", 100),
        ("BUY", "99", "100", -100),
        ("SELL", "99", "100", 100),
        ("SELL", "99", None, None),
    ],
)
def test_slippage_is_what_was_worse_than_planned(
    side: str, price: str, planned: str | None, bps: int | None
) -> None:
    fill = FillSeen(
        symbol="SOLUSDT",
        side=side,
        price=Decimal(price),
        late_ms=1,
        source="STREAM",
        role="SL",
        planned=None if planned is None else Decimal(planned),
    )

    assert fill.slippage_bps == bps
