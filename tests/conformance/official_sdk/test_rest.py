"""The official SDK's REST client: its models refuse any answer of another shape."""

from typing import Any

import pytest
from binance_common.errors import (
    BadRequestError,
    RateLimitBanError,
    TooManyRequestsError,
    UnauthorizedError,
)
from pydantic import BaseModel

SYMBOL = "BTCUSDT"
ONE = {"symbol": SYMBOL}
PUBLIC: list[tuple[str, dict[str, Any]]] = [
    ("ping", {}),
    ("time", {}),
    ("exchange_info", {}),
    ("exchange_info", ONE),
    ("execution_rules", ONE),
    ("depth", ONE | {"limit": 5}),
    ("get_trades", ONE | {"limit": 2}),
    ("historical_trades", ONE | {"limit": 2}),
    ("agg_trades", ONE | {"limit": 2}),
    ("klines", ONE | {"interval": "1m", "limit": 2}),
    ("ui_klines", ONE | {"interval": "1d", "limit": 2}),
    ("avg_price", ONE),
    ("ticker", ONE),
    ("ticker", ONE | {"window_size": "4h", "type": "MINI"}),
    ("ticker_trading_day", ONE),
    ("ticker24hr", ONE),
    ("ticker24hr", {}),
    ("ticker24hr", {"symbols": ["BTCUSDT", "ETHUSDT"], "type": "MINI"}),
    ("ticker_price", ONE),
    ("ticker_price", {}),
    ("ticker_book_ticker", ONE),
    ("ticker_book_ticker", {"symbols": ["BTCUSDT", "ETHUSDT"]}),
]
PRIVATE: list[tuple[str, dict[str, Any]]] = [
    ("account_commission", ONE),
    ("get_account", {}),
    ("get_open_orders", {}),
    ("all_orders", ONE),
    ("my_trades", ONE),
    ("my_filters", ONE),
    ("my_prevented_matches", ONE | {"order_id": 1}),
    ("my_allocations", ONE),
    ("open_order_list", {}),
    ("all_order_list", {}),
    ("rate_limit_order", {}),
]


def named(rows: list[tuple[str, dict[str, Any]]]) -> list[str]:
    return [f"{name}-{'-'.join(more) or 'plain'}" for name, more in rows]


@pytest.mark.parametrize(("method", "params"), PUBLIC, ids=named(PUBLIC))
def test_public_answer_fits_the_model(rest: Any, method: str, params: dict[str, Any]) -> None:
    response = getattr(rest, method)(**params)

    assert response.status == 200
    response.data()
    assert response.rate_limits[0].count > 0


@pytest.mark.parametrize(("method", "params"), PRIVATE, ids=named(PRIVATE))
def test_private_answer_fits_the_model(rest: Any, method: str, params: dict[str, Any]) -> None:
    response = getattr(rest, method)(**params)

    assert response.status == 200
    response.data()


# What an answer holds only under a condition these tests do not meet, or never in JSON.
CONDITIONAL = frozenset(
    {
        "expiry_reason",
        "iceberg_qty",
        "list_status",
        "multiplier_exponent",
        "peg_offset_type",
        "peg_offset_value",
        "peg_price_type",
        "pegged_price",
        "prevented_match_id",
        "prevented_quantity",
        "price_exponent",
        "qty_exponent",
        "rate_limits",
        "sors",
        "stop_price",
        "strategy_id",
        "strategy_type",
        "trailing_delta",
        "trailing_time",
        "used_sor",
        "working_floor",
    }
)


def differences(value: Any) -> set[str]:
    """Names of fields that are absent, or unknown to the model, anywhere in an answer."""
    if isinstance(value, list):
        return {name for row in value for name in differences(row)}
    if not isinstance(value, BaseModel):
        return set()
    found = set(getattr(value, "additional_properties", {}))
    for name in type(value).model_fields:
        inner = getattr(value, name)
        if inner is None and not name.startswith("oneof_"):
            found.add(name)
        found |= differences(inner)
    return found - CONDITIONAL


FULL: list[tuple[str, dict[str, Any]]] = [
    ("execution_rules", ONE),
    ("get_trades", ONE),
    ("agg_trades", ONE),
    ("avg_price", ONE),
    ("ticker", ONE),
    ("ticker24hr", ONE),
    ("ticker_trading_day", ONE),
    ("ticker_book_ticker", ONE),
    ("account_commission", ONE),
    ("get_account", {}),
    ("my_filters", ONE),
    ("rate_limit_order", {}),
]


@pytest.mark.parametrize(("method", "params"), FULL, ids=named(FULL))
def test_answer_has_every_field_of_the_model_and_no_other(
    rest: Any, method: str, params: dict[str, Any]
) -> None:
    assert differences(getattr(rest, method)(**params).data()) == set()


def test_answers_about_orders_have_every_field_and_no_other(rest: Any, price: Any) -> None:
    market = rest.new_order(symbol=SYMBOL, side="BUY", type="MARKET", quantity=0.01).data()
    limit = limit_buy(rest, price)
    number = {"symbol": SYMBOL, "order_id": limit.order_id}

    answers = [
        market,
        limit,
        rest.get_order(**number).data(),
        rest.order_amend_keep_priority(**number, new_qty=0.01).data(),
        rest.order_amendments(**number).data(),
        rest.get_open_orders(symbol=SYMBOL).data(),
        rest.delete_order(**number).data(),
        rest.all_orders(symbol=SYMBOL).data(),
        rest.my_trades(symbol=SYMBOL).data(),
    ]

    assert [differences(answer) for answer in answers] == [set()] * len(answers)


TYPES: list[tuple[str, dict[str, Any]]] = [
    ("LIMIT", {"time_in_force": "GTC", "price": 0.9}),
    ("LIMIT_MAKER", {"price": 0.9}),
    ("MARKET", {}),
    ("STOP_LOSS", {"stop_price": 1.1}),
    ("STOP_LOSS", {"trailing_delta": 200}),
    ("STOP_LOSS_LIMIT", {"time_in_force": "GTC", "price": 1.11, "stop_price": 1.1}),
    ("TAKE_PROFIT", {"stop_price": 0.9}),
    ("TAKE_PROFIT_LIMIT", {"time_in_force": "GTC", "price": 0.9, "stop_price": 0.91}),
]


@pytest.mark.parametrize(("kind", "more"), TYPES, ids=named(TYPES))
def test_order_of_every_type_is_tested_placed_and_found(
    rest: Any, price: Any, kind: str, more: dict[str, Any]
) -> None:
    order = {"symbol": SYMBOL, "side": "BUY", "type": kind, "quantity": 0.01}
    order |= {name: price(v) if isinstance(v, float) else v for name, v in more.items()}

    rest.order_test(**order).data()
    placed = rest.new_order(**order).data()
    found = rest.get_order(symbol=SYMBOL, order_id=placed.order_id).data()

    assert (found.type, found.status) == (kind, "FILLED" if kind == "MARKET" else "NEW")


def test_test_order_tells_the_commission(rest: Any) -> None:
    told = rest.order_test(
        symbol=SYMBOL, side="BUY", type="MARKET", quantity=0.01, compute_commission_rates=True
    ).data()

    assert told.standard_commission_for_order.taker == "0.00100000"


def test_market_order_by_quote_amount_is_filled(rest: Any) -> None:
    placed = rest.new_order(
        symbol=SYMBOL, side="BUY", type="MARKET", quote_order_qty=200, new_order_resp_type="FULL"
    ).data()

    assert placed.status == "FILLED"
    assert placed.fills


def limit_buy(rest: Any, price: Any) -> Any:
    return rest.new_order(
        symbol=SYMBOL,
        side="BUY",
        type="LIMIT",
        time_in_force="GTC",
        quantity=0.02,
        price=price(0.9),
    ).data()


def test_amended_order_keeps_its_id_and_says_so(rest: Any, price: Any) -> None:
    placed = limit_buy(rest, price)

    amended = rest.order_amend_keep_priority(
        symbol=SYMBOL, order_id=placed.order_id, new_qty=0.01
    ).data()
    history = rest.order_amendments(symbol=SYMBOL, order_id=placed.order_id).data()

    assert (amended.amended_order.order_id, amended.amended_order.qty) == (
        placed.order_id,
        "0.01000000",
    )
    assert [(row.orig_qty, row.new_qty) for row in history] == [("0.02000000", "0.01000000")]


def test_order_is_replaced_cancelled_and_swept(rest: Any, price: Any) -> None:
    placed = limit_buy(rest, price)
    swapped = rest.order_cancel_replace(
        symbol=SYMBOL,
        side="BUY",
        type="LIMIT",
        cancel_replace_mode="STOP_ON_FAILURE",
        cancel_order_id=placed.order_id,
        time_in_force="GTC",
        quantity=0.01,
        price=price(0.89),
    ).data()
    limit_buy(rest, price)

    number = swapped.new_order_response.order_id
    assert rest.delete_order(symbol=SYMBOL, order_id=number).data().status == "CANCELED"
    assert len(rest.delete_open_orders(symbol=SYMBOL).data()) == 1


WORKING = {
    "working_type": "LIMIT",
    "working_side": "BUY",
    "working_price": 0.9,
    "working_quantity": 0.01,
    "working_time_in_force": "GTC",
    "pending_side": "SELL",
}
LEGS = {
    "pending_above_type": "LIMIT_MAKER",
    "pending_above_price": 1.1,
    "pending_below_type": "STOP_LOSS",
    "pending_below_stop_price": 0.8,
}
SINGLE = {"pending_type": "LIMIT", "pending_price": 1.1, "pending_time_in_force": "GTC"}
OCO = {
    "side": "SELL",
    "quantity": 0.01,
    "above_type": "LIMIT_MAKER",
    "above_price": 1.1,
    "below_type": "STOP_LOSS_LIMIT",
    "below_stop_price": 0.9,
    "below_price": 0.89,
    "below_time_in_force": "GTC",
}
OLD_OCO = {"side": "SELL", "quantity": 0.01, "price": 1.1, "stop_price": 0.9}
LISTS: list[tuple[str, dict[str, Any], int]] = [
    ("order_list_oco", OCO, 2),
    ("order_oco", OLD_OCO, 2),
    ("order_list_oto", WORKING | SINGLE | {"pending_quantity": 0.01}, 2),
    ("order_list_otoco", WORKING | LEGS | {"pending_quantity": 0.01}, 3),
    ("order_list_opo", WORKING | SINGLE, 2),
    ("order_list_opoco", WORKING | LEGS, 3),
]


@pytest.mark.parametrize(("method", "params", "legs"), LISTS, ids=[row[0] for row in LISTS])
def test_list_of_every_kind_is_placed_found_and_cancelled(
    rest: Any, price: Any, method: str, params: dict[str, Any], legs: int
) -> None:
    prices = {k: price(v) if "price" in k else v for k, v in params.items()}
    placed = getattr(rest, method)(symbol=SYMBOL, **prices).data()

    number = placed.order_list_id
    assert len(placed.order_reports) == legs
    assert rest.get_order_list(order_list_id=number).data().list_order_status == "EXECUTING"
    assert [row.order_list_id for row in rest.open_order_list().data()] == [number]
    gone = rest.delete_order_list(symbol=SYMBOL, order_list_id=number).data()
    assert gone.list_order_status == "ALL_DONE"


def test_open_orders_and_lists_are_swept_together(rest: Any, price: Any) -> None:
    limit_buy(rest, price)
    rest.order_oco(
        symbol=SYMBOL, **{k: price(v) if "price" in k else v for k, v in OLD_OCO.items()}
    )

    assert len(rest.delete_open_orders(symbol=SYMBOL).data()) == 2


@pytest.mark.parametrize(
    ("code", "call"),
    [
        (-1121, lambda rest: rest.depth(symbol="NOPE")),
        (-2043, lambda rest: rest.reference_price(symbol=SYMBOL)),
        (-2043, lambda rest: rest.reference_price_calculation(symbol=SYMBOL)),
        (-2013, lambda rest: rest.get_order(symbol=SYMBOL, order_id=987_654)),
        (-2011, lambda rest: rest.delete_order(symbol=SYMBOL, order_id=987_654)),
        (
            -2010,
            lambda rest: rest.new_order(
                symbol=SYMBOL,
                side="BUY",
                type="LIMIT",
                time_in_force="GTC",
                quantity=100,
                price=50_000,
            ),
        ),
        (
            -1013,
            lambda rest: rest.new_order(
                symbol=SYMBOL, side="BUY", type="MARKET", quantity=0.0100005
            ),
        ),
    ],
)
def test_refusal_is_a_bad_request_with_its_code(rest: Any, code: int, call: Any) -> None:
    with pytest.raises(BadRequestError) as caught:
        call(rest)

    assert caught.value.status_code == code


def test_wrong_secret_is_a_bad_request(made: Any, identity: Any) -> None:
    with pytest.raises(BadRequestError) as caught:
        made(identity.key, api_secret="wrong").rest_api.get_account()

    assert caught.value.status_code == -1022


def test_unknown_key_is_unauthorized(made: Any, identity: Any) -> None:
    with pytest.raises(UnauthorizedError) as caught:
        made("nobody", api_secret=identity.secret).rest_api.get_account()

    assert caught.value.status_code == -2015


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_orders_are_signed_with_a_private_key(
    made: Any, identity: Any, price: Any, kind: str
) -> None:
    key = identity.rsa_key if kind == "rsa" else identity.ed25519_key
    pem = identity.rsa_pem if kind == "rsa" else identity.ed25519_pem
    rest = made(key, private_key=pem).rest_api

    assert limit_buy(rest, price).order_id > 0


def test_too_many_requests_are_refused_then_banned(made: Any, strict_venue: Any) -> None:
    rest = made("nobody", at=strict_venue).rest_api
    refusals: list[TooManyRequestsError] = []

    def insist() -> None:
        for _ in range(200):
            try:
                rest.ticker24hr()
            except TooManyRequestsError as refusal:
                refusals.append(refusal)

    with pytest.raises(RateLimitBanError) as banned:
        insist()

    assert 0 < (refusals[0].retry_after or 0) <= 60
    assert (banned.value.retry_after or 0) > 60
