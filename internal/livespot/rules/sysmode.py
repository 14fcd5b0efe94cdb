"""How health signals become a mode: weighing, damping and the chart of legal moves."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from statemachine import StateChart
from statemachine.exceptions import TransitionNotAllowed
from statemachine.states import States

from livespot.contracts.codes import ReasonCode
from livespot.contracts.system import ActiveReason, HealthSignal
from livespot.contracts.vocabulary import SignalKind, SignalLevel, SysMode
from livespot.rules.due import AT_ONCE, NEVER

STRICTNESS = {SysMode.NORMAL: 0, SysMode.DEGRADE: 1, SysMode.PAUSE: 2, SysMode.EXIT: 3}
ENTER_CODES = {
    SysMode.NORMAL: ReasonCode.ENTER_NORMAL,
    SysMode.DEGRADE: ReasonCode.ENTER_DEGRADE,
    SysMode.PAUSE: ReasonCode.ENTER_PAUSE,
    SysMode.EXIT: ReasonCode.ENTER_EXIT,
}
_DEMANDED = {
    SignalLevel.CLEAR: SysMode.NORMAL,
    SignalLevel.DEGRADE: SysMode.DEGRADE,
    SignalLevel.PAUSE: SysMode.PAUSE,
    SignalLevel.EXIT: SysMode.EXIT,
}
EVERY_SOURCE = "*"
# Which reason is named first when several hold; the others follow in order of age.
_PRIORITY = (
    ReasonCode.DISK_LOW_PAUSE,
    ReasonCode.DB_WRITER_QUEUE_FULL,
    ReasonCode.LOOP_STUCK_PAUSE,
    ReasonCode.WS_STALE_PAUSE,
    ReasonCode.REST_STALE_PAUSE,
    ReasonCode.DRIFT_LIMIT_EXCEEDED,
)


class ModeChart(StateChart[None]):
    """The legal moves between modes. Strict: an illegal event raises and is never ignored."""

    allow_event_without_transition = False
    catch_errors_as_events = False
    atomic_configuration_update = True
    enable_self_transition_entries = False

    modes = States.from_enum(
        SysMode, initial=SysMode.DEGRADE, final=SysMode.EXIT, use_enum_instance=True
    )
    degrade = modes.NORMAL.to(modes.DEGRADE) | modes.PAUSE.to(modes.DEGRADE)
    pause = modes.NORMAL.to(modes.PAUSE) | modes.DEGRADE.to(modes.PAUSE)
    recover = modes.DEGRADE.to(modes.NORMAL)
    leave = modes.NORMAL.to(modes.EXIT) | modes.DEGRADE.to(modes.EXIT) | modes.PAUSE.to(modes.EXIT)


_EVENTS = {
    SysMode.NORMAL: "recover",
    SysMode.DEGRADE: "degrade",
    SysMode.PAUSE: "pause",
    SysMode.EXIT: "leave",
}


def move(chart: ModeChart, target: SysMode) -> bool:
    """Send the event that leads to `target`; False when the chart does not allow it."""
    try:
        chart.send(_EVENTS[target])
    except TransitionNotAllowed:
        return False
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighing:
    """The governor's whole memory. `active` is keyed by (kind, source), oldest first.

    `booting` until every boot signal has cleared: then NORMAL follows without the stability window,
    or the PAUSE in which the run started goes on. `held`: PAUSE stays until an operator resumes,
    whatever the signals say.
    """

    mode: SysMode = SysMode.DEGRADE
    active: dict[tuple[SignalKind, str], ActiveReason] = field(default_factory=dict)
    booting: bool = True
    held: bool = False
    clear_since_ms: int | None = None
    clear_since_cycle: int = 0


def absorb(state: Weighing, signal: HealthSignal) -> Weighing:
    """Take one signal in. A repeated one updates value and count and keeps its `since_ms`.

    A CLEAR from `EVERY_SOURCE` withdraws all demands of its kind, for a sender that is gone.
    """
    if signal.source == EVERY_SOURCE and signal.level is SignalLevel.CLEAR:
        kept = {key: reason for key, reason in state.active.items() if key[0] is not signal.kind}
        return replace(state, active=kept)
    key = (signal.kind, signal.source)
    active = dict(state.active)
    known = active.get(key)
    if signal.level is SignalLevel.CLEAR:
        if known is None:
            return state
        del active[key]
        return replace(state, active=active)
    reason = ActiveReason(
        code=signal.reason,
        kind=signal.kind,
        level=signal.level,
        source=signal.source,
        since_ms=known.since_ms if known is not None else signal.at_ms,
        value=signal.value,
        threshold=signal.threshold,
        unit=signal.unit,
        detail=signal.detail,
        count=known.count + 1 if known is not None else 1,
    )
    active[key] = reason
    # A signal that is raised inside the stability window restarts the window.
    return replace(state, active=active, clear_since_ms=None)


def demanded(active: Iterable[ActiveReason]) -> SysMode:
    """The strictest mode any active reason asks for."""
    return max(
        (_DEMANDED[reason.level] for reason in active),
        key=STRICTNESS.__getitem__,
        default=SysMode.NORMAL,
    )


def next_mode(
    state: Weighing, *, now_ms: int, cycle: int, stable_window_ms: int
) -> tuple[Weighing, SysMode]:
    """The mode that the signals call for now, and the memory with its stability window.

    Tightening is immediate. PAUSE is left only through `resumed`. DEGRADE is left once nothing has
    been active for the window and two cycles have begun since; at boot, at once.
    """
    wanted = demanded(state.active.values())
    if STRICTNESS[wanted] > STRICTNESS[state.mode]:
        held = state.held or wanted is SysMode.PAUSE
        return replace(state, held=held, clear_since_ms=None), wanted
    if state.mode is not SysMode.DEGRADE or wanted is not SysMode.NORMAL:
        begun = _has_begun(state, wanted)
        if begun or state.clear_since_ms is not None:
            state = replace(state, booting=state.booting and not begun, clear_since_ms=None)
        return state, state.mode
    if state.booting:
        return replace(state, booting=False), SysMode.NORMAL
    if state.clear_since_ms is None:
        return replace(state, clear_since_ms=now_ms, clear_since_cycle=cycle), state.mode
    stable = now_ms - state.clear_since_ms >= stable_window_ms
    if stable and cycle - state.clear_since_cycle >= 2:
        return replace(state, clear_since_ms=None), SysMode.NORMAL
    return state, state.mode


def settled_until_ms(state: Weighing, *, stable_window_ms: int) -> int:
    """The time before which `next_mode` changes nothing, on the clock of its `now_ms`.

    `AT_ONCE` if it would change something now.
    """
    wanted = demanded(state.active.values())
    unheld = state.mode is SysMode.PAUSE and not state.held
    if unheld or STRICTNESS[wanted] > STRICTNESS[state.mode]:
        return AT_ONCE
    if state.mode is not SysMode.DEGRADE or wanted is not SysMode.NORMAL:
        changes = state.clear_since_ms is not None or _has_begun(state, wanted)
        return AT_ONCE if changes else NEVER
    if state.booting or state.clear_since_ms is None:
        return AT_ONCE
    return state.clear_since_ms + stable_window_ms


def _has_begun(state: Weighing, wanted: SysMode) -> bool:
    """Whether the start is over without NORMAL: the run goes on in the PAUSE it started in."""
    return state.booting and state.held and wanted is SysMode.NORMAL


def may_resume(state: Weighing) -> tuple[ReasonCode, ...]:
    """The codes that still forbid a resume; empty when the operator may leave PAUSE."""
    return tuple(
        reason.code
        for reason in state.active.values()
        if _DEMANDED[reason.level] in (SysMode.PAUSE, SysMode.EXIT) and not _own_pause(reason)
    )


def resumed(state: Weighing) -> Weighing:
    """The state after a resume: the operator's own pause is withdrawn, PAUSE no longer held."""
    active = {k: v for k, v in state.active.items() if not _own_pause(v)}
    return replace(state, active=active, held=False, booting=False, clear_since_ms=None)


def _own_pause(reason: ActiveReason) -> bool:
    """Whether this is an operator's pause; an operator's demand for EXIT is never withdrawn."""
    return reason.kind is SignalKind.OPERATOR and reason.level is not SignalLevel.EXIT


def ordered_reasons(active: Iterable[ActiveReason]) -> tuple[ActiveReason, ...]:
    """Active reasons, the most important first."""
    rank = {code: place for place, code in enumerate(_PRIORITY)}
    return tuple(
        sorted(
            active,
            key=lambda r: (
                -STRICTNESS[_DEMANDED[r.level]],
                rank.get(r.code, len(rank)),
                r.since_ms,
                r.code,
                r.source,
            ),
        )
    )
