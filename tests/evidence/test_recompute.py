"""A decision the gate has changed follows again too; what is missing is named."""

from pathlib import Path

import msgspec
import pytest

from livespot.contracts.canonical import canonical_json
from livespot.contracts.decision import Decision
from livespot.contracts.records import (
    DecisionRow,
    GateEventRow,
    Record,
    RiskVerdictRow,
    SnapshotRow,
)
from livespot.contracts.settings import Settings
from livespot.contracts.vocabulary import GateVerdict
from livespot.evidence.recompute import Recomputation, recompute
from livespot.rules.gate_answer import EntryPatch, Patch
from livespot.rules.gate_enforcement import apply_patch
from livespot.rules.risk import assess
from livespot.rules.snapshot import snapshot_json
from livespot.rules.thresholds import config_hash
from livespot.rules.verdict_inputs import inputs_of
from livespot.store.reader import ReadOnlyDatabase
from livespot.testing import ledger_rows as rows
from livespot.testing.market_values import NOW_MS, a_snapshot
from livespot.testing.risk_values import a_gate_result, a_view, an_entry

_SETTINGS = Settings()
_SNAPSHOT = a_snapshot(_SETTINGS)
_PATCH = Patch(entry_plan=EntryPatch(qty="0.5", max_reprices=1))
_ORIGINAL = msgspec.structs.replace(an_entry(_SNAPSHOT), ai_gate=None)
_GATE = a_gate_result(
    verdict=GateVerdict.MODIFY,
    modify_applied=True,
    patch_redacted='{"entry_plan":{"max_reprices":1,"qty":"0.5"}}',
    original_decision_id=_ORIGINAL.decision_id,
)


def _reduced() -> Decision:
    changed = apply_patch(_ORIGINAL, _PATCH, config_hash=_SNAPSHOT.config_hash)
    assert isinstance(changed, Decision)
    return msgspec.structs.replace(changed, ai_gate=_GATE)


def _row(decision: Decision, outcome: str, original: str = "") -> DecisionRow:
    return DecisionRow(
        decision_id=decision.decision_id,
        cycle_id=decision.cycle_id,
        symbol=decision.symbol,
        outcome=outcome,
        snapshot_id=decision.snapshot_id,
        edge_score_x10000=decision.edge_score_x10000,
        edge_bps_expected=decision.edge_bps_expected,
        reasons=decision.reasons,
        decision_json=canonical_json(decision).decode(),
        original_decision_id=original,
        at_ms=NOW_MS,
    )


def _asked(patch: str) -> GateEventRow:
    return GateEventRow(
        cycle_id="cyc_1",
        decision_id=_ORIGINAL.decision_id,
        snapshot_id=_ORIGINAL.snapshot_id,
        snapshot_hash=_ORIGINAL.snapshot_hash,
        input_hash=_GATE.input_hash,
        raw_hash=_GATE.raw_hash,
        prompt_hash=_GATE.prompt_hash,
        enabled=True,
        verdict=GateVerdict.MODIFY,
        reasons=(),
        model="m",
        latency_ms=5,
        modify_applied=True,
        patch_redacted=patch,
        error_code="",
        error_detail_redacted="",
        at_ms=NOW_MS,
    )


def _judged(decision: Decision) -> RiskVerdictRow:
    view = a_view(settings=_SETTINGS)
    verdict, inputs = assess(decision, _SNAPSHOT, view), inputs_of(view, decision, seen_at_ms=1)
    return RiskVerdictRow(
        decision_id=decision.decision_id,
        cycle_id=decision.cycle_id,
        symbol=decision.symbol,
        verdict=verdict.verdict,
        approved_qty=verdict.approved_qty,
        reasons=verdict.reasons,
        limits_json=canonical_json(verdict.limits).decode(),
        account_json=canonical_json(inputs.account).decode(),
        counters_json=canonical_json(inputs.counters).decode(),
        at_ms=NOW_MS,
        inputs_json=canonical_json(inputs.circumstances).decode(),
    )


def _story(patch: str = _GATE.patch_redacted) -> list[Record]:
    reduced = _reduced()
    started = msgspec.structs.replace(
        rows.run_started(),
        config_hash=config_hash(_SETTINGS),
        config_json=canonical_json(_SETTINGS).decode(),
    )
    seen = SnapshotRow(
        snapshot_id=_SNAPSHOT.snapshot_id,
        snapshot_hash=_SNAPSHOT.snapshot_hash,
        symbol=_SNAPSHOT.symbol,
        cycle_id="cyc_1",
        exchange_time_ms=_SNAPSHOT.exchange_time_ms,
        snapshot_json=snapshot_json(_SNAPSHOT).decode(),
        at_ms=NOW_MS,
    )
    return [
        started,
        seen,
        _row(_ORIGINAL, "PROPOSED"),
        _asked(patch),
        _row(reduced, "MODIFIED", _ORIGINAL.decision_id),
        _judged(reduced),
    ]


async def _recomputed(directory: Path, story: list[Record], decision_id: str) -> Recomputation:
    path = rows.fresh(directory)
    database = await rows.opened(path)
    try:
        await database.transaction(story)
    finally:
        await database.close()
    return await recompute(ReadOnlyDatabase(path), decision_id)


async def test_a_reduced_decision_follows_from_the_original_and_the_change(tmp_path: Path) -> None:
    told = await _recomputed(tmp_path, _story(), _reduced().decision_id)

    assert told.identical, told.compared
    assert [item.subject for item in told.compared] == [
        "settings",
        "snapshot",
        "decision",
        "gate's change",
        "risk verdict 1",
    ]


async def test_another_change_gives_another_decision(tmp_path: Path) -> None:
    story = _story('{"entry_plan":{"max_reprices":1,"qty":"0.6"}}')

    told = await _recomputed(tmp_path, story, _reduced().decision_id)

    [differing] = [item for item in told.compared if not item.identical]
    assert (differing.subject, differing.field) == ("gate's change", "decision_id")


async def test_a_change_that_reduces_nothing_is_refused(tmp_path: Path) -> None:
    story = _story('{"entry_plan":{"qty":"9999"}}')

    told = await _recomputed(tmp_path, story, _reduced().decision_id)

    [differing] = [item for item in told.compared if not item.identical]
    assert (differing.field, differing.recomputed) == ("qty", "refused: may only be lowered")


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        ("RunStarted", "no run kept the settings"),
        ("SnapshotRow", "is not stored"),
        ("GateEventRow", "the gate's change of"),
    ],
)
async def test_what_is_not_stored_is_named(tmp_path: Path, kind: str, problem: str) -> None:
    story = [record for record in _story() if type(record).__name__ != kind]

    told = await _recomputed(tmp_path, story, _reduced().decision_id)

    assert not told.identical
    assert problem in told.compared[-1].problem


async def test_a_verdict_of_an_older_version_says_that_its_row_holds_too_little(
    tmp_path: Path,
) -> None:
    story = [
        msgspec.structs.replace(record, inputs_json="{}", account_json="{}")
        if isinstance(record, RiskVerdictRow)
        else record
        for record in _story()
    ]

    told = await _recomputed(tmp_path, story, _reduced().decision_id)

    [differing] = [item for item in told.compared if not item.identical]
    assert "its row does not hold all it looked at" in differing.problem
