"""When a sale has failed: what is said, and when it is asked for once more."""

from dataclasses import replace

from livespot.contracts.codes import ReasonCode
from livespot.contracts.settings import ExitSettings
from livespot.contracts.vocabulary import Severity, SignalLevel
from livespot.rules.barred import Bar, Barred
from livespot.rules.protection import Command, Guard, Notify, Scene, Signal, Sizes
from livespot.rules.protection_pace import MAX_ROUNDS, cancels_anew
from livespot.rules.protection_prices import crossed

_MAX_REFUSALS = 3
_LONGEST_PAUSE_MS = 300_000
_SAY_AGAIN_MS = 3_600_000


def exhausted(guard: Guard, scene: Scene) -> bool:
    """Whether a sale was refused often enough: three times.

    Behind a bar twice is enough when there is no bid, because every sale is the same one at market
    then, and once is enough after the first failure.
    """
    most = _MAX_REFUSALS
    if guard.barred is not None:
        most = 1 if guard.barred.failures else _MAX_REFUSALS - (scene.bid is None)
    return guard.close_refusals >= most


def bides(guard: Guard, now_ms: int) -> bool:
    """Whether selling failed at a bar and the pause after it is not over."""
    barred = guard.barred is not None and guard.barred.failures > 0
    return barred and now_ms < guard.hold_until_ms


def bar_pause_ms(barred: Barred | None, exits: ExitSettings) -> int:
    """The pause after a sale has failed; behind a bar it doubles with each failure."""
    if barred is None:
        return exits.recovery_deadline_ms
    longest = max(_LONGEST_PAUSE_MS, exits.recovery_deadline_ms)
    return min(longest, exits.recovery_deadline_ms << min(barred.failures, 16))


def heard_of_the_bar(guard: Guard, scene: Scene, sizes: Sizes, now_ms: int) -> Guard:
    """The guard after a look at what reads of the account say: the end of a bar ends all pauses.

    Reads that never showed the bar cannot show its end. Unless the market has left the band, a
    protection then has its usual time before the position is sold for lack of one.
    """
    barred = guard.barred
    if barred is None:
        return guard
    stands = _shown(guard, barred.by, scene, sizes)
    if stands:
        return guard if barred.shown else replace(guard, barred=replace(barred, shown=True))
    if stands is None or not barred.shown:
        return guard
    grace_ms = scene.exits.protection_deadline_ms if crossed(scene) is None else 0
    return replace(
        guard,
        barred=None,
        asked={},
        refusals=0,
        stop_refused=False,
        close_since_ms=now_ms if guard.close is not None else None,
        close_tries=0,
        close_refusals=0,
        hold_until_ms=now_ms + grace_ms,
        next_try_ms=now_ms,
    )


def standing_bar(guard: Guard, scene: Scene, sizes: Sizes) -> Barred | None:
    """The bar that refuses the sales now.

    If reads show the base free, it was refused for some other reason, which may pass any moment.
    """
    barred = guard.barred
    if barred is None or barred.by is not Bar.BASE:
        return barred
    return barred if _shown(guard, barred.by, scene, sizes) else None


def _shown(guard: Guard, bar: Bar, scene: Scene, sizes: Sizes) -> bool | None:
    """Whether the newest read shows the bar; None when no read could.

    No read can while a request of ours is in doubt: it may have locked the base itself.
    """
    match bar:
        case Bar.ACCOUNT:
            return None if scene.account_trades is None else not scene.account_trades
        case Bar.SYMBOL:
            return None
        case Bar.BASE:
            return None if scene.base_free is None or guard.flights else sizes.away > 0


def give_up(
    guard: Guard, scene: Scene, sizes: Sizes, now_ms: int
) -> tuple[Guard, tuple[Command, ...]]:
    """The sale failed: say so, try to leave at least a stop, and sell again later, not for ever.

    A closed market uses up no round. Where no stop would be taken, the sale is due again at once:
    it keeps its own pauses. A bar uses up none either: the sale is asked for again at pauses that
    grow. A stop, which it refuses as well, is asked for only after the first failure.
    """
    shut = guard.shut is not None
    barred = None if shut else standing_bar(guard, scene, sizes)
    hold_ms = bar_pause_ms(barred, scene.exits)
    if shut and crossed(scene) is not None:
        hold_ms = 0
    guard = replace(
        guard,
        close=None,
        close_since_ms=None,
        close_tries=0,
        close_refusals=0,
        rounds=guard.rounds if shut or barred is not None else guard.rounds + 1,
        hold_until_ms=now_ms + hold_ms,
        refusals=scene.exits.protection_retries + 1,
        stop_refused=barred is not None and barred.failures > 0,
        repair_failed=True,
        level=SignalLevel.PAUSE,
        cancels=cancels_anew(guard.cancels, now_ms),
        next_try_ms=now_ms,
    )
    failed = Signal(
        level=SignalLevel.PAUSE,
        reason=ReasonCode.CLOSE_SAFELY_FAILED,
        value_ms=scene.exits.recovery_deadline_ms,
        threshold_ms=scene.exits.recovery_deadline_ms,
        detail="the position could not be sold",
    )
    if barred is not None:
        guard = replace(guard, barred=_failed_again(barred, now_ms))
        if barred.told_ms is not None and now_ms - barred.told_ms < _SAY_AGAIN_MS:
            return guard, (failed,)
        cause = barred.by.value
    else:
        cause = "its market is closed" if shut else f"round {guard.rounds} of {MAX_ROUNDS}"
    text = f"{sizes.held:f} could not be sold ({cause})"
    return guard, (
        failed,
        Notify(severity=Severity.CRIT, code=ReasonCode.CLOSE_SAFELY_FAILED, text=text),
    )


def stop_again(guard: Guard, scene: Scene, sizes: Sizes, now_ms: int) -> Guard:
    """Selling was left to the operator: a stop is due again, and the next one after a pause.

    What refused it may have passed, a halt for one: a stop harms no operator at work.
    """
    barred = standing_bar(guard, scene, sizes)
    again_ms = now_ms + bar_pause_ms(barred, scene.exits)
    memory = guard.barred if barred is None else replace(barred, failures=barred.failures + 1)
    return replace(guard, stop_refused=False, hold_until_ms=again_ms, barred=memory)


def _failed_again(barred: Barred, now_ms: int) -> Barred:
    told = barred.told_ms is None or now_ms - barred.told_ms >= _SAY_AGAIN_MS
    return replace(barred, failures=barred.failures + 1, told_ms=now_ms if told else barred.told_ms)
