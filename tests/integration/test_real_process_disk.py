"""A real volume runs full, or can only be read: the runtime ends in order and goes on later.

Where a volume can be mounted, that is what runs full. Elsewhere the process may let no file grow;
the name of the test says which of the two it was.
"""

import signal
from pathlib import Path

import pytest

from livespot.contracts.errors import ExitCode
from livespot.testing.small_volume import small_volume, way
from livespot.testing.two_books import disagreements
from livespot.testing.workshop import PATIENT, Workshop, workshop

# What remains free of the little volume must not itself be the reason to pause.
_CONFIG = PATIENT.replace(
    "[health]\n", "[health]\ndisk_free_degrade_bytes = 2\ndisk_free_pause_bytes = 1\n"
)
_QUIET = "2021-04-21T12:00"
_RUNS = "SELECT clean, exit_code FROM runs ORDER BY rowid"


async def _goes_on(shop: Workshop) -> None:
    """The second life reaches NORMAL and ends in order."""
    run = shop.sim("--resume")
    await shop.mode("NORMAL", by=run, life=2, seconds=60)
    run.signal(signal.SIGTERM)
    assert await run.ended() == ExitCode.CLEAN
    assert "Traceback" not in run.errors
    assert await disagreements(shop.paths) == []


@pytest.mark.slow
@pytest.mark.parametrize("scarce", [way()])
async def test_a_full_volume_ends_the_run_and_the_next_one_goes_on_once_there_is_room(
    tmp_path: Path, scarce: str
) -> None:
    async with workshop(tmp_path, _CONFIG) as shop:
        with small_volume(shop.paths.database.parent, "48m") as volume:
            await shop.exchange(start=_QUIET, speed=5)
            run = shop.sim("--resume")
            await shop.mode("NORMAL", by=run, seconds=60)

            volume.fill(run.process.pid)
            code = await run.ended(60)

            assert code == ExitCode.AUDIT_UNWRITABLE, scarce
            assert "Traceback" not in run.errors
            # A file that may not grow is no full disk to SQLite: the cause has either name.
            said = run.output + run.errors
            assert "ALERT CRIT DISK_LOW_PAUSE" in said or "ALERT CRIT AUDIT_WRITE_FAILED" in said
            assert "the audit cannot be written" in said
            assert shop.rows("PRAGMA integrity_check") == [("ok",)]

            # A simulation that ends takes its exchange with it; nothing was bought on that one.
            volume.free()
            await shop.exchange(start=_QUIET, speed=5)
            await _goes_on(shop)
            assert shop.rows(_RUNS)[1] == (1, 0)


@pytest.mark.slow
@pytest.mark.parametrize("scarce", [way()])
async def test_a_volume_that_can_only_be_read_is_refused_in_a_sentence(
    tmp_path: Path, scarce: str
) -> None:
    async with workshop(tmp_path, _CONFIG) as shop:
        with small_volume(shop.paths.database.parent, "48m") as volume:
            await shop.exchange(start=_QUIET, speed=5)
            first = shop.sim("--resume")
            await shop.mode("NORMAL", by=first, seconds=60)
            first.signal(signal.SIGKILL)
            await first.ended()

            with volume.read_only():
                refused = shop.sim("--resume")
                code = await refused.ended(60)

            assert code == ExitCode.AUDIT_UNWRITABLE, scarce
            assert "cannot be written" in refused.output
            assert "AUDIT_UNWRITABLE" in refused.output
            assert "Traceback" not in refused.errors
            # Of the refused life there is nothing, of the first what it had written.
            assert shop.rows(_RUNS) == [(0, -1)]
