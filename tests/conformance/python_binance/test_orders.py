"""Orders, lists and the account as python-binance sends and reads them over REST."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from binance import Client
from binance.exceptions import BinanceAPIException

SYMBOL = "BTCUSDT"


@contextlib.contextmanager
def refused(code: int, status: int = 400) -> Iterator[None]:
    with pytest.raises(BinanceAPIException) as caught:
        yield
    assert (caught.value.code, caught.value.status_code) == (code, status)


@pytest.fixture
def bought(client: Any, price: Any) -> Any:
    """An open order to buy below the market."""
    return client.order_limit_buy(symbol=SYMBOL, quantity="0.01", price=price(0.9))


def test_account_shows_balances_and_rates(client: Any) -> None:
    account = client.get_account()

    assert account["accountType"] == "SPOT"
    assert client.get_asset_balance(asset="USDT") == {
        "asset": "USDT",
        "free": "1000000.00000000",
        "locked": "0.00000000",
    }


def test_commission_is_stated_per_symbol(client: Any) -> None:
    assert client.v3_get_account_commission(symbol=SYMBOL)["standardCommission"]["maker"]


def test_key_rights_exclude_withdrawing(client: Any) -> None:
    assert client.get_account_api_permissions()["enableWithdrawals"] is False


@pytest.mark.parametrize(
    ("kind", "side", "more"),
    [
        ("LIMIT", "BUY", {"price": 0.9, "timeInForce": "GTC"}),
        ("LIMIT", "BUY", {"price": 1.02, "timeInForce": "IOC"}),
        ("LIMIT", "BUY", {"price": 1.02, "timeInForce": "FOK"}),
        ("LIMIT_MAKER", "SELL", {"price": 1.1}),
        ("MARKET", "BUY", {}),
        ("STOP_LOSS", "SELL", {"stopPrice": 0.9}),
        ("STOP_LOSS", "SELL", {"trailingDelta": 200}),
        ("STOP_LOSS_LIMIT", "SELL", {"stopPrice": 0.9, "price": 0.89, "timeInForce": "GTC"}),
        ("STOP_LOSS_LIMIT", "SELL", {"trailingDelta": 200, "price": 0.89, "timeInForce": "GTC"}),
        ("TAKE_PROFIT", "SELL", {"stopPrice": 1.1}),
        ("TAKE_PROFIT", "BUY", {"trailingDelta": 200, "stopPrice": 0.9}),
        ("TAKE_PROFIT_LIMIT", "SELL", {"stopPrice": 1.1, "price": 1.1, "timeInForce": "GTC"}),
    ],
)
def test_order_of_every_type_is_tested_placed_and_found(
    client: Any, price: Any, kind: str, side: str, more: dict[str, Any]
) -> None:
    order = {"symbol": SYMBOL, "side": side, "type": kind, "quantity": "0.01"}
    order |= {name: price(v) if "rice" in name else v for name, v in more.items()}

    assert client.create_test_order(**order) == {}
    placed = client.create_order(**order, newOrderRespType="RESULT")
    found = client.get_order(symbol=SYMBOL, orderId=placed["orderId"])

    assert (found["type"], found["side"], found["status"]) == (kind, side, placed["status"])
    assert placed["status"] == (
        "FILLED" if kind == "MARKET" or more.get("timeInForce") in ("IOC", "FOK") else "NEW"
    )


def test_market_order_by_quote_amount_spends_about_that(client: Any) -> None:
    placed = client.order_market_buy(symbol=SYMBOL, quoteOrderQty="250")

    assert placed["status"] == "FILLED"
    assert 245 < float(placed["cummulativeQuoteQty"]) <= 250
    assert sum(float(fill["qty"]) for fill in placed["fills"]) == float(placed["executedQty"])


def test_fills_become_trades_of_the_account(client: Any) -> None:
    placed = client.order_market_sell(symbol=SYMBOL, quantity="0.01")

    trades = client.get_my_trades(symbol=SYMBOL, orderId=placed["orderId"])

    assert [trade["id"] for trade in trades] == [fill["tradeId"] for fill in placed["fills"]]
    assert {trade["commissionAsset"] for trade in trades} == {"USDT"}


def test_cancelled_order_leaves_the_open_ones(client: Any, bought: Any) -> None:
    assert [o["orderId"] for o in client.get_open_orders(symbol=SYMBOL)] == [bought["orderId"]]

    cancelled = client.cancel_order(symbol=SYMBOL, origClientOrderId=bought["clientOrderId"])

    assert cancelled["status"] == "CANCELED"
    assert cancelled["origClientOrderId"] == bought["clientOrderId"]
    assert client.get_open_orders() == []
    assert client.get_all_orders(symbol=SYMBOL)[0]["status"] == "CANCELED"


def test_all_open_orders_are_cancelled_at_once(client: Any, price: Any, bought: Any) -> None:
    client.order_limit_sell(symbol=SYMBOL, quantity="0.01", price=price(1.1))

    assert len(client.cancel_all_open_orders(symbol=SYMBOL)) == 2


def test_cancel_replace_swaps_one_order_for_another(client: Any, price: Any, bought: Any) -> None:
    swapped = client.cancel_replace_order(
        symbol=SYMBOL,
        side="BUY",
        type="LIMIT",
        timeInForce="GTC",
        quantity="0.02",
        price=price(0.88),
        cancelReplaceMode="STOP_ON_FAILURE",
        cancelOrderId=bought["orderId"],
    )

    assert (swapped["cancelResult"], swapped["newOrderResult"]) == ("SUCCESS", "SUCCESS")
    assert swapped["newOrderResponse"]["origQty"] == "0.02000000"


def test_cancel_replace_of_nothing_is_refused_whole(client: Any, price: Any) -> None:
    with refused(-2022):
        client.cancel_replace_order(
            symbol=SYMBOL,
            side="BUY",
            type="LIMIT",
            timeInForce="GTC",
            quantity="0.02",
            price=price(0.88),
            cancelReplaceMode="STOP_ON_FAILURE",
            cancelOrderId=987_654,
        )


def place_oco(client: Any, price: Any) -> Any:
    return client.create_oco_order(
        symbol=SYMBOL,
        side="SELL",
        quantity="0.01",
        aboveType="LIMIT_MAKER",
        abovePrice=price(1.1),
        belowType="STOP_LOSS_LIMIT",
        belowStopPrice=price(0.9),
        belowPrice=price(0.89),
        belowTimeInForce="GTC",
    )


def test_oco_is_placed_found_and_cancelled_as_a_list(client: Any, price: Any) -> None:
    placed = place_oco(client, price)

    number = placed["orderListId"]
    assert placed["contingencyType"] == "OCO"
    assert {report["type"] for report in placed["orderReports"]} == {
        "LIMIT_MAKER",
        "STOP_LOSS_LIMIT",
    }
    assert [row["orderListId"] for row in client.get_open_oco_orders()] == [number]
    assert client.v3_get_order_list(orderListId=number)["listOrderStatus"] == "EXECUTING"
    gone = client.v3_delete_order_list(symbol=SYMBOL, orderListId=number)
    assert gone["listOrderStatus"] == "ALL_DONE"
    assert [row["orderListId"] for row in client.v3_get_all_order_list()] == [number]


def test_one_leg_cancelled_ends_the_whole_oco(client: Any, price: Any) -> None:
    placed = place_oco(client, price)

    client.cancel_order(symbol=SYMBOL, orderId=placed["orders"][0]["orderId"])

    assert client.get_open_orders(symbol=SYMBOL) == []


WORKING = {
    "workingType": "LIMIT",
    "workingSide": "BUY",
    "workingQuantity": "0.01",
    "workingTimeInForce": "GTC",
    "pendingSide": "SELL",
    "pendingQuantity": "0.01",
}


def test_oto_keeps_its_second_order_waiting(client: Any, price: Any) -> None:
    placed = client.v3_post_order_list_oto(
        symbol=SYMBOL, **WORKING, workingPrice=price(0.9), pendingType="MARKET"
    )

    assert [r["status"] for r in placed["orderReports"]] == ["NEW", "PENDING_NEW"]


def test_filled_oto_releases_its_second_order(client: Any, price: Any) -> None:
    placed = client.v3_post_order_list_oto(
        symbol=SYMBOL,
        **WORKING,
        workingPrice=price(1.01),
        pendingType="LIMIT",
        pendingPrice=price(1.1),
        pendingTimeInForce="GTC",
    )

    statuses = [
        client.get_order(symbol=SYMBOL, orderId=order["orderId"])["status"]
        for order in placed["orders"]
    ]
    assert statuses == ["FILLED", "NEW"]


def test_otoco_waits_with_two_orders(client: Any, price: Any) -> None:
    placed = client.v3_post_order_list_otoco(
        symbol=SYMBOL,
        **WORKING,
        workingPrice=price(0.9),
        pendingAboveType="LIMIT_MAKER",
        pendingAbovePrice=price(1.1),
        pendingBelowType="STOP_LOSS",
        pendingBelowStopPrice=price(0.8),
    )

    assert sorted(r["status"] for r in placed["orderReports"]) == [
        "NEW",
        "PENDING_NEW",
        "PENDING_NEW",
    ]


def test_order_count_grows_with_every_order(client: Any, bought: Any) -> None:
    limits = client.get_current_order_count()

    assert {row["interval"]: row["count"] for row in limits} == {"SECOND": 1, "DAY": 1}
    assert client.response.headers["x-mbx-used-weight-1m"].isdigit()


def test_nothing_was_prevented_where_nobody_traded_with_himself(client: Any, bought: Any) -> None:
    assert client.get_prevented_matches(symbol=SYMBOL, orderId=bought["orderId"]) == []


def test_order_against_ones_own_is_prevented_and_listed(client: Any, price: Any) -> None:
    best = client.get_orderbook_ticker(symbol=SYMBOL)
    inside = f"{float(best['askPrice']) - 0.01:.2f}"
    resting = client.order_limit_sell(symbol=SYMBOL, quantity="0.01", price=inside)
    taker = client.create_order(
        symbol=SYMBOL,
        side="BUY",
        type="LIMIT",
        timeInForce="GTC",
        quantity="0.01",
        price=inside,
        selfTradePreventionMode="EXPIRE_TAKER",
    )

    assert taker["status"] == "EXPIRED_IN_MATCH"
    matches = client.get_prevented_matches(symbol=SYMBOL, orderId=taker["orderId"])
    assert [match["makerOrderId"] for match in matches] == [resting["orderId"]]


def test_allocations_are_empty_without_smart_routing(client: Any) -> None:
    assert client.get_allocations(symbol=SYMBOL) == []


@pytest.mark.parametrize(
    ("code", "order"),
    [
        pytest.param(-2010, {"quantity": "100", "price": 0.99}, id="no funds"),
        pytest.param(-1013, {"quantity": "0.00001", "price": 0.99}, id="notional"),
        pytest.param(-1013, {"quantity": "0.01", "price": 0.01}, id="percent price"),
        pytest.param(-1013, {"quantity": "0.0000015", "price": 0.99}, id="lot size"),
        pytest.param(-1111, {"quantity": "0.0100000001", "price": 0.99}, id="precision"),
        pytest.param(-1100, {"quantity": "much", "price": 0.99}, id="no number"),
        pytest.param(-1102, {"quantity": "0.01"}, id="no price"),
        pytest.param(-1115, {"quantity": "0.01", "price": 0.99, "timeInForce": "GTE"}, id="tif"),
        pytest.param(-1116, {"quantity": "0.01", "type": "ICE"}, id="type"),
        pytest.param(-1117, {"quantity": "0.01", "price": 0.99, "side": "HOLD"}, id="side"),
        pytest.param(-1121, {"quantity": "0.01", "price": 0.99, "symbol": "NOPE"}, id="symbol"),
    ],
)
def test_bad_order_is_refused_with_its_own_code(
    client: Any, price: Any, code: int, order: dict[str, Any]
) -> None:
    whole = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"} | order
    if "price" in whole:
        whole["price"] = price(whole["price"])

    with refused(code):
        client.create_order(**whole)


def test_absent_order_is_2013_to_a_query_and_2011_to_a_cancel(client: Any) -> None:
    with refused(-2013):
        client.get_order(symbol=SYMBOL, orderId=987_654)
    with refused(-2011):
        client.cancel_order(symbol=SYMBOL, orderId=987_654)


def test_client_order_id_is_unique_among_open_orders(client: Any, price: Any) -> None:
    order = {"symbol": SYMBOL, "quantity": "0.01", "price": price(0.9), "newClientOrderId": "twin"}
    client.order_limit_buy(**order)

    with refused(-2010):
        client.order_limit_buy(**order)


def test_wrong_secret_is_1022(pointed: Any, identity: Any, loop: Any) -> None:
    client = pointed(Client)(identity.key, "wrong")

    with refused(-1022):
        client.get_account()
    client.close_connection()


def test_unknown_key_is_2015(pointed: Any, identity: Any, loop: Any) -> None:
    client = pointed(Client)("nobody", identity.secret)

    with refused(-2015, 401):
        client.get_account()
    client.close_connection()


@pytest.mark.parametrize("offset_ms", [-20_000, 5_000])
def test_clock_that_is_off_is_1021(client: Any, offset_ms: int) -> None:
    client.timestamp_offset = offset_ms

    with refused(-1021):
        client.get_account()


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_orders_are_signed_with_a_private_key(
    pointed: Any, identity: Any, loop: Any, price: Any, kind: str
) -> None:
    key, pem = (
        (identity.rsa_key, identity.rsa_pem)
        if kind == "rsa"
        else (identity.ed25519_key, identity.ed25519_pem)
    )
    client = pointed(Client)(key, private_key=pem)

    placed = client.order_limit_buy(symbol=SYMBOL, quantity="0.01", price=price(0.9))

    assert client.get_order(symbol=SYMBOL, orderId=placed["orderId"])["status"] == "NEW"
    assert client.cancel_order(symbol=SYMBOL, orderId=placed["orderId"])["status"] == "CANCELED"
    client.close_connection()


def test_too_many_requests_are_429_then_418(
    pointed: Any, strict_venue: Any, identity: Any, loop: Any
) -> None:
    client = pointed(Client)(identity.key, identity.secret, ping=False)
    client.API_URL = f"{strict_venue.rest_url}/api"
    refusals = []
    for _ in range(200):
        try:
            client.get_ticker()
        except BinanceAPIException as refusal:
            refusals.append(refusal)
    client.close_connection()

    assert list(dict.fromkeys(refusal.status_code for refusal in refusals)) == [429, 418]
    assert {refusal.code for refusal in refusals} == {-1003}
    assert all(int(refusal.response.headers["Retry-After"]) > 0 for refusal in refusals)


def test_too_many_orders_are_1015(client: Any, price: Any) -> None:
    def insist() -> None:
        # A window of ten seconds may end in between; then the next one fills.
        for _ in range(101):
            order = client.order_limit_buy(symbol=SYMBOL, quantity="0.001", price=price(0.9))
            client.cancel_order(symbol=SYMBOL, orderId=order["orderId"])

    with refused(-1015, 429):
        insist()
