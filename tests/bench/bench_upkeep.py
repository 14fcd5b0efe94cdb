"""What the upkeep of the records adds to a commit that an order waits for."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median

import anyio
import pytest
from tests.bench.report import Figure, report

from livespot.actors.audit import AuditWriter
from livespot.contracts.audit import AuditDraft, AuditEntry
from livespot.contracts.canonical import canonical_json
from livespot.contracts.chain import Place, SealedEvent, seal
from livespot.contracts.records import HealthSample, Record, UniverseScan
from livespot.contracts.redaction import Redactor
from livespot.contracts.settings import AuditSettings, Settings
from livespot.contracts.vocabulary import EventType, Mode, Stage
from livespot.rules.retention import DAY_MS
from livespot.runtime.clock import SystemClock
from livespot.runtime.disk import RealDisk
from livespot.runtime.paths import Paths
from livespot.runtime.upkeep import Upkeep
from livespot.store.connection import Database
from livespot.store.reader import ReadOnlyDatabase
from livespot.store.trail import JsonlTrail
from livespot.testing import ledger_rows as rows

pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]

_DAYS, _EVENTS = 4, 6000
_COMMITS = 600
_EVERY_SECONDS = 0.02
_MOST_ADDED_MS = 25.0
_ROOM = 10**12


async def _aged(directory: Path, now_ms: int) -> tuple[Paths, list[SealedEvent]]:
    """Some days of a hundred days ago: `_EVENTS` routine events a day with a row or two each."""
    path = rows.fresh(directory)
    events: list[SealedEvent] = []
    records: list[Record] = [rows.run_started()]
    database = await rows.opened(path)
    for number in range(_DAYS * _EVENTS):
        at_ms = now_ms - 100 * DAY_MS + number * DAY_MS // _EVENTS
        kind = EventType.TOPK_SELECTION if number else EventType.RUN_STARTED
        draft = AuditDraft(event_type=kind, stage=Stage.STATE_UPDATE, ts_ms=at_ms)
        before = events[-1].hash if events else ""
        place = Place(run_id=rows.RUN, mode=Mode.SIM, seq=number + 1, ts_ms=at_ms, prev_hash=before)
        events.append(seal(draft, canonical_json({"number": number, "text": "x" * 300}), place))
        scan = UniverseScan(
            cycle_id=f"c{number}",
            symbol=f"S{number % 20}USDT",
            eligible=True,
            reasons=(),
            features_json="{}",
            at_ms=at_ms,
        )
        records += [HealthSample(at_ms=at_ms, sample_json="{}"), scan]
    await database.transaction([*events, *records])
    await database.close()
    paths = Paths(var=directory)
    paths.logs.mkdir()
    JsonlTrail(RealDisk(), paths.logs, ReadOnlyDatabase(path)).append(events)
    return paths, events


@asynccontextmanager
async def _writing(paths: Paths, events: list[SealedEvent]) -> AsyncIterator[AuditWriter]:
    writer = AuditWriter(
        run_id=rows.RUN,
        mode=Mode.SIM,
        store=await Database.open(paths.database, run_id=rows.RUN, redactor=Redactor()),
        trail=JsonlTrail(RealDisk(), paths.logs, ReadOnlyDatabase(paths.database)),
        clock=SystemClock(),
        settings=AuditSettings(),
        redactor=Redactor(),
        first_seq=len(events) + 1,
        prev_hash=events[-1].hash,
    )
    async with anyio.create_task_group() as group:
        await group.start(writer.run)
        yield writer
        writer.close()


async def _commit(writer: AuditWriter, taken: list[float], number: int, due: float) -> None:
    """One intent on its way to the disk; milliseconds from when it was due."""
    draft = AuditDraft(
        event_type=EventType.INTENT_STATE_CHANGED,
        stage=Stage.EXECUTE_INTENT,
        ts_ms=SystemClock().now_ms(),
    )
    await writer.commit(AuditEntry(draft=draft, records=(rows.created(f"i{number}"),)))
    taken.append(1000 * (time.perf_counter() - due))


async def _commits(writer: AuditWriter, first: int, ended: anyio.Event | None) -> list[float]:
    """At a steady pace: a number of them, or until something else has ended."""
    taken: list[float] = []
    due, number = time.perf_counter(), first
    while (number < first + _COMMITS) if ended is None else not ended.is_set():
        await anyio.sleep(max(0.0, due - time.perf_counter()))
        await _commit(writer, taken, number, due)
        due = max(due + _EVERY_SECONDS, time.perf_counter() - 1)
        number += 1
    return taken


def _p99(taken: list[float]) -> float:
    return sorted(taken)[int(0.99 * len(taken))]


async def test_upkeep_adds_little_to_a_commit(tmp_path: Path) -> None:
    clock = SystemClock()
    paths, events = await _aged(tmp_path, clock.now_ms())
    told: list[object] = []
    async with _writing(paths, events) as writer:
        alone = await _commits(writer, 0, None)
        ended = anyio.Event()
        beside: list[float] = []

        async def measure() -> None:
            beside.extend(await _commits(writer, _COMMITS, ended))

        async with anyio.create_task_group() as group:
            group.start_soon(measure)
            began = time.perf_counter()
            await Upkeep(
                paths=paths,
                settings=Settings(),
                market=clock,
                audit=writer,
                free_bytes=lambda: _ROOM,
                tell=told.append,
            ).look()
            lasted = time.perf_counter() - began
            ended.set()
    left = await ReadOnlyDatabase(paths.database).rows(
        "SELECT sum(last_seq - first_seq + 1) FROM chain_anchors"
    )

    assert told == []
    report(
        "a commit that an order waits for, beside a backup and the pruning of old records",
        Figure("commits alone", len(alone), ""),
        Figure("commits beside the upkeep", len(beside), ""),
        Figure("events pruned", int(left[0][0]), ""),
        Figure("the upkeep lasted", lasted, "s"),
        Figure("median alone", median(alone), "ms"),
        Figure("median beside", median(beside), "ms"),
        Figure("p99 alone", _p99(alone), "ms"),
        Figure("p99 beside", _p99(beside), "ms"),
        Figure("p99 added", _p99(beside) - _p99(alone), "ms", most=_MOST_ADDED_MS),
        Figure("the longest alone", max(alone), "ms"),
        Figure("the longest beside", max(beside), "ms"),
    )
