"""What the audit says of a position: a loss of protection is named, an exit is not one."""

from decimal import Decimal

import msgspec
import pytest

from livespot.actors.position_case import entry_of
from livespot.contracts.codes import ReasonCode
from livespot.contracts.orders import Position
from livespot.contracts.vocabulary import PositionPhase
from livespot.rules.protection import Guard
from livespot.testing.ledger_rows import position

_HELD: Position = msgspec.structs.replace(
    position().position,
    phase=PositionPhase.PROTECTED,
    qty=Decimal("6.13386"),
    protected_qty=Decimal("6.13"),
)


@pytest.mark.parametrize(
    ("phase", "qty", "reasons"),
    [
        (PositionPhase.UNPROTECTED, "6.13386", (ReasonCode.PROTECTION_INSTALL_FAILED,)),
        (PositionPhase.CLOSING, "6.13386", ()),
        (PositionPhase.DUST, "0.00386", ()),
    ],
)
def test_only_a_position_left_bare_has_lost_its_protection(
    phase: PositionPhase, qty: str, reasons: tuple[ReasonCode, ...]
) -> None:
    after = msgspec.structs.replace(_HELD, phase=phase, qty=Decimal(qty), protected_qty=Decimal(0))

    assert entry_of(after, _HELD, (), Guard()).draft.reasons == reasons
