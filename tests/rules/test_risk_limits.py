from decimal import Decimal
from typing import Any

import pytest

from livespot.contracts.settings import RiskSettings, Settings
from livespot.rules.doctor import Outcome, limit_checks
from livespot.rules.risk_limits import worst_loss

_CENT = Decimal("0.01")


def _with(**risk: Any) -> Settings:
    return Settings(risk=RiskSettings(**risk))


# At the farthest stop of 450 bps an exposure of 400 loses 18.00: beyond that nothing binds.
@pytest.mark.parametrize(("cents", "binds"), [(-1, True), (0, False), (1, False)])
def test_risk_per_trade_binds_only_below_the_loss_of_a_full_symbol(cents: int, binds: bool) -> None:
    settings = _with(max_exposure_symbol=Decimal(400), per_trade=18 + cents * _CENT)

    assert worst_loss(settings).per_trade_binds is binds
    trade, _ = limit_checks(settings)
    assert trade.outcome is (Outcome.PASS if binds else Outcome.WARN)
    assert ("risk.per_trade can never bind" in trade.detail) is not binds


# Twenty trades of 9.44 lose 188.80.
@pytest.mark.parametrize(("cents", "reached"), [(-1, True), (0, True), (1, False)])
def test_the_daily_loss_can_be_reached_up_to_all_trades_lost(cents: int, reached: bool) -> None:
    settings = _with(max_daily_loss=Decimal("-188.80") - cents * _CENT)

    _, day = limit_checks(settings)

    assert day.outcome is (Outcome.PASS if reached else Outcome.WARN)
    assert ("can never be reached" in day.detail) is not reached


def test_the_effective_worst_losses_are_named_whether_or_not_they_warn() -> None:
    trade, day = limit_checks(Settings())

    assert trade.measured == "9.44 at a stop of 450 bps"
    assert day.measured == "188.80 in 20 trades"
