"""How soon protection may ask once more for what it has asked for before, whatever was answered.

An answer, or the lack of one, frees the next request. Were it free at the same instant, an answer
that comes at once and changes nothing would be followed by requests without end.
"""

from collections.abc import Mapping
from dataclasses import replace

from livespot.contracts.settings import ExitSettings
from livespot.contracts.vocabulary import IntentRole
from livespot.rules.protection import (
    Close,
    Flight,
    Guard,
    Protect,
    Rung,
    Scene,
    Swap,
    Tracked,
    measure,
)

CANCEL_AGAIN_MS = 2000
MAX_ROUNDS = 3
_FIRST_MS = 100
_MOST_DOUBLINGS = 16
# While the market is closed: once more soon, then as often as lets no more than three fall into a
# minute. Whoever answers that it is closed answers the same to all.
_SHUT_FIRST_MS = 1500
_SHUT_MS = 30_000
# What was asked for so long ago that nothing can have come of it does not slow the next request.
_FORGOTTEN_MS = 30_000


def rung_of(command: Protect | Swap | Close) -> Rung:
    """Requests of one rung are paced together; the next rung is free at once."""
    match command:
        case Protect():
            return (command.role, False)
        case Swap():
            return (IntentRole.TRAIL, False)
        case Close():
            return (IntentRole.CLOSE, command.limit_price is None)


def may_ask(guard: Guard, rung: Rung, now_ms: int) -> bool:
    due_ms, _ = guard.asked.get(rung, (now_ms, 0))
    return now_ms >= due_ms


def launched(guard: Guard, scene: Scene, command: Protect | Swap | Close, now_ms: int) -> Guard:
    """The guard with the request on its way and the next of its rung put off."""
    rung = rung_of(command)
    base, held = scene.base_total, measure(guard, scene).held
    flight = Flight(
        role=rung[0],
        qty=command.qty,
        since_ms=now_ms,
        since_wall_ms=scene.wall_ms,
        surplus=None if base is None else base - held,
    )
    due_ms, count = guard.asked.get(rung, (now_ms, 0))
    count = 1 if now_ms - due_ms >= _FORGOTTEN_MS else count + 1
    again_ms = now_ms + pause_ms(count, scene.exits, manual=manual(guard))
    return replace(
        guard,
        flights=(*guard.flights, flight),
        asked={**guard.asked, rung: (again_ms, count)},
    )


def put_off(guard: Guard, role: IntentRole, now_ms: int) -> Guard:
    """The guard after a refusal for a closed market: what was asked for may be asked for later.

    A sale at the bid and one at market wait for each other.
    """
    market = (False, True) if role is IntentRole.CLOSE else (False,)
    rungs: list[Rung] = [(role, at_market) for at_market in market]
    count = max(guard.asked.get(rung, (0, 1))[1] for rung in rungs)
    again_ms = now_ms + (_SHUT_FIRST_MS if count < 2 else _SHUT_MS)
    later = dict.fromkeys(rungs, (again_ms, count))
    return replace(guard, asked={**guard.asked, **later})


def heard_of_the_market(guard: Guard, scene: Scene, now_ms: int) -> Guard:
    """What the rules say now of a market that was closed when asked; its opening ends all pauses.

    Where they say nothing, or said all along that it is open, it is asked at its pauses.
    """
    if guard.shut is None:
        return guard
    if scene.trading and not guard.shut:
        since_ms = now_ms if guard.close is not None else None
        return replace(guard, shut=None, asked={}, close_since_ms=since_ms)
    return replace(guard, shut=guard.shut and scene.trading is True)


def pause_ms(asks: int, exits: ExitSettings, *, manual: bool) -> int:
    """The pause after so many requests of one rung: it doubles up to the time a part may be bare.

    Once selling was given up it is the operator's, and grows to the time of a whole repair.
    """
    most = exits.recovery_deadline_ms if manual else exits.protection_deadline_ms
    return min(most, _FIRST_MS << min(max(asks - 1, 0), _MOST_DOUBLINGS))


def manual(guard: Guard) -> bool:
    """Every round of selling failed; from here on it is the operator's."""
    return guard.rounds >= MAX_ROUNDS


def cancels_anew(
    cancels: Mapping[int, tuple[int, int]], now_ms: int
) -> Mapping[int, tuple[int, int]]:
    """All may be tried again from the first, none of them sooner than after any other."""
    latest = now_ms + CANCEL_AGAIN_MS
    return {order_id: (min(due_ms, latest), 0) for order_id, (due_ms, _) in cancels.items()}


def grace_is_over(guard: Guard, lonely: tuple[Tracked, ...], scene: Scene, now_ms: int) -> bool:
    """Whether sales under way without a stop beside them have had their time to fill.

    It counts from the end of that stop, by the exchange's time: what no event told of may have been
    bare for long when a read shows it. Without news of that end it counts from when we first knew.
    """
    if guard.lonely_since_ms is None:
        return False
    groups = {t.group for t in lonely if t.order.executed_qty > 0 or t.fired}
    ages = [
        scene.exchange_ms - t.order.exchange_time_ms
        for t in guard.sells.values()
        if t.is_stop and t.order.status.is_terminal and t.group in groups
    ]
    waited_ms = max(now_ms - guard.lonely_since_ms, *ages, 0)
    return bool(groups) and waited_ms >= scene.partial_grace_ms
