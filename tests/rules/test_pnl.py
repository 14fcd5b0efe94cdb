from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from livespot.contracts.vocabulary import Side
from livespot.rules.pnl import (
    Lot,
    PricedFee,
    apply_fill,
    booked_fee,
    price_fee,
    total_unrealised,
    unrealised_quote,
)
from livespot.testing.risk_values import a_trade


def _after(*trades: tuple[Side, str, str]) -> Lot:
    lot = Lot()
    for number, (side, price, qty) in enumerate(trades):
        fill = a_trade(number, side, price, qty)
        fee = price_fee(fill, base_asset="SOL", quote_asset="USDT", third_asset_price=None)
        lot = apply_fill(lot, fill, fee)
    return lot


def test_a_base_fee_leaves_less_to_sell_at_the_whole_cost() -> None:
    lot = _after((Side.BUY, "100", "2"))

    assert lot.qty == Decimal("1.998")
    assert lot.cost_quote == 200
    assert lot.fees_quote == Decimal("0.2")
    assert lot.avg_price > 100


def test_a_round_trip_realises_price_and_both_fees() -> None:
    lot = _after((Side.BUY, "100", "2"), (Side.SELL, "110", "1.998"))

    # 219.78 received less a fee of 0.21978, against a cost of 200.
    assert lot.realised_quote == Decimal("19.56022")
    assert (lot.qty, lot.cost_quote) == (Decimal(0), Decimal(0))


def test_two_buys_share_one_average() -> None:
    lot = _after((Side.BUY, "100", "1"), (Side.BUY, "200", "1"), (Side.SELL, "150", "0.999"))

    assert lot.realised_quote == Decimal("149.85") - Decimal("0.14985") - 150
    assert unrealised_quote(lot, Decimal(150)) == Decimal("149.85") - 150


def test_a_third_assets_fee_is_priced_or_flagged() -> None:
    fill = a_trade(1, Side.BUY, "100", "1", commission=Decimal("0.001"), commission_asset="BNB")

    priced = price_fee(fill, base_asset="SOL", quote_asset="USDT", third_asset_price=Decimal(600))
    unpriced = price_fee(fill, base_asset="SOL", quote_asset="USDT", third_asset_price=None)

    assert priced == PricedFee(quote=Decimal("0.600"), base_qty=Decimal(0), unpriced=False)
    assert apply_fill(Lot(), fill, priced).cost_quote == Decimal("100.6")
    assert apply_fill(Lot(), fill, priced).qty == 1
    assert apply_fill(Lot(), fill, unpriced).fee_unpriced


def test_a_fee_priced_when_booked_is_taken_as_it_is() -> None:
    fill = a_trade(1, Side.BUY, "100", "1")

    fee = booked_fee(fill, base_asset="SOL", fee_quote=Decimal("0.1"), fee_unpriced=False)

    assert fee.base_qty == Decimal("0.001")


def test_selling_more_than_is_held_makes_no_profit_of_the_excess() -> None:
    lot = _after((Side.SELL, "110", "1"))

    assert lot.realised_quote <= 0
    assert lot.qty == 0


def test_a_symbol_without_a_bid_counts_at_cost() -> None:
    lots = {"A": _after((Side.BUY, "100", "1")), "B": _after((Side.BUY, "50", "1"))}

    assert total_unrealised(lots, {"A": Decimal(90)}) == Decimal("89.91") - 100


_TRADES = st.lists(
    st.tuples(
        st.sampled_from(Side),
        st.decimals(min_value="0.01", max_value=10_000, places=2),
        st.decimals(min_value="0.001", max_value=100, places=3),
    ),
    max_size=30,
)


@given(_TRADES)
def test_money_adds_up_over_any_history(trades: list[tuple[Side, Decimal, Decimal]]) -> None:
    lot, cash = Lot(), Decimal(0)
    for number, (side, price, wanted) in enumerate(trades):
        qty = min(wanted, lot.qty) if side is Side.SELL else wanted
        if not qty:
            continue
        fill = a_trade(number, side, str(price), str(qty))
        fee = price_fee(fill, base_asset="SOL", quote_asset="USDT", third_asset_price=None)
        lot = apply_fill(lot, fill, fee)
        cash += price * qty - fee.quote if side is Side.SELL else -price * qty

    # What left the account and did not come back is the cost of what is still held.
    assert abs(lot.realised_quote - (cash + lot.cost_quote)) < Decimal("1e-9")
    assert lot.qty >= 0
    assert lot.cost_quote >= 0
