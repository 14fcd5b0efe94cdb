"""What a position asks of execution, in execution's words."""

from livespot.actors.mail import CancelWanted, CloseWanted, ProtectWanted
from livespot.actors.position_case import Case
from livespot.contracts.amounts import ZERO
from livespot.contracts.vocabulary import IntentRole
from livespot.rules.protection import Cancel, Close, Protect, Swap


def want_of(
    case_: Case, command: Protect | Swap | Close | Cancel
) -> ProtectWanted | CloseWanted | CancelWanted:
    """The request to execution that carries out one command about a sale."""
    holding = case_.holding
    known = tuple(case_.guard.sells)
    match command:
        case Protect():
            return ProtectWanted(
                position_id=holding.position_id,
                decision_id=holding.decision_id,
                entry_intent_id=holding.entry_intent_id,
                symbol=holding.symbol,
                role=command.role,
                qty=command.qty,
                known_orders=known,
                tp_price=command.tp_price,
                sl_price=command.sl_price,
                stop_limit_price=command.stop_limit_price,
                tp_type=command.tp_type,
                tp_limit_price=command.tp_limit_price,
                trailing_delta=command.trailing_delta,
            )
        case Swap():
            return ProtectWanted(
                position_id=holding.position_id,
                decision_id=holding.decision_id,
                entry_intent_id=holding.entry_intent_id,
                symbol=holding.symbol,
                role=IntentRole.TRAIL,
                qty=command.qty,
                known_orders=known,
                tp_price=ZERO,
                sl_price=command.sl_price,
                stop_limit_price=command.stop_limit_price,
                replaces=command.intent_id,
                replaces_order_id=command.order_id,
            )
        case Close():
            return CloseWanted(
                position_id=holding.position_id,
                decision_id=holding.decision_id,
                entry_intent_id=holding.entry_intent_id,
                symbol=holding.symbol,
                qty=command.qty,
                known_orders=known,
                limit_price=command.limit_price,
            )
        case Cancel():
            return CancelWanted(
                position_id=holding.position_id,
                decision_id=holding.decision_id,
                symbol=holding.symbol,
                order_intent_id=command.intent_id,
                order_id=command.order_id,
                purpose=command.purpose,
            )
