"""The writer's connection: durable, whole transactions, and a copy of its files after a kill."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livespot.actors.audit import Store
from livespot.contracts.errors import (
    AuditUnwritable,
    LedgerViolation,
    SchemaMismatch,
    StoreBusy,
    VolumeFull,
)
from livespot.contracts.records import RiskCounters
from livespot.contracts.redaction import Redactor
from livespot.contracts.vocabulary import IntentState
from livespot.store.backup import backup_database, integrity_problems
from livespot.store.chain import verify_chain
from livespot.store.connection import Database
from livespot.store.migrate import migrate
from livespot.store.reader import ReadOnlyDatabase
from livespot.store.schema import packaged_migrations
from livespot.store.statements import StoreRow
from livespot.testing.inline_store import InlineDatabase, InlineReader
from livespot.testing.ledger_rows import (
    NOW_MS,
    RUN,
    chain,
    created,
    fill,
    fresh,
    moved,
    opened,
    order,
)


def count(path: Path, table: str) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608


async def test_written_rows_are_there_after_reopening(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    database = await opened(path)
    await database.transaction([*chain(2), created(), fill()])
    await database.close()

    again = await opened(path)
    await again.transaction([moved(IntentState.CREATED, IntentState.SENT_UNKNOWN)])
    await again.close()

    assert count(path, "audit_events") == 2
    assert integrity_problems(path) == ()


async def test_a_transaction_is_all_or_nothing(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    database = await opened(path)

    with pytest.raises(LedgerViolation):
        await database.transaction([*chain(1), created("a"), created("a")])
    await database.transaction([*chain(1), created("b")])
    await database.close()

    assert count(path, "order_intents") == 1


async def test_a_value_too_large_for_a_column_is_the_rows_fault(tmp_path: Path) -> None:
    database = await opened(fresh(tmp_path))

    with pytest.raises(LedgerViolation):
        await database.transaction([RiskCounters(counters_json="{}", updated_at_ms=2**70)])
    with pytest.raises(LedgerViolation):
        await database.transaction([RiskCounters(counters_json='"\ud800"', updated_at_ms=1)])
    await database.transaction([RiskCounters(counters_json="{}", updated_at_ms=1)])
    await database.close()


async def test_a_cancelled_transaction_is_finished(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    database = await opened(path)

    async with anyio.create_task_group() as group:
        rows: list[StoreRow] = [*chain(3), created()]
        group.start_soon(database.transaction, rows)
        await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    await database.transaction([created("b")])
    await database.close()

    assert count(path, "order_intents") == 2


async def test_a_lock_held_elsewhere_is_told_apart_from_a_broken_disk(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    database = await Database.open(path, run_id=RUN, redactor=Redactor(), busy_timeout_ms=20)
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy):
            await database.transaction(chain(1))
        holder.execute("ROLLBACK")

    await database.transaction(chain(1))
    await database.close()


async def test_after_a_disk_error_nothing_is_written_any_more(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    database = await opened(path)
    # A page limit below the present size is how SQLite itself can be made to report a full disk.
    await database._connection.execute("PRAGMA max_page_count = 1")
    with pytest.raises(VolumeFull, match="full"):
        await database.transaction(
            [RiskCounters(counters_json=f'"{"x" * 100_000}"', updated_at_ms=1)]
        )
    await database._connection.execute("PRAGMA max_page_count = 1000000")

    with pytest.raises(AuditUnwritable, match="given up"):
        await database.transaction(chain(1))
    await database.close()

    assert integrity_problems(path, quick=True) == ()


async def test_a_closed_connection_is_unwritable(tmp_path: Path) -> None:
    database = await opened(fresh(tmp_path))
    await database.close()
    await database.close()

    with pytest.raises(AuditUnwritable):
        await database.transaction(chain(1))


async def test_a_missing_database_is_refused_with_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(SchemaMismatch, match="livespot migrate"):
        await opened(tmp_path / "none.sqlite")

    assert not (tmp_path / "none.sqlite").exists()


async def test_an_older_database_is_refused_with_the_command_that_mends_it(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite"
    migrate(path, backup_dir=tmp_path, now_ms=NOW_MS, migrations=packaged_migrations()[:1])

    with pytest.raises(SchemaMismatch, match="run `livespot migrate`"):
        await opened(path)


async def test_the_connection_is_set_for_durability(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    database = await opened(path)

    assert await database.pragmas() == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
    }
    await database.close()


async def test_a_checkpoint_empties_the_wal_unless_a_reader_holds_it(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    database = await Database.open(path, run_id=RUN, redactor=Redactor(), busy_timeout_ms=20)
    await database.transaction(chain(1))
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM audit_events").fetchone()
        await database.transaction([created()])
        assert not await database.checkpoint()

    assert await database.checkpoint()
    assert path.with_name(path.name + "-wal").stat().st_size == 0
    await database.close()


async def test_nothing_acknowledged_is_lost_when_the_process_dies(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    database = await opened(path)
    events = chain(6)
    for number, event in enumerate(events):
        await database.transaction([event, created(str(number))])
        left = tmp_path / f"left{number}"
        left.mkdir()
        for file in (path, path.with_name(path.name + "-wal")):
            shutil.copy(file, left / file.name)

    for number in range(6):
        found = tmp_path / f"left{number}" / path.name
        assert count(found, "order_intents") == number + 1
        assert (await verify_chain(ReadOnlyDatabase(found))).events == number + 1
    await database.close()


async def test_a_torn_wal_tail_costs_only_what_was_never_acknowledged(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    database = await opened(path)
    first, second = chain(2)
    await database.transaction([first])
    acknowledged = path.with_name(path.name + "-wal").stat().st_size
    await database.transaction([second])
    left = tmp_path / "left"
    left.mkdir()
    shutil.copy(path, left / path.name)
    wal = path.with_name(path.name + "-wal").read_bytes()
    (left / f"{path.name}-wal").write_bytes(wal[: acknowledged + (len(wal) - acknowledged) // 2])
    await database.close()

    with closing(sqlite3.connect(left / path.name)) as connection:
        assert connection.execute("SELECT seq FROM audit_events").fetchall() == [(1,)]
    assert integrity_problems(left / path.name) == ()


async def test_a_backup_of_a_database_in_use_is_whole(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    database = await opened(path)
    await database.transaction([*chain(3), created()])

    backup = backup_database(path, tmp_path / "backups" / "b.sqlite")

    assert count(backup.path, "audit_events") == 3
    assert backup.path.stat().st_mode & 0o077 == 0
    await database.close()


async def test_the_inline_database_keeps_the_same_rules(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    inline = InlineDatabase(path, run_id=RUN, redactor=Redactor())
    store: Store = inline
    await store.transaction([*chain(1), created()])
    with pytest.raises(LedgerViolation):
        await store.transaction([created()])
    image = inline.image()
    assert await store.checkpoint()
    await store.close()

    assert image[:6] == b"SQLite"
    assert (await verify_chain(InlineReader(path))).events == 1


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(quantities=st.lists(st.decimals("0", "1000000000", places=8), min_size=1, max_size=8))
async def test_executed_quantity_ends_at_its_maximum_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, quantities: list[object]
) -> None:
    path = fresh(tmp_path_factory.mktemp("orders"))
    inline = InlineDatabase(path, run_id=RUN, redactor=Redactor())
    texts = [format(quantity, "f") for quantity in quantities]
    for text in texts:
        await inline.transaction([order(executed=text)])
    await inline.close()

    with closing(sqlite3.connect(path)) as connection:
        (held,) = connection.execute("SELECT executed_qty FROM orders").fetchone()
    assert held == max(texts, key=lambda text: (len(text.split(".")[0]), text))
