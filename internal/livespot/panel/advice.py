"""Chooses the one thing that the operator should do now, and why. Pure."""

from collections.abc import Sequence

from livespot.panel.dashboard import (
    ExecutionView,
    HeaderView,
    NextStep,
    PositionLine,
    ProcessView,
)
from livespot.rules.words import age, amount

_UNKNOWN_TOO_LONG_MS = 120_000
_UNPROTECTED_TOO_LONG_MS = 5000
_NONE, _SOON, _NOW = "NONE", "SOON", "NOW"

# States that need no person at once, so an order that has been unknown for long comes first.
_CALM = ("NORMAL", "DEGRADE", "")
_HELD = ' PAUSE holds until you say: livespot resume --reason "..."'
_STOP_FILE = "KILL_SWITCH_FILE"
_BROKEN = {
    20: "Keep logs/crash-notes.log and livespot.error.log, then start it again",
    30: "Free space on the disk, then start it again",
}

_START = {"SIM": "livespot sim", "LIVE": "livespot live --live", "SHADOW": "livespot shadow"}


def next_step(
    process: ProcessView,
    header: HeaderView,
    execution: ExecutionView,
    positions: Sequence[PositionLine],
    now_ms: int,
) -> NextStep:
    """Return the most urgent step: nothing running, bare positions, modes, unknown orders."""
    return (
        _of_process(process, header, positions)
        or _of_positions(positions, now_ms)
        or (_of_mode(header) if header.sysmode not in _CALM else None)
        or _of_unknown(execution)
        or _of_mode(header)
        or NextStep(action="Nothing to do.", why=_all_well(header, positions))
    )


def _all_well(header: HeaderView, positions: Sequence[PositionLine]) -> str:
    if header.mode == "SHADOW":
        return "The system is in NORMAL: proposals are judged and recorded, and nothing is sent."
    held = (
        "the open position is protected."
        if positions
        else "no position is open, the next good setup will be taken."
    )
    return f"The system is in NORMAL: entries are allowed, {held}"


def step_line(step: NextStep) -> str:
    """Return the step and its reason on one line."""
    return f"{step.action} ({step.why})".replace("\n", " ")


def _of_process(
    process: ProcessView, header: HeaderView, positions: Sequence[PositionLine]
) -> NextStep | None:
    match process.state:
        case "NEVER_RAN":
            return NextStep(
                action="Start a run: livespot sim --for 3m",
                why="No run is recorded in this database yet.",
                urgency=_SOON,
            )
        case "CRASHED":
            return NextStep(
                action=f"Start it again: {start_again(header.mode)}",
                why="The process ended without an ordered shutdown; the next start checks every "
                + (f"order {_at_stake(positions)}" if positions else "order before it trades."),
                urgency=_NOW if positions or header.mode == "LIVE" else _SOON,
            )
        case "DOWN":
            return _of_end(header, positions)
        case _:
            return None


def _at_stake(positions: Sequence[PositionLine]) -> str:
    """Say whether what is held is safe until the process is back."""
    bare = [position.symbol for position in positions if not position.protected]
    if bare:
        return f"and the open position. {', '.join(bare)} has no live stop meanwhile."
    return "and the open position, whose stop rests on the exchange meanwhile."


def _of_end(header: HeaderView, positions: Sequence[PositionLine]) -> NextStep:
    # A new simulation sets the file aside with everything else of the last one.
    halted = any(reason.code == _STOP_FILE for reason in header.reasons)
    if halted and header.mode != "SIM":
        return NextStep(
            action="Remove the STOP file once its cause is over, then start it.",
            why=f"{_STOP_FILE}: it ended the run, and none starts while the file exists.",
            urgency=_SOON,
        )
    if header.exit_code in _BROKEN:
        return NextStep(
            action=f"{_BROKEN[header.exit_code]}: {start_again(header.mode)}",
            why=f"The run could not go on and ended with exit code {header.exit_code}.",
            urgency=_NOW if header.mode == "LIVE" else _SOON,
        )
    # A simulated exchange, and the positions on it, end together with an ordered run.
    real = bool(positions) and header.mode == "LIVE"
    held = "A position is still open on the exchange. " if real else ""
    return NextStep(
        action=f"Start it when you are ready: {_START.get(header.mode, _START['SIM'])}",
        why=f"{held}The run ended in order with exit code {header.exit_code}.",
        urgency=_SOON if real else _NONE,
    )


def start_again(mode: str) -> str:
    """Return the command that starts the same again.

    After a crash the simulated exchange still runs; a plain new start would abandon it.
    """
    return "livespot sim --resume" if mode == "SIM" else _START.get(mode, _START["SIM"])


def known_start(mode: str) -> str:
    """The same for a mode that has a command of its own; empty for any other."""
    return start_again(mode) if mode in _START else ""


def _of_positions(positions: Sequence[PositionLine], now_ms: int) -> NextStep | None:
    for position in positions:
        since = position.unprotected_since_ms
        if not position.protected and since and now_ms - since >= _UNPROTECTED_TOO_LONG_MS:
            return NextStep(
                action=f"Place a stop for {position.symbol} on the exchange, or sell it.",
                why=f"{amount(position.qty, 8)} {position.symbol} has had no live stop for "
                f"{age(now_ms - since)}.",
                urgency=_NOW,
            )
    return None


def _of_mode(header: HeaderView) -> NextStep | None:
    if header.sysmode in ("NORMAL", ""):
        return None
    urgency = _SOON if header.sysmode == "DEGRADE" else _NOW
    if header.reasons:
        first = header.reasons[0]
        told = f"{header.sysmode} because of {first.code}: {first.detail or first.meaning}"
        held = header.sysmode == "PAUSE" and "livespot resume" not in first.action
        return NextStep(
            action=first.action or "Read the reason beside the mode.",
            why=f"{told.rstrip('.')}.{_HELD if held else ''}",
            urgency=urgency,
        )
    if header.sysmode == "PAUSE":
        return NextStep(
            action='Look at the panel, then run: livespot resume --reason "..."',
            why="PAUSE has no active reason any more; it waits for you.",
            urgency=urgency,
        )
    if header.sysmode == "EXIT":
        return NextStep(
            action="Wait for it to end.", why="The process is shutting down.", urgency=_SOON
        )
    return NextStep(
        action="Wait: NORMAL returns after the stability window.",
        why="DEGRADE has no active reason any more.",
    )


def _of_unknown(execution: ExecutionView) -> NextStep | None:
    old = [intent for intent in execution.unknown if intent.age_ms >= _UNKNOWN_TOO_LONG_MS]
    if not old:
        return None
    first = old[0]
    return NextStep(
        action=f"Look for {first.symbol} among the open orders on the exchange.",
        why=f"The outcome of {first.action} {first.role} has been unknown for "
        f"{age(first.age_ms)}; it is being looked up and never resent.",
        urgency=_SOON,
    )
