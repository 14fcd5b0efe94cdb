"""The amounts and limits of a verdict as texts."""

from decimal import Decimal
from typing import NamedTuple

from livespot.contracts.amounts import ZERO, decimal_text
from livespot.contracts.canonical import once_per_object
from livespot.contracts.settings import RiskSettings


class LimitTexts(NamedTuple):
    """The limits that are settings."""

    per_trade: str
    exposure_symbol: str
    exposure_total: str
    daily_loss: str
    drawdown: str
    trades_per_day: str
    trades_per_window: str
    open_orders_total: str


@once_per_object(4)
def limit_texts(risk: RiskSettings) -> LimitTexts:
    """The limits as texts; cached per settings, since every verdict carries them."""
    return LimitTexts(
        per_trade=amount_text(risk.per_trade),
        exposure_symbol=amount_text(risk.max_exposure_symbol),
        exposure_total=amount_text(risk.max_exposure_total),
        daily_loss=amount_text(risk.max_daily_loss),
        drawdown=amount_text(risk.max_drawdown),
        trades_per_day=str(risk.max_trades_per_day),
        trades_per_window=str(risk.max_trades_per_window),
        open_orders_total=str(risk.max_open_orders_total),
    )


def amount_text(value: Decimal) -> str:
    """The amount with eight decimals."""
    return decimal_text(round(value, 8)) if value else _NOTHING


_NOTHING = decimal_text(round(ZERO, 8))
