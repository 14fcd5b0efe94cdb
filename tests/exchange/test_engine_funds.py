"""Commission, the discount asset and self-trade prevention."""

from decimal import ROUND_DOWN, Decimal

import pytest

from livespot.exchange.model import AccountSpec, Rates
from livespot.testing.spot_desk import SpotDesk, symbol_row

FUNDS = {"USDT": Decimal(10_000), "BTC": Decimal(10)}
BNB_ROW = symbol_row(symbol="BNBUSDT", baseAsset="BNB", quoteAsset="USDT")


def rates(maker: str, taker: str, buyer: str = "0", seller: str = "0") -> Rates:
    """Rates from text."""
    return Rates(
        maker=Decimal(maker), taker=Decimal(taker), buyer=Decimal(buyer), seller=Decimal(seller)
    )


def desk_of(account: AccountSpec) -> SpotDesk:
    """A desk for one account, with a BNB market next door."""
    desk = SpotDesk(accounts=(account,), more_rows=(BNB_ROW,))
    desk.book()
    return desk


def test_commission_comes_from_the_received_asset_on_both_sides() -> None:
    desk = desk_of(AccountSpec(account_id="alice", balances=FUNDS))
    bought = desk.order("side=BUY type=MARKET quantity=1")["fills"][0]
    assert (bought["commission"], bought["commissionAsset"]) == ("0.00100000", "BTC")
    sold = desk.order("side=SELL type=MARKET quantity=1")["fills"][0]
    assert (sold["commission"], sold["commissionAsset"]) == ("0.10000000", "USDT")


def test_commission_adds_role_and_side_of_standard_special_and_tax() -> None:
    account = AccountSpec(
        account_id="alice",
        balances=FUNDS,
        standard=rates("0.001", "0.002", "0.003", "0.004"),
        special=rates("0.01", "0.02", "0.03", "0.04"),
        tax=rates("0.0001", "0.0002", "0.0003", "0.0004"),
    )
    desk = desk_of(account)
    fill = desk.order("side=SELL type=MARKET quantity=1")["fills"][0]
    assert fill["commission"] == "6.66000000"
    desk.order("side=BUY type=LIMIT_MAKER quantity=1 price=100")
    desk.print_sell("99")
    row = desk.engine.my_trades("alice", {"symbol": "BTCUSDT", "orderId": "2"})[0]
    assert (row["commission"], row["isMaker"]) == ("0.04440000", True)


def bnb_account(bnb: str) -> AccountSpec:
    """An account that pays in BNB while it has some."""
    return AccountSpec(
        account_id="alice",
        balances=FUNDS | {"BNB": Decimal(bnb)},
        special=rates("0", "0.001"),
        discount_enabled=True,
    )


def test_discount_asset_pays_with_only_the_standard_part_discounted() -> None:
    desk = desk_of(bnb_account("1"))
    desk.print_buy("500", symbol="BNBUSDT")
    fill = desk.order("side=SELL type=MARKET quantity=1")["fills"][0]
    assert (fill["commission"], fill["commissionAsset"]) == ("0.00035000", "BNB")
    fill = desk.order("side=BUY type=MARKET quantity=1")["fills"][0]
    assert (fill["commission"], fill["commissionAsset"]) == ("0.00035350", "BNB")
    assert desk.held("BTC") == ("10", "0")
    assert desk.held("BNB") == ("0.9992965", "0")


def test_too_little_discount_asset_means_everything_from_what_was_received() -> None:
    desk = desk_of(bnb_account("0.0001"))
    desk.print_buy("500", symbol="BNBUSDT")
    fill = desk.order("side=SELL type=MARKET quantity=1")["fills"][0]
    assert (fill["commission"], fill["commissionAsset"]) == ("0.20000000", "USDT")


def test_discount_asset_without_a_price_is_not_used() -> None:
    desk = desk_of(bnb_account("1"))
    fill = desk.order("side=SELL type=MARKET quantity=1")["fills"][0]
    assert fill["commissionAsset"] == "USDT"


def test_discount_asset_keeps_the_whole_bought_quantity_for_paying_lists() -> None:
    desk = desk_of(bnb_account("1"))
    desk.print_buy("500", symbol="BNBUSDT")
    desk.print_buy("101")
    desk.place_list(
        "opo",
        "workingType=LIMIT_MAKER workingSide=BUY workingPrice=100 workingQuantity=1 "
        "pendingSide=SELL pendingType=STOP_LOSS pendingStopPrice=90",
    )
    desk.print_sell("99.5")
    assert desk.query(2)["origQty"] == "1.00000000"
    assert desk.held("BTC") == ("10", "1")


def test_account_and_commission_show_the_rates() -> None:
    desk = desk_of(bnb_account("0"))
    body = desk.engine.account_info("alice", {"omitZeroBalances": "true"})
    assert body["takerCommission"] == 10
    assert [row["asset"] for row in body["balances"]] == ["USDT", "BTC"]
    shown = desk.engine.commission("alice", {"symbol": "BTCUSDT"})
    assert shown["specialCommission"]["taker"] == "0.00100000"
    assert shown["discount"]["discount"] == "0.75000000"


@pytest.mark.parametrize(("bnb", "asset"), [("100", "BNB"), ("4", "USDT")])
def test_commission_follows_the_documented_rates_for_a_market_sell(bnb: str, asset: str) -> None:
    account = AccountSpec(
        account_id="alice",
        balances={"BTC": Decimal(1), "BNB": Decimal(bnb)},
        standard=rates("0.00000010", "0.00000020", "0.00000030", "0.00000040"),
        special=rates("0.01", "0.02", "0.03", "0.04"),
        tax=rates("0.00000112", "0.00000114", "0.00000118", "0.00000116"),
        discount_enabled=True,
        discount=Decimal("0.25"),
    )
    desk = SpotDesk(symbol_row(()), accounts=(account,), more_rows=(BNB_ROW,))
    desk.print_buy("260", symbol="BNBUSDT")
    desk.book(bids="35000x1")

    fill = desk.order("side=SELL type=MARKET quantity=0.49975")["fills"][0]

    # Of 17491.25: standard 0.01049475, tax 0.040229875, special 1049.475; a BNB costs 260.
    in_bnb = (Decimal("0.01049475") * Decimal("0.25") + Decimal("1049.515229875")) / 260
    whole = {"BNB": in_bnb, "USDT": Decimal("1049.525724625")}
    assert fill["commissionAsset"] == asset
    assert Decimal(fill["commission"]) == whole[asset].quantize(
        Decimal("0.00000001"), rounding=ROUND_DOWN
    )


@pytest.mark.parametrize(
    ("mode", "taker", "maker"),
    [
        ("EXPIRE_TAKER", ("EXPIRED_IN_MATCH", "2.00000000"), ("NEW", None)),
        ("EXPIRE_MAKER", ("NEW", None), ("EXPIRED_IN_MATCH", "3.00000000")),
        (
            "EXPIRE_BOTH",
            ("EXPIRED_IN_MATCH", "2.00000000"),
            ("EXPIRED_IN_MATCH", "3.00000000"),
        ),
        ("DECREMENT", ("EXPIRED_IN_MATCH", "2.00000000"), ("NEW", "2.00000000")),
    ],
)
def test_self_trade_is_prevented_as_the_taker_says(
    mode: str, taker: tuple[str, str | None], maker: tuple[str, str | None]
) -> None:
    desk = SpotDesk()
    desk.order("side=SELL type=LIMIT timeInForce=GTC quantity=3 price=100")
    desk.engine.drain_events()
    desk.order(
        f"side=BUY type=LIMIT timeInForce=GTC quantity=2 price=100 selfTradePreventionMode={mode}"
    )
    shown = [(body["status"], body.get("preventedQuantity")) for body in map(desk.query, (2, 1))]
    assert shown == [taker, maker]
    prevented = [one for one in desk.reports() if one.execution_type == "TRADE_PREVENTION"]
    assert prevented
    assert all(one.counter_order_id in (1, 2) and one.last_qty == 0 for one in prevented)
    assert desk.engine.my_trades("alice", {"symbol": "BTCUSDT"}) == []


def test_prevention_frees_what_it_expires() -> None:
    desk = SpotDesk()
    desk.order("side=SELL type=LIMIT timeInForce=GTC quantity=3 price=100")
    desk.order("side=BUY type=MARKET quantity=2 selfTradePreventionMode=EXPIRE_MAKER")
    assert desk.query(2)["status"] == "EXPIRED"
    assert desk.held("BTC") == ("10", "0")
    assert desk.held("USDT") == ("10000", "0")


def test_mode_none_lets_an_account_trade_with_itself() -> None:
    desk = SpotDesk()
    desk.order("side=SELL type=LIMIT timeInForce=GTC quantity=3 price=100")
    desk.order("side=BUY type=MARKET quantity=2")
    assert desk.status(2) == "FILLED"
    assert desk.held("BTC") == ("8.998", "1")
