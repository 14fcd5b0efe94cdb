"""Signals in plenty, and a process that is stopped in the middle and goes on."""

import signal
from pathlib import Path

import pytest

from livespot.contracts.errors import ExitCode
from livespot.runtime.clock import SystemClock
from livespot.testing.two_books import disagreements
from livespot.testing.workshop import Workshop, until, workshop

_QUIET = "2021-04-21T12:00"
_STORM = 300
_ENDED = "SELECT count(*) FROM audit_events WHERE event_type = 'RUN_ENDED'"
_MODES = "SELECT count(*) FROM sysmodes WHERE mode = 'NORMAL'"


async def _evidence_is_whole(shop: Workshop) -> None:
    (folder,) = shop.paths.runs.iterdir()
    assert (folder / "SHA256SUMS").is_file()
    assert await disagreements(shop.paths) == []
    assert shop.processes() == []


@pytest.mark.slow
async def test_a_storm_of_termination_signals_is_one_request_to_end(tmp_path: Path) -> None:
    async with workshop(tmp_path) as shop:
        await shop.exchange(start=_QUIET, speed=5)
        run = shop.sim("--resume")
        await shop.mode("NORMAL", by=run, seconds=60)

        wall = SystemClock()
        for _ in range(_STORM):
            if not run.alive:
                break
            run.signal(signal.SIGTERM)
            await wall.sleep(0.002)

        assert await run.ended() == ExitCode.CLEAN
        assert "Traceback" not in run.errors
        assert shop.rows("SELECT clean, exit_code FROM runs") == [(1, 0)]
        assert shop.rows(_ENDED) == [(1,)]
        await _evidence_is_whole(shop)


@pytest.mark.slow
async def test_a_process_that_was_stopped_for_a_while_says_so_and_decides_on_nothing_old(
    tmp_path: Path,
) -> None:
    async with workshop(tmp_path) as shop:
        await shop.exchange(start=_QUIET)
        run = shop.sim("--resume")
        await shop.mode("NORMAL", by=run, seconds=60)

        run.signal(signal.SIGSTOP)
        # A hundred market seconds, beyond every limit that leads to DEGRADE.
        await SystemClock().sleep(5)
        run.signal(signal.SIGCONT)

        await shop.seen(
            "SELECT 1 FROM sysmodes WHERE mode = 'DEGRADE' AND previous = 'NORMAL'",
            by=run,
            seconds=60,
        )
        await until(lambda: shop.rows(_MODES) >= [(2,)], 60, "NORMAL again")
        run.signal(signal.SIGTERM)

        assert await run.ended() == ExitCode.CLEAN
        assert "Traceback" not in run.errors
        await _evidence_is_whole(shop)
