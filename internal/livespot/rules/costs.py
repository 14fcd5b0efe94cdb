"""What a trade costs: commission rates and the book's depth, in basis points."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from livespot.contracts.amounts import BPS, ONE, ZERO, round_bps
from livespot.contracts.market import CostInputs, DepthBook, DepthLevel
from livespot.contracts.orders import CommissionRates
from livespot.contracts.settings import VenueSettings

DEFAULT_ENTRY_MAKER_BPS = 1
DEFAULT_ENTRY_TAKER_BPS = 3
DEFAULT_EXIT_TAKER_BPS = 2
# The slippage of a book too thin for the planned size: all of it, so nothing is planned on it.
UNFILLABLE_BPS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Fees:
    """Fees in whole bps, rounded up: entry as maker, exit as taker, and a buy's fee in base."""

    maker_fee_bps: int
    taker_fee_bps: int
    base_fee_bps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Slippage:
    """Estimates in bps against the best price of the side that is taken."""

    entry_maker_bps: int = DEFAULT_ENTRY_MAKER_BPS
    entry_taker_bps: int = DEFAULT_ENTRY_TAKER_BPS
    exit_taker_bps: int = DEFAULT_EXIT_TAKER_BPS


def fees_of(
    rates: CommissionRates | None, settings: VenueSettings, *, discount_usable: bool
) -> Fees:
    """The account's commission, or the configured fees when it is not known.

    Entry is maker plus buyer side, exit taker plus seller side, each the sum of standard, tax and
    special rates. The discount lowers only the standard part of costs. The fee of a buy in base,
    from which quantities are computed, is undiscounted and the worse of maker and taker.
    """
    if rates is None:
        worst = max(settings.maker_bps, settings.taker_bps)
        return Fees(
            maker_fee_bps=settings.maker_bps, taker_fee_bps=settings.taker_bps, base_fee_bps=worst
        )
    factor = rates.discount if discount_usable and rates.discount_enabled else ONE
    entry_extra = rates.tax_maker + rates.tax_buyer + rates.special_maker + rates.special_buyer
    exit_extra = rates.tax_taker + rates.tax_seller + rates.special_taker + rates.special_seller
    taker_buy = (
        rates.taker
        + rates.buyer
        + rates.tax_taker
        + rates.tax_buyer
        + rates.special_taker
        + rates.special_buyer
    )
    return Fees(
        maker_fee_bps=_ceil_bps((rates.maker + rates.buyer) * factor + entry_extra),
        taker_fee_bps=_ceil_bps((rates.taker + rates.seller) * factor + exit_extra),
        base_fee_bps=_ceil_bps(max(rates.maker + rates.buyer + entry_extra, taker_buy)),
    )


def slippage_of(book: DepthBook | None, quote: Decimal) -> Slippage:
    """Walk the book for `quote`; without a book the defaults apply.

    A resting entry takes nothing, so its estimate is always the default.
    """
    if book is None or not book.bids or not book.asks:
        return Slippage()
    return Slippage(
        entry_taker_bps=walk_bps(book.asks, quote), exit_taker_bps=walk_bps(book.bids, quote)
    )


def walk_bps(levels: Sequence[DepthLevel], quote: Decimal) -> int:
    """How far the average price of taking `quote` lies from the first level, in bps."""
    left, base, best = quote, ZERO, levels[0].price
    for level in levels:
        taken = min(left, level.price * level.qty)
        base += taken / level.price
        left -= taken
        if left <= 0:
            break
    if left > 0 or base <= 0:
        return UNFILLABLE_BPS
    average = quote / base
    return round_bps(float(abs(average - best) / best * BPS))


def cost_inputs(fees: Fees, slippage: Slippage) -> CostInputs:
    """Fees and slippage as the snapshot carries them."""
    return CostInputs(
        maker_fee_bps=fees.maker_fee_bps,
        taker_fee_bps=fees.taker_fee_bps,
        slippage_est_entry_maker_bps=slippage.entry_maker_bps,
        slippage_est_entry_taker_bps=slippage.entry_taker_bps,
        slippage_est_exit_taker_bps=slippage.exit_taker_bps,
        base_fee_bps=fees.base_fee_bps,
    )


def _ceil_bps(rate: Decimal) -> int:
    return int((rate * BPS).to_integral_value(rounding=ROUND_CEILING))
