"""Amending: what may be lowered, what it frees, keeps and tells, and how it is refused."""

from decimal import Decimal

import pytest

from livespot.exchange.event_json import user_event
from livespot.exchange.model import ExecutionReport, ListStatus, Rejection
from livespot.exchange.specs import symbol_spec
from livespot.testing.spot_desk import BASIC_FILTERS, SYMBOL, SpotDesk, refusal, symbol_row

PAIR = {"symbol": SYMBOL}
BUY = "side=BUY type=LIMIT_MAKER quantity=4 price=99"
OCO = "side=SELL quantity=4 aboveType=LIMIT_MAKER abovePrice=110 belowType=STOP_LOSS "
OCO += "belowStopPrice=95"
OPOCO = "workingType=LIMIT_MAKER workingSide=BUY workingPrice=99 workingQuantity=4 "
OPOCO += "pendingSide=SELL pendingAboveType=LIMIT_MAKER pendingAbovePrice=110 "
OPOCO += "pendingBelowType=STOP_LOSS pendingBelowStopPrice=95"
OTOCO = f"{OPOCO} pendingQuantity=4"


@pytest.fixture
def desk() -> SpotDesk:
    desk = SpotDesk()
    desk.book()
    desk.print_buy("100.5", "0.5")
    desk.engine.drain_events()
    return desk


def refused(desk: SpotDesk, params: str, account: str = "alice") -> tuple[int, str]:
    with pytest.raises(Rejection) as caught:
        desk.amend(params, account)
    return refusal(caught.value)


def test_amend_lowers_the_quantity_and_frees_what_it_locked(desk: SpotDesk) -> None:
    desk.order(BUY)
    assert desk.held("USDT") == ("9604", "396")
    desk.now_ms += 7
    body = desk.amend("orderId=1 newQty=1.5")
    assert (body["amendedOrder"]["qty"], body["transactTime"]) == ("1.50000000", desk.now_ms)
    assert desk.query(1)["origQty"] == "1.50000000"
    assert desk.held("USDT") == ("9851.5", "148.5")
    assert desk.engine.depth(SYMBOL, 2)[1][1] == (Decimal(99), Decimal("11.5"))


def test_amended_order_keeps_its_turn_in_the_queue(desk: SpotDesk) -> None:
    desk.order("side=BUY type=LIMIT_MAKER quantity=4 price=100.2")
    desk.order("side=BUY type=LIMIT_MAKER quantity=4 price=100.2", "bob")
    desk.amend("orderId=1 newQty=1")
    desk.print_sell("100.2", "1.5")
    assert desk.status(1) == "FILLED"
    assert desk.query(2, "bob")["executedQty"] == "0.50000000"


def test_amend_names_the_order_anew_unless_told_to_keep_its_name(desk: SpotDesk) -> None:
    desk.order(f"{BUY} newClientOrderId=mine")
    kept = desk.amend("origClientOrderId=mine newQty=3 newClientOrderId=mine")["amendedOrder"]
    assert (kept["origClientOrderId"], kept["clientOrderId"]) == ("mine", "mine")
    anew = desk.amend("orderId=1 newQty=2")["amendedOrder"]
    assert anew["origClientOrderId"] == "mine"
    assert anew["clientOrderId"] != "mine"
    assert desk.query(1)["clientOrderId"] == anew["clientOrderId"]
    desk.order(f"{BUY} newClientOrderId=mine")
    assert refused(desk, "orderId=1 newQty=1 newClientOrderId=mine") == (
        -2038,
        "Duplicate order sent.",
    )


def test_amend_is_reported_as_a_replacement_with_both_names(desk: SpotDesk) -> None:
    desk.order(f"{BUY} newClientOrderId=old")
    desk.engine.drain_events()
    execution_id = desk.amend("orderId=1 newQty=3 newClientOrderId=new")["executionId"]
    (report,) = [one for one in desk.engine.drain_events() if isinstance(one, ExecutionReport)]
    body = user_event(report, desk.now_ms)
    told = {name: body[name] for name in ("x", "X", "c", "C", "q", "I", "l", "t")}
    assert told == {
        "x": "REPLACED",
        "X": "NEW",
        "c": "new",
        "C": "old",
        "q": "3.00000000",
        "I": execution_id,
        "l": "0.00000000",
        "t": -1,
    }


def test_order_amended_to_what_it_has_executed_expires(desk: SpotDesk) -> None:
    desk.order("side=BUY type=LIMIT_MAKER quantity=4 price=100.2")
    desk.print_sell("100.2", "1.5")
    desk.engine.drain_events()
    body = desk.amend("orderId=1 newQty=1")["amendedOrder"]
    assert (body["status"], body["qty"], body["executedQty"]) == (
        "EXPIRED",
        "1.50000000",
        "1.50000000",
    )
    assert desk.trail() == [(1, "REPLACED", "PARTIALLY_FILLED"), (1, "EXPIRED", "EXPIRED")]
    assert desk.held("USDT")[1] == "0"


def test_amend_of_an_oco_leg_changes_both_and_updates_the_list(desk: SpotDesk) -> None:
    desk.place_list("oco", f"{OCO} aboveClientOrderId=take belowClientOrderId=stop")
    desk.engine.drain_events()
    body = desk.amend("orderId=2 newQty=3 newClientOrderId=less")
    assert [one["clientOrderId"] for one in body["listStatus"]["orders"]] == ["stop", "less"]
    assert [desk.query(number)["origQty"] for number in (1, 2)] == ["3.00000000"] * 2
    assert desk.held("BTC") == ("7", "3")
    events = desk.engine.drain_events()
    replaced = [
        (one.order_id, one.client_id, one.orig_client_id)
        for one in events
        if isinstance(one, ExecutionReport)
    ]
    assert replaced == [(2, "less", "take"), (1, "stop", "stop")]
    (status,) = [one for one in events if isinstance(one, ListStatus)]
    assert (status.status_type, status.order_status) == ("UPDATED", "EXECUTING")
    assert status.orders == ((1, "stop"), (2, "less"))


def test_list_whose_member_keeps_its_name_is_not_reported(desk: SpotDesk) -> None:
    desk.place_list("oco", f"{OCO} aboveClientOrderId=take")
    desk.engine.drain_events()
    desk.amend("orderId=2 newQty=3 newClientOrderId=take")
    assert not [one for one in desk.engine.drain_events() if isinstance(one, ListStatus)]


def test_pending_legs_are_amended_together_and_the_working_order_alone(desk: SpotDesk) -> None:
    desk.place_list("otoco", OTOCO)
    desk.amend("orderId=3 newQty=3")
    desk.amend("orderId=1 newQty=3.5")
    assert [desk.query(number)["origQty"] for number in (1, 2, 3)] == [
        "3.50000000",
        "3.00000000",
        "3.00000000",
    ]
    desk.print_sell("98.5")
    assert (desk.query(2)["status"], desk.query(2)["origQty"]) == ("NEW", "3.00000000")


def test_leg_without_a_quantity_cannot_be_amended(desk: SpotDesk) -> None:
    desk.place_list("opoco", OPOCO)
    text = "Order amend (quantity increase) is not supported."
    assert refused(desk, "orderId=2 newQty=1") == (-2038, text)


def test_amendments_are_listed_from_an_execution_or_the_newest(desk: SpotDesk) -> None:
    desk.order(f"{BUY} newClientOrderId=a")
    first = desk.amend("orderId=1 newQty=3 newClientOrderId=b")["executionId"]
    second = desk.amend("orderId=1 newQty=2 newClientOrderId=c")["executionId"]

    def shown(**params: str) -> list[tuple[object, ...]]:
        rows = desk.engine.amendments("alice", PAIR | {"orderId": "1"} | params)
        names = ("executionId", "origClientOrderId", "newClientOrderId", "origQty", "newQty")
        return [tuple(row[name] for name in names) for row in rows]

    rows = [
        (first, "a", "b", "4.00000000", "3.00000000"),
        (second, "b", "c", "3.00000000", "2.00000000"),
    ]
    assert shown() == rows
    assert shown(fromExecutionId=str(second)) == rows[1:]
    assert shown(limit="1") == rows[1:]
    assert shown(fromExecutionId="0", limit="1") == rows[:1]
    for params, code in (({}, -1102), ({"orderId": "9"}, -2013)):
        with pytest.raises(Rejection) as caught:
            desk.engine.amendments("alice", PAIR | params)
        assert caught.value.code == code


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ("orderId=9 newQty=1", (-2038, "Unknown order sent.")),
        ("orderId=1 origClientOrderId=other newQty=1", (-2038, "Unknown order sent.")),
        (
            "orderId=1 newQty=5",
            (-2038, "Order amend (quantity increase) is not supported."),
        ),
        (
            "orderId=1 newQty=4",
            (-2038, "The requested action would change no state; rejecting"),
        ),
        ("orderId=1 newQty=0", (-1013, "Filter failure: LOT_SIZE")),
        ("orderId=1 newQty=1.0005", (-1013, "Filter failure: LOT_SIZE")),
        ("orderId=1 newQty=0.05", (-1013, "Filter failure: NOTIONAL")),
        ("orderId=1 newQty=1.123456789", (-1111, "Parameter 'newQty' has too much precision.")),
        ("orderId=1 newQty=1 newClientOrderId=", (-1118, "New client order ID was empty.")),
        (
            "orderId=1 newQty=",
            (-1102, "Mandatory parameter 'newQty' was not sent, was empty/null, or malformed."),
        ),
        (
            "newQty=1",
            (
                -1102,
                "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!",
            ),
        ),
        (
            "orderId=1 newQty=1 price=5",
            (-1104, "Not all sent parameters were read; read '3' parameter(s) but was sent '4'."),
        ),
    ],
)
def test_amend_that_does_not_fit_changes_nothing(
    desk: SpotDesk, params: str, expected: tuple[int, str]
) -> None:
    desk.order(BUY)
    desk.engine.drain_events()
    assert refused(desk, params) == expected
    assert desk.query(1)["origQty"] == "4.00000000"
    assert desk.engine.drain_events() == []


def test_foreign_and_ended_orders_cannot_be_amended(desk: SpotDesk) -> None:
    desk.order(BUY)
    assert refused(desk, "orderId=1 newQty=1", "bob") == (-2038, "Unknown order sent.")
    desk.cancel("orderId=1")
    assert refused(desk, "orderId=1 newQty=1") == (-2038, "Unknown order sent.")


def test_iceberg_is_not_amended_below_its_visible_part(desk: SpotDesk) -> None:
    desk.order("side=BUY type=LIMIT timeInForce=GTC quantity=4 price=99 icebergQty=2")
    assert refused(desk, "orderId=1 newQty=1") == (-2038, "IcebergQty exceeds QTY.")
    assert desk.amend("orderId=1 newQty=3")["amendedOrder"]["icebergQty"] == "2.00000000"


@pytest.mark.parametrize(("limit", "most"), [(None, 10), (2, 2)])
def test_order_is_amended_only_so_often(limit: int | None, most: int) -> None:
    rule = {"filterType": "MAX_NUM_ORDER_AMENDS", "maxNumOrderAmends": limit}
    desk = SpotDesk(symbol_row((*BASIC_FILTERS, rule) if limit else BASIC_FILTERS))
    desk.book()
    desk.order(BUY)
    for count in range(most):
        desk.amend(f"orderId=1 newQty={Decimal('3.9') - count * Decimal('0.1')}")
    text = "Filter failure: MAX_NUM_ORDER_AMENDS"
    assert refused(desk, "orderId=1 newQty=1") == (-2038, text)


def test_symbol_and_its_status_decide_whether_orders_are_amended(desk: SpotDesk) -> None:
    desk.order(BUY)
    desk.engine.set_symbol(symbol_spec(symbol_row(status="CANCEL_ONLY")))
    desk.amend("orderId=1 newQty=3")
    for row, text in (
        (symbol_row(status="HALT"), "Market is closed."),
        (symbol_row(amendAllowed=False), "Order amend is not supported for this symbol."),
    ):
        desk.engine.set_symbol(symbol_spec(row))
        assert refused(desk, "orderId=1 newQty=2") == (-2038, text)


def test_amend_counts_no_new_order(desk: SpotDesk) -> None:
    desk.order(BUY)
    desk.amend("orderId=1 newQty=3")
    assert desk.engine.order_counts("alice", desk.now_ms) == (1, 1)
