"""A history with much that is old enough to be pruned: a trade, a long run, one much later."""

from collections.abc import Iterator
from pathlib import Path

from livespot.contracts.audit import AuditDraft, AuditEntry
from livespot.contracts.canonical import canonical_json
from livespot.contracts.chain import Place, SealedEvent, seal
from livespot.contracts.codes import ReasonCode
from livespot.contracts.records import (
    CycleRanking,
    CycleSelection,
    DecisionRow,
    HealthSample,
    Record,
    RunEnded,
    RunStarted,
    SnapshotRow,
    UniverseScan,
)
from livespot.contracts.redaction import Redactor
from livespot.contracts.vocabulary import EventType, Mode, Stage
from livespot.runtime.disk import RealDisk
from livespot.store.connection import Database
from livespot.store.queries import LedgerQueries
from livespot.store.reader import ReadOnlyDatabase
from livespot.store.trail import JsonlTrail
from livespot.testing import finished_run
from livespot.testing import ledger_rows as rows
from livespot.testing.finished_run_journal import START_MS

DAY_MS = 86_400_000
LONG, LATER = "run_20260102_000000_000001", "run_20260501_000000_000002"
LONG_MS = START_MS + DAY_MS
LATER_MS = START_MS + 120 * DAY_MS
# Events of the long run between its first and its last.
ROUTINE_EVENTS = 1300
ALERT_AT = 700


async def told(directory: Path) -> Path:
    """Write database and trail below `directory` (`data/`, `logs/`); the database's path."""
    path = await finished_run.told(directory)
    for run_id, entries in ((LONG, [*_long()]), (LATER, [*_later()])):
        last = await LedgerQueries(ReadOnlyDatabase(path)).last_run()
        before = "" if last is None else last.last_hash
        events: list[SealedEvent] = []
        for entry in entries:
            place = Place(
                run_id=run_id,
                mode=Mode.SIM,
                seq=len(events) + 1,
                ts_ms=entry.draft.ts_ms,
                prev_hash=events[-1].hash if events else before,
            )
            events.append(seal(entry.draft, canonical_json(entry.draft.data), place))
        database = await Database.open(path, run_id=run_id, redactor=Redactor())
        try:
            await database.transaction([*events, *(r for entry in entries for r in entry.records)])
        finally:
            await database.close()
        JsonlTrail(RealDisk(), directory / "logs", ReadOnlyDatabase(path)).append(events)
    return path


def _long() -> Iterator[AuditEntry]:
    yield _start(LONG, LONG_MS)
    for number in range(1, ROUTINE_EVENTS + 1):
        if number == ALERT_AT:
            # Not a routine event, so the segment before it ends here.
            yield _entry(EventType.OPERATOR_COMMAND, LONG_MS + number)
        else:
            yield _entry(EventType.TOPK_SELECTION, LONG_MS + number, *_rows(number))
    yield _end(LONG, LONG_MS + 2_000)


def _later() -> Iterator[AuditEntry]:
    yield _start(LATER, LATER_MS)
    for number in range(1, 41):
        yield _entry(EventType.TIME_SYNC, LATER_MS + number)
    yield _end(LATER, LATER_MS + 100)


def _rows(number: int) -> Iterator[Record]:
    at_ms, cycle, symbol = LONG_MS + number, f"c{number}", f"S{number % 3}USDT"
    yield HealthSample(at_ms=at_ms, sample_json="{}")
    yield SnapshotRow(
        snapshot_id=f"snap_{number}",
        snapshot_hash=f"{number:064d}",
        symbol=symbol,
        cycle_id=cycle,
        exchange_time_ms=at_ms,
        snapshot_json="{}",
        at_ms=at_ms,
    )
    yield DecisionRow(
        decision_id="",
        cycle_id=cycle,
        symbol=symbol,
        outcome="BLOCKED",
        snapshot_id=f"snap_{number}",
        edge_score_x10000=0,
        edge_bps_expected=0,
        reasons=(ReasonCode.STRAT_REGIME_WEAK,),
        decision_json="{}",
        original_decision_id="",
        at_ms=at_ms,
    )
    yield UniverseScan(
        cycle_id=cycle, symbol=symbol, eligible=True, reasons=(), features_json="{}", at_ms=at_ms
    )
    yield CycleRanking(
        cycle_id=cycle,
        kind="TOPN",
        rank=1,
        symbol=symbol,
        score_x10000=1,
        dropped=False,
        reasons=(),
        features_json="{}",
        config_hash="c",
        at_ms=at_ms,
    )
    yield CycleSelection(
        cycle_id=cycle,
        rank=1,
        symbol=symbol,
        score_x10000=1,
        chosen=True,
        incumbent_cycles=0,
        reasons=(),
        features_json="{}",
        config_hash="c",
        at_ms=at_ms,
    )


def _start(run_id: str, at_ms: int) -> AuditEntry:
    row: RunStarted = rows.run_started(run_id, at_ms)
    return _entry(EventType.RUN_STARTED, at_ms, row)


def _end(run_id: str, at_ms: int) -> AuditEntry:
    reasons = (ReasonCode.OPERATOR_STOP,)
    row = RunEnded(run_id=run_id, ended_at_ms=at_ms, exit_code=10, reasons=reasons, clean=True)
    return _entry(EventType.RUN_ENDED, at_ms, row)


def _entry(kind: EventType, at_ms: int, *records: Record) -> AuditEntry:
    draft = AuditDraft(event_type=kind, stage=Stage.STATE_UPDATE, ts_ms=at_ms, data={"at": at_ms})
    return AuditEntry(draft=draft, records=records)
