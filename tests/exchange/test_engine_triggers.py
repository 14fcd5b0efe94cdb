"""Stops, take-profits and trailing orders: when they fire and what they do then."""

import pytest

from livespot.exchange.model import Rejection
from livespot.testing.spot_desk import SpotDesk, refusal


def desk_at(price: str) -> SpotDesk:
    """A desk whose last trade was at a price, with a house book far around it."""
    desk = SpotDesk()
    desk.book(bids="90x50", asks="1200x50")
    desk.print_buy(price, "0.5")
    desk.engine.drain_events()
    return desk


@pytest.mark.parametrize(
    ("order", "quiet", "firing"),
    [
        ("side=SELL type=STOP_LOSS stopPrice=95", "95.01", "95"),
        ("side=BUY type=STOP_LOSS stopPrice=105", "104.99", "105"),
        ("side=SELL type=TAKE_PROFIT stopPrice=105", "104.99", "105"),
        ("side=BUY type=TAKE_PROFIT stopPrice=95", "95.01", "95"),
    ],
)
def test_trigger_fires_at_its_price_and_not_before(order: str, quiet: str, firing: str) -> None:
    desk = desk_at("100")
    desk.book(bids="90x50", asks="110x50")
    desk.order(f"{order} quantity=1")
    desk.print_buy(quiet)
    assert desk.status(1) == "NEW"
    assert desk.query(1)["isWorking"] is False
    desk.print_buy(firing)
    assert desk.status(1) == "FILLED"


@pytest.mark.parametrize(
    "order",
    [
        "side=SELL type=STOP_LOSS stopPrice=100",
        "side=BUY type=STOP_LOSS stopPrice=99",
        "side=SELL type=TAKE_PROFIT stopPrice=99",
        "side=BUY type=TAKE_PROFIT stopPrice=100",
    ],
)
def test_trigger_behind_the_market_is_refused(order: str) -> None:
    with pytest.raises(Rejection) as caught:
        desk_at("100").order(f"{order} quantity=1")
    assert refusal(caught.value) == (-2010, "Order would trigger immediately.")


def test_stop_limit_goes_to_the_book_at_its_limit_when_triggered() -> None:
    desk = desk_at("100")
    desk.order("side=SELL type=STOP_LOSS_LIMIT quantity=1 stopPrice=95 price=94 timeInForce=GTC")
    desk.now_ms += 5
    desk.engine.drain_events()
    desk.print_sell("94.5")
    assert desk.trail() == [(1, "NEW", "NEW")]
    assert desk.query(1)["workingTime"] == desk.now_ms
    desk.print_buy("94", "2")
    assert desk.status(1) == "FILLED"


def test_stop_limit_jumped_by_a_gap_rests_unfilled() -> None:
    desk = desk_at("100")
    desk.order("side=SELL type=STOP_LOSS_LIMIT quantity=1 stopPrice=95 price=94 timeInForce=GTC")
    desk.print_sell("90")
    assert (desk.status(1), desk.query(1)["isWorking"]) == ("NEW", True)
    assert desk.held("BTC") == ("9", "1")


def test_triggered_stop_without_a_book_expires_and_frees_the_base() -> None:
    desk = desk_at("100")
    desk.order("side=SELL type=STOP_LOSS quantity=1 stopPrice=95")
    desk.book(bids="", asks="110x1")
    desk.print_sell("94")
    assert desk.query(1)["expiryReason"] == "INSUFFICIENT_LIQUIDITY"
    assert desk.held("BTC") == ("10", "0")


def test_stop_buy_never_spends_more_than_the_account_has() -> None:
    desk = desk_at("100")
    desk.order("side=BUY type=STOP_LOSS quantity=90 stopPrice=105")
    desk.book(bids="90x5", asks="120x100")
    desk.print_buy("106")
    body = desk.query(1)
    assert (body["status"], body["executedQty"]) == ("EXPIRED", "83.33300000")
    assert desk.held("USDT")[0].startswith("0.0")


def test_one_triggered_stop_sets_off_the_next() -> None:
    desk = desk_at("100")
    desk.book(bids="94x1 90x50", asks="110x1")
    desk.order("side=SELL type=STOP_LOSS quantity=2 stopPrice=95")
    desk.order("side=SELL type=STOP_LOSS quantity=1 stopPrice=91", "bob")
    desk.print_sell("95")
    assert desk.status(2, "bob") == "FILLED"


def walk(desk: SpotDesk, order_id: int, *steps: tuple[str, bool]) -> None:
    for price, fires in steps:
        desk.print_buy(price)
        assert (desk.status(order_id) != "NEW") is fires, price


def test_trailing_stop_follows_the_maximum_from_the_last_price() -> None:
    desk = desk_at("1000")
    desk.order("side=SELL type=STOP_LOSS quantity=1 trailingDelta=200")
    assert desk.query(1)["trailingTime"] == desk.now_ms
    walk(desk, 1, ("1030", False), ("1012", False), ("1045", False), ("1030", False))
    walk(desk, 1, ("1024.11", False), ("1024.10", True))


def test_trailing_take_profit_starts_with_the_trade_that_meets_its_stop() -> None:
    desk = desk_at("1000")
    desk.order("side=SELL type=TAKE_PROFIT quantity=1 stopPrice=1100 trailingDelta=300")
    walk(desk, 1, ("1090", False))
    assert desk.query(1)["trailingTime"] == -1
    walk(desk, 1, ("1105", False), ("1140", False), ("1110", False), ("1105.80", True))


def test_trailing_take_profit_buy_follows_the_minimum() -> None:
    desk = desk_at("1000")
    desk.order("side=BUY type=TAKE_PROFIT quantity=1 stopPrice=950 trailingDelta=500")
    walk(desk, 1, ("960", False), ("948", False), ("930", False), ("970", False))
    walk(desk, 1, ("976.5", True))


def test_opoco_with_a_trailing_take_leg_lets_profit_run_with_the_stop_beside() -> None:
    desk = desk_at("1000")
    desk.place_list(
        "opoco",
        "workingType=LIMIT_MAKER workingSide=BUY workingPrice=1000 workingQuantity=1 "
        "pendingSide=SELL pendingAboveType=TAKE_PROFIT pendingAboveStopPrice=1100 "
        "pendingAboveTrailingDelta=300 pendingBelowType=STOP_LOSS pendingBelowStopPrice=950",
    )
    desk.print_sell("999")
    desk.book(bids="1060x50", asks="1200x5")
    walk(desk, 3, ("1105", False), ("1140", False), ("1105", True))
    assert (desk.status(2), desk.status(3)) == ("EXPIRED", "FILLED")


def test_trailing_stop_buy_follows_the_minimum_from_the_last_price() -> None:
    desk = desk_at("1000")
    desk.order("side=BUY type=STOP_LOSS quantity=1 trailingDelta=200")
    walk(desk, 1, ("980", False), ("990", False), ("970", False), ("985", False))
    walk(desk, 1, ("989.39", False), ("989.40", True))


def test_trailing_stop_buy_starts_with_the_trade_that_meets_its_stop() -> None:
    desk = desk_at("1000")
    desk.order("side=BUY type=STOP_LOSS quantity=1 stopPrice=1050 trailingDelta=300")
    walk(desk, 1, ("1040", False), ("900", False), ("930", False))
    assert desk.query(1)["trailingTime"] == -1
    desk.now_ms += 40
    started_ms = desk.now_ms
    walk(desk, 1, ("1055", False), ("1030", False), ("1060.89", False))
    desk.now_ms += 40
    assert desk.query(1)["trailingTime"] == started_ms
    walk(desk, 1, ("1060.9", True))


def test_trailing_stop_sell_with_a_stop_price_ignores_what_was_before_it() -> None:
    desk = desk_at("1000")
    desk.order("side=SELL type=STOP_LOSS quantity=1 stopPrice=950 trailingDelta=100")
    walk(desk, 1, ("1200", False), ("960", False), ("949", False), ("960", False))
    walk(desk, 1, ("950.41", False), ("950.4", True))


def test_trailing_order_before_any_trade_starts_with_the_first() -> None:
    desk = SpotDesk()
    desk.book(bids="90x50", asks="1200x50")
    desk.order("side=SELL type=STOP_LOSS quantity=1 trailingDelta=1000")
    assert desk.query(1)["trailingTime"] == -1
    walk(desk, 1, ("1000", False), ("901", False), ("900", True))


def test_trailing_legs_of_an_oco_track_on_their_own() -> None:
    desk = desk_at("1000")
    desk.place_list(
        "oco",
        "side=SELL quantity=1 aboveType=TAKE_PROFIT aboveStopPrice=1100 aboveTrailingDelta=300 "
        "belowType=STOP_LOSS belowTrailingDelta=2000",
    )
    walk(desk, 2, ("1105", False), ("1140", False), ("1106", False), ("1105.80", True))
    assert (desk.status(1), desk.query(1)["expiryReason"]) == ("EXPIRED", "OCO_TRIGGER")


def test_trailing_report_tells_the_delta_and_since_when_it_tracks() -> None:
    desk = desk_at("1000")
    desk.order("side=SELL type=STOP_LOSS quantity=1 trailingDelta=200")
    desk.order("side=SELL type=TAKE_PROFIT quantity=1 stopPrice=1100 trailingDelta=300")
    told = [(one.trailing_delta, one.trailing_ms) for one in desk.reports()]
    assert told == [(200, desk.now_ms), (300, -1)]
