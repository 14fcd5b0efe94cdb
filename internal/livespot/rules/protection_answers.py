"""What an answer, or a balance read without one, means for a position's protection."""

from dataclasses import replace
from decimal import Decimal

from livespot.contracts.orders import Balance
from livespot.contracts.vocabulary import IntentRole, MutationOutcome
from livespot.rules.barred import Bar, Barred, barred_anew
from livespot.rules.closed_market import says_closed
from livespot.rules.denied_cancels import cancel_pause_ms
from livespot.rules.protection import (
    CloseCause,
    Flight,
    Guard,
    Scene,
    Settlement,
    committed_qty,
    orders_seen,
    tells_of,
)
from livespot.rules.protection_pace import put_off

_NEVER_MS = 2**62

# The exchange asked for silence: it said nothing about the order itself.
_TOO_MANY_REQUESTS = -1003

_CROSSED_TEXTS = (
    "would trigger immediately",
    "would immediately match",
    "relationship of the prices",
)
_SIZE_FILTERS = ("LOT_SIZE", "MIN_NOTIONAL", "NOTIONAL")


def settled(guard: Guard, scene: Scene, settlement: Settlement, now_ms: int) -> Guard:
    """The guard after an answer, or after the news that there is none yet."""
    if settlement.role is IntentRole.CANCEL:
        if settlement.outcome is MutationOutcome.REFUSED:
            guard = _cancel_denied(guard, settlement.intent_id, now_ms)
        return orders_seen(guard, settlement.orders, settlement.role, settlement.intent_id)
    flight = _flight_of(guard, settlement)
    guard = orders_seen(guard, settlement.orders, settlement.role, settlement.intent_id)
    if flight is None:
        return guard
    match settlement.outcome:
        case MutationOutcome.ACCEPTED:
            return _accepted(_taken(guard), flight, settlement, now_ms)
        case MutationOutcome.UNKNOWN:
            return _unknown(replace(guard, shut=None), flight, settlement)
        case MutationOutcome.OVERTAKEN:
            # No rung was tried: what it was to follow stands, and the news of it came before.
            return _without(guard, flight)
        case MutationOutcome.REFUSED if settlement.code == _TOO_MANY_REQUESTS:
            # No rung is used up by a silence: the same one is tried until it has passed.
            guard = _without(guard, flight)
            return replace(guard, next_try_ms=now_ms + scene.exits.protection_deadline_ms)
        case MutationOutcome.REFUSED if (
            says_closed(settlement.message) and flight.role is not IntentRole.TRAIL
        ):
            # Nor by a closed market, which refuses every rung alike.
            return _shut(_without(guard, flight), scene, flight.role, now_ms)
        case _:
            shut = None if settlement.outcome is MutationOutcome.REFUSED else guard.shut
            wait = now_ms + scene.exits.protection_retry_backoff_ms
            guard = replace(_without(guard, flight), next_try_ms=wait, shut=shut)
            if settlement.outcome is MutationOutcome.REFUSED:
                guard = replace(guard, barred=_barred(guard, settlement))
            return _declined(guard, scene, settlement, now_ms)


def _shut(guard: Guard, scene: Scene, role: IntentRole, now_ms: int) -> Guard:
    """The market is closed; where the rules said otherwise, they cannot tell when it opens."""
    return put_off(replace(guard, shut=scene.trading is True), role, now_ms)


def _taken(guard: Guard) -> Guard:
    """A request was taken: the market is open and the account may trade.

    Of locked base it may have been the free part; only a read tells when the rest is free.
    """
    barred = guard.barred
    locked = barred is not None and barred.by is Bar.BASE
    return replace(guard, shut=None, barred=barred if locked else None)


def _barred(guard: Guard, settlement: Settlement) -> Barred | None:
    """What the refusal says of a bar.

    It says nothing when an order of ours may have what is missing: one in doubt, or the stop that
    a swap was to replace.
    """
    if guard.flights or settlement.role is IntentRole.TRAIL:
        return None
    return barred_anew(guard.barred, settlement.message)


def _cancel_denied(guard: Guard, intent_id: str, now_ms: int) -> Guard:
    """The next cancel of that order waits: reads will show what it came to."""
    entry = () if guard.entry is None else (guard.entry,)
    aimed = {
        tracked.order.order_id
        for tracked in (*guard.sells.values(), *entry)
        if tracked.intent_id == intent_id
    }
    cancels = {
        order_id: (_next_cancel_ms(count, now_ms) if order_id in aimed else due_ms, count)
        for order_id, (due_ms, count) in guard.cancels.items()
    }
    return replace(guard, cancels=cancels)


def _next_cancel_ms(denials: int, now_ms: int) -> int:
    pause_ms = cancel_pause_ms(denials)
    return now_ms + pause_ms if pause_ms is not None else _NEVER_MS


def _flight_of(guard: Guard, settlement: Settlement) -> Flight | None:
    """The request an answer belongs to: by its id, else one of its role without an id.

    What never left this process was the latest request; every other answer is to the oldest.
    """
    same_id = (f for f in guard.flights if f.intent_id == settlement.intent_id)
    named = next(same_id, None) if settlement.intent_id else None
    if named is not None:
        return named
    unnamed = [f for f in guard.flights if not f.intent_id and f.role is settlement.role]
    local = settlement.outcome in (MutationOutcome.NOT_SENT, MutationOutcome.OVERTAKEN) or (
        settlement.outcome is MutationOutcome.REFUSED and settlement.code == 0
    )
    return next(iter(reversed(unnamed) if local else unnamed), None)


def _without(guard: Guard, flight: Flight) -> Guard:
    return replace(guard, flights=tuple(f for f in guard.flights if f is not flight))


def _swap(guard: Guard, old: Flight, new: Flight) -> Guard:
    return replace(guard, flights=tuple(new if f is old else f for f in guard.flights))


def _accepted(guard: Guard, flight: Flight, settlement: Settlement, now_ms: int) -> Guard:
    if flight.role is IntentRole.CLOSE:
        guard = replace(guard, close_tries=guard.close_tries + 1, next_try_ms=now_ms)
    mine = [t for t in guard.sells.values() if t.intent_id == settlement.intent_id]
    if any(tells_of(guard, tracked) for tracked in mine):
        return _without(guard, flight)
    # Accepted without saying what became of it: it counts as standing until an order shows.
    return _swap(guard, flight, replace(flight, intent_id=settlement.intent_id, negatives=0))


def _unknown(guard: Guard, flight: Flight, settlement: Settlement) -> Guard:
    again = bool(flight.intent_id) and flight.unknown
    known = replace(
        flight,
        unknown=True,
        intent_id=settlement.intent_id,
        negatives=flight.negatives + (1 if again else 0),
    )
    return _swap(guard, flight, known)


def _declined(guard: Guard, scene: Scene, settlement: Settlement, now_ms: int) -> Guard:
    """REFUSED, NOT_SENT or NOT_FOUND: the next rung, or the sale that the market forces."""
    refused = settlement.outcome is MutationOutcome.REFUSED
    if refused and guard.flights and "insufficient balance" in settlement.message:
        # The base is locked: the request still in doubt very likely stands. Ask again, later.
        return replace(guard, flights=tuple(replace(f, negatives=0) for f in guard.flights))
    if settlement.role is IntentRole.CLOSE:
        return _close_declined(guard, scene, settlement)
    if refused and any(text in settlement.message for text in _CROSSED_TEXTS):
        return _sell(guard, _crossed_cause(scene), now_ms)
    if settlement.role is IntentRole.TRAIL:
        # Whatever still stands protects; what the swap took away is put back at once.
        return replace(guard, swap_failed=refused, next_try_ms=now_ms)
    if settlement.role is IntentRole.STOP:
        if not refused:
            return guard
        return replace(guard, stop_refused=True, repair_failed=True)
    return replace(guard, refusals=guard.refusals + 1)


def _close_declined(guard: Guard, scene: Scene, settlement: Settlement) -> Guard:
    at_market = guard.close_tries > 0
    guard = replace(guard, close_tries=guard.close_tries + 1)
    if settlement.outcome is not MutationOutcome.REFUSED:
        return guard
    if at_market and _too_small(scene, settlement.message):
        return replace(guard, unsellable=True)
    return replace(guard, close_refusals=guard.close_refusals + 1)


def _too_small(scene: Scene, message: str) -> bool:
    """A size filter refused something near the minimum; a large refusal means stale filters."""
    if "Filter failure" not in message or not any(name in message for name in _SIZE_FILTERS):
        return False
    limits = scene.constraints
    return limits is None or scene.qty * scene.reference_price < 2 * limits.min_notional


def _crossed_cause(scene: Scene) -> CloseCause:
    """Which side of the band the market has left, judged by the bid against what was paid."""
    if scene.bid is None or scene.bid <= scene.average_price:
        return CloseCause.SL_CROSSED
    return CloseCause.TP_CROSSED


def _sell(guard: Guard, cause: CloseCause, now_ms: int) -> Guard:
    if guard.close is not None:
        return guard
    return replace(guard, close=cause, cause=cause, close_since_ms=now_ms, next_try_ms=now_ms)


def ordered_to_sell(guard: Guard, now_ms: int) -> Guard:
    """What is known of the position contradicts itself: it is sold, not protected anew."""
    return _sell(guard, CloseCause.INCONSISTENT, now_ms)


def account_seen(guard: Guard, base: Balance, *, held: Decimal, at_wall_ms: int) -> Guard:
    """A balance read; it denies a request when the base it would lock or sell is still free.

    Base that has left since the request was made may be its own sale, so such a read denies
    nothing.
    """
    total = base.free + base.locked
    standing = committed_qty(guard)
    flights = tuple(
        replace(f, negatives=f.negatives + 1)
        if at_wall_ms > f.since_wall_ms
        and base.locked < _locked_by(f, standing)
        and _nothing_left(f, total, held)
        else f
        for f in guard.flights
    )
    return guard if flights == guard.flights else replace(guard, flights=flights)


def _locked_by(flight: Flight, standing: Decimal) -> Decimal:
    """The base that is locked once the request is done; a swap takes the place of what stood."""
    return flight.qty if flight.role is IntentRole.TRAIL else standing + flight.qty


def _nothing_left(flight: Flight, total: Decimal, held: Decimal) -> bool:
    if flight.surplus is not None:
        return total >= held + flight.surplus
    return flight.role is not IntentRole.CLOSE and total >= held
