"""One entry as a state machine: an event and the time in, the next state and commands out.

The next attempt is placed only after the engine's own answer to the cancel (or the order's own
state) has shown the previous attempt to be over with nothing executed. Anything less certain waits.
"""

from dataclasses import replace
from decimal import Decimal

from livespot.contracts.amounts import BPS
from livespot.contracts.codes import ReasonCode
from livespot.contracts.decision import EntryPlan
from livespot.contracts.orders import OrderView
from livespot.contracts.settings import EntrySettings
from livespot.contracts.vocabulary import OrderStatus, OrderType
from livespot.rules.denied_cancels import closed_pause_ms, read_pause_ms
from livespot.rules.entry_moves import (
    CANCEL_RETRY_MS,
    FIRST_TYPES,
    MAX_CANCEL_TRIES,
    MIN_ATTEMPT_SPACING_MS,
    QUERY_INTERVAL_MS,
    RECANCEL_MS,
    between,
    cancel,
    finish,
    is_taker,
    next_attempt,
    place,
    query,
)
from livespot.rules.entry_state import (
    Cancel,
    CancelFailed,
    CancelFoundNothing,
    CancelRestricted,
    CancelStuck,
    Command,
    EntryState,
    Event,
    Finish,
    Halted,
    Moved,
    OrderSeen,
    Phase,
    Place,
    PlaceNotFound,
    PlaceRefused,
    PlaceUnknown,
    QueryOrder,
    Replace,
    Replaced,
    Ticked,
    Weigh,
    Weighed,
    WeighedAway,
)

_CONTRADICTED = ReasonCode.RECONCILE_DIFF_DETECTED

__all__ = [
    "CANCEL_RETRY_MS",
    "MAX_CANCEL_TRIES",
    "Cancel",
    "CancelFailed",
    "CancelFoundNothing",
    "CancelRestricted",
    "CancelStuck",
    "Command",
    "EntryState",
    "Event",
    "Finish",
    "Halted",
    "Moved",
    "OrderSeen",
    "Phase",
    "Place",
    "PlaceNotFound",
    "PlaceRefused",
    "PlaceUnknown",
    "QueryOrder",
    "Replace",
    "Replaced",
    "Ticked",
    "Weigh",
    "Weighed",
    "WeighedAway",
    "advance",
    "begin",
    "beside",
]


def begin(
    plan: EntryPlan,
    qty: Decimal,
    *,
    approved_ms: int,
    now_ms: int,
    max_age_ms: int,
    replaces: bool = False,
) -> Moved:
    """Place the first attempt, or finish at once when the verdict is already too old."""
    state = EntryState(
        plan=plan,
        qty=qty,
        approved_ms=approved_ms,
        order_type=FIRST_TYPES[plan.kind],
        replaces=replaces,
    )
    if now_ms - approved_ms > max_age_ms:
        return finish(state, ReasonCode.STRAT_ENTRY_TIMEOUT)
    return place(replace(state, first_placed_ms=now_ms), now_ms)


def beside(state: EntryState, order: OrderView, attempt: int) -> EntryState:
    """The entry with an earlier attempt's order that an unanswered request may have ended."""
    old = Replaced(
        attempt=attempt,
        order_id=order.order_id,
        qty=order.orig_qty,
        placed_ms=state.placed_ms,
        over=order.status.is_terminal,
        executed=order.executed_qty,
    )
    return replace(state, old=old)


def advance(state: EntryState, event: Event, *, now_ms: int, settings: EntrySettings) -> Moved:
    """The next state and the commands to carry out. Events that no longer matter change nothing."""
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
            return cancel(state, now_ms)
        case Phase.QUERYING if state.recancel_ms and now_ms >= state.recancel_ms:
            return cancel(state, now_ms)
        case Phase.QUERYING if now_ms >= state.next_ms:
            reads = state.reads + 1
            again = replace(state, next_ms=now_ms + read_pause_ms(reads), reads=reads)
            return again, (QueryOrder(order_id=state.order_id),)
        case Phase.IDLE if now_ms >= state.next_ms:
            return next_attempt(state, now_ms)
        case Phase.UNRESOLVED | Phase.LINGERING if state.old is not None and not state.old.over:
            return _ask_about_replaced(state, state.old, now_ms)
        case _:
            return state, ()


def _tick_working(state: EntryState, now_ms: int, settings: EntrySettings) -> Moved:
    if state.protectable_ms and now_ms >= state.protectable_ms + settings.partial_fill_grace_ms:
        return cancel(state, now_ms)
    # The grace period of a protectable part is not cut short by the ttl.
    if not state.protectable_ms and now_ms >= state.placed_ms + state.plan.ttl_ms:
        return _appraise(state) if _may_replace(state, now_ms) else cancel(state, now_ms)
    return state, ()


def _seen(state: EntryState, event: OrderSeen, now_ms: int, settings: EntrySettings) -> Moved:
    order, old = event.order, state.old
    if old is not None and event.attempt == old.attempt:
        return _seen_replaced(state, old, event, now_ms)
    if event.attempt != state.attempt or (state.order_id and order.order_id != state.order_id):
        # An attempt believed over with nothing bought has executed after all: buy no more.
        contradicted = order.executed_qty > 0
        return _halt(state, _CONTRADICTED, now_ms) if contradicted else (state, ())
    if state.phase in (Phase.IDLE, Phase.WEIGHING):
        return _late_fill(state, order)
    executed = max(state.executed, order.executed_qty)
    since_ms = max(state.placed_ms, now_ms - max(0, event.age_ms))
    protectable_ms = state.protectable_ms or (since_ms if event.protectable else 0)
    state = replace(
        state,
        order_id=order.order_id,
        executed=executed,
        partial=state.partial or executed > 0,
        protectable_ms=protectable_ms if executed > 0 else 0,
    )
    if order.status.is_terminal:
        return _over(state, event, now_ms)
    if state.phase in (Phase.PLACING, Phase.UNRESOLVED, Phase.REPLACING):
        # It is on the book, which proves that the order it replaces is not.
        state = replace(state, phase=Phase.WORKING, next_ms=0, old=None)
        return cancel(state, now_ms) if state.halt else (state, ())
    if state.phase is Phase.APPRAISING and executed > 0:
        return _tick_working(replace(state, phase=Phase.WORKING), now_ms, settings)
    if state.phase is Phase.QUERYING and executed > 0 and not state.recancel_ms:
        # This explains the refused ONLY_NEW cancel: treat it as a partial fill.
        working = replace(state, phase=Phase.WORKING, next_ms=0)
        if working.halt:
            return cancel(working, now_ms)
        return _tick_working(working, now_ms, settings)
    return state, ()


def _late_fill(state: EntryState, order: OrderView) -> Moved:
    if order.executed_qty <= 0:
        return state, ()
    filled = replace(state, executed=order.executed_qty, order_id=order.order_id, partial=True)
    return finish(filled, _CONTRADICTED)


def _over(state: EntryState, event: OrderSeen, now_ms: int) -> Moved:
    """The attempt's order is terminal: the entry has bought whatever that order bought."""
    status = event.order.status
    if status is OrderStatus.FILLED:
        return finish(state, ReasonCode.STRAT_OK)
    if state.executed > 0 or state.halt is not None or is_taker(state):
        return finish(state, state.halt or ReasonCode.STRAT_ENTRY_TIMEOUT)
    if state.phase is not Phase.CANCELLING or status is not OrderStatus.CANCELED:
        # The exchange ended it, or our cancel was never answered: no automatic re-entry.
        by_us = state.phase in (Phase.QUERYING, Phase.UNRESOLVED)
        asked = by_us and status is OrderStatus.CANCELED
        return finish(
            state, ReasonCode.STRAT_ENTRY_TIMEOUT if asked else ReasonCode.ORDER_EXPIRED_BY_EXCHANGE
        )
    if event.answers_cancel:
        return between(state, now_ms)
    if state.next_ms:
        # The answer is already lost; the order's state alone does not allow another attempt.
        return finish(state, ReasonCode.STRAT_ENTRY_TIMEOUT)
    return replace(state, over_unanswered=True), ()


def _halt(state: EntryState, reason: ReasonCode, now_ms: int) -> Moved:
    if state.halt is not None:
        return state, ()
    state = replace(state, halt=reason)
    match state.phase:
        case Phase.IDLE | Phase.WEIGHING:
            return finish(state, reason)
        case Phase.WORKING | Phase.APPRAISING if not is_taker(state):
            return cancel(state, now_ms)
        case _:
            return state, ()


def _place_answered(
    state: EntryState, event: PlaceRefused | PlaceUnknown | PlaceNotFound, now_ms: int
) -> Moved:
    if state.phase is Phase.REPLACING:
        return _replace_answered(state, event, now_ms)
    if state.phase not in (Phase.PLACING, Phase.UNRESOLVED):
        return state, ()
    if state.old is not None and not isinstance(event, PlaceUnknown):
        return _linger(state, state.old)
    match event:
        case PlaceUnknown():
            return replace(state, phase=Phase.UNRESOLVED), ()
        case PlaceNotFound():
            # A further attempt needs a fresh decision.
            return finish(state, ReasonCode.INTENT_NOT_FOUND_BY_REST)
        case PlaceRefused(crossed=True) if state.halt is None:
            return between(state, now_ms)
        case PlaceRefused():
            return finish(state, state.halt or event.reason)


def _cancel_answered(
    state: EntryState,
    event: CancelRestricted | CancelFoundNothing | CancelFailed,
    now_ms: int,
) -> Moved:
    if state.phase is Phase.REPLACING and state.old is not None:
        return _replacement_held_off(state, state.old, event, now_ms)
    if state.phase is not Phase.CANCELLING:
        return state, ()
    if state.over_unanswered:
        return finish(state, ReasonCode.STRAT_ENTRY_TIMEOUT)
    match event:
        case CancelRestricted():
            return query(replace(state, partial=True, cancel_tries=0), now_ms, recancel_ms=0)
        case CancelFoundNothing():
            return query(state, now_ms, recancel_ms=now_ms + RECANCEL_MS)
        case CancelFailed(silent_ms=silent_ms) if silent_ms:
            return replace(state, next_ms=now_ms + silent_ms), ()
        case CancelFailed(closed=closed) if state.cancel_tries < MAX_CANCEL_TRIES:
            pause_ms = closed_pause_ms(state.cancel_tries) if closed else CANCEL_RETRY_MS
            return replace(state, next_ms=now_ms + pause_ms), ()
        case CancelFailed():
            stuck, commands = query(state, now_ms, recancel_ms=now_ms + RECANCEL_MS)
            first = state.cancel_tries == MAX_CANCEL_TRIES
            return stuck, (CancelStuck(), *commands) if first else commands


def _weighed(state: EntryState, event: Weighed | WeighedAway, now_ms: int) -> Moved:
    if state.phase not in (Phase.WEIGHING, Phase.APPRAISING):
        return state, ()
    ceiling = state.plan.limit_price * (BPS + state.plan.fallback.max_slippage_bps) / BPS
    against = None
    if isinstance(event, WeighedAway):
        against = event.reason
    elif event.qty <= 0 or event.plan.limit_price > ceiling:
        against = ReasonCode.STRAT_ENTRY_ABORTED_COST
    if state.phase is Phase.APPRAISING:
        if isinstance(event, WeighedAway) or against is not None:
            return cancel(replace(state, halt=against), now_ms)
        return _replace(state, event, now_ms)
    if isinstance(event, WeighedAway) or against is not None:
        return finish(state, against or ReasonCode.STRAT_ENTRY_ABORTED_COST)
    # Ttl, attempts and price limit stay those of the first plan; quantity never grows.
    size = min(state.qty, event.qty)
    state = replace(state, attempt=state.next_attempt, qty=size, phase=Phase.IDLE)
    return place(state, now_ms, plan=event.plan)


# ---- a reprice that cancels and places in one request


def _may_replace(state: EntryState, now_ms: int) -> bool:
    """Whether a reprice may use a cancel-replace instead of cancelling first."""
    patient = state.attempts_left > 0 and not state.used_fallback and not is_taker(state)
    known = state.order_id > 0 and not state.partial and state.halt is None
    spaced = now_ms >= state.placed_ms + MIN_ATTEMPT_SPACING_MS
    return state.replaces and patient and known and spaced


def _appraise(state: EntryState) -> Moved:
    weigh = Weigh(attempt=state.next_attempt, order_type=OrderType.LIMIT_MAKER)
    return replace(state, phase=Phase.APPRAISING), (weigh,)


def _replace(state: EntryState, event: Weighed, now_ms: int) -> Moved:
    old = Replaced(
        attempt=state.attempt,
        order_id=state.order_id,
        qty=state.qty,
        placed_ms=state.placed_ms,
    )
    size = min(state.qty, event.qty)
    moved, _ = place(replace(state, attempt=state.next_attempt, qty=size), now_ms)
    command = Replace(
        replaced=old.attempt,
        order_id=old.order_id,
        plan=event.plan,
        qty=size,
        attempt=moved.attempt,
        order_type=moved.order_type,
    )
    return replace(moved, phase=Phase.REPLACING, old=old), (command,)


def _seen_replaced(state: EntryState, old: Replaced, event: OrderSeen, now_ms: int) -> Moved:
    """News of the attempt that a cancel-replace was to take off the book."""
    order = event.order
    known = replace(
        old,
        over=old.over or order.status.is_terminal,
        executed=max(old.executed, order.executed_qty),
    )
    state = replace(state, old=known)
    if state.phase is Phase.LINGERING and known.over:
        return _linger(state, known)
    if state.phase in (Phase.UNRESOLVED, Phase.LINGERING) and not known.over:
        return _cancel_replaced(state, known, now_ms)
    return state, ()


def _replace_answered(
    state: EntryState, event: PlaceRefused | PlaceUnknown | PlaceNotFound, now_ms: int
) -> Moved:
    """The answer to the placing half; that to the cancelling half has been taken in before."""
    old = state.old
    if old is None or isinstance(event, PlaceUnknown):
        # Either of the two may be on the book: no further attempt, and both are watched.
        halt = state.halt or ReasonCode.STRAT_ENTRY_TIMEOUT
        return replace(state, phase=Phase.UNRESOLVED, halt=halt), ()
    if not old.over:
        # Neither half was done: the old order is still working and overdue; cancel it plainly.
        reverted = _reverted(state, old)
        if isinstance(event, PlaceRefused) and event.by_filter:
            # The filters have changed since the plan was made, so it is not sent again.
            reverted = replace(reverted, halt=state.halt or event.reason)
        return cancel(reverted, now_ms)
    if old.executed > 0:
        return _linger(state, old)
    if isinstance(event, PlaceRefused) and event.crossed and state.halt is None:
        return between(replace(state, old=None), now_ms)
    reason = event.reason if isinstance(event, PlaceRefused) else ReasonCode.STRAT_ENTRY_TIMEOUT
    return finish(replace(state, old=None), state.halt or reason)


def _replacement_held_off(
    state: EntryState,
    old: Replaced,
    event: CancelRestricted | CancelFoundNothing | CancelFailed,
    now_ms: int,
) -> Moved:
    """The cancelling half was not done, so nothing was placed."""
    if isinstance(event, CancelFailed):
        return state, ()
    reverted = _reverted(state, old)
    if isinstance(event, CancelRestricted):
        return query(replace(reverted, partial=True), now_ms, recancel_ms=0)
    return query(reverted, now_ms, recancel_ms=now_ms + RECANCEL_MS)


def _reverted(state: EntryState, old: Replaced) -> EntryState:
    """Back to the attempt that is still on the book; from now on only plain cancels are used."""
    return replace(
        state,
        attempt=old.attempt,
        order_id=old.order_id,
        qty=old.qty,
        placed_ms=old.placed_ms,
        executed=old.executed,
        partial=old.executed > 0,
        replaces=False,
        old=None,
        burnt=state.attempt,
    )


def _ask_about_replaced(state: EntryState, old: Replaced, now_ms: int) -> Moved:
    if now_ms < old.asked_ms + QUERY_INTERVAL_MS:
        return state, ()
    asked = replace(state, old=replace(old, asked_ms=now_ms))
    return asked, (QueryOrder(order_id=old.order_id),)


def _cancel_replaced(state: EntryState, old: Replaced, now_ms: int) -> Moved:
    """Repeat the cancel of the replaced order by its exchange id, which can hit no other order."""
    if now_ms < state.next_ms:
        return state, ()
    tries = state.cancel_tries + 1
    again = Cancel(order_id=old.order_id, only_new=False, tries=tries, attempt=old.attempt)
    waiting = replace(state, cancel_tries=tries, next_ms=now_ms + CANCEL_RETRY_MS)
    stuck = (CancelStuck(),) if tries == MAX_CANCEL_TRIES else ()
    return waiting, (again, *stuck)


def _linger(state: EntryState, old: Replaced) -> Moved:
    """The new attempt is not on the book; the entry ends with the one before it."""
    if not old.over:
        return replace(state, phase=Phase.LINGERING), ()
    ended = replace(state, executed=old.executed, attempt=old.attempt, order_id=old.order_id)
    return finish(ended, state.halt or ReasonCode.STRAT_ENTRY_TIMEOUT)
