"""The exchange talks nonsense, fails or dies: the runtime says so, lives on and recovers."""

import signal
from pathlib import Path

import msgspec
import pytest

from livespot.contracts.errors import ExitCode
from livespot.exchange.state_file import address_of, write_state
from livespot.testing.two_books import disagreements
from livespot.testing.unruly_proxy import Temper, UnrulyProxy, unruly_proxy
from livespot.testing.workshop import PATIENT, Workshop, until, workshop

# Staleness within seconds of wall time, and still twice what a busy machine needs.
_ALERT_CONFIG = (
    PATIENT.replace("ws_stale_ms_degrade = 60000", "ws_stale_ms_degrade = 20000")
    .replace("ws_stale_ms_pause = 120000", "ws_stale_ms_pause = 60000")
    .replace("rest_stale_ms_degrade = 100000", "rest_stale_ms_degrade = 60000")
    .replace("rest_stale_ms_pause = 200000", "rest_stale_ms_pause = 600000")
)
# Hours of recorded market in which nothing is traded soon.
_QUIET = "2021-04-21T12:00"
_REASONS = "SELECT 1 FROM sysmodes WHERE mode = ? AND reasons LIKE ?"
# Whichever request meets the first bad answer names the mode's first reason; a later one is told.
_TOLD = (
    "SELECT 1 FROM sysmodes WHERE mode = 'DEGRADE' AND reasons LIKE '%REST_STALE_DEGRADE%' "
    "UNION SELECT 1 FROM alerts WHERE code = 'REST_STALE_DEGRADE'"
)
_FAILED_ACTORS = "SELECT text FROM alerts WHERE code = 'ACTOR_FAILED'"


def _between(shop: Workshop, proxy: UnrulyProxy) -> None:
    """Lets the next run find the proxy where the exchange was."""
    state = shop.state()
    write_state(
        shop.paths.exchange_state,
        msgspec.structs.replace(state, address=address_of("127.0.0.1", proxy.port)),
    )


@pytest.mark.slow
async def test_answers_that_are_none_degrade_the_run_until_they_are_answers_again(
    tmp_path: Path,
) -> None:
    async with workshop(tmp_path, _ALERT_CONFIG) as shop:
        await shop.exchange(start=_QUIET)
        async with unruly_proxy(shop.state().address.port) as proxy:
            _between(shop, proxy)
            run = shop.sim("--resume")
            await shop.mode("NORMAL", by=run)

            for temper in (Temper.NONSENSE, Temper.WRONG_SHAPE, Temper.FAILING):
                await _heard(proxy, temper)
            await shop.seen(_TOLD, by=run)
            await shop.mode("DEGRADE", by=run)
            proxy.calm()
            await shop.mode("NORMAL", by=run)

            run.signal(signal.SIGTERM)
            assert await run.ended() == ExitCode.CLEAN
            assert "Traceback" not in run.errors
            assert shop.rows(_FAILED_ACTORS) == []
            assert await disagreements(shop.paths) == []


async def _heard(proxy: UnrulyProxy, temper: Temper) -> None:
    """Several answers of this temper, to whatever asks."""
    proxy.temper, until_then = temper, proxy.spoilt + 8
    await until(lambda: proxy.spoilt >= until_then, 20, f"eight answers: {temper.value}")


@pytest.mark.slow
async def test_frames_that_cannot_be_read_are_dropped_and_told(tmp_path: Path) -> None:
    async with workshop(tmp_path, _ALERT_CONFIG) as shop:
        await shop.exchange(start=_QUIET)
        async with unruly_proxy(shop.state().address.port) as proxy:
            _between(shop, proxy)
            run = shop.sim("--resume")
            await shop.mode("NORMAL", by=run)

            proxy.spoil_streams = True
            await shop.seen(
                "SELECT 1 FROM alerts WHERE code = 'MD_PRICE_INSANE'", by=run, seconds=20
            )
            await shop.seen(
                "SELECT 1 FROM sysmodes WHERE mode = 'DEGRADE' GROUP BY 1 HAVING count(*) > 1",
                by=run,
            )
            proxy.calm()
            await shop.mode("NORMAL", by=run)

            run.signal(signal.SIGTERM)
            assert await run.ended() == ExitCode.CLEAN
            assert "Traceback" not in run.errors
            assert shop.rows(_FAILED_ACTORS) == []


@pytest.mark.slow
async def test_an_exchange_that_dies_pauses_the_run_which_still_ends_on_request(
    tmp_path: Path,
) -> None:
    async with workshop(tmp_path, _ALERT_CONFIG) as shop:
        exchange = await shop.exchange(start=_QUIET)
        run = shop.sim("--resume")
        await shop.mode("NORMAL", by=run)

        exchange.signal(signal.SIGKILL)
        await exchange.ended()
        await shop.seen(_REASONS, "PAUSE", "%WS_STALE_PAUSE%", by=run)
        await shop.seen(
            "SELECT 1 FROM sysmodes WHERE active_json LIKE '%REST_STALE_DEGRADE%'",
            by=run,
        )
        run.signal(signal.SIGTERM)

        assert await run.ended(20) == ExitCode.PAUSED
        assert "Traceback" not in run.errors
        assert shop.rows(_FAILED_ACTORS) == []
        assert shop.rows("SELECT exit_code, clean FROM runs") == [(ExitCode.PAUSED, 1)]
        assert shop.processes() == []
