"""The elementary moves of an entry: place, cancel, query, wait for the next attempt, end."""

from dataclasses import replace

from livespot.contracts.amounts import ZERO
from livespot.contracts.codes import ReasonCode
from livespot.contracts.decision import EntryPlan
from livespot.contracts.vocabulary import EntryKind, FallbackKind, OrderType
from livespot.rules.denied_cancels import read_pause_ms
from livespot.rules.entry_state import (
    Cancel,
    EntryState,
    Finish,
    Moved,
    Phase,
    Place,
    QueryOrder,
    Weigh,
)

MIN_ATTEMPT_SPACING_MS = 1000
CANCEL_RETRY_MS = 1000
MAX_CANCEL_TRIES = 5
QUERY_INTERVAL_MS = 1000
# Reads lag: an order that has left the engine may be listed for a while.
RECANCEL_MS = 10_000
FIRST_TYPES = {
    EntryKind.MAKER_FIRST: OrderType.LIMIT_MAKER,
    EntryKind.TAKER: OrderType.LIMIT,
    EntryKind.MARKET: OrderType.MARKET,
}
FALLBACK_TYPES = {
    FallbackKind.CANCEL_AND_REPLACE: OrderType.LIMIT_MAKER,
    FallbackKind.IOC_LIMIT: OrderType.LIMIT,
    FallbackKind.MARKET_IF_ALLOWED: OrderType.MARKET,
}


def place(state: EntryState, now_ms: int, *, plan: EntryPlan | None = None) -> Moved:
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
        reads=0,
    )
    return placed, (
        Place(
            plan=plan or state.plan,
            qty=state.qty,
            attempt=state.attempt,
            order_type=state.order_type,
        ),
    )


def cancel(state: EntryState, now_ms: int) -> Moved:
    # ONLY_NEW while nothing is known to be executed: a part filled meanwhile keeps its order.
    tries = state.cancel_tries + 1
    cancelling = replace(state, phase=Phase.CANCELLING, cancel_tries=tries, next_ms=0)
    only_new = not state.partial
    cancel = Cancel(order_id=state.order_id, only_new=only_new, tries=tries, attempt=state.attempt)
    return cancelling, (cancel,)


def query(state: EntryState, now_ms: int, *, recancel_ms: int) -> Moved:
    querying = replace(
        state,
        phase=Phase.QUERYING,
        next_ms=now_ms + read_pause_ms(state.reads + 1),
        reads=state.reads + 1,
        recancel_ms=recancel_ms,
    )
    return querying, (QueryOrder(order_id=state.order_id),)


def between(state: EntryState, now_ms: int) -> Moved:
    """The attempt is over with nothing bought; the next one keeps its minimum distance in time."""
    idle = replace(
        state,
        phase=Phase.IDLE,
        next_ms=state.placed_ms + MIN_ATTEMPT_SPACING_MS,
        order_id=0,
        cancel_tries=0,
    )
    return next_attempt(idle, now_ms) if now_ms >= idle.next_ms else (idle, ())


def next_attempt(state: EntryState, now_ms: int) -> Moved:
    if state.halt is not None:
        return finish(state, state.halt)
    if state.attempts_left > 0 and not state.used_fallback:
        weighing = replace(state, phase=Phase.WEIGHING)
        return weighing, (Weigh(attempt=state.next_attempt, order_type=OrderType.LIMIT_MAKER),)
    return fall_back(state, now_ms)


def fall_back(state: EntryState, now_ms: int) -> Moved:
    fallback = state.plan.fallback
    late = now_ms > state.first_placed_ms + fallback.deadline_ms
    if not fallback.enabled or state.used_fallback or late:
        return finish(state, ReasonCode.STRAT_ENTRY_TIMEOUT)
    order_type = FALLBACK_TYPES[fallback.kind]
    weighing = replace(state, phase=Phase.WEIGHING, used_fallback=True, order_type=order_type)
    return weighing, (Weigh(attempt=state.next_attempt, order_type=order_type),)


def finish(state: EntryState, *reasons: ReasonCode) -> Moved:
    ended = replace(state, phase=Phase.ENDED)
    return ended, (Finish(executed=state.executed, reasons=reasons),)


def is_taker(state: EntryState) -> bool:
    return state.order_type is not OrderType.LIMIT_MAKER
