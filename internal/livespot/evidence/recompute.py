"""Recomputes a stored decision and its risk verdicts from what the database holds of them."""

from collections.abc import Iterator
from typing import Any

import msgspec

from livespot.contracts.base import Message
from livespot.contracts.canonical import canonical_json
from livespot.contracts.decision import AIGateResult, Decision
from livespot.contracts.market import Snapshot
from livespot.contracts.settings import Settings
from livespot.contracts.vocabulary import GateVerdict
from livespot.rules.gate_answer import Patch
from livespot.rules.gate_enforcement import PatchRefused, apply_patch
from livespot.rules.risk import assess
from livespot.rules.snapshot import snapshot_hash
from livespot.rules.strategies import STRATEGIES
from livespot.rules.strategy import Blocked
from livespot.rules.thresholds import config_hash
from livespot.rules.verdict_inputs import read_inputs, view_of
from livespot.store.reader import Reader, Row, first

_DECISION = """
SELECT outcome, decision_json, snapshot_id, original_decision_id, run_id FROM decisions
WHERE decision_id = ? ORDER BY id DESC LIMIT 1
"""
_CONFIG = """
SELECT config_json FROM runs WHERE config_hash = ? ORDER BY run_id = ? DESC, rowid DESC LIMIT 1
"""
_PATCH = """
SELECT patch_redacted FROM ai_gate_events
WHERE decision_id = ? AND modify_applied = 1 ORDER BY id DESC LIMIT 1
"""
_GATE = """
SELECT enabled, verdict, reasons, model, latency_ms, input_hash, raw_hash, prompt_hash
FROM ai_gate_events WHERE decision_id = ? ORDER BY id DESC LIMIT 1
"""
_VERDICTS = """
SELECT id, verdict, approved_qty, reasons, limits_json, account_json, counters_json, inputs_json
FROM risk_verdicts WHERE decision_id = ? ORDER BY id
"""


class Compared(Message, frozen=True):
    """One stored thing compared with what today's rules compute from its inputs.

    `problem` says why it could not be recomputed. Otherwise, if it is not identical, `field` is the
    first field that differs.
    """

    subject: str
    identical: bool
    field: str = ""
    stored: str = ""
    recomputed: str = ""
    problem: str = ""


class Recomputation(Message, frozen=True):
    """Everything compared for one decision, in the order in which it happened."""

    decision_id: str
    compared: tuple[Compared, ...]

    @property
    def identical(self) -> bool:
        return all(item.identical for item in self.compared)


class _Unreachable(Exception):
    """An input is not stored or cannot be read. Never leaves this module."""


async def recompute(reader: Reader, decision_id: str) -> Recomputation:
    """Recompute snapshot, decision, the gate's change and every risk verdict.

    Raises `StoreBusy` or `AuditUnwritable` when the database cannot be read.
    """
    compared: list[Compared] = []
    try:
        case = await _Case.read(reader, decision_id)
        compared += case.decisions()
        for row in await reader.rows(_VERDICTS, (decision_id,)):
            compared.append(await _verdict(reader, case, row))
    except _Unreachable as error:
        compared.append(Compared(subject="inputs", identical=False, problem=str(error)))
    return Recomputation(decision_id=decision_id, compared=tuple(compared))


class _Case(msgspec.Struct, frozen=True, kw_only=True):
    """A decision with its inputs; `patch` and `original` are set when the gate changed it."""

    decision: Decision
    snapshot: Snapshot
    settings: Settings
    gate: AIGateResult | None
    original: Decision | None
    patch: Patch | None

    @classmethod
    async def read(cls, reader: Reader, decision_id: str) -> "_Case":
        decision, snapshot_id, original_id, run_id = await _decision(reader, decision_id)
        snapshot = await _snapshot(reader, snapshot_id)
        row = await first(reader, _CONFIG, (snapshot.config_hash, run_id))
        if row is None:
            raise _Unreachable(f"no run kept the settings {snapshot.config_hash}")
        original, patch = None, None
        if original_id:
            original, *_ = await _decision(reader, original_id)
            found = await first(reader, _PATCH, (original_id,))
            if found is None:
                raise _Unreachable(f"the gate's change of {original_id} is not stored")
            patch = _read(found[0], Patch, "the gate's change")
        return cls(
            decision=decision,
            snapshot=snapshot,
            settings=_read(row[0], Settings, "the settings"),
            gate=decision.ai_gate or await _gate(reader, decision_id),
            original=original,
            patch=patch,
        )

    def decisions(self) -> Iterator[Compared]:
        """Compare hashes of settings and snapshot, the proposal, and the gate's change to it."""
        snapshot = self.snapshot
        yield _texts("settings", "config_hash", snapshot.config_hash, config_hash(self.settings))
        yield _texts("snapshot", "snapshot_hash", snapshot.snapshot_hash, snapshot_hash(snapshot))
        proposal = self.original or self.decision
        strategy = STRATEGIES.get((proposal.strategy_id, proposal.strategy_version))
        if strategy is None:
            known = f"{proposal.strategy_id} {proposal.strategy_version}"
            yield Compared(
                subject="decision",
                identical=False,
                problem=f"this program does not carry the strategy {known}",
            )
            return
        again = strategy.propose(
            snapshot,
            self.settings,
            mode=proposal.mode,
            cycle_id=proposal.cycle_id,
            now_ms=proposal.ts_ms,
        )
        if isinstance(again, Blocked):
            why = ", ".join(again.reasons)
            yield Compared(
                subject="decision",
                identical=False,
                field="outcome",
                stored="PROPOSED",
                recomputed=f"BLOCKED by {why}",
            )
            return
        yield _compared("decision", _bare(proposal), _bare(again))
        if self.patch is not None:
            yield self._patched(again, self.patch)

    def _patched(self, proposal: Decision, patch: Patch) -> Compared:
        changed = apply_patch(proposal, patch, config_hash=self.snapshot.config_hash)
        if isinstance(changed, PatchRefused):
            return Compared(
                subject="gate's change",
                identical=False,
                field=changed.field,
                stored="applied",
                recomputed=f"refused: {changed.rule}",
            )
        return _compared("gate's change", _bare(self.decision), _bare(changed))


async def _verdict(reader: Reader, case: _Case, row: Row) -> Compared:
    """Compare one stored verdict with `assess` on the inputs in its own row."""
    number, verdict, approved, reasons, limits, account_json, counters_json, inputs_json = row
    subject = f"risk verdict {number}"
    try:
        inputs = read_inputs(account_json, counters_json, inputs_json)
        snapshot = await _snapshot(reader, inputs.circumstances.snapshot_id)
    except (msgspec.ValidationError, _Unreachable) as error:
        problem = f"its row does not hold all it looked at: {error}"
        return Compared(subject=subject, identical=False, problem=problem)
    judged = inputs.circumstances.decision
    if judged is None:
        judged = msgspec.structs.replace(case.decision, ai_gate=case.gate)
    again = assess(judged, snapshot, view_of(inputs, case.settings))
    stored = {
        "verdict": verdict,
        "approved_qty": approved,
        "reasons": msgspec.json.decode(reasons),
        "limits": msgspec.json.decode(limits),
    }
    recomputed = _tree(again)
    return _compared(subject, stored, {name: recomputed[name] for name in stored})


async def _decision(reader: Reader, decision_id: str) -> tuple[Decision, str, str, str]:
    row = await first(reader, _DECISION, (decision_id,))
    if row is None:
        raise _Unreachable(f"decision {decision_id} is not stored")
    _, text, snapshot_id, original_id, run_id = row
    return _read(text, Decision, "the decision"), snapshot_id, original_id, run_id


async def _snapshot(reader: Reader, snapshot_id: str) -> Snapshot:
    row = await first(
        reader, "SELECT snapshot_json FROM snapshots WHERE snapshot_id = ?", (snapshot_id,)
    )
    if row is None:
        raise _Unreachable(f"snapshot {snapshot_id} is not stored")
    snapshot: Snapshot = _read(row[0], Snapshot, "the snapshot")
    return snapshot


async def _gate(reader: Reader, decision_id: str) -> AIGateResult | None:
    row = await first(reader, _GATE, (decision_id,))
    if row is None:
        return None
    enabled, verdict, reasons, model, latency_ms, input_hash, raw_hash, prompt_hash = row
    return AIGateResult(
        enabled=bool(enabled),
        verdict=GateVerdict(verdict),
        reasons=tuple(msgspec.json.decode(reasons)),
        model=model,
        latency_ms=latency_ms,
        input_hash=input_hash,
        raw_hash=raw_hash,
        prompt_hash=prompt_hash,
    )


def _read(text: str, kind: Any, name: str) -> Any:
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError as error:
        raise _Unreachable(f"{name} cannot be read: {error}") from error


def _bare(decision: Decision) -> dict[str, Any]:
    """Return a decision without what was added later, and without the stage it had reached."""
    tree = _tree(decision)
    for name in ("ai_gate", "risk_verdict", "stage"):
        del tree[name]
    return tree


def _tree(value: object) -> dict[str, Any]:
    """Return the value as stored, with numbers as their texts."""
    tree: dict[str, Any] = msgspec.json.decode(canonical_json(value))
    return tree


def _texts(subject: str, field: str, stored: str, recomputed: str) -> Compared:
    return _compared(subject, {field: stored}, {field: recomputed})


def _compared(subject: str, stored: dict[str, Any], recomputed: dict[str, Any]) -> Compared:
    for field, left, right in _leaves("", stored, recomputed):
        if left != right:
            return Compared(
                subject=subject,
                identical=False,
                field=field,
                stored=str(left),
                recomputed=str(right),
            )
    return Compared(subject=subject, identical=True)


def _leaves(path: str, left: Any, right: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield (dotted path, left, right) of every leaf; a branch that one side lacks is a leaf."""
    if isinstance(left, dict) and isinstance(right, dict):
        for name in sorted(left.keys() | right.keys()):
            yield from _leaves(f"{path}.{name}" if path else name, left.get(name), right.get(name))
    else:
        yield path, left, right
