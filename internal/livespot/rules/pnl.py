"""Profit and loss of one symbol by average cost, with every fee priced in quote."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Context, Decimal

from livespot.contracts.amounts import ZERO
from livespot.contracts.orders import Fill
from livespot.contracts.vocabulary import Side

# Average cost needs division; twelve decimals are far finer than any asset's precision.
_COST = Context(prec=60, rounding=ROUND_HALF_EVEN)
_COST_UNIT = Decimal("1e-12")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """What is held of one symbol and what it has earned.

    `qty` is base net of fees taken in base; `cost_quote` its average-cost basis, entry fees
    included; `realised_quote` is net of all fees; `fees_quote` is their total, already inside the
    other two. `fee_unpriced` says that some fee could not be converted and counts as zero.
    """

    qty: Decimal = ZERO
    cost_quote: Decimal = ZERO
    realised_quote: Decimal = ZERO
    fees_quote: Decimal = ZERO
    fee_unpriced: bool = False

    @property
    def avg_price(self) -> Decimal:
        """Cost per unit held, fees included; zero when flat."""
        return _COST.divide(self.cost_quote, self.qty) if self.qty else ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedFee:
    """A commission in quote; `base_qty` is the part that was taken from the traded base."""

    quote: Decimal
    base_qty: Decimal
    unpriced: bool


def price_fee(
    fill: Fill, *, base_asset: str, quote_asset: str, third_asset_price: Decimal | None
) -> PricedFee:
    """Convert a fill's commission to quote.

    A fee in base is priced at the fill's own price, a third asset at its last known price in quote.
    When that is unknown the fee is flagged and counts as zero.
    """
    if fill.commission == 0:
        return PricedFee(quote=ZERO, base_qty=ZERO, unpriced=False)
    if fill.commission_asset == quote_asset:
        return PricedFee(quote=fill.commission, base_qty=ZERO, unpriced=False)
    if fill.commission_asset == base_asset:
        return PricedFee(
            quote=_COST.multiply(fill.commission, fill.price),
            base_qty=fill.commission,
            unpriced=False,
        )
    if third_asset_price is None:
        return PricedFee(quote=ZERO, base_qty=ZERO, unpriced=True)
    return PricedFee(
        quote=_COST.multiply(fill.commission, third_asset_price), base_qty=ZERO, unpriced=False
    )


def booked_fee(fill: Fill, *, base_asset: str, fee_quote: Decimal, fee_unpriced: bool) -> PricedFee:
    """The fee of a fill that was already priced when it was booked."""
    taken = fill.commission if fill.commission_asset == base_asset else ZERO
    return PricedFee(quote=fee_quote, base_qty=taken, unpriced=fee_unpriced)


def apply_fill(lot: Lot, fill: Fill, fee: PricedFee) -> Lot:
    """The lot after one fill, buy or sell."""
    return apply_buy(lot, fill, fee) if fill.side is Side.BUY else apply_sell(lot, fill, fee)


def apply_buy(lot: Lot, fill: Fill, fee: PricedFee) -> Lot:
    """Grow the lot. A fee in base reduces the quantity, not the cost, so it is not added twice."""
    paid = _COST.multiply(fill.price, fill.qty)
    extra = ZERO if fee.base_qty else fee.quote
    return replace(
        _with_fee(lot, fee),
        qty=lot.qty + fill.qty - fee.base_qty,
        cost_quote=lot.cost_quote + paid + extra,
    )


def apply_sell(lot: Lot, fill: Fill, fee: PricedFee) -> Lot:
    """Shrink the lot and realise the difference to average cost, net of the fee.

    A sale of more than is held has no cost basis for the excess, so the excess counts as no profit.
    """
    leaving = min(lot.qty, fill.qty + fee.base_qty)
    sold = min(fill.qty, lot.qty)
    share = _cost_share(lot, leaving)
    return replace(
        _with_fee(lot, fee),
        qty=lot.qty - leaving,
        cost_quote=lot.cost_quote - share,
        realised_quote=lot.realised_quote
        + _COST.multiply(fill.price, sold)
        - share
        - (ZERO if fee.base_qty else fee.quote),
    )


def unrealised_quote(lot: Lot, best_bid: Decimal) -> Decimal:
    """What closing at the best bid would earn, before the fee of that sale."""
    return _COST.multiply(best_bid, lot.qty) - lot.cost_quote


def total_unrealised(lots: Mapping[str, Lot], bids: Mapping[str, Decimal]) -> Decimal:
    """Unrealised result over all held symbols; one without a bid counts at cost."""
    return sum(
        (unrealised_quote(lot, bids[s]) for s, lot in lots.items() if lot.qty and s in bids),
        ZERO,
    )


def _cost_share(lot: Lot, leaving: Decimal) -> Decimal:
    """The cost of the part that leaves; the last unit takes all that is left."""
    if leaving >= lot.qty:
        return lot.cost_quote
    share = _COST.divide(_COST.multiply(lot.cost_quote, leaving), lot.qty)
    return _COST.quantize(share, _COST_UNIT)


def _with_fee(lot: Lot, fee: PricedFee) -> Lot:
    return replace(
        lot,
        fees_quote=lot.fees_quote + fee.quote,
        fee_unpriced=lot.fee_unpriced or fee.unpriced,
    )
