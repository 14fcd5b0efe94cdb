"""A position whose sales are refused for what only somebody else can end; reads show the end."""

from decimal import Decimal
from pathlib import Path

import msgspec

from livespot.contracts.orders import ListRequest, OrderRequest
from livespot.contracts.settings import ExitSettings, Settings
from livespot.contracts.vocabulary import PositionPhase, Side
from livespot.testing.ledger_rows import fresh
from livespot.testing.position_bench import PositionBench, position_bench
from livespot.testing.scripted_venue import refused

D = Decimal
SEPARATE = msgspec.structs.replace(Settings(), exit=ExitSettings(attach="SEPARATE"))
NO_BASE = refused(-2010, "Account has insufficient balance for requested action.")
NO_TRADING = refused(-2010, "This account may not place or cancel orders.")


def sales(b: PositionBench) -> list[Decimal | None]:
    """The quantities offered for sale, one after the other."""
    offers: list[Decimal | None] = []
    for request in b.inner.venue.sent:
        match request:
            case ListRequest(working=None, qty=qty) | OrderRequest(side=Side.SELL, qty=qty):
                offers.append(qty)
            case _:
                pass
    return offers


async def test_what_somebody_else_has_locked_is_protected_in_the_moment_a_read_shows_it_free(
    tmp_path: Path,
) -> None:
    async with position_bench(fresh(tmp_path), settings=SEPARATE) as b:
        b.inner.venue.script = ["ACCEPT", NO_BASE]
        await b.bid("100")
        order = await b.buy()
        await b.base("0", str(order.orig_qty))
        await b.inner.advance(20_000)
        while_locked = sales(b)

        b.inner.clock.step(1)
        await b.base(str(order.orig_qty))
        await b.inner.advance(100)

        assert len(while_locked) == 1
        assert sales(b) == [while_locked[0], while_locked[0]]


async def test_the_part_that_is_free_is_protected_meanwhile(tmp_path: Path) -> None:
    async with position_bench(fresh(tmp_path), settings=SEPARATE) as b:
        b.inner.venue.script = ["ACCEPT", NO_BASE]
        await b.bid("100")
        order = await b.buy()
        part = order.orig_qty / 2
        await b.base(str(part), str(order.orig_qty - part))
        await b.inner.advance(500)
        b.inner.clock.step(1)
        await b.base("0", str(order.orig_qty))
        await b.inner.advance(2000)

        position = await b.position()

        assert len(sales(b)) == 2
        assert position.protected_qty == part
        assert position.phase is PositionPhase.UNPROTECTED


async def test_a_read_of_long_ago_keeps_nothing_from_being_offered(tmp_path: Path) -> None:
    async with position_bench(fresh(tmp_path), settings=SEPARATE) as b:
        b.inner.venue.script = ["ACCEPT", NO_BASE]
        await b.bid("100")
        order = await b.buy()
        await b.base("0", str(order.orig_qty))
        await b.inner.advance(29_000)
        before = len(sales(b))

        await b.inner.advance(2000)

        assert before == 1
        assert len(sales(b)) == 2


async def test_an_account_that_may_trade_again_has_its_position_protected_or_sold_at_once(
    tmp_path: Path,
) -> None:
    async with position_bench(fresh(tmp_path), settings=SEPARATE) as b:
        b.inner.venue.script = ["ACCEPT", *[NO_TRADING] * 8]
        await b.bid("100")
        order = await b.buy()
        await b.base(str(order.orig_qty), can_trade=False)
        await b.inner.advance(15_000)
        walked = len(sales(b))

        await b.inner.advance(5000)
        paused = len(sales(b))
        b.inner.clock.step(1)
        await b.base(str(order.orig_qty))
        await b.inner.advance(100)

        assert paused == walked == 8
        assert len(sales(b)) == 9
