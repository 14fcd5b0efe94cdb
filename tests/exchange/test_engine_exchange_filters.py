"""Filters beyond one symbol: open orders over the whole exchange, and what one order may move."""

from decimal import Decimal

import pytest

from livespot.exchange.model import ExchangeFilters, Rejection
from livespot.testing.spot_desk import SpotDesk, refusal, symbol_row

ETH = symbol_row(symbol="ETHUSDT", baseAsset="ETH")
BUY = "side=BUY type=LIMIT timeInForce=GTC quantity=1 price=99"
STOP = "side=SELL type=STOP_LOSS quantity=1 stopPrice=90"
OCO = (
    "side=SELL quantity=1 aboveType=LIMIT_MAKER abovePrice=110 "
    "belowType=STOP_LOSS belowStopPrice=95"
)


def desk_with(filters: ExchangeFilters) -> SpotDesk:
    """A desk with two symbols under these filters."""
    desk = SpotDesk(more_rows=(ETH,), filters=filters)
    desk.book()
    desk.print_buy("100")
    return desk


def refused(desk: SpotDesk, params: str, account: str = "alice") -> tuple[int, str]:
    """How an order is refused."""
    with pytest.raises(Rejection) as caught:
        desk.order(params, account)
    return refusal(caught.value)


@pytest.mark.parametrize(
    ("filters", "first", "second", "name"),
    [
        (ExchangeFilters(max_num_orders=1), BUY, f"symbol=ETHUSDT {BUY}", "ORDERS"),
        (ExchangeFilters(max_num_algo_orders=1), STOP, STOP, "ALGO_ORDERS"),
        (
            ExchangeFilters(max_num_iceberg_orders=1),
            f"{BUY} icebergQty=0.5",
            f"symbol=ETHUSDT {BUY} icebergQty=0.5",
            "ICEBERG_ORDERS",
        ),
    ],
)
def test_open_orders_count_over_all_symbols_of_one_account(
    filters: ExchangeFilters, first: str, second: str, name: str
) -> None:
    desk = desk_with(filters)
    desk.order(first)
    expected = (-1013, f"Filter failure: EXCHANGE_MAX_NUM_{name}")
    assert refused(desk, second) == expected
    assert desk.order(first, "bob")["orderId"] == 2
    desk.cancel("orderId=1")
    assert "orderId" in desk.order(second)


def test_filled_orders_make_room_again() -> None:
    desk = desk_with(ExchangeFilters(max_num_orders=1))
    desk.order(BUY)
    desk.print_sell("98")
    assert desk.status(1) == "FILLED"
    assert desk.order(BUY)["orderId"] == 2


def test_lists_count_once_as_a_list_and_with_every_order() -> None:
    desk = desk_with(ExchangeFilters(max_num_order_lists=1))
    desk.place_list("oco", OCO)
    with pytest.raises(Rejection) as caught:
        desk.place_list("oco", OCO)
    assert caught.value.msg == "Filter failure: EXCHANGE_MAX_NUM_ORDER_LISTS"
    desk.cancel("orderId=1")
    assert desk.place_list("oco", OCO)["orderListId"] == 1
    tight = desk_with(ExchangeFilters(max_num_orders=1))
    with pytest.raises(Rejection) as caught:
        tight.place_list("oco", OCO)
    assert caught.value.msg == "Filter failure: EXCHANGE_MAX_NUM_ORDERS"


@pytest.mark.parametrize(
    "params",
    [
        "side=SELL type=LIMIT timeInForce=GTC quantity=2.001 price=150",
        "side=SELL type=MARKET quantity=2.001",
        "side=BUY type=LIMIT timeInForce=GTC quantity=2 price=200.01",
        "side=BUY type=MARKET quoteOrderQty=400.01",
    ],
)
def test_one_order_moves_no_more_of_an_asset_than_its_filter_allows(params: str) -> None:
    limits = {"BTC": Decimal(2), "USDT": Decimal(400)}
    desk = desk_with(ExchangeFilters(max_assets=limits))
    assert refused(desk, params) == (-1013, "Filter failure: MAX_ASSET")


def test_order_at_the_asset_limit_passes() -> None:
    limits = {"BTC": Decimal(2), "USDT": Decimal(400), "ETH": Decimal(0)}
    desk = desk_with(ExchangeFilters(max_assets=limits))
    assert desk.order("side=BUY type=LIMIT timeInForce=GTC quantity=2 price=200")["orderId"] == 1
    assert desk.order("side=SELL type=MARKET quantity=2")["orderId"] == 2


def test_notional_of_a_market_order_is_measured_at_the_reference_price() -> None:
    desk = desk_with(ExchangeFilters(max_assets={"USDT": Decimal(400)}))
    desk.engine.set_reference_price("BTCUSDT", Decimal(500), desk.now_ms)
    assert refused(desk, "side=SELL type=MARKET quantity=1")[1] == "Filter failure: MAX_ASSET"


def test_filters_are_published_as_they_are_set() -> None:
    filters = ExchangeFilters(max_num_orders=1000, max_assets={"USDC": Decimal(42)})
    engine = SpotDesk(filters=filters).engine
    assert engine.exchange_filters() == [
        {"filterType": "EXCHANGE_MAX_NUM_ORDERS", "maxNumOrders": 1000}
    ]
    assert engine.asset_filters() == [
        {"filterType": "MAX_ASSET", "asset": "USDC", "limit": "42.00000000"}
    ]
    plain = SpotDesk().engine
    assert (plain.exchange_filters(), plain.asset_filters()) == ([], [])
