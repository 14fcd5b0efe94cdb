"""What the configured limits mean together: the worst a trade and a day can cost."""

from dataclasses import dataclass
from decimal import Decimal

from livespot.contracts.amounts import BPS
from livespot.contracts.settings import RiskSettings

# Stops are multiples of five-minute ranges; farther than this one is not a stop of this program.
_FARTHEST_STOP_BPS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstCase:
    """In quote, stops filled at their price. `warnings` are for the checklist."""

    per_trade: Decimal
    per_day: Decimal
    warnings: tuple[str, ...]


def worst_case(risk: RiskSettings) -> WorstCase:
    """The effective worst loss per trade and per day, and limits that can never act."""
    at_farthest_stop = risk.max_exposure_symbol * _FARTHEST_STOP_BPS / BPS
    per_trade = min(risk.per_trade, at_farthest_stop)
    per_day = per_trade * risk.max_trades_per_day
    warnings = []
    if risk.per_trade > at_farthest_stop:
        needed_bps = int(risk.per_trade * BPS / risk.max_exposure_symbol)
        warnings.append(
            f"risk.per_trade={risk.per_trade} can never bind: with max_exposure_symbol="
            f"{risk.max_exposure_symbol} the stop would have to be {needed_bps} bps away"
        )
    if per_day < -risk.max_daily_loss:
        warnings.append(
            f"risk.max_daily_loss={risk.max_daily_loss} cannot be reached: "
            f"{risk.max_trades_per_day} trades lose {per_day:.2f} at most"
        )
    return WorstCase(per_trade=per_trade, per_day=per_day, warnings=tuple(warnings))
