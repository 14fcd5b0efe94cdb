from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livespot.contracts.amounts import decimals_of
from livespot.contracts.codes import ReasonCode
from livespot.contracts.market import PercentPriceBand, TrailingDeltaBounds
from livespot.contracts.vocabulary import OrderType, Side
from livespot.rules.quantize import (
    OrderDraft,
    OrderRefused,
    Quantized,
    check_order,
    is_on_step,
    is_on_tick,
    orders_fit,
    protectable,
    quantize_price,
    quantize_qty,
    sellable_after_fee,
)
from livespot.testing.market_values import some_constraints

_STEPS = st.sampled_from(["0.00000001", "0.00001000", "0.001", "0.5", "1", "10", "0.25"])
_AMOUNTS = st.decimals(min_value=0, max_value=10**9, places=12, allow_nan=False)


def _check(draft: OrderDraft, reference: str = "100", **changes: Any) -> Quantized | OrderRefused:
    return check_order(draft, some_constraints(**changes), reference_price=Decimal(reference))


def _limit(price: str = "100", qty: str = "1", side: Side = Side.BUY) -> OrderDraft:
    return OrderDraft(type=OrderType.LIMIT, side=side, qty=Decimal(qty), price=Decimal(price))


def _market(qty: str = "1") -> OrderDraft:
    return OrderDraft(type=OrderType.MARKET, side=Side.SELL, qty=Decimal(qty))


def _filter_of(result: Quantized | OrderRefused) -> str:
    return result.filter_name if isinstance(result, OrderRefused) else ""


@given(_AMOUNTS, _STEPS)
def test_flooring_never_rises_and_loses_less_than_one_step(value: Decimal, text: str) -> None:
    step = Decimal(text)

    floored = quantize_qty(value, some_constraints(step_size=step, qty_decimals=0))

    assert floored <= value < floored + step
    assert floored % step == 0
    assert floored.as_tuple().exponent == -decimals_of(step)


@given(_AMOUNTS, _STEPS)
def test_flooring_twice_changes_nothing(value: Decimal, text: str) -> None:
    constraints = some_constraints(
        tick_size=Decimal(text), price_decimals=decimals_of(Decimal(text))
    )

    once = quantize_price(value, constraints)

    assert quantize_price(once, constraints) == once
    assert str(quantize_price(once, constraints)) == str(once)


@given(_AMOUNTS, _STEPS)
def test_what_is_on_the_grid_is_what_flooring_leaves_alone(value: Decimal, text: str) -> None:
    constraints = some_constraints(tick_size=Decimal(text), step_size=Decimal(text))
    floored = quantize_price(value, constraints)

    assert is_on_tick(value, constraints) is (floored == value)
    assert is_on_step(value, constraints) is (quantize_qty(value, constraints) == value)
    assert is_on_tick(floored, constraints)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-1"])
def test_what_is_no_amount_is_on_no_grid(value: str) -> None:
    with pytest.raises(ValueError, match="finite and not negative"):
        is_on_tick(Decimal(value), some_constraints())


def test_thirty_digits_are_not_rounded_up_on_the_way() -> None:
    value = Decimal("0." + "9" * 30)

    assert quantize_qty(value, some_constraints(step_size=Decimal(1), qty_decimals=0)) == 0


def test_a_good_order_comes_back_on_its_grid() -> None:
    result = _check(_limit("100.019", "1.0009"))

    assert isinstance(result, Quantized)
    assert (str(result.price), str(result.qty)) == ("100.01", "1.000")


@pytest.mark.parametrize(
    ("draft", "changes", "refused_by"),
    [
        pytest.param(_limit(qty="0.05"), {}, "", id="notional-at-minimum"),
        pytest.param(_limit(qty="0.049"), {}, "NOTIONAL", id="notional-below"),
        pytest.param(_limit(qty="2"), {"min_qty": Decimal(2)}, "", id="quantity-at-minimum"),
        pytest.param(_limit(qty="1.999"), {"min_qty": Decimal(2)}, "LOT_SIZE", id="below"),
        pytest.param(_limit(qty="9000"), {}, "", id="quantity-at-maximum"),
        pytest.param(_limit(qty="9000.001"), {}, "LOT_SIZE", id="above"),
        pytest.param(_limit(qty="1"), {"max_notional": Decimal(100)}, "", id="at-max-notional"),
        pytest.param(_limit(qty="1.001"), {"max_notional": Decimal(100)}, "NOTIONAL", id="over"),
        pytest.param(_limit("100"), {"max_price": Decimal(100)}, "", id="price-at-maximum"),
        pytest.param(
            _limit("100.01"), {"max_price": Decimal(100)}, "PRICE_FILTER", id="price-over"
        ),
        pytest.param(_limit("100"), {"min_price": Decimal(100)}, "", id="price-at-minimum"),
        pytest.param(
            _limit("99.99"), {"min_price": Decimal(100)}, "PRICE_FILTER", id="price-under"
        ),
        pytest.param(_limit("1000"), {"max_price": Decimal(0)}, "", id="zero-bound-is-no-bound"),
        pytest.param(_market("1.5"), {"market_step_size": Decimal(1)}, "", id="market-step"),
        pytest.param(
            _market("3"), {"market_max_qty": Decimal(2)}, "MARKET_LOT_SIZE", id="market-max"
        ),
        pytest.param(
            _market("1"), {"market_min_qty": Decimal(2)}, "MARKET_LOT_SIZE", id="market-min"
        ),
        pytest.param(_market("0.049"), {}, "NOTIONAL", id="market-uses-the-reference"),
        pytest.param(_limit("0.009"), {}, "PRICE_FILTER", id="floored-to-nothing"),
        pytest.param(_limit(qty="NaN"), {}, "LOT_SIZE", id="not-a-number"),
    ],
)
def test_bounds_are_checked_after_flooring(
    draft: OrderDraft, changes: dict[str, Any], refused_by: str
) -> None:
    assert _filter_of(_check(draft, **changes)) == refused_by


@pytest.mark.parametrize(
    ("price", "side", "refused"),
    [
        ("109.78", Side.BUY, False),
        ("109.79", Side.BUY, True),
        ("90.18", Side.BUY, False),
        ("90.17", Side.BUY, True),
        ("119.76", Side.SELL, False),
        ("119.77", Side.SELL, True),
    ],
)
def test_the_price_band_is_narrowed_by_a_margin(price: str, side: Side, refused: bool) -> None:
    band = PercentPriceBand(
        bid_up=Decimal("1.1"),
        bid_down=Decimal("0.9"),
        ask_up=Decimal("1.2"),
        ask_down=Decimal("0.8"),
    )

    result = _check(_limit(price, side=side), percent_price=band)

    assert _filter_of(result) == ("PERCENT_PRICE" if refused else "")


@pytest.mark.parametrize(
    ("delta", "refused"), [(9, True), (10, False), (2000, False), (2001, True)]
)
def test_a_trailing_take_profit_uses_the_bounds_above(delta: int, refused: bool) -> None:
    bounds = TrailingDeltaBounds(min_above=10, max_above=2000, min_below=50, max_below=60)
    draft = OrderDraft(
        type=OrderType.TAKE_PROFIT,
        side=Side.SELL,
        qty=Decimal(1),
        stop_price=Decimal(101),
        trailing_delta=delta,
    )

    result = _check(draft, trailing_delta_bounds=bounds)

    assert _filter_of(result) == ("TRAILING_DELTA" if refused else "")


@pytest.mark.parametrize(
    "draft",
    [
        OrderDraft(type=OrderType.LIMIT, side=Side.BUY, qty=Decimal(1)),
        OrderDraft(type=OrderType.MARKET, side=Side.BUY, qty=Decimal(1), price=Decimal(100)),
        OrderDraft(type=OrderType.STOP_LOSS, side=Side.SELL, qty=Decimal(1)),
        OrderDraft(
            type=OrderType.LIMIT,
            side=Side.BUY,
            qty=Decimal(1),
            price=Decimal(9),
            stop_price=Decimal(9),
        ),
    ],
)
def test_an_order_whose_fields_do_not_fit_its_type_is_refused(draft: OrderDraft) -> None:
    result = _check(draft)

    assert isinstance(result, OrderRefused)
    assert result.reason is ReasonCode.PROTECTION_INVALID_FILTER


def test_order_counts_at_the_limit_fit_and_zero_means_no_limit() -> None:
    constraints = some_constraints(max_num_orders=3, max_num_algo_orders=1)

    assert orders_fit(constraints, orders=3, algo_orders=1)
    assert not orders_fit(constraints, orders=4, algo_orders=1)
    assert not orders_fit(constraints, orders=3, algo_orders=2)
    assert orders_fit(
        some_constraints(max_num_orders=0, max_num_algo_orders=0), orders=999, algo_orders=9
    )


def test_what_can_be_sold_is_what_the_fee_left_floored() -> None:
    assert sellable_after_fee(Decimal("2.000"), some_constraints(), 10) == Decimal("1.998")
    assert sellable_after_fee(Decimal("2.001"), some_constraints(), 10) == Decimal("1.998")


@pytest.mark.parametrize(
    ("qty", "holds"), [("0.052", False), ("0.053", True), ("0.001", False), ("0", False)]
)
def test_a_position_must_survive_its_fee_one_step_and_two_percent(qty: str, holds: bool) -> None:
    # 0.053 keeps 0.052 after the fee, one step less is 0.051, times 100 is 1.02 times 5.
    assert protectable(Decimal(qty), some_constraints(), 10, Decimal(100), 200) is holds


@pytest.mark.parametrize(("max_dust_bps", "holds"), [(99, False), (100, True), (101, True)])
def test_steps_lost_to_the_fee_are_limited(max_dust_bps: int, holds: bool) -> None:
    # One step of 0.001 is lost of 0.1: exactly 100 bps.
    assert protectable(Decimal("0.1"), some_constraints(), 10, Decimal(100), max_dust_bps) is holds
