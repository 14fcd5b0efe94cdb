"""Self-trade prevention: what each mode does, within one account and between those of a group."""

from decimal import Decimal

import pytest

from livespot.exchange.event_json import user_event
from livespot.exchange.model import AccountSpec, ExecutionReport, PreventedMatch
from livespot.testing.spot_desk import STP_MODES, SYMBOL, SpotDesk, symbol_row

FUNDS = {"USDT": Decimal(10_000), "BTC": Decimal(10)}
SELL = "side=SELL type=LIMIT timeInForce=GTC"
BUY = "side=BUY type=LIMIT timeInForce=GTC"
STP = "selfTradePreventionMode"
FIELDS = ("v", "A", "B", "u", "U", "Cs", "l", "L", "Y", "pl", "pL", "pY", "X")


def trading(**groups: int | None) -> SpotDesk:
    """A desk whose accounts belong to these trade groups, on a symbol that takes every mode."""
    accounts = tuple(
        AccountSpec(account_id=name, balances=FUNDS, trade_group_id=group)
        for name, group in groups.items()
    )
    row = symbol_row(allowedSelfTradePreventionModes=[*STP_MODES, "TRANSFER"])
    return SpotDesk(row, accounts=accounts)


def matches(desk: SpotDesk) -> list[PreventedMatch]:
    """The prevented matches of the symbol."""
    return desk.engine.state.market(SYMBOL).prevented


def prevented(desk: SpotDesk) -> list[ExecutionReport]:
    """Reports of prevented matches since the last drain."""
    return [one for one in desk.reports() if one.execution_type == "TRADE_PREVENTION"]


@pytest.mark.parametrize(
    ("mode", "taker_qty", "maker_qty"),
    [
        ("EXPIRE_TAKER", "2", None),
        ("EXPIRE_MAKER", None, "3"),
        ("EXPIRE_BOTH", "2", "3"),
        ("DECREMENT", "2", "2"),
        ("TRANSFER", "2", "2"),
    ],
)
def test_prevented_match_is_recorded_with_what_each_order_lost(
    mode: str, taker_qty: str | None, maker_qty: str | None
) -> None:
    desk = trading(alice=7)
    desk.order(f"{SELL} quantity=3 price=100 {STP}={mode}")
    desk.now_ms += 5

    desk.order(f"{BUY} quantity=2 price=101 {STP}={mode}")

    assert matches(desk) == [
        PreventedMatch(
            symbol=SYMBOL,
            match_id=0,
            mode=mode,
            price=Decimal(100),
            taker_account_id="alice",
            taker_order_id=2,
            taker_qty=None if taker_qty is None else Decimal(taker_qty),
            maker_account_id="alice",
            maker_symbol=SYMBOL,
            maker_order_id=1,
            maker_qty=None if maker_qty is None else Decimal(maker_qty),
            trade_group_id=7,
            time_ms=desk.now_ms,
        )
    ]


def test_expired_makers_are_numbered_one_by_one_and_the_taker_rests() -> None:
    desk = trading(alice=None)
    for qty, price in (("1.2", "12"), ("1.3", "11"), ("8.1", "10")):
        desk.order(f"{BUY} quantity={qty} price={price} {STP}=NONE newClientOrderId=m{price}")
    desk.engine.adjust_balance("alice", "BTC", Decimal(20), desk.now_ms)

    reply = desk.order(f"{SELL} quantity=6 price=10 {STP}=EXPIRE_MAKER")

    assert reply["status"] == "NEW"
    assert [(one.match_id, one.maker_order_id, one.maker_qty) for one in matches(desk)] == [
        (0, 1, Decimal("1.2")),
        (1, 2, Decimal("1.3")),
        (2, 3, Decimal("8.1")),
    ]
    assert [desk.status(number) for number in (1, 2, 3)] == ["EXPIRED_IN_MATCH"] * 3


def test_mode_of_the_taker_rules_over_that_of_the_maker() -> None:
    desk = trading(alice=None)
    desk.order(f"{SELL} quantity=1 price=100 {STP}=EXPIRE_TAKER")
    desk.order(f"{BUY} quantity=1 price=100 {STP}=EXPIRE_MAKER")
    assert [desk.status(1), desk.status(2)] == ["EXPIRED_IN_MATCH", "NEW"]


def test_accounts_of_one_group_are_kept_apart_and_others_are_not() -> None:
    desk = trading(alice=1, bob=1, carol=2, dave=None, erin=None)
    desk.order(f"{SELL} quantity=5 price=100", "alice")
    desk.order(f"{BUY} quantity=1 price=100 {STP}=EXPIRE_TAKER", "bob")
    desk.order(f"{BUY} quantity=1 price=100 {STP}=EXPIRE_TAKER", "carol")
    assert desk.status(2, "bob") == "EXPIRED_IN_MATCH"
    assert desk.status(3, "carol") == "FILLED"
    desk.order(f"{BUY} quantity=1 price=100 {STP}=EXPIRE_TAKER", "dave")
    desk.order(f"{SELL} quantity=1 price=90", "dave")
    desk.order(f"{BUY} quantity=1 price=90 {STP}=EXPIRE_TAKER", "erin")
    assert [desk.status(4, "dave"), desk.status(6, "erin")] == ["FILLED", "FILLED"]


def test_mode_none_lets_accounts_of_a_group_trade() -> None:
    desk = trading(alice=1, bob=1)
    desk.order(f"{SELL} quantity=1 price=100 {STP}=EXPIRE_BOTH", "alice")
    desk.order(f"{BUY} quantity=1 price=100 {STP}=NONE", "bob")
    assert desk.status(2, "bob") == "FILLED"


def test_decrement_takes_the_match_from_both_and_ends_the_smaller() -> None:
    desk = trading(alice=None)
    desk.order(f"{BUY} quantity=6 price=20 {STP}=NONE")
    desk.order(f"{SELL} quantity=2 price=20 {STP}=DECREMENT")
    maker, taker = desk.query(1), desk.query(2)
    assert (maker["status"], maker["preventedQuantity"]) == ("NEW", "2.00000000")
    assert (taker["status"], taker["preventedQuantity"]) == ("EXPIRED_IN_MATCH", "2.00000000")
    assert desk.held("USDT") == ("9920", "80")
    assert desk.engine.depth(SYMBOL, 5)[1] == [(Decimal(20), Decimal(4))]


def test_transfer_moves_funds_between_accounts_of_a_group_without_commission() -> None:
    desk = trading(alice=1, bob=1)
    desk.order(f"{SELL} quantity=3 price=100 {STP}=TRANSFER", "alice")
    before = desk.engine.totals()
    desk.engine.drain_events()

    reply = desk.order(f"{BUY} quantity=2 price=105 {STP}=TRANSFER", "bob")

    assert (reply["status"], reply["executedQty"]) == ("EXPIRED_IN_MATCH", "0.00000000")
    assert desk.held("BTC", "bob") == ("12", "0")
    assert desk.held("USDT", "bob") == ("9800", "0")
    assert desk.held("BTC", "alice") == ("7", "1")
    assert desk.held("USDT", "alice") == ("10200", "0")
    assert desk.engine.totals() == before
    assert desk.engine.my_trades("bob", {"symbol": SYMBOL}) == []


def test_transfer_needs_both_orders_and_is_a_decrement_otherwise() -> None:
    desk = trading(alice=1, bob=1)
    desk.order(f"{SELL} quantity=3 price=100 {STP}=DECREMENT", "alice")
    desk.order(f"{BUY} quantity=2 price=100 {STP}=TRANSFER", "bob")
    assert matches(desk)[0].mode == "DECREMENT"
    assert desk.held("BTC", "bob") == ("10", "0")
    assert desk.held("USDT", "bob") == ("10000", "0")


def test_transfer_within_one_account_moves_nothing() -> None:
    desk = trading(alice=1)
    desk.order(f"{SELL} quantity=2 price=100 {STP}=TRANSFER")
    desk.order(f"{BUY} quantity=2 price=100 {STP}=TRANSFER")
    assert [desk.status(1), desk.status(2)] == ["EXPIRED_IN_MATCH"] * 2
    assert (desk.held("BTC"), desk.held("USDT")) == (("10", "0"), ("10000", "0"))


def test_transfer_of_one_leg_ends_the_other_which_shared_its_funds() -> None:
    desk = trading(alice=1, bob=1)
    desk.print_buy("100")
    oco = "side=SELL quantity=10 aboveType=LIMIT_MAKER abovePrice=110 "
    oco += f"belowType=STOP_LOSS belowStopPrice=90 {STP}=TRANSFER"
    desk.place_list("oco", oco, "alice")
    desk.order(f"{BUY} quantity=4 price=110 {STP}=TRANSFER", "bob")
    assert desk.status(1, "alice") == "EXPIRED"
    assert desk.status(2, "alice") == "NEW"
    assert desk.held("BTC", "alice") == ("0", "6")


def test_report_of_a_prevented_match_tells_what_would_have_traded_and_with_whom() -> None:
    desk = trading(alice=4)
    desk.order(f"{SELL} quantity=3 price=5.5")
    desk.engine.drain_events()
    desk.order(f"{BUY} quantity=2 price=5.5 {STP}=EXPIRE_BOTH")
    taker, maker = prevented(desk)
    shown = {name: user_event(taker, 1).get(name) for name in FIELDS}
    assert shown == {
        "v": 0,
        "A": "2.00000000",
        "B": "2.00000000",
        "u": 4,
        "U": 1,
        "Cs": SYMBOL,
        "l": "0.00000000",
        "L": "0.00000000",
        "Y": "0.00000000",
        "pl": "2.00000000",
        "pL": "5.50000000",
        "pY": "11.00000000",
        "X": "EXPIRED_IN_MATCH",
    }
    other = user_event(maker, 1)
    assert (other["B"], other["pl"], other["U"]) == ("3.00000000", "2.00000000", 2)


def test_market_taker_left_without_book_expires_and_counts_its_prevented_makers() -> None:
    desk = trading(alice=None)
    desk.order(f"{BUY} quantity=1 price=10")
    reply = desk.order(f"side=SELL type=MARKET quantity=1 {STP}=EXPIRE_MAKER")
    assert reply["status"] == "EXPIRED"
    assert desk.status(1) == "EXPIRED_IN_MATCH"
    assert desk.held("BTC") == ("10", "0")


def test_fill_or_kill_does_not_count_what_it_may_not_trade_with() -> None:
    desk = trading(alice=None, bob=None)
    desk.order(f"{SELL} quantity=1 price=100", "bob")
    desk.order(f"{SELL} quantity=1 price=101", "alice")
    desk.order(f"{SELL} quantity=1 price=102", "bob")
    fok = "side=BUY type=LIMIT timeInForce=FOK price=102"
    short = desk.order(f"{fok} quantity=2 {STP}=EXPIRE_TAKER", "alice")
    assert (short["status"], short["executedQty"]) == ("EXPIRED", "0.00000000")
    assert short["expiryReason"] == "UNFILLED_FOK_ORDER_EXPIRED"
    assert matches(desk) == []
    whole = desk.order(f"{fok} quantity=2 {STP}=EXPIRE_MAKER", "alice")
    assert (whole["status"], whole["executedQty"]) == ("FILLED", "2.00000000")
    assert desk.status(2, "alice") == "EXPIRED_IN_MATCH"


def test_partly_filled_order_keeps_its_fills_when_the_rest_is_prevented() -> None:
    desk = trading(alice=None, bob=None)
    desk.order(f"{SELL} quantity=1 price=100", "bob")
    desk.order(f"{SELL} quantity=5 price=101", "alice")
    reply = desk.order(f"{BUY} quantity=3 price=101 {STP}=EXPIRE_TAKER", "alice")
    assert (reply["status"], reply["executedQty"]) == ("EXPIRED_IN_MATCH", "1.00000000")
    assert reply["preventedQuantity"] == "2.00000000"
    assert desk.held("USDT", "alice") == ("9900", "0")
