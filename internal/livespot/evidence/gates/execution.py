"""The gate `execution`: the whole way of an order, compared with the exchange's own journal."""

from livespot.evidence.gates.results import Looked, Subject, Verdict, Why, needs_data
from livespot.evidence.invariants import check_all
from livespot.evidence.summary import RunSummary

GATE = "execution"
_CLEAN = "OK"
# Checks of the record itself belong to the gate `events`.
_OTHERS = frozenset({"I18", "I19", "I20", "I21", "I26"})


async def execution(subject: Subject) -> Verdict:
    """Check a rehearsed trade from proposal to reconciled exit, and the run's own orders."""
    looked = Looked(gate=GATE)
    rehearsal = await subject.rehearse()
    if rehearsal.summary is None:
        looked.met(Why.REPLAY_FAILED, rehearsal.failure)
    else:
        _rehearsed(looked, rehearsal.summary)
    if subject.journal is not None:
        _of_the_run(looked, subject)
    if not looked.problems and not looked.looked_at:
        return needs_data(GATE, Why.NO_TRADE, "nothing was traded", "livespot sim --for 3m")
    return looked.verdict(good="", bad="livespot report LAST, and the invariant that it names")


def _rehearsed(looked: Looked, summary: RunSummary) -> None:
    looked.looked_at += summary.complete_trips + summary.reconciled.passes
    if not summary.complete_trips:
        looked.met(
            Why.INVARIANT_BROKEN, "the rehearsal did not trade from entry to reconciled exit"
        )
    for finding in summary.violations:
        looked.met(
            Why.INVARIANT_BROKEN, f"rehearsal, {finding.id} {finding.title}: {finding.detail}"
        )
    dirty = [count for count in summary.reconciled.labels if count.name != _CLEAN]
    for count in dirty:
        looked.met(Why.RECONCILE_NOT_CLEAN, f"rehearsal: {count.count} passes were {count.name}")
    looked.notes.append(
        f"rehearsal: {summary.complete_trips} trades from entry to reconciled exit, "
        f"{summary.reconciled.passes} clean passes"
    )


def _of_the_run(looked: Looked, subject: Subject) -> None:
    for finding in check_all(subject.facts, subject.journal):
        if finding.id in _OTHERS:
            continue
        looked.looked_at += finding.looked_at
        if finding.violated:
            looked.met(Why.INVARIANT_BROKEN, f"{finding.id} {finding.title}: {finding.detail}")
