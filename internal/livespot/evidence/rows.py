"""What the audit database holds, as the checks read it; states stay text, legal or not."""

from decimal import Decimal
from typing import Any

from livespot.contracts.base import Message


class RunFact(Message, frozen=True):
    run_id: str
    mode: str
    started_at_ms: int
    config_json: str
    previous_run_id: str
    ended_at_ms: int
    exit_code: int
    end_reasons: tuple[str, ...]
    clean: bool
    last_event_ms: int = 0


class IntentFact(Message, frozen=True):
    order_intent_id: str
    run_id: str
    decision_id: str
    parent_order_intent_id: str
    action: str
    role: str
    attempt: int
    symbol: str
    side: str
    client_order_id: str
    state: str
    exchange_order_id: int
    exchange_list_id: int
    last_error_code: str
    created_at_ms: int
    updated_at_ms: int

    @property
    def is_entry(self) -> bool:
        """Whether it asks the exchange to buy; a cancel of an entry does not."""
        return self.side == "BUY" and self.action != "CANCEL" and self.role in ("ENTRY", "LIST")


class TransitionFact(Message, frozen=True):
    id: int
    order_intent_id: str
    run_id: str
    from_state: str
    to_state: str
    reasons: tuple[str, ...]
    evidence: str
    at_ms: int


class AliasFact(Message, frozen=True):
    client_order_id: str
    order_intent_id: str
    role: str


class OrderFact(Message, frozen=True):
    symbol: str
    order_id: int
    client_order_id: str
    orig_client_order_id: str
    side: str
    type: str
    status: str
    orig_qty: Decimal
    executed_qty: Decimal
    order_intent_id: str
    role: str

    @property
    def own_id(self) -> str:
        """The id it was placed under, cancelled or not."""
        return self.orig_client_order_id or self.client_order_id

    @property
    def is_open(self) -> bool:
        return self.status in ("NEW", "PENDING_NEW", "PARTIALLY_FILLED", "UNKNOWN")


class FillFact(Message, frozen=True):
    symbol: str
    trade_id: int
    order_id: int
    client_order_id: str
    side: str
    price: Decimal
    qty: Decimal
    commission: Decimal
    commission_asset: str
    exchange_time_ms: int
    run_id: str
    order_intent_id: str
    decision_id: str
    source: str = ""


class PositionFact(Message, frozen=True):
    symbol: str
    position_id: str
    decision_id: str
    phase: str
    qty: Decimal
    avg_price: Decimal
    tp_price: Decimal
    sl_price: Decimal
    realised_quote: Decimal
    fees_quote: Decimal
    fee_unpriced: bool
    dust_qty: Decimal
    protection_intent_id: str
    protected_qty: Decimal
    opened_at_ms: int
    unprotected_ms: int
    closed_at_ms: int
    exit_reason: str
    run_id: str

    @property
    def is_open(self) -> bool:
        return self.phase not in ("FLAT", "DUST")


class ModeFact(Message, frozen=True):
    id: int
    run_id: str
    mode: str
    previous: str
    reasons: tuple[str, ...]
    at_ms: int


class AlertFact(Message, frozen=True):
    run_id: str
    severity: str
    code: str
    text: str
    symbol: str
    at_ms: int


class CommandFact(Message, frozen=True):
    run_id: str
    action: str
    outcome: str
    at_ms: int


class ReconcileFact(Message, frozen=True):
    run_id: str
    started_at_ms: int
    drift_score_x10000: int
    label: str
    diffs: int
    corrected: int = 0


class DecisionFact(Message, frozen=True):
    """A proposal, or what the gate made of one. `planned_qty` is 0 when it plans no entry."""

    decision_id: str
    run_id: str
    symbol: str
    outcome: str
    snapshot_id: str
    snapshot_hash: str
    planned_qty: Decimal
    original_decision_id: str
    at_ms: int
    strategy_id: str = ""
    strategy_version: str = ""
    regime: str = ""
    mode: str = ""


class SnapshotFact(Message, frozen=True):
    snapshot_id: str
    snapshot_hash: str
    at_ms: int


class GateFact(Message, frozen=True):
    decision_id: str
    run_id: str
    verdict: str
    modify_applied: bool
    at_ms: int


class VerdictFact(Message, frozen=True):
    decision_id: str
    run_id: str
    verdict: str
    approved_qty: Decimal
    at_ms: int


class EventFact(Message, frozen=True):
    """An audit event of a kind that checks look into; `data` is text when it was cut."""

    run_id: str
    seq: int
    ts_ms: int
    event_type: str
    reasons: tuple[str, ...]
    order_intent_id: str
    symbol: str
    data: Any


class TrailCheck(Message, frozen=True):
    """The result of one walk along every event and its line in the trail.

    `problems` are breaks of sequence or chain. The counts below compare files and database line by
    line, day by day; `places` names the first line of each file that differs. `pruned` events are
    known only by the anchors of their segments.
    """

    events: int
    runs: int
    problems: tuple[str, ...]
    files: int
    lines: int
    missing: int
    unknown: int
    places: tuple[str, ...] = ()
    pruned: int = 0


class FileCheck(Message, frozen=True):
    """What the database says about its own file."""

    integrity: tuple[str, ...]
    foreign_key_breaks: int
    journal_mode: str
    unique_client_ids: bool


class Count(Message, frozen=True):
    """How often something occurred."""

    name: str
    count: int


class RunCounts(Message, frozen=True):
    """Counts of one run, most frequent first.

    The three `*_reasons` count the first reason of each block: what stood in the way. Where old
    records were pruned, `cycles` and `blocked` are -1 and `strategy_reasons` is empty; `pruned`
    then says when, and where the figures can still be read. `events` counts pruned ones, too.
    """

    events: int = 0
    cycles: int = 0
    proposed: int = 0
    modified: int = 0
    blocked: int = 0
    strategy_reasons: tuple[Count, ...] = ()
    gate_verdicts: tuple[Count, ...] = ()
    gate_reasons: tuple[Count, ...] = ()
    risk_verdicts: tuple[Count, ...] = ()
    risk_reasons: tuple[Count, ...] = ()
    pruned: str = ""


class Course(Message, frozen=True):
    """How the runs went, for the figures of survival."""

    run_id: str
    runs: tuple[RunFact, ...]
    intents: tuple[IntentFact, ...] = ()
    transitions: tuple[TransitionFact, ...] = ()
    fills: tuple[FillFact, ...] = ()
    positions: tuple[PositionFact, ...] = ()
    modes: tuple[ModeFact, ...] = ()
    alerts: tuple[AlertFact, ...] = ()
    reconciles: tuple[ReconcileFact, ...] = ()
    events: tuple[EventFact, ...] = ()

    def run(self) -> RunFact:
        """Return the run that this is about."""
        return next(run for run in self.runs if run.run_id == self.run_id)


class Facts(Course, frozen=True, kw_only=True):
    """Counts of one run, and the whole ledger: what happened does not stop at the end of a run."""

    quote_asset: str
    counts: RunCounts
    trail: TrailCheck
    file: FileCheck
    aliases: tuple[AliasFact, ...] = ()
    orders: tuple[OrderFact, ...] = ()
    commands: tuple[CommandFact, ...] = ()
    decisions: tuple[DecisionFact, ...] = ()
    snapshots: tuple[SnapshotFact, ...] = ()
    gate: tuple[GateFact, ...] = ()
    verdicts: tuple[VerdictFact, ...] = ()

    def intent_of(self) -> dict[str, IntentFact]:
        """Return intents by every client id they ever used."""
        by_id = {intent.order_intent_id: intent for intent in self.intents}
        return {
            alias.client_order_id: by_id[alias.order_intent_id]
            for alias in self.aliases
            if alias.order_intent_id in by_id
        }

    def own_intents(self) -> dict[str, IntentFact]:
        """Return intents by every client id under which they sent something.

        The id of a cancel belongs to the cancel, though the order it ended bears it as well.
        """
        known = self.intent_of()
        own = {i.client_order_id: i for i in self.intents if i.client_order_id in known}
        return {**known, **own}

    def sent_at(self) -> dict[str, int]:
        """Return when each intent's row became SENT_UNKNOWN, by intent id."""
        return {
            step.order_intent_id: step.at_ms
            for step in self.transitions
            if step.to_state == "SENT_UNKNOWN"
        }
