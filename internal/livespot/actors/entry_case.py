"""One running entry as its desk keeps it, and the events and messages built from it."""

from dataclasses import dataclass, field
from decimal import Decimal

import msgspec

from livespot.actors.mail import EntryEnded
from livespot.actors.mutation_desk import Ending, Outcome
from livespot.actors.order_records import Tracked
from livespot.contracts.amounts import ZERO
from livespot.contracts.codes import ReasonCode
from livespot.contracts.decision import Decision
from livespot.contracts.market import Snapshot, SymbolInfo
from livespot.contracts.settings import EntrySettings, Settings
from livespot.contracts.vocabulary import IntentRole, OrderStatus
from livespot.rules import entry_due
from livespot.rules import entry_engine as engine
from livespot.rules.due import AT_ONCE
from livespot.rules.quantize import protectable

# How long a finished entry waits for its last fills before its end is announced.
FILLS_WAIT_MS = 1000
# What is bought needs its stop, however much of it rounding leaves unprotected.
_ANY_LOSS_BPS = 10_000


@dataclass(slots=True)
class EntryCase:
    """One entry. `attempts` maps intent ids to attempt numbers, `cancels` cancels to targets.

    All times are monotonic: the entry must end in time whatever the wall clock does.
    """

    decision: Decision
    snapshot: Snapshot | None
    info: SymbolInfo | None
    state: engine.EntryState
    attempt_decision: Decision
    weighed_ms: int
    attempts: dict[str, int] = field(default_factory=dict)
    cancels: dict[str, str] = field(default_factory=dict)
    current: str = ""
    opened: bool = False
    finish: engine.Finish | None = None
    finished_ms: int = 0

    def due_ms(self, settings: EntrySettings, *, halted: bool) -> int:
        """When the engine next has to be ticked, in monotonic ms.

        `halted` when nothing more may be bought; the engine is told of it once.
        """
        if self.finish is not None:
            return self.finished_ms + FILLS_WAIT_MS
        if halted and self.state.halt is None and self.state.phase is not engine.Phase.ENDED:
            return AT_ONCE
        return entry_due.due_ms(self.state, settings)

    def intent_of(self, attempt: int) -> str:
        """The intent id an attempt was placed with; empty when the attempt was never placed."""
        return next((i for i, number in self.attempts.items() if number == attempt), "")


def place_event(outcome: Outcome) -> engine.Event | None:
    """What the answer to a placement means for the engine; None when an order event says it."""
    match outcome.ending:
        case Ending.ACCEPTED:
            return None
        case Ending.UNKNOWN:
            return engine.PlaceUnknown()
        case _:
            crossed = "would immediately match" in outcome.message
            reason = ReasonCode.STRAT_MAKER_REJECTED_CROSSES_BOOK if crossed else outcome.reason
            by_filter = bool(outcome.filter_name)
            return engine.PlaceRefused(crossed=crossed, reason=reason, by_filter=by_filter)


def ended_without(
    decision: Decision,
    intent_id: str,
    *,
    engine_reasons: tuple[ReasonCode, ...],
    at_ms: int,
) -> EntryEnded:
    """The end of an entry that bought nothing."""
    return EntryEnded(
        decision_id=decision.decision_id,
        symbol=decision.symbol,
        order_intent_id=intent_id,
        filled_qty=ZERO,
        filled_quote=ZERO,
        attached_list_id=-1,
        tp_client_id="",
        sl_client_id="",
        reasons=engine_reasons,
        at_ms=at_ms,
    )


def ended_with(ended: EntryEnded, tracked: Tracked, legs: dict[IntentRole, str]) -> EntryEnded:
    """`ended` with what its order bought; `legs` maps roles to the attached client ids."""
    view = tracked.view
    armed = legs if view.status is OrderStatus.FILLED else {}
    return msgspec.structs.replace(
        ended,
        order_intent_id=tracked.intent_id,
        filled_qty=view.executed_qty,
        filled_quote=view.cumulative_quote,
        attached_list_id=view.order_list_id if armed else -1,
        tp_client_id=armed.get(IntentRole.TP, ""),
        sl_client_id=armed.get(IntentRole.SL, ""),
    )


def base_fee_bps(case: EntryCase, settings: Settings) -> int:
    """The highest fee the buy may take in base; the configured taker rate without a snapshot."""
    if case.snapshot is not None:
        return case.snapshot.cost_inputs.base_fee_bps
    return settings.venue.taker_bps


def part_is_protectable(case: EntryCase, executed: Decimal, settings: Settings) -> bool:
    """Whether the exchange would certainly accept a protection for what is bought so far.

    How much rounding leaves unprotected is checked for what is still to be bought, not here.
    """
    exits, constraints = case.attempt_decision.exit_plan, case.decision.constraints
    if exits is None or executed <= 0:
        return False
    lowest = exits.sl_price * (10_000 - settings.exit.stop_limit_offset_bps)
    return protectable(
        executed,
        constraints,
        base_fee_bps(case, settings),
        lowest / 10_000,
        _ANY_LOSS_BPS,
    )
