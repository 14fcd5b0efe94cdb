"""Single orders: types, times in force, fills and the events they cause."""

from decimal import Decimal

import pytest

from livespot.exchange.event_json import user_event
from livespot.exchange.model import (
    AccountPosition,
    BalanceChanged,
    BookChanged,
    PublicTrade,
    Rejection,
)
from livespot.exchange.specs import symbol_spec
from livespot.testing.spot_desk import SYMBOL, SpotDesk, refusal, symbol_row


@pytest.fixture
def desk() -> SpotDesk:
    desk = SpotDesk()
    desk.book()
    desk.engine.drain_events()
    return desk


def test_limit_order_rests_and_locks_its_cost(desk: SpotDesk) -> None:
    reply = desk.order("side=BUY type=LIMIT timeInForce=GTC quantity=2 price=99.5")
    assert reply["status"] == "NEW"
    assert reply["fills"] == []
    assert desk.held("USDT") == ("9801", "199")
    assert desk.trail() == [(1, "NEW", "NEW")]


def test_crossing_limit_order_takes_levels_in_price_order(desk: SpotDesk) -> None:
    reply = desk.order("side=BUY type=LIMIT timeInForce=GTC quantity=12 price=102")
    assert reply["status"] == "FILLED"
    fills = [(fill["price"], fill["qty"]) for fill in reply["fills"]]
    assert fills == [("101.00000000", "10.00000000"), ("102.00000000", "2.00000000")]
    assert desk.held("USDT") == ("8786", "0")
    assert desk.held("BTC") == ("21.988", "0")


def test_house_liquidity_taken_stays_taken_until_the_next_book(desk: SpotDesk) -> None:
    desk.order("side=BUY type=MARKET quantity=10")
    assert desk.engine.best(SYMBOL)[1] == (Decimal(102), Decimal(10))
    desk.book()
    assert desk.engine.best(SYMBOL)[1] == (Decimal(101), Decimal(10))


def test_market_order_reports_new_then_each_trade_then_one_position(desk: SpotDesk) -> None:
    desk.order("side=BUY type=MARKET quantity=12")
    events = desk.engine.drain_events()
    kinds = [type(event).__name__ for event in events if not isinstance(event, PublicTrade)]
    assert kinds == ["ExecutionReport"] * 3 + ["AccountPosition", "BookChanged"]
    position = next(event for event in events if isinstance(event, AccountPosition))
    assert [asset for asset, _, _ in position.balances] == ["USDT", "BTC"]


def test_market_order_without_enough_book_fills_partly_and_expires(desk: SpotDesk) -> None:
    reply = desk.order("side=SELL type=MARKET quantity=9")
    assert reply["status"] == "FILLED"
    desk.book(bids="100x0.4")
    desk.engine.drain_events()
    reply = desk.order("side=SELL type=MARKET quantity=1")
    assert (reply["status"], reply["executedQty"]) == ("EXPIRED", "0.40000000")
    assert reply["expiryReason"] == "INSUFFICIENT_LIQUIDITY"
    assert desk.trail() == [
        (2, "NEW", "NEW"),
        (2, "TRADE", "PARTIALLY_FILLED"),
        (2, "EXPIRED", "EXPIRED"),
    ]
    assert desk.held("BTC") == ("0.6", "0")


def test_market_order_by_quote_amount_buys_the_nearest_lot(desk: SpotDesk) -> None:
    reply = desk.order("side=BUY type=MARKET quoteOrderQty=250")
    assert reply["origQty"] == "2.47500000"
    assert reply["origQuoteOrderQty"] == "250.00000000"
    assert reply["status"] == "FILLED"
    assert desk.held("USDT") == ("9750.025", "0")


def test_market_order_by_quote_amount_needs_a_book(desk: SpotDesk) -> None:
    desk.book(bids="", asks="")
    with pytest.raises(Rejection) as caught:
        desk.order("side=BUY type=MARKET quoteOrderQty=250")
    assert caught.value.code == -2010
    assert "liquidity is less than `LOT_SIZE`" in caught.value.msg


def test_ioc_order_keeps_its_fills_and_expires_the_rest(desk: SpotDesk) -> None:
    reply = desk.order("side=BUY type=LIMIT timeInForce=IOC quantity=12 price=101")
    assert (reply["status"], reply["executedQty"]) == ("EXPIRED", "10.00000000")
    assert reply["expiryReason"] == "UNFILLED_IOC_QUANTITY_EXPIRED"
    assert desk.held("USDT") == ("8990", "0")


def test_fok_order_fills_whole_or_not_at_all(desk: SpotDesk) -> None:
    refused = desk.order("side=BUY type=LIMIT timeInForce=FOK quantity=11 price=101")
    assert (refused["status"], refused["executedQty"]) == ("EXPIRED", "0.00000000")
    assert refused["expiryReason"] == "UNFILLED_FOK_ORDER_EXPIRED"
    done = desk.order("side=BUY type=LIMIT timeInForce=FOK quantity=11 price=102")
    assert done["status"] == "FILLED"


def test_limit_maker_that_would_take_is_rejected_and_changes_no_funds(desk: SpotDesk) -> None:
    with pytest.raises(Rejection) as caught:
        desk.order("side=BUY type=LIMIT_MAKER quantity=1 price=101")
    assert refusal(caught.value) == (-2010, "Order would immediately match and take.")
    assert caught.value.http_status == 400
    assert desk.held("USDT") == ("10000", "0")
    (told,) = desk.reports()
    assert (told.status, told.reject_reason) == ("REJECTED", "WOULD_MATCH_IMMEDIATELY")


def test_order_beyond_the_balance_is_rejected(desk: SpotDesk) -> None:
    for params in (
        "side=BUY type=LIMIT timeInForce=GTC quantity=101 price=100",
        "side=SELL type=MARKET quantity=10.001",
        "side=BUY type=MARKET quoteOrderQty=10001",
    ):
        with pytest.raises(Rejection) as caught:
            desk.order(params)
        text = "Account has insufficient balance for requested action."
        assert refusal(caught.value) == (-2010, text)


def test_market_buy_beyond_the_balance_is_rejected_before_any_fill() -> None:
    desk = SpotDesk()
    desk.book(asks="101x500")
    with pytest.raises(Rejection) as caught:
        desk.order("side=BUY type=MARKET quantity=100")
    assert caught.value.code == -2010
    assert desk.held("BTC") == ("10", "0")


def test_resting_order_waits_behind_the_queue_shown_at_placement(desk: SpotDesk) -> None:
    desk.order("side=BUY type=LIMIT_MAKER quantity=2 price=100")
    desk.print_sell("100", "9")
    assert desk.status(1) == "NEW"
    desk.print_sell("100", "2")
    assert desk.query(1)["executedQty"] == "1.00000000"
    desk.print_sell("100", "5")
    assert desk.status(1) == "FILLED"


def test_queue_shrinks_with_the_displayed_quantity_but_never_grows(desk: SpotDesk) -> None:
    desk.order("side=BUY type=LIMIT_MAKER quantity=1 price=100")
    desk.book(bids="100x3")
    desk.book(bids="100x50")
    desk.print_sell("100", "4")
    assert desk.status(1) == "FILLED"


def test_trade_through_a_resting_price_fills_it_at_its_own_price(desk: SpotDesk) -> None:
    desk.order("side=BUY type=LIMIT_MAKER quantity=3 price=100")
    desk.print_sell("99.9", "0.1")
    body = desk.query(1)
    assert (body["status"], body["cummulativeQuoteQty"]) == ("FILLED", "300.00000000")


def test_aggressive_buyer_at_a_resting_bid_price_does_not_fill_it(desk: SpotDesk) -> None:
    desk.order("side=BUY type=LIMIT_MAKER quantity=3 price=100.5")
    desk.print_buy("100.5", "5")
    assert desk.status(1) == "NEW"


def test_book_that_moves_through_a_resting_order_fills_it_as_maker(desk: SpotDesk) -> None:
    desk.order("side=SELL type=LIMIT_MAKER quantity=3 price=100.5")
    desk.engine.drain_events()
    desk.book(bids="100.8x2 100.6x5", asks="101x5")
    report = desk.reports()
    assert [(one.last_price, one.last_qty, one.is_maker) for one in report] == [
        (Decimal("100.5"), Decimal(2), True),
        (Decimal("100.5"), Decimal(1), True),
    ]
    assert desk.engine.best(SYMBOL)[0] == (Decimal("100.6"), Decimal(4))


def test_two_accounts_trade_with_each_other_by_price_then_time() -> None:
    desk = SpotDesk()
    first = desk.order("side=SELL type=LIMIT timeInForce=GTC quantity=1 price=50")
    better = desk.order("side=SELL type=LIMIT timeInForce=GTC quantity=1 price=49")
    later = desk.order("side=SELL type=LIMIT timeInForce=GTC quantity=1 price=50")
    desk.order("side=BUY type=LIMIT timeInForce=GTC quantity=2.5 price=50", "bob")
    assert desk.status(better["orderId"]) == "FILLED"
    assert desk.status(first["orderId"]) == "FILLED"
    assert desk.query(later["orderId"])["executedQty"] == "0.50000000"
    assert desk.held("BTC", "bob") == ("12.4975", "0")


def test_account_trades_are_printed_with_both_order_ids() -> None:
    desk = SpotDesk()
    desk.order("side=SELL type=LIMIT timeInForce=GTC quantity=1 price=50")
    desk.engine.drain_events()
    desk.order("side=BUY type=MARKET quantity=1", "bob")
    trade = next(one for one in desk.engine.drain_events() if isinstance(one, PublicTrade))
    assert (trade.buyer_order_id, trade.seller_order_id, trade.buyer_is_maker) == (2, 1, False)


def test_book_updates_show_own_orders_and_number_without_gaps(desk: SpotDesk) -> None:
    desk.order("side=BUY type=LIMIT_MAKER quantity=2 price=100")
    desk.cancel("orderId=1")
    changes = [one for one in desk.engine.drain_events() if isinstance(one, BookChanged)]
    assert [one.update_id for one in changes] == [2, 3]
    assert changes[0].bids == ((Decimal(100), Decimal(12)),)
    assert changes[1].bids == ((Decimal(100), Decimal(10)),)
    assert desk.engine.depth(SYMBOL, 1)[0] == 3


def test_depth_is_cut_to_the_limit_best_first(desk: SpotDesk) -> None:
    _, bids, asks = desk.engine.depth(SYMBOL, 1)
    assert bids == [(Decimal(100), Decimal(10))]
    assert asks == [(Decimal(101), Decimal(10))]


def test_response_type_follows_the_order_type_unless_asked(desk: SpotDesk) -> None:
    ack = desk.order("side=BUY type=LIMIT_MAKER quantity=1 price=90")
    assert set(ack) == {"symbol", "orderId", "orderListId", "clientOrderId", "transactTime"}
    asked = desk.order("side=BUY type=LIMIT_MAKER quantity=1 price=90 newOrderRespType=RESULT")
    assert "fills" not in asked
    assert asked["status"] == "NEW"


def test_closed_market_takes_no_orders_but_cancels(desk: SpotDesk) -> None:
    desk.order("side=BUY type=LIMIT_MAKER quantity=1 price=90")
    desk.engine.set_symbol(symbol_spec(symbol_row(status="BREAK")))
    with pytest.raises(Rejection) as caught:
        desk.order("side=BUY type=LIMIT_MAKER quantity=1 price=90")
    assert refusal(caught.value) == (-2010, "Market is closed.")
    assert desk.cancel("orderId=1")["status"] == "CANCELED"


def test_mass_expiry_ends_only_the_named_types(desk: SpotDesk) -> None:
    desk.print_buy("101")
    desk.order("side=BUY type=LIMIT_MAKER quantity=1 price=90")
    desk.order("side=SELL type=STOP_LOSS quantity=1 stopPrice=95")
    assert desk.engine.expire_orders(SYMBOL, frozenset({"STOP_LOSS"}), desk.now_ms) == 1
    assert desk.query(2)["expiryReason"] == "EXCHANGE_CANCELED"
    assert desk.status(1) == "NEW"
    assert desk.held("BTC") == ("10", "0")


def test_withdrawal_is_announced_and_cannot_exceed_what_is_free(desk: SpotDesk) -> None:
    desk.engine.adjust_balance("alice", "BTC", Decimal(-4), desk.now_ms)
    assert desk.held("BTC") == ("6", "0")
    change, position = desk.engine.drain_events()
    assert isinstance(change, BalanceChanged)
    assert user_event(change, 5)["d"] == "-4.00000000"
    assert isinstance(position, AccountPosition)
    with pytest.raises(ValueError, match="free BTC"):
        desk.engine.adjust_balance("alice", "BTC", Decimal(-7), desk.now_ms)


def test_average_price_weighs_the_last_five_minutes(desk: SpotDesk) -> None:
    desk.print_buy("100", "1")
    desk.now_ms += 200_000
    desk.print_buy("110", "3")
    assert desk.engine.average_price(SYMBOL, desk.now_ms) == Decimal("107.5")
    assert desk.engine.average_price(SYMBOL, desk.now_ms + 150_000) == Decimal(110)
    assert desk.engine.average_price(SYMBOL, desk.now_ms + 900_000) == Decimal(110)


def test_best_counts_house_and_own_quantity_at_the_same_price(desk: SpotDesk) -> None:
    desk.order("side=BUY type=LIMIT_MAKER quantity=2 price=100")
    desk.order("side=BUY type=LIMIT_MAKER quantity=2 price=99.5")
    bid, ask = desk.engine.best(SYMBOL)
    assert bid == (Decimal(100), Decimal(12))
    assert ask == (Decimal(101), Decimal(10))
    desk.book(bids="99x5", asks="")
    assert desk.engine.best(SYMBOL) == ((Decimal(100), Decimal(2)), None)


def test_taker_meets_the_house_ahead_before_a_resting_order_at_the_same_price(
    desk: SpotDesk,
) -> None:
    desk.order("side=BUY type=LIMIT_MAKER quantity=2 price=100")
    desk.order("side=SELL type=MARKET quantity=10", "bob")
    assert desk.query(1)["executedQty"] == "0.00000000"
    desk.order("side=SELL type=LIMIT timeInForce=IOC quantity=0.1 price=100", "alice")
    assert desk.query(1)["executedQty"] == "0.10000000"


@pytest.mark.parametrize("tif", ["IOC", "FOK"])
def test_iceberg_needs_gtc_and_a_symbol_that_allows_it(desk: SpotDesk, tif: str) -> None:
    params = "side=BUY type=LIMIT quantity=2 price=99 icebergQty=1"
    with pytest.raises(Rejection) as caught:
        desk.order(f"{params} timeInForce={tif}")
    assert caught.value.code == -1014
    plain = SpotDesk(symbol_row(icebergAllowed=False))
    with pytest.raises(Rejection) as caught:
        plain.order(f"{params} timeInForce=GTC")
    assert caught.value.msg == "Iceberg orders are not supported for this symbol."
    assert desk.order(f"{params} timeInForce=GTC newOrderRespType=RESULT")["icebergQty"]


def test_engine_lists_its_symbols_and_last_prices(desk: SpotDesk) -> None:
    assert [spec.symbol for spec in desk.engine.symbols()] == [SYMBOL]
    assert desk.engine.last_price(SYMBOL) is None
    desk.print_buy("101", "0.1")
    assert desk.engine.last_price(SYMBOL) == Decimal(101)
    with pytest.raises(Rejection) as caught:
        desk.engine.symbol("NOPE")
    assert str(caught.value) == "-1121 Invalid symbol."
    assert caught.value.body() == {"code": -1121, "msg": "Invalid symbol."}
