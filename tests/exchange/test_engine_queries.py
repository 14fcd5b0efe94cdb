"""Reads: what the query endpoints show, page and refuse."""

import pytest

from livespot.exchange.model import Rejection
from livespot.testing.spot_desk import START_MS, SpotDesk, refusal

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
