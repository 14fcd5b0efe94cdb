"""I20d, I20f: what happens to the runtime's machine is reported, and its operator is heard."""

from collections.abc import Iterator

from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import ExitCode
from livespot.contracts.system import Alert
from livespot.contracts.vocabulary import OperatorAction, Severity
from livespot.evidence.findings import Finding, judged
from livespot.runtime.replay_run import Lived
from livespot.testing.search.board import Noted
from livespot.testing.search.stale_checks import TOLD_ONCE_MS
from livespot.testing.search.troubles import (
    ActorRaises,
    ActorReturns,
    MachineSleeps,
    OperatorSays,
    Trouble,
)
from livespot.testing.search.witness import Witness

_SAID_WITHIN_MS = 5000
_BREAKING = (ActorRaises, ActorReturns)
_NEVER = 1 << 62
# A shorter sleep cannot be told from a late timer.
_SLEEP_MS = 6000
# While nothing can be written, or nobody acts, no report can come in time.
_MUTE = ("disk.", "actor.stall", "host.clock_step")


def the_machine_is_spoken_of(witness: Witness) -> Finding:
    """I20d: a broken actor, a sleep and a command are each reported within 5 s.

    Checked where the process lives on for that long, and nothing else is planned that could delay
    the report: a failing disk, a hanging actor, a clock that is set.
    """
    troubles = {trouble.id: trouble for trouble in witness.plan.troubles}
    if any(trouble.verb.startswith(_MUTE) for trouble in troubles.values()):
        return judged("I20d", "The machine is spoken of", 0, (), note="a troubled run")
    problems, looked_at = [], 0
    for hit in witness.hits:
        trouble = troubles[hit.id]
        due_ms = _measured_ms(witness, trouble, _from_ms(witness, hit)) + _SAID_WITHIN_MS
        lived = any(
            life.born_ms <= hit.t_ms and due_ms < life.speaks_until_ms for life in witness.lives
        )
        if not lived or not _is_told(trouble):
            continue
        looked_at += 1
        since_ms = _episode_ms(witness, hit)
        if not any(since_ms <= at_ms <= due_ms for at_ms in _words(witness, trouble)):
            problems.append(f"nobody spoke of {hit.verb} within {_SAID_WITHIN_MS} ms of {due_ms}")
    return judged("I20d", "The machine is spoken of", looked_at, problems)


def _from_ms(witness: Witness, hit: Noted) -> int:
    """Return when the time to report starts: a sleeping machine cannot report before it wakes."""
    sleeps = {t.id: t.for_ms for t in witness.plan.troubles if isinstance(t.what, MachineSleeps)}
    spans = ((one.t_ms, one.t_ms + sleeps[one.id]) for one in witness.hits if one.id in sleeps)
    return max((end for begin, end in spans if begin <= hit.t_ms <= end), default=hit.t_ms)


def _episode_ms(witness: Witness, hit: Noted) -> int:
    """Return from when on a report counts: a break within a minute of another is not repeated."""
    breaks = {t.id: t.what.actor for t in witness.plan.troubles if isinstance(t.what, _BREAKING)}
    born_ms = max((life.born_ms for life in witness.lives if life.born_ms <= hit.t_ms), default=0)
    since_ms, actor = hit.t_ms, breaks.get(hit.id)
    for earlier in sorted(witness.hits, key=lambda one: -one.t_ms):
        near = max(born_ms, since_ms - TOLD_ONCE_MS) <= earlier.t_ms < since_ms
        if near and actor is not None and breaks.get(earlier.id) == actor:
            since_ms = earlier.t_ms
    return since_ms


def _measured_ms(witness: Witness, trouble: Trouble, from_ms: int) -> int:
    """Return when the time was measured, which tells a sleep from a clock that was set."""
    if not isinstance(trouble.what, MachineSleeps):
        return from_ms
    asked = [
        row for _, row in witness.requests() if row.path.endswith("/time") and row.t_reply > from_ms
    ]
    if not any(row.t_reply <= from_ms + _SAID_WITHIN_MS for row in asked):
        return from_ms
    answers = [row.t_reply for row in asked if row.delivered and row.outcome.startswith("200")]
    return min(answers, default=_NEVER)


def _is_told(trouble: Trouble) -> bool:
    what = trouble.what
    if isinstance(what, MachineSleeps):
        return trouble.for_ms >= _SLEEP_MS
    # A command to end is answered by the end.
    ends = (OperatorAction.STOP, OperatorAction.HALT)
    stops = isinstance(what, OperatorSays) and what.action in ends
    return isinstance(what, OperatorSays | ActorRaises | ActorReturns) and not stops


def _words(witness: Witness, trouble: Trouble) -> Iterator[int]:
    """Yield when something was recorded that can be the report about the trouble."""
    if isinstance(trouble.what, OperatorSays):
        yield from (command.at_ms for command in witness.facts.commands)
        return
    code = "SUSPEND_DETECTED" if isinstance(trouble.what, MachineSleeps) else "ACTOR_FAILED"
    yield from (alert.at_ms for alert in witness.facts.alerts if alert.code == code)
    yield from (mode.at_ms for mode in witness.facts.modes if code in mode.reasons)


def an_unwritable_end_is_announced(witness: Witness) -> Finding:
    """I20f: a process that ends because it cannot write has announced so with a CRIT alert.

    No record can hold this alert, so announced ones count. Where the runtime's clock was set, its
    times cannot be compared with those of the lives.
    """
    if witness.house_moved:
        return judged("I20f", "An unwritable end is said", 0, (), note="the clock was set")
    ended = [life for life in witness.lives if life.code is ExitCode.AUDIT_UNWRITABLE]
    problems = [
        f"a process ended at {life.over_ms} unable to write, and no CRIT alert said so"
        for life in ended
        if not said_it_cannot_write(witness, life)
    ]
    return judged("I20f", "An unwritable end is said", len(ended), problems)


def said_it_cannot_write(witness: Witness, life: Lived) -> bool:
    """Whether the alert that nothing can be written was announced during that life."""
    return any(
        _is_last_word(alert) and life.born_ms <= alert.at_ms <= life.over_ms
        for alert in witness.announced
    )


def _is_last_word(alert: Alert) -> bool:
    codes = (alert.code, *alert.reasons)
    return alert.severity is Severity.CRIT and ReasonCode.AUDIT_WRITE_FAILED in codes
