"""The summary of a run, as one value for machines; `telling` puts it into words."""

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

from livespot.contracts.base import Message
from livespot.evidence.facts import read_facts
from livespot.evidence.findings import Finding
from livespot.evidence.invariants import check_all
from livespot.evidence.journal import JournalRows
from livespot.evidence.journal_checks import our_fills
from livespot.evidence.round_trips import RoundTrip, round_trips
from livespot.evidence.rows import (
    Count,
    Course,
    EventFact,
    Facts,
    IntentFact,
    RunCounts,
    TransitionFact,
)
from livespot.evidence.track_record import TrackRecord, track_records
from livespot.store.reader import ReadOnlyDatabase

_UNSETTLED = ("CREATED", "SENT_UNKNOWN")


class UnknownIntent(Message, frozen=True):
    """A mutation that got no answer. `resolved_as` is its present state.

    `after_ms` is from its send to its last step, -1 while it is unresolved; `evidence` says what
    settled it.
    """

    order_intent_id: str
    symbol: str
    role: str
    resolved_as: str
    after_ms: int
    evidence: str

    @property
    def resolved(self) -> bool:
        return self.resolved_as not in _UNSETTLED


class OpenPosition(Message, frozen=True):
    """A position still held, with the protection that the ledger knows of."""

    symbol: str
    phase: str
    qty: Decimal
    avg_price: Decimal
    tp_price: Decimal
    sl_price: Decimal
    protected_qty: Decimal


class ModeStep(Message, frozen=True):
    """One change of mode after the boot, with what asked for it."""

    at_ms: int
    previous: str
    mode: str
    reason: str


class Reconciled(Message, frozen=True):
    """All reconcile passes of the run; drift is a score times 10 000."""

    passes: int
    labels: tuple[Count, ...]
    worst_drift_x10000: int
    diffs: int


class Fills(Message, frozen=True):
    """Executions in the database and in the exchange's journal, of all runs that share them.

    Without a journal `exchange` is -1; `agree` is then false and says nothing.
    """

    of_this_run: int
    database: int
    exchange: int
    agree: bool


class RunSummary(Message, frozen=True):
    """One run. Amounts are in `quote_asset`, after fees; times in epoch ms.

    `runs` counts the runs in the database, since a killed run and its successor share a ledger;
    `killed_before` counts those that recorded no end. `pnl_quote` and `fees_quote` sum over the
    trades that ended in this run. `findings` are the invariants, over the whole ledger.
    """

    run_id: str
    mode: str
    runs: int
    killed_before: int
    started_at_ms: int
    ended_at_ms: int
    exit_code: int
    end_reasons: tuple[str, ...]
    clean: bool
    last_sysmode: str
    quote_asset: str
    counts: RunCounts
    intents: tuple[Count, ...]
    orders: tuple[Count, ...]
    fills: Fills
    pnl_quote: Decimal
    fees_quote: Decimal
    trips: tuple[RoundTrip, ...]
    dust: int
    open_positions: tuple[OpenPosition, ...]
    unknown_intents: tuple[UnknownIntent, ...]
    mode_steps: tuple[ModeStep, ...]
    alerts: tuple[Count, ...]
    reconciled: Reconciled
    findings: tuple[Finding, ...]
    database: str
    trail: str
    journal: str
    records: tuple[TrackRecord, ...] = ()

    @property
    def violations(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.violated)

    @property
    def unseen(self) -> tuple[Finding, ...]:
        """Findings that hold only because there was nothing to look at."""
        return tuple(f for f in self.findings if f.holds and not f.looked_at)

    @property
    def complete_trips(self) -> int:
        return sum(trip.complete for trip in self.trips)


async def summarise(
    database: Path, trail_dir: Path, run_id: str, journal: JournalRows | None
) -> RunSummary:
    """Read one run back from its database and judge it, against the exchange's journal if given.

    Raises `StoreBusy`, `AuditUnwritable` or `OSError` when something cannot be read,
    `PayloadInvalid` when the database does not hold the run.
    """
    facts = await read_facts(ReadOnlyDatabase(database), trail_dir, run_id)
    return summary_of(facts, journal, database=str(database), trail=str(trail_dir))


def summary_of(
    facts: Facts, journal: JournalRows | None, *, database: str, trail: str
) -> RunSummary:
    """Build the summary from facts; the pure part of `summarise`."""
    run = facts.run()
    findings = check_all(facts, journal)
    trips = round_trips(facts, journal)
    own = {i.order_intent_id for i in facts.intents if i.run_id == run.run_id}
    closed = [p for p in facts.positions if not p.is_open and p.run_id == run.run_id]
    modes = [mode for mode in facts.modes if mode.run_id == run.run_id]
    return RunSummary(
        run_id=run.run_id,
        mode=run.mode,
        runs=len(facts.runs),
        killed_before=sum(not other.clean for other in facts.runs if other is not run),
        started_at_ms=run.started_at_ms,
        ended_at_ms=run.ended_at_ms,
        exit_code=run.exit_code,
        end_reasons=run.end_reasons,
        clean=run.clean,
        last_sysmode=modes[-1].mode if modes else "",
        quote_asset=facts.quote_asset,
        counts=facts.counts,
        intents=_counted(i.state for i in facts.intents if i.order_intent_id in own),
        orders=_counted(o.status for o in facts.orders if o.order_intent_id in own),
        fills=_fills(facts, journal, findings),
        pnl_quote=sum((p.realised_quote for p in closed), Decimal(0)),
        fees_quote=sum((p.fees_quote for p in closed), Decimal(0)),
        trips=trips,
        dust=sum(p.dust_qty > 0 for p in closed),
        open_positions=_open(facts),
        unknown_intents=unknown_intents(facts),
        mode_steps=tuple(
            ModeStep(
                at_ms=mode.at_ms,
                previous=mode.previous,
                mode=mode.mode,
                reason=mode.reasons[1] if len(mode.reasons) > 1 else "",
            )
            for mode in modes[1:]
        ),
        alerts=_counted(
            alert.code
            for alert in facts.alerts
            if alert.run_id == run.run_id
            and alert.severity != "INFO"
            and not alert.code.startswith("ENTER_")
        ),
        reconciled=_reconciled(facts),
        findings=findings,
        database=database,
        trail=trail,
        journal=journal.source if journal is not None else "",
        records=track_records(facts),
    )


def unknown_intents(facts: Course) -> tuple[UnknownIntent, ...]:
    """Return the mutations in doubt that this run sent or resolved.

    In doubt means: no answer came, absence had to be proven, another run settled it, or it is not
    settled yet.
    """
    silent = {e.order_intent_id for e in facts.events if _no_answer(e)}
    steps: dict[str, list[TransitionFact]] = {}
    for step in facts.transitions:
        steps.setdefault(step.order_intent_id, []).append(step)
    found = []
    for intent in facts.intents:
        own = steps.get(intent.order_intent_id, [])
        if facts.run_id not in (intent.run_id, *(step.run_id for step in own)):
            continue
        if intent.order_intent_id in silent or _in_doubt(intent, own):
            found.append(_unknown(intent, own))
    return tuple(found)


def _no_answer(event: EventFact) -> bool:
    return event.event_type.startswith("ORDER_") and "INTENT_SENT_UNKNOWN" in event.reasons


def _in_doubt(intent: IntentFact, steps: list[TransitionFact]) -> bool:
    handed_over = any(step.run_id != intent.run_id for step in steps)
    denied = any(step.to_state == "NOT_FOUND" for step in steps)
    return handed_over or denied or intent.state in _UNSETTLED


def _unknown(intent: IntentFact, steps: list[TransitionFact]) -> UnknownIntent:
    sent_ms = next((s.at_ms for s in steps if s.to_state == "SENT_UNKNOWN"), intent.created_at_ms)
    settled = intent.state not in _UNSETTLED
    return UnknownIntent(
        order_intent_id=intent.order_intent_id,
        symbol=intent.symbol,
        role=intent.role,
        resolved_as=intent.state,
        after_ms=steps[-1].at_ms - sent_ms if steps and settled else -1,
        evidence=steps[-1].evidence if steps and settled else "",
    )


def _counted(names: Iterable[str]) -> tuple[Count, ...]:
    ordered = sorted(Counter(names).items(), key=lambda item: (-item[1], item[0]))
    return tuple(Count(name=name, count=count) for name, count in ordered)


def _fills(facts: Facts, journal: JournalRows | None, findings: Iterable[Finding]) -> Fills:
    equal = next(finding for finding in findings if finding.id == "I07")
    return Fills(
        of_this_run=sum(fill.run_id == facts.run_id for fill in facts.fills),
        database=len(facts.fills),
        exchange=len(our_fills(facts, journal)) if journal is not None else -1,
        agree=journal is not None and equal.holds,
    )


def _open(facts: Facts) -> tuple[OpenPosition, ...]:
    return tuple(
        OpenPosition(
            symbol=position.symbol,
            phase=position.phase,
            qty=position.qty,
            avg_price=position.avg_price,
            tp_price=position.tp_price,
            sl_price=position.sl_price,
            protected_qty=position.protected_qty,
        )
        for position in facts.positions
        if position.is_open
    )


def _reconciled(facts: Facts) -> Reconciled:
    own = [report for report in facts.reconciles if report.run_id == facts.run_id]
    return Reconciled(
        passes=len(own),
        labels=_counted(report.label for report in own),
        worst_drift_x10000=max((report.drift_score_x10000 for report in own), default=0),
        diffs=sum(report.diffs for report in own),
    )
