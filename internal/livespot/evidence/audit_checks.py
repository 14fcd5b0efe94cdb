"""Checks of the record itself: chain, trail, modes, runs and the database file."""

from collections import defaultdict
from collections.abc import Iterator

import msgspec

from livespot.contracts.codes import ReasonCode
from livespot.contracts.settings import HealthSettings
from livespot.contracts.vocabulary import SysMode
from livespot.evidence.findings import Finding, judged
from livespot.evidence.rows import Facts, ModeFact, RunFact
from livespot.rules.sysmode import ENTER_CODES

_N, _D, _P, _E = (
    mode.value for mode in (SysMode.NORMAL, SysMode.DEGRADE, SysMode.PAUSE, SysMode.EXIT)
)
_LEGAL_MOVES = frozenset(
    {(_N, _D), (_P, _D), (_N, _P), (_D, _P), (_D, _N), (_N, _E), (_D, _E), (_P, _E)}
)
_CODES = frozenset(code.value for code in ReasonCode)
_CLOCK = ReasonCode.CLOCK_DRIFT_WARN.value
# Stamps are taken shortly after the monotonic clock that measures the window.
_STAMP_SLACK_MS = 250


def audit_is_contiguous(facts: Facts) -> Finding:
    """I18: no event was removed, edited or reordered; each run begins with its start."""
    return judged("I18", "Audit is contiguous", facts.trail.events, facts.trail.problems)


def trail_equals_database(facts: Facts) -> Finding:
    """I19: the JSONL files hold exactly the events of the database, line by line."""
    trail = facts.trail
    problems = []
    if trail.missing:
        problems.append(f"{trail.missing} of {trail.events} events have no line in the trail")
    if trail.unknown:
        problems.append(f"{trail.unknown} lines of the trail are not in the database")
    return judged("I19", "JSONL equals SQLite", trail.lines, problems)


def every_move_announced(facts: Facts) -> Finding:
    """I20: each mode change has an alert of the same time; every code is in the catalogue."""
    alerts = {(alert.run_id, alert.code, alert.at_ms) for alert in facts.alerts}
    problems = []
    for mode in facts.modes:
        code = ENTER_CODES[SysMode(mode.mode)].value
        if (mode.run_id, code, mode.at_ms) not in alerts:
            problems.append(f"{mode.previous} -> {mode.mode} at {mode.at_ms} raised no alert")
    problems += [f"{code} is no known code" for code in sorted({a[1] for a in alerts} - _CODES)]
    problems += _unaudited(facts)
    return judged("I20", "Every mode change has its alert", len(facts.modes), problems)


def _unaudited(facts: Facts) -> Iterator[str]:
    """Compare the number of mode rows and mode events, which are written together."""
    audited = [
        (event.run_id, event.data.get("from"), event.data.get("to"), event.ts_ms)
        for event in facts.events
        if event.event_type == "SYSMODE_CHANGED" and isinstance(event.data, dict)
    ]
    if len(audited) != len(facts.modes):
        yield f"{len(facts.modes)} mode rows, {len(audited)} mode events"


def modes_move_legally(facts: Facts, set_back_ms: int = 0) -> Finding:
    """I21: only legal moves; PAUSE is left by the operator, DEGRADE after a quiet time.

    The quiet time cannot be measured by stamps where an alert between them said that the clock was
    wrong. Where the clock is known to have been set back, it may be short by `set_back_ms`.
    """
    runs: dict[str, list[ModeFact]] = defaultdict(list)
    for mode in facts.modes:
        runs[mode.run_id].append(mode)
    windows = {run.run_id: stable_window_ms(run) for run in facts.runs}
    problems = [
        f"{problem} in {run_id}"
        for run_id, modes in runs.items()
        for problem in _illegal(facts, modes, windows.get(run_id, 0) - set_back_ms)
    ]
    return judged("I21", "Modes move legally", len(facts.modes), problems)


def _illegal(facts: Facts, modes: list[ModeFact], window_ms: int) -> Iterator[str]:
    first, *moves = modes
    if first.mode != first.previous or first.mode not in (_D, _P):
        yield f"the run begins as {first.previous} -> {first.mode}"
    before, reached_normal = first, False
    for move in moves:
        step = f"{move.previous} -> {move.mode}"
        if move.previous != before.mode:
            yield f"{step} where the mode was {before.mode}"
        if (move.previous, move.mode) not in _LEGAL_MOVES:
            yield f"{step} is not legal"
        if (move.previous, move.mode) == (_P, _D) and not _resumed(facts, before, move):
            yield f"{step} without the operator"
        if move.mode == _N:
            quiet_ms = move.at_ms - before.at_ms + _STAMP_SLACK_MS
            if reached_normal and quiet_ms < window_ms and not _clock_doubted(facts, before, move):
                yield f"{step} after {move.at_ms - before.at_ms} ms, too soon"
            reached_normal = True
        before = move


def _resumed(facts: Facts, paused: ModeFact, left: ModeFact) -> bool:
    return any(
        command.action == "RESUME"
        and command.outcome == "accepted"
        and command.run_id == left.run_id
        and paused.at_ms <= command.at_ms <= left.at_ms
        for command in facts.commands
    )


def _clock_doubted(facts: Facts, entered: ModeFact, left: ModeFact) -> bool:
    """Whether an alert between two mode changes, in the order of alerts, doubted the clock."""
    said = [alert for alert in facts.alerts if alert.run_id == left.run_id]
    marks = {(ENTER_CODES[SysMode(m.mode)].value, m.at_ms): m for m in (entered, left)}
    inside, doubted = False, _CLOCK in entered.reasons
    for alert in said:
        mark = marks.get((alert.code, alert.at_ms))
        inside = mark is entered or (inside and mark is not left)
        doubted = doubted or (inside and alert.code == _CLOCK)
    return doubted


def stable_window_ms(run: RunFact) -> int:
    """Return how long a run's settings require quiet before DEGRADE may be left."""
    return msgspec.json.decode(run.config_json, type=_Config).health.degrade_exit_stable_window_ms


class _Health(msgspec.Struct, frozen=True):
    degrade_exit_stable_window_ms: int = HealthSettings().degrade_exit_stable_window_ms


class _Config(msgspec.Struct, frozen=True):
    health: _Health = _Health()


def exits_are_accounted(facts: Facts) -> Finding:
    """I26: each run left through EXIT or says why not, or a later run says that it was killed."""
    said = {e.run_id for e in facts.events if e.event_type == "RUN_ENDED"}
    left = {mode.run_id for mode in facts.modes if mode.mode == _E}
    explained = {
        str(e.data.get("run", ""))
        for e in facts.events
        if "UNCLEAN_SHUTDOWN" in e.reasons and isinstance(e.data, dict)
    }
    problems = []
    for run in facts.runs:
        if not run.ended_at_ms:
            problems.append(f"{run.run_id} has not ended")
        elif not run.clean and run.run_id not in explained:
            problems.append(f"{run.run_id} was killed and no later run says so")
        elif run.clean and run.run_id not in said:
            problems.append(f"{run.run_id} ended without its last event")
        elif run.clean and run.run_id not in left and not (run.exit_code and run.end_reasons):
            problems.append(f"{run.run_id} ended outside EXIT and does not say why")
    return judged("I26", "Every end is accounted for", len(facts.runs), problems)


def database_is_intact(facts: Facts) -> Finding:
    """I39: the file is whole, its references hold, and it is in WAL."""
    file = facts.file
    problems = [f"integrity: {line}" for line in file.integrity if line != "ok"]
    if not file.integrity:
        problems.append("integrity: no answer")
    if file.foreign_key_breaks:
        problems.append(f"{file.foreign_key_breaks} references lead nowhere")
    if file.journal_mode != "wal":
        problems.append(f"journal_mode is {file.journal_mode!r}")
    # A setting of the writing connection; no other connection can read it.
    note = "synchronous=FULL is what the writer refuses to open without"
    return judged("I39", "Database is intact", 1, problems, note=note)
