"""What an alert says of the reason for a mode: figures as a person reads them."""

import pytest

from livespot.actors.mode_alerts import mode_alert
from livespot.contracts.codes import ReasonCode
from livespot.contracts.system import ActiveReason
from livespot.contracts.vocabulary import SignalKind, SignalLevel, SysMode


def reason(value: int, unit: str) -> ActiveReason:
    return ActiveReason(
        code=ReasonCode.DRIFT_LIMIT_EXCEEDED,
        kind=SignalKind.DRIFT,
        level=SignalLevel.PAUSE,
        source="reconciler",
        since_ms=0,
        value=value,
        threshold=50_000,
        unit=unit,
        detail="",
        count=1,
    )


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (61_000, "x10000", "DRIFT_LIMIT_EXCEEDED (6.1, limit 5.0)"),
        (51_000, "ms", "DRIFT_LIMIT_EXCEEDED (51 s, limit 50 s)"),
        (50_001, "intents", "DRIFT_LIMIT_EXCEEDED (50001 intents, limit 50000 intents)"),
        (0, "", "DRIFT_LIMIT_EXCEEDED"),
    ],
)
def test_the_measured_value_stands_beside_its_limit_in_the_units_people_use(
    value: int, unit: str, said: str
) -> None:
    alert = mode_alert(SysMode.NORMAL, SysMode.PAUSE, [reason(value, unit)], 0)
    assert alert.text == f"NORMAL -> PAUSE because of {said}"
