"""One entry as a small state machine: what happened and what time it is in, what to do next out.

The next attempt is placed only after the engine's own cancel answer (or the order's own state)
showed the previous one over with nothing executed. Anything less certain waits.
"""

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

from livespot.contracts.amounts import BPS, ZERO
from livespot.contracts.codes import ReasonCode
from livespot.contracts.decision import EntryPlan
from livespot.contracts.orders import OrderView
from livespot.contracts.settings import EntrySettings
from livespot.contracts.vocabulary import EntryKind, FallbackKind, OrderStatus, OrderType

MIN_ATTEMPT_SPACING_MS = 1000
CANCEL_RETRY_MS = 1000
MAX_CANCEL_TRIES = 5
QUERY_INTERVAL_MS = 1000
# Reads lag: an order the engine no longer has may be listed for a while after.
RECANCEL_MS = 10_000


class Phase(StrEnum):
    """Where one entry stands. Only IDLE may place."""

    IDLE = "IDLE"
    PLACING = "PLACING"
    UNRESOLVED = "UNRESOLVED"
    WORKING = "WORKING"
    CANCELLING = "CANCELLING"
    QUERYING = "QUERYING"
    WEIGHING = "WEIGHING"
    ENDED = "ENDED"


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryState:
    """`qty` is the approved quantity: no attempt exceeds it, and only one attempt ever fills.

    `next_ms` is the earliest time of the next timed action of the present phase, `recancel_ms`
    that of the next cancel while querying (0: none). `halt` is why nothing more may be placed,
    None while the entry may go on. `over_unanswered`: the order was seen over with nothing bought,
    but not in the answer to our cancel. Times are market ms.
    """

    plan: EntryPlan
    qty: Decimal
    approved_ms: int
    phase: Phase = Phase.IDLE
    attempt: int = 0
    order_type: OrderType = OrderType.LIMIT_MAKER
    order_id: int = 0
    executed: Decimal = ZERO
    first_placed_ms: int = 0
    placed_ms: int = 0
    protectable_ms: int = 0
    next_ms: int = 0
    recancel_ms: int = 0
    cancel_tries: int = 0
    partial: bool = False
    over_unanswered: bool = False
    used_fallback: bool = False
    halt: ReasonCode | None = None

    @property
    def attempts_left(self) -> int:
        return self.plan.max_reprices - self.attempt


# ---- what happened


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticked:
    """Time passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceRefused:
    """Definitely not on the book; `crossed` when a post-only order would have taken."""

    crossed: bool
    reason: ReasonCode


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceUnknown:
    """The answer was lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceNotFound:
    """Its absence is proven behind the fence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSeen:
    """A state of the order of `attempt`; `protectable` speaks of its executed quantity.

    `answers_cancel` when the engine said it in reply to our cancel, and nobody else.
    """

    order: OrderView
    attempt: int
    protectable: bool
    answers_cancel: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRestricted:
    """ONLY_NEW refused it: the order is partly filled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelFoundNothing:
    """The engine has no such working order: filled or gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelFailed:
    """Lost or refused for another reason; it may be repeated, it can only hit that order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """A fresh snapshot and the risk checks allow the next attempt with this plan and size."""

    plan: EntryPlan
    qty: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class WeighedAway:
    """The next attempt is not wanted any more."""

    reason: ReasonCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Halted:
    """No further attempt: the mode left NORMAL, a stop was asked, or the process rebooted."""

    reason: ReasonCode


Event: TypeAlias = (
    Ticked
    | PlaceRefused
    | PlaceUnknown
    | PlaceNotFound
    | OrderSeen
    | CancelRestricted
    | CancelFoundNothing
    | CancelFailed
    | Weighed
    | WeighedAway
    | Halted
)


# ---- what to do


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    plan: EntryPlan
    qty: Decimal
    attempt: int
    order_type: OrderType


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """Cancel the working order, never a list. `order_id` 0 means by client id."""

    order_id: int
    only_new: bool
    tries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryOrder:
    order_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Weigh:
    """Ask a fresh snapshot, the strategy and risk whether attempt `attempt` is still wanted."""

    attempt: int
    order_type: OrderType


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelStuck:
    """The cancel stayed unanswered too often; the entry keeps being watched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """The entry is over; `executed` is what its last order bought."""

    executed: Decimal
    reasons: tuple[ReasonCode, ...]


Command: TypeAlias = Place | Cancel | QueryOrder | Weigh | CancelStuck | Finish
Moved: TypeAlias = tuple[EntryState, tuple[Command, ...]]


def begin(
    plan: EntryPlan, qty: Decimal, *, approved_ms: int, now_ms: int, max_age_ms: int
) -> Moved:
    """The first attempt, or none at all when the verdict is already too old."""
    state = EntryState(
        plan=plan, qty=qty, approved_ms=approved_ms, order_type=_FIRST_TYPES[plan.kind]
    )
    if now_ms - approved_ms > max_age_ms:
        return _finish(state, ReasonCode.STRAT_ENTRY_TIMEOUT)
    return _place(replace(state, first_placed_ms=now_ms), now_ms)


def advance(state: EntryState, event: Event, *, now_ms: int, settings: EntrySettings) -> Moved:
    """The next state and what to do. Events that no longer matter change nothing."""
    if state.phase is Phase.ENDED:
        return state, ()
    match event:
        case Ticked():
            return _tick(state, now_ms, settings)
        case OrderSeen():
            return _seen(state, event, now_ms, settings)
        case Halted():
            return _halt(state, event.reason, now_ms)
        case PlaceRefused() | PlaceUnknown() | PlaceNotFound():
            return _place_answered(state, event, now_ms)
        case CancelRestricted() | CancelFoundNothing() | CancelFailed():
            return _cancel_answered(state, event, now_ms)
        case Weighed() | WeighedAway():
            return _weighed(state, event, now_ms)


def _tick(state: EntryState, now_ms: int, settings: EntrySettings) -> Moved:
    match state.phase:
        case Phase.WORKING:
            return _tick_working(state, now_ms, settings)
        case Phase.CANCELLING if state.next_ms and now_ms >= state.next_ms:
            return _cancel(state, now_ms)
        case Phase.QUERYING if state.recancel_ms and now_ms >= state.recancel_ms:
            return _cancel(state, now_ms)
        case Phase.QUERYING if now_ms >= state.next_ms:
            again = replace(state, next_ms=now_ms + QUERY_INTERVAL_MS)
            return again, (QueryOrder(order_id=state.order_id),)
        case Phase.IDLE if now_ms >= state.next_ms:
            return _next_attempt(state, now_ms)
        case _:
            return state, ()


def _tick_working(state: EntryState, now_ms: int, settings: EntrySettings) -> Moved:
    if state.protectable_ms and now_ms >= state.protectable_ms + settings.partial_fill_grace_ms:
        return _cancel(state, now_ms)
    # While the grace of a protectable part runs, the ttl does not cut it short.
    if not state.protectable_ms and now_ms >= state.placed_ms + state.plan.ttl_ms:
        return _cancel(state, now_ms)
    return state, ()


def _seen(state: EntryState, event: OrderSeen, now_ms: int, settings: EntrySettings) -> Moved:
    order = event.order
    if event.attempt != state.attempt or (state.order_id and order.order_id != state.order_id):
        # An attempt that was over with nothing has shown an execution after all: buy no more.
        contradicted = order.executed_qty > 0
        return _halt(state, _CONTRADICTED, now_ms) if contradicted else (state, ())
    if state.phase in (Phase.IDLE, Phase.WEIGHING):
        return _late_fill(state, order)
    executed = max(state.executed, order.executed_qty)
    protectable_ms = state.protectable_ms or (now_ms if event.protectable else 0)
    state = replace(
        state,
        order_id=order.order_id,
        executed=executed,
        partial=state.partial or executed > 0,
        protectable_ms=protectable_ms if executed > 0 else 0,
    )
    if order.status.is_terminal:
        return _over(state, event, now_ms)
    if state.phase in (Phase.PLACING, Phase.UNRESOLVED):
        state = replace(state, phase=Phase.WORKING, next_ms=0)
        return _cancel(state, now_ms) if state.halt else (state, ())
    if state.phase is Phase.QUERYING and executed > 0 and not state.recancel_ms:
        # ONLY_NEW was refused and here is why: the path of a partial fill.
        working = replace(state, phase=Phase.WORKING, next_ms=0)
        if working.halt:
            return _cancel(working, now_ms)
        return _tick_working(working, now_ms, settings)
    return state, ()


def _late_fill(state: EntryState, order: OrderView) -> Moved:
    if order.executed_qty <= 0:
        return state, ()
    filled = replace(state, executed=order.executed_qty, order_id=order.order_id, partial=True)
    return _finish(filled, _CONTRADICTED)


def _over(state: EntryState, event: OrderSeen, now_ms: int) -> Moved:
    """The attempt's order is terminal: whatever it bought is what the entry bought."""
    status = event.order.status
    if status is OrderStatus.FILLED:
        return _finish(state, ReasonCode.STRAT_OK)
    if state.executed > 0 or state.halt is not None or _is_taker(state):
        return _finish(state, state.halt or ReasonCode.STRAT_ENTRY_TIMEOUT)
    if state.phase is not Phase.CANCELLING or status is not OrderStatus.CANCELED:
        # The exchange ended it, or our cancel's answer never came: no automatic re-entry.
        by_us = state.phase in (Phase.QUERYING, Phase.UNRESOLVED)
        asked = by_us and status is OrderStatus.CANCELED
        return _finish(
            state, ReasonCode.STRAT_ENTRY_TIMEOUT if asked else ReasonCode.ORDER_EXPIRED_BY_EXCHANGE
        )
    if event.answers_cancel:
        return _between(state, now_ms)
    if state.next_ms:
        # The answer was already lost; the order's state alone does not allow a next attempt.
        return _finish(state, ReasonCode.STRAT_ENTRY_TIMEOUT)
    return replace(state, over_unanswered=True), ()


def _halt(state: EntryState, reason: ReasonCode, now_ms: int) -> Moved:
    if state.halt is not None:
        return state, ()
    state = replace(state, halt=reason)
    match state.phase:
        case Phase.IDLE | Phase.WEIGHING:
            return _finish(state, reason)
        case Phase.WORKING if not _is_taker(state):
            return _cancel(state, now_ms)
        case _:
            return state, ()


def _place_answered(
    state: EntryState, event: PlaceRefused | PlaceUnknown | PlaceNotFound, now_ms: int
) -> Moved:
    if state.phase not in (Phase.PLACING, Phase.UNRESOLVED):
        return state, ()
    match event:
        case PlaceUnknown():
            return replace(state, phase=Phase.UNRESOLVED), ()
        case PlaceNotFound():
            # A further attempt needs a fresh decision.
            return _finish(state, ReasonCode.INTENT_NOT_FOUND_BY_REST)
        case PlaceRefused(crossed=True) if state.halt is None:
            return _between(state, now_ms)
        case PlaceRefused():
            return _finish(state, state.halt or event.reason)


def _cancel_answered(
    state: EntryState,
    event: CancelRestricted | CancelFoundNothing | CancelFailed,
    now_ms: int,
) -> Moved:
    if state.phase is not Phase.CANCELLING:
        return state, ()
    if state.over_unanswered:
        return _finish(state, ReasonCode.STRAT_ENTRY_TIMEOUT)
    match event:
        case CancelRestricted():
            return _query(replace(state, partial=True, cancel_tries=0), now_ms, recancel_ms=0)
        case CancelFoundNothing():
            return _query(state, now_ms, recancel_ms=now_ms + RECANCEL_MS)
        case CancelFailed() if state.cancel_tries < MAX_CANCEL_TRIES:
            return replace(state, next_ms=now_ms + CANCEL_RETRY_MS), ()
        case CancelFailed():
            stuck, commands = _query(state, now_ms, recancel_ms=now_ms + RECANCEL_MS)
            first = state.cancel_tries == MAX_CANCEL_TRIES
            return stuck, (CancelStuck(), *commands) if first else commands


def _weighed(state: EntryState, event: Weighed | WeighedAway, now_ms: int) -> Moved:
    if state.phase is not Phase.WEIGHING:
        return state, ()
    if isinstance(event, WeighedAway):
        return _finish(state, event.reason)
    ceiling = state.plan.limit_price * (BPS + state.plan.fallback.max_slippage_bps) / BPS
    if event.qty <= 0 or event.plan.limit_price > ceiling:
        return _finish(state, ReasonCode.STRAT_ENTRY_ABORTED_COST)
    # The first plan stays the anchor of ttl, attempts and price; quantity never grows.
    size = min(state.qty, event.qty)
    state = replace(state, attempt=state.attempt + 1, qty=size, phase=Phase.IDLE)
    return _place(state, now_ms, plan=event.plan)


def _place(state: EntryState, now_ms: int, *, plan: EntryPlan | None = None) -> Moved:
    placed = replace(
        state,
        phase=Phase.PLACING,
        order_id=0,
        executed=ZERO,
        placed_ms=now_ms,
        protectable_ms=0,
        next_ms=0,
        recancel_ms=0,
        cancel_tries=0,
        partial=False,
        over_unanswered=False,
    )
    return placed, (
        Place(
            plan=plan or state.plan,
            qty=state.qty,
            attempt=state.attempt,
            order_type=state.order_type,
        ),
    )


def _cancel(state: EntryState, now_ms: int) -> Moved:
    # ONLY_NEW as long as we believe nothing is executed: a fill in between must not be cut off.
    tries = state.cancel_tries + 1
    cancelling = replace(state, phase=Phase.CANCELLING, cancel_tries=tries, next_ms=0)
    only_new = not state.partial
    return cancelling, (Cancel(order_id=state.order_id, only_new=only_new, tries=tries),)


def _query(state: EntryState, now_ms: int, *, recancel_ms: int) -> Moved:
    querying = replace(
        state,
        phase=Phase.QUERYING,
        next_ms=now_ms + QUERY_INTERVAL_MS,
        recancel_ms=recancel_ms,
    )
    return querying, (QueryOrder(order_id=state.order_id),)


def _between(state: EntryState, now_ms: int) -> Moved:
    """The attempt is over with nothing bought; the next one keeps its distance in time."""
    idle = replace(
        state,
        phase=Phase.IDLE,
        next_ms=state.placed_ms + MIN_ATTEMPT_SPACING_MS,
        order_id=0,
        cancel_tries=0,
    )
    return _next_attempt(idle, now_ms) if now_ms >= idle.next_ms else (idle, ())


def _next_attempt(state: EntryState, now_ms: int) -> Moved:
    if state.halt is not None:
        return _finish(state, state.halt)
    if state.attempts_left > 0 and not state.used_fallback:
        weighing = replace(state, phase=Phase.WEIGHING)
        return weighing, (Weigh(attempt=state.attempt + 1, order_type=OrderType.LIMIT_MAKER),)
    return _fall_back(state, now_ms)


def _fall_back(state: EntryState, now_ms: int) -> Moved:
    fallback = state.plan.fallback
    late = now_ms > state.first_placed_ms + fallback.deadline_ms
    if not fallback.enabled or state.used_fallback or late:
        return _finish(state, ReasonCode.STRAT_ENTRY_TIMEOUT)
    order_type = _FALLBACK_TYPES[fallback.kind]
    weighing = replace(state, phase=Phase.WEIGHING, used_fallback=True, order_type=order_type)
    return weighing, (Weigh(attempt=state.attempt + 1, order_type=order_type),)


_CONTRADICTED = ReasonCode.RECONCILE_DIFF_DETECTED
_FIRST_TYPES = {
    EntryKind.MAKER_FIRST: OrderType.LIMIT_MAKER,
    EntryKind.TAKER: OrderType.LIMIT,
    EntryKind.MARKET: OrderType.MARKET,
}
_FALLBACK_TYPES = {
    FallbackKind.CANCEL_AND_REPLACE: OrderType.LIMIT_MAKER,
    FallbackKind.IOC_LIMIT: OrderType.LIMIT,
    FallbackKind.MARKET_IF_ALLOWED: OrderType.MARKET,
}


def _finish(state: EntryState, *reasons: ReasonCode) -> Moved:
    ended = replace(state, phase=Phase.ENDED)
    return ended, (Finish(executed=state.executed, reasons=reasons),)


def _is_taker(state: EntryState) -> bool:
    return state.order_type is not OrderType.LIMIT_MAKER
