from decimal import Decimal

from livespot.contracts.settings import RiskSettings
from livespot.rules.risk_limits import worst_case


def test_the_defaults_are_bound_by_exposure_and_never_by_risk_per_trade() -> None:
    worst = worst_case(RiskSettings())

    assert (worst.per_trade, worst.per_day) == (Decimal(20), Decimal(400))
    assert len(worst.warnings) == 2
    assert "5000 bps" in worst.warnings[0]
    assert "400.00" in worst.warnings[1]


def test_limits_that_can_act_raise_no_warning() -> None:
    risk = RiskSettings(per_trade=Decimal(20), max_daily_loss=Decimal(-400))

    assert worst_case(risk).warnings == ()
