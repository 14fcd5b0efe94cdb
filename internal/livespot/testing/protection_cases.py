"""A protected position of one at a price of 100 for tests of the ladder: its scene and sells."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec

from livespot.contracts.orders import OrderView
from livespot.contracts.settings import ExitSettings
from livespot.contracts.vocabulary import OrderStatus, OrderType, Side
from livespot.rules.protection import Scene
from livespot.testing.market_values import some_constraints


def a_scene(**changes: Any) -> Scene:
    """Bought, booked and quiet: nothing sold, nothing missing, a target at 102, a stop at 99."""
    base = Scene(
        qty=Decimal(1),
        booked_sales={},
        fills_missing=False,
        entry_open=False,
        base_total=Decimal(1),
        bid=Decimal(100),
        average_price=Decimal(100),
        constraints=some_constraints(),
        stop_market=True,
        tp_price=Decimal(102),
        sl_price=Decimal(99),
        exits=ExitSettings(),
        partial_grace_ms=1500,
        wall_ms=1_000_000,
    )
    return replace(base, **changes)


def a_sell(order_id: int, kind: OrderType, **changes: Any) -> OrderView:
    """A new order to sell one, outside of a list; a status given is its raw status, too."""
    status = changes.get("status", OrderStatus.NEW)
    base = OrderView(
        symbol="BTCUSDT",
        order_id=order_id,
        order_list_id=-1,
        client_order_id=f"c{order_id}",
        orig_client_order_id="",
        side=Side.SELL,
        type=kind,
        status=status,
        raw_status=status.value,
        price=Decimal(0),
        stop_price=Decimal(0),
        orig_qty=Decimal(1),
        executed_qty=Decimal(0),
        cumulative_quote=Decimal(0),
        exchange_time_ms=1,
        local_received_ms=1,
    )
    return msgspec.structs.replace(base, **changes)
