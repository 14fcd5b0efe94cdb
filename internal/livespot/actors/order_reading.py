"""Reads one order by its exchange id, with its fills if it executed anything."""

from livespot.actors.execution_ports import ExecutionPorts
from livespot.contracts.errors import PayloadInvalid, Refused, Transient
from livespot.contracts.orders import OrderUpdate


async def read_order(ports: ExecutionPorts, symbol: str, order_id: int) -> OrderUpdate | None:
    """The order as REST shows it now; None when it cannot be read, which proves nothing."""
    try:
        with ports.clock.fail_after(ports.settings.intents.rest_query_timeout_ms / 1000):
            order = await ports.reads.order(symbol, order_id=order_id)
            executed = order.executed_qty > 0
            fills = await ports.reads.trades(symbol, order_id=order_id) if executed else ()
    except (TimeoutError, Transient, Refused, PayloadInvalid):
        return None
    return OrderUpdate(order=order, fills=fills, source="REST")
