"""Private events become the same messages as REST replies."""

import json
from decimal import Decimal
from typing import Any

import pytest

from livespot.contracts.errors import PayloadInvalid
from livespot.contracts.orders import BalancesChanged, ListView, OrderUpdate
from livespot.contracts.streams import BalanceMoved, ServerShutdown, UserStreamEnded
from livespot.contracts.vocabulary import OrderStatus, OrderType
from livespot.venue.user_events import decode_user_event

_NOW = 1_700_000_000_000


def _event(sockets: dict[str, bytes], name: str, **changes: object) -> bytes:
    envelope: dict[str, Any] = json.loads(sockets[name])
    return json.dumps(envelope["event"] | changes).encode()


def test_a_new_order_is_reported(sockets: dict[str, bytes]) -> None:
    update = decode_user_event(_event(sockets, "executionReport"), _NOW)

    assert isinstance(update, OrderUpdate)
    assert update.source == "STREAM"
    assert (update.order.order_id, update.order.status) == (4293153, OrderStatus.NEW)
    assert update.order.own_id == "mUvoqJxFIILMdfAW5iGSOW"
    assert (update.order.exchange_time_ms, update.order.expiry_reason) == (1499405658657, "")
    assert update.fills == ()


def test_the_documented_sequence_yields_two_fills_and_an_expiry(
    sockets: dict[str, bytes],
) -> None:
    events = [
        decode_user_event(json.dumps(event).encode(), _NOW)
        for event in json.loads(sockets["sequence_market_expired"])
    ]

    updates = [event for event in events if isinstance(event, OrderUpdate)]
    assert [update.order.status for update in updates] == [
        OrderStatus.NEW,
        OrderStatus.PARTIALLY_FILLED,
        OrderStatus.PARTIALLY_FILLED,
        OrderStatus.EXPIRED,
    ]
    fills = [fill for update in updates for fill in update.fills]
    assert [(fill.trade_id, fill.commission_asset) for fill in fills] == [(7, "BNB"), (8, "BNB")]
    assert sum(fill.qty for fill in fills) == updates[-1].order.executed_qty == 4
    balances = events[-1]
    assert isinstance(balances, BalancesChanged)
    assert [balance.asset for balance in balances.balances] == ["LTC", "BNB"]


def test_a_cancel_names_the_order_by_its_original_id(sockets: dict[str, bytes]) -> None:
    event = _event(
        sockets, "executionReport", x="CANCELED", X="CANCELED", c="cancel-1", C="order-1"
    )

    update = decode_user_event(event, _NOW)

    assert isinstance(update, OrderUpdate)
    assert update.order.own_id == "order-1"


def test_a_prevented_trade_is_no_fill_and_a_reason_is_kept(sockets: dict[str, bytes]) -> None:
    event = _event(
        sockets,
        "executionReport",
        x="TRADE_PREVENTION",
        X="EXPIRED_IN_MATCH",
        eR="OCO_TRIGGER",
        o="STOP_LOSS_LIMIT",
        w=False,
    )

    update = decode_user_event(event, _NOW)

    assert isinstance(update, OrderUpdate)
    assert update.fills == ()
    assert (update.order.type, update.order.is_working) == (OrderType.STOP_LOSS_LIMIT, False)
    assert update.order.expiry_reason == "OCO_TRIGGER"


def test_a_list_status_names_its_legs(sockets: dict[str, bytes]) -> None:
    view = decode_user_event(_event(sockets, "listStatus"), _NOW)

    assert isinstance(view, ListView)
    assert (view.order_list_id, view.list_client_order_id) == (2, "F4QN4G8DlFATFlIUQ0cjdD")
    assert view.legs == ((17, "AJYsMjErWJesZvqlJCTUgL"), (18, "bfYPSQdLoqAJeNrOr9adzq"))


@pytest.mark.parametrize(
    ("name", "asset", "delta", "external"),
    [("balanceUpdate", "BTC", "100", False), ("externalLockUpdate", "NEO", "10", True)],
)
def test_balance_movements_are_read(
    sockets: dict[str, bytes], name: str, asset: str, delta: str, external: bool
) -> None:
    moved = decode_user_event(_event(sockets, name), _NOW)

    assert isinstance(moved, BalanceMoved)
    assert (moved.asset, moved.delta, moved.external_lock) == (asset, Decimal(delta), external)


def test_the_end_of_the_stream_and_of_the_server_are_told(sockets: dict[str, bytes]) -> None:
    ended = decode_user_event(_event(sockets, "eventStreamTerminated"), _NOW)
    shutdown = decode_user_event(_event(sockets, "wsapi_serverShutdown"), _NOW)

    assert isinstance(ended, UserStreamEnded)
    assert isinstance(shutdown, ServerShutdown)


def test_events_of_the_future_are_passed_over() -> None:
    assert decode_user_event(b'{"e":"somethingNew","E":1}', _NOW) is None


@pytest.mark.parametrize(
    "changes", [{"z": "NaN"}, {"S": "HOLD"}, {"x": "TRADE", "l": "0", "t": 5}, {"i": "7"}]
)
def test_a_report_that_makes_no_sense_is_refused(
    sockets: dict[str, bytes], changes: dict[str, object]
) -> None:
    with pytest.raises(PayloadInvalid):
        decode_user_event(_event(sockets, "executionReport", **changes), _NOW)
