"""Lists that pay for their pending legs with what their working order buys."""

from decimal import Decimal

import pytest

from livespot.exchange.model import AccountSpec
from livespot.testing.spot_desk import BASIC_FILTERS, SpotDesk, symbol_row

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


def test_opoco_funds_only_the_working_side_and_names_no_leg_quantity(desk: SpotDesk) -> None:
    reply = desk.place_list("opoco", f"{WORKING} {LEGS}")
    working, stop, take = reply["orderReports"]
    assert [one["status"] for one in reply["orderReports"]] == ["NEW", "PENDING_NEW", "PENDING_NEW"]
    assert "origQty" in working
    assert "origQty" not in stop
    assert "origQty" not in take
    assert reply["contingencyType"] == "OTO"
    assert desk.held("USDT") == ("9800", "200")
    assert desk.held("BTC") == ("10", "0")


def test_opoco_keeps_a_partial_fill_locked_and_arms_only_when_complete(desk: SpotDesk) -> None:
    desk.place_list("opoco", f"{WORKING} {LEGS}")
    desk.print_sell("100", "11")
    assert desk.status(2) == "PENDING_NEW"
    assert desk.held("BTC") == ("9.999", "1")
    desk.engine.drain_events()
    desk.print_sell("100", "1")
    assert desk.trail() == [(1, "TRADE", "FILLED"), (2, "NEW", "NEW"), (3, "NEW", "NEW")]
    assert desk.query(2)["origQty"] == desk.query(3)["origQty"] == "2.00000000"
    assert desk.held("BTC") == ("9.998", "2")


def test_opoco_legs_sell_the_net_quantity_when_no_other_base_covers_the_fee() -> None:
    desk = SpotDesk()
    desk.book()
    desk.print_buy("100.5", "0.5")
    desk.order("side=SELL type=MARKET quantity=10")
    desk.book()
    desk.place_list("opoco", f"{WORKING} {LEGS}")
    desk.print_sell("99.5")
    assert desk.query(3)["origQty"] == "1.99800000"
    assert desk.held("BTC") == ("0", "1.998")


def test_opoco_remainder_below_a_lot_step_is_released() -> None:
    desk = SpotDesk()
    desk.book()
    desk.print_buy("100.5", "0.5")
    desk.order("side=SELL type=MARKET quantity=10")
    desk.book()
    desk.place_list("opoco", f"{WORKING} {LEGS} workingQuantity=1.234")
    desk.print_sell("99.5")
    assert desk.query(3)["origQty"] == "1.23200000"
    assert desk.held("BTC") == ("0.000766", "1.232")


def test_opoco_completes_its_whole_life_through_the_take_leg(desk: SpotDesk) -> None:
    desk.place_list("opoco", f"{WORKING} {LEGS}")
    desk.print_sell("99.5")
    desk.engine.drain_events()
    desk.print_buy("110.5")
    assert desk.trail() == [(3, "TRADE", "FILLED"), (2, "EXPIRED", "EXPIRED")]
    assert desk.engine.all_lists("alice", {})[0]["listStatusType"] == "ALL_DONE"
    assert desk.held("BTC") == ("9.998", "0")


def test_opo_with_a_market_leg_sells_at_once(desk: SpotDesk) -> None:
    desk.place_list("opo", f"{WORKING} pendingSide=SELL pendingType=MARKET")
    desk.print_sell("99.5")
    assert desk.status(2) == "FILLED"


def test_opo_that_buys_the_discount_asset_sells_it_less_the_commission() -> None:
    funds = {"USDT": Decimal(10_000), "BTC": Decimal(10)}
    owner = AccountSpec(account_id="alice", balances=funds, discount_asset="BTC")
    desk = SpotDesk(accounts=(owner,))
    desk.book()
    desk.place_list("opoco", f"{WORKING} {LEGS}")
    desk.print_sell("99.5")
    assert desk.query(3)["origQty"] == "1.99800000"
    assert desk.held("BTC") == ("10", "1.998")


def test_opo_leg_at_market_keeps_to_the_market_lots_too() -> None:
    rule = {"filterType": "MARKET_LOT_SIZE", "minQty": "0.1", "maxQty": "1.5", "stepSize": "0.1"}
    params = f"{WORKING} workingQuantity=1.234 pendingSide=SELL pendingType=MARKET"
    for rows, sold, kept in (((rule,), "1.20000000", "10.032766"), ((), "1.23400000", "9.998766")):
        desk = SpotDesk(symbol_row((*BASIC_FILTERS, *rows)))
        desk.book()
        desk.print_buy("100.5", "0.5")
        desk.place_list("opo", params)
        desk.print_sell("99.5")
        assert desk.query(2)["executedQty"] == sold
        assert desk.held("BTC") == (kept, "0")
