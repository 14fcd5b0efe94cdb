"""Reads: what the query endpoints show, page and refuse."""

from decimal import Decimal

import pytest

from livespot.exchange.model import ExchangeFilters, Rejection
from livespot.testing.spot_desk import BASIC_FILTERS, START_MS, SpotDesk, refusal

PAIR = {"symbol": "BTCUSDT"}
BUY = "side=BUY type=LIMIT_MAKER quantity=1 price=90"
OCO = "side=SELL quantity=1 aboveType=LIMIT_MAKER abovePrice=110 belowType=STOP_LOSS "
OCO += "belowStopPrice=95"


@pytest.fixture
def desk() -> SpotDesk:
    desk = SpotDesk()
    desk.book()
    desk.print_buy("100", "0.5")
    for _ in range(3):
        desk.order(BUY)
        desk.now_ms += 1000
    return desk


def test_open_orders_are_the_accounts_own_oldest_first(desk: SpotDesk) -> None:
    desk.order(BUY, "bob")
    desk.cancel("orderId=2")
    assert [one["orderId"] for one in desk.engine.open_orders("alice", PAIR)] == [1, 3]
    assert [one["orderId"] for one in desk.engine.open_orders("bob", {})] == [4]
    with pytest.raises(Rejection) as caught:
        desk.engine.open_orders("alice", {"symbol": "NOPE"})
    assert caught.value.code == -1121


def test_all_orders_page_from_an_id_or_a_time_and_else_show_the_newest(desk: SpotDesk) -> None:
    def ids(**params: str) -> list[int]:
        return [one["orderId"] for one in desk.engine.all_orders("alice", PAIR | params)]

    assert ids() == [1, 2, 3]
    assert ids(limit="2") == [2, 3]
    assert ids(orderId="2") == [2, 3]
    assert ids(startTime=str(START_MS), limit="1") == [1]
    assert ids(endTime=str(START_MS + 1000)) == [1, 2]
    with pytest.raises(Rejection) as caught:
        ids(startTime="0", endTime="86400001")
    assert caught.value.code == -1127


def test_trades_page_by_trade_order_and_time(desk: SpotDesk) -> None:
    for _ in range(3):
        desk.order("side=BUY type=MARKET quantity=1")

    def ids(**params: str) -> list[int]:
        return [one["id"] for one in desk.engine.my_trades("alice", PAIR | params)]

    assert ids() == [2, 3, 4]
    assert ids(fromId="3") == [3, 4]
    assert ids(orderId="5") == [3]
    assert ids(limit="1") == [4]
    with pytest.raises(Rejection) as caught:
        ids(orderId="5", startTime="1")
    assert caught.value.code == -1128


def test_lists_are_found_by_number_and_by_name(desk: SpotDesk) -> None:
    desk.place_list("oco", f"{OCO} listClientOrderId=mine")
    by_name = desk.engine.query_list("alice", {"origClientOrderId": "mine"})
    assert by_name == desk.engine.query_list("alice", {"orderListId": "0"})
    assert "orderReports" not in by_name
    assert len(desk.engine.open_lists("alice")) == 1
    assert desk.engine.open_lists("bob") == []
    for account, params in (("bob", {"orderListId": "0"}), ("alice", {"orderListId": "7"})):
        with pytest.raises(Rejection) as caught:
            desk.engine.query_list(account, params)
        assert refusal(caught.value) == (-2013, "Order does not exist.")


def test_all_lists_take_an_id_or_times_but_not_both(desk: SpotDesk) -> None:
    desk.place_list("oco", OCO)
    desk.place_list("oco", OCO)
    assert [one["orderListId"] for one in desk.engine.all_lists("alice", {"fromId": "1"})] == [1]
    with pytest.raises(Rejection) as caught:
        desk.engine.all_lists("alice", {"fromId": "1", "startTime": "5"})
    assert caught.value.code == -1128


@pytest.mark.parametrize("ask", ["query_order", "query_list"])
def test_query_without_any_id_is_refused(desk: SpotDesk, ask: str) -> None:
    with pytest.raises(Rejection) as caught:
        getattr(desk.engine, ask)("alice", PAIR)
    assert caught.value.code == -1102


def test_same_requests_give_the_same_history() -> None:
    def run() -> list[object]:
        desk = SpotDesk()
        desk.book()
        desk.print_buy("100", "0.5")
        desk.order(BUY)
        desk.place_list("oco", OCO)
        desk.print_sell("89", "3")
        return [*desk.engine.drain_events(), desk.engine.all_orders("alice", PAIR)]

    assert run() == run()


DAY_MS = 86_400_000
BAD_COMBINATION = (-1128, "Combination of optional parameters invalid.")


def asked(desk: SpotDesk, ask: str, **params: str) -> tuple[int, str]:
    """How a question about BTCUSDT is refused."""
    with pytest.raises(Rejection) as caught:
        getattr(desk.engine, ask)("alice", PAIR | params)
    return refusal(caught.value)


def test_order_that_ended_unfilled_is_archived_after_ninety_days(desk: SpotDesk) -> None:
    desk.order("side=BUY type=MARKET quantity=1")
    desk.cancel("orderId=1")
    desk.cancel("orderId=2")
    desk.now_ms += 90 * DAY_MS
    desk.print_buy("100", "0.5")
    assert desk.status(1) == "CANCELED"
    desk.now_ms += 1
    desk.print_buy("100", "0.5")
    text = (
        "Order was canceled or expired with no executed qty over 90 days ago and has been archived."
    )
    assert asked(desk, "query_order", orderId="1") == (-2026, text)
    assert desk.status(3) == "NEW"
    assert desk.status(4) == "FILLED"


def test_query_by_both_ids_needs_them_to_agree(desk: SpotDesk) -> None:
    name = desk.query(1)["clientOrderId"]
    both = PAIR | {"orderId": "1", "origClientOrderId": name}
    assert desk.engine.query_order("alice", both)["orderId"] == 1
    text = "Client order ID is not correct for this order ID."
    assert asked(desk, "query_order", orderId="2", origClientOrderId=name) == (-2039, text)
    empty = (-1119, "Original client order ID was empty.")
    assert asked(desk, "query_order", orderId="2", origClientOrderId="") == empty


@pytest.mark.parametrize(
    ("ask", "params"),
    [
        ("query_order", {"orderId": "1"}),
        ("open_orders", {}),
        ("all_orders", {}),
        ("my_trades", {}),
        ("commission", {}),
        ("amendments", {"orderId": "1"}),
        ("prevented_matches", {"orderId": "1"}),
    ],
)
def test_question_with_a_stray_parameter_is_refused(
    desk: SpotDesk, ask: str, params: dict[str, str]
) -> None:
    getattr(desk.engine, ask)("alice", PAIR | params)
    code, _ = asked(desk, ask, **params, stray="1")
    assert code == -1104


@pytest.mark.parametrize(
    ("names", "legal"),
    [
        ("", True),
        ("orderId", True),
        ("startTime", True),
        ("endTime", True),
        ("fromId", True),
        ("startTime endTime", True),
        ("orderId fromId", True),
        ("orderId startTime", False),
        ("orderId endTime", False),
        ("fromId startTime", False),
        ("fromId endTime", False),
        ("orderId fromId startTime", False),
        ("orderId startTime endTime", False),
        ("fromId startTime endTime", False),
    ],
)
def test_trades_take_only_the_documented_combinations(
    desk: SpotDesk, names: str, legal: bool
) -> None:
    values = dict.fromkeys(names.split(), "1")
    if legal:
        desk.engine.my_trades("alice", PAIR | values)
        desk.engine.my_trades("alice", PAIR | values | {"limit": "5"})
    else:
        assert asked(desk, "my_trades", **values) == BAD_COMBINATION


@pytest.mark.parametrize("ask", ["all_orders", "my_trades"])
def test_span_of_a_question_is_a_day_at_most(desk: SpotDesk, ask: str) -> None:
    start = str(START_MS)
    day = {"startTime": start, "endTime": str(START_MS + DAY_MS)}
    getattr(desk.engine, ask)("alice", PAIR | day)
    text = "More than 24 hours between startTime and endTime."
    assert asked(desk, ask, startTime=start, endTime=str(START_MS + DAY_MS + 1)) == (-1127, text)


def test_span_of_lists_is_a_day_at_most(desk: SpotDesk) -> None:
    with pytest.raises(Rejection) as caught:
        desk.engine.all_lists("alice", {"startTime": "0", "endTime": str(DAY_MS + 1)})
    assert caught.value.code == -1127


def test_all_lists_page_like_orders(desk: SpotDesk) -> None:
    for _ in range(3):
        desk.place_list("oco", OCO)
        desk.now_ms += 1000

    def ids(**params: str) -> list[int]:
        return [one["orderListId"] for one in desk.engine.all_lists("alice", params)]

    assert ids() == [0, 1, 2]
    assert ids(limit="2") == [1, 2]
    assert ids(fromId="0", limit="2") == [0, 1]
    assert ids(startTime=str(desk.now_ms - 3000), limit="1") == [0]
    assert ids(endTime=str(desk.now_ms - 2000)) == [0, 1]


def test_limit_is_cut_to_a_thousand_and_at_least_one(desk: SpotDesk) -> None:
    for limit, shown in (("5000", 3), ("0", 1)):
        assert len(desk.engine.all_orders("alice", PAIR | {"limit": limit})) == shown


def test_account_can_leave_out_empty_balances(desk: SpotDesk) -> None:
    desk.engine.adjust_balance("alice", "ETH", Decimal(1), desk.now_ms)
    desk.engine.adjust_balance("alice", "ETH", Decimal(-1), desk.now_ms)

    def assets(**params: str) -> list[str]:
        return [row["asset"] for row in desk.engine.account_info("alice", params)["balances"]]

    assert assets() == ["USDT", "BTC", "ETH"]
    assert assets(omitZeroBalances="false") == assets()
    assert assets(omitZeroBalances="true") == ["USDT", "BTC"]


def test_prevented_matches_are_found_by_number_and_by_order() -> None:
    desk = SpotDesk()
    bid = "side=BUY type=LIMIT timeInForce=GTC quantity=1 price={}"
    for price in (100, 101, 102):
        desk.order(bid.format(price))
    sell = "side=SELL type=LIMIT timeInForce=GTC quantity=5 price=100"
    desk.order(f"{sell} selfTradePreventionMode=EXPIRE_MAKER")

    def ids(account: str = "alice", **params: str) -> list[int]:
        rows = desk.engine.prevented_matches(account, PAIR | params)
        return [row["preventedMatchId"] for row in rows]

    assert ids(orderId="4") == [0, 1, 2]
    assert ids(orderId="2") == [1]
    assert ids(preventedMatchId="2") == [2]
    assert ids(orderId="4", limit="2") == [1, 2]
    assert ids(orderId="4", fromPreventedMatchId="1") == [1, 2]
    assert ids(orderId="4", fromPreventedMatchId="0", limit="1") == [0]
    assert ids("bob", orderId="4") == []
    assert asked(desk, "prevented_matches")[0] == -1102
    for extra in ("orderId", "fromPreventedMatchId", "limit"):
        params = {"preventedMatchId": "1", extra: "1"}
        assert asked(desk, "prevented_matches", **params) == BAD_COMBINATION


def test_filters_show_the_exchange_the_symbol_and_its_two_assets() -> None:
    limits = ExchangeFilters(
        max_num_order_lists=20, max_assets={"BTC": Decimal(9), "ETH": Decimal(5)}
    )
    desk = SpotDesk(filters=limits)
    body = desk.engine.filters(PAIR)
    assert body["exchangeFilters"] == [
        {"filterType": "EXCHANGE_MAX_NUM_ORDER_LISTS", "maxNumOrderLists": 20}
    ]
    assert body["symbolFilters"] == list(BASIC_FILTERS)
    assert body["assetFilters"] == [
        {"filterType": "MAX_ASSET", "asset": "BTC", "limit": "9.00000000"}
    ]
    with pytest.raises(Rejection) as caught:
        desk.engine.filters({"symbol": "NOPE"})
    assert caught.value.code == -1121


def test_archived_orders_are_not_listed_either(desk: SpotDesk) -> None:
    desk.cancel("orderId=2")
    desk.now_ms += 90 * DAY_MS + 1
    desk.print_buy("100", "0.5")
    listed = desk.engine.all_orders("alice", PAIR | {"orderId": "1"})
    assert [one["orderId"] for one in listed] == [1, 3]
