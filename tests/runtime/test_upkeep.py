"""Old records go as whole segments behind anchors, days are packed, and a backup is made a day."""

import gzip
import re
import shutil
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.evidence.test_trail_bytes import bytes_of_rows

from livespot.actors.audit import AuditWriter
from livespot.contracts.audit import AuditDraft, AuditEntry
from livespot.contracts.redaction import Redactor
from livespot.contracts.settings import AuditSettings, Settings
from livespot.contracts.system import Alert
from livespot.contracts.vocabulary import EventType, Mode, Stage
from livespot.evidence.pruned import pruned
from livespot.evidence.rows import TrailCheck
from livespot.evidence.trail_walk import walk
from livespot.evidence.why import why_not
from livespot.runtime.clock import ClockAnchor, ScaledClock
from livespot.runtime.disk import Disk, RealDisk
from livespot.runtime.paths import Paths
from livespot.runtime.upkeep import Seen, Upkeep, asked_of_a_process
from livespot.store.backup import integrity_problems
from livespot.store.chain import verify_chain
from livespot.store.connection import Database
from livespot.store.queries import LedgerQueries
from livespot.store.reader import ReadOnlyDatabase
from livespot.store.trail import JsonlTrail
from livespot.store.upkeep_process import Answer, Order, answer
from livespot.testing import aged_run, finished_run
from livespot.testing.clock import ManualClock
from livespot.testing.ledger_rows import run_started

KEEPER = "run_20260502_000000_000003"
ROOM = 10**12
# What waits between two steps does not wait in a test.
WALL = ClockAnchor(wall_ms=0, market_ms=1_767_225_600_000, speed=100)


@pytest.fixture(scope="module")
def aged(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    directory = tmp_path_factory.mktemp("aged")
    anyio.run(aged_run.told, directory)
    return Paths(var=directory)


@pytest.fixture(scope="module")
def kept_up(aged: Paths, tmp_path_factory: pytest.TempPathFactory) -> Paths:
    """The same history after a round of upkeep on a later day."""
    return kept_up_copy(aged, tmp_path_factory.mktemp("kept") / "var")


@pytest.fixture
def fresh(aged: Paths, tmp_path: Path) -> Paths:
    shutil.copytree(aged.var, tmp_path / "var")
    return Paths(var=tmp_path / "var")


@asynccontextmanager
async def writing(paths: Paths, clock: ManualClock) -> AsyncIterator[AuditWriter]:
    last = await LedgerQueries(ReadOnlyDatabase(paths.database)).last_run()
    assert last is not None
    same = last.run_id == KEEPER
    writer = AuditWriter(
        run_id=KEEPER,
        mode=Mode.SIM,
        store=await Database.open(paths.database, run_id=KEEPER, redactor=Redactor()),
        trail=JsonlTrail(RealDisk(), paths.logs, ReadOnlyDatabase(paths.database)),
        clock=clock,
        settings=AuditSettings(),
        redactor=Redactor(),
        first_seq=last.last_seq + 1 if same else 1,
        prev_hash=last.last_hash,
    )
    async with anyio.create_task_group() as group:
        await group.start(writer.run)
        if not same:
            start = AuditDraft(
                event_type=EventType.RUN_STARTED, stage=Stage.BOOT, ts_ms=clock.now_ms()
            )
            row = run_started(KEEPER, clock.now_ms())
            await writer.commit(AuditEntry(draft=start, records=(row,)))
        yield writer
        writer.close()


def kept_up_copy(aged: Paths, directory: Path) -> Paths:
    shutil.copytree(aged.var, directory)
    paths = Paths(var=directory)
    anyio.run(partial(rounds, paths, 2))
    return paths


async def asked_of_a_thread(order: Order) -> Answer:
    """What the process would answer, without starting one."""
    return await anyio.to_thread.run_sync(answer, order)


async def rounds(
    paths: Paths,
    count: int,
    *,
    days: int = 1,
    chosen: Settings | None = None,
    free_bytes: Callable[[], int] = lambda: ROOM,
    ask: Callable[[Order], Awaitable[Answer]] = asked_of_a_thread,
    disk: Disk | None = None,
    seen: Seen | None = None,
) -> list[Alert]:
    told: list[Alert] = []
    market = ManualClock(now_ms=aged_run.LATER_MS + days * aged_run.DAY_MS)
    for _ in range(count):
        async with writing(paths, market) as writer:
            await Upkeep(
                paths=paths,
                settings=chosen or Settings(),
                market=market,
                audit=writer,
                free_bytes=free_bytes,
                tell=told.append,
                wall=ScaledClock(WALL),
                ask=ask,
                disk=disk or RealDisk(),
            ).look(seen)
    return told


def looked_at(paths: Paths) -> TrailCheck:
    return anyio.run(partial(walk, ReadOnlyDatabase(paths.database), paths.logs))


def counted(paths: Paths, sql: str) -> int:
    with closing(sqlite3.connect(paths.database)) as connection:
        return int(connection.execute(sql).fetchone()[0])


def without_triggers(paths: Paths, sql: str) -> None:
    with closing(sqlite3.connect(paths.database, isolation_level=None)) as connection:
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(sql)


@pytest.mark.slow
def test_the_chain_is_whole_over_what_was_pruned(kept_up: Paths) -> None:
    check = looked_at(kept_up)
    chain = anyio.run(partial(verify_chain, ReadOnlyDatabase(kept_up.database)))

    assert (check.problems, check.places, check.missing, check.unknown) == ((), (), 0, 0)
    assert chain.broken is None
    assert check.pruned == aged_run.ROUTINE_EVENTS - 1
    assert counted(kept_up, "SELECT count(*) FROM chain_anchors") == 4


@pytest.mark.slow
def test_whatever_led_to_a_trade_stays(aged: Paths, kept_up: Paths) -> None:
    kinds = "'ORDER_SUBMIT', 'FILL', 'POSITION_CHANGED', 'ALERT_RAISED', 'SYSMODE_CHANGED'"
    of_trades = (
        f"SELECT count(*) FROM audit_events WHERE event_type IN ({kinds}) OR decision_id IN "  # noqa: S608
        "(SELECT decision_id FROM order_intents)"
    )
    of_snapshots = (
        "SELECT count(*) FROM snapshots s JOIN decisions d USING (snapshot_id) "
        "JOIN order_intents i USING (decision_id)"
    )
    for sql in (
        of_trades,
        of_snapshots,
        "SELECT count(*) FROM fills",
        "SELECT count(*) FROM decisions WHERE decision_id <> ''",
    ):
        assert counted(kept_up, sql) == counted(aged, sql) > 0


@pytest.mark.slow
def test_scans_samples_and_snapshots_without_a_trade_go(kept_up: Paths) -> None:
    limit = aged_run.LATER_MS - aged_run.DAY_MS
    assert counted(kept_up, f"SELECT count(*) FROM health_samples WHERE at_ms < {limit}") == 0  # noqa: S608
    assert counted(kept_up, "SELECT count(*) FROM snapshots WHERE symbol GLOB 'S[0-2]USDT'") == 0
    # How each symbol stood last is still known.
    for table in ("universe_scans", "cycle_rankings", "cycle_selections"):
        assert counted(kept_up, f"SELECT count(*) FROM {table} WHERE symbol GLOB 'S[0-2]USDT'") == 3  # noqa: S608


@pytest.mark.slow
def test_the_days_of_the_trail_are_packed_and_then_removed(kept_up: Paths) -> None:
    names = sorted(path.name for path in kept_up.logs.iterdir())

    # The finished run and the long one are past ninety days; yesterday is still plain.
    later = "2026-05-01"
    assert names == [f"audit-{later}.jsonl", "audit-2026-05-02.jsonl"]
    assert counted(kept_up, "SELECT count(*) FROM trail_days WHERE removed_at_ms <> 0") == 2


@pytest.mark.slow
def test_a_packed_day_reads_as_it_was(fresh: Paths) -> None:
    plain = {path.name: path.read_bytes() for path in fresh.logs.glob("audit-*.jsonl")}
    keep_all = Settings(audit=AuditSettings(jsonl_keep_days=1000))

    anyio.run(partial(rounds, fresh, 1, days=2, chosen=keep_all))

    packed = {path.name[:-3]: path.read_bytes() for path in fresh.logs.glob("*.gz")}
    assert {name: gzip.decompress(content) for name, content in packed.items()} == plain
    check = looked_at(fresh)
    assert (check.problems, check.places, check.missing, check.unknown) == ((), (), 0, 0)


@pytest.mark.slow
async def test_any_flipped_bit_of_a_packed_file_is_named(tmp_path: Path) -> None:
    await finished_run.told(tmp_path)
    paths = Paths(var=tmp_path)
    await rounds(paths, 1, chosen=Settings(audit=AuditSettings(jsonl_keep_days=1000)))
    (packed,) = paths.logs.glob("*.gz")
    content = packed.read_bytes()

    # The header's time stamp and system byte are what unpacking does not look at.
    for at in [*range(12), *range(12, len(content), len(content) // 30)]:
        spoilt = bytearray(content)
        spoilt[at] ^= 1 << at % 8
        packed.write_bytes(spoilt)
        places = (await walk(ReadOnlyDatabase(paths.database), paths.logs)).places
        assert [re.split("[:,]", place)[0] for place in places] == [packed.name]


@pytest.mark.slow
@pytest.mark.parametrize(
    "sql",
    [
        pytest.param("UPDATE audit_events SET data = '{}' WHERE seq = 701", id="event"),
        pytest.param(
            "UPDATE chain_anchors SET last_hash = prev_hash WHERE first_seq = 2", id="anchor"
        ),
        pytest.param("UPDATE chain_anchors SET until_ms = until_ms + 1", id="anchor's time"),
        pytest.param("DELETE FROM chain_anchors WHERE first_seq = 2", id="anchor gone"),
        pytest.param(
            "UPDATE trail_days SET lines = lines + 1 WHERE removed_at_ms <> 0", id="packed day"
        ),
        pytest.param("DELETE FROM trail_days", id="packed days gone"),
        pytest.param("UPDATE trail_days SET removed_at_ms = 0", id="never removed"),
    ],
)
def test_what_is_left_cannot_be_changed_unnoticed(kept_up: Paths, tmp_path: Path, sql: str) -> None:
    shutil.copytree(kept_up.var, tmp_path / "var")
    paths = Paths(var=tmp_path / "var")
    without_triggers(paths, sql)

    check = looked_at(paths)

    assert check.problems
    assert any("event " in text or "day " in text for text in check.problems)


@pytest.mark.slow
@pytest.mark.parametrize("table", ["audit_events", "chain_anchors", "trail_days"])
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(flip=st.tuples(st.integers(0, 10**9), st.integers(1, 255)))
def test_any_byte_of_what_is_left_that_changes_is_named(
    kept_up: Paths, tmp_path: Path, table: str, flip: tuple[int, int]
) -> None:
    paths = Paths(var=tmp_path)
    if not paths.logs.exists():
        shutil.copytree(kept_up.logs, paths.logs)
        paths.database.parent.mkdir()
    content = bytearray(kept_up.database.read_bytes())
    owned = bytes_of_rows(kept_up.database, table)
    content[owned[flip[0] % len(owned)]] ^= flip[1]
    paths.database.write_bytes(content)

    problems = looked_at(paths).problems

    assert all(re.search("event|day|after the beginning", text) for text in problems)
    # A row's own number means nothing in this table; that it changed is what SQLite finds.
    assert problems or (table == "trail_days" and integrity_problems(paths.database))


@pytest.mark.slow
async def test_a_question_about_a_pruned_time_is_told_that_it_is_pruned(
    aged: Paths, kept_up: Paths
) -> None:
    at_ms = aged_run.LONG_MS + 500
    before = await why_not(ReadOnlyDatabase(aged.database), "S1USDT", at_ms)
    after = await why_not(ReadOnlyDatabase(kept_up.database), "S1USDT", at_ms)
    later = await why_not(ReadOnlyDatabase(kept_up.database), "S1USDT", aged_run.LATER_MS + 50)

    assert "past their age" not in before.headline
    assert "past their age and were pruned" in after.headline
    assert "past their age" not in later.headline


@pytest.mark.slow
def test_judgements_that_proposed_nothing_go_with_their_snapshots(
    aged: Paths, kept_up: Paths
) -> None:
    blocked = "SELECT count(*) FROM decisions WHERE symbol GLOB 'S[0-2]USDT'"

    assert counted(aged, blocked) == aged_run.ROUTINE_EVENTS - 1
    # The newest of each symbol stays, as it does of scans.
    assert counted(kept_up, blocked) == 3


@pytest.mark.slow
async def test_what_was_pruned_is_known_by_the_audits_own_word(aged: Paths, kept_up: Paths) -> None:
    assert await pruned(ReadOnlyDatabase(aged.database)) == (0, 0)

    scans_ms, snapshots_ms = await pruned(ReadOnlyDatabase(kept_up.database))

    now_ms = aged_run.LATER_MS + aged_run.DAY_MS
    assert now_ms - 31 * aged_run.DAY_MS < scans_ms <= now_ms - 30 * aged_run.DAY_MS
    assert now_ms - 91 * aged_run.DAY_MS < snapshots_ms <= now_ms - 90 * aged_run.DAY_MS


@pytest.mark.slow
def test_a_segment_without_an_anchor_is_still_a_break(fresh: Paths) -> None:
    without_triggers(fresh, "DELETE FROM audit_events WHERE seq BETWEEN 10 AND 40 AND id > 60")

    assert any("removed or reordered" in text for text in looked_at(fresh).problems)


@pytest.mark.parametrize(
    "where",
    [
        pytest.param("seq BETWEEN 2 AND 5", id="without an anchor"),
        pytest.param("event_type = 'FILL'", id="a fill"),
        pytest.param("event_type = 'RUN_STARTED'", id="the start of a run"),
        pytest.param("decision_id = 'dec_1'", id="what led to an order"),
    ],
)
def test_the_database_refuses_to_lose_what_must_stay(fresh: Paths, where: str) -> None:
    with (
        closing(sqlite3.connect(fresh.database, isolation_level=None)) as connection,
        pytest.raises(sqlite3.IntegrityError, match="kept unless it is routine"),
    ):
        connection.execute(f"DELETE FROM audit_events WHERE {where}")  # noqa: S608


@pytest.mark.slow
def test_a_round_makes_the_days_backup_once_and_it_is_whole(kept_up: Paths) -> None:
    (backup,) = kept_up.backups.glob("audit-????-??-??.sqlite")

    assert integrity_problems(backup) == ()
    said = 'SELECT count(*) FROM audit_events WHERE data LIKE \'%"upkeep":"backup"%\''
    assert counted(kept_up, said) == 1


@pytest.mark.slow
async def test_low_disk_space_suspends_everything(fresh: Paths) -> None:
    before = sorted(path.name for path in fresh.logs.iterdir())

    assert await rounds(fresh, 1, free_bytes=lambda: 0) == []

    assert sorted(path.name for path in fresh.logs.iterdir())[:-1] == before
    assert not [*fresh.backups.glob("audit-????-??-??.sqlite")]
    assert counted(fresh, "SELECT count(*) FROM chain_anchors") == 0


@pytest.mark.slow
async def test_pruning_stops_between_two_plans_when_the_room_runs_out(fresh: Paths) -> None:
    """Asked once for the round, once for the backup and once before each plan."""
    left = iter([ROOM, ROOM, ROOM, 0])

    assert await rounds(fresh, 1, free_bytes=lambda: next(left)) == []

    assert next(left, None) is None
    assert counted(fresh, "SELECT count(*) FROM chain_anchors") == 0
    assert counted(fresh, "SELECT count(*) FROM trail_days") > 0


@pytest.mark.slow
async def test_a_backup_that_would_fill_the_disk_waits_and_says_so(fresh: Paths) -> None:
    limit = Settings().health.disk_free_degrade_bytes

    (alert,) = await rounds(fresh, 1, free_bytes=lambda: limit + 1)

    assert alert.text.startswith("the daily backup waits for room")
    assert not [*fresh.backups.glob("audit-????-??-??.sqlite")]
    assert counted(fresh, "SELECT count(*) FROM chain_anchors") == 4


@pytest.mark.slow
async def test_a_backup_that_fails_is_told_of_and_the_rest_goes_on(fresh: Paths) -> None:
    shutil.rmtree(fresh.backups, ignore_errors=True)
    fresh.backups.write_text("no directory can be made here")

    (alert,) = await rounds(fresh, 1)

    assert alert.text.startswith("the daily backup failed: ")
    assert counted(fresh, "SELECT count(*) FROM chain_anchors") == 4


@pytest.mark.slow
async def test_a_day_that_is_not_what_the_database_holds_is_not_packed(fresh: Paths) -> None:
    spoilt = min(fresh.logs.glob("audit-*.jsonl"))
    spoilt.write_bytes(spoilt.read_bytes().replace(b'"seq":3', b'"seq":4', 1))

    (alert,) = await rounds(fresh, 1)

    assert alert.text.startswith(f"{spoilt.name} is not what the database holds of its day")
    assert spoilt.exists()


class _Killed(Exception):
    """Stands for the end of the process at this very point."""


class _KilledAtRemoval(RealDisk):
    """The process ends when a file is to go: its row is durable, the file is still there."""

    def remove(self, path: Path) -> None:
        raise _Killed(path.name)


@pytest.mark.slow
@pytest.mark.parametrize("rounds_before", [0, 1])
async def test_a_kill_between_a_step_and_its_file_is_made_good(
    fresh: Paths, rounds_before: int
) -> None:
    """After no round a packed day's plain file is left, after one a removed day's packed file."""
    keep = Settings(audit=AuditSettings(jsonl_keep_days=90 if rounds_before else 1000))
    if rounds_before:
        packing = Settings(audit=AuditSettings(jsonl_keep_days=1000))
        await rounds(fresh, 1, chosen=packing)

    with pytest.RaisesGroup(_Killed):
        await rounds(fresh, 1, chosen=keep, disk=_KilledAtRemoval())
    torn = await walk(ReadOnlyDatabase(fresh.database), fresh.logs)
    await rounds(fresh, 2, chosen=keep)
    mended = await walk(ReadOnlyDatabase(fresh.database), fresh.logs)

    for check in (torn, mended):
        assert (check.problems, check.places, check.missing, check.unknown) == ((), (), 0, 0)
    plain = [path.name[6:16] for path in fresh.logs.glob("*.jsonl")]
    packed = [path.name[6:16] for path in fresh.logs.glob("*.gz")]
    assert not {*plain} & {*packed}
    assert bool(packed) is not bool(rounds_before)


@pytest.mark.slow
async def test_a_half_packed_day_is_packed_anew(fresh: Paths) -> None:
    """The packed file was written, and the process ended before its row was."""
    plain = min(fresh.logs.glob("audit-*.jsonl"))
    plain.with_name(plain.name + ".gz").write_bytes(b"half of it")
    assert (await walk(ReadOnlyDatabase(fresh.database), fresh.logs)).places == ()

    await rounds(fresh, 1, chosen=Settings(audit=AuditSettings(jsonl_keep_days=1000)))

    assert not plain.exists()
    check = await walk(ReadOnlyDatabase(fresh.database), fresh.logs)
    assert (check.problems, check.places, check.missing) == ((), (), 0)


@pytest.mark.slow
async def test_only_the_newest_backups_are_kept_and_those_of_a_migration_too(
    fresh: Paths,
) -> None:
    fresh.backups.mkdir(exist_ok=True)
    for day in range(1, 6):
        (fresh.backups / f"audit-2020-01-0{day}.sqlite").write_bytes(b"old")
    migrated = fresh.backups / "audit-schema0001-20200101T000000Z.sqlite"
    migrated.write_bytes(b"older")
    (fresh.backups / "audit-2020-01-09.sqlite.partial").write_bytes(b"torn")

    await rounds(fresh, 1, chosen=Settings(audit=AuditSettings(backup_keep=3)))

    daily = sorted(path.name for path in fresh.backups.glob("audit-????-??-??.sqlite"))
    assert daily[:2] == ["audit-2020-01-04.sqlite", "audit-2020-01-05.sqlite"]
    assert len(daily) == 3
    assert migrated.exists()
    assert not [*fresh.backups.glob("*.partial")]


@pytest.mark.slow
async def test_the_heavy_part_happens_in_a_process_of_its_own(fresh: Paths) -> None:
    assert await rounds(fresh, 1, ask=asked_of_a_process) == []

    assert counted(fresh, "SELECT sum(last_seq - first_seq + 1) FROM chain_anchors") == 1299
    assert [*fresh.backups.glob("audit-????-??-??.sqlite")]


def test_the_figures_of_what_was_kept_are_in_the_settings() -> None:
    audit = Settings().audit

    assert (audit.jsonl_keep_days, audit.backup_keep) == (90, 14)
    assert replace(audit, backup_keep=1).backup_keep == 1
