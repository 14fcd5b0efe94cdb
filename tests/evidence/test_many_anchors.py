"""However many segments were pruned, holding them against their events takes little memory."""

import sqlite3
import tracemalloc
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from livespot.contracts.audit import AuditDraft
from livespot.contracts.canonical import canonical_json
from livespot.contracts.chain import Place, SealedEvent, seal
from livespot.contracts.records import ChainAnchor
from livespot.contracts.redaction import Redactor
from livespot.contracts.vocabulary import EventType, Mode, Stage
from livespot.evidence.rows import TrailCheck
from livespot.evidence.trail_walk import walk
from livespot.evidence.upkeep_events import SignedOff
from livespot.store.anchors import AnchorPages
from livespot.store.connection import Database
from livespot.store.queries import LedgerQueries
from livespot.store.reader import ReadOnlyDatabase
from livespot.testing import finished_run
from livespot.testing.ledger_rows import run_started

pytestmark = pytest.mark.slow

RUN = "run_20260501_000000_000009"
AT_MS = 1_777_593_600_000
LONG_AGO = 10**6
STEP = 100


def anchor(number: int) -> ChainAnchor:
    first = LONG_AGO + number * STEP
    return ChainAnchor(
        run_id="run",
        first_row=first,
        last_row=first + 9,
        first_seq=first,
        last_seq=first + 9,
        from_ms=1,
        until_ms=2,
        prev_hash=f"{number:064d}",
        last_hash=f"{number + 1:064d}",
    )


def stated(anchor: ChainAnchor) -> dict[str, Any]:
    said: dict[str, Any] = msgspec.to_builtins(anchor)
    del said["type"]
    return said


def stating(anchor: ChainAnchor) -> AuditDraft:
    return AuditDraft(
        event_type=EventType.DAILY_SUMMARY,
        stage=Stage.REPORT_DAILY_SUMMARY,
        ts_ms=AT_MS,
        data={"upkeep": "anchor", **stated(anchor)},
    )


async def with_anchors(directory: Path, count: int) -> Path:
    """A database with so many anchors, each stated by an event of a run behind the others."""
    path = await finished_run.told(directory)
    last = await LedgerQueries(ReadOnlyDatabase(path)).last_run()
    assert last is not None
    anchors = [anchor(number) for number in range(count)]
    start = AuditDraft(event_type=EventType.RUN_STARTED, stage=Stage.BOOT, ts_ms=AT_MS)
    drafts = [start, *(stating(one) for one in anchors)]
    events: list[SealedEvent] = []
    for seq, draft in enumerate(drafts, start=1):
        before = events[-1].hash if events else last.last_hash
        place = Place(run_id=RUN, mode=Mode.SIM, seq=seq, ts_ms=AT_MS, prev_hash=before)
        events.append(seal(draft, canonical_json(draft.data), place))
    database = await Database.open(path, run_id=RUN, redactor=Redactor())
    try:
        await database.transaction([events[0], run_started(RUN, AT_MS), *events[1:]])
    finally:
        await database.close()
    fields = ChainAnchor.__struct_fields__
    with closing(sqlite3.connect(path)) as connection, connection:
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'trigger'"
        ).fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.executemany(
            f"INSERT INTO chain_anchors ({', '.join(fields)}) "  # noqa: S608
            f"VALUES ({', '.join('?' * len(fields))})",
            [tuple(getattr(one, name) for name in fields) for one in anchors],
        )
    return path


async def walked(directory: Path, count: int) -> tuple[TrailCheck, int]:
    path = await with_anchors(directory, count)
    tracemalloc.start()
    try:
        check = await walk(ReadOnlyDatabase(path), directory / "logs")
        return check, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


async def test_three_times_as_many_anchors_take_no_more_memory(tmp_path: Path) -> None:
    few, some = await walked(tmp_path / "few", 1_500)
    many, more = await walked(tmp_path / "many", 4_500)

    assert (few.pruned, many.pruned) == (15_000, 45_000)
    assert many.problems == ()
    assert more < 1.5 * some


async def test_the_pages_hand_out_each_anchor_once_and_in_order(tmp_path: Path) -> None:
    pages = AnchorPages(ReadOnlyDatabase(await with_anchors(tmp_path, 1_200)))

    first = await pages.before(LONG_AGO + 3 * STEP)
    middle = await pages.before(LONG_AGO + 1_100 * STEP)
    rest = [one async for one in pages.rest()]

    assert first == [anchor(number) for number in range(3)]
    assert [*first, *middle, *rest] == [anchor(number) for number in range(1_200)]
    assert await pages.before(10**9) == []


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        pytest.param(
            "DELETE FROM chain_anchors WHERE first_row = 1030000",
            ["event 1030000 to event 1030009 of run is pruned, and its anchor is gone"],
            id="gone",
        ),
        pytest.param(
            "UPDATE audit_events SET data = '{}' WHERE data LIKE '%1030000%'",
            ["event 1030000 to event 1030009 of run is pruned, and no event says so"],
            id="unstated",
        ),
        pytest.param(
            "UPDATE chain_anchors SET until_ms = 3 WHERE first_row = 1030000",
            ["event 1030000 to event 1030009 of run is pruned, and no event says so"],
            id="changed",
        ),
    ],
)
async def test_the_one_anchor_among_many_that_does_not_fit_is_named(
    tmp_path: Path, sql: str, words: list[str]
) -> None:
    path = await with_anchors(tmp_path, 600)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(sql)

    problems = (await walk(ReadOnlyDatabase(path), tmp_path / "logs")).problems

    assert [text for text in problems if "pruned" in text] == words


async def test_an_anchor_that_two_events_state_is_told_of(tmp_path: Path) -> None:
    reader = ReadOnlyDatabase(await with_anchors(tmp_path, 1))
    signed = SignedOff()
    signed.anchor(anchor(0))
    signed.stated(stated(anchor(0)))
    assert await signed.problems(reader, most=20) == []

    signed.stated(stated(anchor(0)))

    assert await signed.problems(reader, most=20) == [
        "an anchor of a pruned event is stated more than once"
    ]
