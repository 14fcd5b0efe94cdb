"""The books against an account kept in fractions, knowing nothing of the product's arithmetic."""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from livespot.contracts.vocabulary import Side
from livespot.rules.pnl import Lot, apply_fill, price_fee, unrealised_quote
from livespot.testing.risk_values import a_trade

# The unit of a stored average cost; one such rounding per sale is all that may separate them.
_UNIT = Fraction(1, 10**12)
_BNB = Decimal("312.5")


@dataclass(frozen=True, kw_only=True)
class Deal:
    side: Side
    price: Decimal
    qty: Decimal
    fee_bps: int
    fee_asset: str

    @property
    def commission(self) -> Decimal:
        """What the exchange takes, in `fee_asset`."""
        share = self.qty * self.fee_bps / 10_000
        in_asset = {"SOL": share, "USDT": share * self.price, "BNB": share * self.price / 400}
        return in_asset.get(self.fee_asset, Decimal("0.01")).quantize(Decimal("1e-8"))


_DEALS = st.lists(
    st.builds(
        Deal,
        side=st.sampled_from(Side),
        price=st.decimals("0.00000001", 90_000, places=8),
        qty=st.decimals("0.00001", 1000, places=5),
        fee_bps=st.integers(0, 100),
        fee_asset=st.sampled_from(["SOL", "USDT", "BNB", "XYZ"]),
    ),
    min_size=1,
    max_size=25,
)


@dataclass
class Account:
    """Base held and quote paid, from the fills alone."""

    base: Fraction = Fraction(0)
    cost: Fraction = Fraction(0)
    realised: Fraction = Fraction(0)
    quote: Fraction = Fraction(0)
    fees: Fraction = Fraction(0)
    sales: int = 0

    def take(self, deal: Deal, commission: Decimal) -> None:
        price, qty, taken = Fraction(deal.price), Fraction(deal.qty), Fraction(commission)
        worth = {"SOL": price, "USDT": Fraction(1), "BNB": Fraction(_BNB)}
        fee = taken * worth.get(deal.fee_asset, Fraction(0))
        in_base = taken if deal.fee_asset == "SOL" else Fraction(0)
        outside = Fraction(0) if in_base else fee
        self.fees += fee
        if deal.side is Side.BUY:
            self.base += qty - in_base
            self.cost += price * qty + outside
            self.quote -= price * qty + outside
            return
        self.sales += 1
        leaving = qty + in_base
        share = self.cost * leaving / self.base
        self.base, self.cost = self.base - leaving, self.cost - share
        self.realised += price * qty - share - outside
        self.quote += price * qty - outside


@settings(max_examples=150, deadline=None)
@given(_DEALS, st.decimals("0.01", 90_000, places=2))
def test_totals_reconcile_with_the_fills(deals: list[Deal], bid: Decimal) -> None:
    lot, account, unpriced = Lot(), Account(), False
    for number, wanted in enumerate(deals):
        deal, commission = wanted, wanted.commission
        if deal.side is Side.SELL:
            # Never more than is there, the fee in base included.
            room = lot.qty - (commission if deal.fee_asset == "SOL" else 0)
            qty = min(deal.qty, room)
            if qty <= 0:
                continue
            deal = Deal(
                side=deal.side, price=deal.price, qty=qty, fee_bps=0, fee_asset=deal.fee_asset
            )
        fill = a_trade(
            number,
            deal.side,
            str(deal.price),
            str(deal.qty),
            commission=commission,
            commission_asset=deal.fee_asset,
        )
        fee = price_fee(
            fill,
            base_asset="SOL",
            quote_asset="USDT",
            third_asset_price=_BNB if deal.fee_asset == "BNB" else None,
        )
        lot = apply_fill(lot, fill, fee)
        account.take(deal, commission)
        unpriced = unpriced or (deal.fee_asset == "XYZ" and commission > 0)

    allowed = _UNIT * account.sales
    assert Fraction(lot.qty) == account.base
    assert Fraction(lot.fees_quote) == account.fees
    assert abs(Fraction(lot.realised_quote) - account.realised) <= allowed
    assert abs(Fraction(lot.cost_quote) - account.cost) <= allowed
    assert lot.fee_unpriced is unpriced
    # What rounding moves between cost and result it never creates: the sum is the cash, exactly.
    assert Fraction(lot.realised_quote) - Fraction(lot.cost_quote) == account.quote
    open_result = Fraction(bid) * account.base - account.cost
    assert abs(Fraction(unrealised_quote(lot, bid)) - open_result) <= allowed


@given(_DEALS)
def test_a_round_trip_leaves_nothing_behind(deals: list[Deal]) -> None:
    lot, cash = Lot(), Fraction(0)
    buys = [deal for deal in deals if deal.side is Side.BUY]
    for number, deal in enumerate(buys):
        fill = a_trade(number, Side.BUY, str(deal.price), str(deal.qty), commission=Decimal(0))
        lot = apply_fill(
            lot, fill, price_fee(fill, base_asset="SOL", quote_asset="USDT", third_asset_price=None)
        )
        cash -= Fraction(deal.price) * Fraction(deal.qty)
    if lot.qty == 0:
        return
    last = a_trade(99, Side.SELL, "7", str(lot.qty), commission=Decimal(0))
    cash += 7 * Fraction(lot.qty)

    lot = apply_fill(
        lot, last, price_fee(last, base_asset="SOL", quote_asset="USDT", third_asset_price=None)
    )

    assert lot.qty == 0
    assert lot.cost_quote == 0
    assert Fraction(lot.realised_quote) == cash
