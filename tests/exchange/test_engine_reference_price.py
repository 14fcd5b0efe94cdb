"""What percent and notional filters compare with, and the range a taker may trade in."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livespot.exchange.averages import AveragePrices
from livespot.exchange.model import PriceRange, Rejection
from livespot.exchange.specs import symbol_spec
from livespot.testing.spot_desk import BASIC_FILTERS, START_MS, SYMBOL, SpotDesk, symbol_row

BUY = "side=BUY type=LIMIT timeInForce=GTC quantity=1"
SELL = "side=SELL type=LIMIT timeInForce=GTC quantity=1"
PERCENT = {
    "filterType": "PERCENT_PRICE",
    "multiplierUp": "1.1",
    "multiplierDown": "0.9",
    "avgPriceMins": 5,
}
BY_SIDE = {
    "filterType": "PERCENT_PRICE_BY_SIDE",
    "bidMultiplierUp": "1.2",
    "bidMultiplierDown": "0.5",
    "askMultiplierUp": "3",
    "askMultiplierDown": "0.95",
    "avgPriceMins": 1,
}
BOUNDS = PriceRange(
    bid_up=Decimal("1.015"),
    bid_down=Decimal("0.9"),
    ask_up=Decimal("1.5"),
    ask_down=Decimal("0.995"),
)


def desk_with(*filters: Mapping[str, Any]) -> SpotDesk:
    """A desk whose market has traded at 100 and offers 101 and 102."""
    desk = SpotDesk(symbol_row((*BASIC_FILTERS, *filters)))
    desk.book()
    desk.print_buy("100")
    return desk


def passes(desk: SpotDesk, params: str) -> bool:
    """Whether an order gets through the filters; it leaves no trace."""
    pairs = dict(pair.split("=") for pair in params.split()) | {"symbol": SYMBOL}
    try:
        desk.engine.test_order("alice", pairs, desk.now_ms)
    except Rejection as refused:
        if not refused.msg.startswith("Filter failure: "):
            raise
        return False
    return True


def test_symbol_never_had_a_reference_price_then_has_one_then_none_for_now() -> None:
    desk = SpotDesk()
    assert desk.engine.reference_price(SYMBOL) is None
    desk.engine.set_reference_price(SYMBOL, Decimal("99.5"), desk.now_ms)
    assert desk.engine.reference_price(SYMBOL) == (Decimal("99.5"), START_MS)
    desk.engine.set_reference_price(SYMBOL, None, desk.now_ms + 7)
    assert desk.engine.reference_price(SYMBOL) == (None, START_MS + 7)


def test_percent_filter_compares_with_the_reference_price_while_there_is_one() -> None:
    desk = desk_with(PERCENT)
    assert passes(desk, f"{BUY} price=109")
    desk.engine.set_reference_price(SYMBOL, Decimal(90), desk.now_ms)
    assert not passes(desk, f"{BUY} price=109")
    assert passes(desk, f"{BUY} price=81")
    desk.engine.set_reference_price(SYMBOL, None, desk.now_ms)
    assert passes(desk, f"{BUY} price=109")
    assert not passes(desk, f"{BUY} price=81")


def test_each_percent_filter_averages_over_its_own_minutes() -> None:
    desk = desk_with(PERCENT, BY_SIDE)
    desk.now_ms += 120_000
    desk.print_buy("140", "1")
    # Five minutes: 120, so 108 to 132. One minute: 140, so a sell needs 133.
    assert not passes(desk, f"{SELL} price=132")
    assert not passes(desk, f"{SELL} price=133")
    assert passes(desk, f"{BUY} price=132")
    assert not passes(desk, f"{BUY} price=132.01")
    desk.now_ms += 61_000
    desk.print_sell("100", "2")
    assert passes(desk, f"{SELL} price=110")


def test_zero_minutes_mean_the_last_price() -> None:
    desk = desk_with(PERCENT | {"avgPriceMins": 0})
    desk.print_buy("140", "0.1")
    assert passes(desk, f"{BUY} price=126")
    assert not passes(desk, f"{BUY} price=125.99")


def test_symbol_remembers_trades_as_long_as_its_longest_filter_looks_back() -> None:
    desk = desk_with(PERCENT | {"avgPriceMins": 60})
    desk.now_ms += 3_000_000
    desk.print_buy("140", "1")
    assert passes(desk, f"{BUY} price=132")
    desk.now_ms += 600_001
    assert not passes(desk, f"{BUY} price=125")
    assert desk.engine.average_price(SYMBOL, desk.now_ms) == Decimal(140)


def test_new_rules_start_with_the_trades_already_known() -> None:
    desk = desk_with()
    desk.print_buy("110", "1")
    desk.engine.set_symbol(
        symbol_spec(symbol_row((*BASIC_FILTERS, PERCENT | {"avgPriceMins": 30})))
    )
    assert passes(desk, f"{BUY} price=115.5")
    assert not passes(desk, f"{BUY} price=115.51")


def test_stop_prices_are_free_of_the_percent_filter() -> None:
    desk = desk_with(PERCENT)
    assert passes(desk, "side=SELL type=STOP_LOSS quantity=1 stopPrice=20")
    stop_limit = "side=SELL type=STOP_LOSS_LIMIT timeInForce=GTC quantity=1 stopPrice=20"
    assert passes(desk, f"{stop_limit} price=95")
    assert not passes(desk, f"{stop_limit} price=20")


def test_notional_of_a_market_order_is_measured_at_the_reference_price() -> None:
    desk = desk_with()
    market = "side=SELL type=MARKET quantity=0.06"
    assert passes(desk, market)
    desk.engine.set_reference_price(SYMBOL, Decimal(80), desk.now_ms)
    assert not passes(desk, market)


def test_both_notional_filters_of_a_symbol_hold_with_their_own_minutes() -> None:
    minimum = {
        "filterType": "MIN_NOTIONAL",
        "minNotional": "100",
        "applyToMarket": True,
        "avgPriceMins": 0,
    }
    desk = desk_with(minimum)
    desk.print_buy("200", "0.01")
    assert passes(desk, "side=SELL type=MARKET quantity=0.5")
    assert not passes(desk, "side=SELL type=MARKET quantity=0.499")
    assert not passes(desk, "side=SELL type=MARKET quantity=0.04")


def test_zero_maximum_notional_is_no_maximum() -> None:
    rule = {
        "filterType": "NOTIONAL",
        "minNotional": "5",
        "applyMinToMarket": True,
        "maxNotional": "0",
        "applyMaxToMarket": True,
    }
    desk = SpotDesk(symbol_row((rule,)))
    assert desk.order("side=BUY type=LIMIT timeInForce=GTC quantity=1 price=5")["orderId"] == 1


def test_taker_trades_within_the_range_and_expires_at_the_first_match_beyond() -> None:
    desk = desk_with()
    desk.engine.set_reference_price(SYMBOL, Decimal(100), desk.now_ms)
    desk.engine.set_execution_rules(SYMBOL, BOUNDS)
    reply = desk.order("side=BUY type=MARKET quantity=12")
    assert (reply["status"], reply["executedQty"]) == ("EXPIRED", "10.00000000")
    assert reply["expiryReason"] == "EXECUTION_RULE_PRICE_RANGE_EXCEEDED"
    sold = desk.order("side=SELL type=LIMIT timeInForce=GTC quantity=12 price=99")
    assert (sold["status"], sold["executedQty"]) == ("EXPIRED", "10.00000000")
    assert sold["expiryReason"] == "EXECUTION_RULE_PRICE_RANGE_EXCEEDED"
    assert desk.held("BTC")[1] == "0"


def test_fill_or_kill_beyond_the_range_expires_before_any_fill() -> None:
    desk = desk_with()
    desk.engine.set_reference_price(SYMBOL, Decimal(100), desk.now_ms)
    desk.engine.set_execution_rules(SYMBOL, BOUNDS)
    reply = desk.order("side=BUY type=LIMIT timeInForce=FOK quantity=12 price=102")
    assert (reply["status"], reply["executedQty"]) == ("EXPIRED", "0.00000000")
    assert reply["expiryReason"] == "EXECUTION_RULE_PRICE_RANGE_EXCEEDED"


@pytest.mark.parametrize("missing", ["rule", "bound", "reference", "null reference"])
def test_price_range_is_not_enforced_without_rule_bound_or_reference(missing: str) -> None:
    desk = desk_with()
    if missing != "reference":
        price = None if missing == "null reference" else Decimal(100)
        desk.engine.set_reference_price(SYMBOL, price, desk.now_ms)
    if missing != "rule":
        bound = PriceRange(bid_down=Decimal("0.9")) if missing == "bound" else BOUNDS
        desk.engine.set_execution_rules(SYMBOL, bound)
    assert desk.order("side=BUY type=MARKET quantity=12")["status"] == "FILLED"


def test_resting_orders_are_met_outside_the_range_too() -> None:
    desk = desk_with()
    desk.order("side=BUY type=LIMIT_MAKER quantity=1 price=98")
    desk.engine.set_reference_price(SYMBOL, Decimal(100), desk.now_ms)
    desk.engine.set_execution_rules(SYMBOL, BOUNDS)
    desk.book(bids="", asks="97x5")
    assert desk.status(1) == "FILLED"


def test_execution_rules_are_published_without_open_bounds() -> None:
    desk = SpotDesk()
    assert desk.engine.execution_rules(SYMBOL) == []
    rule = PriceRange(bid_up=Decimal("1.0001"), ask_down=Decimal("0.9999"))
    desk.engine.set_execution_rules(SYMBOL, rule)
    assert desk.engine.execution_rules(SYMBOL) == [
        {"ruleType": "PRICE_RANGE", "bidLimitMultUp": "1.0001", "askLimitMultDown": "0.9999"}
    ]


@given(
    trades=st.lists(
        st.tuples(
            st.integers(0, 90_000),
            st.decimals("1", "99", places=2),
            st.decimals("1", "9", places=1),
        ),
        max_size=30,
    ),
    later=st.integers(0, 400_000),
)
def test_running_averages_equal_those_summed_anew(
    trades: list[tuple[int, Decimal, Decimal]], later: int
) -> None:
    averages = AveragePrices()
    averages.keep((1, 2, 0))
    now_ms, rows = 0, []
    for gap, price, qty in trades:
        now_ms += gap
        averages.add(now_ms, price, qty)
        rows.append((now_ms, price, qty))
    now_ms += later
    for minutes in (1, 2, 5):
        inside = [(p, q) for at, p, q in rows if at > now_ms - minutes * 60_000]
        volume = sum(q for _, q in inside)
        expected = sum(p * q for p, q in inside) / volume if volume else None
        assert averages.over(minutes, now_ms) == expected
