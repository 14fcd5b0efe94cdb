"""Market orders that state an amount: the quantity they become, and books too thin for them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livespot.exchange.model import Rejection
from livespot.testing.spot_desk import SpotDesk, refusal, symbol_row

COARSE = (
    {"filterType": "LOT_SIZE", "minQty": "0.1", "maxQty": "3", "stepSize": "0.1"},
    {"filterType": "MARKET_LOT_SIZE", "minQty": "0", "maxQty": "2.5", "stepSize": "0"},
)


def desk_with(*filters: dict[str, str]) -> SpotDesk:
    """A desk at 100 to 101 with only these filters."""
    desk = SpotDesk(symbol_row(filters))
    desk.book()
    return desk


def by_amount(desk: SpotDesk, side: str, amount: object) -> str:
    """The quantity a market order by amount became."""
    return str(desk.order(f"side={side} type=MARKET quoteOrderQty={amount}")["origQty"])


def test_buy_comes_closest_without_spending_more() -> None:
    assert by_amount(desk_with(*COARSE), "BUY", "119") == "1.10000000"


def test_sell_comes_closest_from_either_side() -> None:
    assert by_amount(desk_with(*COARSE), "SELL", "114") == "1.10000000"
    assert by_amount(desk_with(*COARSE), "SELL", "116") == "1.20000000"


def test_quantity_stays_within_the_smaller_maximum() -> None:
    assert by_amount(desk_with(*COARSE), "BUY", "1000") == "2.50000000"


def test_quantity_has_the_precision_of_the_base_without_a_step() -> None:
    assert by_amount(desk_with(), "BUY", "50") == "0.49504950"


def test_amount_worth_less_than_the_smallest_lot_fails_that_filter() -> None:
    with pytest.raises(Rejection) as caught:
        by_amount(desk_with(*COARSE), "BUY", "10")
    assert refusal(caught.value) == (-1013, "Filter failure: LOT_SIZE")


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        (COARSE, "`LOT_SIZE` filter"),
        (
            (
                COARSE[0],
                {"filterType": "MARKET_LOT_SIZE", "minQty": "0.5", "maxQty": "0", "stepSize": "0"},
            ),
            "`MARKET_LOT_SIZE` filter",
        ),
        ((), "symbol"),
    ],
)
@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_book_thinner_than_the_smallest_order_is_named_by_its_filter(
    filters: tuple[dict[str, str], ...], words: str, side: str
) -> None:
    desk = desk_with(*filters)
    thin = "0.05" if filters else "0"
    desk.book(bids=f"100x{thin}", asks=f"101x{thin}")
    with pytest.raises(Rejection) as caught:
        by_amount(desk, side, "500")
    text = f"Order book liquidity is less than {words} minimum quantity."
    assert refusal(caught.value) == (-2010, text)
    assert desk.held("USDT") == ("10000", "0")


def test_amount_beyond_the_book_takes_all_of_it_and_expires() -> None:
    desk = desk_with()
    desk.book(asks="101x1 102x1")
    reply = desk.order("side=BUY type=MARKET quoteOrderQty=305")
    assert (reply["status"], reply["executedQty"]) == ("EXPIRED", "2.00000000")
    assert reply["origQty"] == "3.00000000"
    assert reply["expiryReason"] == "INSUFFICIENT_LIQUIDITY"
    assert desk.held("USDT") == ("9797", "0")


@given(amount=st.decimals("20", "230", places=2))
def test_no_other_lot_of_a_sell_is_closer_to_the_amount(amount: Decimal) -> None:
    desk = desk_with(*COARSE)
    desk.book(bids="100x0.7 90x10")
    reply = desk.order(f"side=SELL type=MARKET quoteOrderQty={amount}")
    qty = Decimal(reply["executedQty"])

    def distance(lots: Decimal) -> Decimal:
        first = min(lots, Decimal("0.7"))
        return abs(amount - first * 100 - (lots - first) * 90)

    assert distance(qty) <= min(distance(qty + Decimal("0.1")), distance(qty - Decimal("0.1")))
