"""The process dies without a word, at the worst moments; the next one makes sense of it."""

import signal
from pathlib import Path

import pytest

from livespot.testing.two_books import disagreements, orders_of, still_open
from livespot.testing.workshop import TRADING_SPEED, Child, Workshop, workshop

_RUNS = "SELECT clean, exit_code, end_reasons FROM runs ORDER BY rowid"
_UNCLEAN = (0, -1, '["UNCLEAN_SHUTDOWN"]')
_PHASES = "SELECT phase FROM positions ORDER BY rowid DESC LIMIT 1"
_CLOSED = "SELECT 1 FROM positions WHERE phase IN ('FLAT', 'DUST')"
_UNSETTLED = "SELECT 1 FROM order_intents WHERE state IN ('CREATED', 'SENT_UNKNOWN')"


async def _killed(shop: Workshop, run: Child) -> None:
    run.signal(signal.SIGKILL)
    assert await run.ended() == -signal.SIGKILL


async def _stopped(shop: Workshop, run: Child) -> None:
    run.signal(signal.SIGTERM)
    assert await run.ended() == 0
    assert "Traceback" not in run.errors


@pytest.mark.slow
async def test_killed_with_a_protected_position_it_goes_on_without_a_second_order(
    tmp_path: Path,
) -> None:
    async with workshop(tmp_path) as shop:
        exchange = await shop.exchange(speed=TRADING_SPEED)
        first = shop.sim("--resume")
        protected = "SELECT 1 FROM positions WHERE phase = 'PROTECTED'"
        await shop.seen(protected, by=first, seconds=60)
        await _killed(shop, first)

        assert exchange.alive
        legs = await shop.open_orders("SOLUSDT")
        assert {leg["side"] for leg in legs} == {"SELL"}
        assert {leg["type"] for leg in legs} == {"LIMIT_MAKER", "STOP_LOSS_LIMIT"}

        second = shop.sim("--resume")
        await shop.mode("NORMAL", by=second, life=2)
        assert shop.rows(_RUNS)[0] == _UNCLEAN
        assert shop.rows(_PHASES) in ([("PROTECTED",)], [("TRAILING",)], [("DUST",)], [("FLAT",)])
        await shop.seen(_CLOSED, by=second, seconds=60)
        await _stopped(shop, second)

        assert await disagreements(shop.paths) == []
        assert still_open(shop.paths) == []
        bought = {o.cid for o in orders_of(shop.paths) if o.side == "BUY" and o.exec > 0}
        assert len(bought) == 1
        assert shop.rows(_RUNS)[1][:2] == (1, 0)
        assert shop.processes() == []


@pytest.mark.slow
async def test_killed_at_its_first_order_it_finds_out_what_became_of_it(tmp_path: Path) -> None:
    async with workshop(tmp_path) as shop:
        await shop.exchange(speed=TRADING_SPEED)
        first = shop.sim("--resume")
        await shop.seen("SELECT 1 FROM order_intents", by=first, seconds=60)
        await _killed(shop, first)

        second = shop.sim("--resume")
        await shop.mode("NORMAL", by=second, life=2, seconds=60)
        assert shop.rows(_UNSETTLED) == []
        await _stopped(shop, second)

        assert await disagreements(shop.paths) == []
        _assert_what_is_held_is_protected(shop)


@pytest.mark.slow
async def test_after_three_deaths_at_boot_the_fourth_life_waits_for_a_person(
    tmp_path: Path,
) -> None:
    async with workshop(tmp_path) as shop:
        await shop.exchange()
        for life in range(1, 4):
            run = shop.sim("--resume")
            newborn = "SELECT 1 FROM runs GROUP BY 1 HAVING count(*) = ?"
            await shop.seen(newborn, life, by=run)
            await _killed(shop, run)

        fourth = shop.sim("--resume")
        await shop.mode("PAUSE", by=fourth, life=4)
        looked = await shop.call("resume", "--reason", "looked at it", "--var", str(shop.paths.var))
        assert looked.process.returncode == 0
        await shop.mode("NORMAL", by=fourth, life=4)
        await _stopped(shop, fourth)

        assert [run[:2] for run in shop.rows(_RUNS)] == [_UNCLEAN[:2]] * 3 + [(1, 0)]
        assert await disagreements(shop.paths) == []


def _assert_what_is_held_is_protected(shop: Workshop) -> None:
    """Every open position has a live stop on the exchange for what it holds."""
    open_now = set(still_open(shop.paths))
    stops = {
        order.sym
        for order in orders_of(shop.paths)
        if order.cid in open_now and order.side == "SELL" and order.stop > 0
    }
    held = shop.rows("SELECT symbol FROM positions WHERE phase NOT IN ('FLAT', 'DUST', 'OPENING')")
    assert {symbol for (symbol,) in held} <= stops
