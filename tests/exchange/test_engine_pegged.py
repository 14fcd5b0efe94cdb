"""Pegged orders: where the book puts them, what they report, and what may not be pegged."""

from decimal import Decimal

import pytest

from livespot.exchange.event_json import user_event
from livespot.exchange.model import ExecutionReport, ListKind, Rejection
from livespot.testing.spot_desk import BASIC_FILTERS, SpotDesk, refusal, symbol_row

PRIMARY = "pegPriceType=PRIMARY_PEG"
MARKET = "pegPriceType=MARKET_PEG"
LEVEL = "pegOffsetType=PRICE_LEVEL"
LIMIT = "side=BUY type=LIMIT quantity=1"
STOP = "side=SELL type=STOP_LOSS_LIMIT timeInForce=GTC quantity=1 stopPrice=95"
THIN = (-2010, "Order book liquidity is too low for this pegged order.")
BAD_PEG = (-2010, "This price peg cannot be used with this order type.")
NO_PEG = (-2010, "This order type may not use pegged price.")


@pytest.fixture
def desk() -> SpotDesk:
    desk = SpotDesk()
    desk.book()
    desk.print_buy("100.5", "0.5")
    desk.engine.drain_events()
    return desk


def refused(desk: SpotDesk, params: str) -> tuple[int, str]:
    with pytest.raises(Rejection) as caught:
        desk.order(params)
    return refusal(caught.value)


@pytest.mark.parametrize(
    ("params", "price"),
    [
        (f"{LIMIT} timeInForce=GTC {PRIMARY}", "100"),
        (f"{LIMIT} timeInForce=GTC {PRIMARY} {LEVEL} pegOffsetValue=1", "99"),
        (f"{LIMIT} timeInForce=GTC {MARKET}", "101"),
        (f"{LIMIT} timeInForce=IOC {MARKET} {LEVEL} pegOffsetValue=1", "102"),
        (f"side=SELL type=LIMIT_MAKER quantity=1 newOrderRespType=RESULT {PRIMARY}", "101"),
        (f"side=SELL type=LIMIT timeInForce=FOK quantity=1 {MARKET}", "100"),
    ],
)
def test_peg_takes_the_price_of_its_side_of_the_book(
    desk: SpotDesk, params: str, price: str
) -> None:
    body = desk.order(params)
    assert body["price"] == "0.00000000"
    assert Decimal(body["peggedPrice"]) == Decimal(price)
    assert body["pegPriceType"] in params
    assert ("pegOffsetType" in body) == (LEVEL in params)


def test_pegged_order_rests_at_its_price_and_stays_there(desk: SpotDesk) -> None:
    desk.order(f"{LIMIT} timeInForce=GTC {PRIMARY}")
    desk.book(bids="100.4x1")
    assert desk.query(1)["peggedPrice"] == "100.00000000"
    assert desk.held("USDT") == ("9900", "100")
    desk.print_sell("99.9")
    assert desk.query(1)["cummulativeQuoteQty"] == "100.00000000"


def test_report_and_cancel_of_a_pegged_order_carry_the_peg(desk: SpotDesk) -> None:
    desk.order(f"{LIMIT} timeInForce=GTC {PRIMARY} {LEVEL} pegOffsetValue=1 price=98")
    (report,) = [one for one in desk.engine.drain_events() if isinstance(one, ExecutionReport)]
    body = user_event(report, desk.now_ms)
    told = {name: body[name] for name in ("p", "gP", "gOT", "gOV", "gp")}
    assert told == {
        "p": "98.00000000",
        "gP": "PRIMARY_PEG",
        "gOT": "PRICE_LEVEL",
        "gOV": 1,
        "gp": "99.00000000",
    }
    cancelled = desk.cancel("orderId=1")
    assert (cancelled["price"], cancelled["peggedPrice"]) == ("98.00000000", "99.00000000")


def test_triggered_order_is_pegged_when_it_goes_to_the_book(desk: SpotDesk) -> None:
    desk.order(f"{STOP} {PRIMARY}")
    (waiting,) = [one for one in desk.engine.drain_events() if isinstance(one, ExecutionReport)]
    assert "gp" not in user_event(waiting, desk.now_ms)
    assert "peggedPrice" not in desk.query(1)
    desk.book(bids="93x1", asks="96x1 97x1")
    desk.print_sell("95")
    assert (desk.query(1)["isWorking"], desk.query(1)["peggedPrice"]) == (True, "96.00000000")


def test_triggered_buy_pays_for_the_price_it_is_given(desk: SpotDesk) -> None:
    desk.order(f"side=BUY type=STOP_LOSS_LIMIT timeInForce=GTC quantity=1 stopPrice=105 {PRIMARY}")
    assert desk.held("USDT") == ("9895", "105")
    desk.book(bids="107x1", asks="109x1")
    desk.print_buy("106", "0.1")
    assert desk.held("USDT") == ("9893", "107")


@pytest.mark.parametrize("book", [{"asks": ""}, {"bids": "999x1", "asks": "1000.005x1"}])
def test_trigger_that_finds_no_fitting_price_ends_the_order(
    desk: SpotDesk, book: dict[str, str]
) -> None:
    desk.order(f"{STOP} {PRIMARY}")
    desk.book(**book)
    desk.print_sell("95")
    body = desk.query(1)
    assert (body["status"], body["expiryReason"]) == ("EXPIRED", "REJECTED")
    assert desk.held("BTC") == ("10", "0")


def test_book_too_thin_for_the_peg_refuses_it(desk: SpotDesk) -> None:
    assert refused(desk, f"{LIMIT} timeInForce=GTC {PRIMARY} {LEVEL} pegOffsetValue=2") == THIN
    assert desk.order(f"{STOP} {PRIMARY} {LEVEL} pegOffsetValue=2")["orderId"] == 1


def test_refused_pegged_order_is_told_without_a_price_it_never_had(desk: SpotDesk) -> None:
    params = f"{LIMIT} timeInForce=GTC {PRIMARY} price=100 quantity=500"
    text = "Account has insufficient balance for requested action."
    assert refused(desk, params) == (-2010, text)
    (report,) = desk.reports()
    body = user_event(report, desk.now_ms)
    assert (body["x"], body["gP"], body["p"]) == ("REJECTED", "PRIMARY_PEG", "100.00000000")
    assert "gp" not in body


def test_both_prices_of_a_pegged_order_pass_the_filters() -> None:
    rule = {"filterType": "PERCENT_PRICE", "multiplierUp": "1.1", "multiplierDown": "0.9"}
    desk = SpotDesk(symbol_row((*BASIC_FILTERS, {**rule, "avgPriceMins": 5})))
    desk.book(bids="100x1 80x1")
    desk.print_buy("100", "0.5")
    failure = (-1013, "Filter failure: PERCENT_PRICE")
    assert refused(desk, f"{LIMIT} timeInForce=GTC {PRIMARY} price=80") == failure
    pegged_far = f"{LIMIT} timeInForce=GTC {PRIMARY} {LEVEL} pegOffsetValue=1"
    assert refused(desk, f"{pegged_far} price=100") == failure
    desk.order(f"{LIMIT} timeInForce=GTC {PRIMARY} price=95")


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        (f"side=BUY type=MARKET quantity=1 {PRIMARY}", NO_PEG),
        (f"side=SELL type=STOP_LOSS quantity=1 stopPrice=95 {PRIMARY}", NO_PEG),
        (f"side=SELL type=TAKE_PROFIT quantity=1 stopPrice=105 {MARKET}", NO_PEG),
        (f"side=BUY type=LIMIT_MAKER quantity=1 {MARKET}", BAD_PEG),
        (f"{LIMIT} timeInForce=IOC {PRIMARY}", BAD_PEG),
        (f"{LIMIT} timeInForce=FOK {PRIMARY}", BAD_PEG),
        (f"{LIMIT} timeInForce=GTC pegPriceType=MID", (-1210, "Invalid pegPriceType.")),
        (
            f"{LIMIT} timeInForce=GTC {PRIMARY} pegOffsetType=TICKS pegOffsetValue=1",
            (-1211, "Invalid pegOffsetType."),
        ),
        (
            f"{LIMIT} timeInForce=GTC {PRIMARY} {LEVEL} pegOffsetValue=101",
            (-1130, "Data sent for parameter 'pegOffsetValue' is not valid."),
        ),
        (
            f"{LIMIT} timeInForce=GTC {PRIMARY} {LEVEL}",
            (
                -1102,
                "Mandatory parameter 'pegOffsetValue' was not sent, was empty/null, or malformed.",
            ),
        ),
        (
            f"{LIMIT} timeInForce=GTC {PRIMARY} pegOffsetValue=1",
            (
                -1102,
                "Mandatory parameter 'pegOffsetType' was not sent, was empty/null, or malformed.",
            ),
        ),
        (
            f"{LIMIT} timeInForce=GTC price=99 {LEVEL}",
            (-1106, "Parameter 'pegOffsetType' sent when not required."),
        ),
    ],
)
def test_peg_that_does_not_fit_is_refused(
    desk: SpotDesk, params: str, expected: tuple[int, str]
) -> None:
    assert refused(desk, params) == expected


def test_symbol_decides_whether_orders_may_be_pegged() -> None:
    desk = SpotDesk(symbol_row(pegInstructionsAllowed=False))
    desk.book()
    text = "Pegged orders are not supported for this symbol."
    assert refused(desk, f"{LIMIT} timeInForce=GTC {PRIMARY}") == (-2010, text)


LEGS = "aboveType=LIMIT_MAKER abovePegPriceType=PRIMARY_PEG belowType=STOP_LOSS_LIMIT "
LEGS += "belowStopPrice=95 belowTimeInForce=GTC belowPegPriceType=MARKET_PEG"
WORKING = "workingType=LIMIT_MAKER workingSide=BUY workingQuantity=2 "
WORKING += "workingPegPriceType=PRIMARY_PEG"


def test_legs_of_an_oco_are_pegged_each_in_its_time(desk: SpotDesk) -> None:
    stop, take = desk.place_list("oco", f"side=SELL quantity=1 {LEGS}")["orderReports"]
    assert (take["peggedPrice"], stop["pegPriceType"]) == ("101.00000000", "MARKET_PEG")
    assert "peggedPrice" not in stop
    desk.book(bids="94x5 93x5", asks="101x5")
    desk.print_sell("95")
    body = desk.query(1)
    assert (body["status"], body["peggedPrice"]) == ("FILLED", "94.00000000")


DEEPER = "pendingType=LIMIT pendingTimeInForce=GTC pendingPegPriceType=PRIMARY_PEG "
DEEPER += "pendingPegOffsetType=PRICE_LEVEL pendingPegOffsetValue=1"


@pytest.mark.parametrize(
    ("kind", "pending"),
    [
        ("oto", "pendingType=LIMIT_MAKER pendingQuantity=1 pendingPegPriceType=PRIMARY_PEG"),
        ("opo", DEEPER),
    ],
)
def test_pending_peg_is_priced_when_its_working_order_has_filled(
    desk: SpotDesk, kind: ListKind, pending: str
) -> None:
    reply = desk.place_list(kind, f"{WORKING} pendingSide=SELL {pending}")
    working, waiting = reply["orderReports"]
    assert working["peggedPrice"] == "100.00000000"
    assert "peggedPrice" not in waiting
    desk.book(bids="100x10", asks="105x1 106x1")
    desk.print_sell("99.9")
    expected = "105.00000000" if kind == "oto" else "106.00000000"
    assert (desk.status(2), desk.query(2)["peggedPrice"]) == ("NEW", expected)
