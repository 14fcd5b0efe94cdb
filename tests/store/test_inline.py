"""Reading on the calling task: on a connection per question, a borrowed or a standing one."""

from pathlib import Path

import anyio
import pytest

from livespot.contracts.errors import AuditUnwritable
from livespot.contracts.redaction import Redactor
from livespot.store.inline import InlineDatabase, InlineReader, at_once
from livespot.testing.ledger_rows import RUN, chain, fresh

_COUNT = "SELECT count(*) FROM audit_events"


async def test_a_reader_that_was_lent_a_connection_sees_each_commit_and_outlives_it(
    tmp_path: Path,
) -> None:
    path = fresh(tmp_path)
    store, reader = InlineDatabase(path, run_id=RUN, redactor=Redactor()), InlineReader(path)
    store.lend(reader)

    assert await reader.rows(_COUNT) == [(0,)]
    await store.transaction(chain(3))
    assert await reader.rows(_COUNT) == [(3,)]
    await store.close()
    assert await reader.rows(_COUNT) == [(3,)]


async def test_a_closed_store_leaves_no_write_ahead_log_behind_its_readers(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    store, reader = InlineDatabase(path, run_id=RUN, redactor=Redactor()), InlineReader(path)
    store.lend(reader)
    await store.transaction(chain(1))
    await reader.rows(_COUNT)
    await store.close()

    assert not path.with_name(f"{path.name}-wal").exists()


async def test_a_standing_connection_sees_what_others_commit_and_cannot_write(
    tmp_path: Path,
) -> None:
    path = fresh(tmp_path)
    store, reader = InlineDatabase(path, run_id=RUN, redactor=Redactor()), InlineReader(path)
    with reader.standing():
        assert await reader.rows(_COUNT) == [(0,)]
        await store.transaction(chain(2))
        assert await reader.rows(_COUNT) == [(2,)]
        with pytest.raises(AuditUnwritable):
            await reader.rows("DELETE FROM runs")
    await store.close()


async def test_a_database_that_is_not_there_cannot_be_read(tmp_path: Path) -> None:
    reader = InlineReader(tmp_path / "none.sqlite")

    with pytest.raises(AuditUnwritable):
        await reader.rows(_COUNT)
    with pytest.raises(AuditUnwritable), reader.standing():
        await reader.rows(_COUNT)


def test_what_only_reads_needs_no_loop(tmp_path: Path) -> None:
    reader = InlineReader(fresh(tmp_path))

    assert at_once(reader.rows(_COUNT)) == [(0,)]
    with pytest.raises(AuditUnwritable):
        at_once(InlineReader(tmp_path / "none.sqlite").rows(_COUNT))


async def test_what_waits_for_something_else_is_not_waited_for() -> None:
    with pytest.raises(RuntimeError, match="only a loop could wake it"):
        at_once(anyio.lowlevel.checkpoint())
