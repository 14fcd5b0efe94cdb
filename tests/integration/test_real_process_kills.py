"""Killed at moments nobody chose, around an entry: never bought twice, never left bare."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from livespot.runtime.clock import SystemClock
from livespot.testing.search.dice import Dice
from livespot.testing.two_books import disagreements, orders_of, still_open
from livespot.testing.workshop import Workshop, workshop

_UNSETTLED = "SELECT 1 FROM order_intents WHERE state IN ('CREATED', 'SENT_UNKNOWN')"
_BARE = "SELECT symbol FROM positions WHERE phase NOT IN ('FLAT', 'DUST', 'OPENING')"


def _held_is_protected(shop: Workshop) -> None:
    standing = set(still_open(shop.paths))
    stops = {
        order.sym
        for order in orders_of(shop.paths)
        if order.cid in standing and order.side == "SELL" and order.stop > 0
    }
    assert {symbol for (symbol,) in shop.rows(_BARE)} <= stops


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_killed_at_a_drawn_moment_around_its_entry_and_again_at_boot(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    wall = SystemClock()
    seed = wall.now_ms()
    record_property("seed", seed)
    dice = Dice(f"{seed}")
    async with workshop(tmp_path) as shop:
        # Slower than the other tests trade: a busy machine must not miss the one entry.
        await shop.exchange(speed=8)
        first = shop.sim("--resume")
        await shop.seen("SELECT 1 FROM order_intents", by=first, seconds=90)
        await wall.sleep(dice.between(0, 400) / 1000)
        first.signal(signal.SIGKILL)
        await first.ended()

        second = shop.sim("--resume")
        reborn = "SELECT 1 FROM runs GROUP BY 1 HAVING count(*) = 2"
        await shop.seen(reborn, by=second, seconds=60)
        await wall.sleep(dice.between(0, 400) / 1000)
        second.signal(signal.SIGKILL)
        await second.ended()

        third = shop.sim("--resume")
        await shop.mode("NORMAL", by=third, life=3, seconds=90)
        assert shop.rows(_UNSETTLED) == []
        _held_is_protected(shop)
        third.signal(signal.SIGTERM)
        assert await third.ended() == 0

        assert "Traceback" not in third.errors
        assert await disagreements(shop.paths) == []
        bought = {
            order.cid for order in orders_of(shop.paths) if order.side == "BUY" and order.exec
        }
        assert len(bought) <= 1
