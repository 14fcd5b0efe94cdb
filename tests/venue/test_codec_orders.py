"""Replies about orders, lists and fills are read in every documented form."""

import json
from decimal import Decimal
from typing import Any

import pytest

from livespot.contracts.errors import OutcomeUnknown, PayloadInvalid
from livespot.contracts.orders import CancelReplaceRequest, CancelRequest, OrderRequest
from livespot.contracts.vocabulary import OrderStatus, OrderType, Side
from livespot.venue import codec_orders

_NOW = 1_700_000_000_000
_ORDER = OrderRequest(
    symbol="BTCUSDT",
    side=Side.BUY,
    type=OrderType.LIMIT,
    qty=Decimal("0.04"),
    price=Decimal("0.02"),
    client_order_id="new-1",
)
_CANCEL = CancelRequest(symbol="BTCUSDT", client_order_id="cancel-1", order_id=9)
_REPLACE = CancelReplaceRequest(cancel=_CANCEL, order=_ORDER)


def test_a_full_reply_carries_its_fills(rest: dict[str, bytes]) -> None:
    (update,) = codec_orders.decode_placed(rest["order_full"], _ORDER, _NOW).updates

    assert update.source == "REPLY"
    assert update.order.status is OrderStatus.FILLED
    assert [fill.trade_id for fill in update.fills] == [56, 57, 58, 59, 60]
    assert sum(fill.qty for fill in update.fills) == update.order.executed_qty == 10
    assert update.fills[1].commission == Decimal("19.995")
    assert {fill.client_order_id for fill in update.fills} == {"6gCrw2kRUAF9CvJDGP16IP"}
    assert {fill.exchange_time_ms for fill in update.fills} == {1507725176595}


def test_a_result_reply_has_no_fills(rest: dict[str, bytes]) -> None:
    (update,) = codec_orders.decode_placed(rest["order_result"], _ORDER, _NOW).updates

    assert update.fills == ()
    assert update.order.status is OrderStatus.FILLED


def test_an_acknowledgement_keeps_the_request_and_claims_no_state(rest: dict[str, bytes]) -> None:
    (update,) = codec_orders.decode_placed(rest["order_ack"], _ORDER, _NOW).updates

    assert (update.order.order_id, update.order.raw_status) == (28, "ACK")
    assert update.order.status is OrderStatus.UNKNOWN
    assert (update.order.side, update.order.type) == (Side.BUY, OrderType.LIMIT)
    assert update.order.orig_qty == Decimal("0.04")


def test_a_market_order_that_ran_dry_is_expired_with_its_fills(rest: dict[str, bytes]) -> None:
    (update,) = codec_orders.decode_placed(rest["order_market_expired"], _ORDER, _NOW).updates

    assert update.order.status is OrderStatus.EXPIRED
    assert (len(update.fills), update.order.executed_qty) == (2, Decimal(4))


@pytest.mark.parametrize("name", ["openOrders", "allOrders"])
def test_order_lists_are_read(rest: dict[str, bytes], name: str) -> None:
    (view,) = codec_orders.decode_orders(rest[name], _NOW)

    assert (view.symbol, view.order_id, view.own_id) == ("LTCBTC", 1, "myOrder1")
    assert view.exchange_time_ms == 1499827319559
    assert view.is_working


def test_self_trade_prevention_shows_as_its_own_status(rest: dict[str, bytes]) -> None:
    view = codec_orders.decode_order(rest["order_query_stp_expiredTaker"], _NOW)

    assert view.status is OrderStatus.EXPIRED_IN_MATCH
    assert view.executed_qty == 0


def _changed(body: bytes, **changes: object) -> bytes:
    sample: dict[str, Any] = json.loads(body)
    return json.dumps(sample | changes).encode()


def test_a_status_of_the_future_is_unknown_and_keeps_its_name(rest: dict[str, bytes]) -> None:
    view = codec_orders.decode_order(_changed(rest["order_query"], status="FROZEN"), _NOW)

    assert (view.status, view.raw_status) == (OrderStatus.UNKNOWN, "FROZEN")
    assert not view.status.is_terminal


def test_a_negative_quote_total_means_no_data(rest: dict[str, bytes]) -> None:
    body = _changed(rest["order_query"], cummulativeQuoteQty="-1.00000000")

    assert codec_orders.decode_order(body, _NOW).cumulative_quote == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"side": "HOLD"},
        {"type": "SCALED"},
        {"executedQty": "NaN"},
        {"executedQty": "-1"},
        {"orderId": "7"},
    ],
)
def test_an_order_that_makes_no_sense_is_refused(
    rest: dict[str, bytes], changes: dict[str, object]
) -> None:
    with pytest.raises(PayloadInvalid):
        codec_orders.decode_order(_changed(rest["order_query"], **changes), _NOW)


def test_an_oco_reply_reports_both_legs(rest: dict[str, bytes]) -> None:
    answer = codec_orders.decode_placed_list(rest["oco_new"], _NOW)

    assert answer.order_list is not None
    assert answer.order_list.list_client_order_id == "lH1YDkuQKWiXVXHPSKYEIp"
    assert [leg[0] for leg in answer.order_list.legs] == [10, 11]
    stop, take = (update.order for update in answer.updates)
    assert (stop.type, stop.is_working) == (OrderType.STOP_LOSS_LIMIT, False)
    assert (take.type, take.is_working) == (OrderType.LIMIT_MAKER, True)


def test_pending_legs_without_a_quantity_are_read(rest: dict[str, bytes]) -> None:
    answer = codec_orders.decode_placed_list(rest["opoco"], _NOW)

    working, stop, take = (update.order for update in answer.updates)
    assert working.orig_qty == Decimal("0.0017")
    assert stop.status is take.status is OrderStatus.PENDING_NEW
    assert stop.orig_qty == 0


def test_lists_are_read_from_queries(rest: dict[str, bytes]) -> None:
    one = codec_orders.decode_list(rest["orderList_query"], _NOW)
    (open_list,) = codec_orders.decode_lists(rest["openOrderList"], _NOW)

    assert (one.order_list_id, one.list_order_status) == (27, "EXECUTING")
    assert open_list.legs == ((4, "r3EH2N76dHfLoSZWIUw1bT"), (5, "Cv1SnyPD3qhqpbjpYEHbd2"))


def test_a_cancel_overwrites_the_id_and_keeps_the_original(rest: dict[str, bytes]) -> None:
    (update,) = codec_orders.decode_cancelled(rest["order_cancel"], _CANCEL, _NOW)

    assert update.order.status is OrderStatus.CANCELED
    assert update.order.client_order_id == "cancelMyOrder1"
    assert update.order.own_id == "myOrder1"


def test_cancelling_a_leg_reports_the_list_with_the_asked_order_first(
    rest: dict[str, bytes],
) -> None:
    by_id = CancelRequest(symbol="LTCBTC", client_order_id="c", order_id=3)
    by_name = CancelRequest(
        symbol="LTCBTC", client_order_id="c", orig_client_order_id="TXOvglzXuaubXAaENpaRCB"
    )

    for request in (by_id, by_name):
        updates = codec_orders.decode_cancelled(rest["orderList_cancel"], request, _NOW)

        assert [update.order.order_id for update in updates] == [3, 2]


def test_own_trades_know_side_and_maker(rest: dict[str, bytes]) -> None:
    (fill,) = codec_orders.decode_trades(rest["myTrades"], _NOW)

    assert (fill.trade_id, fill.order_id, fill.side) == (28457, 100234, Side.BUY)
    assert (fill.commission_asset, fill.client_order_id, fill.is_maker) == ("BNB", "", False)


def test_cancel_replace_success_has_both_halves(rest: dict[str, bytes]) -> None:
    answer = codec_orders.decode_cancel_replace(
        rest["cancelReplace_success"], _REPLACE, _NOW, failed=False
    )

    assert answer.cancelled is not None
    assert answer.placed is not None
    assert (answer.cancelled.order.order_id, answer.placed.order.order_id) == (9, 10)
    assert (answer.cancel_error, answer.place_error, answer.place_attempted) == (None, None, True)


_HALVES = [
    ("cancelReplace_stop_cancel_failed", None, -2011, None, None, False),
    ("cancelReplace_allow_cancel_failed", None, -2011, 11, None, True),
    ("cancelReplace_new_failed", 3, None, None, -2010, True),
    ("cancelReplace_both_failed", None, -2011, None, -2010, True),
]


@pytest.mark.parametrize(
    ("name", "cancelled", "cancel_code", "placed", "place_code", "attempted"), _HALVES
)
def test_a_failed_cancel_replace_tells_both_halves_apart(
    rest: dict[str, bytes],
    name: str,
    cancelled: int | None,
    cancel_code: int | None,
    placed: int | None,
    place_code: int | None,
    attempted: bool,
) -> None:
    answer = codec_orders.decode_cancel_replace(rest[name], _REPLACE, _NOW, failed=True)

    assert (answer.cancelled.order.order_id if answer.cancelled else None) == cancelled
    assert (answer.cancel_error[0] if answer.cancel_error else None) == cancel_code
    assert (answer.placed.order.order_id if answer.placed else None) == placed
    assert (answer.place_error[0] if answer.place_error else None) == place_code
    assert answer.place_attempted is attempted


def test_a_half_with_an_unknown_outcome_makes_its_order_unknown(rest: dict[str, bytes]) -> None:
    sample = json.loads(rest["cancelReplace_new_failed"])
    sample["data"]["newOrderResponse"] = {"code": -1007, "msg": "Timeout"}

    with pytest.raises(OutcomeUnknown) as caught:
        codec_orders.decode_cancel_replace(json.dumps(sample).encode(), _REPLACE, _NOW, failed=True)

    assert caught.value.client_order_id == "new-1"
