"""Order lists: OCO, OTO, OTOCO, OPO and OPOCO from placement to the last leg."""

import pytest

from livespot.exchange.model import ListKind, ListStatus, Rejection
from livespot.testing.spot_desk import BASIC_FILTERS, SYMBOL, SpotDesk, refusal, symbol_row

OCO = "side=SELL quantity=2 aboveType=LIMIT_MAKER abovePrice=110 belowType=STOP_LOSS "
OCO += "belowStopPrice=95"
LEGS = "pendingSide=SELL pendingAboveType=LIMIT_MAKER pendingAbovePrice=110 "
LEGS += "pendingBelowType=STOP_LOSS pendingBelowStopPrice=95"
WORKING = "workingType=LIMIT_MAKER workingSide=BUY workingPrice=100 workingQuantity=2"


@pytest.fixture
def desk() -> SpotDesk:
    desk = SpotDesk()
    desk.book()
    desk.print_buy("100.5", "0.5")
    desk.engine.drain_events()
    return desk


def list_states(desk: SpotDesk) -> list[tuple[str, str]]:
    events = desk.engine.drain_events()
    return [(one.status_type, one.order_status) for one in events if isinstance(one, ListStatus)]


def test_oco_stands_with_the_stop_first_and_locks_the_quantity_once(desk: SpotDesk) -> None:
    reply = desk.place_list("oco", OCO)
    stop, take = reply["orderReports"]
    assert (stop["type"], stop["workingTime"], stop["status"]) == ("STOP_LOSS", -1, "NEW")
    assert (take["type"], take["workingTime"]) == ("LIMIT_MAKER", desk.now_ms)
    assert stop["orderId"] < take["orderId"]
    assert desk.held("BTC") == ("8", "2")
    assert list_states(desk) == [("EXEC_STARTED", "EXECUTING")]


def test_oco_stop_removes_the_take_leg_first_and_then_sells(desk: SpotDesk) -> None:
    desk.place_list("oco", OCO)
    desk.engine.drain_events()
    desk.print_sell("95")
    assert desk.trail() == [
        (2, "EXPIRED", "EXPIRED"),
        (1, "NEW", "NEW"),
        (1, "TRADE", "FILLED"),
    ]
    assert desk.query(2)["expiryReason"] == "OCO_TRIGGER"
    assert desk.held("BTC") == ("8", "0")
    assert desk.engine.open_lists("alice") == []


def test_oco_take_leg_executes_first_and_then_the_stop_expires(desk: SpotDesk) -> None:
    desk.place_list("oco", OCO)
    desk.engine.drain_events()
    desk.print_buy("111", "5")
    assert desk.trail() == [(2, "TRADE", "FILLED"), (1, "EXPIRED", "EXPIRED")]
    assert desk.engine.all_lists("alice", {})[0]["listOrderStatus"] == "ALL_DONE"


def test_partly_filled_take_leg_leaves_its_rest_without_a_stop(desk: SpotDesk) -> None:
    desk.place_list("oco", OCO)
    desk.print_buy("110", "0.5")
    assert (desk.status(1), desk.status(2)) == ("EXPIRED", "PARTIALLY_FILLED")
    assert desk.held("BTC") == ("8", "1.5")
    assert desk.engine.open_lists("alice")[0]["listOrderStatus"] == "EXECUTING"


def test_oco_with_take_profit_legs_triggers_either_way() -> None:
    legs = "side=SELL quantity=1 aboveType=TAKE_PROFIT aboveStopPrice=105 "
    legs += "belowType=STOP_LOSS_LIMIT belowStopPrice=95 belowPrice=94 belowTimeInForce=GTC"
    for price, winner, loser in (("105", 2, 1), ("95", 1, 2)):
        desk = SpotDesk()
        desk.book()
        desk.print_buy("100.5", "0.5")
        desk.place_list("oco", legs)
        desk.print_buy(price)
        assert (desk.status(winner), desk.status(loser)) == ("FILLED", "EXPIRED")


def test_buy_oco_locks_its_dearest_leg_and_releases_the_difference(desk: SpotDesk) -> None:
    legs = "side=BUY quantity=2 aboveType=STOP_LOSS_LIMIT aboveStopPrice=104 abovePrice=106 "
    legs += "aboveTimeInForce=GTC belowType=LIMIT_MAKER belowPrice=98"
    desk.place_list("oco", legs)
    assert desk.held("USDT") == ("9788", "212")
    desk.print_sell("97", "3")
    assert desk.held("USDT") == ("9804", "0")
    assert desk.status(1) == "EXPIRED"


def test_oco_on_the_wrong_side_of_the_market_is_refused(desk: SpotDesk) -> None:
    for change in ("abovePrice=100", "belowStopPrice=101"):
        with pytest.raises(Rejection) as caught:
            desk.place_list("oco", f"{OCO} {change}")
        text = "The relationship of the prices for the orders is not correct."
        assert refusal(caught.value) == (-2010, text)
    assert desk.held("BTC") == ("10", "0")


TAKE = "Type=LIMIT_MAKER {0}Price=90"
STOP = "Type=STOP_LOSS {0}StopPrice=90"
PROFIT = "Type=TAKE_PROFIT {0}StopPrice=90"


@pytest.mark.parametrize(
    ("side", "above", "below", "code"),
    [
        ("SELL", TAKE, TAKE, -1168),
        ("BUY", TAKE, STOP, -1165),
        ("SELL", STOP, TAKE, -1166),
        ("BUY", STOP, STOP, -1196),
        ("SELL", STOP, STOP, -1197),
        ("BUY", PROFIT, TAKE, -1198),
        ("SELL", TAKE, PROFIT, -1199),
        ("SELL", "Type=MARKET", STOP, -1158),
    ],
)
def test_oco_legs_must_stand_on_their_own_side(
    desk: SpotDesk, side: str, above: str, below: str, code: int
) -> None:
    legs = f"above{above.format('above')} below{below.format('below')}"
    with pytest.raises(Rejection) as caught:
        desk.place_list("oco", f"quantity=1 side={side} {legs}")
    assert caught.value.code == code


def test_legacy_oco_makes_the_same_list(desk: SpotDesk) -> None:
    params = "side=SELL quantity=1 price=110 stopPrice=95 stopLimitPrice=94 "
    params += "stopLimitTimeInForce=GTC limitClientOrderId=take stopClientOrderId=stop"
    reply = desk.place_list("oco_legacy", params)
    stop, take = reply["orderReports"]
    assert (stop["type"], stop["clientOrderId"]) == ("STOP_LOSS_LIMIT", "stop")
    assert (take["type"], take["clientOrderId"], take["price"]) == (
        "LIMIT_MAKER",
        "take",
        "110.00000000",
    )
    with pytest.raises(Rejection) as caught:
        desk.place_list(
            "oco_legacy", "side=SELL quantity=1 price=110 stopPrice=95 stopLimitPrice=9"
        )
    assert caught.value.code == -1128


def test_trade_that_falls_through_entry_and_stop_sells_at_once(desk: SpotDesk) -> None:
    desk.place_list("opoco", f"{WORKING} {LEGS}")
    desk.print_sell("94")
    assert [desk.status(number) for number in (1, 2, 3)] == ["FILLED", "FILLED", "EXPIRED"]
    assert desk.held("BTC") == ("9.998", "0")


def test_refused_legs_expire_as_rejected_and_free_what_was_bought(desk: SpotDesk) -> None:
    desk.place_list("opoco", f"{WORKING} {LEGS}")
    desk.book(bids="111x5", asks="112x5")
    desk.engine.drain_events()
    desk.print_sell("100", "2")
    assert [desk.query(number)["expiryReason"] for number in (2, 3)] == ["REJECTED", "REJECTED"]
    assert desk.held("BTC") == ("11.998", "0")
    assert ("ALL_DONE", "ALL_DONE") in list_states(desk)


def test_otoco_arms_its_stated_quantity_from_free_funds(desk: SpotDesk) -> None:
    desk.place_list("otoco", f"{WORKING} {LEGS} pendingQuantity=1.5")
    desk.print_sell("99.5")
    assert desk.query(2)["origQty"] == "1.50000000"
    assert desk.held("BTC") == ("10.498", "1.5")


def test_otoco_without_funds_for_its_legs_loses_them_at_arming(desk: SpotDesk) -> None:
    desk.place_list("otoco", f"{WORKING} {LEGS} pendingQuantity=13")
    desk.print_sell("99.5")
    assert desk.status(1) == "FILLED"
    assert desk.query(2)["expiryReason"] == "REJECTED"
    assert desk.held("BTC") == ("11.998", "0")


def test_list_that_fills_at_placement_still_answers_pending(desk: SpotDesk) -> None:
    params = f"{WORKING} {LEGS} workingType=LIMIT workingTimeInForce=GTC workingPrice=101"
    reply = desk.place_list("opoco", params)
    assert [one["status"] for one in reply["orderReports"]] == [
        "FILLED",
        "PENDING_NEW",
        "PENDING_NEW",
    ]
    assert desk.status(2) == "NEW"


def test_expired_working_order_takes_the_pending_legs_along(desk: SpotDesk) -> None:
    params = f"{WORKING} {LEGS} workingType=LIMIT workingTimeInForce=IOC"
    desk.place_list("opoco", params)
    assert desk.query(1)["expiryReason"] == "UNFILLED_IOC_QUANTITY_EXPIRED"
    assert desk.query(2)["expiryReason"] == "OTO_PHASE_ONE_EXPIRED"
    assert desk.held("USDT") == ("10000", "0")


def test_cancelled_partial_entry_releases_the_base_it_bought(desk: SpotDesk) -> None:
    desk.place_list("opoco", f"{WORKING} {LEGS}")
    desk.print_sell("100", "11")
    reply = desk.cancel("orderId=1")
    assert [one["status"] for one in reply["orderReports"]] == ["CANCELED"] * 3
    assert desk.held("BTC") == ("10.999", "0")
    assert desk.held("USDT") == ("9900", "0")


def test_oto_and_opo_carry_a_single_pending_order(desk: SpotDesk) -> None:
    pending = "pendingSide=SELL pendingType=STOP_LOSS pendingStopPrice=95"
    desk.place_list("oto", f"{WORKING} {pending} pendingQuantity=1")
    desk.place_list("opo", f"{WORKING} {pending}")
    desk.print_sell("99.5")
    assert desk.query(2)["origQty"] == "1.00000000"
    assert desk.query(4)["origQty"] == "2.00000000"
    desk.print_sell("95")
    assert (desk.status(2), desk.status(4)) == ("FILLED", "FILLED")
    assert desk.engine.open_lists("alice") == []


@pytest.mark.parametrize(
    ("kind", "params", "code"),
    [
        ("opo", f"{WORKING} workingSide=SELL pendingSide=SELL pendingType=MARKET", -1222),
        ("opo", f"{WORKING} pendingSide=BUY pendingType=MARKET", -1223),
        ("opoco", f"{WORKING} {LEGS} pendingQuantity=1", -1225),
        ("oto", f"{WORKING} pendingSide=SELL pendingType=MARKET", -1102),
        ("otoco", f"{WORKING} {LEGS}", -1102),
        ("opoco", f"{WORKING} {LEGS} workingType=MARKET", -1116),
        ("opoco", f"{WORKING} {LEGS} pendingBelowStopPrice=120", -2010),
        ("opoco", f"{WORKING} {LEGS} workingPrice=101", -2010),
        ("opoco", f"{WORKING} {LEGS} workingQuantity=101", -2010),
        ("opoco", f"{WORKING} {LEGS} stray=1", -1104),
    ],
)
def test_list_that_does_not_fit_is_refused_whole(
    desk: SpotDesk, kind: ListKind, params: str, code: int
) -> None:
    with pytest.raises(Rejection) as caught:
        desk.place_list(kind, params)
    assert caught.value.code == code
    assert desk.engine.open_orders("alice", {}) == []
    assert desk.held("USDT") == ("10000", "0")


@pytest.mark.parametrize(
    ("flag", "kind"), [("ocoAllowed", "oco"), ("otoAllowed", "opoco"), ("opoAllowed", "opo")]
)
def test_symbol_decides_which_lists_it_takes(flag: str, kind: ListKind) -> None:
    desk = SpotDesk(symbol_row(**{flag: False}))
    with pytest.raises(Rejection) as caught:
        desk.place_list(kind, f"{WORKING} {LEGS}")
    assert "not supported for this symbol" in caught.value.msg


def test_mass_expiry_of_a_leg_ends_its_partner_too(desk: SpotDesk) -> None:
    desk.place_list("oco", OCO)
    desk.engine.expire_orders(SYMBOL, frozenset({"STOP_LOSS"}), desk.now_ms)
    assert [desk.query(number)["expiryReason"] for number in (1, 2)] == ["EXCHANGE_CANCELED"] * 2
    assert desk.held("BTC") == ("10", "0")


def test_mass_expiry_of_a_pending_leg_ends_the_whole_list(desk: SpotDesk) -> None:
    desk.place_list("opoco", f"{WORKING} {LEGS}")
    desk.engine.expire_orders(SYMBOL, frozenset({"STOP_LOSS"}), desk.now_ms)
    assert [desk.status(number) for number in (1, 2, 3)] == ["EXPIRED"] * 3
    assert desk.held("USDT") == ("10000", "0")
    assert desk.engine.open_lists("alice") == []


OTO_STOP = "pendingSide=SELL pendingType=STOP_LOSS pendingStopPrice=95 pendingQuantity=1"
LEGACY = "side=SELL quantity=1 price=110 stopPrice=95"


def refused(desk: SpotDesk, kind: ListKind, params: str) -> tuple[int, str]:
    with pytest.raises(Rejection) as caught:
        desk.place_list(kind, params)
    return refusal(caught.value)


@pytest.mark.parametrize(
    ("kind", "params", "expected"),
    [
        (
            "oco",
            f"{OCO} belowType=STOP_LOSS_LIMIT belowPrice=94 belowTimeInForce=IOC belowIcebergQty=1",
            (
                -1160,
                "Parameter 'belowIcebergQty' is not supported if 'belowTimeInForce' is not GTC.",
            ),
        ),
        ("oco", f"{OCO} aboveType=LIMIT", (-1158, "Order type not supported in OCO.")),
        (
            "oco",
            f"{OCO} aboveTimeInForce=GTC",
            (-1114, "TimeInForce parameter sent when not required."),
        ),
        (
            "opo",
            f"{WORKING} workingSide=SELL pendingSide=SELL pendingType=MARKET",
            (-1222, "Working order in an OPO list must be a bid."),
        ),
        (
            "opo",
            f"{WORKING} pendingSide=BUY pendingType=MARKET",
            (-1223, "Pending orders in an OPO list must be asks."),
        ),
        (
            "opo",
            f"{WORKING} workingPrice= pendingSide=SELL pendingType=MARKET",
            (-1224, "Working order must include the 'workingPrice' tag."),
        ),
        (
            "opoco",
            f"{WORKING} workingQuantity= {LEGS}",
            (-1224, "Working order must include the 'workingQuantity' tag."),
        ),
        (
            "opoco",
            f"{WORKING} {LEGS} pendingQuantity=1",
            (-1225, "Pending orders should not include the 'pendingQuantity' tag."),
        ),
        (
            "oto",
            f"{WORKING} workingPrice= {OTO_STOP}",
            (
                -1102,
                "Mandatory parameter 'workingPrice' was not sent, was empty/null, or malformed.",
            ),
        ),
        (
            "oto",
            f"{WORKING} {OTO_STOP} pendingStopPrice=",
            (
                -1102,
                (
                    "Param 'pendingStopPrice' or 'pendingTrailingDelta' must be sent, but both "
                    "were empty/null!"
                ),
            ),
        ),
        (
            "oco_legacy",
            f"{LEGACY} stopLimitPrice=9x stopLimitTimeInForce=GTC",
            (
                -1100,
                (
                    r"Illegal characters found in parameter 'stopLimitPrice'; legal range is "
                    r"'^([0-9]{1,20})(\.[0-9]{1,20})?$'."
                ),
            ),
        ),
        (
            "oco_legacy",
            f"{LEGACY} limitStrategyType=5",
            (-1134, "strategyType was less than 1000000."),
        ),
        (
            "oco_legacy",
            f"{LEGACY} stopLimitPrice=94",
            (-1128, "Combination of optional parameters invalid."),
        ),
    ],
)
def test_list_refusal_has_its_documented_code_and_text(
    desk: SpotDesk, kind: ListKind, params: str, expected: tuple[int, str]
) -> None:
    assert refused(desk, kind, params) == expected


def test_legacy_oco_does_not_understand_the_newer_names(desk: SpotDesk) -> None:
    text = "Not all sent parameters were read; read '5' parameter(s) but was sent '6'."
    assert refused(desk, "oco_legacy", f"{LEGACY} aboveStrategyId=5") == (-1104, text)
    assert refused(desk, "oco_legacy", f"{LEGACY} belowType=STOP_LOSS")[0] == -1104


@pytest.mark.parametrize(
    ("above", "below", "code", "text"),
    [
        (TAKE, STOP, -1165, "A limit order in a buy OCO must be below."),
        (STOP, STOP, -1196, "A stop loss order in a buy OCO must be above."),
        (PROFIT, TAKE, -1198, "A take profit order in a buy OCO must be below."),
        (TAKE, TAKE, -1168, "At least one OCO order must be contingent."),
    ],
)
def test_buy_oco_names_the_leg_on_the_wrong_side(
    desk: SpotDesk, above: str, below: str, code: int, text: str
) -> None:
    legs = f"above{above.format('above')} below{below.format('below')}"
    assert refused(desk, "oco", f"quantity=1 side=BUY {legs}") == (code, text)


@pytest.mark.parametrize(
    ("above", "below", "code", "text"),
    [
        (STOP, TAKE, -1166, "A limit order in a sell OCO must be above."),
        (STOP, STOP, -1197, "A stop loss order in a sell OCO must be below."),
        (TAKE, PROFIT, -1199, "A take profit order in a sell OCO must be above."),
    ],
)
def test_sell_oco_names_the_leg_on_the_wrong_side(
    desk: SpotDesk, above: str, below: str, code: int, text: str
) -> None:
    legs = f"above{above.format('above')} below{below.format('below')}"
    assert refused(desk, "oco", f"quantity=1 side=SELL {legs}") == (code, text)


def test_stop_leg_comes_first_also_where_it_stands_above(desk: SpotDesk) -> None:
    legs = "side=BUY quantity=1 aboveType=STOP_LOSS aboveStopPrice=105 "
    legs += "belowType=LIMIT_MAKER belowPrice=98"
    reply = desk.place_list("oco", legs)
    assert [(one["orderId"], one["type"]) for one in reply["orderReports"]] == [
        (1, "STOP_LOSS"),
        (2, "LIMIT_MAKER"),
    ]
    assert [one["orderId"] for one in reply["orders"]] == [1, 2]


@pytest.mark.parametrize(
    ("kind", "params", "orders"),
    [
        ("oco", OCO, 2),
        ("oco_legacy", LEGACY, 2),
        ("oto", f"{WORKING} {OTO_STOP}", 2),
        ("opo", f"{WORKING} pendingSide=SELL pendingType=MARKET", 2),
        ("otoco", f"{WORKING} {LEGS} pendingQuantity=1", 3),
        ("opoco", f"{WORKING} {LEGS}", 3),
    ],
)
def test_list_counts_every_one_of_its_orders(
    desk: SpotDesk, kind: ListKind, params: str, orders: int
) -> None:
    desk.place_list(kind, params)
    assert desk.engine.order_counts("alice", desk.now_ms) == (orders, orders)


def test_number_of_open_lists_is_limited_and_an_otoco_is_one() -> None:
    rule = {"filterType": "MAX_NUM_ORDER_LISTS", "maxNumOrderLists": 2}
    desk = SpotDesk(symbol_row((*BASIC_FILTERS, rule)))
    desk.book()
    desk.print_buy("100.5", "0.5")
    desk.place_list("oco", OCO)
    desk.place_list("otoco", f"{WORKING} {LEGS} pendingQuantity=1")
    full = (-1013, "Filter failure: MAX_NUM_ORDER_LISTS")
    assert refused(desk, "oco", OCO) == full
    desk.cancel("orderId=1")
    desk.place_list("oco", OCO)


def test_life_of_a_list_is_told_from_its_start_to_its_end(desk: SpotDesk) -> None:
    desk.place_list("opoco", f"{WORKING} {LEGS}")
    assert list_states(desk) == [("EXEC_STARTED", "EXECUTING")]
    desk.print_sell("99.5")
    assert list_states(desk) == []
    desk.print_buy("110.5")
    assert list_states(desk) == [("ALL_DONE", "ALL_DONE")]


@pytest.mark.parametrize("order_id", [1, 2, 3])
def test_cancelling_any_order_of_an_unarmed_list_cancels_all(desk: SpotDesk, order_id: int) -> None:
    desk.place_list("otoco", f"{WORKING} {LEGS} pendingQuantity=1")
    reply = desk.cancel(f"orderId={order_id}")
    assert [one["status"] for one in reply["orderReports"]] == ["CANCELED"] * 3
    assert desk.held("USDT") == ("10000", "0")
    assert list_states(desk)[-1] == ("ALL_DONE", "ALL_DONE")


def test_list_name_is_free_again_once_the_list_is_done(desk: SpotDesk) -> None:
    desk.place_list("oco", f"{OCO} listClientOrderId=mine")
    assert refused(desk, "oco", f"{OCO} listClientOrderId=mine") == (
        -2010,
        "Duplicate order sent.",
    )
    desk.print_sell("95")
    assert desk.place_list("oco", f"{OCO} belowStopPrice=90 listClientOrderId=mine")
    newest = desk.engine.query_list("alice", {"origClientOrderId": "mine"})
    assert newest["orderListId"] == 1


def test_pending_leg_that_fails_a_filter_when_armed_ends_rejected() -> None:
    rule = {"filterType": "PERCENT_PRICE", "multiplierUp": "1.2", "multiplierDown": "0.8"}
    desk = SpotDesk(symbol_row((*BASIC_FILTERS, {**rule, "avgPriceMins": 5})))
    desk.book()
    desk.print_buy("100", "0.5")
    pending = "pendingSide=SELL pendingType=LIMIT_MAKER pendingPrice=115 pendingQuantity=1"
    desk.place_list("oto", f"{WORKING} workingPrice=90 {pending}")
    desk.now_ms += 600_000
    desk.print_sell("92")
    desk.print_sell("89")
    body = desk.query(2)
    assert (body["status"], body["expiryReason"]) == ("EXPIRED", "REJECTED")
    assert desk.engine.open_lists("alice") == []


@pytest.mark.parametrize(("kind", "fields"), [("ACK", 5), ("RESULT", 16), ("FULL", 17)])
def test_list_answers_in_the_form_asked_for(desk: SpotDesk, kind: str, fields: int) -> None:
    reply = desk.place_list("oco", f"{OCO} newOrderRespType={kind}")
    assert len(reply["orderReports"][1]) == fields


def test_otoco_and_opoco_may_come_without_the_leg_below(desk: SpotDesk) -> None:
    legs = "pendingSide=SELL pendingAboveType=LIMIT_MAKER pendingAbovePrice=110"
    kinds: tuple[tuple[ListKind, str], ...] = (("otoco", "pendingQuantity=2"), ("opoco", ""))
    for kind, qty in kinds:
        reply = desk.place_list(kind, f"{WORKING} {legs} {qty}")
        assert [one["type"] for one in reply["orderReports"]] == ["LIMIT_MAKER", "LIMIT_MAKER"]
    assert desk.engine.order_counts("alice", desk.now_ms) == (4, 4)
    desk.print_sell("99.5", "30")
    assert (desk.status(2), desk.status(4)) == ("NEW", "NEW")
    with pytest.raises(Rejection) as caught:
        desk.place_list("otoco", f"{WORKING} {legs} pendingQuantity=2 pendingBelowStopPrice=95")
    assert caught.value.code == -1104
