"""One whole trade on real sockets and a real database, then both sides' books side by side."""

import signal
from decimal import Decimal
from pathlib import Path

import pytest

from livespot.runtime.paths import Paths
from livespot.testing.two_books import disagreements, orders_of, still_open
from livespot.testing.workshop import TRADING_SPEED, workshop

# An entry that nobody sold to has no reason to exit: it is no trade yet.
_CLOSED = (
    "SELECT symbol, phase, exit_reason FROM positions "
    "WHERE phase IN ('FLAT', 'DUST') AND exit_reason <> 'NONE'"
)


@pytest.mark.slow
async def test_a_round_trip_leaves_both_books_equal(tmp_path: Path) -> None:
    async with workshop(tmp_path) as shop:
        await shop.exchange(speed=TRADING_SPEED)
        run = shop.sim("--resume")
        [(symbol, _, exit_reason)] = await shop.seen(_CLOSED, by=run, seconds=80)
        run.signal(signal.SIGTERM)
        code = await run.ended()

        assert (code, symbol) == (0, "SOLUSDT")
        assert "Traceback" not in run.errors
        assert exit_reason in ("TAKE_PROFIT", "STOP_LOSS")
        assert await disagreements(shop.paths) == []
        assert still_open(shop.paths) == []
        _assert_the_filled_entry_was_protected(shop.paths)
        assert shop.rows("SELECT state FROM reserves WHERE state IN ('RESERVED', 'BOUND')") == []
        assert shop.rows("SELECT exit_code, clean FROM runs") == [(0, 1)]
        assert shop.processes() == []


def _assert_the_filled_entry_was_protected(paths: Paths) -> None:
    """Both legs of the entry's list went live, around the entry's price and for its quantity."""
    orders = orders_of(paths)
    [entry] = [o for o in orders if o.side == "BUY" and o.status == "FILLED"]
    legs = [o for o in orders if o.list_cid == entry.list_cid and o.side == "SELL"]
    armed = {o.type: o for o in legs if o.status == "NEW"}
    above, below = armed["LIMIT_MAKER"], armed["STOP_LOSS_LIMIT"]

    assert below.stop < entry.price < above.price
    assert entry.exec * Decimal("0.99") < above.qty <= entry.exec
    assert above.qty == below.qty
