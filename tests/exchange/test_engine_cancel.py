"""Cancels, cancel-replace outcomes and the rules of client order ids."""

import pytest

from livespot.exchange.model import OrderLimits, Rejection
from livespot.testing.spot_desk import SpotDesk, refusal, symbol_row

BUY = "side=BUY type=LIMIT_MAKER quantity=1 price=90"
OCO = "side=SELL quantity=2 aboveType=LIMIT_MAKER abovePrice=110 belowType=STOP_LOSS "
OCO += "belowStopPrice=95"
UNKNOWN = (-2011, "Unknown order sent.")


@pytest.fixture
def desk() -> SpotDesk:
    desk = SpotDesk()
    desk.book()
    desk.print_buy("100.5", "0.5")
    return desk


def test_cancel_overwrites_the_client_id_and_the_report_carries_both(desk: SpotDesk) -> None:
    desk.order(f"{BUY} newClientOrderId=entry")
    desk.engine.drain_events()
    reply = desk.cancel("origClientOrderId=entry newClientOrderId=stop-it")
    assert (reply["origClientOrderId"], reply["clientOrderId"]) == ("entry", "stop-it")
    assert reply["status"] == "CANCELED"
    (report,) = desk.reports()
    assert (report.client_id, report.orig_client_id) == ("stop-it", "entry")
    assert desk.query(1)["clientOrderId"] == "stop-it"
    assert desk.held("USDT") == ("10000", "0")
    with pytest.raises(Rejection) as caught:
        desk.engine.query_order("alice", {"symbol": "BTCUSDT", "origClientOrderId": "entry"})
    assert refusal(caught.value) == (-2013, "Order does not exist.")


def test_cancel_of_an_unknown_finished_or_foreign_order_is_refused(desk: SpotDesk) -> None:
    desk.order(BUY)
    desk.cancel("orderId=1")
    desk.order(BUY, "bob")
    for params in ("orderId=1", "orderId=2", "orderId=77", "origClientOrderId=none"):
        with pytest.raises(Rejection) as caught:
            desk.cancel(params)
        assert refusal(caught.value) == UNKNOWN


def test_cancel_needs_an_id_and_both_ids_must_agree(desk: SpotDesk) -> None:
    desk.order(f"{BUY} newClientOrderId=entry")
    with pytest.raises(Rejection) as caught:
        desk.cancel("newClientOrderId=x")
    assert caught.value.code == -1102
    with pytest.raises(Rejection) as caught:
        desk.cancel("orderId=1 origClientOrderId=other")
    assert caught.value.code == -2011
    with pytest.raises(Rejection) as caught:
        desk.engine.query_order(
            "alice", {"symbol": "BTCUSDT", "orderId": "1", "origClientOrderId": "other"}
        )
    assert caught.value.code == -2039


def test_cancel_restriction_protects_a_partly_filled_order(desk: SpotDesk) -> None:
    desk.order("side=BUY type=LIMIT_MAKER quantity=2 price=100.5")
    with pytest.raises(Rejection) as caught:
        desk.cancel("orderId=1 cancelRestrictions=ONLY_PARTIALLY_FILLED")
    text = "Order was not canceled due to cancel restrictions."
    assert refusal(caught.value) == (-2011, text)
    desk.print_sell("100.5")
    with pytest.raises(Rejection) as caught:
        desk.cancel("orderId=1 cancelRestrictions=ONLY_NEW")
    assert refusal(caught.value) == (-2011, text)
    with pytest.raises(Rejection) as caught:
        desk.cancel("orderId=1 cancelRestrictions=SOMETIMES")
    assert refusal(caught.value) == (-1145, "Invalid cancelRestrictions")
    reply = desk.cancel("orderId=1 cancelRestrictions=ONLY_PARTIALLY_FILLED")
    assert reply["executedQty"] == "1.00000000"


def test_client_id_is_refused_while_open_and_accepted_again_afterwards(desk: SpotDesk) -> None:
    desk.order(f"{BUY} newClientOrderId=same")
    with pytest.raises(Rejection) as caught:
        desk.order(f"{BUY} newClientOrderId=same")
    assert refusal(caught.value) == (-2010, "Duplicate order sent.")
    desk.print_sell("89")
    assert desk.status(1) == "FILLED"
    assert desk.order(f"{BUY} newClientOrderId=same")["orderId"] == 2
    desk.cancel("orderId=2")
    assert desk.order(f"{BUY} newClientOrderId=same")["orderId"] == 3


def test_immediately_filled_id_places_a_second_order_when_sent_again(desk: SpotDesk) -> None:
    params = "side=BUY type=MARKET quantity=1 newClientOrderId=again"
    desk.order(params)
    desk.order(params)
    assert desk.held("BTC") == ("11.998", "0")


def test_client_ids_of_two_accounts_do_not_collide(desk: SpotDesk) -> None:
    desk.order(f"{BUY} newClientOrderId=same")
    assert desk.order(f"{BUY} newClientOrderId=same", "bob")["orderId"] == 2


def test_list_ids_have_their_own_names_and_legs_share_the_order_names(desk: SpotDesk) -> None:
    desk.order(f"{BUY} newClientOrderId=one")
    desk.place_list("oco", f"{OCO} listClientOrderId=one aboveClientOrderId=two")
    for params in (
        f"{OCO} listClientOrderId=one",
        f"{OCO} belowClientOrderId=two",
        f"{OCO} aboveClientOrderId=x belowClientOrderId=x",
    ):
        with pytest.raises(Rejection) as caught:
            desk.place_list("oco", params)
        assert refusal(caught.value) == (-2010, "Duplicate order sent.")
    desk.engine.cancel_list("alice", {"symbol": "BTCUSDT", "listClientOrderId": "one"}, desk.now_ms)
    assert desk.place_list("oco", f"{OCO} listClientOrderId=one")["listClientOrderId"] == "one"


def test_cancelling_one_leg_cancels_the_list_and_answers_with_it(desk: SpotDesk) -> None:
    desk.place_list("oco", f"{OCO} aboveClientOrderId=take belowClientOrderId=stop")
    desk.engine.drain_events()
    reply = desk.cancel("orderId=2 newClientOrderId=bye")
    assert reply["listOrderStatus"] == "ALL_DONE"
    assert [one["clientOrderId"] for one in reply["orders"]] == ["stop", "take"]
    assert [one["clientOrderId"] for one in reply["orderReports"]] == ["bye", "bye"]
    assert desk.trail() == [(1, "CANCELED", "CANCELED"), (2, "CANCELED", "CANCELED")]
    assert desk.held("BTC") == ("10", "0")


def test_list_is_cancelled_by_number_and_only_once(desk: SpotDesk) -> None:
    desk.place_list("oco", OCO)
    params = {"symbol": "BTCUSDT", "orderListId": "0"}
    assert desk.engine.cancel_list("alice", params, desk.now_ms)["listStatusType"] == "ALL_DONE"
    with pytest.raises(Rejection) as caught:
        desk.engine.cancel_list("alice", params, desk.now_ms)
    assert refusal(caught.value) == UNKNOWN


def test_cancel_all_mixes_orders_and_lists_under_one_new_id(desk: SpotDesk) -> None:
    desk.order(BUY)
    desk.place_list("oco", OCO)
    reply = desk.engine.cancel_open_orders("alice", {"symbol": "BTCUSDT"}, desk.now_ms)
    assert ["orderReports" in one for one in reply] == [False, True]
    names = {reply[0]["clientOrderId"]} | {one["clientOrderId"] for one in reply[1]["orderReports"]}
    assert len(names) == 1
    with pytest.raises(Rejection) as caught:
        desk.engine.cancel_open_orders("alice", {"symbol": "BTCUSDT"}, desk.now_ms)
    assert refusal(caught.value) == UNKNOWN


STOP = "cancelReplaceMode=STOP_ON_FAILURE"
ALLOW = "cancelReplaceMode=ALLOW_FAILURE"
TAKING = "side=BUY type=LIMIT_MAKER quantity=1 price=101"


def outcome(answer: tuple[int, dict[str, object]]) -> tuple[object, ...]:
    status, body = answer
    data = body.get("data", body)
    assert isinstance(data, dict)
    return status, body.get("code"), data["cancelResult"], data["newOrderResult"]


@pytest.mark.parametrize("mode", [STOP, ALLOW])
def test_replace_succeeds_and_may_reuse_the_cancelled_id(desk: SpotDesk, mode: str) -> None:
    desk.order(f"{BUY} newClientOrderId=same")
    answer = desk.replace(f"{BUY} {mode} cancelOrderId=1 newClientOrderId=same")
    assert outcome(answer) == (200, None, "SUCCESS", "SUCCESS")
    assert (desk.status(1), desk.status(2)) == ("CANCELED", "NEW")


def test_replace_stops_when_the_cancel_fails(desk: SpotDesk) -> None:
    answer = desk.replace(f"{BUY} {STOP} cancelOrderId=9")
    assert outcome(answer) == (400, -2022, "FAILURE", "NOT_ATTEMPTED")
    assert answer[1]["data"]["newOrderResponse"] is None
    assert desk.engine.order_counts("alice", desk.now_ms) == (1, 1)


def test_replace_goes_on_after_a_failed_cancel_when_allowed(desk: SpotDesk) -> None:
    answer = desk.replace(f"{BUY} {ALLOW} cancelOrderId=9")
    assert outcome(answer) == (409, -2021, "FAILURE", "SUCCESS")
    assert answer[1]["data"]["cancelResponse"] == {"code": -2011, "msg": "Unknown order sent."}


@pytest.mark.parametrize("mode", [STOP, ALLOW])
def test_replace_keeps_the_cancel_when_the_new_order_is_refused(desk: SpotDesk, mode: str) -> None:
    desk.order(BUY)
    answer = desk.replace(f"{TAKING} {mode} cancelOrderId=1")
    assert outcome(answer) == (409, -2021, "SUCCESS", "FAILURE")
    assert desk.status(1) == "CANCELED"


def test_replace_reports_two_failures(desk: SpotDesk) -> None:
    answer = desk.replace(f"{TAKING} {ALLOW} cancelOrderId=9")
    assert outcome(answer) == (400, -2022, "FAILURE", "FAILURE")


def test_replace_frees_the_funds_of_the_old_order_for_the_new_one(desk: SpotDesk) -> None:
    desk.order("side=SELL type=LIMIT_MAKER quantity=10 price=110")
    new = "side=SELL type=STOP_LOSS quantity=10 stopPrice=95"
    assert outcome(desk.replace(f"{new} {STOP} cancelOrderId=1"))[0] == 200
    assert desk.held("BTC") == ("0", "10")


def test_replacing_one_leg_ends_its_list(desk: SpotDesk) -> None:
    desk.place_list("oco", OCO)
    new = "side=SELL type=STOP_LOSS quantity=2 stopPrice=97"
    status, body = desk.replace(f"{new} {STOP} cancelOrderId=1")
    assert status == 200
    assert body["cancelResponse"]["listOrderStatus"] == "ALL_DONE"
    assert [desk.status(number) for number in (1, 2, 3)] == ["CANCELED", "CANCELED", "NEW"]


def test_filters_are_checked_before_either_half_of_a_replace() -> None:
    desk = SpotDesk(symbol_row(({"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 1},)))
    desk.order(BUY)
    with pytest.raises(Rejection) as caught:
        desk.replace(f"{BUY} {STOP} cancelOrderId=1")
    assert refusal(caught.value) == (-1013, "Filter failure: MAX_NUM_ORDERS")
    assert desk.status(1) == "NEW"


def test_replace_at_the_order_limit_does_nothing_or_only_cancels() -> None:
    desk = SpotDesk(limits=OrderLimits(ten_seconds=1))
    desk.order(BUY)
    with pytest.raises(Rejection) as caught:
        desk.replace(f"{BUY} {STOP} cancelOrderId=1")
    assert caught.value.http_status == 429
    assert desk.status(1) == "NEW"
    answer = desk.replace(f"{BUY} {STOP} cancelOrderId=1 orderRateLimitExceededMode=CANCEL_ONLY")
    assert outcome(answer) == (409, -2021, "SUCCESS", "FAILURE")
    assert answer[1]["data"]["newOrderResponse"]["code"] == -1015


def test_replace_needs_a_known_mode(desk: SpotDesk) -> None:
    for params, code in ((BUY, -1102), (f"{BUY} cancelReplaceMode=MAYBE", -1130)):
        with pytest.raises(Rejection) as caught:
            desk.replace(f"{params} cancelOrderId=1")
        assert caught.value.code == code


def test_symbol_may_forbid_replacing() -> None:
    desk = SpotDesk(symbol_row(cancelReplaceAllowed=False))
    with pytest.raises(Rejection) as caught:
        desk.replace(f"{BUY} {STOP} cancelOrderId=1")
    assert caught.value.msg == "Order cancel-replace is not supported for this symbol."


CANCEL_ONLY = "orderRateLimitExceededMode=CANCEL_ONLY"


def full_desk() -> SpotDesk:
    """A desk that may place no further order in this window, with order 1 open."""
    desk = SpotDesk(limits=OrderLimits(ten_seconds=1))
    desk.order(BUY)
    return desk


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (STOP, (400, -2022, "FAILURE", "NOT_ATTEMPTED")),
        (ALLOW, (400, -2022, "FAILURE", "FAILURE")),
    ],
)
def test_replace_that_can_only_cancel_but_finds_nothing_fails(
    mode: str, expected: tuple[object, ...]
) -> None:
    desk = full_desk()
    answer = desk.replace(f"{BUY} {mode} cancelOrderId=9 {CANCEL_ONLY}")
    assert outcome(answer) == expected
    assert desk.status(1) == "NEW"


@pytest.mark.parametrize("mode", [STOP, ALLOW])
def test_replace_that_can_only_cancel_counts_no_order(mode: str) -> None:
    desk = full_desk()
    answer = desk.replace(f"{BUY} {mode} cancelOrderId=1 {CANCEL_ONLY}")
    assert outcome(answer) == (409, -2021, "SUCCESS", "FAILURE")
    assert desk.engine.order_counts("alice", desk.now_ms) == (1, 1)
    assert [one["orderId"] for one in desk.engine.all_orders("alice", {"symbol": "BTCUSDT"})] == [1]


def test_replace_at_the_limit_does_nothing_by_default_and_when_told() -> None:
    desk = full_desk()
    for mode in ("", "orderRateLimitExceededMode=DO_NOTHING"):
        with pytest.raises(Rejection) as caught:
            desk.replace(f"{BUY} {ALLOW} cancelOrderId=1 {mode}")
        assert (caught.value.http_status, caught.value.code) == (429, -1015)
    assert desk.engine.order_counts("alice", desk.now_ms) == (1, 1)


@pytest.mark.parametrize("mode", [STOP, ALLOW])
def test_replace_counts_one_order_whatever_comes_of_it(desk: SpotDesk, mode: str) -> None:
    desk.order(BUY)
    desk.replace(f"{TAKING} {mode} cancelOrderId=1")
    assert desk.engine.order_counts("alice", desk.now_ms) == (2, 2)
    desk.replace(f"{BUY} {mode} cancelOrderId=9")
    assert desk.engine.order_counts("alice", desk.now_ms) == (3, 3)


@pytest.mark.parametrize(
    ("cancelled", "expected"),
    [
        ("cancelOrderId=9", UNKNOWN),
        ("cancelOrigClientOrderId=none", UNKNOWN),
        (
            "cancelOrderId=1 cancelOrigClientOrderId=other",
            (-2011, "Cancel order is invalid. Check origClOrdId and orderId."),
        ),
        (
            "cancelOrderId=1 cancelRestrictions=ONLY_PARTIALLY_FILLED",
            (-2011, "Order was not canceled due to cancel restrictions."),
        ),
    ],
)
def test_cancel_half_fails_with_its_own_reason(
    desk: SpotDesk, cancelled: str, expected: tuple[int, str]
) -> None:
    desk.order(f"{BUY} newClientOrderId=entry")
    status, body = desk.replace(f"{BUY} {STOP} {cancelled}")
    assert status == 400
    response = body["data"]["cancelResponse"]
    assert (response["code"], response["msg"]) == expected
    assert desk.status(1) == "NEW"


def test_replace_names_the_cancel_and_honours_its_restriction(desk: SpotDesk) -> None:
    desk.order(f"{BUY} newClientOrderId=entry")
    named = "cancelOrderId=1 cancelOrigClientOrderId=entry cancelNewClientOrderId=bye"
    status, body = desk.replace(f"{BUY} {STOP} {named} cancelRestrictions=ONLY_NEW")
    assert status == 200
    assert body["cancelResponse"]["clientOrderId"] == "bye"
    assert body["cancelResponse"]["origClientOrderId"] == "entry"


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        (
            f"{BUY} cancelOrderId=1",
            (
                -1102,
                (
                    "Mandatory parameter 'cancelReplaceMode' was not sent, was empty/null, or "
                    "malformed."
                ),
            ),
        ),
        (
            f"{BUY} cancelOrderId=1 cancelReplaceMode=MAYBE",
            (-1130, "Data sent for parameter 'cancelReplaceMode' is not valid."),
        ),
        (
            f"{BUY} {STOP} cancelOrderId=1 orderRateLimitExceededMode=WAIT",
            (-1130, "Data sent for parameter 'orderRateLimitExceededMode' is not valid."),
        ),
        (
            f"{BUY} {STOP} cancelOrderId=1 cancelRestrictions=SOMETIMES",
            (-1145, "Invalid cancelRestrictions"),
        ),
        (
            f"{BUY} {STOP}",
            (
                -1102,
                (
                    "Param 'cancelOrigClientOrderId' or 'cancelOrderId' must be sent, but both "
                    "were empty/null!"
                ),
            ),
        ),
        (
            f"{BUY} {STOP} cancelOrderId=1 quantity=0.0001",
            (-1013, "Filter failure: LOT_SIZE"),
        ),
    ],
)
def test_replace_that_does_not_fit_attempts_neither_half(
    desk: SpotDesk, params: str, expected: tuple[int, str]
) -> None:
    desk.order(BUY)
    with pytest.raises(Rejection) as caught:
        desk.replace(params)
    assert refusal(caught.value) == expected
    assert desk.status(1) == "NEW"
    assert desk.engine.order_counts("alice", desk.now_ms) == (1, 1)


def test_cancelled_id_is_free_for_another_order_and_the_cancel_id_is_not_taken(
    desk: SpotDesk,
) -> None:
    desk.order(f"{BUY} newClientOrderId=first")
    desk.order(f"{BUY} newClientOrderId=second")
    desk.cancel("orderId=1 newClientOrderId=second")
    by_name = {"symbol": "BTCUSDT", "origClientOrderId": "second"}
    assert desk.engine.query_order("alice", by_name)["orderId"] == 2
    assert desk.order(f"{BUY} newClientOrderId=first")["orderId"] == 3


def test_empty_ids_of_a_cancel_are_named(desk: SpotDesk) -> None:
    desk.order(BUY)
    for params, expected in (
        ("orderId=1 newClientOrderId=", (-1118, "New client order ID was empty.")),
        ("orderId=1 origClientOrderId=", (-1119, "Original client order ID was empty.")),
    ):
        with pytest.raises(Rejection) as caught:
            desk.cancel(params)
        assert refusal(caught.value) == expected


@pytest.mark.parametrize("mode", ["STOP_ON_FAILURE", "ALLOW_FAILURE"])
@pytest.mark.parametrize("status", ["HALT", "BREAK", "CANCEL_ONLY"])
def test_replace_on_a_closed_market_still_cancels(desk: SpotDesk, status: str, mode: str) -> None:
    desk.order(BUY)
    desk.engine.set_status("BTCUSDT", status, desk.now_ms)
    code, body = desk.replace(f"{BUY} cancelReplaceMode={mode} cancelOrderId=1")
    assert (code, body["code"]) == (409, -2021)
    assert (body["data"]["cancelResult"], body["data"]["newOrderResult"]) == ("SUCCESS", "FAILURE")
    assert body["data"]["newOrderResponse"] == {"code": -2010, "msg": "Market is closed."}
    assert desk.status(1) == "CANCELED"
