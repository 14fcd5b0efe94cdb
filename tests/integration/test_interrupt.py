"""Ctrl-C at any moment: the program ends soon, says nothing ugly and leaves nothing behind."""

import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from livespot.testing.workshop import AS_SHIPPED, Child, Workshop, until, workshop


async def _at_its_first_word(shop: Workshop, run: Child) -> None:
    # Before that the interpreter itself may still be loading, and takes signals its own way.
    await until(lambda: "livespot simulation" in run.output, 20, "a word")


async def _while_the_exchange_starts(shop: Workshop, run: Child) -> None:
    await until((shop.paths.logs / "exchange.log").exists, 20, "the exchange's log")


async def _when_the_exchange_answers(shop: Workshop, run: Child) -> None:
    await until(shop.paths.exchange_state.exists, 20, "the exchange's address")


async def _during_boot(shop: Workshop, run: Child) -> None:
    await shop.seen("SELECT 1 FROM runs", by=run)


async def _while_running(shop: Workshop, run: Child) -> None:
    await shop.mode("NORMAL", by=run)


async def _twice(shop: Workshop, run: Child) -> None:
    await _while_running(shop, run)
    run.signal(signal.SIGINT)


@pytest.mark.slow
@pytest.mark.parametrize(
    "moment",
    [
        _at_its_first_word,
        _while_the_exchange_starts,
        _when_the_exchange_answers,
        _during_boot,
        _while_running,
        _twice,
    ],
)
async def test_an_interrupt_ends_everything_and_is_no_error(
    tmp_path: Path, moment: Callable[[Workshop, Child], Awaitable[None]]
) -> None:
    async with workshop(tmp_path, AS_SHIPPED) as shop:
        run = shop.sim("--speed", "5")
        await moment(shop, run)
        run.signal(signal.SIGINT)
        code = await run.ended(15)

        lives = shop.rows("SELECT ended_at_ms > 0, clean, exit_code FROM runs")
        assert "Traceback" not in run.errors
        assert lives in ([], [(1, 1, 0)])
        assert code == (0 if lives else 130)
        assert shop.rows("SELECT count(*) FROM audit_events WHERE event_type = 'RUN_ENDED'") in (
            [],
            [(len(lives),)],
        )
        assert not shop.paths.exchange_state.exists()
        assert shop.processes() == []
