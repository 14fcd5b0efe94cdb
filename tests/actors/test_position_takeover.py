"""Positions that a dead process left half bought: complete and protected by the next one."""

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from livespot.actors.position_case import Case, Desk, scene_of
from livespot.contracts.orders import ListRequest, OrderRequest
from livespot.contracts.settings import ExitSettings, Settings
from livespot.contracts.system import CloseAsked
from livespot.contracts.vocabulary import OrderStatus, PositionPhase
from livespot.rules.position import opened
from livespot.testing.execution_bench import a_decision, remember
from livespot.testing.ledger_rows import fresh
from livespot.testing.market_values import a_symbol
from livespot.testing.position_bench import position_bench
from livespot.testing.scripted_venue import ACCEPT, refused

ATTACHED = Settings()
SEPARATE = msgspec.structs.replace(ATTACHED, exit=ExitSettings(attach="SEPARATE"))
_PART = Decimal("1.20")


@pytest.mark.parametrize("settings", [ATTACHED, SEPARATE], ids=["attached", "separate"])
@pytest.mark.parametrize("noticed", ["EXECUTION", "BOTH"])
async def test_the_bought_part_of_an_entry_found_working_at_boot_is_protected(
    tmp_path: Path, settings: Settings, noticed: str
) -> None:
    """Its fills are in the ledger already and nobody reports them again."""
    path = fresh(tmp_path)
    async with position_bench(path, settings=settings) as b:
        decision = a_decision(settings)
        await remember(b.inner, decision)
        if noticed == "EXECUTION":
            b.keeper.inbox.close()
        await b.inner.approve(decision)
        order = b.inner.venue.working_buys()[-1]
        b.inner.venue.fill(order.order_id, str(_PART))
        await b.inner.stream(order.order_id)
        venue, clock = b.inner.venue, b.inner.clock
    async with position_bench(path, settings=settings, venue=venue, clock=clock) as b:
        await b.inner.recover()
        await b.recover()
        await b.inner.advance(3000)

        assert venue.orders_by_id[order.order_id].status is OrderStatus.CANCELED
        held = await b.position()
        assert held.qty == _PART - _PART / 1000
        assert held.phase is PositionPhase.PROTECTED


@pytest.mark.parametrize(
    ("order_types", "at_market"),
    [(None, False), (("LIMIT", "STOP_LOSS_LIMIT"), False), (("LIMIT", "STOP_LOSS"), True)],
)
def test_a_stop_at_market_is_asked_for_only_where_the_symbol_is_known_to_take_it(
    order_types: tuple[str, ...] | None, at_market: bool
) -> None:
    """A boot may have to protect before the exchange's rules are read."""
    desk = Desk()
    if order_types is not None:
        desk.infos["SOLUSDT"] = a_symbol(order_types=order_types)
    holding = opened(a_decision(), entry_intent_id="i", base_asset="SOL", constraints=None)

    scene = scene_of(desk, Case(holding=holding), ATTACHED, 0)

    assert scene.stop_market is at_market


@pytest.mark.parametrize(("status", "trading"), [(None, None), ("BREAK", False), ("TRADING", True)])
def test_whether_a_symbol_is_traded_is_not_guessed_before_its_rules_are_read(
    status: str | None, trading: bool | None
) -> None:
    desk = Desk()
    if status is not None:
        desk.infos["SOLUSDT"] = a_symbol(status=status)
    holding = opened(a_decision(), entry_intent_id="i", base_asset="SOL", constraints=None)

    assert scene_of(desk, Case(holding=holding), ATTACHED, 0).trading is trading


async def test_a_position_that_is_asked_to_be_sold_is_not_protected_anew(tmp_path: Path) -> None:
    async with position_bench(fresh(tmp_path), settings=SEPARATE) as b:
        b.inner.venue.script = [ACCEPT, refused(-2010, "not now")]
        await b.buy()
        await b.bid("100")
        await b.tell(CloseAsked(symbols=("SOLUSDT",)))
        await b.inner.advance(1500)

        sales = [r for r in b.inner.venue.sent if isinstance(r, OrderRequest) and r.side == "SELL"]
        assert sales
        assert not sales[0].type.startswith("STOP")
        lists = [r for r in b.inner.venue.sent if isinstance(r, ListRequest)]
        assert len(lists) == 1
