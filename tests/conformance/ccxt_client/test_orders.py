"""Orders and errors as ccxt sends and classifies them."""

from typing import Any

import ccxt
import pytest

SYMBOL = "BTC/USDT"


@pytest.mark.parametrize(
    ("kind", "side", "factor", "params", "expected"),
    [
        ("limit", "buy", 0.9, {}, ("limit", "open")),
        ("limit", "buy", 1.02, {"timeInForce": "IOC"}, ("limit", "closed")),
        ("limit", "buy", 1.02, {"timeInForce": "FOK"}, ("limit", "closed")),
        ("limit", "buy", 0.9, {"timeInForce": "IOC"}, ("limit", "expired")),
        ("limit", "sell", 1.1, {"postOnly": True}, ("limit", "open")),
        ("market", "buy", None, {}, ("market", "closed")),
        ("market", "sell", None, {"stopLossPrice": 0.9}, ("market", "open")),
        ("market", "sell", None, {"takeProfitPrice": 1.1}, ("market", "open")),
        ("limit", "sell", 0.89, {"stopLossPrice": 0.9}, ("limit", "open")),
        ("limit", "sell", 1.1, {"takeProfitPrice": 1.1}, ("limit", "open")),
        ("STOP_LOSS", "sell", None, {"trailingPercent": 2}, ("market", "open")),
        ("STOP_LOSS_LIMIT", "sell", 0.89, {"trailingPercent": 2}, ("limit", "open")),
    ],
)
def test_order_of_every_type_is_placed_and_found(
    exchange: Any,
    price: float,
    kind: str,
    side: str,
    factor: float | None,
    params: dict[str, Any],
    expected: tuple[str, str],
) -> None:
    limit = None if factor is None else price * factor
    more = {k: price * v if k.endswith("Price") else v for k, v in params.items()}

    placed = exchange.create_order(SYMBOL, kind, side, 0.01, limit, more)
    found = exchange.fetch_order(placed["id"], SYMBOL)

    assert (found["type"], found["status"], found["side"]) == (*expected, side)
    assert found["amount"] == 0.01
    if found["status"] == "closed":
        assert found["filled"] == 0.01
        assert found["average"] == pytest.approx(price, rel=0.02)


def test_order_is_only_tested(exchange: Any, price: float) -> None:
    exchange.create_order(SYMBOL, "limit", "buy", 0.01, price * 0.9, {"test": True})

    assert exchange.fetch_open_orders(SYMBOL) == []


def test_market_orders_by_cost_spend_and_earn_about_that(exchange: Any) -> None:
    bought = exchange.create_market_buy_order_with_cost(SYMBOL, 200)
    sold = exchange.create_market_sell_order_with_cost(SYMBOL, 200)

    assert 195 < bought["cost"] <= 200
    # A sale by amount is rounded to the nearest lot, from either side.
    assert sold["cost"] == pytest.approx(200, abs=1)
    assert bought["fee"]["currency"] == "BTC"
    assert sold["fee"]["currency"] == "USDT"


def test_balance_locks_what_an_order_may_spend(exchange: Any, price: float) -> None:
    exchange.create_order(SYMBOL, "limit", "buy", 0.01, round(price * 0.9, 2))

    balance = exchange.fetch_balance()

    assert balance["USDT"]["used"] == pytest.approx(price * 0.009, abs=0.01)
    assert balance["USDT"]["total"] == 1_000_000


def test_edited_order_replaces_the_old_one(exchange: Any, price: float) -> None:
    placed = exchange.create_order(SYMBOL, "limit", "buy", 0.01, price * 0.9)

    edited = exchange.edit_order(placed["id"], SYMBOL, "limit", "buy", 0.02, price * 0.89)

    assert [o["id"] for o in exchange.fetch_open_orders(SYMBOL)] == [edited["id"]]
    assert [o["id"] for o in exchange.fetch_canceled_orders(SYMBOL)] == [placed["id"]]


def test_orders_are_cancelled_by_client_id_and_all_at_once(exchange: Any, price: float) -> None:
    params = {"clientOrderId": "mine"}
    exchange.create_order(SYMBOL, "limit", "buy", 0.01, price * 0.9, params)
    for _ in range(2):
        exchange.create_order(SYMBOL, "limit", "sell", 0.01, price * 1.1)

    one = exchange.cancel_order(None, SYMBOL, params)
    rest = exchange.cancel_all_orders(SYMBOL)

    assert one["status"] == "canceled"
    assert len(rest) == 2
    assert len(exchange.fetch_orders(SYMBOL)) == 3


def test_trades_carry_their_order_and_fee(exchange: Any) -> None:
    order = exchange.create_order(SYMBOL, "market", "buy", 0.01)

    trades = exchange.fetch_my_trades(SYMBOL)

    assert {trade["order"] for trade in trades} == {order["id"]}
    assert sum(trade["amount"] for trade in trades) == pytest.approx(0.01)
    assert trades == exchange.fetch_order_trades(order["id"], SYMBOL)
    assert trades[0]["fee"]["cost"] == pytest.approx(trades[0]["amount"] * 0.001)
    assert [o["id"] for o in exchange.fetch_closed_orders(SYMBOL)] == [order["id"]]


def raw_list(last: float, params: dict[str, Any]) -> dict[str, Any]:
    prices = {k: f"{last * v:.2f}" if isinstance(v, float) else v for k, v in params.items()}
    return {"symbol": "BTCUSDT", **prices}


WORKING = {
    "workingType": "LIMIT",
    "workingSide": "BUY",
    "workingPrice": 0.9,
    "workingQuantity": "0.01",
    "workingTimeInForce": "GTC",
    "pendingSide": "SELL",
}
LEGS = {
    "pendingAboveType": "LIMIT_MAKER",
    "pendingAbovePrice": 1.1,
    "pendingBelowType": "STOP_LOSS",
    "pendingBelowStopPrice": 0.8,
}
SINGLE = {"pendingType": "LIMIT", "pendingPrice": 1.1, "pendingTimeInForce": "GTC"}
LISTS: list[tuple[str, dict[str, Any], str, int]] = [
    (
        "order_oco",
        {
            "side": "SELL",
            "quantity": "0.01",
            "price": 1.1,
            "stopPrice": 0.9,
            "stopLimitPrice": 0.89,
            "stopLimitTimeInForce": "GTC",
        },
        "OCO",
        2,
    ),
    (
        "orderlist_oco",
        {
            "side": "BUY",
            "quantity": "0.01",
            "belowType": "LIMIT_MAKER",
            "belowPrice": 0.9,
            "aboveType": "STOP_LOSS",
            "aboveStopPrice": 1.1,
        },
        "OCO",
        2,
    ),
    ("orderlist_oto", {**WORKING, **SINGLE, "pendingQuantity": "0.01"}, "OTO", 2),
    ("orderlist_otoco", {**WORKING, **LEGS, "pendingQuantity": "0.01"}, "OTO", 3),
    ("orderlist_opo", {**WORKING, **SINGLE}, "OTO", 2),
    ("orderlist_opoco", {**WORKING, **LEGS}, "OTO", 3),
]


@pytest.mark.parametrize(("call", "params", "kind", "legs"), LISTS, ids=[row[0] for row in LISTS])
def test_list_of_every_kind_is_placed_found_and_cancelled(
    exchange: Any, price: float, call: str, params: dict[str, Any], kind: str, legs: int
) -> None:
    placed = getattr(exchange, f"private_post_{call}")(raw_list(price, params))

    number = {"orderListId": placed["orderListId"]}
    assert placed["contingencyType"] == kind
    assert len(placed["orderReports"]) == legs
    assert exchange.private_get_orderlist(number)["listOrderStatus"] == "EXECUTING"
    assert [row["orderListId"] for row in exchange.private_get_openorderlist()] == [
        placed["orderListId"]
    ]
    gone = exchange.private_delete_orderlist({"symbol": "BTCUSDT", **number})
    assert gone["listOrderStatus"] == "ALL_DONE"
    assert len(exchange.private_get_allorderlist()) == 1


@pytest.mark.parametrize(
    ("path", "params", "kind"),
    [
        ("account/commission", {"symbol": "BTCUSDT"}, dict),
        ("rateLimit/order", {}, list),
        ("myPreventedMatches", {"symbol": "BTCUSDT", "orderId": 1}, list),
        ("myAllocations", {"symbol": "BTCUSDT"}, list),
    ],
)
def test_raw_private_calls_answer(
    exchange: Any, path: str, params: dict[str, Any], kind: type
) -> None:
    assert isinstance(exchange.request(path, "private", "GET", params), kind)


@pytest.mark.parametrize(
    ("error", "amount", "factor", "params"),
    [
        pytest.param(ccxt.InsufficientFunds, 100, 0.99, {}, id="no funds"),
        pytest.param(ccxt.InvalidOrder, 0.01, 0.01, {}, id="percent price"),
        pytest.param(ccxt.OrderImmediatelyFillable, 0.01, 1.01, {"postOnly": True}, id="post only"),
        pytest.param(
            ccxt.OrderImmediatelyFillable, 0.01, 0.9, {"stopLossPrice": 0.9}, id="trigger"
        ),
    ],
)
def test_refused_order_has_its_own_exception(
    exchange: Any,
    price: float,
    error: type[Exception],
    amount: float,
    factor: float,
    params: dict[str, Any],
) -> None:
    more = {k: price * v if k.endswith("Price") else v for k, v in params.items()}

    with pytest.raises(error):
        exchange.create_order(SYMBOL, "limit", "buy", amount, price * factor, more)


@pytest.mark.parametrize(
    ("error", "order", "code"),
    [
        pytest.param(ccxt.InvalidOrder, {"quantity": "0.0000015"}, "LOT_SIZE", id="lot"),
        pytest.param(ccxt.InvalidOrder, {"price": "50000.001"}, "PRICE_FILTER", id="tick"),
        pytest.param(ccxt.BadRequest, {"quantity": "0.00001"}, "NOTIONAL", id="notional"),
        pytest.param(ccxt.BadRequest, {"quantity": "0.0100000001"}, "-1111", id="precision"),
        pytest.param(ccxt.BadRequest, {"timeInForce": "GTE"}, "-1115", id="time in force"),
        pytest.param(ccxt.BadRequest, {"side": "HOLD"}, "-1117", id="side"),
        pytest.param(ccxt.BadRequest, {"type": "ICE"}, "-1116", id="type"),
        pytest.param(ccxt.BadSymbol, {"symbol": "NOPE"}, "-1121", id="symbol"),
        pytest.param(ccxt.BadRequest, {"quantity": None}, "-1102", id="no quantity"),
        pytest.param(ccxt.BadRequest, {"colour": "red"}, "-1104", id="unread"),
    ],
)
def test_raw_order_that_breaks_a_rule_is_classified(
    exchange: Any, error: type[Exception], order: dict[str, Any], code: str
) -> None:
    whole = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "0.01",
        "price": "50000",
    } | order

    with pytest.raises(error, match=code):
        exchange.private_post_order({k: v for k, v in whole.items() if v is not None})


def test_absent_order_is_not_found(exchange: Any) -> None:
    with pytest.raises(ccxt.OrderNotFound, match="-2013"):
        exchange.fetch_order("987654", SYMBOL)
    with pytest.raises(ccxt.OrderNotFound, match="-2011"):
        exchange.cancel_order("987654", SYMBOL)


def test_wrong_secret_is_an_authentication_error(made: Any, identity: Any) -> None:
    with pytest.raises(ccxt.AuthenticationError, match="-1022"):
        made(ccxt.binance, identity.key, "wrong").fetch_balance()


def test_unknown_key_is_an_authentication_error(made: Any, identity: Any) -> None:
    with pytest.raises(ccxt.AuthenticationError, match="-2015"):
        made(ccxt.binance, "nobody", identity.secret).fetch_balance()


def test_old_timestamp_is_an_invalid_nonce(exchange: Any) -> None:
    exchange.load_markets()
    exchange.options["timeDifference"] = 60_000

    with pytest.raises(ccxt.InvalidNonce, match="-1021"):
        exchange.fetch_balance()


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_orders_are_signed_with_a_private_key(
    made: Any, identity: Any, price: float, kind: str
) -> None:
    key = identity.rsa_key if kind == "rsa" else identity.ed25519_key
    pem = identity.rsa_pem if kind == "rsa" else identity.ed25519_pem
    exchange = made(ccxt.binance, key, pem)

    placed = exchange.create_order(SYMBOL, "limit", "buy", 0.01, price * 0.9)

    assert exchange.cancel_order(placed["id"], SYMBOL)["status"] == "canceled"


def test_too_many_orders_are_a_ddos_protection(exchange: Any, price: float) -> None:
    def insist() -> None:
        # A window of ten seconds may end in between; then the next one fills.
        for _ in range(101):
            order = exchange.create_order(SYMBOL, "limit", "buy", 0.001, price * 0.9)
            exchange.cancel_order(order["id"], SYMBOL)

    with pytest.raises(ccxt.DDoSProtection, match=r"429.*-1015"):
        insist()


def test_too_many_requests_are_refused_then_banned(
    made: Any, strict_venue: Any, identity: Any
) -> None:
    exchange = made(ccxt.binance, identity.key, identity.secret, at=strict_venue)
    failures = []
    for _ in range(200):
        try:
            exchange.public_get_ticker_24hr()
        except ccxt.DDoSProtection as error:
            failures.append((type(error).__name__, str(error)))
            if "banned" in str(error):
                break

    assert "-1003" in failures[0][1]
    assert "429" in failures[0][1]
    assert "418" in failures[-1][1]
