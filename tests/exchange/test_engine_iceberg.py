"""Icebergs: only one part shows and stands in the queue, yet all of it trades."""

from decimal import Decimal

import pytest

from livespot.testing.spot_desk import SYMBOL, SpotDesk

ICEBERG = "side=BUY type=LIMIT timeInForce=GTC quantity=5 price=100 icebergQty=2"


@pytest.fixture
def desk() -> SpotDesk:
    return SpotDesk()


def shown(desk: SpotDesk) -> Decimal:
    """The quantity of the best bid."""
    bid, _ = desk.engine.best(SYMBOL)
    assert bid is not None
    assert desk.engine.depth(SYMBOL, 1)[1] == [bid]
    return bid[1]


def test_book_shows_only_the_displayed_part(desk: SpotDesk) -> None:
    desk.order(ICEBERG)
    assert shown(desk) == 2
    assert desk.held("USDT") == ("9500", "500")
    assert desk.query(1)["icebergQty"] == "2.00000000"


def test_next_part_appears_when_one_is_gone_and_the_last_may_be_smaller(desk: SpotDesk) -> None:
    desk.order(ICEBERG)
    seen = []
    for qty in ("1", "1", "2"):
        desk.order(f"side=SELL type=MARKET quantity={qty}", "bob")
        seen.append((desk.query(1)["executedQty"], shown(desk)))
    assert seen == [
        ("1.00000000", Decimal(1)),
        ("2.00000000", Decimal(2)),
        ("4.00000000", Decimal(1)),
    ]


def test_replenished_part_stands_behind_the_others_at_its_price(desk: SpotDesk) -> None:
    desk.order(ICEBERG)
    desk.order("side=BUY type=LIMIT timeInForce=GTC quantity=2 price=100", "bob")
    desk.order("side=SELL type=MARKET quantity=3 selfTradePreventionMode=NONE", "bob")
    assert desk.query(1)["executedQty"] == "2.00000000"
    assert desk.query(2, "bob")["executedQty"] == "1.00000000"
    desk.order("side=SELL type=MARKET quantity=1.5", "bob")
    assert desk.status(2, "bob") == "FILLED"
    assert desk.query(1)["executedQty"] == "2.50000000"


def test_hidden_quantity_trades_too(desk: SpotDesk) -> None:
    desk.order(ICEBERG)
    reply = desk.order("side=SELL type=LIMIT timeInForce=FOK quantity=5 price=100", "bob")
    assert reply["status"] == "FILLED"
    assert [fill["qty"] for fill in reply["fills"]] == ["2.00000000", "2.00000000", "1.00000000"]
    assert desk.status(1) == "FILLED"


def test_replenished_part_waits_behind_the_house_as_well(desk: SpotDesk) -> None:
    desk.order(ICEBERG)
    desk.book(bids="100x3")
    desk.print_sell("100", "4")
    assert desk.query(1)["executedQty"] == "2.00000000"
    desk.print_sell("100", "2")
    assert desk.query(1)["executedQty"] == "3.00000000"


def test_market_that_passes_the_price_fills_the_hidden_part(desk: SpotDesk) -> None:
    desk.order(ICEBERG)
    desk.print_sell("99.9", "0.1")
    assert desk.status(1) == "FILLED"


def test_house_that_crosses_an_iceberg_meets_all_of_it(desk: SpotDesk) -> None:
    desk.order(ICEBERG)
    desk.book(bids="98x1", asks="99x3 99.5x1 101x5")
    assert desk.query(1)["executedQty"] == "4.00000000"
    assert shown(desk) == 1


def test_iceberg_that_takes_shows_only_a_part_of_what_rests(desk: SpotDesk) -> None:
    desk.book(bids="", asks="100x1")
    reply = desk.order(ICEBERG)
    assert reply["executedQty"] == "1.00000000"
    assert shown(desk) == 2
    desk.cancel("orderId=1")
    assert desk.engine.best(SYMBOL) == (None, None)
    assert desk.held("USDT") == ("9900", "0")


def test_decrement_reduces_an_iceberg_part_by_part(desk: SpotDesk) -> None:
    desk.order(ICEBERG)
    desk.order("side=SELL type=MARKET quantity=3 selfTradePreventionMode=DECREMENT")
    assert desk.query(1)["preventedQuantity"] == "3.00000000"
    assert shown(desk) == 1
