"""What the configured limits mean together: the worst a trade and a day can cost."""

from dataclasses import dataclass
from decimal import Decimal

from livespot.contracts.amounts import BPS
from livespot.contracts.settings import Settings
from livespot.rules.costs import DEFAULT_EXIT_TAKER_BPS

# A five-minute ATR that only the wildest hours show: the farthest stop is assumed at its multiple.
WILDEST_ATR_BPS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstLoss:
    """Upper bounds in quote units; `stop_bps` is the farthest stop that was assumed.

    `binding_stop_bps` is the stop distance from which `risk.per_trade` limits the size at all.
    """

    stop_bps: int
    binding_stop_bps: int
    per_trade: Decimal
    per_day: Decimal

    @property
    def per_trade_binds(self) -> bool:
        return self.stop_bps > self.binding_stop_bps


def worst_loss(settings: Settings) -> WorstLoss:
    """What the limits let one trade and one day lose at the farthest stop.

    A trade's loss is its size times the stop's distance, plus both fees and the exit's slippage. A
    day ends at the first of: all its trades lost, or the daily limit reached while every position
    that still fits into the total exposure goes to its stop as well. Gaps beyond the stop are not
    in it.
    """
    risk, exits, venue = settings.risk, settings.exit, settings.venue
    stop = int(max(exits.k_atr_trend, exits.k_atr_range) * WILDEST_ATR_BPS)
    size = min(risk.per_trade * BPS / stop, risk.max_exposure_symbol, risk.max_exposure_total)
    costs = venue.maker_bps + venue.taker_bps + DEFAULT_EXIT_TAKER_BPS
    per_trade = _cents(size * (stop + costs) / BPS)
    together = max(1, int(risk.max_exposure_total / size))
    per_day = min(per_trade * risk.max_trades_per_day, -risk.max_daily_loss + per_trade * together)
    return WorstLoss(
        stop_bps=stop,
        binding_stop_bps=int(risk.per_trade * BPS / risk.max_exposure_symbol),
        per_trade=per_trade,
        per_day=per_day,
    )


def _cents(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.01"))
