"""Refusals by the engine: what they say, what the user stream tells, and what they leave."""

from decimal import Decimal

import pytest

from livespot.exchange.engine import Engine
from livespot.exchange.event_json import user_event
from livespot.exchange.model import AccountSpec, ExecutionReport, ListStatus, Rejection
from livespot.exchange.specs import symbol_spec
from livespot.testing.spot_desk import SYMBOL, SpotDesk, refusal, symbol_row

BUY = "side=BUY type=LIMIT timeInForce=GTC quantity=1 price=90"
OCO = "side=SELL quantity=1 aboveType=LIMIT_MAKER abovePrice=110 belowType=STOP_LOSS "
OCO += "belowStopPrice=101"
FUNDS = {"USDT": Decimal(1000), "BTC": Decimal(1)}


@pytest.fixture
def desk() -> SpotDesk:
    desk = SpotDesk()
    desk.book()
    desk.print_buy("100.5", "0.5")
    desk.engine.drain_events()
    return desk


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ("side=SELL type=MARKET quantity=11", "INSUFFICIENT_BALANCES"),
        (f"{BUY} quantity=500", "INSUFFICIENT_BALANCES"),
        (
            "side=SELL type=STOP_LOSS quantity=1 stopPrice=101",
            "STOP_PRICE_WOULD_TRIGGER_IMMEDIATELY",
        ),
        ("side=BUY type=LIMIT_MAKER quantity=1 price=101", "WOULD_MATCH_IMMEDIATELY"),
    ],
)
def test_refused_order_shows_on_the_stream_with_its_reason(
    desk: SpotDesk, params: str, reason: str
) -> None:
    with pytest.raises(Rejection):
        desk.order(f"{params} newClientOrderId=mine")
    (report,) = [one for one in desk.engine.drain_events() if isinstance(one, ExecutionReport)]
    body = user_event(report, desk.now_ms)
    told = {name: body[name] for name in ("x", "X", "r", "c", "i", "w", "z")}
    assert told == {
        "x": "REJECTED",
        "X": "REJECTED",
        "r": reason,
        "c": "mine",
        "i": 1,
        "w": False,
        "z": "0.00000000",
    }


def test_refused_order_leaves_nothing_but_a_number_used_up(desk: SpotDesk) -> None:
    with pytest.raises(Rejection):
        desk.order("side=BUY type=LIMIT_MAKER quantity=1 price=101 newClientOrderId=mine")
    assert desk.held("USDT") == ("10000", "0")
    assert desk.engine.all_orders("alice", {"symbol": SYMBOL}) == []
    assert desk.engine.order_counts("alice", desk.now_ms) == (0, 0)
    assert desk.order(f"{BUY} newClientOrderId=mine")["orderId"] == 2


@pytest.mark.parametrize(
    "params",
    [
        "side=BUY type=LIMIT timeInForce=GTC quantity=0.0001 price=90",
        "side=BUY type=LIMIT timeInForce=GTC quantity=1 price=90 newClientOrderId=taken",
        "side=BUY type=LIMIT quantity=1 price=90",
    ],
)
def test_refusals_short_of_the_engine_or_without_a_reason_are_not_shown(
    desk: SpotDesk, params: str
) -> None:
    desk.order(f"{BUY} newClientOrderId=taken")
    desk.engine.drain_events()
    with pytest.raises(Rejection):
        desk.order(params)
    assert desk.engine.drain_events() == []


def test_new_half_of_a_replacement_is_reported_when_refused(desk: SpotDesk) -> None:
    desk.order(BUY)
    desk.engine.drain_events()
    taking = "side=BUY type=LIMIT_MAKER quantity=1 price=101"
    desk.replace(f"{taking} cancelReplaceMode=STOP_ON_FAILURE cancelOrderId=1")
    assert desk.trail() == [(1, "CANCELED", "CANCELED"), (2, "REJECTED", "REJECTED")]


def test_refused_list_shows_its_orders_and_itself(desk: SpotDesk) -> None:
    with pytest.raises(Rejection) as caught:
        desk.place_list("oco", f"{OCO} listClientOrderId=mine")
    text = "The relationship of the prices for the orders is not correct."
    assert refusal(caught.value) == (-2010, text)
    events = desk.engine.drain_events()
    assert [
        (one.order_id, one.list_id, one.status, one.reject_reason)
        for one in events
        if isinstance(one, ExecutionReport)
    ] == [(1, 0, "REJECTED", "OCO_BAD_PRICES"), (2, 0, "REJECTED", "OCO_BAD_PRICES")]
    (status,) = [one for one in events if isinstance(one, ListStatus)]
    assert (status.status_type, status.order_status) == ("RESPONSE", "REJECT")
    assert (status.reject_reason, status.client_id) == ("OCO_BAD_PRICES", "mine")
    assert [number for number, _ in status.orders] == [1, 2]
    assert desk.engine.all_lists("alice", {}) == []
    fitting = f"{OCO} belowStopPrice=95 listClientOrderId=mine"
    assert desk.place_list("oco", fitting)["orderListId"] == 1


def test_engine_can_keep_refusals_off_the_stream() -> None:
    owner = AccountSpec(account_id="alice", balances=FUNDS)
    engine = Engine([symbol_spec(symbol_row())], [owner], report_refusals=False)
    params = {"symbol": SYMBOL, "side": "SELL", "type": "LIMIT_MAKER"}
    with pytest.raises(Rejection):
        engine.place_order("alice", params | {"quantity": "5", "price": "100"}, 1)
    assert engine.drain_events() == []


@pytest.mark.parametrize(
    ("account", "changes", "text"),
    [
        ({"can_trade": False}, {}, "This account may not place or cancel orders."),
        (
            {"restricted_symbols": frozenset({SYMBOL})},
            {},
            "This symbol is restricted for this account.",
        ),
        (
            {},
            {"permissionSets": [["SPOT", "MARGIN"], ["TRD_GRP_004"]]},
            "This symbol is not permitted for this account.",
        ),
    ],
)
def test_account_without_the_right_to_a_symbol_places_nothing(
    account: dict[str, object], changes: dict[str, object], text: str
) -> None:
    owner = AccountSpec(account_id="alice", balances=FUNDS, **account)  # type: ignore[arg-type]
    desk = SpotDesk(symbol_row(**changes), accounts=(owner,))
    desk.book()
    with pytest.raises(Rejection) as caught:
        desk.order(BUY)
    assert refusal(caught.value) == (-2010, text)
    with pytest.raises(Rejection) as caught:
        desk.place_list("oco", f"{OCO} belowStopPrice=95")
    assert refusal(caught.value) == (-2010, text)


def test_account_that_may_not_trade_cancels_nothing_either() -> None:
    owner = AccountSpec(account_id="alice", balances=FUNDS, can_trade=False)
    desk = SpotDesk(accounts=(owner,))
    number = {"symbol": SYMBOL, "orderListId": "0"}
    for cancel in (
        lambda: desk.cancel("orderId=1"),
        lambda: desk.engine.cancel_list("alice", number, desk.now_ms),
        lambda: desk.engine.cancel_open_orders("alice", {"symbol": SYMBOL}, desk.now_ms),
    ):
        with pytest.raises(Rejection) as caught:
            cancel()
        text = "This account may not place or cancel orders."
        assert refusal(caught.value) == (-2011, text)
    assert desk.engine.account_info("alice", {})["canTrade"] is False


def test_account_in_one_group_of_each_permission_set_may_trade() -> None:
    owner = AccountSpec(account_id="alice", balances=FUNDS, permissions=("SPOT", "TRD_GRP_004"))
    row = symbol_row(permissionSets=[["SPOT", "MARGIN"], ["TRD_GRP_004", "TRD_GRP_005"]])
    desk = SpotDesk(row, accounts=(owner,))
    assert desk.order(BUY)["status"] == "NEW"
    assert desk.engine.account_info("alice", {})["permissions"] == ["SPOT", "TRD_GRP_004"]
