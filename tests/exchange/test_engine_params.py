"""Parameters of single orders: for every type what it needs, takes, and must not be sent."""

from itertools import product

import pytest

from livespot.exchange.model import Rejection
from livespot.testing.spot_desk import SpotDesk, refusal

VALUES = {
    "timeInForce": "GTC",
    "quantity": "1",
    "quoteOrderQty": "50",
    "price": "94",
    "stopPrice": "95",
    "trailingDelta": "100",
    "icebergQty": "1",
    "strategyId": "7",
    "strategyType": "1000000",
    "newClientOrderId": "mine",
    "newOrderRespType": "RESULT",
    "selfTradePreventionMode": "NONE",
    "side": "SELL",
}
MANDATORY = {
    "LIMIT": ("side", "timeInForce", "quantity", "price"),
    "LIMIT_MAKER": ("side", "quantity", "price"),
    "MARKET": ("side", "quantity"),
    "STOP_LOSS": ("side", "quantity", "stopPrice"),
    "STOP_LOSS_LIMIT": ("side", "timeInForce", "quantity", "price", "stopPrice"),
    "TAKE_PROFIT": ("side", "quantity", "stopPrice"),
    "TAKE_PROFIT_LIMIT": ("side", "timeInForce", "quantity", "price", "stopPrice"),
}
# Either of two will do, so the text of the refusal names both.
ALTERNATIVES = {
    "stopPrice": ("stopPrice", "trailingDelta"),
    "quantity of MARKET": ("quantity", "quoteOrderQty"),
}
FORBIDDEN = {
    "LIMIT": ("quoteOrderQty", "stopPrice", "trailingDelta"),
    "LIMIT_MAKER": ("timeInForce", "quoteOrderQty", "stopPrice", "trailingDelta"),
    "MARKET": (
        "timeInForce",
        "quoteOrderQty",
        "price",
        "stopPrice",
        "trailingDelta",
        "icebergQty",
    ),
    "STOP_LOSS": ("timeInForce", "quoteOrderQty", "price", "icebergQty"),
    "STOP_LOSS_LIMIT": ("quoteOrderQty",),
    "TAKE_PROFIT": ("timeInForce", "quoteOrderQty", "price", "icebergQty"),
    "TAKE_PROFIT_LIMIT": ("quoteOrderQty",),
}
OPTIONAL = ("strategyId", "strategyType", "newClientOrderId", "newOrderRespType")
DECIMALS = ("quantity", "price", "stopPrice")


def desk_for(order_type: str) -> SpotDesk:
    """A desk whose last price lets every order of the table in: takes above, stops below."""
    desk = SpotDesk()
    desk.book(bids="90x10", asks="110x10")
    desk.print_buy("93" if order_type.startswith("TAKE_PROFIT") else "100", "0.5")
    return desk


def complete(order_type: str) -> dict[str, str]:
    """An order of this type with exactly what it needs."""
    return {"type": order_type} | {name: VALUES[name] for name in MANDATORY[order_type]}


def place(order_type: str, params: dict[str, str]) -> tuple[int, str] | None:
    """How the order is refused; None when it is not."""
    desk = desk_for(order_type)
    try:
        desk.order(" ".join(f"{name}={value}" for name, value in params.items()))
    except Rejection as refused:
        return refusal(refused)
    return None


def lacking(order_type: str, name: str) -> tuple[int, str]:
    pair = ALTERNATIVES.get(name) or ALTERNATIVES.get(f"{name} of {order_type}")
    if pair is None:
        return -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    first, second = pair
    return -1102, f"Param '{first}' or '{second}' must be sent, but both were empty/null!"


NEEDED = [(kind, name) for kind, names in MANDATORY.items() for name in names]


@pytest.mark.parametrize("order_type", MANDATORY)
def test_order_with_exactly_what_its_type_needs_is_taken(order_type: str) -> None:
    assert place(order_type, complete(order_type)) is None


@pytest.mark.parametrize(("order_type", "name"), NEEDED)
def test_mandatory_parameter_is_missed_when_absent_or_empty(order_type: str, name: str) -> None:
    params = complete(order_type)
    assert place(order_type, params | {name: ""}) == lacking(order_type, name)
    del params[name]
    assert place(order_type, params) == lacking(order_type, name)


MALFORMED = [
    (kind, name, value)
    for (kind, name), value in product(NEEDED, ("-1", "1e3", "abc", "1,5", ".5", "0x1", "1."))
    if name in DECIMALS
]


@pytest.mark.parametrize(("order_type", "name", "value"), MALFORMED)
def test_malformed_amount_is_refused_by_its_characters(
    order_type: str, name: str, value: str
) -> None:
    answer = place(order_type, complete(order_type) | {name: value})
    legal = r"'^([0-9]{1,20})(\.[0-9]{1,20})?$'"
    text = f"Illegal characters found in parameter '{name}'; legal range is {legal}."
    assert answer == (-1100, text)


@pytest.mark.parametrize(("order_type", "name"), [pair for pair in NEEDED if pair[1] in DECIMALS])
def test_amount_beyond_eight_places_or_the_number_format_is_refused(
    order_type: str, name: str
) -> None:
    precise = place(order_type, complete(order_type) | {name: "1.000000001"})
    assert precise == (-1111, f"Parameter '{name}' has too much precision.")
    huge = place(order_type, complete(order_type) | {name: "92233720368.54775808"})
    assert huge == (-1108, f"Parameter '{name}' overflowed.")


@pytest.mark.parametrize(
    ("order_type", "name"), [(kind, name) for kind, names in FORBIDDEN.items() for name in names]
)
def test_parameter_of_another_type_is_not_taken(order_type: str, name: str) -> None:
    answer = place(order_type, complete(order_type) | {name: VALUES[name]})
    if name == "timeInForce":
        assert answer == (-1114, "TimeInForce parameter sent when not required.")
    else:
        assert answer == (-1106, f"Parameter '{name}' sent when not required.")


@pytest.mark.parametrize(("order_type", "name"), list(product(MANDATORY, OPTIONAL)))
def test_optional_parameter_is_taken_by_every_type_but_not_empty(
    order_type: str, name: str
) -> None:
    assert place(order_type, complete(order_type) | {name: VALUES[name]}) is None
    empty = place(order_type, complete(order_type) | {name: ""})
    if name == "newClientOrderId":
        assert empty == (-1118, "New client order ID was empty.")
    else:
        assert empty == (-1105, f"Parameter '{name}' was empty.")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"side": "LONG"}, (-1117, "Invalid side.")),
        ({"type": "ICEBERG"}, (-1116, "Invalid orderType.")),
        ({"timeInForce": "DAY"}, (-1115, "Invalid timeInForce.")),
        ({"strategyType": "999999"}, (-1134, "strategyType was less than 1000000.")),
        ({"strategyType": "2147483648"}, (-1108, "Parameter 'strategyType' overflowed.")),
        ({"strategyId": "9223372036854775808"}, (-1108, "Parameter 'strategyId' overflowed.")),
        (
            {"newOrderRespType": "SHORT"},
            (-1130, "Data sent for parameter 'newOrderRespType' is not valid."),
        ),
        (
            {"selfTradePreventionMode": "SOME"},
            (-1013, "This symbol does not allow the specified self-trade prevention mode."),
        ),
        (
            {"leverage": "3"},
            (-1104, "Not all sent parameters were read; read '6' parameter(s) but was sent '7'."),
        ),
    ],
)
def test_word_outside_its_set_has_its_own_code(
    changes: dict[str, str], expected: tuple[int, str]
) -> None:
    assert place("LIMIT", complete("LIMIT") | changes) == expected


@pytest.mark.parametrize("order_type", ["STOP_LOSS", "TAKE_PROFIT_LIMIT"])
def test_trailing_delta_replaces_or_joins_the_stop_price(order_type: str) -> None:
    both = complete(order_type) | {"trailingDelta": "100"}
    assert place(order_type, both) is None
    del both["stopPrice"]
    assert place(order_type, both) is None
    code, text = place(order_type, both | {"trailingDelta": "1.5"}) or (0, "")
    assert (code, "'trailingDelta'" in text) == (-1100, True)


def test_test_order_flag_takes_only_true_or_false() -> None:
    desk = desk_for("LIMIT")
    params = {"symbol": "BTCUSDT", **complete("MARKET"), "computeCommissionRates": "yes"}
    with pytest.raises(Rejection) as caught:
        desk.engine.test_order("alice", params, desk.now_ms)
    text = "Data sent for parameter 'computeCommissionRates' is not valid."
    assert refusal(caught.value) == (-1130, text)
