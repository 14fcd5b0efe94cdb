"""What to do about a position's protection now: wait, install, repair, sell, and say so.

The ladder: an OCO, its retries, a single stop, a sale at the bid, a sale at market. Every rung asks
for base that no earlier rung can still hold.
"""

from dataclasses import replace

from livespot.contracts.amounts import ZERO
from livespot.contracts.codes import ReasonCode
from livespot.contracts.vocabulary import IntentRole, Severity, SignalLevel
from livespot.rules.protection import (
    Cancel,
    Close,
    CloseCause,
    Command,
    Guard,
    Look,
    Notify,
    Protect,
    Scene,
    Signal,
    Sizes,
    Swap,
    Tracked,
    lonely_sells,
    measure,
    naked,
    on_grid,
    standing_stops,
    tradable,
)
from livespot.rules.protection_failed import (
    bides,
    exhausted,
    give_up,
    heard_of_the_bar,
    stop_again,
)
from livespot.rules.protection_pace import (
    CANCEL_AGAIN_MS,
    grace_is_over,
    heard_of_the_market,
    launched,
    manual,
    may_ask,
    rung_of,
)
from livespot.rules.protection_prices import (
    above,
    bid_limit,
    close_qty,
    crossed,
    jumped,
    never_lowered,
    raised_stop,
    stop_limit_price,
    swap_due,
)

# An unanswered request counts as gone this long after it was made: engine wait plus read lag.
FENCE_MS = 80_000
FENCE_NEGATIVES = 3
_LOOK_EVERY_MS = 1000
_MAX_CANCELS = 5
_JUMPED_MS = 2000

_ABANDONABLE = frozenset({CloseCause.UNPROTECTED, CloseCause.INSTALL_FAILED})

Step = tuple[Guard, tuple[Command, ...]]


def advance(guard: Guard, scene: Scene, now_ms: int) -> Step:
    """One pass of the rule: clocks, then what must be said, then what must be done."""
    guard = _prune(guard, scene, now_ms)
    scene = never_lowered(guard, scene)
    sizes = measure(guard, scene)
    guard = heard_of_the_bar(guard, scene, sizes, now_ms)
    guard = _clocks(guard, scene, sizes, now_ms)
    guard, said = _sound(guard, scene, sizes, now_ms)
    guard, done = _act(guard, scene, sizes, now_ms)
    return guard, (*said, *done)


def _prune(guard: Guard, scene: Scene, now_ms: int) -> Guard:
    """Doubt old requests, and drop those that reads have denied beyond the fence."""
    flights = []
    for flight in guard.flights:
        age = now_ms - flight.since_ms
        if age >= FENCE_MS and flight.negatives >= FENCE_NEGATIVES:
            continue
        slow = age >= scene.exits.protection_deadline_ms
        flights.append(replace(flight, unknown=True) if slow else flight)
    kept = tuple(flights)
    return guard if kept == guard.flights else replace(guard, flights=kept)


def _clocks(guard: Guard, scene: Scene, sizes: Sizes, now_ms: int) -> Guard:
    lonely = lonely_sells(guard)
    left_behind = any(jumped(t, scene) for t in guard.sells.values())
    leftover = sizes.held == 0 and any(t.live for t in guard.sells.values())
    guard = replace(
        guard,
        lonely_since_ms=_since(guard.lonely_since_ms, bool(lonely), now_ms),
        jumped_since_ms=_since(guard.jumped_since_ms, left_behind, now_ms),
        leftover_since_ms=_since(guard.leftover_since_ms, leftover, now_ms),
        was_covered=guard.was_covered or sizes.covered > 0,
        trailing=_trails(guard, scene),
    )
    guard = _naked_clock(guard, scene, sizes, now_ms)
    if guard.close in _ABANDONABLE and guard.naked_since_ms is None and sizes.covered > 0:
        # The protection in doubt turned out to stand; selling it away would be the greater risk.
        guard = replace(guard, close=None, close_since_ms=None)
    if guard.jumped_since_ms is not None and now_ms - guard.jumped_since_ms >= _JUMPED_MS:
        guard = _closing(guard, CloseCause.STOP_JUMPED, now_ms)
    if grace_is_over(guard, lonely, scene, now_ms):
        guard = _closing(guard, CloseCause.TP_REMAINDER, now_ms)
    return guard


def _trails(guard: Guard, scene: Scene) -> bool:
    """Whether the price has been where trailing begins, as far as the best bids have told."""
    if any(t.is_raised_stop for t in guard.sells.values()):
        return True
    waiting = [t for t in guard.sells.values() if t.trails]
    if not waiting:
        return False
    trigger = min(t.order.stop_price for t in waiting)
    return guard.trailing or (scene.bid is not None and scene.bid >= trigger)


def _naked_for(guard: Guard, now_ms: int) -> int:
    return 0 if guard.naked_since_ms is None else now_ms - guard.naked_since_ms


def _naked_clock(guard: Guard, scene: Scene, sizes: Sizes, now_ms: int) -> Guard:
    if naked(sizes, scene):
        if guard.naked_since_ms is not None:
            return guard
        return replace(guard, naked_since_ms=now_ms, naked_since_wall_ms=scene.wall_ms)
    if guard.naked_since_ms is None:
        return guard
    spent = now_ms - guard.naked_since_ms
    guard = replace(
        guard,
        naked_since_ms=None,
        naked_since_wall_ms=0,
        naked_total_ms=guard.naked_total_ms + spent,
        repair_failed=False,
        barred=None,
    )
    if sizes.covered > 0 and guard.close is None:
        guard = replace(guard, refusals=0, stop_refused=False, rounds=0)
    return guard


def _sound(guard: Guard, scene: Scene, sizes: Sizes, now_ms: int) -> Step:
    """Tell the governor when the level changes; at the pause limit start selling."""
    exits = scene.exits
    age = _naked_for(guard, now_ms)
    failing = guard.naked_since_ms is not None and guard.repair_failed
    level = SignalLevel.CLEAR
    if failing or age >= exits.protection_pause_ms:
        level = SignalLevel.PAUSE
    elif age >= exits.protection_deadline_ms:
        level = SignalLevel.DEGRADE
    if guard.naked_since_ms is not None and guard.level is SignalLevel.PAUSE:
        level = SignalLevel.PAUSE
    said: list[Command] = []
    exposed = tradable(max(ZERO, sizes.sellable - sizes.covered), scene)
    if level is not guard.level:
        said.append(_signal(level, age, scene))
        if level is SignalLevel.PAUSE:
            said.append(_cry(sizes, age, selling=exposed))
        guard = replace(guard, level=level)
    if level is SignalLevel.PAUSE and exposed and now_ms >= guard.hold_until_ms:
        guard = _closing(guard, CloseCause.UNPROTECTED, now_ms)
    return guard, tuple(said)


def _signal(level: SignalLevel, age: int, scene: Scene) -> Signal:
    exits = scene.exits
    if level is SignalLevel.PAUSE:
        return Signal(
            level=level,
            reason=ReasonCode.PAUSE_NEEDS_MANUAL_PROTECTION,
            value_ms=age,
            threshold_ms=exits.protection_pause_ms,
            detail="position without a live stop",
        )
    return Signal(
        level=level,
        reason=ReasonCode.PROTECTION_INSTALL_FAILED,
        value_ms=age,
        threshold_ms=exits.protection_deadline_ms,
        detail="position unprotected" if level is SignalLevel.DEGRADE else "covered or closed",
    )


def _cry(sizes: Sizes, age: int, *, selling: bool) -> Notify:
    doing = "selling is under way"
    if sizes.away:
        doing = f"of that {sizes.away:f} is locked"
    elif not selling:
        doing = f"the account has only {sizes.sellable:f} of it, too little to sell"
    return Notify(
        severity=Severity.CRIT,
        code=ReasonCode.PAUSE_NEEDS_MANUAL_PROTECTION,
        text=f"{sizes.held:f} held without a live stop for {age} ms; {doing}",
    )


def _act(guard: Guard, scene: Scene, sizes: Sizes, now_ms: int) -> Step:
    if guard.over:
        return guard, ()
    if scene.entry_open:
        return _while_entering(guard, scene, now_ms)
    if _finished(guard, scene, sizes):
        return _finish(guard, scene, sizes)
    if not tradable(sizes.held, scene):
        return _after_exit(guard, scene, sizes, now_ms)
    if scene.constraints is None or any(not f.unknown for f in guard.flights):
        return _await_answer(guard, scene, now_ms)
    return _pursue(guard, scene, sizes, now_ms)


def _pursue(guard: Guard, scene: Scene, sizes: Sizes, now_ms: int) -> Step:
    """Nothing is on its way: sell, repair, install or raise, whatever comes first."""
    guard = heard_of_the_market(guard, scene, now_ms)
    if _turned_away(guard, scene):
        # Its time to sell begins when there is a market to sell in.
        return replace(guard, close_since_ms=now_ms if guard.close is not None else None), ()
    if guard.close is not None:
        return _close(guard, scene, sizes, now_ms)
    if _rearm_due(guard, scene, now_ms):
        return _cancel_all(guard, lonely_sells(guard), now_ms, "REARM")
    if tradable(sizes.uncovered, scene):
        return _install(guard, scene, sizes, now_ms)
    if swap_due(guard, scene, sizes, now_ms):
        return _swap(guard, scene, sizes, now_ms)
    return _look(guard, now_ms, "fills awaited") if scene.fills_missing else (guard, ())


def _turned_away(guard: Guard, scene: Scene) -> bool:
    """The exchange has refused, and says that the symbol is not traded: asking again is no use."""
    shut = guard.shut is not None
    refused = shut or guard.refusals > 0 or guard.stop_refused or guard.close_refusals > 0
    return refused and scene.trading is False


def _while_entering(guard: Guard, scene: Scene, now_ms: int) -> Step:
    """A working entry may hold the base it has bought; past the limit it must go."""
    late = (
        guard.naked_since_ms is not None
        and now_ms - guard.naked_since_ms >= scene.exits.protection_pause_ms
    )
    if late and guard.entry is not None and guard.entry.live:
        return _cancel_all(guard, (guard.entry,), now_ms, "ENTRY")
    return guard, ()


def _finished(guard: Guard, scene: Scene, sizes: Sizes) -> bool:
    """Nothing sellable is left, nothing of ours stands and no answer or fill is outstanding."""
    standing = any(t.live for t in guard.sells.values())
    if guard.unsellable:
        return not standing
    return (
        not guard.flights
        and not standing
        and not scene.fills_missing
        and on_grid(scene.qty, scene.constraints) == sizes.held
        and not tradable(sizes.held, scene)
    )


def _finish(guard: Guard, scene: Scene, sizes: Sizes) -> Step:
    guard = replace(guard, over=True, close=None, naked_since_ms=None, naked_since_wall_ms=0)
    said: list[Command] = []
    stuck = sizes.held > 0 and not guard.was_covered and guard.close_tries == 0
    if sizes.held > 0:
        code = ReasonCode.PROTECTION_INVALID_MIN_NOTIONAL if stuck else ReasonCode.CLOSE_SAFELY_DUST
        text = f"{sizes.held:f} is too small to sell and is kept as dust"
        said.append(Notify(severity=Severity.WARN, code=code, text=text))
    if stuck and guard.level is SignalLevel.CLEAR:
        said.append(_signal(SignalLevel.DEGRADE, 0, scene))
    if stuck or guard.level is not SignalLevel.CLEAR:
        said.append(_signal(SignalLevel.CLEAR, 0, scene))
    return replace(guard, level=SignalLevel.CLEAR), tuple(said)


def _after_exit(guard: Guard, scene: Scene, sizes: Sizes, now_ms: int) -> Step:
    """The position is sold or too small; a sale that still stands must not outlive it."""
    unbooked = on_grid(scene.qty, scene.constraints) != sizes.held
    standing = tuple(t for t in guard.sells.values() if t.live)
    # The end of a list's other leg is usually a moment behind the fill that caused it.
    since = guard.leftover_since_ms
    overdue = since is not None and now_ms - since >= scene.exits.protection_deadline_ms
    if standing and not unbooked and (overdue or (guard.close is not None and sizes.held > 0)):
        return _cancel_all(guard, standing, now_ms, "LEFTOVER")
    if guard.flights or unbooked or scene.fills_missing:
        return _look(guard, now_ms, "fills awaited")
    if since is not None and now_ms - since >= scene.exits.protection_deadline_ms // 2:
        return _look(guard, now_ms, "end of orders awaited")
    return guard, ()


def _await_answer(guard: Guard, scene: Scene, now_ms: int) -> Step:
    """An answer that takes long is looked for elsewhere before its deadline."""
    half = scene.exits.protection_deadline_ms // 2
    if any(now_ms - f.since_ms >= half for f in guard.flights):
        return _look(guard, now_ms, "answer awaited")
    return guard, ()


def _rearm_due(guard: Guard, scene: Scene, now_ms: int) -> bool:
    """A sale without its stop locks the base: it goes, so that a whole protection can stand."""
    if guard.lonely_since_ms is None:
        return False
    lonely = lonely_sells(guard)
    if any(t.order.executed_qty > 0 or t.fired for t in lonely):
        return False
    groups = {t.group for t in lonely}
    ended = any(t.is_stop and t.group in groups for t in guard.sells.values())
    wait = scene.exits.protection_retry_backoff_ms if ended else scene.exits.protection_deadline_ms
    return now_ms - guard.lonely_since_ms >= wait


def _install(guard: Guard, scene: Scene, sizes: Sizes, now_ms: int) -> Step:
    if guard.flights and not _may_follow(guard, scene, sizes):
        return _look(guard, now_ms, "protection unknown")
    if scene.fills_missing and _naked_for(guard, now_ms) < scene.exits.protection_deadline_ms // 2:
        return _look(guard, now_ms, "fills awaited")
    holding = now_ms < guard.hold_until_ms or manual(guard)
    outside = crossed(scene)
    if outside is not None and not holding:
        return _close(_closing(guard, outside, now_ms), scene, sizes, now_ms)
    if outside is not None or now_ms < guard.next_try_ms:
        return guard, ()
    # A stop that was raised beyond the target cannot share a list with it.
    listed = guard.refusals <= scene.exits.protection_retries and scene.sl_price < scene.tp_price
    rung = IntentRole.LIST if listed else IntentRole.STOP
    if guard.stop_refused and manual(guard) and now_ms >= guard.hold_until_ms:
        guard = stop_again(guard, scene, sizes, now_ms)
    if guard.stop_refused:
        if holding:
            return guard, ()
        return _close(_closing(guard, CloseCause.INSTALL_FAILED, now_ms), scene, sizes, now_ms)
    return _protect(guard, scene, sizes, (rung, now_ms))


def _protect(guard: Guard, scene: Scene, sizes: Sizes, rung: tuple[IntentRole, int]) -> Step:
    role, now_ms = rung
    limits = scene.constraints
    if limits is None or not may_ask(guard, (role, False), now_ms):
        return guard, ()
    stop_limit = None if scene.stop_market else stop_limit_price(scene)
    qty = min(sizes.uncovered, on_grid(limits.max_qty, limits))
    lowest = min(p for p in (scene.reference_price, stop_limit) if p is not None)
    if qty * lowest < limits.min_notional:
        return _close(_closing(guard, CloseCause.UNPROTECTABLE, now_ms), scene, sizes, now_ms)
    upper = above(scene, limits)
    command = Protect(
        role=role,
        qty=qty,
        tp_price=scene.tp_price,
        sl_price=scene.sl_price,
        stop_limit_price=stop_limit,
        tp_type=upper.type,
        tp_limit_price=upper.limit_price,
        trailing_delta=upper.trailing_delta,
    )
    return launched(guard, scene, command, now_ms), (command,)


def _swap(guard: Guard, scene: Scene, sizes: Sizes, now_ms: int) -> Step:
    """One request takes the standing stop, with its list, for a single higher one."""
    (stop,) = standing_stops(guard)
    price = raised_stop(scene, stop.order.stop_price)
    if price is None:
        return guard, ()
    qty = min(sizes.covered, sizes.sellable)
    command = Swap(
        intent_id=stop.intent_id,
        order_id=stop.order.order_id,
        qty=qty,
        sl_price=price,
        stop_limit_price=None if scene.stop_market else stop_limit_price(scene, price),
    )
    guard = launched(guard, scene, command, now_ms)
    return replace(guard, next_swap_ms=now_ms + scene.swap_every_ms), (command,)


def _close(guard: Guard, scene: Scene, sizes: Sizes, now_ms: int) -> Step:
    """CLOSE_SAFELY: free the base, sell at the bid, then at market, inside the deadline."""
    if guard.close is None:
        return guard, ()
    since = now_ms if guard.close_since_ms is None else guard.close_since_ms
    if now_ms - since >= scene.exits.recovery_deadline_ms or exhausted(guard, scene):
        return give_up(guard, scene, sizes, now_ms)
    standing = tuple(t for t in guard.sells.values() if t.live)
    if any(_just_sent(t, scene) for t in standing):
        return _look(guard, now_ms, "sale awaited")
    if standing:
        return _cancel_all(guard, standing, now_ms, "CLOSE")
    if guard.flights and not _may_follow(guard, scene, sizes):
        return _look(guard, now_ms, "protection unknown")
    if now_ms < guard.next_try_ms:
        return guard, ()
    limit = bid_limit(guard, scene)
    command = Close(qty=close_qty(scene, sizes, market=limit is None), limit_price=limit)
    if not may_ask(guard, rung_of(command), now_ms):
        return guard, ()
    if not tradable(command.qty, scene):
        return _look(guard, now_ms, "base missing")
    return launched(guard, scene, command, now_ms), (command,)


def _just_sent(tracked: Tracked, scene: Scene) -> bool:
    """A sale of ours shows on the book for a moment before its fills do."""
    age = scene.wall_ms - tracked.order.local_received_ms
    return tracked.role is IntentRole.CLOSE and age < scene.exits.protection_deadline_ms


def _cancel_all(guard: Guard, targets: tuple[Tracked, ...], now_ms: int, purpose: str) -> Step:
    """Ask for one cancel per group; a leg's cancel ends its list."""
    cancels = dict(guard.cancels)
    commands: list[Command] = []
    groups: set[tuple[str, int]] = set()
    # Beside a partly filled take profit the stop is gone already: the sale itself goes first.
    for tracked in sorted(targets, key=lambda t: t.is_stop):
        if tracked.group in groups:
            continue
        groups.add(tracked.group)
        order_id = tracked.order.order_id
        due_ms, count = cancels.get(order_id, (now_ms, 0))
        if now_ms < due_ms or count >= _MAX_CANCELS:
            continue
        cancels[order_id] = (now_ms + CANCEL_AGAIN_MS, count + 1)
        commands.append(Cancel(intent_id=tracked.intent_id, order_id=order_id, purpose=purpose))
    if not commands:
        return _look(guard, now_ms, "cancel awaited")
    return replace(guard, cancels=cancels), tuple(commands)


def _look(guard: Guard, now_ms: int, cause: str) -> Step:
    if now_ms - guard.looked_ms < _LOOK_EVERY_MS:
        return guard, ()
    return replace(guard, looked_ms=now_ms), (Look(cause=cause),)


def _may_follow(guard: Guard, scene: Scene, sizes: Sizes) -> bool:
    """A full-size sell excludes a second one only while the base is not there twice."""
    if any(f.negatives < 1 for f in guard.flights):
        return False
    return scene.base_total is not None and scene.base_total < 2 * sizes.sellable


def _closing(guard: Guard, cause: CloseCause, now_ms: int) -> Guard:
    if guard.close is not None or manual(guard) or bides(guard, now_ms):
        return guard
    return replace(guard, close=cause, cause=cause, close_since_ms=now_ms, next_try_ms=now_ms)


def _since(known: int | None, holds: bool, now_ms: int) -> int | None:  # noqa: FBT001
    if not holds:
        return None
    return now_ms if known is None else known
