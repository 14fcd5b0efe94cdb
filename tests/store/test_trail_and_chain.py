"""The JSONL trail is mended from the database, and the chain names the row that was touched."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from livespot.contracts.chain import SealedEvent
from livespot.runtime.disk import RealDisk
from livespot.store.chain import verify_chain
from livespot.store.reader import ReadOnlyDatabase
from livespot.store.trail import JsonlTrail
from livespot.testing.ledger_rows import NOW_MS, RUN, chain, fresh, opened

DAY_MS = 86_400_000


async def history(tmp_path: Path, events: list[SealedEvent]) -> tuple[Path, JsonlTrail]:
    path = fresh(tmp_path)
    database = await opened(path)
    await database.transaction(events)
    await database.close()
    (tmp_path / "logs").mkdir()
    return path, JsonlTrail(RealDisk(), tmp_path / "logs", ReadOnlyDatabase(path))


def tamper(path: Path, sql: str) -> None:
    """Change history the way only somebody with the file can: without the triggers."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit_events'"
        ).fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(sql)


async def test_an_untouched_chain_is_whole(tmp_path: Path) -> None:
    events = chain(1500)
    path, _ = await history(tmp_path, events)

    report = await verify_chain(ReadOnlyDatabase(path))

    assert (report.events, report.last_hash, report.broken) == (1500, events[-1].hash, None)


@pytest.mark.parametrize(
    ("sql", "seq"),
    [
        pytest.param("UPDATE audit_events SET symbol = 'X' WHERE seq = 4", 4, id="edited"),
        pytest.param("UPDATE audit_events SET data = '{}' WHERE seq = 5", 5, id="data-edited"),
        pytest.param("DELETE FROM audit_events WHERE seq = 3", 4, id="removed"),
        pytest.param("UPDATE audit_events SET run_id = 'r' WHERE seq = 2", 2, id="moved"),
    ],
)
async def test_the_first_touched_event_is_named(tmp_path: Path, sql: str, seq: int) -> None:
    path, _ = await history(tmp_path, chain(6))
    tamper(path, sql)

    report = await verify_chain(ReadOnlyDatabase(path))

    assert report.broken is not None
    assert report.broken.seq == seq


async def test_a_whole_trail_needs_no_repair(tmp_path: Path) -> None:
    events = chain(5)
    _, trail = await history(tmp_path, events)
    trail.append(events)

    assert not (await trail.repair()).needed


@pytest.mark.parametrize(
    ("kept", "tail", "added", "removed"),
    [
        pytest.param(3, b"", 2, 0, id="behind"),
        pytest.param(4, b'{"seq": 5, "ha', 1, 1, id="torn"),
        pytest.param(5, b"{}\n", 0, 1, id="stray"),
        pytest.param(5, b'{"hash": "\xff"}\n', 0, 1, id="no text"),
        pytest.param(0, b"", 5, 0, id="missing"),
    ],
)
async def test_a_trail_is_made_equal_to_the_database(
    tmp_path: Path, kept: int, tail: bytes, added: int, removed: int
) -> None:
    events = chain(5)
    _, trail = await history(tmp_path, events)
    trail.append(events[:kept])
    path = trail.path_of(NOW_MS // DAY_MS)
    if tail:
        RealDisk().append(path, tail)

    repair = await trail.repair()

    assert (repair.added, repair.removed) == (added, removed)
    assert path.read_bytes() == b"".join(event.line + b"\n" for event in events)
    assert not (await trail.repair()).needed


async def test_lines_of_a_later_history_are_set_aside(tmp_path: Path) -> None:
    events = chain(5)
    _, trail = await history(tmp_path, events[:3])
    trail.append(events)

    repair = await trail.repair()

    path = trail.path_of(NOW_MS // DAY_MS)
    assert (repair.unknown, repair.removed) == (2, 2)
    assert len(path.read_bytes().splitlines()) == 3
    aside = path.with_name(path.name + ".unknown").read_bytes().splitlines()
    assert [json.loads(line)["seq"] for line in aside] == [4, 5]


async def test_events_go_to_the_file_of_their_own_day(tmp_path: Path) -> None:
    first = chain(2)
    second = chain(2, ts_ms=NOW_MS + DAY_MS, run_id="run_2", prev=first[-1].hash)
    _, trail = await history(tmp_path, [*first, *second])

    trail.append([*first, *second])

    names = [file.name for file in sorted((tmp_path / "logs").iterdir())]
    assert names == ["audit-2026-01-01.jsonl", "audit-2026-01-02.jsonl"]
    assert not (await trail.repair()).needed
    assert RUN in (tmp_path / "logs" / names[0]).read_text()
