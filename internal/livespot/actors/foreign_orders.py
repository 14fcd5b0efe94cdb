"""Orders without a ledger row: kept while they live, reported once, never touched.

*Writes* alerts and, for an order whose client id has our form, a demand for PAUSE. *Owns* the set
of those that live.
"""

from livespot.actors.execution_ports import ExecutionPorts
from livespot.contracts import ids
from livespot.contracts.codes import ReasonCode
from livespot.contracts.orders import OrderView
from livespot.contracts.vocabulary import Severity, SignalKind, SignalLevel

OrderKey = tuple[str, int]


class ForeignOrders:
    """Used by one task only."""

    def __init__(self, ports: ExecutionPorts) -> None:
        self._ports = ports
        self._living: dict[OrderKey, OrderView] = {}

    def living(self) -> tuple[OrderView, ...]:
        return tuple(self._living.values())

    def live_on(self, symbol: str) -> bool:
        """Whether a foreign order lives on this symbol; if so, the symbol takes no entry."""
        return any(key[0] == symbol for key in self._living)

    async def meet(self, order: OrderView) -> None:
        """Take in the newest state of a foreign order; its end withdraws the demand made for it."""
        key = (order.symbol, order.order_id)
        met, over = key in self._living, order.status.is_terminal
        if over:
            self._living.pop(key, None)
        else:
            self._living[key] = order
        ours_by_shape = ids.is_own_client_order_id(order.own_id)
        harmless = over and order.executed_qty == 0 and not ours_by_shape
        if not met and not harmless:
            await self._announce(order, ours_by_shape=ours_by_shape)
        if ours_by_shape and over:
            # The governor holds PAUSE until a resume, and a demand left standing would refuse it.
            await self._demand(SignalLevel.CLEAR, order, f"order {order.order_id} is over")

    async def _announce(self, order: OrderView, *, ours_by_shape: bool) -> None:
        reason = ReasonCode.FOREIGN_ORDER_DETECTED
        text = f"order {order.order_id} {order.side} {order.raw_status} is not in the ledger"
        severity = Severity.CRIT if ours_by_shape else Severity.WARN
        await self._ports.alert(severity, reason, text, symbol=order.symbol)
        if ours_by_shape:
            # Our form of client id without a row: a lost ledger or a second instance.
            await self._demand(SignalLevel.PAUSE, order, text)

    async def _demand(self, level: SignalLevel, order: OrderView, detail: str) -> None:
        await self._ports.demand(
            SignalKind.DRIFT,
            level,
            ReasonCode.FOREIGN_ORDER_DETECTED,
            source=f"own-prefix:{order.symbol}:{order.order_id}",
            detail=detail,
        )
