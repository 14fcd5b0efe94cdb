"""Which refusals of risk the gate cannot lift, whatever it makes of a proposal."""

from livespot.contracts.codes import ReasonCode
from livespot.contracts.decision import RiskVerdict
from livespot.contracts.vocabulary import Verdict

# The gate can lower a quantity, tighten exits and make an entry more patient. That lifts none of
# these reasons, with one exception: where the exposure or the balance leaves room for little more
# than the smallest order, a nearer stop could make that order protectable. It is refused as well.
_FOREGONE = frozenset(
    {
        ReasonCode.RISK_SYSMODE_BLOCKS_ENTRY,
        ReasonCode.SYMBOL_QUARANTINED,
        ReasonCode.MANUAL_EXPOSURE_ACTIVE,
        ReasonCode.FILTERS_DRIFT_DETECTED,
        ReasonCode.SYMBOL_NOT_TRADING,
        ReasonCode.STRAT_MISSING_FIELD,
        ReasonCode.STRAT_INPUT_INVALID,
        ReasonCode.STRAT_ENTRY_ABORTED_COST,
        ReasonCode.RISK_POSITION_ALREADY_OPEN,
        ReasonCode.RISK_ENTRY_ALREADY_PENDING,
        ReasonCode.RISK_DAILY_LOSS_LIMIT,
        ReasonCode.RISK_DRAWDOWN_LIMIT,
        ReasonCode.RISK_MAX_TRADES_DAY,
        ReasonCode.RISK_MAX_OPEN_ORDERS,
        ReasonCode.RISK_COOLDOWN_ACTIVE,
        ReasonCode.RISK_MAX_TRADES_WINDOW,
        ReasonCode.RISK_SYMBOL_LOSS_STREAK,
        ReasonCode.WS_STALE_DEGRADE,
        ReasonCode.STRAT_EDGE_BELOW_MIN,
        ReasonCode.RISK_EXPOSURE_LIMIT,
        ReasonCode.RISK_INSUFFICIENT_FREE_BALANCE,
        ReasonCode.PROTECTION_INVALID_FILTER,
        ReasonCode.RISK_CORRELATION_TOO_HIGH,
        ReasonCode.RISK_CANCEL_REPLACE_LIMIT_HIT,
        ReasonCode.RISK_CHURN_LIMIT_HIT,
        ReasonCode.RISK_UNFILLED_ORDER_COUNT_RISK,
    }
)


def is_foregone(verdict: RiskVerdict) -> bool:
    """Whether no change that the gate may make would lift this refusal."""
    return verdict.verdict is Verdict.BLOCK and not _FOREGONE.isdisjoint(verdict.reasons)
