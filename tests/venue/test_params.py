"""Requests carry exactly the parameters their kind of call takes."""

from decimal import Decimal

import pytest

from livespot.contracts.errors import LocalRefusal
from livespot.contracts.orders import (
    CancelReplaceRequest,
    CancelRequest,
    LegRequest,
    ListRequest,
    OrderRequest,
)
from livespot.contracts.vocabulary import ListKind, OrderType, Side, TimeInForce
from livespot.venue.params import (
    cancel_params,
    cancel_replace_params,
    list_params,
    order_params,
    priority_of,
)
from livespot.venue.weights import Priority

_ABOVE = LegRequest(type=OrderType.LIMIT_MAKER, client_order_id="tp", price=Decimal("110.00"))
_BELOW = LegRequest(
    type=OrderType.STOP_LOSS_LIMIT,
    client_order_id="sl",
    price=Decimal("89.5"),
    stop_price=Decimal("90.0"),
    time_in_force=TimeInForce.GTC,
)
_WORKING = OrderRequest(
    symbol="BTCUSDT",
    side=Side.BUY,
    type=OrderType.LIMIT_MAKER,
    qty=Decimal("0.01000"),
    price=Decimal(100),
    client_order_id="entry",
    recv_window_ms=1500,
)


def _list(kind: ListKind, qty: Decimal | None, working: OrderRequest | None) -> ListRequest:
    return ListRequest(
        kind=kind,
        symbol="BTCUSDT",
        list_client_order_id="list",
        side=Side.SELL,
        qty=qty,
        above=_ABOVE,
        below=_BELOW,
        working=working,
    )


def test_an_order_states_plain_digits_and_asks_for_its_fills() -> None:
    request = OrderRequest(
        symbol="BTCUSDT",
        side=Side.SELL,
        type=OrderType.TAKE_PROFIT_LIMIT,
        qty=Decimal("1E-8"),
        price=Decimal("1E+2"),
        trailing_delta=150,
        time_in_force=TimeInForce.GTC,
        client_order_id="x-1",
    )

    assert order_params(request) == {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "type": "TAKE_PROFIT_LIMIT",
        "timeInForce": "GTC",
        "price": "100",
        "trailingDelta": 150,
        "quantity": "0.00000001",
        "newClientOrderId": "x-1",
        "newOrderRespType": "FULL",
        "recvWindow": 5000,
    }


def test_a_cancel_prefers_the_exchange_id_and_may_spare_partial_fills() -> None:
    by_id = CancelRequest(
        symbol="BTCUSDT",
        client_order_id="c-1",
        order_id=7,
        orig_client_order_id="x-1",
        only_new=True,
    )
    by_name = CancelRequest(symbol="BTCUSDT", client_order_id="c-1", orig_client_order_id="x-1")

    assert cancel_params(by_id) == {
        "symbol": "BTCUSDT",
        "orderId": 7,
        "newClientOrderId": "c-1",
        "cancelRestrictions": "ONLY_NEW",
        "recvWindow": 5000,
    }
    assert cancel_params(by_name)["origClientOrderId"] == "x-1"


def test_a_cancel_replace_stops_when_the_cancel_fails() -> None:
    cancel = CancelRequest(symbol="BTCUSDT", client_order_id="c-1", order_id=7)

    params = cancel_replace_params(CancelReplaceRequest(cancel=cancel, order=_WORKING))

    assert params["cancelReplaceMode"] == "STOP_ON_FAILURE"
    assert (params["cancelOrderId"], params["cancelNewClientOrderId"]) == (7, "c-1")
    assert (params["newClientOrderId"], params["recvWindow"]) == ("entry", 1500)


def test_an_oco_names_both_legs() -> None:
    assert list_params(_list(ListKind.OCO, Decimal("0.01"), None)) == {
        "symbol": "BTCUSDT",
        "listClientOrderId": "list",
        "side": "SELL",
        "quantity": "0.01",
        "aboveType": "LIMIT_MAKER",
        "abovePrice": "110.00",
        "aboveClientOrderId": "tp",
        "belowType": "STOP_LOSS_LIMIT",
        "belowTimeInForce": "GTC",
        "belowPrice": "89.5",
        "belowStopPrice": "90.0",
        "belowClientOrderId": "sl",
        "newOrderRespType": "FULL",
        "recvWindow": 5000,
    }


def test_only_an_otoco_states_the_pending_quantity() -> None:
    otoco = list_params(_list(ListKind.OTOCO, Decimal("0.009"), _WORKING))
    opoco = list_params(_list(ListKind.OPOCO, None, _WORKING))

    assert otoco.pop("pendingQuantity") == "0.009"
    assert otoco == opoco
    assert opoco["workingType"] == "LIMIT_MAKER"
    assert (opoco["workingSide"], opoco["workingQuantity"]) == ("BUY", "0.01000")
    assert (opoco["pendingSide"], opoco["pendingAboveType"]) == ("SELL", "LIMIT_MAKER")
    assert opoco["pendingBelowClientOrderId"] == "sl"


@pytest.mark.parametrize(
    "request_",
    [
        _list(ListKind.OTO, None, _WORKING),
        _list(ListKind.OCO, None, None),
        _list(ListKind.OPOCO, None, None),
    ],
    ids=["one pending order", "without quantity", "without working order"],
)
def test_a_list_that_does_not_fit_its_kind_never_leaves(request_: ListRequest) -> None:
    with pytest.raises(LocalRefusal):
        list_params(request_)


def test_what_buys_is_an_entry_and_what_sells_protects() -> None:
    assert priority_of(_WORKING) is Priority.ENTRY
    assert priority_of(_list(ListKind.OPOCO, None, _WORKING)) is Priority.ENTRY
    assert priority_of(_list(ListKind.OCO, Decimal(1), None)) is Priority.PROTECTION
