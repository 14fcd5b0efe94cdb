"""What the exchange would not let stand on a symbol is not begun: entries with their protection."""

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from livespot.actors.mail import CloseWanted, EntryEnded, MutationSettled, ProtectWanted
from livespot.contracts.codes import ReasonCode
from livespot.contracts.orders import OrderUpdate
from livespot.contracts.settings import ExitSettings, Settings
from livespot.contracts.vocabulary import IntentRole, OrderType
from livespot.testing.execution_bench import SYMBOL, Bench, a_decision, bench
from livespot.testing.ledger_rows import fresh, order
from livespot.testing.market_values import some_constraints


def _protect() -> ProtectWanted:
    return ProtectWanted(
        position_id="pos_1",
        decision_id="dec_1",
        entry_intent_id="oi_entry",
        symbol=SYMBOL,
        role=IntentRole.LIST,
        qty=Decimal("0.999"),
        tp_price=Decimal("102.00"),
        sl_price=Decimal("98.00"),
        stop_limit_price=None,
    )


async def _by_hand(b: Bench, kind: OrderType) -> None:
    """Somebody else's order appears on the symbol."""
    view = msgspec.structs.replace(
        order().order, symbol=SYMBOL, order_id=7777, client_order_id="by_hand", type=kind
    )
    await b.tell(OrderUpdate(order=view, fills=(), source="REST"))


@pytest.mark.parametrize("attach", ["ATTACHED", "SEPARATE"])
@pytest.mark.parametrize(
    ("orders", "algo_orders", "sent"), [(2, 5, 0), (3, 5, 1), (4, 1, 1), (0, 0, 1)]
)
async def test_an_entry_needs_room_for_its_protection(
    tmp_path: Path, orders: int, algo_orders: int, sent: int, attach: str
) -> None:
    tight = some_constraints(max_num_orders=orders, max_num_algo_orders=algo_orders)
    settings = Settings(exit=ExitSettings(attach=attach))
    async with bench(
        fresh(tmp_path), settings=settings, symbol={"constraints": tight, "oco_allowed": True}
    ) as b:
        await b.approve(a_decision(settings))

        assert len(b.venue.sent) == sent
        ended = b.heard(b.actor.risk, EntryEnded)
        expected = [] if sent else [(ReasonCode.PROTECTION_INVALID_FILTER,)]
        assert [message.reasons for message in ended] == expected


@pytest.mark.parametrize(
    ("kind", "algo_orders", "told"),
    [
        (OrderType.STOP_LOSS_LIMIT, 1, "REFUSED"),
        (OrderType.STOP_LOSS_LIMIT, 2, "ACCEPTED"),
        (OrderType.LIMIT, 1, "ACCEPTED"),
    ],
)
async def test_a_protection_is_counted_beside_what_stands(
    tmp_path: Path, kind: OrderType, algo_orders: int, told: str
) -> None:
    tight = some_constraints(max_num_algo_orders=algo_orders)
    async with bench(fresh(tmp_path), symbol={"constraints": tight}) as b:
        await _by_hand(b, kind)

        await b.tell(_protect())

        (settled,) = b.heard(b.actor.position, MutationSettled)
        assert settled.outcome == told
        if told == "REFUSED":
            assert settled.message == "Filter failure: MAX_NUM_ALGO_ORDERS"
            assert b.venue.sent == []


async def test_a_close_is_never_held_back_by_a_full_symbol(tmp_path: Path) -> None:
    tight = some_constraints(max_num_orders=1, max_num_algo_orders=1)
    async with bench(fresh(tmp_path), symbol={"constraints": tight}) as b:
        await _by_hand(b, OrderType.STOP_LOSS_LIMIT)

        await b.tell(
            CloseWanted(
                position_id="pos_1",
                decision_id="dec_1",
                entry_intent_id="oi_entry",
                symbol=SYMBOL,
                qty=Decimal("0.999"),
                limit_price=None,
            )
        )

        (settled,) = b.heard(b.actor.position, MutationSettled)
        assert settled.outcome == "ACCEPTED"


async def test_the_legs_of_an_attempt_that_ended_do_not_crowd_out_the_next(
    tmp_path: Path,
) -> None:
    tight = some_constraints(max_num_orders=3, max_num_algo_orders=1)
    async with bench(fresh(tmp_path), symbol={"constraints": tight}) as b:
        await b.approve(a_decision())

        await b.advance(32_000)

        assert len([o for o in b.venue.orders_by_id.values() if o.side == "BUY"]) == 2
