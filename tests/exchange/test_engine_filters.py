"""Filters and parameters: what is refused before the engine, with which code and text."""

from collections.abc import Mapping
from typing import Any

import pytest

from livespot.exchange.model import OrderLimits, Rejection
from livespot.testing.spot_desk import BASIC_FILTERS, SpotDesk, refusal, symbol_row

BUY = "side=BUY type=LIMIT timeInForce=GTC"
OCO = "side=SELL quantity=1 aboveType=LIMIT_MAKER abovePrice=110 belowType=STOP_LOSS "
OCO += "belowStopPrice=95"


def desk_with(*filters: Mapping[str, Any]) -> SpotDesk:
    """A desk at 100 whose symbol has the basic filters and these."""
    desk = SpotDesk(symbol_row((*BASIC_FILTERS, *filters)))
    desk.book()
    desk.print_buy("100", "0.5")
    return desk


def refused(desk: SpotDesk, params: str) -> tuple[int, str]:
    """How the desk refuses an order."""
    with pytest.raises(Rejection) as caught:
        desk.order(params)
    return refusal(caught.value)


@pytest.mark.parametrize(
    ("params", "name"),
    [
        (f"{BUY} quantity=1 price=99.999", "PRICE_FILTER"),
        (f"{BUY} quantity=1 price=100001", "PRICE_FILTER"),
        (f"{BUY} quantity=1 price=0", "PRICE_FILTER"),
        ("side=SELL type=STOP_LOSS quantity=1 stopPrice=90.001", "PRICE_FILTER"),
        (f"{BUY} quantity=0.0005 price=99", "LOT_SIZE"),
        (f"{BUY} quantity=1.0005 price=99", "LOT_SIZE"),
        (f"{BUY} quantity=1001 price=99", "LOT_SIZE"),
        (f"{BUY} quantity=2 icebergQty=0.0005 price=99", "LOT_SIZE"),
        (f"{BUY} quantity=0.05 price=99.99", "NOTIONAL"),
        ("side=BUY type=MARKET quantity=0.049", "NOTIONAL"),
        ("side=BUY type=MARKET quoteOrderQty=4.99", "NOTIONAL"),
        ("side=SELL type=LIMIT timeInForce=GTC quantity=10 price=99999", "NOTIONAL"),
    ],
)
def test_basic_filters_name_themselves(params: str, name: str) -> None:
    assert refused(desk_with(), params) == (-1013, f"Filter failure: {name}")


@pytest.mark.parametrize(
    ("rule", "params"),
    [
        (
            {"filterType": "MARKET_LOT_SIZE", "minQty": "0", "maxQty": "5", "stepSize": "0"},
            "side=BUY type=MARKET quantity=6",
        ),
        (
            {"filterType": "PERCENT_PRICE", "multiplierUp": "1.1", "multiplierDown": "0.9"},
            f"{BUY} quantity=1 price=89",
        ),
        (
            {
                "filterType": "PERCENT_PRICE_BY_SIDE",
                "bidMultiplierUp": "1.2",
                "bidMultiplierDown": "0.8",
                "askMultiplierUp": "2",
                "askMultiplierDown": "0.95",
            },
            "side=SELL type=LIMIT timeInForce=GTC quantity=1 price=94",
        ),
        (
            {"filterType": "MIN_NOTIONAL", "minNotional": "20", "applyToMarket": True},
            "side=SELL type=MARKET quantity=0.1",
        ),
        (
            {"filterType": "ICEBERG_PARTS", "limit": 10},
            f"{BUY} quantity=1.1 icebergQty=0.1 price=99",
        ),
        ({"filterType": "MAX_POSITION", "maxPosition": "10.5"}, f"{BUY} quantity=1 price=99"),
        (
            {
                "filterType": "TRAILING_DELTA",
                "minTrailingAboveDelta": 10,
                "maxTrailingAboveDelta": 2000,
                "minTrailingBelowDelta": 100,
                "maxTrailingBelowDelta": 2000,
            },
            "side=SELL type=STOP_LOSS quantity=1 trailingDelta=50",
        ),
    ],
)
def test_further_filters_name_themselves(rule: Mapping[str, Any], params: str) -> None:
    expected = (-1013, f"Filter failure: {rule['filterType']}")
    assert refused(desk_with(rule), params) == expected


def test_trailing_take_profit_sell_is_bound_by_the_above_side() -> None:
    rule = {
        "filterType": "TRAILING_DELTA",
        "minTrailingAboveDelta": 10,
        "maxTrailingAboveDelta": 2000,
        "minTrailingBelowDelta": 100,
        "maxTrailingBelowDelta": 2000,
    }
    desk = desk_with(rule)
    reply = desk.order("side=SELL type=TAKE_PROFIT quantity=1 stopPrice=120 trailingDelta=50")
    assert reply["orderId"] == 1


@pytest.mark.parametrize(
    ("rule", "first", "second"),
    [
        (
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 1},
            f"{BUY} quantity=1 price=99",
            f"{BUY} quantity=1 price=99",
        ),
        (
            {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 1},
            "side=SELL type=STOP_LOSS quantity=1 stopPrice=90",
            "side=SELL type=TAKE_PROFIT quantity=1 stopPrice=120",
        ),
        (
            {"filterType": "MAX_NUM_ICEBERG_ORDERS", "maxNumIcebergOrders": 1},
            f"{BUY} quantity=1 icebergQty=0.5 price=99",
            f"{BUY} quantity=1 icebergQty=0.5 price=99",
        ),
    ],
)
def test_open_orders_are_counted(rule: Mapping[str, Any], first: str, second: str) -> None:
    desk = desk_with(rule)
    desk.order(first)
    assert refused(desk, second) == (-1013, f"Filter failure: {rule['filterType']}")
    desk.cancel("orderId=1")
    assert desk.order(second)["orderId"] == 2


def test_list_counts_as_one_list_and_all_its_orders() -> None:
    rule = {"filterType": "MAX_NUM_ORDER_LISTS", "maxNumOrderLists": 1}
    desk = desk_with(rule, {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 5})
    desk.place_list("oco", OCO)
    with pytest.raises(Rejection) as caught:
        desk.place_list("oco", OCO)
    assert caught.value.msg == "Filter failure: MAX_NUM_ORDER_LISTS"
    tight = desk_with({"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 1})
    with pytest.raises(Rejection) as caught:
        tight.place_list("oco", OCO)
    assert caught.value.msg == "Filter failure: MAX_NUM_ORDERS"


def test_zero_tick_and_step_disable_the_grid() -> None:
    row = symbol_row(
        (
            {"filterType": "PRICE_FILTER", "minPrice": "0", "maxPrice": "0", "tickSize": "0"},
            {"filterType": "LOT_SIZE", "minQty": "0", "maxQty": "0", "stepSize": "0"},
        )
    )
    assert SpotDesk(row).order(f"{BUY} quantity=1.2345678 price=0.0000001")["orderId"] == 1


def lacking(name: str) -> tuple[int, str]:
    """The refusal for an absent parameter."""
    return -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."


def unneeded(name: str) -> tuple[int, str]:
    """The refusal for a parameter that has no place in the request."""
    return -1106, f"Parameter '{name}' sent when not required."


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ("symbol=NOPE side=BUY type=MARKET quantity=1", (-1121, "Invalid symbol.")),
        ("symbol= side=BUY type=MARKET quantity=1", lacking("symbol")),
        ("type=MARKET quantity=1", lacking("side")),
        ("side=BUY quantity=1", lacking("type")),
        ("side=LONG type=MARKET quantity=1", (-1117, "Invalid side.")),
        ("side=BUY type=PEG quantity=1", (-1116, "Invalid orderType.")),
        (f"{BUY} price=99", lacking("quantity")),
        (f"{BUY} quantity=1", lacking("price")),
        ("side=BUY type=LIMIT quantity=1 price=99", lacking("timeInForce")),
        (
            "side=BUY type=LIMIT quantity=1 price=99 timeInForce=DAY",
            (-1115, "Invalid timeInForce."),
        ),
        (
            "side=BUY type=MARKET",
            (
                -1102,
                "Param 'quantity' or 'quoteOrderQty' must be sent, but both were empty/null!",
            ),
        ),
        (
            "side=SELL type=STOP_LOSS quantity=1",
            (-1102, "Param 'stopPrice' or 'trailingDelta' must be sent, but both were empty/null!"),
        ),
        ("side=BUY type=MARKET quantity=1 quoteOrderQty=9", unneeded("quoteOrderQty")),
        ("side=BUY type=MARKET quantity=1 price=9", unneeded("price")),
        (
            "side=BUY type=MARKET quantity=1 timeInForce=GTC",
            (-1114, "TimeInForce parameter sent when not required."),
        ),
        (f"{BUY} quantity=1 price=99 stopPrice=9", unneeded("stopPrice")),
        ("side=BUY type=MARKET quantity=1 icebergQty=1", unneeded("icebergQty")),
        (f"{BUY} quantity=1 price=", lacking("price")),
        (
            f"{BUY} quantity=1.123456789 price=9",
            (-1111, "Parameter 'quantity' has too much precision."),
        ),
        (
            f"{BUY} quantity=1 price=9.123456789",
            (-1111, "Parameter 'price' has too much precision."),
        ),
        (f"{BUY} quantity=2 price=99 icebergQty=3", (-2010, "IcebergQty exceeds QTY.")),
        (
            f"{BUY} quantity=2 price=99 strategyType=5",
            (-1134, "strategyType was less than 1000000."),
        ),
        (
            f"{BUY} quantity=2 price=99 selfTradePreventionMode=SOME",
            (-1013, "This symbol does not allow the specified self-trade prevention mode."),
        ),
        (
            f"{BUY} quantity=2 price=99 leverage=9 recvWindow=5",
            (-1104, "Not all sent parameters were read; read '7' parameter(s) but was sent '8'."),
        ),
    ],
)
def test_malformed_order_is_refused_with_its_own_code(
    params: str, expected: tuple[int, str]
) -> None:
    assert refused(desk_with(), params) == expected


@pytest.mark.parametrize(
    ("params", "name"),
    [
        (f"{BUY} quantity=1e3 price=99", "quantity"),
        (f"{BUY} quantity=-1 price=99", "quantity"),
        (f"{BUY} quantity=1 price=99 newClientOrderId=a.b", "newClientOrderId"),
        (f"{BUY} quantity=1 price=99 newClientOrderId={'a' * 37}", "newClientOrderId"),
        ("side=SELL type=STOP_LOSS quantity=1 trailingDelta=1.5", "trailingDelta"),
    ],
)
def test_illegal_characters_are_named(params: str, name: str) -> None:
    code, text = refused(desk_with(), params)
    assert code == -1100
    assert text.startswith(f"Illegal characters found in parameter '{name}'; legal range is '")


def test_symbol_decides_which_order_types_it_takes() -> None:
    desk = SpotDesk(symbol_row(orderTypes=["LIMIT"], quoteOrderQtyMarketAllowed=False))
    desk.book()
    stop = "side=SELL type=STOP_LOSS quantity=1 stopPrice=90"
    assert refused(desk, stop) == (-2010, "Stop loss orders are not supported for this symbol.")
    plain = SpotDesk(symbol_row(quoteOrderQtyMarketAllowed=False, allowTrailingStop=False))
    plain.book()
    assert refused(plain, "side=BUY type=MARKET quoteOrderQty=50") == (
        -2010,
        "Quote order qty market orders are not support for this symbol.",
    )
    assert refused(plain, "side=SELL type=STOP_LOSS quantity=1 trailingDelta=50") == (
        -2010,
        "Trailing stop orders are not supported for this symbol.",
    )


def test_test_order_validates_but_leaves_no_trace() -> None:
    desk = desk_with()
    desk.engine.drain_events()
    params = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "1"}
    assert desk.engine.test_order("alice", params, desk.now_ms) == {}
    rates = desk.engine.test_order(
        "alice", params | {"computeCommissionRates": "true"}, desk.now_ms
    )
    assert rates["standardCommissionForOrder"] == {"maker": "0.00100000", "taker": "0.00100000"}
    with pytest.raises(Rejection):
        desk.engine.test_order("alice", params | {"quantity": "0.00001"}, desk.now_ms)
    assert desk.engine.drain_events() == []
    assert desk.engine.order_counts("alice", desk.now_ms) == (0, 0)


def test_orders_over_the_window_limit_are_refused_until_it_turns() -> None:
    desk = SpotDesk(limits=OrderLimits(ten_seconds=2))
    desk.book()
    for _ in range(2):
        desk.order(f"{BUY} quantity=1 price=99")
    with pytest.raises(Rejection) as caught:
        desk.order(f"{BUY} quantity=1 price=99")
    text = "Too many new orders; current limit is 2 orders per 10 SECOND."
    assert refusal(caught.value) == (-1015, text)
    assert caught.value.http_status == 429
    desk.now_ms += 10_000
    desk.order(f"{BUY} quantity=1 price=99")
    assert desk.engine.order_counts("alice", desk.now_ms) == (1, 3)


def test_first_fill_gives_order_credit_back_and_later_fills_do_not() -> None:
    desk = SpotDesk()
    desk.book()
    for _ in range(7):
        desk.order(f"{BUY} quantity=1 price=99")
    desk.order("side=BUY type=MARKET quantity=1")
    assert desk.engine.order_counts("alice", desk.now_ms) == (7, 7)
    desk.print_sell("99", "10.5")
    assert desk.engine.order_counts("alice", desk.now_ms) == (2, 2)
    desk.print_sell("99", "0.5")
    assert desk.engine.order_counts("alice", desk.now_ms) == (2, 2)


def test_lists_count_every_order_in_them() -> None:
    desk = desk_with()
    desk.place_list("oco", OCO)
    assert desk.engine.order_counts("alice", desk.now_ms) == (2, 2)


def test_day_over_its_limit_stops_the_short_window_too() -> None:
    desk = SpotDesk(limits=OrderLimits(ten_seconds=50, day=1))
    desk.book()
    desk.order(f"{BUY} quantity=1 price=99")
    assert refused(desk, f"{BUY} quantity=1 price=99") == (
        -1015,
        "Too many new orders; current limit is 1 orders per 1 DAY.",
    )


@pytest.mark.parametrize(
    ("limits", "window"),
    [
        pytest.param(OrderLimits(ten_seconds=3, day=50), "3 orders per 10 SECOND", id="short"),
        pytest.param(OrderLimits(ten_seconds=50, day=3), "3 orders per 1 DAY", id="day"),
    ],
)
def test_list_needs_room_for_all_its_orders_in_the_window(limits: OrderLimits, window: str) -> None:
    desk = SpotDesk(limits=limits)
    desk.book()
    desk.place_list("oco", OCO)
    with pytest.raises(Rejection) as caught:
        desk.place_list("oco", OCO)
    assert refusal(caught.value) == (-1015, f"Too many new orders; current limit is {window}.")
    desk.order(f"{BUY} quantity=1 price=99")
    assert desk.engine.order_counts("alice", desk.now_ms) == (3, 3)


def test_market_buy_by_amount_keeps_to_the_largest_position() -> None:
    desk = desk_with({"filterType": "MAX_POSITION", "maxPosition": "11"})
    text = (-1013, "Filter failure: MAX_POSITION")
    assert refused(desk, "side=BUY type=MARKET quoteOrderQty=102") == text
    assert desk.order("side=BUY type=MARKET quoteOrderQty=101")["executedQty"] == "1.00000000"


def test_iceberg_that_does_not_stay_is_no_combination() -> None:
    text = (-1014, "Unsupported order combination.")
    params = "side=BUY type=LIMIT timeInForce=IOC quantity=2 price=99 icebergQty=1"
    assert refused(SpotDesk(), params) == text
    assert refused(SpotDesk(), f"{BUY} quantity=1 price=99999999999") == (
        -1108,
        "Parameter 'price' overflowed.",
    )
