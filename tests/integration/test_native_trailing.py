"""A natively trailing profit on the matching engine: our own request, from entry to exit."""

from decimal import Decimal

import pytest

from livespot.contracts.market import TrailingDeltaBounds
from livespot.contracts.orders import (
    ListRequest,
    OrderRequest,
)
from livespot.contracts.settings import ExitSettings
from livespot.contracts.vocabulary import ListKind, OrderType, Side
from livespot.rules.requests import above_leg, stop_leg, stop_prices
from livespot.rules.trailing import trailing_above
from livespot.testing.market_values import some_constraints
from livespot.testing.spot_desk import BASIC_FILTERS, SYMBOL, SpotDesk, symbol_row
from livespot.venue.params import list_params

D = Decimal
LIMITS = some_constraints(
    tick_size=D("0.01"),
    trailing_delta_bounds=TrailingDeltaBounds(
        min_above=10, max_above=2000, min_below=10, max_below=2000
    ),
)
_DELTA = {
    "filterType": "TRAILING_DELTA",
    "minTrailingAboveDelta": 10,
    "maxTrailingAboveDelta": 2000,
    "minTrailingBelowDelta": 10,
    "maxTrailingBelowDelta": 2000,
}


def entered(form: OrderType) -> tuple[SpotDesk, dict[str, int]]:
    """A filled entry at 100 with its list armed; order ids by type."""
    row = symbol_row(
        (*BASIC_FILTERS, _DELTA),
        ocoAllowed=True,
        otoAllowed=True,
        opoAllowed=True,
        allowTrailingStop=True,
    )
    desk = SpotDesk(row)
    desk.book()
    above = trailing_above(
        form, D("102.12"), D(100), distance_bps=100, offset_bps=100, constraints=LIMITS
    )
    stop = stop_prices(D("98.50"), OrderType.STOP_LOSS, ExitSettings(), LIMITS)
    request = ListRequest(
        kind=ListKind.OPOCO,
        symbol=SYMBOL,
        list_client_order_id="list",
        side=Side.SELL,
        qty=None,
        above=above_leg(above, "above"),
        below=stop_leg(stop, "below"),
        working=OrderRequest(
            symbol=SYMBOL,
            side=Side.BUY,
            type=OrderType.LIMIT_MAKER,
            qty=D(1),
            client_order_id="entry",
            price=D(100),
        ),
    )
    text = " ".join(
        f"{name}={value}"
        for name, value in list_params(request).items()
        if name not in ("symbol", "recvWindow")
    )
    desk.place_list("opoco", text)
    desk.print_sell("99.99", "30")
    legs = {report.type: report.order_id for report in desk.reports() if report.side == "SELL"}
    return desk, legs


def play(desk: SpotDesk, *prices: str) -> None:
    """Trades at these prices, each inside a book of its own."""
    for price in prices:
        bid = D(price) - D("0.01")
        desk.book(f"{bid}x10 {bid - 1}x10", f"{D(price)}x10 {D(price) + 1}x10")
        desk.print_buy(price, "0.1")


@pytest.mark.parametrize("form", [OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT])
def test_it_rides_up_and_sells_one_percent_below_the_top(form: OrderType) -> None:
    desk, legs = entered(form)
    above, below = legs[form.value], legs["STOP_LOSS"]

    play(desk, "101", "102.11", "100.50")
    waiting = (desk.status(above), desk.status(below))
    play(desk, "102.12", "104", "106", "105.20")
    riding = (desk.status(above), desk.status(below))
    play(desk, "104.93")

    assert waiting == riding == ("NEW", "NEW")
    assert (desk.status(above), desk.status(below)) == ("FILLED", "EXPIRED")
    sold = desk.query(above)
    assert D(sold["cummulativeQuoteQty"]) / D(sold["executedQty"]) > D("104.8")


def test_the_plain_stop_below_works_while_the_profit_has_not_begun_to_trail() -> None:
    desk, legs = entered(OrderType.TAKE_PROFIT)

    play(desk, "99", "98.50")

    assert desk.status(legs["STOP_LOSS"]) == "FILLED"
    assert desk.status(legs["TAKE_PROFIT"]) == "EXPIRED"


def test_both_legs_stand_for_the_whole_of_what_was_bought() -> None:
    desk, legs = entered(OrderType.TAKE_PROFIT)

    assert {D(desk.query(order_id)["origQty"]) for order_id in legs.values()} == {D(1)}
    assert desk.query(legs["TAKE_PROFIT"])["trailingDelta"] == 100
