"""What the upkeep finds to do in a history, whatever state a copy or a crash left its files in."""

import gzip
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from livespot.rules.retention import DAY_MS, ROUTINE, day_of
from livespot.runtime.disk import RealDisk
from livespot.runtime.paths import Paths
from livespot.store.day_files import packed_name, plain_name, unpacked
from livespot.store.upkeep import UpkeepOrder, UpkeepPlan, plan_upkeep
from livespot.testing import aged_run
from livespot.testing.finished_run_journal import START_MS

pytestmark = pytest.mark.slow

NOW_MS = aged_run.LATER_MS + DAY_MS
FIRST_DAY = day_of(START_MS)


@pytest.fixture(scope="module")
def aged(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    directory = tmp_path_factory.mktemp("aged")
    anyio.run(aged_run.told, directory)
    return Paths(var=directory)


@pytest.fixture
def fresh(aged: Paths, tmp_path: Path) -> Paths:
    shutil.copytree(aged.var, tmp_path / "var")
    return Paths(var=tmp_path / "var")


def planned(paths: Paths, *, now_ms: int = NOW_MS, keep_days: int = 1000) -> UpkeepPlan:
    order = UpkeepOrder(
        database=str(paths.database),
        logs=str(paths.logs),
        now_ms=now_ms,
        jsonl_keep_days=keep_days,
        most=1000,
    )
    return anyio.run(plan_upkeep, order, RealDisk())


def put(paths: Paths, sql: str, *values: str | int) -> None:
    """Change rows behind the triggers' backs."""
    with closing(sqlite3.connect(paths.database, isolation_level=None)) as connection:
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'trigger'"
        ).fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(sql, values)


def put_on_record(paths: Paths, day: str, *, removed_at_ms: int = 0) -> None:
    row = "INSERT INTO trail_days VALUES (?, ?, 1, 1, ?)"
    put(paths, row, day, "0" * 64, removed_at_ms)


def test_the_database_lets_go_of_just_the_kinds_that_the_plan_may_name(aged: Paths) -> None:
    with closing(sqlite3.connect(aged.database)) as connection:
        (sql,) = connection.execute(
            "SELECT sql FROM sqlite_schema WHERE name = 'audit_events_kept'"
        ).fetchone()
    listed = re.search(r"NOT IN \(([^)]*)\)", sql)

    assert listed is not None
    assert set(re.findall(r"'(\w+)'", listed.group(1))) == set(ROUTINE)


def test_a_packed_day_that_came_with_an_older_database_is_taken_on_record(fresh: Paths) -> None:
    plain = fresh.logs / plain_name(FIRST_DAY)
    content = plain.read_bytes()
    (fresh.logs / packed_name(FIRST_DAY)).write_bytes(gzip.compress(content))
    plain.unlink()

    plan = planned(fresh)

    assert plan.troubles == ()
    assert FIRST_DAY in [packed.day for packed in plan.packed]
    assert unpacked((fresh.logs / packed_name(FIRST_DAY)).read_bytes()) == content


def test_a_damaged_packed_day_that_is_not_on_record_is_told_of_and_kept(fresh: Paths) -> None:
    (fresh.logs / plain_name(FIRST_DAY)).unlink()
    damaged = fresh.logs / packed_name(FIRST_DAY)
    damaged.write_bytes(gzip.compress(b"a line\n")[:-9])

    plan = planned(fresh, keep_days=90)

    (trouble,) = plan.troubles
    assert trouble.startswith(f"{damaged.name} is not what the database holds of its day")
    assert damaged.exists()
    # Events stay as long as there is a file that they could be compared with.
    assert plan.anchors == ()


def test_a_plain_file_beside_a_damaged_packed_one_is_not_spare(fresh: Paths) -> None:
    content = (fresh.logs / plain_name(FIRST_DAY)).read_bytes()
    packed = fresh.logs / packed_name(FIRST_DAY)
    put_on_record(fresh, FIRST_DAY)

    packed.write_bytes(gzip.compress(content))
    assert planned(fresh).spare_files == (plain_name(FIRST_DAY),)

    packed.write_bytes(gzip.compress(content)[:-9])
    assert planned(fresh).spare_files == ()


def test_the_lines_of_a_removed_day_are_spare_only_while_it_is_past_its_age(fresh: Paths) -> None:
    put_on_record(fresh, FIRST_DAY, removed_at_ms=5)

    set_back = planned(fresh, now_ms=START_MS + DAY_MS, keep_days=90)
    assert set_back.spare_files == ()

    assert planned(fresh, keep_days=90).spare_files == (plain_name(FIRST_DAY),)


def test_the_newest_silence_stays_and_older_ones_go(fresh: Paths) -> None:
    """The next run restores a ban from it, and a ban may outlast a short trail."""
    for path in fresh.logs.iterdir():
        path.unlink()
    silence = "UPDATE audit_events SET event_type = 'RATE_LIMIT' WHERE seq = ? AND run_id = ?"
    put(fresh, silence, 300, aged_run.LONG)
    assert not covered(fresh, 300)

    put(fresh, silence, 20, aged_run.LATER)
    assert covered(fresh, 300)


def covered(paths: Paths, seq: int) -> bool:
    anchors = planned(paths, keep_days=1).anchors
    assert anchors
    return any(
        anchor.run_id == aged_run.LONG and anchor.first_seq <= seq <= anchor.last_seq
        for anchor in anchors
    )
