"""Turns a position's commands into requests to execution."""

from decimal import Decimal
from typing import TypedDict

from livespot.actors.mail import CancelWanted, CloseWanted, ProtectWanted
from livespot.actors.position_case import Case
from livespot.contracts.amounts import ZERO
from livespot.contracts.vocabulary import IntentRole
from livespot.rules.protection import Cancel, Close, Protect, Swap


class _Sale(TypedDict):
    """The fields of every requested sale."""

    position_id: str
    decision_id: str
    entry_intent_id: str
    symbol: str
    qty: Decimal
    known_orders: tuple[int, ...]


def want_of(
    case_: Case, command: Protect | Swap | Close | Cancel
) -> ProtectWanted | CloseWanted | CancelWanted:
    """The request to execution that carries out one command about a sale."""
    match command:
        case Protect():
            return ProtectWanted(
                **_sale(case_, command.qty),
                role=command.role,
                tp_price=command.tp_price,
                sl_price=command.sl_price,
                stop_limit_price=command.stop_limit_price,
                tp_type=command.tp_type,
                tp_limit_price=command.tp_limit_price,
                trailing_delta=command.trailing_delta,
            )
        case Swap():
            return ProtectWanted(
                **_sale(case_, command.qty),
                role=IntentRole.TRAIL,
                tp_price=ZERO,
                sl_price=command.sl_price,
                stop_limit_price=command.stop_limit_price,
                replaces=command.intent_id,
                replaces_order_id=command.order_id,
            )
        case Close():
            return CloseWanted(**_sale(case_, command.qty), limit_price=command.limit_price)
        case Cancel():
            holding = case_.holding
            return CancelWanted(
                position_id=holding.position_id,
                decision_id=holding.decision_id,
                symbol=holding.symbol,
                order_intent_id=command.intent_id,
                order_id=command.order_id,
                purpose=command.purpose,
            )


def _sale(case_: Case, qty: Decimal) -> _Sale:
    holding = case_.holding
    return _Sale(
        position_id=holding.position_id,
        decision_id=holding.decision_id,
        entry_intent_id=holding.entry_intent_id,
        symbol=holding.symbol,
        qty=qty,
        known_orders=tuple(case_.guard.sells),
    )
