"""Another program holds the database for a while: the runtime stops trading, says so, goes on."""

import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from livespot.testing.two_books import disagreements
from livespot.testing.workshop import PATIENT, until, workshop

# Seconds of wall time until the waiting audit is an emergency.
_CONFIG = PATIENT.replace("writer_max_lag_ms = 60000", "writer_max_lag_ms = 20000")


@contextmanager
def _held(database: Path) -> Iterator[None]:
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@pytest.mark.slow
async def test_a_database_held_for_a_while_costs_entries_and_no_event(tmp_path: Path) -> None:
    async with workshop(tmp_path, _CONFIG) as shop:
        await shop.exchange()
        run = shop.sim("--resume")
        await shop.mode("NORMAL", by=run)

        with _held(shop.paths.database):
            await until(lambda: "DB_WRITER" in run.output, 20, "an alert on the console")
        await shop.mode("DEGRADE", by=run)
        await shop.mode("NORMAL", by=run)

        run.signal(signal.SIGTERM)
        assert await run.ended() == 0
        assert "Traceback" not in run.errors
        assert await disagreements(shop.paths) == []


@pytest.mark.slow
async def test_a_run_asked_to_stop_does_not_wait_for_ever_for_a_held_database(
    tmp_path: Path,
) -> None:
    async with workshop(tmp_path, _CONFIG) as shop:
        await shop.exchange()
        run = shop.sim("--resume")
        await shop.mode("NORMAL", by=run)

        with _held(shop.paths.database):
            run.signal(signal.SIGTERM)
            code = await run.ended(20)

        assert code == 30
        assert "Traceback" not in run.errors
        assert shop.processes() == []
