"""The first look at a finished run: whether it is sound, and what to do if it is not."""

from collections.abc import Sequence

from livespot.contracts.base import Message
from livespot.evidence.gates.results import GATES, Outcome, Verdict
from livespot.evidence.rows import Facts
from livespot.evidence.summary import RunSummary

_LEAST_EVENTS = 100
_ERROR_SHARE_BPS = 500
# Next actions of a sound run.
_LEAVE = "nothing to do; livespot report {} tells of the run"
_ASK = "livespot verify all --run {}"
# A running run always violates this one; the first look reports that instead.
_END_INVARIANT = "I26"


class Look(Message, frozen=True):
    """One thing that was checked: whether it is in order, and what was found."""

    name: str
    good: bool
    found: str
    next_action: str


class Triage(Message, frozen=True):
    """All looks, one verdict and one next action."""

    run_id: str
    verdict: str
    looks: tuple[Look, ...]
    next_action: str


def triage(facts: Facts, summary: RunSummary, verdicts: Sequence[Verdict] = ()) -> Triage:
    """Weigh status, invariants, the scan of events, and each gate's last verdict."""
    asked = {verdict.gate for verdict in verdicts if verdict.outcome is not Outcome.NEEDS_DATA}
    looks = (
        _complete(summary),
        _enough(summary),
        _no_crit(facts),
        _errors(facts, summary),
        _invariants(summary),
        _trail(facts, summary),
        _gates(facts.run_id, verdicts),
        _in_doubt(summary),
    )
    bad = [look for look in looks if not look.good]
    return Triage(
        run_id=facts.run_id,
        verdict="sound" if not bad else f"look at {bad[0].name}",
        looks=looks,
        next_action=(
            bad[0].next_action
            if bad
            else (_LEAVE if asked.issuperset(GATES) else _ASK).format(facts.run_id)
        ),
    )


def _complete(summary: RunSummary) -> Look:
    if not summary.ended_at_ms:
        found = "the run has not ended"
    elif not summary.clean:
        found = "the run was killed"
    else:
        found = f"ended with exit code {summary.exit_code}"
    return Look(
        name="the end of the run",
        good=bool(summary.ended_at_ms) and summary.clean and summary.exit_code == 0,
        found=found,
        next_action="livespot status",
    )


def _enough(summary: RunSummary) -> Look:
    return Look(
        name="the number of events",
        good=summary.counts.events > _LEAST_EVENTS,
        found=f"{summary.counts.events} events, more than {_LEAST_EVENTS} are wanted",
        next_action="livespot sim --for 3m",
    )


def _no_crit(facts: Facts) -> Look:
    crit = [a.code for a in facts.alerts if a.run_id == facts.run_id and a.severity == "CRIT"]
    code = crit[0] if crit else ""
    return Look(
        name="critical alerts",
        good=not crit,
        found=f"{len(crit)} critical alerts" + (f", the first {code}" if crit else ""),
        next_action=f"livespot explain {code}",
    )


def _errors(facts: Facts, summary: RunSummary) -> Look:
    bad = sum(
        alert.run_id == facts.run_id
        and alert.severity != "INFO"
        and not alert.code.startswith("ENTER_")
        for alert in facts.alerts
    )
    share = bad * 10_000 // max(1, summary.counts.events)
    return Look(
        name="the share of errors",
        good=share < _ERROR_SHARE_BPS,
        found=f"{share / 100:.2f} % of all events are warnings or worse, less than 5 % is wanted",
        next_action=f"livespot report {facts.run_id}",
    )


def _invariants(summary: RunSummary) -> Look:
    broken = [
        finding
        for finding in summary.violations
        if summary.ended_at_ms or finding.id != _END_INVARIANT
    ]
    first = f", the first {broken[0].id}: {broken[0].detail}" if broken else ""
    return Look(
        name="the invariants",
        good=not broken,
        found=f"{len(broken)} of {len(summary.findings)} are violated{first}",
        next_action="livespot verify events",
    )


def _trail(facts: Facts, summary: RunSummary) -> Look:
    """The newest lines of a running run may not be in the file yet."""
    differing = (*facts.trail.problems, *(facts.trail.places if summary.ended_at_ms else ()))
    first = f", the first {differing[0]}" if differing else ""
    return Look(
        name="the event trail",
        good=not differing,
        found=f"{facts.trail.events} events in one chain, {len(differing)} places differ{first}",
        next_action="livespot verify events",
    )


def _gates(run_id: str, verdicts: Sequence[Verdict]) -> Look:
    """Use the newest receipt of each gate; one that was never asked is named, but is no fault."""
    by_gate = {verdict.gate: verdict for verdict in verdicts}
    passed = [name for name in GATES if _said(by_gate, name) is Outcome.PASS]
    failed = [name for name in GATES if _said(by_gate, name) is Outcome.FAIL]
    rest = [name for name in GATES if name not in passed and name not in failed]
    found = f"{len(passed)} of {len(GATES)} passed"
    if failed:
        found += f", failed: {', '.join(failed)}"
    if rest:
        found += f", not answered yet: {', '.join(rest)}"
    return Look(
        name="the gates",
        good=not failed,
        found=found,
        next_action=f"livespot verify {failed[0] if failed else 'all'} --run {run_id}",
    )


def _said(by_gate: dict[str, Verdict], name: str) -> Outcome | None:
    return by_gate[name].outcome if name in by_gate else None


def _in_doubt(summary: RunSummary) -> Look:
    open_ones = sum(not doubt.resolved for doubt in summary.unknown_intents)
    return Look(
        name="intents in doubt",
        good=not open_ones,
        found=f"{open_ones} intents have no answer yet",
        next_action="start it again: the boot asks the exchange for each of them",
    )
