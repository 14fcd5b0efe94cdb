"""Symbols that do not trade: what is refused, what still works, and how trading resumes."""

from decimal import Decimal

import pytest

from livespot.exchange.model import BookChanged, PublicTrade, Rejection
from livespot.testing.spot_desk import SYMBOL, SpotDesk, refusal

CLOSED = ("HALT", "BREAK", "CANCEL_ONLY", "END_OF_DAY")


@pytest.fixture
def desk() -> SpotDesk:
    desk = SpotDesk()
    desk.book()
    desk.print_buy("101")
    return desk


@pytest.mark.parametrize("status", CLOSED)
def test_closed_market_refuses_orders_and_lists_but_cancels(desk: SpotDesk, status: str) -> None:
    desk.order("side=BUY type=LIMIT_MAKER quantity=1 price=90")
    desk.engine.set_status(SYMBOL, status, desk.now_ms)
    with pytest.raises(Rejection) as caught:
        desk.order("side=BUY type=MARKET quantity=1")
    assert refusal(caught.value) == (-2010, "Market is closed.")
    with pytest.raises(Rejection) as caught:
        desk.place_list(
            "oco",
            "side=SELL quantity=1 aboveType=LIMIT_MAKER abovePrice=110 "
            "belowType=STOP_LOSS belowStopPrice=95",
        )
    assert refusal(caught.value) == (-2010, "Market is closed.")
    assert desk.cancel("orderId=1")["status"] == "CANCELED"
    assert desk.engine.symbol(SYMBOL).info["status"] == status


def test_amends_stay_possible_while_orders_can_only_be_cancelled(desk: SpotDesk) -> None:
    desk.order("side=BUY type=LIMIT_MAKER quantity=2 price=90")
    desk.engine.set_status(SYMBOL, "CANCEL_ONLY", desk.now_ms)
    params = {"symbol": SYMBOL, "orderId": "1", "newQty": "1"}
    reply = desk.engine.amend_order("alice", params, desk.now_ms)
    assert reply["amendedOrder"]["qty"] == "1.00000000"
    assert desk.held("USDT") == ("9910", "90")


@pytest.mark.parametrize("status", CLOSED)
def test_nothing_matches_and_the_book_stands_still_until_trading_resumes(
    desk: SpotDesk, status: str
) -> None:
    desk.order("side=SELL type=LIMIT_MAKER quantity=2 price=105")
    desk.order("side=SELL type=STOP_LOSS quantity=1 stopPrice=95")
    desk.engine.set_status(SYMBOL, status, desk.now_ms)
    desk.engine.drain_events()
    before = desk.engine.depth(SYMBOL, 10)

    desk.book(bids="106x5 104x5", asks="107x5")
    desk.print_buy("106")
    desk.print_sell("90")
    assert desk.engine.drain_events() == []
    assert desk.engine.depth(SYMBOL, 10) == before

    desk.engine.set_status(SYMBOL, "TRADING", desk.now_ms)
    assert desk.status(1) == "FILLED"
    assert desk.status(2) == "NEW"
    assert desk.engine.best(SYMBOL) == (
        (Decimal(106), Decimal(3)),
        (Decimal(107), Decimal(5)),
    )
    kinds = {type(one) for one in desk.engine.drain_events()}
    assert {PublicTrade, BookChanged} <= kinds


def test_trading_resumes_with_the_old_book_when_no_other_came(desk: SpotDesk) -> None:
    desk.engine.set_status(SYMBOL, "HALT", desk.now_ms)
    desk.engine.set_status(SYMBOL, "TRADING", desk.now_ms)
    assert desk.engine.best(SYMBOL)[0] == (Decimal(100), Decimal(10))
    assert desk.order("side=BUY type=MARKET quantity=1")["status"] == "FILLED"
