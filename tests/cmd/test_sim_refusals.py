"""`livespot sim` on wrong input: one clear sentence, the right exit code, nothing left running."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from livespot.contracts.errors import ExitCode
from livespot.exchange.recorded import packaged_data
from livespot.testing.workshop import Child, workshop


def _assert_refused(run: Child, code: ExitCode, *said: str) -> None:
    """Exit code and message; an expected error shows no traceback and takes few lines."""
    assert run.process.returncode == code, run.errors
    assert "Traceback" not in run.errors
    assert all(words in run.errors for words in said), run.errors


async def test_every_problem_of_a_configuration_is_told_at_once(tmp_path: Path) -> None:
    wrong = '[risk]\nper_trade = 5\n[panel]\nport = 70000\nhots = "127.0.0.1"\n[nonsense]\nx = 1\n'
    async with workshop(tmp_path, wrong) as shop:
        run = shop.sim()
        await run.ended()

        _assert_refused(
            run, ExitCode.USAGE, "risk.per_trade", "panel.port", "did you mean 'host'", "nonsense"
        )
        assert not shop.paths.var.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--data", "nowhere"), "nowhere"),
        (("--start", "1999-01-01T00:00"), "the recorded data plays from"),
        (("--resume",), "no running exchange to resume on"),
    ],
    ids=["no data", "start outside", "nothing to resume"],
)
@pytest.mark.slow
async def test_a_simulation_that_cannot_start_says_why(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    async with workshop(tmp_path) as shop:
        run = shop.sim(*arguments)
        await run.ended()

        _assert_refused(run, ExitCode.PREFLIGHT, said)
        assert shop.processes() == []


@pytest.mark.slow
async def test_damaged_market_data_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(packaged_data(), data)
    series = next(data.glob("*.gz"))
    series.write_bytes(series.read_bytes()[:-100])
    async with workshop(tmp_path) as shop:
        run = shop.sim("--data", str(data))
        await run.ended()

        _assert_refused(run, ExitCode.PREFLIGHT, series.name, "damaged")
        assert shop.processes() == []


@pytest.mark.slow
async def test_a_database_that_is_missing_or_newer_is_refused_and_nothing_is_lost(
    tmp_path: Path,
) -> None:
    async with workshop(tmp_path) as shop:
        exchange = await shop.exchange()
        kept = shop.paths.database.with_suffix(".kept")
        shop.paths.database.rename(kept)
        missing = shop.sim("--resume")
        await missing.ended()
        _assert_refused(missing, ExitCode.PREFLIGHT)

        kept.rename(shop.paths.database)
        with closing(sqlite3.connect(shop.paths.database)) as database:
            database.execute("PRAGMA user_version = 9999")
        newer = shop.sim("--resume")
        await newer.ended()
        _assert_refused(newer, ExitCode.PREFLIGHT)

        # What stands on the exchange must outlive a refusal.
        assert exchange.alive
        assert shop.rows("SELECT 1 FROM runs") == []


@pytest.mark.slow
async def test_a_database_that_somebody_else_writes_is_refused(tmp_path: Path) -> None:
    async with workshop(tmp_path) as shop:
        exchange = await shop.exchange()
        with closing(sqlite3.connect(shop.paths.database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            run = shop.sim("--resume")
            await run.ended()
            other.execute("ROLLBACK")

        _assert_refused(run, ExitCode.PREFLIGHT, "held by another program")
        assert exchange.alive


@pytest.mark.slow
async def test_a_second_simulation_in_the_same_directory_is_refused_and_harms_nothing(
    tmp_path: Path,
) -> None:
    async with workshop(tmp_path) as shop:
        await shop.exchange()
        first = shop.sim("--resume")
        await shop.mode("NORMAL", by=first)

        fresh, resuming = shop.sim(), shop.sim("--resume")
        await fresh.ended()
        await resuming.ended()

        _assert_refused(fresh, ExitCode.SECOND_INSTANCE, "already running", "livespot stop")
        _assert_refused(resuming, ExitCode.SECOND_INSTANCE, "already running")
        assert first.alive
        assert shop.paths.exchange_state.exists()
        assert shop.rows("SELECT mode FROM sysmodes ORDER BY id DESC LIMIT 1") == [("NORMAL",)]


@pytest.mark.slow
async def test_an_unreadable_start_is_a_usage_error(tmp_path: Path) -> None:
    async with workshop(tmp_path) as shop:
        run = shop.sim("--start", "noon")

        await run.ended()

        _assert_refused(run, ExitCode.USAGE, "'noon' is no time")
